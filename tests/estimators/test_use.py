"""Estimators in use: passes, going on, copies, pipelines, searches, pickles and folders."""

import json
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule import errors, estimators, nn, train
from chainrule.estimators import Autoencoder, DeepClassifier, DeepRegressor

SMALL = {"hidden": (16,), "epochs": 10, "step_size": 0.02, "random_state": 0}
X, Y = load_iris(return_X_y=True)


def test_passes_are_an_optimizers_steps_one_after_the_other():
    model, losses = DeepClassifier(**SMALL), []
    for k in range(3):
        losses.append(model.partial_fit(X, Y, classes=[0, 1, 2]).loss_)
        assert int(model._optimizer.count) == 4 * (k + 1) and model.t_ == 150 * (k + 1)
    assert losses == sorted(losses, reverse=True) and losses[2] < 0.8 * losses[0]
    whole = DeepClassifier(**SMALL | {"epochs": 1}, schedule="constant").fit(X, Y)
    first = DeepClassifier(**SMALL, schedule="constant").partial_fit(X, Y)
    np.testing.assert_array_equal(whole.predict_proba(X), first.predict_proba(X))


def test_a_first_pass_may_lack_classes_and_a_later_one_may_not_add_any():
    model = DeepClassifier(**SMALL).partial_fit(X[:60], Y[:60], classes=[0, 1, 2])
    assert model.predict_proba(X).shape == (150, 3)
    model.partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"not in `self.classes_`: \[3\]"):
        model.partial_fit(X, Y + 1)
    with pytest.raises(ValueError, match="2 columns, and the estimator was fitted to 1"):
        DeepRegressor(**SMALL).partial_fit(X, Y).partial_fit(X, X[:, :2])


def test_a_warm_start_goes_on_and_a_cold_one_does_not():
    warm = DeepClassifier(**SMALL, warm_start=True).fit(X, Y)
    once = warm.loss_
    assert warm.fit(X, Y).loss_ < 0.9 * once and warm.n_iter_ == 20
    with pytest.raises(ValueError, match="same classes"):
        warm.fit(X[:100], Y[:100])
    cold = DeepClassifier(**SMALL).fit(X, Y)
    assert cold.fit(X, Y).loss_ == once and cold.n_iter_ == 10


def test_a_clone_has_the_options_and_nothing_learned():
    model = DeepClassifier(**SMALL, class_weight="balanced").fit(X, Y)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(X)


def test_pipelines_and_searches_choose_options():
    codes = Autoencoder((), code=3, epochs=20, random_state=0)
    pipeline = make_pipeline(StandardScaler(), codes, DeepClassifier(**SMALL))
    assert cross_val_score(pipeline, X, Y, cv=2).shape == (2,)
    grid = GridSearchCV(DeepClassifier(**SMALL), {"step_size": [1e-6, 0.02]}, cv=2).fit(X, Y)
    assert grid.best_params_ == {"step_size": 0.02}


@pytest.mark.parametrize("made, y", [
    (DeepClassifier(**SMALL), np.array(["a", "b", "c"])[Y]), (DeepClassifier(**SMALL), X > 3),
    (DeepRegressor(**SMALL), X[:, 0]), (DeepRegressor(**SMALL), X[:, :2]),
    (Autoencoder(**SMALL), None),
], ids=["classes", "labels", "number", "numbers", "codes"])  # fmt: skip
def test_pickles_and_folders_give_the_same_bits(tmp_path, made, y):
    model = made.fit(X, y if y is None or y.dtype.kind != "b" else y.astype(int))
    model.save(tmp_path / "model")
    name = "transform" if y is None else "predict"
    for again in (pickle.loads(pickle.dumps(model)), estimators.load(tmp_path / "model")):
        assert again.get_params() == model.get_params()
        found, known = getattr(again, name)(X), getattr(model, name)(X)
        np.testing.assert_array_equal(found, known)
        assert found.dtype == known.dtype
        if y is not None and y.dtype.kind != "b":
            again.partial_fit(X, y)  # and they can go on
    assert b"Compiled" not in pickle.dumps(model)


def test_a_folder_that_is_no_estimators_is_refused(tmp_path):
    train.save_model(nn.MLP(4, (3,), 2, rng=0), tmp_path / "other", {"task": "classification"})
    with pytest.raises(errors.FileDamaged, match=r"not written by an estimator(.|\n)*load_model"):
        estimators.load(tmp_path / "other")
    with pytest.raises(NotFittedError):
        DeepClassifier().save(tmp_path / "none")


@pytest.mark.parametrize("change, said", [
    ({"class": "SVC"}, "no estimator 'SVC'"), ({"parameters": {"depth": 3}}, "depth"),
    ({"classes_": {"dtype": "V99", "values": []}}, "V99"), ({"t_": "many"}, "t_ is 'many'"),
    ({"scaling_": {"mean": ["a"], "deviation": []}}, "could not convert"),
], ids=str)  # fmt: skip
def test_changed_facts_of_an_estimator_are_refused_by_name(tmp_path, change, said):
    model = DeepClassifier(**SMALL | {"epochs": 1}).fit(X, Y)
    model.save(tmp_path / "model")
    network, about = train.load_model(tmp_path / "model")
    facts = json.loads(json.dumps(about["estimator"])) | change
    train.save_model(network, tmp_path / "changed", {"estimator": facts})
    with pytest.raises(errors.FileDamaged, match=said):
        estimators.load(tmp_path / "changed")


def test_a_batch_of_more_rows_than_there_are_is_said():
    x = np.random.default_rng(0).normal(size=(90, 2))
    with pytest.warns(UserWarning, match="batch_size=1000 is more than the 90 rows to learn from"):
        DeepRegressor(batch_size=1000, epochs=2, random_state=0).fit(x, x[:, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = DeepRegressor(epochs=2, random_state=0).fit(x, x[:, 0])
        DeepRegressor(batch_size=90, epochs=2, random_state=0).fit(x, x[:, 0])
    assert model.settings_["fit"]["batch_size"] == 32


def test_images_are_refused_with_what_takes_them():
    with pytest.raises(ValueError, match=r"with dim 3.*X\.reshape\(len\(X\), -1\)"):
        DeepClassifier().fit(np.zeros((4, 8, 8)), [0, 1, 0, 1])


def test_two_rows_are_too_few_to_set_some_aside():
    with pytest.raises(ValueError, match="10% of 2 rows aside, .* early_stopping=False"):
        DeepClassifier(early_stopping=True).fit([[0.0], [1.0]], [0, 1])
