"""Classifier, regressor and autoencoder: what they learn, and that options do what they say."""

import numpy as np
import pandas
import polars
import pytest
import scipy.sparse
from sklearn.datasets import load_digits, load_iris, make_friedman1
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split

from chainrule import nn
from chainrule.estimators import Autoencoder, DeepClassifier, DeepRegressor

SMALL = {"hidden": (16,), "epochs": 40, "step_size": 0.02, "random_state": 0}


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def fitted(iris):
    return DeepClassifier(**SMALL).fit(*iris)


def test_digits_are_learned_without_options():
    x, y = load_digits(return_X_y=True)
    train, test, known, asked = train_test_split(x, y, test_size=0.3, random_state=1, stratify=y)
    assert DeepClassifier(random_state=0).fit(train, known).score(test, asked) > 0.965


def test_a_curved_surface_is_learned_without_options():
    x, y = make_friedman1(600, noise=1.0, random_state=0)  # the noise is 1 of a variance of 25
    model = DeepRegressor(random_state=0).fit(x[:400], y[:400])
    line = RidgeCV().fit(x[:400], y[:400])
    assert model.score(x[400:], y[400:]) > line.score(x[400:], y[400:]) + 0.05


def test_probabilities_and_predictions_agree(fitted, iris):
    x, y = iris
    found = fitted.predict_proba(x)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_array_equal(fitted.classes_[found.argmax(axis=1)], fitted.predict(x))
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba(x)), found, rtol=1e-12)
    assert fitted.score(x, y) > 0.93


def test_a_row_has_the_same_bits_in_any_company(fitted, iris):
    x = np.tile(iris[0], (3, 1))
    whole = fitted.predict_proba(x)
    np.testing.assert_array_equal(whole[:150], whole[300:])
    np.testing.assert_array_equal(fitted.predict_proba(x[140:141]), whole[140:141])


@pytest.mark.parametrize("width", [16, 37, 50, 128, 300])
def test_a_row_has_the_same_bits_at_every_place_of_a_block(width):
    x = np.random.default_rng(width).normal(size=(40, 30))
    made = DeepClassifier(**SMALL | {"hidden": (width,), "epochs": 1}).fit(x, np.arange(40) % 5)
    found = made.predict_proba(np.tile(x[:1], (150, 1)))
    np.testing.assert_array_equal(found, np.tile(found[:1], (150, 1)))


def test_one_seed_gives_one_model(fitted, iris):
    again = DeepClassifier(**SMALL).fit(*iris)
    other = DeepClassifier(**SMALL | {"random_state": 1}).fit(*iris)
    np.testing.assert_array_equal(fitted.predict_proba(iris[0]), again.predict_proba(iris[0]))
    assert np.any(fitted.predict_proba(iris[0]) != other.predict_proba(iris[0]))


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_sparse_rows_give_the_same_bits_as_dense_ones(fitted, iris, form):
    sparse = DeepClassifier(**SMALL).fit(form(iris[0]), iris[1])
    found = sparse.predict_proba(form(iris[0]))
    np.testing.assert_array_equal(found, fitted.predict_proba(iris[0]))


@pytest.mark.parametrize("frame", [pandas.DataFrame, polars.DataFrame])
def test_names_of_columns_are_kept_and_compared(fitted, iris, frame):
    names = ["a", "b", "c", "d"]
    x = frame(dict(zip(names, iris[0].T, strict=True)))
    model = DeepClassifier(**SMALL).fit(x, iris[1])
    assert model.feature_names_in_.tolist() == names
    np.testing.assert_array_equal(model.predict_proba(x), fitted.predict_proba(iris[0]))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame(dict(zip(names[::-1], iris[0].T, strict=True))))


def test_several_labels_of_a_row():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = (x > 0.3).astype(int)
    model = DeepClassifier(**SMALL).fit(x, y)
    assert model.predict(x).shape == (200, 3) and model.multilabel_
    assert np.mean(model.predict(x) == y) > 0.93
    np.testing.assert_array_equal(model.predict(x), model.predict_proba(x) > 0.5)
    sparse = DeepClassifier(**SMALL).fit(x, scipy.sparse.csr_array(y))
    np.testing.assert_array_equal(sparse.predict_proba(x), model.predict_proba(x))


def test_columns_of_several_classes_are_refused_with_the_way_out(iris):
    with pytest.raises(ValueError, match="MultiOutputClassifier"):
        DeepClassifier(**SMALL).fit(iris[0], np.stack([iris[1], iris[1]], axis=1))


