"""Formulas that lose their digits: value and derivative against mpmath where they do.

The truth is the formula itself at 800 digits; derivatives are differences at that precision.
"""

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.wide import repair

mp = mpmath.mp

FORMULAS = {
    "difference of roots": (
        lambda x: np.sqrt(x + 1) - np.sqrt(x), lambda x: mp.sqrt(x + 1) - mp.sqrt(x),
        [2.0, 1e5, 1e12, 1e100, 1e-30]),
    "one minus cosine": (
        lambda x: (1 - np.cos(x)) / x**2, lambda x: (1 - mp.cos(x)) / x**2,
        [1.0, 1e-3, 1e-9, 1e-100]),
    "exponential quotient": (
        lambda x: np.exp(x) / (np.exp(x) - 1), lambda x: mp.exp(x) / (mp.exp(x) - 1),
        [1.0, 1e-12, 800.0, -50.0]),
    "compound interest": (
        lambda x: (1 + 1 / x) ** x, lambda x: (1 + 1 / x) ** x, [3.0, 1e8, 1e15, 1e25]),
    "root of a square": (lambda x: np.sqrt(x * x), abs, [1e-200, 3.0, 1e200, -1e180]),
    "logarithm of a sum of exponentials": (
        lambda x: np.log(np.exp(x) + np.exp(2 * x)), lambda x: mp.log(mp.exp(x) + mp.exp(2 * x)),
        [1.0, 600.0, -900.0]),
    "rational with a hidden root": (
        lambda x: (x * x - 2.0) / (x - np.sqrt(2.0)),
        lambda x: (x * x - 2) / (x - mp.mpf(np.sqrt(2.0))), [1.5, 1.4142135, 1.41421356237309]),
    "sine of a large angle": (
        lambda x: np.sin(x * x) * np.exp(-x), lambda x: mp.sin(x * x) * mp.exp(-x), [1e2, 30.1]),
    "expansion about a point": (
        lambda x: x**3 - 3 * x**2 + 3 * x - 1, lambda x: (x - 1) ** 3, [1.0001, 1 + 1e-8, 0.5]),
    "tangent minus sine": (
        lambda x: (np.tan(x) - np.sin(x)) / x**3, lambda x: (mp.tan(x) - mp.sin(x)) / x**3,
        [1e-2, 1e-7, 1.0]),
    "arc cosine near 1": (
        lambda x: np.arccos(1 - x), lambda x: mp.acos(1 - x), [1e-20, 1e-9, 0.5]),
    "branch": (
        lambda x: np.where(x > 1e-3, np.log(1 + x) / x, 1 - x / 2),
        lambda x: mp.log(1 + x) / x if x > 1e-3 else 1 - x / 2, [2e-3, 1e-5, 5.0]),
}  # fmt: skip


def truth(formula, x):
    """The value and the derivative, to some hundred digits."""
    with mpmath.workdps(800):
        x = mp.mpf(x)
        h = abs(x) * mp.mpf(10) ** -250
        slope = (formula(x + h) - formula(x - h)) / (2 * h)
        return float(formula(x)), float(slope)


@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_derivative_are_good_at_every_point(name):
    formula, reference, points = FORMULAS[name]
    for x in points:
        value, slope = cr.value_and_grad(formula)(x)
        wanted = truth(reference, x)
        np.testing.assert_allclose([value, slope], wanted, rtol=2e-14, err_msg=f"{name} at {x}")
        _, moved = cr.jvp(formula, (x,), (1.0,))
        np.testing.assert_allclose(moved, wanted[1], rtol=2e-14)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_batch_is_repaired_entry_by_entry(name):
    formula, reference, points = FORMULAS[name]
    points = np.array(points * 3)
    found = cr.vmap(cr.grad(formula))(points)
    wanted = [truth(reference, x)[1] for x in points]
    np.testing.assert_allclose(found, wanted, rtol=2e-14)
    summed = cr.grad(lambda x: np.sum(formula(x)))(points)
    np.testing.assert_allclose(summed, wanted, rtol=2e-14)


def test_second_derivatives_are_repaired():
    slope = cr.grad(cr.grad(lambda x: (np.exp(x) - 1) / x))
    for x in (1e-7, 1e-3, 2.0):
        with mpmath.workdps(200):
            wanted = mpmath.diff(lambda t: (mp.exp(t) - 1) / t, mp.mpf(x), 2)
        np.testing.assert_allclose(slope(x), float(wanted), rtol=1e-14)


