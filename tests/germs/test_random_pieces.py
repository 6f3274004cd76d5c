"""Random functions with kinks of every order at a point, against plain gradients beside it.

At x + h v + h^2 w + h^3 u, with h small, no tie is left, and the plain derivative program is right;
along the germ in the same direction the limit must agree with it.
"""

import numpy as np
import pytest

import chainrule as cr
from chainrule import germs
from chainrule.derived import derived
from chainrule.program.evaluate import evaluate


def _expression(rng, depth):
    """A function of a vector of 3 numbers, to 3 numbers, with weights that are whole numbers."""
    weights = rng.integers(-2, 3, (3, 3)).astype(float)
    if depth == 0:
        return lambda x: weights @ x
    a, b = _expression(rng, depth - 1), _expression(rng, depth - 1)
    choices = [
        lambda x: np.maximum(a(x), 0),
        lambda x: np.abs(a(x)),
        lambda x: np.maximum(a(x), b(x)),
        lambda x: np.minimum(a(x), b(x)),
        lambda x: np.sort(a(x)) + b(x),
        lambda x: np.clip(a(x), 0, 1) - np.clip(b(x), -1, 0),
        lambda x: np.where(a(x) > b(x), 2 * a(x), a(x) + b(x)),
        lambda x: np.where(a(x) <= 0, 0.1 * a(x), a(x)),
        lambda x: np.median(a(x)) * np.ones(3) + b(x),
        lambda x: np.maximum.accumulate(a(x)),
        lambda x: np.sin(a(x)) + b(x),
        lambda x: np.expm1(a(x) * 0.25),
        lambda x: np.tanh(a(x)),
        lambda x: a(x) * b(x),
        lambda x: weights @ a(x),
        lambda x: np.sqrt(a(x) ** 2 + b(x) ** 2),
        lambda x: a(x) * np.sign(b(x)),
    ]
    return choices[rng.integers(len(choices))]


def _gradient(f, x):
    program = cr.trace(f, x)
    values = [*map(np.asarray, program.captured_values), x]
    moving = (False,) * len(program.captured) + (True,)
    return derived("gradient", program.closed(), moving, False).program, values, moving


@pytest.mark.parametrize("seed", range(60))
def test_limits_along_a_germ_are_the_gradients_beside_the_point(seed):
    rng = np.random.default_rng(seed)
    inner, outer = _expression(rng, rng.integers(1, 5)), rng.integers(-3, 4, 3).astype(float)
    x = np.zeros(3) if seed % 3 else np.array([0.0, 1.0, 1.0])
    gradient, values, moving = _gradient(lambda x: np.sum(outer * inner(x)), x)
    v, w, u = germs.directions([gradient.in_types[-1]])[0]
    for sign in (1, -1):
        (limit,) = germs.limits(gradient, values, moving, sign)
        errors = []
        for h in (2.0**-20, 2.0**-24, 2.0**-30):
            moved = x + sign * (h * v + h * h * w + h**3 * u)
            (beside,) = evaluate(gradient, [*values[:-1], moved])
            errors.append(np.max(np.abs(beside - limit) / (1 + np.abs(limit))))
        assert min(errors) < 1e-3
