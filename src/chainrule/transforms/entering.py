"""How inputs move along the germ of transforms/leading.py: in the order in which they enter, which
of them move what, and on which side.

Inputs are the bits of a number, the higher the later an equation first reads them; sets of them are
numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from chainrule.program.op import Constant, Discrete
from chainrule.program.program import Equation, Operand, Program
from chainrule.transforms.ties import (
    POOLED,
    SINGULAR,
    Uses,
    extreme_of,
    look_of,
    moving_outputs,
)

_COMPARED = {"less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "sign"}


class Way(NamedTuple):
    """How an input moves along the germ: the higher the bit, the lower the power of eps."""

    bit: int
    sign: int


def germ_of(program: Program, mask: tuple[bool, ...]) -> dict[Operand, Way]:
    """How each moving input moves, on the side that is 1."""
    moving = [v for v, m in zip(program.inputs, mask, strict=True) if m and v.type.inexact]
    bits = _as_they_enter(program, moving)
    sources, uses = moved_by(program, bits), Uses(program)
    moves = set(sources)
    signs: dict[int, int] = {}
    for e in program.equations:
        if _decides(e, uses) and look_of(e, moves, uses) is not None:
            signs.setdefault(leads(e, sources), -1 if len(signs) % 2 else 1)
    return {v: Way(bit, signs.get(bit, 1)) for v, bit in bits.items()}


def leads(e: Equation, sources: dict[Operand, int]) -> int:
    return highest(union(sources.get(x, 0) for x in sides_of(e)))


def sides_of(e: Equation) -> tuple[Operand, ...]:
    """The operands that a choice compares."""
    return () if e.op.name in SINGULAR else e.inputs[:2] if e.op.name in POOLED else e.inputs


def _decides(e: Equation, uses: Uses) -> bool:
    """Whether an equation is a comparison, but not of an array with its own extreme."""
    own = e.op.name == "equal" and extreme_of(e, uses) is not None
    return e.op.name in _COMPARED and not own


def _as_they_enter(program: Program, inputs: Sequence[Operand]) -> dict[Operand, int]:
    """Inputs with their bits, the higher the later an equation first reads them."""
    wanted, order = set(inputs), []
    for e in program.equations:
        for x in e.inputs:
            if x in wanted:
                wanted.remove(x)
                order.append(x)
    order += [x for x in inputs if x in wanted]
    return {x: 1 << number for number, x in enumerate(order)}


def moved_by(program: Program, inputs: dict[Operand, int]) -> dict[Operand, int]:
    """The inputs that move each variable of a program."""
    found = dict(inputs)
    moves = set(inputs)
    for e in program.equations:
        marks = moving_outputs(e, moves)
        if not any(marks):
            continue
        bits = union(found.get(x, 0) for x in carriers(e))
        for v, m in zip(e.outputs, marks, strict=True):
            if m:
                moves.add(v)
                found[v] = bits
    return found


def carriers(e: Equation) -> list[Operand]:
    """The operands through which an equation's outputs move."""
    if isinstance(e.op.derivative, Constant | Discrete) and e.op.name != "stop_gradient":
        return []
    inputs = e.inputs[1:] if e.op.name == "select" else e.inputs[:1] if e.op.name == "index" else (
        e.inputs
    )
    return [x for x in inputs if not x.is_literal]


def union(sets: Iterable[int]) -> int:
    bits = 0
    for some in sets:
        bits |= some
    return bits


def highest(bits: int) -> int:
    return 1 << bits.bit_length() - 1 if bits else 0
