"""Comparisons that do not jump: `np.where(x > 0, x, 0.1 * x)` is continuous where x is 0.

What follows a comparison is evaluated twice, as if it were true and as if it were false, with its
two sides equal and random numbers, of both signs and all sizes, for all else that comes in. Where
the elementwise operations that read it agree, in all of several trials, the comparison is one of a
continuous function. Only analytic operations are seen through: two of them that agree at random
places agree everywhere. Anything else (a sum, an index, a maximum) counts as a jump.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from chainrule.program.program import Equation, Operand, Program, Var
from chainrule.transforms.chance import COMPARISONS, is_jump

TRIALS = 16
_SEED = 20221
_ANALYTIC = frozenset({
    "add", "subtract", "multiply", "divide", "negative", "reciprocal", "square", "exp", "log",
    "sqrt", "expm1", "log1p", "tanh", "sin", "cos", "expit", "erf", "power", "portable_exp",
    "portable_log", "portable_expm1", "sinh", "cosh", "arctan", "log_expit", "scale",
})  # fmt: skip


def settled(program: Program, asked: Iterable[Operand] = ()) -> set[Equation]:
    """The events of a program at whose jumps its outputs are continuous; `asked` are variables
    whose values something else depends on, too."""
    readers: dict[Any, list[Equation]] = {}
    for equation in program.equations:
        for x in equation.inputs:
            if not x.is_literal:
                readers.setdefault(x, []).append(equation)
    outputs = {o for o in [*program.outputs, *asked] if not o.is_literal}
    maker = {v: e for e in program.equations for v in e.outputs}
    found = set()
    for equation in program.equations:
        read = readers.get(equation.outputs[0], []) if equation.outputs else []
        if not read or equation.outputs[0] in outputs or not is_jump(equation):
            continue
        if all(e.op.name == "stop_gradient" for e in read):
            found.add(equation)  # the library knows that what it selects is continuous
        elif equation.op.name in COMPARISONS and any(x.type.inexact for x in equation.inputs):
            if _Trial(equation, readers, maker, outputs).agrees():
                found.add(equation)
    return found


class _Trial:
    """What follows one comparison, for either of its values."""

    def __init__(self, equation: Equation, readers, maker, outputs):
        self.readers, self.maker, self.outputs = readers, maker, outputs
        self.random = np.random.default_rng(_SEED)
        self.start = equation.outputs[0]
        self.known: dict[Operand, np.ndarray] = {}
        left, right = equation.inputs
        tied, other = (left, right) if not left.is_literal else (right, left)
        self.possible = not tied.is_literal and tied.type.inexact
        if self.possible:
            self.known[tied] = self._value(other)

    def agrees(self) -> bool:
        """Whether everything that reads the comparison is the same for both values."""
        if not self.possible:
            return False
        pending = [self.start]
        both = {self.start: (np.ones(TRIALS, bool), np.zeros(TRIALS, bool))}
        for _ in range(12):
            if not pending:
                return True
            var = pending.pop()
            for reader in self.readers.get(var, ()):
                if not _is_plain(reader) and not _chooses(reader, var):
                    return False
                sides = [self._applied(reader, both, k) for k in (0, 1)]
                if not _equal(*sides):
                    both[reader.outputs[0]] = (sides[0], sides[1])
                    pending.append(reader.outputs[0])
                    if reader.outputs[0] in self.outputs:
                        return False
        return not pending

    def _applied(self, equation: Equation, both, side: int):
        if equation.op.name == "select" and equation.inputs[0] in both:
            predicate, *branches = equation.inputs
            taken = branches[0 if both[predicate][side][0] else 1]
            return both[taken][side] if taken in both else self._value(taken)
        values = [both[x][side] if x in both else self._value(x) for x in equation.inputs]
        with np.errstate(all="ignore"):
            if equation.op.name == "broadcast":
                return values[0]
            return np.broadcast_to(equation.op.evaluate(*values, **equation.params), (TRIALS,))

    def _value(self, operand: Operand) -> np.ndarray:
        if operand.is_literal:
            return np.full(TRIALS, operand.value)
        if operand not in self.known:
            equation = self.maker.get(operand)
            plain = equation is not None and _is_plain(equation)
            self.known[operand] = self._applied(equation, {}, 0) if plain else self._drawn(operand)
        return self.known[operand]

    def _drawn(self, var: Var) -> np.ndarray:
        if var.type.dtype.kind == "b":
            return self.random.random(TRIALS) < 0.5
        if var.type.dtype.kind in "iu":
            return self.random.integers(0, 9, TRIALS).astype(var.type.dtype)
        sign = self.random.choice([-1.0, 1.0], TRIALS)
        return (sign * self.random.lognormal(sigma=3.0, size=TRIALS)).astype(var.type.dtype)


def _chooses(equation: Equation, by: Var) -> bool:
    """Whether an equation selects by this variable alone."""
    return equation.op.name == "select" and by not in equation.inputs[1:]


def _is_plain(equation: Equation) -> bool:
    """Whether an equation treats each element alone."""
    name = equation.op.name
    if name in ("cast", "broadcast", "stop_gradient"):
        return len(equation.outputs) == 1
    return name in _ANALYTIC


def _equal(first, second) -> bool:
    if first.dtype.kind == "b":
        return bool(np.all(first == second))
    known = ~(np.isnan(first) & np.isnan(second))
    first, second = first[known], second[known]
    near = np.abs(first - second) <= 1e-12 * np.maximum(np.abs(first), np.abs(second))
    return len(first) >= TRIALS // 4 and bool(np.all(near))
