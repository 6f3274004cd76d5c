"""The distributions of scipy.stats on traced values: norm.logpdf(x, mean, deviation) and its kin.

SciPy's public methods sort the points by masks into plain arrays, which a trace cannot fill. The
formulas behind them (`_logpdf`, `_cdf`, ... of each distribution) are NumPy and scipy.special, and
run on traced values as they are. So while a trace is open, the public methods are replaced where an
argument is traced, by what SciPy's do, said in whole arrays:

    logpdf(x, *shapes, loc, scale) = _logpdf((x - loc) / scale, *shapes) - log(scale)

inside the support, -inf (pdf: 0, cdf: 0 or 1) outside of it, nan where a parameter is not allowed.
A distribution whose formula is compiled or goes by masks is refused there.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from chainrule.numpy.promotion import contains_traced

_HOME = "scipy.stats._distn_infrastructure"
_BY_NAME = (
    _HOME, "scipy.stats._continuous_distns", "scipy.stats._discrete_distns", "scipy.stats._kde",
)  # fmt: skip


def replacements() -> list[tuple[Any, str, Callable, Callable]]:
    """Classes, names of methods, these, and those to put in their place; none where scipy.stats is
    not loaded."""
    module = sys.modules.get(_HOME)
    if module is None or not hasattr(module, "rv_discrete"):
        return []
    found = []
    for kind, meanings in (("rv_continuous", _CONTINUOUS), ("rv_discrete", _DISCRETE)):
        cls = getattr(module, kind)
        for name, meaning in meanings.items():
            original = vars(cls).get(name)
            if original is not None:
                found.append((cls, name, original, _dispatching(original, meaning)))
    return found


def names(converting: Callable[[str], Callable | None]) -> list[tuple]:
    """Names in the modules of distributions to exchange: module, name, original, replacement.

    They, and that of kernel densities, imported np.asarray and its kin by name; `apply_where` and
    `_lazyselect` evaluate each of several formulas on the points of a mask: here all are, at all
    points.
    """
    found: list[tuple] = []
    if _HOME not in sys.modules:
        return found
    for home in _BY_NAME:
        module = sys.modules.get(home)
        for name, value in list(vars(module).items()) if module is not None else ():
            replacement = converting(name)
            if replacement is not None and value is getattr(np, name):
                found.append((module, name, value, replacement))
    module = sys.modules["scipy.stats._continuous_distns"]
    if hasattr(module, "_lazyselect"):
        found.append((module, "_lazyselect", module._lazyselect, _chosen(module._lazyselect)))
    extra: Any = getattr(sys.modules[_HOME], "xpx", None) or getattr(
        sys.modules.get("scipy.stats._continuous_distns"), "xpx", None
    )
    if extra is not None and hasattr(extra, "apply_where"):
        found.append((extra, "apply_where", extra.apply_where, _applied(extra.apply_where)))
    return found


@functools.lru_cache(maxsize=4)
def _applied(original: Callable) -> Callable:
    @functools.wraps(original)
    def apply_where(cond, args, f1, f2=None, /, *, fill_value=None, **options):
        parts = list(args) if isinstance(args, list | tuple) else [args]
        if not contains_traced([cond, *parts]):
            return original(cond, args, f1, f2, fill_value=fill_value, **options)
        with np.errstate(all="ignore"):
            return np.where(cond, f1(*parts), fill_value if f2 is None else f2(*parts))

    return apply_where


@functools.lru_cache(maxsize=4)
def _chosen(original: Callable) -> Callable:
    @functools.wraps(original)
    def lazyselect(condlist, choicelist, arrays, default=0):
        if not contains_traced([*condlist, *arrays]):
            return original(condlist, choicelist, arrays, default)
        out: Any = default
        with np.errstate(all="ignore"):
            for cond, choice in zip(condlist, choicelist, strict=True):  # the last that holds
                out = np.where(cond, choice(*arrays), out)
        return out

    return lazyselect


@functools.lru_cache(maxsize=64)
def _dispatching(original: Callable, meaning: Callable) -> Callable:
    @functools.wraps(original)
    def method(self, x, *args, **kwds):
        if contains_traced([x, *args, *kwds.values()]):
            return meaning(self, x, *args, **kwds)
        return original(self, x, *args, **kwds)

    return method


def _arguments(dist, x, args, kwds):
    """The standardized point, the shapes, whether all is allowed, location and scale."""
    shapes, loc, scale = dist._parse_args(*args, **kwds)
    shapes = tuple(np.asarray(s) * 1.0 for s in shapes)
    allowed = _truth(dist._argcheck(*shapes)) & (np.asarray(scale) > 0)
    point = (np.asarray(x) - loc) / scale
    return point, shapes, allowed & ~np.isnan(point), loc, scale


def _density(formula: str, outside: float, scaled: Callable):
    """A density: `formula` names SciPy's, `scaled` makes of its value that at the scale."""

    def density(dist, x, *args, **kwds):
        point, shapes, allowed, _, scale = _arguments(dist, x, args, kwds)
        low, high = dist._get_support(*shapes)
        inside = (low <= point) & (point <= high) & allowed
        with np.errstate(all="ignore"):
            value = scaled(_value(dist, formula, point, shapes), scale)
        return _settled(inside, value, outside, allowed)

    return density


