"""explain: what a compiled function does, as data, text and HTML."""

import numpy as np
import pytest

import chainrule as cr


@cr.compile(stabilize=False)
def loss(w, x):
    return np.sum(np.tanh(x @ w) ** 2)


W, X = np.ones((3, 2)), np.ones((5, 3))


def test_rows_tell_operations_lines_and_costs():
    report = cr.explain(loss, W, X)
    product, loop = report.rows
    assert product.does == "contract" and product.flops == 2 * 5 * 3 * 2
    assert "tanh" in loop.does and "sum over (0, 1)" in loop.does
    assert product.lines == loop.lines == "test_explain.py:11"
    assert report.fallbacks == () and report.arena >= 5 * 2 * 8
    assert report.peak == report.arena + W.nbytes + X.nbytes + 8


def test_latest_call_is_explained_without_arguments():
    loss(W, X)
    assert cr.explain(loss).rows == cr.explain(loss, W, X).rows


def test_time_is_measured_on_copies():
    def update(w, g):
        w -= g

    compiled = cr.compile(update)
    w = np.ones(100)
    report = cr.explain(compiled, w, w + 1, runs=3)
    assert (w == 1).all()
    assert all(row.seconds > 0 and row.calls == 1 for row in report.rows)
    assert "time" in report.text() and "<th>time</th>" in report.html()


def test_what_runs_on_the_evaluator_is_named_with_its_line():
    linalg = pytest.importorskip("scipy.linalg")
    compiled = cr.compile(lambda x: linalg.solve_sylvester(x, x, x) + 1.0)
    report = cr.explain(compiled, np.eye(2))
    assert any("sylvester" in name and "test_explain.py:" in name for name in report.fallbacks)
    assert "on the evaluator:\n" in str(report)


def test_upcasts_are_flagged():
    compiled = cr.compile(lambda x: x / np.sqrt(np.float64(64.0)))
    report = cr.explain(compiled, np.ones(4, np.float32))
    assert any(u.startswith("float32 to float64 (test_explain.py:") for u in report.upcasts)


def test_steps_of_loops_stand_under_the_loop():
    compiled = cr.compile(lambda x: cr.fori_loop(0, 10, lambda i, c: np.cos(c), x))
    rows = cr.explain(compiled, np.ones(3), runs=2).rows
    assert any(r.kind in ("scan", "while") and r.depth == 0 for r in rows)
    assert any(r.depth == 1 and "cos" in r.does and r.calls == 10 for r in rows)


def test_errors_say_what_is_missing():
    with pytest.raises(TypeError, match=r"cr\.compile made"):
        cr.explain(np.sin, 1.0)
    with pytest.raises(ValueError, match="needs arguments"):
        cr.explain(cr.compile(lambda x: x + 1.0))
