"""From descriptions to models and back: `described(model)` and `build(description)`.

`BUILDERS` names every class that a model file may hold. A class of yours joins them by
`nn.BUILDERS["Mine"] = Mine`, where `Mine(**model.config())` builds a model of the same structure
(`config()` gives what fits into JSON), before a file of it is written or read.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from chainrule import errors, random
from chainrule.nn.activations import FUNCTIONS, Activation, Swish
from chainrule.nn.attention import MultiHeadAttention
from chainrule.nn.autoencoder import Autoencoder
from chainrule.nn.boltzmann import RBM
from chainrule.nn.clipping import SoftClip
from chainrule.nn.convolutions import Conv1d, Conv2d
from chainrule.nn.deep_belief import DeepBelief
from chainrule.nn.dense import DenseBlock, DenseLayer, Transition
from chainrule.nn.descriptions import description
from chainrule.nn.dropout import Dropout
from chainrule.nn.embedding import Embedding
from chainrule.nn.image_networks import CNN, DenseNet, ResNet
from chainrule.nn.linear import Linear
from chainrule.nn.lstm import LSTM
from chainrule.nn.module import Module
from chainrule.nn.normalisation import BatchNorm, LayerNorm
from chainrule.nn.pools import (
    AdaptiveMaxPool,
    AdaptiveMeanPool,
    Flatten,
    GlobalMeanPool,
    MaxPool1d,
    MaxPool2d,
    MeanPool1d,
    MeanPool2d,
)
from chainrule.nn.residual import (
    Bottleneck2d,
    Residual,
    ResidualBlock,
    ResidualBlock2d,
    ZeroShortcut,
)
from chainrule.nn.sequential import MLP, Sequential
from chainrule.nn.skips import SkipMLP, Stack
from chainrule.nn.tied import Tied, refuse_shared
from chainrule.nn.vector_networks import DenseMLP, ResidualMLP

_CLASSES: list[type] = [
    CNN, LSTM, MLP, RBM, Activation, AdaptiveMaxPool, AdaptiveMeanPool, Autoencoder, BatchNorm,
    Bottleneck2d, Conv1d, Conv2d, DeepBelief, DenseBlock, DenseLayer, DenseMLP, DenseNet,
    Dropout, Embedding, Flatten, GlobalMeanPool, LayerNorm, Linear, MaxPool1d, MaxPool2d,
    MeanPool1d, MeanPool2d, MultiHeadAttention, ResNet, Residual, ResidualBlock,
    ResidualBlock2d, ResidualMLP, Sequential, SkipMLP, SoftClip, Stack, Swish, Tied, Transition,
    ZeroShortcut,
]  # fmt: skip
BUILDERS: dict[str, type] = {c.__name__: c for c in _CLASSES}

LARGEST = 2**31  # the largest number in a description: a damaged file asks for no more memory


def described(model: Module) -> dict[str, Any]:
    """What builds the model again, up to its arrays, as data that fits into JSON.

    **Errors** `NotSupported` where the model holds a class that is not in `BUILDERS`, or a function
    without a name; `StructureMismatch` where one array stands at two places (see `nn.Tied`).

    >>> described(Dropout(0.25))
    {'kind': 'Dropout', 'config': {'rate': 0.25}}
    """
    refuse_shared(model)
    found = description(model)
    for kind in _kinds(found):
        if kind != "function" and kind not in BUILDERS:
            raise errors.NotSupported(
                f"{kind} is no class that a model file may hold. Add it: "
                f"nn.BUILDERS[{kind!r}] = {kind}."
            )
    return found


def build(description: Any, rng=0) -> Module:
    """The model of a description, its arrays drawn anew from `rng` (a generator or a seed).

    **Errors** `ValueError` that names the part, for what is no description: another kind, options
    that the class does not take, values that it refuses. No code of the description is run.

    >>> build({"kind": "Linear", "config": {"inputs": 3, "outputs": 2}})
    Linear(3, 2)
    """
    made = _built(description, random.default_rng(rng), "model")
    if not isinstance(made, Module):
        raise ValueError("the model is a function alone, which nothing can be learned for.")
    return made


def _built(description: Any, rng, path: str) -> Module | Callable:
    kind, config = _parts(description, path)
    if kind == "function":
        return _function(config, path)
    if kind not in BUILDERS:
        raise ValueError(f"{path}: no layer is called {kind!r}. Known: {', '.join(BUILDERS)}.")
    config = {key: _inner(value, rng, f"{path}.{key}") for key, value in config.items()}
    parameters = inspect.signature(BUILDERS[kind]).parameters
    unknown = sorted(set(config) - set(parameters) | set(config) & {"rng"})
    if unknown:
        raise ValueError(
            f"{path}: {kind} takes no {', '.join(unknown)}, but {', '.join(parameters)}."
        )
    row = [config.pop(p.name, []) for p in parameters.values() if p.kind is p.VAR_POSITIONAL]
    if "rng" in parameters:
        config["rng"] = rng
    try:
        return BUILDERS[kind](*(row[0] if row else ()), **config)
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
        raise ValueError(f"{path}: {kind} cannot be built: {error}") from error


def _parts(description: Any, path: str) -> tuple[str, dict]:
    if isinstance(description, dict) and set(description) == {"kind", "config"}:
        kind, config = description["kind"], description["config"]
        if isinstance(kind, str) and isinstance(config, dict):
            return kind, config
    raise ValueError(
        f"{path}: a layer is described by {{'kind': name, 'config': {{...}}}}, got "
        f"{str(description)[:80]!r}."
    )


def _inner(value: Any, rng, path: str) -> Any:
    """A value of a config, the layers described in it built."""
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError(f"{path} is {value}: no layer is as large (at most {LARGEST:,}).")
    if isinstance(value, list):
        return [_inner(item, rng, f"{path}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict):
        return _built(value, rng, path)
    return value


def _function(config: dict, path: str) -> Callable:
    name = config.get("name")
    if list(config) != ["name"] or not isinstance(name, str) or name not in FUNCTIONS:
        raise ValueError(f"{path}: a function is one of {', '.join(FUNCTIONS)}, got {config!r}.")
    return FUNCTIONS[name]


def _kinds(value: Any) -> Iterator[str]:
    """The kinds of a description and of all that it holds."""
    if isinstance(value, dict):
        if set(value) == {"kind", "config"}:
            yield value["kind"]
        for item in value.values():
            yield from _kinds(item)
    elif isinstance(value, list):
        for item in value:
            yield from _kinds(item)
