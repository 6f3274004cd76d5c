"""Control flow as Python writes it: if, for and while, with the sub-programs in their blocks.

What is copied, and what may be overwritten, is as in the operations' `evaluate`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from chainrule.program.program import Equation, Operand, Program
from chainrule.show.fragments import COMPARE, Fragment, call, dtype_text, scalar, shape_text

if TYPE_CHECKING:
    from chainrule.show.writer import Body, Writer


def write_control_flow(body: Body, equation: Equation) -> None:
    """Write a control-flow operation; its outputs get names."""
    _WRITERS[equation.op.name](body, equation)


def _operands(body: Body, operands: Sequence[Operand]) -> list:
    """Operands as inputs of a program: names, or numbers."""
    return [x if x.is_literal else body.operand(x) for x in operands]


def _name_outputs(body: Body, equation: Equation) -> list[str | None]:
    """A new name for every output that is read; None for the others."""
    names: list[str | None] = []
    for var in equation.outputs:
        if var not in body.reading.uses:
            names.append(None)
            continue
        name = body.writer.names.of(var)
        body.writer.names.show(var, name)
        body.fragments[var] = Fragment(name)
        names.append(name)
    return names


def _write_block(writer: Writer, program: Program, inputs, names: list[str | None]) -> None:
    """Write a program that is run once, and assign its outputs to the names."""
    kept = [(o, n) for o, n in zip(program.outputs, names, strict=True) if n is not None]
    only = Program(program.inputs, program.equations, [o for o, _ in kept], name=program.name)
    inner = writer.body(only, inputs)
    count: dict = {}
    for o in inner.program.outputs:
        count[o] = count.get(o, 0) + 1
    for o, (_, name) in zip(inner.program.outputs, kept, strict=True):
        if count[o] == 1 and name is not None:
            inner.wish(o, name)
    _assign_all(writer, [n for _, n in kept], inner.results())


def _assign_all(writer: Writer, names, values: list[Fragment]) -> None:
    """`a, b = x, y` in one statement; what has its name already is left out.

    Where that is too long, one after the other, as long as none is read that was assigned before.
    """
    pairs = [(n, v.text) for n, v in zip(names, values, strict=True) if n != v.text]
    while pairs and sum(len(n) + len(text) + 4 for n, text in pairs) > _LONGEST:
        free = [p for p in pairs if not _is_read(p[0], [t for n, t in pairs if n != p[0]])]
        if not free:
            break
        writer.line(f"{free[0][0]} = {free[0][1]}")
        pairs.remove(free[0])
    if pairs:
        left, right = zip(*pairs, strict=True)
        writer.line(f"{', '.join(left)} = {', '.join(right)}")


_LONGEST = 72


def _is_read(name: str, texts: list[str]) -> bool:
    return any(re.search(rf"\b{name}\b", text) for text in texts)


# --- if -------------------------------------------------------------------------------------------


def _cond(body: Body, equation: Equation) -> None:
    predicate, *operands = equation.inputs
    inputs = _operands(body, operands)
    names = _name_outputs(body, equation)
    yes, no = equation.params["branches"]
    with body.writer.block(f"if {body.operand(predicate).text}:"):
        _write_block(body.writer, yes, inputs, names)
    with body.writer.block("else:"):
        _write_block(body.writer, no, inputs, names)


def _checkpoint(body: Body, equation: Equation) -> None:
    """A program that runs as it is: its statements, in line."""
    names = _name_outputs(body, equation)
    inputs = _operands(body, equation.inputs)
    _write_block(body.writer, equation.params["program"], inputs, names)


# --- for ------------------------------------------------------------------------------------------


def _start_carry(body: Body, variables, operands: Sequence[Operand]) -> list[Fragment]:
    """The carry's names, with its first values: arrays are copied, they may be overwritten."""
    names = []
    for var, x in zip(variables, operands, strict=True):
        if x.is_literal:
            value = scalar(x.value)
        elif x.type.ndim:
            value = call("np.copy", body.operand(x))
        else:
            value = body.operand(x)
        names.append(body.writer.assign(var, value.text))
    return names


def _write_step(inner: Body, variables, names: list[Fragment], stacks=(), index=None) -> None:
    """Write one step: rows of the stacks are filled, and the carry's names get their new values.

    A new value goes straight to its name where the old one is not read any more.
    """
    reading, outputs = inner.reading, inner.program.outputs
    place = {v: n for n, e in enumerate(inner.program.equations) for v in e.outputs}
    overwritten = set(reading.updated.values())
    for var, name, o in zip(variables, names, outputs, strict=False):
        made = place.get(o)
        if made is None or outputs.count(o) > 1 or o in reading.updated or var in overwritten:
            continue
        if reading.last_read.get(var, -1) <= made:
            inner.wish(o, name.text)
    found = inner.results()
    for stack, value in zip(stacks, found[len(names) :], strict=True):
        inner.writer.line(f"{stack.text}[{index}] = {value.text}")
    _assign_all(inner.writer, [n.text for n in names], found[: len(names)])


def _scan(body: Body, equation: Equation) -> None:
    _Scan(body, equation).write()


