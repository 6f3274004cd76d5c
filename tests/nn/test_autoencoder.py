"""Autoencoders: values by hand, tied weights, noise, compiled training."""

import re

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.nn.autoencoder import corrupted

RNG = np.random.default_rng(0)
X = RNG.random((6, 5)).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_the_code_and_what_it_decodes_to_are_those_of_the_formula():
    model = nn.Autoencoder(5, (4,), 2, "tanh", code_activation="identity", output="sigmoid")
    (a, b), (c, d) = model.encoder, model.decoder
    code = np.tanh(X @ a.weight) @ b.weight
    np.testing.assert_allclose(model.encode(X), code, rtol=1e-5, atol=1e-6)
    back = sigmoid(np.tanh(code @ c.weight) @ d.weight)
    np.testing.assert_allclose(model(X), back, rtol=1e-5)
    np.testing.assert_allclose(model.decode(model.encode(X)), model(X), rtol=1e-6)
    assert a.weight.shape == (5, 4) and d.weight.shape == (4, 5)


def test_tied_weights_are_one_array_whose_slope_is_the_sum_of_both_uses():
    model = nn.Autoencoder(5, (), 3, "sigmoid", tied=True, dtype="d")
    x = X.astype("d")
    assert [path for path, _ in model.named_parameters()] == [
        "encoder[0].weight", "encoder[0].bias", "decoder[0].bias",
    ]  # fmt: skip
    w = model.encoder[0].weight
    code = sigmoid(x @ w)
    error = (code @ w.T - x) / len(x)
    wanted = error.T @ code + x.T @ (error @ w * code * (1 - code))
    found = cr.grad(lambda m: m.loss(x))(model)
    np.testing.assert_allclose(found.encoder[0].weight, wanted, rtol=1e-12)
    np.testing.assert_allclose(found.decoder[0].bias, error.sum(axis=0), rtol=1e-12)


def test_losses_are_half_squares_or_minus_log_likelihoods():
    plain = nn.Autoencoder(5, (), 3)
    np.testing.assert_allclose(
        plain.loss(X), 0.5 * np.square(plain(X) - X).sum(axis=1).mean(), rtol=1e-6
    )
    shares = nn.Autoencoder(5, (), 3, output="sigmoid")
    p = shares(X)
    wanted = -(X * np.log(p) + (1 - X) * np.log(1 - p)).sum(axis=1)
    np.testing.assert_allclose(shares.loss(X, reduce="none"), wanted, rtol=1e-5)


def test_noise_is_what_its_name_says():
    ones = np.ones((200, 100), np.float32)
    masked = corrupted(ones, "mask", 0.3, cr.random.Generator(1))
    assert set(np.unique(masked)) == {0, 1} and masked.dtype == np.float32
    assert abs(masked.mean() - 0.7) < 5 * np.sqrt(0.21 / ones.size)
    rough = corrupted(ones, "gaussian", 0.5, cr.random.Generator(1))
    assert abs(rough.std() - 0.5) < 0.01 and abs(rough.mean() - 1) < 0.02


def test_a_denoising_autoencoder_draws_only_while_it_trains_and_compares_with_clean_input():
    model = nn.Autoencoder(5, (), 3, noise="mask", level=0.5)
    np.testing.assert_array_equal(model(X), model(X))
    noisy = model(X, training=True, rng=cr.random.Generator(2))
    seen = corrupted(X, "mask", 0.5, cr.random.Generator(2))
    np.testing.assert_array_equal(noisy, model(seen))
    np.testing.assert_allclose(
        model.loss(X, True, cr.random.Generator(2)), 0.5 * np.square(noisy - X).sum(1).mean(), 1e-6
    )
    with pytest.raises(cr.errors.StructureMismatch, match="rng"):
        model(X, training=True)


def test_noise_reaches_whole_numbers():
    model = nn.Autoencoder(5, (), 3, noise="gaussian", level=0.2)
    x = np.ones((2, 5), np.int64)
    assert np.abs(model(x, training=True, rng=cr.random.Generator(3)) - model(x)).max() > 1e-3


def test_a_linear_autoencoder_finds_the_principal_components():
    rng = np.random.default_rng(3)
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    x = rng.normal(size=(200, 4)) * [2.0, 1.5, 0.5, 0.1] @ rotation
    x -= x.mean(axis=0)
    model = nn.Autoencoder(4, (), 2, "identity", dtype="d", rng=1)
    found = optim.lbfgs(lambda m, x: m.loss(x), model, x, tolerance=1e-14).loss
    left = (np.linalg.svd(x, compute_uv=False)[2:] ** 2).sum() / 2 / len(x)
    np.testing.assert_allclose(found, left, rtol=1e-6)


def test_autoencoders_are_described_and_built_again():
    model = nn.Autoencoder(
        5, (4,), 2, "tanh", tied=True, noise="gaussian", level=0.1, output="sigmoid"
    )
    again = nn.builders.build(nn.builders.described(model))
    assert again.config() == model.config()
    for array, saved in zip(again.parameters(), model.parameters(), strict=True):
        array[...] = saved
    np.testing.assert_array_equal(again(X), model(X))


@pytest.mark.parametrize(
    "options", [{"noise": "salt"}, {"output": "relu"}, {"activation": "bent"},
                {"code_activation": ["tanh"]}, {"tied": "no"},
                {"noise": "mask", "level": 1.0}, {"noise": "gaussian", "level": -1.0}],
)  # fmt: skip
def test_unknown_options_are_refused(options):
    with pytest.raises(ValueError, match=re.escape(str(next(reversed(options.values()))))):
        nn.Autoencoder(5, (), 3, **options)
