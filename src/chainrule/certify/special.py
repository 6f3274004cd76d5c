"""Special functions of balls: one rule for each operation, by its name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.certify.arrays import filled
from chainrule.certify.arrays import rule as array_rule
from chainrule.certify.ball import Ball, Undetermined, exact, from_arb, ratio, stand_in
from chainrule.certify.complex_ball import from_acb
from chainrule.certify.elementary import (
    INFINITY,
    NAN,
    REAL,
    as_numpy_has_it,
    by_arb,
    one,
    power,
    rule,
    zero,
)
from chainrule.certify.flint import load
from chainrule.program.op import REGISTRY


def _acb(x):
    return load().acb(x)


def _real(x, what: str) -> Ball:
    """The real part of a complex ball that stands for a real number."""
    return from_arb(x.real, what)


def _finite(name: str, function: Callable[..., Ball]):
    """Register a rule for numbers; at infinities and nan the value is SciPy's."""

    def value(*operands: Ball) -> Ball:
        if any(a.special for a in operands):
            return NAN if any(a.is_nan() for a in operands) else as_numpy_has_it(name, *operands)
        return function(*operands)

    REAL[name] = value
    return value


# --- gamma and its kin ----------------------------------------------------------------------------


def _is_pole_of_gamma(a: Ball) -> bool:
    return a.exact and a.x.q == 1 and a.x <= 0


def _gammaln(a: Ball) -> Ball:
    if _is_pole_of_gamma(a):
        return INFINITY
    if a.sign() > 0:
        return from_arb(a.arb().lgamma(), "gammaln")
    return REAL["log"](abs(from_arb(a.arb().gamma(), "gamma")))


by_arb("gamma", lambda x: x.gamma())
_finite("gammaln", _gammaln)
_finite("loggamma", lambda a: NAN if a.sign() < 0 else _gammaln(a))
by_arb("rgamma", lambda x: x.rgamma())
by_arb("psi", lambda x: x.digamma())
_finite("gammasgn", lambda a: _sign_of_gamma(a))
_finite("beta", lambda a, b: _beta(a, b))
_finite("betaln", lambda a, b: REAL["log"](abs(_beta(a, b))))
_finite("poch", lambda a, m: _over_gamma(a + m, a))
_finite("binom", lambda n, k: _binom(n, k))


def _sign_of_gamma(a: Ball) -> Ball:
    if _is_pole_of_gamma(a):
        raise errors.NotSupported("gammasgn at a pole of gamma cannot be certified.")
    return one() if a.sign() >= 0 else ratio(from_arb(a.arb().gamma(), "gamma").sign())


def _rgamma(a: Ball) -> Ball:
    return from_arb(a.arb().rgamma(), "1 / gamma")


def _gamma(a: Ball) -> Ball:
    return from_arb(a.arb().gamma(), "gamma")


def _beta(a: Ball, b: Ball) -> Ball:
    return _gamma(a) * _gamma(b) * _rgamma(a + b)


def _over_gamma(a: Ball, b: Ball) -> Ball:
    return _gamma(a) * _rgamma(b)


def _binom(n: Ball, k: Ball) -> Ball:
    return _gamma(n + one()) * _rgamma(k + one()) * _rgamma(n - k + one())


@rule("zeta")
def zeta(s: Ball, a: Ball) -> Ball:
    """Hurwitz's zeta function."""
    if s.special or a.special:
        return as_numpy_has_it("zeta", s, a)
    if s.exact and s.x == 1:
        return INFINITY
    return from_arb(s.arb().zeta(a.arb()), "zeta")


# --- error functions ------------------------------------------------------------------------------


def _half_root():
    return load().arb(2).sqrt()


by_arb("erf", lambda x: x.erf())
by_arb("erfc", lambda x: x.erfc())
by_arb("erfi", lambda x: x.erfi())
by_arb("erfinv", lambda x: x.erfinv(), -1, 1)
by_arb("erfcinv", lambda x: x.erfcinv(), 0, 2)
by_arb("erfcx", lambda x: (x * x).exp() * x.erfc())
by_arb("dawsn", lambda x: load().arb.pi().sqrt() / 2 * (-x * x).exp() * x.erfi())
by_arb("ndtr", lambda x: (-x / _half_root()).erfc() / 2)
by_arb("log_ndtr", lambda x: ((-x / _half_root()).erfc() / 2).log())
by_arb("ndtri", lambda x: -_half_root() * (2 * x).erfcinv(), 0, 1)

