"""A program evaluated in wide arithmetic, equation by equation, into its loops and branches.

`evaluate` makes one run at the precision in force. `settled` raises the precision until every
output is known to a little more than float64 holds, so that rounding it gives the nearest float64
but for one case in hundreds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import nan
from typing import Any

import numpy as np

from chainrule.program.cost import subprograms
from chainrule.program.program import Equation, Program
from chainrule.transforms.ties import TIES
from chainrule.wide.arrays import MOVING, SPECIAL, as_array, mapped, to_host, to_wide
from chainrule.wide.functions import FUNCTIONS, PREDICATES
from chainrule.wide.literals import literal_number
from chainrule.wide.number import ZERO, Undecided, Wide, note_tie, precision

STEPS = (128, 320, 1100, 2600, 5600, 9200)  # bits; float64's numbers differ by up to 2100
CERTAIN = 60  # bits of an output that must be certain
_BELOW = -1084  # what is certainly below 2**_BELOW rounds to 0, however few bits are certain


def supported(program: Program) -> bool:
    """Whether every equation of a program has a meaning in wide arithmetic."""
    return all(_supports(e) for e in program.equations)


def _supports(equation: Equation) -> bool:
    name = equation.op.name
    if any(v.type.dtype.kind == "c" for v in (*equation.inputs, *equation.outputs)):
        return False
    if name in _CONTROL:
        return all(supported(p) for _, p in subprograms(equation))
    known = name in FUNCTIONS or name in PREDICATES or name in SPECIAL or name in MOVING
    return known or name in _OTHERS or not _has_floats(equation)


def _has_floats(equation: Equation) -> bool:
    return any(v.type.dtype.kind == "f" for v in (*equation.inputs, *equation.outputs))


def evaluate(program: Program, values: Sequence) -> list:
    """The outputs of a closed program at the precision in force, for inputs held in wide numbers
    (see `arrays.to_wide`); outputs are held so too."""
    env: dict[Any, Any] = dict(zip(program.inputs, values, strict=True))
    for equation in program.equations:
        inputs = [literal_number(x) if x.is_literal else env[x] for x in equation.inputs]
        made = run(equation, inputs)
        if len(equation.outputs) == 1 and not isinstance(made, list):
            env[equation.outputs[0]] = made
        else:
            env.update(zip(equation.outputs, made, strict=True))
    return [literal_number(o) if o.is_literal else env[o] for o in program.outputs]


def run(equation: Equation, inputs: list):
    """What one equation makes of wide operands: a value, or a list of them."""
    _note_tie(equation, inputs)
    name, params = equation.op.name, equation.params
    control = _CONTROL.get(name)
    if control is not None:
        return control(equation, inputs)
    if not _has_floats(equation):
        made = equation.op.evaluate(*inputs, **params)
        return list(made) if isinstance(made, tuple) else made
    if name in FUNCTIONS or name in PREDICATES:
        return mapped(name)(*[_number(x, v) for x, v in zip(inputs, equation.inputs, strict=True)],
                            **params)  # fmt: skip
    if name in SPECIAL:
        return SPECIAL[name](*inputs, **params)
    if name in MOVING:
        # only what is moved: a number that is added to an entry must not be an array ()
        moved = [
            as_array(x) if k == 0 and v.type.dtype.kind == "f" else x
            for k, (x, v) in enumerate(zip(inputs, equation.inputs, strict=True))
        ]
        made = equation.op.evaluate(*moved, **params)
        return made[()] if isinstance(made, np.ndarray) and not made.ndim else made
    return _OTHERS[name](equation, inputs)


def _number(x, operand):
    """An operand of a function: whole numbers and truth values become wide, exponents do not."""
    if operand.type.dtype.kind == "f" or isinstance(x, np.ndarray):
        return x
    return int(x) if operand.type.dtype.kind == "i" else x


def _cast(equation: Equation, inputs: list):
    (x,), source, target = inputs, equation.inputs[0].type, equation.outputs[0].type
    if source.dtype.kind != "f":
        return to_wide(equation.op.evaluate(np.asarray(x, source.dtype)[()], dtype=target.dtype),
                       target)  # fmt: skip
    if target.dtype.kind == "b":
        return mapped("logical_not")(mapped("logical_not")(x))
    if target.dtype.kind == "f" and target.dtype.itemsize >= source.dtype.itemsize:
        return x
    with np.errstate(all="ignore"):
        return to_wide(to_host(x, source).astype(target.dtype), target)


def _pad(equation: Equation, inputs: list):
    made = np.empty(equation.outputs[0].type.shape, object)
    made.fill(ZERO)
    inside = tuple(
        slice(before, before + n)
        for (before, _), n in zip(
            equation.params["widths"], equation.inputs[0].type.shape, strict=True
        )
    )
    made[inside] = inputs[0]
    return made


def _of_floats(equation: Equation, inputs: list):
    """An operation that sees the nearest floats: orders and indices."""
    return equation.op.evaluate(*_hosts(equation, inputs), **equation.params)


def _sort(equation: Equation, inputs: list):
    axis = equation.params["axis"]
    order = np.argsort(to_host(inputs[0], equation.inputs[0].type), axis, kind="stable")
    return np.take_along_axis(inputs[0], order, axis)


def _hosts(equation: Equation, inputs: list) -> list:
    return [to_host(x, v.type) for x, v in zip(inputs, equation.inputs, strict=True)]


_OTHERS: dict[str, Callable] = {
    "cast": _cast, "pad": _pad, "sort": _sort, "binary_exponent": _of_floats,
    **dict.fromkeys(("argmax", "argmin", "argsort", "searchsorted", "argpartition"), _of_floats),
}  # fmt: skip


# Choices between pieces; comparisons, and `sign`, note their own ties (number.compare_noted).
_LOOKS: dict[str, Callable] = {
    name: look for name, look in (TIES | {"sort": TIES["argsort"]}).items()
    if look is not TIES["less"] and name != "sign"
}  # fmt: skip


def _note_tie(equation: Equation, inputs: list) -> None:
    """Note where an operation that chooses, by the nearest floats, meets a tie."""
    look = _LOOKS.get(equation.op.name)
    to_floats = equation.op.name == "cast" and equation.outputs[0].type.dtype.kind == "f"
    if look is None or to_floats or not any(v.type.dtype.kind == "f" for v in equation.inputs):
        return
    with np.errstate(all="ignore"):
        if np.any(look(*_hosts(equation, inputs), **equation.params)):
            note_tie()


# --- control flow ---------------------------------------------------------------------------------


def _cond(equation: Equation, inputs: list) -> list:
    predicate, *operands = inputs
    return evaluate(equation.params["branches"][0 if predicate else 1], operands)


def _while(equation: Equation, inputs: list) -> list:
    params = equation.params
    fixed, carry = inputs[: params["constants"]], inputs[params["constants"] :]
    while evaluate(params["test"], [*fixed, *carry])[0]:
        carry = evaluate(params["body"], [*fixed, *carry])
    return carry


def _scan(equation: Equation, inputs: list) -> list:
    params = equation.params
    start, length = params["constants"], params["length"]
    end = start + params["carries"]
    fixed, carry, xs = inputs[:start], inputs[start:end], inputs[end:]
    rows: list = [None] * length
    for i in range(length - 1, -1, -1) if params["reverse"] else range(length):
        made = evaluate(params["body"], [*fixed, *carry, *[x[i] for x in xs]])
        carry, rows[i] = made[: params["carries"]], made[params["carries"] :]
    types = [v.type for v in equation.outputs[params["carries"] :]]
    return [*carry, *[_stacked([row[k] for row in rows], t) for k, t in enumerate(types)]]


def _stacked(rows: list, type_) -> np.ndarray:
    made = np.empty(type_.shape, object if type_.dtype.kind == "f" else type_.dtype)
    for i, row in enumerate(rows):
        made[i] = row
    return made


def _inner(equation: Equation, inputs: list) -> list:
    return evaluate(equation.params["program"], inputs)


def _custom_linear(equation: Equation, inputs: list) -> list:
    params = equation.params
    forward = params["forward"]
    return evaluate(forward if forward is not None else params["transposed"], inputs)


_CONTROL: dict[str, Callable] = {
    "cond": _cond, "while": _while, "scan": _scan, "checkpoint": _inner, "custom": _inner,
    "custom_linear": _custom_linear,
}  # fmt: skip


# --- precision ------------------------------------------------------------------------------------


def settled(program: Program, values: Sequence) -> list | None:
    """The outputs for host values, with `CERTAIN` certain bits each; None where they stay
    undecided at the highest precision."""
    inputs = [to_wide(v, t) for v, t in zip(values, program.in_types, strict=True)]
    for bits in STEPS:
        last = bits == STEPS[-1]
        with precision(bits, last):
            try:
                found = evaluate(program, inputs)
            except Undecided:
                continue
        if last or all(_is_certain(x) for x in _numbers(program, found)):
            return found
    return None


def _numbers(program: Program, outputs: list) -> Iterator:
    for out, var in zip(outputs, program.outputs, strict=True):
        if var.type.dtype.kind == "f":
            yield from out.flat if isinstance(out, np.ndarray) else (out,)


def _is_certain(x) -> bool:
    return not isinstance(x, Wide) or x.relative_bits() >= CERTAIN or x.top < _BELOW


def certain_float(x) -> float:
    """The nearest float64 of a wide number that is certain enough; nan of others, of infinities and
    of nan."""
    if not isinstance(x, Wide) or not _is_certain(x):
        return nan
    return float(x)


