"""Arrays that a traced function closes over: what if the function writes to one by plain NumPy?

A trace reads a captured array when its program runs, so `y = W @ x; W += 1` would use the wrong
W. Small arrays are remembered as they were at their first use, and a changed one is captured
anew: such scratch buffers just work. Large arrays are read-only while the trace lasts, so NumPy
itself raises at the line that writes; `trace_call` explains why.
"""

from __future__ import annotations

import numpy as np

SMALL = 1 << 16  # bytes; comparing this much takes a few microseconds


class CapturedArrays:
    """The host arrays of one trace, and what is needed to notice that one changes."""

    __slots__ = ("_content", "frozen")

    def __init__(self) -> None:
        self._content: dict[int, tuple[np.ndarray, bytes]] = {}
        self.frozen: list[np.ndarray] = []

    def add(self, host: np.ndarray) -> None:
        """Remember a small array's content; make a large one, and what it views, read-only."""
        if host.nbytes <= SMALL:
            self._content[id(host)] = (host, host.tobytes())
            return
        array: np.ndarray | None = host
        while isinstance(array, np.ndarray):
            if array.flags.writeable:
                array.flags.writeable = False
                self.frozen.append(array)
            array = array.base

    def changed(self, host: np.ndarray) -> bool:
        """Whether a small array differs from what it was when it was added."""
        found = self._content.get(id(host))
        return found is not None and found[1] != host.tobytes()

    def as_captured(self, host: np.ndarray) -> np.ndarray:
        """The array, or a copy of what it was when it was added if it has changed since."""
        if not self.changed(host):
            return host
        content = np.frombuffer(self._content[id(host)][1], host.dtype)
        return content.reshape(host.shape)

    def release(self) -> None:
        """Make the large arrays writable again, owners before their views."""
        for array in sorted(self.frozen, key=lambda a: not a.flags.owndata):
            array.flags.writeable = True
        self.frozen = []
