r"""Losses: functions of scores and targets, one number for a batch.

`reduce` says how the losses of the B examples come together: "mean" (the default), "sum", or
"none" for all B of them. Where every pixel or token of an example has a class, each counts as an
example does: a mean is over all of them. Everything else about scaling stands with each loss; none
is divided by the number of classes or of outputs. `sample_weights` (B,) multiply the examples'
losses; a mean is then the sum of the weighted losses divided by the sum of the weights.

| loss | of scores f and targets y | source |
|---|---|---|
| squared | sum over outputs of (f - y)^2 / 2 | the course's |
| absolute | sum over outputs of \|f - y\| | |
| huber | z^2 / 2 for \|z\| <= delta, else delta (\|z\| - delta / 2), z = f - y | Huber 1964 |
| logistic | log(1 + exp(-y f)), y in {-1, 1} | |
| binary_cross_entropy | -y log p - (1 - y) log(1 - p), p = sigmoid(f), y in [0, 1] | |
| softmax_cross_entropy | -log softmax(f)[y] | |
| hinge | max(0, 1 - y f), y in {-1, 1} | Cortes and Vapnik 1995 |
| perceptron | max(0, -y f), y in {-1, 1} | Rosenblatt 1958 |
| poisson | exp(f) - y f: minus the log-likelihood of counts of mean exp(f), less log y! | |
| quantile | max(q (y - f), (q - 1) (y - f)) | Koenker and Bassett 1978 |
"""

from __future__ import annotations

import numpy as np

from chainrule import errors, special


def squared(outputs, targets, *, sample_weights=None, reduce: str = "mean"):
    """Half the squared distance, summed over outputs: (B,) or (B, outputs) each.

    >>> squared(np.array([1.0, 3.0]), np.array([0.0, 0.0]))
    np.float64(2.5)
    """
    z = outputs - _targets(outputs, targets)
    return _reduced(_by_example(0.5 * z * z), sample_weights, reduce)


def absolute(outputs, targets, *, sample_weights=None, reduce: str = "mean"):
    """The absolute distance, summed over outputs: (B,) or (B, outputs) each."""
    z = outputs - _targets(outputs, targets)
    return _reduced(_by_example(np.abs(z)), sample_weights, reduce)


def huber(outputs, targets, *, delta: float = 1.0, sample_weights=None, reduce: str = "mean"):
    """Squared near 0 and absolute beyond `delta`, summed over outputs."""
    size = np.abs(outputs - _targets(outputs, targets))
    near = np.minimum(size, delta)
    return _reduced(_by_example(near * (size - 0.5 * near)), sample_weights, reduce)


def logistic(
    scores, signs, *, class_weights=None, sample_weights=None, reduce: str = "mean"
):  # fmt: skip
    """log(1 + exp(-y f)) for targets y of -1 and 1: minus the log-likelihood, in nats.

    `class_weights` weigh the targets -1 and 1: (2,), or (L, 2) for scores (B, L) of labels. A mean
    is over examples, whatever they are: weights that are 1 on average leave its scale as it is.

    >>> logistic(np.array([0.0]), np.array([1.0]))
    np.float64(0.6931471805599453)
    """
    signs = _targets(scores, signs)
    losses = np.logaddexp(-(scores * signs), 0)
    if class_weights is not None:
        weights = _like(scores, class_weights)
        if weights.shape not in ((2,), (*scores.shape[1:], 2)):
            raise errors.ShapeError(
                f"class_weights of logistic are (2,), or {(*scores.shape[1:], 2)} for scores "
                f"{scores.shape}, got {weights.shape}."
            )
        losses = losses * np.where(signs > 0, weights[..., 1], weights[..., 0])
    return _reduced(_by_example(losses), sample_weights, reduce)


def binary_cross_entropy(scores, targets, *, sample_weights=None, reduce: str = "mean"):
    """-y log p - (1 - y) log(1 - p), p = sigmoid(f), for targets y that are probabilities in
    [0, 1]; summed over outputs: (B,) or (B, outputs) each.

    >>> binary_cross_entropy(np.array([0.0, 1000.0]), np.array([0.3, 1.0]))
    np.float64(0.34657359027997264)
    """
    losses = np.logaddexp(scores, 0) - _targets(scores, targets) * scores
    return _reduced(_by_example(losses), sample_weights, reduce)


