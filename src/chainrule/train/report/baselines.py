"""Simpler models on the same rows: how much of the result needs a deep network."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import errors, extras
from chainrule.train import metrics
from chainrule.train.report import html
from chainrule.train.report.html import Html, percent
from chainrule.train.report.quality import LABELS, headline
from chainrule.train.report.subject import Absent, Subject

ROWS = 10_000  # to learn from, at most
TREES = 500  # of the boosted trees, over all classes or targets
COLUMNS = 64  # principal components stand for more of them, for the trees
WORK = 100_000_000  # rows times columns times trees, at most: about 5 s
TARGETS, CLASSES = 8, 100  # for the trees, which are grown for each

_CLASSES = ("accuracy", "f1", "auc", "log_loss")
_NUMBERS = ("rmse", "mae", "r2")


def baselines(subject: Subject) -> Html:
    """The network's figures beside those of a constant, a linear model and boosted trees."""
    held, learned = subject.held(), subject.learned()
    if held.targets is None or learned.targets is None:
        raise Absent("there are no targets")
    own, names = headline(subject), _names(subject)
    rows, notes = compared(subject)
    first = ["this network", *(own[name] for name in names), ""]
    said = " ".join([f"On the same {len(held)} rows, prepared alike.", _ABOUT, *notes])
    top = ("model", *names, "took")
    return html.joined([html.table(top, [first, *rows], marked=0), html.note(said)])


def compared(subject: Subject) -> tuple[list[list[Any]], list[str]]:
    """A row for each simpler model: its name, its figures, its time; and what there is to note."""
    names = _names(subject)
    learned, rows, notes = subject.learned(), [], []
    chosen = np.linspace(0, len(learned) - 1, min(len(learned), ROWS)).astype(int)
    part = learned[np.unique(chosen)]
    for name, made in _simpler(subject).items():
        began = time.perf_counter()
        try:
            found = made(subject, part)
        except (errors.MissingExtra, ValueError) as error:  # scikit-learn refuses these data
            notes.append(f"Left out: {name} ({str(error).splitlines()[0]})")
            continue
        took = time.perf_counter() - began
        rows.append([name, *_figures(subject, found, names), f"{took:.2f} s"])
    if len(part) < len(learned):
        notes.append(f"They learned from {len(part)} of the {len(learned)} rows.")
    return rows, notes


_ABOUT = (
    "scikit-learn's with its usual settings: logistic or ridge regression, and histogram gradient "
    f"boosting (100 trees for each class, label or target, {TREES} over all of them at most; of "
    f"more than {COLUMNS} inputs, on their first {COLUMNS} principal components; on fewer rows "
    f"where rows times columns times trees would be more than {WORK:,})."
)


def _figures(subject: Subject, found: np.ndarray, names: tuple[str, ...]) -> list[Any]:
    if subject.labelled:
        values = {n: metrics.METRICS[n].value(found, subject.targets) for n in names}
        return [*(percent(values[n]) for n in names[:2]), *(values[n] for n in names[2:])]
    if not subject.classifies:
        guesses = subject.in_units(found)
        return [metrics.METRICS[n].value(guesses, subject.truth) for n in names]
    values = {n: metrics.METRICS[n].value(found, subject.classes) for n in names}
    return [percent(values["accuracy"]), *(values[n] for n in names[1:])]


def _names(subject: Subject) -> tuple[str, ...]:
    if subject.labelled:
        return LABELS
    return _CLASSES if subject.classifies else _NUMBERS


def _simpler(subject: Subject) -> dict[str, Callable[..., np.ndarray]]:
    if subject.labelled:
        return _LABELLERS
    return _CLASSIFIERS if subject.classifies else _REGRESSORS


def _flat(inputs: Any) -> np.ndarray:
    return inputs[:].reshape(len(inputs), -1)


# --- classes: log-probabilities (N, K) of the held rows ----------------------------------------


def _majority(subject: Subject, part) -> np.ndarray:
    counts = np.bincount(_classes(subject, part), minlength=subject.scores.shape[1])
    return np.broadcast_to(_logs(counts / counts.sum()), subject.scores.shape)


def _logistic(subject: Subject, part) -> np.ndarray:
    linear = extras.load("sklearn.linear_model", "report", "The linear baselines")
    return _classified(subject, part, linear.LogisticRegression(max_iter=100))


def _boosted(subject: Subject, part) -> np.ndarray:
    ensemble = extras.load("sklearn.ensemble", "report", "Boosted trees")
    count = subject.scores.shape[1]
    if count > CLASSES:
        raise ValueError(f"{count} classes, each with its own trees, take too long")
    made = ensemble.HistGradientBoostingClassifier(max_iter=_trees(count), random_state=0)
    few, held = narrow(part, subject, count)
    return _classified(subject, few, made, held)


def _classified(subject: Subject, part, model, held: np.ndarray | None = None) -> np.ndarray:
    """The log-probabilities of a classifier; classes without a row to learn from have none."""
    _fit(model, part, _classes(subject, part))
    found = np.full(subject.scores.shape, _logs(0.0))
    inputs = _flat(subject.held().inputs) if held is None else held
    found[:, model.classes_] = _logs(model.predict_proba(inputs))
    return found


