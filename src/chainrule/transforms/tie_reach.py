"""Where ties reach: which entries of a program's outputs a tied choice has a part in.

    (outputs) = f(x)   becomes   (reached) = r(x), an array of truth values for each output

The tie at one entry of an array is nothing to the others. `reached` is exact where it says that an
entry is not: that is a smooth function of the inputs at this point, whatever the rest of the array
does there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.ops.compare import greater, logical_not, not_equal
from chainrule.ops.contract import contract
from chainrule.ops.reduce import any_
from chainrule.ops.select import cast
from chainrule.ops.shape import broadcast, kept_axes
from chainrule.program.cost import subprograms
from chainrule.program.program import Equation, Operand, Program
from chainrule.program.remember import remembered
from chainrule.program.trace import Builder, Traced, as_operand
from chainrule.transforms.activity import Active, Activity, both, either
from chainrule.transforms.ties import Uses, extreme_of, moving, ties_at

_F64 = np.dtype(np.float64)


def _reached(program: Program, mask: tuple[bool, ...]) -> Program:
    """The program of what ties reach, for the inputs marked as moving."""
    moves, uses = moving(program, mask)[0], Uses(program)
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        env: dict = {v: builder.input(v.type, v.name) for v in program.inputs}
        marked = {env[v]._var for v, m in zip(program.inputs, mask, strict=True) if m}
        activity = Activity(builder, marked)
        reach = _Reach(activity)
        for e in program.equations:
            builder.line = e.line
            ties = ties_at(e, moves, uses, activity, env, program.outputs)
            reach.enter(e, _over(e, ties, uses), env)
        made = [_array(reach.at(o), o.type.shape) for o in program.outputs]
        return builder.finish([as_operand(builder, m) for m in made])


reached = remembered(_reached)


def _over(e: Equation, ties, uses: Uses) -> Active:
    """Ties as marks of an equation's result: all of a row where two entries are the largest, all of
    it where ties of other groups are met."""
    if type(ties) is not Traced:
        return bool(ties is not None and np.any(ties))
    shape = e.outputs[0].type.shape
    extreme = extreme_of(e, uses) if e.op.name == "equal" else None
    if extreme is not None and ties.shape != shape:
        return broadcast(ties, shape=shape, axes=kept_axes(len(shape), extreme[1]))
    by_entry = len(e.outputs) == 1 and not any(True for _ in subprograms(e))
    return ties if by_entry and ties.shape == shape else _any_of(ties)


def _array(active: Active, shape):
    if type(active) is Traced and active.shape == shape:
        return active
    return broadcast(active if type(active) is Traced else np.bool_(active), shape=shape, axes=())


class _Reach:
    """What is reached of the variables that have been passed: `Active`, as of what moves."""

    def __init__(self, activity: Activity):
        self.activity = activity
        self._known: dict[Operand, Active] = {}

    def at(self, x: Operand) -> Active:
        return False if x.is_literal else self._known.get(x, False)

    def enter(self, e: Equation, met: Active, env: dict) -> None:
        """Note what is reached of an equation's results, some of which it ties itself."""
        given = [self.at(x) for x in e.inputs]
        if met is False and all(g is False for g in given):
            return
        values = [x.value if x.is_literal else env[x] for x in e.inputs]
        for out in e.outputs:
            passed = _passed(self.activity, e, out, values, given)
            self._known[out] = either(passed, met, shape=out.type.shape)


def _passed(activity: Activity, e: Equation, out, values: list, given: list[Active]) -> Active:
    """What is reached of a result because operands are."""
    if all(g is False for g in given):
        return False
    if len(e.outputs) == 1:
        rule = _RULES.get(e.op.name)
        if rule is not None:
            return rule(activity, e, values, given)
        if e.op.elementwise:
            return either(*given, shape=out.type.shape)
    return _anywhere(given)


def _anywhere(given: list[Active]) -> Active:
    return either(*[_any_of(g) for g in given], shape=())


def _any_of(active: Active) -> Active:
    if type(active) is not Traced or not active.ndim:
        return active
    return any_(active, axes=tuple(range(active.ndim)))


