"""Watching for ties: a program that also says whether a choice in it was met at a tie.

    (outputs) = f(x)   becomes   (outputs, met) = f(x)

A choice is an operation that jumps where its operands tie: a comparison, `sign`, `floor`, `argmax`,
an order. (`maximum`, `abs`, `max` and `sort` do not jump; their derivatives do, and hold such
choices.) A singular point is a zero in a denominator, a logarithm or a negative power. Only
operands that move count, those that depend on an input marked in the mask; which these are is
static. The looks are ordinary equations, so a compiler fuses them with the comparisons that they
are about.

Comparisons that always tie somewhere and say nothing by it are left out: an array with its own
largest entry (there a tie is a second largest), and a value with itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.ops.checkpoint import checkpoint_op
from chainrule.ops.compare import (
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_or,
    not_equal,
)
from chainrule.ops.control import as_tuple
from chainrule.ops.elementwise import absolute, floor, subtract, trunc
from chainrule.ops.index import index
from chainrule.ops.matrices import rounding_of
from chainrule.ops.pooling import window_max, window_ties
from chainrule.ops.reduce import any_, max_, min_
from chainrule.ops.select import cast
from chainrule.ops.shape import broadcast, kept_axes, sum_
from chainrule.ops.sort import searchsorted, sort
from chainrule.ops.spectral import eigh, svd
from chainrule.ops.while_loop import repeat_as_while
from chainrule.program.displacement import holds_quotient
from chainrule.program.op import Constant, Discrete, Op
from chainrule.program.program import Equation, Operand, Program, Var, literal
from chainrule.program.remember import remembered
from chainrule.program.trace import Builder, Traced, as_operand, inline
from chainrule.program.types import array_type
from chainrule.program.walk import walk
from chainrule.transforms.activity import Activity, both
from chainrule.transforms.blocks import ties_of, windows_of
from chainrule.transforms.forward import copy_equation
from chainrule.transforms.hidden import Makers, bound_of_pooled
from chainrule.transforms.signs import positive

POOLED = {"window_pick", "window_share"}
_BOOL = array_type((), np.dtype(bool))


# --- what ties ------------------------------------------------------------------------------------
# A rule takes the operands of an equation, and its params, and gives the array of ties.


def _sides(x, y):
    return equal(x, y)


def _zero(x, *_):
    return equal(x, x.dtype.type(0))


def _second_zero(x, y):
    return equal(y, y.dtype.type(0))


def _whole(x, *_, **params):
    return equal(x, floor(x))


def _whole_but_zero(x, **params):
    return logical_and(equal(x, trunc(x)), not_equal(x, x.dtype.type(0)))


def _half(x):
    return equal(subtract(x, floor(x)), x.dtype.type(0.5))


def _multiple(x, y):
    quotient = x / y
    return equal(quotient, floor(quotient))


def _cast(x, *, dtype):
    if np.dtype(dtype).kind == "b":
        return _zero(x)
    return _whole_but_zero(x)


def _minus_one(x):
    return equal(x, x.dtype.type(-1))


def _shared(extreme):
    def rule(x, *, axis):
        out = extreme(x, axes=(axis,))
        spread = broadcast(out, shape=x.shape, axes=kept_axes(x.ndim, (axis,)))
        return _several_equal(equal(x, spread), (axis,))

    return rule


def _several_equal(tied, axes):
    """Where more than one entry is the extreme one; counted as the derivative of `max` does."""
    return greater(sum_(cast(tied, dtype=np.dtype(np.float64)), axes=axes), np.float64(1))


def _neighbours(x, *, axis, **params):
    return neighbours(sort(x, axis=axis), axis) if x.shape[axis] > 1 else None


def neighbours(ordered, axis: int):
    """Where an entry equals the one before it; None where there are no two."""
    n = ordered.shape[axis]
    if n < 2:
        return None
    return equal(_part(ordered, axis, 1, n), _part(ordered, axis, 0, -1))


def record_held(x, out, axis: int):
    """Where an entry is as large as the running extreme before it."""
    if x.shape[axis] < 2:
        return None
    return equal(_part(x, axis, 1, x.shape[axis]), _part(out, axis, 0, -1))


def _part(x, axis: int, start: int, stop: int):
    n = x.shape[axis]
    stop = stop % n if stop < 0 else stop
    return index(x, at=tuple((start, stop, 1) if a == axis else (0, m, 1)
                             for a, m in enumerate(x.shape)))  # fmt: skip


def _found(a, v, *, side, lead):
    left, right = (searchsorted(a, v, side=s, lead=lead) for s in ("left", "right"))
    return not_equal(left, right)


def _windows(x, out, moved, **params):
    return window_ties(x, out, **params)


TIES: dict[str, Callable] = {
    **dict.fromkeys(("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"),
                    _sides),
    **dict.fromkeys(("sign", "signbit", "heaviside"), _zero),
    **dict.fromkeys(("floor", "ceil"), _whole),
    **dict.fromkeys(("floor_divide", "remainder", "fmod"), _multiple),
    "trunc": _whole_but_zero, "rint": _half, "cast": _cast, "copysign": _second_zero,
    "argmax": _shared(max_), "argmin": _shared(min_),
    "argsort": _neighbours, "argpartition": _neighbours, "searchsorted": _found,
    "window_pick": _windows, "window_share": _windows,
}  # fmt: skip


# --- what is singular -----------------------------------------------------------------------------


def _power(x, y):
    negative = less(y, y.dtype.type(0))
    if type(negative) is np.bool:  # an exponent that is a number
        return _zero(x) if negative else None
    return logical_and(_zero(x), negative)


SINGULAR: dict[str, Callable] = {
    "divide": _second_zero, "reciprocal": _zero, "log": _zero, "log2": _zero, "log10": _zero,
    "log1p": _minus_one, "power": _power,
}  # fmt: skip


# --- equal eigenvalues ----------------------------------------------------------------------------
# The vectors of equal values are any basis: which of the values each belongs to is a choice. Where
# quotients of the gaps are read as well, limits are taken by program/displacement.py.


def _equal_values(numbered: int, op: Op) -> Callable:
    """The look of an operation whose output of that number holds the values, in order."""

    def rule(a, **params):
        values = op(a, **params)[numbered]
        n = values.shape[-1]
        if n < 2:
            return None
        axis = values.ndim - 1
        gaps = absolute(_part(values, axis, 1, n) - _part(values, axis, 0, -1))
        return less_equal(gaps, rounding_of(values, gaps.shape))

    return rule


EQUAL_VALUES: dict[str, Callable] = {
    "eigh": _equal_values(0, eigh), "svd": _equal_values(1, svd),
}  # fmt: skip


def look_of(equation: Equation, moves: set, uses: Makers) -> Callable | None:
    """What tells from an equation's operands whether it meets a tie or a zero.

    None where it cannot meet one. `moves` holds the variables that move.
    """
    name, inputs = equation.op.name, equation.inputs
    if name in SINGULAR:
        zero = inputs[name == "divide"]
        return SINGULAR[name] if zero in moves and not positive(zero, uses.maker) else None
    if name in EQUAL_VALUES:
        real = inputs[0].type.dtype.kind == "f"
        return EQUAL_VALUES[name] if inputs[0] in moves and real and not uses.quotients else None
    rule = TIES.get(name)
    if rule is None or not any(x in moves and x.type.dtype.kind == "f" for x in inputs):
        return None
    if name == "cast":
        return rule if np.dtype(equation.params["dtype"]).kind in "biu" else None
    if name == "copysign":
        return rule if inputs[1] in moves else None
    return _look_of_comparison(equation, uses) if rule is _sides else rule


def _look_of_comparison(equation: Equation, uses: Makers) -> Callable | None:
    x, y = equation.inputs
    if x is y or _guards_infinity(equation, uses):
        return None
    if equation.op.name == "equal":
        for a, b in ((x, y), (y, x)):
            made = uses.maker(b)
            if made is None:
                continue
            name = made.op.name
            if name in ("fmax", "fmin") and a in made.inputs:
                return None  # the two sides themselves are compared beside it
            if name in ("cummax", "cummin") and made.inputs[0] is a:
                axis, straight = made.params["axis"], a is x
                return lambda x, y: record_held(*((x, y) if straight else (y, x)), axis)
        extreme = extreme_of(equation, uses)
        if extreme is not None:
            return lambda x, y: _several_equal(equal(x, y), extreme[1])
    return _sides


def extreme_of(equation: Equation, uses: Makers) -> tuple[int, tuple[int, ...]] | None:
    """Which operand of a comparison is compared with its own largest or smallest entry, and the
    axes of that; None where neither is."""
    for own in (0, 1):
        x, spread = equation.inputs[own], uses.maker(equation.inputs[1 - own])
        if spread is None or spread.op.name != "broadcast":
            continue
        extreme = uses.maker(spread.inputs[0])
        if extreme is None or extreme.op.name not in ("max", "min") or extreme.inputs[0] is not x:
            continue
        over = extreme.params["axes"]
        if spread.params["axes"] == kept_axes(x.type.ndim, over):
            return own, over
    return None


def _guards_infinity(equation: Equation, uses: Makers) -> bool:
    """Whether the comparison counts for infinite sides only: `(x == y) & isinf(x)`."""
    readers = uses.of(equation.outputs[0])
    return bool(readers) and all(
        e.op.name in ("logical_and", "bitwise_and")
        and any(
            made is not None and made.op.name == "isinf" and made.inputs[0] in equation.inputs
            for made in map(uses.maker, e.inputs)
        )
        for e in readers
    )


def first_tie(program: Program, mask: tuple[bool, ...], values: Sequence) -> Equation | None:
    """The first equation that meets a tie or a zero for these values, for error messages."""
    moves, uses = moving(program, mask)[0], Uses(program)
    own = {id(e) for e in program.equations}
    found: list[Equation] = []

    def visit(equation: Equation, inputs: list, made: list) -> list:
        if not found and equation.op.name not in _INSIDE:
            among = moves if id(equation) in own else set(equation.inputs)
            look = look_of(equation, among, uses)
            if look is not None and np.any(look(*map(_as_scalar, inputs), **equation.params)):
                found.append(equation)
        return made

    walk(program, list(values), visit)
    return found[0] if found else None


def _as_scalar(x):
    return x[()] if isinstance(x, np.ndarray) and not x.ndim else x


# --- the pass -------------------------------------------------------------------------------------


class Uses:
    """The equations that make and read each variable of a program."""

    def __init__(self, program: Program):
        self._maker = {v: e for e in program.equations for v in e.outputs}
        self._readers: dict[Operand, list[Equation]] = {}
        for e in program.equations:
            for x in e.inputs:
                self._readers.setdefault(x, []).append(e)
        self._program = program

    @cached_property
    def quotients(self) -> bool:
        """Whether an equation holds quotients of gaps between eigenvalues."""
        return any(holds_quotient(e) for e in self._program.equations)

    def maker(self, x: Operand) -> Equation | None:
        """The equation that makes a variable; None for an input and for a literal."""
        return self._maker.get(x)

    def of(self, x: Operand) -> list[Equation]:
        """The equations that read a variable."""
        return self._readers.get(x, [])


def moving_outputs(equation: Equation, moves) -> tuple[bool, ...]:
    """Which outputs of an equation move, where those operands move that are in `moves`."""
    mask = tuple([not x.is_literal and x in moves for x in equation.inputs])
    name, params = equation.op.name, equation.params
    if not any(mask):
        return (False,) * len(equation.outputs)
    if name == "stop_gradient":
        return (True,)
    if isinstance(equation.op.derivative, Constant | Discrete):
        return (False,) * len(equation.outputs)
    if name == "select":
        return (any(mask[1:]),)
    if name == "index":
        return (mask[0],)
    if name == "cond":
        parts = [moving(b, mask[1:])[1] for b in params["branches"]]
        return tuple([a or b for a, b in zip(*parts, strict=True)])
    if name == "scan":
        return _loop_mask(equation, mask)[1]
    if name == "while":
        return tuple(_loop_mask(equation, mask)[0][params["constants"] :])
    return tuple([v.type.inexact for v in equation.outputs])


def _loop_mask(equation: Equation, mask) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """Which inputs and outputs of a loop's body move, once no more carries join them."""
    params = equation.params
    start = params["constants"]
    count = params.get("carries", len(equation.outputs))
    now = list(mask)
    while True:
        outs = moving(params["body"], tuple(now))[1]
        grown = [a or b for a, b in zip(now[start : start + count], outs, strict=False)]
        if grown == now[start : start + count]:
            return tuple(now), tuple([*grown, *outs[count:]])
        now[start : start + count] = grown


