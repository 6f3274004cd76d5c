"""What a budget costs: a deep network's gradient, with its activations kept and within their root.

    OPENBLAS_NUM_THREADS=1 CHAINRULE_THREADS=1 python benchmarks/memory.py [LAYERS]

prints a table: the backend and the activation function; the bytes that a call allocates without a
budget and with the smallest of 2 to 5 times sqrt(LAYERS) activations (and the results) that fits,
in activations; the predicted ratio of flops and the measured ratio of times. The two are timed in
turn; the best of the rounds counts. Last, the gradient that NumPy users write by hand, beside ours
without a budget: bytes and time.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is loaded

import sys
import time
import tracemalloc

import numpy as np

import chainrule as cr
from chainrule import errors

WIDTH, BATCH, ROUNDS = 128, 512, 12
ACTIVATIONS = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0.0)}


def network(layers: int, activation):
    """A loss of weights and biases, and these."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH) for _ in range(layers)]
    biases = [np.zeros(WIDTH) for _ in range(layers)]
    x = rng.normal(size=(BATCH, WIDTH))

    def loss(weights, biases):
        h = x
        for w, b in zip(weights, biases, strict=True):
            h = activation(h @ w + b)
        return np.mean(h**2)

    return loss, (weights, biases), x


def by_hand(weights, biases, x):
    """The gradient of a tanh network, written out."""
    kept = [x]
    for w, b in zip(weights, biases, strict=True):
        kept.append(np.tanh(kept[-1] @ w + b))
    out = kept.pop()
    moving = 2.0 / out.size * out * (1.0 - out**2)
    found = []
    for w in reversed(weights):
        before = kept.pop()
        found.append((before.T @ moving, moving.sum(axis=0)))
        if kept:
            moving = (moving @ w.T) * (1.0 - before**2)
    return found


def allocated(run) -> int:
    """The most bytes that a call has allocated at once."""
    run()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    run()
    most = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return most


def timed(*runs) -> list[float]:
    """The best time of each, taken in turn."""
    best = [np.inf] * len(runs)
    for _ in range(ROUNDS):
        for i, run in enumerate(runs):
            start = time.perf_counter()
            run()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def within_root(make, layers: int, unit: int, results: int, args):
    """The derivative for the smallest budget of a few roots of the layers, and its factor."""
    for factor in (2.0, 2.5, 3.0, 4.0, 5.0):
        derivative = make(int(factor * np.sqrt(layers) * unit) + results)
        try:
            derivative(*args)
        except errors.BudgetTooSmall:
            continue
        return derivative, factor
    raise SystemExit("no budget of five roots of the layers is met")


def row(backend: str, name: str, layers: int) -> str:
    loss, args, x = network(layers, ACTIVATIONS[name])
    unit, results = x.nbytes, sum(a.nbytes for tree in args for a in tree)
    if backend == "compiled":
        free = cr.compile(cr.grad(loss, (0, 1)))
        lean, factor = within_root(
            lambda m: cr.compile(cr.grad(loss, (0, 1)), memory=m), layers, unit, results, args
        )
        taken = [cr.explain(f, *args).memory.predicted for f in (free, lean)]
    else:
        free = cr.grad(loss, (0, 1))
        lean, factor = within_root(
            lambda m: cr.grad(loss, (0, 1), memory=m), layers, unit, results, args
        )
        taken = [allocated(lambda f=f: f(*args)) for f in (free, lean)]
    plan = cr.explain(lean, *args)
    plan = plan.memory if backend == "compiled" else plan
    flops = plan.flops / (plan.flops - plan.flops_again)
    times = timed(lambda: free(*args), lambda: lean(*args))
    return (
        f"{backend:10} {name:6} {taken[0] / unit:8.1f} {taken[1] / unit:8.1f} {factor:6.1f} "
        f"{flops:8.3f} {times[0] * 1e3:9.1f} ms {times[1] / times[0]:8.3f}"
    )


def main() -> None:
    layers = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print(f"{layers} layers of {WIDTH}, batch {BATCH}, float64; memory in activations")
    print("backend    act.       free   budget  roots    flops         free    times")
    for backend in ("evaluated", "compiled"):
        for name in ACTIVATIONS:
            print(row(backend, name, layers), flush=True)
    loss, args, x = network(layers, np.tanh)
    ours, theirs = cr.grad(loss, (0, 1)), by_hand
    bytes_ = [allocated(lambda: ours(*args)), allocated(lambda: theirs(*args, x))]
    times = timed(lambda: ours(*args), lambda: theirs(*args, x))
    print(
        f"by hand (tanh): {bytes_[1] / x.nbytes:.1f} activations, ours {bytes_[0] / x.nbytes:.1f}; "
        f"ours takes {times[0] / times[1]:.2f} of its time"
    )


if __name__ == "__main__":
    main()
