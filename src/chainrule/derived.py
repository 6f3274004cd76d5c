"""Derived programs, kept: each is made once for the structure of the program it comes from."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from chainrule import errors, kept_derivatives
from chainrule.kept_colourings import KeptColourings
from chainrule.kinked import Kinked, KinkedHalf, joined, settling, settling_halves
from chainrule.options import DEFAULT, Options, in_trace
from chainrule.program.cost import subprograms
from chainrule.program.evaluate import Plan
from chainrule.program.garbage import collector_paused
from chainrule.program.liveness import remove_dead
from chainrule.program.names import names_wanted
from chainrule.program.noting import code_of_ours
from chainrule.program.program import Program
from chainrule.program.trace import current
from chainrule.transforms.batch import batch
from chainrule.transforms.checkpoint import within, within_halves
from chainrule.transforms.closed_forms import closed_forms, closed_sums
from chainrule.transforms.forward import forward
from chainrule.transforms.jacobian import jacobian_program, passes
from chainrule.transforms.kinks import inlined, see_through
from chainrule.transforms.reverse import reverse, split_program, transpose_program
from chainrule.transforms.rewrites_pooling import pooled_first
from chainrule.transforms.single_draws import refuse_jumps
from chainrule.transforms.sparse_jacobian import SparseJacobian
from chainrule.transforms.stabilize import stabilize
from chainrule.transforms.storing import storing_less
from chainrule.wide.repair import Batched, Watch, watch
from chainrule.wide.twin import Twin

_KEPT = 512
_cache: OrderedDict[tuple, Any] = OrderedDict()
_lock = threading.Lock()

checking = False  # set by the tests: every program that goes in or comes out is validated


def derived(kind: str, program: Program, *arguments, options: Options = DEFAULT):
    """The derived program of a kind (see `_MAKERS`), planned; the latest few hundred are kept.

    In a trace that is to be certified, formulas are derived as they stand: rewriting rounds. So
    they are where the program is to be shown, with names: the equations are the user's own.
    """
    options, trace = in_trace(options), current()
    if trace is not None and trace.at_hand is not None and trace.at_hand.certain:
        options = replace(options, kinks="convention", stabilize=False)
        _refuse_series(program)
    if names_wanted():
        if kind in _DERIVATIVES:
            refuse_jumps(program, arguments[0])
        return _made(kind, program, replace(options, stabilize=False), arguments)
    with code_of_ours():
        key = (kind, program.key, program.place, options, *arguments)  # the traced program may go
    with _lock:
        found = _cache.get(key)
        if found is not None:
            _cache.move_to_end(key)
            return found
    with collector_paused(), code_of_ours():
        if kind in _DERIVATIVES:
            refuse_jumps(program, arguments[0])
        made = _kept_or_made(kind, program, options, arguments)
        if options.stabilize and kind != "run":
            written = partial(_made, kind, program, replace(options, stabilize=False), arguments)
            _watch(made, written, Batched(program, arguments[1]) if kind == "batch" else None)
    if checking:
        _check(program, made)
    with _lock:
        _cache[key] = made
        if len(_cache) > _KEPT:
            _cache.popitem(last=False)
    return made


def _kept_or_made(kind: str, program: Program, options: Options, arguments):
    """A derivative looked up on disk, where its kind is kept there; else worked out, and kept."""
    if kind not in _KEPT_ON_DISK or options.memory is not None:
        return _made(kind, program, options, arguments)
    key = kept_derivatives.key_of(program, kind, options, *arguments)
    found = None if key is None else kept_derivatives.found(key, program, storing_less)
    if found is not None:
        return found
    made = _made(kind, program, options, arguments)
    if key is not None:
        kept_derivatives.keep(key, program, made)
    return made


def _made(kind: str, program: Program, options: Options, arguments):
    if kind not in _AS_IT_IS:
        program = _stable(program, options)
        if options.kinks != "convention":
            program = pooled_first(program)
    return _MAKERS[kind](program, options, *arguments)


def _stable(program: Program, options: Options) -> Program:
    """The program stabilised, as the options say: before it is derived, and what is made of it."""
    return stabilize(program) if options.stabilize else program


def _refuse_series(program: Program) -> None:
    """Refuse to prove a derivative whose rule is a series that is cut off."""
    for equation in program.equations:
        for _, inner in subprograms(equation):
            _refuse_series(inner)
        if equation.op.name == "sinc":
            raise errors.NotSupported(
                f"the derivative of sinc, at {equation.where}, is summed from a series in floating "
                "point, and cannot be certified.\n  Write np.sin(np.pi * x) / (np.pi * x)."
            )


def _plans(made) -> list[Plan]:
    items = made if isinstance(made, tuple) else (made,)
    plans = [x.plan if isinstance(x, Kinked | KinkedHalf) else x for x in items]
    return [p for p in plans if isinstance(p, Plan)]


def _watch(made, as_written: Callable[[], Any], batched: Batched | None) -> None:
    """Have lost digits looked for; a half by the whole that it belongs to, since what its residuals
    have lost is found in the inputs only. They are found in the formulas as they were written."""
    for number, plan in enumerate(_wholes(made)):

        def written(number: int = number) -> Program:
            with collector_paused():
                return _wholes(as_written())[number].recorded

        def watching(program: Program, written=written) -> Watch | Twin | None:
            return watch(program, written, batched)

        plan.watching = watching


def _wholes(made) -> list[Plan]:
    items = made if isinstance(made, tuple) else (made,)
    return [p for x in items for p in _plans(x.whole if isinstance(x, KinkedHalf) else x)]


def _check(program: Program, made) -> None:
    program.validate()
    for plan in _plans(made):
        plan.program.validate()


def _gradient(program: Program, options: Options, active, with_value: bool) -> Plan | Kinked:
    opened = see_through(program, active)
    made, _ = reverse(opened.program, opened.active(active), seeds=(0,))
    settled = opened.settled
    if not with_value:
        made = remove_dead(_with_outputs(made, made.outputs[1:]))
        if len(program.outputs) == 1:  # auxiliary results are the user's own expressions
            made = closed_forms(made)
        settled = settled[1:]
    else:
        made = closed_sums(made, len(program.outputs))
    return _planned(made, opened, active, settled, options)


def _planned(program: Program, opened, active, settled, options: Options) -> Plan | Kinked:
    """The program within its budget; without one, run in an order that keeps less."""
    program = _stable(program, options)
    if options.memory is not None:
        fits = partial(within, memory=options.memory)
        return settling(program, opened, active, settled, options, fits, options.memory)
    return settling(program, opened, active, settled, options, storing_less)


def _with_outputs(program: Program, outputs) -> Program:
    return Program(program.inputs, program.equations, outputs, name=program.name)


def _forward(program: Program, options: Options, active):
    opened = see_through(program, active)
    made, moves = forward(opened.program, opened.active(active))
    fits, made = partial(within, memory=options.memory), _stable(made, options)
    return settling(
        made, opened, active, opened.settled, options, fits, options.memory
    ), moves


def _linearize(program: Program, options: Options, active):
    opened = see_through(program, active)
    program = opened.program
    flat, moves = forward(program, opened.active(active))
    count = len(program.inputs)
    mask = (False,) * count + (True,) * (len(flat.inputs) - count)
    known, linear, _, _ = split_program(flat, mask)
    whole = remove_dead(_with_outputs(flat, flat.outputs[len(program.outputs) :]))
    whole, known, linear = (_stable(p, options) for p in (whole, known, linear))
    fit = partial(within_halves, memory=options.memory)
    return *settling_halves(known, linear, whole, opened, active, options, fit), moves


def _pullback(program: Program, options: Options, active, value_count: int):
    """The known half, the transposed half, and which of the first outputs take a cotangent."""
    opened = see_through(program, active)
    program = opened.program
    flat, moves = forward(program, opened.active(active))
    inputs, outputs = len(program.inputs), len(program.outputs)
    moving = [i for i, m in enumerate(moves) if m]
    kept = [flat.outputs[outputs + k] for k, i in enumerate(moving) if i < value_count]
    flat = remove_dead(_with_outputs(flat, [*flat.outputs[:outputs], *kept]))
    mask = (False,) * inputs + (True,) * (len(flat.inputs) - inputs)
    known, linear, _, residuals = split_program(flat, mask)
    pull = transpose_program(linear, len(residuals))
    whole = joined(known, pull, len(residuals))
    whole, known, pull = (_stable(p, options) for p in (whole, known, pull))
    fit = partial(within_halves, memory=options.memory)
    halves = settling_halves(known, pull, whole, opened, active, options, fit)
    return *halves, moves[:value_count]


def _jacobian(program: Program, options: Options, active, value_count: int, mode: str):
    opened = see_through(program, active)
    made = jacobian_program(opened.program, opened.active(active), value_count, mode)
    return _planned(made, opened, active, opened.settled, options)


def _sparse_jacobian(
    program: Program, options: Options, active, value_count: int, mode: str, symmetric: bool
) -> SparseJacobian:
    opened = see_through(program, active)

    def planned(made: Program):
        return _planned(made, opened, active, opened.settled, options)

    asked = options, active, value_count, mode, symmetric
    disk = KeptColourings(program, storing_less, *asked)
    mask = opened.active(active)
    return SparseJacobian(opened.program, mask, value_count, mode, symmetric, planned, disk)


def _passes(program: Program, options: Options, active, value_count: int, mode: str):
    return passes(inlined(program), active, value_count, mode)


def _batch(program: Program, options: Options, size: int, batched, wanted) -> Plan:
    return Plan(batch(program, size, batched, wanted)[0])


_AS_IT_IS = ("batch", "run")
_DERIVATIVES = frozenset({"gradient", "forward", "linearize", "pullback", "jacobian"})
_KEPT_ON_DISK = ("gradient", "jacobian")  # one program, run in the order of `storing_less`
_MAKERS: dict[str, Callable] = {
    "gradient": _gradient,
    "forward": _forward,
    "linearize": _linearize,
    "pullback": _pullback,
    "jacobian": _jacobian,
    "passes": _passes,
    "sparse_jacobian": _sparse_jacobian,
    "batch": _batch,
    "run": lambda program, options: Plan(program),
}
