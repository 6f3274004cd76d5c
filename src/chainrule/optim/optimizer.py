"""What all optimizers share: parameters in order, clipping, penalties, step sizes, the step number.

    optimizer = optim.Adam(model, step_size=1e-3)
    optimizer.step(model, grads)        # model and optimizer change in place

`model` is a `nn.Module`, or any tree of arrays; `grads` a tree like it. State is kept in lists in
the order of the parameters. A step does, for each parameter w with gradient g, in this order:

    1. clip       by the norm of all gradients together, then by value
    2. penalty    g <- g + l2 w: the course's lambda / 2 ||w||^2 beside the loss
    3. rule       w <- w - step, the optimizer's own
    4. proximal   w <- sign(w) max(|w| - size l1, 0): l1 ||w||_1, weights become exactly 0
    5. decay      w <- w - size decay w_before, decoupled (Loshchilov and Hutter 2019)

**Scaling of penalties** they are added to the loss as it is given to `grad`. Beside the course's
sum of losses, f(w) = sum_i loss_i / 2 + lambda / 2 ||w||^2, pass l2 = lambda; beside a mean over n
examples, lambda of the course's objective is l2 = lambda / n.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.nn.module import Module
from chainrule.nn.tied import refuse_shared
from chainrule.optim.schedules import Constant
from chainrule.program.tree import flatten, paths, register

PerLayer = float | Mapping[str, float]  # one number, or by pattern of the parameter's path


@register
class Optimizer:
    """The base: `step_size` and `schedule` may be changed at any time; `count` is the steps made.

    `l2`, `l1` and `decay` are one number for all weights, or a mapping from patterns of paths to
    numbers ({"layers[[]0].*": 1e-3}; the first that matches, else 0). Vectors and numbers
    (biases, scales) are not penalised unless a pattern names them. `step_sizes` maps patterns to
    factors of the step size, and `bias_factor` is one for all vectors.
    """

    def __init__(
        self, model, step_size: float, *, schedule=None, clip_norm: float | None = None,
        clip_value: float | None = None, l2: PerLayer = 0.0, l1: PerLayer = 0.0,
        decay: PerLayer = 0.0, step_sizes: Mapping[str, float] | None = None,
        bias_factor: float = 1.0,
    ):  # fmt: skip
        if not step_size > 0:
            raise ValueError(f"step_size is a positive number, got {step_size!r}.")
        for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} is a positive number, or None, got {limit!r}.")
        self.step_size = float(step_size)
        self.schedule = Constant() if schedule is None else schedule
        self.count = np.zeros((), np.int64)  # an array: a step inside a native loop counts in place
        self.clip_norm = None if clip_norm is None else float(clip_norm)
        self.clip_value = None if clip_value is None else float(clip_value)
        named = named_arrays(model)
        if not named:
            raise errors.NotDifferentiable(f"{type(model).__name__} has no parameters to learn.")
        for path, array in named:
            if not hasattr(array, "ndim"):
                kind = type(self).__name__
                raise TypeError(
                    f"{kind} takes the model first, a Module or arrays in lists and dicts: "
                    f"{kind}(model, 0.01). Got {type(array).__name__}"
                    + (f" at {path}." if path else ".")
                )
        if isinstance(model, Module):
            refuse_shared(model)
        self.l2 = _per_parameter("l2", l2, named)
        self.l1 = _per_parameter("l1", l1, named)
        self.decay = _per_parameter("decay", decay, named)
        self.factors = [
            _matching(step_sizes or {}, path, 1.0) * (bias_factor if array.ndim < 2 else 1.0)
            for path, array in named
        ]
        _check_patterns("step_sizes", step_sizes or {}, named)

    def size(self):
        """The step size of the next step, schedule included."""
        return self.step_size * self.schedule(self.count)

    def step(self, model, grads) -> None:
        """Update the model's parameters, and the optimizer's state, in place."""
        arrays = [a for _, a in named_arrays(model)]
        slopes = [g for _, g in named_arrays(grads)]
        if len(arrays) != len(slopes) or len(arrays) != len(self.factors):
            raise errors.StructureMismatch(
                f"the optimizer was made for {len(self.factors)} parameters; the model has "
                f"{len(arrays)} and the gradient {len(slopes)}."
            )
        slopes = self._clipped(slopes)
        size = self.size()
        self.begin()
        for i, (w, g) in enumerate(zip(arrays, slopes, strict=True)):
            self._update(i, w, g, size)
        self.count += 1

    def _update(self, i: int, w, g, size) -> None:
        size = as_dtype(w, size * self.factors[i])
        l2, l1, decay = self.l2[i], self.l1[i], self.decay[i]
        if l2 is not None:
            g = g + as_dtype(w, l2) * w
        before = as_dtype(w, 1.0) * w if decay is not None else None
        self.rule(i, w, g, size)
        if l1 is not None:
            w[...] = np.sign(w) * np.maximum(np.abs(w) - size * as_dtype(w, l1), 0)
        if before is not None:
            w -= size * as_dtype(w, decay) * before

    def _clipped(self, slopes: list) -> list:
        if self.clip_norm is not None:
            norm = np.sqrt(sum(np.sum(np.square(g)) for g in slopes))
            factor = self.clip_norm / np.maximum(norm, self.clip_norm)
            slopes = [g * as_dtype(g, factor) for g in slopes]
        if self.clip_value is not None:
            slopes = [np.clip(g, -self.clip_value, self.clip_value) for g in slopes]
        return slopes

    def begin(self) -> None:
        """What an optimizer does once a step, before its rule is applied to each parameter."""

    def rule(self, i: int, w, g, size) -> None:
        """Update parameter number i in place: w by its gradient g, with this step size."""
        raise NotImplementedError(f"{type(self).__name__} defines no rule.")


def named_arrays(tree) -> list[tuple[str, Any]]:
    """(path, array) of what is learned in a model, or of all arrays of another tree."""
    if isinstance(tree, Module):
        return list(tree.named_parameters())
    leaves, structure = flatten(tree)
    return list(zip(paths(structure), leaves, strict=True))


def zeros_like_all(model) -> list:
    """An array of zeros for each parameter."""
    return [np.zeros_like(a) for _, a in named_arrays(model)]


def as_dtype(w, value):
    """A number in the dtype of an array, so that float32 parameters are updated in float32."""
    return w.dtype.type(value) if type(value) in (int, float) else value.astype(w.dtype)


def _per_parameter(name: str, given: PerLayer, named) -> list[float | None]:
    """One number for each parameter; None where it is 0, so that nothing is computed there."""
    if isinstance(given, Mapping):
        _check_patterns(name, given, named)
        return [_matching(given, path, 0.0) or None for path, _ in named]
    if not given >= 0:
        raise ValueError(f"{name} is a number from 0, or a mapping of them, got {given!r}.")
    return [float(given) or None if array.ndim > 1 else None for _, array in named]


def _matching(patterns: Mapping[str, float], path: str, default: float) -> float:
    for pattern, value in patterns.items():
        if path == pattern or path.startswith(pattern + ".") or fnmatchcase(path, pattern):
            return float(value)
    return default


def _check_patterns(name: str, patterns: Mapping[str, float], named) -> None:
    for pattern in patterns:
        if not any(_matching({pattern: 1.0}, path, 0.0) for path, _ in named):
            known = ", ".join(path for path, _ in named[:8])
            raise ValueError(f"{name}: {pattern!r} names no parameter; there are {known}, ...")
