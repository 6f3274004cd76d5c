"""Control flow as Python writes it: if, for and while, with the sub-programs in their blocks.

What is copied, and what may be overwritten, is as in the operations' `evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from chainrule.program.program import Equation, Operand, Program
from chainrule.show.fragments import COMPARE, Fragment, call, dtype_text, scalar, shape_text

if TYPE_CHECKING:
    from chainrule.show.writer import Body, Writer


def write_control_flow(body: Body, equation: Equation) -> None:
    """Write a control-flow operation; its outputs get names."""
    _WRITERS[equation.op.name](body, equation)


def _operands(body: Body, operands: Sequence[Operand]) -> list[Fragment]:
    """Operands as inputs of a program: NumPy scalars and arrays."""
    return [scalar(x.value) if x.is_literal else body.operand(x) for x in operands]


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
    """`a, b = x, y` in one statement; what has its name already is left out."""
    pairs = [(n, v.text) for n, v in zip(names, values, strict=True) if n != v.text]
    if pairs:
        left, right = zip(*pairs, strict=True)
        writer.line(f"{', '.join(left)} = {', '.join(right)}")


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


def _run_once(param: str) -> Callable:
    """A program that runs as it is: its statements, in line."""

    def write(body: Body, equation: Equation) -> None:
        names = _name_outputs(body, equation)
        inputs = _operands(body, equation.inputs)
        _write_block(body.writer, equation.params[param], inputs, names)

    return write


def _custom_linear(body: Body, equation: Equation) -> None:
    param = "forward" if equation.params["forward"] is not None else "transposed"
    _run_once(param)(body, equation)


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
    params, writer = equation.params, body.writer
    program, n, m = params["body"], params["constants"], params["constants"] + params["carries"]
    length, backwards = params["length"], params["reverse"]
    ys = equation.outputs[params["carries"] :]
    kept = [i for i, y in enumerate(ys) if y in body.reading.uses]
    outputs = [*program.outputs[: params["carries"]]]
    outputs += [program.outputs[params["carries"] + i] for i in kept]
    program = Program(program.inputs, program.equations, outputs, name=program.name)
    fixed = _operands(body, equation.inputs[:n])
    carry = _start_carry(body, program.inputs[n:m], equation.inputs[n:m])
    stacks = [_empty(body, ys[i], length) for i in kept]
    xs = _operands(body, equation.inputs[m:])
    read = {x for e in program.equations for x in e.inputs} | set(program.outputs)
    used = [i for i, v in enumerate(program.inputs[m:]) if v in read]
    index, head = _loop_head(writer, program.inputs[m:], xs, used, stacks, length, backwards)
    with writer.block(head):
        rows = [Fragment("_")] * len(xs)
        for i in used:
            rows[i] = _row(writer, program.inputs[m + i], xs[i], index)
        inner = writer.body(program, [*fixed, *carry, *rows], tuple(range(n, m)))
        _write_step(inner, program.inputs[n:m], carry, stacks, index)
    _name_carry(body, equation, carry)


def _name_carry(body: Body, equation: Equation, carry: list[Fragment]) -> None:
    """The loop's results are where its carry is."""
    for var, name in zip(equation.outputs, carry, strict=False):
        body.fragments[var] = name
        body.writer.names.show(var, name.text)


def _row(writer: Writer, var, xs: Fragment, index: str | None) -> Fragment:
    if index is None:  # the loop runs over the rows themselves
        return Fragment(writer.loop_variable)
    return writer.assign(var, xs.get(f"[{index}]").text)


def _empty(body: Body, y, length: int) -> Fragment:
    """An array for one result of every step."""
    dtype = {} if y.type.dtype == np.float64 else {"dtype": dtype_text(y.type.dtype)}
    made = body.writer.assign(y, call("np.empty", shape_text(y.type.shape), **dtype).text)
    body.fragments[y] = made
    return made


def _loop_head(writer: Writer, variables, xs, used, stacks, length: int, backwards: bool):
    """The name of the index (None where the loop runs over rows), and the `for` line."""
    if len(used) == 1 and not stacks and not backwards:
        var = variables[used[0]]
        writer.loop_variable = writer.names.of(var)
        writer.names.show(var, writer.loop_variable)
        return None, f"for {writer.loop_variable} in {xs[used[0]].text}:"
    index = writer.names.new("i") if used or stacks else "_"
    steps = f"reversed(range({length}))" if backwards else f"range({length})"
    return index, f"for {index} in {steps}:"


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


_WRITERS = {
    "cond": _cond, "scan": _scan, "while": _while, "repeat": _repeat,
    "checkpoint": _run_once("program"), "custom": _run_once("program"),
    "custom_linear": _custom_linear,
}  # fmt: skip
