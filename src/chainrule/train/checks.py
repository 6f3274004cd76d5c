"""What is looked at before a training starts: bad data is refused by row and column."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors
from chainrule.nn.losses import by_position

CHUNK = 1 << 22  # numbers looked at in one go, so that a memory-map is not loaded

SIGNS = ("logistic", "hinge", "perceptron")


def check_data(data: Any, what: str) -> None:
    """Refuses nan and infinities in inputs and targets, by row and column."""
    if len(data) == 0:
        raise errors.DataError(f"{what}: there are no rows.")
    _check_finite(data.inputs, f"{what} inputs")
    if data.targets is not None:
        _check_finite(data.targets, f"{what} targets")


def _check_finite(array: np.ndarray, what: str) -> None:
    if array.dtype.kind != "f" or not array.size:
        return
    rows = max(1, CHUNK // max(1, array[0].size))
    for start in range(0, len(array), rows):
        part = np.asarray(array[start : start + rows])
        with np.errstate(all="ignore"):
            if np.isfinite(part.sum(dtype=np.float64)):
                continue  # one pass that allocates nothing; what it lets through is finite
        found = np.argwhere(~np.isfinite(part))
        if not len(found):
            continue
        row, *column = (int(i) for i in found[0])
        where = f", column {', '.join(str(i) for i in column)}" if column else ""
        more = f"; {len(found) - 1} more in these rows" if len(found) > 1 else ""
        raise errors.DataError(
            f"{what} row {start + row}{where} is {part[tuple(found[0])]}{more}.\n"
            "  Training needs finite numbers: data.Preparation fills missing values, or leave the "
            "row out."
        )


def check_scores(outputs: np.ndarray, data: Any, loss_name: str) -> None:
    """Refuses targets that do not fit the model's outputs and the loss."""
    targets = data.targets
    if targets is None:
        if outputs.shape[1:] != data.inputs.shape[1:]:
            raise errors.ShapeError(
                f"data without targets trains a model to give its inputs back: outputs of shape "
                f"{_row(outputs)} a row are needed as inputs have {_row(data.inputs)}. Pass "
                "targets: fit(model, (x, y), ...)."
            )
        return
    if loss_name == "softmax_cross_entropy":
        _check_classes(outputs, targets)
    elif targets.shape[1:] != outputs.shape[1:]:
        raise errors.ShapeError(
            f"{loss_name} compares outputs and targets one by one: the model gives {_row(outputs)} "
            f"a row, the targets have {_row(targets)}."
        )
    if loss_name in SIGNS:
        rule, fits = f"{loss_name} takes targets of -1 and 1", np.isin(targets, (-1, 1))
        instead = "Write: 2 * y - 1" if np.isin(targets, (0, 1)).all() else ""
        _check_values(targets, fits, rule, instead)
    if loss_name == "binary_cross_entropy":
        fits = (targets >= 0) & (targets <= 1)
        _check_values(targets, fits, "binary_cross_entropy takes targets from 0 to 1")
    if loss_name == "poisson":
        _check_values(targets, targets >= 0, "poisson takes counts from 0")


def _check_classes(outputs: np.ndarray, targets: np.ndarray) -> None:
    if outputs.ndim < 2:
        raise errors.ShapeError(
            f"softmax_cross_entropy takes scores (N, K); the model gives {_row(outputs)} a row."
        )
    classes = outputs.shape[-1]
    if (outputs.ndim == 2 and targets.ndim != 1) or targets.dtype.kind not in "iu":
        raise errors.DataError(
            f"softmax_cross_entropy takes whole numbers (N,) from 0 to {classes - 1} as targets, "
            f"got {targets.dtype} {targets.shape}. Write: {_as_classes(targets, classes)}"
        )
    by_position(outputs, targets[: len(outputs)])
    fits = (targets >= 0) & (targets < classes)
    _check_values(
        targets, fits, f"the model has {classes} scores, for the classes 0 to {classes - 1}"
    )


def _as_classes(targets: np.ndarray, classes: int) -> str:
    """What makes classes (N,) of targets in another form."""
    if targets.ndim == 2 and targets.shape[1] == classes > 1:
        return "y.argmax(axis=1)"  # a column for each class
    column = "y[:, 0]" if targets.shape[1:] == (1,) else "y"
    return column if targets.dtype.kind in "iu" else f"{column}.astype(np.int64)"


def _check_values(targets: np.ndarray, fits: np.ndarray, rule: str, instead: str = "") -> None:
    if not fits.all():
        where = tuple(int(i) for i in np.argwhere(~fits)[0])
        column = f", column {', '.join(map(str, where[1:]))}" if len(where) > 1 else ""
        raise errors.DataError(
            f"{rule}; the target of row {where[0]}{column} is {targets[where]}."
            + (f" {instead}" if instead else "")
        )


def _row(array: np.ndarray) -> str:
    return "one number" if array.ndim == 1 else str(array.shape[1:])
