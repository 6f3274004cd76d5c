r"""Metrics: numbers that say how good scores are, on all rows of a set at once, in NumPy.

Outputs f are a network's scores, y the targets, w the weights of the rows (1 where there are none).

| metric | of | best | value |
|---|---|---|---|
| accuracy | classes | largest | share of rows whose largest score is the target's |
| error | classes | least | 1 - accuracy |
| top_k | classes | largest | share of rows whose target is among the 5 largest (`top(k)`) |
| f1 | classes | largest | mean over classes of 2 TP / (2 TP + FP + FN) |
| auc | classes | largest | area under the ROC curve, mean over classes against the rest |
| log_loss | classes | least | mean of -log softmax(f)[y], in nats |
| perplexity | classes | least | exp(log_loss) |
| rmse | numbers | least | root of the mean squared distance |
| mae | numbers | least | mean absolute distance |
| r2 | numbers | largest | 1 - sum (y - f)^2 / sum (y - mean)^2, mean over outputs |
| exact_match | labels | largest | share of rows all of whose labels are guessed right |
| hamming_loss | labels | least | share of labels guessed wrong, over rows and labels |
| label_f1 | labels | largest | mean over labels of 2 TP / (2 TP + FP + FN) |
| label_auc | labels | largest | area under the ROC curve, mean over labels |
| label_log_loss | labels | least | mean of log(1 + exp(-y f)) over rows and labels, in nats |

A classifier has scores (N, K), K > 1, and targets (N,) from 0 to K - 1; or one score a row, (N,) or
(N, 1), positive for the second class, with targets of 0 and 1 or of -1 and 1. Where each pixel or
token has a class, scores are (N, ..., K) and targets (N, ...), and each of them is a row of the
table. Several labels of each row have scores (N, L), positive where a label is guessed to hold, and
targets (N, L) alike.

Source    Hand and Till, Machine Learning 45 (2001), for areas of several classes; the definitions
          are scikit-learn's (`f1_score(average="macro")`, `roc_auc_score(multi_class="ovr")`,
          `accuracy_score` and `hamming_loss` of label indicators).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from chainrule import errors
from chainrule.nn.losses import by_position
from chainrule.ops.special.scipy_functions import scipy_special

Metric = Callable[..., float]


class Kind(NamedTuple):
    """An entry of the table: the function, and whether the largest value is the best one."""

    value: Metric
    largest: bool


def _classes(outputs: np.ndarray, targets: np.ndarray, weights: Any) -> tuple[Any, Any, Any]:
    """Scores (N, K), K > 1, targets from 0 and weights, of a classifier in one of its forms."""
    scores = outputs.astype(np.float64)
    if targets.size != len(targets):
        if outputs.ndim == targets.ndim + 1:
            return by_position(scores, targets.astype(np.int64), weights)
        raise errors.ShapeError(
            f"this metric takes one class a row (N,), and the targets are {targets.shape}: of "
            "several labels a row there are exact_match, hamming_loss, label_f1 and label_auc."
        )
    labels = targets.reshape(len(targets)).astype(np.int64)
    scores = scores.reshape(len(scores), -1)
    if scores.shape[1] == 1:
        return np.concatenate([0 * scores, scores], axis=1), (labels > 0).astype(np.int64), weights
    return scores, labels, weights


def _mean(values: np.ndarray, weights: np.ndarray | None) -> float:
    return float(np.average(values.astype(np.float64), weights=weights))


def accuracy(outputs, targets, weights=None) -> float:
    """The share of rows whose largest score is that of the target.

    >>> accuracy(np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([0, 0]))
    0.5
    """
    scores, labels, weights = _classes(outputs, targets, weights)
    return _mean(scores.argmax(axis=1) == labels, weights)


def error(outputs, targets, weights=None) -> float:
    """The share of rows whose largest score is another one than the target's."""
    return 1.0 - accuracy(outputs, targets, weights)


def top_k(outputs, targets, weights=None, *, k: int = 5) -> float:
    """The share of rows whose target is among the k largest scores."""
    scores, labels, weights = _classes(outputs, targets, weights)
    own = scores[np.arange(len(labels)), labels]
    return _mean((scores > own[:, None]).sum(axis=1) < k, weights)


