"""The course of a training: its curves, and what the babysitter did."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.train.layer_curves import NORM, RATIO
from chainrule.train.report import charts, html
from chainrule.train.report.html import Html
from chainrule.train.report.subject import Absent, Subject

_OTHER = ("time", "step", "loss", "seconds", "step_size", "gradient_norm", "loss_scale")
ADVICE = "continue"
LAYERS = 60  # whose curves are drawn


def curves(subject: Subject) -> Html:
    """Loss, metrics, step size and gradient norms over the steps."""
    drawn = []
    both = {name: curve for name in ("loss", "validation_loss")
            if (curve := subject.curve(name))[0]}  # fmt: skip
    if not both:
        raise Absent("no step was noted")
    marks = [d["step"] for d in made(subject) if d["action"] != ADVICE]
    drawn.append(charts.curves("Loss", both, marks=marks))
    for name in _metrics(subject):
        known = {n: curve for n in (name, f"validation_{name}") if (curve := subject.curve(n))[0]}
        drawn.append(charts.curves(" ".join(known).replace("_", " "), known, marks=marks))
    for name in ("step_size", "gradient_norm", "loss_scale"):
        if (curve := subject.curve(name))[0]:
            drawn.append(charts.curves(name.replace("_", " "), {name: curve}, marks=marks))
    small = "Dashed: the babysitter acted. " if marks else ""
    small += "The loss is the mean over the minibatches of a stretch, while training (dropout on)."
    return html.joined([html.side_by_side(*drawn), html.note(small)])


def _metrics(subject: Subject) -> list[str]:
    names = {n.removeprefix("validation_") for line in subject.metrics for n in line
             if "/" not in n}  # fmt: skip
    return sorted(names - {*_OTHER})


def layers(subject: Subject) -> Html:
    """The norm of each weight's gradient, and how far a step moves it, over the steps."""
    drawn = []
    for prefix, title in ((NORM, "gradient norm"), (RATIO, "step / weight, of their norms")):
        names = [n for line in subject.metrics for n in line if n.startswith(prefix)]
        series: dict[str, charts.Curve] = {}
        unique = list(dict.fromkeys(names))
        for k in np.unique(np.linspace(0, len(unique) - 1, min(LAYERS, len(unique))).astype(int)):
            series[unique[k].removeprefix(prefix)] = subject.curve(unique[k])
        if series:
            title += f" ({len(series)} of {len(unique)})" if len(series) < len(unique) else ""
            drawn.append(charts.curves(title, series))
    if not drawn:
        raise Absent("this run noted none")
    return html.joined([
        html.side_by_side(*drawn),
        html.note("Of each array of weights with two axes or more, the mean over the last stretch "
                  "of steps of each epoch."),
    ])  # fmt: skip


def made(subject: Subject) -> list[dict[str, Any]]:
    """The babysitter's decisions, each once (a resumed run may have come to one again)."""
    if subject.history is not None:
        return subject.history["decisions"]
    found = {}
    for event in subject.events:
        if event["event"] == "babysitter":
            found[event["step"], event["action"], event["reason"]] = event
    return list(found.values())


def decisions(subject: Subject) -> Html:
    """Each decision with its step and its reason."""
    mode = (subject.config.get("fit") or {}).get("babysitter", "act")
    if mode == "off":
        raise Absent("it was off")
    found = made(subject)
    if not found:
        return html.paragraph("It watched, and had no reason to act.")
    rows = [(d["step"], d["epoch"], "advice" if d["action"] == ADVICE else d["action"], d["reason"])
            for d in found[:200]]  # fmt: skip
    more = f"{len(found) - 200} more are in log.jsonl." if len(found) > 200 else ""
    only = "It was asked for advice only: nothing was done. " if mode == "advise" else ""
    return html.joined([
        html.table(("step", "epoch", "action", "reason"), rows),
        html.note(only + more) if only or more else html.NOTHING,
    ])  # fmt: skip


def times(subject: Subject) -> Html:
    """Seconds, steps a second, and the largest memory."""
    seconds = subject.curve("seconds")[1]
    steps = max((line["step"] for line in subject.metrics), default=0)
    found: dict[str, Any] = {"epochs": len(seconds), "steps": steps}
    if seconds:
        found["seconds of training"] = float(np.sum(seconds))
        found["of these, the first epoch (with compilation)"] = seconds[0]
    if len(seconds) > 1:
        first = subject.curve("seconds")[0][0]
        found["steps a second, later epochs"] = (steps - first) / float(np.sum(seconds[1:]))
    ended = [event for event in subject.events if event["event"] == "finished"]
    if ended and ended[-1].get("peak_memory"):
        found["largest memory of the process"] = f"{ended[-1]['peak_memory'] / 1e6:,.0f} MB"
    if subject.history is not None:
        found["ended because"] = subject.history["stopped"]
    return html.facts(found)
