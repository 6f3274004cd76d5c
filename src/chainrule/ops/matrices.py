"""The language in which matrix rules are written: products, transposes, triangles, diagonals.

All work on stacks of matrices, shape (..., m, n), record operations only, and neither promote nor
broadcast: the stacks of two operands are equal.
"""

import numpy as np

from chainrule.ops.compare import equal, greater
from chainrule.ops.contract import contract
from chainrule.ops.elementwise import absolute, conj, hypot, imag, join, real
from chainrule.ops.index import index
from chainrule.ops.reduce import max_
from chainrule.ops.select import cast, select
from chainrule.ops.shape import add_batch_axis, broadcast, iota, sum_, transpose
from chainrule.program import displacement
from chainrule.program.op import elementwise


def product(x, y):
    """x @ y for two stacks of matrices."""
    lead = tuple(range(x.ndim - 2))
    return contract(x, y, axes=((x.ndim - 1,), (y.ndim - 2,)), batch=(lead, lead))


def transposed(x):
    """The stack of transposed matrices."""
    last = x.ndim - 1
    return transpose(x, axes=(*range(last - 1), last, last - 1))


def adjoint(x):
    """The stack of conjugate transposes."""
    return conj(transposed(x))


def zero_of(x):
    """The scalar 0 in x's dtype."""
    return x.dtype.type(0)


def row_and_column(shape):
    """Two integer arrays of `shape`: each entry's row number and column number."""
    last = len(shape) - 1
    rows = iota(size=shape[-2], dtype=np.dtype(np.int64))
    columns = iota(size=shape[-1], dtype=np.dtype(np.int64))
    return (
        broadcast(rows, shape=shape, axes=(last - 1,)),
        broadcast(columns, shape=shape, axes=(last,)),
    )


def on_diagonal(shape):
    """A boolean array of `shape`, True on each matrix's diagonal."""
    return equal(*row_and_column(shape))


def strictly_lower(x):
    """x with zeros on and above the diagonal."""
    return select(greater(*row_and_column(x.shape)), x, zero_of(x))


def strictly_upper(x):
    """x with zeros on and below the diagonal."""
    rows, columns = row_and_column(x.shape)
    return select(greater(columns, rows), x, zero_of(x))


def only_diagonal(x):
    """x with zeros off the diagonal."""
    return select(on_diagonal(x.shape), x, zero_of(x))


def diagonal(x):
    """The diagonals (..., k) of square matrices (..., k, k)."""
    return sum_(only_diagonal(x), axes=(x.ndim - 1,))


def hermitian_from(x, lower: bool):
    """The Hermitian matrix of which LAPACK reads one triangle: the other, and the imaginary part of
    the diagonal, are not looked at."""
    half = strictly_lower(x) if lower else strictly_upper(x)
    return half + adjoint(half) + without_imaginary(only_diagonal(x))


def without_imaginary(x):
    """The real part, in x's own dtype."""
    return cast(real(x), dtype=x.dtype) if x.dtype.kind == "c" else x


def without_real(x):
    """i times the imaginary part, for complex x."""
    return join(zero_of(imag(x)), imag(x))


def real_of(x):
    """The real part, in the real dtype."""
    return real(x) if x.dtype.kind == "c" else x


def magnitude(x):
    """Absolute values, real."""
    return hypot(real(x), imag(x)) if x.dtype.kind == "c" else absolute(x)


def over_columns(v, shape):
    """(..., n) repeated to `shape` (..., m, n): entry [i, j] is v[j]."""
    return broadcast(v, shape=shape, axes=(*range(len(shape) - 2), len(shape) - 1))


def over_rows(v, shape):
    """(..., m) repeated to `shape` (..., m, n): entry [i, j] is v[i]."""
    return broadcast(v, shape=shape, axes=tuple(range(len(shape) - 1)))


def part(x, rows: tuple[int, int], columns: tuple[int, int]):
    """x[..., a:b, c:d] for rows = (a, b) and columns = (c, d)."""
    lead = tuple((0, n, 1) for n in x.shape[:-2])
    return index(x, at=(*lead, (*rows, 1), (*columns, 1)))


def _reciprocal_where_apart(difference, size):
    near = np.abs(difference) <= size
    if np.any(near):
        displacement.meet()
    return np.where(near, 0, 1 / np.where(near, 1, difference)).astype(difference.dtype)[()]


reciprocal_where_apart = elementwise(
    "reciprocal_where_apart", _reciprocal_where_apart,
    (lambda x, size, out: -(out * out), None), takes="float",
    doc="1 / x, and 0 where |x| <= size: the quotients of spectral derivatives; says if it met a "
    "pair of equal values (see chainrule.program.displacement)",
)  # fmt: skip
displacement.QUOTIENTS.add("reciprocal_where_apart")


def rounding_of(v, shape):
    """How far apart computed values (..., n) must be to count as different, repeated to `shape`."""
    size = largest(v)
    tolerance = size.dtype.type(equality_tolerance(v.shape[-1], v.dtype))
    return broadcast(size * tolerance, shape=shape, axes=tuple(range(v.ndim - 1)))


def equality_tolerance(n: int, dtype) -> float:
    """The relative distance up to which two of n eigen- or singular values count as equal."""
    return 16 * n * float(np.finfo(dtype).eps)


def largest(v):
    """The largest magnitude of each (..., n), as (...,); n > 0."""
    return max_(magnitude(v), axes=(v.ndim - 1,))


def batch_all(op):
    """The batching rule of an operation on stacks: one more leading axis, on every input."""

    def rule(size, inputs, batched, **params):
        full = [
            x if is_batched else add_batch_axis(x, size)
            for x, is_batched in zip(inputs, batched, strict=True)
        ]
        return op()(*full, **params)

    return rule
