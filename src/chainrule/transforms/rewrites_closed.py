"""Rewrites that find closed forms: products with numbers, filled, diagonal and symmetric matrices,
products of products, inverses whose entries are known.

They hold in exact arithmetic, and change how results are rounded, or what infinities and nans give.
They are for gradients, whose value is not the user's own expression; functions keep theirs.

Source    Giles, 2008, for d log|det A| = tr(A^-1 dA); the rest is linear algebra.
"""

from __future__ import annotations

import math
import operator

import numpy as np

from chainrule.ops.shape import kept_axes
from chainrule.program.program import Equation, Literal, Operand, folded
from chainrule.transforms.rewrites_contract import free_axes
from chainrule.transforms.rewriting import Graph, Rewrite, is_real

_INT64 = np.dtype(np.int64)


def _number(value: float, like: Operand) -> Literal:
    return Literal(like.type.dtype.type(value))


# --- numbers --------------------------------------------------------------------------------------


def _factor(x: Operand, graph: Graph):
    """(number, rest) where an operand is a literal number times the rest."""
    made = graph.made_by(x, "multiply")
    if made is not None:
        for one, other in (made.inputs, made.inputs[::-1]):
            if one.is_literal and not other.is_literal and is_real(other):
                return one, other
    made = graph.made_by(x, "negative")
    if made is not None and is_real(x):
        return _number(-1.0, x), made.inputs[0]
    return None


def _number_times_number(equation: Equation, graph: Graph):
    if equation.op.name == "negative":
        found = graph.made_by(equation.inputs[0], "multiply") and _factor(equation.inputs[0], graph)
        if not found:
            return None
        return _times(folded("negative", operator.neg, found[0]), found[1], graph)
    for one, other in (equation.inputs, equation.inputs[::-1]):
        if one.is_literal and is_real(other):
            found = _factor(other, graph)
            if found is not None:
                return _times(folded("multiply", operator.mul, one, found[0]), found[1], graph)
    return None


def _times(number: Literal, x: Operand, graph: Graph) -> Operand:
    return x if number.value == 1 else graph.emit("multiply", number, x)


def _scale_by_one(equation: Equation, graph: Graph):
    for one, other in (equation.inputs, equation.inputs[::-1]):
        number = one if one.is_literal else _filled(one, graph)
        if number is not None and number.value == 1 and is_real(other):
            return graph.of_type(other, equation.outputs[0].type)
    return None


def _number_before(equation: Equation, graph: Graph):
    """A linear operation of a number times x: the number is taken out."""
    side = 1 if equation.op.name == "solve" else 0
    sides = (0, 1) if equation.op.name == "contract" else (side,)
    for k in sides:
        found = _factor(equation.inputs[k], graph)
        if found is None or graph.uses(equation.inputs[k]) > 1:
            continue
        operands = list(equation.inputs)
        operands[k] = found[1]
        made = graph.emit(equation.op.name, *operands, **equation.params)
        return graph.emit("multiply", found[0], made)
    return None


def _sum_of_multiples(equation: Equation, graph: Graph):
    """a x + b x -> (a + b) x."""
    parts = []
    for x in equation.inputs:
        if x.is_literal or not is_real(x):
            return None
        parts.append(_factor(x, graph) or (_number(1.0, x), x))
    (a, x), (b, y) = parts
    if x is not y:
        return None
    sign = -1.0 if equation.op.name == "subtract" else 1.0
    name, function = ("add", operator.add) if sign > 0 else ("subtract", operator.sub)
    return _times(folded(name, function, a, b), x, graph)


# --- products with simple matrices ----------------------------------------------------------------


def _with_number(equation: Equation, graph: Graph):
    """contract(s, x) of a value without axes -> s * x."""
    for s, x in (equation.inputs, equation.inputs[::-1]):
        if s.type.ndim or not is_real(x):
            continue
        if s.is_literal and s.value == 1:
            return graph.of_type(x, equation.outputs[0].type)
        if not s.is_literal and x.type.ndim:
            s = graph.emit("broadcast", s, shape=x.type.shape, axes=())
        return graph.emit("multiply", s, x)
    return None


