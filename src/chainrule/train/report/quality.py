"""How good the guesses are: confusion, calibration, residuals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.data.scaling import moments
from chainrule.train import metrics
from chainrule.train.report import charts, html
from chainrule.train.report.axes import Axis
from chainrule.train.report.html import Html, element, percent
from chainrule.train.report.subject import Absent, Subject

CELLS = 25  # classes of a confusion matrix that is drawn
BINS = 10  # of the reliability diagram
POINTS = 1500  # of a plot of residuals
TARGETS = 4  # of a regression that are drawn
WORST = 10
LABELS = ("exact_match", "hamming_loss", "label_f1", "label_auc", "label_log_loss")


def confusion(targets: np.ndarray, guesses: np.ndarray, count: int) -> np.ndarray:
    """How often each class (row) was taken for each (column). **Shapes** (N,), (N,) -> (K, K)."""
    return np.bincount(targets * count + guesses, minlength=count**2).reshape(count, count)


def classes(subject: Subject) -> Html:
    """The confusion matrix, and precision and recall of each class; of labels, a line for each."""
    if subject.labelled:
        return _labels(subject)
    if not subject.classifies:
        raise Absent("the targets are numbers")
    guesses, labels = subject.scores.argmax(axis=1), subject.labels
    counts = confusion(subject.classes, guesses, len(labels))
    parts = [_matrix(counts, labels) if len(labels) <= CELLS else _confused(counts, labels)]
    head = ("class", "rows", "precision", "recall", "F1")
    return html.joined([*parts, html.table(head, list(by_class(counts, labels)))])


def by_class(counts: np.ndarray, labels: list[Any]) -> Iterator[tuple]:
    """The name of each class, its rows, precision, recall and F1."""
    hits, true, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    with np.errstate(invalid="ignore"):
        precision, recall, f1 = hits / said, hits / true, 2 * hits / (true + said)
    for k in range(min(len(labels), 200)):
        shares = (percent(float(share[k])) for share in (precision, recall, f1))
        yield str(labels[k]), int(true[k]), *shares


def _labels(subject: Subject) -> Html:
    held, guesses = subject.held_labels, subject.outputs > 0
    hits, true, said = (guesses & held).sum(axis=0), held.sum(axis=0), guesses.sum(axis=0)
    right = (guesses == held).mean(axis=0)
    with np.errstate(invalid="ignore"):
        shares = np.stack([right, hits / said, hits / true, 2 * hits / (true + said)], axis=1)
    rows = [(name, int(true[k]), *(percent(float(share)) for share in shares[k]))
            for k, name in enumerate(subject.target_names[:200])]  # fmt: skip
    return html.table(("label", "rows with it", "accuracy", "precision", "recall", "F1"), rows)


def _matrix(counts: np.ndarray, labels: list[Any]) -> Html:
    """The matrix as a table, shaded by the share of the row."""
    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    head = element("tr", element("th", "true \\ guessed"), *(element("th", str(n)) for n in labels))
    lines = []
    for k, label in enumerate(labels):
        cells = (_cell(int(counts[k, j]), float(share[k, j]), j == k) for j in range(len(labels)))
        lines.append(element("tr", element("th", str(label), scope="row"), *cells))
    inside = element("table", element("thead", head), element("tbody", *lines), class_="matrix")
    return element("div", inside, class_="wide")


def _cell(count: int, share: float, right: bool) -> Html:
    colour = "var(--right)" if right else "var(--wrong)"
    shade = (
        f"color-mix(in srgb, {colour} {100 * (share if right else share**0.5):.0f}%, transparent)"
    )
    return element("td", count or "", style=f"background:{shade}")


def _confused(counts: np.ndarray, labels: list[Any]) -> Html:
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:20]
    pairs = [np.unravel_index(at, wrong.shape) for at in order if wrong.flat[at]]
    rows = [(str(labels[i]), str(labels[j]), int(wrong[i, j])) for i, j in pairs]
    return html.joined([
        html.note(f"{len(labels)} classes: the pairs that are confused most often."),
        html.table(("true", "guessed", "rows"), rows),
    ])  # fmt: skip


def reliability(probabilities: np.ndarray, targets: np.ndarray, bins: int = BINS):
    """(edges, share of right guesses, mean confidence, rows) by confidence, nan where no rows are.

    The confidence of a row is the probability of the class that is guessed.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        share = np.bincount(place, right, bins) / rows
        mean = np.bincount(place, confidence, bins) / rows
    return np.linspace(0, 1, bins + 1), share, mean, rows


def calibration_error(share: np.ndarray, mean: np.ndarray, rows: np.ndarray) -> float:
    """sum of rows |share right - mean confidence| over all rows (Guo et al., ICML 2017, eq. 3)."""
    there = rows > 0
    return float(np.sum(rows[there] * np.abs(share[there] - mean[there])) / rows.sum())


def calibration(subject: Subject) -> Html:
    """Whether a probability of 0.8 is right in 8 of 10 rows."""
    if subject.labelled:  # each label of each row is a guess between two
        p, held = subject.label_probabilities.ravel(), subject.held_labels.ravel()
        found = reliability(np.stack([1 - p, p], axis=1), held)
    elif subject.classifies:
        found = reliability(subject.probabilities, subject.classes)
    else:
        raise Absent("a regression gives no probabilities")
    edges, share, mean, rows = found
    counted, guessed = ("Labels", "value") if subject.labelled else ("Rows", "class")
    error = calibration_error(share, mean, rows)
    whole = Axis(0.0, 1.0)
    return html.joined([
        html.paragraph(f"Expected calibration error: {error:.4f} (0 is perfect), over {BINS} bins "
                       "of confidence."),
        html.side_by_side(
            charts.columns("Share of right guesses by confidence", edges, share, x="confidence",
                           line=([0, 1], [0, 1]), up=whole),
            charts.columns(f"{counted} by confidence", edges, rows, x="confidence"),
        ),
        html.note(f"Confidence is the probability of the guessed {guessed}. Dashed: perfect."),
    ])  # fmt: skip


