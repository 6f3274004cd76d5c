"""The program of a compiled derivative that has met a tie: both sides, and their mean."""

import numpy as np

import chainrule as cr


def test_what_is_linear_and_the_same_on_both_sides_is_computed_once():
    """The weights' gradient x^T a and x^T b of two sides is one product, of the mean of a and b."""
    x = np.ones((4, 3))
    x[1] = 0.0

    def loss(w):
        return np.sum(np.maximum(x @ w, 0.0) ** 2 + np.maximum(x @ w, 0.0))

    gradient = cr.compile(cr.grad(loss))
    w = np.array([[1.0, -1.0], [0.5, 0.5], [0.25, -0.75]])
    np.testing.assert_allclose(gradient(w), cr.grad(loss)(w), rtol=1e-14)
    made = gradient.trace_of(w)[0].native.settled().region.program
    products = [e for e in made.equations if e.op.name == "contract"]
    assert len(products) == 3  # x @ w, its tangent, and the gradient
