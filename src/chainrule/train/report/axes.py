"""Axes of pictures: where the ticks stand, and how numbers become places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RATIO = 30.0  # largest over least, from which an axis of positive numbers is logarithmic


@dataclass(frozen=True)
class Axis:
    """A range of numbers, linear or logarithmic, and its ticks.

    >>> axis = Axis.over([0.0, 9.3])
    >>> axis.ticks, axis.share(4.65)
    ([0.0, 2.0, 4.0, 6.0, 8.0], 0.5)
    """

    low: float
    high: float
    logarithmic: bool = False

    @classmethod
    def over(cls, values, *, logarithmic: bool | None = None) -> Axis:
        """The axis that holds these numbers; logarithmic where they are positive and spread out."""
        found = np.asarray(values, float).ravel()
        found = found[np.isfinite(found)]
        if not len(found):
            return cls(0.0, 1.0)
        low, high = float(found.min()), float(found.max())
        if logarithmic is None:
            logarithmic = low > 0 and high / low > RATIO
        if high / 2 - low / 2 <= 1e-12 * max(abs(low), abs(high)):  # equal but for rounding
            around = abs(low) / 2 or 1.0
            low, high = low - around, high + around
        return cls(low, high, logarithmic)

    def share(self, values):
        """Where numbers are between the ends, from 0 to 1; nan for what is not finite."""
        values = np.asarray(values, float)
        with np.errstate(all="ignore"):
            if self.logarithmic:
                found = np.log(values / self.low) / np.log(self.high / self.low)
            else:  # halves, so that the widest range does not overflow
                found = (values / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        found = np.where(np.isfinite(values), found, np.nan)
        return float(found) if found.ndim == 0 else found

    @property
    def ticks(self) -> list[float]:
        """Round numbers in the range: 2 to 7 of them."""
        if self.logarithmic:
            powers = np.arange(np.ceil(np.log10(self.low)), np.floor(np.log10(self.high)) + 1)
            if len(powers) >= 2:
                return [10.0 ** float(p) for p in powers[:: 1 + len(powers) // 6]]
        step = _round(self.high / 5 - self.low / 5)
        first, last = np.ceil(self.low / step), np.floor(self.high / step)
        return [float(f"{step * k:.10g}") for k in np.arange(first, last + 1)]


def _round(step: float) -> float:
    """1, 2 or 5 times a power of ten, not below a step."""
    power = 10.0 ** np.floor(np.log10(step))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9)))


def tick(value: float) -> str:
    """A tick's number, short.

    >>> tick(0.0), tick(1500.0), tick(25000.0), tick(0.001), tick(1e-7)
    ('0', '1,500', '25k', '0.001', '1e-7')
    """
    if value == 0:
        return "0"
    size = abs(value)
    if 1e4 <= size < 1e6:
        return f"{value / 1e3:.6g}k"
    if 1e-4 <= size < 1e6:
        return f"{value:,.6g}"
    digits, exponent = f"{value:.3e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"
