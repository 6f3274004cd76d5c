"""A tie in a Python `if`: the function is traced again for either side of it.

    if x > 0:            at x = 0.0 the ordinary trace takes `else`;
        return x * x     along x + eps v with v > 0 the condition holds,
    return 3.0 * x       along x - eps v it does not

While a function is traced for a derivative, `Branching` is asked whenever Python wants to know a
condition, an index or a count. It looks whether the answer hangs on a tie of values that move.
Where one does, the derivative function traces twice more, and there the germ of the condition's
operands answers. Each trace is derived, each derivative taken to its limit along the germ that it
was traced for, and the mean is the result (as in chainrule.kinked). What the function writes comes
from the ordinary trace alone; a side on which the function raises is a side on which it does not
exist. NumPy's and Python's generators give every side the numbers that they gave the ordinary
trace, and are left where that left them (chainrule.host_reach says which are found).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from chainrule import errors
from chainrule.host_random import HostStates
from chainrule.kinked import Kinked, agree, limits, merged
from chainrule.ops.control import as_tuple
from chainrule.ops.shape import add_batch_axis
from chainrule.options import Options, in_trace
from chainrule.program.evaluate import Plan
from chainrule.program.names import names_wanted
from chainrule.program.op import Missing, Op
from chainrule.program.program import Equation, Operand, Program, Var
from chainrule.program.text import line_text
from chainrule.program.trace import Builder, current, user_line
from chainrule.running import run
from chainrule.tracing import Call, trace_call
from chainrule.transforms.batch import batch
from chainrule.transforms.ties import look_of, moving_outputs


@dataclass
class _Seen:
    """What is known of the variables of one builder: which move, as far as it has been read."""

    builder: Builder
    moves: set[Operand] = field(default_factory=set)
    inputs: set[Operand] = field(default_factory=set)
    read: int = 0
    quotients: bool = False

    def maker(self, x: Operand) -> Equation | None:
        return self.builder.maker(x)

    def of(self, x: Operand) -> list[Equation]:
        return []


class Branching:
    """Answers for Python conditions: notes ties, and decides them along a germ where `sign` is 1
    or -1. Called with a builder, a variable and its value at the point; gives the value."""

    def __init__(self, sign: int = 0):
        self.sign, self.met, self.line = sign, False, ""
        self._seen: dict[int, _Seen] = {}

    def __call__(self, builder: Builder, var: Operand, value):
        if not self._ties(builder, var):
            return value
        if not self.met:
            self.met, self.line = True, line_text(user_line())
        return self._decided(builder, var, value) if self.sign else value

    def forget(self) -> None:
        """Let the traces go that were looked at."""
        self._seen.clear()

    def _known(self, builder: Builder) -> _Seen:
        seen = self._seen.setdefault(id(builder), _Seen(builder))
        for var in [*builder.inputs, *(var for var, _, _ in builder.captured)]:
            if var not in seen.inputs:
                seen.inputs.add(var)
                source = builder.source(var)
                if var in builder.active_inputs or (
                    isinstance(source, tuple) and source[1] in self._known(source[0]).moves
                ):
                    seen.moves.add(var)
        for equation in builder.equations[seen.read :]:
            marks = moving_outputs(equation, seen.moves)
            seen.moves.update([v for v, m in zip(equation.outputs, marks, strict=True) if m])
        seen.read = len(builder.equations)
        return seen

    def _ties(self, builder: Builder, wanted: Operand) -> bool:
        """Whether a value hangs on a tie, through operations that give no moving values."""
        seen = self._known(builder)
        pending, visited = [wanted], {wanted}
        while pending:
            var = pending.pop()
            if var.is_literal or var in seen.moves:
                continue
            equation = builder.maker(var)
            if equation is None:
                source = builder.source(var)
                if isinstance(source, tuple) and self._ties(*source):
                    return True
                continue
            look = look_of(equation, seen.moves, seen)
            if look is not None:
                values = [builder.value(x) for x in equation.inputs]
                with np.errstate(all="ignore"):
                    met = bool(np.any(look(*values, **equation.params)))
                if builder.at_hand is not None:
                    builder.at_hand.note_look(builder, equation, look, met)
                if met:
                    return True
            pending += [x for x in equation.inputs if x not in visited]
            visited.update(equation.inputs)
        return False

    def _decided(self, builder: Builder, var: Operand, value):
        prefix = _Prefix()
        out = prefix.operand(builder, var)
        program = Program(prefix.inputs, prefix.equations, [out])
        found = limits(program, prefix.values, tuple(prefix.moving), self.sign)[0]
        return np.asarray(found).astype(np.asarray(value).dtype)[()]


class _Prefix:
    """The equations behind a variable, through the traces around it, as one closed program."""

    def __init__(self) -> None:
        self.inputs: list[Var] = []
        self.values: list = []
        self.moving: list[bool] = []
        self.equations: list[Equation] = []
        self._env: dict[Operand, Operand] = {}

    def operand(self, builder: Builder, wanted: Operand) -> Operand:
        """The variable of the prefix that stands for one of a builder."""
        if wanted.is_literal or wanted in self._env:
            return self._env.get(wanted, wanted)
        needed: set[Operand] = {wanted}
        equations = []
        for equation in reversed(builder.equations):
            if any(v in needed and v not in self._env for v in equation.outputs):
                equations.append(equation)
                needed.update(x for x in equation.inputs if not x.is_literal)
        for var in [*builder.inputs, *(var for var, _, _ in builder.captured)]:
            if (var in needed or var in builder.active_inputs) and var not in self._env:
                self._input(builder, var, var in needed)
        for equation in reversed(equations):
            inputs = tuple([self._env.get(x, x) for x in equation.inputs])
            outputs = tuple([Var(v.type, v.name) for v in equation.outputs])
            self._env.update(zip(equation.outputs, outputs, strict=True))
            self.equations.append(
                Equation(equation.op, inputs, equation.params, outputs, equation.line)
            )
        return self._env[wanted]

    def _input(self, builder: Builder, var: Var, needed: bool) -> None:
        source = builder.source(var)
        if isinstance(source, tuple) and var not in builder.active_inputs:
            self._env[var] = self.operand(*source)
            return
        self._env[var] = made = Var(var.type, var.name)
        self.inputs.append(made)
        # What only counts as one more direction may have no value at hand (an array in `compile`).
        value = builder.value(var) if needed else np.zeros(var.type.shape, var.type.dtype)
        self.values.append(value)
        self.moving.append(var in builder.active_inputs)


# --- derivatives from both sides ------------------------------------------------------------------


@dataclass
class Side:
    """The function traced for one side of a tie."""

    sign: int
    call: Call

    def limits(self, plan: Plan | Kinked, given: list) -> list:
        """The limits of a derived program's outputs along the germ that the side stands for."""
        assert isinstance(plan, Kinked)
        operands = plan.operands([*self.call.operands, *given])
        made = side_limits(*operands, program=plan.program, moving=plan.moving, sign=self.sign)
        return list(as_tuple(made))


