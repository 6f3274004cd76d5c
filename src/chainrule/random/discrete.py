"""Discrete draws, choices and random orders. No derivative passes through them."""

from __future__ import annotations

import operator
from collections.abc import MutableSequence

import numpy as np

from chainrule.numpy.promotion import as_array, shape_of
from chainrule.ops import samplers_discrete as samplers
from chainrule.ops.index import index
from chainrule.ops.random import UINT64
from chainrule.ops.samplers_elementary import portable_exp
from chainrule.ops.samplers_gamma import standard_gamma
from chainrule.program.trace import is_traced
from chainrule.random.parameters import (
    as_shape,
    check,
    check_positive,
    draw_shape,
    fitting_shape,
    full,
    parameter,
    repeated,
)
from chainrule.random.state import Stream


class Discrete(Stream):
    """The discrete distributions, choices and orders of `Generator`."""

    # --- distributions ----------------------------------------------------------------------------

    def _counted(self, op, size, *parameters):
        shape = draw_shape(size, *parameters)
        arrays = [parameter(p, shape) for p in parameters]
        return op(self._next_draw(), *arrays, stream=0)

    def poisson(self, lam=1.0, size=None):
        """The number of events when `lam` are expected."""
        return self._counted(samplers.random_poisson, size, lam)

    def binomial(self, n, p, size=None):
        """The number of successes in `n` trials of probability `p`."""
        return self._counted(samplers.random_binomial, size, n, p)

    def negative_binomial(self, n, p, size=None):
        """The number of failures before the `n`-th success, in trials of probability `p`."""
        check_positive(n=n)
        check(lambda p: (p > 0) & (p <= 1), "p <= 0, p > 1 or p contains NaNs", p)
        shape, draw = draw_shape(size, n, p), self._next_draw()
        n, p = parameter(n, shape), parameter(p, shape)
        mean = standard_gamma(draw, n, stream=0) * ((1.0 - p) / p)
        return samplers.random_poisson(draw, mean, stream=1)

    def multinomial(self, n, pvals, size=None):
        """How many of `n` trials have each outcome, of the probabilities along the last axis.

        The last probability is what the others leave of 1. One binomial draw for each outcome, of
        the trials that those before have left.
        """
        check(lambda p: (p >= 0) & (p <= 1), "pvals < 0, pvals > 1 or pvals contains NaNs", pvals)
        check(lambda p: p[..., :-1].sum(-1) <= 1 + 1e-12, "sum(pvals[:-1]) > 1.0", pvals)
        chances = full(pvals)
        shape = draw_shape(size, n, chances[..., 0])
        left, rest = parameter(n, shape), repeated(full(1.0), shape)
        draw, counts = self._next_draw(), []
        for k in range(shape_of(chances)[-1] - 1):
            chance = repeated(chances[..., k], shape)
            share = np.minimum(np.where(rest > 0.0, chance / rest, 0.0), 1.0)
            counts.append(samplers.random_binomial(draw, left, share, stream=k))
            left, rest = left - counts[-1], rest - chance
        counts.append(left.astype(np.int64))
        return np.stack(counts, axis=-1)

    def geometric(self, p, size=None):
        """The number of trials up to and including the first success."""
        return self._counted(samplers.random_geometric, size, p)

    def bernoulli(self, p=0.5, size=None, dtype=bool):
        """True with probability `p`; other dtypes give 1 and 0."""
        return self._counted(samplers.random_bernoulli, size, p).astype(dtype)

    def categorical(self, p=None, size=None, *, logits=None, axis=-1):
        """An index along `axis` of the probabilities `p`, or of exp(`logits`).

        Neither need be normalised. The result has the shape of the other axes, or `size`.
        """
        if (p is None) == (logits is None):
            raise TypeError("categorical takes probabilities p or logits, one of them")
        weights = full(p if logits is None else logits)
        weights = np.moveaxis(weights, axis, -1)
        if logits is not None:
            weights = portable_exp(weights - np.max(weights, axis=-1, keepdims=True))
        lead = shape_of(weights)[:-1]
        shape = fitting_shape(size, lead)
        if lead:
            weights = repeated(weights, (*shape, shape_of(weights)[-1]))
        return samplers.random_categorical(self._next_draw(), weights, shape=shape, stream=0)

    def integers(self, low, high=None, size=None, dtype=np.int64, endpoint=False):
        """Whole numbers from `low` up to below `high`, or from 0 up to below `low`.

        With `endpoint` the upper number is included.
        """
        low, high = (0, low) if high is None else (low, high)
        dtype, shape = np.dtype(dtype), draw_shape(size, low, high)
        low, last = _bounds(low, high, dtype, endpoint)
        wide = np.dtype(np.uint64 if dtype == UINT64 else np.int64)
        low, last = (parameter(x, shape, wide).astype(np.uint64) for x in (low, last))
        with np.errstate(over="ignore"):  # modulo 2**64, as it should be
            below = samplers.random_below(self._next_draw(), last - low, stream=0)
            return (low + below).astype(dtype)

    # --- choices and orders -----------------------------------------------------------------------

    def choice(self, a, size=None, replace=True, p=None, axis=0, shuffle=True):
        """Entries of `a` along `axis` (of range(a) for a number), by the probabilities `p`.

        Without replacement the order is always random, whatever `shuffle` says.
        """
        a = as_array(a)
        count = operator.index(a) if shape_of(a) == () else shape_of(a)[axis]
        shape = as_shape(size)
        chosen = self._chosen(count, shape, replace, p)
        return chosen if shape_of(a) == () else _along(a, chosen, axis)

    def _chosen(self, count: int, shape, replace: bool, p):
        if p is not None:
            p = _probabilities(p, count)
            if replace:
                return self.categorical(p, shape)
        elif replace:
            return self.integers(count, size=shape)
        wanted = int(np.prod(shape, dtype=int))
        if wanted > count:
            raise ValueError("Cannot take a larger sample than population when replace is False")
        draw = self._next_draw()
        if p is None:
            order = samplers.random_order(draw, shape=(count,), stream=0)[:wanted]
        else:
            order = samplers.random_subset(draw, p, count=wanted, stream=0)
        return order.reshape(shape)[()]

    def permutation(self, x, axis=0):
        """range(x), or a copy of the array x along `axis`, in random order."""
        x = as_array(x)
        count = operator.index(x) if shape_of(x) == () else shape_of(x)[axis]
        order = samplers.random_order(self._next_draw(), shape=(count,), stream=0)
        return order if shape_of(x) == () else _along(x, order, axis)

    def permuted(self, x, *, axis=None):
        """A copy of x, each slice along `axis` in a random order of its own (all of x for None)."""
        x = full(x, dtype=None)
        if axis is None:
            return self.permutation(x.reshape(-1)).reshape(shape_of(x))
        last = np.moveaxis(x, axis, -1)
        order = samplers.random_order(self._next_draw(), shape=last.shape, stream=0)
        return np.moveaxis(np.take_along_axis(last, order, axis=-1), -1, axis)

    def shuffle(self, x, axis=0) -> None:
        """Put the array (or list) x in random order along `axis`, in place."""
        if isinstance(x, MutableSequence):
            order = samplers.random_order(self._next_draw(), shape=(len(x),), stream=0)
            x[:] = [x[operator.index(order[i])] for i in range(len(x))]
        else:
            x[...] = self.permutation(x, axis)


