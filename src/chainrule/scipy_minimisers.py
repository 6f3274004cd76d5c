"""SciPy's minimisers inside a trace: the least point, with the derivative of the conditions for it.

`scipy.optimize.minimize(lambda x: f(x, a), x0).x` is found by SciPy on the values at hand, from
where Newton's method goes to the last digits (`cr.argmin`). Unknowns at a bound are that bound, and
move with it; the others are a stationary point of f. Its derivatives, by all that f closes over,
are those of the implicit function theorem. Where a gradient is of use to SciPy, it is ours: `jac`
and `hess` of the caller are not asked. Of what SciPy reports, that remains which does not move.

Source    Nocedal and Wright, "Numerical Optimization", 2006, chapter 16, for the bounds that are
          held; Bonnans and Shapiro, "Perturbation Analysis of Optimization Problems", 2000, for the
          derivative there (where a multiplier is not 0, as it is generically).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.api import grad, jacobian, value_and_grad
from chainrule.implicit import argmin
from chainrule.numpy.promotion import contains_traced
from chainrule.numpy.undispatched import original, replaces
from chainrule.program.text import line_text
from chainrule.program.trace import user_line
from chainrule.scipy_callers import as_arguments, plain_value

_original = functools.partial(original, "scipy.optimize")
_minimiser = functools.partial(replaces, "scipy.optimize", calls_back=True)

BY_VALUE = ("nelder-mead", "powell", "cobyla", "cobyqa")  # methods that take no gradient
NEAR = 1e-4  # how far from a bound SciPy may stop, relative to 1 + |x|
MOST_CHANGES = 20  # of the unknowns that are held at bounds
FACTS = ("success", "status", "message", "nit", "nfev", "njev")  # of a report, that do not move

# What the squares z of residuals count, by the name of the loss; as in scipy.optimize.
LOSSES: dict[str, Callable] = {
    "linear": lambda z: z,
    "soft_l1": lambda z: 2.0 * (np.sqrt(1.0 + z) - 1.0),
    "huber": lambda z: np.where(z <= 1.0, z, 2.0 * np.sqrt(np.where(z <= 1.0, 1.0, z)) - 1.0),
    "cauchy": np.log1p,
    "arctan": np.arctan,
}


def _plain(value) -> Any:
    instead = "Use cr.argmin, which needs none."
    return plain_value(value, "scipy.optimize goes by values", instead)


def _refuse(what: str, instead: str) -> None:
    raise errors.NotSupported(
        f"scipy.optimize.{what} is not supported on traced values, at {line_text(user_line())}: "
        + instead
    )


def _limits(bounds, count: int) -> tuple[Any, Any]:
    """Lower and upper bounds, which may be traced: (count,) each."""
    if bounds is None:
        return np.full(count, -np.inf), np.full(count, np.inf)
    if hasattr(bounds, "lb"):
        low, high = bounds.lb, bounds.ub
    else:
        low = np.stack([-np.inf if a is None else a for a, _ in bounds])
        high = np.stack([np.inf if b is None else b for _, b in bounds])
    return low + np.zeros(count), high + np.zeros(count)


def _least(f: Callable, found: np.ndarray, low, high):
    """The least point of f near that which SciPy found: at bounds, or where f is stationary.

    SciPy may stop a little inside of a bound. An unknown is held at one that it is near to, or
    would pass, as long as f falls beyond it: Kuhn and Tucker's conditions, checked at the end.
    """
    lows, highs = _plain(low), _plain(high)
    if not (np.isfinite(lows).any() or np.isfinite(highs).any()):
        return argmin(f, found)
    slope, near = _plain(grad(f)(found)), NEAR * (1.0 + abs(found))
    at_low = (lows == highs) | ((found - lows <= near) & (slope > 0.0))
    at_high = ~at_low & (highs - found <= near) & (slope < 0.0)
    for _ in range(MOST_CHANGES):
        x = _stationary(f, found, at_low, at_high, low, high)
        values = _plain(x)
        slope = _plain(grad(f)(values))
        left = at_low & (slope < 0.0) & (lows < highs) | at_high & (slope > 0.0)
        below, above = values < lows, values > highs
        if not (left | below | above).any():
            return x
        at_low, at_high = at_low & ~left | below, at_high & ~left | above
    raise errors.NotConverged(
        f"scipy.optimize found {found}, and no point near it meets the conditions for a least one "
        f"within the bounds, at {line_text(user_line())}."
    )


def _stationary(f: Callable, start: np.ndarray, at_low, at_high, low, high):
    """Where f is stationary in the unknowns that are at no bound."""
    held = np.where(at_high, high, np.where(at_low, low, start))
    is_free = ~(at_low | at_high)
    if not is_free.any():
        return held
    place = np.maximum(np.cumsum(is_free) - 1, 0)  # of each unknown among those that are free

    def among_held(y):
        return np.where(is_free, y[place], held)

    return among_held(argmin(lambda y: f(among_held(y)), start[is_free]))


def _reported(report: Any, **found) -> Any:
    """SciPy's report, less what moves, with what was found."""
    facts = {name: report[name] for name in FACTS if name in report}
    return import_module("scipy.optimize").OptimizeResult(facts | found)


