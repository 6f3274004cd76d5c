"""accuracy: trusted digits of results and derivatives, and the line that lost them."""

import numpy as np

import chainrule as cr


def test_a_cancellation_is_measured_and_its_line_named():
    def f(x):
        a = np.cos(x)
        b = 1.0 - a
        return b / x**2

    x = 1e-4
    report = cr.accuracy(f, x)
    true = 0.5 - x**2 / 24
    wanted = -np.log10(abs(f(x) - true) / true)
    assert abs(report.results[0].digits - wanted) < 0.1
    assert "subtract" in report.results[0].lost_at
    assert "test_accuracy.py" in report.results[0].lost_at
    assert "subtract" in repr(report)


def test_a_stable_function_has_all_its_digits():
    report = cr.accuracy(lambda x: np.sum(x * x), np.array([1.0, 2.0, 3.0]))
    assert report.results[0].worst > 15.5
    assert report.results[0].lost_at is None
    assert report.derivatives[0].worst > 15.5


def test_an_overflow_leaves_no_digits():
    report = cr.accuracy(lambda x: np.exp(x) / np.exp(x - 1.0), 1000.0)
    assert report.results[0].worst == 0.0


def test_each_result_and_argument_is_listed():
    report = cr.accuracy(lambda x, y: (x * y, x - y), np.array([1.0, 2.0]), 0.5)
    assert len(report.results) == 2
    assert {part.name for part in report.derivatives} == {
        "derivative by argument 0[0]", "derivative by argument 0[1]",
        "derivative by argument 1[0]", "derivative by argument 1[1]",
    }  # fmt: skip
    assert report.results[0].digits.shape == (2,)
