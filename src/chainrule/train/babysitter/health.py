"""Health of layers: what their units do on a sample of the data, from the input to the output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.program.tree import node_of

BOUNDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}  # what saturates, and where
NEAR = 0.01  # of the distance between the bounds


@dataclass(frozen=True)
class LayerHealth:
    """What one layer gives on a sample: shares of its units, and the scale of its values.

    `dead` is the share of units that give the same value for every row, `saturated` that of units
    within 1 % of a bound of their activation (sigmoid, tanh) for 95 % of the rows. `std` is the
    root mean square of the values about their units' means: what tells the rows apart.
    """

    path: str
    kind: str
    units: int
    dead: float
    saturated: float
    mean: float
    std: float
    rms: float


def health(model, x) -> list[LayerHealth]:
    """The health of each innermost layer of a model, in the order in which they are called.

    The model runs in inference on `x`, a sample of a few hundred rows; nothing in it changes. The
    first entry is the input itself, of kind "input".

    >>> model = nn.MLP(2, (8,), 1, init="zeros")
    >>> [(h.path, h.dead) for h in health(model, np.eye(2, dtype="f"))]
    [('', 0.0), ('layers[0]', 1.0), ('layers[1]', 1.0), ('layers[2]', 1.0)]
    """
    found = [_measured("", "input", None, np.asarray(x))]
    with _listening(model, found), np.errstate(all="ignore"):
        model(x)
    return found


@contextmanager
def _listening(model, found: list[LayerHealth]) -> Iterator[None]:
    """Within, each innermost module of the model adds its health when it is called.

    The class of a module is exchanged for one with another `__call__`, and put back: calls are
    looked up on the class, and a model has nothing that could be told to listen.
    """
    changed: list[tuple[Any, type]] = []
    once = {id(module): (path, module) for path, module in innermost(model)}  # some are shared
    try:
        for path, module in once.values():
            changed.append((module, type(module)))
            object.__setattr__(module, "__class__", _listener(type(module), path, found))
        yield
    finally:
        for module, kind in reversed(changed):
            object.__setattr__(module, "__class__", kind)


def _listener(kind: type, path: str, found: list[LayerHealth]) -> type:
    def call(self, *args, **kwargs):
        out = kind.__call__(self, *args, **kwargs)  # type: ignore[operator]
        if isinstance(out, np.ndarray) and out.dtype.kind == "f":
            name = getattr(self, "name", None)
            found.append(_measured(path, kind.__name__, name, out))
        return out

    return type(kind.__name__, (kind,), {"__call__": call})


def innermost(model, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """(path, module) of the modules that contain no others, in the order of assignment."""
    inside = list(_modules_in(model, path))
    if isinstance(model, nn.Module) and not inside:
        yield path, model
    for name, module in inside:
        yield from innermost(module, name)


def _modules_in(value, path: str) -> Iterator[tuple[str, nn.Module]]:
    node = node_of(value)
    if node is None:
        return
    for key, child in zip(node.keys, node.children, strict=True):
        step = f"[{key!r}]" if isinstance(value, list | tuple | dict) else f".{key}"
        inside = (path + step).lstrip(".")
        if isinstance(child, nn.Module):
            yield inside, child
        elif isinstance(child, list | tuple | dict):
            yield from _modules_in(child, inside)


def _measured(path: str, kind: str, name: str | None, values: np.ndarray) -> LayerHealth:
    values = np.asarray(values, np.float64)
    rows = values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1)
    with np.errstate(all="ignore"):
        dead = float(np.mean(np.ptp(rows, axis=0) == 0)) if len(rows) > 1 else 0.0
        about = rows - rows.mean(axis=0)
        return LayerHealth(
            path, kind, rows.shape[1], dead, _saturated(name, rows), float(rows.mean()),
            float(np.sqrt(np.mean(about * about))), float(np.sqrt(np.mean(rows * rows))),
        )  # fmt: skip


def _saturated(name: str | None, rows: np.ndarray) -> float:
    if name not in BOUNDS:
        return 0.0
    low, high = BOUNDS[name]
    margin = NEAR * (high - low)
    near = (rows < low + margin) | (rows > high - margin)
    return float(np.mean(near.mean(axis=0) >= 0.95))
