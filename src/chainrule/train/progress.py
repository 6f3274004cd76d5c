"""Progress: what a training shows while it runs.

| name | shows |
|---|---|
| auto | the notebook's in a notebook, rich's in a terminal, else plain lines |
| rich | a bar with epoch, loss, steps a second, time left, and the curve of the losses so far |
| notebook | the same as a line of text, and the curves as a picture, in the cell's output |
| plain | a line for an epoch, on standard error; no more than one a second |
| none | nothing |

Displays only look at a training; none changes a bit of it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from chainrule import errors
from chainrule.extras import load
from chainrule.train.curves import sparkline, svg


class Progress:
    """Shows nothing. The others override what they show; all know how fast training is."""

    def __init__(self) -> None:
        self.rate: float | None = None  # steps a second of native code, smoothed
        self.began = time.monotonic()
        self.first = self.step = self.total = self.epochs = 0
        self.loss = float("nan")
        self.warm = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, session: Any) -> None:
        """Before the first step."""
        self.began = time.monotonic()
        self.first = self.step = session.place.step
        self.total, self.epochs = session.total_steps, session.settings.epochs or 0

    def made(self, session: Any, steps: int, seconds: float, loss: float) -> None:
        """After a native call that made some steps."""
        now = steps / max(seconds, 1e-9)
        self.rate = now if self.rate is None else 0.7 * self.rate + 0.3 * now
        self.step, self.loss = self.step + steps, loss
        if not self.warm:  # the first call compiled
            self.warm, self.began, self.first = True, time.monotonic(), self.step
        self.show(session)

    def show(self, session: Any) -> None:
        """Bring the display up to date."""

    def epoch(self, session: Any, record: dict[str, Any]) -> None:
        """After an epoch."""
        self.step = session.place.step

    def said(self, text: str) -> None:
        """A message in words, of the babysitter."""

    def end(self, session: Any) -> None:
        """After the last step."""

    def close(self) -> None:
        """At the end, also after an error."""

    def speed(self) -> float:
        """Steps a second since the first native call, everything included."""
        return (self.step - self.first) / max(time.monotonic() - self.began, 1e-9)

    def seconds_left(self) -> float:
        """Until the last step asked for, if training goes on as it did so far."""
        speed = self.speed()
        return max(0, self.total - self.step) / speed if speed > 0 else float("inf")

    def pace(self, form: str) -> str:
        """Speed and time left, the speed in this format; nothing while no speed is measured."""
        speed = self.speed()
        left = duration(self.seconds_left())
        return f"  {speed:{form}} steps/s  {left} left" if speed > 0 else ""


class Plain(Progress):
    """A line for an epoch to standard error, but no more than one a second, besides the last."""

    PAUSE = 1.0

    def __init__(self) -> None:
        super().__init__()
        self._last = -self.PAUSE
        self._line = ""

    def epoch(self, session: Any, record: dict[str, Any]) -> None:
        super().epoch(session, record)
        self._line = line_of(record) + self.pace(".4g")
        if time.monotonic() - self._last >= self.PAUSE:
            self.said(self._line)
            self._last, self._line = time.monotonic(), ""

    def said(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def end(self, session: Any) -> None:
        if self._line:
            self.said(self._line)
        self.said(f"stopped: {session.history.stopped}")


class Rich(Progress):
    """A bar in a terminal, by rich."""

    def __init__(self, console: Any = None) -> None:
        super().__init__()
        rich = load("rich.progress", "train", "Progress bars")
        if console is None:
            console = load("rich.console", "train", "Progress bars").Console(stderr=True)
        self._bar = rich.Progress(
            rich.TextColumn("{task.description}"), rich.BarColumn(bar_width=20),
            rich.TextColumn("{task.fields[facts]}"), console=console, refresh_per_second=8,
        )  # fmt: skip
        self._task: Any = None
        self._validation = ""

    def begin(self, session: Any) -> None:
        super().begin(session)
        self._task = self._bar.add_task("", total=self.total, completed=self.step, facts="")
        self.show(session)
        self._bar.start()

    def show(self, session: Any) -> None:
        curve = sparkline(session.history["loss"])
        facts = f"loss {self.loss:.4g}{self._validation}{self.pace(',.0f')}  {curve}"
        if not self.warm:
            facts = "compiling"
        number = min(session.place.epoch + 1, self.epochs or session.place.epoch + 1)
        of = f"/{self.epochs}" if self.epochs else ""
        self._bar.update(self._task, completed=self.step, facts=facts,
                         description=f"epoch {number}{of}")  # fmt: skip

    def epoch(self, session: Any, record: dict[str, Any]) -> None:
        super().epoch(session, record)
        if "validation_loss" in record:
            self._validation = f"  validation {record['validation_loss']:.4g}"
        self.show(session)

    def said(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)

    def end(self, session: Any) -> None:
        self.show(session)
        self._bar.stop()
        self.said(f"{line_of((session.history.records or [{}])[-1])}")
        self.said(f"stopped: {session.history.stopped}")

    def close(self) -> None:
        self._bar.stop()


class Notebook(Progress):
    """A line of text and the curves, in the output of a notebook's cell."""

    PAUSE = 0.5

    def __init__(self) -> None:
        super().__init__()
        if find_spec("IPython") is None:
            raise errors.MissingExtra(
                "progress='notebook' needs IPython, which is not installed.\n"
                "  Install it with: pip install ipython"
            )
        self._display = load("IPython.display", "train", "Notebook displays")
        self._handle: Any = None
        self._last = 0.0
        self._messages: list[str] = []

    def show(self, session: Any) -> None:
        if time.monotonic() - self._last >= self.PAUSE:
            self._draw(session)

    def _draw(self, session: Any) -> None:
        self._last = time.monotonic()
        history = session.history
        curves = {n: history[n] for n in ("loss", "validation_loss") if len(history[n])}
        record = (history.records or [{}])[-1]
        text = line_of(record) + self.pace(",.0f")
        lines = "<br>".join(_escaped(line) for line in [text, *self._messages[-5:]])
        html = self._display.HTML(f"<div>{lines}<br>{svg(curves)}</div>")
        if self._handle is None:
            self._handle = self._display.display(html, display_id=True)
        else:
            self._handle.update(html)

    def said(self, text: str) -> None:
        self._messages.append(text)

    def end(self, session: Any) -> None:
        self._messages.append(f"stopped: {session.history.stopped}")
        self._draw(session)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def line_of(record: dict[str, Any]) -> str:
    """A record as a line.

    >>> line_of({"epoch": 3, "step": 60, "loss": 0.5, "step_size": 0.001, "seconds": 2.0})
    'epoch 3  step 60  loss 0.5  step_size 0.001  seconds 2'
    """
    return "  ".join(f"{name} {value:.5g}" for name, value in record.items())


def duration(seconds: float) -> str:
    """Seconds as people read them.

    >>> duration(7.2), duration(125), duration(7384)
    ('7 s', '2 min 5 s', '2 h 3 min')
    """
    if seconds == float("inf"):
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def progress(chosen: Any) -> Progress:
    """A display by its name, or one of yours that is a `Progress`.

    **Errors** `ValueError` for another name, `MissingExtra` for a library that is not installed.
    """
    if isinstance(chosen, Progress):
        return chosen
    displays: dict[str, Callable[[], Progress]] = {
        "auto": _fitting, "rich": Rich, "notebook": Notebook, "plain": Plain, "none": Progress,
    }  # fmt: skip
    if chosen not in displays:
        raise ValueError(f"progress is one of {', '.join(displays)}; got {chosen!r}.")
    return displays[chosen]()


def _fitting() -> Progress:
    shell = sys.modules.get("IPython")
    if shell is not None and hasattr(shell.get_ipython(), "kernel"):
        return Notebook()
    return Rich() if sys.stderr.isatty() and find_spec("rich") is not None else Plain()
