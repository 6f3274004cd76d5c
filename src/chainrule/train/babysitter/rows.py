"""Which rows of a batch are to blame: those that hold no finite numbers, or absurd ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

ABSURD = 30.0  # times the median size of the rows of the sample
RARE = 1e-3  # the risk that a sound row is blamed for being the largest
SAMPLE, CHUNK = 1024, 4096  # rows


def faulty_rows(columns: dict[str, Any], batch: np.ndarray) -> dict[int, str]:
    """The rows at fault, each with what is wrong in words; none where no row of `batch` is.

    `columns` are the arrays of the data by what they are called ("inputs", "targets"), rows first;
    integers are passed over. A value is absurd where it is more than 30 times as far from 0 as the
    largest one of an ordinary row (the median over a sample of the data) and beyond the end of the
    data's own tail: the largest incomes or claims are sound. Where the batch holds faulty rows, the
    whole data is looked through for more of the kind.

    >>> x = np.ones((9, 2)); x[3, 1] = np.nan; x[4] = 1e6; x[8] = np.nan
    >>> faulty_rows({"inputs": x}, np.arange(1, 5))
    {3: 'inputs hold nan', 4: 'inputs reach 1e+06, where 1 is usual', 8: 'inputs hold nan'}
    """
    found: dict[int, str] = {}
    for name, array in columns.items():
        if array is None or np.asarray(array[:1]).dtype.kind != "f":
            continue
        ordinary = _Ordinary(array)
        blamed = [size for size, said in ordinary.judged(array[np.sort(batch)]) if said]
        absurd = min((size for size in blamed if np.isfinite(size)), default=np.inf)
        for start in range(0, len(array), CHUNK) if blamed else ():
            judged = ordinary.judged(array[start : start + CHUNK])
            for row, (size, said) in enumerate(judged, start):
                if said and not size < absurd:  # nan as well
                    found.setdefault(row, f"{name} {said}")
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


class _Ordinary:
    """What rows of an array are like: their usual size, and how far the tail of them reaches."""

    def __init__(self, array: Any):
        sample = np.asarray(array[:: max(1, len(array) // SAMPLE)], np.float64)
        sizes = _largest(sample)
        finite = np.isfinite(sizes)
        sample, sizes = sample[finite], sizes[finite]
        self.usual = float(np.median(sizes)) if len(sizes) else np.nan
        self.middle = np.median(sample, axis=0) if len(sizes) else 0.0
        sound = sizes <= ABSURD * self.usual
        self.end = _end_of_tail(_largest(sample - self.middle), sound, len(array))

    def judged(self, rows: Any) -> Iterator[tuple[float, str]]:
        """The size of each row, and what is wrong with it in words, if anything."""
        values = np.asarray(rows, np.float64)
        for size, far in zip(_largest(values), _largest(values - self.middle), strict=True):
            yield float(size), self._said(size, far)

    def _said(self, size: float, far: float) -> str:
        if np.isnan(size):
            return "hold nan"
        if np.isinf(size):
            return "hold infinities"
        if self.usual > 0 and size > ABSURD * self.usual and far > self.end:
            return f"reach {size:.3g}, where {self.usual:.3g} is usual"
        return ""


def _end_of_tail(far: np.ndarray, sound: np.ndarray, rows: int) -> float:
    """How far from the middle the farthest of N rows is with probability RARE, in a power's tail.

    The tail is that of the farthest tenth of the rows which are taken for `sound`: at first those
    that are not absurd, then those short of the end of their tail as well, and so on. So faulty
    rows make no tail long, and one that is long is followed to its end.
    Source    Hill, Annals of Statistics 1975, for the exponent; Hadi and Simonoff, JASA 1993, for
              sound rows that grow.
    """
    end, count = 0.0, -1
    while sound.sum() > count:
        count, known = int(sound.sum()), far[sound]
        share = np.clip(10 / max(1, count), 0.1, 0.5)
        begin = float(np.quantile(known, 1 - share)) if count else 0.0
        if not begin > 0:
            break
        exponent = float(np.log(known[known >= begin] / begin).mean())
        with np.errstate(over="ignore"):
            end = begin * np.power(max(share * rows, 1) / RARE, exponent)
        sound = sound | (far <= end)
    return end


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
