"""Health of layers: what their units do on a sample of the data, from the input to the output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.nn.layer_outputs import layer_outputs

BOUNDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}  # what saturates, and where
SAME = 1e-5  # of the largest value: sums in another order differ by less
NEAR = 0.01  # of the distance between the bounds


@dataclass(frozen=True)
class LayerHealth:
    """What one layer gives on a sample: shares of its units, and the scale of its values.

    `dead` is the share of units that give the same value for every row, `saturated` that of units
    within 1 % of a bound of their activation (sigmoid, tanh) for 95 % of the rows. `std` is the
    root mean square of the values about their units' means: what tells the rows apart. `alike`:
    the units that are not dead, two or more, all give the same as each other, for every row.
    """

    path: str
    kind: str
    units: int
    dead: float
    saturated: float
    mean: float
    std: float
    rms: float
    alike: bool = False


def health(model, x) -> list[LayerHealth]:
    """The health of each innermost layer of a model, in the order in which they are called.

    The model runs in inference on `x`, a sample of a few hundred rows; nothing in it changes. The
    first entry is the input itself, of kind "input".

    >>> from chainrule import nn
    >>> model = nn.MLP(2, (8,), 1, init="zeros")
    >>> [(h.path, h.dead) for h in health(model, np.eye(2, dtype="f"))]
    [('', 0.0), ('layers[0]', 1.0), ('layers[1]', 1.0), ('layers[2]', 1.0)]
    """
    found = [_measured("", "input", None, np.asarray(x))]
    with np.errstate(all="ignore"):
        calls = layer_outputs(model, x)
    for call in calls:
        if not call.inner and isinstance(call.output, np.ndarray) and call.output.dtype.kind == "f":
            name = getattr(call.module, "name", None)
            found.append(_measured(call.path, type(call.module).__name__, name, call.output))
    return found


def _measured(path: str, kind: str, name: str | None, values: np.ndarray) -> LayerHealth:
    values = np.asarray(values, np.float64)
    rows = values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1)
    with np.errstate(all="ignore"):
        dead = float(np.mean(np.ptp(rows, axis=0) == 0)) if len(rows) > 1 else 0.0
        about = rows - rows.mean(axis=0)
        return LayerHealth(
            path, kind, rows.shape[1], dead, _saturated(name, rows), float(rows.mean()),
            float(np.sqrt(np.mean(about * about))), float(np.sqrt(np.mean(rows * rows))),
            _alike(rows),
        )  # fmt: skip


def _alike(rows: np.ndarray) -> bool:
    living = rows[:, np.ptp(rows, axis=0) > 0]
    if living.shape[1] < 2:
        return False
    return bool(np.max(np.ptp(living, axis=1)) <= SAME * np.max(np.abs(living)))


def _saturated(name: str | None, rows: np.ndarray) -> float:
    if name not in BOUNDS:
        return 0.0
    low, high = BOUNDS[name]
    margin = NEAR * (high - low)
    near = (rows < low + margin) | (rows > high - margin)
    return float(np.mean(near.mean(axis=0) >= 0.95))
