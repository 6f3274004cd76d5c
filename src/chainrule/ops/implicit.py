"""implicit: the x with F(a, x) = 0, found by a program; and the linear systems of its derivative.

Value     implicit runs `solve` on [a, x0]; `residual` is F, flat, on [a, x].
Slope     dx = -(dF/dx)^-1 (dF/da) da, at the x that was found, however it was found; none by x0.
          The matrix is made by the program `jacobian`; without one, systems are solved by GMRES or
          conjugate gradients on the linear half of F (`matvec`).
Source    the implicit function theorem; Blondel et al., "Efficient and Modular Implicit
          Differentiation", NeurIPS 2022, for its use.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np

from chainrule import errors
from chainrule.ops.control import as_tuple, check_types, fresh, tangent_or_zeros
from chainrule.ops.elementwise import negative
from chainrule.ops.index import index
from chainrule.ops.linalg import solve
from chainrule.ops.matrices import adjoint, batch_all, product
from chainrule.ops.scan import scan_op
from chainrule.ops.select import cast
from chainrule.ops.shape import add_batch_axis, broadcast, reshape
from chainrule.program.evaluate import plan
from chainrule.program.op import Linear, Op, Structural
from chainrule.program.program import Equation, Program
from chainrule.program.remember import remembered
from chainrule.program.trace import Traced, inline

# --- the solution ---------------------------------------------------------------------------------


def _type(*inputs, solve: Program, residual, jacobian, matvec, symmetric, fixed, name):
    check_types(f"the solver of {name} takes", solve.in_types, inputs)
    return solve.out_types


def _evaluate(*inputs, solve, residual, jacobian, matvec, symmetric, fixed, name):
    made = plan(solve).run(inputs)
    return made[0] if len(made) == 1 else tuple(made)


def _forward(equation, inputs, tangents, forward):
    params = equation.params
    outputs = as_tuple(implicit_op(*inputs, **params))
    fixed, residual = params["fixed"], params["residual"]
    active = tuple(t is not None for t in tangents[:fixed])
    made, moves = _pushed(forward, residual, active)
    if not any(moves):
        unknown = (False,) * fixed + (True,) * len(outputs)
        if outputs and not any(_kept_forward(residual, forward, unknown)[1]):
            raise _singular(params["name"])  # all derivatives of F are 0, as of sign(x - a)
        return outputs, [None] * len(outputs)
    at = [*inputs[:fixed], *outputs]
    moved = inline(made, [*at, *(t for t in tangents[:fixed] if t is not None)])[-1]
    step = _system(params, at, negative(moved))
    return outputs, step_leaves(step, outputs)


_kept_forward = remembered(lambda residual, forward, active: forward(residual, active))


def _pushed(forward, residual: Program, active):
    others = (False,) * (len(residual.inputs) - len(active))
    return _kept_forward(residual, forward, active + others)


def _system(params, at, right):
    """The solution of (dF/dx) y = right, flat."""
    if params["jacobian"] is not None:
        (matrix,) = inline(params["jacobian"], at)
        columns = reshape(right, shape=(*right.shape, 1))
        found = jacobian_solve(matrix, columns, adjoint=False, name=params["name"])
        return reshape(found, shape=right.shape)
    known, linear, pull, *moved = params["matvec"]
    residuals = inline(known, at)
    return krylov_solve(
        right, *residuals, forward=linear, transposed=pull, moved=tuple(moved),
        symmetric=params["symmetric"], name=params["name"],
    )  # fmt: skip


def step_leaves(step, outputs) -> list:
    """A flat step, (lanes, n), cut into arrays like the outputs, (lanes, *shape)."""
    lead = step.shape[:-1]
    found, start = [], 0
    for x in outputs:
        size = x.type.size // int(np.prod(lead))
        at = (*((0, n, 1) for n in lead), (start, start + size, 1))
        part = reshape(index(step, at=at), shape=x.type.shape)
        found.append(part if part.dtype == x.dtype else cast(part, dtype=x.dtype))
        start += size
    return found


def _split(equation, mask, split_program):
    raise AssertionError("implicit is divided when it is pushed forward")


def _batch(equation, size, inputs, mask, batch):
    params = equation.params
    if params["jacobian"] is None:
        made = lane_by_lane(implicit_op, size, inputs, mask, params)
    else:
        wide = [_wide(x, m, size) for x, m in zip(inputs, mask, strict=True)]
        programs = {
            key: batch(p, size, (True,) * len(p.inputs), (True,) * len(p.outputs))[0]
            for key, p in params.items()
            if isinstance(p, Program)
        }
        made = implicit_op(*wide, **{**params, **programs})
    return as_tuple(made), (True,) * len(equation.outputs)


def _wide(x, is_batched: bool, size: int):
    if is_batched:
        return x
    return add_batch_axis(x, size) if type(x) is Traced else broadcast(x, shape=(size,), axes=())


def lane_by_lane(op: Op, size: int, inputs, batched, params):
    """An operation on each example by itself, as a loop."""
    fixed = [x for x, m in zip(inputs, batched, strict=True) if not m]
    rows = [x for x, m in zip(inputs, batched, strict=True) if m]
    types = [x.type for x in fixed] if all(type(x) is Traced for x in fixed) else None
    if types is None:
        return lane_by_lane(
            op, size, [_wide(x, m, size) for x, m in zip(inputs, batched, strict=True)],
            (True,) * len(inputs), params,
        )  # fmt: skip
    held, moving = fresh(types), fresh([x.type.with_shape(x.type.shape[1:]) for x in rows])
    sources = (iter(held), iter(moving))
    operands = tuple([next(sources[bool(m)]) for m in batched])
    out = fresh(op.type_rule(*[v.type for v in operands], **params))
    body = Program([*held, *moving], [Equation(op, operands, params, tuple(out))], out)
    return scan_op(
        *fixed, *rows, body=body, constants=len(fixed), carries=0, length=size, reverse=False
    )


implicit_op = Op(
    "implicit", _type, _evaluate, Structural(_forward, _split, None), _batch,
    doc="the x that a program finds, with the derivative of the equation that it solves",
)  # fmt: skip


# --- a system with its matrix ---------------------------------------------------------------------


def _matrix_type(a, b, *, adjoint, name):
    return (b,)


def _solve_matrix(a, b, *, adjoint, name):
    try:
        made = solve.evaluate(a, b, adjoint=adjoint, raises=True)
    except np.linalg.LinAlgError:
        raise _singular(name) from None
    return made


def _singular(name: str) -> errors.SingularJacobian:
    return errors.SingularJacobian(
        f"the solution of {name} has no derivative: the Jacobian of its equations by the "
        "unknowns is singular there, so that the solution is not unique or moves without "
        "bound.\n  Give as many independent equations as unknowns, or use lstsq or argmin of "
        "a sum that has one minimum."
    )


def _solve_matrix_tangent(inputs, outputs, tangents, *, adjoint, name):
    (a, _), (x,), (da, _) = inputs, outputs, tangents
    moved = product(_adjoint_if(adjoint, da), x)
    return negative(jacobian_solve(a, moved, adjoint=adjoint, name=name))


def _adjoint_if(wanted: bool, a):
    return adjoint(a) if wanted else a


jacobian_solve: Op = Op(
    "jacobian_solve", _matrix_type, _solve_matrix,
    Linear(
        lambda ct, a, b, *, adjoint, name: (
            None, jacobian_solve(a, ct, adjoint=not adjoint, name=name)),
        positions=(1,), forward=_solve_matrix_tangent),
    batch_all(lambda: jacobian_solve), flops=solve.flops,
    doc="as `solve`; a singular matrix is reported as the Jacobian of `name`",
)  # fmt: skip


# --- a system without its matrix ------------------------------------------------------------------


def _krylov_type(b, *residuals, forward, transposed, moved, symmetric, name):
    check_types(f"the linear half of {name} takes", forward.in_types, (*residuals, b))
    return (b,)


def _krylov(b, *residuals, forward, transposed, moved, symmetric, name):
    linalg = import_module("scipy.sparse.linalg")
    run = plan(forward)
    size = b.size

    def times(v):
        return run([*residuals, np.reshape(v, b.shape).astype(b.dtype)])[0].ravel()

    operator = linalg.LinearOperator((size, size), matvec=times, dtype=b.dtype)
    tolerance = 100 * float(np.finfo(b.dtype).eps)
    for method in ("cg", "gmres") if symmetric else ("gmres",):
        options = {"restart": min(size, 100)} if method == "gmres" else {}
        with np.errstate(all="ignore"):
            found, _ = getattr(linalg, method)(
                operator, b.ravel(), rtol=tolerance, atol=0.0, maxiter=10 * size, **options
            )
            left = np.max(np.abs(times(found) - b.ravel()), initial=0.0)
        if left <= 1e3 * np.sqrt(size) * tolerance * max(np.max(np.abs(b), initial=0.0), 1e-300):
            return found.reshape(b.shape).astype(b.dtype)
    raise errors.SingularJacobian(
        f"the derivative of the solution of {name} could not be computed: the linear system with "
        f"the Jacobian of its {size} equations did not converge (it is singular, or nearly so).\n"
        "  Scale the equations, or give as many independent equations as unknowns."
    )


def _krylov_transpose(ct, b, *residuals, forward, transposed, moved, symmetric, name):
    back = krylov_solve(
        ct, *residuals, forward=transposed, transposed=forward, moved=moved[::-1],
        symmetric=symmetric, name=name,
    )  # fmt: skip
    return (back, *(None for _ in residuals))


def _krylov_tangent(inputs, outputs, tangents, *, forward, transposed, moved, symmetric, name):
    """dx = -A^-1 (dA x): what the residuals' tangents do to A x at the x that was found."""
    _, *residuals = inputs
    (x,) = outputs
    given = [
        tangent_or_zeros(t, p)
        for t, p in zip(tangents[1:], residuals, strict=True)
        if np.dtype(p.dtype).kind in "fc"
    ]
    (change,) = inline(moved[0], [*residuals, x, *given])
    return negative(krylov_solve(
        change, *residuals, forward=forward, transposed=transposed, moved=moved,
        symmetric=symmetric, name=name,
    ))  # fmt: skip


krylov_solve: Op = Op(
    "krylov_solve", _krylov_type, _krylov,
    Linear(_krylov_transpose, positions=(0,), forward=_krylov_tangent),
    lambda size, inputs, batched, **params: lane_by_lane(
        krylov_solve, size, inputs, batched, params),
    doc="x with forward(x) = b, by Krylov methods; `transposed` is the adjoint, `moved` both their "
    "derivatives by the residuals",
)  # fmt: skip