def test_quadratic_roots():
    def root(a, b, c):
        return (-b + np.sqrt(b * b - 4 * a * c)) / (2 * a)

    for a, b, c in [(1e-8, 1e8, 1.0), (1.0, 1e200, 1.0), (3.0, -4.0, 1.0)]:
        value, slopes = cr.value_and_grad(root, (0, 1, 2))(a, b, c)
        with mpmath.workdps(900):
            A, B, C = map(mp.mpf, (a, b, c))
            d = mp.sqrt(B * B - 4 * A * C)
            x = (-B + d) / (2 * A)
            wanted = [float(-(x**k) / d) for k in (2, 1, 0)]
            np.testing.assert_allclose(value, float(x), rtol=1e-14)
        np.testing.assert_allclose(slopes, wanted, rtol=1e-14, atol=5e-324)


def test_variance_of_numbers_with_a_large_mean():
    x = 1e8 + np.arange(5.0)
    value, slope = cr.value_and_grad(lambda x: np.mean(x**2) - np.mean(x) ** 2)(x)
    assert value == 2.0
    np.testing.assert_allclose(slope, 2 * (np.arange(5.0) - 2) / 5, rtol=1e-15)


def test_sums_and_products_of_tiny_and_huge_numbers():
    def spread(x):
        return np.sqrt(np.mean(x**2) - np.mean(x) ** 2)

    for scale in (1e-200, 1.0, 1e200):
        x = scale * np.array([1.0, 3.0, -0.1])
        with mpmath.workdps(60):
            exact = [mp.mpf(v) for v in x]
            mean = mp.fsum(exact) / 3
            wanted = float(mp.sqrt(mp.fsum((v - mean) ** 2 for v in exact) / 3))
            slopes = [float((v - mean) / 3 / mp.mpf(wanted)) for v in exact]
        value, slope = cr.value_and_grad(spread)(x)
        np.testing.assert_allclose(value, wanted, rtol=1e-15)
        np.testing.assert_allclose(slope, slopes, rtol=1e-14)
        np.testing.assert_allclose(cr.compile(spread)(x), wanted, rtol=1e-15)


def test_running_sums_that_cancel():
    def last(x):
        return np.cumsum(x)[-1] - x[0] - x[1]

    x = np.array([1e20, 1.0, -3.0])
    assert cr.value_and_grad(last)(x)[0] == -3.0
    assert cr.compile(last)(x) == -3.0


def test_loops_are_entered():
    def series(x):  # e**x by its series, for negative x
        def step(carry, k):
            total, term = carry
            term = term * x / (k + 1.0)
            return (total + term, term), None

        (total, _), _ = cr.scan(step, (1.0, 1.0), np.arange(200.0))
        return total

    for x in (-1.0, -30.0):
        value, slope = cr.value_and_grad(series)(x)
        np.testing.assert_allclose([value, slope], np.exp(x), rtol=4e-14)


def test_a_point_that_is_undefined_stays_so():
    value, _ = cr.value_and_grad(lambda x: (x - 1.0) / (x - 1.0))(1.0)
    assert np.isnan(value)
    assert cr.grad(lambda x: np.log(x))(0.0) == np.inf
    assert np.isnan(cr.grad(lambda x: np.sqrt(x))(-1.0))


def two_sum(x):
    s = x + 1e-20
    rest = s - x
    return (x - (s - rest)) + (1e-20 - rest)


def kahan(x):
    total, lost = x, 0.0
    for _ in range(3):
        y = 1e-17 - lost
        t = total + y
        lost = (t - total) - y
        total = t
    return lost


def split(x):
    c = 134217729.0 * x
    return x - (c - (c - x))


def to_whole(x):
    return (x + 6755399441055744.0) - 6755399441055744.0


@pytest.mark.parametrize("formula", [two_sum, kahan, split, to_whole])
def test_error_free_patterns_keep_their_rounding(formula):
    for x in (1.0, 0.1, 3.7):
        value, _ = cr.value_and_grad(formula)(x)
        assert value == formula(x)


def test_without_stabilize_nothing_is_repaired():
    def formula(x):
        return np.sqrt(x + 1) - np.sqrt(x)

    value, _ = cr.value_and_grad(formula, stabilize=False)(1e30)
    assert value == 0.0


def test_harmless_programs_are_not_evaluated_in_wide_arithmetic(monkeypatch):
    def refuse(*_):
        raise AssertionError("evaluated in wide arithmetic")

    monkeypatch.setattr(repair, "settled", refuse)
    rng = np.random.default_rng(5)
    x = rng.standard_normal(50)
    cr.grad(lambda x: np.sum((x - x.mean()) ** 2))(x)
    cr.grad(lambda x: np.sum(np.tanh(x) * x + np.maximum(x, 0.0)))(x)
    cr.grad(lambda a: a * 0.5 - np.sin(a))(2.0)
    cr.grad(lambda x: np.sqrt(x * x + 1.0) - x)(0.5)
    cr.hessian(lambda x: np.sum(x**4) - np.prod(x[:3]))(x)


