"""cr.compile where Python decides by data: one program for each way through the function."""

import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule import backends, errors
from tests.test_compile import compiled


@pytest.fixture(autouse=True, params=["evaluator", "native"])
def backend(request, monkeypatch):
    monkeypatch.setattr(backends, "chosen", request.param)


def pieces(x):
    total = 0.0
    for v in x:
        if v > 0:
            total = total + v * v
        elif v < -1:
            total = total - 3 * v
    return total


POINTS = [[0.5, 2.0], [0.5, -2.0], [-0.5, -2.0], [0.7, 0.1], [-2.0, 0.3], [0.1, 0.2], [3.0, -4.0]]


# --- ways -----------------------------------------------------------------------------------------


def test_each_way_is_traced_once_and_found_again():
    f, counted = compiled(pieces)
    for x in map(np.array, POINTS + POINTS[::-1]):
        assert f(x) == pytest.approx(pieces(x), rel=1e-15)
    traced = counted.count
    for x in map(np.array, POINTS):
        f(1.5 * x + 0.0)
    assert counted.count == traced
    assert sum(map(len, f._traces.values())) == 4


@pytest.mark.parametrize("derived", [cr.grad, cr.jacobian, cr.hessian])
def test_derivatives_of_each_way(derived):
    f = cr.compile(derived(pieces))
    for x in map(np.array, POINTS + POINTS):
        np.testing.assert_allclose(f(x), derived(pieces)(x), rtol=1e-15)


def test_a_loop_until_it_converges():
    def root(a):
        x = a
        while np.max(np.abs(x * x - a)) > 1e-12:
            x = 0.5 * (x + a / x)
        return np.sum(x)

    f, slope = cr.compile(root), cr.compile(cr.grad(root))
    for scale in (1.0, 1.3, 8.0, 1.1, 100.0):
        a = scale * np.array([1.0, 2.0])
        assert f(a) == pytest.approx(np.sum(np.sqrt(a)), rel=1e-12)
        np.testing.assert_allclose(slope(a), 0.5 / np.sqrt(a), rtol=1e-6)


def test_numbers_that_vary_have_ways_and_the_first_has_its_own_trace():
    f, counted = compiled(lambda x: np.sin(x) if x > 1.0 else x * x)
    assert f(2.0) == np.sin(2.0)
    for x in (3.0, 0.5, 0.25, 2.0, -1.0, 7.0):
        assert f(x) == pytest.approx(np.sin(x) if x > 1.0 else x * x, rel=1e-15)
    assert counted.count == 3


def test_whole_numbers_of_arrays_may_be_shapes_and_counts():
    f, counted = compiled(lambda x, n: [x for _ in range(n[0])])
    for n in (3, 1, 3, 2, 1):
        assert f(1.5, np.array([n])) == [1.5] * n
    assert counted.count == 4  # at first without the values of arrays


def test_what_is_decided_by_a_gradient():
    def descent(x):
        for _ in range(100):
            slope = cr.grad(lambda y: np.sum((y - 1.0) ** 2))(x)
            if np.linalg.norm(slope) < 1e-3:
                break
            x = x - 0.3 * slope
        return x

    f = cr.compile(descent)
    for start in (np.zeros(2), np.full(2, 5.0), np.ones(2), np.array([0.1, 0.2])):
        np.testing.assert_allclose(f(start), descent(start), rtol=1e-12)


def test_arrays_that_are_reached_through_names_decide_by_what_they_hold_now():
    held = np.array([1.0, 2.0])

    def f(x):
        return x * held if np.sum(x * held) > 0 else x - held

    g = cr.compile(f)
    x = np.array([3.0, 4.0])
    for first in (1.0, -5.0, 2.0, -7.0):
        held[0] = first
        assert np.array_equal(g(x), f(x))


def test_a_draw_decides():
    def walk(rng, n):
        place = 0.0
        for _ in range(n):
            if rng.random() < 0.5:
                place = place + 1.0
        return place

    f = cr.compile(walk)
    ours, theirs = cr.random.Generator(7), cr.random.Generator(7)
    found = [float(f(ours, 3)) for _ in range(20)]
    assert found == [walk(theirs, 3) for _ in range(20)]


# --- what a call does -----------------------------------------------------------------------------


def test_what_is_written_is_written_once():
    def update(w, log, x):
        if np.sum(x) > 0:
            w += x
        else:
            w[0] = 5.0
            log.append(w[1])
        return np.sum(w)

    f = cr.compile(update)
    w, log = np.zeros(3), []
    plain, wanted = np.zeros(3), []
    for x in (np.ones(3), -np.ones(3), np.ones(3), -np.ones(3), np.full(3, 2.0)):
        assert f(w, log, x) == update(plain, wanted, x)
        assert np.array_equal(w, plain)
        assert log == wanted


