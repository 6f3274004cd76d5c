"""scipy.fft on traced values: SciPy's values, and derivatives of linear maps."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import scipy.fft

import chainrule as cr
from chainrule.errors import NotSupported
from chainrule.numpy.scipy_fft import TRANSFORMS
from tests.numpy.against_numpy import check_same

RNG = np.random.default_rng(8)
X, Z = RNG.standard_normal((3, 6)), RNG.standard_normal((3, 6)) + 1j * RNG.standard_normal((3, 6))
REAL = [name for name in TRANSFORMS if name.strip("i").startswith("d")]
FOURIER = [name for name in TRANSFORMS if name not in REAL]


def check_linear(f, x):
    """f through a trace as on NumPy; its slope is f itself; the transpose is the matrix's."""
    check_same(f, x, exact=False)
    v = np.ones_like(x) * np.arange(x.shape[-1])
    _, moved = cr.jvp(f, (x,), (v,))
    np.testing.assert_allclose(moved, f(v), atol=1e-13)
    value, pullback = cr.vjp(f, x)
    u = np.ones_like(value) * np.arange(value.shape[-1])
    (pulled,) = pullback(u)
    left, right = np.sum(np.conj(u) * moved).real, np.sum(np.conj(pulled) * v).real
    np.testing.assert_allclose(left, right, rtol=1e-12)


@pytest.mark.parametrize("name", FOURIER)
def test_fourier_transforms(name):
    function = getattr(scipy.fft, name)
    x = X if name in ("rfft", "ihfft", "rfft2", "rfftn") else Z
    check_linear(lambda x: function(x), x)
    check_linear(lambda x: function(x, norm="ortho", workers=1), x)
    assert cr.vjp(lambda x: function(x, overwrite_x=True), x)[0].shape == function(x).shape
    if name.endswith(("2", "n")):
        check_linear(lambda x: function(x, (4, 8), axes=(1, 0)), x)
    else:
        check_linear(lambda x: function(x, 4, axis=0), x)
        check_linear(lambda x: function(x=x, n=9), x)


@pytest.mark.parametrize("type", [1, 2, 3, 4])
@pytest.mark.parametrize("name", REAL)
def test_cosine_and_sine_transforms(name, type):
    function = getattr(scipy.fft, name)
    pairs = [(None, None), (None, True), ("ortho", None), ("ortho", False), ("forward", None)]
    for norm, orthogonalize in pairs:
        options = {"norm": norm, "orthogonalize": orthogonalize}
        check_linear(lambda x, o=options: function(x, type, **o), X)
    if name.endswith("n"):
        check_linear(lambda x: function(x, type, s=(4, 8)), X)
        check_linear(lambda x: function(x, type, axes=(0,)), X)
    else:
        check_linear(lambda x: function(x, type, n=4, axis=0), X)
        check_linear(lambda x: function(x, type, n=9), X)
    check_linear(lambda x: function(x, type), Z)
    check_same(lambda x: function(x, type), X.astype(np.float32), exact=False)
    check_same(lambda x: function(x, type), np.arange(6), exact=False)


def test_wrong_options_raise_as_in_scipy():
    check_same(lambda x: scipy.fft.dct(x, 5), X)
    check_same(lambda x: scipy.fft.dct(x, norm="other"), X)
    check_same(lambda x: scipy.fft.dct(x, 1, n=1), X)


def test_what_is_not_supported_says_so():
    with pytest.raises(NotSupported, match="scipy.fft.fht is not supported.*test_scipy_fft.py"):
        cr.grad(lambda x: scipy.fft.fht(x, 0.1, 0.0).sum())(X[0])


def test_plain_arguments_and_other_threads_are_left_to_scipy():
    found = {}

    def other():
        found["other"] = scipy.fft.fft(X)

    def function(x):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        found["inside"] = scipy.fft.fft(X)
        return np.abs(scipy.fft.fft(x)).sum()

    cr.grad(function)(X)
    for value in found.values():
        np.testing.assert_array_equal(value, scipy.fft.fft(X))


def test_code_that_transforms_inside_scipy():
    from scipy import signal

    check_linear(lambda x: signal.fftconvolve(x, X[:2, :3]), X)
    check_linear(lambda x: signal.hilbert(x), X[0])
    check_linear(lambda x: signal.resample(x, 4), X[0])


def test_tracing_does_not_import_scipy_fft():
    code = (
        "import sys, chainrule as cr, numpy as np; cr.grad(lambda x: np.abs(np.fft.fft(x)).sum())"
        "(np.ones(3)); sys.exit('scipy.fft' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
