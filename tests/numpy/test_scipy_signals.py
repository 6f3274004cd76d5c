"""Filters of scipy.signal under SciPy's names: SciPy's values, derivatives by differences."""

import numpy as np
import pytest
from scipy import signal

import chainrule as cr
from chainrule.errors import NotSupported
from tests.numpy.against_numpy import check_same
from tests.ops.differentiation import check_derivatives

RNG = np.random.default_rng(31)
X, M = RNG.standard_normal(9), RNG.standard_normal((5, 6))
B, A = np.array([0.3, 0.9, -0.2]), np.array([2.0, -0.8, 0.3])
Z = np.array([0.7, -0.4])
SOS = signal.butter(4, 0.3, output="sos")
K = RNG.standard_normal((3, 2))


def check(f, *args, batched=True):
    check_same(f, *args, exact=False)
    check_derivatives(f, *args, second=False, batched=batched)


@pytest.mark.parametrize("b, a", [(B, A), (B, A[:1]), (B[:1], A), (A, B), (B[:2], A)])
def test_lfilter(b, a):
    check(lambda b, a, x: signal.lfilter(b, a, x), b, a, X)
    check(lambda x: signal.lfilter(b, a, x, axis=0), M)
    check(lambda b, a: signal.lfilter(b, a, M), b, a)
    check_same(lambda x: signal.lfilter(b, a, x), X.astype(np.float32), exact=False)
    check_same(lambda x: signal.lfilter(b, a, x), np.arange(5), exact=False)


@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("b, a", [(B, A), (B, A[:1]), (B[:1], A), (B[:2], A)])
def test_lfilter_with_a_state(b, a, n):
    check(lambda b, a, x, z: signal.lfilter(b, a, x, zi=z), b, a, X[:n], Z)
    check(lambda x, z: signal.lfilter(b, a, x, axis=0, zi=z)[1], M[:n], RNG.normal(size=(2, 6)))


def test_a_signal_filtered_in_two_parts_is_the_signal_filtered():
    def in_two(x):
        first, state = signal.lfilter(B, A, x[:4], zi=np.zeros(2))
        return np.concatenate([first, signal.lfilter(B, A, x[4:], zi=state)[0]])

    whole = cr.jacobian(lambda x: signal.lfilter(B, A, x))(X)
    np.testing.assert_allclose(cr.jacobian(in_two)(X), whole, rtol=1e-13, atol=1e-15)


FILTERS = {
    "sosfilt": lambda x: signal.sosfilt(SOS, x),
    "sosfilt with a state": lambda x: signal.sosfilt(SOS, x, zi=np.ones((2, 2))),
    "sosfiltfilt": lambda x: signal.sosfiltfilt(SOS, x, padlen=5),
    "filtfilt": lambda x: signal.filtfilt(B, A, x, padlen=5),
    "upfirdn": lambda x: signal.upfirdn([1.0, 2.0, 0.5, 0.1], x, 3, 2),
    "resample_poly": lambda x: signal.resample_poly(x, 3, 2),
    "decimate": lambda x: signal.decimate(x, 2, n=3, zero_phase=False),
    "decimate by taps": lambda x: signal.decimate(x, 2, n=4, ftype="fir"),
    "savgol_filter": lambda x: signal.savgol_filter(x, 5, 2, axis=0, mode="nearest"),
    "wiener": lambda x: signal.wiener(x, 3),
}  # fmt: skip


@pytest.mark.parametrize("name", FILTERS)
def test_filters_that_are_built_of_these(name):
    check(FILTERS[name], X)


SPECTRA = {
    "welch": lambda x: signal.welch(x, nperseg=4)[1],
    "periodogram": lambda x: signal.periodogram(x)[1],
    "coherence": lambda x: signal.coherence(x, X[::-1].copy(), nperseg=4)[1],
    "spectrogram": lambda x: signal.spectrogram(x, nperseg=4, noverlap=2)[2],
}


@pytest.mark.parametrize("name", SPECTRA)
def test_spectra(name):
    check(SPECTRA[name], X)


@pytest.mark.parametrize("boundary", ["fill", "wrap", "symm"])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolution_of_images(mode, boundary):
    for f in (signal.convolve2d, signal.correlate2d):
        for k in (K, K[:2], K[:, :1]):
            call = lambda x, k, f=f.__name__: getattr(signal, f)(x, k, mode, boundary, 0.5)
            check_same(call, M, k, exact=False)
        check(call, M, K)
    if mode == "valid":
        check(lambda x: signal.correlate2d(K, x, "valid"), M)
        check(lambda x: signal.convolve2d(K, x, "valid"), M)


def test_medians_of_images():
    for f in (lambda x: signal.medfilt2d(x, (3, 1)), lambda x: signal.medfilt(x, 3)):
        check_same(f, M, exact=False)
        check_derivatives(f, M, step=1e-4, tolerance=1e-9, second=False)


def test_a_signal_continued_by_a_resampling_filter_is_refused():
    with pytest.raises(NotSupported, match=r"upfirdn\(mode='edge', .*test_scipy_signals.py"):
        cr.grad(lambda x: signal.upfirdn([1.0], x, mode="edge").sum())(X)
