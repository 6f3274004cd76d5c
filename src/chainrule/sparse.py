"""Sparse Jacobians as the caller gets them: scipy.sparse matrices, also from compiled functions.

Inside a trace a matrix stands as `SparseValues`, a traced array of its nonzero entries beside a
pattern that is known; the caller of the traced function receives a `scipy.sparse.csr_array`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chainrule import errors
from chainrule.ops.compare import equal, logical_or
from chainrule.ops.index import index_add
from chainrule.ops.reduce import all_
from chainrule.ops.require import require
from chainrule.ops.shape import zeros_of
from chainrule.program.captured import SMALL
from chainrule.program.noting import code_of_ours
from chainrule.program.trace import Traced, concrete_value, current, inline
from chainrule.running import run
from chainrule.transforms.sparse_jacobian import Block, Coloured, SparseJacobian, known_outputs


class Passes(NamedTuple):
    """How many passes a Jacobian takes: tangents pushed forward, cotangents pulled back.

    For a sparse Jacobian these are the colours, and `nonzeros` counts the entries of its pattern.
    """

    forward: int
    reverse: int
    nonzeros: int | None = None


class Pattern:
    """Where the entries of a sparse matrix stand, in CSR form."""

    __slots__ = ("indices", "indptr", "shape")

    def __init__(self, block: Block):
        self.shape, self.indices, self.indptr = block.shape, block.indices, block.indptr

    def __eq__(self, other) -> bool:
        return isinstance(other, Pattern) and self.shape == other.shape and (
            np.array_equal(self.indices, other.indices)
            and np.array_equal(self.indptr, other.indptr)
        )  # fmt: skip

    def __hash__(self) -> int:
        return hash((self.shape, self.indices.tobytes()))


class SparseValues(tuple):
    """A sparse matrix inside a trace: `data`, the traced entries, and their `pattern`.

    Made of an array instead of a traced value, it is that csr_array. `toarray()` and `@` with a
    traced vector give traced values.
    """

    _fields = ("data", "pattern")

    data: Any
    pattern: Pattern

    def __new__(cls, data, pattern: Pattern):
        if type(data) is not Traced:
            return _csr(data, pattern)
        made = super().__new__(cls, (data, pattern))
        made.data, made.pattern = data, pattern
        return made

    @property
    def shape(self) -> tuple[int, int]:
        return self.pattern.shape

    @property
    def _rows(self) -> np.ndarray:
        return np.repeat(np.arange(self.shape[0]), np.diff(self.pattern.indptr))

    def toarray(self):
        """The matrix with its zeros, as a traced array."""
        type_ = self.data.type.with_shape(self.shape)
        columns = self.pattern.indices.astype(np.int64)
        return index_add(zeros_of(type_), self.data, self._rows, columns, at=())

    def __matmul__(self, vector):
        height, width = self.shape
        if np.shape(vector) != (width,):
            raise errors.ShapeError(f"a sparse {self.shape} matrix times {np.shape(vector)}.")
        products = self.data * vector[self.pattern.indices.astype(np.int64)]
        return index_add(zeros_of(products.type.with_shape((height,))), products, self._rows, at=())

    def __repr__(self) -> str:
        return f"SparseValues({self.shape}, {len(self.pattern.indices)} entries)"


def _csr(data, pattern: Pattern):
    from scipy.sparse import csr_array

    if np.ndim(data) != 1:
        raise errors.NotSupported(
            "vmap gives a sparse Jacobian for each example, and there is no sparse array of three "
            "axes: return J.toarray() or J @ v inside vmap, or loop over the examples."
        )
    indices, pointer = pattern.indices.copy(), pattern.indptr.copy()  # the caller's to change
    return csr_array((data, indices, pointer), shape=pattern.shape)


def sparse_blocks(parts: SparseJacobian, operands: list) -> tuple[list, list, Coloured]:
    """The program's outputs, a sparse matrix for each moving output by each input, and the
    colouring that they come from."""
    zeros = parts.known.inputs[len(operands) :]  # of inner derivatives, see transforms/kinks.py
    inputs = [*operands, *(np.zeros(v.type.shape, v.type.dtype)[()] for v in zeros)]
    constants = known_outputs(parts.constants, inputs, _at_hand)
    with code_of_ours():
        coloured = parts.coloured(constants)
    found = run(coloured.plan, [*operands, *coloured.given])
    outputs, data = found[: parts.outputs], found[parts.outputs :]
    if any(type(v) is Traced for v in data):
        data = _guarded(data, parts, inputs, constants, coloured)
    blocks = [
        SparseValues(np.ravel(d) if type(d) is not Traced else d, Pattern(b))
        for d, b in zip(data, coloured.blocks, strict=True)
    ]
    return outputs, blocks, coloured


def with_zero_blocks(parts: SparseJacobian, blocks: list, out_types) -> list:
    """The blocks of every output by every input; those of outputs that do not move are empty."""
    found, made = [], iter(blocks)
    for out, moves in zip(out_types, parts.moves, strict=True):
        for t in parts.in_types:
            found.append(next(made) if moves else _empty((out.size, t.size), t.dtype))
    return found


def _empty(shape, dtype):
    from scipy.sparse import csr_array

    return csr_array(shape, dtype=dtype)


def _at_hand(operand):
    return concrete_value(operand) if type(operand) is Traced else operand


def _guarded(data, parts: SparseJacobian, inputs, constants, coloured: Coloured) -> list:
    """The entries, given out while the constants that the pattern was read from are what they were:
    a compiled function reads large arrays by reference, so their content is compared."""
    builder = current()
    assert builder is not None
    places = [i for i, readable in enumerate(parts.readable) if readable]
    asked = [k for k, i in enumerate(places) if i in coloured.asked]
    large = [k for k in asked if np.asarray(constants[k]).nbytes > SMALL]
    if not builder.by_reference or not large:
        return data
    found = inline(parts.constants, inputs)
    for k in large:
        value = np.asarray(constants[k])
        ok = all_(_same_pattern(found[k], value), axes=tuple(range(value.ndim)))
        data = [require(data[0], ok, error="MutationError", message=_CHANGED), *data[1:]]
    return data


_CHANGED = (
    "an array that a compiled sparse Jacobian reads its pattern from has changed since it was "
    "compiled: compile the function again."
)


def _same_pattern(array: Traced, value: np.ndarray):
    """Where an array still agrees with the pattern that was read from it: the same indices or
    truths; of other numbers, zero where it was zero."""
    if value.dtype.kind not in "fc":
        return equal(array, value.copy())
    return logical_or(equal(array, value.dtype.type(0)), value != 0)

