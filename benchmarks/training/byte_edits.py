"""Damage to bytes, as the scripts of mutated files do it."""

from __future__ import annotations

import random

EDITS = ("flip", "cut", "remove", "repeat", "random", "zero", "end")


def edit(content: bytearray, kind: str, at: int, length: int, rng: random.Random, times: int = 1):
    """Change the bytes in place: one of `EDITS`, from `at` over `length` bytes."""
    if kind == "flip":
        content[min(at, len(content) - 1)] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del content[at:]
    elif kind == "remove":
        del content[at : at + length]
    elif kind == "repeat":
        content[at:at] = content[at : at + length] * times
    elif kind == "random":
        content[at : at + length] = rng.randbytes(length)
    elif kind == "zero":
        content[at : at + length] = bytes(length)
    else:
        content += rng.randbytes(length)