@dataclass
class Sides:
    """The sides of a tie in a Python `if` of a function; none where no tie was met.

    `line` is that of the condition, `kinks` the option of the derivative.
    """

    name: str
    kinks: str | None
    line: str = ""
    traced: list[Side] = field(default_factory=list)

    def __iter__(self):
        return iter(self.traced)

    def mean(self, at: list, found: list[list]) -> list:
        """Derivatives, from those at the point and their limits on the sides that there are.

        An entry that is None does not move: it is zero where another side's does.
        """
        if not found:
            return at
        above, below = found if len(found) == 2 else (found[0], found[0])
        return [self._entry(*row) for row in zip(at, above, below, strict=True)]

    def _entry(self, at, above, below):
        like = next((x for x in (at, above, below) if x is not None), None)
        if like is None:
            return None
        entries = [np.zeros_like(like) if x is None else x for x in (at, above, below)]
        return mean_of_sides(*entries, name=self.name, kinks=self.kinks, line=self.line)


# --- as equations, where the arguments are traced -------------------------------------------------


def _limits(*operands, program, moving, sign):
    found = limits(program, list(operands), moving, sign)
    return found[0] if len(found) == 1 else tuple(found)


def _limits_of_lanes(size, inputs, batched, *, program, **params):
    made, _ = batch(program, size, tuple(batched), (True,) * len(program.outputs))
    return as_tuple(side_limits(*inputs, program=made, **params))


