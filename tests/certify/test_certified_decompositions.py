"""Certified values and derivatives of decompositions, transforms and special functions, against
mpmath."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import scipy.special

import chainrule as cr

SYMMETRIC = np.array([[2.0, 1.0, 0.25], [1.0, -1.0, 0.5], [0.25, 0.5, 0.5]])
TALL = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
SIGNAL = np.array([0.3, 0.7, 1.2, 0.4, 0.9])
WEIGHTS = np.arange(1.0, 26.0).reshape(5, 5)


def of_eigenvectors(a):
    values, vectors = np.linalg.eigh(a)
    return np.sum((vectors * np.exp(values)) @ vectors.T * WEIGHTS[:3, :3])


def of_singular_vectors(a):
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.sum((u * s**3) @ vh * WEIGHTS[:3, :2])


MATRIX_FUNCTIONS = [  # and the same in mpmath
    (lambda a: np.linalg.eigvalsh(a)[2], SYMMETRIC,
     lambda a: max(mpmath.eigsy(symmetric(a), eigvals_only=True))),
    (of_eigenvectors, SYMMETRIC, lambda a: weighted(mpmath.expm(symmetric(a)))),
    (lambda a: np.linalg.norm(a, 2), TALL, lambda a: max(mpmath.svd_r(a, compute_uv=False))),
    (of_singular_vectors, TALL, lambda a: weighted(a * a.T * a)),
    (lambda a: np.sum(np.linalg.pinv(a) * WEIGHTS[:2, :3]), TALL,
     lambda a: weighted((a.T * a) ** -1 * a.T)),
    (lambda a: np.linalg.lstsq(a, WEIGHTS[0, :3], rcond=None)[0][1], TALL,
     lambda a: ((a.T * a) ** -1 * a.T * mpmath.matrix([1, 2, 3]))[1]),
    (lambda a: np.linalg.pinv(a.T)[0, 1], TALL, lambda a: (a * (a.T * a) ** -1)[0, 1]),
]  # fmt: skip


def symmetric(a):
    """As NumPy reads the lower triangle."""
    return mpmath.matrix(3, 3) + mpmath.matrix(
        [[a[max(i, j), min(i, j)] for j in range(3)] for i in range(3)]
    )


def weighted(a):
    return sum(a[i, j] * WEIGHTS[i, j] for i in range(a.rows) for j in range(a.cols))


def slopes_of(f, a, step):
    """The entries' central differences, in high precision."""
    out = np.zeros(a.shape)
    for place in np.ndindex(a.shape):
        ends = []
        for side in (1, -1):
            moved = mpmath.matrix(a.tolist())
            moved[place] += side * step
            ends.append(f(moved))
        out[place] = float((ends[0] - ends[1]) / (2 * step))
    return out


@pytest.mark.parametrize(("f", "a", "exact"), MATRIX_FUNCTIONS)
def test_derivatives_of_decompositions(f, a, exact):
    with mpmath.workdps(60):
        assert cr.certified(f)(a) == float(exact(mpmath.matrix(a.tolist())))
        truth = slopes_of(exact, a, mpmath.mpf(10) ** -25)
    np.testing.assert_allclose(cr.certified(cr.grad(f))(a), truth, rtol=1e-15, atol=1e-18)


def test_matrices_that_are_not_of_full_rank_are_refused():
    with pytest.raises(cr.errors.NotSupported, match="full rank"):
        cr.certified(np.linalg.pinv)(np.ones((3, 2)))
    with pytest.raises(cr.errors.NotSupported, match="full_matrices=False"):
        cr.certified(lambda a: np.linalg.svd(a)[0])(TALL)


def test_transforms_of_real_signals():
    def filtered(x):
        return np.fft.irfft(np.fft.rfft(x) ** 2, 5)[1]

    def spectral(x):
        return np.real(np.fft.fft(x)[2]) + np.imag(np.fft.rfft(x, norm="ortho")[1])

    circular = [sum(Fraction(SIGNAL[j]) * Fraction(SIGNAL[k - j]) for j in range(5))
                for k in range(5)]  # fmt: skip
    assert cr.certified(filtered)(SIGNAL) == float(circular[1])
    slopes = [float(2 * Fraction(SIGNAL[1 - j])) for j in range(5)]
    assert cr.certified(cr.grad(filtered))(SIGNAL).tolist() == slopes
    with mpmath.workdps(40):
        angle = 2 * mpmath.pi / 5
        truth = [
            float(mpmath.cos(2 * angle * j) - mpmath.sin(angle * j) / mpmath.sqrt(5))
            for j in range(5)
        ]
    assert cr.certified(cr.grad(spectral))(SIGNAL).tolist() == truth
    quarter = cr.certified(lambda x: np.imag(np.fft.fft(x)[2]))(SIGNAL[:4])
    assert quarter == 0  # the roots of unity are exact


FAMILIES = [
    (scipy.special.exprel, lambda x: mpmath.expm1(x) / x, 0.37),
    (scipy.special.erfcx, lambda x: mpmath.exp(x * x) * mpmath.erfc(x), -1.25),
    (scipy.special.i0e, lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x), 3.5),
    (scipy.special.i1e, lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(1, x), -40.0),
    (lambda x: np.real(scipy.special.lambertw(x)), lambda x: mpmath.lambertw(x).real, 1.75),
    (lambda x: scipy.special.logsumexp(np.array([1.0, 2.0]) * x),
     lambda x: mpmath.log(mpmath.exp(x) + mpmath.exp(2 * x)), 0.3),
]  # fmt: skip


@pytest.mark.parametrize(("f", "exact", "x"), FAMILIES)
def test_derivatives_that_are_families_of_their_own(f, exact, x):
    derivative = f
    for order in range(3):
        with mpmath.workdps(60):
            truth = float(mpmath.diff(exact, mpmath.mpf(x), order))
        assert cr.certified(derivative)(x) == truth
        derivative = cr.grad(derivative)
