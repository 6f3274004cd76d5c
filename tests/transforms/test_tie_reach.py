"""Which entries of an array a tie reaches, and that the others are what they are without it."""

import mpmath
import numpy as np
import pytest
from mpmath import mp

import chainrule as cr
from chainrule.program.evaluate import evaluate
from chainrule.transforms.tie_reach import reached

X = np.array([0.0, 1.0, -2.0, 3.0])


@pytest.mark.parametrize(
    ("f", "marks"),
    [
        (lambda x: np.sum(np.abs(x)), [1, 0, 0, 0]),
        (lambda x: np.sum(np.abs(x[::-1]) ** 2), [1, 0, 0, 0]),
        (lambda x: np.sum(np.where(x > 0, x, 2.0 * x)), [1, 0, 0, 0]),
        (lambda x: np.sum(np.sin(x) / x), [1, 0, 0, 0]),
        (lambda x: np.sum(np.abs(x[1:])) + np.abs(x[0]) * x[3], [1, 0, 0, 0]),
        (lambda x: np.abs(x[0]) + np.sum(np.cumsum(x[1:]) ** 2), [1, 0, 0, 0]),
        (lambda x: np.sum(np.pad(np.abs(x), 1)[:3] * 2.0), [1, 0, 0, 0]),
        (lambda x: np.sum(np.concatenate([np.abs(x), x])), [1, 0, 0, 0]),
        (lambda x: np.sum(np.abs(np.ones((4, 4)) @ x - 2.0)), [1, 1, 1, 1]),
        (lambda x: np.sum(np.maximum(x.reshape(2, 2), [[0.0], [2.0]])), [1, 0, 0, 0]),
        (lambda x: np.sum(np.abs(x.reshape(2, 2) @ np.array([1.0, 1.0]) - 1.0)), [1, 1, 1, 1]),
        (lambda x: np.sum(np.abs(x.reshape(2, 2) @ np.array([1.0, 2.0]) - 2.0)), [1, 1, 0, 0]),
        (lambda x: np.sum(np.max(x.reshape(2, 2), axis=1)), [0, 0, 0, 0]),
        (lambda x: np.sum(np.max(np.append(x, [3.0, 1.0]).reshape(2, 3), axis=1)), [0, 0, 0, 1]),
    ],
)
def test_a_tie_reaches_what_is_computed_from_it(f, marks):
    program = cr.trace(cr.grad(f, kinks="convention"), X)
    moving = (False,) * len(program.captured) + (True,)
    (found,) = evaluate(reached(program.closed(), moving), [*program.captured_values, X])
    np.testing.assert_array_equal(found, np.array(marks, bool))


@pytest.mark.parametrize("how", [lambda g: g, cr.compile])
@pytest.mark.parametrize(
    ("f", "exact"),
    [
        (lambda y: np.abs(np.tanh(np.log(1 + y * y)) - np.log(1 + y * y)),
         lambda y: -(mp.tanh(mp.log(1 + y * y)) - mp.log(1 + y * y))),
        (lambda y: np.hypot(y - np.sin(y), 1e-8) - 1e-8 + np.abs(y**2 - y * y * y),
         lambda y: mp.hypot(y - mp.sin(y), mp.mpf(1e-8)) + y**2 - y**3),
        (lambda y: np.abs(np.sqrt(y + 1) - 1 - np.sin(y) / 2),
         lambda y: -(mp.sqrt(y + 1) - 1 - mp.sin(y) / 2)),
    ],
)  # fmt: skip
def test_entries_beside_a_tie_are_as_good_as_alone(f, exact, how):
    """A tie at one entry had all of them settled along a germ, which rounds, or makes 0 of them."""
    x = np.array([0.0, 1.3e-5, 1e-4, 2e-8, 0.25])
    found = how(cr.grad(lambda x: np.sum(f(x))))(x)
    with mpmath.workdps(80):
        wanted = [float(mp.diff(exact, mp.mpf(v), h=mp.mpf(10) ** -40)) for v in x[1:]]
    np.testing.assert_allclose(found[1:], wanted, rtol=2e-15)
