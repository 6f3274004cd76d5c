"""Limits at degenerate points: runs beside the point where a derivative holds 0/0.

The derivative of a function of a matrix's eigenvalues and eigenvectors, V f(l) V^H, holds the
quotients (f(l_i) - f(l_j)) / (l_i - l_j). Where two eigenvalues are equal these are 0/0, and the
outputs of `eigh` do not tell their limit; but if the function does not depend on the choice of V,
its derivative is the limit of derivatives at matrices with eigenvalues apart. So an operation that
meets an equal pair says so (`meet`), and the program is run again with the equal values moved apart
by a small multiple s of a fixed pattern (`step`), for s = +-1, +-2, +-4. The means over the signs
are even in s; Richardson's extrapolation takes them to s = 0 with an error of order s^6.

Only outputs that depend on such a quotient are replaced; the others keep their value at the point.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chainrule.program.cost import subprograms
from chainrule.program.program import Program

QUOTIENTS: set[str] = set()  # names of the operations that hold such quotients

# Removes s^2 and s^4 from m(s) at s = 1, 2, 4; each mean is half the sum over the two signs.
_WEIGHTS = {1: 64 / 45, 2: -20 / 45, 4: 1 / 45}


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


def samples(run: Callable[[], list]) -> list[tuple[float, list]]:
    """Weighted results of `run()`: one, at the point, where no equal values are met; otherwise that
    one with weight 0, and those beside the point whose weighted sum is the limit."""
    with _run_at(0):
        found = [(1.0, run())]
        met = _state.met
    if not met:
        return found
    found = [(0.0, found[0][1])]
    for distance, weight in _WEIGHTS.items():
        for sign in (1, -1):
            with _run_at(sign * distance):
                found.append((weight / 2, run()))
    return found


def limit(weighted: list[tuple[float, list]], affected: list[int] | None = None) -> list:
    """The weighted sums of the results numbered `affected` (all where None), the others' values at
    the point."""
    out = list(weighted[0][1])
    if len(weighted) == 1:
        return out
    for i in range(len(out)) if affected is None else affected:
        terms = [_times(results[i], weight) for weight, results in weighted[1:]]
        out[i] = sum(terms[1:], start=terms[0])
    return out


def _times(value, weight: float):
    return value * value.dtype.type(weight)


def affected_outputs(program: Program) -> list[int]:
    """The numbers of the inexact outputs that depend on a quotient."""
    if not any(holds_quotient(e) for e in program.equations):
        return []
    found = set()
    for equation in program.equations:
        if holds_quotient(equation) or any(x in found for x in equation.inputs):
            found.update(equation.outputs)
    return [i for i, o in enumerate(program.outputs) if o in found and o.type.inexact]


def holds_quotient(equation) -> bool:
    """Whether an equation's operation, or one in its sub-programs, holds such a quotient."""
    if equation.op.name in QUOTIENTS:
        return True
    return any(
        holds_quotient(inner) for _, program in subprograms(equation) for inner in program.equations
    )
