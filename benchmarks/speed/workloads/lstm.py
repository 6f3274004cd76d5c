"""ADBench's LSTM: the gradient of a character model's loss along a sequence.

Its gates are elementwise, so a step is a few hundred operations on vectors of 14 numbers: what
counts is the cost of a step of the loop. JAX scans, unrolled by 8; torch and autograd run a Python
loop (compiled by torch, its thousand steps would be unrolled, so it has no compiled form here).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.speed.contender import Workload
from benchmarks.speed.workloads import adbench, builders


def step(xp, main, extra, state, x):
    """main: (2 L, 4 B), extra: (3, B), state: (2 L, B), x: (B) -> prediction, new state."""
    x, new = x * extra[0], []
    for layer in range(0, len(state), 2):
        hidden, cell = state[layer], state[layer + 1]
        gates = xp.concatenate([x, hidden, x, hidden]) * main[layer] + main[layer + 1]
        forget, enter, leave, change = gates.reshape(4, -1)
        cell = cell * sigmoid(xp, forget) + sigmoid(xp, enter) * xp.tanh(change)
        x = sigmoid(xp, leave) * xp.tanh(cell)
        new += [x, cell]
    return x * extra[1] + extra[2], xp.stack(new)


def sigmoid(xp, z):
    return 1 / (1 + xp.exp(-z))


def score(xp, prediction, next_character):
    return xp.sum(next_character * (prediction - xp.log(2 + xp.sum(xp.exp(prediction)))))


def objective(scan, xp, main, extra, state, sequence):
    """The loss with a library's scan."""

    def body(state, pair):
        prediction, state = step(xp, main, extra, state, pair[0])
        return state, score(xp, prediction, pair[1])

    _, scores = scan(body, state, (sequence[:-1], sequence[1:]))
    return -xp.sum(scores) / sequence[1:].size


def objective_in_a_loop(xp, main, extra, state, sequence):
    """The same as a Python loop."""
    total = 0.0
    for t in range(len(sequence) - 1):
        prediction, state = step(xp, main, extra, state, sequence[t])
        total = total + score(xp, prediction, sequence[t + 1])
    return -total / sequence[1:].numel() if xp.__name__ == "torch" else (-total / sequence[1:].size)


def with_any(library, *inputs):
    if library == "chainrule":
        import chainrule as cr

        return objective(cr.scan, np, *inputs)
    if library == "jax":
        import jax

        return objective(partial(jax.lax.scan, unroll=8), jax.numpy, *inputs)
    if library == "torch":
        import torch

        return objective_in_a_loop(torch, *inputs)
    import autograd.numpy

    return objective_in_a_loop(autograd.numpy, *inputs)


def inputs(rng, layers, length, bits):
    """ADBench's file, or uniform numbers of its scale and random characters."""
    file = adbench.numbers(f"lstm_l{layers}_c{length}.txt")
    if file is not None and bits == 14:
        file.take(3)
        arrays = file.take(2 * layers, 4 * bits), file.take(3, bits), file.take(2 * layers, bits)
        return *arrays, file.rest(length, bits)
    shapes = (2 * layers, 4 * bits), (3, bits), (2 * layers, bits)
    main, extra, state = (rng.uniform(size=shape) for shape in shapes)
    return main, extra, state, rng.integers(0, 2, (length, bits)).astype(float)


def draw(rng) -> dict:
    layers, length, bits = (int(rng.integers(*ends)) for ends in ((1, 4), (100, 1500), (6, 40)))
    return {"layers": layers, "length": length, "bits": bits}


workload = Workload(
    name="lstm",
    cases={
        "ADBench LSTM, 2 layers, 1024 characters, gradient":
            {"layers": 2, "length": 1024, "bits": 14},
    },
    inputs=inputs,
    contenders=builders.gradients(with_any, 2, leave_out=("torch.compile",)),
    traffic=lambda sizes: 8.0 * sizes["bits"] * (sizes["length"] + 20 * sizes["layers"] + 6),
    draw=draw,
    tolerance=1e-9,
    double=True,
    objectives=3,
)  # fmt: skip