def softmax_cross_entropy(
    scores, labels, *, label_smoothing: float = 0.0, class_weights=None, sample_weights=None,
    reduce: str = "mean",
):  # fmt: skip
    """-log softmax(f)[y], in nats, for scores (B, K) and labels (B,) from 0 to K - 1.

    With a class for each pixel or token scores are (B, ..., K), labels (B, ...), and
    `sample_weights` may have the labels' shape, 0 for padding.

    With `label_smoothing` s the target is 1 - s for the label plus s / K for every class.
    `class_weights` (K,) weigh an example by its label, as `sample_weights` would.

    >>> softmax_cross_entropy(np.zeros((2, 4)), np.array([0, 3]))
    np.float64(1.3862943611198906)
    >>> softmax_cross_entropy(np.zeros((2, 3, 3, 4)), np.ones((2, 3, 3), int))
    np.float64(1.3862943611198906)
    """
    shape = labels.shape
    scores, labels, sample_weights = by_position(scores, labels, sample_weights)
    logs = scores - special.logsumexp(scores, axis=1, keepdims=True)
    losses = -logs[np.arange(labels.shape[0]), labels]
    if label_smoothing:
        losses = (1 - label_smoothing) * losses - label_smoothing * logs.mean(axis=1)
    if class_weights is not None:
        by_label = np.take(_like(scores, class_weights), labels)
        sample_weights = by_label if sample_weights is None else by_label * sample_weights
    found = _reduced(losses, sample_weights, reduce)
    return found.reshape(shape) if reduce == "none" and len(shape) > 1 else found


def by_position(scores, labels, weights=None):
    """Scores (N, K), labels (N,) and weights (N,) or None, of N examples, pixels or tokens.

    >>> found = by_position(np.zeros((2, 4, 3, 5)), np.zeros((2, 4, 3), int), np.array([1.0, 2.0]))
    >>> [array.shape for array in found]
    [(24, 5), (24,), (24,)]
    """
    shape = labels.shape
    if scores.ndim < 2 or scores.shape[:-1] != shape:
        first = scores.ndim > 2 and scores.shape[:1] + scores.shape[2:] == shape
        raise errors.ShapeError(
            "softmax_cross_entropy takes scores (B, K) and labels (B,), or (B, ..., K) and "
            f"(B, ...) of a class for each pixel or token; got {scores.shape} and {shape}."
            + (" Classes that come first are moved by np.moveaxis(scores, 1, -1)." if first else "")
        )
    if weights is not None and weights.shape not in (shape, shape[:1]):
        raise errors.ShapeError(
            f"weights of labels {shape} are {shape[:1]} or {shape}, got {weights.shape}."
        )
    if len(shape) == 1:
        return scores, labels, weights
    if weights is not None:
        weights = weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim))
        weights = np.broadcast_to(weights, shape).reshape(-1)
    return scores.reshape(-1, scores.shape[-1]), labels.reshape(-1), weights


def hinge(scores, signs, *, sample_weights=None, reduce: str = "mean"):
    """max(0, 1 - y f) for targets y of -1 and 1."""
    margins = scores * _targets(scores, signs)
    return _reduced(_by_example(np.maximum(1 - margins, 0)), sample_weights, reduce)


def perceptron(scores, signs, *, sample_weights=None, reduce: str = "mean"):
    """max(0, -y f) for targets y of -1 and 1: a step of size 1 on one example is the perceptron
    rule, w + y x where y f < 0."""
    margins = scores * _targets(scores, signs)
    return _reduced(_by_example(np.maximum(-margins, 0)), sample_weights, reduce)


def poisson(scores, counts, *, sample_weights=None, reduce: str = "mean"):
    """exp(f) - y f for counts y: the scores are logarithms of means."""
    losses = np.exp(scores) - _targets(scores, counts) * scores
    return _reduced(_by_example(losses), sample_weights, reduce)


def quantile(outputs, targets, *, level: float = 0.5, sample_weights=None, reduce: str = "mean"):
    """max(q z, (q - 1) z), z = y - f, for the level q in (0, 1): least for the quantile."""
    z = _targets(outputs, targets) - outputs
    return _reduced(_by_example(np.maximum(level * z, (level - 1) * z)), sample_weights, reduce)


LOSSES = {
    f.__name__: f
    for f in (squared, absolute, huber, logistic, binary_cross_entropy, softmax_cross_entropy,
              hinge, perceptron, poisson, quantile)
}  # fmt: skip


def _like(scores, values):
    """Weights or targets in the dtype of the scores, so that float32 stays float32."""
    values = values if hasattr(values, "dtype") else np.asarray(values)
    return values if values.dtype == scores.dtype else values.astype(scores.dtype)


def _targets(outputs, targets):
    if targets.shape != outputs.shape:
        raise errors.ShapeError(
            f"outputs and targets need equal shapes, got {outputs.shape} and {targets.shape}.\n"
            "  A network with one output gives (B, 1): take outputs[:, 0], or targets[:, None]."
        )
    return _like(outputs, targets)


def _by_example(losses):
    """(B, ...) -> (B,): summed over outputs."""
    return losses.sum(axis=tuple(range(1, losses.ndim))) if losses.ndim > 1 else losses


def _reduced(losses, weights, reduce: str):
    if reduce not in ("mean", "sum", "none"):
        raise ValueError(f"reduce is 'mean', 'sum' or 'none', got {reduce!r}.")
    if weights is not None:
        weights = _like(losses, weights)
        losses = losses * weights
    if reduce == "none":
        return losses
    if reduce == "sum":
        return losses.sum()
    return losses.mean() if weights is None else losses.sum() / weights.sum()
