"""NumPy's names in high precision: `numpy` itself on arrays of `Number`, and what it lacks there.

Nearly all of NumPy works on arrays of objects: arithmetic, ufuncs that have a method of their name,
reductions, sorting, indexing. This namespace adds the rest from definitions. It is what a case's
function is given for the truth, so it knows no derivative: truth.py takes differences.
"""

from __future__ import annotations

import numpy
from mpmath import matrix as mp_matrix
from mpmath import mp

from chainrule.lab.right_derivatives.number import Number, number, of


def array(value):
    """`value` as a Number, or as an array of them; integers and booleans stay."""
    found = numpy.asarray(value)
    if found.dtype.kind != "f":
        return value
    out = numpy.empty(found.shape, dtype=object)
    for index in numpy.ndindex(found.shape):
        out[index] = number(float(found[index]))
    return out if found.ndim else out[()]


def _entrywise(function, dtype=None):
    """A function of numbers as one of arrays."""
    wide = numpy.frompyfunc(function, function.__code__.co_argcount, 1)

    def apply(*values):
        found = wide(*values)
        return found if dtype is None else numpy.asarray(found, dtype=dtype)[()]

    return apply


def _along(function):
    """A function of a vector of Numbers as one of arrays, with `axis` and `keepdims`."""

    def apply(x, *more, axis=None, keepdims=False, **rest):
        x = numpy.asarray(x, dtype=object)
        axes = tuple(range(x.ndim)) if axis is None else axis
        axes = tuple(a % x.ndim for a in (axes if isinstance(axes, tuple) else (axes,)))
        others = tuple(a for a in range(x.ndim) if a not in axes)
        moved = x.transpose(others + axes).reshape([x.shape[a] for a in others] + [-1])
        out = numpy.empty(moved.shape[:-1], dtype=object)
        for index in numpy.ndindex(out.shape):
            out[index] = function(moved[index], *more, **rest)
        if keepdims:
            return out.reshape([1 if a in axes else x.shape[a] for a in range(x.ndim)])
        return out if out.ndim else out[()]

    return apply


def _variance(x, ddof=0):
    centred = x - numpy.sum(x) / len(x)
    return numpy.sum(centred * centred) / (len(x) - ddof)


