"""Composite reductions written out: softmax and its relatives, and the Euclidean norm.

Value     the operation's own formula, step by step, so also its special values: a largest entry
          that is infinite, ties, axes without entries.
Source    chainrule.ops.special.logistic and chainrule.ops.norms.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.ops.compare import equal, isfinite
from chainrule.ops.contract import contract
from chainrule.ops.elementwise import add, exp, imag, log, log1p, multiply, real, sqrt
from chainrule.ops.reduce import max_
from chainrule.ops.select import cast, constant_like, select
from chainrule.ops.shape import broadcast, kept_axes, reshape, sum_


def _spread(reduced, like, axes):
    """A reduced array repeated back over the axes that were reduced."""
    return broadcast(reduced, shape=like.shape, axes=kept_axes(like.ndim, axes))


def _shares_of(exponentials, axes):
    return exponentials / _spread(sum_(exponentials, axes=axes), exponentials, axes)


def _softmax(x, *, axes):
    if not x.size:
        return x
    return _shares_of(exp(x - _spread(max_(x, axes=axes), x, axes)), axes)


def _softmax_shares(x, *, axes):
    if not x.size:
        return x
    largest = _spread(max_(x, axes=axes), x, axes)
    return _shares_of(exp(select(equal(x, largest), constant_like(x, 0), x - largest)), axes)


def _or_zero(x):
    """x where it is finite, else 0."""
    return select(isfinite(x), x, constant_like(x, 0))


def _log_softmax(x, *, axes):
    if not x.size:
        return x
    shifted = x - _spread(_or_zero(max_(x, axes=axes)), x, axes)
    return shifted - _spread(log(sum_(exp(shifted), axes=axes)), x, axes)


def _logsumexp(x, *, axes):
    if 0 in (x.shape[a] for a in axes):
        lowest = constant_like(x, -np.inf)
        shape = tuple(x.shape[a] for a in kept_axes(x.ndim, axes))
        return broadcast(lowest, shape=shape, axes=()) if shape else lowest
    if not x.size:
        return sum_(x, axes=axes)
    largest = max_(x, axes=axes)
    ties = equal(x, _spread(largest, x, axes))
    others = select(ties, constant_like(x, -np.inf), x) - _spread(_or_zero(largest), x, axes)
    rest = sum_(exp(others), axes=axes)
    count = sum_(cast(ties, dtype=x.dtype), axes=axes)  # behind it: one pass makes both
    out = log1p(rest / count) + log(count) + largest
    return select(isfinite(out), out, largest)


def _square_sum(x):
    flat = reshape(x, shape=(x.size,))
    return contract(flat, flat, axes=((0,), (0,)), batch=((), ()))


def _norm(x, *, axes):
    is_complex = x.dtype.kind == "c"
    if len(axes) == x.ndim:
        return sqrt(add(_square_sum(real(x)), _square_sum(imag(x))) if is_complex
                    else _square_sum(x))  # fmt: skip
    if not is_complex:
        return sqrt(sum_(multiply(x, x), axes=axes))
    squares = multiply(real(x), real(x)) + multiply(imag(x), imag(x))
    return sqrt(sum_(squares, axes=axes))


REDUCTIONS: dict[str, Callable] = {
    "softmax": _softmax, "softmax_shares": _softmax_shares, "log_softmax": _log_softmax,
    "logsumexp": _logsumexp, "norm": _norm,
}  # fmt: skip


def _of_nothing(start: float) -> Callable:
    """A reduction over axes without entries: what it starts from."""

    def rule(x, *, axes):
        if x.size:
            return NotImplemented
        shape = tuple([n for axis, n in enumerate(x.shape) if axis not in axes])
        return broadcast(x.dtype.type(start), shape=shape, axes=())

    return rule


EMPTY: dict[str, Callable] = {"sum": _of_nothing(0), "prod": _of_nothing(1)}
