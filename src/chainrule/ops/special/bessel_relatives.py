"""More of Bessel's family: scaled and integer orders, spherical ones, Struve, Airy.

Value     SciPy's, for real arguments; airy also for complex ones.
Slope     as in bessel_functions.py, by recurrences that hold at 0. The scaled functions differ from
          the others by exp(-|x|) or exp(x); their slopes cancel for large x, by log2(2 x) bits.
          By the order no derivative is given. Spherical functions take their order, and Airy's
          the number (0 to 3) of Ai, Ai', Bi, Bi', as a param.
Source    DLMF 10.6, 10.29, 10.51, 11.4, 9.2.
"""

from __future__ import annotations

import math

from chainrule.ops.elementwise import sign
from chainrule.ops.select import constant_like
from chainrule.ops.special.gamma_relatives import rgamma
from chainrule.ops.special.scipy_functions import (
    elementwise_family,
    missing_by,
    scipy_elementwise,
    scipy_special,
)
from chainrule.program.exact import ROOT_PI
from chainrule.program.op import Op

inf = math.inf
_NO_ORDER = "no closed form is known; the derivative by the argument is supported."


def _with_order(name: str, slope, ulps: float):
    return scipy_elementwise(name, (missing_by(name, "order", _NO_ORDER), slope), ulps=ulps)


# --- scaled -------------------------------------------------------------------------------------

ive: Op = _with_order(
    "ive", lambda v, x, out: 0.5 * (ive(v - 1.0, x) + ive(v + 1.0, x)) - sign(x) * out, ulps=1024
)
kve: Op = _with_order(
    "kve", lambda v, x, out: out - 0.5 * (kve(v - 1.0, x) + kve(v + 1.0, x)), ulps=1024
)
jve: Op = _with_order("jve", lambda v, x, out: 0.5 * (jve(v - 1.0, x) - jve(v + 1.0, x)), ulps=64)
yve: Op = _with_order("yve", lambda v, x, out: 0.5 * (yve(v - 1.0, x) - yve(v + 1.0, x)), ulps=64)
k0e = scipy_elementwise("k0e", (lambda x, out: out - k1e(x),), ulps=1024)
k1e: Op = scipy_elementwise(
    "k1e", (lambda x, out: out - 0.5 * (k0e(x) + kve(constant_like(x, 2.0), x)),), ulps=1024
)

# --- integer orders -----------------------------------------------------------------------------

kn: Op = _with_order("kn", lambda n, x, out: -0.5 * (kn(n - 1.0, x) + kn(n + 1.0, x)), ulps=64)
yn: Op = _with_order("yn", lambda n, x, out: 0.5 * (yn(n - 1.0, x) - yn(n + 1.0, x)), ulps=256)

# --- Struve -------------------------------------------------------------------------------------


def _struve_source(v, x):
    """(x/2)^v / (2 sqrt(pi) gamma(v + 3/2))"""
    return (0.5 / ROOT_PI) * (0.5 * x) ** v * rgamma(v + 1.5)


struve: Op = _with_order(
    "struve",
    lambda v, x, out: 0.5 * (struve(v - 1.0, x) - struve(v + 1.0, x)) + _struve_source(v, x),
    ulps=1024,
)
modstruve: Op = _with_order(
    "modstruve",
    lambda v, x, out: 0.5 * (modstruve(v - 1.0, x) + modstruve(v + 1.0, x)) + _struve_source(v, x),
    ulps=1024,
)

# --- spherical ----------------------------------------------------------------------------------


def _spherical(name: str, evaluate, slope) -> Op:
    return elementwise_family(
        name, evaluate, (slope,), ulps=256, flops=20, doc=f"scipy.special.{name} of order n"
    )


def _spherical_jn(x, *, n):
    return scipy_special().spherical_jn(n, x).astype(x.dtype)


def _spherical_yn(x, *, n):
    return scipy_special().spherical_yn(n, x).astype(x.dtype)


def _spherical_in(x, *, n):
    return scipy_special().spherical_in(n, x).astype(x.dtype)


def _spherical_kn(x, *, n):
    return scipy_special().spherical_kn(n, x).astype(x.dtype)


def _between(op, x, n: int, upper: float):
    """(n f_{n-1} + upper (n + 1) f_{n+1}) / (2 n + 1)"""
    above = (upper * (n + 1) / (2 * n + 1)) * op(x, n=n + 1)
    return (n / (2 * n + 1)) * op(x, n=n - 1) + above if n else above


spherical_jn: Op = _spherical(
    "spherical_jn", _spherical_jn, lambda x, out, *, n: _between(spherical_jn, x, n, -1.0)
)
spherical_yn: Op = _spherical(
    "spherical_yn", _spherical_yn, lambda x, out, *, n: _between(spherical_yn, x, n, -1.0)
)
spherical_in: Op = _spherical(
    "spherical_in", _spherical_in, lambda x, out, *, n: _between(spherical_in, x, n, 1.0)
)
spherical_kn: Op = _spherical(
    "spherical_kn", _spherical_kn, lambda x, out, *, n: -_between(spherical_kn, x, n, 1.0)
)

_SLOPES = {
    "spherical_jn": (spherical_jn, 1.0, -1.0), "spherical_yn": (spherical_yn, 1.0, -1.0),
    "spherical_in": (spherical_in, 1.0, 1.0), "spherical_kn": (spherical_kn, -1.0, 1.0),
}  # fmt: skip


def spherical_slope(name: str, x, n: int):
    """The derivative by x of the spherical function of a name, of order n."""
    op, factor, upper = _SLOPES[name]
    return factor * _between(op, x, n, upper)


# --- Airy ---------------------------------------------------------------------------------------


def _airy(z, *, part):
    return scipy_special().airy(z)[part].astype(z.dtype)


airy: Op = elementwise_family(
    "airy",
    _airy,
    (
        lambda z, out, *, part: (
            airy(z, part=part + 1) if part in (0, 2) else z * airy(z, part=part - 1)
        ),
    ),
    takes="inexact",
    ulps=1024,
    flops=20,
    doc="part 0 to 3 of Airy's functions: Ai, Ai', Bi, Bi'",
)
