"""NumPy's Generator for JAX: each draw takes a key of its own."""

from __future__ import annotations

from importlib import import_module

from chainrule.lab.right_derivatives.libraries import Absent


class JaxRandom:
    """Draws of `jax.random` under the names of NumPy's Generator."""

    def __init__(self, key):
        self._jax = import_module("jax")
        self._key = key

    def _draw(self, name, *given, size=None, **named):
        self._key, key = self._jax.random.split(self._key)
        shape = () if size is None else (size if isinstance(size, tuple) else (size,))
        return getattr(self._jax.random, name)(key, *given, shape=shape, **named)

    def __getattr__(self, name):
        raise Absent(f"jax.random of {name}")

    def random(self, size=None):
        return self._draw("uniform", size=size)

    def standard_normal(self, size=None):
        return self._draw("normal", size=size)

    def normal(self, loc=0.0, scale=1.0, size=None):
        return loc + scale * self._draw("normal", size=size)

    def uniform(self, low=0.0, high=1.0, size=None):
        return low + (high - low) * self._draw("uniform", size=size)

    def lognormal(self, mean=0.0, sigma=1.0, size=None):
        return self._jax.numpy.exp(self.normal(mean, sigma, size))

    def exponential(self, scale=1.0, size=None):
        return scale * self._draw("exponential", size=size)

    def gamma(self, shape, scale=1.0, size=None):
        return scale * self._draw("gamma", shape, size=size)

    def beta(self, a, b, size=None):
        return self._draw("beta", a, b, size=size)

    def laplace(self, loc=0.0, scale=1.0, size=None):
        return loc + scale * self._draw("laplace", size=size)

    def logistic(self, loc=0.0, scale=1.0, size=None):
        return loc + scale * self._draw("logistic", size=size)

    def gumbel(self, loc=0.0, scale=1.0, size=None):
        return loc + scale * self._draw("gumbel", size=size)

    def rayleigh(self, scale=1.0, size=None):
        return scale * self._draw("rayleigh", 1.0, size=size)

    def weibull(self, a, size=None):
        return self._draw("weibull_min", 1.0, a, size=size)

    def pareto(self, a, size=None):
        return self._draw("pareto", a, size=size) - 1.0

    def triangular(self, left, mode, right, size=None):
        return self._draw("triangular", left, mode, right, size=size)

    def standard_t(self, df, size=None):
        return self._draw("t", df, size=size)

    def chisquare(self, df, size=None):
        return self._draw("chisquare", df, size=size)

    def f(self, n, m, size=None):
        return self._draw("f", n, m, size=size)

    def dirichlet(self, alpha, size=None):
        return self._draw("dirichlet", alpha, size=size)

    def multivariate_normal(self, mean, cov, size=None):
        return self._draw("multivariate_normal", mean, cov, size=size)

    def poisson(self, lam=1.0, size=None):
        return self._draw("poisson", lam, size=size)

    def binomial(self, n, p, size=None):
        return self._draw("binomial", n, p, size=size)

    def geometric(self, p, size=None):
        return self._draw("geometric", p, size=size)

    def integers(self, low, high, size=None):
        return self._draw("randint", minval=low, maxval=high, size=size)

    def choice(self, count, p, size=None):
        return self._draw("choice", count, p=p, size=size)
