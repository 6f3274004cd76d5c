"""Losses against their formulas, and the perceptron's rule."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.nn import losses

RNG = np.random.default_rng(3)
F, Y = RNG.normal(size=6) * 2, RNG.normal(size=6)
SIGNS = np.where(RNG.random(6) < 0.5, -1.0, 1.0)
SHARES = np.array([0.0, 1.0, 0.25, 0.5, 0.9, 0.01])

FORMULAS = {
    "squared": (Y, lambda f, y: (f - y) ** 2 / 2, lambda f, y: f - y),
    "absolute": (Y, lambda f, y: np.abs(f - y), lambda f, y: np.sign(f - y)),
    "huber": (
        Y, lambda f, y: np.where(abs(f - y) <= 1, (f - y) ** 2 / 2, abs(f - y) - 0.5),
        lambda f, y: np.clip(f - y, -1, 1),
    ),
    "logistic": (
        SIGNS, lambda f, y: np.log(1 + np.exp(-y * f)), lambda f, y: -y / (1 + np.exp(y * f)),
    ),
    "binary_cross_entropy": (
        SHARES, lambda f, y: y * np.log1p(np.exp(-f)) + (1 - y) * np.log1p(np.exp(f)),
        lambda f, y: 1 / (1 + np.exp(-f)) - y,
    ),
    "hinge": (
        SIGNS, lambda f, y: np.maximum(0, 1 - y * f), lambda f, y: np.where(y * f < 1, -y, 0),
    ),
    "perceptron": (
        SIGNS, lambda f, y: np.maximum(0, -y * f), lambda f, y: np.where(y * f < 0, -y, 0),
    ),
    "poisson": (np.abs(Y), lambda f, y: np.exp(f) - y * f, lambda f, y: np.exp(f) - y),
    "quantile": (
        Y, lambda f, y: np.maximum(0.5 * (y - f), -0.5 * (y - f)),
        lambda f, y: np.where(y > f, -0.5, 0.5),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_slopes_are_those_of_the_formula(name):
    targets, value, slope = FORMULAS[name]
    loss = losses.LOSSES[name]
    np.testing.assert_allclose(loss(F, targets, reduce="none"), value(F, targets), rtol=1e-13)
    np.testing.assert_allclose(loss(F, targets), value(F, targets).mean(), rtol=1e-13)
    found = cr.grad(lambda f: loss(f, targets, reduce="sum"))(F)
    np.testing.assert_allclose(found, slope(F, targets), rtol=1e-12)


def test_every_loss_is_tested():
    assert {*FORMULAS, "softmax_cross_entropy"} == set(losses.LOSSES)


def test_cross_entropy_with_smoothing_and_weights():
    scores, labels = RNG.normal(size=(4, 3)), np.array([0, 2, 1, 2])
    classes, samples = np.array([1.0, 2.0, 0.5]), np.array([1.0, 0.0, 2.0, 1.0])
    logs = np.log(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))
    target = 0.9 * np.eye(3)[labels] + 0.1 / 3
    each, weights = -(target * logs).sum(axis=1), classes[labels] * samples
    found = losses.softmax_cross_entropy(
        scores, labels, label_smoothing=0.1, class_weights=classes, sample_weights=samples
    )
    np.testing.assert_allclose(found, (each * weights).sum() / weights.sum(), rtol=1e-13)
    slope = cr.grad(lambda s: losses.softmax_cross_entropy(s, labels, reduce="sum"))(scores)
    np.testing.assert_allclose(slope, np.exp(logs) - np.eye(3)[labels], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("shape", [(2, 4, 5, 3), (2, 4, 3), (2, 3, 3)])
def test_cross_entropy_of_a_class_for_each_pixel_or_token(shape):
    scores, labels = RNG.normal(size=shape), RNG.integers(3, size=shape[:-1])
    classes, samples = np.array([1.0, 2.0, 0.5]), np.array([0.5, 2.0])
    each, weights = np.zeros(labels.shape), np.zeros(labels.shape)
    for place in np.ndindex(labels.shape):
        f, y = scores[place], labels[place]
        each[place] = np.log(np.exp(f).sum()) - f[y]
        weights[place] = classes[y] * samples[place[0]]
    loss = losses.softmax_cross_entropy
    np.testing.assert_allclose(loss(scores, labels), each.mean(), rtol=1e-13)
    np.testing.assert_allclose(loss(scores, labels, reduce="none"), each, rtol=1e-13)
    mean = (each * weights).sum() / weights.sum()
    for given in (samples, np.ones(labels.shape) * samples.reshape(2, *[1] * (labels.ndim - 1))):
        found = loss(scores, labels, class_weights=classes, sample_weights=given)
        np.testing.assert_allclose(found, mean, rtol=1e-13)
    slope = cr.grad(lambda s: loss(s, labels, reduce="sum"))(scores)
    shares = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(slope, shares - np.eye(3)[labels], rtol=1e-12, atol=1e-15)


def test_classes_that_come_first_are_refused_with_what_moves_them():
    scores, labels = RNG.normal(size=(2, 3, 4, 5)), np.zeros((2, 4, 5), int)
    with pytest.raises(cr.errors.ShapeError, match=r"moved by np.moveaxis\(scores, 1, -1\)"):
        losses.softmax_cross_entropy(scores, labels)
    with pytest.raises(cr.errors.ShapeError, match=r"are \(2,\) or \(2, 3, 4\), got \(4,\)"):
        losses.softmax_cross_entropy(scores, np.zeros((2, 3, 4), int), sample_weights=np.ones(4))


def test_the_two_values_of_each_label_may_have_weights():
    scores, signs = RNG.normal(size=(4, 2)), np.array([[1, -1], [-1, -1], [1, 1], [1, -1.0]])
    weights, samples = np.array([[0.5, 2.0], [1.0, 3.0]]), np.array([1.0, 0.0, 2.0, 1.0])
    chosen = np.where(signs > 0, weights[:, 1], weights[:, 0])
    each = (np.log1p(np.exp(-signs * scores)) * chosen).sum(axis=1)
    options = {"class_weights": weights, "sample_weights": samples}
    found = losses.logistic(scores, signs, **options)
    np.testing.assert_allclose(found, (each * samples).sum() / samples.sum(), rtol=1e-13)
    slope = cr.grad(lambda s: losses.logistic(s, signs, class_weights=weights, reduce="sum"))
    wanted = -signs * chosen / (1 + np.exp(signs * scores))
    np.testing.assert_allclose(slope(scores), wanted, rtol=1e-12)
    with pytest.raises(cr.errors.ShapeError, match=r"\(2, 2\) for scores \(4, 2\), got \(3, 2\)"):
        losses.logistic(scores, signs, class_weights=np.ones((3, 2)))


def test_scores_of_a_thousand_do_not_overflow():
    scores = np.array([[1000.0, -1000.0]])
    assert losses.softmax_cross_entropy(scores, np.array([1])) == 2000.0
    assert losses.logistic(np.array([-1000.0]), np.array([1.0])) == 1000.0


def test_a_step_of_the_perceptron_loss_is_the_perceptron_rule():
    w, x = np.array([0.5, -1.0]), np.array([[1.0, 1.0], [2.0, -1.0]])
    for row, sign in zip(x, (1.0, 1.0), strict=True):
        slope = cr.grad(lambda w: losses.perceptron((row @ w)[None], np.array([sign])))(w)
        wrong = sign * (row @ w) < 0
        np.testing.assert_array_equal(w - slope, w + sign * row if wrong else w)


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(cr.errors.ShapeError, match=r"\(6, 1\)"):
        losses.squared(F[:, None], Y)


def test_float32_stays_float32():
    scores = F.astype(np.float32)
    for name, (targets, _, _) in FORMULAS.items():
        assert losses.LOSSES[name](scores, targets).dtype == np.float32
