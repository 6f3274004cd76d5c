"""Functions that kernels of many programs call: each is compiled once in a process, as a module of
its own, and kept on disk as one.

A kernel's text holds them, so that it can be compiled alone (`Code.beside`). In a program they are
taken out of it: the reduction of angles from 2^30 on alone took LLVM a fifth of the time of the
gradient of sin(3x) exp(-x^2), and is the same in every kernel that has a sine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from chainrule.compiler.llvm.code import HARDLY_RUN
from chainrule.compiler.llvm.vecmath_angles import HUGE_ANGLES, huge_angles

_WRITERS: dict[str, Callable[[str], str]] = {HUGE_ANGLES: huge_angles}
_NAME = "@name.of.the.function"


@lru_cache
def _written(name: str) -> str:
    """A shared function as it stands beside a kernel, under a name that nothing else has."""
    return _WRITERS[name](_NAME)


@lru_cache
def shared_text(name: str) -> str:
    """The module of a shared function."""
    return _written(name).replace(_NAME, f"@{name}").replace("define internal ", "define ", 1)


@lru_cache
def _declared(name: str) -> str:
    line = next(x for x in shared_text(name).splitlines() if x.startswith("define "))
    return line.replace("define ", "declare ").replace(HARDLY_RUN, "nounwind").rstrip(" {") + "\n"


def is_shared(module: str) -> bool:
    """Whether a module is that of a shared function."""
    return module in map(shared_text, _WRITERS)


def taken_out(text: str) -> str:
    """The text of a kernel, which calls the shared functions where they are."""
    for name in _WRITERS:
        for own in re.findall(rf"^define internal \w+ (@[\w.]+\.{name})\(", text, re.MULTILINE):
            text = text.replace(_written(name).replace(_NAME, own), "")
            text = text.replace(f"{own}(", f"@{name}(")
    return text


def with_shared(modules: list[str]) -> tuple[list[str], list[str]]:
    """(the modules of the shared functions that these call, these with their declarations)."""
    called = [n for n in _WRITERS if any(f"@{n}(" in text for text in modules)]
    complete = [
        "".join(_declared(n) for n in called if f"@{n}(" in text) + text for text in modules
    ]
    return [*map(shared_text, called)], complete