def _value(dist, formula: str, point, shapes: tuple) -> Any:
    """A formula's value at points; some go through the entries of arrays, as SciPy calls them: with
    all arguments in rows of one length."""
    run = _formula(dist, formula)
    whole = np.broadcast_shapes(np.shape(point), *map(np.shape, shapes))
    if type(dist).__name__ not in _BY_ROWS:
        value = run(point, *shapes)
        if np.shape(value) in (whole, ()):
            return value
    rows = [np.reshape(np.broadcast_to(x, whole), -1) for x in (point, *shapes)]
    return np.reshape(run(*rows), whole)


def _truth(value) -> Any:
    """Whether shapes are allowed; 1 where there are none."""
    return np.asarray(value).astype(bool)


def _formula(dist, name: str) -> Callable:
    """A formula of SciPy's, or what stands for one that is compiled code."""
    own = _OWN.get((type(dist).__name__, name))
    return getattr(dist, name) if own is None else own(dist)


def _exponential(dist, name: str) -> Callable:
    return lambda *at: np.exp(_formula(dist, name)(*at))


def _log_normal_between(a, b):
    """The logarithm of a normal variable's chance to be between a and b; in the lower tail."""
    log_ndtr, ndtr = _special("log_ndtr"), _special("ndtr")
    above = a > 0
    low, high = np.where(above, -b, a), np.where(above, -a, b)
    last = log_ndtr(high)
    tail = last + np.log1p(-np.exp(log_ndtr(low) - last))
    return np.where(high <= 0, tail, np.log1p(-ndtr(a) - ndtr(-b)))


def _truncated_quantile(q, a, b):
    """The quantile of a normal variable between a and b, from the tail that it is nearer to."""
    ndtr, ndtri = _special("ndtr"), _special("ndtri")
    lower = ndtri(ndtr(a) + q * (ndtr(b) - ndtr(a)))
    upper = -ndtri(ndtr(-b) + (1 - q) * (ndtr(-a) - ndtr(-b)))
    return np.where(a < 0, lower, upper)


_BY_ROWS = {"norminvgauss_gen"}  # in SciPy, the distributions that call formulas of this kind

# class in SciPy and formula -> of the distribution: the same in functions that are followed
_OWN: dict[tuple[str, str], Callable] = {
    ("beta_gen", "_pdf"): lambda dist: lambda x, a, b: np.exp(dist._logpdf(x, a, b)),
    ("beta_gen", "_ppf"): lambda _: lambda q, a, b: _special("betaincinv")(a, b, q),
    ("cauchy_gen", "_ppf"): lambda _: lambda q: np.tan(np.pi * (q - 0.5)),
    ("cauchy_gen", "_isf"): lambda _: lambda q: np.tan(np.pi * (0.5 - q)),
    ("truncnorm_gen", "_logpdf"): lambda _: lambda x, a, b: (
        -x * x / 2 - np.log(2 * np.pi) / 2 - _log_normal_between(a, b)),
    ("truncnorm_gen", "_logcdf"): lambda _: lambda x, a, b: (
        _log_normal_between(a, x) - _log_normal_between(a, b)),
    ("truncnorm_gen", "_logsf"): lambda _: lambda x, a, b: (
        _log_normal_between(x, b) - _log_normal_between(a, b)),
    ("truncnorm_gen", "_pdf"): lambda dist: _exponential(dist, "_logpdf"),
    ("truncnorm_gen", "_cdf"): lambda dist: _exponential(dist, "_logcdf"),
    ("truncnorm_gen", "_sf"): lambda dist: _exponential(dist, "_logsf"),
    ("truncnorm_gen", "_ppf"): lambda _: _truncated_quantile,
    ("truncnorm_gen", "_isf"): lambda _: lambda q, a, b: -_truncated_quantile(q, -b, -a),
}


