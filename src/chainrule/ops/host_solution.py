"""host_solution: a solution found by a solver in Python: for many unknowns, or the user's own.

Value     the x that the solver finds from x0; `NotConverged` where it finds none.
Slope     none of its own: `implicit` knows the equation that x solves.
Source    Anderson acceleration: Walker and Ni, SIAM J. Numer. Anal. 49, 2011; the inexact Newton
          method with backtracking: Eisenstat and Walker, SIAM J. Optim. 4, 1994; L-BFGS: SciPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from chainrule import errors
from chainrule.ops.implicit import lane_by_lane
from chainrule.program.evaluate import plan
from chainrule.program.op import Missing, Op
from chainrule.program.program import Program
from chainrule.program.tree import unflatten


class Problem(NamedTuple):
    """What is to be solved: `kind` is "root", "fixed_point" or "argmin"; x has this structure.

    `solver` is the user's, `solver(f, x0) -> x`, or None.
    """

    kind: str
    name: str
    structure: Any
    tol: float
    max_steps: int
    solver: Callable | None


def _type(*inputs, problem: Problem, function: Program, residual, matvec, fixed: int):
    return inputs[fixed:]


def _evaluate(*inputs, problem: Problem, function: Program, residual, matvec, fixed: int):
    held, start = list(inputs[:fixed]), list(inputs[fixed:])
    equations = _Equations(problem, held, start, function, residual, matvec)
    if problem.solver is not None:
        found = equations.by_users_solver()
    else:
        found = _SOLVERS[problem.kind](equations)
    made = equations.leaves(found)
    return made[0] if len(made) == 1 else tuple(made)


class _Equations:
    """The functions of one problem at one point, on flat vectors."""

    def __init__(self, problem: Problem, held, start, function, residual, matvec):
        self.problem, self.held = problem, held
        self.types = [np.asarray(x) for x in start]
        self.dtype = np.result_type(*self.types)
        self.start = np.concatenate([np.ravel(x) for x in self.types]).astype(self.dtype)
        self._function, self._residual = plan(function), plan(residual)
        self._known, self._linear = (plan(p) for p in matvec[:2])

    def leaves(self, x) -> list:
        """A flat vector as the arrays of x."""
        ends = np.cumsum([t.size for t in self.types])[:-1]
        parts = np.split(np.asarray(x, self.dtype), ends)
        return [p.reshape(t.shape).astype(t.dtype)[()] for p, t in
                zip(parts, self.types, strict=True)]  # fmt: skip

    def function(self, x):
        """The outputs of the user's function, flat."""
        made = self._function.run([*self.held, *self.leaves(x)])
        return np.concatenate([np.ravel(v) for v in made])

    def residual(self, x):
        """F, which is 0 at the solution."""
        return self._residual.run([*self.held, *self.leaves(x)])[0]

    def derivative(self, x):
        """dF/dx as a linear operator."""
        linalg = import_module("scipy.sparse.linalg")
        residuals = self._known.run([*self.held, *self.leaves(x)])
        size = len(x)
        return linalg.LinearOperator(
            (size, size), dtype=self.dtype,
            matvec=lambda v: self._linear.run([*residuals, np.ravel(v).astype(self.dtype)])[0],
        )  # fmt: skip

    def limit(self) -> float:
        """How large |F| may be at a solution."""
        at_start = np.max(np.abs(self.residual(self.start)), initial=0.0)
        scale = np.max(np.abs(self.start), initial=0.0) if self.problem.kind == "fixed_point" else (
            at_start)  # fmt: skip
        return self.problem.tol * max(1.0, scale if np.isfinite(scale) else 1.0)

    def by_users_solver(self):
        """What the user's solver finds, checked: F must have become small there."""
        problem = self.problem
        wrap = float if problem.kind == "argmin" else None

        def f(tree):
            leaves = _flat(tree, self.types)
            made = self._function.run([*self.held, *leaves])
            return wrap(made[0]) if wrap else unflatten(problem.structure, made)

        assert problem.solver is not None
        found = problem.solver(f, unflatten(problem.structure, self.leaves(self.start)))
        x = np.concatenate([np.ravel(v) for v in _flat(found, self.types)]).astype(self.dtype)
        size = np.max(np.abs(self.residual(x)), initial=0.0)
        at_start = np.max(np.abs(self.residual(self.start)), initial=0.0)
        if not size <= _LOOSE * max(1.0, at_start if np.isfinite(at_start) else 1.0):
            raise not_converged(problem, size)
        return x


