"""L-BFGS for small problems on the full batch: SciPy's, on a model's parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from chainrule.api import value_and_grad
from chainrule.compiled import compile
from chainrule.optim.optimizer import named_arrays


@dataclass(frozen=True)
class Minimum:
    """Where L-BFGS ended: the loss there, the steps made, and why it stopped, in words."""

    loss: float
    steps: int
    converged: bool
    reason: str


def lbfgs(
    loss: Callable, model, *inputs, steps: int = 500, tolerance: float = 1e-8, memory: int = 10,
    after: Callable[[float], bool] | None = None,
) -> Minimum:  # fmt: skip
    """Minimise `loss(model, *inputs)` over the model's parameters, which change in place.

    The loss must be the same function at each call: the full batch, no dropout. `after(loss)` is
    called after each step, with the parameters where it ended; it ends the search by True.

    **Cost** 2 `memory` times the parameters in memory; one gradient a line-search step.
    **Errors** `ValueError` where the loss is not finite at the start.
    **Source** Liu and Nocedal 1989; SciPy's L-BFGS-B 3.0, without bounds, in float64.

    >>> w = {"w": np.array([3.0, -1.0])}
    >>> found = lbfgs(lambda p: np.sum((p["w"] - 1.0) ** 4), w, tolerance=1e-12)
    >>> found.loss < 1e-8
    True
    """
    slopes = compile(value_and_grad(loss))
    arrays = [a for _, a in named_arrays(model)]
    ends = np.cumsum([a.size for a in arrays])[:-1]

    def enter(x: np.ndarray) -> None:
        for array, part in zip(arrays, np.split(x, ends), strict=True):
            array[...] = part.reshape(array.shape)

    def value(x: np.ndarray):
        enter(x)
        found, gradient = slopes(model, *inputs)
        parts = [np.ravel(g).astype(np.float64) for _, g in named_arrays(gradient)]
        return float(found), np.concatenate(parts)

    start = np.concatenate([np.ravel(a).astype(np.float64) for a in arrays])
    first = value(start)[0]
    if not np.isfinite(first):
        raise ValueError(f"the loss is {first} at the start.")
    def stepped(intermediate_result) -> None:
        enter(intermediate_result.x)
        if after is not None and after(float(intermediate_result.fun)):
            raise StopIteration

    found = import_module("scipy.optimize").minimize(
        value, start, jac=True, method="L-BFGS-B", callback=stepped,
        options={"maxiter": steps, "ftol": tolerance, "gtol": tolerance, "maxcor": memory},
    )  # fmt: skip
    enter(found.x)
    return Minimum(float(found.fun), int(found.nit), bool(found.success), str(found.message))