def test_errors_of_the_function_and_of_its_operations():
    def f(a, n):
        if n[0] > 3:
            raise ValueError("too many")
        if n[0] > 0:
            return np.linalg.solve(a, a[:, 0])
        return a[0]

    g = cr.compile(f)
    singular, regular = np.ones((2, 2)), np.array([[2.0, 1.0], [1.0, 3.0]])
    assert np.array_equal(g(singular, np.array([0])), singular[0])
    np.testing.assert_allclose(g(regular, np.array([1])), [1.0, 0.0], atol=1e-15)
    with pytest.raises(np.linalg.LinAlgError):
        g(singular, np.array([1]))
    with pytest.raises(ValueError, match="too many"):
        g(regular, np.array([4]))
    assert np.array_equal(g(singular, np.array([0])), singular[0])


def test_check_looks_at_the_way_that_is_gone():
    def f(x):
        return np.log(x) if np.all(x > 0) else x

    g = cr.compile(f, check="nan")
    assert np.array_equal(g(np.ones(2)), np.zeros(2))
    assert np.array_equal(g(-np.ones(2)), -np.ones(2))
    assert np.array_equal(g(np.ones(2)), np.zeros(2))


def test_where_rounding_decides_the_result_is_that_of_the_trace():
    def f(x):
        return np.sum(x) * 0.0 + (1.0 if np.sum(x) > 0 else -1.0)

    g, rng = cr.compile(f), np.random.default_rng(0)
    for _ in range(60):
        x = rng.normal(size=300)
        x = np.append(x, -np.sum(x))  # whose sum is a matter of its order
        assert abs(g(x)) == 1.0


# --- ties -----------------------------------------------------------------------------------------


def kinked(x):
    return 2.0 * x[0] + x[1] if x[0] > 0 else -x[0] + x[1]


def test_a_tie_has_the_mean_of_both_sides_after_either():
    f = cr.compile(cr.grad(kinked))
    for x, wanted in [(1.0, 2.0), (0.0, 0.5), (-1.0, -1.0), (0.0, 0.5), (3.0, 2.0), (-0.0, 0.5)]:
        assert np.array_equal(f(np.array([x, 1.0])), [wanted, 1.0])
    assert sum(map(len, f._traces.values())) == 2


def test_a_tie_is_as_the_option_says():
    raising = cr.compile(cr.grad(kinked, kinks="raise"))
    usual = cr.compile(cr.grad(kinked), kinks="convention")
    assert np.array_equal(raising(np.array([-1.0, 1.0])), [-1.0, 1.0])
    with pytest.raises(errors.NotDifferentiable):
        raising(np.array([0.0, 1.0]))
    assert np.array_equal(usual(np.array([0.0, 1.0])), [-1.0, 1.0])


def test_a_tie_behind_other_conditions():
    def f(x):
        return x[0] ** 2 if np.any((x > 1.0) & (x < 2.0)) or np.max(x) == 3.0 else x[0]

    g = cr.compile(cr.grad(f))
    for x in ([0.5, 0.5], [1.5, 0.0], [1.0, 0.0], [2.0, 0.0], [0.5, 1.5], [3.0, 0.5], [0.5, 0.5]):
        assert np.array_equal(g(np.array(x)), cr.grad(f)(np.array(x)))


# --- many ways ------------------------------------------------------------------------------------


def halvings(x):
    n = 0
    while x > 1:
        x = x / 2
        n += 1
    return x * n


def test_too_many_ways_are_evaluated_and_said_once():
    f = cr.compile(halvings)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(2):
            for k in range(24):
                x = 2.0**k + 0.1
                assert f(np.array(x)) == halvings(x)
    assert sum(map(len, f._traces.values())) == 16
    assert [w.category for w in said] == [RuntimeWarning]
    assert "test_compile_deciding.py:" in str(said[0].message)
    assert said[0].filename == __file__


def test_what_is_decided_is_explained(monkeypatch):
    monkeypatch.setattr(backends, "chosen", "native")
    f = cr.compile(cr.grad(kinked))
    report = cr.explain(f, np.array([-1.0, 1.0]))
    assert len(report.decided) == 1
    assert report.decided[0].endswith(": False")
    assert "where Python decides:" in report.text()
    report = cr.explain(f, np.array([0.0, 1.0]))
    assert "a tie" in report.fallbacks[0]
