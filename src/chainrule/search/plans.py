"""From a trial's values to a network and its training, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from chainrule import nn
from chainrule.train.recipe import LOSSES, recipe

TRAINING = ("l2", "optimizer", "step_size", "schedule", "batch_size")
METRICS = {"classification": "accuracy", "multilabel": "hamming_loss", "regression": "r2"}


def model_options(values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the network, as `network` takes them.

    >>> values = {"depth": 2, "width": [8, 4], "skips": "dense", "init": "he"}
    >>> model_options(values, {"activation": "relu"})["skips"]
    [[0, 1], [0, 2], [1, 2]]
    """
    if "width" not in values:  # a network whose layers are given
        return {name: value for name, value in values.items() if name not in TRAINING}
    depth = values["depth"]
    found = {"hidden": list(values["width"]), "init": values["init"]}
    for name in ("activation", "batch_norm", "dropout"):
        found[name] = values.get(name, usual.get(name))
    pairs = {"none": [], "input": [[0, end] for end in range(1, depth + 1)],
             "dense": [[i, end] for end in range(1, depth + 1) for i in range(end)]}  # fmt: skip
    if skips := pairs[values.get("skips", "none")]:
        found["skips"] = sorted(skips)
    return {**found, "input_clip": usual.get("input_clip")}


def network(options: Mapping[str, Any], shape: tuple[int, ...], outputs: int, seed: int):
    """The network of such options for rows of a shape; images are laid out in one axis."""
    options = dict(options)
    clip, skips = options.pop("input_clip", None), options.pop("skips", None)
    make: Callable = nn.MLP
    if skips:
        make, options["skips"] = nn.SkipMLP, skips
    hidden = options.pop("hidden")
    layers: list[nn.Module] = [] if len(shape) == 1 else [nn.Flatten()]
    layers += [] if clip is None else [nn.SoftClip(clip)]
    inner = make(prod(shape), hidden, outputs, rng=seed, **options)
    return nn.Sequential(*layers, inner) if layers else inner


def fit_options(
    values: Mapping[str, Any], model: nn.Module, task: str, rows: int, seed: int,
    epochs: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The options of `train.fit` for a trial: as many steps as the recipe makes, whatever the batch
    size is, and the weights of the best epoch."""
    usual = recipe(task, rows, 1)["fit"]
    size = min(values["batch_size"], rows)
    steps = usual["epochs"] * max(1, rows // usual["batch_size"])
    epochs = epochs or min(500, max(1, round(steps / max(1, rows // size))))
    nesterov = values["optimizer"] == "Nesterov"
    weights = [path for path, array in model.named_parameters() if array.ndim > 1]
    l2 = values["l2"]
    lambdas = dict(zip(weights, l2, strict=True)) if isinstance(l2, list) else l2
    return {
        "loss": LOSSES[task], "epochs": epochs, "batch_size": size,
        "schedule": values["schedule"], "step_size": values["step_size"] * (10 if nesterov else 1),
        "optimizer": {"name": values["optimizer"], "l2": lambdas},
        "metrics": [METRICS[task]], "early_stopping": max(5, epochs // 4), "seed": seed,
    }  # fmt: skip