side_limits: Op = Op(
    "side_limits", lambda *types, program, **_: program.out_types, _limits,
    Missing("both sides of a tie are settled by the outermost derivative"), _limits_of_lanes,
    doc="the limits of a derivative's program along the germ x + sign eps v",
)  # fmt: skip


def _mean(at, above, below, *, name, kinks, line):
    if kinks == "raise" and not agree([above, below]):
        raise errors.NotDifferentiable(
            f"{name} has no derivative at this point: a Python condition, at {line}, meets a tie.\n"
            f"  On the two sides of it the derivative is {above} and {below}.\n"
            '  Move off the point, or take the mean with kinks="exact".'
        )
    return merged([at], (True,), [above], [below])[0]


def _mean_of_lanes(size, inputs, batched, **params):
    wide = [x if m else add_batch_axis(x, size) for x, m in zip(inputs, batched, strict=True)]
    return mean_of_sides(*wide, **params)


mean_of_sides: Op = Op(
    "mean_of_sides", lambda at, *_, **__: (at,), _mean,
    Missing("both sides of a tie are settled by the outermost derivative"), _mean_of_lanes,
    doc="a derivative where a Python `if` met a tie, from its limits on both sides",
)  # fmt: skip


def trace_sides(f: Callable, args, kwargs, wanted, options: Options) -> tuple[Call, Sides]:
    """The function traced for a derivative; and once for each side, where a Python `if` met a tie.

    Inside the trace of another derivative there are no sides: that one is told of the tie.
    """
    options, outer = in_trace(options), current()
    if options.kinks == "convention" or (outer is not None and _is_told(outer)):
        call = trace_call(f, args, kwargs, wanted)
        return call, Sides(call.name, options.kinks)
    branching, hosts = Branching(), HostStates(f, args, kwargs)
    call = trace_call(f, args, kwargs, wanted, branching=branching, hosts=hosts)
    branching.forget()
    sides = Sides(call.name, options.kinks, branching.line)
    if not branching.met or names_wanted():
        return call, sides
    after = hosts.now()
    for sign in (1, -1):
        hosts.restore()
        try:
            traced = trace_call(f, args, kwargs, wanted, branching=Branching(sign), hosts=hosts)
        except errors.ChainruleError:
            raise
        except Exception:  # the user's own: the function does not exist on that side
            continue
        finally:
            after.restore()
        if traced.structure != call.structure or not _alike(_types(traced), _types(call)):
            raise errors.NotDifferentiable(
                f"{call.name} has no derivative at this point: a Python condition, at "
                f"{branching.line}, meets a tie, and on the two sides of it {call.name} returns "
                f"{call.structure!r} of {_types(call)} and {traced.structure!r} of "
                f"{_types(traced)}."
            )
        sides.traced.append(Side(sign, traced))
    return call, sides


def _is_told(outer: Builder) -> bool:
    """Whether an outer trace is one of a derivative, or is to be certified."""
    return outer.branching is not None or (outer.at_hand is not None and outer.at_hand.certain)


def _types(call: Call) -> list:
    """The types of what the function returns; None for what has no derivative on any side."""
    found = [o.type for o in call.program.outputs[: call.count]]
    return [t if t.inexact else None for t in found]


def _alike(one: list, other: list) -> bool:
    """Whether types are the same, up to the width of floats: `1.0 if x == 0 else ...` of a float32
    returns one that is wider."""
    return len(one) == len(other) and all(
        (a is None) == (b is None)
        and (a is None or (a.shape, a.dtype.kind) == (b.shape, b.dtype.kind))
        for a, b in zip(one, other, strict=True)
    )


def run_on_sides(
    plan_of: Callable[[Call], Plan | Kinked], call: Call, sides: Sides, count: int
) -> list:
    """The outputs of a derived program: where there are sides, the mean of the limits on both.

    The last `count` outputs are the derivatives; others change where they hold an inner one.
    """
    plan = plan_of(call)
    outputs = run(plan, call.operands)
    if sides.traced and isinstance(plan, Kinked):
        found = [side.limits(plan_of(side.call), []) for side in sides]
        inner = [i for i, s in enumerate(plan.settled[:-count][: call.count]) if s]
        places = [*inner, *range(-count, 0)]
        mean = sides.mean([outputs[i] for i in places], [[f[i] for i in places] for f in found])
        for i, value in zip(places, mean, strict=True):
            outputs[i] = value
    return outputs
