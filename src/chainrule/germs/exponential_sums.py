"""Softmax and its relatives: by the derivative rule, or written out where entries diverge."""

from __future__ import annotations

from chainrule.germs.evaluation import RULES, Run, rule
from chainrule.germs.linear import linear
from chainrule.germs.logarithms import exponential, logarithm
from chainrule.germs.series import Germ, add, divide
from chainrule.germs.smooth import smooth
from chainrule.ops.shape import kept_axes
from chainrule.program.op import REGISTRY
from chainrule.program.program import Equation, Var


@rule("softmax", "softmax_shares", "log_softmax", "logsumexp")
def _softmax(run: Run, equation: Equation, inputs: list):
    (x,) = inputs
    if not (run.met_logarithm or (x.order < 0).any()):
        return smooth(run, equation, inputs)
    name, axes = equation.op.name, equation.params["axes"]
    reduced = x.type.with_shape(tuple(x.shape[a] for a in kept_axes(len(x.shape), axes)))
    largest = _apply(run, "max", x, reduced, axes=axes)
    spread = {"shape": x.shape, "axes": kept_axes(len(x.shape), axes)}
    beside = add(x, _apply(run, "broadcast", largest, x.type, **spread).negated, x.type)
    powers = exponential(run, beside)
    total = _apply(run, "sum", powers, reduced, axes=axes)
    if name == "logsumexp":
        return add(largest, logarithm(run, total), reduced)
    if name == "log_softmax":
        logarithms = _apply(run, "broadcast", logarithm(run, total), x.type, **spread)
        return add(beside, logarithms.negated, x.type)
    return divide(powers, _apply(run, "broadcast", total, x.type, **spread), x.type)


def _apply(run: Run, name: str, x: Germ, type_, **params) -> Germ:
    """One more operation on a germ."""
    op = REGISTRY[name]
    equation = Equation(op, (Var(x.type),), params, (Var(type_),))
    return RULES.get(name, linear)(run, equation, [x])