def residuals(subject: Subject) -> Html:
    """True against guessed values, and what is left over."""
    if subject.classifies or subject.labelled:
        raise Absent("the targets are " + ("labels" if subject.labelled else "classes"))
    truth, guesses = subject.truth, subject.guesses
    chosen = _spread(len(truth), POINTS)
    drawn = []
    for k, name in list(enumerate(subject.target_names))[:TARGETS]:
        y, f = truth[chosen, k], guesses[chosen, k]
        heights, edges = _histogram(truth[:, k] - guesses[:, k])
        drawn += [
            charts.points(name, f, y, x="guessed", y="true", diagonal=True),
            charts.points(name, f, y - f, x="guessed", y="true - guessed", level=True),
            charts.columns(name, edges, heights, x="true - guessed", y="rows"),
        ]
    some = (
        f" {len(chosen)} of {len(truth)} rows are drawn as points."
        if len(chosen) < len(truth)
        else ""
    )
    more = truth.shape[1] - TARGETS
    some += f" {more} more targets are left out." if more > 0 else ""
    return html.joined([html.side_by_side(*drawn), html.note("Dashed: no error." + some)])


def _histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts in 25 bins; in one, where the values are equal but for rounding."""
    axis = Axis.over(values, logarithmic=False)
    alike = np.ptp(values) < 1e-9 * np.abs(values).max()
    return np.histogram(values, bins=1 if alike else 25, range=(axis.low, axis.high))


def _spread(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def worst(subject: Subject) -> Html:
    """The rows that the model gets most wrong, by where they stand in the data."""
    if subject.labelled:
        return _worst_labels(subject)
    if subject.classifies:
        logs = np.log(np.maximum(subject.probabilities, 1e-300))
        own = logs[np.arange(len(logs)), subject.classes]
        guesses = subject.scores.argmax(axis=1)
        order = np.argsort(own, kind="stable")
        order = order[guesses[order] != subject.classes[order]]
        if not len(order):
            return html.paragraph("No row is guessed wrong.")
        true, labels = subject.classes, subject.labels
        head = ("row", "true", "guessed", "probability of true")
        return html.table(head, [
            (_place(subject, i), str(labels[true[i]]), str(labels[guesses[i]]), _share(own[i]))
            for i in order[:WORST]
        ])  # fmt: skip
    left = np.abs(subject.truth - subject.guesses)
    _, deviation = moments(subject.truth)
    scaled = left / np.where(deviation > 0, deviation, 1.0)
    at = scaled.argmax(axis=1)
    order = np.argsort(-scaled.max(axis=1), kind="stable")[:WORST]
    return html.table(("row", "target", "true", "guessed"), [
        (_place(subject, i), subject.target_names[at[i]], float(subject.truth[i, at[i]]),
         float(subject.guesses[i, at[i]]))
        for i in order
    ])  # fmt: skip


def _worst_labels(subject: Subject) -> Html:
    """The rows of the least probable true label, among those that are guessed wrong."""
    p, held = subject.label_probabilities, subject.held_labels
    own = np.where(held, p, 1 - p)
    at = own.argmin(axis=1)
    least = own[np.arange(len(own)), at]
    wrong = ((subject.outputs > 0) != held).any(axis=1)
    order = [i for i in np.argsort(least, kind="stable") if wrong[i]][:WORST]
    if not order:
        return html.paragraph("No row is guessed wrong.")
    target = subject.preparation.target if subject.preparation is not None else None
    pairs: Any = target.labels if target is not None else ((0, 1),) * held.shape[1]
    return html.table(("row", "label", "true", "guessed", "probability of true"), [
        (_place(subject, i), subject.target_names[at[i]], str(pairs[at[i]][int(held[i, at[i]])]),
         str(pairs[at[i]][int(subject.outputs[i, at[i]] > 0)]), float(least[i]))
        for i in order
    ])  # fmt: skip


def _share(log: float) -> float:
    return float(np.exp(log))


def _place(subject: Subject, row: int) -> str:
    """What a held row is known by where it was read."""
    table, numbers = subject.table, subject.rows.get(subject.part)
    if table is None or numbers is None:
        return f"{subject.part} row {row}"
    whole = int(numbers[row])
    return f"{table.unit} {whole if table.lines is None else table.lines[whole]}"


def headline(subject: Subject) -> dict[str, Any]:
    """The most important figures on the held rows."""
    rows = {"rows": len(subject.held())}
    if subject.labelled:
        values = {name: metrics.METRICS[name].value(subject.outputs, subject.targets)
                  for name in LABELS}  # fmt: skip
        shares = {name: percent(values[name]) for name in LABELS[:2]}
        return {**rows, **values, **shares}
    if subject.classifies:
        found: dict[str, Any] = {
            "accuracy": percent(metrics.accuracy(subject.scores, subject.classes))
        }
        for name in ("f1", "auc", "log_loss"):
            found[name] = metrics.METRICS[name].value(subject.scores, subject.classes)
        return {**rows, **found}
    names = ("rmse", "mae", "r2")
    return rows | {n: metrics.METRICS[n].value(subject.guesses, subject.truth) for n in names}
