"""The Faddeeva function and its relatives: wofz, dawsn, voigt_profile.

Value     SciPy's. faddeeva(z, n=n) is the n-th derivative of w(z) = exp(-z^2) erfc(-i z), n >= 1;
          dawson(x, n=n) that of Dawson's integral, sqrt(pi)/2 Im w(x) for real x.
Slope     the next of the family: w' = -2 z w + 2i/sqrt(pi) would lose 2 log2|z| bits. From |z| = 7
          on the asymptotic series is summed; nearer 0, w^(n+1) = -2 z w^(n) - 2 n w^(n-1). Below
          the real axis w(z) = 2 exp(-z^2) - w(-z) adds derivatives of exp(-z^2).
          Voigt's profile is Re w((x + i gamma) / (sigma sqrt(2))) / (sigma sqrt(2 pi)), of degree
          -1 in its three arguments, which gives the slope by sigma.
Source    Poppe and Wijers, ACM TOMS 16 (1990) 38; DLMF 7.10, 7.12.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.ops.elementwise import imag, join, real
from chainrule.ops.special.scipy_functions import (
    elementwise_family,
    in_float64,
    scipy_elementwise,
    scipy_special,
)
from chainrule.program.op import Op

ROOT_2 = math.sqrt(2.0)
ROOT_PI = math.sqrt(math.pi)
_ASYMPTOTIC_FROM = 7.0
_TERMS = 28  # the term's size at |z| = 7 is then 3e-17 of the first


def _hermite(z, n: int):
    """(-1)^n exp(z^2) d^n exp(-z^2) / dz^n: the Hermite polynomial."""
    before, this = np.zeros_like(z), np.ones_like(z)
    for k in range(n):
        before, this = this, 2.0 * z * this - 2.0 * k * before
    return this


def _by_recurrence(z, n: int):
    before = scipy_special().wofz(z)
    this = 2j / ROOT_PI - 2.0 * z * before
    for k in range(1, n):
        before, this = this, -2.0 * z * this - 2.0 * k * before
    return this


def _by_series(z, n: int):
    """d^n of i/sqrt(pi) sum (2k-1)!! / 2^k z^-(2k+1), above the real axis, with what is left of
    exp(-z^2) on it."""
    total = _series_of_derivative(z, n, 1j / ROOT_PI)
    return total + np.where(z.imag == 0, _gaussian(z, n), 0.0)


def _series_of_derivative(z, n: int, factor):
    """d^n of factor sum (2k-1)!! / 2^k z^-(2k+1)."""
    square = 1.0 / (z * z)
    term = math.factorial(n) * (-1.0) ** n * factor / z ** (n + 1)
    total = term
    for k in range(1, _TERMS):
        rising = (2 * k + n - 1) * (2 * k + n) / ((2 * k - 1) * (2 * k))
        term = term * (0.5 * (2 * k - 1) * rising) * square
        total = total + term
    return total


def _gaussian(z, n: int):
    return (-1.0) ** n * _hermite(z, n) * np.exp(-z * z)


def _far(z, n: int):
    """For |z| >= 7, on both sides of the real axis: w(z) = 2 exp(-z^2) - w(-z)."""
    below = z.imag < 0
    found = _by_series(np.where(below, -z, z), n)
    return np.where(below, 2.0 * _gaussian(z, n) - (-1.0) ** n * found, found)


def faddeeva_value(z, n: int):
    """The n-th derivative of w at complex128 z."""
    near = np.abs(z) < _ASYMPTOTIC_FROM
    with np.errstate(all="ignore"):
        inside = _by_recurrence(np.where(near, z, 0.0), n)
        return np.where(near, inside, _far(np.where(near, _ASYMPTOTIC_FROM, z), n))


def _faddeeva(z, *, n):
    return faddeeva_value(np.asarray(z, np.complex128), n).astype(z.dtype)[()]


faddeeva: Op = elementwise_family(
    "faddeeva",
    _faddeeva,
    (lambda z, out, *, n: faddeeva(z, n=n + 1),),
    takes="complex",
    ulps=1024,
    doc="the n-th derivative of wofz (n >= 1)",
)
wofz = scipy_elementwise("wofz", (lambda z, out: faddeeva(z, n=1),), "complex", ulps=1024)


@in_float64
def dawson_value(x, *, n):
    """The imaginary parts of the formulas above, for real x."""
    near = np.abs(x) < _ASYMPTOTIC_FROM
    inside = np.where(near, x, 0.0)
    before = scipy_special().dawsn(inside)
    this = 1.0 - 2.0 * inside * before
    for k in range(1, n):
        before, this = this, -2.0 * inside * this - 2.0 * k * before
    with np.errstate(all="ignore"):
        far = _series_of_derivative(np.where(near, _ASYMPTOTIC_FROM, x), n, 0.5)
        return np.where(near, this, far)


dawson: Op = elementwise_family(
    "dawson",
    dawson_value,
    (lambda x, out, *, n: dawson(x, n=n + 1),),
    ulps=1024,
    doc="the n-th derivative of Dawson's integral (n >= 1)",
)
dawsn = scipy_elementwise("dawsn", (lambda x, out: dawson(x, n=1),), ulps=1024)


def _voigt_slope(x, sigma, gamma):
    """dV/dx - i dV/dgamma = w'(z) / (2 sqrt(pi) sigma^2)."""
    z = join(x / (ROOT_2 * sigma), gamma / (ROOT_2 * sigma))
    scale = 1.0 / (2.0 * ROOT_PI) / (sigma * sigma)
    slope = faddeeva(z, n=1)
    return scale * real(slope), -scale * imag(slope)


def _voigt_by_sigma(x, sigma, gamma, out):
    by_x, by_gamma = _voigt_slope(x, sigma, gamma)
    return -(out + x * by_x + gamma * by_gamma) / sigma


voigt_profile = scipy_elementwise(
    "voigt_profile",
    (
        lambda x, sigma, gamma, out: _voigt_slope(x, sigma, gamma)[0],
        _voigt_by_sigma,
        lambda x, sigma, gamma, out: _voigt_slope(x, sigma, gamma)[1],
    ),
    ulps=4096,
)