# --- integrals ------------------------------------------------------------------------------------

by_arb("expi", lambda x: x.ei())
by_arb("exp1", lambda x: x.expint(1), 0)
by_arb("sine_integral", lambda x: x.si())
by_arb("cosine_integral", lambda x: x.ci(), 0)
by_arb("hyperbolic_sine_integral", lambda x: x.shi())
by_arb("hyperbolic_cosine_integral", lambda x: x.chi(), 0)
by_arb("fresnel_sine", lambda x: x.fresnel_s(normalized=True))
by_arb("fresnel_cosine", lambda x: x.fresnel_c(normalized=True))
by_arb("spence", lambda x: _acb(1 - x).polylog(2).real, 0)
_finite("expn", lambda n, x: from_arb(x.arb().expint(n.arb()), "expn"))


# --- incomplete functions and distributions -------------------------------------------------------


def _lower_gamma(a: Ball, x: Ball) -> Ball:
    """P(a, x), a >= 0, x >= 0."""
    if a.sign() < 0 or x.sign() < 0 or (a.is_zero and x.is_zero):
        return NAN
    if a.is_zero:
        return one()
    if x.is_zero:
        return zero()
    return from_arb(x.arb().gamma_lower(a.arb(), regularized=1), "gammainc")


def _upper_gamma(a: Ball, x: Ball) -> Ball:
    if a.sign() < 0 or x.sign() < 0 or (a.is_zero and x.is_zero):
        return NAN
    if a.is_zero:
        return zero()
    if x.is_zero:
        return one()
    return from_arb(x.arb().gamma_upper(a.arb(), regularized=1), "gammaincc")


def _lower_beta(a: Ball, b: Ball, x: Ball) -> Ball:
    """I_x(a, b), a > 0, b > 0, 0 <= x <= 1."""
    if a.sign() <= 0 or b.sign() <= 0 or x.sign() < 0 or (one() - x).sign() < 0:
        return NAN
    if x.is_zero:
        return zero()
    if x.exact and x.x == 1:
        return one()
    half = ratio(1, 2)
    if x.arb() > half.arb():  # the series converges for small x
        return one() - _lower_beta(b, a, one() - x)
    return from_arb(x.arb().beta_lower(a.arb(), b.arb(), regularized=1), "betainc")


def _whole(a: Ball) -> Ball:
    return REAL["floor"](a)


_finite("gammainc", _lower_gamma)
_finite("gammaincc", _upper_gamma)
_finite("betainc", _lower_beta)
_finite("betaincc", lambda a, b, x: _lower_beta(b, a, one() - x))
_finite("chdtr", lambda v, x: _lower_gamma(v / ratio(2), x / ratio(2)))
_finite("chdtrc", lambda v, x: _upper_gamma(v / ratio(2), x / ratio(2)))
_finite("gdtr", lambda a, b, x: _lower_gamma(b, a * x))
_finite("gdtrc", lambda a, b, x: _upper_gamma(b, a * x))
_finite("pdtr", lambda k, m: _upper_gamma(_whole(k) + one(), m))
_finite("pdtrc", lambda k, m: _lower_gamma(_whole(k) + one(), m))
_finite("bdtr", lambda k, n, p: _lower_beta(n - _whole(k), _whole(k) + one(), one() - p))
_finite("bdtrc", lambda k, n, p: _lower_beta(_whole(k) + one(), n - _whole(k), p))
_finite("nbdtr", lambda k, n, p: _lower_beta(_whole(n), _whole(k) + one(), p))
_finite("nbdtrc", lambda k, n, p: _lower_beta(_whole(k) + one(), _whole(n), one() - p))
_finite("fdtr", lambda a, b, x: _lower_beta(a / ratio(2), b / ratio(2), a * x / (b + a * x)))
_finite("fdtrc", lambda a, b, x: _lower_beta(b / ratio(2), a / ratio(2), b / (b + a * x)))
_finite("stdtr", lambda v, t: _student(v, t))


def _student(v: Ball, t: Ball) -> Ball:
    tail = ratio(1, 2) * _lower_beta(v / ratio(2), ratio(1, 2), v / (v + t * t))
    return tail if t.sign() < 0 else one() - tail


