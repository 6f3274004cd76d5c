"""A preparation as JSON, and back: every field is checked, and what does not fit is named."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from chainrule import errors
from chainrule.data.encodings import ENCODINGS, PARTS
from chainrule.data.scaling import METHODS
from chainrule.data.table import KINDS, shown
from chainrule.data.targets import TASKS, Target

if TYPE_CHECKING:
    from chainrule.data.preparation import Preparation

FORMAT, VERSION = "chainrule preparation", 1
Check = Callable[[Any], bool]


def to_json(preparation: Preparation) -> dict:
    """A preparation as dicts, lists, texts and numbers."""
    target = None
    if preparation.target is not None:
        target = {name: _listed(value) for name, value in asdict(preparation.target).items()}
    return {
        "format": FORMAT, "version": VERSION, "columns": [dict(r) for r in preparation.records],
        "scale": dict(preparation.scale), "target": target, "left_out": dict(preparation.left_out),
    }  # fmt: skip


def _listed(value: Any) -> Any:
    """Tuples as lists, those inside too."""
    return [_listed(one) for one in value] if isinstance(value, tuple) else value


def from_json(stored: Any) -> tuple[tuple[dict, ...], dict, Target | None, dict[str, str]]:
    """The parts of a preparation. **Errors** FileDamaged, with the path of what does not fit."""
    _fields(stored, _WHOLE, "preparation")
    records = []
    for i, record in enumerate(stored["columns"]):
        where = f"preparation.columns[{i}]"
        kind = record.get("kind") if _is_dict(record) else None
        if kind not in KINDS:
            raise _damaged(where + ".kind", kind, f"one of {', '.join(KINDS)}")
        _fields(record, {"name": _TEXT, "kind": _TEXT, **_RECORDS[kind]}, where)
        if kind == "date" and len(record["parts"]) != len(record["fill"]):
            raise _damaged(where + ".fill", record["fill"], "as many numbers as parts")
        records.append(dict(record))
    names = [record["name"] for record in records]
    if len(set(names)) < len(names):
        raise _damaged("preparation.columns", names, "names that differ")
    scale = _scale(stored["scale"], records)
    return tuple(records), scale, _target(stored["target"]), dict(stored["left_out"])


def _scale(scale: dict, records: list[dict]) -> dict:
    where = "preparation.scale"
    method = scale.get("method")
    if not isinstance(method, str) or method not in METHODS:
        raise _damaged(where + ".method", method, f"one of {', '.join(METHODS)}")
    parts = METHODS[method]
    _fields(scale, {"method": _TEXT, **{part: _SCALE[part] for part in parts}}, where)
    width = sum(len(ENCODINGS[record["kind"]].names(record)[0]) for record in records)
    if is_image(records) and method in ("center", "standardize"):
        width = records[0]["shape"][-1]
    for part in parts:
        if len(scale[part]) != width:
            raise _damaged(f"{where}.{part}", scale[part], f"{width} entries")
    if method == "zca" and any(len(row) != width for row in scale["matrix"]):
        raise _damaged(where + ".matrix", scale["matrix"], f"{width} columns")
    return dict(scale)


def is_image(records: Sequence[dict]) -> bool:
    """Whether the inputs are arrays of two axes or more, whose last one is that of channels."""
    return len(records) == 1 and records[0]["kind"] == "array" and len(records[0]["shape"]) > 1


def _target(target: dict | None) -> Target | None:
    where = "preparation.target"
    if target is None:
        return None
    _fields(target, _TARGET, where)
    if target["task"] == "multilabel":
        return _labelled(target, where)
    classes = target["task"] == "classification"
    if classes != (target["labels"] is not None):
        raise _damaged(where + ".labels", target["labels"], "classes, in a classification only")
    if classes and not _labels(target["labels"]):
        raise _damaged(where + ".labels", target["labels"], "two classes or more, all different")
    if classes and (len(target["names"]) != 1 or not all(
        _LABELS[target["kind"]](label) for label in target["labels"]
    )):  # fmt: skip
        raise _damaged(where + ".labels", target["labels"], f"of the kind {target['kind']}")
    wanted = 0 if classes else len(target["names"])
    for part in ("mean", "std"):
        if len(target[part]) != wanted:
            raise _damaged(f"{where}.{part}", target[part], f"{wanted} numbers")
    parts: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in target.items()}
    return Target(**parts)


def _labelled(target: dict, where: str) -> Target:
    """Several labels of each row: the two values of each column."""
    pairs, count = target["labels"], len(target["names"])
    if count < 2 or not _all(_pair, count)(pairs) or len(pairs) != count:
        raise _damaged(where + ".labels", pairs, "two values of one kind for each of the names")
    if not _LABELS[target["kind"]](pairs[0][0]):
        raise _damaged(where + ".kind", target["kind"], "that of the first label")
    for part in ("mean", "std"):
        if target[part]:
            raise _damaged(f"{where}.{part}", target[part], "0 numbers")
    names, kind = tuple(target["names"]), target["kind"]
    return Target(names, kind, "multilabel", tuple(map(tuple, pairs)))


# --- checks: what a field holds, in words, and whether a value is that ---------------------------


def _fields(stored: Any, wanted: dict[str, tuple[str, Check]], where: str) -> None:
    if not _is_dict(stored):
        raise _damaged(where, stored, "an object with fields")
    for name in [*wanted, *stored]:
        if name not in stored:
            raise _damaged(f"{where}.{name}", None, wanted[name][0])
        if name not in wanted:
            raise _damaged(f"{where}.{name}", stored[name], "no such field")
        words, check = wanted[name]
        if not check(stored[name]):
            raise _damaged(f"{where}.{name}", stored[name], words)


def _damaged(where: str, value: Any, wanted: str) -> errors.FileDamaged:
    return errors.FileDamaged(
        f"{where} is {shown(value)}; needed is: {wanted}.\n"
        "  The file is not as it was written. Take it from the run again, or train again."
    )


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max  # not nan, not inf


def _all(check: Check, least: int = 0) -> Check:
    return lambda value: isinstance(value, list) and len(value) >= least and all(map(check, value))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value < 1 << 31


def _is_matrix(value: Any) -> bool:
    rows = _all(_all(_is_number))(value)
    return rows and len({len(row) for row in value}) == 1


def _distinct_texts(value: Any) -> bool:
    return _all(lambda v: isinstance(v, str))(value) and len(set(value)) == len(value)


def _pair(value: Any) -> bool:
    if not _labels(value) or len(value) != 2:
        return False
    return any(check(value[0]) and check(value[1]) for check in _LABELS.values())


def _labels(value: Any) -> bool:
    plain = _all(lambda v: isinstance(v, str | bool) or _is_number(v), 2)(value)
    return plain and len(set(value)) == len(value)


_TEXT = ("text", lambda v: isinstance(v, str))
_FLAG = ("true or false", lambda v: isinstance(v, bool))
_VALUE = ("a finite number", _is_number)
_NUMBERS = ("finite numbers", _all(_is_number))

_WHOLE = {
    "format": (repr(FORMAT), lambda v: v == FORMAT),
    "version": (f"{VERSION}, the only one that this chainrule reads",
                lambda v: type(v) is int and v == VERSION),
    "columns": ("a list of columns", lambda v: isinstance(v, list)),
    "scale": ("an object with fields", _is_dict),
    "target": ("an object with fields, or null", lambda v: v is None or _is_dict(v)),
    "left_out": ("texts by column",
                 lambda v: _is_dict(v) and all(isinstance(t, str) for t in v.values())),
}  # fmt: skip

_NUMBER = {"fill": _VALUE, "varies": _FLAG, "indicator": _FLAG}
_RECORDS: dict[str, dict[str, tuple[str, Check]]] = {
    "number": _NUMBER,
    "boolean": _NUMBER,
    "date": {
        "parts": (f"some of {', '.join(PARTS)}",
                  lambda v: _distinct_texts(v) and set(v) <= set(PARTS)),
        "fill": _NUMBERS,
        "indicator": _FLAG,
    },
    "text": {
        "levels": ("texts that differ", _distinct_texts),
        "other": _FLAG,
        "indicator": _FLAG,
    },
    "array": {"shape": ("sizes from 1", _all(_is_count, 1))},
}  # fmt: skip

_POSITIVE = ("finite numbers above 0", _all(lambda v: _is_number(v) and v > 0))
_SCALE = {"mean": _NUMBERS, "std": _POSITIVE, "matrix": ("rows of equal length", _is_matrix)}

_TARGET = {
    "names": ("one name or more, all different", lambda v: _distinct_texts(v) and len(v) > 0),
    "kind": ("number, boolean or text", lambda v: v in ("number", "boolean", "text")),
    "task": (" or ".join(TASKS), lambda v: isinstance(v, str) and v in TASKS),
    "labels": ("a list, or null", lambda v: v is None or isinstance(v, list)),
    "mean": _NUMBERS,
    "std": _POSITIVE,
}  # fmt: skip

_LABELS: dict[str, Check] = {
    "number": _is_number,
    "boolean": lambda v: isinstance(v, bool),
    "text": lambda v: isinstance(v, str),
}