@_minimiser()
def minimize(fun, x0, args=(), method=None, jac=None, hess=None, hessp=None, bounds=None,
             constraints=(), tol=None, callback=None, options=None):  # fmt: skip
    """scipy.optimize.minimize, with the derivative of the least point"""
    args, start = as_arguments(args), np.atleast_1d(np.asarray(_plain(x0), np.float64))
    f = (lambda x: fun(x, *args)[0]) if jac is True else (lambda x: fun(x, *args))
    if not contains_traced([f(start), bounds]):
        return _original("minimize")(fun, start, args, method, jac, hess, hessp, bounds,
                                     constraints, tol, callback, options)  # fmt: skip
    if len(constraints) if isinstance(constraints, list | tuple) else constraints:
        _refuse("minimize(constraints=...)", "solve the conditions for it with cr.root.")
    low, high = _limits(bounds, start.size)
    within = None if bounds is None else list(zip(_plain(low), _plain(high), strict=True))
    by_value = callable(method) or str(method).lower() in BY_VALUE
    asked = (lambda x: _plain(f(x))) if by_value else (lambda x: _plain(value_and_grad(f)(x)))
    report = _original("minimize")(
        asked, start, (), method, None if by_value else True, bounds=within, tol=tol,
        callback=callback, options=options,
    )  # fmt: skip
    x = _least(f, np.atleast_1d(report.x), low, high)
    return _reported(report, x=x, fun=f(x))


@_minimiser()
def minimize_scalar(fun, bracket=None, bounds=None, args=(), method=None, tol=None, options=None):
    """scipy.optimize.minimize_scalar, with the derivative of the least point"""
    args = as_arguments(args)
    bracket, within = _plain(bracket), _plain(bounds)
    somewhere = next((float(np.mean(r)) for r in (within, bracket) if r is not None), 0.0)

    def f(x):
        return fun(x, *args)

    if not contains_traced([f(somewhere), bounds]):
        return _original("minimize_scalar")(fun, bracket, within, args, method, tol, options)
    report = _original("minimize_scalar")(
        lambda x: _plain(f(x)), bracket, within, (), method, tol, options
    )
    low, high = _limits(None if bounds is None else [bounds], 1)
    x = _least(lambda x: f(x[0]), np.array([report.x]), low, high)[0]
    return _reported(report, x=x, fun=f(x))


