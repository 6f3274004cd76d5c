"""Interpolation on a grid of several dimensions: scipy.interpolate's RegularGridInterpolator and
interpn on traced values and at traced points.

SciPy evaluates them by compiled code. While a trace is open, a point is looked for along each axis,
and the value between the 2^d corners of its cell is their mean, weighted by products of distances:

    f(x) = sum over corners k in {0, 1}^d of values[i + k] prod_a (t_a if k_a else 1 - t_a)

"nearest" takes the corner that is nearest along each axis. The grid has to be plain. A point
outside is SciPy's ValueError, and nan where it is not known yet which points are (compile, vmap).
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import contains_traced
from chainrule.numpy.shaping import array
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, user_line


def replacements() -> list[tuple[Any, str, Callable, Callable]]:
    """The class, the name of its method, this, and that to put in its place; none where
    scipy.interpolate is not loaded."""
    module: Any = sys.modules.get("scipy.interpolate")
    if module is None or not hasattr(module, "RegularGridInterpolator"):
        return []
    cls = module.RegularGridInterpolator
    original = vars(cls)["__call__"]
    return [(cls, "__call__", original, _call(original))]


@functools.lru_cache(maxsize=4)
def _call(original: Callable) -> Callable:
    @functools.wraps(original)
    def call(self, xi, method=None, *, nu=None):
        if not contains_traced([xi, self._values]):
            return original(self, xi, method, nu=nu)
        method = self.method if method is None else method
        if method not in ("linear", "nearest") or nu is not None:
            raise errors.NotSupported(
                f"RegularGridInterpolator(method={method!r}) is not supported on traced values, at "
                f"{line_text(user_line())}: use linear or nearest."
            )
        return _interpolated(self, _points(xi, len(self._grid)), method)

    return call


def _points(xi, count: int):
    """Points as an array (..., count); several arrays are the coordinates, broadcast."""
    if isinstance(xi, tuple) and len(xi) == 1:
        xi = xi[0]
    if isinstance(xi, tuple):
        return np.stack(np.broadcast_arrays(*[np.asarray(x) for x in xi]), axis=-1)
    points = np.asarray(xi)
    if points.ndim == 1:
        points = points.reshape(-1, 1) if count == 1 else points.reshape(1, -1)
    if points.shape[-1] != count:
        raise ValueError(
            f"The requested sample points xi have dimension {points.shape[-1]} but this "
            f"RegularGridInterpolator has dimension {count}"
        )
    return points


def _interpolated(of, points, method: str):
    grid, values = [np.asarray(g) for g in of._grid], array(of._values)  # traced places read it
    rest = (1,) * (values.ndim - len(grid))
    inside: Any = True
    corners = []
    for axis, knots in enumerate(grid):
        x = points[..., axis] * 1.0
        within = (x >= knots[0]) & (x <= knots[-1])
        if of.bounds_error:
            _refuse_outside(within, axis)
        inside = inside & within
        corners.append(_corners(x, knots, method))
    total: Any = 0.0
    for chosen in itertools.product(*corners):
        weight: Any = 1.0
        for _, part in chosen:
            weight = weight * part
        found = values[tuple(i for i, _ in chosen)]
        total = total + np.reshape(weight, np.shape(weight) + rest) * found
    outside = np.nan if of.bounds_error else of.fill_value
    if outside is not None:
        known = inside | np.isnan(points).any(axis=-1)
        total = np.where(np.reshape(known, np.shape(known) + rest), total, outside)
    return total


def _corners(x, knots: np.ndarray, method: str) -> list[tuple]:
    """Along one axis: the numbers of the knots around each place, and their weights."""
    if len(knots) == 1:
        return [(np.zeros(np.shape(x), np.intp), 1.0 + 0.0 * x)]
    place = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
    share = (x - np.take(knots, place)) / np.take(np.diff(knots), place)
    if method == "nearest":
        nearest = np.where(share <= 0.5, place, place + 1)
        return [(nearest, np.where(np.isnan(x), np.nan, 1.0))]
    return [(place, 1.0 - share), (place + 1, share)]


def _refuse_outside(within, axis: int) -> None:
    """SciPy's error, where it is known that points are outside."""
    known = concrete_value(within) if type(within) is Traced else within
    if known is not None and not np.all(known):
        raise ValueError(f"One of the requested xi is out of bounds in dimension {axis}")