def _selected(activity, e: Equation, values, given) -> Active:
    chosen, shape = values[0], e.outputs[0].type.shape
    if type(chosen) is not Traced:
        return either(given[0], given[1] if chosen else given[2], shape=shape)
    if chosen.shape != shape:
        return either(*given, shape=shape)
    x, y = both(given[1], chosen), both(given[2], logical_not(chosen))
    return either(given[0], x, y, shape=shape)


def _product(activity: Activity, e: Equation, values, given) -> Active:
    """A factor that is 0, and stays it, makes the product 0 whatever the other is."""
    shape = e.outputs[0].type.shape
    parts: list[Active] = []
    for i in (0, 1):
        factor, other = values[1 - i], given[1 - i]
        lives: Active = True
        if type(factor) is Traced and other is False and given[i] is not False:
            lives = either(activity.of(factor), not_equal(factor, factor.dtype.type(0)),
                           shape=factor.shape)  # fmt: skip
        parts.append(both(given[i], lives))
    return either(*parts, shape=shape)


def _moved(activity, e: Equation, values, given) -> Active:
    """A view, or a copy of some entries."""
    if any(g is not False for g in given[1:]):
        return _anywhere(given)
    if type(given[0]) is not Traced or not given[0].ndim:
        return given[0]
    return e.op(given[0], *values[1:], **e.params)


def _reduced(activity, e: Equation, values, given) -> Active:
    if type(given[0]) is not Traced or not given[0].ndim:
        return given[0]
    return any_(given[0], axes=e.params["axes"])


def _over_axes(activity, e: Equation, values, given) -> Active:
    """What each entry of some axes has a part in for all the others."""
    active, axes = given[0], e.params["axes"]
    if type(active) is not Traced or not active.ndim:
        return active
    shape = e.outputs[0].type.shape
    return broadcast(any_(active, axes=axes), shape=shape, axes=kept_axes(len(shape), axes))


def _along(activity, e: Equation, values, given) -> Active:
    """What is worked out along one axis: all of it where one entry is reached."""
    active, axis = given[0], e.params["axis"]
    if type(active) is not Traced or not active.ndim:
        return active
    shape = e.outputs[0].type.shape
    if len(shape) != active.ndim:
        return any_(active, axes=(axis,))
    return broadcast(any_(active, axes=(axis,)), shape=shape, axes=kept_axes(len(shape), (axis,)))


def _contracted(activity, e: Equation, values, given) -> Active:
    """Where one of the products that are summed is reached."""
    found: list[Active] = []
    for i in (0, 1):
        if given[i] is False:
            continue
        sides = [
            cast(_array(given[i] if k == i else True, x.type.shape), dtype=_F64)
            for k, x in enumerate(e.inputs)
        ]
        found.append(greater(contract(*sides, **e.params), np.float64(0)))
    return either(*found, shape=e.outputs[0].type.shape)


def _placed(activity, e: Equation, values, given) -> Active:
    """What is put in the place of some entries, added to them, or framed by zeros."""
    marks = []
    for active, x, value in zip(given, e.inputs, values, strict=True):
        if x.type.dtype.kind == "f":
            value = cast(_array(active, x.type.shape), dtype=_F64)
        elif active is not False:
            return _anywhere(given)
        marks.append(value)
    return greater(e.op(*marks, **e.params), np.float64(0))


def _joined(activity, e: Equation, values, given) -> Active:
    parts = [_array(g, x.type.shape) for g, x in zip(given, e.inputs, strict=True)]
    return e.op(*parts, **e.params)


_RULES: dict[str, Callable] = {
    "select": _selected, "multiply": _product, "scale": _product, "contract": _contracted,
    "concatenate": _joined,
    **dict.fromkeys(("pad", "index_set", "index_add"), _placed),
    **dict.fromkeys(("softmax", "sum_of_others"), _over_axes),
    **dict.fromkeys(("reshape", "transpose", "broadcast", "flip", "index"), _moved),
    **dict.fromkeys(("sum", "max", "min", "prod", "any", "all", "norm", "safe_norm", "logsumexp"),
                    _reduced),
    **dict.fromkeys(("cumsum", "cumprod", "sort", "argsort", "argmax", "argmin", "cummax",
                     "cummin"), _along),
}  # fmt: skip
