"""Log densities of draws, noted while a function is traced whose derivative is asked by its score.

Inside `noting()` each method of a generator with a law in `LAWS` holds its draw still, so that no
derivative passes through it, and notes the log of its density, whose derivative by the parameters
is the score. Laws whose support moves with a parameter (uniform, triangular) have no score; their
draws move as ever.

Source    Williams, "Simple statistical gradient-following algorithms", Machine Learning 8, 1992.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule import special
from chainrule.numpy.promotion import as_array, shape_of
from chainrule.ops.held import held
from chainrule.program.trace import is_traced


class _Notes(threading.local):
    logs: list[Any] | None = None


_notes = _Notes()


@contextmanager
def noting() -> Iterator[list]:
    """The log densities of the draws that are made inside, summed over their elements."""
    before, _notes.logs = _notes.logs, []
    try:
        yield _notes.logs
    finally:
        _notes.logs = before


# --- continuous laws ----------------------------------------------------------------------------


def _scaled(standard: Callable):
    def law(x, loc, scale):
        return standard((x - loc) / scale) - np.log(scale)

    return law


def _logistic(z):
    return -z - 2.0 * np.log1p(np.exp(-z))


def _gamma(x, shape, scale):
    z = x / scale
    return (shape - 1.0) * np.log(z) - z - special.gammaln(shape) - np.log(scale)


def _lognormal(x, mean, sigma):
    z = (np.log(x) - mean) / sigma
    return -0.5 * z * z - np.log(sigma)


def _student(x, df, loc, scale):
    z, half = (x - loc) / scale, 0.5 * (df + 1.0)
    normal = special.gammaln(half) - special.gammaln(0.5 * df) - 0.5 * np.log(df)
    return normal - half * np.log1p(z * z / df) - np.log(scale)


def _fisher(x, first, second):
    a, b = 0.5 * first, 0.5 * second
    ratio = first / second
    beta = special.gammaln(a) + special.gammaln(b) - special.gammaln(a + b)
    return a * np.log(ratio) + (a - 1.0) * np.log(x) - (a + b) * np.log1p(ratio * x) - beta


def _wald(x, mean, scale):
    return 0.5 * np.log(scale) - scale * (x - mean) ** 2 / (2.0 * mean * mean * x)


def _vonmises(x, mu, kappa):
    return kappa * (np.cos(x - mu) - 1.0) - np.log(special.i0e(kappa))


def _beta(x, a, b):
    normal = special.gammaln(a + b) - special.gammaln(a) - special.gammaln(b)
    return normal + (a - 1.0) * np.log(x) + (b - 1.0) * np.log1p(-x)


def _dirichlet(x, alpha):
    alpha = as_array(alpha)
    normal = special.gammaln(np.sum(alpha, axis=-1)) - np.sum(special.gammaln(alpha), axis=-1)
    return normal + np.sum((alpha - 1.0) * np.log(x), axis=-1)


def _multivariate_normal(x, mean, cov, method):
    mean, cov = as_array(mean), as_array(cov)
    centred = (x - mean)[..., None]
    square = np.sum(centred * np.linalg.solve(cov, centred), axis=(-2, -1))
    return -0.5 * (square + np.linalg.slogdet(cov)[1])


# --- discrete laws ------------------------------------------------------------------------------


def _whole(x):
    return x.astype(np.float64)


def _times_log(count, p):
    """count log(p), and 0 where the count is 0."""
    return np.where(count == 0.0, 0.0, count * np.log(np.where(count == 0.0, 1.0, p)))


def _negative_binomial(x, n, p):
    k = _whole(x)
    return special.gammaln(k + n) - special.gammaln(n) + n * np.log(p) + k * np.log1p(-p)


def _multinomial(x, n, pvals):
    counts, first = _whole(x), pvals[..., :-1]
    last = _times_log(counts[..., -1], 1.0 - np.sum(first, axis=-1))
    return np.sum(_times_log(counts[..., :-1], first), axis=-1) + last


def _logseries(x, p):
    return _whole(x) * np.log(p) - np.log(-np.log1p(-p))


def _categorical(x, p, logits, axis):
    weights = np.moveaxis(as_array(p if logits is None else logits), axis, -1)
    logs = np.log(weights) if logits is None else weights
    logs = logs - special.logsumexp(logs, axis=-1, keepdims=True)
    if len(shape_of(logs)) == 1:
        return logs[x]
    logs = np.broadcast_to(logs, (*shape_of(x), shape_of(logs)[-1]))
    return np.take_along_axis(logs, x[..., None], axis=-1)[..., 0]


# Constants that depend on no parameter are left out.
LAWS: dict[str, Callable] = {
    "normal": _scaled(lambda z: -0.5 * z * z),
    "laplace": _scaled(lambda z: -np.abs(z)),
    "gumbel": _scaled(lambda z: -z - np.exp(-z)),
    "logistic": _scaled(_logistic),
    "cauchy": _scaled(lambda z: -np.log1p(z * z)),
    "exponential": lambda x, scale: -x / scale - np.log(scale),
    "lognormal": _lognormal,
    "rayleigh": lambda x, scale: -0.5 * (x / scale) ** 2 - 2.0 * np.log(scale),
    "weibull": lambda x, a: np.log(a) + (a - 1.0) * np.log(x) - x**a,
    "pareto": lambda x, a: np.log(a) - (a + 1.0) * np.log1p(x),
    "power": lambda x, a: np.log(a) + (a - 1.0) * np.log(x),
    "standard_gamma": lambda x, shape: _gamma(x, shape, 1.0),
    "gamma": _gamma,
    "chisquare": lambda x, df: _gamma(x, 0.5 * df, 2.0),
    "standard_t": lambda x, df: _student(x, df, 0.0, 1.0),
    "student_t": _student,
    "f": _fisher,
    "beta": _beta,
    "dirichlet": _dirichlet,
    "wald": _wald,
    "vonmises": _vonmises,
    "multivariate_normal": _multivariate_normal,
    "poisson": lambda x, lam: _whole(x) * np.log(lam) - lam,
    "binomial": lambda x, n, p: _times_log(_whole(x), p) + _times_log(n - _whole(x), 1.0 - p),
    "negative_binomial": _negative_binomial,
    "multinomial": _multinomial,
    "logseries": _logseries,
    "geometric": lambda x, p: _times_log(_whole(x) - 1.0, 1.0 - p) + np.log(p),
    "bernoulli": lambda x, p: np.where(x, np.log(p), np.log1p(-p)),
    "categorical": _categorical,
}
_NOT_PARAMETERS = frozenset({"self", "size", "dtype"})


def noted(name: str, method: Callable) -> Callable:
    """A generator's method, that notes the log density of its draws inside `noting()`."""
    signature = inspect.signature(method)
    law: Callable = LAWS[name]

    @functools.wraps(method)
    def draw(*args, **kwargs):
        logs = _notes.logs
        if logs is None:
            return method(*args, **kwargs)
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        _notes.logs = None  # the draws that it is made of are not drawn by the user
        try:
            x = method(*args, **kwargs)
            parameters = {n: as_array(v) for n, v in given.arguments.items()
                          if n not in _NOT_PARAMETERS}  # fmt: skip
            if not any(is_traced(v) for v in parameters.values()):
                return x
            if x.dtype.kind == "f":
                x = held(x)
            value = x if name != "bernoulli" else x.astype(bool)
            logs.append(np.sum(law(value, *parameters.values())))
            return x
        finally:
            _notes.logs = logs

    return draw
