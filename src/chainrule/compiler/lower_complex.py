"""Complex arithmetic written out in real arithmetic: a complex value as a pair of real ones.

A result is `join(re, im)`; an operation that meets it reads its parts back, and the simplifier
drops the pair between them, so that chains of operations are fused as real ones are.

Value     NumPy's formulas: plain products; Smith's quotient; comparisons by the real part, then by
          the imaginary part; products of arrays as four real ones. Transcendental functions are
          NumPy's own loops (llvm/ufunc_loops.py), and have its special values and branch cuts.
Source    R. L. Smith, "Algorithm 116: complex division", CACM 5 (1962); NumPy's loops.c.src.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from chainrule.compiler.lower_complex_matrices import MATRICES
from chainrule.compiler.lower_windows import (
    written_out_convolution,
    written_out_sum,
    written_out_weights,
)
from chainrule.ops.compare import (
    equal,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    not_equal,
)
from chainrule.ops.contract import contract
from chainrule.ops.convolve import convolve
from chainrule.ops.elementwise import (
    absolute,
    exp,
    imag,
    join,
    negative,
    real,
    rint,
)
from chainrule.ops.fft import fft
from chainrule.ops.index import index, index_add, index_set
from chainrule.ops.join import concatenate, pad
from chainrule.ops.reduce import segment_sum, shifted
from chainrule.ops.select import cast, constant_like, select
from chainrule.ops.shape import kept_axes, reshape, sum_, transpose
from chainrule.ops.sort import along, argsort
from chainrule.program.trace import Traced


def _parts(z):
    return real(z), imag(z)


# --- arithmetic -----------------------------------------------------------------------------------


def _by_parts(op: Callable) -> Callable:
    """An operation that does the same to both parts."""

    def rule(*values, **params):
        return join(op(*map(real, values), **params), op(*map(imag, values), **params))

    return rule


def _multiply(x, y):
    (a, b), (c, d) = _parts(x), _parts(y)
    return join(a * c - b * d, a * d + b * c)


def _square(x):
    a, b = _parts(x)
    return join(a * a - b * b, a * b + b * a)


def _is_zero(x):
    return equal(real(x), 0.0) & equal(imag(x), 0.0)


def _scale(p, t):
    """The product, and exactly 0 where either is exactly 0."""
    (a, b), (c, d) = _parts(p), _parts(t)
    re, im = a * c - b * d, a * d + b * c
    lost = (isnan(re) | isnan(im)) & (_is_zero(p) | _is_zero(t))
    zero = constant_like(re, 0.0)
    return join(select(lost, zero, re), select(lost, zero, im))


def _divide(x, y):
    (a, b), (c, d) = _parts(x), _parts(y)
    flat = greater_equal(absolute(c), absolute(d))
    large, small = select(flat, c, d), select(flat, d, c)
    ratio = small / large
    factor = 1.0 / (large + small * ratio)
    first, second = select(flat, a, b), select(flat, b, a)
    re = (first + second * ratio) * factor
    rest = second - first * ratio
    im = select(flat, rest, first * ratio - second) * factor
    by_zero, size = equal(c, 0.0) & equal(d, 0.0), absolute(c)
    return join(select(by_zero, a / size, re), select(by_zero, b / size, im))


def _reciprocal(y):
    c, d = _parts(y)
    flat = less_equal(absolute(d), absolute(c))
    large, small = select(flat, c, d), select(flat, d, c)
    ratio = small / large
    size = large + small * ratio
    one, share = 1.0 / size, ratio / size
    return join(select(flat, one, share), select(flat, -share, -one))


def _power(x, y):
    """Small whole exponents by products, as NumPy has them."""
    if isinstance(y, Traced) or y.imag or y.real not in (1, 2, 3):
        return NotImplemented
    if y.real == 1:
        return x
    return _square(x) if y.real == 2 else _multiply(x, _square(x))


def _exp_square(x, *, halves):
    a, b = _parts(x)
    factor = constant_like(a, 0.5 * halves)
    return exp(join(factor * ((a - b) * (a + b)), factor * (2.0 * a * b)))


# --- comparisons, logic, choice -------------------------------------------------------------------


def _ordered(strict: Callable, within: Callable) -> Callable:
    """NumPy's order: by the real parts where no imaginary part is nan, then by the others."""

    def rule(x, y):
        (a, b), (c, d) = _parts(x), _parts(y)
        first = strict(a, c) & ~isnan(b) & ~isnan(d)
        return first | (equal(a, c) & within(b, d))

    return rule


def _truth(x):
    return not_equal(real(x), 0.0) | not_equal(imag(x), 0.0)


def _logical(combine: Callable) -> Callable:
    return lambda *values: combine(*map(_truth, values))


def _select(condition, x, y):
    return join(select(condition, real(x), real(y)), select(condition, imag(x), imag(y)))


def _cast(x, *, dtype):
    if dtype.kind == "c":
        part = np.dtype(dtype.char.lower())
        if x.dtype.kind != "c":
            return join(cast(x, dtype=part), part.type(0))
        return join(cast(real(x), dtype=part), cast(imag(x), dtype=part))
    return _truth(x) if dtype.kind == "b" else cast(real(x), dtype=dtype)


# --- products and reductions ----------------------------------------------------------------------


def _bilinear(op: Callable) -> Callable:
    """An operation that is linear in each operand: four real ones."""

    def rule(x, y, **params):
        product = partial(op, **params)
        (a, b), (c, d) = _parts(x), _parts(y)
        return join(product(a, c) - product(b, d), product(a, d) + product(b, c))

    return rule


def _convolution_again(x, w, before, known, **params):
    return _bilinear(written_out_convolution)(x, w, **params)


