"""Continuous draws, written in the surface language on top of a few samplers.

So derivatives by locations, scales and shapes come by themselves.
"""

from __future__ import annotations

import numpy as np

from chainrule.numpy.promotion import broadcast_shape, shape_of
from chainrule.ops import samplers
from chainrule.ops.random import FLOAT64
from chainrule.ops.samplers_elementary import portable_exp, portable_expm1, portable_log
from chainrule.ops.samplers_gamma import log_standard_gamma, standard_gamma
from chainrule.ops.select import stop_gradient
from chainrule.random.parameters import (
    as_shape,
    check,
    check_not_negative,
    check_positive,
    draw_shape,
    fitting_shape,
    float_dtype,
    number,
    parameter,
)
from chainrule.random.state import Stream


class Continuous(Stream):
    """The continuous distributions of `Generator`."""

    # --- without parameters -----------------------------------------------------------------------

    def _standard(self, op, size, dtype):
        shape, dtype = as_shape(size), float_dtype(dtype, op.name)
        return op(self._next_draw(), shape=shape, dtype=dtype, stream=0)

    def random(self, size=None, dtype=np.float64):
        """Uniform in [0, 1)."""
        return self._standard(samplers.standard_uniform, size, dtype)

    def standard_normal(self, size=None, dtype=np.float64):
        """Normal of mean 0 and variance 1."""
        return self._standard(samplers.standard_normal, size, dtype)

    def standard_exponential(self, size=None, dtype=np.float64):
        """Exponential of mean 1."""
        return self._standard(samplers.standard_exponential, size, dtype)

    def standard_cauchy(self, size=None, dtype=np.float64):
        """Cauchy: centre 0, half of the mass within 1."""
        return self._standard(samplers.standard_cauchy, size, dtype)

    # --- by location and scale --------------------------------------------------------------------

    def _scaled(self, op, loc, scale, size, dtype):
        check_not_negative(scale=scale)
        dtype = float_dtype(dtype, op.name)
        z = self._standard(op, draw_shape(size, loc, scale), dtype)
        return number(loc, dtype) + number(scale, dtype) * z

    def uniform(self, low=0.0, high=1.0, size=None, dtype=np.float64):
        """Uniform from `low` to `high`; `high` itself can occur only by rounding."""
        check(lambda a, b: a <= b, "high - low < 0", low, high)
        dtype = float_dtype(dtype, "uniform")
        u = self._standard(samplers.standard_uniform, draw_shape(size, low, high), dtype)
        low, high = number(low, dtype), number(high, dtype)
        return low + (high - low) * u

    def normal(self, loc=0.0, scale=1.0, size=None, dtype=np.float64):
        """Normal of mean `loc` and standard deviation `scale`."""
        return self._scaled(samplers.standard_normal, loc, scale, size, dtype)

    def laplace(self, loc=0.0, scale=1.0, size=None, dtype=np.float64):
        """Laplace: exp(-|x - loc| / scale) / (2 scale)."""
        return self._scaled(samplers.standard_laplace, loc, scale, size, dtype)

    def gumbel(self, loc=0.0, scale=1.0, size=None, dtype=np.float64):
        """Gumbel: the law of the largest of many; P(X <= x) = exp(-exp(-(x - loc) / scale))."""
        return self._scaled(samplers.standard_gumbel, loc, scale, size, dtype)

    def logistic(self, loc=0.0, scale=1.0, size=None, dtype=np.float64):
        """Logistic: P(X <= x) = 1 / (1 + exp(-(x - loc) / scale))."""
        return self._scaled(samplers.standard_logistic, loc, scale, size, dtype)

    def cauchy(self, loc=0.0, scale=1.0, size=None, dtype=np.float64):
        """Cauchy: centre `loc`, half of the mass within `scale` of it."""
        return self._scaled(samplers.standard_cauchy, loc, scale, size, dtype)

    def exponential(self, scale=1.0, size=None, dtype=np.float64):
        """Exponential of mean `scale`."""
        check_not_negative(scale=scale)
        dtype = float_dtype(dtype, "exponential")
        z = self._standard(samplers.standard_exponential, draw_shape(size, scale), dtype)
        return number(scale, dtype) * z

    def lognormal(self, mean=0.0, sigma=1.0, size=None, dtype=np.float64):
        """exp of a normal of mean `mean` and standard deviation `sigma`."""
        check_not_negative(sigma=sigma)
        return portable_exp(self._scaled(samplers.standard_normal, mean, sigma, size, dtype))

    # --- by their inverse distribution function ---------------------------------------------------

    def _exponential_for(self, size, *parameters):
        shape = draw_shape(size, *parameters)
        z = self._standard(samplers.standard_exponential, shape, FLOAT64)
        return z, *(parameter(p, shape) for p in parameters)

    def rayleigh(self, scale=1.0, size=None):
        """Rayleigh: the length of a normal vector in the plane."""
        check_not_negative(scale=scale)
        z, scale = self._exponential_for(size, scale)
        return scale * np.sqrt(2.0 * z)

    def weibull(self, a, size=None):
        """Weibull of shape `a` and scale 1: P(X > x) = exp(-x**a)."""
        check_positive(a=a)
        z, a = self._exponential_for(size, a)
        return portable_exp(portable_log(z) / a)

    def pareto(self, a, size=None):
        """Pareto of the second kind (Lomax): P(X > x) = (1 + x)**-a."""
        check_positive(a=a)
        z, a = self._exponential_for(size, a)
        return portable_expm1(z / a)

    def power(self, a, size=None):
        """P(X <= x) = x**a for x in [0, 1]."""
        check_positive(a=a)
        z, a = self._exponential_for(size, a)
        return portable_exp(-z / a)

    def triangular(self, left, mode, right, size=None):
        """A density that rises from `left` to `mode` and falls to `right`."""
        check(lambda a, b: a <= b, "left > mode", left, mode)
        check(lambda a, b: a <= b, "mode > right", mode, right)
        check(lambda a, b: a != b, "left == right", left, right)
        shape = draw_shape(size, left, mode, right)
        u = self._standard(samplers.standard_uniform, shape, FLOAT64)
        left, mode, right = (parameter(p, shape) for p in (left, mode, right))
        width = right - left
        rising = stop_gradient(u * width <= mode - left)  # nothing jumps there
        area = np.where(rising, u * (mode - left), (1.0 - u) * (right - mode)) * width
        root = np.sqrt(area)
        return np.where(rising, left + root, right - root)[()]

    # --- built on gamma draws ---------------------------------------------------------------------

    def _gamma(self, shape_parameter, shape):
        return standard_gamma(self._next_draw(), parameter(shape_parameter, shape), stream=0)

    def standard_gamma(self, shape, size=None, dtype=np.float64):
        """Gamma of scale 1: the density is proportional to x**(shape - 1) exp(-x)."""
        dtype = float_dtype(dtype, "standard_gamma")
        return self._gamma(shape, draw_shape(size, shape)).astype(dtype)

    def gamma(self, shape, scale=1.0, size=None):
        """Gamma: `scale` times a standard gamma draw."""
        check_not_negative(scale=scale)
        return self._gamma(shape, draw_shape(size, shape, scale)) * number(scale, FLOAT64)

    def chisquare(self, df, size=None):
        """The sum of `df` squared standard normals."""
        check_positive(df=df)
        return 2.0 * self._gamma(0.5 * number(df, FLOAT64), draw_shape(size, df))

    def standard_t(self, df, size=None):
        """Student's t: a standard normal over the root of an independent chi-square over `df`."""
        check_positive(df=df)
        shape, draw = draw_shape(size, df), self._next_draw()
        half = 0.5 * parameter(df, shape)
        z = samplers.standard_normal(draw, shape=shape, dtype=FLOAT64, stream=0)
        return z * np.sqrt(half / standard_gamma(draw, half, stream=1))

    def student_t(self, df, loc=0.0, scale=1.0, size=None):
        """Student's t with a location and a scale."""
        check_not_negative(scale=scale)
        z = self.standard_t(df, draw_shape(size, df, loc, scale))
        return number(loc, FLOAT64) + number(scale, FLOAT64) * z

    def f(self, dfnum, dfden, size=None):
        """Fisher's F: the ratio of two chi-squares, each over its degrees of freedom."""
        check_positive(dfnum=dfnum, dfden=dfden)
        shape, draw = draw_shape(size, dfnum, dfden), self._next_draw()
        upper, lower = (0.5 * parameter(df, shape) for df in (dfnum, dfden))
        first, second = standard_gamma(draw, upper, stream=0), standard_gamma(draw, lower, stream=1)
        return (first * lower) / (second * upper)

    def beta(self, a, b, size=None):
        """Beta on (0, 1): the density is proportional to x**(a - 1) (1 - x)**(b - 1)."""
        check_positive(a=a, b=b)
        shape, draw = draw_shape(size, a, b), self._next_draw()
        log_x = log_standard_gamma(draw, parameter(a, shape), stream=0)
        log_y = log_standard_gamma(draw, parameter(b, shape), stream=1)
        return 1.0 / (1.0 + portable_exp(log_y - log_x))

    def dirichlet(self, alpha, size=None):
        """Random proportions that sum to 1; `alpha` is (..., K), the result (size, K)."""
        check_positive(alpha=alpha)
        lead, length = shape_of(alpha)[:-1], shape_of(alpha)[-1]
        shape = (*fitting_shape(size, lead), length)
        logs = log_standard_gamma(self._next_draw(), parameter(alpha, shape), stream=0)
        gammas = portable_exp(logs - stop_gradient(np.max(logs, axis=-1, keepdims=True)))
        return gammas / np.cumsum(gammas, axis=-1)[..., -1:]  # a sum in one order everywhere

    def multivariate_normal(self, mean, cov, size=None, method="cholesky"):
        """Normal vectors of mean (..., N) and covariance (..., N, N).

        `method` is the factor of the covariance: "cholesky", "eigh" or "svd". Only the first has a
        derivative where eigenvalues coincide; the others also take singular covariances.
        """
        length = shape_of(mean)[-1]
        if shape_of(cov)[-2:] != (length, length):
            raise ValueError("mean and cov must have same length")
        shape = fitting_shape(size, broadcast_shape(shape_of(mean)[:-1], shape_of(cov)[:-2]))
        z = self._standard(samplers.standard_normal, (*shape, length), FLOAT64)
        factor = _factor(number(cov, FLOAT64), method)
        spread = z @ factor.T if factor.ndim == 2 else (factor @ z[..., None])[..., 0]
        return number(mean, FLOAT64) + spread


def _factor(cov, method: str):
    if method == "cholesky":
        return np.linalg.cholesky(cov)
    if method == "eigh":
        values, vectors = np.linalg.eigh(cov)
        return vectors * np.sqrt(values)[..., None, :]
    if method == "svd":
        vectors, values, _ = np.linalg.svd(cov)
        return vectors * np.sqrt(values)[..., None, :]
    raise ValueError("method must be one of {'cholesky', 'eigh', 'svd'}")