def _with_filled(equation: Equation, graph: Graph):
    """contract(filled(s), x) -> s * sum(x), repeated along the free axes of the filled array."""
    for side in (0, 1):
        filled, x = equation.inputs[side], equation.inputs[1 - side]
        made = graph.made_by(filled, "broadcast")
        if made is None or made.inputs[0].type.ndim or not is_real(x) or not x.type.ndim:
            continue
        s = made.inputs[0]
        over = equation.params["axes"][1 - side]
        batch, free = equation.params["batch"][1 - side], free_axes(equation, 1 - side)
        total = graph.emit("sum", x, axes=over) if over else x
        kept = kept_axes(x.type.ndim, over)
        order = tuple([kept.index(a) for a in (*batch, *free)])
        if order != tuple(range(len(order))):
            total = graph.emit("transpose", total, axes=order)
        if not (s.is_literal and s.value == 1):
            total = _scaled(s, total, graph)
        out = equation.outputs[0].type
        start = len(batch) + (len(free_axes(equation, 0)) if side == 0 else 0)
        axes = (*range(len(batch)), *range(start, start + len(free)))
        if total.type.shape == out.shape:
            return graph.of_type(total, out)
        return graph.emit("broadcast", total, shape=out.shape, axes=axes)
    return None


def _scaled(s: Operand, x: Operand, graph: Graph) -> Operand:
    if not s.is_literal and x.type.ndim:
        s = graph.emit("broadcast", s, shape=x.type.shape, axes=())
    return graph.emit("multiply", s, x)


def diagonal_of(x: Operand, graph: Graph) -> Operand | None:
    """The diagonal of a square matrix that is zero elsewhere, as the program makes it."""
    if x.is_literal or x.type.ndim != 2 or x.type.shape[0] != x.type.shape[1]:
        return None
    made = graph.maker(x)
    size = x.type.shape[0]
    if made is None:
        return None
    if made.op.name == "index_add" and not made.params["at"] and len(made.inputs) == 4:
        zeros, value, rows, columns = made.inputs
        if rows is columns and _is_zero(zeros, graph) and _counts(rows, size, graph):
            return value
    if made.op.name == "reshape":
        written = graph.made_by(made.inputs[0], "index_set")
        at = ((0, size * size, size + 1),)
        if written is not None and written.params["at"] == at and len(written.inputs) == 2:
            if _is_zero(written.inputs[0], graph):
                return written.inputs[1]
    return None


def _is_zero(x: Operand, graph: Graph) -> bool:
    if x.is_literal:
        return bool(x.value == 0)
    made = graph.maker(x)
    if made is None or made.op.name not in ("broadcast", "reshape"):
        return False
    return _is_zero(made.inputs[0], graph)


def _counts(x: Operand, size: int, graph: Graph) -> bool:
    """Whether an index array is 0, 1, ..., size - 1."""
    made = graph.maker(x)
    return made is not None and made.op.name == "iota" and made.params["size"] == size


def _with_diagonal(equation: Equation, graph: Graph):
    """contract(diag(v), x) over one axis -> v * x along that axis."""
    axes, batch = equation.params["axes"], equation.params["batch"]
    if batch[0] or len(axes[0]) != 1:
        return None
    for side in (0, 1):
        v = diagonal_of(equation.inputs[side], graph)
        x = equation.inputs[1 - side]
        if v is None or not is_real(x) or v.type.ndim > 1:
            continue
        (axis,) = axes[1 - side]
        if v.is_literal or (v.type.ndim and (m := _filled(v, graph)) is not None and (v := m)):
            made = x if v.value == 1 else graph.emit("multiply", v, x)
        else:
            wide = graph.emit("broadcast", v, shape=x.type.shape, axes=(axis,))
            made = graph.emit("multiply", wide, x)
        others = [a for a in range(x.type.ndim) if a != axis]
        order = tuple([axis, *others] if side == 0 else [*others, axis])
        return made if order == tuple(range(len(order))) else graph.emit(
            "transpose", made, axes=order)  # fmt: skip
    return None


