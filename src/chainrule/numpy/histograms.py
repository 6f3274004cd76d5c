"""Histograms over several axes: np.histogramdd and np.histogram2d.

Linear in the weights; counts without weights are discrete. The edges move with the smallest and
the largest entry, where no range is given.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.numpy.creation import filled
from chainrule.numpy.indexing import reshape_to
from chainrule.numpy.promotion import cast_to, shape_of
from chainrule.numpy.protocols import implements
from chainrule.numpy.shaping import array
from chainrule.numpy.sorting import searchsorted
from chainrule.numpy.statistics import histogram_bin_edges
from chainrule.ops.index import index_add
from chainrule.ops.select import select
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

_INT64, _FLOAT64 = np.dtype(np.int64), np.dtype(np.float64)


def _columns(sample) -> list[Traced]:
    """The coordinates, one vector each, of an (n, d) array or of a list of d vectors."""
    if isinstance(sample, list | tuple):
        return [array(column) for column in sample]
    points = array(sample)
    if points.ndim == 1:
        return [points]
    return [points[:, i] for i in range(points.shape[1])]


def _per_axis(given, count: int, what: str) -> list:
    if given is None or not hasattr(given, "__len__"):
        return [given] * count
    if len(given) != count:
        raise ValueError(f"{what} must have one entry per dimension, at {line_text(user_line())}")
    return list(given)


def _bin_numbers(column: Traced, edges: Traced) -> tuple[Traced, Traced]:
    """The number of each entry's bin, 0 where there is none, and whether there is one."""
    count = edges.shape[0] - 1
    places = searchsorted(edges, column, "right") - 1
    places = select(column == edges[-1], np.int64(count - 1), places)
    inside = (places >= 0) & (places < count)
    return select(inside, places, np.int64(0)), inside


@implements(np.histogramdd)
def histogramdd(sample, bins=10, range=None, density=None, weights=None):
    """np.histogramdd: (counts, a tuple of edges)."""
    columns = _columns(sample)
    bins = _per_axis(bins, len(columns), "The dimension of bins")
    ranges = _per_axis(range, len(columns), "range argument")
    edges = [
        array(histogram_bin_edges(x, wanted, limits))
        for x, wanted, limits in zip(columns, bins, ranges, strict=True)
    ]
    counts = tuple(e.shape[0] - 1 for e in edges)
    places, inside = _joint_places(columns, edges, counts)
    total = int(np.prod(counts))
    places = select(inside, places, np.int64(total))  # one more bin, for what lies outside
    if weights is None:
        ones = filled(places.shape, 1, _FLOAT64)
    else:
        ones = cast_to(array(weights), _FLOAT64)
    if shape_of(ones) != places.shape:
        raise errors.ShapeError("The weights and list don't have the same length.")
    sums = index_add(filled((total + 1,), 0, _FLOAT64), ones, places, at=())[:-1]
    found = reshape_to(sums, counts)
    return (_density(found, edges) if density else found), tuple(edges)


def _joint_places(columns, edges, counts):
    """The bin of each point in the raveled array of bins, and whether there is one."""
    places, inside = _bin_numbers(columns[0], edges[0])
    for column, edge, count in zip(columns[1:], edges[1:], counts[1:], strict=True):
        more, within = _bin_numbers(column, edge)
        places, inside = places * count + more, inside & within
    return places, inside


def _density(counts: Traced, edges) -> Traced:
    total = counts.sum()
    for axis, edge in enumerate(edges):
        widths = [edge.shape[0] - 1 if a == axis else 1 for a in range(counts.ndim)]
        counts = counts / np.diff(edge).reshape(widths)
    return counts / total


@implements(np.histogram2d)
def histogram2d(x, y, bins=10, range=None, density=None, weights=None):
    """np.histogram2d: (counts, edges along x, edges along y)."""
    if len(x) != len(y):
        raise ValueError("x and y must have the same length.")
    if hasattr(bins, "__len__") and len(bins) not in (1, 2):
        bins = [bins, bins]  # edges for both
    counts, edges = histogramdd([array(x), array(y)], bins, range, density, weights)
    return counts, edges[0], edges[1]
