"""The regressor: one number of each row, or several."""

from __future__ import annotations

import numpy as np
from sklearn.base import RegressorMixin

from chainrule.estimators import parameters
from chainrule.estimators.inference import dense
from chainrule.estimators.network import Network
from chainrule.estimators.scaling import Scaling


class DeepRegressor(RegressorMixin, Network):
    """A network that learns numbers. Without options, training goes by `chainrule.train.recipe`.

    **Targets** (N,) or (N, K). They are centred and scaled for training and put back in `predict`,
    except for loss="poisson", whose targets are counts and whose network learns logarithms of
    means.
    **Parameters** those of `DeepClassifier` without `class_weight`, and `loss`: "squared",
    "absolute", "huber" (beyond one deviation of the targets it is absolute) or "poisson".
    `loss_curve_` is of scaled targets.
    **Attributes** `network_`, `settings_`, `history_`, `loss_curve_`, `n_iter_`, `n_outputs_`.
    **Errors** `ValueError` for parameters, inputs and targets that do not fit.

    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> model = DeepRegressor(hidden=(16,), epochs=100, random_state=0).fit(x, 3 * x[:, 0] + 5)
    >>> bool(abs(model.predict([[0.5]])[0] - 6.5) < 0.5)
    True
    """

    def __init__(
        self, hidden="auto", *, activation="auto", dropout="auto", batch_norm="auto", skips=False,
        input_clip="auto", init="he", loss="squared", optimizer="auto", step_size="auto",
        schedule="auto", l2=0.0, decay="auto", batch_size="auto", epochs="auto",
        early_stopping="auto", patience=20, validation_fraction=0.1, standardize=True,
        precision="float32", babysitter="off", warm_start=False, verbose=False, random_state=None,
    ):  # fmt: skip
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.skips = skips
        self.input_clip = input_clip
        self.init = init
        self.loss = loss
        self.optimizer = optimizer
        self.step_size = step_size
        self.schedule = schedule
        self.l2 = l2
        self.decay = decay
        self.batch_size = batch_size
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.standardize = standardize
        self.precision = precision
        self.babysitter = babysitter
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    def _task(self) -> str:
        return "regression"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags

    def fit(self, X, y, sample_weight=None):
        """Trains on rows X (N, C), sparse or not, and targets (N,) or (N, K).

        With `warm_start`, a second call goes on from the weights and the scalings of the first.
        """
        again = self.warm_start and hasattr(self, "network_")
        return self._fitted(X, y, sample_weight, again=again, incremental=False)

    def partial_fit(self, X, y, sample_weight=None):
        """One pass over these rows, with a constant step size.

        The scalings are those of the first call's rows, and kept.
        """
        again = hasattr(self, "network_")
        return self._fitted(X, y, sample_weight, again=again, incremental=True)

    def _fitted(self, X, y, sample_weight, *, again: bool, incremental: bool):
        parameters.check(self)
        X, y = self._validated(X, y, reset=not again, y_numeric=True)
        weights = self._weighted(X, sample_weight)
        targets = np.asarray(y, np.float64).reshape(len(y), -1)
        x = dense(X)
        if not again:
            self._one_column, self.n_outputs_ = y.ndim == 1, targets.shape[1]
            counts = self.loss == "poisson"
            self.target_scaling_ = (
                Scaling.none(self.n_outputs_) if counts else Scaling.fitted(targets, weights)
            )
            self._begin(x, weights, self.n_outputs_)
        self._check_targets(targets)
        self._learn(
            x, self.target_scaling_(targets), weights, self.loss, incremental=incremental
        )
        return self

    def _check_targets(self, targets: np.ndarray) -> None:
        if targets.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {targets.shape[1]} columns, and the estimator was fitted to "
                f"{self.n_outputs_}."
            )
        if self.loss == "poisson" and targets.min() < 0:
            row = int(np.argmin(targets.min(axis=1)))
            raise ValueError(
                f"loss='poisson' is for counts from 0; y has {targets.min()} in row {row}."
            )

    def predict(self, X) -> np.ndarray:
        """The number or numbers of each row: (N,) or (N, K) as the targets were; float64."""
        found = self._outputs(X)
        found = np.exp(found) if self.loss == "poisson" else self.target_scaling_.back(found)
        return found[:, 0] if self._one_column else found
