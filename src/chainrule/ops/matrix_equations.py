"""Matrix equations: Sylvester's, Stein's (Lyapunov's in discrete time), and Riccati's two.

    sylvester            A X + X B = Q
    stein                X - A X B = Q
    continuous_riccati   A^H X + X A - X B R^-1 B^H X + Q = 0
    discrete_riccati     A^H X A - X - A^H X B (R + B^H X B)^-1 B^H X A + Q = 0

Value     scipy.linalg, one matrix of a stack after the other; Stein's by a linear system of n^2
          unknowns where that is small, else as a Sylvester equation (Cayley's transform).
Slope     the first two are linear in Q, and d(A X) moves to the right side. At a solution of
          Riccati's equations the slope solves the linear equation of the closed loop,

              dX - C^H dX C = N,  or  C^H dX + dX C = -N,  with C = A - B K, K the gain and
              N = (dQ + K^H dR K) / 2 + (dA - dB K)^H X C, plus its adjoint

          (in continuous time without that last C). Of Q and R the Hermitian parts count.
Source    Bartels and Stewart, CACM 15 (1972) 820; Kao and Hennequin, "Automatic differentiation of
          Sylvester, Lyapunov, and algebraic Riccati equations", arXiv 2011.11430.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np

from chainrule import errors
from chainrule.ops.linalg import solve
from chainrule.ops.matrices import adjoint, batch_all, product
from chainrule.program.op import Forward, Linear, Op
from chainrule.program.types import Type

FEW_UNKNOWNS = 64  # up to here Stein's equation is one linear system


def _equation_type(name: str):
    def rule(a: Type, b: Type, q: Type) -> tuple[Type, ...]:
        stack, (m, n) = q.shape[:-2], q.shape[-2:]
        fits = a.shape == (*stack, m, m) and b.shape == (*stack, n, n)
        if q.ndim < 2 or not fits or not a.dtype == b.dtype == q.dtype:
            raise errors.ShapeError(f"{name}: {a}, {b} and {q} do not form stacks of equations.")
        return (q,)

    return rule


def _each(solver, *stacks):
    """The solver on each equation of a stack, in the dtype of the stack."""
    last = stacks[-1]
    if not last.size:
        return np.array(last)
    if last.ndim > 2:
        return np.stack([_each(solver, *parts) for parts in zip(*stacks, strict=True)])
    return solver(*stacks).astype(last.dtype, copy=False)


def _sylvester(a, b, q):
    return _each(import_module("scipy.linalg").solve_sylvester, a, b, q)


def _one_stein(a, b, q):
    m, n = q.shape
    if m * n <= FEW_UNKNOWNS:
        system = np.eye(m * n) - np.kron(a, b.T)
        return np.linalg.solve(system, q.reshape(m * n, 1)).reshape(m, n)
    left, right = np.linalg.inv(np.eye(m) + a), np.linalg.inv(np.eye(n) + b)
    first, second = left @ (np.eye(m) - a), (np.eye(n) - b) @ right
    solver = import_module("scipy.linalg").solve_sylvester
    return solver(first, second, 2.0 * (left @ q @ right))


def _stein(a, b, q):
    return _each(_one_stein, a, b, q)


def _flops(ins, outs, params) -> int:
    return 30 * (ins[0].shape[-1] + ins[1].shape[-1]) * outs[0].size


def _sylvester_tangent(inputs, outputs, tangents):
    (a, b, _), (x,), (da, db, _) = inputs, outputs, tangents
    moved = [] if da is None else [product(da, x)]
    moved += [] if db is None else [product(x, db)]
    return -sylvester(a, b, sum(moved[1:], start=moved[0]))


def _stein_tangent(inputs, outputs, tangents):
    (a, b, _), (x,), (da, db, _) = inputs, outputs, tangents
    moved = [] if da is None else [product(product(da, x), b)]
    moved += [] if db is None else [product(product(a, x), db)]
    return stein(a, b, sum(moved[1:], start=moved[0]))


sylvester: Op = Op(
    "sylvester", _equation_type("sylvester"), _sylvester,
    Linear(lambda ct, a, b, q: (None, None, sylvester(adjoint(a), adjoint(b), ct)),
           positions=(2,), forward=_sylvester_tangent),
    batch_all(lambda: sylvester), flops=_flops, raises=True, doc="x with a @ x + x @ b = q",
)  # fmt: skip
stein: Op = Op(
    "stein", _equation_type("stein"), _stein,
    Linear(lambda ct, a, b, q: (None, None, stein(adjoint(a), adjoint(b), ct)),
           positions=(2,), forward=_stein_tangent),
    batch_all(lambda: stein), flops=_flops, raises=True, doc="x with x - a @ x @ b = q",
)  # fmt: skip

# --- Riccati ------------------------------------------------------------------------------------


def _riccati_type(name: str):
    def rule(a: Type, b: Type, q: Type, r: Type) -> tuple[Type, ...]:
        stack, n = q.shape[:-2], q.shape[-1]
        k = r.shape[-1] if r.ndim else 0
        shapes = [(*stack, n, n), (*stack, n, k), (*stack, n, n), (*stack, k, k)]
        if [t.shape for t in (a, b, q, r)] != shapes or len({t.dtype for t in (a, b, q, r)}) > 1:
            raise errors.ShapeError(f"{name}: {a}, {b}, {q}, {r} do not form stacks of equations.")
        return (q,)

    return rule


def _continuous_riccati(a, b, q, r):
    return _solutions(import_module("scipy.linalg").solve_continuous_are, a, b, q, r)


def _discrete_riccati(a, b, q, r):
    return _solutions(import_module("scipy.linalg").solve_discrete_are, a, b, q, r)


def _solutions(solver, a, b, q, r):
    if not q.size:
        return np.array(q)
    if q.ndim > 2:
        return np.stack([_solutions(solver, *parts) for parts in zip(a, b, q, r, strict=True)])
    q, r = 0.5 * (q + np.conj(q.T)), 0.5 * (r + np.conj(r.T))
    return solver(a, b, q, r).astype(q.dtype, copy=False)


def _source(tangents, gain, after):
    """N, with `after` giving M^H X C (or M^H X) of the tangent M = dA - dB K of the loop."""
    da, db, dq, dr = tangents
    halves = [] if dq is None else [0.5 * dq]
    if dr is not None:
        halves.append(0.5 * product(adjoint(gain), product(dr, gain)))
    if da is not None:
        halves.append(after(da))
    if db is not None:
        halves.append(-after(product(db, gain)))
    half = sum(halves[1:], start=halves[0])
    return half + adjoint(half)


def _continuous_tangent(inputs, outputs, tangents):
    (a, b, _, r), (x,) = inputs, outputs
    gain = solve(r, product(adjoint(b), x), adjoint=False, raises=False)
    loop = a - product(b, gain)
    source = _source(tangents, gain, lambda moved: product(adjoint(moved), x))
    return -sylvester(adjoint(loop), loop, source)


def _discrete_tangent(inputs, outputs, tangents):
    (a, b, _, r), (x,) = inputs, outputs
    inner = r + product(adjoint(b), product(x, b))
    gain = solve(inner, product(adjoint(b), product(x, a)), adjoint=False, raises=False)
    loop = a - product(b, gain)
    after = product(x, loop)
    return stein(adjoint(loop), loop, _source(tangents, gain, lambda m: product(adjoint(m), after)))


continuous_riccati: Op = Op(
    "continuous_riccati", _riccati_type("continuous_riccati"), _continuous_riccati,
    Forward(_continuous_tangent), batch_all(lambda: continuous_riccati), flops=_flops, raises=True,
    doc="(a, b, q, r): the stabilising solution of the continuous algebraic Riccati equation",
)  # fmt: skip
discrete_riccati: Op = Op(
    "discrete_riccati", _riccati_type("discrete_riccati"), _discrete_riccati,
    Forward(_discrete_tangent), batch_all(lambda: discrete_riccati), flops=_flops, raises=True,
    doc="(a, b, q, r): the stabilising solution of the discrete algebraic Riccati equation",
)  # fmt: skip
