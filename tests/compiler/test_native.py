"""Compiled programs against the reference evaluator: every operation, random programs."""

import numpy as np
import pytest
from hypothesis import given, settings

import chainrule as cr
from chainrule.compiler.lower_matrices import MATRICES
from chainrule.compiler.lower_special import FORMULAS
from chainrule.compiler.native import build
from chainrule.program.evaluate import evaluate
from tests.ops.running import both_derivatives, is_smooth, program_of, rows, without_literals
from tests.program.random_programs import arrays_for, programs


def as_inputs(program, values) -> list:
    """Fresh arrays of the program's input types."""
    return [np.array(v, t.dtype, order="C") for v, t in zip(values, program.in_types, strict=True)]


def assert_near(found, wanted, ulps: float) -> None:
    """Equal but for some units in the last place of the largest element; integers exactly."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    if wanted.dtype.kind not in "fc":
        np.testing.assert_array_equal(found, wanted)
        return
    with np.errstate(all="ignore"):
        same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
        error = np.where(same, 0, np.abs(found - wanted))
        size = np.abs(wanted[np.isfinite(wanted)]).max(initial=np.finfo(wanted.dtype).tiny)
    assert np.all(error <= ulps * np.finfo(wanted.dtype).eps * size), (found, wanted)


def agrees(program, values, ulps: float = 16) -> None:
    """Check the native form of a program against the evaluator."""
    wanted = evaluate(program, as_inputs(program, values))
    found = build(program, {}).run(as_inputs(program, values))
    for a, b in zip(found, wanted, strict=True):
        assert_near(a, b, ulps)


@rows(lambda row: row.name not in MATRICES)  # these are other algorithms: test_lower_matrices.py
def test_operation_agrees_with_the_evaluator_on_every_dtype(row):
    own = () if row.name in FORMULAS else row.dtypes  # test_lower_special.py has those of formulas
    for dtype in dict.fromkeys([*own, *("fe" if "d" in row.dtypes and row.op.elementwise
                                        and row.truth is not None else "")]):
        arrays = row.draw(dtype)
        try:
            program = program_of(row, arrays)
        except TypeError:
            continue  # not defined for this dtype
        agrees(program, without_literals(row, arrays), row.ulps or 16)


@pytest.mark.slow
@rows(lambda row: row.name not in MATRICES and is_smooth(row))
def test_derivatives_of_operation_agree_with_the_evaluator(row):
    """Both in one program, which computes once what they share."""
    agrees(*both_derivatives(row), 64)


@settings(max_examples=30)
@given(programs(steps=14))
def test_random_program_agrees_with_the_evaluator(program):
    arrays, closed = arrays_for(program), program.closed()
    wanted = evaluate(closed, as_inputs(closed, arrays))
    found = build(closed, {}).run(as_inputs(closed, arrays))
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@settings(max_examples=30)
@given(programs(steps=14))
def test_random_program_updates_its_inputs_in_place(program):
    arrays, closed = arrays_for(program), program.closed()
    written: dict[int, int] = {}
    for k, out in enumerate(closed.outputs):
        for i, var in enumerate(closed.inputs):
            if out.type is var.type and i not in written.values() and k not in written:
                written[k] = i
    wanted = evaluate(closed, as_inputs(closed, arrays))
    inputs = as_inputs(closed, arrays)
    found = build(closed, written).run(inputs)
    for k, (a, b) in enumerate(zip(found, wanted, strict=True)):
        np.testing.assert_array_equal(inputs[written[k]] if k in written else np.asarray(a), b)
    untouched = set(range(len(inputs))) - set(written.values())
    for i in untouched:
        np.testing.assert_array_equal(inputs[i], arrays[i])


def test_the_gradient_of_a_sum_of_products_needs_no_evaluator():
    @cr.compile
    def f(w, v, x):
        return cr.value_and_grad(lambda w, v: np.sum(np.tanh(x @ w) @ v), (0, 1))(w, v)

    rng = np.random.default_rng(0)
    w, v, x = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=(6, 5))
    value, (dw, dv) = f(w, v, x)
    h = np.tanh(x @ w)
    np.testing.assert_allclose(value, (h @ v).sum(), rtol=1e-13)
    np.testing.assert_allclose(dv, np.repeat(h.sum(axis=0)[:, None], 3, axis=1), rtol=1e-13)
    np.testing.assert_allclose(dw, x.T @ ((1 - h**2) * v.sum(axis=1)), rtol=1e-12)
    assert "on the evaluator: nothing" in str(cr.explain(f))
