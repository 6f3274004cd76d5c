"""The options of `chainrule fit`: from the line, or from a file, where the line says nothing."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from cyclopts import Group, Parameter

from chainrule.cli.failures import Failed

_DATA = Group("Data", sort_key=1)
_READING = Group("How files are read", sort_key=2)
_MODEL = Group("Model", sort_key=3)
_TRAINING = Group("Training", sort_key=4)


def _option(group: Group, text: str, **more) -> Parameter:
    return Parameter(group=group, help=text, **more)


def _several(group: Group, text: str) -> Parameter:
    return _option(group, text + " Can be given again.", consume_multiple=False)


def _on_or_off(group: Group, name: str, text: str) -> Parameter:
    return _option(group, text, negative=f"--no-{name}")


@dataclass(frozen=True)
class TextOptions:
    """How files of text are read. None: as is found, or as usual; as a model was trained."""

    delimiter: Annotated[
        str | None,
        _option(_READING, "Between the fields of a line, as ';', tab or blanks. Default: found."),
    ] = None
    header: Annotated[
        bool | None, _on_or_off(_READING, "header", "Whether a line of names comes first.")
    ] = None
    date: Annotated[
        tuple[str, ...] | None,
        _several(_READING, "How a column's dates are written, as day=%d.%m.%Y."),
    ] = None
    decimal: Annotated[str | None, _option(_READING, "The mark in numbers. Default: a point.")] = (
        None
    )
    thousands: Annotated[str | None, _option(_READING, "The mark between thousands.")] = None
    encoding: Annotated[str | None, _option(_READING, "Of the text. Default: utf-8.")] = None
    missing: Annotated[
        tuple[str, ...] | None,
        _several(
            _READING, "A text that stands for no value, as NA does; '': NA and its like do not."
        ),
    ] = None


@dataclass(frozen=True)
class Options(TextOptions):
    """What `fit` may be told. None: what the recipe says for data of this kind and size."""

    target: Annotated[tuple[str, ...] | None, _several(_DATA, "The column to predict.")] = None
    task: Annotated[
        Literal["classification", "multilabel", "regression"] | None,
        _option(
            _DATA,
            "Default: found from the target's values; several columns of 0 and 1, true and false "
            "or two words are labels, each of which holds or does not.",
        ),
    ] = None
    ignore: Annotated[tuple[str, ...] | None, _several(_DATA, "A column to leave out.")] = None
    groups: Annotated[
        str | None,
        _option(_DATA, "A column whose equal entries stay in one part, as patients do; no input."),
    ] = None
    time: Annotated[
        str | None, _option(_DATA, "A column of times: the latest rows are the test; no input.")
    ] = None
    test: Annotated[
        float | None, _option(_DATA, "Share of the rows kept for the one final test. Default: 0.2.")
    ] = None
    validation: Annotated[
        float | None, _option(_DATA, "Share of the other rows to validate on after each epoch.")
    ] = None

    scale: Annotated[
        Literal["none", "center", "standardize", "pca", "zca"] | None,
        _option(_DATA, "What is done to numbers; pca and zca whiten. Default: standardize."),
    ] = None
    balance: Annotated[
        Literal["weights", "batches"] | None,
        _option(
            _DATA,
            "Make classes, or the values of labels, count the same: by weights, or by how often "
            "their rows come.",
        ),
    ] = None
    flip: Annotated[
        bool | None, _on_or_off(_DATA, "flip", "Flip images left to right at random, in training.")
    ] = None
    crop: Annotated[
        int | None, _option(_DATA, "Move images by up to so many pixels at random, in training.")
    ] = None

    type: Annotated[
        tuple[str, ...] | None,
        _several(_READING, "A column's kind, as zip=text: number, boolean, date or text."),
    ] = None
    resize: Annotated[
        str | None, _option(_READING, "Height and width that images are brought to, as 32x32.")
    ] = None
    channels: Annotated[
        Literal[1, 3] | None, _option(_READING, "Of images: 1 (gray) or 3 (colours).")
    ] = None

    model: Annotated[
        str | None, _option(_MODEL, "Kind of network; `chainrule info --models` lists them.")
    ] = None
    hidden: Annotated[
        str | None, _option(_MODEL, "Sizes of the hidden layers, as 128,64; or none.")
    ] = None
    activation: Annotated[str | None, _option(_MODEL, "Between the layers, as relu.")] = None
    dropout: Annotated[float | None, _option(_MODEL, "Share of hidden units dropped.")] = None
    batch_norm: Annotated[
        bool | None, _on_or_off(_MODEL, "batch-norm", "Normalise hidden units by minibatch.")
    ] = None
    init: Annotated[str | None, _option(_MODEL, "Initial weights, as he.")] = None
    skips: Annotated[
        str | None,
        _option(_MODEL, "Skip connections, as 0-2,1-3 (0 is the input, 1 the first hidden layer)."),
    ] = None
    join: Annotated[
        Literal["add", "concatenate"] | None,
        _option(_MODEL, "How skips join. Default: concatenate."),
    ] = None
    depth: Annotated[int | None, _option(_MODEL, "Layers of a residual or dense network.")] = None
    growth: Annotated[
        int | None, _option(_MODEL, "Values that a layer of a dense network adds.")
    ] = None
    filters: Annotated[
        str | None, _option(_MODEL, "Channels of the convolutions of a cnn, as 16,32.")
    ] = None

    epochs: Annotated[int | None, _option(_TRAINING, "Passes over the data.")] = None
    steps: Annotated[
        int | None, _option(_TRAINING, "Steps in all, in the place of epochs; or the sooner end.")
    ] = None
    batch_size: Annotated[int | None, _option(_TRAINING, "Rows a step.")] = None
    optimizer: Annotated[str | None, _option(_TRAINING, "As adam.")] = None
    step_size: Annotated[
        str | None, _option(_TRAINING, "A number; or bottou or range: searched for.")
    ] = None
    schedule: Annotated[str | None, _option(_TRAINING, "Of the step size, as cosine.")] = None
    loss: Annotated[str | None, _option(_TRAINING, "What is made small, as huber.")] = None
    l2: Annotated[float | None, _option(_TRAINING, "Weight of the squared weights.")] = None
    l1: Annotated[float | None, _option(_TRAINING, "Weight of the absolute weights.")] = None
    decay: Annotated[float | None, _option(_TRAINING, "Decoupled weight decay.")] = None
    clip_norm: Annotated[float | None, _option(_TRAINING, "Largest norm of a gradient.")] = None
    patience: Annotated[
        int | None, _option(_TRAINING, "Stop after so many epochs without a better validation.")
    ] = None
    accumulate: Annotated[
        int | None, _option(_TRAINING, "Minibatches whose gradients make one step.")
    ] = None
    precision: Annotated[
        Literal["float16", "float32", "float64"] | None, _option(_TRAINING, "Default: float32.")
    ] = None
    memory: Annotated[str | None, _option(_TRAINING, "Budget of the derivative, as 256MB.")] = None
    babysitter: Annotated[
        Literal["act", "advise", "off"] | None,
        _option(_TRAINING, "Whether the babysitter acts on what goes wrong. Default: act."),
    ] = None
    seed: Annotated[
        int | None, _option(_TRAINING, "Of every random choice, the split included. Default: 0.")
    ] = None
    checkpoint_every: Annotated[
        int | None, _option(_TRAINING, "Steps between checkpoints. Default: an epoch.")
    ] = None
    keep: Annotated[
        int | None, _option(_TRAINING, "Latest checkpoints that are kept. Default: 3.")
    ] = None

    report: Annotated[
        bool | None, _on_or_off(_TRAINING, "report", "Write report.html at the end. Default: yes.")
    ] = None


AS_STORED = TextOptions()  # of a command that goes by what a model was trained with
DEFAULTS = Options()  # what no line and no file say otherwise


def options_in(path: Path) -> tuple[str | None, dict[str, Any]]:
    """The data set and the options that a TOML or JSON file says, by name.

    **Errors** Failed, with the file: it is not TOML or JSON; an option that does not exist, or a
    value of another type than its option's.
    """
    text = path.read_text(encoding="utf-8")
    kind = "JSON" if path.suffix == ".json" else "TOML"
    try:
        found = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except ValueError as error:
        raise Failed(f"{path} is not {kind}: {error}") from error
    if not isinstance(found, dict):
        raise Failed(f"{path} holds a {type(found).__name__}, expected options by name.")
    hints = get_type_hints(Options)
    given = {key.replace("-", "_"): value for key, value in found.items()}
    data = given.pop("data", None)
    if not isinstance(data, str | None):
        raise Failed(f"{path}: data = {data!r}, expected the path or name of a data set.")
    return data, {name: _value(path, name, value, hints) for name, value in given.items()}


def given(options: TextOptions) -> dict[str, Any]:
    """The options that somebody set.

    >>> given(TextOptions(encoding="latin-1"))
    {'encoding': 'latin-1'}
    """
    return {f.name: v for f in fields(options) if (v := getattr(options, f.name)) is not None}


def merged(line: Options, file: dict[str, Any]) -> dict[str, Any]:
    """All options that somebody set; what the line says wins.

    >>> merged(Options(epochs=3), {"epochs": 10, "seed": 1})
    {'epochs': 3, 'seed': 1}
    """
    known = [f.name for f in fields(line)]
    return {name: value for name, value in {**file, **given(line)}.items() if name in known}


def _value(path: Path, name: str, value: Any, hints: dict[str, Any]) -> Any:
    if name not in hints:
        near = get_close_matches(name, hints, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise Failed(f"{path}: there is no option {name}.{hint}\n  Known: {', '.join(hints)}.")
    (kind,) = (one for one in get_args(hints[name]) if one is not NoneType)
    if name in _TEXTS and not isinstance(value, str):
        value = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    try:
        return _as(kind, value)
    except TypeError:
        raise Failed(f"{path}: {name} = {value!r}, expected {_said(kind)}.") from None


_TEXTS = (
    "hidden",
    "filters",
    "skips",
    "step_size",
    "memory",
)  # on the line, text that may say a number or several


def _as(kind: Any, value: Any) -> Any:
    """The value as the type of an option, or TypeError."""
    if get_origin(kind) is tuple:
        return tuple(_as(get_args(kind)[0], one)
                     for one in (value if isinstance(value, list) else [value]))  # fmt: skip
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
    elif kind is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif type(value) is kind:
        return value
    raise TypeError


def _said(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return "one or a list of " + _said(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    return {float: "a number", int: "a whole number", bool: "true or false", str: "text"}[kind]
