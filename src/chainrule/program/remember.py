"""Remembering what a transformation made of a program.

Rules of nested control flow transform the same sub-program several times: to find which carries
move, and then for good. Each level doubles that, so results are kept, by the identity of the
program (two equal programs may differ in their lines).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

_KEPT = 512


def remembered(transform: Callable) -> Callable:
    """The transformation, with the latest results kept; they must not be changed afterwards."""
    kept: dict[tuple, tuple[Any, Any]] = {}

    @functools.wraps(transform)
    def remembering(program, *options):
        key = (id(program), *options)
        found = kept.get(key)
        if found is None:
            if len(kept) >= _KEPT:
                kept.pop(next(iter(kept)), None)
            found = kept[key] = (program, transform(program, *options))  # keeps the id in use
        return found[1]

    return remembering
