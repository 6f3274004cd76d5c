"""Branches that are not taken contribute exact zeros: in every mode, compiled, and at the edge."""

import numpy as np
import pytest

import chainrule as cr

MASK = np.array([True, False, True])
PLACES = np.array([0, 2, -1])  # -1: padding


def masked_softmax(x):
    z = np.where(MASK, x, -np.inf)
    e = np.exp(z - np.max(z))
    return (e / np.sum(e))[0]


def gathered(x):
    return np.sum(np.where(PLACES >= 0, np.log(x)[np.maximum(PLACES, 0)], 0.0))


S = 1 / (1 + np.exp(2.0))
LOG2 = np.log(2.0)

# name: function, point, gradient, Hessian's diagonal
CASES = {
    "sqrt, at the edge": (lambda x: np.where(x > 0, np.sqrt(x), 0.0), 0.0, 0.0, 0.0),
    "sqrt, beyond": (lambda x: np.where(x > 0, np.sqrt(x), 0.0), -1.0, 0.0, 0.0),
    "log, beyond": (lambda x: np.where(x > 0, np.log(x), x * x), -2.0, -4.0, 2.0),
    "x log x": (lambda x: np.sum(np.where(x > 0, x * np.log(x), 0.0)), [0.0, 1.0, 2.0],
                [0.0, 1.0, 1.0 + LOG2], [0.0, 1.0, 0.5]),
    "safe division": (lambda x: np.sum(np.where(x != 0, 1 / x, 0.0)), [0.0, 2.0],
                      [0.0, -0.25], [0.0, 0.25]),
    "division by what is masked": (lambda x: np.sum(np.where(MASK, x / (x - 2.0), x)),
                                   [1.0, 2.0, 4.0], [-2.0, 1.0, -0.5], [-4.0, 0.0, 0.5]),
    "arccos of a clipped value": (lambda x: np.arccos(np.clip(x, -1.0, 1.0)), 2.0, 0.0, 0.0),
    "arcsin, clipped at the edge": (lambda x: np.arcsin(np.clip(x, -1.0, 1.0)), 1.0, 0.0, 0.0),
    "masked softmax": (masked_softmax, [1.0, 2.0, 3.0], [S * (1 - S), 0.0, -S * (1 - S)],
                       [S * (1 - S) * (1 - 2 * S), 0.0, S * (1 - S) * (1 - 2 * S)]),
    "masked mean of nan": (lambda x: np.sum(np.where(MASK, x, 0.0)) / np.sum(MASK),
                           [1.0, np.nan, 3.0], [0.5, 0.0, 0.5], [0.0, 0.0, 0.0]),
    "nested": (lambda x: np.where(x > 0, np.where(x > 1, np.log(x - 1), np.sqrt(x)), np.sin(x)),
               0.25, 1.0, -2.0),
    "gather with padding": (gathered, [1.0, 0.0, 2.0], [1.0, 0.0, 0.5], [-1.0, 0.0, -0.25]),
    "before a reduction": (lambda x: np.where(x > 0, np.sum(np.sqrt(np.stack([x, x]))), 0.0),
                           -1.0, 0.0, 0.0),
    "before a product of matrices": (
        lambda x: np.where(x > 0, np.sum(np.stack([np.log(x), x]) @ np.ones((2, 2))), 3 * x),
        -1.0, 3.0, 0.0),
    "norm where it is not 0": (
        lambda x: np.where(np.sum(x * x) > 0, np.sqrt(np.sum(x * x)), 0.0), [0.0, 0.0],
        [0.0, 0.0], [0.0, 0.0]),
    "cond": (lambda x: cr.cond(x > 0, np.sqrt, np.sin, x), -0.5, np.cos(-0.5), -np.sin(-0.5)),
}  # fmt: skip


def _case(name):
    f, x, slope, curvature = CASES[name]
    return f, np.asarray(x, float)[()], np.asarray(slope), np.asarray(curvature)


def near(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_first_derivatives(name):
    f, x, slope, _ = _case(name)
    near(cr.grad(f)(x), slope)
    near(cr.jacobian(f, mode="forward")(x), slope)
    near(cr.vjp(f, x)[1](1.0)[0], slope)
    near(cr.grad(f, kinks="convention")(x), slope if name not in AT_EDGES else np.asarray(AT_EDGES[
        name]))  # fmt: skip
    near(cr.vmap(cr.grad(f))(np.stack([x, x]))[1], slope)
    near(cr.compile(cr.grad(f))(x), slope)


AT_EDGES = {"arcsin, clipped at the edge": np.inf}  # one-sided: the interval of clip is closed


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives(name):
    f, x, _, curvature = _case(name)
    diagonal = np.diag if np.ndim(x) else lambda h: h
    near(diagonal(cr.hessian(f)(x)), curvature)
    near(diagonal(cr.jacobian(cr.grad(f), mode="reverse")(x)), curvature)
    near(diagonal(cr.jacobian(cr.jacobian(f, mode="forward"), mode="forward")(x)), curvature)


def test_lanes_of_cond_keep_to_their_branch():
    f = lambda x: cr.cond(x > 0, lambda x: np.sum(np.log(np.stack([x, x]))), lambda x: x * x, x)
    near(cr.vmap(cr.grad(f))(np.array([2.0, -1.0, 0.5])), [1.0, -2.0, 4.0])
