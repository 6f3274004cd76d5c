"""Files of JSON lines that grow by appending, and that a kill may leave with a line cut short."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chainrule.train import files, json_text


class Lines:
    """A file with a JSON object on each line.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     lines = Lines(Path(place) / "log.jsonl")
    ...     lines.add({"a": 1})
    ...     files.append(lines.path, b'{"a": ')  # killed here
    ...     lines.read()
    [{'a': 1}]
    """

    def __init__(self, path: Path):
        self.path = path

    def add(self, line: dict[str, Any]) -> None:
        """Append a line; the system has it when this returns."""
        files.append(self.path, _text(line))

    def read(self) -> list[dict[str, Any]]:
        """All whole lines; those that are no JSON object are passed over."""
        if not self.path.exists():
            return []
        return [line for text in files.read(self.path).split(b"\n") if (line := _line(text))]

    def repair(self) -> None:
        """Remove a last line that was cut short, and lines that are no JSON object."""
        if self.path.exists():
            content = files.read(self.path)
            texts = content.split(b"\n")
            if texts[-1] or not all(_line(text) for text in texts[:-1]):
                self.replace(line for text in texts if (line := _line(text)))

    def replace(self, lines: Iterable[dict[str, Any]]) -> None:
        """Write the file anew with these lines, if it holds others."""
        content = b"".join(_text(line) for line in lines)
        if not self.path.exists() and not content:
            return
        if not self.path.exists() or files.read(self.path) != content:
            files.write(self.path, content)


def _text(line: dict[str, Any]) -> bytes:
    return json_text.json_bytes(json_text.readable(line), indent=None)


def _line(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None
