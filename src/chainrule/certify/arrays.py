"""Operations on arrays of balls: moving entries, reductions, products, sorting.

An array of numbers is an object array of `Ball`s (`ComplexBall`s for complex dtypes). Operations
that only move entries are run by NumPy on labels, whole numbers that stand for the entries.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from chainrule.certify.ball import Ball, exact, ratio, rounded
from chainrule.certify.complex_ball import ComplexBall, of_real
from chainrule.certify.elementary import NAN, REAL, truncated
from chainrule.ops.shape import kept_axes
from chainrule.program.program import Equation
from chainrule.program.types import Type

Rule = Callable[[list[np.ndarray], Equation], Sequence[np.ndarray]]

RULES: dict[str, Rule] = {}


def rule(*names: str):
    """Register a rule: from the operands' arrays and the equation to the outputs' arrays."""

    def register(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return register


def balls(value, dtype: np.dtype) -> np.ndarray:
    """The numbers of a plain array as they are: an object array of balls."""
    array = np.asarray(value)
    out = np.empty(array.shape, object)
    for k, x in np.ndenumerate(array):
        if dtype.kind == "c":
            out[k] = ComplexBall(exact(x.real), exact(x.imag))
        else:
            out[k] = exact(x)
    return out


def filled(shape: tuple[int, ...], entries) -> np.ndarray:
    """An object array of a shape from its entries in C order."""
    out = np.empty(math.prod(shape), object)
    for i, x in enumerate(entries):
        out[i] = x
    return out.reshape(shape)


def nothing(dtype: np.dtype) -> Any:
    """An exact 0 of a dtype."""
    return of_real(ratio(0)) if dtype.kind == "c" else ratio(0)


def unit(dtype: np.dtype) -> Any:
    """An exact 1 of a dtype."""
    return of_real(ratio(1)) if dtype.kind == "c" else ratio(1)


# --- moving entries -------------------------------------------------------------------------------

MOVES = (
    "reshape", "transpose", "broadcast", "flip", "index", "index_set", "concatenate", "pad",
    "select", "stop_gradient", "barrier",
)  # fmt: skip


@rule(*MOVES)
def move(values: list[np.ndarray], equation: Equation) -> Sequence[np.ndarray]:
    """Run the operation on labels: 0 stands for an exact zero, k for the k-th entry."""
    pool: list[Any] = [nothing(equation.outputs[0].type.dtype)]
    labelled = []
    for value in values:
        if value.dtype != object:
            labelled.append(value[()] if not value.ndim else value)
            continue
        labels = np.arange(len(pool), len(pool) + value.size).reshape(value.shape)
        pool += value.ravel().tolist()
        labelled.append(labels[()] if not value.ndim else labels)
    found = np.asarray(equation.op.evaluate(*labelled, **equation.params))
    return [filled(found.shape, [pool[k] for k in found.ravel()])]


@rule("cast")
def cast(values: list[np.ndarray], equation: Equation) -> Sequence[np.ndarray]:
    """Numbers in another dtype: a narrower one rounds, a whole one truncates."""
    (x,), source, target = values, equation.inputs[0].type.dtype, equation.params["dtype"]
    return [cast_array(x, source, target)]


def cast_array(x: np.ndarray, source: np.dtype, target: np.dtype) -> np.ndarray:
    """An array of one dtype in another one."""
    if source.kind not in "fc":
        narrow = np.asarray(x).astype(target)  # rounds where the format has too few digits
        return balls(narrow, target) if target.kind in "fc" else narrow
    entries = [_cast_entry(a, source, target) for a in x.ravel()]
    if target.kind in "fc":
        return filled(x.shape, entries)
    return np.array(entries, target).reshape(x.shape)


def _cast_entry(a: Any, source: np.dtype, target: np.dtype) -> Any:
    if target.kind == "b":
        return not a.is_zero if isinstance(a, ComplexBall) else a.is_nan() or a.sign() != 0
    if target.kind == "c":
        part = np.dtype(target.char.lower())
        re, im = (a.re, a.im) if isinstance(a, ComplexBall) else (a, ratio(0))
        if np.can_cast(source, target):
            return ComplexBall(re, im)
        return ComplexBall(exact(rounded(re, part)), exact(rounded(im, part)))
    real = a.re if isinstance(a, ComplexBall) else a
    if target.kind == "f":
        kept = np.can_cast(np.dtype(source.char.lower()), target)
        return real if kept else exact(rounded(real, target))
    with np.errstate(all="ignore"):
        if real.special:
            return np.float64(real.x).astype(target)
        return np.float64(truncated(real)).astype(target)


@rule("real")
def real_part(values, equation):
    """The real parts."""
    return [filled(values[0].shape, [a.re for a in values[0].ravel()])]


@rule("imag")
def imaginary_part(values, equation):
    """The imaginary parts."""
    return [filled(values[0].shape, [a.im for a in values[0].ravel()])]


@rule("join")
def join(values, equation):
    """re + 1j * im."""
    re, im = np.broadcast_arrays(*values)
    pairs = zip(re.ravel(), im.ravel(), strict=True)
    return [filled(re.shape, [ComplexBall(a, b) for a, b in pairs])]


# --- reductions -----------------------------------------------------------------------------------


def over(axes: Sequence[int], function: Callable[[list], Any], x: np.ndarray) -> np.ndarray:
    """`function(entries)` for the entries along `axes`, in C order, at each place of the others."""
    kept = kept_axes(x.ndim, tuple(axes))
    shape = tuple(x.shape[a] for a in kept)
    rows = x.transpose((*kept, *axes)).reshape((math.prod(shape), -1) if x.size else (0, 0))
    if not x.size:
        return filled(shape, [function([]) for _ in range(math.prod(shape))])
    return filled(shape, [function(list(row)) for row in rows])


def along(axis: int, function: Callable[[list], Sequence], x: np.ndarray) -> np.ndarray:
    """`function(entries)`, as many again, for each row along an axis."""
    if not x.size:
        return x
    rows = np.moveaxis(x, axis, -1)
    made = [function(list(row)) for row in rows.reshape(-1, rows.shape[-1])]
    entries = [a for row in made for a in row]
    return np.moveaxis(filled((*rows.shape[:-1], len(made[0])), entries), -1, axis)


def total(entries: Sequence, dtype: np.dtype) -> Any:
    """The sum."""
    return functools.reduce(lambda a, b: a + b, entries, nothing(dtype))


def product(entries: Sequence, dtype: np.dtype) -> Any:
    """The product."""
    return functools.reduce(lambda a, b: a * b, entries, unit(dtype))


def _dtype(equation: Equation) -> np.dtype:
    return equation.inputs[0].type.dtype


@rule("sum")
def sum_(values, equation):
    """The sum over axes."""
    return [over(equation.params["axes"], lambda row: total(row, _dtype(equation)), values[0])]


@rule("prod")
def prod(values, equation):
    """The product over axes."""
    return [over(equation.params["axes"], lambda row: product(row, _dtype(equation)), values[0])]


def _reduced(name: str):
    def value(values, equation):
        one_of_two = functools.partial(functools.reduce, REAL[name])
        return [over(equation.params["axes"], one_of_two, values[0])]

    return value


RULES["max"], RULES["min"] = _reduced("maximum"), _reduced("minimum")


def _running(combine: Callable):
    return lambda values, equation: [
        along(equation.params["axis"], lambda row: list(accumulate(row, combine)), values[0])
    ]


RULES["cumsum"] = _running(lambda a, b: a + b)
RULES["cumprod"] = _running(lambda a, b: a * b)
RULES["cummax"], RULES["cummin"] = _running(REAL["maximum"]), _running(REAL["minimum"])


def _square(a) -> Ball:
    return a.re * a.re + a.im * a.im if isinstance(a, ComplexBall) else a * a


@rule("norm")
def norm(values, equation):
    """The Euclidean norm over axes."""
    return [over(equation.params["axes"], length, values[0])]


def length(row: Sequence) -> Ball:
    """The Euclidean length of a vector."""
    return REAL["sqrt"](total([_square(a) for a in row], np.dtype("d")))


@rule("logsumexp")
def logsumexp(values, equation):
    """log(sum(exp(x))) over axes."""
    return [over(equation.params["axes"], _logsumexp, values[0])]


def _logsumexp(row: list[Ball]) -> Ball:
    if not row:
        return Ball(float("-inf"))
    top = functools.reduce(REAL["maximum"], row)
    if top.special:
        return top
    return top + REAL["log"](total([REAL["exp"](a - top) for a in row], np.dtype("d")))


def _over_axes(function: Callable[[list], list]):
    """A rule that gives each row over some axes as many new entries."""

    def value(values, equation):
        axes, x = equation.params["axes"], values[0]
        kept = kept_axes(x.ndim, tuple(axes))
        order = (*kept, *axes)
        moved = x.transpose(order)
        if not x.size:
            return [x]
        rows = moved.reshape(-1, math.prod(x.shape[a] for a in axes))
        made = filled(moved.shape, [b for row in rows for b in function(list(row))])
        return [made.transpose(tuple(np.argsort(order)))]

    return value


def _softmax(row: list[Ball]) -> list[Ball]:
    return [NAN if a.is_nan() else REAL["exp"](a) for a in _log_softmax(row)]


def _log_softmax(row: list[Ball]) -> list[Ball]:
    below = _logsumexp(row)
    return [a - below for a in row]


RULES["softmax"], RULES["log_softmax"] = _over_axes(_softmax), _over_axes(_log_softmax)
RULES["softmax_shares"] = RULES["softmax"]


# --- products -------------------------------------------------------------------------------------


@rule("contract")
def contract(values, equation):
    """The sum over `axes` of x times y, matched over `batch`."""
    (x, y), axes, batch = values, equation.params["axes"], equation.params["batch"]
    free_x = kept_axes(x.ndim, axes[0] + batch[0])
    free_y = kept_axes(y.ndim, axes[1] + batch[1])
    stack = tuple(x.shape[a] for a in batch[0])
    rows, columns = tuple(x.shape[a] for a in free_x), tuple(y.shape[a] for a in free_y)
    count = math.prod(x.shape[a] for a in axes[0])
    left = x.transpose(batch[0] + free_x + axes[0])
    left = left.reshape(math.prod(stack), math.prod(rows), count)
    right = y.transpose(batch[1] + free_y + axes[1])
    right = right.reshape(math.prod(stack), math.prod(columns), count)
    dtype = _dtype(equation)
    entries = [
        total([p * q for p, q in zip(a, b, strict=True)], dtype)
        for k in range(len(left)) for a in left[k] for b in right[k]
    ]  # fmt: skip
    return [filled(stack + rows + columns, entries)]


def matrix_of(run: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...]):
    """For a linear map of arrays of a shape whose matrix is made of small whole numbers: for each
    output, in C order, its (input, factor) pairs; and the outputs' shape."""
    size = math.prod(shape)
    out_shape = np.asarray(run(np.zeros(shape))).shape
    pairs: list[list[tuple[int, int]]] = [[] for _ in range(math.prod(out_shape))]
    for i in range(size):
        unit_vector = np.zeros(size)
        unit_vector[i] = 1.0
        image = np.asarray(run(unit_vector.reshape(shape))).ravel()
        for k in np.flatnonzero(image):
            pairs[k].append((i, int(image[k])))
    return pairs, out_shape


