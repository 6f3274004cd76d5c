"""Gamma draws and their logarithms, and how a draw moves with the shape parameter.

Value     Marsaglia and Tsang's rejection; below shape 1 a draw of shape a + 1 times u**(1 / a). The
          logarithm is drawn directly, since for small shapes the draw itself underflows.
Slope     dx/da = -(dP/da) / p at the draw x, P the distribution function and p the density: a
          draw moves so that P(x, a) stays what it is (implicit reparameterisation). With
              K[n, m] = integral over v > 0 of v**n exp(-(a + m) v + x (1 - exp(-v)))
          (t = x exp(-v) in P) it is d log x / da = (psi(a + 1) - log x) K[0, 0] + (x / a) K[1, 1].
          Where x > a + 1/2 the integral is taken over the other tail, 1 - P, so that nothing
          cancels. K is closed under differentiation, so draws have derivatives of every order.
Source    draws: Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26,
          2000. Slope: Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients",
          NeurIPS 2018; the integral representation and its closure are ours.
"""

import math
from functools import cache

import numpy as np

from chainrule.ops.elementwise import exp, log, scale
from chainrule.ops.random import (
    CHUNK,
    FLOAT64,
    by_attempts,
    check_parameters,
    join_words,
    lanes_batch,
    transformed_bits,
)
from chainrule.ops.samplers import normal_from_bits, open_interval
from chainrule.ops.samplers_elementary import exp as portable_exp_value
from chainrule.ops.samplers_elementary import log_of_normal
from chainrule.ops.special.gamma_functions import psi
from chainrule.ops.special.scipy_functions import elementwise_family, in_float64
from chainrule.program.op import Forward, Op
from chainrule.program.types import Type

# --- the draw -----------------------------------------------------------------------------------


def _attempt(words, d, c):
    """The cube v of Marsaglia and Tsang, and whether d v is a gamma draw."""
    z = normal_from_bits(join_words(words[0], words[1]))
    u = open_interval(join_words(words[2], words[3]))
    v = 1.0 + c * z
    v = v * v * v
    positive = v > 0
    log_v = log_of_normal(np.where(positive, v, 1.0))
    return v, positive & (log_of_normal(u) < 0.5 * (z * z) + d * ((1.0 - v) + log_v))


def _pieces(state, a, stream: int):
    """d, v and log(boost): a draw of shape a is d v boost."""
    if np.any(a < 0):
        raise ValueError("shape < 0")
    inside = np.where((a > 0) & (a < np.inf), a, 1.0)
    small = inside < 1.0
    d = np.where(small, inside + 1.0, inside) - 1.0 / 3.0
    v = by_attempts(state, (d, 1.0 / np.sqrt(9.0 * d)), _attempt, FLOAT64, stream)
    log_boost = np.zeros_like(inside)
    if np.any(small):
        shape = a.shape[state.ndim - 1 :]
        u = transformed_bits(state, shape, 64, stream, open_interval, FLOAT64)
        log_boost = np.where(small, log_of_normal(u) / inside, 0.0)
    return d, v, log_boost


def _gamma(state, a, *, stream):
    d, v, log_boost = _pieces(state, a, stream)
    boost = np.where(log_boost < 0, portable_exp_value(log_boost), 1.0)
    edge = np.where(a == 0, 0.0, a)  # shapes inf and nan give inf and nan
    return np.where((a > 0) & (a < np.inf), d * v * boost, edge)[()]


def _log_gamma(state, a, *, stream):
    d, v, log_boost = _pieces(state, a, stream)
    edge = np.where(a == 0, -np.inf, a)
    logarithm = log_of_normal(d) + log_of_normal(v) + log_boost
    return np.where((a > 0) & (a < np.inf), logarithm, edge)[()]


# --- how it moves -------------------------------------------------------------------------------

UNIT_PANELS = (0.0, 0.0625, 0.125, 0.25, 0.5, 1.0)  # what is integrated falls off from 0
_NODES = 16  # in each: weights of rules with many nodes lose digits
_NEGLIGIBLE = 45.0  # exp(-45) = 3e-20


