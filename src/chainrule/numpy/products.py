"""Products of arrays: matmul, dot, inner, outer, tensordot, kron, cross, trace: by `contract`."""

from __future__ import annotations

import operator

import numpy as np

from chainrule import errors
from chainrule.numpy.indexing import reshape_to
from chainrule.numpy.promotion import broadcast_shape, broadcast_to, cast_to, result_dtype
from chainrule.numpy.protocols import implements
from chainrule.numpy.reductions import stored, sum_over
from chainrule.numpy.shaping import array, axis_index, axis_tuple
from chainrule.numpy.ufuncs import SPECIAL
from chainrule.numpy.versions import FROM_2_5
from chainrule.ops.contract import contract
from chainrule.ops.elementwise import conj
from chainrule.ops.index import index
from chainrule.ops.shape import iota, move_axis, transpose
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

_INT64 = np.dtype(np.int64)


def same_dtype(*values) -> list[Traced]:
    """The values as traced arrays of their common dtype."""
    dtype = values[0].type.dtype if type(values[0]) is Traced else None
    if all(type(v) is Traced and v.type.dtype is dtype and not v.weak for v in values):
        return list(values)
    dtype = result_dtype(*values)
    return [cast_to(array(v), dtype) for v in values]


# --- matrices and vectors -----------------------------------------------------------------------


def matmul(x, y):
    """x @ y, with NumPy's rules for vectors and stacks of matrices."""
    x, y = same_dtype(x, y)
    shape_x, shape_y = x.type.shape, y.type.shape
    if not shape_x or not shape_y:
        raise errors.ShapeError(
            "matmul: Input operand does not have enough dimensions (a scalar is not allowed), "
            f"at {line_text(user_line())}. Write x * y."
        )
    rows, inner = len(shape_x) - 1, max(len(shape_y) - 2, 0)
    _check_core("matmul", "(n?,k),(k,m?)->(n?,m?)", shape_y[inner], shape_x[rows])
    flat = len(shape_x) <= 2 and len(shape_y) <= 2
    return product(x, y, rows, inner) if flat else _stacked(x, y)


def _check_core(name: str, signature: str, have: int, need: int, operand=1) -> None:
    if have != need:
        raise errors.ShapeError(
            f"{name}: Input operand {operand} has a mismatch in its core dimension 0, with gufunc "
            f"signature {signature} (size {have} is different from {need}), "
            f"at {line_text(user_line())}"
        )


def product(x: Traced, y: Traced, axis_x: int, axis_y: int):
    """The sum over one axis of each; a transposed matrix is read where it lies."""
    (x, axis_x), (y, axis_y) = _untransposed(x, axis_x), _untransposed(y, axis_y)
    return contract(x, y, axes=((axis_x,), (axis_y,)), batch=((), ()))


def _untransposed(x: Traced, axis: int) -> tuple[Traced, int]:
    """For a transposed view of a matrix the matrix itself, and the axis in it."""
    view = x._view
    if view is None or view.key != ("transpose", (1, 0)):
        return x, axis
    return _untransposed(view.parent, 1 - axis)


def _stacked(x, y):
    if y.ndim <= 2:  # one matrix, or vector, on the right of a stack
        return product(x, y, x.ndim - 1, max(y.ndim - 2, 0))
    drop = x.ndim == 1
    x = reshape_to(x, (1, *x.shape)) if drop else x
    stack = broadcast_shape(x.shape[:-2], y.shape[:-2])
    x = broadcast_to(x, stack + x.shape[-2:])
    y = broadcast_to(y, stack + y.shape[-2:])
    lead = tuple(range(len(stack)))
    out = contract(x, y, axes=((x.ndim - 1,), (y.ndim - 2,)), batch=(lead, lead))
    return reshape_to(out, (*out.shape[:-2], out.shape[-1])) if drop else out


SPECIAL[np.matmul] = matmul


@implements(np.dot)
def dot(a, b, out=None):
    """np.dot: over a's last axis and b's last but one."""
    a, b = same_dtype(a, b)
    if not a.ndim or not b.ndim:
        return stored(a * b, out, np.dot)
    axis_a, axis_b = a.ndim - 1, max(b.ndim - 2, 0)
    _check_aligned(a, b, axis_a, axis_b)
    return stored(product(a, b, axis_a, axis_b), out, np.dot)