def _moving(program: Program, mask: tuple[bool, ...]):
    moves = {v for v, m in zip(program.inputs, mask, strict=True) if m and v.type.inexact}
    for equation in program.equations:
        marks = moving_outputs(equation, moves)
        moves.update([v for v, m in zip(equation.outputs, marks, strict=True) if m])
    return moves, tuple([not o.is_literal and o in moves for o in program.outputs])


moving = remembered(_moving)


def _watched(program: Program, mask: tuple[bool, ...]) -> Program | None:
    """The program with one more output, whether it met a tie; None where it cannot."""
    moves = moving(program, mask)[0]
    uses = Uses(program)
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        env: dict = {v: builder.input(v.type, v.name) for v in program.inputs}
        marked = [env[v]._var for v, m in zip(program.inputs, mask, strict=True) if m]
        activity = Activity(builder, set(marked))
        flags: list = []
        with np.errstate(all="ignore"):
            for e in program.equations:
                builder.line = e.line
                flags += _look_at(e, moves, uses, activity, env, program.outputs)
        if not flags:
            return None
        different = {as_operand(builder, flag): flag for flag in flags}
        met, *others = different.values()
        for flag in others:
            met = logical_or(met, flag)
        outputs = [as_operand(builder, o.value if o.is_literal else env[o], o.type)
                   for o in program.outputs]  # fmt: skip
        return builder.finish([*outputs, as_operand(builder, met)])


