"""Weights of rows and of classes: what they are equal to, in full batches of float64."""

import numpy as np
import pytest

from chainrule.estimators import Autoencoder, DeepClassifier, DeepRegressor
from chainrule.estimators.scaling import Scaling

# One minibatch of all rows, no draws inside the network, and enough digits to compare.
FULL = {"hidden": (8,), "batch_size": 1000, "epochs": 30, "step_size": 0.02, "random_state": 0,
        "precision": "float64"}  # fmt: skip
PLAIN = {"dropout": 0.0, "batch_norm": False}  # batch norm's statistics are of rows, not of weights
RNG = np.random.default_rng(5)
FULL_BATCH = pytest.mark.filterwarnings("ignore:batch_size=1000 is more than")  # as is meant here
X = RNG.normal(size=(20, 3))
COUNTS = RNG.integers(0, 4, size=20)
LABELS = RNG.integers(0, 3, size=20)


@FULL_BATCH
@pytest.mark.parametrize("made, targets, asked", [
    (DeepClassifier(**FULL, **PLAIN), LABELS, "predict_proba"),
    (DeepRegressor(**FULL, **PLAIN), X[:, :2] ** 2, "predict"),
    (Autoencoder(**FULL), LABELS, "transform"),
], ids=["classifier", "regressor", "autoencoder"])  # fmt: skip
def test_a_weight_of_k_is_the_row_k_times_and_of_zero_not_at_all(made, targets, asked):
    again = type(made)(**made.get_params())
    weighted = made.fit(X, targets, sample_weight=COUNTS)
    repeated = again.fit(np.repeat(X, COUNTS, axis=0), np.repeat(targets, COUNTS, axis=0))
    np.testing.assert_allclose(
        getattr(weighted, asked)(X), getattr(repeated, asked)(X), rtol=1e-7, atol=1e-10
    )


@FULL_BATCH
def test_weights_of_classes_are_weights_of_their_rows():
    factors = {0: 3.0, 1: 1.0, 2: 0.5}
    by_class = DeepClassifier(**FULL, **PLAIN, class_weight=factors).fit(X, LABELS, COUNTS)
    by_row = DeepClassifier(**FULL, **PLAIN).fit(
        X, LABELS, COUNTS * np.array([factors[label] for label in LABELS])
    )
    np.testing.assert_allclose(by_class.predict_proba(X), by_row.predict_proba(X), rtol=1e-12)


def test_balanced_classes_make_a_rare_one_heard():
    rng = np.random.default_rng(1)
    y = np.repeat([0, 1], [190, 10])
    x = rng.normal(size=(200, 1)) + 1.5 * y[:, None]
    options = {"hidden": (8,), "epochs": 20, "step_size": 0.02, "random_state": 0}
    found = [np.mean(DeepClassifier(**options, class_weight=given).fit(x, y).predict(x[190:]))
             for given in (None, "balanced")]  # fmt: skip
    assert found[1] > found[0] + 0.3


def test_weights_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="zero"):
        DeepClassifier(**FULL).fit(X, LABELS, np.zeros(20))
    with pytest.raises(ValueError, match="[Nn]egative"):
        DeepClassifier(**FULL).fit(X, LABELS, -np.ones(20))
    with pytest.raises(ValueError, match="weights of 0 and 1 of each of the 3 labels"):
        DeepClassifier(**FULL, class_weight={0: 1, 1: 2}).fit(X, (X > 0).astype(int))


@FULL_BATCH
def test_weights_of_labels_count_in_each_label():
    labels = (X > [0.0, 0.8, -0.5]).astype(int)
    counts = np.stack([20 - labels.sum(axis=0), labels.sum(axis=0)], axis=1)
    given = [{k: 20 / (2 * counts[label, k]) for k in (0, 1)} for label in range(3)]
    found = [DeepClassifier(**FULL, **PLAIN, class_weight=w).fit(X, labels).predict_proba(X)
             for w in ("balanced", given, [{0: 1, 1: 1}] * 3, None)]  # fmt: skip
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
    np.testing.assert_allclose(found[2], found[3], rtol=1e-12)
    rare = labels[:, 1] == 1
    assert found[0][rare, 1].mean() > found[3][rare, 1].mean()


@pytest.mark.parametrize("size", [1e300, 1e-300])
def test_columns_of_any_size_are_scaled(size):
    x = np.random.default_rng(0).normal(size=(9, 2))
    assert np.allclose(Scaling.fitted(size * x)(size * x), Scaling.fitted(x)(x))