def _classes(subject: Subject, part) -> np.ndarray:
    found = part.targets.reshape(len(part))
    return (found > 0).astype(np.int64) if subject.scores.shape[1] == 2 else found


def _logs(shares) -> np.ndarray:
    return np.log(np.maximum(shares, 1e-15))  # as scikit-learn's log_loss clips


# --- labels: log-odds (N, L) of the held rows, each label by itself ------------------------------


def _shares(subject: Subject, part) -> np.ndarray:
    mean = np.average(part.targets > 0, axis=0, weights=part.sample_weights)
    return np.broadcast_to(_odds(mean), subject.targets.shape)


def _logistics(subject: Subject, part) -> np.ndarray:
    linear = extras.load("sklearn.linear_model", "report", "The linear baselines")
    held = _flat(subject.held().inputs)
    return _by_label(part, held, lambda: linear.LogisticRegression(max_iter=100))


def _boosted_labels(subject: Subject, part) -> np.ndarray:
    ensemble = extras.load("sklearn.ensemble", "report", "Boosted trees")
    count = part.targets.shape[1]
    if count > CLASSES:
        raise ValueError(f"{count} labels, each with its own trees, take too long")
    few, held = narrow(part, subject, count)
    return _by_label(few, held, lambda: ensemble.HistGradientBoostingClassifier(
        max_iter=_trees(count), random_state=0
    ))  # fmt: skip


def _by_label(part, held: np.ndarray, make: Callable[[], Any]) -> np.ndarray:
    """The log-odds that a classifier of each label gives for the held inputs."""
    found = []
    for k in range(part.targets.shape[1]):
        own = part.targets[:, k] > 0
        if own.min() == own.max():  # in the rows that were chosen
            found.append(np.full(len(held), _odds(float(own[0]))))
            continue
        model = make()
        _fit(model, part, own)
        found.append(_odds(model.predict_proba(held)[:, 1]))
    return np.stack(found, axis=1)


def _odds(shares) -> np.ndarray:
    return _logs(shares) - _logs(1 - np.asarray(shares))


# --- numbers: (N, K) as training has them ------------------------------------------------------


def _mean(subject: Subject, part) -> np.ndarray:
    mean = np.average(_flat(part.targets).astype(np.float64), axis=0, weights=part.sample_weights)
    return np.broadcast_to(mean, (len(subject.targets), len(mean)))


def _ridge(subject: Subject, part) -> np.ndarray:
    linear = extras.load("sklearn.linear_model", "report", "The linear baselines")
    model = linear.Ridge()
    _fit(model, part, _flat(part.targets).astype(np.float64))
    return model.predict(_flat(subject.held().inputs)).reshape(len(subject.targets), -1)


def _boosted_numbers(subject: Subject, part) -> np.ndarray:
    ensemble = extras.load("sklearn.ensemble", "report", "Boosted trees")
    count = _flat(part.targets).shape[1]
    if count > TARGETS:
        raise ValueError(f"{count} targets, each with its own trees, take too long")
    few, held = narrow(part, subject, count)
    targets, found = _flat(few.targets).astype(np.float64), []
    for k in range(count):
        model = ensemble.HistGradientBoostingRegressor(max_iter=_trees(count), random_state=0)
        _fit(model, few, targets[:, k])
        found.append(model.predict(held))
    return np.stack(found, axis=1)


def _trees(count: int) -> int:
    """Trees for each of so many classes or targets."""
    return max(10, min(100, TREES // count))


def narrow(part, subject: Subject, count: int) -> tuple[Any, np.ndarray]:
    """Rows to grow trees for so many classes on, and the held inputs: few enough for WORK."""
    width = min(COLUMNS, _flat(part.inputs[:1]).shape[1])
    most = WORK // (width * _trees(count) * count)
    few = part[np.unique(np.linspace(0, len(part) - 1, min(len(part), most)).astype(int))]
    x, held = _flat(few.inputs), _flat(subject.held().inputs)
    if x.shape[1] > COLUMNS:
        parts = extras.load("sklearn.decomposition", "report", "Boosted trees")
        components = min(COLUMNS, len(few))
        fitted = parts.PCA(components, svd_solver="randomized", random_state=0).fit(x)
        x, held = fitted.transform(x), fitted.transform(held)
    return type(few)(x, few.targets, few.sample_weights), held


def _fit(model, part, targets) -> None:
    """Fits in one thread: where others keep the cores busy, OpenMP's would wait for each other
    at every split (28 s of CPU time for digits rather than 0.8 s, on two cores with a load of 10).
    """
    threads = extras.load("threadpoolctl", "report", "Simpler models")
    with threads.threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of iterations: 100 are what is said
        model.fit(_flat(part.inputs), targets, sample_weight=part.sample_weights)


_CLASSIFIERS: dict[str, Callable[..., np.ndarray]] = {
    "the most frequent class": _majority, "logistic regression": _logistic,
    "boosted trees": _boosted,
}  # fmt: skip
_LABELLERS: dict[str, Callable[..., np.ndarray]] = {
    "the more frequent value of each label": _shares, "logistic regression": _logistics,
    "boosted trees": _boosted_labels,
}  # fmt: skip
_REGRESSORS: dict[str, Callable[..., np.ndarray]] = {
    "the mean": _mean, "ridge regression": _ridge, "boosted trees": _boosted_numbers,
}  # fmt: skip
