"""The recipe: what a training without options does, from the size of the data alone.

| choice | value | why |
|---|---|---|
| network | two hidden layers, ReLU, batch norm, dropout | |
| inputs | clipped softly (`nn.SoftClip`) | columns that are nearly always the same |
| optimizer | AdamW, the step size falling to 0 by a cosine | |
| length | a number of steps, not of epochs | small data need as many steps as large ones |

Evidence  benchmarks/training/defaults.py: beside the best of 50 random trials on each bundled
          classification set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import nn, optim

FEW = 1000  # rows
EPOCHS = (20, 500)  # no fewer and no more passes than these
LOSSES = {
    "classification": "softmax_cross_entropy", "multilabel": "logistic", "regression": "squared",
    "reconstruction": "squared",
}  # fmt: skip


def recipe(task: str, rows: int, columns: int, classes: int | None = None) -> dict[str, dict]:
    """Options for a network and its training: {"model": {...}, "fit": {...}}, plain data.

    Inputs are meant to be standardised, and the targets of a regression too. `task` is a key of
    `LOSSES`; `rows` are those to train on, `columns` the network's inputs, `classes` its outputs.
    `network` and `optimizer` below make what they describe.

    **Errors** `ValueError` for another task, or no rows or columns.

    >>> recipe("classification", 1437, 64, 10)["fit"]["batch_size"]
    32
    """
    if task not in LOSSES:
        raise ValueError(f"task is one of {', '.join(LOSSES)}; got {task!r}.")
    if rows < 1 or columns < 1:
        raise ValueError(f"a recipe needs rows and columns, got {rows} and {columns}.")
    few = rows < FEW
    batch_size = _batch_size(rows)
    steps = max(1, rows // batch_size)  # an epoch
    wanted = 1000 if few else 2000
    return {
        "model": {
            "hidden": [128, 128], "activation": "relu", "dropout": 0.3 if few else 0.2,
            "batch_norm": True, "init": "he", "input_clip": 3.0,
        },
        "fit": {
            "loss": LOSSES[task], "optimizer": "AdamW", "step_size": 0.002 if few else 0.003,
            "schedule": "cosine", "decay": 0.01, "batch_size": batch_size,
            "epochs": int(min(max(-(-wanted // steps), EPOCHS[0]), EPOCHS[1])),
            "early_stopping": None, "validation": None,
        },
    }  # fmt: skip


def _batch_size(rows: int) -> int:
    """32, and more for many rows, so that an epoch has at most some 3,000 steps; fewer than 32 rows
    are one minibatch."""
    size = 32
    while rows > 3000 * size and size < 512:
        size *= 2
    return min(size, rows)


def network(model: dict[str, Any], inputs: int, outputs: int, *, dtype="f", rng=0) -> nn.Module:
    """The network that the options describe, for so many inputs and outputs.

    Options are those of `nn.MLP`, "input_clip" (the bound of a `nn.SoftClip`, or None) and "skips":
    a residual network (`nn.ResidualMLP`) of the hidden layers.

    >>> network({"hidden": [4], "input_clip": 3.0}, 3, 1)
    Sequential(SoftClip(3.0), MLP(Linear(3, 4), Activation('relu'), Linear(4, 1)))
    """
    options = dict(model)
    clip, skips = options.pop("input_clip", None), options.pop("skips", False)
    make = _residual if skips else nn.MLP
    inner = make(inputs, outputs=outputs, dtype=dtype, rng=rng, **options)
    return inner if clip is None else nn.Sequential(nn.SoftClip(clip), inner)


def _residual(
    inputs: int, hidden: Sequence[int], outputs: int, *, batch_norm: bool = False, **options: Any
) -> nn.Module:
    """A residual network of the same hidden layers: the first, then two in each block."""
    if len(hidden) < 3 or len(hidden) % 2 == 0 or len(set(hidden)) != 1:
        raise ValueError(
            "skips join layers of one size, the first one and two in each block: hidden is an odd "
            f"number of equal sizes from 3 on, as (64, 64, 64); got {tuple(hidden)}."
        )
    form = "batch_norm" if batch_norm else "plain"
    return nn.ResidualMLP(inputs, hidden[0], len(hidden) + 1, outputs, form=form, **options)


def optimizer(fit: dict[str, Any], model: nn.Module, steps: int) -> optim.Optimizer:
    """The optimizer that the options describe, for a training of so many steps.

    `fit` may also hold "l2", "l1", "clip_norm" and other options of `optim.Optimizer`.
    """
    named = ("l2", "l1", "decay", "clip_norm", "clip_value", "momentum", "memory", "bias_factor")
    options = {name: fit[name] for name in named if fit.get(name) is not None}
    if fit["schedule"] == "cosine":
        options["schedule"] = optim.Cosine(max(1, steps))
    return optim.OPTIMIZERS[fit["optimizer"]](model, fit["step_size"], **options)
