"""Derivatives of Fourier transforms: each function of np.fft, every norm, length and axis."""

import numpy as np
import pytest

import chainrule as cr
from tests.ops.differentiation import check_derivatives, inner, random_array

RNG = np.random.default_rng(40)
REAL, COMPLEX = random_array(RNG, (3, 5)), random_array(RNG, (3, 5), True)
ONE_AXIS = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
MANY_AXES = ["fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"]
TAKE_REAL = {"rfft", "ihfft", "rfft2", "rfftn"}


def inputs(name):
    return [REAL] if name in TAKE_REAL else [REAL, COMPLEX]


@pytest.mark.parametrize("options", [(None, -1, None), (4, 0, "ortho"), (7, 1, "forward")])
@pytest.mark.parametrize("name", ONE_AXIS)
def test_transforms_along_one_axis(name, options):
    function = getattr(np.fft, name)
    for x in inputs(name):
        check_derivatives(lambda x: function(x, *options), x, step=0.5)


@pytest.mark.parametrize("s", [None, (4, 7)])
@pytest.mark.parametrize("name", MANY_AXES)
def test_transforms_along_several_axes(name, s):
    function = getattr(np.fft, name)
    for x in inputs(name):
        check_derivatives(lambda x: function(x, s=s, axes=(1, 0), norm="ortho"), x, step=0.5)


@pytest.mark.parametrize("name", ["fftshift", "ifftshift"])
def test_shifts(name):
    function = getattr(np.fft, name)
    check_derivatives(function, COMPLEX, step=0.5)
    check_derivatives(lambda x: function(x, axes=1), REAL, step=0.5)


def test_frequencies_move_with_the_sampling_distance():
    check_derivatives(lambda d: np.fft.fftfreq(5, d), 0.3)
    check_derivatives(lambda d: np.fft.rfftfreq(5, d), 0.3)


def test_the_power_spectrum():
    check_derivatives(lambda x: np.abs(np.fft.rfft(x)) ** 2, random_array(RNG, (8,)), step=0.2)


@pytest.mark.parametrize("n", [1, 2, 5, 6])
@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_the_transposes_of_rfft_and_irfft_are_exact(n, norm):
    x, z = random_array(RNG, n), random_array(RNG, n // 2 + 1, True)
    forward, pull = cr.vjp(lambda x: np.fft.rfft(x, norm=norm), x)
    assert abs(inner([z], [forward]) - inner(pull(z), [x])) < 1e-14
    back, pull = cr.vjp(lambda z: np.fft.irfft(z, n, norm=norm), z)
    assert abs(inner([x], [back]) - inner(pull(x), [z])) < 1e-14


def test_the_gradient_of_the_energy_is_parseval():
    def energy(x):
        return np.sum(np.abs(np.fft.fft(x)) ** 2)

    np.testing.assert_allclose(cr.grad(energy)(COMPLEX[0]), 10 * COMPLEX[0], rtol=1e-13)


def test_rfft_refuses_complex_input_as_numpy_does():
    with pytest.raises(TypeError, match="takes real input"):
        cr.linearize(np.fft.rfft, COMPLEX)
