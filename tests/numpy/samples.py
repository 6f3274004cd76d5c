"""One row, or more, for each NumPy function and ufunc that accepts traced values.

`numpy_samples("np.stack", f, *args)`: `f` calls the function on the arguments; `test_functions.py`
runs it through a trace and on plain NumPy. Derivatives are tested too where the result moves,
unless the row says `derivative=False` (the function's slope is 0 or undefined everywhere).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Row:
    """A call of one function: `f(*args)`."""

    name: str
    f: Callable
    args: tuple
    derivative: bool = True
    refused: bool = False
    number: int = 0

    @property
    def id(self) -> str:
        return self.name if self.number == 0 else f"{self.name}-{self.number}"


ROWS: dict[str, list[Row]] = {}
_rng = np.random.default_rng(20)


def numpy_samples(
    name: str, f: Callable, *args, derivative: bool = True, refused: bool = False
) -> None:
    """Add a row for a function, by its name as users write it (`np.linalg.solve`).

    `refused` marks a function whose traced form is an error that says what to write instead.
    """
    rows = ROWS.setdefault(name, [])
    rows.append(Row(name, f, args, derivative, refused, len(rows)))


def all_rows() -> list[Row]:
    """Every row of the table."""
    return [row for rows in ROWS.values() for row in rows]


def real(*shape: int) -> np.ndarray:
    """Standard normal entries."""
    return _rng.normal(size=shape)


def positive(*shape: int) -> np.ndarray:
    """Entries between 1/2 and 2."""
    return _rng.uniform(0.5, 2.0, shape)


def cplx(*shape: int) -> np.ndarray:
    """Complex entries."""
    return _rng.normal(size=shape) + 1j * _rng.normal(size=shape)


def whole(*shape: int) -> np.ndarray:
    """Whole numbers from 0 to 8."""
    return _rng.integers(0, 9, shape)


def truth(*shape: int) -> np.ndarray:
    """True and False."""
    return _rng.integers(0, 2, shape).astype(bool)


def square(n: int, *lead: int) -> np.ndarray:
    """Matrices that are far from singular."""
    return _rng.normal(size=(*lead, n, n)) + 3 * np.eye(n)


def definite(n: int) -> np.ndarray:
    """A symmetric positive definite matrix."""
    half = _rng.normal(size=(n, n))
    return half @ half.T + n * np.eye(n)


def holed(*shape: int) -> np.ndarray:
    """Standard normal entries, every third nan."""
    out = _rng.normal(size=shape)
    out.reshape(-1)[::3] = np.nan
    return out
