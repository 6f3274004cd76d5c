"""What stands on Qhull: triangulations, hulls, and lines between scattered points.

Qhull's classes in SciPy crash the process where their points are no arrays of numbers: they are
refused on traced points. Between plain points, LinearNDInterpolator (and griddata) is linear in the
values: with traced ones it is SciPy's, of the unit vectors, times the values. The points where it
is evaluated have to be plain as well.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import contains_traced
from chainrule.program.text import line_text
from chainrule.program.trace import user_line

_OF_POINTS = ("ConvexHull", "Delaunay", "Voronoi", "HalfspaceIntersection")


def replacements() -> list[tuple[Any, str, Callable, Callable]]:
    """Classes, names of methods, these, and those to put in their place; none of modules that are
    not loaded."""
    found: list[tuple[Any, str, Callable, Callable]] = []
    hulls: Any = sys.modules.get("scipy.spatial._qhull")
    for name in _OF_POINTS:
        cls = getattr(hulls, name, None)
        if cls is not None:
            init = vars(cls)["__init__"]
            found.append((cls, "__init__", init, _of_plain_points(init, name)))
    scattered: Any = sys.modules.get("scipy.interpolate._interpnd")
    cls = getattr(scattered, "LinearNDInterpolator", None)
    if cls is not None:
        owner = next(c for c in cls.__mro__ if "__call__" in vars(c))  # that of other kinds as well
        init, call = vars(cls)["__init__"], vars(owner)["__call__"]
        found += [(cls, "__init__", init, _linear(init)), (owner, "__call__", call, _call(call))]
        other = scattered.CloughTocher2DInterpolator
        init = vars(other)["__init__"]
        found.append((other, "__init__", init, _of_plain_points(init, other.__name__)))
    return found


def _refuse(name: str, *points) -> None:
    if contains_traced(list(points)):
        raise errors.NotSupported(
            f"scipy's {name} is compiled code, which cannot follow these traced values, at "
            f"{line_text(user_line())}.\n  To use them as constants: "
            "np.array(cr.stop_gradient(x).tolist())."
        )


@functools.lru_cache(maxsize=16)
def _of_plain_points(original: Callable, name: str) -> Callable:
    @functools.wraps(original)
    def init(self, *args, **options):
        _refuse(name, *args, *options.values())
        return original(self, *args, **options)

    return init


@functools.lru_cache(maxsize=4)
def _linear(original: Callable) -> Callable:
    @functools.wraps(original)
    def init(self, points, values, fill_value=np.nan, rescale=False):
        _refuse("LinearNDInterpolator", points, fill_value)
        if not contains_traced([values]):
            return original(self, points, values, fill_value, rescale)
        data = np.asarray(values)
        original(self, points, np.eye(data.shape[0]), np.nan, rescale)
        self.__dict__["_chainrule_data"] = data, fill_value
        return None

    return init


@functools.lru_cache(maxsize=4)
def _call(original: Callable) -> Callable:
    @functools.wraps(original)
    def call(self, *at):
        _refuse(type(self).__name__, *at)
        found = original(self, *at)
        if "_chainrule_data" not in self.__dict__:
            return found
        data, fill_value = self.__dict__["_chainrule_data"]
        outside = np.isnan(found[..., 0])
        out = np.tensordot(np.where(outside[..., None], 0.0, found), data, 1)
        rest = (1,) * (out.ndim - outside.ndim)
        return np.where(outside.reshape(outside.shape + rest), fill_value, out)

    return call
