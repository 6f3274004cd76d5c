"""scipy.spatial.distance's cdist, pdist and squareform, under SciPy's names while a trace is open.

Distances come from the differences of all pairs of points: memory of pairs times dimensions. At
distance 0 the slope is 0, the subgradient of least norm. Replaced in SciPy's modules (see
undispatched.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule import errors
from chainrule.numpy.creation import filled
from chainrule.numpy.promotion import cast_to
from chainrule.numpy.shaping import array
from chainrule.numpy.undispatched import replaces
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

_distance = replaces("scipy.spatial.distance")


def _points(x) -> Traced:
    x = array(x)
    if x.ndim != 2:
        raise ValueError(f"points must be a 2-dimensional array, at {line_text(user_line())}")
    return cast_to(x, np.dtype(np.float64))


# --- metrics: of pairs of points, whose coordinates are the last axis -----------------------------


def _weighted(terms, w):
    return np.sum(terms if w is None else terms * w, axis=-1)


def _minkowski(u, v, p=2, w=None):
    if p == 2:
        return _norm(u - v, w)
    if np.isinf(p):
        return np.max(np.abs(u - v), axis=-1)
    return _weighted(np.abs(u - v) ** p, w) ** (1.0 / p)


def _norm(x, w=None):
    return np.linalg.norm(x if w is None else x * np.sqrt(w), axis=-1)


def _cosine(u, v, w=None):
    sizes = np.sqrt(_weighted(u * u, w) * _weighted(v * v, w))
    return 1.0 - _weighted(u * v, w) / sizes


def _correlation(u, v):
    u, v = (x - np.mean(x, axis=-1, keepdims=True) for x in (u, v))
    return _cosine(u, v)


def _canberra(u, v, w=None):
    sizes = np.abs(u) + np.abs(v)
    safe = np.where(sizes == 0, 1.0, sizes)
    return _weighted(np.where(sizes == 0, 0.0, np.abs(u - v) / safe), w)


def _mahalanobis(u, v, VI=None):
    _need(VI is not None, "mahalanobis", "VI")
    d = u - v
    return np.sqrt(np.sum((d @ VI) * d, axis=-1))


def _standardized(u, v, V=None):
    _need(V is not None, "seuclidean", "V")
    return _norm((u - v) / np.sqrt(V))


def _need(given: bool, metric: str, option: str) -> None:
    if not given:
        raise errors.NotSupported(
            f"the metric {metric!r} of traced points needs {option}=..., "
            f"at {line_text(user_line())}: give it."
        )


_METRICS: dict[str, Callable] = {
    "euclidean": lambda u, v, w=None: _norm(u - v, w),
    "sqeuclidean": lambda u, v, w=None: _weighted((u - v) ** 2, w),
    "cityblock": lambda u, v, w=None: _weighted(np.abs(u - v), w),
    "chebyshev": lambda u, v: np.max(np.abs(u - v), axis=-1),
    "minkowski": _minkowski,
    "cosine": _cosine,
    "correlation": _correlation,
    "canberra": _canberra,
    "braycurtis": lambda u, v, w=None: _weighted(np.abs(u - v), w) / _weighted(np.abs(u + v), w),
    "seuclidean": _standardized,
    "mahalanobis": _mahalanobis,
}
_ALIASES = {"l2": "euclidean", "l1": "cityblock", "manhattan": "cityblock", "cheby": "chebyshev"}


def _between(u: Traced, v: Traced, metric, options):
    """The distances of pairs of points, whose leading axes are matched."""
    if callable(metric):
        pairs = zip(u, v, strict=True)
        return np.stack([array(metric(a, b, **options)) for a, b in pairs])
    name = _ALIASES.get(metric, metric)
    if name not in _METRICS:
        raise errors.NotSupported(
            f"the metric {metric!r} is not supported on traced values, at "
            f"{line_text(user_line())}: use one of {', '.join(_METRICS)}, or a function."
        )
    return _METRICS[name](u, v, **options)


# --- the functions ------------------------------------------------------------------------------


def _refuse_out(out) -> None:
    if out is not None:
        raise errors.MutationError(
            f"distances cannot be written to out=, at {line_text(user_line())}: use the result."
        )


@_distance
def cdist(XA, XB, metric="euclidean", *, out=None, **kwargs):
    """scipy.spatial.distance.cdist: the distance of every point of XA to every point of XB."""
    _refuse_out(out)
    u, v = _points(XA), _points(XB)
    if u.shape[1] != v.shape[1]:
        raise ValueError("XA and XB must have the same number of columns (i.e. feature dimension.)")
    m, n = u.shape[0], v.shape[0]
    i, j = np.divmod(np.arange(m * n), max(n, 1))
    return _between(u[i], v[j], metric, kwargs).reshape(m, n)


@_distance
def pdist(X, metric="euclidean", *, out=None, **kwargs):
    """scipy.spatial.distance.pdist: the distances of all pairs of points, as a vector."""
    _refuse_out(out)
    x = _points(X)
    i, j = np.triu_indices(x.shape[0], 1)
    return _between(x[i], x[j], metric, kwargs)


@_distance
def squareform(X, force="no", checks=True):
    """scipy.spatial.distance.squareform: a vector of distances as a matrix, and back."""
    x = array(X)
    if x.ndim == 2 and force != "tomatrix":
        return x[np.triu_indices(x.shape[0], 1)]
    if x.ndim != 1 or force == "tovector":
        raise ValueError("The first argument must be one or two dimensional array.")
    n = int(np.ceil(np.sqrt(2 * x.shape[0])))
    if n * (n - 1) != 2 * x.shape[0]:
        raise ValueError("Incompatible vector size. It must be a binomial coefficient n choose 2.")
    n = max(n, 1)
    out = filled((n, n), 0, x.dtype)
    i, j = np.triu_indices(n, 1)
    out[i, j] = x
    out[j, i] = x
    return out