def f1(outputs, targets, weights=None) -> float:
    """The mean over classes of 2 TP / (2 TP + FP + FN); a class in no row or guess is left out."""
    scores, labels, weights = _classes(outputs, targets, weights)
    guesses, classes = scores.argmax(axis=1), scores.shape[1]
    weights = _ones(labels, weights)
    hits = np.bincount(labels, np.equal(guesses, labels) * weights, classes)
    both = np.bincount(labels, weights, classes) + np.bincount(guesses, weights, classes)
    there = both > 0
    return float(np.mean(2 * hits[there] / both[there]))


def auc(outputs, targets, weights=None) -> float:
    """The area under the ROC curve: how often a row of the class scores above another one.

    Of two classes the second's; of more, the mean over the classes of probabilities against the
    rest. nan where a class has no rows, or all of them.
    """
    scores, labels, weights = _classes(outputs, targets, weights)
    weights = _ones(labels, weights)
    if scores.shape[1] == 2:
        return _area(scores[:, 1] - scores[:, 0], labels == 1, weights)
    shares = scipy_special().softmax(scores, axis=1)
    return float(np.mean([_area(shares[:, k], labels == k, weights)
                          for k in range(scores.shape[1])]))  # fmt: skip


def _area(scores: np.ndarray, own: np.ndarray, weights: np.ndarray) -> float:
    """sum over pairs (row of the class, other row) of w w', in full where its score is larger and
    half where they tie, over the sum for all pairs."""
    _, place = np.unique(scores, return_inverse=True)
    yes = np.bincount(place, weights * own)
    no = np.bincount(place, weights * ~own)
    pairs = yes.sum() * no.sum()
    below = np.cumsum(no) - no
    return float(np.sum(yes * (below + no / 2)) / pairs) if pairs else float("nan")


def log_loss(outputs, targets, weights=None) -> float:
    """The mean of -log softmax(f)[y], in nats."""
    scores, labels, weights = _classes(outputs, targets, weights)
    logs = scipy_special().log_softmax(scores, axis=1)
    return -_mean(logs[np.arange(len(labels)), labels], weights)


def perplexity(outputs, targets, weights=None) -> float:
    """exp(log_loss): among so many equally likely classes a guess would be as good."""
    with np.errstate(over="ignore"):
        return float(np.exp(log_loss(outputs, targets, weights)))


def _numbers(outputs, targets) -> tuple[np.ndarray, np.ndarray]:
    shape = (len(targets), -1)
    return outputs.reshape(shape).astype(np.float64), targets.reshape(shape).astype(np.float64)


def rmse(outputs, targets, weights=None) -> float:
    """The root of the mean squared distance, over rows and outputs."""
    f, y = _numbers(outputs, targets)
    off = np.abs(f - y)
    largest = float(np.max(off, initial=0.0)) or 1.0  # whose square may be too large a number
    return largest * float(np.sqrt(_mean(np.square(off / largest).mean(axis=1), weights)))


def mae(outputs, targets, weights=None) -> float:
    """The mean absolute distance, over rows and outputs."""
    f, y = _numbers(outputs, targets)
    return _mean(np.abs(f - y).mean(axis=1), weights)


