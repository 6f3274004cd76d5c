"""Importance by permutation: how much worse the guesses get where a column is shuffled.

Source    Breiman, Machine Learning 45 (2001), section 10.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.data.scaling import moments
from chainrule.train import metrics
from chainrule.train.evaluation import predict
from chainrule.train.report import charts, html, pixels
from chainrule.train.report.html import Html
from chainrule.train.report.subject import Absent, Subject

ROWS, COLUMNS, REPEATS = 1000, 100, 3
SIDE = 10  # patches along each axis of an image
SHOWN = 25


def importance(subject: Subject) -> Html:
    """The columns, or the parts of an image, by how much worse it gets without them."""
    held = subject.held()
    if held.targets is None:
        raise Absent("the targets are the inputs")
    inputs = np.asarray(held.inputs[:ROWS], np.float32)
    score, unit = _measure(subject, len(inputs))
    few = (f"On {len(inputs)} rows, {REPEATS} shuffles. Each is shuffled on its own: what says "
           "the same as another is missed less.")  # fmt: skip
    if inputs.ndim == 4:
        found = permuted(subject.model, inputs, patches(inputs.shape[1:]), score)
        most = max(mean for mean, _ in found.values())
        small = f"White: no growth of {unit} where a part is shuffled; red: up to {most:.4g}. {few}"
        return html.joined([_picture(inputs.shape[1:], found), html.note(small)])
    whole = _groups(subject, inputs)
    groups = _most_related(whole, inputs, subject)
    found = permuted(subject.model, inputs, groups, score)
    ranked = dict(sorted(found.items(), key=lambda item: -item[1][0])[:SHOWN])
    if len(whole) > len(groups):
        few += (
            f" Of {len(whole)} columns the {len(groups)} most correlated with the target are tried."
        )
    if len(groups) > SHOWN:
        few += f" The {SHOWN} most important ones are shown."
    return html.joined([charts.bars("Growth where it is shuffled", ranked, unit=unit),
                        html.note(few + " ±: standard deviation over the shuffles.")])  # fmt: skip


def permuted(
    model, inputs: np.ndarray, groups: dict[str, np.ndarray], score: Callable[[np.ndarray], float]
) -> dict[str, tuple[float, float]]:
    """The mean growth of a score, and its deviation, where a group of inputs is shuffled.

    **Shapes** inputs (N, ...); groups are numbers of the entries of a row, as one axis.
    **Cost** a forward propagation of all rows for each group and repeat.
    """
    usual = score(predict(model, inputs))
    found = {}
    for name, entries in groups.items():
        grown = []
        for repeat in range(REPEATS):
            order = np.random.default_rng([repeat, 29]).permutation(len(inputs))
            changed = inputs.reshape(len(inputs), -1).copy()
            changed[:, entries] = changed[order][:, entries]
            grown.append(score(predict(model, changed.reshape(inputs.shape))) - usual)
        mean, deviation = moments(np.array(grown)[:, None])
        found[name] = mean.item(), deviation.item()
    return found


def patches(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Parts of an image (H, W, C) by name: at most SIDE x SIDE of them, row by row.

    >>> patches((2, 1, 2))
    {'0,0': array([0, 1]), '1,0': array([2, 3])}
    """
    height, width, _ = shape
    entries = np.arange(np.prod(shape)).reshape(shape)
    return {
        f"{rows[0]},{columns[0]}": entries[np.ix_(rows, columns)].ravel()
        for rows in np.array_split(np.arange(height), min(SIDE, height))
        for columns in np.array_split(np.arange(width), min(SIDE, width))
    }


def _picture(shape: tuple[int, ...], found: dict[str, tuple[float, float]]) -> Html:
    """The growth of each part, where it stands in the image."""
    values = np.zeros(int(np.prod(shape)))
    for name, entries in patches(shape).items():
        values[entries] = found[name][0]
    return pixels.heat(values.reshape(shape)[..., 0], "Where the image matters")


def _groups(subject: Subject, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """The inputs that each column of the table makes; those of an array one by one."""
    if inputs.ndim == 3:  # (N, T, C)
        entries = np.arange(inputs[0].size).reshape(inputs.shape[1:])
        return {f"channel {c}": entries[:, c] for c in range(inputs.shape[2])}
    if subject.preparation is None:
        return {f"input {k}": np.array([k]) for k in range(inputs[0].size)}
    arrays = {r["name"] for r in subject.preparation.records if r["kind"] == "array"}
    found: dict[str, list[int]] = {}
    for k, (name, column) in enumerate(subject.preparation.sources):
        found.setdefault(name if column in arrays else column, []).append(k)
    return {name: np.array(entries) for name, entries in found.items()}


def _most_related(groups: dict[str, np.ndarray], inputs: np.ndarray, subject: Subject):
    """The groups whose inputs correlate most with the targets (or one of the classes)."""
    if len(groups) <= COLUMNS:
        return groups
    x = inputs.reshape(len(inputs), -1).astype(np.float64)
    if subject.classifies:
        y = np.eye(len(subject.labels))[subject.classes]
    else:
        y = subject.held_labels.astype(np.float64) if subject.labelled else subject.truth
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.abs(_standard(x).T @ _standard(y[: len(x)])).max(axis=1)
    size = np.nan_to_num(size)
    ranked = sorted(groups, key=lambda name: -size[groups[name]].max())[:COLUMNS]
    return {name: groups[name] for name in groups if name in set(ranked)}


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=0)) / values.std(axis=0)


def _measure(subject: Subject, count: int) -> tuple[Callable[[np.ndarray], float], str]:
    """What grows as guesses get worse, and its name."""
    if subject.classifies:
        classes = subject.classes[:count]
        if subject.scores_are_log_odds:
            return lambda outputs: metrics.log_loss(outputs, classes), "the log loss, in nats"
        return lambda outputs: metrics.error(outputs, classes), "the share of wrong guesses"
    if subject.labelled:
        held = subject.targets[:count]
        if subject.scores_are_log_odds:
            return lambda outputs: metrics.label_log_loss(outputs, held), "the log loss, in nats"
        return lambda outputs: metrics.hamming_loss(outputs, held), "the share of wrong labels"
    truth, shape = subject.truth[:count], np.shape(subject.targets[:count])
    return (
        lambda outputs: metrics.rmse(subject.in_units(outputs.reshape(shape)), truth),
        "the root mean squared error",
    )
