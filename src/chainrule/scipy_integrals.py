"""SciPy's integrals inside a trace: quad and odeint, which call the user's function from C.

quad      Gauss and Legendre's rule of 20 points on intervals that are halved, by values at hand,
          until the rules of 10 and of 20 points agree as epsabs and epsrel ask. The result is one
          sum over all points, so its derivatives are those of the rule: by what the function
          closes over, and by the bounds, of every order. Infinite ranges as in QUADPACK's qagi:
          x = a + (1 - t) / t.
odeint    solve_ivp's method of order 8, at a tenth of the tolerances or less.

Values are SciPy's to the tolerances that were asked for, not to the bit. A function that meets no
traced value is integrated by SciPy.
"""

from __future__ import annotations

import functools
import itertools
from importlib import import_module
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.batching import vmap
from chainrule.numpy.promotion import contains_traced
from chainrule.numpy.shaping import array
from chainrule.numpy.undispatched import original, replaces
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line
from chainrule.scipy_callers import as_arguments, plain_value

_original = functools.partial(original, "scipy.integrate")
_integral = functools.partial(replaces, "scipy.integrate", calls_back=True)


def _refuse(what: str, instead: str) -> None:
    raise errors.NotSupported(
        f"scipy.integrate.{what} is not supported on traced values, at {line_text(user_line())}: "
        + instead
    )


def _value(x) -> Any:
    """The value at hand of what may be traced."""
    instead = "Write a sum over np.polynomial.legendre.leggauss's points, or steps of your own."
    return plain_value(x, "scipy.integrate chooses its points by values", instead)


# --- quad ---------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=2)
def _rule(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(points)
    return (x + 1.0) / 2.0, w / 2.0


@_integral()
def quad(func, a, b, args=(), full_output=0, epsabs=1.49e-8, epsrel=1.49e-8, limit=50, points=None,
         **options):  # fmt: skip
    """scipy.integrate.quad, with the derivative of the integral"""
    args = as_arguments(args)
    low, high = float(_value(a)), float(_value(b))
    moved = contains_traced([a, b, *args]) or any(
        contains_traced([func(x, *args)]) for x in _some_places(low, high)
    )
    if not moved:
        return _original("quad")(func, a, b, args, full_output, epsabs, epsrel, limit, points,
                                 **options)  # fmt: skip
    if options or full_output:
        _refuse(f"quad({next(iter(options), 'full_output')}=...)", "give none of these options.")
    f, start, end = _on_finite_range(lambda x: func(x, *args), a, b, low, high)
    values = np.array([float(_value(start)), float(_value(end))])
    inner = [] if points is None else [(p - low) / (high - low) for p in np.sort(points)]
    cuts, error = _halved(f, values, inner, epsabs, epsrel, limit)
    return _sum(f, start, end, cuts, 20), error


def _some_places(low: float, high: float) -> list[float]:
    """Numbers inside a range, which may be infinite: what a function does at them, it does."""
    t = _rule(10)[0]
    if np.isfinite(low) and np.isfinite(high):
        return list(low + (high - low) * t)
    if np.isfinite(low) or np.isfinite(high):
        return list(low + (1.0 - t) / t if np.isfinite(low) else high - (1.0 - t) / t)
    return list(np.tan(np.pi * (t - 0.5)))


def _on_finite_range(f, a, b, low: float, high: float):
    """The integrand on a finite range, and its ends."""
    if np.isfinite(low) and np.isfinite(high):
        return f, a, b
    if low > high:
        g, start, end = _on_finite_range(f, b, a, high, low)
        return g, end, start
    if np.isfinite(low):
        return lambda t: f(a + (1.0 - t) / t) / t**2, 0.0, 1.0
    if np.isfinite(high):
        return lambda t: f(b - (1.0 - t) / t) / t**2, 0.0, 1.0
    return lambda t: (f((1.0 - t) / t) + f((t - 1.0) / t)) / t**2, 0.0, 1.0


def _sum(f, start, end, cuts: np.ndarray, points: int):
    """The rule on each interval between the cuts, which are parts of the range."""
    x, w = _rule(points)
    width = np.diff(cuts)
    places = np.ravel(cuts[:-1, None] + width[:, None] * x)
    weights = np.ravel(width[:, None] * w)
    return (end - start) * np.sum(weights * vmap(f)(start + (end - start) * places))


def _halved(f, ends, inner, epsabs: float, epsrel: float, limit: int):
    """The cuts at which the rule is good enough, and the error that is estimated."""

    def measured(low: float, high: float):
        cuts = np.array([low, high])
        fine, coarse = (float(_value(_sum(f, ends[0], ends[1], cuts, n))) for n in (20, 10))
        return abs(fine - coarse), fine, low, high

    cuts = [0.0, *inner, 1.0]
    parts = [measured(*pair) for pair in itertools.pairwise(cuts)]
    while True:
        error, total = sum(p[0] for p in parts), sum(p[1] for p in parts)
        if not error > max(epsabs, epsrel * abs(total)) * 1e-3 or len(parts) >= limit:
            break
        worst = max(parts)
        parts.remove(worst)
        middle = 0.5 * (worst[2] + worst[3])
        parts += [measured(worst[2], middle), measured(middle, worst[3])]
    return np.array(sorted({p[2] for p in parts} | {1.0})), error


# --- odeint -------------------------------------------------------------------------------------


@_integral()
def odeint(func, y0, t, args=(), Dfun=None, col_deriv=0, full_output=0, ml=None, mu=None, rtol=None,
           atol=None, tcrit=None, h0=0.0, hmax=0.0, hmin=0.0, ixpr=0, mxstep=0, mxhnil=0, mxordn=12,
           mxords=5, printmessg=0, tfirst=False):  # fmt: skip
    """scipy.integrate.odeint, with the derivative of the solution"""
    args = as_arguments(args)
    if any(type(s) is Traced and s.active for s in (t if isinstance(t, list | tuple) else [t])):
        _refuse("odeint at times that move", "use solve_ivp with dense_output.")
    times = np.array(_value(t), float)
    f = (lambda s, y: func(s, y, *args)) if tfirst else (lambda s, y: func(y, s, *args))
    probe = y0 if contains_traced([y0]) else np.atleast_1d(np.asarray(y0, np.float64))
    if not contains_traced([y0, *args]) and not contains_traced([f(times[0], probe)]):
        return _original("odeint")(func, y0, t, args, Dfun, col_deriv, full_output, ml, mu, rtol,
                                   atol, tcrit, h0, hmax, hmin, ixpr, mxstep, mxhnil, mxordn,
                                   mxords, printmessg, tfirst)  # fmt: skip
    if full_output:
        _refuse("odeint(full_output=True)", "use solve_ivp.")
    start = np.atleast_1d(array(y0)) * 1.0
    rtol, atol = (1e-9 if given is None else 0.1 * given for given in (rtol, atol))
    found = import_module("scipy.integrate").solve_ivp(
        lambda s, y: np.reshape(_as_array(f(s, y)), start.shape), (times[0], times[-1]), start,
        method="DOP853", t_eval=times, rtol=rtol, atol=atol,
    )  # fmt: skip
    if found.status != 0:
        raise errors.NotConverged(f"scipy.integrate.odeint: {found.message}")
    return found.y.T


def _as_array(values):
    return np.stack(values) if isinstance(values, list | tuple) else values
