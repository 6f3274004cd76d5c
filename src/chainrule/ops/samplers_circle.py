"""Draws of one shape parameter that move with it: von Mises and inverse Gaussian.

Value     von Mises: Best and Fisher's rejection from a wrapped Cauchy, by tangents of half angles,
          tan(v / 2) = (1 - r) / (1 + r) tan(u / 2), so that no digit is lost at any concentration.
          Inverse Gaussian of mean 1: the smaller root of a quadratic in a squared normal, or its
          inverse (Michael, Schucany and Haas). Only arithmetic, roots and the portable logarithm:
          the same bits on every machine.
Slope     -(dF/dk) / p at the draw, F the distribution function and p the density (implicit
          reparameterisation), as for gamma draws.
          von Mises: the integral from 0 to v of (A - cos t) exp(k (cos t - cos v)) dt, A = I1 / I0;
          beyond cos v = A the integral over the rest, to pi, which is as large with the other sign:
          so nothing cancels on either side.
          inverse Gaussian of shape f: x / f - 2 x^(3/2) f^(-1/2) M((x + 1) sqrt(f / x)), M the
          Mills ratio of the normal law, sqrt(pi / 2) erfcx(b / sqrt(2)).
Source    Best and Fisher, Applied Statistics 28 (1979) 152; Michael, Schucany and Haas, Am. Stat.
          30 (1976) 88; Figurnov, Mohamed and Mnih, NeurIPS 2018, for such slopes; the forms of the
          slopes are ours.
"""

import math

import numpy as np

from chainrule.ops.elementwise import scale, sin, sqrt, square
from chainrule.ops.random import FLOAT64, by_attempts, check_parameters, join_words, lanes_batch
from chainrule.ops.samplers import cauchy_from_bits, normal_from_bits, open_interval
from chainrule.ops.samplers_elementary import log_of_normal, polynomial
from chainrule.ops.samplers_gamma import unit_rule
from chainrule.ops.special.bessel_relatives import ive
from chainrule.ops.special.error_functions import erfcx
from chainrule.ops.special.scipy_functions import (
    elementwise_family,
    in_float64,
    missing_by,
    scipy_special,
)
from chainrule.program.op import Forward, Op, elementwise
from chainrule.program.types import Type

# --- von Mises: the draw ------------------------------------------------------------------------


def _arctan(x):
    """The arc tangent, in portable arithmetic: halved three times, then its series."""
    size = np.abs(x)
    inverse = size > 1.0
    t = np.where(inverse, 1.0 / np.maximum(size, 1.0), size)
    for _ in range(3):
        t = t / (1.0 + np.sqrt(1.0 + t * t))
    series = polynomial(t * t, tuple([(-1.0) ** k / (2 * k + 1) for k in range(10)]))
    angle = 8.0 * t * series
    return np.copysign(np.where(inverse, 0.5 * math.pi - angle, angle), x)


def _proposal(kappa):
    """1 - r, and half of (1 - r)^2 k / r, for the r of Best and Fisher's wrapped Cauchy."""
    large = kappa > 1.0
    some, few = np.where(large, kappa, 1.0), np.where(large, 1.0, kappa)
    root = np.where(
        large, 2.0 * some * np.sqrt(1.0 + (0.5 / some) ** 2), np.sqrt(1.0 + 4.0 * few * few)
    )
    tau = np.sqrt(1.0 + root)
    share = 2.0 * tau / ((root + 1.0) * (tau + math.sqrt(2.0)))  # r / k
    near = (math.sqrt(2.0) * tau - 1.0 - 1.0 / (2.0 * some + root)) / (2.0 * some)
    rest = np.where(large, near, 1.0 - few * share)
    return rest, 0.5 * rest * rest / share


def _angle(words, kappa, rest, least):
    """An angle of the wrapped Cauchy law, and whether it is one of von Mises's."""
    tangent = rest / (2.0 - rest) * cauchy_from_bits(join_words(words[0], words[1]))
    u = open_interval(join_words(words[2], words[3]))
    square_ = tangent * tangent
    sine = np.where(square_ < 1.0, square_ / (1.0 + square_), 1.0 / (1.0 + 1.0 / square_))
    c = least + 2.0 * kappa * sine  # k (1 / r + r) / 2 - k cos v
    accepted = (c * (2.0 - c) > u) | (log_of_normal(c) - log_of_normal(u) + 1.0 >= c)
    return 2.0 * _arctan(tangent), accepted


def _vonmises(state, kappa, *, stream):
    if not np.all(kappa >= 0):
        raise ValueError("kappa < 0 or kappa is NaN")
    inside = np.minimum(kappa, 1e300)
    rest, least = _proposal(inside)
    return by_attempts(state, (inside, rest, least), _angle, FLOAT64, stream)


# --- von Mises: how it moves --------------------------------------------------------------------

