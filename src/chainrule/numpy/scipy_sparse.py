"""Sparse matrices of SciPy beside traced values: products, sums, conversions, linear systems.

A matrix of numbers times a traced vector, or one whose entries are traced, goes through compiled
code that knows arrays only. While a trace is open, its methods take such values here:

    (A x)_i = sum over entries (i, j, a) of a x_j

The places of entries are never traced. Systems are solved by SuperLU, also where SciPy's function
iterates: its solution to all digits, and the derivative of A x = b.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import cast_to, result_dtype, traced
from chainrule.numpy.undispatched import original, replaces
from chainrule.ops.index import index_add
from chainrule.ops.shape import zeros_of
from chainrule.ops.sparse_systems import sparse_solve
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

FORMATS = ("csr", "csc", "coo", "dia", "bsr", "lil", "dok")
WITH_TRACED = ("csr", "csc", "coo", "dia", "bsr")  # formats that hold traced entries
MOVED = ("__getitem__", "diagonal", "reshape")  # methods that move entries, and change none


def replacements() -> list[tuple[Any, str, Callable, Callable]]:
    """Classes, names of methods, these, and those to put in their place; none where scipy.sparse
    is not loaded."""
    module: Any = sys.modules.get("scipy.sparse")
    if module is None or not hasattr(module, "dok_array"):
        return []
    found: dict[tuple, tuple] = {}
    for kind in FORMATS:
        classes = getattr(module, kind + "_array").__mro__
        for name in (*_METHODS, *MOVED):
            owner = next((c for c in classes if name in vars(c)), None)
            if owner is not None and (owner, name) not in found:
                own = vars(owner)[name]
                meaning = _METHODS.get(name) or functools.partial(_moved, own)
                found[owner, name] = owner, name, own, _exchanged(own, meaning)
    return list(found.values())


def _exchanged(own: Callable, meaning: Callable) -> Callable:
    """A method that has this meaning where its matrix or an argument is traced."""

    @functools.wraps(own)
    def method(self, *args, **kwargs):
        if not (_is_traced(self) or any(_is_traced(x) for x in args)):
            return own(self, *args, **kwargs)
        return meaning(self, *args, **kwargs)

    return method


def _is_traced(x) -> bool:
    return type(x) is Traced or type(getattr(x, "data", None)) is Traced


# --- entries --------------------------------------------------------------------------------------


def entries(matrix) -> tuple[Any, np.ndarray, np.ndarray]:
    """The entries of a matrix, and their rows and columns; a place may come more than once."""
    if matrix.format == "coo":
        return matrix.data, *(np.asarray(c, np.int64) for c in (matrix.row, matrix.col))
    if matrix.format in ("csr", "csc"):
        major = np.repeat(np.arange(len(matrix.indptr) - 1), np.diff(matrix.indptr))
        places = (major, np.asarray(matrix.indices, np.int64))
        return matrix.data, *(places if matrix.format == "csr" else places[::-1])
    if matrix.format == "dia":
        width = min(matrix.data.shape[1], matrix.shape[1])
        columns = np.broadcast_to(np.arange(width), (len(matrix.offsets), width))
        rows = columns - np.asarray(matrix.offsets, np.int64)[:, None]
        inside = (rows >= 0) & (rows < matrix.shape[0])
        return matrix.data[:, :width][np.nonzero(inside)], rows[inside], columns[inside]
    if matrix.format == "bsr":
        _, height, width = shape = matrix.data.shape
        row = np.repeat(np.arange(len(matrix.indptr) - 1), np.diff(matrix.indptr))
        rows = row[:, None, None] * height + np.arange(height)[:, None]
        columns = np.asarray(matrix.indices, np.int64)[:, None, None] * width + np.arange(width)
        spread = (np.broadcast_to(p, shape).ravel() for p in (rows, columns))
        return matrix.data.reshape(-1), *spread
    return entries(matrix.tocoo())


def _added(values: Traced, at: np.ndarray, shape: tuple[int, ...]) -> Traced:
    """Values added up by their places along the first axis."""
    wide = tuple((0, n, 1) for n in shape[1:])
    return index_add(zeros_of(values.type.with_shape(shape)), values, at, at=wide)


def _made(matrix, kind: str, data, rows, columns, shape=None):
    """A csr or csc matrix, of the same family as a given one, with each place once."""
    shape = matrix.shape if shape is None else shape
    major, minor = (rows, columns) if kind == "csr" else (columns, rows)
    height, width = shape if kind == "csr" else shape[::-1]
    places, place = np.unique(major * width + minor, return_inverse=True)
    pointer = np.concatenate([[0], np.cumsum(np.bincount(places // width, minlength=height))])
    module: Any = import_module("scipy.sparse")
    family = "_array" if isinstance(matrix, module.sparray) else "_matrix"
    numbers = np.zeros(len(places), data.dtype)
    found = getattr(module, kind + family)((numbers, places % width, pointer), shape=shape)
    found.data = _added(data, place, places.shape)
    return found


def _numbered(matrix, first: int = 1):
    """A matrix without repeated places, whose entries are numbers from `first` on; and its own."""
    kind = "csc" if matrix.format == "csc" else "csr"
    if _is_traced(matrix):
        held = _made(matrix, kind, *entries(matrix))
    else:
        held = matrix.asformat(kind, copy=True)
        held.sum_duplicates()
    numbers = held.copy()
    numbers.data = np.arange(first, first + len(held.data), dtype=np.float64)
    return numbers, held.data


def _placed(found, data):
    """What SciPy made of numbered entries, with the entries in their place; 0 where none is."""
    if hasattr(found, "format"):
        found.data = data[found.data.astype(np.int64) - 1]
        return found
    at = np.asarray(found).astype(np.int64)
    return np.where(at > 0, data[np.maximum(at - 1, 0)], 0.0)


def _moved(method: Callable, matrix, *args, **kwargs):
    numbers, data = _numbered(matrix)
    return _placed(method(numbers, *args, **kwargs), data)


# --- methods --------------------------------------------------------------------------------------


def _times(matrix, x):
    """Times a vector, or the columns of an array."""
    data, rows, columns = entries(matrix)
    terms = data.reshape(-1, *(1,) * (x.ndim - 1)) * x[columns]
    return _added(terms, rows, (matrix.shape[0], *x.shape[1:]))


def _refuse_out(out, name: str) -> None:
    if out is not None:
        raise errors.NotSupported(
            f"{name}(out=...) of a sparse matrix with traced entries, at {line_text(user_line())}: "
            "use what it returns."
        )


def _as_dense(matrix, order=None, out=None):
    _refuse_out(out, "toarray")
    data, rows, columns = entries(matrix)
    flat = _added(data, rows * matrix.shape[1] + columns, (matrix.shape[0] * matrix.shape[1],))
    return flat.reshape(matrix.shape)


def _times_number(matrix, number):
    """In csr form, where the format holds no traced entries."""
    kept = matrix if matrix.format in WITH_TRACED else matrix.tocsr()
    return kept._with_data(kept.data * number)


def _times_entries(matrix, other):
    """Entry by entry: by a number, or an array that is broadcast."""
    if np.ndim(other) == 0:
        return _times_number(matrix, other)
    if hasattr(other, "format"):
        raise errors.NotSupported(
            f"the entries of two sparse matrices, one traced, times each other, at "
            f"{line_text(user_line())}: make one an array."
        )
    data, rows, columns = entries(matrix)
    factors = np.broadcast_to(other, matrix.shape)[rows, columns]
    return _made(matrix, "csr", data * factors, rows, columns)


def _sum(matrix, axis=None, dtype=None, out=None):
    _refuse_out(out, "sum")
    data, *places = entries(matrix)
    if axis is None:
        return np.sum(data, dtype=dtype)
    (axis,) = axis if isinstance(axis, tuple) else (axis,)
    kept = 1 - axis % 2
    data = data if dtype is None else data.astype(dtype)
    found = _added(data, places[kept], (matrix.shape[kept],))
    is_array = isinstance(matrix, import_module("scipy.sparse").sparray)
    return found if is_array else np.expand_dims(found, axis % 2)


def _to(kind: str) -> Callable:
    def convert(matrix, copy=False):
        if matrix.format == kind and not copy:
            return matrix
        return _made(matrix, kind, *entries(matrix))

    return convert


def _plus(sign: float) -> Callable:
    def added(matrix, other, sub=False):  # a dia matrix subtracts with sub=True
        (a, *places), (b, *others) = entries(matrix), entries(other)
        data = np.concatenate([a, b * (-sign if sub else sign)])
        rows, columns = (np.concatenate(p) for p in zip(places, others, strict=True))
        return _made(matrix, "csc" if matrix.format == "csc" else "csr", data, rows, columns)

    return added


def _times_sparse(matrix, other):
    """The product of two: an entry for each pair of entries that meet."""
    (a, rows, middle), (b, others, columns) = entries(matrix), entries(other)
    order = np.argsort(others, kind="stable")
    starts = np.searchsorted(others[order], np.arange(other.shape[0] + 1))
    counts = np.diff(starts)[middle]
    first = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    second = order[np.repeat(starts[middle], counts) + within]
    shape = (matrix.shape[0], other.shape[1])
    return _made(matrix, "csr", a[first] * b[second], rows[first], columns[second], shape)


def _compressed(matrix, swap, copy=False):
    """The parts of a csr matrix, or of its transpose, that is made of traced entries."""
    rows, columns = swap((np.asarray(matrix.row, np.int64), np.asarray(matrix.col, np.int64)))
    shape = swap(matrix.shape)
    made = _made(matrix, "csr", matrix.data, rows, columns, shape)
    return made.indptr, made.indices, made.data, made.shape


_METHODS: dict[str, Callable] = {
    "_matmul_vector": _times, "_matmul_multivector": _times, "_matmul_sparse": _times_sparse,
    "_mul_scalar": _times_number, "multiply": _times_entries,
    "sum": _sum, "toarray": _as_dense, "tocsr": _to("csr"), "tocsc": _to("csc"),
    "_add_sparse": _plus(1.0), "_sub_sparse": _plus(-1.0),
    "_add_dense": lambda matrix, other: matrix.toarray() + other,
    "_sub_dense": lambda matrix, other: matrix.toarray() - other,
    "_rsub_dense": lambda matrix, other: other - matrix.toarray(),
    "_coo_to_compressed": _compressed, "sum_duplicates": lambda matrix: None,
}  # fmt: skip


# --- makers and systems ---------------------------------------------------------------------------


def _diagonals(family: str) -> Callable:
    def make(diagonals, offsets=0, shape=None, format=None, dtype=None):
        module: Any = import_module("scipy.sparse")
        single = np.ndim(offsets) == 0
        lines = [diagonals] if single and np.ndim(diagonals[0]) == 0 else list(diagonals)
        places = np.atleast_1d(np.asarray(offsets, np.int64))
        if shape is None:
            size = len(lines[0]) + abs(int(places[0]))
            shape = (size, size)
        parts: list[tuple] = []
        for line, k in zip(lines, places, strict=True):
            length = min(shape[0] + min(k, 0), shape[1] - max(k, 0))
            if len(line) not in (1, length):
                raise ValueError(f"a diagonal of {len(line)} entries at offset {k} of {shape}.")
            at = np.arange(length)
            parts.append((line + np.zeros(length), at - min(k, 0), at + max(k, 0)))
        data, rows, columns = (np.concatenate(p) for p in zip(*parts, strict=True))
        like = getattr(module, "coo" + family)(shape)
        if dtype is not None and type(dtype) is not object:  # SciPy's mark of a default
            data = data.astype(dtype)
        made = _made(like, "csr", data, rows, columns)
        return made.asformat(format if format in WITH_TRACED else None)

    return make


diags = replaces("scipy.sparse", "diags")(_diagonals("_matrix"))


@replaces("scipy.sparse")
def diags_array(diagonals, /, *, offsets=0, shape=None, format=None, dtype=None):
    """scipy.sparse.diags_array"""
    return _diagonals("_array")(diagonals, offsets, shape, format, dtype)


@replaces("scipy.sparse._construct", "_block", calls_back=True)
def _blocks(blocks, format, dtype, return_spmatrix=False):
    """What hstack, vstack, bmat and block_array are made by"""
    join = original("scipy.sparse._construct", "_block")
    blocks = np.asarray(blocks, dtype=object)
    if not any(_is_traced(b) for b in blocks.flat):
        return join(blocks, format, dtype, return_spmatrix)
    parts, count = [], 0
    for at, block in np.ndenumerate(blocks):
        if block is not None:
            blocks[at], data = _numbered(block, count + 1)
            count += len(data)
            parts.append(data)
    found = join(blocks, None if format is None else "csr", None, return_spmatrix)
    placed = _placed(found.tocsr(), np.concatenate(parts))
    return placed.asformat(format if format in WITH_TRACED else None)


def _solution(name: str, matrix, b):
    """x with A x = b, for a sparse matrix or an array."""
    if isinstance(matrix, np.ndarray) or type(matrix) is Traced:
        return np.linalg.solve(matrix, b)
    if not hasattr(matrix, "format"):
        raise errors.NotSupported(
            f"scipy.sparse.linalg.{name} with a {type(matrix).__name__} is not supported on traced "
            f"values, at {line_text(user_line())}: give the matrix, or use cr.root."
        )
    if matrix.shape != (len(b), len(b)):
        raise ValueError(f"a matrix of {matrix.shape} does not take a right side of {b.shape}.")
    csc = matrix.tocsc(copy=not _is_traced(matrix))
    csc.sum_duplicates()
    column = b[:, 0] if b.ndim == 2 and b.shape[1] == 1 else b
    dtype = np.result_type(result_dtype(csc.data, b), np.float32)
    data, rows, columns = entries(csc)
    values = (cast_to(traced(x), dtype) for x in (data, column))
    return sparse_solve(*values, rows, columns, adjoint=False)


@replaces("scipy.sparse.linalg", calls_back=True)
def spsolve(A, b, permc_spec=None, use_umfpack=True):
    """scipy.sparse.linalg.spsolve"""
    if _is_traced(A) or _is_traced(b):
        return _solution("spsolve", A, b)
    return original("scipy.sparse.linalg", "spsolve")(A, b, permc_spec, use_umfpack)


def _iterative(name: str) -> None:
    def solve(A, b, x0=None, **options):
        if _is_traced(A) or _is_traced(b):
            return _solution(name, A, b), 0
        return original("scipy.sparse.linalg", name)(A, b, x0, **options)

    solve.__name__ = name
    solve.__doc__ = f"scipy.sparse.linalg.{name}, to all digits: its options are not asked"
    replaces("scipy.sparse.linalg", name, calls_back=True)(solve)


for _name in ("bicg", "bicgstab", "cg", "cgs", "gcrotmk", "gmres", "lgmres", "minres", "qmr",
              "tfqmr"):  # fmt: skip
    _iterative(_name)


class _Factors:
    """A factorised matrix, inside a trace: what `splu` gives, for traced right sides as well."""

    def __init__(self, matrix, options: dict):
        self._matrix = matrix
        factorise = original("scipy.sparse.linalg", "splu")
        self._own = None if _is_traced(matrix) else factorise(matrix, **options)

    def solve(self, rhs, trans: str = "N"):
        """x with A x = b, or with A's transpose or adjoint."""
        if self._own is not None and not _is_traced(rhs):
            return self._own.solve(rhs, trans)
        matrix = self._matrix if trans == "N" else self._matrix.T
        return _solution("splu", matrix.conj() if trans == "H" else matrix, rhs)

    def __getattr__(self, name: str):
        return getattr(self._own, name)


@replaces("scipy.sparse.linalg", calls_back=True)
def splu(A, **options):
    """scipy.sparse.linalg.splu"""
    return _Factors(A, options)


@replaces("scipy.sparse.linalg", calls_back=True)
def factorized(A):
    """scipy.sparse.linalg.factorized"""
    return splu(A).solve
