"""Python's audit events while files are read: what would show that code of a file was run.

An audit hook cannot be removed; this one notes nothing outside of `watched()`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

# Everything by which a file could make Python run something, write something or call somebody.
# "compile" alone is not: it parses (inspect.signature does, where a class has no __init__).
SUSPECT = (
    "exec", "function.__new__", "import", "marshal.", "pickle.", "code.", "ctypes.", "subprocess.",
    "os.", "shutil.", "socket.", "urllib.", "http.", "ftplib.", "smtplib.", "tempfile.", "winreg.",
    "sqlite3.", "syslog.", "sys._", "builtins.input", "builtins.breakpoint", "cpython.run",
)  # fmt: skip
HARMLESS = ("os.listdir", "os.scandir")

_watching: list[Counter] = []
_installed = False


def _hook(event: str, args: tuple) -> None:
    if not _watching:
        return
    if event == "open":
        mode, flags = args[1], args[2]
        if (mode and set(mode) & set("wax+")) or (flags or 0) & 3:
            _watching[-1]["open to write"] += 1
    elif event.startswith(SUSPECT) and event not in HARMLESS:
        _watching[-1][event] += 1


@contextmanager
def watched() -> Iterator[Counter]:
    """Counts, by name, of the suspect audit events that happen inside."""
    global _installed
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True
    seen: Counter = Counter()
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching.pop()
