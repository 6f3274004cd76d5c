"""The networks that `fit --model` knows, and the options that each of them takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

from chainrule import nn
from chainrule.cli.failures import Misused
from chainrule.nn.image_networks import DENSENETS, RESNETS
from chainrule.train import recipe

OPTIONS = (
    "hidden", "activation", "dropout", "batch_norm", "init", "skips", "join", "depth", "growth",
    "filters",
)  # fmt: skip
_PLAIN = ("hidden", "activation", "dropout", "batch_norm", "init")


@dataclass(frozen=True)
class Kind:
    """A kind of network: what it is, and what makes one for inputs of a shape."""

    about: str
    build: Callable[..., nn.Module]  # (shape of a row, outputs, seed, **options)
    takes: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()  # what the recipe says for it, where the options do not


def _on_vectors(shape: tuple[int, ...], make: Callable[[int], nn.Module]) -> nn.Module:
    """A network of vectors, with images and the like brought into one axis before it."""
    made = make(prod(shape))
    return made if len(shape) == 1 else nn.Sequential(nn.Flatten(), made)


def _mlp(shape, outputs: int, seed: int, skips=None, join="concatenate", **options) -> nn.Module:
    if not skips:
        return _on_vectors(shape, lambda n: recipe.network(options, n, outputs, rng=seed))
    clip, hidden = options.pop("input_clip", None), options.pop("hidden")

    def made(inputs: int) -> nn.Module:
        inner = nn.SkipMLP(inputs, hidden, outputs, skips=skips, join=join, rng=seed, **options)
        return inner if clip is None else nn.Sequential(nn.SoftClip(clip), inner)

    return _on_vectors(shape, made)


def _linear(shape, outputs: int, seed: int, **options) -> nn.Module:
    return _on_vectors(shape, lambda n: nn.MLP(n, (), outputs, rng=seed, **options))


def _residual(
    shape, outputs: int, seed: int, hidden=(64,), depth=10, batch_norm=True, **options
) -> nn.Module:
    form = "batch_norm" if batch_norm else "plain"
    width = _one(hidden, "residual")
    return _on_vectors(
        shape, lambda n: nn.ResidualMLP(n, width, depth, outputs, form=form, rng=seed, **options)
    )


def _dense(shape, outputs: int, seed: int, hidden=(32,), depth=6, growth=16, **options):
    width = _one(hidden, "dense")
    return _on_vectors(
        shape,
        lambda n: nn.DenseMLP(
            n, width, outputs, growth=growth, count=depth - 2, rng=seed, **options
        ),
    )


def _cnn(shape, outputs: int, seed: int, filters=(16, 32), hidden=(64,), **options) -> nn.Module:
    return nn.CNN(shape, filters, hidden, outputs, rng=seed, **options)


def _named(network: Callable, name: str, shape, outputs: int, seed: int, **options) -> nn.Module:
    return network(name, shape=shape, outputs=outputs, rng=seed, **options)


def _one(sizes, kind: str) -> int:
    if len(sizes) != 1:
        raise ValueError(f"its layers are all of one size: --hidden 64, got {len(sizes)} sizes.")
    return sizes[0]


KINDS = {
    "mlp": Kind("hidden layers one after the other, with skip connections if asked", _mlp,
                (*_PLAIN, "skips", "join"), (*_PLAIN, "input_clip")),
    "linear": Kind("no hidden layer: linear or logistic regression", _linear, ("init",)),
    "residual": Kind("--depth layers of --hidden units in residual blocks", _residual,
                     (*_PLAIN, "depth")),
    "dense": Kind("--depth layers, each of which reads all before it and adds --growth values",
                  _dense, (*_PLAIN, "depth", "growth")),
    "cnn": Kind("convolutions (--filters) with pooling, then hidden layers; of images", _cnn,
                (*_PLAIN, "filters")),
    **{name: Kind("the residual network of images of this name", partial(_named, nn.ResNet, name),
                  ("activation", "init")) for name in RESNETS},
    **{name: Kind("the densely connected network of images of this name",
                  partial(_named, nn.DenseNet, name), ("activation", "dropout", "init"))
       for name in DENSENETS},
}  # fmt: skip


def network(
    kind: str, shape: tuple[int, ...], outputs: int, seed: int, options: dict[str, Any]
) -> nn.Module:
    """The network of a kind for rows of a shape, its weights drawn from the seed.

    **Errors** Misused: another kind, options that it does not take, values that it refuses.

    >>> network("mlp", (4,), 3, 0, {"hidden": [8]})
    MLP(Linear(4, 8), Activation('relu'), Linear(8, 3))
    """
    check_kind(kind, options)
    try:
        return KINDS[kind].build(shape, outputs, seed, **options)
    except (ValueError, KeyError, AttributeError) as error:
        raise Misused(f"--model {kind}: {error}") from error


def check_kind(kind: str, options: Iterable[str]) -> None:
    """Nothing, where there is such a kind of network and it takes options of these names."""
    if kind not in KINDS:
        raise Misused(f"no model is called {kind}. Known: {', '.join(KINDS)}.")
    known = {*KINDS[kind].takes, *KINDS[kind].usual}
    unknown = [name for name in options if name not in known]
    if unknown:
        takes = ", ".join(map(_option, KINDS[kind].takes)) or "none of them"
        raise Misused(f"--model {kind} takes no {_option(unknown[0])}. It takes: {takes}.")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def parsed(name: str, text: Any) -> Any:
    """The value of an option about the model, where the line says it as text.

    >>> parsed("hidden", "128,64"), parsed("hidden", "none"), parsed("skips", "0-2,1-3")
    ([128, 64], [], [[0, 2], [1, 3]])
    """
    if name in ("hidden", "filters"):
        return _sizes(name, text)
    return _pairs(text) if name == "skips" else text


def _sizes(name: str, text: str) -> list[int]:
    if text.strip().lower() in ("", "none", "0"):
        return []
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise Misused(f"--{name} {text}: expected sizes from 1 with commas, as 128,64, or none.")
    return [int(part) for part in parts]


def _pairs(text: str) -> list[list[int]]:
    pairs = [part.strip().split("-") for part in text.split(",")]
    if not all(len(pair) == 2 and all(end.isdecimal() for end in pair) for pair in pairs):
        raise Misused(
            f"--skips {text}: expected pairs of layers with commas, as 0-2,1-3: from the input to "
            "the second hidden layer, and from the first one to the third."
        )
    return [[int(end) for end in pair] for pair in pairs]
