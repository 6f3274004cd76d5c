"""The logistic function and its many-valued form: expit, logit, log_expit, softmax, logsumexp.

Value     expit(x) = 1 / (1 + e^-x) and its relatives: SciPy's. The three over axes subtract the
          largest entry first, as SciPy's do (bit for bit, softmax and log_softmax), so large
          entries never overflow.
Slope     expit' = expit(x) expit(-x), which keeps all digits in both tails, where out (1 - out)
          cancels. logsumexp' = softmax. softmax' dx = out (dx - <out, dx>).
Edges     logsumexp with entries +inf, or all -inf: the derivative is shared by the largest
          entries, as at a tie (softmax itself gives nan there, as SciPy's does).
Source    Blanchard, Higham, Higham, IMA J. Numer. Anal. 41 (2021) 2311.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.ops.elementwise import exp, scale
from chainrule.ops.shape import broadcast, kept_axes, reduced_type, reduction_batch, sum_
from chainrule.ops.special.scipy_functions import scipy_elementwise
from chainrule.program.op import Edge, Forward, Op
from chainrule.program.types import Type

inf = math.inf

expit: Op = scipy_elementwise(
    "expit",
    (lambda x, out: out * expit(-x),),
    edges=(Edge(-inf, 0.0, 0.0), Edge(0.0, 0.5, 0.25), Edge(inf, 1.0, 0.0)),
)
logit = scipy_elementwise(
    "logit",
    (lambda x, out: 1.0 / (x * (1.0 - x)),),
    edges=(Edge(0.0, -inf, inf), Edge(0.5, 0.0, 4.0), Edge(1.0, inf, inf)),
)
log_expit = scipy_elementwise(
    "log_expit",
    (lambda x, out: expit(-x),),
    edges=(Edge(-inf, -inf, 1.0), Edge(inf, 0.0, 0.0)),
)

# --- over axes ----------------------------------------------------------------------------------


def _same_type(x: Type, *, axes) -> tuple[Type, ...]:
    return (x,)


def _largest(x, axes):
    return np.maximum.reduce(x, axes, keepdims=True)


def _softmax(x, *, axes):
    if x.size == 0:
        return x
    exponentials = np.exp(x - _largest(x, axes))
    return exponentials / np.add.reduce(exponentials, axes, dtype=x.dtype, keepdims=True)


def _shares(x, *, axes):
    if x.size == 0:
        return x
    largest = _largest(x, axes)
    exponentials = np.exp(np.where(x == largest, x.dtype.type(0), x - largest))
    return exponentials / np.add.reduce(exponentials, axes, dtype=x.dtype, keepdims=True)


def _log_softmax(x, *, axes):
    if x.size == 0:
        return x
    largest = _largest(x, axes)
    shifted = x - np.where(np.isfinite(largest), largest, x.dtype.type(0))
    total = np.add.reduce(np.exp(shifted), axes, dtype=x.dtype, keepdims=True)
    return shifted - np.log(total)


def _logsumexp(x, *, axes):
    """largest + log(count) + log1p(the others / count): the largest keep their exact share."""
    if 0 in (x.shape[a] for a in axes):
        return np.full(_reduced_shape(x.shape, axes), -inf, x.dtype)[()]
    largest = _largest(x, axes)
    ties = x == largest
    others = np.where(ties, x.dtype.type(-inf), x) - np.where(np.isfinite(largest), largest, 0)
    count = np.add.reduce(ties, axes, dtype=x.dtype)
    rest = np.add.reduce(np.exp(others), axes, dtype=x.dtype)
    out = np.log1p(rest / count) + np.log(count) + largest.reshape(np.shape(count))
    return np.where(np.isfinite(out), out, largest.reshape(np.shape(count)))[()]


def _reduced_shape(shape, axes) -> tuple[int, ...]:
    return tuple(n for a, n in enumerate(shape) if a not in axes)


def _weighted_sum(weights, dx, axes):
    """The sum of weights times dx over axes, repeated back over them."""
    total = sum_(scale(weights, dx), axes=axes)
    return broadcast(total, shape=weights.shape, axes=kept_axes(weights.ndim, axes))


def _softmax_tangent(inputs, outputs, tangents, *, axes):
    (out,), (dx,) = outputs, tangents
    return scale(out, dx - _weighted_sum(out, dx, axes))


def _log_softmax_tangent(inputs, outputs, tangents, *, axes):
    (out,), (dx,) = outputs, tangents
    return dx - _weighted_sum(exp(out), dx, axes)


def _logsumexp_tangent(inputs, outputs, tangents, *, axes):
    (x,), (dx,) = inputs, tangents
    return sum_(scale(softmax_shares(x, axes=axes), dx), axes=axes)


def _over_axes(name: str, type_rule, evaluate, rule, doc: str) -> Op:
    def type_of_floats(x: Type, *, axes) -> tuple[Type, ...]:
        if x.dtype.kind != "f":
            raise TypeError(f"{name} is not defined for dtype {x.dtype}")
        return type_rule(x, axes=axes)

    op: Op = Op(
        name, type_of_floats, evaluate, Forward(rule), reduction_batch(lambda: op),
        flops=lambda ins, outs, params: 12 * ins[0].size, doc=doc,
    )  # fmt: skip
    return op


softmax = _over_axes(
    "softmax", _same_type, _softmax, _softmax_tangent, "exp(x) / sum(exp(x)) over `axes`"
)
softmax_shares = _over_axes(
    "softmax_shares",
    _same_type,
    _shares,
    _softmax_tangent,
    "as softmax, and where the largest entries are infinite they have equal shares",
)
log_softmax = _over_axes(
    "log_softmax", _same_type, _log_softmax, _log_softmax_tangent, "log(softmax(x)) over `axes`"
)
logsumexp = _over_axes(
    "logsumexp", reduced_type, _logsumexp, _logsumexp_tangent, "log(sum(exp(x))) over `axes`"
)
