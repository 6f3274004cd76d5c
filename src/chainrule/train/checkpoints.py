"""Checkpoints: folders that appear whole, are verified byte by byte, and give way to older ones.

    checkpoints/step-00001234/
        state.safetensors   the arrays
        facts.json          everything else, as JSON
        manifest.json       format, version, step, number (1 for the first one saved), score, and
                            size and SHA-256 of the other files; sealed by its own checksum

The newest is the one with the highest number: a run that restarted from step 0 saves steps anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule import errors
from chainrule.train import files, json_text, tensors

FORMAT = "chainrule checkpoint"
VERSION = 1
ARRAYS, FACTS, MANIFEST = "state.safetensors", "facts.json", "manifest.json"

_FOLDER = re.compile(r"step-\d{8,}")
_LARGEST_MANIFEST = 1 << 20  # bytes

Report = Callable[[Path, str], None]  # told of each damaged checkpoint that was passed over


class Checkpoint(NamedTuple):
    """What was saved at a step: `arrays` by name, and `facts`, a dict as JSON holds it."""

    step: int
    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


def _ignored(path: Path, reason: str) -> None:
    """Reports of damage are left to those who read."""


def save(
    folder: str | os.PathLike, step: int, arrays: Mapping[str, np.ndarray],
    facts: Mapping[str, Any], *, score: float | None = None, keep: int = 3,
    report: Report = _ignored,
) -> Path:  # fmt: skip
    """Write a checkpoint, then remove all but the last `keep` and the one of the lowest score.

    `report(path, reason)` is called where an old one could not be removed.

    **Errors** `FileNotWritten`, with the earlier checkpoints intact; `TypeError` for facts that
    JSON does not hold, `DtypeError` for arrays that safetensors does not.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     _ = save(place, 10, {"w": np.ones(2)}, {"epoch": 1})
    ...     latest(place)
    Checkpoint(step=10, arrays={'w': array([1., 1.])}, facts={'epoch': 1})
    """
    if step < 0 or keep < 1:
        raise ValueError(f"a checkpoint has a step from 0 and keep from 1; got {step}, {keep}.")
    folder = Path(folder)
    contents = {ARRAYS: tensors.to_bytes(arrays), FACTS: json_text.json_bytes(dict(facts))}
    with files.explained(folder):  # one that cannot be read now might be the newest one later
        standing = [m["number"] for _, m in _readable(folder, _ignored, damage_only=True)]
    manifest = {
        "format": FORMAT, "version": VERSION, "step": int(step),
        "number": max(standing, default=0) + 1,
        "score": None if score is None or score != score else float(score),
        "files": {name: {"bytes": len(content), "sha256": files.sha256(content)}
                  for name, content in contents.items()},
    }  # fmt: skip
    path = folder / f"step-{step:08d}"
    files.make_folder(folder)
    with files.new_folder(path) as new:
        for name, content in contents.items():
            files.write(new / name, content)
        files.write(new / MANIFEST, json_text.sealed(manifest))
    _prune(folder, keep, report)
    return path


def _prune(folder: Path, keep: int, report: Report) -> None:
    """Remove what is not kept. A damaged checkpoint stays, for whoever wants to look at it."""
    standing = _readable(folder, _ignored)  # the newest first
    scored = [(m["score"], m["number"], path) for path, m in standing if m["score"] is not None]
    kept = {path for path, _ in standing[:keep]} | {path for _, _, path in sorted(scored)[:1]}
    for path, _ in standing:
        if path not in kept:
            try:
                files.remove_folder(path)
            except OSError as error:
                report(path, str(error))


def latest(folder: str | os.PathLike, report: Report = _ignored) -> Checkpoint | None:
    """The newest checkpoint that is intact, every byte verified; None where there is none.

    `report(path, reason)` is called for each damaged one that was passed over.
    """
    return _first_intact(_readable(Path(folder), report), report)


def best(folder: str | os.PathLike, report: Report = _ignored) -> Checkpoint | None:
    """The intact checkpoint of the lowest score, the earliest of equals; None without any score."""
    scored = [entry for entry in _readable(Path(folder), report) if entry[1]["score"] is not None]
    scored.sort(key=lambda entry: (entry[1]["score"], entry[1]["number"]))
    return _first_intact(scored, report)


def _first_intact(entries: list[tuple[Path, dict]], report: Report) -> Checkpoint | None:
    for path, manifest in entries:
        try:
            return _loaded(path, manifest)
        except (errors.FileDamaged, OSError) as error:
            report(path, str(error))
    return None


def load(path: str | os.PathLike) -> Checkpoint:
    """The checkpoint in a folder.

    **Errors** `FileDamaged`, with the file's name, where any byte is not the one written.
    """
    return _loaded(Path(path), _manifest(Path(path)))


def _loaded(path: Path, manifest: dict) -> Checkpoint:
    contents = {}
    for name, facts in manifest["files"].items():
        content = files.read(path / name, facts["bytes"])
        if len(content) != facts["bytes"] or files.sha256(content) != facts["sha256"]:
            raise errors.FileDamaged(
                f"{path / name} is not what was written: {len(content):,} bytes, where "
                f"{facts['bytes']:,} of another SHA-256 stand in the manifest."
            )
        contents[name] = content
    extra = set(os.listdir(path)) - {*manifest["files"], MANIFEST}
    if extra:
        raise errors.FileDamaged(f"{path} holds foreign files: {', '.join(sorted(extra))}.")
    arrays = tensors.from_bytes(contents[ARRAYS], path / ARRAYS)
    return Checkpoint(manifest["step"], arrays, json_text.parsed(contents[FACTS], path / FACTS))


def _manifest(path: Path) -> dict[str, Any]:
    where = path / MANIFEST
    manifest = json_text.unsealed(files.read(where, _LARGEST_MANIFEST), where)
    if (manifest.get("format"), manifest.get("version")) != (FORMAT, VERSION):
        raise errors.FileDamaged(
            f"{where} is {manifest.get('format')!r}, version {manifest.get('version')!r}; this "
            f"chainrule reads {FORMAT!r}, version {VERSION}."
        )
    if path.name != f"step-{manifest['step']:08d}":
        raise errors.FileDamaged(f"{where} is of step {manifest['step']}, not of {path.name}.")
    return manifest


def _readable(folder: Path, report: Report, damage_only: bool = False) -> list[tuple[Path, dict]]:
    """The checkpoints whose manifest is intact, the newest first; what cannot be read is reported,
    or raised where only damage is passed over.
    """
    found = []
    for path in _folders(folder):
        try:
            found.append((path, _manifest(path)))
        except errors.FileDamaged as error:
            report(path, str(error))
        except OSError as error:
            if damage_only:
                raise
            report(path, str(error))
    return sorted(found, key=lambda entry: -entry[1]["number"])


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _FOLDER.fullmatch(path.name))