def _check_aligned(a, b, axis_a: int, axis_b: int) -> None:
    if a.shape[axis_a] != b.shape[axis_b]:
        raise errors.ShapeError(
            f"shapes {_shown(a)} and {_shown(b)} not aligned: {a.shape[axis_a]} (dim {axis_a}) != "
            f"{b.shape[axis_b]} (dim {axis_b}), at {line_text(user_line())}"
        )


def _shown(x) -> str:
    return "(" + ",".join(map(str, x.shape)) + ("," if x.ndim == 1 else "") + ")"


@implements(np.inner)
def inner(a, b, /):
    """np.inner: over the last axis of each."""
    a, b = same_dtype(a, b)
    if not a.ndim or not b.ndim:
        return a * b
    _check_aligned(a, b, a.ndim - 1, b.ndim - 1)
    return product(a, b, a.ndim - 1, b.ndim - 1)


@implements(np.vdot)
def vdot(a, b, /):
    """np.vdot: of the flattened arrays, the first conjugated."""
    a, b = same_dtype(a, b)
    if a.size != b.size:
        raise errors.ShapeError(
            f"cannot reshape array of size {b.size} into shape ({a.size},), "
            f"at {line_text(user_line())}"
        )
    return product(conj(reshape_to(a, (a.size,))), reshape_to(b, (b.size,)), 0, 0)


@implements(np.outer)
def outer(a, b, out=None):
    """np.outer: of the flattened arrays."""
    a, b = same_dtype(a, b)
    a, b = reshape_to(a, (a.size,)), reshape_to(b, (b.size,))
    return stored(contract(a, b, axes=((), ()), batch=((), ())), out, np.outer)


def _of_vectors(name: str, signature: str, cores: tuple[int, int], x, y, conjugate: bool):
    """A product over one axis of operands with so many core axes; their stacks broadcast."""
    x, y = same_dtype(x, y)
    for place, (operand, core) in enumerate(zip((x, y), cores, strict=True)):
        if operand.ndim < core:
            raise errors.ShapeError(
                f"{name}: Input operand {place} does not have enough dimensions (has "
                f"{operand.ndim}, gufunc core with signature {signature} requires {core}), "
                f"at {line_text(user_line())}"
            )
    axis_y = y.ndim - (2 if name == "vecmat" else 1)
    _check_core(name, signature, y.shape[axis_y], x.shape[-1])
    stack = broadcast_shape(*(v.shape[: v.ndim - c] for v, c in zip((x, y), cores, strict=True)))
    x = broadcast_to(x, stack + x.shape[x.ndim - cores[0] :])
    y = broadcast_to(y, stack + y.shape[y.ndim - cores[1] :])
    lead = tuple(range(len(stack)))
    over = ((x.ndim - 1,), (len(stack),) if name == "vecmat" else (y.ndim - 1,))
    return contract(conj(x) if conjugate else x, y, axes=over, batch=(lead, lead))


def vecdot(x, y, axis=-1):
    """np.vecdot: products of vectors along an axis, the first conjugated."""
    if axis != -1:
        x, y = (np.moveaxis(array(v), axis, -1) for v in (x, y))
    return _of_vectors("vecdot", "(n),(n)->()", (1, 1), x, y, True)


def matvec(x, y):
    """np.matvec: products of matrices and vectors."""
    return _of_vectors("matvec", "(m,n),(n)->(m)", (2, 1), x, y, False)


def vecmat(x, y):
    """np.vecmat: products of vectors, conjugated, and matrices."""
    return _of_vectors("vecmat", "(n),(n,m)->(m)", (1, 2), x, y, True)


for _function in (vecdot, matvec, vecmat):
    if hasattr(np, _function.__name__):  # matvec and vecmat are new in NumPy 2.2
        SPECIAL[getattr(np, _function.__name__)] = _function


# --- tensors ------------------------------------------------------------------------------------


def _axis_list(axes) -> list[int]:
    return [operator.index(a) for a in (axes if hasattr(axes, "__iter__") else [axes])]


