"""Draws that are made of others: a choice among smooth draws, or a count with a random parameter.

They need no samplers of their own, and their derivatives are those of what they are made of: where
a discrete draw has a part, that of an expectation only (cr.expectation).

    wald                    one of the two roots of a quadratic equation, by a Bernoulli draw
    vonmises                2 arcsin(sqrt(s)), s a beta draw (1/2, n + 1/2), n a categorical draw
    noncentral_chisquare    a normal's square and a chi-square, or a gamma of a Poisson number more
    logseries               geometric, of the probability (1 - p)**u
    hypergeometric          a categorical draw by the table of its law; trial by trial, where counts
                            are themselves drawn
    multivariate            the first of a random order

Source    Michael, Schucany and Haas, The American Statistician 30, 1976, for `wald`; Kemp, Applied
          Statistics 30, 1981, for `logseries`; the mixture for `vonmises` is ours: the power series
          of exp(kappa (1 + cos x)), term by term.
"""

from __future__ import annotations

import math
import operator

import numpy as np

from chainrule import errors, special
from chainrule.ops import samplers_discrete as samplers
from chainrule.ops.random import FLOAT64
from chainrule.ops.samplers_elementary import portable_exp, portable_log
from chainrule.ops.select import stop_gradient
from chainrule.program.text import line_text
from chainrule.program.trace import is_traced, user_line
from chainrule.random.continuous import Continuous
from chainrule.random.discrete import Discrete
from chainrule.random.parameters import (
    as_shape,
    check,
    check_not_negative,
    check_positive,
    draw_shape,
    full,
    number,
    parameter,
    repeated,
)

MOST_CONCENTRATED = 1e6  # of a von Mises draw: a table of 36,000 terms


class Mixed(Continuous, Discrete):
    """The distributions of `Generator` that are made of others."""

    # --- continuous -------------------------------------------------------------------------------

    def wald(self, mean, scale, size=None):
        """Inverse Gaussian: when a Brownian motion with a drift first reaches a level."""
        check_positive(mean=mean, scale=scale)
        shape = draw_shape(size, mean, scale)
        mean, scale = parameter(mean, shape), parameter(scale, shape)
        first, second = self.spawn(2)
        z, ratio = first.standard_normal(shape), mean / scale
        y = z * z * ratio
        # The smaller root; 1 / root is the other one.
        root = 1.0 / (1.0 + 0.5 * y + np.abs(z) * np.sqrt(ratio * (1.0 + 0.25 * y)))
        smaller = second.bernoulli(1.0 / (1.0 + root))
        return mean * np.where(smaller, root, 1.0 / root)[()]

    def vonmises(self, mu, kappa, size=None):
        """An angle in [-pi, pi], of a density proportional to exp(kappa cos(x - mu)).

        It is taken back into that range, which is a jump where `mu` or the draw moves across pi.
        `kappa` must be at hand: its value says how many terms there are.
        """
        check_not_negative(kappa=kappa)
        shape = draw_shape(size, mu, kappa)
        terms = _terms(kappa)
        kappa = full(kappa)[..., None]
        logs = terms * np.log(0.5 * np.maximum(kappa, 1e-300)) + _log_ways(terms)
        first, second, third = self.spawn(3)
        n = first.categorical(logits=logs, size=shape) + int(terms[0])
        turn = 2.0 * np.arcsin(np.sqrt(second.beta(0.5, n + 0.5)))
        angle = np.where(third.bernoulli(0.5, size=shape), turn, -turn)[()]
        if not is_traced(mu) and not np.any(np.asarray(mu)):
            return angle
        angle = number(mu, FLOAT64) + angle
        return angle - 2.0 * np.pi * np.floor((angle + np.pi) / (2.0 * np.pi))

    def noncentral_chisquare(self, df, nonc, size=None):
        """The sum of `df` squared normals of variance 1, the squares of whose means sum to `nonc`.

        Above `df` = 1 one normal has all of the mean, beside a chi-square draw. Else, and where the
        value of `df` is not at hand, a chi-square draw of a Poisson number more degrees of freedom.
        """
        check_positive(df=df)
        check_not_negative(nonc=nonc)
        shape = draw_shape(size, df, nonc)
        first, second = self.spawn(2)
        if not is_traced(df) and np.all(np.asarray(df) > 1.0):
            z = first.normal(np.sqrt(number(nonc, FLOAT64)), 1.0, size=shape)
            return z * z + second.chisquare(np.asarray(df) - 1.0, size=shape)
        more = first.poisson(0.5 * number(nonc, FLOAT64), size=shape)
        return second.chisquare(number(df, FLOAT64) + 2.0 * more)

    def noncentral_f(self, dfnum, dfden, nonc, size=None):
        """The ratio of a noncentral chi-square and a chi-square, each over its degrees."""
        check_positive(dfnum=dfnum, dfden=dfden)
        shape = draw_shape(size, dfnum, dfden, nonc)
        first, second = self.spawn(2)
        upper = first.noncentral_chisquare(dfnum, nonc, size=shape) / number(dfnum, FLOAT64)
        return upper / (second.chisquare(dfden, size=shape) / number(dfden, FLOAT64))

    # --- discrete ---------------------------------------------------------------------------------

    def logseries(self, p, size=None):
        """A whole number k >= 1, of a probability proportional to p**k / k."""
        check(lambda p: (p >= 0) & (p < 1), "p < 0, p >= 1 or p is NaN", p)
        shape = draw_shape(size, p)
        first, second = self.spawn(2)
        rest = portable_log(1.0 - parameter(p, shape))
        return second.geometric(portable_exp(first.random(shape) * rest))

    def zipf(self, a, size=None):
        """Refused: a whole number k >= 1, of a probability proportional to k**-a."""
        raise errors.NotSupported(
            f"zipf is not supported, at {line_text(user_line())}: there is no sampler for it.\n"
            "  Draw from a table: k = np.arange(1, 1000); rng.choice(k, p=k**-a / np.sum(k**-a))."
        )

    def hypergeometric(self, ngood, nbad, nsample, size=None):
        """How many of `nsample` are good, taken without replacement from good and bad ones.

        The counts are whole numbers and have no derivative. Where `ngood` or `nbad` come from other
        draws, there is a Bernoulli draw for each of the `nsample`.
        """
        _check_whole(ngood=ngood, nbad=nbad, nsample=nsample)
        if is_traced(ngood) or is_traced(nbad):
            return self._taken(ngood, nbad, operator.index(nsample), size)
        if is_traced(nsample):
            nsample = operator.index(nsample)
        check(lambda g, b, n: (g >= 0) & (b >= 0) & (n >= 0), "ngood, nbad or nsample < 0",
              ngood, nbad, nsample)  # fmt: skip
        check(lambda g, b, n: n <= g + b, "ngood + nbad < nsample", ngood, nbad, nsample)
        least, weights = _table(ngood, nbad, nsample)
        shape = draw_shape(size, least)
        weights = full(weights)
        if least.ndim:
            weights = repeated(weights, (*shape, weights.shape[-1]))
        drawn = samplers.random_categorical(self._next_draw(), weights, shape=shape, stream=0)
        return drawn + least[()]

    def _taken(self, ngood, nbad, nsample: int, size):
        """One after the other, from what is left."""
        shape, draw = draw_shape(size, ngood, nbad), self._next_draw()
        good, bad, count = parameter(ngood, shape), parameter(nbad, shape), repeated(0, shape)
        for i in range(nsample):
            hit = samplers.random_bernoulli(draw, good / (good + bad), stream=i)
            good, bad, count = good - hit, bad - ~hit, count + hit
        return count

    def multivariate_hypergeometric(self, colors, nsample, size=None, method="marginals"):
        """How many of each colour are among `nsample`, taken without replacement from `colors`.

        `method` is NumPy's; both have the same law. The cost is that of a random order of all.
        """
        if method not in ("count", "marginals"):
            raise ValueError('method must be "count" or "marginals".')
        counts, nsample = [operator.index(c) for c in colors], operator.index(nsample)
        check(lambda c, n: np.all(c >= 0) & (n >= 0) & (n <= c.sum()),
              "colors < 0, nsample < 0 or nsample > sum(colors)", counts, nsample)  # fmt: skip
        kinds = np.arange(len(counts))
        shape = (*as_shape(size), sum(counts))
        order = samplers.random_order(self._next_draw(), shape=shape, stream=0)[..., :nsample]
        taken = full(np.repeat(kinds, counts), dtype=None)[order]
        return np.sum(taken[..., None] == kinds, axis=-2)


