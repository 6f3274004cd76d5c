"""1/gamma, binomial coefficients, the inverse Box-Cox transforms, and SciPy's names for powers.

Value     SciPy's.
Slope     of rgamma below 1/2 by reflection, gamma(1 - x) (cos(pi x) - sin(pi x) psi(1 - x) / pi),
          which holds at its zeros 0, -1, ... too. The inverses are differentiated as implicit
          functions.
Source    DLMF 5.5.3.
"""

from __future__ import annotations

import math

from chainrule.ops.compare import less
from chainrule.ops.elementwise import cos, exp, log, log1p, sin
from chainrule.ops.select import constant_like, select
from chainrule.ops.special.exponential_integrals import exp_moment
from chainrule.ops.special.gamma_functions import gamma, polygamma_difference, psi
from chainrule.ops.special.scipy_functions import scipy_elementwise
from chainrule.program.exact import LN10, PI
from chainrule.program.op import Constant, Edge, Op

_DEGREE = PI / 180


def _rgamma_slope(x, out):
    half = constant_like(x, 0.5)
    low = less(x, half)
    left, right = select(low, x, half), select(low, half, x)
    turn = math.pi * left
    mirrored = gamma(1.0 - left) * (cos(turn) - sin(turn) * psi(1.0 - left) / math.pi)
    return select(low, mirrored, -out * psi(right))


rgamma = scipy_elementwise(
    "rgamma", (_rgamma_slope,), edges=(Edge(0.0, 0.0, 1.0), Edge(-1.0, 0.0, -1.0)), ulps=64
)
gammasgn = scipy_elementwise("gammasgn", Constant())
binom = scipy_elementwise(
    "binom",
    (
        lambda n, k, out: out * polygamma_difference(n - k + 1.0, k, n=0),
        lambda n, k, out: out * (psi(n - k + 1.0) - psi(k + 1.0)),
    ),
    ulps=256,
)

# --- Box-Cox, backwards -------------------------------------------------------------------------


def _by_exponent(logarithm, p):
    """-dy/dp of boxcox at fixed x, with l = log x: -l^2 exp_moment(p l, n=1)."""
    return -(logarithm * logarithm) * exp_moment(p * logarithm, n=1)


inv_boxcox = scipy_elementwise(
    "inv_boxcox",
    (
        lambda y, p, out: out ** (1.0 - p),
        lambda y, p, out: _by_exponent(log(out), p) * out ** (1.0 - p),
    ),
    ulps=64,
)
inv_boxcox1p = scipy_elementwise(
    "inv_boxcox1p",
    (
        lambda y, p, out: exp((1.0 - p) * log1p(out)),
        lambda y, p, out: _by_exponent(log1p(out), p) * exp((1.0 - p) * log1p(out)),
    ),
    ulps=64,
)

# --- powers and degrees -------------------------------------------------------------------------

exp10 = scipy_elementwise("exp10", (lambda x, out: LN10 * out,))
cosm1 = scipy_elementwise("cosm1", (lambda x, out: -sin(x),))
powm1 = scipy_elementwise(
    "powm1",
    (lambda x, y, out: y * x ** (y - 1.0), lambda x, y, out: (1.0 + out) * log(x)),
    ulps=8,
)
sindg: Op = scipy_elementwise("sindg", (lambda x, out: _DEGREE * cosdg(x),))
cosdg: Op = scipy_elementwise("cosdg", (lambda x, out: -_DEGREE * sindg(x),))
tandg = scipy_elementwise("tandg", (lambda x, out: _DEGREE * (1.0 + out * out),), ulps=16)
cotdg = scipy_elementwise("cotdg", (lambda x, out: -_DEGREE * (1.0 + out * out),), ulps=16)
