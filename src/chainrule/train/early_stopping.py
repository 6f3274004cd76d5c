"""Early stopping: training ends when the smoothed curve has not improved for a while.

The curve that is watched (the validation loss, unless said otherwise) is smoothed first,

    s_t = b s_(t-1) + (1 - b) v_t,   smoothed_t = s_t / (1 - b^t),   s_0 = 0,

an exponential mean that is corrected for its start at 0, so that one lucky or unlucky epoch neither
stops nor keeps alive. Training stops after `patience` epochs in which the smoothed curve did not
fall by more than `min_delta` below its least value so far. The weights that are put back are those
of the best *unsmoothed* value: smoothing decides when to stop, not what was best.

Source    Prechelt, "Early stopping - but when?", 1998; Kingma and Ba, 2015, for the correction.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class EarlyStopping:
    """When to stop. `patience` in epochs, `smoothing` b from 0 (none) and below 1.

    `monitor` names an entry of the history's records; `mode` is "min", "max", or "auto": the
    largest is best for what METRICS says so, the least for losses. `restore`: put the best weights
    back.

    >>> stop = EarlyStopping(patience=2, smoothing=0.0)
    >>> [stop.seen(value, "min") for value in (3.0, 2.0, 2.5, 2.1)]
    [False, False, False, True]
    """

    patience: int = 10
    smoothing: float = 0.6
    min_delta: float = 0.0
    monitor: str = "validation_loss"
    mode: str = "auto"
    restore: bool = True
    mean: float = field(default=0.0, repr=False)  # s_t
    count: int = field(default=0, repr=False)  # t
    least: float = field(default=math.inf, repr=False)  # of the smoothed curve, sign by mode
    waited: int = field(default=0, repr=False)  # epochs since then
    unknown: int = field(default=0, repr=False)  # the last of them, whose value was not finite

    def __post_init__(self) -> None:
        if not self.patience >= 1:
            raise ValueError(f"patience is a number of epochs from 1, got {self.patience!r}.")
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing is from 0 and below 1, got {self.smoothing!r}.")
        if not self.min_delta >= 0:
            raise ValueError(f"min_delta is a number from 0, got {self.min_delta!r}.")
        if self.mode not in ("auto", "min", "max"):
            raise ValueError(f"mode is 'auto', 'min' or 'max', got {self.mode!r}.")

    def seen(self, value: float, mode: str) -> bool:
        """Takes in the value of an epoch; whether it is time to stop. A nan is no improvement."""
        self.count += 1
        if not math.isfinite(value):
            self.waited += 1
            self.unknown += 1
            self.count -= 1
            return self.waited >= self.patience
        self.unknown = 0
        signed = value if mode == "min" else -value
        self.mean = self.smoothing * self.mean + (1 - self.smoothing) * signed
        smoothed = self.mean / (1 - self.smoothing**self.count)
        if smoothed < self.least - self.min_delta:
            self.least, self.waited = smoothed, 0
        else:
            self.waited += 1
        return self.waited >= self.patience

    def reason(self) -> str:
        """Why it is time to stop, in words."""
        epochs = f"{self.unknown} epoch{'s' if self.unknown > 1 else ''}"
        if not self.unknown:
            return f"{self.monitor} has not improved for {self.waited} epochs"
        if self.count:
            return f"{self.monitor} was not a finite number in the last {epochs}"
        return (
            f"{self.monitor} was a finite number in none of the {epochs}, so nothing tells which "
            "weights are best: these are the last. Look at the validation set, or monitor another "
            "entry"
        )

    def state(self) -> dict[str, Any]:
        """Everything, as data that fits into JSON; `EarlyStopping(**state)` goes on from there."""
        return asdict(self)

    def options(self) -> dict[str, Any]:
        """What was asked for, without what was seen."""
        seen = ("mean", "count", "least", "waited", "unknown")
        return {key: value for key, value in asdict(self).items() if key not in seen}


def early_stopping(given: Any) -> EarlyStopping | None:
    """From what `fit` takes: None or False, True, a patience, options, or an EarlyStopping.

    >>> early_stopping(5).patience
    5
    """
    if given is None or given is False:
        return None
    if isinstance(given, EarlyStopping):
        return EarlyStopping(**given.options())
    if given is True:
        return EarlyStopping()
    if isinstance(given, int):
        return EarlyStopping(patience=given)
    if isinstance(given, dict):
        try:
            return EarlyStopping(**given)
        except TypeError as error:
            names = ", ".join(EarlyStopping().options())
            raise ValueError(f"early_stopping has the options {names}; {error}.") from None
    raise ValueError(
        "early_stopping is a number of epochs, a dict of options or an EarlyStopping, got "
        f"{given!r}."
    )