def _filled(x: Operand, graph: Graph) -> Literal | None:
    made = graph.made_by(x, "broadcast")
    return made.inputs[0] if made is not None and made.inputs[0].is_literal else None


# --- symmetric matrices ---------------------------------------------------------------------------

_DEPTH = 12  # equations that are looked at above a matrix


def is_symmetric(x: Operand, graph: Graph, depth: int = _DEPTH) -> bool:
    """Whether a real matrix equals its transpose, by the way it is made."""
    if x.is_literal:
        return True
    made = graph.maker(x)
    square = x.type.ndim == 2 and x.type.shape[0] == x.type.shape[1]
    if made is None or not depth or not square or not is_real(x):
        return False
    name, inputs = made.op.name, made.inputs
    if name == "contract":
        axes = made.params["axes"]
        return inputs[0] is inputs[1] and axes[0] == axes[1] and not made.params["batch"][0]
    if name == "broadcast":
        return not inputs[0].type.ndim
    if name in ("add", "multiply") and _are_transposes(inputs[0], inputs[1], graph):
        return True
    if made.op.elementwise and made.op.name != "select":
        return all(is_symmetric(y, graph, depth - 1) for y in inputs)
    if name in ("inv", "transpose"):
        return is_symmetric(inputs[0], graph, depth - 1)
    return diagonal_of(x, graph) is not None


def _are_transposes(x: Operand, y: Operand, graph: Graph) -> bool:
    for one, other in ((x, y), (y, x)):
        made = graph.made_by(one, "transpose")
        if made is not None and made.inputs[0] is other and made.params["axes"] == (1, 0):
            return True
    return False


def _transposed(equation: Equation, graph: Graph):
    (x,) = equation.inputs
    if equation.params["axes"] == (1, 0) and not x.is_literal and is_symmetric(x, graph):
        return x
    return None


def _solved_adjoint(equation: Equation, graph: Graph):
    a, b = equation.inputs
    if not equation.params["adjoint"] or not is_symmetric(a, graph):
        return None
    return graph.emit("solve", a, b, adjoint=False, raises=equation.params["raises"])


def _with_symmetric(equation: Equation, graph: Graph):
    """A vector times a symmetric matrix S: always S v, so that equal products are merged."""
    x, y = equation.inputs
    axes, batch = equation.params["axes"], equation.params["batch"]
    if batch[0] or len(axes[0]) != 1:
        return None
    if x.type.ndim == 1 and y.type.ndim == 2 and is_symmetric(y, graph):
        return graph.emit("contract", y, x, axes=((1,), (0,)), batch=((), ()))
    if y.type.ndim == 1 and x.type.ndim == 2 and axes[0] == (0,) and is_symmetric(x, graph):
        return graph.emit("contract", x, y, axes=((1,), (0,)), batch=((), ()))
    return None


# --- products of products -------------------------------------------------------------------------


def _regrouped(equation: Equation, graph: Graph):
    """(A B) v -> A (B v), where that takes fewer flops and nobody else reads A B."""
    if equation.params["batch"][0] or len(equation.params["axes"][0]) != 1:
        return None
    for side in (0, 1):
        inner = graph.made_by(equation.inputs[side], "contract")
        if inner is None or graph.uses(equation.inputs[side]) > 1:
            continue
        if inner.params["batch"][0] or len(inner.params["axes"][0]) > 1:
            continue
        found = _inside_out(equation, side, inner, graph)
        if found is not None:
            return found
    return None


