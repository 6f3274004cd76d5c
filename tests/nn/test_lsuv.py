"""LSUV: outputs of variance 1 in any structure, in place, from orthonormal weights."""

import numpy as np
import pytest

from chainrule import nn
from chainrule.nn.watching import watched

X = (np.random.default_rng(0).normal(size=(256, 10)) * 7 + 3).astype(np.float32)


def variances(model, x):
    """By running the layers by hand."""
    found = []
    for layer in model.layers:
        x = layer(x)
        if isinstance(layer, nn.Linear):
            found.append(np.var(x))
    return found


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_every_linear_layer_has_outputs_of_variance_1(activation):
    model = nn.MLP(10, (20,) * 8, 3, activation=activation, init="small")
    assert variances(model, X)[-1] < 1e-6
    arrays = model.parameters()
    reported = nn.lsuv(model, X)
    np.testing.assert_allclose(variances(model, X), 1, atol=0.02)
    assert all(a is b for a, b in zip(arrays, model.parameters(), strict=True))
    assert list(reported) == [f"layers[{i}]" for i in range(0, 17, 2)]


def test_weights_are_orthogonal_up_to_their_scale():
    model = nn.MLP(10, (10,), 10)
    nn.lsuv(model, X, rng=3)
    for layer in (model.layers[0], model.layers[2]):
        gram = layer.weight.T @ layer.weight
        np.testing.assert_allclose(gram, np.eye(10) * gram[0, 0], atol=1e-5 * gram[0, 0])


def test_directions_are_kept_on_request():
    model = nn.MLP(10, (6,), 2, rng=1)
    before = [w.copy() for w in model.parameters() if w.ndim == 2]
    nn.lsuv(model, X, orthogonal=False)
    after = [w for w in model.parameters() if w.ndim == 2]
    for a, b in zip(before, after, strict=True):
        ratio = b / a
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
    np.testing.assert_allclose(variances(model, X), 1, atol=0.02)


def test_convolutions_too():
    images = np.random.default_rng(2).normal(size=(32, 8, 8, 4)).astype(np.float32)
    first = nn.Conv2d(4, 6, 3, strides=2, groups=2, init="small")
    flat = nn.Sequential(nn.Activation("relu"), nn.Flatten(), nn.Linear(54, 3, init="small"))
    model = nn.Sequential(first, flat)
    assert set(nn.lsuv(model, images)) == {"layers[0]", "layers[1].layers[2]"}
    np.testing.assert_allclose(np.var(first(images)), 1, atol=0.02)
    np.testing.assert_allclose(np.var(model(images)), 1, atol=0.02)


class Branching(nn.Module):
    """A shortcut around two layers, one of which is used twice."""

    def __init__(self):
        self.inner = {"a": nn.Linear(10, 10, init="small"), "b": nn.Linear(10, 10, init="small")}
        self.shared = self.inner["a"]

    def __call__(self, x, training=False, rng=None):
        return x + self.inner["b"](nn.relu(self.shared(nn.relu(self.inner["a"](x)))))


def test_layers_inside_other_structures_are_found_once():
    model = Branching()
    found = nn.lsuv(model, X)
    assert set(found) == {"inner['a']", "inner['b']"}
    np.testing.assert_allclose(np.var(model.inner["a"](X)), 1, atol=0.02)


def test_outputs_that_are_the_same_everywhere_name_the_layer():
    with pytest.raises(ValueError, match=r"layers\[0\]"):
        nn.lsuv(nn.MLP(10, (5,), 2), np.zeros((20, 10), np.float32))
    dead = nn.Sequential(nn.Linear(10, 4), nn.Activation("relu"), nn.Linear(4, 2))
    dead.layers[0].bias[...] = -1000
    with pytest.raises(ValueError, match=r"layers\[2\]"):
        nn.lsuv(dead, X)
    assert type(dead.layers[0]) is nn.Linear


def test_watching_ends_with_the_block_also_where_it_fails():
    model = nn.MLP(10, (5,), 2)
    with pytest.raises(RuntimeError):
        with watched(model, nn.Linear, lambda path, layer, call, x: call(x)):
            assert type(model.layers[0]) is not nn.Linear
            raise RuntimeError
    assert type(model.layers[0]) is nn.Linear
