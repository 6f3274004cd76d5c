"""Operations on complex matrices brought to those that have a native form.

Value     numpy.linalg's: complex64 is computed in complex128; adjoint systems are those of the
          conjugate transpose; triangular ones are systems whose other triangle is zero, turned so
          that this is the lower one: then their LU factorisation is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from chainrule.ops.compare import equal, greater
from chainrule.ops.contract import contract
from chainrule.ops.control import as_tuple
from chainrule.ops.elementwise import imag, join, real
from chainrule.ops.factorize import cholesky
from chainrule.ops.linalg import det, inv, slogdet, solve
from chainrule.ops.matrices import row_and_column
from chainrule.ops.reduce import max_
from chainrule.ops.select import cast, constant_like, select
from chainrule.ops.shape import broadcast, flip, move_axis, sum_
from chainrule.ops.spectral import eig, eigh, eigvals, eigvalsh, singular_values, svd

_WIDE = np.dtype(np.complex128)


def _cast(z, dtype: np.dtype):
    """Real or complex numbers in as many digits as a complex dtype has."""
    part = np.dtype(dtype.char.lower())
    if z.dtype.kind != "c":
        return cast(z, dtype=part)
    return join(cast(real(z), dtype=part), cast(imag(z), dtype=part))


def _in_wide(op: Callable) -> Callable:
    """complex64 in complex128."""

    def rule(*values, **params):
        dtype = values[0].dtype
        if dtype == _WIDE:
            return NotImplemented
        made = as_tuple(op(*[_cast(x, _WIDE) for x in values], **params))
        return tuple([_cast(y, dtype) for y in made])

    return rule


def _adjoint(a):
    turned = move_axis(a, a.ndim - 1, a.ndim - 2)
    return join(real(turned), -imag(turned))


def _solve(a, b, *, adjoint, raises):
    if a.dtype == _WIDE and not adjoint:
        return NotImplemented
    wide = _cast(_adjoint(a) if adjoint else a, _WIDE)
    return _cast(solve(wide, _cast(b, _WIDE), adjoint=False, raises=raises), b.dtype)


def _triangular_solve(a, b, *, lower, adjoint, unit_diagonal, raises):
    if not b.size:
        return NotImplemented
    row, column = row_and_column(a.shape)
    zero = constant_like(real(a), 0.0)
    kept = greater(row, column) if lower else greater(column, row)
    one = constant_like(real(a), 1.0)
    diagonal = equal(row, column)
    re = select(kept, real(a), select(diagonal, one if unit_diagonal else real(a), zero))
    im = select(kept, imag(a), select(diagonal, zero if unit_diagonal else imag(a), zero))
    triangle = join(re, im)
    if adjoint:
        triangle, lower = _adjoint(triangle), not lower
    rows, both = (b.ndim - 2,), (a.ndim - 2, a.ndim - 1)
    if lower:
        triangle, b = flip(triangle, axes=both), flip(b, axes=rows)
    out = solve(_cast(triangle, _WIDE), _cast(b, _WIDE), adjoint=False, raises=raises)
    return _cast(flip(out, axes=rows) if lower else out, b.dtype)


def _decomposed(a, rcond):
    """U^H, the reciprocals of the singular values that count (0 for those up to `rcond` times the
    largest), V, which values count, and the values."""
    u, s, vh = svd(_cast(a, _WIDE), full_matrices=False)
    largest = broadcast(max_(s, axes=(s.ndim - 1,)), shape=s.shape, axes=tuple(range(s.ndim - 1)))
    one, zero = constant_like(s, 1.0), constant_like(s, 0.0)
    kept = greater(s, constant_like(s, rcond) * largest)
    return _adjoint(u), select(kept, one / select(kept, s, one), zero), _adjoint(vh), kept, s


def _times_rows(factors, z):
    """Each row of z times its factor."""
    spread = broadcast(factors, shape=z.shape, axes=tuple(range(z.ndim - 1)))
    return join(spread * real(z), spread * imag(z))


def _pinv(a, *, rcond):
    """V diag(1 / s) U^H."""
    if not a.size:
        return NotImplemented
    u, shares, v, _, _ = _decomposed(a, rcond)
    return _cast(_product(v, _times_rows(shares, u)), a.dtype)


def _lstsq(a, b, *, rcond):
    """V diag(1 / s) U^H b, the rank and s."""
    if not a.size or not b.size or rcond is None or rcond < 0:
        return NotImplemented
    u, shares, v, kept, s = _decomposed(a, rcond)
    x = _product(v, _times_rows(shares, _product(u, _cast(b, _WIDE))))
    rank = sum_(cast(kept, dtype=np.dtype(np.int32)), axes=(kept.ndim - 1,))
    return _cast(x, a.dtype), rank, _cast(s, a.dtype)


def _product(x, y):
    """x @ y of stacks of complex matrices."""
    lead = tuple(range(x.ndim - 2))
    product = partial(contract, axes=((x.ndim - 1,), (x.ndim - 2,)), batch=(lead, lead))
    (a, b), (c, d) = (real(x), imag(x)), (real(y), imag(y))
    return join(product(a, c) - product(b, d), product(a, d) + product(b, c))


MATRICES: dict[str, Callable] = {
    **{op.name: _in_wide(op) for op in (det, slogdet, inv, cholesky, eigh, eigvalsh)},
    **{op.name: _in_wide(op) for op in (eig, eigvals, svd, singular_values)},
    "lstsq": _lstsq,
    "pinv": _pinv,
    "solve": _solve,
    "triangular_solve": _triangular_solve,
}