_NEGLIGIBLE = 45.0  # exp(-45) = 3e-20
# 1 - I1(k) / I0(k) by powers of 1 / k, for large k: DLMF 10.40.1
_FAR = (0.5, 0.125, 0.125, 25.0 / 128.0, 13.0 / 32.0, 1073.0 / 1024.0)


def one_less_mean(kappa):
    """1 - I1(k) / I0(k): the mean of 1 - cos of a draw."""
    special = scipy_special()
    some = np.minimum(kappa, 300.0)
    near = (special.i0e(some) - special.i1e(some)) / special.i0e(some)
    inverse = 1.0 / np.maximum(kappa, 300.0)
    return np.where(kappa > 300.0, inverse * polynomial(inverse, _FAR), near)


@in_float64
def _slope(kappa, v):
    """The integral, from 0 or to pi, whichever does not cancel."""
    with np.errstate(all="ignore"):
        mean, size = one_less_mean(kappa), np.abs(v)
        left = 2.0 * np.sin(0.5 * size) ** 2 <= mean
        far = np.sin(0.5 * size) ** 2 + 0.5 * _NEGLIGIBLE / kappa
        end = 2.0 * np.arcsin(np.sqrt(np.minimum(far, 1.0)))
        start = np.where(left, 0.0, size)
        length = np.where(left, size, end - size)
        total = np.zeros_like(size)
        for node, weight in zip(*unit_rule(), strict=True):
            # the rule's nodes gather at its beginning, where what is on the right is largest
            t = start + length * node
            apart = 2.0 * np.sin(0.5 * (size + t)) * np.sin(0.5 * (size - t))  # cos t - cos v
            total = total + weight * (2.0 * np.sin(0.5 * t) ** 2 - mean) * np.exp(kappa * apart)
        total = total * length
        return np.copysign(1.0, v) * np.where(left, total, -total)


def _slope_by_draw(kappa, v, out):
    mean = 1.0 - ive(1.0, kappa) / ive(0.0, kappa)
    return 2.0 * square(sin(0.5 * v)) - mean + kappa * sin(v) * out


vonmises_slope = elementwise_family(
    "vonmises_slope",
    _slope,
    (
        missing_by("a von Mises draw", "concentration", "its second derivative is not known here."),
        _slope_by_draw,
    ),
    flops=4000,
    doc="how a von Mises draw v moves with its concentration",
)


def _vonmises_tangent(inputs, outputs, tangents, *, stream):
    return scale(vonmises_slope(inputs[1], outputs[0]), tangents[1])


# --- inverse Gaussian ---------------------------------------------------------------------------


def _root(words, shape):
    z = normal_from_bits(join_words(words[0], words[1]))
    u = open_interval(join_words(words[2], words[3]))
    half = 0.5 * z * z / shape
    larger = 1.0 + half + np.sqrt(half * (2.0 + half))
    smaller = 1.0 / larger
    return np.where(u * (1.0 + smaller) <= 1.0, smaller, larger), np.ones(z.shape, bool)


def _wald(state, shape, *, stream):
    if not np.all(shape > 0):
        raise ValueError("scale / mean <= 0 or is NaN")
    return by_attempts(state, (shape,), _root, FLOAT64, stream)


def wald_slope(shape, x):
    """How a draw x of mean 1 moves with the shape."""
    end = (x + 1.0) * sqrt(shape / x)
    mills = math.sqrt(0.5 * math.pi) * erfcx(math.sqrt(0.5) * end)
    return x / shape - 2.0 * x * sqrt(x / shape) * mills


def _wald_tangent(inputs, outputs, tangents, *, stream):
    return scale(wald_slope(inputs[1], outputs[0]), tangents[1])


# --- the operations -----------------------------------------------------------------------------


def _type(state: Type, shape: Type, *, stream) -> tuple[Type, ...]:
    check_parameters(state, shape)
    return (shape.with_dtype(FLOAT64),)


standard_vonmises: Op = Op(
    "standard_vonmises", _type, _vonmises, Forward(_vonmises_tangent),
    lanes_batch(lambda: standard_vonmises), flops=lambda ins, outs, params: 250 * outs[0].size,
    doc="an angle of the von Mises law around 0, for each concentration",
)  # fmt: skip
standard_wald: Op = Op(
    "standard_wald", _type, _wald, Forward(_wald_tangent),
    lanes_batch(lambda: standard_wald), flops=lambda ins, outs, params: 150 * outs[0].size,
    doc="an inverse Gaussian draw of mean 1, for each shape parameter",
)  # fmt: skip
placed_vonmises = elementwise(
    "placed_vonmises", lambda v, kappa: v,
    (lambda v, kappa, out: 1.0, lambda v, kappa, out: vonmises_slope(kappa, v)), "float",
    doc="v, a von Mises draw that has been drawn before",
)  # fmt: skip
placed_wald = elementwise(
    "placed_wald", lambda x, shape: x,
    (lambda x, shape, out: 1.0, lambda x, shape, out: wald_slope(shape, x)), "float",
    doc="x, an inverse Gaussian draw that has been drawn before",
)  # fmt: skip
