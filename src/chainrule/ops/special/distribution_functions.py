"""Cumulative distributions and their inverses: chi-square, gamma, Poisson, binomial, t and F.

Value     SciPy's. All are incomplete gamma or beta functions of simple arguments.
Slope     by the point the density; by the parameters the slopes of gammainc and betainc (see
          incomplete_gamma.py, incomplete_beta.py). Counts (pdtr's k, bdtr's k and n, nbdtr's) are
          whole numbers: the slope by them is 0. The inverses' slopes are those of implicit
          functions. For stdtr's slope by large df two terms cancel: about df * 1e-14 is lost.
Source    DLMF 8.17, 8.4; Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions.
"""

from __future__ import annotations

import numpy as np

from chainrule.ops.compare import less
from chainrule.ops.elementwise import exp, floor, log1p, sign, sqrt
from chainrule.ops.select import constant_like, select
from chainrule.ops.special.gamma_functions import beta
from chainrule.ops.special.incomplete_beta import beta_density, betainc_by
from chainrule.ops.special.incomplete_gamma import gamma_density, gammainc_by_a
from chainrule.ops.special.scipy_functions import (
    BY_SCIPY_NAME,
    in_float64,
    scipy_elementwise,
    scipy_special,
)
from chainrule.program.op import elementwise

# --- chi-square and gamma -----------------------------------------------------------------------


def _chi_square_by_df(v, x, out):
    return 0.5 * gammainc_by_a(0.5 * v, 0.5 * x, n=1)


def _chi_square_density(v, x, out):
    return 0.5 * gamma_density(0.5 * v, 0.5 * x)


chdtr = scipy_elementwise("chdtr", (_chi_square_by_df, _chi_square_density), ulps=400)
chdtrc = scipy_elementwise(
    "chdtrc",
    (
        lambda v, x, out: -_chi_square_by_df(v, x, out),
        lambda v, x, out: -_chi_square_density(v, x, out),
    ),
    ulps=400,
)
chdtri = scipy_elementwise(
    "chdtri",
    (
        lambda v, p, out: -_chi_square_by_df(v, out, out) / _chi_square_density(v, out, out),
        lambda v, p, out: -1.0 / _chi_square_density(v, out, out),
    ),
    ulps=400,
)


def _gamma_slopes(sign_of_value: float):
    """Of P(b, a x): by the rate a, the shape b and the point x."""
    return (
        lambda a, b, x, out: sign_of_value * x * gamma_density(b, a * x),
        lambda a, b, x, out: sign_of_value * gammainc_by_a(b, a * x, n=1),
        lambda a, b, x, out: sign_of_value * a * gamma_density(b, a * x),
    )


gdtr = scipy_elementwise("gdtr", _gamma_slopes(1.0), ulps=400)
gdtrc = scipy_elementwise("gdtrc", _gamma_slopes(-1.0), ulps=400)
gdtrix = scipy_elementwise(
    "gdtrix",
    (
        lambda a, b, p, out: -out / a,
        lambda a, b, p, out: -gammainc_by_a(b, a * out, n=1) / (a * gamma_density(b, a * out)),
        lambda a, b, p, out: 1.0 / (a * gamma_density(b, a * out)),
    ),
    ulps=400,
)

# --- counts: Poisson, binomial, negative binomial -----------------------------------------------

pdtr = scipy_elementwise(
    "pdtr", (None, lambda k, m, out: -gamma_density(floor(k) + 1.0, m)), ulps=400
)
pdtrc = scipy_elementwise(
    "pdtrc", (None, lambda k, m, out: gamma_density(floor(k) + 1.0, m)), ulps=400
)


def _binomial_slope(k, n, p, out):
    """Of I_{1-p}(n - k, k + 1), for whole k < n."""
    return -beta_density(floor(k) + 1.0, n - floor(k), p)


@in_float64
def _bdtr(k, n, p):
    return scipy_special().bdtr(k, n.astype(np.int64), p)  # of floats SciPy disapproves


@in_float64
def _bdtrc(k, n, p):
    return scipy_special().bdtrc(k, n.astype(np.int64), p)


@in_float64
def _bdtri(k, n, y):
    return scipy_special().bdtri(k, n.astype(np.int64), y)


def _binomial(name: str, evaluate, slope):
    op = elementwise(name, evaluate, (None, None, slope), "float", ulps=400, flops=20)
    BY_SCIPY_NAME[name] = op
    return op


