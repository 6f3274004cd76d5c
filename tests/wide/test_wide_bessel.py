"""Bessel functions, exponential integrals, polygamma and zeta functions of wide numbers."""

import mpmath
import numpy as np
import pytest
import scipy.special
from mpmath import mp

import chainrule as cr
from chainrule.wide.elementary import pi
from chainrule.wide.functions import FUNCTIONS
from chainrule.wide.number import Wide, precision, wide

NEAR = [1e-8, 0.3, 2.5, 30.0]
FAR = [60.0, 80.0, 200.0, 700.0, 3000.0]
FORMULAS = {
    "iv": mp.besseli, "kv": mp.besselk, "jv": mp.besselj, "yv": mp.bessely,
    "exp1": mp.e1, "expi": mp.ei, "zeta": mp.zeta, "betaln": lambda a, b: mp.log(mp.beta(a, b)),
    "poch": mp.rf,
}  # fmt: skip


def _holds(x, wanted, bits=90):
    """Whether a wide number is what it should be within its bound, and known well."""
    assert isinstance(x, Wide) and x.relative_bits() >= bits
    with mpmath.workprec(400):
        unit = mp.mpf(2) ** x.e
        assert abs(x.m * unit - wanted) <= x.r * unit + abs(wanted) * mp.mpf(2) ** -140


def _checked(name, *arguments, wanted=None, bits=90, **params):
    with mpmath.workprec(320), precision(160):
        if wanted is None:
            wanted = FORMULAS[name](*map(mp.mpf, arguments))
        _holds(FUNCTIONS[name](*map(wide, arguments), **params), wanted, bits)


@pytest.mark.parametrize("name", ["iv", "kv", "jv", "yv"])
@pytest.mark.parametrize("order", [0.0, 1.0, 3.0, 0.5, 1.25])
def test_bessel_functions_agree_with_mpmath(name, order):
    for x in NEAR:
        _checked(name, order, x)


@pytest.mark.parametrize("x", [*NEAR, *FAR])
def test_bessel_functions_hold_their_wronskians(x):
    """I0 K1 + I1 K0 = 1/x, J1 Y0 - J0 Y1 = 2 / (pi x)."""
    with precision(200):
        i0, i1, k0, k1, j0, j1, y0, y1 = (
            FUNCTIONS[name](wide(x)) for name in ("i0", "i1", "k0", "k1", "j0", "j1", "y0", "y1")
        )
        sums = [i0 * k1 + i1 * k0 - wide(1) / wide(x),
                j1 * y0 - j0 * y1 - wide(2) / (pi() * wide(x))]  # fmt: skip
    for rest in sums:
        assert abs(rest.m) <= rest.r and rest.top < -150 - np.log2(x)


@pytest.mark.parametrize("x", [*NEAR, 80.0, 700.0])
def test_integrals_and_sums_agree_with_mpmath(x):
    _checked("exp1", x)
    _checked("expi", x)
    _checked("expi", -x)
    _checked("betaln", x, 2.5, bits=60)
    _checked("poch", 2.5, 3.25)
    for s in (2.5, 1.0 + 2.0**-20):
        _checked("zeta", s, x)
    with mpmath.workprec(320):
        for n in (1, 4):
            _checked("polygamma", x, n=n, wanted=mp.polygamma(n, mp.mpf(x)))
        moments = [mp.gammainc(n + 1, 0, mp.mpf(x)) / mp.mpf(x) ** (n + 1) for n in range(3)]
    for n, wanted in enumerate(moments):
        _checked("exp_moment", -x, n=n, wanted=wanted)


@pytest.mark.parametrize("bits", [128, 213, 240, 320, 430, 500, 700, 1100])
def test_digamma_has_terms_enough_at_every_precision(bits):
    with precision(bits), mpmath.workprec(bits + 50):
        found = FUNCTIONS["psi"](wide(1.0))
        assert found.relative_bits() > bits - 30


# --- what they are for ----------------------------------------------------------------------------

special = scipy.special
PROGRAMS = {
    "e^x E1": (lambda x: np.exp(x) * special.exp1(x), lambda x: mp.exp(x) * mp.e1(x),
               [1.0, 30.0, 700.0, 760.0]),
    "e^-x I0": (lambda x: np.exp(-x) * special.i0(x), lambda x: mp.exp(-x) * _i0(x),
                [1.0, 30.0, 500.0, 1000.0]),
    "digamma - log": (lambda x: special.digamma(x) - np.log(x), lambda x: mp.psi(0, x) - mp.log(x),
                      [3.0, 1e5, 1e10]),
    "I1 / I0": (lambda x: special.i1(x) / special.i0(x), lambda x: _i0(x, 1) / _i0(x),
                [1e-6, 3.0, 500.0, 1000.0]),
    "beta": (lambda x: 2 * special.gammaln(x) - special.gammaln(2 * x),
             lambda x: 2 * mp.loggamma(x) - mp.loggamma(2 * x), [3.0, 1e6, 1e12]),
}  # fmt: skip


def _i0(x, order=0):
    """By the power series: mpmath's own is wrong from 500 on at 100 digits."""
    with mp.extradps(int(x) + 20):
        term = total = (x / 2) ** order
        k = 0
        while term > total * mp.eps:
            k += 1
            term = term * x * x / (4 * k * (k + order))
            total = total + term
        return +total


@pytest.mark.parametrize("name", PROGRAMS)
def test_formulas_of_special_functions_have_their_digits(name):
    f, exact, points = PROGRAMS[name]
    second = cr.grad(cr.grad(f))
    for x in points:
        with mpmath.workdps(120):
            value = exact(mp.mpf(x))
            step = mp.mpf(x) * mp.mpf(10) ** -30
            above, below = exact(mp.mpf(x) + step), exact(mp.mpf(x) - step)
            slope, curvature = (above - below) / (2 * step), (above - 2 * value + below) / step**2
        wanted = [float(value), float(slope)]
        np.testing.assert_allclose(cr.value_and_grad(f)(x), wanted, rtol=2e-14)
        compiled = cr.compile(cr.value_and_grad(f))  # special functions make it long
        np.testing.assert_allclose(compiled(x), wanted, rtol=1e-13)
        np.testing.assert_allclose(second(x), float(curvature), rtol=1e-12)