@cache
def _rule():
    """Nodes and weights on [0, 1]: Gauss and Legendre's rule in each panel."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    low, high = np.array(UNIT_PANELS[:-1])[:, None], np.array(UNIT_PANELS[1:])[:, None]
    half = 0.5 * (high - low)
    return (half * nodes + 0.5 * (high + low)).ravel(), (half * weights).ravel()


def _excess(v):
    """exp(v) - 1 - v, to full relative precision near 0."""
    small = np.clip(v, -0.5, 0.5)
    series = 1.0 / math.factorial(14)
    for j in range(13, 1, -1):
        series = series * small + 1.0 / math.factorial(j)
    return np.where(np.abs(v) < 0.5, series * small * small, np.expm1(v) - v)


def _moment(a, x, *, order, shift):
    out = np.empty(a.shape)
    with np.errstate(all="ignore"):
        series, right = (x <= a + 0.5) & (x <= 1.0), x > a + 0.5
        out[series] = moment_by_series(a[series] + shift, x[series], order)
        rest = np.flatnonzero(~series)
        for start in range(0, rest.size, CHUNK):
            part = rest[start : start + CHUNK]
            sign = np.where(right.flat[part], -1.0, 1.0)
            out.flat[part] = moment_by_quadrature(a.flat[part] + shift, x.flat[part], sign, order)
        return np.where((a > 0) & (x >= 0), out, np.nan)


def moment_by_series(a, x, order: int):
    """The left integral for x <= 1: exp(x (1 - exp(-v))) expanded in powers of exp(-v)."""
    total, power = np.zeros_like(a), np.ones_like(a)
    for j in range(24):
        total = total + power / (a + j) ** (order + 1)
        power = power * (-x / (j + 1))
    return np.exp(x) * math.factorial(order) * total


def _over_unit_interval(integrand):
    """The integral over [0, 1], one node after the other."""
    total = 0.0
    for node, weight in zip(*_rule(), strict=True):
        total = total + weight * integrand(node)
    return total


def moment_by_quadrature(a, x, sign, order: int, integral=_over_unit_interval):
    """Left (sign 1) or right (sign -1) integral, cut off where the integrand is negligible.

    With s = sign, the exponent is -s (a - x) v - x (exp(-s v) - 1 + s v).
    """
    slope = sign * (a - x)
    reach = _cut_off(a, x, sign, slope)

    def integrand(node):
        v = node * reach
        return v**order * np.exp(-slope * v - x * _excess(-sign * v))

    total = reach * integral(integrand)
    return total if order % 2 else np.where(sign < 0, -total, total)


def _cut_off(a, x, sign, slope):
    """A v beyond which the exponent is below -45: a bound, then Newton's steps towards it."""
    left = sign > 0
    # _excess(-v) >= v**2 / (2 + v) on the left, _excess(v) >= v**2 / 2 on the right
    square = np.where(left, a, 0.5 * x)
    linear = np.where(left, 2.0 * slope - _NEGLIGIBLE, slope)
    constant = np.where(left, 2.0 * _NEGLIGIBLE, _NEGLIGIBLE)
    root = np.sqrt(linear * linear + 4.0 * square * constant)
    v = np.where(linear < 0, (root - linear) / (2.0 * square), 2.0 * constant / (root + linear))
    for _ in range(8):  # from above: the function is convex
        value = slope * v + x * _excess(-sign * v) - _NEGLIGIBLE
        gradient = slope + x * np.where(left, -np.expm1(-v), np.expm1(v))
        v = np.where(value > 0, v - value / gradient, v)
    return v


def _moment_by_shape(a, x, out, *, order, shift):
    return -gamma_path_moment(a, x, order=order + 1, shift=shift)


def _moment_by_draw(a, x, out, *, order, shift):
    return out - gamma_path_moment(a, x, order=order, shift=shift + 1)


gamma_path_moment = elementwise_family(
    "gamma_path_moment",
    in_float64(_moment),
    (_moment_by_shape, _moment_by_draw),
    flops=2000,
    doc="the integral K[order, shift] of a gamma draw x of shape a",
)


def log_draw_slope(a, log_x):
    """d log x / da of a gamma draw x of shape a."""
    x = exp(log_x)
    first = gamma_path_moment(a, x, order=0, shift=0)
    second = gamma_path_moment(a, x, order=1, shift=1)
    return (psi(a + 1.0) - log_x) * first + (x / a) * second


def _log_gamma_tangent(inputs, outputs, tangents, *, stream):
    return scale(log_draw_slope(inputs[1], outputs[0]), tangents[1])


def _gamma_tangent(inputs, outputs, tangents, *, stream):
    x = outputs[0]  # scale's strong zero: a draw that underflowed to 0 stays there
    return scale(scale(x, log_draw_slope(inputs[1], log(x))), tangents[1])


# --- the operations -----------------------------------------------------------------------------


def _gamma_type(state: Type, a: Type, *, stream) -> tuple[Type, ...]:
    check_parameters(state, a)
    return (a.with_dtype(FLOAT64),)


standard_gamma: Op = Op(
    "standard_gamma", _gamma_type, _gamma, Forward(_gamma_tangent),
    lanes_batch(lambda: standard_gamma), flops=lambda ins, outs, params: 200 * outs[0].size,
    doc="a gamma draw for each shape parameter, of scale 1",
)  # fmt: skip
log_standard_gamma: Op = Op(
    "log_standard_gamma", _gamma_type, _log_gamma, Forward(_log_gamma_tangent),
    lanes_batch(lambda: log_standard_gamma), flops=lambda ins, outs, params: 250 * outs[0].size,
    doc="the logarithm of a gamma draw for each shape parameter: it does not underflow",
)  # fmt: skip
