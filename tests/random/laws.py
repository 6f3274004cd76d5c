"""Every distribution of the generator with the law that it must have: one table for the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Law:
    """`method(*args)` draws from `law` (SciPy's frozen distribution)."""

    method: str
    args: tuple
    law: object
    options: dict | None = None

    def draw(self, rng, size):
        return getattr(rng, self.method)(*self.args, size=size, **(self.options or {}))

    def moments(self) -> tuple[float, float, float]:
        """Mean, variance and excess. SciPy takes seconds for those of von Mises, and is wrong about
        the excess of a narrow one: here they are by the midpoint rule over its density."""
        if self.method != "vonmises":
            return self.law.stats("mvk")
        x, width = np.linspace(-np.pi, np.pi, 200_001, retstep=True)
        x = x[1:] - 0.5 * width
        mass = self.law.pdf(x) * width
        variance = np.sum(mass * x**2)
        return 0.0, variance, np.sum(mass * x**4) / variance**2 - 3.0

    def __str__(self) -> str:
        options = "".join(f",{k}={np.dtype(v).name}" for k, v in (self.options or {}).items())
        return f"{self.method}({','.join(map(str, self.args))}{options})"


CONTINUOUS = [
    Law("random", (), stats.uniform()),
    Law("uniform", (-2.0, 3.0), stats.uniform(-2, 5)),
    Law("standard_normal", (), stats.norm()),
    Law("normal", (1.5, 0.3), stats.norm(1.5, 0.3)),
    Law("standard_exponential", (), stats.expon()),
    Law("exponential", (2.5,), stats.expon(scale=2.5)),
    Law("laplace", (1.0, 2.0), stats.laplace(1, 2)),
    Law("gumbel", (1.0, 2.0), stats.gumbel_r(1, 2)),
    Law("logistic", (1.0, 2.0), stats.logistic(1, 2)),
    Law("lognormal", (0.3, 0.7), stats.lognorm(0.7, scale=np.exp(0.3))),
    Law("standard_cauchy", (), stats.cauchy()),
    Law("cauchy", (1.0, 0.5), stats.cauchy(1, 0.5)),
    Law("rayleigh", (2.0,), stats.rayleigh(scale=2)),
    Law("weibull", (0.7,), stats.weibull_min(0.7)),
    Law("weibull", (3.0,), stats.weibull_min(3)),
    Law("pareto", (2.5,), stats.lomax(2.5)),
    Law("power", (0.4,), stats.powerlaw(0.4)),
    Law("triangular", (-1.0, 0.5, 4.0), stats.triang(0.3, -1, 5)),
    Law("standard_gamma", (0.05,), stats.gamma(0.05)),
    Law("standard_gamma", (0.7,), stats.gamma(0.7)),
    Law("standard_gamma", (1.0,), stats.gamma(1)),
    Law("standard_gamma", (7.5,), stats.gamma(7.5)),
    Law("standard_gamma", (1e5,), stats.gamma(1e5)),
    Law("standard_gamma", (1e12,), stats.norm(1e12, 1e6)),
    Law("gamma", (2.0, 3.0), stats.gamma(2, scale=3)),
    Law("chisquare", (1.0,), stats.chi2(1)),
    Law("chisquare", (6.0,), stats.chi2(6)),
    Law("standard_t", (1.0,), stats.t(1)),
    Law("standard_t", (30.0,), stats.t(30)),
    Law("student_t", (3.0, 1.0, 2.0), stats.t(3, 1, 2)),
    Law("f", (3.0, 8.0), stats.f(3, 8)),
    Law("wald", (1.5, 0.4), stats.invgauss(1.5 / 0.4, scale=0.4)),
    Law("wald", (0.5, 1e6), stats.invgauss(0.5e-6, scale=1e6)),
    *(Law("vonmises", (0.0, k), stats.vonmises(k)) for k in (0.0, 0.4, 2.5, 60.0, 1e4)),
    Law("noncentral_chisquare", (3.0, 4.0), stats.ncx2(3, 4)),
    Law("noncentral_chisquare", (0.3, 1.2), stats.ncx2(0.3, 1.2)),
    Law("noncentral_f", (3.0, 8.0, 2.0), stats.ncf(3, 8, 2)),
    Law("beta", (0.2, 0.3), stats.beta(0.2, 0.3)),
    Law("beta", (2.0, 5.0), stats.beta(2, 5)),
    Law("beta", (300.0, 1.0), stats.beta(300, 1)),
]
SINGLE = [
    Law(c.method, c.args, c.law, {"dtype": np.float32})
    for c in CONTINUOUS
    if c.method
    in (
        "random", "uniform", "standard_normal", "normal", "standard_exponential", "exponential",
        "laplace", "gumbel", "logistic", "lognormal", "standard_cauchy", "cauchy",
    ) or (c.args in ((0.7,), (7.5,)) and c.method == "standard_gamma")
]  # fmt: skip
THIRDS = [0.2, 0.5, 0.3]
DISCRETE = [
    *(Law("poisson", (m,), stats.poisson(m)) for m in (0.01, 0.8, 5.0, 9.99, 10.0, 37.0, 1e4, 1e9)),
    *(
        Law("binomial", (n, p), stats.binom(n, p))
        for n, p in ((1, 0.3), (12, 0.5), (1000, 0.004), (25, 0.45), (60, 0.7), (1000, 0.97),
                     (10**6, 0.4), (10**9, 1e-9), (10**9, 0.25))
    ),
    *(Law("geometric", (p,), stats.geom(p)) for p in (0.9, 0.3, 0.004)),
    Law("negative_binomial", (3, 0.4), stats.nbinom(3, 0.4)),
    Law("negative_binomial", (0.5, 0.1), stats.nbinom(0.5, 0.1)),
    *(
        Law("hypergeometric", (good, bad, n), stats.hypergeom(good + bad, good, n))
        for good, bad, n in ((5, 5, 5), (10, 3, 4), (100, 200, 30), (3, 1000, 900), (60, 50, 100))
    ),
    *(Law("logseries", (p,), stats.logser(p)) for p in (0.01, 0.6, 0.999)),
    Law("bernoulli", (0.3,), stats.bernoulli(0.3)),
    Law("categorical", (THIRDS,), stats.rv_discrete(values=(range(3), THIRDS)).freeze()),
    Law("integers", (6,), stats.randint(0, 6)),
    Law("integers", (-3, 10), stats.randint(-3, 10)),
    Law("integers", (-128, 128), stats.randint(-128, 128), {"dtype": np.int8}),
    Law("choice", (5,), stats.randint(0, 5)),
]  # fmt: skip


def chi_square_pvalue(drawn: np.ndarray, law, bins: int = 60) -> float:
    """The p-value of whole numbers drawn, over bins in which at least 20 are expected."""
    edges = np.unique(law.ppf(np.linspace(0, 1, bins + 1)[1:-1]).astype(np.float64))
    expected = np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]])) * len(drawn)
    place = np.searchsorted(edges, drawn.astype(np.float64), side="left")
    counted = np.bincount(place, minlength=len(edges) + 1).astype(float)
    few = expected < 20
    if few.any():
        expected = np.append(expected[~few], expected[few].sum())
        counted = np.append(counted[~few], counted[few].sum())
        if expected[-1] < 20:
            assert counted[-1] < 60
            expected, counted = expected[:-1], counted[:-1]
            expected = expected * (counted.sum() / expected.sum())
    return stats.chisquare(counted, expected).pvalue if len(expected) > 1 else 1.0


def draws_of_all(rng_of: Callable, size) -> dict[str, np.ndarray]:
    """`size` draws of every law in the table, each from a generator of its own."""
    return {str(c): c.draw(rng_of(), size) for c in (*CONTINUOUS, *SINGLE, *DISCRETE)}
