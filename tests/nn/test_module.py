"""Module and Parameter: what is learned, gradients of the model's structure, state that moves."""

import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.nn.module import leaves


class Affine(nn.Module):
    def __init__(self, rng, n, m):
        self.weight = nn.Parameter(rng.normal(size=(n, m)))
        self.shift = nn.Parameter(np.zeros(m))
        self.size = n


class Two(nn.Module):
    def __init__(self, rng):
        self.layers = [Affine(rng, 3, 4), Affine(rng, 4, 2)]
        self.mean = np.zeros(3)
        self.calls = 0
        self.rate = 0.25

    def __call__(self, x, training=False, rng=None):
        if training:
            self.mean = self.mean * 0.5 + 0.5 * x.mean(axis=0)
            self.calls += 1
        first, last = self.layers
        return np.tanh(x @ first.weight + first.shift) @ last.weight + last.shift


def loss(model, x):
    return np.sum(model(x, training=True) ** 2)


@pytest.fixture
def model():
    return Two(np.random.default_rng(0))


X = np.random.default_rng(1).normal(size=(5, 3))


def test_what_is_learned_is_what_was_assigned_a_parameter(model):
    assert [path for path, _ in model.named_parameters()] == [
        "layers[0].weight", "layers[0].shift", "layers[1].weight", "layers[1].shift",
    ]  # fmt: skip
    assert [path for path, _ in model.named_state()] == ["mean"]
    assert type(model.layers[0].weight) is np.ndarray


def test_the_gradient_has_the_models_structure_and_none_for_state(model):
    found = cr.grad(loss)(model, X)
    assert isinstance(found, Two)
    assert found.mean is None and found.rate is None and found.calls is None
    assert found.layers[0].size is None
    assert [g.shape for g in found.parameters()] == [p.shape for p in model.parameters()]


def test_gradients_of_parameters_equal_those_of_plain_arrays(model):
    def plain(w, b, v, c):
        return np.sum((np.tanh(X @ w + b) @ v + c) ** 2)

    wanted = cr.grad(plain, (0, 1, 2, 3))(*model.parameters())
    for a, b in zip(cr.grad(loss)(model, X).parameters(), wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_state_written_while_training_is_seen_by_the_caller(model):
    cr.grad(loss)(model, X)
    np.testing.assert_allclose(model.mean, 0.5 * X.mean(axis=0), rtol=1e-15)
    assert model.calls == 1


def test_a_compiled_step_updates_the_parameters_in_place(model):
    @cr.compile
    def step(model, x, step_size):
        value, slopes = cr.value_and_grad(loss)(model, x)
        for p, slope in zip(model.parameters(), slopes.parameters(), strict=True):
            p -= step_size * slope
        return value

    arrays = model.parameters()
    losses = [step(model, X, 0.01) for _ in range(20)]
    assert losses[-1] < losses[0]
    assert model.calls == 20
    for before, after in zip(arrays, model.parameters(), strict=True):
        assert before is after


def test_assigning_an_array_keeps_it_learned_and_anything_else_does_not(model):
    layer = model.layers[0]
    layer.shift = np.ones(4)
    assert "layers[0].shift" in dict(model.named_parameters())
    layer.shift = None
    assert "layers[0].shift" not in dict(model.named_parameters())


def test_a_parameter_of_integers_is_refused():
    with pytest.raises(cr.errors.DtypeError, match="int64"):
        nn.Parameter(np.arange(3))


def test_a_model_without_parameters_has_no_gradient():
    with pytest.raises(cr.errors.NotDifferentiable):
        cr.grad(lambda m: 1.0)(nn.Module())


def test_vjp_and_jvp_move_parameters_alone(model):
    value, pullback = cr.vjp(lambda m: m(X), model)
    (cotangent,) = pullback(np.ones_like(value))
    assert cotangent.mean is None
    assert cotangent.layers[1].shift.shape == (2,)


def test_leaves_are_the_arrays_as_they_are_now_whatever_holds_them(model):
    Pair = namedtuple("Pair", ["first", "second"])
    model.pair, model.named = Pair(np.zeros(2), 3.0), {"a": [np.ones(1)], 5: np.ones(2)}
    found = {leaf.path: leaf for leaf in leaves(model)}
    assert [leaf.path for leaf in found.values() if not leaf.learned] == [
        "mean", "pair['first']", "named['a'][0]", "named[5]",
    ]  # fmt: skip
    model(X, training=True)  # puts a new array in the place of the mean
    model.named["a"][0] = np.full(1, 9.0)
    for path, array in [*model.named_parameters(), *model.named_state()]:
        assert found[path].array is array


def test_networks_and_training_do_not_import_scipy_before_it_is_used():
    code = "import sys, chainrule.nn, chainrule.train; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
