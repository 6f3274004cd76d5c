"""Checks of what chainrule makes of a function: its derivatives, and its compiled form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.api import jvp, vjp
from chainrule.program.tree import flatten, unflatten
from chainrule.tracing import trace_call


class WrongDerivative(errors.ChainruleError, AssertionError):
    """`check_derivatives` found a derivative that differs from the function's own differences."""


def check_derivatives(
    f: Callable, args: tuple, order: int = 1, directions: int = 2, rtol: float = 1e-6, seed: int = 0
) -> None:
    """Raise `WrongDerivative` unless the derivatives of `f` at `args` are right.

    Forward mode is compared with extrapolated central differences along random directions, and
    reverse mode with forward mode by <u, J v> = <J^T u, v>. With `order` 2 the same is asked of the
    directional derivative as a function.

    **Maths** Ridders' method: central differences at shrinking steps, extrapolated to zero; the
    allowance is `rtol` times the size of the derivative plus ten times the method's own error.
    **Errors** `WrongDerivative` with the direction, both numbers and the allowance.
    **Source** C. J. F. Ridders, Advances in Engineering Software 4, 1982.

    >>> check_derivatives(lambda x: np.sum(np.sin(x) * x), (np.array([0.3, -2.0]),), order=2)
    """
    rng = np.random.default_rng(seed)
    leaves, structure = flatten(args)
    arrays = [np.asarray(x) for x in leaves]
    for number in range(directions):
        moves = [_direction(rng, x) for x in arrays]
        _check_forward(f, structure, arrays, moves, rtol, number)
        _check_reverse(f, structure, arrays, moves, rng, number)
        if order > 1:
            given = unflatten(structure, moves)
            check_derivatives(
                lambda *point, given=given: jvp(f, point, given)[1],
                args, order - 1, 1, rtol * 10, seed + number + 1,
            )  # fmt: skip


class WrongCompilation(errors.ChainruleError, AssertionError):
    """`check_compiled` found that a compiled function differs from the reference evaluator."""


def check_compiled(f: Callable, args: tuple) -> None:
    """Raise `WrongCompilation` unless `f`, compiled, gives at `args` what the evaluator gives.

    The compiler's debug mode: every pass, every rewrite and every kernel is compared with the
    reference evaluator by itself, and the error names the first that differs. Rounding is allowed.

    >>> check_compiled(lambda x: np.sum(np.exp(x) * x), (np.array([0.3, -2.0]),))
    """
    from chainrule.compiler.debug import guilty_part  # LLVM is loaded when it is used

    call = trace_call(f, args, {})
    values = [np.array(x) for x in call.operands]
    guilty = guilty_part(call.program, values)
    if guilty is not None:
        raise WrongCompilation(f"{call.name}, compiled, differs from the evaluator by {guilty}.")


def _direction(rng, x: np.ndarray):
    """A random tangent of size about one; None where there is no tangent space."""
    if x.dtype.kind == "f":
        return rng.normal(size=x.shape).astype(x.dtype)
    if x.dtype.kind == "c":
        return (rng.normal(size=x.shape) + 1j * rng.normal(size=x.shape)).astype(x.dtype)
    return None


def _numbers(tree) -> np.ndarray:
    """All floating leaves of a tree as one vector of real numbers."""
    parts = [np.zeros(0)]
    for leaf in flatten(tree)[0]:
        leaf = np.asarray(leaf)
        if leaf.dtype.kind == "c":
            parts += [leaf.real.ravel(), leaf.imag.ravel()]
        elif leaf.dtype.kind == "f":
            parts.append(leaf.ravel())
    return np.concatenate(parts).astype(np.float64)


def _check_forward(f, structure, arrays, moves, rtol: float, number: int) -> None:
    def along(t: float) -> np.ndarray:
        moved = [x if d is None else x + t * d for x, d in zip(arrays, moves, strict=True)]
        return _numbers(f(*unflatten(structure, moved)))

    expected, error = differences(along)
    found = _numbers(jvp(f, unflatten(structure, arrays), unflatten(structure, moves))[1])
    allowed = rtol * np.abs(expected).max(initial=0.0) + 10.0 * error
    if found.shape != expected.shape or not np.all(np.abs(found - expected) <= allowed):
        raise WrongDerivative(
            f"forward mode along direction {number} gives {found}, differences give {expected} "
            f"(allowed {allowed:.3g})."
        )


def _check_reverse(f, structure, arrays, moves, rng, number: int) -> None:
    primals = unflatten(structure, arrays)
    value, tangent = jvp(f, primals, unflatten(structure, moves))
    leaves, out_structure = flatten(value)
    weights = [_direction(rng, np.asarray(x)) for x in leaves]
    pulled = flatten(vjp(f, *primals)[1](unflatten(out_structure, weights)))[0]
    forward = _inner(weights, flatten(tangent)[0])
    reverse = _inner([d for d in moves if d is not None], pulled)
    if abs(forward - reverse) > 1e-9 * (1.0 + abs(forward)) * (1.0 + _norm(weights)):
        raise WrongDerivative(
            f"reverse mode disagrees with forward mode along direction {number}: "
            f"<u, J v> = {forward}, <J^T u, v> = {reverse}."
        )


def _inner(left: list, right: list) -> float:
    """The real inner product Re(conj(u) v) over lists of arrays."""
    left = [x for x in left if x is not None]
    return float(sum(np.vdot(u, v).real for u, v in zip(left, right, strict=True)))


def _norm(arrays: list) -> float:
    return float(np.sqrt(sum(np.vdot(x, x).real for x in arrays if x is not None)))


def differences(along: Callable[[float], Any], first: float = 0.05) -> tuple[np.ndarray, float]:
    """The derivative of `along` at 0 by Ridders' extrapolation, and an estimate of its error."""
    shrink, table = 1.6, list[list]()
    best, best_error = np.zeros(0), np.inf
    step = first
    for row in range(10):
        column = [(np.asarray(along(step)) - np.asarray(along(-step))) / (2.0 * step)]
        factor = shrink**2
        for k in range(row):
            column.append((column[k] * factor - table[-1][k]) / (factor - 1.0))
            factor *= shrink**2
            near = np.abs(column[-1] - column[-2]).max(initial=0.0)
            error = max(near, np.abs(column[-1] - table[-1][k]).max(initial=0.0))
            if error <= best_error:
                best, best_error = column[-1], float(error)
        table.append(column)
        step /= shrink
    return best, best_error
