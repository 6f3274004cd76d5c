"""What the estimators share: a network, its optimizer, and their training on scaled arrays."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from chainrule import data, nn, train
from chainrule.estimators import inference, parameters
from chainrule.estimators.scaling import Scaling
from chainrule.train.recipe import network, optimizer, recipe

_MODEL = ("hidden", "activation", "dropout", "batch_norm", "init", "input_clip")
_FIT = (
    "optimizer", "step_size", "schedule", "decay", "l2", "batch_size", "epochs", "early_stopping",
)  # fmt: skip


class Network(BaseEstimator):
    """The base of the estimators: each says what its outputs, its targets and its loss are."""

    network_: Any
    _optimizer: Any

    def _task(self) -> str:
        """The recipe's name for what is learned."""
        raise NotImplementedError

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _validated(self, X, y: Any = "none", *, reset: bool, **options):
        """X, and y where it is given, checked: X of float32 or float64, in a sparse form or not."""
        axes = len(getattr(X, "shape", ()))
        if axes > 2:
            raise ValueError(
                f"Found array with dim {axes}, while dim <= 2 is required by "
                f"{type(self).__name__}: rows of numbers. Images: X.reshape(len(X), -1), or a "
                "network of images, train.fit(nn.CNN(...), (X, y), ...)."
            )
        targets = {} if isinstance(y, str) else {"y": y, "multi_output": True}
        return validate_data(
            self, X, **targets, reset=reset, accept_sparse=("csr", "csc"),
            dtype=(np.float64, np.float32), **options,
        )  # fmt: skip

    def _weighted(self, X, sample_weight) -> np.ndarray | None:
        """The weights of the rows, or None where there are none."""
        if sample_weight is None:
            return None
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if not np.any(weights):
            raise ValueError("every sample_weight is zero: there is no row to learn from.")
        return weights

    def _begin(self, x: np.ndarray, weights, outputs: int) -> None:
        """Scaling, settings and network, anew."""
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        columns = x.shape[1]
        self.scaling_ = Scaling.fitted(x, weights) if self.standardize else Scaling.none(columns)
        self.settings_ = self._settings(len(x), columns, outputs)
        self.network_ = self._network(columns, outputs)
        self.n_iter_, self.t_ = 0, 0
        self.loss_curve_: list[float] = []
        self.validation_loss_curve_: list[float] = []
        self._optimizer = None

    def _settings(self, rows: int, columns: int, outputs: int) -> dict[str, dict[str, Any]]:
        """What the recipe says for data of this size, with the parameters that say otherwise."""
        settings = recipe(self._task(), rows, columns, outputs)
        if getattr(self, "skips", False):
            settings["model"] |= {"skips": True, "hidden": settings["model"]["hidden"][:1] * 3}
        for part, names in (("model", _MODEL), ("fit", _FIT)):
            chosen = {name: getattr(self, name) for name in names if hasattr(self, name)}
            settings[part] |= {k: v for k, v in chosen.items() if not _is_auto(v)}
        return settings

    def _network(self, columns: int, outputs: int) -> nn.Module:
        return network(self.settings_["model"], columns, outputs, dtype=self._dtype, rng=self._seed)

    @property
    def _dtype(self) -> np.dtype:
        return np.dtype(self.precision)

    def _learn(self, x, targets, weights, loss, *, incremental: bool, classes=None) -> None:
        """Training on rows x (N, C) as they came, and their targets as the loss takes them."""
        if weights is not None:
            used = weights > 0
            x, weights = x[used], weights[used]
            targets, classes = (None if a is None else a[used] for a in (targets, classes))
        if len(x) == 1 and self.settings_["model"]["batch_norm"]:
            raise ValueError(
                "batch norm needs at least 2 rows with a weight to train on, got n_samples = 1. "
                "Without it, batch_norm=False, one row will do."
            )
        fit = dict(self.settings_["fit"])
        if incremental:
            # how many passes there will be is not known: no end for a cosine to fall to
            fit |= {"epochs": 1, "early_stopping": False, "schedule": "constant"}
        inputs = self.scaling_(x)
        arrays = data.Arrays(inputs, targets, weights, dtype=self._dtype)
        held = None
        if fit["early_stopping"]:
            own, other = data.split(
                len(x), share=self.validation_fraction, seed=self._seed, stratify=classes
            )
            if not len(other):
                raise ValueError(
                    f"early_stopping sets {self.validation_fraction:.0%} of {len(x)} rows aside, "
                    "and each class needs a row to learn from: none is left. "
                    "early_stopping=False trains on all of them."
                )
            arrays, held = arrays[own], arrays[other]
        if not incremental:
            self._say_few(len(arrays))
        if not incremental or self._optimizer is None:
            steps = fit["epochs"] * max(1, len(arrays) // fit["batch_size"])
            self._optimizer = optimizer(fit, self.network_, steps)
        self.history_ = train.fit(
            self.network_, arrays, loss=loss, validation=held, epochs=fit["epochs"],
            batch_size=fit["batch_size"], optimizer=self._optimizer, precision=self.precision,
            early_stopping=self.patience if fit["early_stopping"] else None,
            seed=self._seed + self.n_iter_, babysitter=self.babysitter,
            progress="auto" if self.verbose else "none",
        )  # fmt: skip
        self._note(len(arrays))

    def _say_few(self, rows: int) -> None:
        """Warns where a batch size that was asked for makes one step of each epoch."""
        asked: Any = getattr(self, "batch_size", parameters.AUTO)
        if not _is_auto(asked) and asked > rows:
            warnings.warn(
                f"batch_size={asked} is more than the {rows} rows to learn from: they are one "
                "minibatch, and each epoch is one step. batch_size='auto' suits the number of "
                "rows.",
                UserWarning, stacklevel=4,
            )  # fmt: skip

    def _note(self, rows: int) -> None:
        """What the history says, under scikit-learn's names."""
        self.n_iter_ += len(self.history_.records)
        self.t_ += rows * len(self.history_.records)
        self.loss_curve_ += self.history_["loss"]
        self.validation_loss_curve_ += self.history_["validation_loss"]
        self.loss_ = self.loss_curve_[-1]

    def _outputs(self, X) -> np.ndarray:
        """The network's outputs for rows as they come, in float64."""
        check_is_fitted(self, "network_")
        X = self._validated(X, reset=False)
        found = inference.outputs_of(inference.scores, self.network_, X, self.scaling_, self._dtype)
        return found.astype(np.float64)

    def save(self, folder) -> None:
        """Writes the network and all that predicts with it to a folder, without pickle.

        `chainrule.estimators.load(folder)` gives the estimator back.
        """
        from chainrule.estimators import files

        files.save(self, folder)


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == parameters.AUTO