_LOOSE = 1e-3  # what is accepted of a user's solver, which has tolerances of its own


def _flat(tree, like) -> list:
    from chainrule.program.tree import flatten

    leaves = flatten(tree)[0]
    if [np.size(v) for v in leaves] != [np.size(v) for v in like]:
        raise errors.StructureMismatch(
            f"the solver gave values of shapes {[np.shape(v) for v in leaves]}; x0 has "
            f"{[np.shape(v) for v in like]}."
        )
    return [np.reshape(np.asarray(v, t.dtype), t.shape) for v, t in zip(leaves, like, strict=True)]


def not_converged(problem: Problem, size: float) -> errors.NotConverged:
    """The error for a solver that stopped while |F| was `size`."""
    what = "its gradient" if problem.kind == "argmin" else "its residual"
    return errors.NotConverged(
        f"{problem.kind} of {problem.name} found no solution: {what} is still {size:.3g}.\n"
        "  Start nearer (x0), allow more steps (max_steps), a larger tolerance (tol), or give a "
        "solver of your own."
    )


# --- solvers --------------------------------------------------------------------------------------


def _newton(equations: _Equations, x, limit: float):
    """Newton's method, its systems solved by Krylov methods, steps halved until |F| decreases."""
    problem = equations.problem
    residual = equations.residual(x)
    size = np.linalg.norm(residual)
    for _ in range(problem.max_steps):
        if np.max(np.abs(residual), initial=0.0) <= limit:
            return x
        step = _krylov_step(equations.derivative(x), -residual, problem.kind == "argmin")
        length = 1.0
        while length > 1e-10:
            trial = x + length * step
            there = equations.residual(trial)
            norm = np.linalg.norm(there)
            if norm < (1 - 1e-4 * length) * size:
                break
            length *= 0.5
        else:
            break
        x, residual, size = trial, there, norm
    largest = np.max(np.abs(residual), initial=0.0)
    if largest <= limit:
        return x
    raise not_converged(problem, largest)


def _krylov_step(operator, right, symmetric: bool):
    linalg = import_module("scipy.sparse.linalg")
    options = {"rtol": 1e-10, "atol": 0.0, "maxiter": 2 * len(right)}
    if symmetric:
        return linalg.minres(operator, right, rtol=1e-12, maxiter=2 * len(right))[0]
    return linalg.gmres(operator, right, restart=min(len(right), 100), **options)[0]


def _root(equations: _Equations):
    return _newton(equations, equations.start, equations.limit())


def _fixed_point(equations: _Equations, memory: int = 5):
    """Iteration with Anderson acceleration; Newton's method where it does not converge."""
    limit = equations.limit()
    x, moves, steps = equations.start, [], []
    best = np.inf
    for _ in range(equations.problem.max_steps):
        step = equations.residual(x)
        size = np.max(np.abs(step), initial=0.0)
        if size <= limit:
            return x + step if np.max(np.abs(equations.residual(x + step))) <= size else x
        if not np.isfinite(size) or size > 1e3 * best:
            break
        best = min(best, size)
        moves.append(x)
        steps.append(step)
        moves, steps = moves[-memory - 1 :], steps[-memory - 1 :]
        new = x + step
        if len(steps) > 1:
            changes = np.diff(steps, axis=0).T
            weights = np.linalg.lstsq(changes, step, rcond=1e-10)[0]
            new = new - (np.diff(moves, axis=0).T + changes) @ weights
        x = new
    return _newton(equations, equations.start, limit)


def _argmin(equations: _Equations):
    """L-BFGS to near the minimum, then Newton's method on the gradient."""
    minimize = import_module("scipy.optimize").minimize
    limit = equations.limit()
    found = minimize(
        lambda x: float(equations.function(x)[0]), equations.start, jac=equations.residual,
        method="L-BFGS-B", options={"gtol": limit, "ftol": 0.0, "maxiter": 50 * 100,
                                    "maxfun": 100_000},
    )  # fmt: skip
    return _newton(equations, found.x, limit)


_SOLVERS = {"root": _root, "fixed_point": _fixed_point, "argmin": _argmin}

host_solution: Op = Op(
    "host_solution", _type, _evaluate,
    Missing("it is the value of an implicit function, which has a derivative of its own"),
    lambda size, inputs, batched, **params: lane_by_lane(
        host_solution, size, inputs, batched, params),
    doc="the x that a solver in Python finds for a problem of many unknowns, or the user's solver",
)  # fmt: skip
