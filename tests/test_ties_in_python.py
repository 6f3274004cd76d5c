"""Ties in what Python decides by: an `if`, a whole number, the places of a selection."""

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors
from chainrule.sides import mean_of_sides, side_limits


def knotted(x):
    if x < 2:
        return x**2
    if x == 2:
        return 4.0
    return 4 * x - 4


def relative(x):
    if x == 0:
        return 1.0
    return np.expm1(x) / x


def pulled(f):
    return lambda x: cr.vjp(f, x)[1](1.0)[0]


def pushed(f):
    return lambda x: cr.jvp(f, (x,), (1.0,))[1]


# --- compiled: the value of a number is known, and so is a tie ------------------------------------


@pytest.mark.parametrize("derivative", [
    cr.grad, pulled, pushed, lambda f: cr.jacobian(f, mode="forward"),
    lambda f: lambda x: cr.value_and_grad(f)(x)[1],
])  # fmt: skip
def test_a_compiled_derivative_settles_a_tie_in_a_python_if(derivative):
    for f, points, slopes in [
        (knotted, [2.0, 1.0, 3.0, 2.0], [4.0, 2.0, 4.0, 4.0]),
        (relative, [0.0, 1.0], [0.5, 1.0]),
    ]:
        compiled = cr.compile(derivative(f))
        np.testing.assert_allclose([compiled(x) for x in points], slopes, rtol=1e-12)


def test_a_compiled_second_derivative_settles_a_tie_in_a_python_if():
    assert cr.compile(cr.hessian(relative))(0.0) == pytest.approx(1 / 3, rel=1e-12)


def test_a_compiled_tie_in_a_python_if_beside_an_array_that_moves():
    def f(x, w):
        total = np.sum(w * x)
        return total if x > 0 else 3.0 * total

    w = np.array([1.0, 2.0])
    slope, slopes = cr.compile(cr.grad(f, argnums=(0, 1)))(0.0, w)
    assert slope == 6.0  # between 3 and 9
    assert np.array_equal(slopes, [0.0, 0.0])


def test_lanes_of_sides_are_settled_one_by_one():
    slope = cr.trace(cr.grad(lambda x, w: w * np.abs(x), kinks="convention"), 0.0, 1.0)
    above = lambda x, w: side_limits(x, w, program=slope, moving=(True, False), sign=1)
    below = lambda x, w: side_limits(x, w, program=slope, moving=(True, False), sign=-1)
    x, w = np.array([0.0, 0.0, -1.0]), np.array([2.0, 3.0, 4.0])
    assert np.array_equal(cr.vmap(above)(x, w), [2.0, 3.0, -4.0])
    assert np.array_equal(cr.vmap(below)(x, w), [-2.0, -3.0, -4.0])
    mean = lambda a, b: mean_of_sides(b, a, b, name="f", kinks="exact", line="")
    assert np.array_equal(cr.vmap(mean, in_axes=(0, None))(w, 1.0), [1.5, 2.0, 2.5])


def test_a_compiled_kink_in_a_python_if_raises_where_asked():
    f = lambda x: x if x > 0 else 3.0 * x
    assert cr.compile(cr.grad(f, kinks="raise"))(1.0) == 1.0
    with pytest.raises(errors.NotDifferentiable, match="a Python condition"):
        cr.compile(cr.grad(f, kinks="raise"))(0.0)


# --- whole numbers --------------------------------------------------------------------------------


def squares_by_steps(whole, below):
    """x * x: a sum of odd numbers up to a whole number, and the rest."""

    def f(x):
        n = whole(x)
        return sum(2.0 * k + 1.0 for k in range(n)) + (x - n) * (2 * n) + (x - n) ** 2

    f.__name__ = below
    return f


WHOLE = [int, math.floor, math.ceil, math.trunc, round, lambda x: int(np.floor(x)),
         lambda x: int(x / 0.5) // 2]  # fmt: skip


@pytest.mark.parametrize("whole", WHOLE)
@pytest.mark.parametrize("x", [4.0, 4.5, 4.25])
def test_python_roundings_are_steps(whole, x):
    f = squares_by_steps(whole, "squares")
    assert cr.grad(f)(x) == 2 * x
    assert cr.hessian(f)(x) == 2.0
    assert cr.compile(cr.grad(f))(x) == 2 * x


@pytest.mark.parametrize("whole, at", [(int, 4.0), (math.floor, 4.0), (math.ceil, 4.0),
                                       (round, 3.5)])  # fmt: skip
def test_python_roundings_jump_on_the_side_of_the_tie(whole, at):
    f = lambda x: x * (1.0 if whole(x) > 3 else 5.0)
    slopes = {1.0, 5.0} if whole is not math.ceil else {1.0}
    assert cr.grad(f)(at) == sum(slopes) / len(slopes)
    g = lambda x: np.array([1.0, 2.0, 3.0, 4.0, 6.0, 9.0])[whole(x)] * x
    sides = (4.0, 6.0) if whole is not math.ceil else (6.0, 9.0)
    assert cr.grad(g)(at) == sum(sides) / 2


def test_a_float_of_a_step_is_on_the_side_of_the_tie():
    for asked in (float, lambda x: x.item()):
        assert cr.grad(lambda x: x * asked(np.floor(x)))(4.0) == 3.5


# --- places of a selection ------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [
    lambda x: x[np.nonzero(x)], lambda x: x[x.nonzero()], lambda x: x[np.flatnonzero(x)],
    lambda x: x[np.argwhere(x)[:, 0]], lambda x: x[np.where(x)], lambda x: np.extract(x, x),
    lambda x: np.compress(x, x), np.trim_zeros,
])  # fmt: skip
def test_elements_that_are_zero_at_the_point_are_selected_beside_it(kept):
    x = np.array([0.0, 2.0, 0.0])
    assert np.array_equal(cr.grad(lambda x: np.sum(kept(x)))(x), [1.0, 1.0, 1.0])
    assert np.array_equal(cr.grad(lambda x: np.sum(kept(x) ** 2))(x), 2 * x)


def test_places_that_are_returned_are_those_at_the_point():
    x = np.array([0.0, 2.0, 0.0])
    f = lambda x: (np.sum(x[np.nonzero(x)]), np.flatnonzero(x))
    slope, places = cr.grad(f, has_aux=True)(x)
    assert np.array_equal(slope, [1.0, 1.0, 1.0])
    assert np.array_equal(places, [1])
    assert np.array_equal(cr.jvp(np.flatnonzero, (x,), (x,))[0], [1])


@pytest.mark.parametrize("kinks", ["exact", "raise"])
def test_a_side_may_return_a_wider_float(kinks):
    """`1.0 if x == 0` of a float32 returns a float64, the other side a float32: it was refused."""
    sinc = lambda x: 1.0 if x == 0 else np.sin(x) / x
    line = lambda x: 0.0 if x == 0 else x * np.abs(x) + 2 * x
    zero = np.float32(0.0)
    for f, slope, curvature in ((sinc, 0.0, -1 / 3), (line, 2.0, 0.0)):
        found = cr.grad(f, kinks=kinks)(zero)
        assert found == slope and found.dtype == np.float32
        assert cr.jvp(f, (zero,), (np.float32(1.0),), kinks=kinks)[1] == slope
        if kinks == "exact":
            assert cr.hessian(f)(zero) == pytest.approx(curvature, rel=1e-6)
