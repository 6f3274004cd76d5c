"""Remembering what a transformation made of a program.

Rules of nested control flow transform the same sub-program several times: to find which carries
move, and then for good. Each level doubles that, so results are kept, by the identity of the
program (two equal programs may differ in their lines).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

_KEPT = 512


def remembered(transform: Callable) -> Callable:
    """The transformation, with the latest results kept; they must not be changed afterwards."""
    kept: dict[tuple, tuple[Any, Any]] = {}
    lock = threading.Lock()

    @functools.wraps(transform)
    def remembering(program, *options):
        key = (id(program), *options)
        found = kept.get(key)
        if found is None:
            found = (program, transform(program, *options))  # the program keeps its id in use
            with lock:
                kept[key] = found
                if len(kept) > _KEPT:
                    del kept[next(iter(kept))]
        return found[1]

    return remembering
