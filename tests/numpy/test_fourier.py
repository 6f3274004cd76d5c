"""np.fft on traced values: values, dtypes, shapes and errors are NumPy's."""

import numpy as np
import pytest

from tests.numpy.against_numpy import check_same, through_trace

RNG = np.random.default_rng(60)
ONE_AXIS = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
MANY_AXES = ["fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"]
TAKE_REAL = {"rfft", "ihfft", "rfft2", "rfftn"}


def signals(name):
    x = RNG.normal(size=(4, 5, 6))
    yield x
    if name not in TAKE_REAL:
        z = x + 1j * RNG.normal(size=x.shape)
        yield z
        yield z.astype(np.complex64)
    if "irfft" not in name and name != "hfft":
        # NumPy computes irfft of real float32 input in float64; here it is complex64 throughout
        yield x.astype(np.float32)


@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward", "bad"])
@pytest.mark.parametrize("n", [None, 3, 7, 0])
@pytest.mark.parametrize("name", ONE_AXIS)
def test_one_axis(name, n, norm):
    function = getattr(np.fft, name)
    for x in signals(name):
        for axis in (-1, 0):
            check_same(lambda x, axis=axis: function(x, n, axis, norm), x)


@pytest.mark.parametrize(
    "options",
    [
        {}, {"axes": (1,)}, {"axes": (0, 0)}, {"s": (3, 7), "axes": (0, 1)},
        {"s": (-1, 9), "axes": (2, 0)}, {"s": (5,), "axes": (0, 1)},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("name", MANY_AXES)
def test_several_axes(name, options):
    function = getattr(np.fft, name)
    for x in signals(name):
        check_same(lambda x: function(x, **options), x)


@pytest.mark.parametrize("axes", [None, 1, (0, 2)])
def test_shifts(axes):
    x = RNG.normal(size=(4, 5, 6))
    check_same(lambda x: np.fft.fftshift(x, axes), x)
    check_same(lambda x: np.fft.ifftshift(x, axes), x)


@pytest.mark.parametrize("dtype", [bool, np.int32])
@pytest.mark.parametrize("name", ONE_AXIS + MANY_AXES)
def test_integers_become_float64(name, dtype):
    check_same(getattr(np.fft, name), np.array([[2, 1, 4], [1, 3, 0]], dtype), exact=False)


@pytest.mark.parametrize("name", ONE_AXIS + MANY_AXES)
def test_float16_becomes_float32(name):
    function, x = getattr(np.fft, name), np.array([[2, 1, 4], [1, 3, 0]], np.float16)
    found, expected = through_trace(function, x), function(x)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)  # NumPy scales in float16


def test_frequencies():
    check_same(lambda d: np.fft.fftfreq(5, d), 0.3)
    check_same(lambda d: np.fft.rfftfreq(6, d), 0.3)


def test_an_axis_that_does_not_exist():
    check_same(lambda x: np.fft.fft(x, 4, axis=3), np.ones((2, 3)))
    check_same(np.fft.fft, np.float64(1.0))
