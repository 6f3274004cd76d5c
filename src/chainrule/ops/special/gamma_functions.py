"""The gamma function and its logarithmic derivatives, and beta.

Value     SciPy's; `polygamma(x, n=n)` is the n-th derivative of digamma.
Slope     gamma' = gamma digamma, gammaln' = digamma, digamma' = polygamma(n=1), and so on. In
          beta' the difference digamma(a) - digamma(a + b) cancels where b is small beside a, so
          `polygamma_difference` computes it whole, and is its own family of derivatives.
Edges     at 0 and the negative integers gamma and its relatives have poles; the slope there is nan.
Source    reflection and asymptotic series: Abramowitz and Stegun 6.3.18, 6.4.7, 6.4.11.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from chainrule.ops.special.scipy_functions import (
    elementwise_family,
    in_float64,
    missing_by,
    scipy_elementwise,
    scipy_special,
)
from chainrule.program.op import Op

BERNOULLI = (  # B_2, B_4, ...
    1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798,
    -174611 / 330,
)  # fmt: skip
_ASYMPTOTIC_FROM = 12.0  # where ten Bernoulli terms reach the last bit
REFLECT_BELOW = -30.0  # SciPy sums upwards from a negative argument, one term a unit


# --- polygamma ----------------------------------------------------------------------------------


@cache
def cotangent_derivative(n: int) -> tuple[int, ...]:
    """Coefficients of the polynomial P with d^n cot(z) / dz^n = P(cot z), lowest power first."""
    coefficients = [0, 1]
    for _ in range(n):
        slope = [k * c for k, c in enumerate(coefficients)][1:]
        coefficients = [0] * (len(slope) + 2)
        for k, c in enumerate(slope):  # d cot = -(1 + cot^2)
            coefficients[k] -= c
            coefficients[k + 2] -= c
    return tuple(coefficients)


def hurwitz(x, n: int):
    """(-1)^(n+1) n! zeta(n + 1, x): the n-th derivative of digamma, n >= 1, for x from -30 on."""
    sign = -1.0 if n % 2 == 0 else 1.0
    return sign * math.factorial(n) * scipy_special().zeta(n + 1.0, x)


def polygamma_value(x, n: int):
    """The n-th derivative of digamma (n = 0: digamma itself) for a float64 array."""
    if n == 0:
        return scipy_special().psi(x)
    far = x < REFLECT_BELOW
    if not np.any(far):
        return hurwitz(x, n)
    # psi_n(1 - x) - (-1)^n psi_n(x) = (-1)^n pi^(n+1) (d/dz)^n cot(z) at z = pi x
    sign = -1.0 if n % 2 else 1.0
    z = np.pi * (x - np.rint(x))
    cotangent = np.polynomial.polynomial.polyval(1.0 / np.tan(z), cotangent_derivative(n))
    mirrored = sign * hurwitz(np.where(far, 1.0 - x, 1.0), n) - np.pi ** (n + 1) * cotangent
    return np.where(far, mirrored, hurwitz(np.where(far, 1.0, x), n))


polygamma: Op = elementwise_family(
    "polygamma",
    in_float64(lambda x, *, n: polygamma_value(x, n)),
    (lambda x, out, *, n: polygamma(x, n=n + 1),),
    ulps=16,
    doc="the n-th derivative of digamma (n >= 1)",
)

# --- polygamma(a + b) - polygamma(a) ------------------------------------------------------------


def _difference_of_powers(a, b, power: int):
    """(a + b)^-power - a^-power for positive a and a + b."""
    return np.expm1(-power * np.log1p(b / a)) * a**-power


def _asymptotic_difference(a, b, n: int):
    """psi_n(a + b) - psi_n(a) term by term from the asymptotic series."""
    log, square = np.log1p(b / a), a * a
    lead = log if n == 0 else math.factorial(n - 1) * _difference_of_powers(a, b, n)
    rest, scale = 0.5 * math.factorial(n) * _difference_of_powers(a, b, n + 1), a**-n
    for k, bernoulli in enumerate(BERNOULLI, 1):
        power, scale = 2 * k + n, scale / square  # scale is a^-power: powers are dear, compiled
        factor = bernoulli * math.factorial(power - 1) / math.factorial(2 * k)
        rest = rest + factor * (np.expm1(-power * log) * scale)
    if n == 0:
        return lead - rest
    return lead + rest if n % 2 else -(lead + rest)


@in_float64
def polygamma_difference_value(a, b, *, n: int):
    """psi_n(a + b) - psi_n(a), accurate to the last bits also where b is small beside a."""
    return polygamma_difference_of(a, b, n, polygamma_value, _downward)


def _downward(step: Callable, steps, value):
    for k in range(int(steps.max(initial=0)) - 1, -1, -1):
        value = step(k, value)
    return value


def polygamma_difference_of(a, b, n: int, direct_value: Callable, downward: Callable):
    """The same, with the polygamma function to use, and what takes the steps, the last one first:
    from where the asymptotic series holds."""
    smaller = np.minimum(a, a + b)
    steps = np.ceil(np.maximum(_ASYMPTOTIC_FROM + n - smaller, 0.0))
    positive = smaller > 0
    steps = np.where(positive, steps, 0.0)
    with np.errstate(all="ignore"):
        a_up = np.where(positive, a + steps, _ASYMPTOTIC_FROM)
        out = _asymptotic_difference(a_up, np.where(positive, b, 0.0), n)
        sign = math.factorial(n) * (-1.0 if n % 2 == 0 else 1.0)

        def step(k, value):
            # psi_n(x) = psi_n(x + 1) - (-1)^n n! / x^(n+1)
            term = _difference_of_powers(np.where(k < steps, a + k, 1.0), b, n + 1)
            return np.where(k < steps, value + sign * term, value)

        out = downward(step, steps, out)
        direct = direct_value(a + b, n) - direct_value(a, n)
    return np.where(positive, out, direct)


polygamma_difference: Op = elementwise_family(
    "polygamma_difference",
    polygamma_difference_value,
    (
        lambda a, b, out, *, n: polygamma_difference(a, b, n=n + 1),
        lambda a, b, out, *, n: polygamma(a + b, n=n + 1),
    ),
    ulps=16,
    doc="psi_n(a + b) - psi_n(a), n = 0 being digamma",
)

# --- gamma --------------------------------------------------------------------------------------


def _digamma_slope(x, out):
    return polygamma(x, n=1)


psi = scipy_elementwise("psi", (_digamma_slope,), ulps=16, doc="digamma, gammaln's slope")
gammaln = scipy_elementwise("gammaln", (lambda x, out: psi(x),))
loggamma = scipy_elementwise("loggamma", (lambda x, out: psi(x),))
gamma = scipy_elementwise("gamma", (lambda x, out: out * psi(x),), ulps=16)
zeta: Op = scipy_elementwise(
    "zeta",
    (
        missing_by("zeta", "first argument", "no closed form is known."),
        lambda s, x, out: -s * zeta(s + 1.0, x),
    ),
    ulps=16,
    doc="the Hurwitz zeta function, the sum of 1 / (x + k)^s over k >= 0",
)

# --- beta ---------------------------------------------------------------------------------------


def _log_beta_slopes():
    return (
        lambda a, b, out: -polygamma_difference(a, b, n=0),
        lambda a, b, out: -polygamma_difference(b, a, n=0),
    )


betaln = scipy_elementwise("betaln", _log_beta_slopes(), ulps=16)
beta = scipy_elementwise(
    "beta",
    (
        lambda a, b, out: -out * polygamma_difference(a, b, n=0),
        lambda a, b, out: -out * polygamma_difference(b, a, n=0),
    ),
    ulps=32,
)
poch = scipy_elementwise(
    "poch",
    (
        lambda x, m, out: out * polygamma_difference(x, m, n=0),
        lambda x, m, out: out * psi(x + m),
    ),
    ulps=256,  # SciPy's own value is off by that much
    doc="the rising factorial gamma(x + m) / gamma(x)",
)
