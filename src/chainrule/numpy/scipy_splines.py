"""Piecewise polynomials and splines of scipy.interpolate on traced values.

They are evaluated by compiled code. While a trace is open, where the points or the coefficients are
traced, they are evaluated here: the interval of each point is found, and Horner's scheme runs on
the coefficients there,

    S(x) = sum_k c[k, i] (x - t[i])^(K - k)     for t[i] <= x < t[i + 1]

A B-spline becomes such pieces first, which is linear in its coefficients. So is an interpolating
spline in the data y: with traced y, the coefficients are those of the unit vectors, which SciPy
computes, times y. Akima's slopes are worked out here. The knots and x have to be plain.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy import undispatched
from chainrule.numpy.promotion import contains_traced
from chainrule.numpy.undispatched import replaces
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, user_line


def replacements() -> list[tuple[Any, str, Callable, Callable]]:
    """Classes, names of methods, these, and those to put in their place; none where
    scipy.interpolate is not loaded."""
    module: Any = sys.modules.get("scipy.interpolate")
    if module is None or not hasattr(module, "make_interp_spline"):
        return []
    found = []
    for cls, name, meaning in (
        (module.PPoly, "__call__", _call_of_pieces), (module.BSpline, "__call__", _call_of_splines),
        (module.CubicSpline, "__init__", _cubic), (module.interp1d, "__init__", _interpolator),
        (module.interp1d, "__call__", _call_of_interpolators),
        (module.Akima1DInterpolator, "__init__", _akima),
    ):  # fmt: skip
        owner = next(c for c in cls.__mro__ if name in vars(c))
        original = vars(owner)[name]
        found.append((owner, name, original, meaning(original)))
    return found


# --- evaluation -----------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4)
def _call_of_pieces(original: Callable) -> Callable:
    @functools.wraps(original)
    def call(self, x, nu=0, extrapolate=None):
        if not contains_traced([x]) and type(_coefficients(self)) is not Traced:
            return original(self, x, nu, extrapolate)
        how = self.extrapolate if extrapolate is None else extrapolate
        knots = np.asarray(self.x)
        if type(self).__name__ == "BPoly" or knots[0] > knots[-1]:
            raise errors.NotSupported(
                f"{type(self).__name__} on traced values is for rising breakpoints and powers of "
                f"x, at {line_text(user_line())}: use PPoly, or PPoly.from_bernstein_basis."
            )
        return _along(evaluated(_coefficients(self), knots, x, nu, how), np.ndim(x), self.axis)

    return call


@functools.lru_cache(maxsize=4)
def _call_of_splines(original: Callable) -> Callable:
    @functools.wraps(original)
    def call(self, x, nu=0, extrapolate=None):
        coefficients = _coefficients(self)
        if not contains_traced([x]) and type(coefficients) is not Traced:
            return original(self, x, nu, extrapolate)
        how = self.extrapolate if extrapolate is None else extrapolate
        knots, degree = np.asarray(self.t), self.k
        count = len(knots) - degree - 1
        inner = knots[degree : count + 1]  # where the splines are a basis
        breaks = inner[np.append(True, np.diff(inner) > 0)]
        pieces = _pieces_of_splines(knots, degree, count, breaks)
        c = np.tensordot(pieces, coefficients, 1)
        return _along(evaluated(c, breaks, x, nu, how), np.ndim(x), self.axis)

    return call


def _pieces_of_splines(knots, degree: int, count: int, breaks) -> np.ndarray:
    """The polynomials of each B-spline on each interval: (degree + 1, intervals, splines)."""
    basis = sys.modules["scipy.interpolate"].BSpline(knots, np.eye(count), degree)
    left = breaks[:-1]
    orders = range(degree, -1, -1)
    return np.stack([basis(left, nu=k) / _factorial(k) for k in orders])


def _factorial(k: int) -> float:
    return float(np.prod(np.arange(1.0, k + 1.0)))


def _coefficients(pieces) -> Any:
    return pieces._c if hasattr(pieces, "_c") else pieces.c


def evaluated(c, knots: np.ndarray, x, order: int, extrapolate):
    """A derivative of piecewise polynomials, c (powers, intervals, ...), at x: x.shape + (...)."""
    if order < 0:
        raise errors.NotSupported(
            f"an antiderivative of a spline is not evaluated at traced values by nu={order}, at "
            f"{line_text(user_line())}: use .antiderivative() first."
        )
    x = np.asarray(x) * 1.0
    if extrapolate == "periodic":
        x = knots[0] + (x - knots[0]) % (knots[-1] - knots[0])
    place = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
    step = x - np.take(knots, place)
    rest = (1,) * (c.ndim - 2)
    step = np.reshape(step, step.shape + rest)
    degree = c.shape[0] - 1
    out: Any = 0.0 * step
    for row in range(degree + 1 - order):
        power = degree - row  # d^n x^p = p (p - 1) ... (p - n + 1) x^(p - n)
        factor = float(np.prod(np.arange(power - order + 1.0, power + 1.0)))
        out = out * step + factor * np.take(c[row], place, axis=0)
    if extrapolate in (False, None):
        inside = np.reshape((x >= knots[0]) & (x <= knots[-1]), x.shape + rest)
        out = np.where(inside, out, np.nan)
    return out


def _along(out, ndim: int, axis: int):
    """The axes of the points put where the data had theirs."""
    if axis == 0:
        return out
    axes = list(range(out.ndim))
    return np.transpose(out, axes[ndim : ndim + axis] + axes[:ndim] + axes[ndim + axis :])


# --- splines through traced data ----------------------------------------------------------------


@functools.lru_cache(maxsize=4)
def _cubic(original: Callable) -> Callable:
    @functools.wraps(original)
    def init(self, x, y, axis=0, bc_type="not-a-knot", extrapolate=None):
        if not contains_traced([x, y, bc_type]):
            return original(self, x, y, axis, bc_type, extrapolate)
        _refuse_traced("x or bc_type of CubicSpline", x, bc_type)
        y = np.asarray(y)
        basis = np.eye(len(x))
        if isinstance(bc_type, str) and bc_type == "periodic":
            basis = basis[:, :-1]  # the last value is the first one
            basis[-1, 0] = 1.0
        original(self, x, basis, 0, _zero_ends(bc_type, basis.shape[1]), extrapolate)
        data = np.moveaxis(y, axis, 0)[: basis.shape[1]]
        c = np.tensordot(_coefficients(self), data, 1)
        ends = _given_ends(bc_type, original, type(self), x, y.shape, axis)
        setattr(self, "_c" if hasattr(self, "_c") else "c", c if ends is None else c + ends)
        self.axis = axis % y.ndim
        return None

    return init


@replaces("scipy.interpolate", "make_interp_spline")
def make_interp_spline(x, y, k=3, t=None, bc_type=None, axis=0, check_finite=True):
    """scipy.interpolate.make_interp_spline through traced data."""
    _refuse_traced("x, t or bc_type of make_interp_spline", x, t, bc_type)
    if not (bc_type is None or isinstance(bc_type, str)):
        raise errors.NotSupported(
            f"make_interp_spline(bc_type={bc_type!r}) is not supported on traced values, at "
            f"{line_text(user_line())}: use None, or one of SciPy's names."
        )
    data = np.moveaxis(np.asarray(y), axis, 0)
    basis = np.eye(len(data))
    if bc_type == "periodic":
        basis[-1] = basis[0]  # the last value is the first one
        basis = basis[:, :-1]
    made = undispatched.original("scipy.interpolate", "make_interp_spline")
    known = made(x, basis, k, t, bc_type)
    spline = type(known)(known.t, np.zeros(len(_coefficients(known))), known.k)
    spline.extrapolate = known.extrapolate
    c = np.tensordot(_coefficients(known), data[: basis.shape[1]], 1)
    setattr(spline, "_c" if hasattr(spline, "_c") else "c", c)
    spline.axis = axis % data.ndim
    return spline


@functools.lru_cache(maxsize=4)
def _akima(original: Callable) -> Callable:
    @functools.wraps(original)
    def init(self, x, y, axis=0, *, method="akima", extrapolate=None):
        if not contains_traced([x, y]):
            return original(self, x, y, axis, method=method, extrapolate=extrapolate)
        _refuse_traced("x of Akima1DInterpolator", x)
        data = np.moveaxis(np.asarray(y), axis, 0)
        slopes = _akima_slopes(np.asarray(x), data, method)
        hermite = sys.modules["scipy.interpolate"].CubicHermiteSpline.__init__
        hermite(self, x, data, slopes, axis=0, extrapolate=bool(extrapolate))
        self.axis = axis % data.ndim
        return None

    return init


def _akima_slopes(x, y, method: str):
    """The slopes at the knots: means of those beside them, weighted by how these change.

    **Source** Akima, J. ACM 17 (1970) 589; makima is MATLAB's variant.
    """
    steps = np.reshape(np.diff(x), (-1,) + (1,) * (y.ndim - 1))
    m = np.diff(y, axis=0) / steps
    if len(x) == 2:
        return np.concatenate([m, m])
    before = 2.0 * m[0] - m[1], 2.0 * m[-1] - m[-2]
    first, last = 2.0 * before[0] - m[0], 2.0 * before[1] - m[-1]
    m = np.concatenate([[first], [before[0]], m, [before[1]], [last]])
    change = np.abs(np.diff(m, axis=0))
    if method == "makima":
        change = change + 0.5 * np.abs(m[1:] + m[:-1])
    right, left = change[2:], change[:-2]
    total = right + left
    defined = total > 1e-9 * np.max(total)
    share = np.where(defined, left / np.where(defined, total, 1.0), 0.5)
    weighted = m[1:-2] + share * (m[2:-1] - m[1:-2])
    return np.where(defined, weighted, 0.5 * (m[3:] + m[:-3]))


def _zero_ends(bc_type, count: int):
    """Conditions like these, whose derivatives at the ends are 0."""
    if isinstance(bc_type, str):
        return bc_type
    return tuple(b if isinstance(b, str) else (b[0], np.zeros(count)) for b in bc_type)


def _given_ends(bc_type, original: Callable, cls: type, x, shape: tuple, axis: int):
    """What derivatives at the ends that are not 0 add: the spline through zeros that has them."""
    if isinstance(bc_type, str) or all(isinstance(b, str) for b in bc_type):
        return None
    zero: Any = object.__new__(cls)
    original(zero, x, np.zeros(shape), axis, bc_type)
    return _coefficients(zero)


def _refuse_traced(what: str, *values) -> None:
    if contains_traced(list(values)):
        raise errors.NotSupported(
            f"{what} must not be traced, at {line_text(user_line())}: only the data y and the "
            "points may be."
        )


@functools.lru_cache(maxsize=4)
def _interpolator(original: Callable) -> Callable:
    @functools.wraps(original)
    def init(self, x, y, kind="linear", axis=-1, *args, **options):
        if not contains_traced([x, y]):
            return original(self, x, y, kind, axis, *args, **options)
        _refuse_traced("x of interp1d", x)
        original(self, x, np.zeros(np.shape(y)), kind, axis, *args, **options)
        assumed = options.get("assume_sorted", args[3] if len(args) > 3 else False)
        rows = np.moveaxis(np.asarray(y), axis, 0)
        order = np.argsort(x, kind="mergesort")
        self.__dict__["_chainrule_data"] = rows if assumed else rows[order]
        return None

    return init


@functools.lru_cache(maxsize=4)
def _call_of_interpolators(original: Callable) -> Callable:
    @functools.wraps(original)
    def call(self, x):
        data = self.__dict__.get("_chainrule_data")
        if not contains_traced([x, data]) or not hasattr(self, "_kind"):
            return original(self, x)
        return _interpolated(self, x, data)

    return call


def _interpolated(of, x, data):
    """interp1d at traced points, or through traced data, along straight lines or splines."""
    knots = np.asarray(of.x)
    axis, kind = of.axis, of._kind
    lines = np.moveaxis(np.asarray(of.y), axis, 0) if data is None else data
    if kind == "linear":
        steps = np.reshape(np.diff(knots), (-1,) + (1,) * (lines.ndim - 1))
        out = evaluated(np.stack([np.diff(lines, axis=0) / steps, lines[:-1]]), knots, x, 0, True)
    elif kind == "spline" and hasattr(of._spline, "t"):
        module = sys.modules["scipy.interpolate"]
        basis = module.make_interp_spline(knots, np.eye(len(knots)), k=of._spline.k)
        spline = module.BSpline(basis.t, np.zeros(len(basis.c)), basis.k)
        setattr(spline, "_c" if hasattr(spline, "_c") else "c", np.tensordot(basis.c, lines, 1))
        out = spline(x, extrapolate=True)
    else:
        raise errors.NotSupported(
            f"interp1d(kind={kind!r}) is not supported on traced values, at "
            f"{line_text(user_line())}: use linear, quadratic or cubic."
        )
    x = np.asarray(x)
    rest = (1,) * (out.ndim - x.ndim)
    if not of._extrapolate:
        low, high = (np.reshape(e, x.shape + rest) for e in (x < knots[0], x > knots[-1]))
        outside: Any = low | high
        if type(outside) is Traced:
            outside = concrete_value(outside)
        if of.bounds_error and outside is not None and np.any(outside):
            raise ValueError("A value in x_new is outside the interpolation range.")
        shape = lines.shape[1:]
        below, above = (
            np.broadcast_to(f, (int(np.prod(shape)),)).reshape(shape)
            for f in (of._fill_value_below, of._fill_value_above)
        )
        out = np.where(low, below, np.where(high, above, out))
    return _along(out, x.ndim, axis)