def r2(outputs, targets, weights=None) -> float:
    """1 - sum (y - f)^2 / sum (y - mean)^2, mean over outputs; nan where targets are constant."""
    f, y = _numbers(outputs, targets)
    w = _ones(y[:, 0], weights)[:, None]
    centred = y - np.average(y, axis=0, weights=w[:, 0])
    largest = np.max(np.abs(centred), axis=0, initial=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        left, all_of_it = (np.sum(w * np.square(v / largest), axis=0) for v in (y - f, centred))
        return float(np.mean(1 - left / all_of_it))


def _held(outputs, targets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (N, L) of several labels a row, what they guess, and whether each label holds."""
    if outputs.ndim != 2 or outputs.shape != targets.shape:
        raise errors.ShapeError(
            f"a metric of labels takes scores and targets (N, L), got {outputs.shape} and "
            f"{targets.shape}."
        )
    scores = outputs.astype(np.float64)
    return scores, scores > 0, targets > 0


def exact_match(outputs, targets, weights=None) -> float:
    """The share of rows all of whose labels are guessed right.

    >>> exact_match(np.array([[2.0, -1.0], [3.0, 1.0]]), np.array([[1, -1], [1, -1]]))
    0.5
    """
    _, guesses, held = _held(outputs, targets)
    return _mean((guesses == held).all(axis=1), weights)


def hamming_loss(outputs, targets, weights=None) -> float:
    """The share of labels that are guessed wrong, over rows and labels."""
    _, guesses, held = _held(outputs, targets)
    return _mean((guesses != held).mean(axis=1), weights)


def label_f1(outputs, targets, weights=None) -> float:
    """The mean over labels of 2 TP / (2 TP + FP + FN); one in no row or guess is left out."""
    _, guesses, held = _held(outputs, targets)
    w = _ones(held, weights)
    hits, both = w @ (guesses & held), w @ guesses + w @ held
    there = both > 0
    return float(np.mean(2 * hits[there] / both[there]))


def label_auc(outputs, targets, weights=None) -> float:
    """The mean over labels of the area under the ROC curve; nan where one is in no row, or all."""
    scores, _, held = _held(outputs, targets)
    w = _ones(held, weights)
    return float(np.mean([_area(f, y, w) for f, y in zip(scores.T, held.T, strict=True)]))


def label_log_loss(outputs, targets, weights=None) -> float:
    """The mean of log(1 + exp(-y f)), y of -1 and 1, over rows and labels; in nats."""
    scores, _, held = _held(outputs, targets)
    logs = scipy_special().log_expit(np.where(held, scores, -scores))
    return -_mean(logs.mean(axis=1), weights)


def top(k: int) -> Metric:
    """`top_k` for another k than 5."""
    if k < 1:
        raise ValueError(f"k is a number of classes from 1, got {k!r}.")
    chosen: Any = partial(top_k, k=k)
    chosen.__name__ = f"top_{k}"
    return chosen


METRICS: dict[str, Kind] = {
    "accuracy": Kind(accuracy, True), "error": Kind(error, False), "top_k": Kind(top_k, True),
    "f1": Kind(f1, True), "auc": Kind(auc, True), "log_loss": Kind(log_loss, False),
    "perplexity": Kind(perplexity, False), "rmse": Kind(rmse, False), "mae": Kind(mae, False),
    "r2": Kind(r2, True), "exact_match": Kind(exact_match, True),
    "hamming_loss": Kind(hamming_loss, False), "label_f1": Kind(label_f1, True),
    "label_auc": Kind(label_auc, True), "label_log_loss": Kind(label_log_loss, False),
}  # fmt: skip


def named(chosen: Any) -> dict[str, Metric]:
    """Functions by name, from a name of the table, a function, or several of them.

    A function takes (outputs, targets, weights), all rows at once, and gives a number.

    >>> list(named(["rmse", "r2"]))
    ['rmse', 'r2']
    """
    if isinstance(chosen, str) or callable(chosen):
        chosen = [chosen]
    found: dict[str, Metric] = {}
    for metric in chosen:
        if isinstance(metric, str):
            if metric not in METRICS:
                raise ValueError(
                    f"a metric is a function or one of {', '.join(METRICS)}; got {metric!r}."
                )
            found[metric] = METRICS[metric].value
        elif callable(metric):
            _check_signature(metric)
            found[getattr(metric, "__name__", type(metric).__name__)] = metric
        else:
            raise ValueError(f"a metric is a function or a name, got {metric!r}.")
    return found


def _check_signature(metric: Callable) -> None:
    """Refuses functions that do not take weights, before anything is trained."""
    try:
        inspect.signature(metric).bind(None, None, None)
    except TypeError:
        name = getattr(metric, "__name__", type(metric).__name__)
        raise TypeError(
            f"the metric {name} does not take (outputs, targets, weights). The weights are None "
            f"where there are none: def {name}(outputs, targets, weights=None)."
        ) from None
    except ValueError:  # a function that says nothing of its arguments
        pass


def direction(monitor: str, mode: str = "auto") -> str:
    """ "max" where the largest value of a record's entry is the best one, else "min"."""
    kind = METRICS.get(monitor.removeprefix("validation_"))
    return mode if mode != "auto" else "max" if kind is not None and kind.largest else "min"


def _ones(like: np.ndarray, weights) -> np.ndarray:
    return np.ones(len(like)) if weights is None else np.asarray(weights, np.float64)