def test_several_outputs_and_far_scales_of_targets():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = np.stack([1e6 + 1e4 * x[:, 0], 1e-3 * (x[:, 0] - x[:, 1])], axis=1)
    model = DeepRegressor(**SMALL).fit(x, y)
    assert model.predict(x).shape == (200, 2) and model.score(x, y) > 0.95
    one = DeepRegressor(**SMALL).fit(x, y[:, :1])
    assert one.predict(x).shape == (200, 1)
    assert DeepRegressor(**SMALL).fit(x, y[:, 0]).predict(x).shape == (200,)


def test_counts_are_learned_by_the_poisson_loss():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 1))
    model = DeepRegressor(**SMALL, loss="poisson").fit(x, rng.poisson(np.exp(0.5 * x[:, 0] + 1)))
    grid = np.array([[-1.0], [0.0], [1.0]])
    np.testing.assert_allclose(model.predict(grid), np.exp(0.5 * grid[:, 0] + 1), rtol=0.25)
    with pytest.raises(ValueError, match=r"-1.0 in row 1"):
        model.fit(x[:2], [0, -1])


def test_an_absolute_loss_is_not_moved_by_a_few_far_targets():
    x = np.linspace(-1, 1, 200)[:, None]
    y = 2 * x[:, 0]
    y[::20] = 100.0
    options = SMALL | {"hidden": (), "epochs": 100, "input_clip": None}  # a linear model
    far = [abs(DeepRegressor(loss=name, **options).fit(x, y).predict([[0.0]])[0])
           for name in ("absolute", "squared")]  # fmt: skip
    assert far[0] < 1 < far[1]


def test_rows_on_a_line_are_coded_by_one_number():
    along = np.linspace(-1, 1, 100)
    x = np.stack([along, -2 * along, 5 + along], axis=1)
    model = Autoencoder(hidden=(), code=1, epochs=100, step_size=0.03, random_state=0).fit(x)
    again = model.inverse_transform(model.transform(x))
    np.testing.assert_allclose(again, x, atol=0.1)
    assert model.score(x) > -0.01 and model.get_feature_names_out().tolist() == ["autoencoder0"]
    steps = np.diff(model.transform(x)[:, 0])
    assert np.all(steps > 0) or np.all(steps < 0)
    assert model.transform(x.astype(np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match="a code has 1 numbers"):
        model.inverse_transform(x)


def test_an_autoencoder_takes_noise_and_tied_weights():
    x = np.random.default_rng(0).normal(size=(64, 4))
    model = Autoencoder(hidden=(6,), tied=True, noise="mask", epochs=3, random_state=0).fit(x)
    assert sum(a.ndim == 2 for a in model.network_.parameters()) == 2
    assert (model.network_.noise, model.network_.level) == ("mask", 0.1)


def test_options_reach_the_network_and_its_training(iris):
    model = DeepClassifier(
        (8, 8, 8), skips=True, batch_norm=False, dropout=0.0, input_clip=None, activation="tanh",
        optimizer="SGD", step_size=0.05, schedule="constant", l2=0.01, decay=0.0, batch_size=50,
        epochs=3, standardize=False, random_state=0,
    ).fit(*iris)  # fmt: skip
    assert isinstance(model.network_, nn.ResidualMLP)
    assert type(model._optimizer).__name__ == "SGD" and model._optimizer.l2[0] == 0.01
    assert int(model._optimizer.count) == 9 and model._optimizer.step_size == 0.05
    assert model.n_iter_ == 3 and model.t_ == 450 and len(model.loss_curve_) == 3
    np.testing.assert_array_equal(model.scaling_.deviation, 1)


def test_early_stopping_keeps_rows_aside_and_the_best_weights(iris):
    model = DeepClassifier(
        **SMALL | {"epochs": 300}, early_stopping=True, patience=5, schedule="constant"
    ).fit(*iris)
    assert model.n_iter_ < 300 and len(model.validation_loss_curve_) == model.n_iter_
    assert model.t_ == 135 * model.n_iter_
    assert "early stopping" in model.history_.stopped


@pytest.mark.parametrize("wrong", [
    {"hidden": (0,)}, {"hidden": 16}, {"dropout": 1.0}, {"activation": "sine"}, {"epochs": 0},
    {"optimizer": "newton"}, {"step_size": -1}, {"validation_fraction": 1.0}, {"batch_norm": "yes"},
    {"precision": "float8"}, {"warm_start": 1}, {"schedule": "linear"}, {"input_clip": 0},
], ids=str)  # fmt: skip
def test_a_parameter_that_cannot_be_is_named(iris, wrong):
    (name, value), = wrong.items()
    with pytest.raises(ValueError, match=f"{name} of DeepClassifier is .*got {value!r}".replace(
        "(", r"\(").replace(")", r"\)")):  # fmt: skip
        DeepClassifier(**wrong).fit(*iris)
