"""The program of a compiled derivative that has met a tie: both sides, and their mean."""

import numpy as np

import chainrule as cr
from chainrule import nn


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


def test_a_large_program_is_given_up_where_it_leaves_a_tie_open():
    """Entries of windows tie by threes, with different gradients. The order in which less is stored
    has every refusal of the program."""
    rng = np.random.default_rng(2)
    images = rng.integers(0, 2, (16, 28, 28, 1)).astype(float)

    def loss(w):
        x = nn.max_pool(np.maximum(nn.convolution(images, w[0], padding="same") + w[1], 0), 2)
        x = nn.max_pool(np.maximum(nn.convolution(x, w[2], padding="same") + w[3], 0), 2)
        return np.mean((np.mean(x, axis=(1, 2)) @ w[4]) ** 2)

    shapes = (3, 3, 1, 8), (8,), (3, 3, 8, 16), (16,), (16, 10)
    w = [rng.normal(size=s) * (len(s) > 1) for s in shapes]
    w[0] = np.ones(shapes[0])
    gradient = cr.compile(cr.grad(loss))
    for found, wanted in zip(gradient(w), cr.grad(loss)(w), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-10)
    made = gradient.trace_of(w)[0].native.settled().region.program
    assert [e.op.name for e in made.equations].count("refuse") == 3
