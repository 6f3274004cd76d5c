"""Functions of matrices whose derivatives of every order are one family: adjugate, exponential.

For F = adjugate or exp, D^k F(A)[E1, ..., Ek] is the k-th derivative along k directions: linear in
each, symmetric in all. Two operations hold the family: `F(A)`, and `F_derivative(E1, A, E2, ...)`,
whose own slope by A is the next member. Both F are gradients, D g(A)[E] = tr(F(A) E) with g = det
and g = tr exp; so every member's transpose is a member again:

    <C, D^k F(A)[E1, E2, ...]>  =  <(D^k F(A)[C^H, E2, ...])^H, E1>     (real inner product)

Value     adjugate: det(A) A^-1, and for singular A from the singular values, without division by
          zero. exp: scipy.linalg.expm; its derivatives are a block of the exponential of a matrix
          that holds A and the directions.
Source    mixed discriminants (Bapat 1989) in the basis of singular vectors, ours; Mathias, "A chain
          rule for matrix functions", SIAM J. Matrix Anal. 1996, theorem 4.1.
"""

from importlib import import_module
from itertools import permutations
from math import prod

import numpy as np

from chainrule import errors
from chainrule.ops.matrices import adjoint, batch_all
from chainrule.program.op import Forward, Linear, Op
from chainrule.program.types import Type


def family(name: str, along, doc: str) -> tuple[Op, Op]:
    """The operations `name` and `name_derivative`, of a value `along(a, directions)`."""

    def type_rule(*types: Type) -> tuple[Type, ...]:
        first = types[0]
        if first.ndim < 2 or first.shape[-1] != first.shape[-2] or len(set(types)) != 1:
            raise errors.ShapeError(f"{name} needs equal stacks of square matrices, got {types}.")
        return (first,)

    def tangent(inputs, outputs, tangents):
        return derivative(tangents[0], inputs[0])

    def tangent_by_others(inputs, outputs, tangents):
        first, a, *more = inputs
        moves = [] if tangents[1] is None else [derivative(tangents[1], a, first, *more)]
        for i, moved in enumerate(tangents[2:]):
            if moved is not None:
                rest = more[:i] + more[i + 1 :]
                moves.append(derivative(moved, a, first, *rest))
        return sum(moves[1:], start=moves[0])

    def transposed(ct, first, a, *more):
        out = adjoint(derivative(adjoint(ct), a, *more))
        return (out, None, *(None for _ in more))

    def cost(ins, outs, params) -> int:
        return 30 * ins[0].shape[-1] * ins[0].size * 2 ** (len(ins) - 1)

    value: Op = Op(
        name, type_rule, lambda a: along(a, ()), Forward(tangent), batch_all(lambda: value),
        flops=cost, doc=doc,
    )  # fmt: skip
    derivative: Op = Op(
        f"{name}_derivative", type_rule, lambda first, a, *more: along(a, (first, *more)),
        Linear(transposed, positions=(0,), forward=tangent_by_others),
        batch_all(lambda: derivative), flops=cost,
        doc=f"(e, a, *more): the derivative of `{name}` at a along the directions e, *more",
    )  # fmt: skip
    return value, derivative


# --- the adjugate -------------------------------------------------------------------------------


def _adjugate_along(a, directions):
    if not a.size:
        return np.array(a)
    if not np.isfinite(a).all():
        return np.full_like(a, np.nan)
    if not directions:
        regular = _adjugate_of_regular(a)
        if regular is not None:
            return regular
    u, s, vh = np.linalg.svd(a)
    uh, v = np.conj(np.swapaxes(u, -1, -2)), np.conj(np.swapaxes(vh, -1, -2))
    inside = _adjugate_of_diagonal(s, [uh @ e @ v for e in directions])
    phase = np.linalg.det(u) * np.linalg.det(vh)
    return (phase[..., None, None] * (v @ inside @ uh)).astype(a.dtype, copy=False)