@implements(np.tensordot)
def tensordot(a, b, axes=2):
    """np.tensordot"""
    a, b = same_dtype(a, b)
    if hasattr(axes, "__iter__"):
        over_a, over_b = (_axis_list(part) for part in axes)
    else:
        over_a, over_b = list(range(-axes, 0)), list(range(axes))
    for over in (over_a, over_b):
        if len(set(over)) != len(over):
            raise errors.ShapeError("duplicate axes are not allowed in tensordot")
    if len(over_a) != len(over_b):
        raise errors.ShapeError("shape-mismatch for sum")
    places_a, places_b = axis_tuple(over_a, a.ndim), axis_tuple(over_b, b.ndim)
    if any(a.shape[i] != b.shape[j] for i, j in zip(places_a, places_b, strict=True)):
        raise errors.ShapeError(
            f"shape-mismatch for sum, at {line_text(user_line())}: axes {over_a} of {a.shape} and "
            f"{over_b} of {b.shape} differ in length."
        )
    return contract(a, b, axes=(places_a, places_b), batch=((), ()))


@implements(np.kron)
def kron(a, b):
    """np.kron: blocks of b, scaled by the entries of a."""
    a, b = same_dtype(a, b)
    if not a.ndim or not b.ndim:
        return a * b
    ndim = max(a.ndim, b.ndim)
    a, b = (reshape_to(v, (1,) * (ndim - v.ndim) + v.shape) for v in (a, b))
    products = contract(a, b, axes=((), ()), batch=((), ()))
    woven = tuple(axis for pair in zip(range(ndim), range(ndim, 2 * ndim), strict=True)
                  for axis in pair)  # fmt: skip
    shape = tuple(m * n for m, n in zip(a.shape, b.shape, strict=True))
    return reshape_to(transpose(products, axes=woven), shape)


@implements(np.cross)
def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """np.cross: of vectors of three (or, as NumPy still allows, two) components."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = same_dtype(a, b)
    if not a.ndim or not b.ndim:
        raise errors.ShapeError("At least one array has zero dimension")
    a = move_axis(a, axis_index(axisa, a.ndim, "axisa"), a.ndim - 1)
    b = move_axis(b, axis_index(axisb, b.ndim, "axisb"), b.ndim - 1)
    allowed = (3,) if FROM_2_5 else (2, 3)
    if a.shape[-1] not in allowed or b.shape[-1] not in allowed:
        raise errors.ShapeError(
            "incompatible dimensions for cross product\n"
            f"(dimension must be {' or '.join(map(str, allowed))}), "
            f"at {line_text(user_line())}"
        )
    if a.shape[-1] == b.shape[-1] == 2:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    a0, a1, a2 = _components(a)
    b0, b1, b2 = _components(b)
    parts = (_minor(a1, b2, a2, b1), _minor(a2, b0, a0, b2), _minor(a0, b1, a1, b0))
    out = np.stack(parts, axis=-1)
    return move_axis(out, out.ndim - 1, axis_index(axisc, out.ndim, "axisc"))


def _components(x: Traced):
    return x[..., 0], x[..., 1], x[..., 2] if x.shape[-1] == 3 else None


def _minor(p, q, r, s):
    """p q - r s, where a component that is None is zero."""
    if p is None or q is None:
        return -(r * s)
    return p * q if r is None or s is None else p * q - r * s


@implements(np.trace)
def trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    """np.trace: the sum along a diagonal."""
    x = array(a)
    if x.ndim < 2:
        raise errors.ShapeError("diag requires an array of at least two dimensions")
    axis1, axis2 = axis_index(axis1, x.ndim, "axis1"), axis_index(axis2, x.ndim, "axis2")
    if axis1 == axis2:
        raise errors.ShapeError("axis1 and axis2 cannot be the same")
    rest = tuple(i for i in range(x.ndim) if i not in (axis1, axis2))
    x = transpose(x, axes=(axis1, axis2, *rest))
    down, right = max(-offset, 0), max(offset, 0)
    length = max(min(x.shape[0] - down, x.shape[1] - right), 0)
    counting = iota(size=length, dtype=_INT64)
    whole = tuple((0, n, 1) for n in x.shape[2:])
    entries = index(x, counting + down, counting + right, at=whole)
    return sum_over(move_axis(entries, 0, entries.ndim - 1), -1, dtype, out)