def _terms(kappa) -> np.ndarray:
    """The terms of the series that count for these concentrations."""
    kappa = stop_gradient(kappa) if is_traced(kappa) else kappa
    largest, least = (float(f(kappa)) for f in (np.max, np.min))
    if not largest <= MOST_CONCENTRATED:
        raise errors.NotSupported(
            f"vonmises takes kappa up to {MOST_CONCENTRATED:g}, got {largest:g}, at "
            f"{line_text(user_line())}.\n  Use rng.normal(mu, 1 / np.sqrt(kappa))."
        )
    first = max(0, math.floor(2.0 * least - 9.0 * math.sqrt(2.0 * least) - 20.0))
    return np.arange(first, math.ceil(2.0 * largest + 9.0 * math.sqrt(2.0 * largest) + 20.0), 1.0)


def _log_ways(terms: np.ndarray) -> np.ndarray:
    return special.gammaln(2.0 * terms + 1.0) - 3.0 * special.gammaln(terms + 1.0)


def _table(ngood, nbad, nsample) -> tuple[np.ndarray, np.ndarray]:
    """The smallest count of a hypergeometric draw, and the weights of it and those above it."""
    arrays = np.broadcast_arrays(*(np.asarray(x) for x in (ngood, nbad, nsample)))
    good, bad, wanted = (x.astype(np.int64) for x in arrays)
    least, most = np.maximum(wanted - bad, 0), np.minimum(wanted, good)
    k = least[..., None] + np.arange(int(np.max(most - least, initial=0)) + 1)
    inside = k <= most[..., None]
    k = np.where(inside, k, most[..., None])
    good, bad, wanted = good[..., None], bad[..., None], wanted[..., None]
    parts = (k, good - k, wanted - k, bad - wanted + k)
    logs = -sum(special.gammaln(part + 1.0) for part in parts)
    return least, np.where(inside, np.exp(logs - np.max(logs, axis=-1, keepdims=True)), 0.0)


def _check_whole(**counts) -> None:
    for name, value in counts.items():
        value = value if is_traced(value) else np.asarray(value)
        fraction = value.dtype.kind not in "iub"
        if fraction and (is_traced(value) or np.any(value != np.floor(value))):
            raise errors.DtypeError(
                f"hypergeometric takes whole numbers, got {value.dtype} for {name}, at "
                f"{line_text(user_line())}.\n  A count has no derivative: pass {name}.astype(int)."
            )
