"""Chains of elementwise operations on vectors of 1e3 to 1e8 float32 numbers.

Chained, they need one pass over memory: `line` is three reads and a write with hardly any
arithmetic, `curve` has a tanh and an exp for one read and one write.
"""

from __future__ import annotations

import numpy as np

from benchmarks.speed.contender import Workload
from benchmarks.speed.workloads import builders


def curve(xp, x):
    return xp.tanh(1.5 * x + 0.5) * x + xp.exp(-x * x)


def line(xp, x, y, z):
    return 0.5 * x * y + z * (1.0 - y) - 0.25 * x


def function(xp):
    """The chain by its number of arguments."""
    return lambda *arrays: (curve if len(arrays) == 1 else line)(xp, *arrays)


def inputs(rng, chain, size):
    count = {"curve": 1, "line": 3}[chain]
    return tuple(rng.normal(size=(count, size)).astype(np.float32))


def traffic(chain, size) -> float:
    return 4.0 * size * {"curve": 2, "line": 4}[chain]


def draw(rng) -> dict:
    return {
        "chain": str(rng.choice(["curve", "line"])),
        "size": int(np.exp(rng.uniform(np.log(300), np.log(3e7)))),
    }


workload = Workload(
    name="elementwise",
    cases={
        f"{chain}, 1e{power} elements": {"chain": chain, "size": 10**power}
        for chain in ("curve", "line") for power in range(3, 9)
    },
    inputs=inputs,
    contenders={
        "chainrule": builders.chainrule(lambda cr: function(np)),
        "numpy": builders.with_numpy(function(np)),
        "jax": builders.jax(lambda jax: function(jax.numpy)),
        "torch": builders.torch(function),
        "torch.compile": builders.torch_compile(function),
    },
    traffic=lambda sizes: traffic(**sizes),
    draw=draw,
    tolerance=1e-6,
    figure="bandwidth",
)  # fmt: skip
