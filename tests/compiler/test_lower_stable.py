"""Operations of stability, written out for the compiler, equal their values on the evaluator."""

import numpy as np
import pytest

from chainrule.compiler.lower_stable import STABLE
from chainrule.compiler.native import build
from chainrule.program.evaluate import Plan
from chainrule.program.op import REGISTRY
from chainrule.program.trace import Builder, operand
from chainrule.program.types import type_of

_EDGES = np.array([0.0, -0.0, 1e-300, -1e-300, 1e-9, -0.5, 0.5, 30.5, -40.0, 750.0, -750.0, np.inf,
                   -np.inf, np.nan])  # fmt: skip


def _program(op, arrays, params):
    with Builder(op.name) as builder:
        builder.lines_from_user = False
        inputs = [builder.input(type_of(x)) for x in arrays]
        return builder.finish([operand(builder, op(*inputs, **params))])


@pytest.mark.parametrize("name", sorted(STABLE))
def test_native_value_is_the_evaluators(name):
    op = REGISTRY[name]
    over_axes = name in ("log_prod", "safe_norm", "sum_of_others", "log_shares", "other_shares")
    params = {"axes": (1,)} if over_axes else {}
    if name == "series":
        params = {"start": 1, "coefficients": (1.0, 0.5, -0.25)}
    if name == "polynomial":
        params = {"numerators": (0, 3, -5, 0, 1), "denominator": 7}
    if name == "series_near_zero":
        params = {"radius": 0.5, "start": 1, "coefficients": (1.0, 0.5, -0.25)}
    if name == "difference_of_powers":
        params = {"n": 3}
    pairs = name in (
        "difference_of_powers", "root_of_difference",
        "series_near_zero", "far_difference", "exp_sum", "exp_difference", "pow1p",
        "log_times_exp", "log_exp_difference",
    )  # fmt: skip
    x = np.array(np.meshgrid(_EDGES, _EDGES)).reshape(2, -1) if pairs else _EDGES[None]
    arrays = [np.stack([x[0], x[0][::-1], 0.25 * x[0]], 1)] if over_axes else list(x)
    program = _program(op, arrays, params)
    with np.errstate(all="ignore"):
        (wanted,) = Plan(program).run(arrays)
    (found,) = build(program, {}, None).run(arrays)
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("name", [
    "exp_sum", "exp_difference", "pow1p", "log_times_exp", "log_exp_difference",
    "root_of_difference", "far_difference",
])  # fmt: skip
def test_an_operand_may_be_a_number(name):
    op, x = REGISTRY[name], np.array([0.5, 2.0, -3.0])
    for arrange in (lambda x: op(x, 0.25), lambda x: op(0.25, x)):
        with Builder(name) as builder:
            builder.lines_from_user = False
            program = builder.finish([operand(builder, arrange(builder.input(type_of(x))))])
        with np.errstate(all="ignore"):
            (wanted,) = Plan(program).run([x])
        (found,) = build(program, {}, None).run([x])
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