def test_networks_and_long_programs_are_not_watched():
    def network(w):
        return np.sum(np.tanh(np.ones((64, 64)) @ w) ** 2)

    def long(x):
        for _ in range(500):
            x = x * 0.5 + np.sin(x)
        return x

    for f, x in ((network, np.ones((64, 64))), (long, 1.0)):
        program = cr.trace(f, x)
        assert repair.watch(program) is None


def test_pullbacks_and_linear_maps_are_repaired_from_the_inputs_on():
    def f(x):
        return (np.exp(x) - 1) / x

    for x in (1e-7, 1e-12, 2.0):
        with mpmath.workdps(100):
            wanted = float(mpmath.diff(lambda t: (mp.exp(t) - 1) / t, mp.mpf(x)))
        value, pull = cr.vjp(f, x)
        np.testing.assert_allclose(pull(1.0)[0], wanted, rtol=1e-15)
        np.testing.assert_allclose(pull(3.0)[0], 3 * wanted, rtol=1e-15)
        _, moved = cr.linearize(f, x)
        np.testing.assert_allclose(moved(1.0), wanted, rtol=1e-15)


def test_a_pullback_does_not_see_what_is_written_to_its_inputs_later():
    x = np.array([1e-7, 2.0])
    _, pull = cr.vjp(lambda x: (np.exp(x) - 1) / x, x)
    before = pull(np.ones(2))[0]
    x[:] = 5.0
    assert np.array_equal(pull(np.ones(2))[0], before)


def test_a_number_added_to_an_entry_in_place_is_added():
    """In wide arithmetic x[i] += v joined a number and an array without axes: the gradient of a
    loop that reads and writes an array was wrong where it lost digits."""

    def last_sum(x, path):
        path[0] = x
        for i in range(1, 5):
            path[i] = 3.7 * path[i - 1] * (1 - path[i - 1])
        path[1:] *= 2.0
        return path.sum()

    with mpmath.workdps(60):

        def truth(x):
            path = [x]
            for _ in range(4):
                path.append(mp.mpf(3.7) * path[-1] * (1 - path[-1]))
            return path[0] + 2 * sum(path[1:])

        wanted = float(mpmath.diff(truth, mp.mpf(0.3)))
    found = cr.grad(lambda x: last_sum(x, cr.numpy.zeros(5)))(0.3)
    np.testing.assert_allclose(found, wanted, rtol=4e-16)


def test_arguments_of_other_shapes_that_are_not_read_do_not_matter():
    f = lambda x, unused: np.sum((np.exp(x) - 1) / x)
    x = np.array([1e-7, 2.0])
    wanted = cr.grad(lambda x: f(x, None))(x)
    assert np.array_equal(cr.grad(f)(x, np.ones((3, 3))), wanted)


def test_few_bad_entries_of_a_large_array_are_repaired():
    x = np.linspace(0.5, 0.6, 20_000)
    x[[7, 12_345]] = 1e10, 1e-12
    slope = cr.grad(lambda x: np.sum((np.exp(-x) - 1 + x) / x))(x)
    for i in (7, 12_345):
        with mpmath.workdps(60):
            wanted = mpmath.diff(lambda t: (mp.exp(-t) - 1 + t) / t, mp.mpf(x[i]))
        np.testing.assert_allclose(slope[i], float(wanted), rtol=1e-14)


def test_an_exact_zero_that_hides_a_division_by_zero_is_settled():
    """inf * 0 is 0 in a product of derivatives, with all digits, and yet no derivative."""
    assert cr.grad(lambda x: np.cbrt(x) ** 3)(0.0) == 1.0
    hessian = cr.hessian(lambda x: np.std(x) ** 2)(np.full(3, 2.0))
    assert hessian == pytest.approx(2 / 3 * (np.eye(3) - 1 / 3))


def test_many_entries_are_repaired_at_once():
    def f(x):
        return np.where(x < 1e-3, (np.exp(-x) - 1 + x) / x, np.sqrt(x * x + 1) - x)

    x = np.concatenate([np.geomspace(1e-150, 1e-4, 90), np.geomspace(2e-3, 1e150, 90)])
    slope = cr.grad(lambda x: np.sum(f(x)))(x)
    with mpmath.workdps(700):
        for found, at in zip(slope, map(mp.mpf, x), strict=True):
            if at < 1e-3:
                wanted = ((1 - mp.exp(-at)) * at - (mp.exp(-at) - 1 + at)) / at**2
            else:
                wanted = at / mp.sqrt(at * at + 1) - 1
            np.testing.assert_allclose(found, float(wanted), rtol=1e-14, atol=1e-323)


