"""Linear filters under SciPy's names: SciPy's values, and derivatives by signal and weights."""

import numpy as np
import pytest
from scipy import ndimage

import chainrule as cr
from chainrule.errors import MutationError, NotSupported
from tests.numpy.against_numpy import check_same
from tests.ops.differentiation import check_derivatives

RNG = np.random.default_rng(31)
X, M = RNG.standard_normal(9), RNG.standard_normal((5, 6))
MODES = ["reflect", "mirror", "nearest", "constant", "wrap", "grid-mirror", "grid-wrap"]


def check(f, *args, batched=True):
    check_same(f, *args, exact=False)
    check_derivatives(f, *args, second=False, batched=batched)


@pytest.mark.parametrize("mode", MODES)
def test_correlation_and_convolution(mode):
    w, w2 = np.array([0.2, -1.0, 0.5, 0.3]), RNG.standard_normal((3, 2))
    for f in (ndimage.correlate1d, ndimage.convolve1d):
        name = f.__name__
        for origin in (0, 1, -1):
            call = lambda x, w, n=name, o=origin: getattr(ndimage, n)(
                x, w, 0, None, mode, 0.7, o)  # fmt: skip
            check(call, M, w, batched=False)
            check_same(call, M, w[:3], exact=False)
    for name in ("correlate", "convolve"):
        check(lambda x, w, n=name: getattr(ndimage, n)(x, w, mode=mode, cval=0.7), M, w2)
        check_same(lambda x, n=name: getattr(ndimage, n)(x, w2, mode=mode, origin=(1, -1)), M,
                   exact=False)  # fmt: skip


FILTERS = {
    "gaussian_filter1d": lambda x: ndimage.gaussian_filter1d(x, 0.8),
    "gaussian_filter1d of order 1": lambda x: ndimage.gaussian_filter1d(x, 0.8, order=1, radius=3),
    "gaussian_filter": lambda x: ndimage.gaussian_filter(x, (0.5, 0.9), order=(0, 2)),
    "gaussian_filter of an axis": lambda x: ndimage.gaussian_filter(x, 0.5, axes=(1,)),
    "uniform_filter1d": lambda x: ndimage.uniform_filter1d(x, 4, origin=1),
    "uniform_filter": lambda x: ndimage.uniform_filter(x, (3, 2), mode=("wrap", "nearest")),
    "gaussian_laplace": lambda x: ndimage.gaussian_laplace(x, 0.7),
    "gaussian_gradient_magnitude": lambda x: ndimage.gaussian_gradient_magnitude(x, 0.7),
    "sobel": lambda x: ndimage.sobel(x, 0),
    "prewitt": lambda x: ndimage.prewitt(x, mode="wrap"),
    "laplace": lambda x: ndimage.laplace(x, mode="constant", cval=1.0),
    "laplace of an axis": lambda x: ndimage.laplace(x, axes=0),
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters_of_images(name):
    check(FILTERS[name], M)
    check_same(FILTERS[name], M.astype(np.float32), exact=False)


def test_what_has_no_traced_meaning_is_refused():
    with pytest.raises(MutationError, match="use what the filter returns"):
        cr.vjp(lambda x: ndimage.sobel(x, output=np.zeros(M.shape)), M)
    with pytest.raises(NotSupported, match="give floats"):
        cr.vjp(lambda x: ndimage.sobel(x, output=int), M)
    check_same(lambda x: ndimage.correlate1d(x, [0.3, 0.9, -0.2], origin=5), X)
    check_same(lambda x: ndimage.correlate1d(x, [0.3, 0.9, -0.2], mode="other"), X)
