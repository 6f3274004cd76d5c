"""Where data come from: a file, a folder of images, or a bundled data set by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chainrule import data
from chainrule.cli.failures import Failed


def table_of(source: str, types: Mapping[str, str] | None = None) -> data.Table:
    """The table that a path or a name says; `types` are the kinds that its columns should have."""
    if source in data.DATASETS and not Path(source).exists():
        return data.load(source)[0]
    if not Path(source).exists():
        raise Failed(
            f"{source} is neither a file or folder, nor a bundled data set.\n"
            f"  The bundled ones: {', '.join(data.DATASETS)}."
        )
    return data.read(source, types=types)


def place_of(source: str) -> str:
    """The source as it is found from any folder: a path from the root, or a name."""
    return str(Path(source).resolve()) if Path(source).exists() else source


def target_of(source: str) -> tuple[str, ...] | None:
    """The columns that a bundled data set is to tell; None for a file, which does not say."""
    if source not in data.DATASETS or Path(source).exists():
        return None
    target = data.DATASETS[source].target
    return (target,) if isinstance(target, str) else target
