"""Which entries of a value move, where some of them surely do not: `relu(x)` where x < 0.

A dead unit is 0 and stays 0, so it is no tie when it is compared with 0 or with other dead units.
`Activity.of(x)` is True where every entry may move, False where none does, and else an array of
truth values, recorded in the current trace. It is exact where it says that an entry does not move.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.ops.compare import (
    equal,
    greater,
    greater_equal,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    not_equal,
)
from chainrule.ops.index import index
from chainrule.ops.matrices import row_and_column
from chainrule.ops.pooling import window_max
from chainrule.ops.reduce import any_
from chainrule.ops.select import cast
from chainrule.ops.shape import broadcast, kept_axes, reshape
from chainrule.program.op import Constant, Discrete
from chainrule.program.program import Equation, Operand
from chainrule.program.trace import Builder, Traced

Active = bool | Traced


class Activity:
    """The activity of the variables of a program that is being recorded; `moving` holds its inputs
    that move."""

    def __init__(self, builder: Builder, moving: set[Operand]):
        self.builder = builder
        self._known: dict[Operand, Active] = dict.fromkeys(moving, True)

    def first_is_taken(self, op: Callable, x, y):
        """Where maximum or minimum takes the first of its operands, or may: `op` compares them."""
        return op(x, y)

    def of_either(self, values, shape) -> Active:
        """Which entries of some operands of this shape may move, at least one of them."""
        given = [self.of(x) for x in values]
        return either(*given, shape=shape)

    def of(self, x) -> Active:
        """Which entries of a recorded value may move."""
        if type(x) is not Traced or x._var.is_literal:
            return False
        return self._of(x._var)

    def _of(self, var: Operand) -> Active:
        if var.is_literal:
            return False
        pending = [var]
        while pending:
            top = pending[-1]
            made = self.builder.maker(top)
            if top in self._known or made is None:
                self._known.setdefault(top, False)
                pending.pop()
                continue
            missing = [x for x in made.inputs if not x.is_literal and x not in self._known]
            pending += missing
            if not missing:
                active = self._made(made)
                for out, part in zip(made.outputs, _parts_of(made), strict=True):
                    self._known[out] = both(active, part(out.type.shape)) if part else active
        return self._known[var]

    def _made(self, e: Equation) -> Active:
        given = [False if x.is_literal else self._known[x] for x in e.inputs]
        name = e.op.name
        if all(g is False for g in given):
            return False
        if name != "stop_gradient" and isinstance(e.op.derivative, Constant | Discrete):
            return False
        rule = _RULES.get(name)
        if rule is not None and len(e.outputs) == 1 and e.outputs[0].type.dtype.kind == "f":
            values = [x.value if x.is_literal else Traced(self.builder, x) for x in e.inputs]
            return rule(self, e, values, given)
        if e.op.elementwise and len(e.outputs) == 1:
            return either(*given, shape=e.outputs[0].type.shape)
        return True


def _parts_of(e: Equation) -> tuple[Callable | None, ...]:
    """For each output of an equation, what tells the entries apart that are not always 0."""
    if e.op.name == "qr":
        return (None, _upper)
    if e.op.name == "cholesky":
        return (_upper if e.params["upper"] else _lower,)
    return (None,) * len(e.outputs)


def _upper(shape):
    row, column = row_and_column(shape)
    return less_equal(row, column)


def _lower(shape):
    row, column = row_and_column(shape)
    return greater_equal(row, column)


def either(*given: Active, shape) -> Active:
    """Where one holds, over a shape; True or False where that is so everywhere."""
    if any(g is True for g in given):
        return True
    arrays = [_full(g, shape) for g in given if type(g) is Traced]
    out: Active = False
    for g in arrays:
        out = g if out is False else logical_or(out, g)
    return out


def both(x: Active, y) -> Active:
    """Where both hold; either may be True or False everywhere."""
    if x is False or y is False:
        return False
    return y if x is True else x if y is True else logical_and(x, y)


def _full(active, shape):
    return active if active.shape == shape else broadcast(active, shape=shape, axes=())


def _array(active: Active, shape) -> Traced:
    if type(active) is Traced:
        return _full(active, shape)
    return broadcast(np.bool_(active), shape=shape, axes=())


def _extreme(first: Callable, second: Callable):
    """maximum and minimum: of the entries that are taken; of both where they tie."""

    def rule(activity: Activity, e: Equation, values, given) -> Active:
        if all(g is True for g in given):
            return True
        shape = e.outputs[0].type.shape
        x = both(given[0], activity.first_is_taken(first, *values))
        y = both(given[1], activity.first_is_taken(second, *values))
        return either(x, y, shape=shape)

    return rule


def _select(activity: Activity, e: Equation, values, given) -> Active:
    if given[1] is given[2] is True:
        return True
    chosen, shape = values[0], e.outputs[0].type.shape
    if type(chosen) is not Traced:
        return given[1] if chosen else given[2]
    x = both(given[1], chosen)
    y = both(given[2], logical_not(chosen))
    return either(x, y, shape=shape)


def _product(activity: Activity, e: Equation, values, given) -> Active:
    """A factor that stays 0 keeps the product at 0."""
    if given[0] is given[1] is True:
        return True
    shape = e.outputs[0].type.shape
    parts: list[Active] = []
    for i in (0, 1):
        factor, active = values[1 - i], given[1 - i]
        lives: Any = True
        if active is not True and type(factor) is Traced and not factor._var.is_literal:
            lives = not_equal(factor, factor.dtype.type(0))
            if type(active) is Traced:
                lives = logical_or(lives, _full(active, lives.shape))
        parts.append(both(given[i], lives))
    return either(*parts, shape=shape)


def _moved(activity: Activity, e: Equation, values, given) -> Active:
    """A view, or a copy of some entries."""
    active = given[0]
    if type(active) is not Traced:
        return active
    if e.op.name == "index" and len(values) > 1:
        return index(active, *values[1:], **e.params)
    return e.op(active, **e.params)


def _reduced(activity: Activity, e: Equation, values, given) -> Active:
    """The largest or smallest entry: where one of those that are it may move."""
    (x,), axes = values, e.params["axes"]
    if type(given[0]) is not Traced:
        return given[0]
    out = Traced(x.builder, e.outputs[0])
    at = equal(x, broadcast(out, shape=x.shape, axes=kept_axes(x.ndim, axes)))
    return any_(logical_and(at, given[0]), axes=axes)


def _summed(activity: Activity, e: Equation, values, given) -> Active:
    return any_(given[0], axes=e.params["axes"]) if type(given[0]) is Traced else given[0]


def _seen_through_windows(activity: Activity, e: Equation, values, given) -> Active:
    """A convolution of images with weights that stay: where a window sees one that moves."""
    images, params = given[0], e.params
    if given[1] is not False or type(images) is not Traced or params["groups"] != 1:
        return True
    if any(d != 1 for d in params["x_dilation"]) or min(map(min, params["padding"])) < 0:
        return True
    window, shape = e.inputs[1].type.shape[:-2], e.outputs[0].type.shape
    one = any_(images, axes=(images.ndim - 1,))
    marks = reshape(cast(one, dtype=np.dtype(np.float32)), shape=(*one.shape, 1))
    seen = window_max(
        marks, window=window, strides=params["strides"], padding=params["padding"],
        w_dilation=params["w_dilation"],
    )  # fmt: skip
    found = reshape(greater(seen, np.float32(0)), shape=shape[:-1])
    return broadcast(found, shape=shape, axes=tuple(range(len(shape) - 1)))


def _joined(activity: Activity, e: Equation, values, given) -> Active:
    if all(g is True for g in given):
        return True
    parts = [_array(g, x.type.shape) for g, x in zip(given, e.inputs, strict=True)]
    return e.op(*parts, **e.params)


_RULES: dict[str, Callable] = {
    "convolution": _seen_through_windows,
    "maximum": _extreme(greater_equal, less_equal),
    "minimum": _extreme(less_equal, greater_equal),
    "select": _select, "multiply": _product, "scale": _product,
    **dict.fromkeys(("reshape", "transpose", "broadcast", "flip", "index"), _moved),
    **dict.fromkeys(("max", "min"), _reduced), "sum": _summed, "concatenate": _joined,
}  # fmt: skip
