"""Implicit functions in germs: the solution of F(a, x) = 0 as a series in s.

The solver is not run in series. From the solution x at s = 0, Newton's method on the residual gains
a term a step, with the Jacobian that holds beside the point: the limit of the one along the germ,
which picks the piece of a kink that x moves to.
"""

from __future__ import annotations

import numpy as np

from chainrule.germs.evaluation import Run, Unsupported, evaluate_in, germ_of, rule
from chainrule.germs.series import Germ, constant
from chainrule.ops.elementwise import subtract
from chainrule.ops.implicit import step_leaves
from chainrule.ops.matrices import product
from chainrule.ops.shape import reshape
from chainrule.program.evaluate import evaluate
from chainrule.program.program import Equation, Program
from chainrule.program.remember import remembered
from chainrule.program.trace import Builder, as_operand, inline

_SMALL = 2.0**-30  # of the solution: what is left of the residual's terms


@rule("implicit")
def _implicit(run: Run, equation: Equation, inputs: list) -> tuple:
    params = equation.params
    jacobian, fixed = params["jacobian"], params["fixed"]
    if jacobian is None:
        raise Unsupported("implicit", "it has many unknowns")
    base = [x.limit() if isinstance(x, Germ) else x for x in inputs]
    found = evaluate(params["solve"], base)
    x = [constant(v, run.window, o.type) for v, o in zip(found, equation.outputs, strict=True)]
    step = _newton_step(params["residual"], jacobian, fixed)
    held = inputs[:fixed]
    for _ in range(run.window + 3):
        (matrix,) = evaluate_in(run, jacobian, [*held, *x])
        limit = matrix.limit() if isinstance(matrix, Germ) else matrix
        try:
            inverse = np.linalg.inv(limit)
        except np.linalg.LinAlgError:
            raise Unsupported("implicit", "its Jacobian is singular") from None
        x = [germ_of(run, v) for v in evaluate_in(run, step, [*held, *x, inverse])]
    (left,) = evaluate_in(run, params["residual"], [*held, *x])
    if not _vanishes(left, x):
        raise Unsupported("implicit", "its series does not settle")
    return tuple(x)


def _vanishes(left, x: list) -> bool:
    """Whether no term of the residual is left but rounding."""
    if not isinstance(left, Germ):
        return True
    size = max(float(np.max(np.abs(v.terms), initial=1.0)) for v in x)
    terms = left.terms[: max(left.window - 1, 1)]
    return bool(np.all(np.abs(terms) <= _SMALL * size) or np.all(left.order >= left.window - 1))


def _step(residual: Program, jacobian: Program, fixed: int) -> Program:
    """[a, x, inverse of the Jacobian] to x - inverse @ F(a, x)."""
    types = [*residual.in_types, jacobian.out_types[0]]
    with Builder(residual.name, reuse=True) as builder:
        builder.lines_from_user = False
        inputs = [builder.input(t) for t in types]
        (left,) = inline(residual, inputs[:-1])
        move = product(inputs[-1], reshape(left, shape=(*left.shape, 1)))
        x = inputs[fixed:-1]
        parts = step_leaves(reshape(move, shape=left.shape), x)
        made = [subtract(v, p) for v, p in zip(x, parts, strict=True)]
        return builder.finish([as_operand(builder, v) for v in made])


_newton_step = remembered(_step)

