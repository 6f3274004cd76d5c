"""NumPy's functions that act entry by entry but are no ufuncs: clip, round, sinc, angle, ...

At a bound `clip` passes the derivative on to x: the interval is closed. Rounding has derivative
zero; `nan_to_num` passes it where x is finite.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.numpy.promotion import cast_to, promoted_kind, resolve
from chainrule.numpy.protocols import implements
from chainrule.numpy.reductions import NOTHING, stored
from chainrule.numpy.shaping import array
from chainrule.numpy.ufuncs import COMPOSED, OPS, apply_ufunc
from chainrule.ops import elementwise
from chainrule.ops.floating import binary_exponent, ldexp
from chainrule.ops.sinc import sinc as sinc_op
from chainrule.program.mutation import assign
from chainrule.program.trace import Traced, is_traced

# The ufunc behind np.clip and ndarray.clip has no public name.
CLIP: np.ufunc = getattr(np, "_core").umath.clip  # noqa: B009
OPS[CLIP] = elementwise.clip
COMPOSED[np.ldexp] = ldexp
_FLOAT64 = np.dtype(np.float64)


# --- clip ---------------------------------------------------------------------------------------


def _given(*spellings):
    """The bound that was given under either of its names, or None."""
    given = [b for b in spellings if b is not NOTHING and b is not None]
    if len(given) > 1:
        raise ValueError(
            "Passing `min` or `max` keyword argument when `a_min` and `a_max` are provided is "
            "forbidden."
        )
    return given[0] if given else None


def _beyond(x: Traced, low, high):
    """The bounds, None where no integer of x's dtype lies outside."""
    if x.dtype.kind in "iu":
        limits = np.iinfo(x.dtype)
        low = None if type(low) is int and low <= limits.min else low
        high = None if type(high) is int and high >= limits.max else high
    return low, high


@implements(np.clip)
def clip(a, a_min=NOTHING, a_max=NOTHING, out=None, *, min=NOTHING, max=NOTHING):
    """np.clip"""
    x = array(a)
    low, high = _beyond(x, _given(a_min, min), _given(a_max, max))
    if low is None and high is None:
        return stored(np.positive(x).copy(), out, np.clip)
    if low is None:
        found = _one_sided(x, high, np.minimum, (-math.inf, high))
    elif high is None:
        found = _one_sided(x, low, np.maximum, (low, math.inf))
    else:
        found = apply_ufunc(CLIP, x, low, high)
    return stored(found, out, np.clip)


def _one_sided(x: Traced, bound, ufunc, bounds):
    """A bound on one side: infinity on the other, so that at the bound the slope is clip's."""
    dtype = resolve(ufunc, (promoted_kind(x), promoted_kind(bound)))[-1]
    return apply_ufunc(CLIP, x, *bounds) if dtype.kind == "f" else apply_ufunc(ufunc, x, bound)


# --- rounding -----------------------------------------------------------------------------------


@implements(np.round, np.around)
def round_(a, decimals=0, out=None):
    """np.round: to the nearest, at a tie to the even; the derivative is zero."""
    x = array(a)
    if x.dtype.kind == "c":
        found = round_(x.real, decimals) + 1j * round_(x.imag, decimals)
    elif x.dtype.kind == "f":
        found = _rounded(x, decimals)
    elif x.dtype.kind == "b":
        found = cast_to(x, np.dtype(np.float16))
    elif decimals >= 0:
        found = x.copy()
    else:
        found = cast_to(_rounded(cast_to(x, _FLOAT64), decimals), x.dtype)
    return stored(found, out, np.round)


def _rounded(x: Traced, decimals: int):
    if decimals == 0:
        return elementwise.rint(x)
    factor = 10.0 ** abs(decimals)
    if decimals > 0:
        return elementwise.rint(x * factor) / factor
    return elementwise.rint(x / factor) * factor


@implements(np.fix)
def fix(x, out=None):
    """np.fix: to the nearest whole number towards zero."""
    return stored(np.trunc(array(x)), out, np.fix)


# --- others -------------------------------------------------------------------------------------


@implements(np.nan_to_num)
def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    """np.nan_to_num"""
    value = array(x)
    if value.dtype.kind == "c":
        parts = (_finite(p, nan, posinf, neginf) for p in (value.real, value.imag))
        found = elementwise.join(*parts)
    elif value.dtype.kind == "f":
        found = _finite(value, nan, posinf, neginf)
    else:
        found = value.copy()
    if copy or not is_traced(x):
        return found
    assign(x, found)
    return x


def _finite(x: Traced, nan, posinf, neginf):
    largest = np.finfo(x.dtype).max
    posinf = largest if posinf is None else posinf
    neginf = -largest if neginf is None else neginf
    found = np.where(np.isnan(x), cast_to(nan, x.dtype), x)
    found = np.where(x == math.inf, cast_to(posinf, x.dtype), found)
    return np.where(x == -math.inf, cast_to(neginf, x.dtype), found)


@implements(np.isposinf)
def isposinf(x, out=None):
    """np.isposinf"""
    return stored(np.equal(array(x), math.inf), out, np.isposinf)


@implements(np.isneginf)
def isneginf(x, out=None):
    """np.isneginf"""
    return stored(np.equal(array(x), -math.inf), out, np.isneginf)


@implements(np.sinc)
def sinc(x):
    """np.sinc: sin(pi x) / (pi x)"""
    x = array(x)
    if x.dtype.kind != "c":
        return sinc_op(x if x.dtype.kind == "f" else cast_to(x, _FLOAT64))
    angle_ = np.pi * x
    angle_ = np.where(angle_ == 0, 1e-20, angle_)
    return np.sin(angle_) / angle_


@implements(np.angle)
def angle(z, deg=False):
    """np.angle"""
    z = array(z)
    found = np.arctan2(z.imag, z.real) if z.dtype.kind == "c" else np.arctan2(0, z)
    return found * (180 / np.pi) if deg else found


def _frexp(x):
    exponent = binary_exponent(x)
    return ldexp(x, -exponent), exponent


COMPOSED[np.frexp] = _frexp