def _inside_out(equation: Equation, side: int, inner: Equation, graph: Graph):
    """The outer operand multiplied first by the inner operand that it meets."""
    other = equation.inputs[1 - side]
    (axis,), (across,) = equation.params["axes"][side], equation.params["axes"][1 - side]
    sides = ("first", "second")
    free = [(name, a) for i, name in enumerate(sides) for a in free_axes(inner, i)]
    which, place = free[axis]
    met, left = (0, 1) if which == "first" else (1, 0)
    a, b = inner.inputs[met], inner.inputs[left]
    joint = inner.params["axes"][left]
    if a.type.ndim != 1 + len(joint) or b.type.ndim > 2 or other.type.ndim > 2:
        return None
    rest = other.type.size // max(other.type.shape[across], 1)
    if 2 * rest * (a.type.size + b.type.size) >= _flops(inner) + _flops(equation):
        return None
    if not joint:  # (a b^T) v -> b (a^T v)
        first = graph.emit("contract", other, a, axes=((across,), (0,)), batch=((), ()))
        pair = (b, first) if side == 0 else (first, b)
        return graph.emit("contract", *pair, axes=((), ()), batch=((), ()))
    (joint_b,) = joint
    if side == 0:
        first = graph.emit("contract", a, other, axes=((place,), (across,)), batch=((), ()))
        return graph.emit("contract", b, first, axes=((joint_b,), (0,)), batch=((), ()))
    first = graph.emit("contract", other, a, axes=((across,), (place,)), batch=((), ()))
    last = first.type.ndim - 1
    return graph.emit("contract", first, b, axes=((last,), (joint_b,)), batch=((), ()))


def _flops(equation: Equation) -> int:
    x = equation.inputs[0].type
    over = math.prod(x.shape[a] for a in equation.params["axes"][0])
    return (2 if equation.params["axes"][0] else 1) * equation.outputs[0].type.size * over


# --- inverses -------------------------------------------------------------------------------------


def _inverse_of_diagonal(equation: Equation, graph: Graph):
    """inv(diag(v)) -> diag(1 / v)."""
    (x,) = equation.inputs
    v = diagonal_of(x, graph)
    made = graph.maker(x)
    if v is None or made is None or v.is_literal:
        return None
    inverse = graph.emit("divide", _number(1.0, v), v)
    if made.op.name == "index_add":
        zeros, _, rows, columns = made.inputs
        return graph.emit("index_add", zeros, inverse, rows, columns, at=())
    written = graph.maker(made.inputs[0])
    assert written is not None
    flat = graph.emit("index_set", written.inputs[0], inverse, at=written.params["at"])
    return graph.emit("reshape", flat, shape=x.type.shape)


def _diagonal_read(equation: Equation, graph: Graph):
    """The diagonal of diag(v), read flat as it was written -> v."""
    if len(equation.inputs) > 1:
        return None
    written = graph.made_by(equation.inputs[0], "index_set")
    if written is None or len(written.inputs) > 2 or written.inputs[1].is_literal:
        return None
    size = math.isqrt(written.inputs[0].type.size)
    both = written.params["at"], equation.params["at"]
    return written.inputs[1] if both == (((0, size * size, size + 1),),) * 2 else None


def _inverse_of_square_times(equation: Equation, graph: Graph):
    """inv(L L^T) L -> inv(L)^T, for square L; the product in any order of its operands."""
    axes, batch = equation.params["axes"], equation.params["batch"]
    if batch[0] or len(axes[0]) != 1:
        return None
    for side in (0, 1):
        inverse = graph.made_by(equation.inputs[side], "inv")
        factor = equation.inputs[1 - side]
        if inverse is None or factor.is_literal or factor.type.ndim != 2:
            continue
        square = graph.made_by(inverse.inputs[0], "contract")
        if square is None or not is_symmetric(inverse.inputs[0], graph):
            continue
        if square.inputs[0] is not factor or factor.type.shape[0] != factor.type.shape[1]:
            continue
        joint = square.params["axes"][0][0]  # 1: L L^T
        (across,) = axes[1 - side]
        if across == joint:  # the axis that is left over in L L^T must meet it
            continue
        made = graph.emit("inv", factor, raises=inverse.params["raises"])
        # inv(L L^T) L = L^-T, entries (free of L L^T, joint of L); inv(L) is (joint, free)
        turned = (joint == 1) == (side == 0)
        return graph.emit("transpose", made, axes=(1, 0)) if turned else made
    return None


