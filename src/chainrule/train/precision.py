"""Mixed precision: float16 copies for the work, float32 weights and sums, and a loss scale.

With `precision="float16"` each step casts the weights to float16, computes activations and their
derivatives in float16, and casts the scores to float32 before the loss. The optimizer updates the
float32 weights. Batch and layer norm stay in float32, as their sums need it.

Small derivatives would vanish in float16 (least number 6e-8), so the loss is multiplied by a scale
and the gradient divided by it. The scale is dynamic: it doubles after `grow_every` steps without an
overflow; where a gradient is not finite the step is not made (running statistics are put back as
well), and the scale is halved.

Source    Micikevicius et al., "Mixed precision training", ICLR 2018, section 3.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.nn.module import Module
from chainrule.nn.normalisation import BatchNorm, LayerNorm
from chainrule.program.tree import register

PRECISIONS = ("float32", "float64", "float16")


@dataclass(frozen=True)
class Float16:
    """float16, with a loss scale that starts at `scale` and doubles after so many good steps."""

    scale: float = 2.0**15
    grow_every: int = 1000

    def __post_init__(self) -> None:
        if not (self.scale > 0 and self.grow_every >= 1):
            raise ValueError(f"scale is positive and grow_every from 1, got {self}.")


@register
class LossScale:
    """The scale, the good steps since it last changed, and the overflows so far: in place."""

    def __init__(self, scale: float, grow_every: int):
        self.scale = np.array(scale, np.float32)
        self.good = np.zeros((), np.int64)
        self.overflows = np.zeros((), np.int64)
        self.grow_every = int(grow_every)

    def fine(self) -> None:
        """After a step that was made."""
        self.good += 1
        grow = self.good >= self.grow_every
        self.scale[...] = np.where(grow, self.scale * np.float32(2), self.scale)
        self.good[...] = np.where(grow, 0, self.good)

    def overflow(self) -> None:
        """After a step that was left out."""
        self.scale *= np.float32(0.5)
        self.good[...] = 0
        self.overflows += 1


def precision(given: Any) -> tuple[str, LossScale | None]:
    """The name of a precision and its loss scale, from what `fit` takes.

    >>> precision("float16")[1].scale.item()
    32768.0
    """
    if isinstance(given, Float16):
        return "float16", LossScale(given.scale, given.grow_every)
    if isinstance(given, dict):
        unknown = set(given) - {"scale", "grow_every"}
        if unknown:
            raise ValueError(f"precision has the options scale, grow_every; got {sorted(unknown)}.")
        return precision(Float16(**given))
    if given == "float16":
        return precision(Float16())
    if given == "bfloat16":
        raise errors.NotSupported(
            "precision='bfloat16': NumPy has no such dtype, so that no array can hold it. Use "
            "'float16', whose loss scale takes care of its smaller range."
        )
    if given not in PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)}; got {given!r}.")
    return given, None


def half(part: Any) -> Any:
    """A model with its learned arrays in float16 (those of normalisation layers as they are)."""
    if isinstance(part, BatchNorm | LayerNorm):
        return part
    if isinstance(part, list):
        return [half(item) for item in part]
    if isinstance(part, tuple) and not hasattr(part, "_fields"):
        return tuple(half(item) for item in part)
    if isinstance(part, dict):
        return {key: half(item) for key, item in part.items()}
    if not isinstance(part, Module):
        return part
    made = object.__new__(type(part))
    for name, value in vars(part).items():
        learned = name in part.__learned__ and value is not None
        object.__setattr__(made, name, value.astype(np.float16) if learned else half(value))
    return made


def half_input(x):
    """Floating inputs in float16, others (of an embedding) as they are."""
    return x.astype(np.float16) if x.dtype.kind == "f" else x


def to_double(holder: Any) -> None:
    """Every floating array of a model or an optimizer in float64, from here on."""
    if isinstance(holder, Module):
        _convert(holder)
    else:
        vars(holder).update({name: _convert(value) for name, value in vars(holder).items()})


def _convert(part: Any) -> Any:
    if isinstance(part, np.ndarray):
        return part.astype(np.float64) if part.dtype.kind == "f" else part
    if isinstance(part, list):
        part[:] = [_convert(item) for item in part]
    elif isinstance(part, dict):
        for key in part:
            part[key] = _convert(part[key])
    elif isinstance(part, Module):
        for name, value in list(vars(part).items()):
            object.__setattr__(part, name, _convert(value))
        config = json.loads(part._config) if part._config else {}
        if "dtype" in config:  # so that a file describes the model as it is now
            part._configure(**{**config, "dtype": "d"})
    return part
