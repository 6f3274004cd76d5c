"""Many small matrices at once: factorisation, solution, and the gradient of a likelihood, float64.

The likelihood is a normal distribution's, for each of N covariances and one vector each: the sum of
log det A + b' A^-1 b, by Cholesky's factor where the library has it.
"""

from __future__ import annotations

import numpy as np

from benchmarks.speed.contender import Workload
from benchmarks.speed.workloads import builders


def cholesky(xp, a, b):
    return xp.linalg.cholesky(a)


def solve(xp, a, b):
    """a: (N, n, n), b: (N, n, 1)."""
    return xp.linalg.solve(a, b)


def likelihood(xp, a, b):
    """Of a's symmetric part: libraries differ in which half of it their derivatives go to."""
    a = 0.5 * (a + xp.swapaxes(a, 1, 2))
    factor = xp.linalg.cholesky(a)
    logarithms = xp.log(xp.diagonal(factor, 0, -2, -1))
    return 2 * xp.sum(logarithms) + xp.sum(b * xp.linalg.solve(a, b))


PLAIN = {"cholesky": cholesky, "solve": solve}


def transformed(xp, grad):
    """The row's function of (a, b): a plain one, or the likelihood's gradient by both."""

    def make(task):
        if task in PLAIN:
            return lambda a, b: PLAIN[task](xp, a, b)
        return grad(lambda a, b: likelihood(xp, a, b), (0, 1))

    return make


def inputs(rng, task, count, n):
    """Positive definite matrices of mild condition."""
    a = rng.normal(size=(count, n, n))
    return a @ a.transpose(0, 2, 1) + n * np.eye(n), rng.normal(size=(count, n, 1)), task


def builder(make, library):
    """A builder for the row's task; `library(module)` gives NumPy's functions and grad."""

    def build(inputs):
        a, b, task = inputs
        return make(lambda module: transformed(*library(module))(task))((a, b))

    return build


def with_numpy(inputs):
    a, b, task = inputs
    if task == "gradient":
        return builders.with_numpy(gradient_by_hand)((a, b))
    return builders.with_numpy(lambda a, b: PLAIN[task](np, a, b))((a, b))


def gradient_by_hand(a, b):
    """What the gradient comes to: A^-1 - x x' and 2 x, with x = A^-1 b; A^-1 b once, and A^-1."""
    inverse = np.linalg.inv(a)
    x = inverse @ b
    return inverse - x * x.transpose(0, 2, 1), 2 * x


def flops(task, count, n) -> float:
    """n^3 / 3 a factor (2 n^3 / 3 for a general matrix), 2 n^2 a solution; thrice for gradients."""
    factor, general = n**3 / 3, 2 * n**3 / 3 + 2 * n**2
    return count * {"cholesky": factor, "solve": general, "gradient": 3 * (factor + general)}[task]


def traffic(task, count, n) -> float:
    square = {"cholesky": 2, "solve": 1, "gradient": 2}[task]
    return 8.0 * count * (square * n * n + 2 * n)


def draw(rng) -> dict:
    return {
        "task": str(rng.choice(["cholesky", "solve", "gradient"])),
        "count": int(rng.integers(100, 3000)), "n": int(rng.integers(2, 33)),
    }  # fmt: skip


workload = Workload(
    name="small-linear-algebra",
    cases={
        f"{what} of 1000 8x8 matrices": {"task": task, "count": 1000, "n": 8}
        for task, what in (
            ("cholesky", "Cholesky factors"), ("solve", "solutions"),
            ("gradient", "gradient of a normal likelihood"),
        )
    },
    inputs=inputs,
    contenders={
        "chainrule": builder(builders.chainrule, lambda cr: (np, cr.grad)),
        "numpy": with_numpy,
        "jax": builder(builders.jax, lambda jax: (jax.numpy, jax.grad)),
        "torch": builder(builders.torch, lambda torch: (torch, torch.func.grad)),
        "torch.compile":
            builder(builders.torch_compile, lambda torch: (torch, torch.func.grad)),
    },
    flops=lambda sizes: flops(**sizes),
    traffic=lambda sizes: traffic(**sizes),
    draw=draw,
    tolerance=1e-9,
    double=True,
)  # fmt: skip
