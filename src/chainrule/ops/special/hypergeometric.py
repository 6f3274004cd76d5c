"""Hypergeometric functions and elliptic integrals: hyp0f1 hyp1f1 hyp2f1 hyperu ellipk spence.

Value     SciPy's, for real arguments.
Slope     by the argument: d/dz F(a, b; c; z) = a b / c F(a + 1, b + 1; c + 1; z) and its like; by
          the parameters no derivative is given. K and E are pi/2 F(1/2, 1/2; 1; m) and
          pi/2 F(-1/2, 1/2; 1; m), and -log(x) / (x - 1) = -F(1, 1; 2; 1 - x) is spence': unlike
          the textbook forms these hold at m = 0 and x = 1. For ellipkm1, whose argument 1 - m may
          be tiny, the textbook form is taken below 1/2.
Source    DLMF 13.3, 15.5, 16.3, 19.4, 19.5, 25.12.
"""

from __future__ import annotations

import math

from chainrule.ops.compare import less
from chainrule.ops.elementwise import sin, sqrt
from chainrule.ops.select import constant_like, select
from chainrule.ops.special.scipy_functions import missing_by, scipy_elementwise
from chainrule.program.exact import PI
from chainrule.program.op import Edge, Op

_PARAMETER = "no closed form is known; the derivative by the last argument is supported."


def _missing(name: str, argument: str):
    return missing_by(name, argument, _PARAMETER)


# --- hypergeometric -----------------------------------------------------------------------------

hyp0f1: Op = scipy_elementwise(
    "hyp0f1",
    (_missing("hyp0f1", "parameter"), lambda b, z, out: hyp0f1(b + 1.0, z) / b),
    ulps=64,
)
hyp1f1: Op = scipy_elementwise(
    "hyp1f1",
    (
        _missing("hyp1f1", "first parameter"),
        _missing("hyp1f1", "second parameter"),
        lambda a, b, z, out: (a / b) * hyp1f1(a + 1.0, b + 1.0, z),
    ),
    ulps=64,
)
hyp2f1: Op = scipy_elementwise(
    "hyp2f1",
    (
        _missing("hyp2f1", "first parameter"),
        _missing("hyp2f1", "second parameter"),
        _missing("hyp2f1", "third parameter"),
        lambda a, b, c, z, out: (a * b / c) * hyp2f1(a + 1.0, b + 1.0, c + 1.0, z),
    ),
    ulps=64,
)
hyperu: Op = scipy_elementwise(
    "hyperu",
    (
        _missing("hyperu", "first parameter"),
        _missing("hyperu", "second parameter"),
        lambda a, b, x, out: -a * hyperu(a + 1.0, b + 1.0, x),
    ),
    ulps=1e6,  # SciPy's own value is off by that much
)


def _gauss(a: float, b: float, c: float, z):
    return hyp2f1(constant_like(z, a), constant_like(z, b), constant_like(z, c), z)


spence = scipy_elementwise(
    "spence",
    (lambda x, out: -_gauss(1.0, 1.0, 2.0, 1.0 - x),),
    edges=(Edge(1.0, 0.0, -1.0),),
    ulps=64,
)

# --- complete elliptic integrals ----------------------------------------------------------------


def _k_slope(m):
    return (PI / 8) * _gauss(1.5, 1.5, 2.0, m)


def _e_slope(m):
    return (-PI / 8) * _gauss(0.5, 1.5, 2.0, m)


ellipk = scipy_elementwise(
    "ellipk",
    (lambda m, out: _k_slope(m),),
    edges=(Edge(0.0, 0.5 * math.pi, 0.125 * math.pi),),
    ulps=256,
)
ellipe = scipy_elementwise(
    "ellipe",
    (lambda m, out: _e_slope(m),),
    edges=(Edge(0.0, 0.5 * math.pi, -0.125 * math.pi),),
    ulps=256,
)


def _km1_slope(p, out):
    """-dK/dm at m = 1 - p: (p K - E) / (2 p (1 - p)) where p is small."""
    half = constant_like(p, 0.5)
    small = less(p, half)
    near = select(small, p, half)
    textbook = (near * out - ellipe(1.0 - near)) / (2.0 * near * (1.0 - near))
    return select(small, textbook, -_k_slope(1.0 - select(small, half, p)))


ellipkm1 = scipy_elementwise(
    "ellipkm1", (_km1_slope,), edges=(Edge(1.0, 0.5 * math.pi, -0.125 * math.pi),), ulps=256
)

# --- incomplete elliptic integrals, and Jacobi's functions --------------------------------------


def _delta(phi, m):
    """sqrt(1 - m sin^2 phi)"""
    s = sin(phi)
    return sqrt(1.0 - m * (s * s))


_MODULUS = "only the derivative by the amplitude is supported."
ellipkinc = scipy_elementwise(
    "ellipkinc",
    (
        lambda phi, m, out: 1.0 / _delta(phi, m),
        missing_by("ellipkinc", "parameter m", _MODULUS),
    ),
    ulps=16,
)
ellipeinc = scipy_elementwise(
    "ellipeinc",
    (lambda phi, m, out: _delta(phi, m), missing_by("ellipeinc", "parameter m", _MODULUS)),
    ulps=16,
)
