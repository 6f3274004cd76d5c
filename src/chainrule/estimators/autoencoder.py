"""The autoencoder as a transformer: rows to codes, and codes back to rows."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from chainrule import nn
from chainrule.estimators import inference, parameters
from chainrule.estimators.inference import dense
from chainrule.estimators.network import Network
from chainrule.estimators.scaling import Scaling


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Network):
    """A network that gives its input back through a code of few numbers, which `transform` gives.

    **Parameters** `hidden` the sizes of the layers between the input and the code, used backwards
    behind it; `code` the number of numbers in a code; `activation` behind each hidden layer (the
    code itself and the output are linear); `tied`: the decoder's weights are the encoder's,
    transposed; `noise` ("gaussian", "mask") with `noise_level` corrupts what training sees, of
    standardised columns. The others as in `DeepClassifier`.
    **Attributes** `network_` (a `nn.Autoencoder`), `settings_`, `history_`, `loss_curve_`,
    `n_iter_`. The loss is half the squared distance of standardised rows.
    **Dtypes** codes and rows come in the dtype of X, float32 or float64.

    >>> x = np.linspace(-1, 1, 64)[:, None] * [1.0, 2.0, 3.0]
    >>> model = Autoencoder(hidden=(), code=1, step_size=0.03, random_state=0).fit(x)
    >>> codes = model.transform(x)
    >>> codes.shape, bool(np.abs(model.inverse_transform(codes) - x).max() < 0.1)
    ((64, 1), True)
    """

    def __init__(
        self, hidden="auto", *, code=2, activation="auto", tied=False, noise=None, noise_level=0.1,
        init="glorot", optimizer="auto", step_size="auto", schedule="auto", l2=0.0, decay="auto",
        batch_size="auto", epochs="auto", early_stopping="auto", patience=20,
        validation_fraction=0.1, standardize=True, precision="float32", babysitter="off",
        warm_start=False, verbose=False, random_state=None,
    ):  # fmt: skip
        self.hidden = hidden
        self.code = code
        self.activation = activation
        self.tied = tied
        self.noise = noise
        self.noise_level = noise_level
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
        self.precision = precision
        self.babysitter = babysitter
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    def _task(self) -> str:
        return "reconstruction"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def fit(self, X, y=None, sample_weight=None):
        """Trains on rows X (N, C), sparse or not; y is not looked at. Gives the estimator.

        With `warm_start`, a second call goes on from the weights and the scaling of the first.
        """
        again = self.warm_start and hasattr(self, "network_")
        return self._fitted(X, sample_weight, again=again, incremental=False)

    def partial_fit(self, X, y=None, sample_weight=None):
        """One pass over these rows, with a constant step size.

        The scaling is that of the first call's rows, and is kept.
        """
        again = hasattr(self, "network_")
        return self._fitted(X, sample_weight, again=again, incremental=True)

    def _fitted(self, X, sample_weight, *, again: bool, incremental: bool):
        parameters.check(self)
        X = self._validated(X, reset=not again)
        weights = self._weighted(X, sample_weight)
        x = dense(X)
        if not again:
            self._begin(x, weights, x.shape[1])
        self._learn(x, None, weights, self.settings_["fit"]["loss"], incremental=incremental)
        return self

    def _network(self, columns: int, outputs: int) -> nn.Module:
        model = self.settings_["model"]
        return nn.Autoencoder(
            columns, tuple(model["hidden"]), self.code, model["activation"],
            code_activation="identity", tied=self.tied, noise=self.noise,
            level=self.noise_level if self.noise else 0.0, init=model["init"], dtype=self._dtype,
            rng=self._seed,
        )  # fmt: skip

    @property
    def _n_features_out(self) -> int:
        return self.code

    def transform(self, X) -> np.ndarray:
        """The codes of rows: (N, C) -> (N, code)."""
        check_is_fitted(self, "network_")
        X = self._validated(X, reset=False)
        found = inference.outputs_of(
            inference.codes, self.network_, X, self.scaling_, self._dtype
        )
        return found.astype(X.dtype)

    def inverse_transform(self, X) -> np.ndarray:
        """The rows that codes stand for: (N, code) -> (N, C)."""
        check_is_fitted(self, "network_")
        X = check_array(X, dtype=(np.float64, np.float32), input_name="X")
        if X.shape[1] != self.code:
            raise ValueError(f"X has {X.shape[1]} columns, and a code has {self.code} numbers.")
        unscaled = Scaling.none(self.code)
        found = inference.outputs_of(inference.decoded, self.network_, X, unscaled, self._dtype)
        return self.scaling_.back(found.astype(np.float64)).astype(X.dtype)

    def score(self, X, y=None, sample_weight=None) -> float:
        """Minus the mean squared error of standardised columns: the larger, the better."""
        check_is_fitted(self, "network_")
        X = self._validated(X, reset=False)
        again = inference.outputs_of(
            inference.scores, self.network_, X, self.scaling_, self._dtype
        )
        errors = np.square(again - self.scaling_(dense(X))).mean(axis=1)
        return -float(np.average(errors, weights=self._weighted(X, sample_weight)))