# --- Bessel functions and relatives ---------------------------------------------------------------


def _bessel(name: str, method: str, order: int | None, scaled: int, only_positive: bool):
    """Register a Bessel function, of fixed order or of the first operand; `scaled` by
    exp(scaled * |x|)."""

    def of(v: Any, x: Ball) -> Ball:
        if x.special:
            return as_numpy_has_it(name, *([x] if order is not None else [v, x]))
        if only_positive and x.sign() <= 0:
            return NAN if x.sign() < 0 else exact(_singular(method))
        made = _acb(x.arb())
        made = getattr(made, method)(v)
        if scaled:
            made = made * _acb((scaled * abs(x.arb())).exp())
        return _real(made, name)

    if order is None:
        REAL[name] = lambda v, x: of(_acb(v.arb()), x)
    else:
        REAL[name] = lambda x: of(order, x)


def _singular(method: str) -> float:
    return math.inf if method == "bessel_k" else -math.inf


for _method, _rows in {
    "bessel_j": (("j0", 0, 0), ("j1", 1, 0), ("jv", None, 0), ("jve", None, 0)),
    "bessel_y": (("y0", 0, 0), ("y1", 1, 0), ("yn", None, 0), ("yv", None, 0), ("yve", None, 0)),
    "bessel_i": (
        ("i0", 0, 0), ("i1", 1, 0), ("iv", None, 0), ("i0e", 0, -1), ("i1e", 1, -1),
        ("ive", None, -1),
    ),
    "bessel_k": (
        ("k0", 0, 0), ("k1", 1, 0), ("kn", None, 0), ("kv", None, 0), ("k0e", 0, 1), ("k1e", 1, 1),
        ("kve", None, 1),
    ),
}.items():  # fmt: skip
    for _name, _order, _scaled in _rows:
        _bessel(_name, _method, _order, _scaled, only_positive=_method in ("bessel_y", "bessel_k"))


@array_rule("airy")
def airy(values, equation):
    """Part 0 to 3 of Airy's functions."""
    part = equation.params["part"]
    return [
        filled(x.shape, [from_arb(a.arb().airy()[part], "airy") for a in x.ravel()])
        for x in values
    ]


@array_rule("polygamma")
def polygamma(values, equation):
    """The n-th derivative of digamma."""
    n = equation.params["n"]
    made = [_real(_acb(a.arb()).polygamma(n), "polygamma") for a in values[0].ravel()]
    return [filled(values[0].shape, made)]


@array_rule("polygamma_difference")
def polygamma_difference(values, equation):
    """psi_n(a + b) - psi_n(a)."""
    n = equation.params["n"]

    def psi(x: Ball) -> Ball:
        found = _acb(x.arb()).polygamma(n) if n else _acb(x.arb()).digamma()
        return _real(found, "polygamma_difference")

    a, b = np.broadcast_arrays(*values)
    pairs = zip(a.ravel(), b.ravel(), strict=True)
    return [filled(a.shape, [psi(x + y) - psi(x) for x, y in pairs])]


@array_rule("dawson")
def dawson(values, equation):
    """The n-th derivative of Dawson's integral: D' = 1 - 2 x D, and that derived n - 1 times."""

    def value(x: Ball) -> Ball:
        before, this = REAL["dawsn"](x), one() - ratio(2) * x * REAL["dawsn"](x)
        for k in range(1, equation.params["n"]):
            before, this = this, ratio(-2) * (x * this + ratio(k) * before)
        return this

    return [filled(values[0].shape, [value(x) for x in values[0].ravel()])]


# --- elliptic and hypergeometric ------------------------------------------------------------------

by_arb("ellipk", lambda m: _acb(m).elliptic_k().real, None, 1)
by_arb("ellipe", lambda m: _acb(m).elliptic_e().real, None, 1)
by_arb("ellipkm1", lambda p: _acb(1 - p).elliptic_k().real, 0)
_finite("ellipkinc", lambda phi, m: _real(
    load().acb.elliptic_f(_acb(phi.arb()), _acb(m.arb())), "ellipkinc"))  # fmt: skip