def _prod(x, *, axes):
    """The product by halves: the second half of the entries into the first, until one is left."""
    kept = kept_axes(x.ndim, axes)
    shape = tuple(x.shape[a] for a in kept)
    count = math.prod(x.shape[a] for a in axes)
    if not count:
        return NotImplemented
    flat = reshape(transpose(x, axes=(*kept, *axes)), shape=(*shape, count))
    a, b = _parts(flat)
    while count > 1:
        half, odd = count // 2, count % 2
        (a0, a1, a2), (b0, b1, b2) = _thirds(a, half, odd), _thirds(b, half, odd)
        re, im = a0 * a1 - b0 * b1, a0 * b1 + b0 * a1
        last = a.ndim - 1
        a = concatenate(re, a2, axis=last) if odd else re
        b = concatenate(im, b2, axis=last) if odd else im
        count = half + odd
    return join(reshape(a, shape=shape), reshape(b, shape=shape))


def _thirds(x, half: int, odd: int):
    """The first half of the last axis, the second, and what is left."""
    cuts = ((0, half), (half, 2 * half), (2 * half, 2 * half + odd))
    return [x[..., start:stop] for start, stop in cuts]


def _cumprod(x, *, axis):
    """Running products, of twice as many entries in each round (Hillis and Steele, 1986)."""
    a, b = _parts(x)
    reach = 1
    while reach < x.shape[axis]:
        c, d = shifted(a, axis, reach, 1), shifted(b, axis, reach, 0)
        a, b = a * c - b * d, a * d + b * c
        reach *= 2
    return join(a, b)


def _index_add(x, value, *arrays, at):
    if arrays and arrays[0].ndim:
        part = partial(index_add, at=at)
        return join(part(real(x), real(value), *arrays), part(imag(x), imag(value), *arrays))
    (a, b), (c, d) = _parts(index(x, *arrays, at=at)), _parts(value)
    return index_set(x, join(a + c, b + d), *arrays, at=at)


def _segment_sum(x, starts, *, axis):
    return join(segment_sum(real(x), starts, axis=axis), segment_sum(imag(x), starts, axis=axis))


# --- order ----------------------------------------------------------------------------------------


def _order(x, axis: int):
    """The stable order by real, then imaginary part; nan, in either, last."""
    a, b = _parts(x)
    order = argsort(b, axis=axis, stable=True)
    by_real = argsort(along(a, order, axis), axis=axis, stable=True)
    order = along(order, by_real, axis)
    lost = cast(isnan(b), dtype=np.dtype(np.int8)) + 2 * cast(isnan(a), dtype=np.dtype(np.int8))
    return along(order, argsort(along(lost, order, axis), axis=axis, stable=True), axis)


def _sort(x, *, axis):
    order = _order(x, axis)
    return join(along(real(x), order, axis), along(imag(x), order, axis))


def _argsort(x, *, axis, stable):
    return _order(x, axis) if stable else NotImplemented


# --- the table ------------------------------------------------------------------------------------

_COMPLEX: dict[str, Callable] = {
    "add": _by_parts(lambda x, y: x + y),
    "subtract": _by_parts(lambda x, y: x - y),
    "negative": _by_parts(negative),
    "rint": _by_parts(rint),
    "sum": _by_parts(sum_),
    "concatenate": _by_parts(concatenate),
    "pad": _by_parts(pad),
    "conjugate": lambda z: join(real(z), -imag(z)),
    "multiply": _multiply,
    "square": _square,
    "scale": _scale,
    "divide": _divide,
    "reciprocal": _reciprocal,
    "power": _power,
    "exp_square": _exp_square,
    "equal": lambda x, y: equal(real(x), real(y)) & equal(imag(x), imag(y)),
    "not_equal": lambda x, y: not_equal(real(x), real(y)) | not_equal(imag(x), imag(y)),
    "less": _ordered(less, less),
    "less_equal": _ordered(less, less_equal),
    "greater": _ordered(greater, greater),
    "greater_equal": _ordered(greater, greater_equal),
    "isnan": lambda z: isnan(real(z)) | isnan(imag(z)),
    "isinf": lambda z: isinf(real(z)) | isinf(imag(z)),
    "isfinite": lambda z: isfinite(real(z)) & isfinite(imag(z)),
    "logical_not": _logical(lambda x: ~x),
    "logical_and": _logical(lambda x, y: x & y),
    "logical_or": _logical(lambda x, y: x | y),
    "logical_xor": _logical(lambda x, y: x ^ y),
    "select": _select,
    "cast": _cast,
    "contract": _bilinear(contract),
    "convolve": _bilinear(convolve),
    "convolution": _bilinear(written_out_convolution),
    "convolution_again": _convolution_again,
    "convolution_weights": _bilinear(written_out_weights),
    "window_sum": _by_parts(written_out_sum),
    "prod": _prod,
    "cumprod": _cumprod,
    "index_add": _index_add,
    "segment_sum": _segment_sum,
    "sort": _sort,
    "argsort": _argsort,
    **MATRICES,
}


def _where_complex(rule: Callable) -> Callable:
    """The rule where an operand, or the dtype asked for, is complex."""

    def written_out(*values, **params):
        dtypes = [x.dtype for x in values]
        if "dtype" in params:
            dtypes.append(params["dtype"])
        return rule(*values, **params) if any(d.kind == "c" for d in dtypes) else NotImplemented

    return written_out


def _fft(x, **params):
    if x.dtype.char not in "fd":
        return NotImplemented
    return fft(join(x, constant_like(x, 0.0)), **params)


COMPLEX: dict[str, Callable] = {
    **{name: _where_complex(rule) for name, rule in _COMPLEX.items()},
    "fft": _fft,
}
"""Operations on complex numbers, and the transform of real ones."""
