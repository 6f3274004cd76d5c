"""Only what is needed: equations that no result needs are left out, inside control flow too.

A branch gives only the results that are read, and takes only the operands that it reads; a loop
carries only what its results, its test or the carry itself depend on.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.ops.checkpoint import checkpoint_op
from chainrule.ops.control import pick, with_inputs, with_outputs
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Program

Mask = list[bool]


def live(program: Program) -> Program:
    """The program without what its outputs do not need."""
    needed = {o for o in program.outputs if not o.is_literal}
    kept = []
    for equation in reversed(program.equations):
        wanted = [v in needed for v in equation.outputs]
        if not any(wanted):
            continue
        shorten = _SHORTEN.get(equation.op.name)
        made = equation if shorten is None else shorten(equation, wanted)
        kept.append(made)
        needed.update(x for x in made.inputs if not x.is_literal)
    return Program(program.inputs, kept[::-1], program.outputs, name=program.name)


def _reads(program: Program) -> Mask:
    """Which inputs a program reads, or passes on."""
    read = {x for e in program.equations for x in e.inputs} | set(program.outputs)
    return [v in read for v in program.inputs]


def _live_part(program: Program, outputs: Mask) -> Program:
    return live(with_outputs(program, pick(program.outputs, outputs)))


def _either(first: Mask, second: Mask) -> Mask:
    return [a or b for a, b in zip(first, second, strict=True)]


def _equation(like: Equation, op, inputs, params, wanted: Mask) -> Equation:
    return Equation(op, tuple(inputs), params, tuple(pick(like.outputs, wanted)), like.line)


def _cond(equation: Equation, wanted: Mask) -> Equation:
    predicate, *operands = equation.inputs
    yes, no = (_live_part(b, wanted) for b in equation.params["branches"])
    read = _either(_reads(yes), _reads(no))
    branches = tuple(with_inputs(b, pick(b.inputs, read)) for b in (yes, no))
    inputs = [predicate, *pick(operands, read)]
    return _equation(equation, equation.op, inputs, {"branches": branches}, wanted)


def _run_once(program: Callable[[dict], Program]):
    """An operation whose value is that of a program."""

    def shorten(equation: Equation, wanted: Mask) -> Equation:
        part = _live_part(program(equation.params), wanted)
        read = _reads(part)
        params = {"program": with_inputs(part, pick(part.inputs, read))}
        return _equation(equation, checkpoint_op, pick(equation.inputs, read), params, wanted)

    return shorten


def _settled(program: Program, carries: Mask, others: Mask, first: int) -> Mask:
    """The carries (inputs from number `first` on) that the wanted outputs depend on at last."""
    while True:
        outputs = pick(program.outputs, [*carries, *others])
        read = _reads(remove_dead(with_outputs(program, outputs)))
        grown = _either(carries, read[first : first + len(carries)])
        if grown == carries:
            return carries
        carries = grown


def _scan(equation: Equation, wanted: Mask) -> Equation:
    params = equation.params
    n, count = params["constants"], params["carries"]
    ys = wanted[count:]
    carries = _settled(params["body"], wanted[:count], ys, n)
    body = _live_part(params["body"], [*carries, *ys])
    read = _reads(body)
    kept = [*read[:n], *carries, *read[n + count :]]
    new = {
        **params, "body": with_inputs(body, pick(body.inputs, kept)),
        "constants": sum(read[:n]), "carries": sum(carries),
    }  # fmt: skip
    return _equation(equation, equation.op, pick(equation.inputs, kept), new, [*carries, *ys])


def _while(equation: Equation, wanted: Mask) -> Equation:
    params = equation.params
    n = params["constants"]
    test = live(params["test"])
    tested = _reads(test)
    carries = _settled(params["body"], _either(wanted, tested[n:]), [], n)
    body = _live_part(params["body"], carries)
    kept = [*_either(tested[:n], _reads(body)[:n]), *carries]
    new = {
        "test": with_inputs(test, pick(test.inputs, kept)),
        "body": with_inputs(body, pick(body.inputs, kept)), "constants": sum(kept[:n]),
    }  # fmt: skip
    return _equation(equation, equation.op, pick(equation.inputs, kept), new, carries)


def _repeat(equation: Equation, wanted: Mask) -> Equation:
    params = equation.params
    k, lin, n = params["known_constants"], params["linear_constants"], len(params["known"].inputs)
    carries = _settled(params["moving"], wanted, [], n + lin)
    moving = _live_part(params["moving"], carries)
    read = _reads(moving)
    state = _settled(params["known"], read[k:n], [], k)
    known = _live_part(params["known"], state)
    fixed = _either(read[:k], _reads(known)[:k])
    kept = [*fixed, *state, *read[n : n + lin], *carries]
    new = {
        "known": with_inputs(known, pick(known.inputs, [*fixed, *state])),
        "moving": with_inputs(moving, pick(moving.inputs, kept)),
        "known_constants": sum(fixed), "linear_constants": sum(read[n : n + lin]),
    }  # fmt: skip
    steps, *rest = equation.inputs
    return _equation(equation, equation.op, [steps, *pick(rest, kept)], new, carries)


_SHORTEN = {
    "cond": _cond, "scan": _scan, "while": _while, "repeat": _repeat,
    "checkpoint": _run_once(lambda params: params["program"]),
    "custom": _run_once(lambda params: params["program"]),
    "implicit": _run_once(lambda params: params["solve"]),
    "custom_linear": _run_once(lambda params: params["forward"] or params["transposed"]),
}  # fmt: skip