watched = remembered(_watched)


def _look_at(
    e: Equation, moves: set, uses: Uses, activity: Activity, env: dict, outputs: Sequence[Operand]
) -> list:
    """Record an equation, and the truth values of whether it meets a tie."""
    return _flag(ties_at(e, moves, uses, activity, env, outputs))


def ties_at(
    e: Equation, moves: set, uses: Uses, activity: Activity, env: dict, outputs: Sequence[Operand]
):
    """Record an equation, and give the ties that it meets: an array of truth values, one of them
    for a sub-program, or None where there are none."""
    enter = _INSIDE.get(e.op.name)
    changed = enter(e, moves) if enter is not None else None
    if changed is not None:
        inputs = [x.value if x.is_literal else env[x] for x in changed.inputs]
        values = as_tuple(changed.op(*inputs, **changed.params))
        env.update(zip(e.outputs, values, strict=False))
        return values[-1]
    copy_equation(activity.builder, e, env)
    look = look_of(e, moves, uses)
    if look is None:
        return None
    given = [x.value if x.is_literal else env[x] for x in e.inputs]
    ties = look(*given, **e.params)
    if type(ties) is not Traced or e.op.name in SINGULAR:
        return ties
    seen = is_seen(e, uses, outputs, env) if e.op.name in POOLED else True
    return _that_move(e, given, ties, activity, uses, seen)


