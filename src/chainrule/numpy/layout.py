"""The memory layout of traced values, which decides where NumPy gives a view and where a copy.

`np.reshape(x, shape)` is a view if x's memory allows one, so whether a later write to it is seen in
x depends on x's strides. A traced value has no memory: its strides are worked out from its argument
or from how it was made, by NumPy's own rules (elementwise results keep the axis order of their
operands, most others are in C order). Worked out only when asked for, once per variable.

Strides are counted in elements; None stands for C order without gaps.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from chainrule.program.program import Equation, Operand
from chainrule.program.trace import Builder, Traced
from chainrule.program.types import Shape

Strides = tuple[int, ...] | None

# Cells made by these were copied by the function that recorded them: C order.
_RELAYOUT = {"transpose", "reshape", "broadcast", "flip", "index"}
_FOLLOWS = {"concatenate", "pad", "sum", "prod", "max", "min", "all", "any"}
_SAME_AS_FIRST = {"index_set", "index_add"}
_SAME_ORDER = {"cumsum", "cumprod", "cummax", "cummin", "sort"}


def strides_of(x: Traced) -> Strides:
    """The strides that the array would have in plain NumPy."""
    try:
        return x._strides
    except AttributeError:
        pass
    if x._view is not None:
        found = _of_view(x)
    else:
        equation = x.builder.maker(x._var)
        relayout = equation is not None and equation.op.name in _RELAYOUT
        found = None if relayout else _of_variable(x.builder, x._var)
    x._strides = found
    return found


def with_order_of(out: Traced, x: Traced) -> Traced:
    """Note that `out` was made in the axis order of x, as NumPy's order="K" does."""
    strides = strides_of(x)
    out._strides = None if strides is None else _kept_order(x.shape, [(x.shape, strides)])
    return out


def in_order(out: Traced, order: str) -> Traced:
    """Note that `out` was made in C order ("C") or in Fortran order ("F")."""
    steps = c_strides(out.shape[::-1])[::-1]
    out._strides = normal(out.shape, steps) if order == "F" else None
    return out


def is_c_contiguous(x: Traced) -> bool:
    """Whether the elements lie in C order without gaps."""
    return strides_of(x) is None


def is_f_contiguous(x: Traced) -> bool:
    """Whether the elements lie in Fortran order without gaps."""
    return normal(x.shape[::-1], full_strides(x)[::-1]) is None


def full_strides(x: Traced) -> tuple[int, ...]:
    """The strides, spelled out also where they are those of C order."""
    return strides_of(x) or c_strides(x.shape)


def memory_order(x: Traced) -> tuple[int, ...]:
    """The axes from the slowest in memory to the fastest."""
    strides = full_strides(x)
    return tuple(sorted(range(x.ndim), key=lambda axis: (-abs(strides[axis]), axis)))


def can_reshape(x: Traced, shape: Shape) -> bool:
    """Whether NumPy reshapes x to `shape` without a copy."""
    strides = strides_of(x)
    return strides is None or reshaped(x.shape, strides, shape) is not None


# --- strides by arithmetic ----------------------------------------------------------------------


def c_strides(shape: Shape) -> tuple[int, ...]:
    """The strides of an array in C order without gaps."""
    out, step = [], 1
    for n in reversed(shape):
        out.append(step)
        step *= n
    return tuple(reversed(out))


def normal(shape: Shape, strides: tuple[int, ...]) -> Strides:
    """The strides, or None where they are those of C order (axes of length 1 do not matter)."""
    step = 1
    for n, stride in zip(reversed(shape), reversed(strides), strict=True):
        if n == 0:
            return None
        if n != 1 and stride != step:
            return _spelled_out(shape, strides)
        step *= n
    return None


def _spelled_out(shape: Shape, strides: tuple[int, ...]) -> Strides:
    return None if 0 in shape else strides


