"""A digest of chainrule itself: what is kept on disk is for one version of the source.

The content counts, not the time of a file: installers may set equal times.
"""

from __future__ import annotations

import hashlib
import os
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

# Built on the public functions: what a program is compiled to does not depend on them.
_ABOVE = {
    "certify", "cli", "data", "estimators", "lab", "nn", "optim", "search", "show", "train",
}  # fmt: skip


@lru_cache(maxsize=1)
def source_digest() -> str:
    """A digest of chainrule's source and of the versions of what it is built on.

    **Cost** 4 ms, once in a process (2 core Zen 3, VM).
    """
    root = Path(__file__).resolve().parent.parent
    made = hashlib.sha256(f"Python {sys.version} NumPy {np.__version__} SciPy ".encode())
    made.update(_version_of_scipy())
    for path in sorted(_files(str(root))):
        made.update(path[len(str(root)) :].encode() + b"\0")
        with open(path, "rb", buffering=0) as file:
            made.update(hashlib.sha256(file.read()).digest())
    return made.hexdigest()


def _version_of_scipy() -> bytes:
    """SciPy's file of its version: importing SciPy, or importlib.metadata, takes 20 ms."""
    found = find_spec("scipy")
    if found is None or found.origin is None:
        return b""
    file = Path(found.origin).with_name("version.py")
    return file.read_bytes() if file.exists() else found.origin.encode()


def _files(folder: str, above: bool = True) -> list[str]:
    """The source files in a folder and below."""
    found: list[str] = []
    for entry in os.scandir(folder):
        if entry.is_dir():
            if entry.name != "__pycache__" and not (above and entry.name in _ABOVE):
                found += _files(entry.path, False)
        elif entry.name.endswith(".py"):
            found.append(entry.path)
    return found
