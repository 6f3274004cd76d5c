"""NumPy's Generator for PyTorch: `rsample` where a distribution has one, else `sample`.

That is what someone writes who ports a simulation: draws that PyTorch can differentiate are
differentiated, the others are constants to it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from chainrule.lab.right_derivatives.libraries import Absent
from chainrule.lab.right_derivatives.libraries.torch_names import tensor


class TorchRandom:
    """Draws of PyTorch's distributions under the names of NumPy's Generator."""

    def __init__(self, seed: int):
        self._torch = import_module("torch")
        self._torch.manual_seed(seed)

    def __getattr__(self, name):
        if name not in _DRAWS:
            raise Absent(f"torch.distributions of {name}")

        def draw(*given, size=None, **named):
            distributions = self._torch.distributions
            distributions.Distribution.set_default_validate_args(False)
            parameters = [v if isinstance(v, int) else tensor(v) for v in given]
            return _sampled(_DRAWS[name](distributions, *parameters, **named), size)

        return draw

    def random(self, size=None):
        return self._torch.rand(() if size is None else size)

    def standard_normal(self, size=None):
        return self._torch.randn(() if size is None else size)

    def integers(self, low, high):
        return self._torch.randint(low, high, ())

    def choice(self, count, p):
        return self._torch.distributions.Categorical(probs=p).sample()

    def geometric(self, p):
        return 1.0 + self._torch.distributions.Geometric(tensor(p)).sample()

    def pareto(self, a):
        return self._torch.distributions.Pareto(tensor(1.0), tensor(a)).rsample() - 1.0

    def logistic(self, loc, scale):
        u = self.random()
        return loc + scale * self._torch.log(u / (1.0 - u))

    def power(self, a):
        return self.random() ** (1.0 / a)

    def rayleigh(self, scale):
        return scale * self._torch.sqrt(-2.0 * self._torch.log(self.random()))

    def exponential(self, scale=1.0, size=None):
        rate = 1.0 / tensor(scale)
        return _sampled(self._torch.distributions.Exponential(rate), size)

    def gamma(self, shape, scale=1.0):
        return scale * self._torch.distributions.Gamma(tensor(shape), tensor(1.0)).rsample()


def _sampled(distribution, size):
    shape = () if size is None else (size if isinstance(size, tuple) else (size,))
    draw = distribution.rsample if distribution.has_rsample else distribution.sample
    return draw(shape)


_DRAWS: dict[str, Callable] = {
    "normal": lambda d, loc=0.0, scale=1.0: d.Normal(tensor(loc), tensor(scale)),
    "uniform": lambda d, low=0.0, high=1.0: d.Uniform(tensor(low), tensor(high)),
    "lognormal": lambda d, mean=0.0, sigma=1.0: d.LogNormal(tensor(mean), tensor(sigma)),
    "beta": lambda d, a, b: d.Beta(a, b),
    "laplace": lambda d, loc=0.0, scale=1.0: d.Laplace(tensor(loc), tensor(scale)),
    "gumbel": lambda d, loc=0.0, scale=1.0: d.Gumbel(tensor(loc), tensor(scale)),
    "weibull": lambda d, a: d.Weibull(tensor(1.0), a),
    "standard_t": lambda d, df: d.StudentT(df),
    "chisquare": lambda d, df: d.Chi2(df),
    "f": lambda d, n, m: d.FisherSnedecor(n, m),
    "dirichlet": lambda d, alpha: d.Dirichlet(alpha),
    "multivariate_normal": lambda d, mean, cov: d.MultivariateNormal(mean, cov),
    "poisson": lambda d, lam=1.0: d.Poisson(tensor(lam)),
    "binomial": lambda d, n, p: d.Binomial(n, tensor(p)),
    "negative_binomial": lambda d, n, p: d.NegativeBinomial(n, 1.0 - p),
}
