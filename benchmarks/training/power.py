"""A power failure, modelled: what may be on the disk after it, at each moment of an action.

The calls of an action are recorded. Then, for each moment, the states that a disk may be in are
built in a folder: content of a file that was not synced is there, is lost, or half of it is lost;
of the changes to each folder's names that were not synced, any number of the first ones is there
(file systems with a journal keep their order; between folders there is none).

Source    the model of Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014, with the
          order of the changes to one folder kept.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.training.failing import instead

Call = tuple[str, tuple]
_MOST_STATES = 60  # of one moment; more are drawn at random


class Recording:
    """`os`, doing what it is asked and noting each call that changes the disk."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.paths: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in ("open", "write", "fsync", "replace", "rename", "mkdir", "makedirs",
                        "unlink", "rmdir", "ftruncate"):  # fmt: skip
            return real

        def call(*args: Any, **options: Any) -> Any:
            if name == "write":
                self.calls.append(("write", (self.paths[args[0]], bytes(args[1]))))
            elif name == "open":
                return self._open(real, *args)
            elif name == "fsync":
                self.calls.append(("fsync", (self.paths[args[0]],)))
            elif name == "ftruncate":
                self.calls.append((name, (self.paths[args[0]], args[1])))
            else:
                self.calls.append((name, tuple(str(a) for a in args)))
            return real(*args, **options)

        return call

    def _open(self, real: Callable, path: Any, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT and not os.path.exists(path):
            self.calls.append(("create", (str(path),)))
        number = real(path, flags, *mode)
        self.paths[number] = str(path)
        return number


class File:
    """What is in a file, and what of it is surely on the disk."""

    def __init__(self, content: bytes = b""):
        self.content = self.synced = content


class Folder:
    """The names in a folder that are surely on the disk, and the changes that may be."""

    def __init__(self) -> None:
        self.synced: dict[str, File | Folder] = {}
        self.pending: list[tuple[str, str, Any]] = []

    def names(self, changes: int | None = None) -> dict[str, Any]:
        """The names after the first changes (None: after all)."""
        names = dict(self.synced)
        for kind, name, value in self.pending[:changes]:
            if kind == "add":
                names[name] = value
            elif kind == "remove":
                names.pop(name, None)
            else:
                names[value] = names.pop(name)
        return names

    def sync(self) -> None:
        """What fsync of the folder does."""
        self.synced, self.pending = self.names(), []


def loaded(path: Path) -> Folder:
    """A folder as it lies on the real disk, taken to be synced."""
    folder = Folder()
    for entry in path.iterdir():
        folder.synced[entry.name] = loaded(entry) if entry.is_dir() else File(entry.read_bytes())
    return folder


def _find(root: Folder, base: Path, path: str) -> Any:
    found: Any = root
    for name in Path(path).relative_to(base).parts:
        found = found.names()[name]
    return found


def apply(root: Folder, base: Path, call: Call) -> None:
    """Do in the model what a call does."""
    name, args = call
    if name in ("write", "fsync", "ftruncate"):
        found = _find(root, base, args[0])
        if name == "write":
            found.content += args[1]
        elif name == "ftruncate":
            found.content = found.content[: args[1]]
        elif isinstance(found, Folder):
            found.sync()
        else:
            found.synced = found.content
        return
    path = Path(args[0])
    parent = _find(root, base, str(path.parent))
    if name in ("create", "mkdir", "makedirs"):
        parent.pending.append(("add", path.name, File() if name == "create" else Folder()))
    elif name in ("unlink", "rmdir"):
        parent.pending.append(("remove", path.name, None))
    else:
        assert Path(args[1]).parent == path.parent
        parent.pending.append(("rename", path.name, Path(args[1]).name))


def _folders(folder: Folder) -> Iterator[Folder]:
    yield folder
    seen = [*folder.synced.values(), *(value for kind, _, value in folder.pending if kind == "add")]
    for inside in seen:
        if isinstance(inside, Folder):
            yield from _folders(inside)


def _write_out(folder: Folder, path: Path, changes: dict[int, int], lost: str) -> None:
    path.mkdir()
    for name, inside in folder.names(changes[id(folder)]).items():
        if isinstance(inside, Folder):
            _write_out(inside, path / name, changes, lost)
        else:
            content = {"kept": inside.content, "lost": inside.synced,
                       "half": inside.content[: (len(inside.content) + len(inside.synced)) // 2],
                       }[lost]  # fmt: skip
            (path / name).write_bytes(content)


def states(base: Path, action: Callable[[], object], place: Path) -> Iterator[int]:
    """Build at `place`, one after the other, what may be left of `base` after a power failure.

    Gives the number of the call before which the power failed.
    """
    root = loaded(base)
    recording = Recording()
    with instead(recording):
        action()
    rng = random.Random(0)
    for number, call in enumerate([*recording.calls, ("end", ())]):
        folders = list(_folders(root))
        choices = [range(len(folder.pending) + 1) for folder in folders]
        combined = itertools.islice(itertools.product(*choices, ("kept", "lost", "half")), 100_000)
        found = list(combined)
        for chosen in found if len(found) <= _MOST_STATES else rng.sample(found, _MOST_STATES):
            changes = {id(f): n for f, n in zip(folders, chosen[:-1], strict=True)}
            shutil.rmtree(place, ignore_errors=True)
            _write_out(root, place, changes, chosen[-1])
            yield number
        if call[0] != "end":
            apply(root, base, call)
