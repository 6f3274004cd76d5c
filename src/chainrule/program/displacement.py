"""Limits at degenerate points: runs beside the point where a derivative holds 0/0.

The derivative of a function of a matrix's eigenvalues and eigenvectors, V f(l) V^H, holds the
quotients (f(l_i) - f(l_j)) / (l_i - l_j). Where two eigenvalues are equal these are 0/0, and the
outputs of `eigh` do not tell their limit; but if the function does not depend on the choice of V,
its derivative is the limit of derivatives at matrices with eigenvalues apart. So an operation that
meets an equal pair says so (`meet`), and the program is run again with the equal values moved apart
by a small multiple s of a fixed pattern (`step`), for s = +-1, +-2, +-4, +-8. The means over the
signs are even in s; Richardson's extrapolation takes them to s = 0 with an error of order s^8.

Only outputs that depend on such a quotient are replaced; the others keep their value at the point.
A function that does depend on the choice of V has no derivative; its quotients grow as 1 / s, and
the entries of the result where they do are nan.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from math import prod

import numpy as np

from chainrule.program.cost import subprograms
from chainrule.program.program import Operand, Program

Samples = list[tuple[float, list]]  # weights and results

QUOTIENTS: set[str] = set()  # names of the operations that hold such quotients

_DISTANCES = (1, 2, 4, 8)


def _weight(s: int) -> float:
    """The weight of the mean at s in the extrapolation to 0 of a polynomial in s^2."""
    return prod(r * r / (r * r - s * s) for r in _DISTANCES if r != s)


class _State(threading.local):
    step = 0
    met = False


_state = _State()


def step() -> int:
    """By how many units equal values are to be moved apart in this run; 0 at the point itself."""
    return _state.step


def meet() -> None:
    """Note that this run met a pair of equal values."""
    _state.met = True


@contextmanager
def _run_at(displacement: int) -> Iterator[None]:
    before = _state.step, _state.met
    _state.step, _state.met = displacement, False
    try:
        yield
    finally:
        _state.step, _state.met = before


def samples(run: Callable[[], list]) -> Samples:
    """Weighted results of `run()`: one, at the point, where no equal values are met; otherwise that
    one with weight 0, and those beside the point whose weighted sum is the limit."""
    with _run_at(0):
        found = [(1.0, run())]
        met = _state.met
    if not met:
        return found
    found = [(0.0, found[0][1])]
    for distance in _DISTANCES:
        for sign in (1, -1):
            with _run_at(sign * distance):
                found.append((_weight(distance) / 2, run()))
    return found


def limit(weighted: Samples, affected: list[int] | None = None, size: float = 0.0) -> list:
    """The weighted sums of the results numbered `affected` (all where None), the others' values at
    the point. Entries that have no limit are nan; `size` is the size of the numbers involved."""
    out = list(weighted[0][1])
    if len(weighted) == 1:
        return out
    for i in range(len(out)) if affected is None else affected:
        values = [results[i] for _, results in weighted[1:]]
        if values[0].dtype.kind == "b":
            continue  # whether a tie was met: no number
        terms = [v * v.dtype.type(w) for v, (w, _) in zip(values, weighted[1:], strict=True)]
        out[i] = sum(terms[1:], start=terms[0])
        if isinstance(out[i], np.ndarray | np.generic) and isinstance(values[0], type(out[i])):
            out[i] = np.where(_has_pole(values, size), np.nan, out[i])[()].astype(out[i].dtype)
    return out


def _has_pole(values: list, size: float):
    """Where the results beside the point grow as 1 / s: their odd parts halve as s doubles.

    So do rounding errors, but not as exactly, and they are small next to the operands.
    """
    odd = [(plus - minus) / 2 for plus, minus in zip(values[::2], values[1::2], strict=True)]
    halves = [np.abs(near - 2 * far) < 0.1 * np.abs(near) for near, far in pairwise(odd)]
    return np.logical_and.reduce([*halves, np.abs(odd[0]) > 1e-9 * size])


def largest(values: list) -> float:
    """The largest finite magnitude among arrays and numbers, the inexact ones."""
    sizes = [np.abs(v).ravel() for v in values if np.asarray(v).dtype.kind in "fc"]
    together = np.concatenate([np.zeros(1), *sizes])
    return float(together[np.isfinite(together)].max())


def affected_outputs(program: Program) -> list[int]:
    """The numbers of the inexact outputs that depend on a quotient."""
    if not any(holds_quotient(e) for e in program.equations):
        return []
    found: set[Operand] = set()
    for equation in program.equations:
        if holds_quotient(equation) or any(x in found for x in equation.inputs):
            found.update(equation.outputs)
    return [i for i, o in enumerate(program.outputs) if o in found and o.type.inexact]


def holds_quotient(equation) -> bool:
    """Whether an equation's operation, or one in its sub-programs, holds such a quotient."""
    if equation.op.name in QUOTIENTS:
        return True
    return bool(equation.params) and any(
        holds_quotient(inner) for _, program in subprograms(equation) for inner in program.equations
    )
