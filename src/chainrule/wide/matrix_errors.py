"""How much linear algebra loses: the rules of error_rules.py and estimate.py for its operations.

To first order, a matrix in error by E moves its determinant by tr(adj(A) E), its inverse by
A^-1 E A^-1, a solution by A^-1 (E x + e), a Cholesky factor by L (L^-1 E L^-T), its lower half.
Elimination rounds as if the matrix were in error by a unit in the last place for each row.

Source    Higham, "Accuracy and Stability of Numerical Algorithms", sections 9.3 and 10.1.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.ops.elementwise import absolute
from chainrule.ops.linalg import inv
from chainrule.ops.matrices import (
    on_diagonal,
    only_diagonal,
    product,
    strictly_lower,
    strictly_upper,
    transposed,
)
from chainrule.ops.matrix_functions import adjugate
from chainrule.ops.reduce import max_
from chainrule.ops.select import constant_like, select
from chainrule.ops.shape import broadcast, flip, kept_axes, sum_
from chainrule.program.program import Equation

_UNIT = 2.0**-53


def _off(a, e):
    """The error of a matrix: its own, and what elimination rounds."""
    rounding = absolute(a) * (_UNIT * a.shape[-1])
    return rounding if e is None else rounding + e


def _total(x):
    return sum_(x, axes=(x.ndim - 2, x.ndim - 1))


def _largest(x):
    """The largest entry of each matrix, in the place of every one."""
    axes = (x.ndim - 2, x.ndim - 1)
    found = max_(absolute(x), axes=axes)
    return broadcast(found, shape=x.shape, axes=kept_axes(x.ndim, axes))


def _det(out, inputs, errors, equation):
    (a,), (e,) = inputs, errors
    return _total(transposed(absolute(adjugate(a))) * _off(a, e)) + absolute(out) * _UNIT


def slogdet_errors(outs, inputs, errors) -> list:
    """The errors of the sign, which is taken to be certain, and of the logarithm."""
    (a,), (e,) = inputs, errors
    size = transposed(absolute(inv(a, raises=False)))
    return [None, _total(size * _off(a, e)) + absolute(outs[1]) * _UNIT]


def _inv(out, inputs, errors, equation):
    (a,), (e,) = inputs, errors
    size = absolute(out)
    return product(product(size, _off(a, e)), size)


def _solve(out, inputs, errors, equation):
    return _of_system(out, inputs[0], errors, equation)


def _of_system(out, a, errors, equation):
    size, off = absolute(inv(a, raises=False)), _off(a, errors[0])
    if equation.params["adjoint"]:
        size, off = transposed(size), transposed(off)
    moved = product(off, absolute(out))
    return product(size, moved if errors[1] is None else moved + errors[1])


def _triangular_solve(out, inputs, errors, equation):
    a, params = inputs[0], equation.params
    part = strictly_lower if params["lower"] else strictly_upper
    one = constant_like(a, 1.0)
    diagonal = select(on_diagonal(a.shape), one, constant_like(a, 0.0))
    kept = part(a) + (diagonal if params["unit_diagonal"] else only_diagonal(a))
    e = errors[0]
    e = None if e is None else part(e) + only_diagonal(e)
    return _of_system(out, kept, (e, errors[1]), equation)


def _cholesky(out, inputs, errors, equation):
    off, factor = _off(inputs[0], errors[0]), out
    if equation.params["upper"]:
        factor = transposed(out)
    inverse = absolute(inv(factor, raises=False))
    moved = product(product(inverse, off), transposed(inverse))
    found = product(absolute(factor), moved)
    return transposed(found) if equation.params["upper"] else found


def _adjugate(out, inputs, errors, equation):
    (a,), (e,) = inputs, errors
    own = _largest(a) ** (a.shape[-1] - 1.0) * (4.0 * _UNIT * a.shape[-1])
    if e is None or a.shape[-1] == 1:
        return own
    if a.shape[-1] == 2:
        return own + transposed(flip(e, axes=(a.ndim - 2, a.ndim - 1)))
    inverse = absolute(inv(a, raises=False))
    axes = (a.ndim - 2, a.ndim - 1)
    trace = _total(transposed(absolute(out)) * e)
    spread = broadcast(trace, shape=a.shape, axes=kept_axes(a.ndim, axes))
    return own + spread * inverse + product(product(absolute(out), e), inverse)


def _adjugate_derivative(out, inputs, errors, equation):
    """By the sizes of all matrices."""
    (x, a), (ex, ea) = inputs, errors
    rows = a.shape[-1]
    sizes = _largest(a), _largest(x)
    found = sizes[0] * sizes[1] * (8.0 * _UNIT * rows)
    if ea is not None:
        found = found + _largest(ea) * sizes[1] * float(rows - 2)
    if ex is not None:
        found = found + _largest(ex) * sizes[0]
    return found * sizes[0] ** float(rows - 3)


MATRIX_ERRORS: dict[str, Callable] = {
    "det": _det, "inv": _inv, "solve": _solve, "triangular_solve": _triangular_solve,
    "cholesky": _cholesky, "adjugate": _adjugate, "adjugate_derivative": _adjugate_derivative,
}  # fmt: skip

MATRIX_OPERATIONS = {*MATRIX_ERRORS, "slogdet"}
MOST_ROWS = 12  # of a matrix that is looked at: the work grows with the cube


def is_small(equation: Equation) -> bool:
    """Whether an operation on matrices is one that is looked at."""
    rows = equation.inputs[0].type.shape[-2]
    return 0 < rows <= MOST_ROWS and (equation.op.name in ("solve", "triangular_solve")
                                      or len(equation.inputs) <= 2)  # fmt: skip


def work(equation: Equation) -> int:
    """How many numbers count for an operation on matrices."""
    a = equation.inputs[0].type
    rows = a.shape[-2]
    return a.size * rows * (rows if equation.op.name.startswith("adjugate") else 1)
