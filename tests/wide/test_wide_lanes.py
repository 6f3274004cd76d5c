"""Lanes of a batch are repaired one by one, and ties of one are nothing to the others."""

import mpmath
import numpy as np
import pytest
from mpmath import mp

import chainrule as cr
from chainrule.transforms.stabilize import stabilize
from chainrule.wide import repair


def test_a_lane_that_cannot_be_repaired_leaves_the_others_repaired():
    """The slope at (1, 0) is infinite; the whole batch stayed what it was, 0 instead of 1e-9."""
    angle = lambda v: np.arccos(v[0] / np.sqrt(v[0] ** 2 + v[1] ** 2))
    points = np.array([[1.0, 0.0], [1.0, 1e-9], [-1.0, 1e-9]])
    values, slopes = cr.vmap(cr.value_and_grad(angle))(points)
    np.testing.assert_allclose(values, [0.0, 1e-9, np.pi - 1e-9], rtol=1e-15)
    np.testing.assert_allclose(slopes[1:], [[-1e-9, 1.0], [-1e-9, -1.0]], rtol=1e-15)


def test_a_tie_in_one_lane_leaves_the_others_repaired():
    """The kink at 1 had the slope at 1e8 settled to 0; it is 3.75e-21."""
    second = lambda x: np.sqrt(x + 1) - 2 * np.sqrt(x) + np.sqrt(np.abs(x - 1))
    points = [1e3, 1e8, 1.0]
    found = cr.vmap(cr.grad(second))(np.array(points))
    with mpmath.workdps(60):
        exact = lambda x: mp.sqrt(x + 1) - 2 * mp.sqrt(x) + mp.sqrt(x - 1)
        wanted = [float(mp.diff(exact, mp.mpf(x), h=mp.mpf(10) ** -20)) for x in points[:2]]
    np.testing.assert_allclose(found[:2], wanted, rtol=1e-14)


@pytest.mark.parametrize("run", [cr.vmap, lambda f: lambda xs: np.array([cr.compile(f)(xs[0])])])
def test_the_largest_entry_of_an_array_is_no_tie_with_itself(run):
    gap = lambda z: np.log(np.sum(np.exp(z))) - np.max(z)
    (slope,) = run(cr.grad(gap))(np.array([[100.0, 200.0, 300.0]]))
    small, large = np.exp(-200.0), np.exp(-100.0)
    np.testing.assert_allclose(slope, [small, large, -large], rtol=1e-14)


def test_equal_largest_entries_stay_a_tie():
    top = lambda z: np.max(z) ** 2 + np.sum(z)
    slopes = cr.vmap(cr.grad(top))(np.array([[-0.5, -0.5, -2.0], [1.0, 0.0, 0.0]]))
    np.testing.assert_array_equal(slopes, [[0.5, 0.5, 1.0], [3.0, 1.0, 1.0]])


def test_only_as_many_lanes_are_repaired_as_a_call_has_time_for(monkeypatch):
    monkeypatch.setattr(repair, "WORK_BY_ENTRY", 40)
    monkeypatch.setattr(repair, "WORK", 25)
    points = np.array([[1.0, 1e-9 * k] for k in range(1, 6)])
    length = lambda v: np.arccos(v[0] / np.sqrt(v[0] ** 2 + v[1] ** 2))
    assert cr.vmap(length)(points[:1]) == pytest.approx(1e-9)
    assert not cr.vmap(length)(points).any()


def test_lanes_of_a_mean_of_exponentials_know_the_number_that_they_are_divided_by():
    """log(1/3) was rounded beside logsumexp(x): the value was off by 9e-17 at 0."""
    f = lambda x: np.log(np.mean(np.exp(x)))
    found = cr.vmap(f)(np.array([[1e-10, 0.0, -1e-10], [1e-9, 1e-9, 1e-9]]))
    assert found == pytest.approx([1e-20 / 3, 1e-9], rel=1e-15)
    program = stabilize(cr.trace(f, np.ones(3)))
    assert any(x.exact for e in program.equations for x in e.inputs if x.is_literal)


@pytest.mark.parametrize("number", [30.0, 60.0])
def test_the_entropy_of_a_certain_choice_keeps_the_digits_of_its_slope(number):
    """1 less the largest share was rounded before it was multiplied: 3e-5 of it was wrong."""

    def entropy(z):
        p = np.exp(z) / np.sum(np.exp(z))
        return -np.sum(p * np.log(p))

    z = [number, -number, 0.0]
    with mpmath.workdps(80):
        powers = [mp.exp(mp.mpf(x)) for x in z]
        p = [x / sum(powers) for x in powers]
        total = -sum(x * mp.log(x) for x in p)
        wanted = [float(-x * (mp.log(x) + total)) for x in p]
    slope = cr.grad(entropy)
    np.testing.assert_allclose(slope(np.array(z)), wanted, rtol=1e-14)
    np.testing.assert_allclose(cr.compile(slope)(np.array(z)), wanted, rtol=1e-14)
    np.testing.assert_allclose(cr.vmap(slope)(np.array([z]))[0], wanted, rtol=1e-14)


@pytest.mark.parametrize("points", [[[0.1, 0.2], [0.3, 0.4]], [[1.0, 2.0], [1.0, 2.0 + 1e-9]]])
@pytest.mark.parametrize("run", [lambda f: f, cr.compile,
                                 lambda f: lambda x: cr.vmap(f)(x[None])[0]])  # fmt: skip
def test_the_sides_of_a_tie_are_repaired(points, run):
    """Distances by inner products, cut at 0, tie on the diagonal: both sides had lost 8 digits."""

    def total(x):
        products = x @ x.T
        squares = np.diag(products)
        distances = squares[:, None] - 2 * products + squares[None, :]
        return np.sum(np.sqrt(np.maximum(distances, 0.0) + 1e-18))

    x = np.array(points)
    move = x[0] - x[1]
    wanted = 2 * move / np.sqrt(np.sum(move**2) + 1e-18)
    found = run(cr.grad(total))(x)
    np.testing.assert_allclose(found, [wanted, -wanted], rtol=1e-15)
