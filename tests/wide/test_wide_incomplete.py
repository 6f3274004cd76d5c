"""Incomplete gamma and beta functions, hypergeometric series and elliptic integrals, wide."""

import mpmath
import numpy as np
import pytest
import scipy.special
from mpmath import mp

import chainrule as cr
from chainrule.wide.functions import FUNCTIONS
from chainrule.wide.number import precision, wide

_TRUTH = {
    "gammainc": lambda a, x: mp.gammainc(a, 0, x, regularized=True),
    "gammaincc": lambda a, x: mp.gammainc(a, x, regularized=True),
    "gamma_density": lambda a, x: x ** (a - 1) * mp.exp(-x) / mp.gamma(a),
    "betainc": lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True),
    "betaincc": lambda a, b, x: mp.betainc(b, a, 0, 1 - x, regularized=True),
    "beta_density": lambda a, b, x: x ** (a - 1) * (1 - x) ** (b - 1) / mp.beta(a, b),
    "hyp0f1": mp.hyp0f1, "hyp1f1": mp.hyp1f1, "hyp2f1": mp.hyp2f1,
    "ellipk": mp.ellipk, "ellipe": mp.ellipe, "ellipkm1": lambda p: mp.ellipk(1 - p),
    "erf": mp.erf, "ndtr": mp.ncdf,
}  # fmt: skip
_GAMMA = [(0.1, 1e-10), (2.5, 0.3), (2.5, 200.0), (30.0, 20.0), (1000.5, 1000.0)]
_BETA = [(0.1, 0.5, 1e-10), (2.5, 40.0, 0.3), (300.0, 0.5, 0.9), (2.5, 3.0, 1.0 - 1e-10)]
_MODULI = [(1e-12,), (0.3,), (0.999999,), (-5.0,), (-1e10,)]
_POINTS = {
    **dict.fromkeys(("gammainc", "gammaincc", "gamma_density"), _GAMMA),
    **dict.fromkeys(("betainc", "betaincc", "beta_density"), _BETA),
    "hyp0f1": [(1.5, -30.0), (0.3, 1e-20)], "hyp1f1": [(0.5, 1.5, -40.0), (-3.0, 0.5, 2.0)],
    "hyp2f1": [(1.5, 1.5, 2.0, 1e-12), (0.5, 20.0, 2.0, -0.7), (0.5, 1.5, 2.0, 0.7)],
    "ellipk": _MODULI, "ellipe": _MODULI, "ellipkm1": _MODULI[:3],
    "erf": [(0.0,), (1e-6,)], "ndtr": [(0.0,), (1e-6,), (-20.0,)],
}  # fmt: skip


@pytest.mark.parametrize(("name", "point"), [(n, p) for n, ps in _POINTS.items() for p in ps])
def test_a_wide_function_is_within_its_bound_of_mpmath(name, point):
    with precision(200):
        found = FUNCTIONS[name](*map(wide, point))
    with mpmath.workdps(90):
        truth = _TRUTH[name](*map(mp.mpf, point))
        value, radius = (mp.ldexp(m, found.e) for m in (found.m, found.r))
        assert abs(value - truth) <= radius + abs(truth) * mp.mpf(10) ** -80
    assert found.relative_bits() > 130


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("chdtr", (3.5, 2.2)), ("chdtrc", (3.5, 2.2)), ("pdtr", (3.5, 2.2)), ("pdtrc", (3.5, 2.2)),
     ("gdtr", (3.0, 4.0, 1.7)), ("gdtrc", (3.0, 4.0, 1.7)), ("fdtr", (3.0, 4.0, 1.7)),
     ("fdtrc", (3.0, 4.0, 1.7)), ("stdtr", (3.5, 2.2)), ("stdtr", (3.5, -2.2))],
)  # fmt: skip
def test_a_wide_distribution_function_is_scipys(name, arguments):
    found = float(FUNCTIONS[name](*map(wide, arguments)))
    assert found == pytest.approx(getattr(scipy.special, name)(*arguments), rel=1e-14)


s = scipy.special
_LOST = {
    "1 - gammainc": (lambda x: 1 - s.gammainc(2.5, x), lambda x: mp.gammainc(mp.mpf(2.5), x)
                     / mp.gamma(mp.mpf(2.5)), 200.0),
    "1 - betainc": (lambda x: 1 - s.betainc(2.0, 3.0, x),
                    lambda x: mp.betainc(2, 3, x, 1, regularized=True), 1.0 - 1e-6),
    "K - E": (lambda m: s.ellipk(m) - s.ellipe(m), lambda m: mp.ellipk(m) - mp.ellipe(m), 1e-12),
    "entr": (lambda p: s.entr(p) + s.entr(1 - p),
             lambda p: -p * mp.log(p) - (1 - p) * mp.log(1 - p), 0.500001),
    "kl_div": (lambda p: s.kl_div(p, 0.3),
               lambda p: p * mp.log(p / mp.mpf(0.3)) - p + mp.mpf(0.3), 0.3000001),
    "erfcx": (lambda x: np.exp(x**2) * (1 - s.erf(x)), lambda x: mp.exp(x * x) * mp.erfc(x), 100.0),
    "ndtr": (lambda x: s.ndtr(x + 1e-6) - s.ndtr(x),
             lambda x: mp.ncdf(x + mp.mpf(1e-6)) - mp.ncdf(x), 0.0),
}  # fmt: skip


@pytest.mark.parametrize("name", _LOST)
@pytest.mark.parametrize("compiled", [False, True])
def test_what_these_formulas_lose_is_found_again(name, compiled):
    f, exact, at = _LOST[name]
    both = cr.value_and_grad(f)
    found = (cr.compile(both) if compiled else both)(at)
    with mpmath.workdps(300):
        wanted = exact(mp.mpf(at)), mp.diff(exact, mp.mpf(at), h=mp.mpf(10) ** -60)
        assert found == pytest.approx([float(w) for w in wanted], rel=1e-14)
