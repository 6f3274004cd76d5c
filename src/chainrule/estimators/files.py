"""Estimators as folders: a model file of `chainrule.train`, with what predicts beside it.

    model.safetensors, model.json      the network; `about` holds the estimator's class,
                                       parameters, scaling, classes and names of columns

Nothing in it is code, and loading runs none (a pickle would). The optimizer's state is not kept:
`partial_fit` on a loaded estimator begins with a new one.
"""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from chainrule import errors, train
from chainrule.estimators.autoencoder import Autoencoder
from chainrule.estimators.classifier import DeepClassifier
from chainrule.estimators.network import Network
from chainrule.estimators.regressor import DeepRegressor
from chainrule.estimators.scaling import Scaling

ESTIMATORS: dict[str, type[Network]] = {
    c.__name__: c for c in (Autoencoder, DeepClassifier, DeepRegressor)
}
FORMAT = 1
_NUMBERS = ("n_features_in_", "n_iter_", "t_", "n_outputs_", "multilabel_", "_one_column", "_seed")
_SCALINGS = ("scaling_", "target_scaling_")
_LABELS = ("classes_", "feature_names_in_")
_PLAIN = ("settings_", "loss_curve_", "validation_loss_curve_")


def save(estimator: Network, folder: str | os.PathLike) -> None:
    """Writes a fitted estimator to a folder.

    **Errors** `NotFittedError` before `fit`; those of `train.save_model`.
    """
    check_is_fitted(estimator, "network_")
    train.save_model(estimator.network_, folder, _about(estimator))


def load(folder: str | os.PathLike) -> Network:
    """The estimator that `save` wrote to a folder: it predicts the same bits.

    **Errors** `FileDamaged` for a damaged folder, or one that holds no estimator.

    >>> import tempfile
    >>> x, y = np.arange(8.0)[:, None], np.repeat([0, 1], 4)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     DeepClassifier((4,), epochs=5, random_state=0).fit(x, y).save(f"{place}/model")
    ...     model = load(f"{place}/model")
    >>> model.hidden, model.predict_proba(x).shape
    ((4,), (8, 2))
    """
    network, about = train.load_model(folder)
    facts = about.get("estimator")
    try:
        if not isinstance(facts, dict) or facts["format"] != FORMAT:
            raise ValueError("it was not written by an estimator's save")
        return _estimator(facts, network)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise errors.FileDamaged(
            f"{os.fspath(folder)} holds no estimator that can be used: {error}.\n"
            "  A model of train.save_model or of the command line is loaded by train.load_model."
        ) from error


def _about(estimator: Network) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "format": FORMAT, "class": type(estimator).__name__,
        "parameters": {k: _plain(v) for k, v in estimator.get_params(deep=False).items()},
    }  # fmt: skip
    for name in _NUMBERS + _PLAIN:
        if hasattr(estimator, name):
            facts[name] = _plain(getattr(estimator, name))
    for name in _SCALINGS:
        if hasattr(estimator, name):
            facts[name] = getattr(estimator, name).to_json()
    for name in _LABELS:
        if hasattr(estimator, name):
            values = getattr(estimator, name)
            facts[name] = {"dtype": values.dtype.str, "values": values.tolist()}
    return {"task": estimator._task(), "estimator": facts}


def _plain(value: Any) -> Any:
    """Python's own numbers, lists and dicts; None for a generator, which no file keeps."""
    if value is None or isinstance(value, str | bool | np.bool_):
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, dict):
        return {"keys": [_plain(k) for k in value], "values": [_plain(v) for v in value.values()]}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return None


def _estimator(facts: dict, network) -> Network:
    if facts["class"] not in ESTIMATORS:
        raise ValueError(f"there is no estimator {facts['class']!r}")
    given = {k: _back(v) for k, v in facts["parameters"].items()}
    made: Any = ESTIMATORS[facts["class"]](**given)
    made.network_ = network
    for name in _NUMBERS:
        if name in facts:
            setattr(made, name, _number(facts[name], name))
    for name in _PLAIN:
        setattr(made, name, _back(facts[name]) if name == "settings_" else list(facts[name]))
    for name in _SCALINGS:
        if name in facts:
            setattr(made, name, Scaling(**facts[name]))
    for name in _LABELS:
        if name in facts:
            setattr(made, name, _labels(**facts[name]))
    made.loss_ = made.loss_curve_[-1]
    made._optimizer = None
    return made


def _labels(dtype: str, values: list) -> np.ndarray:
    """Classes or names of columns: text as long as it is, numbers as they were."""
    kind = np.dtype(dtype)
    if kind.kind not in "biufUO" or (kind.kind != "U" and kind.itemsize > 8):
        raise ValueError(f"labels of dtype {dtype} are not known")
    if kind.kind == "O" and not all(isinstance(v, str | int | float | bool) for v in values):
        raise ValueError("labels are text or numbers")
    return np.array(values, dtype=None if kind.kind == "U" else kind)


def _number(value: Any, name: str) -> Any:
    if not isinstance(value, bool | int):
        raise ValueError(f"{name} is {value!r}")
    return value


def _back(value: Any) -> Any:
    """What `_plain` made, with tuples for lists."""
    if isinstance(value, dict):
        keys, values = value["keys"], value["values"]
        return dict(zip(map(_back, keys), map(_back, values), strict=True))
    return tuple(_back(v) for v in value) if isinstance(value, list) else value
