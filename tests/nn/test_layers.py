"""Linear, norms, dropout, activations and the MLP: values by hand, what training changes."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

import chainrule as cr
from chainrule import errors, nn
from chainrule.nn.activations import FUNCTIONS

rng = np.random.default_rng(6)
X = rng.normal(size=(7, 3))

FORMULAS = {
    "identity": lambda x: x,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
    "relu": lambda x: np.where(x > 0, x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "gelu": lambda x: x * scipy.stats.norm.cdf(x),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "mish": lambda x: x * np.tanh(np.log(1 + np.exp(x))),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_is_its_formula_with_a_true_slope(name):
    layer = nn.Activation(name)
    np.testing.assert_allclose(layer(X), FORMULAS[name](X), rtol=1e-12, atol=1e-15)
    assert layer(X.astype("f")).dtype == np.float32
    cr.testing.check_derivatives(layer, (X + 0.1 * np.sign(X),), rtol=1e-5)


def test_selu_keeps_a_mean_of_0_and_a_variance_of_1():
    nodes, weights = np.polynomial.legendre.leggauss(400)
    halves = [6 * nodes + shift for shift in (-6, 6)]  # on each side of the kink at 0
    halves = [(x, 6 * weights * scipy.stats.norm.pdf(x)) for x in halves]
    for power, wanted in ((1, 0.0), (2, 1.0)):
        found = sum(np.sum(w * nn.Activation("selu")(x) ** power) for x, w in halves)
        np.testing.assert_allclose(found, wanted, atol=1e-14)


def test_silu_is_told_its_name_here():
    with pytest.raises(ValueError, match="Write: 'swish'"):
        nn.Activation("silu")


def test_every_activation_is_tested():
    assert set(FORMULAS) == set(FUNCTIONS)


def test_a_swish_learns_its_slope():
    layer = nn.Swish(3, slope=2.0, dtype="d")
    layer.slope[...] = [0.5, 1.0, 2.0]
    np.testing.assert_allclose(layer(X), X / (1 + np.exp(-layer.slope * X)), rtol=1e-13)
    grads = cr.grad(lambda m: np.sum(m(X)))(layer)
    s = 1 / (1 + np.exp(-layer.slope * X))
    np.testing.assert_allclose(grads.slope, np.sum(X * X * s * (1 - s), axis=0), rtol=1e-12)


def test_linear_is_a_product_with_a_bias_or_without():
    layer = nn.Linear(3, 2, dtype="d", rng=1)
    layer.bias[...] = [1.0, -1.0]
    np.testing.assert_allclose(layer(X), X @ layer.weight + layer.bias, rtol=1e-15)
    plain = nn.Linear(3, 2, bias=False, dtype="d", rng=1)
    assert plain.bias is None and len(plain.parameters()) == 1
    np.testing.assert_allclose(plain(X), X @ plain.weight, rtol=1e-15)
    with pytest.raises(errors.ShapeError, match=r"3 inputs on the last axis, got shape \(7, 4\)"):
        layer(np.ones((7, 4)))


def test_batch_norm_trains_by_the_batch_and_keeps_running_statistics():
    layer = nn.BatchNorm(3, momentum=0.25, dtype="d")
    layer.scale[...], layer.shift[...] = [1.0, 2.0, 3.0], [0.5, 0.0, -0.5]
    images = rng.normal(size=(4, 2, 5, 3)) * 3 + 2
    flat = images.reshape(-1, 3)
    wanted = (images - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-5) * layer.scale + layer.shift
    np.testing.assert_allclose(layer(images, training=True), wanted, rtol=1e-12)
    np.testing.assert_allclose(layer.running_mean, 0.25 * flat.mean(0), rtol=1e-12)
    running = 0.75 + 0.25 * flat.var(0, ddof=1)
    np.testing.assert_allclose(layer.running_variance, running, rtol=1e-12)
    wanted = (X - layer.running_mean) / np.sqrt(running + 1e-5) * layer.scale + layer.shift
    np.testing.assert_allclose(layer(X), wanted, rtol=1e-12)
    assert [path for path, _ in layer.named_state()] == ["running_mean", "running_variance"]
    with pytest.raises(errors.ShapeError, match="at least 2 values a channel"):
        layer(X[:1], training=True)


def test_layer_norm_normalises_every_row():
    layer = nn.LayerNorm(3, dtype="d")
    layer.scale[...] = [1.0, 2.0, 3.0]
    z = (X - X.mean(1, keepdims=True)) / np.sqrt(X.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(layer(X), z * layer.scale, rtol=1e-12)


@pytest.mark.parametrize("make, axis", [(nn.BatchNorm, 0), (nn.LayerNorm, 1)])
def test_norms_are_differentiated_through_their_statistics(make, axis):
    weights = rng.normal(size=X.shape)

    def plain(x):
        z = (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + 1e-5)
        return np.sum(weights * z)

    cr.testing.check_derivatives(plain, (X,), rtol=1e-5)
    loss = lambda layer, x: np.sum(weights * layer(x, training=True))
    found = cr.grad(loss, 1)(make(3, dtype="d"), X)
    np.testing.assert_allclose(found, cr.grad(plain)(X), rtol=1e-9, atol=1e-12)


def test_dropout_keeps_the_mean_and_does_nothing_at_inference():
    layer = nn.Dropout()
    assert layer.rate == 0.5
    x = np.ones((100, 100))
    draw = layer(x, training=True, rng=cr.random.default_rng(0))
    assert set(np.unique(draw)) == {0.0, 2.0}
    assert draw.mean() == pytest.approx(1, abs=0.03)  # three deviations: 3 / sqrt(10,000)
    assert layer(x) is x
    with pytest.raises(errors.StructureMismatch, match="pass rng"):
        layer(x, training=True)


def test_an_mlp_is_its_layers_one_after_the_other():
    model = nn.MLP(3, (4, 5), 2, activation=["tanh", "relu"], init=["glorot", "he", "lecun"],
                   batch_norm=True, dropout=0.2, input_dropout=0.1, dtype="d", rng=3)  # fmt: skip
    kinds = [type(layer).__name__ for layer in model.layers]
    block = ["Linear", "BatchNorm", "Activation", "Dropout"]
    assert kinds == ["Dropout", *block, *block, "Linear"]
    w, b, u, c, v, d = (a for p, a in model.named_parameters() if "weight" in p or "bias" in p)
    kept = 1 / np.sqrt(1 + 1e-5)  # of a batch norm that has seen nothing
    hidden = np.maximum((np.tanh((X @ w + b) * kept) @ u + c) * kept, 0)
    np.testing.assert_allclose(model(X), hidden @ v + d, rtol=1e-12)
    with pytest.raises(ValueError, match="one for all layers or 2 of them, got 3"):
        nn.MLP(3, (4, 5), 2, activation=["tanh"] * 3)


def test_activations_stay_in_half_precision():
    x = np.linspace(-4, 4, 9, dtype=np.float16)
    for name, function in nn.activations.FUNCTIONS.items():
        found = function(x)
        assert found.dtype == np.float16, name
        np.testing.assert_allclose(found, function(x.astype(float)), rtol=2e-3, atol=2e-3)
    steps, _ = nn.LSTM(3, 2, dtype=np.float16, rng=0).unrolled(np.ones((2, 4, 3), np.float16))
    assert steps.dtype == np.float16
