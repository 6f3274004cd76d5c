"""Time per operation of an uncompiled gradient, beside HIPS autograd, in one run.

    python benchmarks/overhead.py            prints a table; --write also writes results/overhead.*

Every round measures each library once, in turn, so that a slow moment of the machine hits all;
figures are medians over the rounds. Before timing, both gradients are checked to agree.

The linear-cost rows compare a function of 1,000 operations with one of 10,000 (traced,
differentiated and validated, nothing kept from before), and loops that read and write `x[i]`.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median

import autograd
import autograd.numpy as anp
import numpy as np
from sklearn.datasets import load_digits

import chainrule as cr

ROUNDS = 15


def seconds(function, *args) -> float:
    """One call's time."""
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def side_by_side(candidates: dict, *args) -> dict[str, float]:
    """Median seconds of each candidate, measured in turn."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, function in candidates.items():
            times[name].append(seconds(function, *args))
    return {name: median(values) for name, values in times.items()}


def thousand_operations(xp):
    """A function of 1,000 small operations: 250 times sin, times 0.5, x * y, plus."""

    def f(x):
        y = x
        for _ in range(250):
            y = xp.sin(y) * 0.5 + x * y
        return xp.sum(y)

    return f


def digits_loss(xp):
    """The loss of a 64-128-64-10 network on a batch of 32 digits."""
    images, labels = load_digits(return_X_y=True)
    x, targets = images[:32] / 16.0, np.eye(10)[labels[:32]]

    def loss(parameters):
        hidden = x
        for weight, bias in parameters[:-1]:
            hidden = xp.maximum(xp.dot(hidden, weight) + bias, 0.0)
        weight, bias = parameters[-1]
        z = xp.dot(hidden, weight) + bias
        z = z - xp.max(z, axis=1, keepdims=True)
        log_probability = z - xp.log(xp.sum(xp.exp(z), axis=1, keepdims=True))
        return -xp.sum(targets * log_probability) / 32.0

    return loss


def network_parameters():
    rng = np.random.default_rng(0)
    sizes = (64, 128, 64, 10)
    return [
        (rng.normal(0.0, np.sqrt(2.0 / n), (n, m)), np.zeros(m))
        for n, m in pairwise(sizes)
    ]


def overhead_rows() -> list[dict]:
    rows = []
    ours = cr.grad(thousand_operations(np))
    theirs = autograd.grad(thousand_operations(anp))
    for x in (0.3, np.linspace(0.0, 1.0, 10), np.linspace(0.0, 1.0, 1000)):
        assert np.allclose(ours(x), theirs(x), rtol=1e-12)
        found = side_by_side({"chainrule": ours, "autograd": theirs}, x)
        rows.append(row(f"1,000 operations, shape {np.shape(x)}, us/operation", found, 1e6 / 1000))
    parameters = network_parameters()
    ours, theirs = cr.grad(digits_loss(np)), autograd.grad(digits_loss(anp))
    for a, b in zip(ours(parameters), theirs(parameters), strict=True):
        assert np.allclose(a[0], b[0], rtol=1e-10, atol=1e-12)
    found = side_by_side({"chainrule": ours, "autograd": theirs}, parameters)
    rows.append(row("gradient of the digits network, batch 32, us", found, 1e6))
    return rows


def row(name: str, found: dict[str, float], factor: float) -> dict:
    out = {"row": name, **{k: round(v * factor, 3) for k, v in found.items()}}
    out["ratio"] = round(found["autograd"] / found["chainrule"], 2)
    return out


# --- linear cost ----------------------------------------------------------------------------------


def chain(n: int, seed: int):
    """A function of n operations; the seed makes it a new program, so nothing is kept of it."""

    def f(x):
        y = x
        for i in range(n // 4):
            y = np.sin(y) * x + y * (0.5 + 1e-6 * (seed + i))
        return y

    return f


def derive(n: int, seed: int) -> None:
    """Trace, differentiate, evaluate once, and validate the derivative of a chain."""
    gradient = cr.grad(chain(n, seed))
    gradient(0.3)
    cr.trace(gradient, 0.3).validate()


def loop_over_elements(n: int):
    def f(x):
        x = x.copy()
        for i in range(1, n):
            x[i] = 0.5 * x[i] + np.sin(x[i - 1])
        return x[n - 1]

    return f


def linear_rows() -> list[dict]:
    derive(1000, 10**6)
    small = min(seconds(derive, 1000, seed) for seed in range(7))
    large = min(seconds(derive, 10000, seed) for seed in range(5))
    rows = [{
        "row": "trace, differentiate, validate: 10,000 over 1,000 operations", "ratio":
        round(large / small, 2),
    }]  # fmt: skip
    for n in (100, 1000, 10000):
        rows.append(loop_row(n))
    return rows


def loop_row(n: int) -> dict:
    f, x = loop_over_elements(n), np.linspace(0.0, 1.0, n)
    gradient = cr.grad(f)
    space: dict = {}
    exec(cr.source(gradient, x), space)
    printed = next(v for k, v in space.items() if callable(v) and k.startswith("grad"))
    times = {
        "function": lambda: f(x), "grad": lambda: gradient(x),
        "vjp": lambda: cr.vjp(f, x)[1](1.0), "source": lambda: printed(x),
    }  # fmt: skip
    best = {name: min(seconds(call) for _ in range(7)) for name, call in times.items()}
    return {
        "row": f"loop that reads and writes x[i], n = {n}: time / function time",
        **{k: round(best[k] / best["function"], 1) for k in ("grad", "vjp", "source")},
    }


def markdown(rows: list[dict]) -> str:
    lines = ["| row | figures |", "|---|---|"]
    for r in rows:
        figures = ", ".join(f"{k} {v}" for k, v in r.items() if k != "row")
        lines.append(f"| {r['row']} | {figures} |")
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--write", action="store_true", help="write results/overhead.{json,md}")
    chosen = options.parse_args()
    rows = overhead_rows() + linear_rows()
    print(markdown(rows))
    if chosen.write:
        folder = Path(__file__).parent / "results"
        folder.mkdir(exist_ok=True)
        machine = {"processor": platform.machine(), "python": platform.python_version(),
                   "numpy": np.__version__, "autograd": version("autograd")}  # fmt: skip
        text = json.dumps({"machine": machine, "rows": rows}, indent=1)
        (folder / "overhead.json").write_text(text + "\n")
        (folder / "overhead.md").write_text(markdown(rows) + "\n")


if __name__ == "__main__":
    main()
