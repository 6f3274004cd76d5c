"""SciPy's solvers inside a trace: their solution, with the derivative of the equation it solves.

`scipy.optimize.brentq(lambda x: f(x, a), 0.0, 1.0)` calls f from compiled code, which cannot take a
traced value. While a trace is open it is `cr.root` with SciPy's solver: SciPy finds the solution on
plain numbers, and its derivatives, by all that f closes over, are those of the implicit function
theorem. A function that meets no traced value is solved by SciPy alone. Derivatives that a caller
gives to be used on the way (`fprime`, `jac`) are not asked: they may hold traced values, and change
the steps, not the root.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.implicit import root
from chainrule.numpy.promotion import contains_traced
from chainrule.numpy.undispatched import original, replaces
from chainrule.program.text import line_text
from chainrule.program.trace import user_line
from chainrule.scipy_callers import as_arguments, plain_value

_original = functools.partial(original, "scipy.optimize")
_solver = functools.partial(replaces, "scipy.optimize", calls_back=True)


def _plain(value, what: str):
    """A starting point or a bound as plain numbers: the solution does not move with it."""
    instead = "Pass plain numbers, or use cr.root, cr.fixed_point or cr.argmin."
    return plain_value(value, f"the value of {what} is needed", instead)


def _is_moved(f: Callable, x, args: tuple) -> bool:
    """Whether what f gives is a traced value."""
    return contains_traced(args) or contains_traced([f(x, *args)])


def _scalar(f: Callable, args: tuple, x0, solver: Callable):
    """The root of a function of one number: the number that `solver(g)` finds."""

    def number(g):
        return lambda x: float(np.reshape(g(np.float64(x)), ()))

    return root(lambda x: f(x, *args), float(x0), solver=lambda g, _: float(solver(number(g))))


def _bracketing(name: str) -> None:
    def find(f, a, b, args=(), *rest, full_output=False, **options):
        args = as_arguments(args)
        low, high = _plain(a, "a bound"), _plain(b, "a bound")
        find_plain = _original(name)
        if not (_is_moved(f, low, args) or _is_moved(f, high, args)):
            return find_plain(f, low, high, args, *rest, full_output=full_output, **options)
        report: list = []

        def solve(g):
            x, r = find_plain(g, low, high, (), *rest, full_output=True, **options)
            report.append(r)
            return x

        x = _scalar(f, args, low, solve)
        return (x, report[-1] if report else None) if full_output else x

    find.__name__ = name
    find.__doc__ = f"scipy.optimize.{name}, with the derivative of the root"
    _solver(name)(find)


for _name in ("brentq", "brenth", "ridder", "bisect", "toms748"):
    _bracketing(_name)


@_solver()
def newton(func, x0, fprime=None, args=(), *rest, **options):
    """scipy.optimize.newton of one number, with the derivative of the root"""
    args, start = as_arguments(args), _plain(x0, "the starting point")
    if not _is_moved(func, start, args):
        return _original("newton")(func, start, fprime, args, *rest, **options)
    if np.ndim(start) or options.get("full_output"):  # it is Python, and can be followed
        return _original("newton")(func, x0, fprime, args, *rest, **options)
    options = {k: v for k, v in options.items() if k != "fprime2"}
    return _scalar(func, args, start, lambda g: _original("newton")(g, start, **options))


@_solver()
def root_scalar(f, args=(), method=None, bracket=None, fprime=None, fprime2=None, x0=None,
                x1=None, **options):  # fmt: skip
    """scipy.optimize.root_scalar, with the derivative of the root"""
    args = as_arguments(args)
    bracket, x0, x1 = (_plain(v, "the starting point") for v in (bracket, x0, x1))
    start = x0 if x0 is not None else bracket[0]
    if not _is_moved(f, start, args):
        return _original("root_scalar")(f, args, method, bracket, fprime, fprime2, x0, x1,
                                        **options)  # fmt: skip
    derived = method in ("newton", "halley")
    report: list = []

    def solve(g):
        kept = {} if not derived else {"fprime": _by_differences(g)}
        way = "newton" if derived else method
        report.append(_original("root_scalar")(g, (), way, bracket, x0=x0, x1=x1, **kept,
                                               **options))  # fmt: skip
        return report[-1].root

    x = _scalar(f, args, start, solve)
    return _reported(report, root=x)


def _by_differences(g: Callable) -> Callable:
    return lambda x: (g(x + 1e-6) - g(x - 1e-6)) / 2e-6


def _reported(report: list, **found) -> Any:
    """SciPy's report, with the solution as a traced value in it."""
    kind = import_module("scipy.optimize").OptimizeResult
    made = kind(dict(report[-1]) if report else {"success": True})
    made.update(found)
    return made


@_solver()
def fsolve(func, x0, args=(), fprime=None, full_output=0, *rest, **options):
    """scipy.optimize.fsolve, with the derivative of the root"""
    args, start = as_arguments(args), _plain(x0, "the starting point")
    if not _is_moved(func, start, args):
        return _original("fsolve")(func, start, args, fprime, full_output, *rest, **options)
    if full_output:
        raise errors.NotSupported(
            "scipy.optimize.fsolve(full_output=True) is not supported on traced values, at "
            f"{line_text(user_line())}: use scipy.optimize.root."
        )
    start = np.atleast_1d(np.asarray(start, np.float64))
    return root(
        lambda x: _vector(func(x, *args), start.size), start,
        solver=lambda g, x0: _original("fsolve")(lambda x: g(x), x0, (), None, 0, *rest, **options),
    )  # fmt: skip


def _vector(values, size: int):
    """What a function of several unknowns returns (a list, perhaps) as one array."""
    return np.reshape(np.stack(values) if isinstance(values, list | tuple) else values, (size,))


@_solver("root")
def _root(fun, x0, args=(), method="hybr", jac=None, *rest, **options):
    """scipy.optimize.root, with the derivative of the root"""
    args, start = as_arguments(args), _plain(x0, "the starting point")
    if not _is_moved(fun, start, args):
        return _original("root")(fun, start, args, method, jac, *rest, **options)
    start = np.atleast_1d(np.asarray(start, np.float64))
    f = (lambda x: fun(x, *args)[0]) if jac is True else (lambda x: fun(x, *args))
    report: list = []

    def solve(g, x0):
        report.append(_original("root")(lambda x: g(x), x0, (), method, *rest, **options))
        return report[-1].x

    x = root(lambda x: _vector(f(x), start.size), start, solver=solve)
    return _reported(report, x=x)
