"""The options that every derivative function and `compile` take, checked.

`kinks`      what a derivative is where pieces of a function meet: "exact", "convention", "raise"
`memory`     how many bytes the reverse pass may keep: None (all it wants), a number, or "256MB"
`stabilize`  whether formulas that lose digits or overflow are rewritten, before and after deriving
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from chainrule.program.trace import current

KINKS = ("exact", "convention", "raise")

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip
_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?)\s*([A-Za-z]*)\s*")


@dataclass(frozen=True)
class Options:
    """Options that have been checked; `memory` in bytes. Equal ones are equal keys."""

    kinks: str | None = None  # as the compiled function around it says, else "exact"
    memory: int | None = None
    stabilize: bool = True


DEFAULT = Options()


def options(kinks: str | None, memory: int | str | None, stabilize: bool) -> Options:
    """The options as the user gave them, checked.

    **Errors** `ValueError` for another word or amount, `TypeError` for another type.

    >>> options("exact", "256MB", True)
    Options(kinks='exact', memory=256000000, stabilize=True)
    """
    if kinks is not None and kinks not in KINKS:
        raise ValueError(f"kinks is 'exact', 'convention' or 'raise', got {kinks!r}.")
    if not isinstance(stabilize, bool):
        raise TypeError(f"stabilize is True or False, got {stabilize!r}.")
    return Options(kinks, None if memory is None else bytes_of(memory), stabilize)


def in_trace(chosen: Options) -> Options:
    """The options as they are where a derivative is taken: what the caller left open is said by the
    compiled function that is being traced, if there is one."""
    if chosen.kinks is not None:
        return chosen
    builder = current()
    around = builder.kinks if builder is not None else None
    return replace(chosen, kinks="exact" if around is None else around)


def bytes_of(memory: int | str) -> int:
    """An amount of memory in bytes.

    >>> bytes_of("1.5 GiB"), bytes_of(4096)
    (1610612736, 4096)
    """
    if isinstance(memory, str):
        found = _AMOUNT.fullmatch(memory)
        if found is None or found[2].upper() not in _UNITS:
            raise ValueError(
                f"memory is an amount such as '256MB' or '1.5 GiB', or bytes; got {memory!r}."
            )
        return int(float(found[1]) * _UNITS[found[2].upper()])
    if isinstance(memory, bool) or not isinstance(memory, int):
        raise TypeError(f"memory is None, a number of bytes or '256MB', got {memory!r}.")
    if memory <= 0:
        raise ValueError(f"memory is a positive number of bytes, got {memory}.")
    return memory
