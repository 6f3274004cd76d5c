"""The classifier: two classes or more, or several labels of each row."""

from __future__ import annotations

import numpy as np
import scipy.special
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from chainrule import data
from chainrule.estimators import parameters
from chainrule.estimators.inference import dense
from chainrule.estimators.network import Network


class DeepClassifier(ClassifierMixin, Network):
    """A network that learns classes. Without options, training goes by `chainrule.train.recipe`.

    **Targets** numbers or strings (N,); or several labels of each row, zeros and ones (N, L).
    **Parameters** `hidden` the sizes of the hidden layers; `activation`, `dropout`, `batch_norm`,
    `init` as in `nn.MLP`; `input_clip` the bound of a `nn.SoftClip` before them, or None; `skips`
    makes residual blocks of them (an odd number of equal sizes). `optimizer`, `step_size`,
    `schedule` ("constant", "cosine"), `l2`, `decay`: see `optim`. `batch_size`, `epochs`;
    `early_stopping` sets `validation_fraction` of the rows aside, stops after `patience` epochs
    without a better loss on them and keeps the best weights. `standardize` centres and scales the
    columns. `class_weight` as in scikit-learn; of labels "balanced", or a list with a dict of the
    weights of 0 and 1 for each. "auto" is what the recipe says for such data.
    **Attributes** `classes_`, `network_`, `settings_`, `history_`, `loss_curve_`, `n_iter_`.
    **Errors** `ValueError` for parameters, inputs and targets that do not fit.

    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> model = DeepClassifier(hidden=(8,), step_size=0.01, random_state=0)
    >>> model.fit(x, ["low", "low", "high", "high"]).predict([[-1.0], [4.0]])
    array(['low', 'high'], dtype='<U4')
    """

    def __init__(
        self, hidden="auto", *, activation="auto", dropout="auto", batch_norm="auto", skips=False,
        input_clip="auto", init="he", optimizer="auto", step_size="auto", schedule="auto", l2=0.0,
        decay="auto", batch_size="auto", epochs="auto", early_stopping="auto", patience=20,
        validation_fraction=0.1, standardize=True, class_weight=None, precision="float32",
        babysitter="off", warm_start=False, verbose=False, random_state=None,
    ):  # fmt: skip
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.skips = skips
        self.input_clip = input_clip
        self.init = init
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
        self.class_weight = class_weight
        self.precision = precision
        self.babysitter = babysitter
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _task(self) -> str:
        return "multilabel" if self.multilabel_ else "classification"

    def fit(self, X, y, sample_weight=None):
        """Trains on rows X (N, C), sparse or not, and their targets. Gives the estimator.

        With `warm_start`, a second call goes on from the weights and the scaling of the first; the
        classes must be the same.
        """
        again = self.warm_start and hasattr(self, "network_")
        return self._fitted(X, y, sample_weight, again=again, incremental=False, classes=None)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """One pass over these rows, with a constant step size.

        The first call needs all `classes`, unless y has them all. The scaling is that of the first
        call's rows, and is kept.
        """
        again = hasattr(self, "network_")
        return self._fitted(X, y, sample_weight, again=again, incremental=True, classes=classes)

    def _fitted(self, X, y, sample_weight, *, again: bool, incremental: bool, classes):
        parameters.check(self)
        X, y = self._validated(X, y, reset=not again)
        weights = self._weighted(X, sample_weight)
        y = self._known(y, classes, again)
        labels = y if self.multilabel_ else np.searchsorted(self.classes_, y)
        loss: str | dict = "logistic" if self.multilabel_ else "softmax_cross_entropy"
        if self.class_weight is not None and self.multilabel_:
            loss = {"name": loss, "class_weights": self._of_labels(labels, weights)}
        elif self.class_weight is not None:
            weights = self._by_class(labels, weights)
        x = dense(X)
        if not again:
            self._begin(x, weights, len(self.classes_))
        targets = (2.0 * labels - 1) if self.multilabel_ else labels
        self._learn(x, targets, weights, loss, incremental=incremental, classes=labels)
        return self

    def _known(self, y, classes, again: bool) -> np.ndarray:
        """Targets (N,) or of zeros and ones (N, L); `classes_` set, or compared where `again`."""
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y has several columns of more than two classes; DeepClassifier takes one column "
                "of classes, or zeros and ones (N, L). Fit one estimator for each column: "
                "sklearn.multioutput.MultiOutputClassifier(DeepClassifier())."
            )
        multilabel = kind == "multilabel-indicator"
        y = np.asarray(dense(y)) if multilabel else column_or_1d(y, warn=True)
        if classes is None:
            found = np.arange(y.shape[1]) if multilabel else np.unique(y)
        else:
            found = np.unique(np.asarray(classes))
        if not again:
            self.multilabel_, self.classes_ = multilabel, found
        self._compare(y, found, multilabel)
        return y

    def _compare(self, y, found, multilabel: bool) -> None:
        seen = np.arange(y.shape[1]) if multilabel else np.unique(y)
        strange = np.setdiff1d(seen, self.classes_)
        if multilabel != self.multilabel_ or len(strange):
            raise ValueError(
                f"`y` has classes not in `self.classes_`: {strange.tolist()}. The classes are "
                f"{self.classes_.tolist()}."
            )
        if self.warm_start and not np.array_equal(found, self.classes_):
            raise ValueError(
                "warm_start goes on with the same classes as in the previous call to fit: "
                f"{self.classes_.tolist()}, `y` has {found.tolist()}."
            )

    def _by_class(self, labels: np.ndarray, weights) -> np.ndarray:
        """Weights of the rows, multiplied by those of their classes."""
        present = np.unique(labels)
        factors = np.ones(len(self.classes_))
        factors[present] = compute_class_weight(
            self.class_weight, classes=self.classes_[present], y=self.classes_[labels]
        )
        by_row = factors[labels]
        return by_row if weights is None else weights * by_row

    def _of_labels(self, labels: np.ndarray, weights) -> list[list[float]]:
        """The weights of 0 and 1 for each label, (L, 2)."""
        used = labels if weights is None else labels[weights > 0]
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            return data.label_weights(used).tolist()
        given = self.class_weight
        if not isinstance(given, list | tuple) or len(given) != labels.shape[1]:
            raise ValueError(
                "class_weight of labels is None, 'balanced', or a list with the weights of 0 and 1 "
                f"of each of the {labels.shape[1]} labels, as [{{0: 1, 1: 5}}, ...]; got {given!r}."
            )
        return [
            [float(compute_class_weight(one, classes=np.arange(2), y=column)[k]) for k in (0, 1)]
            for one, column in zip(given, used.T, strict=True)
        ]

    def predict_proba(self, X) -> np.ndarray:
        """The probability of each class (N, K), or of each label (N, L); float64."""
        found = self._outputs(X)
        return scipy.special.expit(found) if self.multilabel_ else scipy.special.softmax(found, 1)

    def predict_log_proba(self, X) -> np.ndarray:
        """The logarithms of `predict_proba`, which do not run out of range."""
        found = self._outputs(X)
        if self.multilabel_:
            return scipy.special.log_expit(found)
        return scipy.special.log_softmax(found, axis=1)

    def predict(self, X) -> np.ndarray:
        """The likeliest class of each row, or zeros and ones (N, L)."""
        found = self._outputs(X)
        if self.multilabel_:
            return (found > 0).astype(np.int64)
        return self.classes_[found.argmax(axis=1)]
