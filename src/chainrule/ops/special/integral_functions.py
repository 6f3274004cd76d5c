"""Integrals of elementary functions, and Lambert's W: fresnel sici shichi owens_t lambertw.

Value     SciPy's. SciPy gives two functions at once, (S, C), (Si, Ci), (Shi, Chi): each is an
          operation here.
Slope     the integrand: sin(pi x^2 / 2), sin(x) / x, sinh(x) / x and so on; 1 at x = 0 for Si and
          Shi. W' = exp(-W) / (1 + W), which holds at 0; `branch` is SciPy's k.
Source    DLMF 6.2, 7.2, 4.13; Owen, Ann. Math. Stat. 27 (1956) 1075; for wrightomega Corless and
          Jeffrey, 2002.
"""

from __future__ import annotations

from chainrule.ops.elementwise import cos, cosh, exp, sin, sqrt
from chainrule.ops.sinc import sinc
from chainrule.ops.special.error_functions import erf
from chainrule.ops.special.exponential_integrals import exprel
from chainrule.ops.special.gaussian import exp_square
from chainrule.ops.special.scipy_functions import (
    elementwise_family,
    in_float64,
    scipy_elementwise,
    scipy_special,
)
from chainrule.program.exact import PI, ROOT_2, ROOT_2PI
from chainrule.program.op import Edge, Op, elementwise

# --- pairs --------------------------------------------------------------------------------------


@in_float64
def _fresnel_sine(x):
    return scipy_special().fresnel(x)[0]


@in_float64
def _fresnel_cosine(x):
    return scipy_special().fresnel(x)[1]


@in_float64
def _sine_integral(x):
    return scipy_special().sici(x)[0]


@in_float64
def _cosine_integral(x):
    return scipy_special().sici(x)[1]


@in_float64
def _hyperbolic_sine_integral(x):
    return scipy_special().shichi(x)[0]


@in_float64
def _hyperbolic_cosine_integral(x):
    return scipy_special().shichi(x)[1]


def _quarter_turns(x):
    return (PI / 2) * (x * x)


fresnel_sine = elementwise(
    "fresnel_sine", _fresnel_sine, (lambda x, out: sin(_quarter_turns(x)),), "float", ulps=16,
    flops=20, doc="S(x), the integral of sin(pi t^2 / 2) from 0 to x",
)  # fmt: skip
fresnel_cosine = elementwise(
    "fresnel_cosine", _fresnel_cosine, (lambda x, out: cos(_quarter_turns(x)),), "float", ulps=16,
    flops=20, doc="C(x), the integral of cos(pi t^2 / 2) from 0 to x",
)  # fmt: skip
sine_integral = elementwise(
    "sine_integral", _sine_integral, (lambda x, out: sinc((1.0 / PI) * x),), "float", ulps=64,
    flops=20, edges=(Edge(0.0, 0.0, 1.0),), doc="Si(x), the integral of sin(t) / t from 0 to x",
)  # fmt: skip
cosine_integral = elementwise(
    "cosine_integral", _cosine_integral, (lambda x, out: cos(x) / x,), "float", ulps=8, flops=20,
    doc="Ci(x), minus the integral of cos(t) / t from x to infinity",
)  # fmt: skip


def _sinh_over_x(x, out):
    """sinh(x) / x as the mean of (e^x - 1) / x and (1 - e^-x) / x."""
    return 0.5 * (exprel(x) + exprel(-x))


hyperbolic_sine_integral = elementwise(
    "hyperbolic_sine_integral", _hyperbolic_sine_integral, (_sinh_over_x,), "float", ulps=8,
    flops=20, edges=(Edge(0.0, 0.0, 1.0),), doc="Shi(x), the integral of sinh(t) / t from 0 to x",
)  # fmt: skip
hyperbolic_cosine_integral = elementwise(
    "hyperbolic_cosine_integral", _hyperbolic_cosine_integral, (lambda x, out: cosh(x) / x,),
    "float", ulps=8, flops=20, doc="Chi(x), whose slope is cosh(x) / x",
)  # fmt: skip

# --- Owen's T -----------------------------------------------------------------------------------


def _owens_t_by_slope(h, a):
    """exp(-h^2 (1 + a^2) / 2) / (2 pi (1 + a^2))"""
    square = 1.0 + a * a
    return exp_square(h * sqrt(square), halves=-1) / (2.0 * PI * square)


owens_t = scipy_elementwise(
    "owens_t",
    (
        lambda h, a, out: (-0.5 / ROOT_2PI)
        * exp_square(h, halves=-1) * erf((1.0 / ROOT_2) * a * h),
        lambda h, a, out: _owens_t_by_slope(h, a),
    ),
    ulps=64,
)  # fmt: skip

# --- Lambert's W --------------------------------------------------------------------------------


def _lambertw(z, *, branch):
    return scipy_special().lambertw(z, branch).astype(z.dtype)


lambertw: Op = elementwise_family(
    "lambertw",
    _lambertw,
    (lambda z, out, *, branch: exp(-out) / (1.0 + out),),
    takes="complex",
    ulps=16,
    flops=60,
    doc="Lambert's W: w with w exp(w) = z",
)
wrightomega = scipy_elementwise(
    "wrightomega", (lambda x, out: out / (1.0 + out),), "inexact", ulps=16
)
