"""Steps of control flow: loops and branches, whose bodies are regions of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.compiler.layout import Lie, contiguous
from chainrule.compiler.steps import Control, Keep, Operandlike, Ref, Root, new_root
from chainrule.program.program import Equation, Operand
from chainrule.program.types import Type, array_type

if TYPE_CHECKING:
    from chainrule.compiler.schedule import Schedule


def carried(schedule: Schedule, x: Operand, type_: Type, line) -> Ref:
    """Memory that holds an operand's value, to be written over."""
    source = schedule.operandlike(x)
    if isinstance(source, Ref) and source.whole:
        target = new_root(type_, schedule.next)
        schedule.append(Keep(schedule.next, line, source, target))
        return target
    return schedule.copied(source, type_)


def add_scan(schedule: Schedule, equation: Equation) -> None:
    params, body = equation.params, equation.params["body"]
    n, count = params["constants"], params["carries"]
    fixed = [schedule.operandlike(x) for x in equation.inputs[:n]]
    xs = [schedule.array(x) for x in equation.inputs[n + count :]]
    carry = [
        carried(schedule, x, v.type, equation.line)
        for x, v in zip(equation.inputs[n : n + count], equation.outputs, strict=False)
    ]
    ys = [new_root(v.type, schedule.next) for v in equation.outputs[count:]]
    rows = [(-1, Lie(0, x.lie.strides[1:])) for x in xs]
    layouts = [*map(layout_of, fixed), *map(layout_of, carry), *rows]
    region = schedule.make_region(body, layouts, {k: n + k for k in range(count)}, True)
    _control(schedule, "scan", equation, [*fixed, *xs], [*carry, *ys], [region])


def add_while(schedule: Schedule, equation: Equation) -> None:
    params = equation.params
    n = params["constants"]
    fixed = [schedule.operandlike(x) for x in equation.inputs[:n]]
    carry = [
        carried(schedule, x, v.type, equation.line)
        for x, v in zip(equation.inputs[n:], equation.outputs, strict=True)
    ]
    layouts = [*map(layout_of, fixed), *map(layout_of, carry)]
    written = {k: n + k for k in range(len(carry))}
    body = schedule.make_region(params["body"], layouts, written, True)
    test = schedule.make_region(params["test"], layouts, {}, False)
    flag = new_root(params["test"].out_types[0], schedule.next)
    _control(schedule, "while", equation, fixed, carry, [test, body], flag)


def add_cond(schedule: Schedule, equation: Equation) -> None:
    predicate, *rest = equation.inputs
    operands = [schedule.operandlike(x) for x in rest]
    known = schedule.constant(predicate)
    chosen = schedule.array(predicate) if known is None else known
    regions = [
        schedule.make_region(b, list(map(layout_of, operands)), {}, False)
        for b in equation.params["branches"]
    ]
    outputs = [new_root(v.type, schedule.next) for v in equation.outputs]
    _control(schedule, "cond", equation, [chosen, *operands], outputs, regions)


def _control(
    schedule: Schedule, kind: str, equation, operands, outputs, regions, flag: Ref | None = None
) -> None:
    size = max([r.arena for r in regions], default=0)
    scratch = Ref(
        Root(size, None, schedule.next), _bytes(size), contiguous((size,))
    ) if size else None  # fmt: skip
    step = Control(
        schedule.next, equation.line, kind, equation, operands, outputs, regions, scratch, flag
    )
    schedule.append(step)
    for ref in outputs:
        ref.root.made = step.number
    schedule.refs.update(zip(equation.outputs, outputs, strict=True))


def _bytes(size: int) -> Type:
    return array_type((size,), np.dtype(np.uint8))


def layout_of(x: Operandlike):
    """What a region is told of an input: its bytes and how it lies, or the number that it is."""
    if isinstance(x, Ref):
        return x.root.nbytes if x.whole else -1, x.lie._replace(offset=0)
    return x


CONTROL = {"scan": add_scan, "while": add_while, "cond": add_cond}