class _Scan:
    """A scan as a `for` loop."""

    def __init__(self, body: Body, equation: Equation):
        self.body, self.writer, self.equation = body, body.writer, equation
        params = equation.params
        self.first, count = params["constants"], params["carries"]
        self.last = self.first + count  # inputs: constants, carry from `first`, rows from `last`
        self.length, self.backwards = params["length"], params["reverse"]
        self.kept = equation.outputs[count:]
        self.program: Program = params["body"]

    def write(self) -> None:
        """The values before the loop, and the loop."""
        inputs, operands = self.program.inputs, self.equation.inputs
        fixed = _operands(self.body, operands[: self.first])
        own, start = inputs[self.first : self.last], operands[self.first : self.last]
        carry = _start_carry(self.body, own, start)
        stacks = [self._empty(y) for y in self.kept]
        read = {x for e in self.program.equations for x in e.inputs} | set(self.program.outputs)
        xs = [
            (var, self.body.operand(x)) if var in read else None
            for var, x in zip(inputs[self.last :], operands[self.last :], strict=True)
        ]
        with self.writer.loop() as index:
            rows, head = self._head(xs, index, bool(stacks))
            with self.writer.block(head):
                rows = rows or [self._row(x, index) for x in xs]
                donated = tuple(range(self.first, self.last))
                inner = self.writer.body(self.program, [*fixed, *carry, *rows], donated)
                _write_step(inner, own, carry, stacks, index)
        _name_carry(self.body, self.equation, carry)

    def _empty(self, y) -> Fragment:
        """An array for one result of every step."""
        dtype = {} if y.type.dtype == np.float64 else {"dtype": dtype_text(y.type.dtype)}
        made = self.writer.assign(y, call("np.empty", shape_text(y.type.shape), **dtype).text)
        self.body.fragments[y] = made
        return made

    def _head(self, xs, index: str, has_stacks: bool):
        """The rows (None where they are read by index), and the `for` line."""
        used = [x for x in xs if x is not None]
        if len(used) == 1 and not has_stacks and not self.backwards:
            ((var, array),) = used
            name = self.writer.names.of(var)
            self.writer.names.show(var, name)
            rows = [Fragment("None") if x is None else Fragment(name) for x in xs]
            return rows, f"for {name} in {array.text}:"
        index = index if used or has_stacks else "_"
        steps = f"range({self.length})"
        return None, f"for {index} in {f'reversed({steps})' if self.backwards else steps}:"

    def _row(self, x, index: str) -> Fragment:
        if x is None:
            return Fragment("None")  # never read
        var, array = x
        return self.writer.assign(var, array.get(f"[{index}]").text)


def _name_carry(body: Body, equation: Equation, carry: list[Fragment]) -> None:
    """The loop's results are where its carry is."""
    for var, name in zip(equation.outputs, carry, strict=False):
        body.fragments[var] = name
        body.writer.names.show(var, name.text)


def _repeat(body: Body, equation: Equation) -> None:
    params, writer = equation.params, body.writer
    known, moving = params["known"], params["moving"]
    n, k, lin = len(known.inputs), params["known_constants"], params["linear_constants"]
    steps, *rest = equation.inputs
    fixed = _operands(body, rest[:k])
    state = _start_carry(body, known.inputs[k:], rest[k:n])
    lin_fixed = _operands(body, rest[n : n + lin])
    carry = _start_carry(body, moving.inputs[n + lin :], rest[n + lin :])
    with writer.block(f"for _ in range({body.operand(steps).text}):"):
        inner = writer.body(moving, [*fixed, *state, *lin_fixed, *carry])
        _write_step(inner, moving.inputs[n + lin :], carry)
        inner = writer.body(known, [*fixed, *state])
        _write_step(inner, known.inputs[k:], state)
    _name_carry(body, equation, carry)


# --- while ----------------------------------------------------------------------------------------


def _while(body: Body, equation: Equation) -> None:
    params, writer = equation.params, body.writer
    n, test, program = params["constants"], params["test"], params["body"]
    fixed = _operands(body, equation.inputs[:n])
    carry = _start_carry(body, program.inputs[n:], equation.inputs[n:])
    inputs = [*fixed, *carry]
    condition = _as_expression(writer, test, inputs)
    with writer.block(f"while {condition}:" if condition else "while True:"):
        if condition is None:
            (holds,) = writer.body(test, inputs).write()
            writer.line(f"if not {holds.within(COMPARE)}:")
            writer.line("    break")
        inner = writer.body(program, inputs, tuple(range(n, len(inputs))))
        _write_step(inner, program.inputs[n:], carry)
    _name_carry(body, equation, carry)


def _as_expression(writer: Writer, program: Program, inputs) -> str | None:
    """A program of one result as one expression, or None where it takes statements."""
    start = len(writer.lines)
    (found,) = writer.body(program, inputs).write()
    if len(writer.lines) == start:
        return found.text
    del writer.lines[start:]
    return None


# What else runs a program once, a custom derivative, is a checkpoint here (see live.py).
_WRITERS = {
    "cond": _cond, "scan": _scan, "while": _while, "repeat": _repeat, "checkpoint": _checkpoint,
}  # fmt: skip