_finite("ellipeinc", lambda phi, m: _real(
    load().acb.elliptic_e_inc(_acb(phi.arb()), _acb(m.arb())), "ellipeinc"))  # fmt: skip
_finite("hyp0f1", lambda b, x: from_arb(x.arb().hypgeom_0f1(b.arb()), "hyp0f1"))
_finite("hyp1f1", lambda a, b, x: from_arb(x.arb().hypgeom_1f1(a.arb(), b.arb()), "hyp1f1"))
_finite("hyp2f1", lambda a, b, c, x: from_arb(
    x.arb().hypgeom_2f1(a.arb(), b.arb(), c.arb()), "hyp2f1"))  # fmt: skip
_finite("hyperu", lambda a, b, x: from_arb(x.arb().hypgeom_u(a.arb(), b.arb()), "hyperu"))
_finite("struve", lambda v, x: _struve(v, x, -1))
_finite("modstruve", lambda v, x: _struve(v, x, 1))
by_arb("wrightomega", lambda x: x.exp().lambertw())


def _struve(v: Ball, x: Ball, side: int) -> Ball:
    half, three_halves = x / ratio(2), ratio(3, 2)
    series = (ratio(side) * half * half).arb().hypgeom(
        [load().arb(1)], [three_halves.arb(), (v + three_halves).arb()]
    )
    factor = power(half, v + one()) * _rgamma(three_halves) * _rgamma(v + three_halves)
    return factor * from_arb(series, "struve")


_POLYNOMIALS: dict[str, Callable[..., Any]] = {
    "legendre": lambda x, n: x.legendre_p(n),
    "sh_legendre": lambda x, n: (2 * x - 1).legendre_p(n),
    "chebyt": lambda x, n: x.chebyshev_t(n),
    "chebyu": lambda x, n: x.chebyshev_u(n),
    "chebyc": lambda x, n: 2 * (x / 2).chebyshev_t(n),
    "chebys": lambda x, n: (x / 2).chebyshev_u(n),
    "sh_chebyt": lambda x, n: (2 * x - 1).chebyshev_t(n),
    "sh_chebyu": lambda x, n: (2 * x - 1).chebyshev_u(n),
    "hermite": lambda x, n: x.hermite_h(n),
    "hermitenorm": lambda x, n: (x / _half_root()).hermite_h(n) / _half_root() ** n,
    "laguerre": lambda x, n: x.laguerre_l(n, 0),
    "genlaguerre": lambda x, n, a: x.laguerre_l(n, a),
    "gegenbauer": lambda x, n, a: x.gegenbauer_c(n, a),
    "jacobi": lambda x, n, a, b: x.jacobi_p(n, a, b),
}


@array_rule("orthogonal_polynomial")
def orthogonal_polynomial(values, equation):
    """The orthogonal polynomial of a kind and degree."""
    params = equation.params
    function = _POLYNOMIALS[params["kind"]]
    more = [load().arb(p) for p in params["parameters"]]
    made = [from_arb(function(a.arb(), params["n"], *more), "a polynomial")
            for a in values[0].ravel()]  # fmt: skip
    return [filled(values[0].shape, made)]


# --- inverses -------------------------------------------------------------------------------------


def _inverse(name: str, function: Callable[..., Ball], rising: bool, place: int = -1):
    """Register the inverse of a monotone function by its last operand: SciPy's value is enclosed,
    and the enclosure narrowed by bisection and secants until it has the working precision."""

    def value(*operands: Ball) -> Ball:
        near = float(_scipy(name, operands))
        if not math.isfinite(near) or near == 0.0:
            return exact(near)
        *given, wanted = operands
        return _enclosed(lambda y: function(*given, y), wanted, near, rising)

    REAL[name] = value


def _scipy(name: str, operands) -> float:
    return REGISTRY[name].evaluate(*[np.float64(stand_in(a)) for a in operands])


