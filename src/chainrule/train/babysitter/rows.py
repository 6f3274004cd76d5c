"""Which rows of a batch are to blame: those that hold no finite numbers, or absurd ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

ABSURD = 30.0  # times the median size of the rows of the sample
SAMPLE, CHUNK = 1024, 4096  # rows


def faulty_rows(columns: dict[str, Any], batch: np.ndarray) -> dict[int, str]:
    """The rows at fault, each with what is wrong in words; none where no row of `batch` is.

    `columns` are the arrays of the data by what they are called ("inputs", "targets"), rows first;
    integers are passed over. A value is absurd where it is more than 30 times as far from 0 as the
    largest one of an ordinary row: the median over a sample of the data. Where the batch holds
    faulty rows, the whole data is looked through for more of the kind.

    >>> x = np.ones((9, 2)); x[3, 1] = np.nan; x[4] = 1e6; x[8] = np.nan
    >>> faulty_rows({"inputs": x}, np.arange(1, 5))
    {3: 'inputs hold nan', 4: 'inputs reach 1e+06, where 1 is usual', 8: 'inputs hold nan'}
    """
    found: dict[int, str] = {}
    for name, array in columns.items():
        if array is None or np.asarray(array[:1]).dtype.kind != "f":
            continue
        usual = _usual(array)
        blamed = [size for size in _largest(array[np.sort(batch)]) if _said(size, usual)]
        absurd = min((size for size in blamed if np.isfinite(size)), default=np.inf)
        for row, size in _sizes(array) if blamed else ():
            if not size < absurd:  # nan as well
                found.setdefault(row, f"{name} {_said(size, usual)}")
    return dict(sorted(found.items()))


def without(batches: np.ndarray, faulty: list[int]) -> np.ndarray:
    """Batches of row numbers (..., rows) in which others of the batch stand for the faulty ones.

    >>> without(np.array([[1, 2, 3], [4, 5, 6]]), [2, 5])
    array([[1, 1, 3],
           [4, 4, 6]])
    """
    bad = np.isin(batches, faulty)
    if not bad.any():
        return batches
    batches = batches.copy()
    for place in zip(*np.nonzero(bad.any(axis=-1)), strict=True):
        batch, wrong = batches[place], bad[place]
        if not wrong.all():
            batch[wrong] = np.resize(batch[~wrong], int(wrong.sum()))
    return batches


def _sizes(array: Any) -> Iterator[tuple[int, float]]:
    for start in range(0, len(array), CHUNK):
        yield from enumerate(_largest(array[start : start + CHUNK]).tolist(), start)


def _usual(array: Any) -> float:
    sizes = _largest(array[:: max(1, len(array) // SAMPLE)])
    sizes = sizes[np.isfinite(sizes)]
    return float(np.median(sizes)) if len(sizes) else np.nan


def in_words(found: dict[int, str], most: int = 5) -> str:
    """The rows as a sentence: "row 3 (inputs hold nan)".

    >>> in_words({3: "inputs hold nan", 4: "inputs hold inf"}, most=1)
    'row 3 (inputs hold nan) and 1 more'
    """
    named = [f"row {row} ({what})" for row, what in list(found.items())[:most]]
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(named) + more


def _largest(values) -> np.ndarray:
    """The largest absolute value of each row; nan where there is one."""
    flat = np.abs(np.asarray(values, np.float64)).reshape(len(values), -1)
    return flat.max(axis=1)


def _said(size: float, usual: float) -> str:
    if np.isnan(size):
        return "hold nan"
    if np.isinf(size):
        return "hold infinities"
    if np.isfinite(usual) and usual > 0 and size > ABSURD * usual:
        return f"reach {size:.3g}, where {usual:.3g} is usual"
    return ""
