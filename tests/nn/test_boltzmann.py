"""Boltzmann machines against sums over all states, and against numerical integrals."""

from itertools import product

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import chainrule as cr
from chainrule import nn


def randomised(made):
    """The model with normal numbers in the place of its parameters."""
    rng = np.random.default_rng(0)
    for array in made.parameters():
        array[...] = rng.normal(size=array.shape)
    return made


def machine(visible, hidden, units="binary"):
    """Of random weights and biases, in float64."""
    return randomised(nn.RBM(visible, hidden, units, dtype="d"))


def states(count):
    return np.array(list(product((0.0, 1.0), repeat=count)))


def joint(m):
    """exp(-E) of every pair of states, written out."""
    table = np.empty((2 ** m.weight.shape[0], 2 ** m.weight.shape[1]))
    for i, v in enumerate(states(m.weight.shape[0])):
        for j, h in enumerate(states(m.weight.shape[1])):
            exponent = v @ m.visible_bias + h @ m.hidden_bias + v @ m.weight @ h
            table[i, j] = np.exp(exponent)
    return table


@pytest.mark.parametrize("sizes", [(4, 3), (3, 5)])
def test_energies_conditionals_and_likelihoods_are_those_of_the_joint_law(sizes):
    m, v, h = machine(*sizes), states(sizes[0]), states(sizes[1])
    table = joint(m)
    found = np.exp(-m.energy(v[:, None, :], h[None]))
    np.testing.assert_allclose(found, table, rtol=1e-13)
    np.testing.assert_allclose(np.exp(-m.free_energy(v)), table.sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(m.log_partition(), np.log(table.sum()), rtol=1e-13)
    wanted = np.log(table.sum(axis=1) / table.sum())
    np.testing.assert_allclose(m.log_likelihood(v), wanted, rtol=1e-11)
    given_v = table / table.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(m(v), given_v @ h, rtol=1e-12)
    given_h = table / table.sum(axis=0)
    np.testing.assert_allclose(m.visible_means(h), given_h.T @ v, rtol=1e-12)


def test_gaussian_units_integrate_to_the_same_law():
    m = machine(1, 3, "gaussian")
    total, _ = scipy.integrate.quad(
        lambda v: float(np.exp(-m.free_energy(np.array([v])))), -30, 30, points=[-5, 0, 5]
    )
    np.testing.assert_allclose(np.exp(m.log_partition()), total, rtol=1e-9)
    v, h = np.array([[0.7]]), states(3)
    np.testing.assert_allclose(
        np.exp(-m.free_energy(v))[0], np.exp(-m.energy(v, h)).sum(), rtol=1e-12
    )
    drawn = m.sample_visible(np.ones((4000, 3)), cr.random.Generator(5))[:, 0]
    mean = m.visible_bias[0] + m.weight.sum()
    assert scipy.stats.kstest(drawn - mean, "norm").pvalue > 1e-4


def test_gibbs_sampling_leaves_the_models_law_as_it_is():
    m = machine(3, 2)
    law = joint(m).sum(axis=1) / joint(m).sum()
    count = 20_000
    start = states(3)[np.random.default_rng(1).choice(8, size=count, p=law)]
    drawn = m.gibbs(start, cr.random.Generator(2), steps=2) @ [4, 2, 1]
    counts = np.bincount(drawn.astype(int), minlength=8)
    assert scipy.stats.chisquare(counts, law * count).pvalue > 1e-5


def test_the_slope_of_the_free_energy_is_minus_the_hidden_probabilities():
    m, v = machine(4, 3), states(4)[5]
    slope = cr.grad(lambda m: m.free_energy(v))(m)
    np.testing.assert_allclose(slope.weight, -np.outer(v, m(v)), rtol=1e-13)
    np.testing.assert_allclose(slope.visible_bias, -v)
    np.testing.assert_allclose(slope.hidden_bias, -m(v), rtol=1e-13)


def test_a_deep_belief_network_initialises_a_network_of_sigmoid_units():
    belief = nn.DeepBelief(6, (5, 3), rng=4)
    x = np.random.default_rng(1).random((7, 6)).astype(np.float32)
    network = belief.network(2, rng=5)
    inside = x
    for layer in network.layers[:-1]:
        inside = layer(inside)
    np.testing.assert_array_equal(inside, belief(x))
    wanted = 1 / (1 + np.exp(-x @ belief.machines[0].weight))
    wanted = 1 / (1 + np.exp(-wanted @ belief.machines[1].weight))
    np.testing.assert_allclose(belief(x), wanted, rtol=1e-6)
    assert network(x).shape == (7, 2)
    assert network.layers[0].weight is not belief.machines[0].weight


def test_a_stack_of_one_machine_samples_the_machines_law():
    belief = randomised(nn.DeepBelief(3, (2,), dtype="d"))
    m = belief.machines[0]
    law = joint(m).sum(axis=1) / joint(m).sum()
    drawn = belief.sample(6, 20_000, steps=30) @ [4, 2, 1]
    counts = np.bincount(drawn.astype(int), minlength=8)
    assert scipy.stats.chisquare(counts, law * 20_000).pvalue > 1e-5


def test_machines_are_described_and_built_again():
    for made in (nn.RBM(4, 3, "gaussian"), nn.DeepBelief(4, (3, 2))):
        again = nn.builders.build(nn.builders.described(made))
        assert again.config() == made.config()
        assert [p for p, _ in again.named_parameters()] == [p for p, _ in made.named_parameters()]


def test_what_does_not_fit_is_refused():
    with pytest.raises(cr.errors.ShapeError, match="4 visible"):
        nn.RBM(4, 3)(np.ones((2, 3), np.float32))
    with pytest.raises(cr.errors.ShapeError, match="3 hidden"):
        nn.RBM(4, 3).visible_means(np.ones((2, 4), np.float32))
    with pytest.raises(ValueError, match="gaussian"):
        nn.RBM(4, 3, "poisson")
    with pytest.raises(cr.errors.NotSupported, match="20 units"):
        nn.RBM(30, 30).log_partition()
