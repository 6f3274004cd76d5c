"""The networks that `fit --model` knows, and the options that each of them takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chainrule import nn
from chainrule.cli.failures import Misused
from chainrule.train import recipe

OPTIONS = ("hidden", "activation", "dropout", "batch_norm", "init")  # of `fit`, about the model


@dataclass(frozen=True)
class Kind:
    """A kind of network: what it is, and what makes one for inputs of a shape."""

    about: str
    build: Callable[..., nn.Module]  # (shape of a row, outputs, seed, **options)
    takes: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()  # what the recipe says for it, where the options do not


def _flat(shape: tuple[int, ...]) -> tuple[int, list[nn.Module]]:
    """The inputs of a row, and the layers that bring them into one axis."""
    if len(shape) == 1:
        return shape[0], []
    count = 1
    for n in shape:
        count *= n
    return count, [nn.Flatten()]


def _mlp(shape, outputs: int, seed: int, **options) -> nn.Module:
    inputs, before = _flat(shape)
    made = recipe.network(options, inputs, outputs, rng=seed)
    return nn.Sequential(*before, made) if before else made


def _linear(shape, outputs: int, seed: int, **options) -> nn.Module:
    return _mlp(shape, outputs, seed, hidden=[], **options)


_RECIPE = (*OPTIONS, "input_clip")

KINDS = {
    "mlp": Kind("hidden layers one after the other", _mlp, OPTIONS, _RECIPE),
    "linear": Kind("no hidden layer: linear or logistic regression", _linear, ("init",)),
}


def network(
    kind: str, shape: tuple[int, ...], outputs: int, seed: int, options: dict[str, Any]
) -> nn.Module:
    """The network of a kind for rows of a shape, its weights drawn from the seed.

    **Errors** Misused: another kind, options that it does not take, values that it refuses.

    >>> network("mlp", (4,), 3, 0, {"hidden": [8]})
    Sequential(Linear(4, 8), Activation('relu'), Linear(8, 3))
    """
    if kind not in KINDS:
        raise Misused(f"no model is called {kind}. Known: {', '.join(KINDS)}.")
    known = {*KINDS[kind].takes, *KINDS[kind].usual}
    unknown = [name for name in options if name not in known]
    if unknown:
        takes = ", ".join(map(_option, KINDS[kind].takes)) or "none of them"
        raise Misused(f"--model {kind} takes no {_option(unknown[0])}. It takes: {takes}.")
    try:
        return KINDS[kind].build(shape, outputs, seed, **options)
    except (ValueError, KeyError, AttributeError) as error:
        raise Misused(f"--model {kind}: {error}") from error


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def sizes(text: str) -> list[int]:
    """The sizes that `--hidden` says.

    >>> sizes("128,64"), sizes("none")
    ([128, 64], [])
    """
    if text.strip().lower() in ("", "none", "0"):
        return []
    parts = text.replace("x", ",").replace("-", ",").split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise Misused(f"--hidden {text}: expected sizes from 1 with commas, as 128,64, or none.")
    return [int(part) for part in parts]
