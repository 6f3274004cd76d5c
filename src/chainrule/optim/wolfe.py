"""Line search: a step along a descent direction that meets the strong Wolfe conditions.

Maths     f(t) <= f(0) + c1 t f'(0)  and  |f'(t)| <= c2 |f'(0)|,  0 < c1 < c2 < 1.
Source    Nocedal and Wright, Numerical Optimization, 2nd ed. 2006, algorithms 3.5 and 3.6 and
          equation 3.59; where the step is kept from is ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_LESS, _FLATTER = 1e-4, 0.9  # c1 and c2, as the book has them for quasi-Newton directions
_TRIALS = 20
_GROWTH = 4.0
_MARGIN = 0.1  # of an interval: no closer to its ends


class Trial(NamedTuple):
    """A point along the direction: the step, the loss, its slope along it, and the gradient."""

    step: float
    loss: float
    slope: float
    gradient: np.ndarray


def wolfe(at: Callable[[float], Trial], origin: Trial, first: float) -> Trial | None:
    """A trial that meets the conditions; the best that falls enough after 20; None without such.

    `at(step)` makes a trial, `origin` is the one of step 0, with a negative slope, and `first` the
    step that is tried first. A loss that is not finite is one that has not fallen.
    """
    low, high, step = origin, None, first
    for _ in range(_TRIALS):
        new = at(step)
        if not _falls(new, origin) or (low is not origin and new.loss >= low.loss):
            high = new
        elif abs(new.slope) <= -_FLATTER * origin.slope:
            return new
        else:
            end = math.inf if high is None else high.step
            if new.slope * (end - low.step) >= 0:  # the least loss lies between the two
                high = low
            low = new
        step = low.step * _GROWTH if high is None else _between(low, high)
    return None if low is origin else low


def _falls(new: Trial, origin: Trial) -> bool:
    finite = math.isfinite(new.loss) and math.isfinite(new.slope)
    return finite and new.loss <= origin.loss + _LESS * new.step * origin.slope


def _between(a: Trial, b: Trial) -> float:
    """Where the cubic through both losses and slopes is least, off the ends; else the middle."""
    width, where = b.step - a.step, 0.5
    if math.isfinite(b.loss) and math.isfinite(b.slope):
        d = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.step - b.step)
        inside = d * d - a.slope * b.slope
        root = math.copysign(math.sqrt(max(inside, 0.0)), width)
        below = b.slope - a.slope + 2 * root
        if inside >= 0 and below != 0:
            where = 1 - (b.slope + root - d) / below
    if not math.isfinite(where):
        where = 0.5
    return a.step + width * min(max(where, _MARGIN), 1 - _MARGIN)
