"""Contrastive divergence against the exact slope of the likelihood of small machines."""

from itertools import product

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.train.boltzmann import contrastive_divergence, fit_rbm


def bars_and_stripes():
    """The 14 images of 3 x 3 whose rows, or whose columns, are of one colour."""
    lines = np.array(list(product((0.0, 1.0), repeat=3)))
    rows = np.repeat(lines, 3, axis=1)
    columns = np.tile(lines, (1, 3))
    return np.unique(np.concatenate([rows, columns]), axis=0).astype(np.float32)


@pytest.fixture(scope="module")
def small():
    """A machine of 4 and 3 units with weights around 1, data, and the exact slope."""
    rng = np.random.default_rng(0)
    machine = nn.RBM(4, 3, dtype="d")
    for array in machine.parameters():
        array[...] = rng.normal(size=array.shape)
    v = (rng.random((5, 4)) < 0.5).astype(float)
    exact = cr.grad(lambda m: -m.log_likelihood(v).mean())(machine)
    return machine, v, exact.parameters()


def cosine(a, b):
    a, b = (np.concatenate([np.ravel(x) for x in part]) for part in (a, b))
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_from_samples_of_the_model_the_estimate_is_the_exact_slope(small):
    machine, v, exact = small
    states = np.array(list(product((0.0, 1.0), repeat=4)))
    law = np.exp(machine.log_likelihood(states))
    np.testing.assert_allclose(law.sum(), 1, rtol=1e-12)
    count = 40_000
    start = states[np.random.default_rng(1).choice(16, size=count, p=law)]
    grads, _ = contrastive_divergence(machine, v, cr.random.Generator(2), start=start)
    for found, wanted in zip(grads.parameters(), exact, strict=True):
        # means of numbers in [0, 1]: their deviation is at most 1 / 2
        np.testing.assert_allclose(found, wanted, atol=5 * 0.5 / np.sqrt(count))


def test_one_step_from_the_data_points_the_same_way_and_many_steps_are_exact(small):
    machine, v, exact = small
    many = np.tile(v, (4000, 1))
    one, _ = contrastive_divergence(machine, many, cr.random.Generator(3))
    assert cosine(one.parameters(), exact) > 0.7
    long, _ = contrastive_divergence(machine, many, cr.random.Generator(3), steps=60)
    for found, wanted in zip(long.parameters(), exact, strict=True):
        np.testing.assert_allclose(found, wanted, atol=5 * 0.5 / np.sqrt(len(many)))


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 60, "step_size": 0.05},
        {"epochs": 240, "step_size": 0.1, "optimizer": "SGD", "persistent": True, "steps": 5},
    ],
    ids=["CD-1", "persistent"],
)
def test_the_exact_likelihood_rises(options):
    x = np.tile(bars_and_stripes(), (20, 1))
    machine = nn.RBM(9, 10, rng=1)
    before = machine.log_likelihood(x).mean()
    found = fit_rbm(machine, x, batch_size=28, **options)
    after = machine.log_likelihood(x).mean()
    assert before < -6 and -3.5 < after < -np.log(14)  # log 14: the entropy of the data
    assert len(found) == options["epochs"] and found[-1] < found[0]


def test_gaussian_units_find_means_and_directions_of_large_variance():
    rng = np.random.default_rng(5)
    sides = rng.choice([-1.0, 1.0], size=(600, 1))
    x = (sides * [2.0, 1.0, 0.0] + rng.normal(size=(600, 3)) + [0, 0, 1.0]).astype(np.float32)
    machine = nn.RBM(3, 4, "gaussian", rng=2)
    before = machine.log_likelihood(x).mean()
    fit_rbm(machine, x, epochs=60, step_size=0.01, batch_size=50)
    after = machine.log_likelihood(x).mean()
    two = np.stack([-0.5 * ((x - [s * 2.0, s, 1.0]) ** 2).sum(axis=1) for s in (-1, 1)])
    truth = np.logaddexp(*two).mean() - np.log(2) - 1.5 * np.log(2 * np.pi)
    assert before < truth - 1 and truth - 0.2 < after < truth + 0.05


def test_what_binary_units_cannot_take_is_refused():
    machine = nn.RBM(3, 2)
    with pytest.raises(ValueError, match="gaussian"):
        fit_rbm(machine, np.full((4, 3), 2.0, np.float32))
    with pytest.raises(ValueError, match="HeavyBall"):
        fit_rbm(machine, np.ones((4, 3), np.float32), optimizer="momentum")