def _triangle_of_inverse(equation: Equation, graph: Graph):
    """The lower triangle of inv(T)^T, of a lower triangular T -> diag(1 / T_ii)."""
    mask, x, zero = equation.inputs
    if not zero.is_literal or zero.value != 0 or x.is_literal or x.type.ndim != 2:
        return None
    found = _factor(x, graph) or (_number(1.0, x), x)
    turned = graph.made_by(found[1], "transpose")
    inverse = None if turned is None else graph.made_by(turned.inputs[0], "inv")
    if turned is None or inverse is None or turned.params["axes"] != (1, 0):
        return None
    triangle = graph.made_by(inverse.inputs[0], "select")
    if triangle is None or triangle.inputs[0] is not mask or not _is_triangle(mask, graph):
        return None
    if not triangle.inputs[2].is_literal or triangle.inputs[2].value != 0:
        return None
    t = inverse.inputs[0]
    counting = graph.emit("iota", size=t.type.shape[0], dtype=_INT64)
    diagonal = graph.emit("index", t, counting, counting, at=())
    inverted = graph.emit("divide", found[0], diagonal)
    zeros = graph.fill(_number(0.0, t), t.type)
    return graph.emit("index_add", zeros, inverted, counting, counting, at=())


def _is_triangle(mask: Operand, graph: Graph) -> bool:
    """Whether a mask holds for row >= column (or row <= column) and nowhere else."""
    made = graph.maker(mask)
    if made is None or made.op.name not in ("less_equal", "greater_equal"):
        return False
    sides = [graph.made_by(x, "broadcast") for x in made.inputs]
    if any(s is None for s in sides):
        return False
    axes = [s.params["axes"] for s in sides if s is not None]
    count = mask.type.shape[0]
    return sorted(axes) == [(0,), (1,)] and mask.type.shape == (count, count) and all(
        s is not None and _counts(s.inputs[0], count, graph) for s in sides
    )  # fmt: skip


def _sum_with_own_inverse(equation: Equation, graph: Graph):
    """sum(A * inv(s A)^T) -> n / s."""
    (x,) = equation.inputs
    product = graph.maker(x)
    if len(equation.params["axes"]) != 2 or product is None or x.type.ndim != 2:
        return None
    if product.op.name not in ("multiply", "scale"):
        return None
    for a, other in (product.inputs, product.inputs[::-1]):
        turned = graph.made_by(other, "transpose")
        inverse = None if turned is None else graph.made_by(turned.inputs[0], "inv")
        if turned is None or inverse is None or turned.params["axes"] != (1, 0):
            continue
        matrix = graph.maker(inverse.inputs[0])
        if matrix is None or matrix.op.name not in ("multiply", "scale"):
            continue
        for s, same in (matrix.inputs, matrix.inputs[::-1]):
            if same is a and (spread := graph.made_by(s, "broadcast")):
                if not spread.inputs[0].type.ndim:
                    n = _number(x.type.shape[0], x)
                    return graph.emit("divide", n, spread.inputs[0])
    return None


# --- sums that vanish -----------------------------------------------------------------------------


def _sum_of_centred(equation: Equation, graph: Graph):
    """sum(c (x - mean(x))) -> 0."""
    (x,) = equation.inputs
    factors = 0
    while (found := _factor(x, graph)) is not None and factors < 4:
        x, factors = found[1], factors + 1
    made = graph.made_by(x, "subtract")
    if made is None or not is_real(x) or made.inputs[1].is_literal:
        return None
    over = equation.params["axes"]
    mean = graph.made_by(made.inputs[1], "broadcast")
    total = None if mean is None else _divided(mean.inputs[0], graph)
    if mean is None or total is None or total[0].inputs[0] is not made.inputs[0]:
        return None
    count = math.prod(x.type.shape[a] for a in over)
    if total[0].params["axes"] != over or total[1] != count:
        return None
    if mean.params["axes"] != kept_axes(x.type.ndim, over):
        return None
    return graph.fill(_number(0.0, x), equation.outputs[0].type)