def reshaped(shape: Shape, strides: tuple[int, ...], new: Shape) -> tuple[int, ...] | None:
    """The strides after a reshape without a copy, or None where one is needed.

    NumPy's own algorithm: axes are matched in groups of equal size, and within a group the old axes
    must lie one inside the other.
    """
    if 0 in shape:
        return c_strides(new)
    old = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    out = [0] * len(new)
    i, j = 0, 0  # the next axis of old and of new
    while i < len(old) and j < len(new):
        first_old, first_new = i, j
        size_old, size_new = old[i][0], new[j]
        while size_old != size_new:
            if size_new < size_old:
                j += 1
                size_new *= new[j]
            else:
                i += 1
                size_old *= old[i][0]
        group = old[first_old : i + 1]
        if any(outer[1] != inner[0] * inner[1] for outer, inner in itertools.pairwise(group)):
            return None
        step = old[i][1]
        for axis in range(j, first_new - 1, -1):
            out[axis] = step
            step *= new[axis]
        i, j = i + 1, j + 1
    return tuple(out)


def _kept_order(shape: Shape, operands) -> Strides:
    """The strides of an elementwise result: the axis order that its operands agree on."""
    if all(s is None or _decreases(n, s) for n, s in operands):
        return None
    shadows = [_shadow(n, s) for n, s in operands]
    flags = [["readonly"]] * len(shadows) + [["writeonly", "allocate"]]
    iterator: Any = np.nditer  # its stubs want literals
    made = iterator([*shadows, None], ["zerosize_ok"], flags, order="K").operands[-1]
    return _packed(shape, sorted(range(made.ndim), key=lambda a: (-made.strides[a], a)))


def _packed(shape: Shape, order) -> Strides:
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return normal(shape, tuple(strides))


def _decreases(shape: Shape, strides: tuple[int, ...]) -> bool:
    """Whether the axes are in C order, with gaps, repeats and reversed axes allowed."""
    steps = [abs(s) for n, s in zip(shape, strides, strict=True) if n > 1 and s]
    return all(a >= b for a, b in itertools.pairwise(steps))


def _shadow(shape: Shape, strides: Strides):
    """An array of these strides, cut to two elements an axis; never to be read."""
    strides = c_strides(shape) if strides is None else strides
    small = tuple(min(n, 2) for n in shape)
    return as_strided(np.zeros(1, np.int8), small, tuple(abs(s) for s in strides))


# --- strides of views and of variables ----------------------------------------------------------


def _of_view(x: Traced) -> Strides:
    view = x._view
    assert view is not None
    parent, key = view.parent, view.key
    kind = key[0] if isinstance(key[0], str) else "index"
    params = key if kind == "index" else key[1:]
    return _VIEWS[kind](parent.shape, full_strides(parent), x.shape, *params)


def _of_part(shape, strides, out_shape, at, *_) -> Strides:
    kept = [
        (len(range(*entry)), stride * entry[2])
        for entry, stride in zip(at, strides, strict=True)
        if not isinstance(entry, int)
    ]
    part = reshaped(tuple(n for n, _ in kept), tuple(s for _, s in kept), out_shape)
    assert part is not None  # only axes of length 1 are added
    return normal(out_shape, part)


def _of_transpose(shape, strides, out_shape, axes) -> Strides:
    return normal(out_shape, tuple(strides[a] for a in axes))


def _of_reshape(shape, strides, out_shape, *_) -> Strides:
    return normal(out_shape, reshaped(shape, strides, out_shape) or c_strides(out_shape))


def _of_flip(shape, strides, out_shape, axes) -> Strides:
    return normal(out_shape, tuple(-s if a in axes else s for a, s in enumerate(strides)))


def _of_broadcast(shape, strides, out_shape, *rest) -> Strides:
    axes = rest[-1]
    out = [0] * len(out_shape)
    for n, axis, stride in zip(shape, axes, strides, strict=True):
        out[axis] = stride if n != 1 else 0
    return normal(out_shape, tuple(out))


def _of_diagonal(shape, strides, out_shape, offset, first, second) -> Strides:
    kept = [s for axis, s in enumerate(strides) if axis not in (first, second)]
    return normal(out_shape, (*kept, strides[first] + strides[second]))


def _of_einsum(shape, strides, out_shape, labels, out) -> Strides:
    pairs = list(zip(labels, strides, strict=True))
    return normal(out_shape, tuple(sum(s for name, s in pairs if name == o) for o in out))


