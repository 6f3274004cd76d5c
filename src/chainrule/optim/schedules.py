"""Schedules: the factor by which the step size is multiplied at step t, t = 0, 1, 2, ...

A schedule is a registered object that is called with the step number, a Python number or a traced
one, so that it runs inside a compiled stretch of steps. Its own numbers may be changed in mid-run.

| schedule | factor at step t |
|---|---|
| Constant() | 1 |
| InverseTime(t0) | t0 / (t0 + t): 1 / t, from 1 on |
| InverseRoot(t0) | sqrt(t0 / (t0 + t)) |
| Steps(every, factor) | factor ** floor(t / every) |
| Cosine(steps, last) | last + (1 - last) (1 + cos(pi t / steps)) / 2, `last` from there on |
| WarmUp(steps, then) | (t + 1) / steps for the first steps, then `then(t - steps)` |

Source    Robbins and Monro 1951 for 1 / t; Loshchilov and Hutter, "SGDR", ICLR 2017, for the
          cosine; Goyal et al. 2017 for the warm-up.
"""

from __future__ import annotations

import numpy as np

from chainrule.program.tree import register


@register
class Constant:
    """1 at every step."""

    def __call__(self, t):
        return 1.0


@register
class InverseTime:
    """t0 / (t0 + t): its sum is infinite and the sum of its squares finite (Robbins, Monro)."""

    def __init__(self, t0: float = 1.0):
        self.t0 = _positive("t0", t0)

    def __call__(self, t):
        return self.t0 / (self.t0 + t)


@register
class InverseRoot:
    """sqrt(t0 / (t0 + t))."""

    def __init__(self, t0: float = 1.0):
        self.t0 = _positive("t0", t0)

    def __call__(self, t):
        return np.sqrt(self.t0 / (self.t0 + t))


@register
class Steps:
    """Multiplied by `factor` every `every` steps."""

    def __init__(self, every: int, factor: float = 0.1):
        self.every, self.factor = _positive("every", every), _positive("factor", factor)

    def __call__(self, t):
        return self.factor ** np.floor(t / self.every)


@register
class Cosine:
    """From 1 down to `last` along half a cosine, over `steps` steps.

    >>> [round(float(Cosine(4)(t)), 3) for t in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    def __init__(self, steps: int, last: float = 0.0):
        self.steps, self.last = _positive("steps", steps), float(last)

    def __call__(self, t):
        along = np.minimum(t / self.steps, 1.0)
        return self.last + (1 - self.last) * 0.5 * (1 + np.cos(np.pi * along))


@register
class WarmUp:
    """Up to 1 in equal steps, then as `then` from its beginning."""

    def __init__(self, steps: int, then=None):
        self.steps = _positive("steps", steps)
        self.then = Constant() if then is None else then

    def __call__(self, t):
        late = self.then(np.maximum(t - self.steps, 0))
        return np.where(t < self.steps, (t + 1) / self.steps, late)


SCHEDULES = {f.__name__: f for f in (Constant, InverseTime, InverseRoot, Steps, Cosine, WarmUp)}


def _positive(name: str, value):
    if not value > 0:
        raise ValueError(f"{name} is a positive number, got {value!r}.")
    return value
