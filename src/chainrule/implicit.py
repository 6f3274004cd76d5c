"""fixed_point, root, argmin: solutions of equations, and their derivatives.

The solver is not differentiated: at the solution x of F(a, x) = 0 the derivative is
-(dF/dx)^-1 dF/da by the implicit function theorem, one linear system however many steps it took.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.implicit_solvers import find_fixed_point, find_minimum, find_root
from chainrule.ops.control import as_tuple, with_inputs
from chainrule.ops.host_solution import Problem, host_solution
from chainrule.ops.implicit import implicit_op
from chainrule.ops.require import require
from chainrule.ops.select import cast
from chainrule.program.evaluate import Plan
from chainrule.program.program import Program
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, bind, inline, user_line
from chainrule.program.tree import LEAF, first_difference, flatten, unflatten
from chainrule.program.types import Type, type_of
from chainrule.running import run
from chainrule.tracing import Call, trace_call
from chainrule.transforms.implicit import Equations, equations_of, flat, leaves_of, program_of

DENSE = 512  # unknowns, up to which the Jacobian is a matrix


def root(
    f: Callable, x0, *args, tol: float | None = None, max_steps: int = 200,
    solver: Callable | None = None,
):  # fmt: skip
    """The x with f(x, *args) = 0 that is found from x0; x is a tree like x0.

    f returns as many numbers as x has. **Derivatives** by args, and by what f closes over, by the
    implicit function theorem, of every order, forward and reverse, under `vmap` and `compile`: one
    linear system, whatever the solver did. None by x0.

    Up to 512 unknowns: Newton's method with damping, on the Jacobian as a matrix, natively under
    `compile`. More: Newton's method with GMRES, on NumPy. Or `solver(g, x0) -> x`, of which g is f
    of x alone: `solver=lambda g, x0: scipy.optimize.root(g, x0).x`.

    **Errors** `NotConverged` where max |f| is not below tol * max(1, max |f(x0)|) after
    `max_steps` (with a solver of your own: below 1e-3 of it); `tol` is the machine's precision to
    the power 2/3, 4e-11 for float64. `SingularJacobian` where a derivative is asked for at a
    solution that has none.

    >>> from chainrule.api import grad
    >>> root(lambda x, a: x * x - a, 1.0, 9.0)
    np.float64(3.0)
    >>> grad(lambda a: root(lambda x: x * x - a, 1.0))(9.0)
    np.float64(0.16666666666666666)
    """
    return _solution("root", f, x0, args, tol, max_steps, solver)


def fixed_point(
    f: Callable, x0, *args, tol: float | None = None, max_steps: int = 1000,
    solver: Callable | None = None,
):  # fmt: skip
    """The x with f(x, *args) = x that iteration from x0 leads to; x is a tree like x0.

    f is iterated until it moves little, then Newton's method takes over; from x0 where iteration
    does not converge in `max_steps`. More than 512 unknowns: Anderson's acceleration. Tolerance
    tol * max(1, max |x0|). Otherwise as `root`.

    >>> import numpy as np
    >>> fixed_point(np.cos, 1.0)
    np.float64(0.7390851332151607)
    """
    return _solution("fixed_point", f, x0, args, tol, max_steps, solver)


def argmin(
    f: Callable, x0, *args, tol: float | None = None, max_steps: int = 200,
    solver: Callable | None = None,
):  # fmt: skip
    """An x where f(x, *args) is locally least, found downhill from x0; x is a tree like x0.

    f returns one real number. The derivative is that of the root of f's gradient. Up to 512
    unknowns: Newton's method, damped until it goes downhill; more: L-BFGS, then Newton's method
    with conjugate gradients. `tol` (the root of the machine's precision, 1.5e-8) bounds the
    gradient, relative to max(1, its largest entry at x0). Otherwise as `root`.

    >>> import numpy as np
    >>> argmin(lambda x, a: np.sum((x - a) ** 4 + (x - a) ** 2), np.zeros(2), np.array([1.0, 2.0]))
    array([1., 2.])
    """
    return _solution("argmin", f, x0, args, tol, max_steps, solver)


def _solution(kind: str, f, x0, args, tol: float | None, max_steps: int, solver):
    leaves, structure = flatten(x0)
    leaves = [_real(x) for x in leaves]
    types = [_type(x) for x in leaves]
    call = _trace(kind, f, unflatten(structure, leaves), types, args)
    _check(kind, call, structure, types)
    tol = _tolerance(kind, types) if tol is None else float(tol)
    problem = Problem(kind, call.name, structure, tol, int(max_steps), solver)
    params, plan = _built(call, problem, len(types))
    count = call.leading
    fixed = call.operands[:count] + call.operands[count + len(types) :]
    held = [_committed(x, v.type) for x, v in zip(fixed, params["residual"].inputs, strict=False)]
    operands = [*held, *leaves]
    if any(type(x) is Traced for x in operands):
        found: Any = as_tuple(bind(implicit_op, tuple(operands), params))
    else:
        found = run(plan, operands)
    return unflatten(structure, list(found))


def _tolerance(kind: str, types) -> float:
    eps = max((float(np.finfo(t.dtype).eps) for t in types), default=1.0)
    return eps ** (1 / 2 if kind == "argmin" else 2 / 3)


def _real(x):
    """A leaf of x0 as real floating-point numbers."""
    dtype = _type(x).dtype
    if dtype.kind == "c":
        raise errors.NotSupported("complex unknowns: solve for their real and imaginary parts.")
    if dtype.kind == "f":
        return x if type(x) is Traced else np.asarray(x, dtype)[()]
    return x.astype(np.float64) if type(x) is Traced else np.asarray(x, np.float64)[()]


def _type(value) -> Type:
    return value.type if type(value) is Traced else type_of(value)


def _committed(value, type_: Type):
    if type(value) is Traced:
        return value if value.type is type_ else value.astype(type_.dtype)
    return np.asarray(value, type_.dtype)[()]


def _trace(kind: str, f, x0, types, args) -> Call:
    """f traced with an unknown x; the values of the other arguments are at hand as they were."""
    given = [*types, *[None] * len(flatten(args)[0])]
    call = trace_call(f, (x0, *args), {}, types=given)
    if call.effects:
        raise errors.MutationError(
            f"{call.name} writes to its arguments, or to objects that it uses, inside {kind}, at "
            f"{line_text(user_line())}: it is run any number of times. Return new values instead."
        )
    return call


def _check(kind: str, call: Call, structure, types) -> None:
    where = f"at {line_text(user_line())}"
    outs = list(call.program.out_types)
    if kind == "argmin":
        if call.structure is not LEAF or outs[0].shape or outs[0].dtype.kind != "f":
            raise errors.NonScalarOutput(
                f"argmin needs one real number from {call.name}, {where}; it returned "
                f"{', '.join(map(str, outs)) or call.structure}."
            )
        return
    if any(t.dtype.kind not in "f" for t in outs):
        raise errors.NotDifferentiable(
            f"{call.name} in {kind} returned {', '.join(map(str, outs))}, {where}: real numbers "
            "are needed."
        )
    if kind == "fixed_point":
        difference = first_difference(structure, call.structure, "x")
        shapes = [t.shape for t in types], [t.shape for t in outs]
        if difference or shapes[0] != shapes[1]:
            raise errors.StructureMismatch(
                f"{call.name} in fixed_point must return what it is given, {where}: "
                f"{difference or f'x has shapes {shapes[0]}, the result {shapes[1]}'}."
            )
    elif sum(t.size for t in outs) != sum(t.size for t in types):
        raise errors.StructureMismatch(
            f"{call.name} in root returned {sum(t.size for t in outs)} numbers for "
            f"{sum(t.size for t in types)} unknowns, {where}: as many equations as unknowns are "
            "needed. For a least-squares solution use argmin of the sum of squares."
        )


# --- the operation's programs ---------------------------------------------------------------------

_KEPT = 128
_cache: OrderedDict[tuple, tuple[dict, Plan]] = OrderedDict()
_lock = threading.Lock()


def _built(call: Call, problem: Problem, unknowns: int) -> tuple[dict, Plan]:
    """The params of `implicit` for a traced function, and the plan of its solver; kept by the
    structure of the program."""
    key = (call.program.key, call.program.place, problem, call.leading, unknowns)
    with _lock:
        found = _cache.get(key)
        if found is not None:
            _cache.move_to_end(key)
            return found
    made = _build(call, problem, unknowns)
    with _lock:
        _cache[key] = made
        if len(_cache) > _KEPT:
            _cache.popitem(last=False)
    return made


def _build(call: Call, problem: Problem, unknowns: int) -> tuple[dict, Plan]:
    inputs, a = call.program.inputs, call.leading
    order = [*inputs[:a], *inputs[a + unknowns :], *inputs[a : a + unknowns]]
    function = with_inputs(call.program, order)
    fixed = len(order) - unknowns
    own = problem.solver is None
    size = sum(v.type.size for v in order[fixed:])
    made = equations_of(function, problem.kind, fixed, dense=size <= DENSE, operator=not own)
    build = _dense_solver if own and made.jacobian is not None else _host_solver
    solve = build(made, problem)
    params = {
        "solve": solve, "residual": made.residual, "jacobian": made.jacobian,
        "matvec": () if made.jacobian is not None else made.matvec,
        "symmetric": problem.kind == "argmin", "fixed": fixed, "name": problem.name,
    }  # fmt: skip
    return params, Plan(solve)


def _host_solver(made: Equations, problem: Problem) -> Program:
    """The program that calls a solver in Python."""

    def build(*inputs):
        return as_tuple(host_solution(
            *inputs, problem=problem, function=made.function, residual=made.residual,
            matvec=made.matvec, fixed=made.fixed,
        ))  # fmt: skip

    return program_of(problem.name, made.function.in_types, build)


def _dense_solver(made: Equations, problem: Problem) -> Program:
    """The program of a solver that is traced."""

    def solve(*inputs):
        held, start = list(inputs[: made.fixed]), list(inputs[made.fixed :])
        types = [x.type for x in start]

        def at(program: Program):
            return lambda x: inline(program, [*held, *leaves_of(x, types)])[0]

        x = flat(start)
        found, ok = _find(problem, made, at, x)
        found = require(found, ok, error="NotConverged", message=_message(problem))
        return leaves_of(found, types)

    types = made.function.in_types
    zeros = tuple(np.zeros(t.shape, t.dtype)[()] for t in types)
    call = trace_call(solve, zeros, {}, types=list(types), concrete=False)
    assert not call.leading, "solvers capture nothing"
    return call.program


def _find(problem: Problem, made: Equations, at: Callable, x):
    assert made.jacobian is not None
    residual, jacobian = at(made.residual), at(made.jacobian)
    first = np.abs(x) if problem.kind == "fixed_point" else np.abs(residual(x))
    largest = np.max(first) if x.shape[0] else np.sum(first)
    largest = np.where(np.isfinite(largest), largest, 1.0)
    limit = problem.tol * np.maximum(largest, 1.0)
    if problem.kind == "root":
        return find_root(residual, jacobian, x, limit, problem.max_steps)
    function = at(made.function)
    if problem.kind == "argmin":
        value = lambda x: _as(function(x), x.dtype)  # noqa: E731
        return find_minimum(value, residual, jacobian, x, limit, problem.max_steps)
    moved = lambda x: x + residual(x)  # noqa: E731
    return find_fixed_point(moved, residual, jacobian, x, limit, problem.max_steps)


def _as(value, dtype):
    return value if value.dtype == dtype else cast(value, dtype=dtype)


def _message(problem: Problem) -> str:
    what = "its gradient" if problem.kind == "argmin" else "its residual"
    return (
        f"{problem.kind} of {problem.name} found no solution in {problem.max_steps} steps: {what} "
        f"is not below the tolerance ({problem.tol:g}).\n"
        "  Start nearer (x0), allow more steps (max_steps), a larger tolerance (tol), or give a "
        "solver of your own."
    )