def _divided(x: Operand, graph: Graph):
    """(the sum, the number) where an operand is a sum divided by a number; reshapes apart."""
    number = None
    for _ in range(4):
        made = graph.maker(x)
        if made is None:
            return None
        if made.op.name == "sum":
            return (made, number) if number is not None else None
        if made.op.name == "reshape":
            x = made.inputs[0]
        elif made.op.name == "divide" and made.inputs[1].is_literal and number is None:
            x, number = made.inputs[0], float(made.inputs[1].value)
        elif made.op.name == "multiply" and number is None:
            found = _factor(x, graph)
            if found is None or not found[0].value:
                return None
            x, number = found[1], 1.0 / float(found[0].value)
        else:
            return None
    return None


def _plus_zero(equation: Equation, graph: Graph):
    for one, other in (equation.inputs, equation.inputs[::-1]):
        if one.is_literal and one.value == 0 and is_real(other):
            return graph.of_type(other, equation.outputs[0].type)
    return None


_PRODUCT = ("contract",)
CLOSED = (
    Rewrite("scale by one", "scale(p, 1) -> p", ("scale",), _scale_by_one,
            reads=("number", "broadcast")),
    Rewrite("number times a product of a number", "a * (b * x) -> (a * b) * x; -(b * x) likewise",
            ("multiply", "negative"), _number_times_number, changes="rounding"),
    Rewrite("sum of multiples", "x + x -> 2 x, a x + b x -> (a + b) x; likewise subtract",
            ("add", "subtract"), _sum_of_multiples, changes="rounding"),
    Rewrite("add zero", "x + 0 -> x, also where x is -0", ("add",), _plus_zero,
            reads=("number",), changes="rounding"),
    Rewrite("numbers before linear operations",
            "solve(A, c * b) -> c * solve(A, b); likewise contract, reshape, transpose, sum, where "
            "nobody else reads c * b", ("solve", "contract", "reshape", "transpose", "sum"),
            _number_before, reads=("multiply", "negative"), changes="rounding"),
    Rewrite("product with a number", "contract(s, x) of s without axes -> s * x", _PRODUCT,
            _with_number, changes="rounding"),
    Rewrite("product with a filled array", "contract(filled(s), x) -> s * sum(x), repeated",
            _PRODUCT, _with_filled, reads=("broadcast",), changes="rounding"),
    Rewrite("product with a diagonal matrix", "contract(diag(v), x) -> v * x along one axis",
            _PRODUCT, _with_diagonal, reads=("index_add", "reshape"), valid_for="finite",
            changes="rounding"),
    Rewrite("transposition of a symmetric matrix",
            "transpose(S) -> S, of S = A A^T, A + A^T, diag(v), and what entries make of these",
            ("transpose",), _transposed, changes="rounding"),
    Rewrite("system with a symmetric matrix", "solve(S^T, b) -> solve(S, b)", ("solve",),
            _solved_adjoint, changes="rounding"),
    Rewrite("product with a symmetric matrix", "v S -> S v, of a vector", _PRODUCT,
            _with_symmetric, changes="rounding"),
    Rewrite("inverse of a diagonal matrix", "inv(diag(v)) -> diag(1 / v)", ("inv",),
            _inverse_of_diagonal, reads=("index_add", "reshape"), changes="rounding"),
    Rewrite("diagonal of a diagonal matrix", "what was just written, read -> the value", ("index",),
            _diagonal_read, reads=("index_set",)),
    Rewrite("inverse of a square times its root", "inv(L L^T) L -> inv(L)^T, of square L", _PRODUCT,
            _inverse_of_square_times, reads=("inv",), changes="rounding"),
    Rewrite("triangle of an inverse",
            "the lower triangle of inv(T)^T, of lower triangular T -> diag(1 / T_ii)", ("select",),
            _triangle_of_inverse, changes="rounding"),
    Rewrite("sum with its own inverse", "sum(A * inv(s A)^T) -> n / s", ("sum",),
            _sum_with_own_inverse, reads=("multiply", "scale"), changes="rounding"),
    Rewrite("sum of centred entries", "sum(c (x - mean(x))) -> 0", ("sum",), _sum_of_centred,
            valid_for="finite", changes="rounding"),
    Rewrite("product of a product",
            "(A B) v -> A (B v), where that takes fewer flops and nobody else reads A B", _PRODUCT,
            _regrouped, reads=("contract",), changes="rounding"),
)  # fmt: skip
