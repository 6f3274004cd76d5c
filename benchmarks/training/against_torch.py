"""A layer of ours beside PyTorch's: the same numbers in, and how far apart what comes out is.

A `Pair` holds both sides of one configuration in our layout; `differences` runs both, takes the
gradients of sum(output * cotangent) by every input and parameter, and compares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import chainrule as cr

BOUNDS = {"f": 1e-5, "d": 1e-10}

# oneDNN's convolutions of PyTorch 2.13 free memory that is not theirs on AVX2 processors.
torch.backends.mkldnn.enabled = False


@dataclass
class Pair:
    """One configuration. `ours(model, *inputs)` and `theirs(*tensors)` give an array each, of the
    same layout; inputs that are no floats have no gradient."""

    text: str
    inputs: list[np.ndarray]
    ours: Callable
    theirs: Callable
    model: Any = None  # ours; its parameters are those of `parameters`
    parameters: dict[str, tuple[Any, Callable]] = field(default_factory=dict)
    # path in our model -> (PyTorch's parameter, the way from our layout to its)
    state: dict[str, Any] = field(default_factory=dict)  # path -> PyTorch's buffer, after the call

    def share_parameters(self) -> None:
        """PyTorch's parameters become ours."""
        arrays = dict(self.model.named_parameters()) if self.model is not None else {}
        if set(arrays) != set(self.parameters):
            raise ValueError(f"{self.text}: {set(arrays) ^ set(self.parameters)} is not compared.")
        with torch.no_grad():
            for path, (theirs, to_theirs) in self.parameters.items():
                theirs.copy_(torch.from_numpy(np.ascontiguousarray(to_theirs(arrays[path]))))


def differences(pair: Pair, rng: np.random.Generator, compiled: bool) -> dict[str, float]:
    """What was compared -> the largest difference, over the larger of 1 and the largest entry.

    **Errors** `ValueError` where shapes differ.
    """
    pair.share_parameters()
    tensors = [torch.from_numpy(x.copy()) for x in pair.inputs]
    for tensor in tensors:
        tensor.requires_grad_(tensor.is_floating_point())
    wanted = pair.theirs(*tensors)
    cotangent = rng.normal(size=tuple(wanted.shape)).astype(wanted.detach().numpy().dtype)
    if wanted.requires_grad:
        (wanted * torch.from_numpy(np.asarray(cotangent))).sum().backward()
    out, by_inputs, by_model = _ours(pair, cotangent, compiled)
    found = {"value": difference(out, wanted)}
    for number, tensor in enumerate(tensors):
        if tensor.requires_grad and wanted.requires_grad:
            found[f"input {number}"] = difference(by_inputs[number], tensor.grad)
    slopes = {} if by_model is None else dict(by_model.named_parameters())
    for path, (parameter, to_theirs) in pair.parameters.items():
        found[path] = difference(to_theirs(slopes[path]), parameter.grad)
    states = {} if pair.model is None else dict(pair.model.named_state())
    for path, buffer in pair.state.items():
        found[path] = difference(states[path], buffer)
    return found


def difference(ours, theirs) -> float:
    """max |a - b| / max(1, max |b|), nan where there is one on one side alone."""
    a, b = np.asarray(ours), theirs.detach().numpy()
    if a.shape != b.shape or a.dtype != b.dtype:
        raise ValueError(f"ours is {a.dtype} {a.shape}, PyTorch's {b.dtype} {b.shape}.")
    if not a.size:
        return 0.0
    return float(np.abs(a - b).max() / max(1.0, np.abs(b).max()))


def _ours(pair: Pair, cotangent, compiled: bool):
    active = [i for i, x in enumerate(pair.inputs) if x.dtype.kind == "f"]
    chosen = [i + 1 for i in active] + ([0] if pair.parameters else [])

    def total(model, *inputs):
        out = pair.ours(model, *inputs)
        return (out * cotangent).sum(), out

    slopes = cr.grad(total, tuple(chosen), has_aux=True, kinks="convention")
    if compiled:
        slopes = cr.compile(slopes, kinks="convention", stabilize=False)
    model = 0.0 if pair.model is None else pair.model
    if not chosen:
        return pair.ours(model, *pair.inputs), {}, None
    found, out = slopes(model, *pair.inputs)
    by = dict(zip(chosen, found, strict=True))
    return out, {i: by[i + 1] for i in active}, by.get(0)
