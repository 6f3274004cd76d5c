"""The order of kernels: ties are decided before anything is written."""

import numpy as np

import chainrule as cr


def loss(w, v, x):
    return np.sum((np.maximum(x @ w, 0.0) @ v) ** 2)


def test_a_call_is_given_up_at_a_tie_before_the_backward_part():
    @cr.compile
    def step(w, v, x):
        value, (dw, dv) = cr.value_and_grad(loss, (0, 1))(w, v, x)
        w -= 0.1 * dw
        v -= 0.1 * dv
        return value

    rng = np.random.default_rng(0)
    w, v, x = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=(6, 5))
    step(w, v, x)
    lines = [line for line in str(cr.explain(step)).splitlines() if line[:4] in ("loop", "kern")]
    (given_up,) = [i for i, line in enumerate(lines) if " refuse " in line]
    products = [i for i, line in enumerate(lines) if " contract " in line]
    assert products[0] < given_up < products[-1]
    assert not any(" copy " in line for line in lines)