def _adjugate_of_regular(a):
    """det(A) A^-1 where all matrices are far from singular, else None."""
    try:
        inverse = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return None
    condition = np.abs(a).max(axis=(-2, -1)) * np.abs(inverse).max(axis=(-2, -1))
    out = np.linalg.det(a)[..., None, None] * inverse
    if not (condition < 1e3).all() or not np.isfinite(out).all():
        return None
    return out.astype(a.dtype, copy=False)


def _adjugate_of_diagonal(s, directions):
    """D^k adj(diag(s))[directions], as a sum over permutations of k + 1 places.

    det(diag(s) + X) is the sum over sets I of rows of det(X_I) times the product of the other s.
    The product of the others is prod(s) / s_i1 ... s_im; zeros among s count as 1 there, and the
    set I must hold all of them.
    """
    zero = s <= s[..., :1] * np.finfo(s.dtype).eps ** 2
    filled = np.where(zero, 1, s)
    count = len(directions) + 1
    places = "abcdefgh"[:count]
    weights = _weights(zero, 1 / filled, count)
    total = np.zeros((*s.shape, s.shape[-1]))
    for order in permutations(range(count)):
        row, column = places[order[-1]], places[-1]
        entries = "".join(f",...{places[i]}{places[order[i]]}" for i in range(count - 1))
        result = column if row == column else row + column
        term = np.einsum(f"...{places}{entries}->...{result}", weights, *directions)
        if row == column:
            term = term[..., None] * np.eye(s.shape[-1])
        total = total + _sign(order) * term
    return filled.prod(axis=-1)[..., None, None] * total


def _weights(zero, reciprocal, count: int):
    """The tensor of products of reciprocals: 0 where an index repeats or a zero is left out."""
    n = zero.shape[-1]
    out, held, numbers = np.ones(()), np.zeros((), int), np.indices((n,) * count)
    for place in range(count):
        along = (..., *(slice(None) if p == place else None for p in range(count)))
        out = out * reciprocal[along]
        held = held + zero[along]
    missing = zero.sum(axis=-1)[(..., *(None,) * count)]
    distinct = np.ones((n,) * count, bool)
    for i in range(count):
        for j in range(i):
            distinct &= numbers[i] != numbers[j]
    return np.where(distinct & (held == missing), out, 0)


def _sign(order) -> int:
    inversions = sum(order[i] > order[j] for j in range(len(order)) for i in range(j))
    return -1 if inversions % 2 else 1


adjugate, adjugate_derivative = family(
    "adjugate", _adjugate_along, "the adjugates: det(a) times the inverse, for every matrix"
)


# --- the exponential ----------------------------------------------------------------------------


def block_of_derivative(function, a, directions):
    """The last block in the first row of F([[A, E1, E2, 0], [0, A, 0, E2], ...]), F = `function`.

    Block (p, q) holds E_i where q is p with bit i set: the algebra of commuting e_i, e_i^2 = 0.
    Directions are scaled to A's size, or the exponential would square more often than A needs.
    """
    if not a.size:
        return np.array(a)
    if not directions:
        return function(a).astype(a.dtype, copy=False)
    sizes = [np.abs(e).max(axis=(-2, -1), keepdims=True) for e in directions]
    if not all(np.isfinite(size).all() for size in (*sizes, a)):
        return np.full_like(a, np.nan)
    wanted = np.maximum(np.abs(a).max(axis=(-2, -1), keepdims=True), 1e-3)
    factors = [np.where(size > 0, size / wanted, 1) for size in sizes]
    n, blocks = a.shape[-1], 2 ** len(directions)
    wide = np.zeros((*a.shape[:-2], blocks, n, blocks, n), np.result_type(a.dtype, np.float64))
    for p in range(blocks):
        wide[..., p, :, p, :] = a
        for i, (e, factor) in enumerate(zip(directions, factors, strict=True)):
            if not p >> i & 1:
                wide[..., p, :, p | 1 << i, :] = e / factor
    out = function(wide.reshape(*a.shape[:-2], blocks * n, blocks * n))[..., :n, -n:]
    return (out * prod(factors)).astype(a.dtype, copy=False)


def _expm_along(a, directions):
    return block_of_derivative(import_module("scipy.linalg").expm, a, directions)


expm, expm_derivative = family("expm", _expm_along, "the matrix exponentials")
