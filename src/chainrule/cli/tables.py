"""Where data come from: a file, a folder of images, or a bundled data set by its name."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from chainrule import data
from chainrule.cli.failures import Failed, Misused
from chainrule.data.image_folders import ENDINGS
from chainrule.data.table import Column

# how delimited text is read, and a folder of images
TEXT = ("delimiter", "decimal", "thousands", "encoding", "missing", "header", "dates")
DELIMITERS = {"tab": "\t", "blanks": " "}  # by what they are called on the line
IMAGES = ("size", "channels")
_NOT_TEXT = (".parquet", ".pq", ".npy", ".npz")


def is_bundled(source: str) -> bool:
    """Whether a source is a bundled data set's name; a file or folder of the name comes first."""
    return source in data.DATASETS and not Path(source).exists()


def table_of(
    source: str, types: Mapping[str, str] | None = None, reading: Mapping[str, Any] | None = None
) -> data.Table:
    """The table that a path or a name says.

    `types` are the kinds that columns should have, `reading` options of `data.read`.
    """
    if is_bundled(source):
        table, info = data.load(source)
        return _with_images(table, info["shape"])
    if not Path(source).exists():
        raise Failed(
            f"{source} is neither a file or folder, nor a bundled data set.\n"
            f"  The bundled ones: {', '.join(data.DATASETS)}."
        )
    return data.read(source, types=types, **(reading or {}))


def _with_images(table: data.Table, shape: tuple[int, ...] | None) -> data.Table:
    """Rows of pixels as images of the shape that they have."""
    columns = {
        name: Column(name, c.kind, c.values.reshape(len(c), *shape))
        if shape and c.kind == "array" and prod(c.values.shape[1:]) == prod(shape) else c
        for name, c in table.columns.items()
    }  # fmt: skip
    return data.Table(columns, table.source, table.lines, table.notes, table.unit)


_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}


def check_classes(source: str, table: data.Table) -> None:
    """Nothing, where the folders of images are their classes.

    **Errors** Failed: images in no folder, or folders that are parts of a data set.
    """
    if not Path(source).is_dir():
        return
    if "class" not in table:
        raise Failed(
            f"the images of {source} lie in no folder: needed is a folder for each class, with its "
            "images in it."
        )
    names: set[str] = set(table["class"])
    lines = [] if table.lines is None else table.lines.tolist()
    if {name.casefold() for name in names} <= _PARTS and all(n.count("/") > 1 for n in lines):
        first = sorted(names, key=lambda name: "train" not in name.casefold())[0]
        raise Failed(
            f"the folders of {source} ({', '.join(sorted(names))}) are parts of a data set, not "
            f"classes, which are in them.\n  Train on one, {Path(source) / first}, and evaluate on "
            "the others."
        )


def place_of(source: str) -> str:
    """The source as it is found from any folder: a path from the root, or a name."""
    return str(Path(source).resolve()) if Path(source).exists() else source


def target_of(source: str) -> tuple[str, ...] | None:
    """The columns that a bundled data set, or a folder of images, is to tell; else None."""
    if is_bundled(source):
        target = data.DATASETS[source].target
        return (target,) if isinstance(target, str) else target
    return ("class",) if Path(source).is_dir() else None


def reading_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `data.read` that the options of `fit` say.

    >>> reading_of({"resize": "32x24", "type": ["zip=text"], "epochs": 3})
    {'size': (32, 24), 'types': {'zip': 'text'}}
    >>> reading_of({"delimiter": "tab", "date": ["day=%d.%m.%Y"]})
    {'delimiter': '\\t', 'dates': {'day': '%d.%m.%Y'}}
    >>> len(reading_of({"missing": ["-"]})["missing"]) - len(data.MISSING)
    1
    >>> reading_of({"missing": [""]})  # nothing but empty fields
    {'missing': ['']}
    """
    found = {name: options[name] for name in (*TEXT, "channels") if name in options}
    if "missing" in found and "" not in found["missing"]:
        found["missing"] = (*data.MISSING, *found["missing"])
    if "delimiter" in found:
        found["delimiter"] = DELIMITERS.get(found["delimiter"], found["delimiter"])
    if "date" in options:
        found["dates"] = dict(map(_form, options["date"]))
    if "resize" in options:
        found["size"] = _size(options["resize"])
    if "type" in options:
        found["types"] = dict(map(_kind, options["type"]))
    return found


def reading_for(source: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a model's options of reading that a source of this kind has."""
    if Path(source).is_dir() or source.lower().endswith(ENDINGS):
        names: tuple[str, ...] = IMAGES
    else:
        text = not is_bundled(source) and not source.lower().endswith(_NOT_TEXT)
        names = TEXT if text else ()
    return {name: stored[name] for name in names if name in stored}


def _form(text: str) -> tuple[str, str]:
    name, equals, form = text.partition("=")
    if not equals or "%" not in form:
        raise Misused(f"--date {text}: expected COLUMN=FORM, as day=%d.%m.%Y.")
    return name, form


def _size(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.strip().isdecimal() and int(part) for part in parts):
        raise Misused(f"--resize {text}: expected height and width in pixels, as 32x32.")
    return int(parts[0]), int(parts[1])


def _kind(text: str) -> tuple[str, str]:
    name, equals, kind = text.rpartition("=")
    if not equals or kind not in data.table.KINDS[:4]:
        raise Misused(
            f"--type {text}: expected COLUMN=KIND, the kind being one of "
            f"{', '.join(data.table.KINDS[:4])}."
        )
    return name, kind
