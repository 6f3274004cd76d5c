"""Places on lines along which one draw moves: what is discrete there, and where to look next."""

from __future__ import annotations

import numpy as np

from chainrule.transforms.events import margin, mark, step
from chainrule.transforms.lanes import Lanes

NONE = np.iinfo(np.int64).min  # stands where one way has no further events


class Points:
    """Places on lines: all discrete values there, in order, and how far comparisons are from a tie.

    `codes` and `margins` are (places, elements of events); a margin is nan where there is none. For
    a rounding the margin is its argument, which jumps at whole numbers plus `steps` (else nan).
    Ways that part agree up to their first difference, which is all that is compared.
    """

    def __init__(self, lane, z, codes, margins, steps):
        self.lane, self.z, self.codes = lane, z, codes
        self.margins, self.steps = margins, steps

    def at(self, which) -> Points:
        """Some of the places."""
        return Points(self.lane[which], self.z[which], self.codes[which], self.margins[which],
                      self.steps[which])  # fmt: skip

    def differ(self, other: Points) -> np.ndarray:
        """Where something discrete is not the same."""
        width = min(self.codes.shape[1], other.codes.shape[1])
        return np.any(self.codes[:, :width] != other.codes[:, :width], axis=1)


def joined(parts: list[Points]) -> Points:
    """All places of several lists in one."""
    rows, width = sum(len(p.codes) for p in parts), max(p.codes.shape[1] for p in parts)

    def wide(arrays, fill):
        out, start = np.full((rows, width), fill, arrays[0].dtype), 0
        for x in arrays:
            out[start : start + len(x), : x.shape[1]] = x
            start += len(x)
        return out

    return Points(
        np.concatenate([p.lane for p in parts]), np.concatenate([p.z for p in parts]),
        wide([p.codes for p in parts], NONE), wide([p.margins for p in parts], np.nan),
        wide([p.steps for p in parts], np.nan),
    )  # fmt: skip


def discrete(marks, lanes: Lanes):
    """The codes, margins and steps of all events, (lanes, elements)."""
    codes = [mark(e, lanes) for e in marks]
    margins = [margin(e, lanes, c.shape) for e, c in zip(marks, codes, strict=True)]
    steps = [np.full(c.shape, step(e)) for e, c in zip(marks, codes, strict=True)]
    if not marks:
        empty = np.zeros((lanes.size, 0))
        return empty.astype(np.int64), empty, empty
    return (np.concatenate(codes, axis=1),
            np.concatenate(margins, axis=1),
            np.concatenate(steps, axis=1))  # fmt: skip


def sides_of(equation, codes, rows, groups):
    """From which side each jump is looked at: before it, but where two things are said to be equal
    there (which have no difference that could change), after it."""
    after = np.zeros(len(rows[0]), bool)
    if equation.op.name in ("equal", "not_equal"):
        after = codes[0] == (equation.op.name == "equal")
    for side in (False, True):
        own = np.flatnonzero(after == side)
        if own.size:
            yield own, groups[side], rows[side]


def between(low: Points, high: Points, reach, by_margin: np.ndarray):
    """Two places between each pair: close about the tie, where it is estimated, or the middle."""
    first = 0.5 * (low.z + high.z)
    if not len(first):
        return first, first
    width = min(low.codes.shape[1], high.codes.shape[1])
    element = np.argmax(low.codes[:, :width] != high.codes[:, :width], axis=1)
    rows = np.arange(len(first))
    before, after = low.margins[rows, element], high.margins[rows, element]
    offset = low.steps[rows, element]
    place = np.round(0.5 * (before + after) - offset) + offset
    inner = (place - before) * (place - after) < 0
    place = np.where(inner, place, np.where(before < after, np.ceil(before - offset) + offset,
                                            np.floor(before - offset) + offset))  # fmt: skip
    place = np.where(np.isnan(offset), 0.0, place)
    before, after = before - place, after - place
    with np.errstate(all="ignore"):
        tie = low.z + (high.z - low.z) * (before / (before - after))
    inside = by_margin & (tie > low.z) & (tie < high.z)
    one = np.where(inside, np.maximum(tie - reach, low.z), first)
    two = np.where(inside, np.minimum(tie + reach, high.z), first)
    return one, two