def _special(name: str) -> Callable:
    return getattr(import_module("scipy.special"), name)


def _settled(inside, value, outside, allowed):
    return np.where(inside, value, np.where(allowed, outside, np.nan))


def _cumulative(formula: str, below: float, above: float):
    """A distribution function, which has a value of its own on either side of the support."""

    def cumulative(dist, x, *args, **kwds):
        point, shapes, allowed, _, _ = _arguments(dist, x, args, kwds)
        low, high = dist._get_support(*shapes)
        with np.errstate(all="ignore"):
            value = _value(dist, formula, point, shapes)
        inside = (low < point) & (point < high) & allowed
        return _settled(inside, value, np.where(point >= high, above, below), allowed)

    return cumulative


def _quantile(formula: str, upward: bool):
    def quantile(dist, q, *args, **kwds):
        _, shapes, _, loc, scale = _arguments(dist, 0.0, args, kwds)
        allowed = _truth(dist._argcheck(*shapes)) & (np.asarray(scale) > 0)
        low, high = dist._get_support(*shapes)
        q = np.asarray(q)
        first, last = (low, high) if upward else (high, low)
        with np.errstate(all="ignore"):
            value = _value(dist, formula, q, shapes) * scale + loc
            ends = np.where(q == 0, first * scale + loc, last * scale + loc)
        valid = (q >= 0) & (q <= 1) & allowed
        return np.where((q > 0) & (q < 1) & allowed, value, np.where(valid, ends, np.nan))

    return quantile


def _mass(formula: str, outside: float):
    """A mass function: nothing lies between the whole numbers."""

    def mass(dist, k, *args, **kwds):
        point, shapes, allowed = _discrete_arguments(dist, k, args, kwds)
        low, high = dist._get_support(*shapes)
        inside = (low <= point) & (point <= high) & allowed & (np.floor(point) == point)
        with np.errstate(all="ignore"):
            value = _value(dist, formula, point, shapes)
        return _settled(inside, value, outside, allowed)

    return mass


def _discrete_arguments(dist, k, args, kwds):
    shapes, loc, _ = dist._parse_args(*args, **kwds)
    shapes = tuple(np.asarray(s) for s in shapes)
    point = np.asarray(k) - loc
    return point, shapes, _truth(dist._argcheck(*shapes)) & ~np.isnan(point * 1.0)


def _steps(formula: str, below: float, above: float):
    def steps(dist, k, *args, **kwds):
        point, shapes, allowed = _discrete_arguments(dist, k, args, kwds)
        low, high = dist._get_support(*shapes)
        with np.errstate(all="ignore"):
            value = _value(dist, formula, np.floor(point), shapes)
        inside = (low <= point) & (point < high) & allowed
        return _settled(inside, value, np.where(point >= high, above, below), allowed)

    return steps


_CONTINUOUS: dict[str, Callable] = {
    "pdf": _density("_pdf", 0.0, lambda value, scale: value / scale),
    "logpdf": _density("_logpdf", -np.inf, lambda value, scale: value - np.log(scale)),
    "cdf": _cumulative("_cdf", 0.0, 1.0),
    "logcdf": _cumulative("_logcdf", -np.inf, 0.0),
    "sf": _cumulative("_sf", 1.0, 0.0),
    "logsf": _cumulative("_logsf", 0.0, -np.inf),
    "ppf": _quantile("_ppf", True),
    "isf": _quantile("_isf", False),
}
_DISCRETE: dict[str, Callable] = {
    "pmf": _mass("_pmf", 0.0),
    "logpmf": _mass("_logpmf", -np.inf),
    "cdf": _steps("_cdf", 0.0, 1.0),
    "logcdf": _steps("_logcdf", -np.inf, 0.0),
    "sf": _steps("_sf", 1.0, 0.0),
    "logsf": _steps("_logsf", 0.0, -np.inf),
}
