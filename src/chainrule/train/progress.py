"""Progress: what a training shows while it runs."""

from __future__ import annotations

import sys
import time
from typing import Any


class Progress:
    """Shows nothing. Other displays override what they show; all know the rate of steps."""

    def __init__(self) -> None:
        self.rate: float | None = None  # steps a second, smoothed

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, session: Any) -> None:
        """Before the first step."""

    def made(self, session: Any, steps: int, seconds: float, loss: float) -> None:
        """After a native call that made some steps."""
        now = steps / max(seconds, 1e-9)
        self.rate = now if self.rate is None else 0.7 * self.rate + 0.3 * now

    def epoch(self, session: Any, record: dict[str, Any]) -> None:
        """After an epoch."""

    def said(self, text: str) -> None:
        """A message in words, of the babysitter."""

    def end(self, session: Any) -> None:
        """After the last step."""

    def close(self) -> None:
        """At the end, also after an error."""


class Plain(Progress):
    """A line an epoch to standard error, but no more than one a second, besides the last."""

    PAUSE = 1.0

    def __init__(self) -> None:
        super().__init__()
        self._last = 0.0
        self._line = ""

    def epoch(self, session: Any, record: dict[str, Any]) -> None:
        self._line = line_of(record)
        if time.monotonic() - self._last >= self.PAUSE:
            self._show(self._line)
            self._last, self._line = time.monotonic(), ""

    def said(self, text: str) -> None:
        self._show(text)

    def end(self, session: Any) -> None:
        if self._line:
            self._show(self._line)
        self._show(f"stopped: {session.history.stopped}")

    def _show(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def line_of(record: dict[str, Any]) -> str:
    """A record as a line.

    >>> line_of({"epoch": 3, "step": 60, "loss": 0.5, "step_size": 0.001, "seconds": 2.0})
    'epoch 3  step 60  loss 0.5  step_size 0.001  seconds 2'
    """
    return "  ".join(f"{name} {value:.5g}" for name, value in record.items())


def progress(chosen: str) -> Progress:
    """A display by its name: "auto", "plain" or "none"."""
    if chosen == "none":
        return Progress()
    if chosen in ("auto", "plain"):
        return Plain()
    raise ValueError(f"progress is 'auto', 'plain' or 'none', got {chosen!r}.")
