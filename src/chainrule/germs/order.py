"""Order: sort, max, argmax, median's pieces and pooling, through the ranks of germs.

All elements of the operands are ranked together, by their coefficients from the lowest power on;
NumPy's function then runs on the ranks, which are plain numbers, and the germ that holds a rank
takes its place again.
"""

from __future__ import annotations

import numpy as np

from chainrule.germs.choosing import identical
from chainrule.germs.evaluation import Run, germ_of, rule
from chainrule.germs.linear import Aligned, linear
from chainrule.germs.series import TINY, Germ
from chainrule.program.op import REGISTRY
from chainrule.program.program import Equation
from chainrule.program.types import Type, array_type


class Ranked:
    """Ranks of the elements of germs, 0 for the smallest; equal germs share one, nan is nan."""

    def __init__(self, run: Run, germs: list[Germ]):
        self.terms = np.concatenate([g.terms for g in germs], axis=1)
        self.order = np.concatenate([g.order for g in germs])
        self.known = np.concatenate([g.known for g in germs])
        together = Germ(germs[0].type.with_shape((self.order.size,)), self.terms, self.order,
                        self.known)  # fmt: skip
        lead = self.terms[0]
        nan = np.isnan(lead)
        keys = _keys(run, together)
        position = np.lexsort([*keys[::-1], nan])
        last, steps = self._steps(run, keys, position)
        flat = np.empty(self.order.size)
        flat[position] = np.concatenate([[0], np.cumsum(steps)])[: self.order.size]
        self.first = np.empty(int(last) + 1, np.int64)
        self.first[flat[position][::-1].astype(np.int64)] = position[::-1]
        flat[nan] = np.nan
        self.nan = int(nan.argmax()) if nan.any() else 0
        ends = np.cumsum([g.order.size for g in germs])[:-1]
        self.ranks = [
            part.reshape(g.shape)[()] for part, g in zip(np.split(flat, ends), germs, strict=True)
        ]

    def _steps(self, run: Run, keys, position):
        """Which elements, in order, differ from the one before; notes those that may differ."""
        differs = np.zeros(max(self.order.size - 1, 0), bool)
        for key in keys:
            differs |= np.diff(key[position]) != 0
        one, two = position[:-1], position[1:]
        same = ~differs
        if same.any():
            a, b = one[same], two[same]
            alike = identical(run, self._at(a), self._at(b))
            alike |= np.isnan(self.terms[0, a]) & np.isnan(self.terms[0, b])
            if not alike.all():
                run.undecided = True
        return differs.sum(), differs

    def _at(self, places: np.ndarray, type_: Type | None = None) -> Germ:
        type_ = array_type(places.shape, np.dtype(float)) if type_ is None else type_
        return Germ(type_, self.terms[:, places], self.order[places], self.known[places])

    def taken(self, ranks, type_) -> Germ:
        """The germs that hold these ranks; nan where the rank is nan."""
        flat = np.asarray(ranks, float).reshape(-1)
        lost = np.isnan(flat)
        place = self.first[np.where(lost, 0, flat).astype(np.int64)]
        place = np.where(lost, self.nan, place)
        return self._at(place, type_)


def _keys(run: Run, g: Germ) -> list[np.ndarray]:
    """Sort keys, the first one first: infinities, then the coefficients in rising powers."""
    rows = Aligned(run, g)
    wild = g.wild
    infinite = np.where(wild, np.nan_to_num(g.terms[0], nan=0.0, posinf=1.0, neginf=-1.0), 0.0)
    keys = [infinite]
    for k in range(rows.rows):
        row = np.where(wild, 0.0, np.nan_to_num(rows.terms[k]))
        if row.size and (row != row[0]).any():
            keys.append(row if rows.base + k == 0 else _clusters(row))
    return keys


def _clusters(row: np.ndarray) -> np.ndarray:
    """Numbers in the order of the values, equal for values that differ by rounding."""
    order = np.argsort(row)
    values = row[order]
    apart = np.diff(values) > TINY * np.maximum(np.abs(values[1:]), np.abs(values[:-1]))
    numbers = np.empty(row.size)
    numbers[order] = np.concatenate([[0], np.cumsum(apart)])
    return numbers


@rule("max", "min", "window_max", "cummax", "cummin", "sort")
def _by_rank(run: Run, equation: Equation, inputs: list) -> Germ:
    ranked = Ranked(run, [inputs[0]])
    made = equation.op.evaluate(ranked.ranks[0], **equation.params)
    return ranked.taken(made, equation.outputs[0].type)


@rule("argmax", "argmin", "argpartition")
def _index(run: Run, equation: Equation, inputs: list):
    return equation.op.evaluate(Ranked(run, [inputs[0]]).ranks[0], **equation.params)


@rule("argsort")
def _argsort(run: Run, equation: Equation, inputs: list):
    ranks = Ranked(run, [inputs[0]]).ranks[0]
    return equation.op.evaluate(ranks, axis=equation.params["axis"], stable=True)


@rule("searchsorted")
def _searchsorted(run: Run, equation: Equation, inputs: list):
    ranked = Ranked(run, [germ_of(run, x) for x in inputs])
    return equation.op.evaluate(*ranked.ranks, **equation.params)


@rule("window_ties")
def _ties(run: Run, equation: Equation, inputs: list):
    ranks = Ranked(run, [germ_of(run, x) for x in inputs]).ranks
    return equation.op.evaluate(*ranks, **equation.params)


def _window_ranks(run: Run, equation: Equation, x: Germ, out: Germ):
    """Ranks of x, and of the largest entry of each window, which `out` mostly is."""
    ranked = Ranked(run, [x])
    largest = REGISTRY["window_max"].evaluate(ranked.ranks[0], **equation.params)
    if np.array_equal(ranked.taken(largest, out.type).terms, out.terms):
        return ranked.ranks[0], largest
    return Ranked(run, [x, out]).ranks


@rule("window_pick", "window_share")
def _window(run: Run, equation: Equation, inputs: list):
    x, out, moving = inputs
    if isinstance(x, Germ) or isinstance(out, Germ):
        x, out = _window_ranks(run, equation, germ_of(run, x), germ_of(run, out))
    if isinstance(moving, Germ):
        return linear(run, equation, [x, out, moving])
    return equation.op.evaluate(x, out, np.asarray(moving, float), **equation.params)
