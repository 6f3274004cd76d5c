"""A digest of chainrule itself: what is kept on disk is for one version of the source.

The content counts, not the time of a file: installers may set equal times. The time of a change
tells whether the source is still the one that this process runs.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from functools import lru_cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import numpy as np

# Built on the public functions: what a program is compiled to does not depend on them.
_ABOVE = {
    "certify", "cli", "data", "estimators", "lab", "nn", "optim", "search", "show", "train",
}  # fmt: skip


_ROOT = Path(__file__).resolve().parent.parent
IMPORTED = time.time()


@lru_cache(maxsize=2)
def source_digest(loaded: float) -> str | None:
    """A digest of chainrule's source and of the versions of what it is built on; None where the
    source has changed since it was `loaded`.

    **Units** seconds, as of `time.time`. **Cost** 5 ms, once in a process (2 core Zen 3, VM).
    """
    if changed_since(loaded):
        return None
    made = hashlib.sha256(f"Python {sys.version} NumPy {np.__version__} SciPy ".encode())
    made.update(_version_of_scipy())
    for path in sorted(entry.path for entry in _files(str(_ROOT))):
        made.update(path[len(str(_ROOT)) :].encode() + b"\0")
        with open(path, "rb", buffering=0) as file:
            made.update(hashlib.sha256(file.read()).digest())
    return made.hexdigest()


def changed_since(loaded: float) -> bool:
    """Whether a source file has been written to since then."""
    return any(entry.stat().st_mtime > loaded for entry in _files(str(_ROOT)))


def changed_among_imported(loaded: float) -> bool:
    """Whether the source of a module that this process runs has been written to since then.

    What was imported before a digest was made is as the digest says; what is imported later is as
    its file is by then. So a module that was found unchanged once is not looked at again, unless it
    is loaded again. **Cost** 2 ms the first time, 0.1 ms where little is new (2 core Zen 3, VM).
    """
    for name, module in list(sys.modules.items()):
        if name.startswith("chainrule."):
            spec, file = getattr(module, "__spec__", None), getattr(module, "__file__", None)
            known, since = _unchanged.get(name, (None, loaded))
            if not file or (spec is not None and spec is known and since <= loaded):
                continue
            if not _is_older(file, loaded):
                return True
            if not getattr(spec, "_initializing", False):  # else its file is still to be read
                _unchanged[name] = spec, loaded
    return False


# The modules whose files were seen as old as that: the spec with which each was loaded, and when.
_unchanged: dict[str, tuple[ModuleSpec | None, float]] = {}


def _is_older(file: str, loaded: float) -> bool:
    try:
        return os.stat(file).st_mtime <= loaded
    except OSError:
        return False


def _version_of_scipy() -> bytes:
    """SciPy's file of its version: importing SciPy, or importlib.metadata, takes 20 ms."""
    found = find_spec("scipy")
    if found is None or found.origin is None:
        return b""
    file = Path(found.origin).with_name("version.py")
    return file.read_bytes() if file.exists() else found.origin.encode()


def _files(folder: str, above: bool = True) -> list[os.DirEntry]:
    """The source files in a folder and below."""
    found: list[os.DirEntry] = []
    for entry in os.scandir(folder):
        if entry.is_dir():
            if entry.name != "__pycache__" and not (above and entry.name in _ABOVE):
                found += _files(entry.path, False)
        elif entry.name.endswith(".py"):
            found.append(entry)
    return found