def _that_move(
    e: Equation, values: list, ties: Traced, activity: Activity, uses: Uses, seen: Any
):
    """Ties without those of entries that stay what they are, such as dead units."""
    shape = e.inputs[0].type.shape if e.inputs[0].type.ndim else e.outputs[0].type.shape
    name = e.op.name
    if name in POOLED:
        return both(seen, _in_windows_that_move(e, values, ties, activity))
    extreme = extreme_of(e, uses) if name == "equal" else None
    if extreme is not None:
        active = activity.of(values[extreme[0]])
        if type(active) is not Traced:
            return both(active, ties)
        at = logical_and(equal(*values), active)
        return logical_and(ties, any_(at, axes=extreme[1]))
    if ties.shape != shape:
        return ties
    return both(activity.of_either(values[:2], shape), ties)


def _compared(op: Callable, x, y):
    return op(x, y)


def _in_windows_that_move(e: Equation, values: list, ties: Traced, activity: Activity):
    active, windows = activity.of(values[0]), windows_of(e)
    if active is not False and windows.inside and windows.few:
        return ties_of(windows, values[0], values[1], active)
    if type(active) is not Traced:
        return both(active, ties)
    live = window_max(cast(active, dtype=values[0].dtype), **e.params)
    return logical_and(ties, greater(live, live.dtype.type(0)))


