"""Ties settled by the input that entered last: one side of a program, without tangents of layers.

    x_i + eps^k_i v_i      with k_i the smaller, the later an input enters the program

is a germ as well. On it a choice is decided by the tangents of its sides along the *leading* input
alone, the last that entered of those that they depend on: in a network that is the layer's own bias
or weights, and no tangent has to go through a layer. What these tangents leave open, though other
inputs move it, is left open (`undecided`): the straight germ of transforms/first_order.py decides.

    maximum(w x + b, 0)    ->   where w x + b = 0, by the sign of b's direction
    largest of a window    ->   as it is, where the entries that tie have one tangent and nothing
                                else moves them: they have one gradient, and any of them will do

A `thorough` side compares entries in all that moves them: by tangents along all inputs at once, in
which vectors take the place of weights. Where these are the same, what the weights make of them is.

An `even` side is a thorough one for where only such entries tie: it leaves open where a comparison
does. What it gives is given on the other side, too: no tangent decides anything.

Directions are positive but for one sign for each input. Along one side these alternate over the
inputs that decide comparisons, so that where a stretch of zeros goes through several layers, the
units of one are dead while those of the next live, and what ties there is moved by one layer alone.
Over the axes of an array they are products of vectors, d (x) s with s along the last axis, so that

    contract(x, d (x) s) = contract(x, d) (x) s

is a product with one column. They are generic all the same: a linear form that is not zero is not
zero for almost all such products, since these span all arrays.

Only first derivatives are settled so; in those of higher order equal gradients are not enough.

Source    lexicographic derivatives (Nesterov 2005), with one input after the other as directions,
          in place of the rows of a matrix; ours is the order in which they lead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, reduce
from itertools import combinations
from typing import Any

import numpy as np

from chainrule.germs.generic import positive_direction
from chainrule.ops.compare import (
    equal,
    greater,
    greater_equal,
    isfinite,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    not_equal,
)
from chainrule.ops.contract import contract
from chainrule.ops.elementwise import add, multiply, negative, scale, sign
from chainrule.ops.reduce import any_, max_, min_
from chainrule.ops.select import cast, select
from chainrule.ops.shape import broadcast, kept_axes, reshape, sum_
from chainrule.program.program import Equation, Operand, Program
from chainrule.program.remember import remembered
from chainrule.program.trace import Builder, Traced
from chainrule.program.types import array_type
from chainrule.transforms.activity import both
from chainrule.transforms.blocks import Windows, one_holds, repeated, windows_of
from chainrule.transforms.entering import (
    carriers,
    germ_of,
    highest,
    leads,
    moved_by,
    sides_of,
    union,
)
from chainrule.transforms.first_order import NotFirstOrder, Side, Taken, any_of, filled
from chainrule.transforms.rewrites_contract import free_axes
from chainrule.transforms.ties import (
    POOLED,
    Uses,
    is_seen,
)

_F64 = np.dtype(np.float64)
_MOST_PAIRED = 9  # places of a window that are compared in pairs
_PRODUCTS = {"contract", "convolution"}  # that a tangent had better not go through
_DECIDED = {"maximum", "minimum", "absolute"}
_STEPS = {"floor", "ceil", "rint", "argmax", "argmin", "argsort"}  # left to the straight germ
_SAME_NUMBERS = {"broadcast", "reshape", "transpose", "flip", "negative"}


def _leading_side(
    program: Program, mask: tuple[bool, ...], side: int, thorough: bool = False,
    even: bool = False,
) -> Program | None:
    """The program with its choices made on one side, 1 or -1, and two more outputs: whether some
    are left open, and whether some are on both sides alike.

    Where it is `thorough`, entries that tie are compared in all that moves them. None where an
    operation has no rule, and where no tangent would go through a layer; a thorough one, where no
    entries are compared.
    """
    names = {e.op.name for e in program.equations}
    if not names & _PRODUCTS or (thorough and not (names & POOLED and sum(mask) > 1)):
        return None
    try:
        with Builder(program.name, reuse=True) as builder:
            builder.lines_from_user = False
            return _LeadingSide(builder, program, mask, side, thorough, even).program()
    except NotFirstOrder:
        return None


leading_side = remembered(_leading_side)


class _Taken(Taken):
    """Activity by some of the inputs; of operands that tie, the one is taken that leads there."""

    def __init__(self, side: _LeadingSide, marked: set[Operand]):
        super().__init__(side, marked)
        self._leading = side

    def first_is_taken(self, op, x, y):
        if self._leading.is_even:
            return op(x, y)
        with self._leading.along(self._leading.leading(x, y)):
            return super().first_is_taken(op, x, y)


class _LeadingSide(Side):
    """A program being made, with tangents along one input at a time.

    Inputs are numbered as they enter, and sets of them are bits of a number: `moved_by` holds the
    inputs that move a variable.
    """

    def __init__(
        self, builder: Builder, program: Program, mask: tuple[bool, ...], side: int,
        thorough: bool, even: bool,
    ):  # fmt: skip
        super().__init__(builder, program, mask, True)
        self.side, self.thorough, self.uses = side, thorough, Uses(program)
        self.is_even = even  # comparisons that tie are left open
        self.germ = germ_of(program, mask)
        self.sources = moved_by(program, {v: way.bit for v, way in self.germ.items()})
        self.moved_by = {self.env[v]._var: self.sources.get(v, 0) for v in program.inputs}
        self.inputs = {bits: x for x, bits in self.moved_by.items() if bits}
        self.directions: dict[Operand, int] = {}  # that have been made, and their signs
        self.vectors: dict[Operand, list] = {}  # that directions are products of
        self.columns: dict[Operand, tuple[Any, int]] = {}  # tangents without s, and the axis of s
        self.alike: list[Traced] = []  # what is left open on both sides alike
        self.all = union(self.inputs)
        self.mixtures: dict[Operand, list] = {}  # vectors that take the place of weights
        self._now = 0  # the input that tangents are made along, or all of them
        self._along: dict[int, tuple[dict, set]] = {}
        self._by_some: dict[int, _Taken] = {}

    def directions_of(self, moving: list[Operand]) -> dict[Operand, Traced | None]:
        return {}  # made along one input at a time

    def activity_by(self, inputs: set[Operand]) -> Taken:
        return _Taken(self, inputs)

    def left_open(self) -> list:
        return [any_of(self.open), any_of(self.alike)]

    # --- by the input that leads ------------------------------------------------------------------

    def needed(self, looks: set[int]) -> dict[Operand, set[int]]:
        """For each variable of the source, the inputs along which a choice asks for its tangent,
        each alone, and all of them together."""
        found: dict[Operand, set[int]] = {}
        for e in reversed(self.source.equations):
            wanted = {way for v in e.outputs for way in found.get(v, ())}
            for x in e.inputs if wanted else ():
                self._ask(found, x, wanted)
            if id(e) in looks:
                together = self.thorough and e.op.name in POOLED
                for x in sides_of(e):
                    self._ask(found, x, {self.all if together else leads(e, self.sources)})
        return found

    def _ask(self, found: dict[Operand, set[int]], x: Operand, wanted: set[int]) -> None:
        bits = 0 if x.is_literal else self.sources.get(x, 0)
        ways = {way for way in wanted if bits & way}
        if ways:
            found.setdefault(x, set()).update(ways)

    def prepare(self, e: Equation, needed: dict[Operand, set[int]]) -> None:
        for v in e.outputs:
            made = self.env[v]
            if type(made) is Traced:
                self.moved_by[made._var] = self.sources.get(v, 0)
            for way in sorted(needed.get(v, ())):
                with self.along(way):
                    self.tangent(made)

    def inputs_that_move(self, x) -> int:
        """The inputs that move a recorded value, as the bits of a number."""
        if type(x) is not Traced or x._var.is_literal:
            return 0
        pending = [x._var]
        while pending:
            top = pending[-1]
            made = self.builder.maker(top)
            if top in self.moved_by or made is None:
                self.moved_by.setdefault(top, 0)
                pending.pop()
                continue
            missing: list[Any] = [v for v in carriers(made) if v not in self.moved_by]
            pending += missing
            if not missing:
                bits = union(self.moved_by[v] for v in carriers(made))
                for v in made.outputs:
                    self.moved_by[v] = bits if v.type.inexact else 0
        return self.moved_by[x._var]

    def leading(self, *values) -> int:
        """The last that entered of the inputs that move some values, as a bit; 0 for none."""
        return highest(union(map(self.inputs_that_move, values)))

    @contextmanager
    def along(self, bit: int) -> Iterator[None]:
        """Have tangents be those along one input, or along all of them."""
        before = self.tangent_of, self.pending, self._now
        if bit not in self._along:
            given = {x: self._direction(b, x) for b, x in self.inputs.items() if b & bit}
            self._along[bit] = (given, set())
        (self.tangent_of, self.pending), self._now = self._along[bit], bit
        try:
            yield
        finally:
            self.tangent_of, self.pending, self._now = before

    def tangent(self, x) -> Traced | None:
        return super().tangent(x) if self.inputs_that_move(x) & self._now else None

    def _direction(self, bit: int, source: Operand) -> Any:
        """A product of vectors along the axes of an input, all of them of one sign."""
        type_, number = source.type, bit.bit_length() * 8
        sign = self.side * next(way.sign for way in self.germ.values() if way.bit == bit)
        vectors = [
            positive_direction(array_type((n,), type_.dtype), number + axis)
            for axis, n in enumerate(type_.shape)
        ]
        made = positive_direction(type_, number) if not vectors else (
            _product(vectors, type_.shape, range(len(vectors)))
        )
        made = made if sign > 0 else negative(made)
        self.directions[made._var], self.vectors[made._var] = sign, vectors
        return made

    def tangents_at(self, e: Equation) -> tuple:
        name = e.op.name
        made = None
        if name in _PRODUCTS:
            made = self._mixture(e) if self.is_together else self._column(e)
        elif self.is_together and name in _DECIDED:
            made = self._decided(e)
        return super().tangents_at(e) if made is None else (made,)

    @property
    def is_together(self) -> bool:
        """Whether tangents are along all inputs at once."""
        return self.thorough and self._now == self.all

    def _decided(self, e: Equation) -> Any:
        """The tangent of maximum, minimum or absolute: of the side that is taken, as it leads."""
        values = [self.value(x) for x in e.inputs]
        if e.op.name == "absolute":
            return scale(self.signed(values[0]), self.tangent(values[0]))
        x, y = values
        larger = self.compared(greater if e.op.name == "maximum" else less, x, y, True)
        return select(larger, *(filled(self.tangent(v), x, y) for v in values))

    def _column(self, e: Equation) -> Any:
        """The tangent of a product along weights d (x) s, which is one column by s."""
        values = [self.value(x) for x in e.inputs]
        tangents = [self.tangent(v) for v in values]
        moved = [i for i, t in enumerate(tangents) if t is not None]
        if len(moved) != 1:
            return None
        side, way = moved[0], tangents[moved[0]]
        assert way is not None
        axis = _axis_of_last(e, side)
        vectors = self.vectors.get(way._var)
        if axis is None or vectors is None or len(vectors) < 2:
            return None
        column = _by_column(e, values, side, vectors[:-1], axis)
        column = column if self.directions[way._var] > 0 else negative(column)
        return self._spread(e, column, axis, vectors[-1])

    def _mixture(self, e: Equation) -> Any:
        """What has the same entries where the tangents of a product have, whatever its weights are:
        vectors take the place of these."""
        values = [self.value(x) for x in e.inputs]
        axes = [_axis_of_last(e, side) for side in (0, 1)]
        sides = [side for side in (0, 1) if axes[side] is not None]
        if len(sides) != 1:
            return None
        (side,) = sides
        axis, dx, dw = axes[side], self.tangent(values[1 - side]), self.tangent(values[side])
        assert axis is not None
        vectors = None if dw is None else self.vectors.get(dw._var)
        shape = values[side].shape
        if (dw is not None and vectors is None) or len(shape) < 2:
            return None
        mixed = self.mixtures.setdefault(e.outputs[0], [
            positive_direction(array_type((n,), e.inputs[side].type.dtype), 1 << 20 | number)
            for number, n in enumerate(shape, 64 * len(self.mixtures))
        ])  # fmt: skip
        parts = []
        if dx is not None:
            moved = [dx, values[1]] if side == 1 else [values[0], dx]
            parts.append(_by_column(e, moved, side, mixed[:-1], axis))
        if vectors is not None:
            parts.append(_by_column(e, values, side, vectors[:-1], axis))
        return self._spread(e, reduce(add, parts), axis, mixed[-1]) if parts else None

    def _spread(self, e: Equation, column, axis: int, s) -> Any:
        """A column as an array that is it by the entries of s."""
        shape = e.outputs[0].type.shape
        alone = broadcast(column, shape=shape, axes=kept_axes(len(shape), (axis,)))
        made = multiply(alone, broadcast(s, shape=shape, axes=(axis,)))
        self.columns[made._var] = (column, axis)
        return made

    # --- choices ----------------------------------------------------------------------------------

    def choice(self, e: Equation, values: list, uses: Uses):
        if e.op.name in _STEPS:
            raise NotFirstOrder(e.op.name)
        return super().choice(e, values, uses)

    def compared(self, op, x, y, may_tie: bool = False):
        if self.is_even:
            self.leave_open(equal(x, y))
            return op(x, y)
        lead = self.leading(x, y)
        with self.along(lead):
            dx, dy = self.tangent(x), self.tangent(y)
        if not (_is_finite_number(x) or _is_finite_number(y)):
            self.leave_open(logical_and(equal(x, y), logical_not(isfinite(x))))
        sign = self._sign(dx) if dy is None else -self._sign(dy) if dx is None else 0
        if sign:
            return _AS_TIED[op.name, bool(op(np.float64(sign), np.float64(0)))](x, y)
        dx, dy, tie = filled(dx, x, y), filled(dy, y, x), equal(x, y)
        alike = logical_and(tie, equal(dx, dy))
        others = (self.inputs_that_move(x) | self.inputs_that_move(y)) & ~lead
        if not may_tie:
            self.leave_open(alike, x, y)
        elif others:
            self.leave_open(both(self._by(others).of_either((x, y), alike.shape), alike))
        return select(tie, op(dx, dy), op(x, y))

    def signed(self, x):
        if self.is_even:
            self.leave_open(equal(x, x.dtype.type(0)))
            return sign(x)
        with self.along(self.leading(x)):
            return super().signed(x)

    def _sign(self, tangent) -> int:
        """The sign of a tangent that is a direction as it stands; 0 of any other."""
        sign = 1
        while type(tangent) is Traced:
            if tangent._var in self.directions:
                return sign * self.directions[tangent._var]
            made = self.builder.maker(tangent._var)
            if made is None or made.op.name not in _SAME_NUMBERS:
                return 0
            sign = -sign if made.op.name == "negative" else sign
            tangent = self.value(made.inputs[0])
        return 0

    def pooled(self, e: Equation, values: list):
        """window_pick or window_share as it stands; left open where entries that tie may differ."""
        windows = windows_of(e)
        if not (windows.inside and windows.few):
            raise NotFirstOrder(e.op.name)
        x, out, moved = values
        outputs = self.source.outputs
        seen = is_seen(e, self.uses, outputs, self.env)
        here = is_seen(e, self.uses, outputs, self.env, partial(self.compared, may_tie=True))
        at = [equal(place, out) for place in windows.places(x)]
        dx, column = self._tangent_to_compare(x, ())
        differ: Any = np.bool_(False)
        if column is not None and len(at) <= _MOST_PAIRED:
            differ = _unlike_pairs(at, column, windows)
        elif dx is not None:
            differ = _unlike(at, windows.places(dx))
        several = both(here, repeated(at))
        if self.thorough:
            self.leave_open(both(here, differ))
            self.leave_open(logical_and(several, logical_not(isfinite(out))))
        else:
            self._leave_open_on_both(both(seen, differ))
            self._alike(x, out, several, lambda active: one_holds(at, windows.places(active)))
        return e.op(x, out, moved, **e.params)

    def own_extreme(self, values: list, own: int, axes: tuple[int, ...]):
        """Where an array equals its own extreme; left open where entries that tie may differ."""
        x, spread = values[own], values[1 - own]
        at = equal(x, spread)
        dx, _ = self._tangent_to_compare(x, axes)
        if dx is not None:
            inf = dx.dtype.type(np.inf)
            low = min_(select(at, dx, inf), axes=axes)
            self._leave_open_on_both(not_equal(low, max_(select(at, dx, -inf), axes=axes)))
        several = greater(sum_(cast(at, dtype=_F64), axes=axes), np.float64(1))
        extreme = max_(select(at, x, x.dtype.type(-np.inf)), axes=axes)
        self._alike(x, extreme, several, lambda active: any_(logical_and(at, active), axes=axes))
        return at

    def _tangent_to_compare(self, x, axes: tuple[int, ...]) -> tuple[Any, Any]:
        """The tangent of a value along its leading input (of windows, which have no `axes`, along
        all inputs where it is thorough), to compare entries over some axes with: without a factor
        that is the same for these; and as one column, where it is repeated along the last axis.
        None where it does not move, and where it is no column."""
        with self.along(self.all if self.thorough and not axes else self.leading(x)):
            dx = self.tangent(x)
        column, axis = self.columns.get(dx._var, (None, -1)) if dx is not None else (None, -1)
        if column is None or axis in axes:
            return dx, None
        last = len(x.shape) - 1
        rest = kept_axes(last + 1, (axis,))
        return broadcast(column, shape=x.shape, axes=rest), column if axis == last else None

    def _leave_open_on_both(self, differ) -> None:
        """Note entries with different tangents, which are so on the other side as well."""
        if type(differ) is Traced:
            self.alike.append(_somewhere(differ))

    def _alike(self, x, extreme, several, one_of: Callable) -> None:
        """Leave open where several entries tie for the extreme, if it is infinite, or if one of
        these is moved by inputs that do not lead; `one_of` says where one has a property."""
        self.leave_open(logical_and(several, logical_not(isfinite(extreme))))
        others = self.inputs_that_move(x) & ~self.leading(x)
        active = self._by(others).of(x) if others else False
        if active is not False:
            self.leave_open(both(one_of(active) if type(active) is Traced else True, several))

    def _by(self, others: int) -> _Taken:
        """Which entries move by some inputs."""
        if others not in self._by_some:
            marked = {x for bit, x in self.inputs.items() if bit & others}
            self._by_some[others] = _Taken(self, marked)
        return self._by_some[others]


def _unlike(at: list, values: list):
    """Where values that are marked differ from the first that is."""
    first, marked, found = values[0], at[0], np.bool_(False)
    for mark, value in zip(at[1:], values[1:], strict=True):
        again = logical_and(marked, mark)
        found = logical_or(found, logical_and(again, not_equal(value, first)))
        first, marked = select(marked, first, value), logical_or(marked, mark)
    return found


def _unlike_pairs(at: list, column, windows: Windows):
    """The same for values that are repeated along the last axis: pairs of them are compared once
    for all of it, which leaves truth values to be combined."""
    places = windows.places(reshape(column, shape=(*column.shape, 1)))
    shape, found = at[0].shape, np.bool_(False)
    for i, j in combinations(range(len(at)), 2):
        differ = reshape(not_equal(places[i], places[j]), shape=shape[:-1])
        differ = broadcast(differ, shape=shape, axes=tuple(range(len(shape) - 1)))
        found = logical_or(found, logical_and(logical_and(at[i], at[j]), differ))
    return found


def _somewhere(x):
    return any_(x, axes=tuple(range(x.ndim))) if x.ndim else x


def _never(x, y):
    return logical_and(equal(x, y), np.bool_(False))


def _always(x, y):
    return logical_or(not_equal(x, y), np.bool_(True))


# A comparison of sides that do not tie on this side, by what it gives where they tie at the point.
_AS_TIED: dict[tuple[str, bool], Callable] = {
    ("greater", True): greater_equal, ("greater", False): greater,
    ("greater_equal", True): greater_equal, ("greater_equal", False): greater,
    ("less", True): less_equal, ("less", False): less,
    ("less_equal", True): less_equal, ("less_equal", False): less,
    ("equal", False): _never, ("not_equal", True): _always,
}  # fmt: skip


def _by_column(e: Equation, values: list, side: int, vectors: list, axis: int) -> Any:
    """A product whose weights are a product of vectors along all axes but the last: a column."""
    d, operands = list(vectors), list(values)
    window = [*e.inputs[side].type.shape[:-1], 1]
    if e.op.name == "convolution" and window[-2] > 1:  # over the channels first: leaves one
        x = contract(operands[0], d.pop(), axes=((len(d) + 1,), (0,)), batch=((), ()))
        operands[0], window[-2] = reshape(x, shape=(*x.shape, 1)), 1
    made = _product(d, window[: len(d)], range(len(d)))
    operands[side] = reshape(made, shape=tuple(window))
    column, shape = e.op(*operands, **e.params), e.outputs[0].type.shape
    return reshape(column, shape=tuple([shape[a] for a in kept_axes(len(shape), (axis,))]))


def _product(vectors: list, shape, axes) -> Any:
    """The product of vectors along axes of a shape."""
    made = None
    for v, axis in zip(vectors, axes, strict=True):
        spread = broadcast(v, shape=tuple(shape), axes=(axis,))
        made = spread if made is None else multiply(made, spread)
    return made


def _axis_of_last(e: Equation, side: int) -> int | None:
    """The axis of a product's result that is the last of one operand's; None where it has none."""
    last, out = e.inputs[side].type.ndim - 1, e.outputs[0].type.ndim
    if e.op.name == "convolution":
        return out - 1 if side == 1 and e.params["groups"] == 1 else None
    free = free_axes(e, side)
    if last not in free:
        return None
    return out - 1 if side == 1 else len(e.params["batch"][0]) + len(free) - 1


def _is_finite_number(x) -> bool:
    if type(x) is Traced and not x._var.is_literal:
        return False
    value: Any = x._var.value if type(x) is Traced and x._var.is_literal else x
    return bool(np.all(np.isfinite(value)))
