"""FPCore programs read from text: the language of FPBench and Herbie, as nested lists.

Source    FPCore 2.0, https://fpbench.org/spec/fpcore-2.0.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|;[^\n]*|#\|.*?\|#|[()\[\]]|[^\s()\[\]";]+', re.DOTALL)


@dataclass(frozen=True)
class Core:
    """One program: its arguments, a precondition (None for any point) and its body."""

    name: str
    file: str
    arguments: tuple[str, ...]
    pre: object
    body: object

    @property
    def size(self) -> int:
        """How many names, numbers and operations the body has."""
        return _size(self.body)

    @property
    def label(self) -> str:
        return f"{self.file}: {self.name}"


def _size(form) -> int:
    return 1 if isinstance(form, str) else sum(_size(part) for part in form)


def parse(text: str) -> list:
    """The expressions of a text: lists, symbols as `str`, strings with their quotes."""
    stack: list[list] = [[]]
    for token in _TOKEN.findall(text):
        if token[0] == ";" or token.startswith("#|"):
            continue
        if token in "([":
            stack.append([])
        elif token in ")]":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    if len(stack) != 1:
        raise ValueError("the parentheses do not match")
    return stack[0]


def cores_of(text: str, file: str = "") -> list[Core]:
    """The programs in a text; other expressions are left out."""
    forms = [form for form in parse(text) if isinstance(form, list) and form[:1] == ["FPCore"]]
    return [_core(form, file, number) for number, form in enumerate(forms, 1)]


def _core(form: list, file: str, number: int) -> Core:
    rest = form[1:]
    given = rest.pop(0) if isinstance(rest[0], str) else None
    arguments = [a if isinstance(a, str) else a[-1] for a in rest.pop(0)]
    properties: dict[str, object] = {}
    while len(rest) > 1:
        properties[str(rest[0])] = rest[1]
        del rest[:2]
    name = str(properties.get(":name", given or f"program {number}")).strip('"')
    return Core(name, file, tuple(arguments), properties.get(":pre"), rest[0])


def cores_under(folder: Path) -> list[Core]:
    """Every program of a folder's `.fpcore` files, in the order of their paths."""
    found: list[Core] = []
    for path in sorted(folder.rglob("*.fpcore")):
        found += cores_of(path.read_text(), str(path.relative_to(folder)))
    return found
