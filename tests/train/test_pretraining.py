"""Greedy pretraining: what it trains, that errors fall, and that the network then learns sooner."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

import chainrule as cr
from chainrule import data, nn, optim
from chainrule.train.boltzmann import fit_deep_belief
from chainrule.train.pretraining import pretrain

HIDDEN = (64, 64, 64, 64)  # sigmoid units: deep enough that random weights learn late


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return (x[:1400] / 16).astype(np.float32), y[:1400]


@pytest.fixture(scope="module")
def trained(digits):
    """The loss in the last of five epochs of training a network."""
    x, y = digits

    def loss(model, x, y):
        return nn.losses.softmax_cross_entropy(model(x), y)

    @cr.compile(kinks="convention", stabilize=False)
    def epoch(model, optimizer, x, y, rows):
        def step(carry, rows):
            value, grads = cr.value_and_grad(loss)(model, x[rows], y[rows])
            optimizer.step(model, grads)
            return carry, value

        return cr.scan(step, 0, rows)[1]

    def train(model):
        optimizer = optim.Adam(model)
        for number in range(5):
            losses = epoch(model, optimizer, x, y, data.order(1, number, len(x), 32))
        return losses.mean()

    return train


@pytest.fixture(scope="module")
def random_start(trained):
    return trained(nn.MLP(64, HIDDEN, 10, activation="sigmoid", init="glorot"))


def test_a_pretrained_network_of_sigmoid_units_learns_sooner(digits, trained, random_start):
    network = nn.MLP(64, HIDDEN, 10, activation="sigmoid", init="glorot")
    output = network.layers[-1].weight.copy()
    found = pretrain(network, digits[0], visible="sigmoid", epochs=20, step_size=3e-3)
    assert [len(layer) for layer in found] == [20] * 4
    assert all(layer[-1] < 0.9 * layer[0] for layer in found)
    np.testing.assert_array_equal(network.layers[-1].weight, output)
    assert trained(network) < 0.6 * random_start


def test_a_deep_belief_network_learns_sooner(digits, trained, random_start):
    belief = nn.DeepBelief(64, HIDDEN)
    found = fit_deep_belief(belief, digits[0], epochs=20, step_size=0.05)
    assert all(layer[-1] < 0.5 * layer[0] for layer in found)
    assert trained(belief.network(10)) < 0.8 * random_start


def test_the_first_layer_learns_what_a_tied_autoencoder_learns():
    x = np.random.default_rng(0).normal(size=(32, 5))
    network = nn.MLP(5, (3,), 2, activation="tanh", dtype="d")
    by_hand = nn.Autoencoder(5, (), 3, "tanh", tied=True, dtype="d")
    by_hand.encoder[0].weight[...] = network.layers[0].weight
    optimizer = optim.SGD(by_hand, 0.05)
    wanted = []
    for epoch in range(3):
        (rows,) = data.order(4, epoch, 32, 32)
        value, grads = cr.value_and_grad(lambda m: m.loss(x[rows]))(by_hand)
        optimizer.step(by_hand, grads)
        wanted.append(value)
    (found,) = pretrain(
        network, x, noise=None, epochs=3, batch_size=32, optimizer="SGD", step_size=0.05, seed=4
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    np.testing.assert_allclose(network.layers[0].weight, by_hand.encoder[0].weight, rtol=1e-12)
    np.testing.assert_allclose(network.layers[0].bias, by_hand.encoder[0].bias, rtol=1e-12)


def test_batch_norm_is_trained_along_and_the_same_seed_gives_the_same_weights(digits):
    def made():
        network = nn.MLP(64, (8,), 2, batch_norm=True, dropout=0.5, input_dropout=0.2)
        pretrain(network, digits[0][:64], epochs=2, noise="gaussian", level=0.1)
        return network

    first, second = made(), made()
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(first.layers[2].running_mean).max() > 0


def test_layers_before_the_first_linear_one_are_applied():
    x = np.random.default_rng(2).normal(size=(32, 4)).astype(np.float32)
    plain, clipped = nn.MLP(4, (3,), 2), nn.MLP(4, (3,), 2)
    clipped.layers.insert(0, nn.SoftClip(0.5))
    wanted = pretrain(plain, nn.SoftClip(0.5)(x), epochs=2)
    assert pretrain(clipped, x, epochs=2) == wanted


def test_what_cannot_be_pretrained_is_refused():
    x = np.ones((4, 3), np.float32)
    linear = nn.Linear(3, 3)
    for network in (
        linear, nn.Sequential(linear), nn.MLP(3, (), 2), nn.Sequential(nn.Swish(3), linear, linear),
        nn.Sequential(linear, nn.Tied(0, 3), nn.Linear(3, 2)),
    ):  # fmt: skip
        with pytest.raises(cr.errors.NotSupported, match="linear layers"):
            pretrain(network, x)
    network = nn.MLP(3, (2,), 2)
    with pytest.raises(ValueError, match="Adam"):
        pretrain(network, x, optimizer="adamant")
    with pytest.raises(ValueError, match="mask"):
        pretrain(network, x, noise="salt")
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        pretrain(network, 2 * x, visible="sigmoid")


def test_whole_numbers_are_taken_as_floats_and_noise_reaches_them():
    x = np.random.default_rng(1).integers(0, 3, (32, 4))
    first, second = nn.MLP(4, (3,), 2), nn.MLP(4, (3,), 2)
    options = {"noise": "gaussian", "level": 0.3, "epochs": 2, "step_size": 0.01}
    assert pretrain(first, x, **options) == pretrain(second, x.astype(np.float32), **options)
    plain = pretrain(nn.MLP(4, (3,), 2), x, **{**options, "noise": None})
    assert plain != pretrain(nn.MLP(4, (3,), 2), x, **options)


def test_a_step_size_that_is_far_too_large_is_an_error():
    x = 1e3 * np.random.default_rng(1).normal(size=(32, 4))
    network = nn.MLP(4, (3,), 2, dtype="d")
    with pytest.raises(cr.errors.NotConverged, match="hidden layer 1.*step_size"):
        pretrain(network, x, noise=None, optimizer="SGD", step_size=1e3, epochs=300)