def _along(a, order, axis: int):
    """The entries of a along `axis` at these places, which are inside it."""
    a, axis = full(a, dtype=None), axis % len(shape_of(a))
    front = np.moveaxis(a, axis, 0)
    out = index(front, order, at=tuple((0, n, 1) for n in front.shape[1:]))
    if not order.ndim:
        return out if is_traced(out) else np.copy(out)[()]
    places = tuple(range(order.ndim))
    return np.moveaxis(out, places, tuple(axis + i for i in places))


def _probabilities(p, count: int):
    p = full(p)
    if shape_of(p) != (count,):
        raise ValueError("a and p must have same size")
    check(lambda p: abs(np.sum(p) - 1.0) < 1e-8, "probabilities do not sum to 1", p)
    return p


def _bounds(low, high, dtype: np.dtype, endpoint: bool):
    """The smallest and the largest number to draw, as Python ints where they came as such."""
    if dtype.kind not in "iub":
        raise TypeError(f"Unsupported dtype {dtype!r} for integers")
    least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    last = high if endpoint else (high if is_traced(high) else _exact(high)) - 1
    check(lambda a, b: a <= b, "low > high" if endpoint else "low >= high", low, last)
    check(lambda x: x >= least, f"low is out of bounds for {dtype}", low)
    check(lambda x: x <= most, f"high is out of bounds for {dtype}", last)
    return low, last


def _exact(value):
    """An integer bound whose predecessor is exact: a Python int, or an array of int64 or wider."""
    if isinstance(value, int | np.integer):
        return int(value)
    value = np.asarray(value)
    return value if value.dtype == np.uint64 else value.astype(np.int64)