@rule("segment_sum", "window_sum", "index_add")
def linear(values, equation):
    """A linear operation whose matrix holds whole numbers: found by running it on unit vectors."""
    moving = [i for i, v in enumerate(values) if v.dtype == object]
    entries: list[Any] = []
    terms: list[list[Any]] = []
    shape: tuple[int, ...] = ()
    for i in moving:
        fixed = [np.zeros(v.shape)[()] if v.dtype == object else v for v in values]

        def run(x, i=i, fixed=fixed):
            given = [*fixed[:i], x[()] if not x.ndim else x, *fixed[i + 1 :]]
            return equation.op.evaluate(*given, **equation.params)

        pairs, shape = matrix_of(run, values[i].shape)
        entries = values[i].ravel().tolist()
        terms = terms or [[] for _ in pairs]
        for found, row in zip(terms, pairs, strict=True):
            found += [entries[k] * _times(n, _dtype(equation)) for k, n in row]
    return [filled(shape, [total(row, _dtype(equation)) for row in terms])]


def _times(n: int, dtype: np.dtype):
    return of_real(ratio(n)) if dtype.kind == "c" else ratio(n)


@rule("convolution", "convolution_weights", "convolve")
def bilinear(values, equation):
    """A convolution: every output is a sum of products of entries, found by running it on labels.
    """
    x, y = values
    labels = np.arange(1.0, y.size + 1).reshape(y.shape)

    def run(unit_vector):
        return equation.op.evaluate(unit_vector, labels, **equation.params)

    pairs, shape = matrix_of(run, x.shape)
    left, right = x.ravel(), y.ravel()
    entries = [
        total([left[i] * right[label - 1] for i, label in row], _dtype(equation)) for row in pairs
    ]
    return [filled(shape, entries)]