def is_seen(e: Equation, uses: Makers, outputs, env: dict, compared: Callable = _compared):
    """Where the result of pooling is not hidden by what is larger (transforms/hidden.py);
    `compared(op, x, y)` makes the comparison."""
    bound = bound_of_pooled(e, uses, outputs)
    if bound is None or bound.value not in env:
        return True
    least = bound.least.value if bound.least.is_literal else env[bound.least]
    return compared(less_equal if bound.is_most else greater_equal, env[bound.value], least)


def _flag(ties) -> list:
    """One truth value from an array of them; none where there is nothing to look at."""
    if ties is None or type(ties) is not Traced:
        return []
    return [any_(ties, axes=tuple(range(ties.ndim))) if ties.ndim else ties]


def _in_cond(e: Equation, moves) -> Equation | None:
    mask = tuple([not x.is_literal and x in moves for x in e.inputs[1:]])
    branches = e.params["branches"]
    made = [watched(b, mask) for b in branches]
    if all(m is None for m in made):
        return None
    both = tuple([_unmet(b) if m is None else m for b, m in zip(branches, made, strict=True)])
    return Equation(e.op, e.inputs, {**e.params, "branches": both}, e.outputs, e.line)


def _unmet(program: Program) -> Program:
    return Program(
        program.inputs, program.equations, [*program.outputs, literal(np.bool_(False))],
        name=program.name,
    )  # fmt: skip


def _in_scan(e: Equation, moves) -> Equation | None:
    mask = tuple([not x.is_literal and x in moves for x in e.inputs])
    body = watched(e.params["body"], _loop_mask(e, mask)[0])
    return None if body is None else Equation(
        e.op, e.inputs, {**e.params, "body": body}, e.outputs, e.line
    )


def _in_while(e: Equation, moves) -> Equation | None:
    """The loop with one more carry, whether it met a tie so far; its test is watched inside."""
    params = e.params
    mask = tuple([not x.is_literal and x in moves for x in e.inputs])
    mask = _loop_mask(e, mask)[0]
    body, test = watched(params["body"], mask), watched(params["test"], mask)
    if body is None and test is None:
        return None
    plain = params["body"]
    with Builder(plain.name, reuse=True) as builder:
        builder.lines_from_user = False
        inputs = [builder.input(v.type, v.name) for v in plain.inputs]
        met = builder.input(_BOOL, "met")
        values = inline(plain if body is None else body, inputs)
        looked = values[len(plain.outputs) :]
        looked += [] if test is None else inline(test, inputs)[1:]
        for flag in looked:
            met = logical_or(met, flag)
        outputs = [*values[: len(plain.outputs)], met]
        new_body = builder.finish([as_operand(builder, v) for v in outputs])
    new_test = Program(
        [*params["test"].inputs, Var(_BOOL)], params["test"].equations, params["test"].outputs,
        name=params["test"].name,
    )  # fmt: skip
    changed = {**params, "body": new_body, "test": new_test}
    return Equation(e.op, (*e.inputs, literal(np.bool_(False))), changed, e.outputs, e.line)


def _in_checkpoint(e: Equation, moves) -> Equation | None:
    mask = tuple([not x.is_literal and x in moves for x in e.inputs])
    made = watched(e.params["program"], mask)
    return None if made is None else Equation(
        e.op, e.inputs, {**e.params, "program": made}, e.outputs, e.line
    )


def _in_repeat(e: Equation, moves) -> Equation | None:
    """As a while loop, in a program of its own."""
    mask = tuple([not x.is_literal and x in moves for x in e.inputs])
    made = watched(_written_out(e.params, tuple([x.type for x in e.inputs])), mask)
    params = {"program": made}
    return None if made is None else Equation(checkpoint_op, e.inputs, params, e.outputs, e.line)


def _written_out(params: dict, types: tuple) -> Program:
    with Builder("repeat", reuse=True) as builder:
        builder.lines_from_user = False
        steps, *inputs = [builder.input(t) for t in types]
        return builder.finish(
            [as_operand(builder, v) for v in repeat_as_while(steps, inputs, params)]
        )


_INSIDE: dict[str, Callable] = {
    "cond": _in_cond, "scan": _in_scan, "while": _in_while, "checkpoint": _in_checkpoint,
    "repeat": _in_repeat,
}  # fmt: skip
