"""What the run was made of: the network, its layers' health, its settings, and the data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule import data, nn
from chainrule.train.babysitter import health
from chainrule.train.report import html
from chainrule.train.report.html import Html, element, percent
from chainrule.train.report.subject import Absent, Subject

SAMPLE = 256  # rows that the layers' health is looked at on
LAYERS, COLUMNS, CLASSES = 150, 100, 50  # lines of a table
LONG = 60_000  # characters of config.json that are shown


def network(subject: Subject) -> Html:
    """The layers with their shapes, parameters and flops."""
    known = subject.test if subject.test is not None else subject.training
    if known is None:
        raise Absent("the shape of its inputs is not known here")
    found = nn.summary(subject.model, (1, *known.inputs.shape[1:]))
    rows = [(r.path or "the model", r.kind, "×".join(map(str, r.shape[1:])), r.parameters, r.flops)
            for r in found.rows[:LAYERS]]  # fmt: skip
    total = ("all together", "", "", found.parameters, found.flops)
    return html.table(("layer", "kind", "output", "parameters", "flops a row"), [*rows, total])


def layers(subject: Subject) -> Html:
    """What the units of each layer do on held rows, or did when the babysitter last looked."""
    known = subject.test if subject.test is not None else subject.training
    if known is not None:
        found = [vars(one) for one in health(subject.model, np.asarray(known.inputs[:SAMPLE]))]
        where = f"On {min(SAMPLE, len(known))} rows, after training."
    else:
        looks = [event for event in subject.events if event["event"] == "health"]
        if not looks:
            raise Absent("no data are known here, and the babysitter was off")
        found, where = looks[-1]["layers"], f"As seen in epoch {looks[-1]['epoch']}."
    rows = [(one["path"] or one["kind"], one["kind"], one["units"], percent(_number(one["dead"])),
             percent(_number(one["saturated"])), _number(one["mean"]), _number(one["std"]))
            for one in found[:LAYERS]]  # fmt: skip
    head = ("layer", "kind", "units", "dead", "saturated", "mean", "std")
    small = (
        " Dead: the same value for every row. Saturated: within 1 % of a bound (sigmoid, tanh) for "
        "95 % of rows. Std: about the units' means."
    )
    return html.joined([html.table(head, rows), html.note(where + small)])


def _number(value: Any) -> float:
    return float(value)  # "nan" and "inf" are text in the log


def settings(subject: Subject) -> Html:
    """Every setting of the training, then the whole config.json."""
    fit = {k: v for k, v in (subject.config.get("fit") or {}).items() if k != "model"}
    plan = ((subject.config.get("cli") or {}).get("plan") or {}).get("model") or {}
    chosen = (subject.config.get("cli") or {}).get("options")
    shown = dict(_flattened(fit)) | {f"model.{k}": v for k, v in _flattened(plan)}
    if chosen is not None:
        shown = {"options that were given": chosen or "none: the recipe was followed"} | shown
    whole = json.dumps(subject.config, indent=1, ensure_ascii=False)
    cut = "" if len(whole) <= LONG else f"\n... ({len(whole) - LONG:,} more characters)"
    shortened = html.verbatim(whole[:LONG] + cut)
    return html.joined([
        html.facts(shown),
        element("details", element("summary", "config.json"), element("pre", shortened)),
    ])  # fmt: skip


def _flattened(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in found.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{before}{name}.")
        else:
            yield before + name, value


def data_summary(subject: Subject) -> Html:
    """The rows of each part, the classes, and each column."""
    parts = []
    sizes = (
        {k: len(v) for k, v in subject.rows.items()} or subject.about.get("rows") or _known(subject)
    )
    if not sizes:
        raise Absent("no data are known here")
    source = (subject.config.get("cli") or {}).get("data")
    named = {"source": source} if source else {}
    parts.append(html.facts(named | {f"rows, {part}": count for part, count in sizes.items()}))
    if subject.table is not None:
        parts.append(_columns(subject, subject.table))
    else:
        parts.append(_arrays(subject))
    if (balance := _balance(subject)) is not None:
        parts.append(balance)
    return html.joined(parts)


def _known(subject: Subject) -> dict[str, int]:
    known = {"training": subject.training, subject.part: subject.test}
    return {name: len(arrays) for name, arrays in known.items() if arrays is not None}


def _columns(subject: Subject, table: data.Table) -> Html:
    """A line a column: its use, kind, missing values, and what is in it."""
    out = subject.preparation.left_out if subject.preparation is not None else {}
    used = subject.preparation.columns if subject.preparation is not None else []
    rows = []
    for found in data.summary(table)[:COLUMNS]:
        name = found["name"]
        use = "target" if name in subject.target_columns else "input" if name in used else (
            f"left out: {out[name]}" if name in out else "not used")  # fmt: skip
        inside = {k: v for k, v in found.items() if k not in ("name", "kind", "missing")}
        rows.append((name, use, found["kind"], found["missing"], _inside(inside)))
    more = len(table.columns) - len(rows)
    return html.joined([
        html.table(("column", "use", "kind", "missing", "what is in it"), rows),
        html.note(f"{more} more columns are left out.") if more > 0 else html.NOTHING,
    ])  # fmt: skip


def _inside(found: dict[str, Any]) -> str:
    if "frequent" in found:
        often = ", ".join(f"{_short(name)} ({count:,})" for name, count in found["frequent"])
        return f"{found['distinct']:,} different: {often}"
    if "true" in found:
        return f"true in {percent(found['true'])}"
    if "least" in found:
        return (f"{html.said(found['least'])} to {html.said(found['greatest'])}, mean "
                f"{html.said(found['mean'])}, std {html.said(found['std'])}")  # fmt: skip
    return html.said(found) if found else ""


def _short(text: Any) -> str:
    return text if len(text := str(text)) <= 40 else text[:37] + "..."


def _arrays(subject: Subject) -> Html:
    """The inputs as the network takes them."""
    rows = []
    for part, arrays in (("training", subject.training), (subject.part, subject.test)):
        if arrays is not None:
            some = np.asarray(arrays.inputs[:10_000], np.float64)
            rows.append((part, "×".join(map(str, arrays.inputs.shape)), str(arrays.inputs.dtype),
                         float(some.min()), float(some.mean()), float(some.std()),
                         float(some.max())))  # fmt: skip
    if not rows:
        return html.NOTHING
    return html.table(("inputs", "shape", "dtype", "least", "mean", "std", "greatest"), rows)


def _balance(subject: Subject) -> Html | None:
    """How many rows of each class the parts have."""
    known = [(part, arrays.targets) for part, arrays in
             (("training", subject.training), (subject.part, subject.test))
             if arrays is not None and arrays.targets is not None]  # fmt: skip
    if known and subject.labelled:
        return _label_balance(subject, known)
    if not known or not subject.classifies:
        return None
    values = np.unique(np.concatenate([np.unique(t) for _, t in known]))
    named = subject.preparation.labels if subject.preparation is not None else None
    rows = []
    for value in values[:CLASSES]:
        name = named[int(value)] if named is not None else value
        shares = [(int((t == value).sum()), percent(float((t == value).mean()))) for _, t in known]
        rows.append((str(name), *(cell for pair in shares for cell in pair)))
    head = [text for part, _ in known for text in (f"rows, {part}", "share")]
    more = len(values) - len(rows)
    return html.joined([html.table(("class", *head), rows),
                        html.note(f"{more} more classes.") if more else html.NOTHING])  # fmt: skip


def _label_balance(subject: Subject, known: list[tuple[str, np.ndarray]]) -> Html:
    """In how many rows of the parts each label holds."""
    held = [np.asarray(targets) > 0 for _, targets in known]
    rows = [(name, *(cell for part in held
                     for cell in (int(part[:, k].sum()), percent(float(part[:, k].mean())))))
            for k, name in enumerate(subject.target_names[:CLASSES])]  # fmt: skip
    head = [text for part, _ in known for text in (f"rows with it, {part}", "share")]
    more = len(subject.target_names) - len(rows)
    return html.joined([html.table(("label", *head), rows),
                        html.note(f"{more} more labels.") if more else html.NOTHING])  # fmt: skip
