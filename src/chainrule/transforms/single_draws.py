"""What a derivative of one sample must not pass over: jumps of random draws, and discrete draws.

A gradient of a function that draws is that of the numbers drawn: right in the mean where draws move
smoothly. Where a discrete draw's parameter moves, or a comparison on a draw moves, the mean has a
part in its derivative that no single sample shows. Such a derivative raises, rather than being
wrong without a word. A mask that does not move with the inputs (dropout) passes.
"""

from __future__ import annotations

from chainrule import errors
from chainrule.program.cost import subprograms
from chainrule.program.op import Structural
from chainrule.program.program import Equation, Program
from chainrule.transforms.chance import CONTINUOUS, DISCRETE, draws_inside, is_jump, never_equal
from chainrule.transforms.continuity import settled
from chainrule.transforms.kinks import inlined

_WAY_OUT = (
    "  The mean has a derivative: cr.grad(cr.expectation(f))(..., rng=generator). To leave this "
    "part out, keep it from moving with cr.stop_gradient."
)


def refuse_jumps(program: Program, active: tuple[bool, ...]) -> None:
    """Raise `NotDifferentiable` where draws make the program jump as the active inputs move."""
    if draws_inside(program):
        program = inlined(program)
        _look(program, active, (False,) * len(active))


def _look(program: Program, moving_in, random_in) -> list[tuple[bool, bool]]:
    """For each output, whether it moves, and whether it moves smoothly with a draw."""
    moving = {v for v, m in zip(program.inputs, moving_in, strict=True) if m}
    random = {v for v, r in zip(program.inputs, random_in, strict=True) if r}
    exempt: set[Equation] | None = None
    for equation in program.equations:
        moves = [not x.is_literal and x in moving for x in equation.inputs]
        fed = [not x.is_literal and x in random for x in equation.inputs]
        name = equation.op.name
        if name in DISCRETE:
            if any(moves):
                raise _refusal(f"the parameter of a discrete draw ({name}) moves", equation)
            continue
        if name in CONTINUOUS:
            random.update(equation.outputs)
            moving.update(equation.outputs if any(moves) else ())
            continue
        if isinstance(equation.op.derivative, Structural):
            marks = _inside(equation, moves, fed)
        elif is_jump(equation) and any(moves) and any(fed):
            if never_equal(equation, random):
                continue
            exempt = settled(program) if exempt is None else exempt
            if equation not in exempt:
                raise _refusal(f"a jump ({name}) of a random draw moves", equation)
            continue
        else:
            smooth = equation.op.smooth
            marks = [(smooth and any(moves), smooth and any(fed))] * len(equation.outputs)
        for var, (m, r) in zip(equation.outputs, marks, strict=True):
            if var.type.inexact:
                moving.update((var,) if m else ())
                random.update((var,) if r else ())
    return [
        (not o.is_literal and o in moving, not o.is_literal and o in random)
        for o in program.outputs
    ]


def _refusal(what: str, equation: Equation) -> Exception:
    return errors.NotDifferentiable(
        f"{what} with an input, at {equation.where}: a single sample does not show how its mean "
        f"changes.\n{_WAY_OUT}"
    )


def _inside(equation: Equation, moves, fed) -> list[tuple[bool, bool]]:
    """The marks of the outputs of a loop or branch."""
    name, params = equation.op.name, equation.params
    if name == "cond":
        if moves[0] or fed[0]:
            moves, fed = [False, *moves[1:]], [False, *fed[1:]]
        both = [_look(p, moves[1:], fed[1:]) for p in params["branches"]]
        return [(any(m for m, _ in row), any(r for _, r in row)) for row in zip(*both, strict=True)]
    if name in ("scan", "while"):
        start = params["constants"]
        carries = params["carries"] if name == "scan" else len(moves) - start
        moves, fed = list(moves), list(fed)
        while True:
            made = _look(params["body"], moves, fed)
            before = (list(moves), list(fed))
            for k, (m, r) in enumerate(made[:carries]):
                moves[start + k] |= m
                fed[start + k] |= r
            if (moves, fed) == before:
                return made
    programs = [p for _, p in subprograms(equation)]
    if name == "checkpoint":
        return _look(programs[0], moves, fed)
    return [(any(moves), any(fed))] * len(equation.outputs)  # the user's own rule is trusted