def _enclosed(function: Callable[[Ball], Ball], wanted: Ball, near: float, rising: bool) -> Ball:
    flint = load()
    bits = flint.ctx.prec
    low, high = (exact(x) for x in sorted((near * (1 - 1e-6), near * (1 + 1e-6))))
    side = 1 if rising else -1
    if _side(function, low, wanted) * side > 0 or _side(function, high, wanted) * side < 0:
        raise Undetermined("an inverse function")
    for _ in range(bits + 16):
        middle = Ball((low.x + high.x) / 2)
        try:
            above = _side(function, middle, wanted) * side
        except Undetermined:
            break
        if above == 0:
            return middle
        low, high = (low, middle) if above > 0 else (middle, high)
        middle_arb = middle.arb()
        if (high.arb() - low.arb()) < abs(middle_arb) * flint.arb(2) ** (-(bits // 2)):
            break
    return from_arb(low.arb().union(high.arb()))


def _side(function, at: Ball, wanted: Ball) -> int:
    return function(at).compare(wanted)


_inverse("gammaincinv", _lower_gamma, True)
_inverse("gammainccinv", _upper_gamma, False)
_inverse("betaincinv", _lower_beta, True)
_inverse("betainccinv", lambda a, b, x: _lower_beta(b, a, one() - x), False)


# --- what derivative rules are made of ------------------------------------------------------------


@array_rule("lambertw")
def lambertw(values, equation):
    """Lambert's W on one of its branches."""
    branch = equation.params["branch"]
    made = [from_acb(z.acb().lambertw(branch)) for z in values[0].ravel()]
    return [filled(values[0].shape, made)]


@array_rule("exp_square")
def exp_square(values, equation):
    """exp(halves x^2 / 2)."""
    factor = ratio(equation.params["halves"], 2)
    return [filled(x.shape, [REAL["exp"](factor * a * a) for a in x.ravel()]) for x in values]


@array_rule("exp_moment")
def exp_moment(values, equation):
    """The integral of t^n exp(z t) over t from 0 to 1."""
    n = equation.params["n"]

    def value(z: Ball) -> Ball:
        return REAL["hyp1f1"](ratio(n + 1), ratio(n + 2), z) * ratio(1, n + 1)

    return [filled(values[0].shape, [value(z) for z in values[0].ravel()])]


@array_rule("i0e_moment")
def i0e_moment(values, equation):
    """(-1)^n times the n-th derivative of exp(-x) I0(x) at |x|: the mean of (2 u)^n exp(-2 x u)
    over the arcsine law of u."""
    n = equation.params["n"]
    factor = ratio(math.comb(2 * n, n), 2**n)

    def value(x: Ball) -> Ball:
        return factor * REAL["hyp1f1"](ratio(2 * n + 1, 2), ratio(n + 1), ratio(-2) * abs(x))

    return [filled(values[0].shape, [value(x) for x in values[0].ravel()])]


@array_rule("erfcx_integral")
def erfcx_integral(values, equation):
    """exp(x^2) times the n-th repeated integral of erfc: 2 k y_k = y_{k-2} - 2 x y_{k-1}."""

    def value(x: Ball) -> Ball:
        before, this = from_arb(2 / load().arb.pi().sqrt(), "erfcx"), REAL["erfcx"](x)
        for k in range(1, equation.params["n"] + 1):
            before, this = this, (before - ratio(2) * x * this) / ratio(2 * k)
        return this

    return [filled(values[0].shape, [value(x) for x in values[0].ravel()])]


@rule("gamma_density")
def gamma_density(a: Ball, x: Ball) -> Ball:
    """x^(a - 1) exp(-x) / gamma(a)."""
    return power(x, a - one()) * REAL["exp"](-x) * _rgamma(a)


@rule("beta_density")
def beta_density(a: Ball, b: Ball, x: Ball) -> Ball:
    """x^(a - 1) (1 - x)^(b - 1) / beta(a, b)."""
    return power(x, a - one()) * power(one() - x, b - one()) / _beta(a, b)


def _spherical(name: str, method: str) -> None:
    """Register a spherical Bessel function of order n: sqrt(pi / 2x) times the one of n + 1/2."""

    def value(values, equation):
        order = load().acb(2 * equation.params["n"] + 1) / 2
        made = []
        for a in values[0].ravel():
            x = _acb(a.arb())
            factor = (load().acb.pi() / (2 * x)).sqrt()
            made.append(_real(factor * getattr(x, method)(order), name))
        return [filled(values[0].shape, made)]

    array_rule(name)(value)


for _name, _method in (
    ("spherical_jn", "bessel_j"), ("spherical_yn", "bessel_y"), ("spherical_in", "bessel_i"),
):  # fmt: skip
    _spherical(_name, _method)
