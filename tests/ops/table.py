"""The table of samples: for each operation, the points and arrays on which the suite tests it.

A row of an elementwise operation is one line,

    samples("log1p", uniform(-0.9, 9), extra=[0.0, 1e-300, 1e300], truth=mp.log1p)

with one domain per input. A row of any other operation gives shapes and params, and in NumPy's own
words what the value is:

    samples("flip", normal(2, 3), axes=(0,), reference=lambda x: np.flip(x, 0))

`test_ops.py` draws the inputs and tests every property on every row.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.program.op import REGISTRY, Op

POINTS = 8  # drawn for each elementwise row, besides its extra points


@dataclass(frozen=True)
class Domain:
    """How one input is drawn: `make(rng, shape)`; `dtype` where it is not the row's."""

    make: Callable[[np.random.Generator, tuple[int, ...]], Any]
    shape: tuple[int, ...] | None = None
    dtype: np.dtype | None = None
    is_literal: bool = False

    def draw(self, rng: np.random.Generator, dtype: np.dtype):
        """An array of the domain (a scalar where it is a literal)."""
        shape = (POINTS,) if self.shape is None else self.shape
        dtype = dtype if self.dtype is None else self.dtype
        values = self.make(rng, shape)
        if dtype.kind == "c":
            values = values + 1j * self.make(rng, shape)
        return np.asarray(values).astype(dtype)[()]


def uniform(low: float, high: float, *shape: int) -> Domain:
    """Evenly spread between two ends."""
    return Domain(lambda rng, n: rng.uniform(low, high, n), shape or None)


def log_uniform(low: float, high: float, *shape: int) -> Domain:
    """Evenly spread in the logarithm, between two positive ends."""
    ends = np.log(low), np.log(high)
    return Domain(lambda rng, n: np.exp(rng.uniform(*ends, n)), shape or None)


def normal(*shape: int) -> Domain:
    """Of the standard normal distribution: for arrays, whose entries are all alike."""
    return Domain(lambda rng, n: rng.normal(size=n), shape)


def integers(low: int, high: int, *shape: int) -> Domain:
    """Whole numbers from low to high, high included, in the row's dtype."""
    return Domain(lambda rng, n: rng.integers(low, high, n, endpoint=True), shape or None)


def indices(below: int, *shape: int) -> Domain:
    """Indices 0 ... below - 1 as int64."""
    return Domain(lambda rng, n: rng.integers(0, below, n), shape, np.dtype(np.int64))


def booleans(*shape: int) -> Domain:
    """True or False."""
    return Domain(lambda rng, n: rng.integers(0, 2, n), shape or None, np.dtype(bool))


def given(values, dtype=None) -> Domain:
    """These values, whatever the draw; whole numbers and truth values keep their dtype."""
    values = np.asarray(values, dtype)
    fixed = None if dtype is None and values.dtype.kind == "f" else values.dtype
    return Domain(lambda rng, n: values, values.shape, fixed)


def literal(value: float) -> Domain:
    """A scalar constant of the program."""
    return Domain(lambda rng, n: np.asarray(value), (), None, is_literal=True)


def symmetric(*shape: int, shift: float = 0.0) -> Domain:
    """Symmetric matrices; with a shift that exceeds their norm, positive definite ones."""

    def make(rng, n):
        matrix = rng.normal(size=n)
        return 0.5 * (matrix + matrix.swapaxes(-1, -2)) + shift * np.eye(n[-1])

    return Domain(make, shape)


def regular(*shape: int, shift: float = 3.0) -> Domain:
    """Matrices that are far from singular."""
    return Domain(lambda rng, n: rng.normal(size=n) + shift * np.eye(n[-2], n[-1]), shape)


@dataclass(frozen=True)
class Row:
    """One operation on one kind of input, and what is known of the result."""

    name: str
    domains: tuple[Domain, ...]
    params: dict[str, Any]
    extra: tuple[tuple, ...] = ()
    truth: Callable | None = None  # mpmath: elementwise value
    slopes: tuple[Callable | None, ...] | None = None  # mpmath: partials, where truth loses them
    reference: Callable | None = None  # NumPy: value of arrays
    dtypes: str = "d"
    active: tuple[int, ...] | None = None  # inputs to differentiate by; None: every inexact one
    analytic: bool = False  # the value extends to complex arguments: complex step
    value_ulps: float = 4.0
    ulps: float | None = None  # of the slope; None: the operation's own
    second: float = 1e-11  # relative error of second derivatives
    tolerance: float = 1e-7  # of extrapolated differences
    smooth: bool = True  # False: do not test second derivatives (kinks everywhere)
    number: int = field(default=0, compare=False)

    @property
    def op(self) -> Op:
        return REGISTRY[self.name]

    @property
    def id(self) -> str:
        return self.name if self.number == 0 else f"{self.name}-{self.number}"

    def draw(self, dtype, seed: int = 0) -> list:
        """Inputs of this row: the drawn points, then the extra ones."""
        rng = np.random.default_rng([zlib.crc32(self.id.encode()), seed])
        drawn = [d.draw(rng, np.dtype(dtype)) for d in self.domains]
        if not self.extra:
            return drawn
        exact = [p for p in self.extra if all(map(_is_exact, p, drawn))]
        if not exact:
            return drawn
        return [
            x if d.is_literal else np.concatenate([x, np.asarray(more, x.dtype)])
            for d, x, more in zip(self.domains, drawn, zip(*exact, strict=True), strict=True)
        ]

    def chosen(self, arrays) -> tuple[bool, ...]:
        """Which inputs the derivatives are taken by."""
        wanted = range(len(arrays)) if self.active is None else self.active
        return tuple(
            i in wanted and not d.is_literal and x.dtype.kind in "fc"
            for i, (d, x) in enumerate(zip(self.domains, arrays, strict=True))
        )


def _is_exact(value: float, x) -> bool:
    """Whether a real dtype, that of x, holds the value as it is: others leave the point out."""
    if x.dtype.kind in "biu":
        info = np.iinfo(x.dtype if x.dtype.kind != "b" else np.uint8)
        return value == int(value) and info.min <= value <= info.max
    with np.errstate(over="ignore"):
        return x.dtype.kind == "f" and float(np.asarray(value, x.dtype)) == value


ROWS: dict[str, list[Row]] = {}
_OWN = {f for f in Row.__dataclass_fields__} - {"name", "domains", "params", "number"}


def samples(name: str, *domains: Domain, extra=(), **options) -> None:
    """Add a row for an operation; options that are no field of a row are params."""
    own = {key: value for key, value in options.items() if key in _OWN}
    params = {key: value for key, value in options.items() if key not in _OWN}
    points = tuple(p if isinstance(p, tuple) else (p,) for p in extra)
    rows = ROWS.setdefault(name, [])
    rows.append(Row(name, domains, params, points, number=len(rows), **own))


def all_rows() -> list[Row]:
    """Every row of the table."""
    return [row for rows in ROWS.values() for row in rows]
