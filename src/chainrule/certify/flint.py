"""python-flint, loaded at first use: Arb's balls, exact rationals, and the working precision."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from chainrule import extras

_lock = threading.RLock()


def load() -> ModuleType:
    """The module `flint`; where it is missing, an error that says how to get it."""
    return extras.load("flint", "certify", "certified and accuracy")


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Work with this many bits. The precision belongs to the process: one thread at a time."""
    context = load().ctx
    with _lock:
        before = context.prec
        context.prec = bits
        try:
            yield
        finally:
            context.prec = before
