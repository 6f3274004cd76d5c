"""Lanes: the equations of a program run at once, on many samples side by side.

A value is one array for all lanes, or has a leading axis with one entry a lane. Draws are numbered
in their order; one may be replaced by values given from outside, and what follows then uses these
(with the same random bits for the other draws); where the samples have been run before, all that
does not depend on it is theirs. The rules are those of `batch`, on plain arrays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.program.at_hand import add_line
from chainrule.program.op import Structural
from chainrule.program.program import Equation, Var
from chainrule.program.trace import suspended
from chainrule.transforms.batch import batch
from chainrule.transforms.chance import is_draw


class Lanes:
    """The values of variables for `size` lanes.

    `replaced` maps draw numbers to their values. `before` is a run of the same samples without
    them, with the lane of it that each lane here was.
    """

    def __init__(
        self, size: int, replaced: dict[int, np.ndarray] | None = None,
        before: tuple[Lanes, np.ndarray] | None = None,
    ):  # fmt: skip
        self.size = size
        self.values: dict[Any, Any] = {}
        self.batched: set[Any] = set()
        self.replaced = {} if replaced is None else replaced
        self.draws: list[Equation] = []
        self._before = before
        self._other: set[Any] = set()  # variables that are not as they were before

    def enter(self, var: Var, value, is_batched: bool) -> None:
        """Give a variable its value."""
        self.values[var] = value
        if is_batched:
            self.batched.add(var)

    def has(self, var: Var) -> bool:
        """Whether a variable has its value, which `values` then holds."""
        if var in self.values:
            return True
        if self._before is None or var in self._other:
            return False
        lanes, rows = self._before
        if not lanes.has(var):
            return False
        is_batched = var in lanes.batched
        self.enter(var, lanes.values[var][rows] if is_batched else lanes.values[var], is_batched)
        return True

    def run(self, equations: Iterable[Equation]) -> None:
        """Evaluate equations, in order."""
        with np.errstate(all="ignore"), suspended():
            for equation in equations:
                try:
                    self._run_one(equation)
                except Exception as error:
                    raise add_line(error, equation) from None

    def _run_one(self, equation: Equation) -> None:
        outputs, inputs = equation.outputs, equation.inputs
        number = None
        if is_draw(equation):
            number = len(self.draws)
            self.draws.append(equation)
        if self._before is not None:
            if number not in self.replaced and self._other.isdisjoint(inputs):
                if self._before[0].has(outputs[0]):
                    return
            self._other.update(outputs)
        if number in self.replaced:
            self.enter(outputs[0], self.replaced[number], True)
            return
        for x in inputs:
            if not x.is_literal:
                self.has(x)
        values, batched = self.values, self.batched
        mask = tuple([not x.is_literal and x in batched for x in inputs])
        arguments = [x.value if x.is_literal else values[x] for x in inputs]
        if not any(mask):
            made = equation.op.evaluate(*arguments, **equation.params)
        else:
            made = self._wide(equation, arguments, mask)
            batched.update(outputs)
        values.update(zip(outputs, made if isinstance(made, tuple) else (made,), strict=True))

    def _wide(self, equation: Equation, arguments: list, mask):
        op, params = equation.op, equation.params
        if op.elementwise:
            return op.evaluate(*_aligned(equation, arguments, mask, self.size), **params)
        if isinstance(op.derivative, Structural):
            made, marks = op.batch(equation, self.size, arguments, mask, batch)
            return tuple(
                x if m else np.broadcast_to(x, (self.size, *np.shape(x)))
                for x, m in zip(made, marks, strict=True)
            )
        if op.batch is None:
            raise errors.NotSupported(f"{op.name} cannot be batched, at {equation.where}.")
        if op.name in ("index_set", "index_add"):
            arguments = [
                a if m or x.is_literal else np.broadcast_to(a, (self.size, *np.shape(a)))
                for a, m, x in zip(arguments, mask, equation.inputs, strict=True)
            ]
            mask = tuple(not x.is_literal for x in equation.inputs)
        return op.batch(self.size, arguments, mask, **params)

    def value(self, operand) -> np.ndarray:
        """The values of a variable or literal, with the axis of lanes in front."""
        if operand.is_literal:
            return np.broadcast_to(operand.value, (self.size, *operand.type.shape))
        self.has(operand)
        value = self.values[operand]
        if operand in self.batched:
            return np.asarray(value)
        return np.broadcast_to(value, (self.size, *np.shape(value)))

    def part(self, which: np.ndarray) -> Lanes:
        """Some of the lanes (indices), with what they have so far."""
        made = Lanes(len(which), {n: x[which] for n, x in self.replaced.items()})
        if self._before is not None:
            lanes, rows = self._before
            made._before, made._other = (lanes, rows[which]), set(self._other)
        made.values = {
            v: x[which] if v in self.batched else x for v, x in self.values.items()
        }
        made.batched = set(self.batched)
        made.draws = list(self.draws)
        return made


def _aligned(equation: Equation, arguments: list, mask, size: int) -> list:
    """The arguments of an elementwise operation, so that NumPy's broadcasting fits them."""
    ndim = equation.outputs[0].type.ndim
    if ndim == 0:
        return arguments
    shape = equation.outputs[0].type.shape
    out = [
        np.reshape(a, (size,) + (1,) * ndim) if m and np.ndim(a) == 1 and ndim else a
        for a, m in zip(arguments, mask, strict=True)
    ]
    if all(np.shape(a)[1:] != shape for a, m in zip(out, mask, strict=True) if m):
        out = [np.broadcast_to(a, (size, *shape)) if m else a
               for a, m in zip(out, mask, strict=True)]  # fmt: skip
    return out