# --- order ----------------------------------------------------------------------------------------


def _in_order(a: Ball, b: Ball) -> int:
    if a.is_nan() or b.is_nan():
        return a.is_nan() - b.is_nan()
    return a.compare(b)


def _by_size(a: tuple[int, Ball], b: tuple[int, Ball]) -> int:
    return _in_order(a[1], b[1]) or a[0] - b[0]


def order(row: list[Ball]) -> list[int]:
    """The indices that sort, stably, nan last."""
    return [i for i, _ in sorted(enumerate(row), key=functools.cmp_to_key(_by_size))]


@rule("sort")
def sort(values, equation):
    """The entries in order."""
    return [along(equation.params["axis"], lambda row: [row[i] for i in order(row)], values[0])]


@rule("argsort")
def argsort(values, equation):
    """The indices that sort."""
    return [along(equation.params["axis"], order, values[0]).astype(np.int64)]


def _first_extreme(side: int):
    def first(row: list[Ball]) -> int:
        best = 0
        for i, a in enumerate(row):
            if row[best].is_nan():
                break
            if a.is_nan() or a.compare(row[best]) * side > 0:
                best = i
        return best

    return lambda values, equation: [
        over((equation.params["axis"],), first, values[0]).astype(np.int64)
    ]


RULES["argmax"], RULES["argmin"] = _first_extreme(1), _first_extreme(-1)


@rule("searchsorted")
def searchsorted(values, equation):
    """Where entries fit into a sorted array."""
    (a, v), lead, side = values, equation.params["lead"], equation.params["side"]
    shape = a.shape[:lead]
    rows = a.reshape(math.prod(shape), -1)
    wanted = v.reshape(math.prod(shape), -1)
    found = [
        sum(_in_order(x, w) < (1 if side == "right" else 0) for x in row)
        for row, ws in zip(rows, wanted, strict=True) for w in ws
    ]  # fmt: skip
    return [np.array(found, np.int64).reshape(v.shape)]


# --- back to floating point -----------------------------------------------------------------------


def plain(x: np.ndarray, type_: Type) -> np.ndarray:
    """Balls rounded to a dtype: an ordinary array."""
    dtype = type_.dtype
    out = np.empty(x.shape, dtype)
    part = np.dtype(dtype.char.lower())
    for k, a in np.ndenumerate(x):
        if dtype.kind == "c":
            out[k] = complex(rounded(a.re, part), rounded(a.im, part))
        else:
            out[k] = rounded(a, dtype)
    return out

