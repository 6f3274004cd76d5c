"""Native Fourier transforms against numpy.fft, task by task, and against sums of many digits."""

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.externals import address
from chainrule.compiler.llvm.fourier import emit_fourier
from tests.compiler.running import Runner, site_of
from tests.compiler.test_schedule import compiled

rng = np.random.default_rng(0)
LENGTHS = (1, 2, 3, 8, 12, 17, 60, 127, 1009)


def complex_numbers(*shape, dtype="D"):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)


def kernel_value(op, x, **params):
    site = site_of(op, x, **params)
    kernel = emit_fourier(site)
    runner = Runner(kernel, site, tuple(address(n) for n in kernel.externals))
    return runner.run(x, one_by_one=True)[0]


def assert_near(found, wanted):
    """Within a few units in the last place of the norm."""
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    bound = 4 * np.finfo(found.dtype).eps * np.linalg.norm(wanted.ravel())
    assert np.linalg.norm((found - wanted).ravel()) <= bound


@pytest.mark.parametrize("n", LENGTHS)
def test_transforms_of_any_length_are_numpys(n):
    for dtype in "FD":
        check_all(n, n % 3, "backward", dtype)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_transforms_along_any_axis_are_numpys(norm):
    for axis, dtype in ((0, "D"), (1, "F"), (2, "D")):
        check_all(12, axis, norm, dtype)


def check_all(n, axis, norm, dtype):
    """Every transform of n numbers along an axis of an array with strides of its own."""
    shape = [2, 3, 4]
    shape[axis] = n
    z = complex_numbers(*shape, dtype=dtype)[..., ::-1]
    for inverse, numpys in ((False, np.fft.fft), (True, np.fft.ifft)):
        found = kernel_value("fft", z, axis=axis, inverse=inverse, norm=norm)
        assert_near(found, numpys(z, axis=axis, norm=norm))
    x = z.real.copy()
    assert_near(kernel_value("rfft", x, axis=axis, norm=norm), np.fft.rfft(x, axis=axis, norm=norm))
    for length in {1} if n == 1 else {2 * n - 2, 2 * n - 1}:
        found = kernel_value("irfft", z, axis=axis, n=length, norm=norm)
        assert_near(found, np.fft.irfft(z, length, axis, norm))


@pytest.mark.parametrize("n", [16, 30, 37, 211])
def test_transform_is_the_sum_of_many_digits(n):
    z = complex_numbers(n)
    with mpmath.workdps(30):
        terms = [mpmath.mpc(x) for x in z]
        wanted = [
            complex(mpmath.fsum(t * mpmath.expjpi(mpmath.mpf(-2 * k * j % (2 * n)) / n)
                                for j, t in enumerate(terms)))
            for k in range(n)
        ]  # fmt: skip
    assert_near(kernel_value("fft", z, axis=0, inverse=False, norm="backward"), np.array(wanted))


def test_many_lanes_are_many_tasks():
    z = complex_numbers(600, 64)
    site = site_of("fft", z, axis=1, inverse=False, norm="ortho")
    assert emit_fourier(site).phases[0].tasks > 1
    assert_near(kernel_value("fft", z, **site.params), np.fft.fft(z, norm="ortho"))


def test_real_signals_and_no_lanes():
    def f(x):
        return np.fft.fft(x), np.fft.irfft(np.fft.rfft(x), x.shape[-1])

    for x in (rng.normal(size=(3, 10)), np.zeros((0, 5)), rng.normal(size=(4, 7)).astype("f")):
        native, values = compiled(f, x)
        assert not native.sites
        for found, wanted in zip(native.run(values), f(x), strict=True):
            assert_near(found, wanted)


def test_gradient_of_a_spectrum_needs_no_evaluator():
    def power(x):
        return np.sum(np.abs(np.fft.rfft(x)) ** 4) + np.sum(np.fft.fft(x).real ** 3)

    x = rng.normal(size=12)
    slope = cr.compile(lambda x: cr.grad(power)(x))
    np.testing.assert_allclose(slope(x), cr.grad(power)(x), rtol=1e-12, atol=1e-10)
    assert "on the evaluator: nothing" in str(cr.explain(slope))
