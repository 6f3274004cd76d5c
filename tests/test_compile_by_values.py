"""compile of functions that ask for more of arrays than conditions and whole numbers.

No program serves two calls of them: each is traced with all values at hand, and evaluated.
"""

import warnings

import numpy as np
import pytest
from scipy import integrate, linalg

import chainrule as cr
from chainrule import errors

pytestmark = pytest.mark.filterwarnings("ignore:.*traced and evaluated:RuntimeWarning")


def distinct(x):
    return np.unique(x) * 2.0


def test_each_call_has_its_own_values_and_shapes():
    f = cr.compile(distinct)
    for x in ([3.0, 1.0, 3.0], [1.0, 2.0, 4.0], [5.0, 5.0, 5.0]):
        np.testing.assert_array_equal(f(np.array(x)), distinct(np.array(x)))


def test_as_often_as_an_array_says():
    f = cr.compile(lambda x, n: np.repeat(x, n))
    for n in ([1, 2], [0, 3]):
        np.testing.assert_array_equal(f(np.ones(2), np.array(n)), np.ones(3))


def test_derivatives_of_what_is_chosen_by_values():
    ones = np.ones(2)
    f = cr.compile(cr.grad(lambda a: np.sum(linalg.lu_solve(linalg.lu_factor(a), ones))))
    for a in ([[2.0, 1.0], [1.0, 3.0]], [[1.0, 4.0], [5.0, 1.0]]):
        solved = np.linalg.inv(a)
        slope = -np.outer(solved.T @ ones, solved @ ones)
        np.testing.assert_allclose(f(np.array(a)), slope, rtol=1e-13)


def test_an_integral_is_that_of_each_call():
    f = cr.compile(cr.value_and_grad(lambda a: integrate.quad(lambda x: np.exp(a * x), 0, 1)[0]))
    for a in (0.5, -2.0):
        value, slope = np.expm1(a) / a, (np.exp(a) * (a - 1) + 1) / a**2
        np.testing.assert_allclose(f(a), (value, slope), rtol=1e-10)


def test_the_warning_names_the_call_and_the_line_and_comes_once():
    f = cr.compile(distinct)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(3):
            f(np.ones(3))
    assert [w.category for w in said] == [RuntimeWarning]
    assert said[0].filename == __file__
    assert "distinct is not compiled for these arguments" in str(said[0].message)
    assert "depends on the value of x, at test_compile_by_values" in str(said[0].message)


def test_explain_says_why():
    report = cr.explain(cr.compile(distinct), np.ones(3))
    assert "np.unique(x) depends on the value of x" in report.fallbacks[0]


def test_what_is_written_is_written_once():
    def count(x, seen):
        x /= np.unique(x).size
        seen["calls"] += 1
        seen["last"] = x[0]

    x, seen = np.array([1.0, 3.0, 3.0]), {"calls": 0, "last": 0.0}
    f = cr.compile(count)
    f(x, seen)
    np.testing.assert_array_equal(x, [0.5, 1.5, 1.5])
    assert seen == {"calls": 1, "last": 0.5}
    f(x, seen)
    np.testing.assert_array_equal(x, [0.25, 0.75, 0.75])
    assert seen == {"calls": 2, "last": 0.25}


def test_draws_are_those_of_the_function():
    def sizes(rng, x):
        return rng.normal() + np.unique(x).size, rng.normal()

    one, other = cr.random.Generator(3), cr.random.Generator(3)
    f, x = cr.compile(sizes), np.array([1.0, 1.0])
    for _ in range(2):
        assert f(one, x) == sizes(other, x)
    np.testing.assert_array_equal(one.state, other.state)


def test_what_compile_was_asked_for_holds():
    f = cr.compile(lambda x: np.log(np.unique(x)), check="nan")
    np.testing.assert_array_equal(f(np.array([1.0, 1.0])), [0.0])
    with pytest.raises(errors.NotANumber, match=r"test_compile_by_values.py"):
        f(np.array([0.0, 1.0]))
    g = cr.compile(cr.grad(lambda x: np.sum(np.maximum(np.unique(x), 0.0))), kinks="raise")
    with pytest.raises(errors.NotDifferentiable):
        g(np.array([0.0, 1.0]))


def test_other_signatures_are_compiled():
    def either(x):
        return np.unique(x) if x.size > 2 else x * 2.0

    f = cr.compile(either)
    f(np.ones(3))
    f(np.ones(2))
    assert f.trace_of(np.ones(3))[0].evaluated and not f.trace_of(np.ones(2))[0].evaluated
    assert cr.explain(f, np.ones(2)).fallbacks == ()


def test_values_in_a_body_that_is_traced_once_are_refused():
    f = cr.compile(lambda x: cr.fori_loop(0, 2, lambda i, y: y + np.unique(y).size, x))
    with pytest.raises(errors.ConcreteValueNeeded, match=r"test_compile_by_values.py"):
        f(np.ones(2))


def test_a_text_of_a_value_is_that_of_each_call():
    def f(x):
        total = np.sum(x)
        return total, f"{total:.2f} of {x}"

    compiled = cr.compile(f)
    with pytest.warns(RuntimeWarning, match=r"format\(x, spec\) needs the value"):
        assert compiled(np.ones(3)) == (3.0, "3.00 of [1. 1. 1.]")
    assert compiled(np.full(3, 2.0)) == (6.0, "6.00 of [2. 2. 2.]")


def test_a_text_without_a_format_shows_what_is_known():
    shown = []
    compiled = cr.compile(lambda x: (shown.append(f"{x}"), x)[1])
    assert compiled(np.ones(3)).sum() == 3.0 and shown == ["Traced(f64[3])"]