bdtr = _binomial("bdtr", _bdtr, _binomial_slope)
bdtrc = _binomial("bdtrc", _bdtrc, lambda k, n, p, out: -_binomial_slope(k, n, p, out))
bdtri = _binomial("bdtri", _bdtri, lambda k, n, y, out: 1.0 / _binomial_slope(k, n, out, out))
nbdtr = scipy_elementwise(
    "nbdtr", (None, None, lambda k, n, p, out: beta_density(n, k + 1.0, p)), ulps=400
)
nbdtrc = scipy_elementwise(
    "nbdtrc", (None, None, lambda k, n, p, out: -beta_density(n, k + 1.0, p)), ulps=400
)

# --- Student's t --------------------------------------------------------------------------------


def _t_density(v, t):
    return exp(-0.5 * (v + 1.0) * log1p(t * t / v)) / (sqrt(v) * beta(0.5 * v, _half(v)))


def _half(x):
    return constant_like(x, 0.5)


def _t_by_df(v, t, out):
    """-sign(t) / 4 d/da I_x(v/2, 1/2) - t f(t) / (2 v), x = v / (v + t^2), from its small side."""
    square, half = t * t, _half(v)
    near = less(square, v)
    small = select(near, square, v) / (v + square)
    by_second = -betainc_by(half, 0.5 * v, select(near, small, half), i=0, j=1)
    by_first = betainc_by(0.5 * v, half, select(near, half, small), i=1, j=0)
    by_df = select(near, by_second, by_first)
    return -0.25 * sign(t) * by_df - 0.5 * t * _t_density(v, t) / v


stdtr = scipy_elementwise("stdtr", (_t_by_df, lambda v, t, out: _t_density(v, t)), ulps=1e4)
stdtrit = scipy_elementwise(
    "stdtrit",
    (
        lambda v, p, out: -_t_by_df(v, out, out) / _t_density(v, out),
        lambda v, p, out: 1.0 / _t_density(v, out),
    ),
    ulps=1e4,
)

# --- F ------------------------------------------------------------------------------------------


def _beta_slopes(a, b, w, rest):
    """The slopes of I_w(a, b) by a, b and w, from the smaller of w and rest = 1 - w."""
    low, half = less(w, rest), _half(w)
    left, right = select(low, w, half), select(low, half, rest)
    return (
        select(low, betainc_by(a, b, left, i=1, j=0), -betainc_by(b, a, right, i=0, j=1)),
        select(low, betainc_by(a, b, left, i=0, j=1), -betainc_by(b, a, right, i=1, j=0)),
        select(low, beta_density(a, b, left), beta_density(b, a, right)),
    )


def _f_slopes(m, n, x):
    """Of I_w(m/2, n/2) with w = m x / (m x + n): by m, n and x."""
    total = m * x + n
    by_a, by_b, density = _beta_slopes(0.5 * m, 0.5 * n, m * x / total, n / total)
    moved = density / total / total  # w moves by n x dm - m x dn + m n dx, over the total squared
    return 0.5 * by_a + moved * n * x, 0.5 * by_b - moved * m * x, moved * m * n


fdtr = scipy_elementwise(
    "fdtr",
    (
        lambda m, n, x, out: _f_slopes(m, n, x)[0],
        lambda m, n, x, out: _f_slopes(m, n, x)[1],
        lambda m, n, x, out: _f_slopes(m, n, x)[2],
    ),
    ulps=1e4,
)
fdtrc = scipy_elementwise(
    "fdtrc",
    (
        lambda m, n, x, out: -_f_slopes(m, n, x)[0],
        lambda m, n, x, out: -_f_slopes(m, n, x)[1],
        lambda m, n, x, out: -_f_slopes(m, n, x)[2],
    ),
    ulps=1e4,
)


def _implicit(slopes, place: int):
    """The slope of the inverse by a parameter: minus the ratio of the direct function's slopes."""
    return -slopes[place] / slopes[2]


fdtri = scipy_elementwise(
    "fdtri",
    (
        lambda m, n, p, out: _implicit(_f_slopes(m, n, out), 0),
        lambda m, n, p, out: _implicit(_f_slopes(m, n, out), 1),
        lambda m, n, p, out: 1.0 / _f_slopes(m, n, out)[2],
    ),
    ulps=1e4,
)
betainccinv = scipy_elementwise(
    "betainccinv",
    (
        lambda a, b, y, out: -betainc_by(a, b, out, i=1, j=0) / beta_density(a, b, out),
        lambda a, b, y, out: -betainc_by(a, b, out, i=0, j=1) / beta_density(a, b, out),
        lambda a, b, y, out: -1.0 / beta_density(a, b, out),
    ),
    ulps=400,
)
