"""Germs through control flow, batching, nested derivatives, matrices and networks."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import germs
from chainrule.germs import germ
from tests.germs.sides import mean, sides


def identity(x):
    """x, written with two kinks."""
    return np.maximum(x, 0.0) - np.maximum(-x, 0.0)


@pytest.mark.parametrize(
    ("f", "truth"),
    [
        (lambda x: cr.fori_loop(0, 3, lambda i, c: identity(c), x), 1.0),
        (lambda x: cr.while_loop(lambda s: s[1] < 3, lambda s: (identity(s[0]), s[1] + 1),
                                 (x, 0))[0], 1.0),
        (lambda x: cr.while_loop(lambda s: s < 3.0, lambda s: s + np.abs(x) + 1.0, x), 1.0),
        (lambda x: np.sum(cr.scan(lambda c, t: (identity(c) + t * x, c), x, np.arange(3.0))[1]),
         1 + 1 + 2),
        (lambda x: cr.cond(x > 0, lambda x: 2 * x, lambda x: 4 * x, x), 3.0),
        (lambda x: cr.cond(x >= 0, lambda x: x + x**2, lambda x: x - x**2, x), 1.0),
        (lambda x: cr.checkpoint(identity)(x) * 3, 3.0),
        (lambda x: np.sum(cr.vmap(identity)(x * np.ones(3))), 3.0),
        (lambda x: cr.grad(lambda y: y * np.abs(y), kinks="convention")(x) + x, 1.0),
    ],
)  # fmt: skip
def test_control_flow_and_nesting(f, truth):
    assert mean(f, 0.0) == truth


def test_lanes_are_independent():
    f = lambda t: np.sqrt(t * t) + identity(t) + np.maximum(t * t, t**3)
    lanes = np.array([0.0, 1.0, -2.0, 0.0])
    assert mean(lambda x: np.sum(cr.vmap(f)(x)), lanes) == pytest.approx([1, 4.5, -4, 1])


def test_two_and_three_variables():
    assert mean(lambda x, y: np.maximum(x, y), 1.0, 1.0) == (0.5, 0.5)
    slopes = mean(lambda x, y, z: np.maximum(x, np.maximum(y, z)), 1.0, 1.0, 1.0)
    assert sum(slopes) == 1 and set(map(float, slopes)) <= {0.0, 0.5, 1.0}
    assert mean(lambda x, y: np.maximum(x, y) + np.minimum(x, y), 2.0, 2.0) == (1.0, 1.0)
    assert mean(lambda x, y: np.hypot(x, y), 0.0, 0.0) == (0.0, 0.0)
    angle = lambda x, y: np.arctan2(y, x) * (x**2 + y**2)
    assert mean(angle, 0.0, 0.0) == (0.0, 0.0)


def test_a_network_with_nothing_but_ties():
    rng = np.random.default_rng(4)
    weights, x = rng.normal(size=(4, 3)), np.zeros(3)
    assert mean(lambda x: np.sum(identity(weights @ x)), x) == pytest.approx(weights.sum(0))
    fit = lambda w: np.sum(identity(w @ np.array([1.0, -2.0, 0.5])) ** 2)
    assert np.array_equal(mean(fit, np.zeros((4, 3))), np.zeros((4, 3)))


def test_pooling_and_convolution():
    x = np.zeros((1, 4, 4, 1))
    plus, minus = sides(lambda x: np.sum(cr.nn.max_pool(x, 2)), x)
    for side in (plus[0], minus[0]):  # one entry of each window
        assert set(np.unique(side)) == {0.0, 1.0}
        assert np.array_equal(side.reshape(2, 2, 2, 2).sum(axis=(1, 3)), np.ones((2, 2)))
    found = mean(lambda x: np.sum(identity(np.convolve(x, np.array([1.0, 2.0])))), np.zeros(3))
    assert found == pytest.approx([3.0, 3.0, 3.0])


def test_the_same_value_twice_is_no_tie():
    f = lambda x: np.max(np.stack([np.sin(x), np.sin(x), np.sin(x)]))
    assert sides(f, 0.3) == ((np.cos(0.3),), (np.cos(0.3),))
    f = lambda x: np.maximum(np.sin(x) ** 2, 1 - np.cos(x) ** 2)
    assert mean(f, 0.7) == pytest.approx(np.sin(1.4))


def test_jacobian_and_hessian_at_a_kink():
    f = lambda x: np.array([1.0, 2.0]) @ cr.jacobian(lambda t: t * identity(t))(x) @ np.ones(2)
    assert mean(f, np.zeros(2)) == pytest.approx([2.0, 4.0])


def test_single_precision_is_computed_in_double():
    found = mean(lambda x: np.sum(identity(x) * np.float32(0.1)), np.zeros(2, np.float32))
    assert found.dtype == np.float32
    assert np.array_equal(found, np.full(2, 0.1, np.float32))


def test_an_operation_without_derivative_is_named():
    program = cr.trace(lambda x: np.sum(cr.special.kv(x, 2.0)), 1.5)
    with pytest.raises(germs.Unsupported, match="kv has no rule for germs") as caught:
        germs.limits(program, [1.5], [True])
    assert caught.value.op == "kv"


def test_a_large_program_is_attempted_with_few_terms(monkeypatch):
    """The sides agree in 8 coefficients: that is not seen where a program counts as large."""
    f = lambda x: np.sum(np.where(x < x + x**8 * np.cos(x), 5 * x, 7 * x))
    assert np.array_equal(sides(f, np.zeros(2))[0][0], [5.0, 5.0])
    monkeypatch.setattr(germ, "LARGE", 1)
    assert np.array_equal(sides(f, np.zeros(2))[0][0], [7.0, 7.0])
