"""Sums, means, variances and log-sum-exps of float32 matrices, along rows and along columns."""

from __future__ import annotations

import numpy as np

from benchmarks.speed.contender import Workload
from benchmarks.speed.workloads import builders


def logsumexp(x, axis):
    """As users of NumPy write it."""
    top = np.max(x, axis, keepdims=True)
    return np.log(np.sum(np.exp(x - top), axis)) + np.squeeze(top, axis)


def with_numpy(x, reduction, axis):
    return {"sum": np.sum, "mean": np.mean, "var": np.var, "logsumexp": logsumexp}[reduction](
        x, axis
    )


def with_jax(jax):
    functions = {"logsumexp": jax.scipy.special.logsumexp}
    for name in ("sum", "mean", "var"):
        functions[name] = getattr(jax.numpy, name)
    return lambda reduction, axis: lambda x: functions[reduction](x, axis)


def with_torch(torch):
    functions = {name: getattr(torch, name) for name in ("sum", "mean", "logsumexp")}
    functions["var"] = lambda x, axis: torch.var(x, axis, correction=0)
    return lambda reduction, axis: lambda x: functions[reduction](x, axis)


def inputs(rng, reduction, axis, shape):
    return rng.normal(size=shape).astype(np.float32), reduction, axis


def builder(make, transformed):
    """A builder whose function has the reduction and the axis fixed."""

    def build(inputs):
        x, reduction, axis = inputs
        return make(lambda library: transformed(library)(reduction, axis))((x,))

    return build


def with_chainrule(cr):
    return lambda reduction, axis: lambda x: with_numpy(x, reduction, axis)


def draw(rng) -> dict:
    rows, columns = (int(n) for n in np.exp(rng.uniform(np.log(10), np.log(5000), 2)))
    return {
        "reduction": str(rng.choice(["sum", "mean", "var", "logsumexp"])),
        "axis": int(rng.integers(2)), "shape": [rows, columns],
    }  # fmt: skip


workload = Workload(
    name="reductions",
    cases={
        f"{reduction} along axis {axis}, {side} x {side}":
            {"reduction": reduction, "axis": axis, "shape": [side, side]}
        for reduction in ("sum", "mean", "var", "logsumexp") for axis in (0, 1)
        for side in (256, 8192)
    },
    inputs=inputs,
    contenders={
        "chainrule": builder(builders.chainrule, with_chainrule),
        "numpy": lambda inputs: builders.with_numpy(with_numpy)(inputs),
        "jax": builder(builders.jax, with_jax),
        "torch": builder(builders.torch, with_torch),
        "torch.compile": builder(builders.torch_compile, with_torch),
    },
    traffic=lambda sizes: 4.0 * float(np.prod(sizes["shape"])),
    draw=draw,
    tolerance=1e-5,
    figure="bandwidth",
)  # fmt: skip
