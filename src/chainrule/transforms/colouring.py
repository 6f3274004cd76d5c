"""Colouring: which columns or rows of a sparse matrix can share a pass, and reading it back.

Columns of one colour meet in no row, so one tangent that is 1 on all of them gives every entry of
each; rows likewise by cotangents. A matrix with a few full rows takes those by cotangents and the
rest by tangents. Of a symmetric matrix every entry stands at two places, and a star colouring asks
for one of the two only.

Source    Gebremedhin, Manne and Pothen, "What Color Is Your Jacobian?", SIAM Review 47, 2005, and
          the star colouring of their algorithm 4.1 with Tarafdar, SIAM J. Sci. Comput. 29, 2007;
          the division by full rows is Coleman and Verma's, 1998, in its simplest form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf

import numpy as np


@dataclass(frozen=True, eq=False)
class Colouring:
    """A pattern (rows and columns of its nonzeros, row by row) and the passes that give it.

    Entry k is at `place[k]` of the results: those of the `forward` tangents first, one row of
    `height` numbers each, then those of the `reverse` cotangents, of `width` numbers each.
    `tangent[j]` is the pass of column j and `cotangent[i]` that of row i (-1: in none).
    """

    rows: np.ndarray
    columns: np.ndarray
    height: int
    width: int
    forward: int
    reverse: int
    tangent: np.ndarray
    cotangent: np.ndarray
    place: np.ndarray


def colour(matrix, forward_price: float, reverse_price: float, symmetric=False, mode="auto"):
    """The cheapest colouring found of a CSR pattern; a pass costs one of the prices.

    `mode` is "forward" (columns only), "reverse" (rows only), "mixed" or "auto" (any). No colouring
    has fewer passes than the fullest row, or column, has entries; what cannot be cheaper for that
    is not tried.
    """
    across, down = _fullest(matrix), _most(matrix.indices)
    tries: list[tuple[float, Callable[[], Colouring]]] = []
    if mode != "reverse":
        whole = across * forward_price
        tries.append((whole, lambda: _direct(matrix, columns_of(matrix), None)))
    if symmetric and mode == "auto":
        tries.append((0.0, lambda: _star(matrix)))
    if mode != "forward" and not symmetric:
        whole = down * reverse_price
        tries.append((whole, lambda: _direct(matrix, None, columns_of(matrix.T.tocsr()))))
        if mode != "reverse":
            tries += _divided(matrix, forward_price, reverse_price)
    best, least = None, (inf, 0)  # what it costs, and its number: of equals the first is taken
    order = sorted((bound, number) for number, (bound, _) in enumerate(tries))
    for bound, number in order:
        if best is None or (bound, number) < least:
            made = tries[number][1]()
            cost = made.forward * forward_price + made.reverse * reverse_price, number
            if best is None or cost < least:
                best, least = made, cost
    return best


def _fullest(matrix) -> int:
    """The entries of the row that has most."""
    return int(np.diff(matrix.indptr).max(initial=0))


def _most(numbers) -> int:
    """How often the number stands there that stands there most often."""
    return int(np.bincount(numbers).max(initial=0))


# --- columns, or rows -----------------------------------------------------------------------------


def columns_of(matrix) -> np.ndarray:
    """A colour for each column (-1 for an empty one), no two of one colour in a row; greedily, in
    the better of two orders: as they come, and those with most entries first."""
    by_column = matrix.tocsc()
    counts = np.diff(by_column.indptr)
    best = _greedy(by_column, np.arange(len(counts)))
    if best.max(initial=-1) + 1 > _fullest(matrix):
        other = _greedy(by_column, np.argsort(-counts, kind="stable"))
        best = min(best, other, key=lambda c: c.max(initial=-1))
    return best


def _greedy(by_column, order) -> np.ndarray:
    """The first colour for each column, in this order, that its rows do not have yet."""
    pointer, entries = by_column.indptr.tolist(), by_column.indices.tolist()
    used = [0] * by_column.shape[0]  # by row: its colours, as the bits of a number
    colours = [-1] * len(order)
    for j in order.tolist():
        rows = entries[pointer[j] : pointer[j + 1]]
        taken = 0
        for i in rows:
            taken |= used[i]
        lowest = ~taken & (taken + 1)  # the lowest bit that is free
        for i in rows:
            used[i] |= lowest
        if rows:
            colours[j] = lowest.bit_length() - 1
    return np.array(colours, int)


def _direct(matrix, tangent, cotangent, by_rows=None) -> Colouring:
    """Entries read at their own place: by the colour of their column, or, where `by_rows` holds,
    of their row."""
    height, width = matrix.shape
    entries = matrix.tocoo()
    rows, columns = entries.coords
    tangent = np.full(width, -1) if tangent is None else tangent
    cotangent = np.full(height, -1) if cotangent is None else cotangent
    forward, reverse = int(tangent.max(initial=-1)) + 1, int(cotangent.max(initial=-1)) + 1
    if by_rows is None:
        by_rows = np.full(height, forward == 0)
    place = np.where(
        by_rows[rows], forward * height + cotangent[rows] * width + columns,
        tangent[columns] * height + rows,
    )  # fmt: skip
    return Colouring(rows, columns, height, width, forward, reverse, tangent, cotangent, place)


# --- a few full rows, or columns ------------------------------------------------------------------


def _divided(matrix, forward_price, reverse_price) -> list:
    """The fullest rows by cotangents and the others by tangents, and the same for columns: what
    each costs at least, and how it is made."""
    found = []
    for turned in (False, True):
        by_line = matrix.T.tocsr() if turned else matrix
        prices = (reverse_price, forward_price) if turned else (forward_price, reverse_price)
        counts = np.diff(by_line.indptr)
        for limit in _limits(counts):
            full = counts > limit
            if not full.all():
                across = _most(by_line.indices[np.repeat(full, counts)])
                bound = limit * prices[0] + across * prices[1]
                found.append((bound, partial(_apart, matrix, by_line, full, turned)))
    return found


def _limits(counts) -> list[int]:
    """How many entries a line may have before it counts as full: at most eight, where the numbers
    of entries leap."""
    sizes = np.unique(counts)
    if len(sizes) < 2:
        return []
    leaps = np.argsort(-(sizes[1:] / np.maximum(sizes[:-1], 1)), kind="stable")[:8]
    return [int(n) for n in sizes[leaps]]


def _apart(matrix, by_line, full, turned: bool) -> Colouring:
    rest = columns_of(_only_rows(by_line, ~full))
    rows = columns_of(_only_rows(by_line, full).T.tocsr())
    if not turned:
        return _direct(matrix, rest, rows, full)
    height = matrix.shape[0]
    entries = matrix.tocoo()
    row, column = entries.coords
    forward, width = int(rows.max(initial=-1)) + 1, matrix.shape[1]
    place = np.where(
        full[column], rows[column] * height + row, forward * height + rest[row] * width + column
    )
    reverse = int(rest.max(initial=-1)) + 1
    return Colouring(row, column, height, width, forward, reverse, rows, rest, place)


def _only_rows(matrix, mask):
    from scipy.sparse import diags_array

    made = (diags_array(mask.astype(bool), dtype=bool) @ matrix).tocsr()
    made.eliminate_zeros()
    return made


# --- symmetric matrices ---------------------------------------------------------------------------


def _star(matrix) -> Colouring:
    """Entry (i, j) is read at row i under the colour of j, or where i has another neighbour of that
    colour, at row j under the colour of i."""
    size = matrix.shape[0]
    entries = matrix.tocoo()
    rows, columns = entries.coords
    colours = star_colours(matrix)
    used = np.unique(colours, return_inverse=True)[1]
    count = int(used.max(initial=-1)) + 1
    key = rows * np.int64(count) + used[columns]
    alone = np.bincount(key, minlength=size * count)[key] == 1 if len(key) else np.zeros(0, bool)
    place = np.where(alone, used[columns] * size + rows, used[rows] * size + columns)
    nobody = np.full(size, -1)
    return Colouring(rows, columns, size, size, count, 0, used, nobody, place)


def star_colours(matrix) -> np.ndarray:
    """A colour for each index: neighbours differ, and every path of four has three colours."""
    pointer, entries = matrix.indptr, matrix.indices
    size = matrix.shape[0]
    colours = np.full(size, -1)
    seen = np.zeros((size, 8), np.int32)  # by vertex: how many neighbours have each colour
    for v in np.argsort(-np.diff(pointer), kind="stable"):
        near = entries[pointer[v] : pointer[v + 1]]
        near = near[near != v]
        forbidden = np.zeros(seen.shape[1], bool)
        own = colours[near]
        forbidden[own[own >= 0]] = True
        starts, ends = pointer[near], pointer[near + 1]
        lengths = ends - starts
        total = int(lengths.sum())
        offsets = np.repeat(starts - np.concatenate([[0], lengths.cumsum()[:-1]]), lengths)
        far = entries[offsets + np.arange(total)]  # the neighbours of the neighbours
        through = np.repeat(own, lengths)
        there = colours[far]
        bad = (there >= 0) & (far != v) & ((through < 0) | (seen[far, through] >= 2))
        bad |= (there >= 0) & (far == np.repeat(near, lengths))
        forbidden[there[bad]] = True
        first = int(forbidden.argmin())
        if forbidden[first]:
            first = seen.shape[1]
            seen = np.concatenate([seen, np.zeros_like(seen)], axis=1)
        colours[v] = first
        seen[near, first] += 1
    return colours