def _quantile(x, q):
    ordered, place = sorted(x), number(q) * (len(x) - 1)
    low = int(numpy.floor(float(place)))
    high = min(low + 1, len(x) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _norm(x, ord=None):
    if ord in (None, 2):
        return numpy.sum(x * x).sqrt()
    if ord == 1:
        return numpy.sum(abs(x))
    return numpy.max(abs(x)) if ord == numpy.inf else numpy.min(abs(x))


def _sinc(x):
    t = number(1.0) * x * Number(mp.pi)
    return number(1.0) if t == 0 else t.sin() / t


def _logaddexp(x, y):
    x, y = of(x), of(y)
    return Number(max(x, y) if mp.isinf(x) or mp.isinf(y) else mp.log(mp.exp(x) + mp.exp(y)))


def _median(x):
    return _quantile(x, 0.5)


def _cov(x):
    x = numpy.asarray(x, dtype=object)
    centred = x - numpy.sum(x, axis=1, keepdims=True) / x.shape[1]
    return centred @ centred.T / (x.shape[1] - 1)


def _determinant(rows: list[list]):
    """By elimination with the largest pivots; mpmath's fails where a column is exactly 0."""
    found = mp.mpf(1)
    while rows:
        pivot = max(range(len(rows)), key=lambda i: abs(rows[i][0]))
        first = rows.pop(pivot)
        if not first[0]:
            return mp.mpf(0)
        found *= -first[0] if pivot % 2 else first[0]
        rows = [
            [x - row[0] / first[0] * y for x, y in zip(row[1:], first[1:], strict=True)]
            for row in rows
        ]
    return found


class _Linalg:
    """`numpy.linalg`, by mpmath's matrices."""

    norm = staticmethod(_along(_norm))

    @staticmethod
    def det(a):
        return Number(_determinant([[of(x) for x in row] for row in a]))

    @staticmethod
    def eigvalsh(a):
        found = mp.eigsy(_matrix(a), eigvals_only=True)
        return numpy.array([Number(v) for v in found], dtype=object)

    @staticmethod
    def slogdet(a):
        found = _determinant([[of(x) for x in row] for row in a])
        return Number(mp.sign(found)), Number(mp.log(abs(found)))

    @staticmethod
    def inv(a):
        return _unmatrix(mp.inverse(_matrix(a)), numpy.shape(a))

    @staticmethod
    def solve(a, b):
        return _Linalg.inv(a) @ b


def _matrix(a):
    return mp_matrix([[of(x) for x in row] for row in numpy.asarray(a, dtype=object)])


def _unmatrix(m, shape):
    out = numpy.empty(shape, dtype=object)
    for i, j in numpy.ndindex(shape):
        out[i, j] = Number(m[i, j])
    return out


class _Exact:
    """`numpy`, and these names in their place."""

    linalg = _Linalg
    isnan = staticmethod(_entrywise(lambda x: mp.isnan(of(x)), bool))
    isinf = staticmethod(_entrywise(lambda x: mp.isinf(of(x)), bool))
    isfinite = staticmethod(_entrywise(lambda x: bool(mp.isfinite(of(x))), bool))
    logaddexp = staticmethod(_entrywise(_logaddexp))
    sinc = staticmethod(_entrywise(_sinc))
    heaviside = staticmethod(_entrywise(lambda x, y: y if x == 0 else number(float(x > 0))))
    fmax = staticmethod(_entrywise(lambda x, y: y if mp.isnan(of(x)) or x < y else x))
    fmin = staticmethod(_entrywise(lambda x, y: y if mp.isnan(of(x)) or x > y else x))
    nansum = staticmethod(lambda x: numpy.sum([v for v in numpy.ravel(x) if not mp.isnan(of(v))]))
    sign = staticmethod(_entrywise(lambda x: number(float((x > 0) - (x < 0)))))
    var = staticmethod(_along(_variance))
    std = staticmethod(_along(lambda x, ddof=0: _variance(x, ddof).sqrt()))
    median = staticmethod(_along(_median))
    quantile = staticmethod(_along(_quantile))
    percentile = staticmethod(_along(lambda x, q: _quantile(x, q / 100.0)))
    ptp = staticmethod(_along(lambda x: max(x) - min(x)))
    cov = staticmethod(_cov)
    # written by a user, a number of full precision
    pi = Number(mp.mpf(numpy.pi))
    e = Number(mp.mpf(numpy.e))

    def __getattr__(self, name):
        found = getattr(numpy, name)
        return _lifted(found) if callable(found) and not isinstance(found, type) else found


def _lifted(function):
    """A function of NumPy whose results of mixed objects are all Numbers.

    `np.maximum(x, 0.5)` puts the float 0.5 into an array of objects, and `/ 3` would then round.
    """

    def apply(*arguments, **rest):
        found = function(*arguments, **rest)
        if not isinstance(found, numpy.ndarray) or found.dtype != object:
            wide = any(isinstance(a, Number) for a in arguments)
            return number(found) if wide and isinstance(found, float) else found
        return _all_numbers(found)

    for method in ("reduce", "accumulate", "outer"):  # of ufuncs
        if hasattr(function, method):
            setattr(apply, method, getattr(function, method))
    return apply


_all_numbers = numpy.frompyfunc(lambda x: number(x) if isinstance(x, float) else x, 1, 1)


class _Special:
    """`scipy.special`, the few names that cases use."""

    xlogy = staticmethod(_entrywise(lambda x, y: number(0.0) if x == 0 else x * y.log()))
    xlog1py = staticmethod(_entrywise(lambda x, y: number(0.0) if x == 0 else x * y.log1p()))
    expit = staticmethod(_entrywise(lambda x: 1 / (1 + (-x).exp())))
    erf = staticmethod(_entrywise(lambda x: Number(mp.erf(of(x)))))
    erfc = staticmethod(_entrywise(lambda x: Number(mp.erfc(of(x)))))
    gammaln = staticmethod(_entrywise(lambda x: Number(mp.loggamma(of(x)))))
    ndtr = staticmethod(_entrywise(lambda x: Number(mp.ncdf(of(x)))))
    entr = staticmethod(_entrywise(lambda x: number(0.0) if x == 0 else -x * x.log()))
    logsumexp = staticmethod(_along(lambda x: numpy.sum(numpy.exp(x)).log()))
    softmax = staticmethod(
        lambda x, axis=None: numpy.exp(x) / numpy.sum(numpy.exp(x), axis=axis, keepdims=True)
    )


class _Control:
    """Control flow, decided and done at once."""

    @staticmethod
    def cond(condition, yes, no, *operands):
        return yes(*operands) if condition else no(*operands)

    @staticmethod
    def while_loop(test, body, state):
        while test(state):
            state = body(state)
        return state

    @staticmethod
    def fori_loop(low, high, body, state):
        for i in range(low, high):
            state = body(i, state)
        return state

    @staticmethod
    def scan(body, carry, xs):
        found = []
        for x in xs:
            carry, out = body(carry, x)
            found.append(out)
        return carry, numpy.array(found, dtype=object)


NAMESPACES = {"np": _Exact(), "special": _Special(), "control": _Control()}
