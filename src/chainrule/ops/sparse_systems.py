"""sparse_solve: the solution of a linear system with a sparse matrix.

Value     x with A x = b, or A^H x = b where `adjoint`, by SuperLU; A has the entries `data` at
          (rows, columns), in the order of the csc form, each place once. b is (n,) or (n, k). The
          last few factors are kept, by content.
Slope     linear in b; dx = -A^-1 (dA x).
Source    Li, ACM Trans. Math. Softw. 31, 2005 (SuperLU), as scipy.sparse.linalg.splu.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module

import numpy as np

from chainrule import errors
from chainrule.ops.elementwise import conjugate, negative
from chainrule.ops.implicit import lane_by_lane
from chainrule.ops.index import index, index_add
from chainrule.ops.shape import broadcast, transpose, zeros_of
from chainrule.program.op import Linear, Op


def _type(data, b, rows, columns, *, adjoint: bool):
    if not data.shape == rows.shape == columns.shape or b.ndim not in (1, 2):
        raise errors.ShapeError(f"no sparse system: {data} at {rows}, {columns}, with {b}.")
    if data.dtype != b.dtype or data.dtype.kind not in "fc":
        raise errors.DtypeError(f"a sparse system needs floats of one dtype, got {data} and {b}.")
    return (b,)


def _solve(data, b, rows, columns, *, adjoint: bool):
    if not b.size:
        return np.array(b)
    places = (np.asarray(x, np.int64).tobytes() for x in (rows, columns))
    factor = _factor(np.asarray(data).tobytes(), *places, data.dtype, len(b))
    found = factor.solve(np.ascontiguousarray(b), trans="H" if adjoint else "N")
    return np.ascontiguousarray(found, b.dtype)


@lru_cache(maxsize=8)
def _factor(data: bytes, rows: bytes, columns: bytes, dtype: np.dtype, size: int):
    sparse, linalg = import_module("scipy.sparse"), import_module("scipy.sparse.linalg")
    pointer = np.searchsorted(np.frombuffer(columns, np.int64), np.arange(size + 1))
    parts = np.frombuffer(data, dtype), np.frombuffer(rows, np.int64), pointer
    try:
        return linalg.splu(sparse.csc_array(parts, shape=(size, size)))
    except RuntimeError as error:
        raise np.linalg.LinAlgError(f"a sparse matrix cannot be solved with: {error}") from None


def _tangent(inputs, outputs, tangents, *, adjoint: bool):
    """-A^-1 (dA x), where dA has the places of A; of A^H, the adjoint's."""
    (data, _, rows, columns), (x,), (moved, *_) = inputs, outputs, tangents
    if adjoint:
        moved = conjugate(moved) if x.dtype.kind == "c" else moved
    into, out_of = (columns, rows) if adjoint else (rows, columns)
    wide = tuple((0, n, 1) for n in x.shape[1:])
    read = index(x, out_of, at=wide)
    change = index_add(
        zeros_of(x), broadcast(moved, shape=read.shape, axes=(0,)) * read, into, at=wide
    )
    return negative(sparse_solve(data, change, rows, columns, adjoint=adjoint))


def _batch(size, inputs, batched, *, adjoint: bool):
    _, b, *_ = inputs
    if any((batched[0], *batched[2:])) or b.ndim > 2:
        return lane_by_lane(sparse_solve, size, inputs, batched, {"adjoint": adjoint})
    data, b, rows, columns = inputs
    found = sparse_solve(data, transpose(b, axes=(1, 0)), rows, columns, adjoint=adjoint)
    return transpose(found, axes=(1, 0))


sparse_solve: Op = Op(
    "sparse_solve", _type, _solve,
    Linear(
        lambda ct, data, b, rows, columns, *, adjoint: (
            None, sparse_solve(data, ct, rows, columns, adjoint=not adjoint), None, None),
        positions=(1,), forward=_tangent),
    _batch, raises=True, doc="x with A x = b, where A has the entries `data` at (rows, columns)",
)  # fmt: skip
