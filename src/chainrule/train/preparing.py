"""From what `fit` was given to what it trains with: data that fits the model, in two sets."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from chainrule import errors, nn
from chainrule.data import Arrays, arrays, split
from chainrule.data.label_splits import are_labels
from chainrule.nn.module import Module
from chainrule.train.checks import SIGNS, check_data, check_scores
from chainrule.train.settings import Settings, known_loss, loss_function


def prepared(model: Module, data: Any, settings: Settings) -> tuple[Arrays, Any, Arrays | None]:
    """The data, the rows to train on (None: all), and the validation set, all checked.

    **Errors** `DataError` for nan, infinities and targets that the loss does not take, by row;
    `ShapeError` where inputs, outputs and targets do not fit together.
    """
    data = fitting(model, arrays_for(model, data), settings.loss, "the data's")
    rows, held = None, None
    if settings.share is not None:
        rows, other = _split(data, settings)
        held = data[other]
    elif settings.validation is not None:
        held = fitting(
            model, arrays_for(model, settings.validation), settings.loss, "the validation's"
        )
    if data.sample_weights is not None and not data.sample_weights.all():
        rows = np.arange(len(data)) if rows is None else rows
        rows = rows[data.sample_weights[rows] > 0]  # as if they were not there
    if rows is not None and len(rows) == 0:
        raise errors.DataError("no row to train on is left: all weights are 0.")
    return data, rows, held


def arrays_for(model: Module, data: Any) -> Arrays:
    """Arrays in the dtype of the model's weights; whole numbers stay so for an embedding."""
    if isinstance(data, Arrays):
        return data
    if isinstance(data, np.ndarray):
        data = (data, None)
    dtype = dtype_of(model)
    if isinstance(data, tuple) and data and np.asarray(data[0]).dtype.kind in "iu":
        if any(isinstance(module, nn.Embedding) for _, module in nn.named_modules(model)):
            return arrays(data, dtype=None)
    return arrays(data, dtype=dtype)


def dtype_of(model: Module) -> np.dtype:
    """The dtype of the model's first weights. **Errors** `NotDifferentiable` where it has none."""
    first = next(iter(model.parameters()), None)
    if first is None:
        raise errors.NotDifferentiable(
            f"{type(model).__name__} has no parameters to learn. An attribute is learned that was "
            "assigned as nn.Parameter(array)."
        )
    return first.dtype


def fitting(model: Module, data: Arrays, loss: Any, what: str) -> Arrays:
    """The data with targets of the shape that a loss compares with outputs; all checked."""
    check_data(data, what)
    with np.errstate(all="ignore"):  # what comes of hopeless weights is the babysitter's
        outputs = model(np.ascontiguousarray(data.inputs[:2]))
    name = known_loss(loss)
    if data.targets is not None and name not in ("", "softmax_cross_entropy"):
        data = copy(data)
        data.targets = _compared(outputs, np.asarray(data.targets))
    if name:
        check_scores(outputs, data, name)
    else:
        targets = data.inputs if data.targets is None else data.targets
        with np.errstate(all="ignore"):
            value = loss_function(loss)(outputs, np.asarray(targets[:2]))  # its errors come at once
        if np.ndim(value):
            raise errors.ShapeError(
                f"the loss gives an array of shape {np.shape(value)} for 2 rows, and one number is "
                "needed: the mean over the rows, (...).mean()."
            )
    return data


def _compared(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    if outputs.ndim == 2 and outputs.shape[1] == 1 and targets.ndim == 1:
        targets = targets[:, None]
    if targets.dtype.kind in "iub" and targets.shape[1:] == outputs.shape[1:]:
        return targets.astype(outputs.dtype)
    return targets


def _split(data: Arrays, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    share = settings.share or 0.0
    if not 0 < share < 1:
        raise ValueError(
            f"validation is a share between 0 and 1, or a set (x, y), got {settings.validation!r}."
        )
    return split(len(data), share=share, seed=settings.seed, stratify=_classes(data, settings))


def _classes(data: Arrays, settings: Settings) -> Any:
    """The classes or labels whose shares are to be the same in the validation set; False: none."""
    targets = data.targets
    if targets is None:
        return False
    if targets.ndim == 1 and targets.dtype.kind in "iu":
        return targets
    if targets.ndim > 2 or known_loss(settings.loss) not in (*SIGNS, "binary_cross_entropy"):
        return False
    labels = targets.reshape(len(targets), -1)
    return labels if are_labels(labels) else False
