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
from chainrule.ops.shape import broadcast, flip, move_axis
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


def _pinv(a, *, rcond):
    """V diag(1 / s) U^H, without the singular values up to `rcond` times the largest."""
    if not a.size:
        return NotImplemented
    u, s, vh = svd(_cast(a, _WIDE), full_matrices=False)
    largest = broadcast(max_(s, axes=(s.ndim - 1,)), shape=s.shape, axes=tuple(range(s.ndim - 1)))
    one, zero = constant_like(s, 1.0), constant_like(s, 0.0)
    kept = greater(s, constant_like(s, rcond) * largest)
    shares = select(kept, one / select(kept, s, one), zero)
    u = _adjoint(u)
    shares = broadcast(shares, shape=u.shape, axes=tuple(range(u.ndim - 1)))
    v, right = _adjoint(vh), join(shares * real(u), shares * imag(u))
    return _cast(_product(v, right), a.dtype)


def _product(x, y):
    """x @ y of stacks of complex matrices."""
    lead = tuple(range(x.ndim - 2))
    product = partial(contract, axes=((x.ndim - 1,), (x.ndim - 2,)), batch=(lead, lead))
    (a, b), (c, d) = (real(x), imag(x)), (real(y), imag(y))
    return join(product(a, c) - product(b, d), product(a, d) + product(b, c))


MATRICES: dict[str, Callable] = {
    **{op.name: _in_wide(op) for op in (det, slogdet, inv, cholesky, eigh, eigvalsh)},
    **{op.name: _in_wide(op) for op in (eig, eigvals, svd, singular_values)},
    "pinv": _pinv,
    "solve": _solve,
    "triangular_solve": _triangular_solve,
}