def test_pairs_give_up_where_they_underflow():
    x = np.geomspace(1e-200, 1e-150, 64)
    value = cr.vmap(lambda x: np.sqrt(x * x * 3.0 + x * x) - x)(x)
    np.testing.assert_allclose(value, x, rtol=1e-15)


def test_what_a_derivative_inside_settles_at_a_tie_of_exact_numbers_stays():
    polar = lambda x, y: np.hypot(x, y) * np.sin(np.arctan2(y, x))
    assert cr.compile(cr.grad(polar, (0, 1)))(0.0, 0.0) == pytest.approx((0.0, 1.0))
    lanes = cr.vmap(cr.grad(polar, (0, 1)))(np.zeros(2), np.zeros(2))
    assert np.array(lanes) == pytest.approx(np.array([[0.0, 0.0], [1.0, 1.0]]))


def test_pairs_are_not_taken_where_rules_have_helped_the_floats():
    """The rule for roots keeps digits that its plain form loses, more than pairs have."""
    def root(a, b, c):
        return (-b + np.sqrt(b * b - 3.0 * a * c)) / (3.0 * a)

    a, b, c = np.geomspace(1e-18, 1e-10, 64), np.full(64, 8e11), np.full(64, 7e-16)
    slope = cr.grad(lambda a: np.sum(root(a, b, c)))(a)
    with mpmath.workdps(200):
        big, small = mp.mpf(8e11), mp.mpf(7e-16)
        for found, x in zip(slope, map(mp.mpf, a), strict=True):
            d = mp.sqrt(big * big - 3 * x * small)
            wanted = -small / (2 * d * x) - (-big + d) / (3 * x * x)
            np.testing.assert_allclose(found, float(wanted), rtol=1e-13)


# At each tie one side's slope cancels, which looks like lost digits: 2 x + 1 at x = -1/2.
ORDERS = [
    (lambda x: np.sum(np.sort(x) ** 2) + np.sort(x)[0], [-0.5, 1.0, -0.5], [-0.5, 2.0, -0.5]),
    (lambda x: np.sum(np.partition(x, 1)[:1] ** 2) + x[0], [-0.5, 1.0, -0.5], [0.5, 0.0, -0.5]),
    (lambda x: x[np.argmax(x)] ** 2 + x[0], [-0.5, -0.5, -2.0], [0.5, -0.5, 0.0]),
    (lambda x: x[np.argmin(x)] ** 2 + x[0], [-0.5, -0.5, 2.0], [0.5, -0.5, 0.0]),
    (lambda x: x[np.argsort(x)[0]] ** 2 + x[0], [-0.5, -0.5, 2.0], [0.5, -0.5, 0.0]),
    (lambda x: np.max(x) ** 2 + x[0], [-0.5, -0.5, -2.0], [0.5, -0.5, 0.0]),
    (lambda x: np.take([-1.0, 1.0], np.searchsorted([0.0], x[0])) * x[0] + x[0],
     [0.0, 1.0, 1.0], [1.0, 0.0, 0.0]),
    (lambda x: x[0] * np.copysign(1.0, x[0]) + x[0], [0.0, 1.0, 1.0], [1.0, 0.0, 0.0]),
    (lambda x: 2.0 * x[0] * np.heaviside(x[0], 1.0) - x[0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]),
]  # fmt: skip


@pytest.mark.parametrize(("f", "x", "wanted"), ORDERS)
def test_a_slope_that_cancels_on_one_side_of_a_tie_is_not_repaired(f, x, wanted):
    x = np.array(x)
    assert np.array_equal(cr.grad(f)(x), wanted)
    assert np.array_equal(cr.compile(cr.grad(f))(x), wanted)
    assert np.array_equal([cr.jvp(f, (x,), (e,))[1] for e in np.eye(3)], wanted)


def test_what_is_derived_of_a_series_near_zero_cancels_with_it():
    """The series' coefficients are rounded; the formula that it stands for has none."""
    f = lambda t: (1 - t * np.sin(t) / (2 * (1 - np.cos(t)))) / t**2
    points = np.array([0.3, 1e-2, 1e-4, 1e-7])
    with mp.workdps(80):
        exact = lambda t: (1 - t * mp.sin(t) / (2 * (1 - mp.cos(t)))) / t**2
        wanted = [float(mp.diff(exact, mp.mpf(t), h=mp.mpf(10) ** -25)) for t in points.tolist()]
    slope = cr.grad(f)
    assert [slope(t) for t in points] == pytest.approx(wanted, rel=4e-16)
    assert cr.vmap(slope)(points).tolist() == pytest.approx(wanted, rel=4e-16)
    assert [cr.compile(slope)(t) for t in points] == pytest.approx(wanted, rel=1e-14)