def _of_complex_part(shape, strides, out_shape) -> Strides:
    return _spelled_out(out_shape, tuple(2 * s for s in strides))


def _of_windows(shape, strides, out_shape, axes) -> Strides:
    return normal(out_shape, (*strides, *(strides[axis] for axis in axes)))


def _of_given_strides(shape, strides, out_shape, given) -> Strides:
    return normal(out_shape, given)


_VIEWS: dict[str, Callable] = {
    "index": _of_part,
    "transpose": _of_transpose,
    "reshape": _of_reshape,
    "flip": _of_flip,
    "broadcast": _of_broadcast,
    "diagonal": _of_diagonal,
    "einsum": _of_einsum,
    "real": _of_complex_part,
    "imag": _of_complex_part,
    "windows": _of_windows,
    "strided": _of_given_strides,
}


def _of_variable(builder: Builder, wanted: Operand) -> Strides:
    known = builder.strides
    pending = [wanted]
    while pending:
        var = pending[-1]
        if var in known or var.is_literal:
            pending.pop()
            continue
        equation = builder.maker(var)
        if equation is None:
            known[var] = _of_input(builder, var)
            continue
        missing = [o for o in _followed(equation) if not o.is_literal and o not in known]
        if missing:
            pending.extend(missing)
        else:
            known[var] = _of_result(equation, known)
    return known.get(wanted)


def _of_input(builder: Builder, var: Operand) -> Strides:
    for captured, host, _ in builder.captured:
        if captured is var:
            return strides_of(host) if type(host) is Traced else _of_array(host)
    return _of_array(builder.at_hand.known.get(var) if builder.at_hand is not None else None)


def strides_without(value, axis: int | None) -> Strides:
    """The strides of one row of an array along an axis; of the whole array where it is None."""
    known = strides_of(value) if type(value) is Traced else _of_array(value)
    if axis is None or (known is None and axis == 0):
        return known
    shape = value.shape
    strides = c_strides(shape) if known is None else known
    return normal(shape[:axis] + shape[axis + 1 :], strides[:axis] + strides[axis + 1 :])


def _of_array(array) -> Strides:
    if type(array) is Traced or not isinstance(array, np.ndarray):
        return None
    return normal(array.shape, tuple(s // array.itemsize for s in array.strides))


def _followed(equation: Equation) -> tuple:
    """The operands whose layout decides the result's."""
    op = equation.op
    if op.elementwise or op.name in _FOLLOWS:
        return equation.inputs
    if op.name in _SAME_AS_FIRST or op.name in _SAME_ORDER or op.name in _VIEWS:
        return equation.inputs[:1]
    return ()


def _of_result(equation: Equation, known) -> Strides:
    op, out = equation.op, equation.outputs[0].type
    inputs = [(o.type.shape, known.get(o)) for o in _followed(equation) if o.type.ndim]
    if all(s is None for _, s in inputs) and op.name not in _VIEWS:
        return None
    if op.name in _SAME_AS_FIRST:
        return inputs[0][1]
    if op.name in _VIEWS:
        if op.name == "index" and len(equation.inputs) > 1:
            return None
        shape = equation.inputs[0].type.shape
        strides = known.get(equation.inputs[0]) or c_strides(shape)
        return _VIEWS[op.name](shape, strides, out.shape, *equation.params.values())
    if op.elementwise or op.name in _SAME_ORDER:
        return _kept_order(out.shape, inputs)
    if "axes" in equation.params:
        return _of_reduction(out.shape, inputs[0], equation.params["axes"])
    return _packed(out.shape, _agreed_order(inputs))


def _of_reduction(shape: Shape, operand, axes) -> Strides:
    kept = [a for a in range(len(operand[0])) if a not in axes]
    strides = operand[1] or c_strides(operand[0])
    return _kept_order(shape, [(shape, tuple(strides[a] for a in kept))])


def _agreed_order(operands) -> list[int]:
    """The axis order of a concatenation: by the operands' strides, largest first."""
    totals = np.zeros(len(operands[0][0]))
    for shape, strides in operands:
        totals += [abs(s) for s in strides or c_strides(shape)]
    return sorted(range(len(totals)), key=lambda axis: (-totals[axis], axis))