@_minimiser()
def least_squares(fun, x0, jac="2-point", bounds=(-np.inf, np.inf), method="trf", ftol=1e-8,
                  xtol=1e-8, gtol=1e-8, x_scale=None, loss="linear", f_scale=1.0, args=(),
                  kwargs=None, **options):  # fmt: skip
    """scipy.optimize.least_squares, with the derivative of the least point"""
    args, kwargs = as_arguments(args), kwargs or {}
    start = np.atleast_1d(np.asarray(_plain(x0), np.float64))
    options = dict(options, method=method, ftol=ftol, xtol=xtol, gtol=gtol, loss=loss,
                   **({} if x_scale is None else {"x_scale": x_scale}))  # fmt: skip

    def residuals(x):
        return np.atleast_1d(fun(x, *args, **kwargs))

    if not contains_traced([residuals(start), bounds, f_scale]):
        return _original("least_squares")(fun, start, jac, bounds, f_scale=f_scale, args=args,
                                          kwargs=kwargs, **options)  # fmt: skip
    if callable(loss):
        _refuse("least_squares(loss=a function)", f"use one of {', '.join(LOSSES)}.")
    if hasattr(bounds, "lb"):
        bounds = bounds.lb, bounds.ub
    low, high = (b + np.zeros(start.size) for b in bounds)
    report = _original("least_squares")(
        lambda x: _plain(residuals(x)), start, lambda x: _plain(jacobian(residuals)(x)),
        (_plain(low), _plain(high)), f_scale=_plain(f_scale), **options,
    )  # fmt: skip

    def cost(x):
        return 0.5 * f_scale**2 * np.sum(LOSSES[loss]((residuals(x) / f_scale) ** 2))

    x = _least(cost, report.x, low, high)
    return _reported(report, x=x, cost=cost(x), fun=residuals(x), jac=jacobian(residuals)(x),
                     active_mask=report.active_mask)  # fmt: skip


@_minimiser()
def curve_fit(f, xdata, ydata, p0=None, sigma=None, absolute_sigma=False, check_finite=None,
              bounds=(-np.inf, np.inf), method=None, jac=None, *, full_output=False,
              nan_policy=None, **options):  # fmt: skip
    """scipy.optimize.curve_fit, with the derivatives of the parameters and their covariance"""
    start = _parameters(f, bounds) if p0 is None else np.atleast_1d(_plain(p0))
    if not contains_traced([xdata, ydata, sigma, bounds, f(xdata, *start)]):
        return _original("curve_fit")(
            f, xdata, ydata, p0, sigma, absolute_sigma, check_finite, bounds, method, jac,
            full_output=full_output, nan_policy=nan_policy, **options,
        )  # fmt: skip
    if full_output or nan_policy or (sigma is not None and np.ndim(sigma) > 1):
        _refuse("curve_fit(full_output, nan_policy, or sigma as a matrix)",
                "use scipy.optimize.least_squares.")  # fmt: skip
    weight = 1.0 if sigma is None else sigma
    asked = {} if method in (None, "lm") else {"method": method}
    asked |= {"max_nfev" if name == "maxfev" else name: v for name, v in options.items()}
    found = least_squares(
        lambda p: (f(xdata, *p) - ydata) / weight, start, bounds=bounds, **asked
    )
    if not found.success:
        raise RuntimeError(f"Optimal parameters not found: {found.message}")
    covariance = np.linalg.inv(found.jac.T @ found.jac)
    if not absolute_sigma:
        covariance = covariance * (2.0 * found.cost / (found.fun.size - start.size))
    return found.x, covariance


def _parameters(f: Callable, bounds) -> np.ndarray:
    """Where SciPy starts: by ones, or inside the bounds."""
    count = len(inspect.signature(f).parameters) - 1
    low, high = (_plain(b) + np.zeros(count) for b in bounds)
    below, above = np.isfinite(low), np.isfinite(high)
    start = np.ones(count)
    start[below & above] = 0.5 * (low[below & above] + high[below & above])
    start[below & ~above] = low[below & ~above] + 1.0
    start[above & ~below] = high[above & ~below] - 1.0
    return start
