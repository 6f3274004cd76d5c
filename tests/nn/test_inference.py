"""Inference against closed forms, and samples against their probabilities."""

import numpy as np
import pytest
import scipy.stats

import chainrule as cr
from chainrule import nn
from chainrule.nn.inference import Bernoulli, Categorical

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(5, 3)) * 2
SIGNS = np.array([1, -1, -1, 1])
LOGITS = np.array([0.3, -2.0, 4.0, 0.0])


def test_bernoulli_is_the_logistic_formula():
    answer = Bernoulli(LOGITS)
    wanted = 1 / (1 + np.exp(-LOGITS))
    np.testing.assert_allclose(answer.probabilities(), wanted, rtol=1e-14)
    np.testing.assert_allclose(answer.probabilities(-1), 1 - wanted, rtol=1e-13)
    np.testing.assert_array_equal(answer.mode(), [1, -1, 1, 1])
    found = answer.log_likelihood(SIGNS)
    np.testing.assert_allclose(found, np.log(1 / (1 + np.exp(-SIGNS * LOGITS))), rtol=1e-13)
    np.testing.assert_allclose(-found, nn.losses.logistic(LOGITS, SIGNS, reduce="none"), rtol=1e-15)


def test_categorical_is_the_softmax_formula():
    answer, labels = Categorical(SCORES), np.array([0, 2, 1, 1, 0])
    wanted = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answer.probabilities(), wanted, rtol=1e-14)
    np.testing.assert_array_equal(answer.mode(), wanted.argmax(axis=1))
    found = answer.log_likelihood(labels)
    np.testing.assert_allclose(found, np.log(wanted[np.arange(5), labels]), rtol=1e-13)
    np.testing.assert_allclose(
        -found, nn.losses.softmax_cross_entropy(SCORES, labels, reduce="none"), rtol=1e-14
    )


def test_two_classes_are_the_bernoulli_model_of_their_difference():
    two = Categorical(SCORES[:, :2]).probabilities()[:, 1]
    np.testing.assert_allclose(
        two, Bernoulli(SCORES[:, 1] - SCORES[:, 0]).probabilities(), rtol=1e-13
    )


def test_samples_come_as_often_as_their_probabilities_say():
    count = 20_000
    drawn = Bernoulli(LOGITS).sample(1, count)
    assert drawn.shape == (count, 4) and set(np.unique(drawn)) == {-1, 1}
    p = Bernoulli(LOGITS).probabilities()
    z = ((drawn == 1).mean(axis=0) - p) / np.sqrt(p * (1 - p) / count)
    assert np.abs(z).max() < 4.5
    classes = Categorical(SCORES).sample(cr.random.Generator(2), count)
    assert classes.shape == (count, 5)
    for row, expected in zip(classes.T, Categorical(SCORES).probabilities(), strict=True):
        counts = np.bincount(row, minlength=3)
        assert scipy.stats.chisquare(counts, expected * count).pvalue > 1e-5


def test_one_sample_has_the_shape_of_the_answers_and_a_seed_decides_it():
    assert Bernoulli(LOGITS).sample(3).shape == (4,)
    assert Categorical(SCORES).sample(3).shape == (5,)
    np.testing.assert_array_equal(Categorical(SCORES).sample(3), Categorical(SCORES).sample(3))


def test_certain_answers_do_not_overflow():
    assert Bernoulli(np.array([-1000.0])).log_likelihood(np.array([1])) == -1000
    assert Categorical(np.array([[0.0, 1000.0]])).log_likelihood(np.array([0])) == -1000


def test_the_slope_of_the_log_likelihood_is_the_error_of_the_probability():
    def total(scores):
        return Categorical(scores).log_likelihood(np.array([0, 2, 1, 1, 0])).sum()

    wanted = np.eye(3)[[0, 2, 1, 1, 0]] - Categorical(SCORES).probabilities()
    np.testing.assert_allclose(cr.grad(total)(SCORES), wanted, atol=1e-14)
    slope = cr.grad(lambda f: Bernoulli(f).log_likelihood(SIGNS).sum())(LOGITS)
    np.testing.assert_allclose(slope, SIGNS * Bernoulli(-SIGNS * LOGITS).probabilities(), 1e-13)


def test_float32_scores_give_float32():
    assert Bernoulli(LOGITS.astype("f")).log_likelihood(SIGNS).dtype == np.float32
    assert Categorical(SCORES.astype("f")).probabilities().dtype == np.float32


def test_wrong_shapes_and_signs_are_refused():
    with pytest.raises(cr.errors.ShapeError, match=r"\(4,\).*\(3,\)"):
        Bernoulli(LOGITS).log_likelihood(np.ones(3))
    with pytest.raises(cr.errors.ShapeError, match=r"\(5,\)"):
        Categorical(SCORES).log_likelihood(np.zeros((5, 3), int))
    with pytest.raises(ValueError, match="-1 and 1"):
        Bernoulli(LOGITS).probabilities(0)
