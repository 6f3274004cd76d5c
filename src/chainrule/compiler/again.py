"""Convolutions that stand in a program twice, of images that differ in few places.

A program that settles ties (transforms/settling.py) holds its backward part for both sides, and the
cotangents of these are equal but where choices tie. So of a convolution of the one side and the
same of the other

    a = convolution(x, w)    b = convolution(y, w)

the second becomes `convolution_again(y, w, x, a)`, which gives the same, to the bit, but makes only
what is not in a.

Two arrays count as those of two sides where one operation makes both, of operands that are in part
the same, or are such arrays in turn.
"""

from __future__ import annotations

import numpy as np

from chainrule.ops.windows import convolution_again
from chainrule.program.program import Equation, Operand, Program
from chainrule.transforms.ties import Uses

_DEPTH = 8  # operations that are looked through for a common operand
_MOST_HOLES = 4  # steps of x_dilation, each of which has code of its own


def convolutions_again(program: Program) -> Program:
    """The program with what stands there for both sides of ties made again in part."""
    uses = Uses(program)
    first: dict[tuple, list[Equation]] = {}
    equations = []
    for e in program.equations:
        if _is_usual(e):
            key = e.inputs[1], e.inputs[0].type, tuple(sorted(e.params.items()))
            before = next((f for f in first.get(key, ()) if _alike(f, e, uses)), None)
            if before is None:
                first.setdefault(key, []).append(e)
            else:
                known = before.inputs[0], before.outputs[0]
                e = Equation(convolution_again, (*e.inputs, *known), e.params, e.outputs, e.line)
        equations.append(e)
    return Program(
        program.inputs, equations, program.outputs, program.captured, program.captured_values,
        program.name,
    )  # fmt: skip


def _is_usual(e: Equation) -> bool:
    """Whether an equation is a convolution that the kernel of `convolution_again` takes."""
    if e.op.name != "convolution" or e.params["groups"] != 1:
        return False
    arrays = [x.type for x in (*e.inputs, *e.outputs)]
    return (
        not any(x.is_literal for x in e.inputs)
        and all(t.dtype in (np.float32, np.float64) and t.size for t in arrays)
        and arrays[0].ndim in (3, 4)
        and all(arrays[1].shape[:-2])
        and max(e.params["x_dilation"]) <= _MOST_HOLES
    )


def _alike(one: Equation, other: Equation, uses: Uses) -> bool:
    return _of_two_sides(one.inputs[0], other.inputs[0], uses, _DEPTH)


def _of_two_sides(x: Operand, y: Operand, uses: Uses, depth: int) -> bool:
    one, other = uses.maker(x), uses.maker(y)
    if not depth or one is None or other is None or x.type != y.type:
        return False
    if one.op is not other.op or one.params != other.params or len(one.inputs) != len(other.inputs):
        return False
    pairs = list(zip(one.inputs, other.inputs, strict=True))
    if any(a is b and not a.is_literal for a, b in pairs):
        return True
    return any(_of_two_sides(a, b, uses, depth - 1) for a, b in pairs)
