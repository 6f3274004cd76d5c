"""What is searched: a table of names and ranges, which can be restricted.

| name | what | drawn for |
|---|---|---|
| depth | hidden layers | the network |
| width | units | each hidden layer |
| skips | none; input: from the input to each hidden layer; dense: from all before | the network |
| activation, init, batch_norm, dropout | of the hidden layers | the network |
| l2 | the course's lambda, under a mean of losses | each layer of weights |
| optimizer, step_size, schedule, batch_size | of the training | the training |

Nesterov takes ten times the step size that is drawn, which suits both optimizers to one range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.train.recipe import recipe

ARCHITECTURE = ("depth", "width", "skips")
SKIPS = ("none", "input", "dense")


@dataclass(frozen=True)
class Choice:
    """One of so many values."""

    values: tuple[Any, ...]

    def drawn(self, trial: Any, name: str) -> Any:
        """The value that Optuna suggests."""
        return trial.suggest_categorical(name, self.values)

    def holds(self, value: Any) -> bool:
        """Whether the value is one of these."""
        return any(value == one and type(value) is type(one) for one in self.values)

    def to_json(self) -> Any:
        """As data."""
        return list(self.values)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, even in their logarithms with `log`; whole ones of `whole`."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def drawn(self, trial: Any, name: str) -> Any:
        """The value that Optuna suggests."""
        suggest = trial.suggest_int if self.whole else trial.suggest_float
        return suggest(name, self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Whether the number lies in the range."""
        number = isinstance(value, int if self.whole else int | float)
        return number and not isinstance(value, bool) and self.low <= value <= self.high

    def to_json(self) -> Any:
        """As data."""
        return {"from": self.low, "to": self.high, "log": self.log, "whole": self.whole}


Space = Mapping[str, Choice | Range]

SPACE: dict[str, Choice | Range] = {
    "depth": Range(0, 4, whole=True),
    "width": Range(16, 512, log=True, whole=True),
    "skips": Choice(SKIPS),
    "activation": Choice(("relu", "tanh", "gelu", "swish")),
    "init": Choice(("he", "glorot", "lecun", "orthogonal")),
    "batch_norm": Choice((False, True)),
    "dropout": Range(0.0, 0.5),
    "l2": Range(1e-8, 1e-1, log=True),
    "optimizer": Choice(("AdamW", "Nesterov")),
    "step_size": Range(1e-4, 3e-2, log=True),
    "schedule": Choice(("constant", "cosine")),
    "batch_size": Choice((16, 32, 64, 128)),
}


def restricted(
    space: Space = SPACE, given: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Choice | Range]:
    """The space with some entries narrowed: to one value, to a list of values, or to a (low, high).

    **Errors** `ValueError` for names that are not in the space, and empty ranges.

    >>> found = restricted(activation="relu", batch_size=[32, 64], step_size=(1e-3, 1e-2))
    >>> found["activation"], found["step_size"]
    (Choice(values=('relu',)), Range(low=0.001, high=0.01, log=True, whole=False))
    """
    found = dict(space)
    for name, value in {**(given or {}), **more}.items():
        if name not in found:
            raise ValueError(f"{name} is not searched. What is: {', '.join(found)}.")
        found[name] = _narrowed(name, found[name], value)
    return found


def _narrowed(name: str, entry: Choice | Range, value: Any) -> Choice | Range:
    if isinstance(value, Choice | Range):
        return value
    if isinstance(entry, Range) and isinstance(value, tuple):
        low, high = value
        if not low <= high:
            raise ValueError(f"{name}: from {low} to {high} is an empty range.")
        if entry.log and low <= 0:
            raise ValueError(f"{name} is drawn by its logarithm: from above 0, got {low}.")
        return Range(low, high, entry.log, entry.whole)
    several = isinstance(value, Sequence) and not isinstance(value, str)
    values = tuple(value) if several else (value,)
    if not values:
        raise ValueError(f"{name}: there is no value left.")
    return Choice(values)


def without_architecture(takes: Sequence[str], fixed: Mapping[str, str]) -> dict[str, Any]:
    """The space for a kind of network whose layers are given: what it `takes` of the options of
    hidden layers, one l2 for all weights, and the training. `fixed` stands in every trial.

    >>> list(without_architecture(["init"], {"model": "linear"}))
    ['model', 'init', 'l2', 'optimizer', 'step_size', 'schedule', 'batch_size']
    """
    left = {name: entry for name, entry in SPACE.items()
            if name not in ARCHITECTURE and (name in takes or name not in (*_HIDDEN, "init"))
            and name not in fixed}  # fmt: skip
    return {**{name: Choice((value,)) for name, value in fixed.items()}, **left}


def drawn(trial: Any, space: Space) -> dict[str, Any]:
    """The values of a trial; width and l2 as lists, an entry for each layer.

    Where the depth is none of the space, l2 is one number.
    """
    if "width" not in space:
        return {name: entry.drawn(trial, name) for name, entry in space.items()}
    depth = space["depth"].drawn(trial, "depth")
    found: dict[str, Any] = {"depth": depth}
    for name, entry in space.items():
        if name == "width":
            found[name] = [entry.drawn(trial, f"width_{i}") for i in range(1, depth + 1)]
        elif name == "l2":
            found[name] = [entry.drawn(trial, f"l2_{i}") for i in range(1, depth + 2)]
        elif name != "depth" and (depth or name not in _HIDDEN):
            found[name] = entry.drawn(trial, name)
    return found


_HIDDEN = ("skips", "activation", "batch_norm", "dropout")  # nothing to choose without such layers


def usual(recipe: Mapping[str, Mapping[str, Any]], space: Space) -> dict[str, Any]:
    """The parameters of a trial as the recipe has them, as far as they lie in the space."""
    model, fit = recipe["model"], recipe["fit"]
    hidden = model["hidden"]
    wanted = {
        "depth": len(hidden), "skips": "none", "activation": model["activation"],
        "init": model["init"], "batch_norm": model["batch_norm"], "dropout": model["dropout"],
        "optimizer": fit["optimizer"], "step_size": fit["step_size"],
        "schedule": fit["schedule"], "batch_size": fit["batch_size"],
    }  # fmt: skip
    found = {k: v for k, v in wanted.items() if k in space and space[k].holds(v)}
    if "width" in space:
        found |= {f"width_{i}": n for i, n in enumerate(hidden, 1) if space["width"].holds(n)}
    return found


def by_recipe(task: str, rows: int, *, searched: Sequence[str] = ARCHITECTURE) -> dict[str, Any]:
    """What restricts the space to the names `searched`: all else as the recipe has it, and no l2.

    >>> sorted(restricted(given=by_recipe("regression", 500))["depth"].to_json())
    ['from', 'log', 'to', 'whole']
    >>> by_recipe("regression", 500)["optimizer"]
    'AdamW'
    """
    found = recipe(task, rows, 1)
    known = {**found["fit"], **found["model"], "l2": 0.0}
    return {name: known[name] for name in SPACE if name not in searched}
