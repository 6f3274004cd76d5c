"""explain: what a derivative keeps, what it makes again, and what it allocates."""

import numpy as np
import pytest

import chainrule as cr
from tests.transforms.test_checkpoint_memory import network


def test_a_gradient_under_a_budget_is_explained_with_its_measured_peak():
    loss, weights, biases, unit = network(12, 32, 4000)
    free = cr.explain(cr.grad(loss, (0, 1)), weights, biases)
    lean = cr.explain(cr.grad(loss, (0, 1), memory=8 * unit), weights, biases)
    for plan in (free, lean):
        assert abs(plan.predicted - plan.measured) <= 0.05 * plan.measured
    assert lean.predicted <= 8 * unit < free.predicted
    products = [r for r in lean.again if r.op == "contract"]
    assert sum(r.times for r in products) >= 5 and lean.flops_again < 0.35 * lean.flops
    assert not any(r.op == "contract" for r in free.again)
    assert sum(r.times for r in free.kept if r.type == "f64[4000,32]") <= 14
    assert all("test_checkpoint_memory.py:" in r.lines for r in lean.kept)


def test_the_plan_prints_as_text_and_html():
    loss, weights, biases, unit = network(6, 32, 4000)
    plan = cr.explain(cr.grad(loss, memory=6 * unit), weights, biases)
    text = str(plan)
    assert text.startswith("loss\n\nallocated at most: ") and " predicted, " in text
    assert "kept for the backward part:\n" in text and "made again:\n" in text
    assert " x contract  f64[4000,32]" in text and "more flops than without" in text
    assert "<h3>loss</h3>" in plan._repr_html_() and "made again:" in plan.html()


def test_a_compiled_gradient_has_a_memory_plan_too():
    loss, weights, biases, unit = network(12, 32, 4000)
    compiled = cr.compile(cr.grad(loss, (0, 1)), memory=8 * unit)
    report = cr.explain(compiled, weights, biases, runs=1)
    plan = report.memory
    assert plan.predicted == report.arena + report.outputs <= 8 * unit
    assert abs(plan.predicted - plan.measured) <= 0.05 * plan.measured
    assert any(r.op == "contract" for r in plan.again)
    assert "made again:" in report.text() and "made again:" in report.html()
    assert cr.explain(compiled).memory.measured is None


def test_arguments_are_copied_for_the_measuring_run():
    def step(weights):
        weights -= cr.grad(lambda w: np.sum(np.tanh(w) ** 2))(weights)

    weights = np.ones(50000)
    assert cr.explain(step, weights).measured > 0
    assert (weights == 1).all()


def test_a_function_without_a_derivative_is_refused():
    with pytest.raises(TypeError, match="computes a derivative"):
        cr.explain(np.sum, np.ones(3))
    with pytest.raises(TypeError, match="a function"):
        cr.explain(3)
