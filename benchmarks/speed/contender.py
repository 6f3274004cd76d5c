"""What a workload is made of: its rows, its inputs, and everybody's way to do it.

A workload is one file of `workloads/`, with one `Workload` named `workload`. It names a builder for
each contender: a function from the inputs to a `Contender`, which imports its library itself, since
every contender runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

OURS = "chainrule"  # contenders whose names start so are ours, all others are peers
OBJECTIVE = "chainrule objective"  # the function itself, where the row is about its derivative


@dataclass
class Contender:
    """One library's way to do the work, ready to be called.

    `call()` does the work once and returns when it is done. `check()` returns arrays that all
    contenders must agree on, computed from the row's own start. `steps` is how many times the
    row's unit of work one call does.
    """

    call: Callable[[], Any]
    check: Callable[[], list]
    steps: int = 1


@dataclass
class Workload:
    """One subject of the benchmark, as rows of different sizes.

    `cases` are the rows, title -> sizes; `draw(rng)` makes sizes at random. `inputs(rng, **sizes)`
    makes what all builders are given. `flops` and `traffic` give, from the sizes, the
    multiplications and additions of one unit of work, and the bytes that it must at least move.
    `tolerance` bounds the relative difference, in the norm of each array, that contenders may have;
    `loose` does for all arrays but the first, where rounding is known to grow.
    `double` tells JAX to compute in float64. `leave_out(contender, sizes)` says who has no part.

    The figure to reach: for "ratio" 1.5 times the best peer or 85 % of the roofline, for
    "bandwidth" the best peer within the caches and 90 % of the copy bandwidth beyond them.
    `objectives` bounds the time in evaluations of the objective, `seconds` in seconds.
    """

    name: str
    cases: dict[str, dict]
    inputs: Callable[..., Any]
    contenders: dict[str, Callable[..., Contender]]
    flops: Callable[[dict], float] = lambda sizes: 0.0
    traffic: Callable[[dict], float] = lambda sizes: 0.0
    draw: Callable[[np.random.Generator], dict] | None = None
    tolerance: float = 1e-4
    loose: float | None = None
    double: bool = False
    figure: str = "ratio"
    objectives: float | None = None
    seconds: float | None = None
    leave_out: Callable[[str, dict], bool] = field(default=lambda name, sizes: False)

    def title(self, sizes: dict) -> str:
        """A row's title for sizes that were drawn at random."""
        return f"{self.name} " + ", ".join(f"{k} {v}" for k, v in sizes.items())


def pure(function: Callable, *args, done: Callable = lambda result: result) -> Contender:
    """A contender that calls a function without effects; `done` waits for its result."""
    call = partial(_finished, function, done, args)
    return Contender(call, lambda: flat(call()))


def immediate(function: Callable, *args) -> Contender:
    """As `pure`, for a function that is done when it returns; nothing is added to its time."""
    call = partial(function, *args)
    return Contender(call, lambda: flat(call()))


def _finished(function, done, args):
    return done(function(*args))


def flat(tree) -> list[np.ndarray]:
    """The arrays of nested tuples, lists and dicts, in order, as NumPy's."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (tuple, list)):
        return [leaf for part in tree for leaf in flat(part)]
    return [np.array(tree.detach() if hasattr(tree, "detach") else tree)]


def difference(workload: Workload, a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """The largest relative difference of two results' arrays, in tolerances: 1 is just allowed."""
    if not a or [x.shape for x in a] != [x.shape for x in b]:
        return float("inf")
    first, *others = (_distance(x, y) for x, y in zip(a, b, strict=True))
    loose = workload.loose or workload.tolerance
    return max(first / workload.tolerance, *(x / loose for x in others), 0.0)


def _distance(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.astype(np.float64), y.astype(np.float64)
    size = max(np.linalg.norm(x), np.linalg.norm(y), 1e-30)
    distance = float(np.linalg.norm(x - y) / size)
    return distance if np.isfinite(distance) else float("inf")
