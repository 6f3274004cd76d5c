"""Speed of generated convolutions on one thread, beside PyTorch's (channels last), in one run.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.convolutions [NAME ...]

prints a table (only the rows whose names hold one of the NAMEs): the layer, as images x height x
width x channels -> channels, window and stride, padding "same"; the product; GFLOP/s of the
generated kernel and its share of the ceiling, a loop of independent fma; GFLOP/s of PyTorch, where
it is installed. Both are called from Python and timed in turn; the best of the rounds counts.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is loaded

import ctypes
import sys
import time

import numpy as np

import chainrule  # noqa: F401  (registers every operation)
from benchmarks.speed import machine
from chainrule.compiler.emitters import EMITTERS
from chainrule.compiler.kernel import Site, contiguous_place
from chainrule.compiler.machine_code import Loaded, object_code
from chainrule.ops.windows import convolution, transposed_padding
from chainrule.program.op import REGISTRY
from chainrule.program.types import type_of

try:
    import torch
except ImportError:
    torch = None

ROUNDS, SECONDS = 12, 0.04  # rounds of so long each

LAYERS = [  # of residual networks on CIFAR, a dense block's, one of the middle of ResNet-50
    (32, 32, 32, 3, 16, 3, 1), (32, 32, 32, 16, 16, 3, 1), (32, 32, 32, 16, 32, 3, 2),
    (32, 16, 16, 32, 32, 3, 1), (32, 16, 16, 32, 64, 3, 2), (32, 8, 8, 64, 64, 3, 1),
    (32, 32, 32, 16, 32, 1, 2), (32, 32, 32, 40, 12, 3, 1), (8, 14, 14, 256, 256, 3, 1),
]  # fmt: skip


def products(n: int, height: int, width: int, c: int, d: int, k: int, s: int):
    """(product, operation, inputs, params, torch's call) of a layer, and its flops."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, height, width, c)).astype("f")
    w = rng.standard_normal((k, k, c, d)).astype("f")
    padding, ones = (((k - 1) // 2,) * 2,) * 2, (1, 1)
    params = dict(strides=(s, s), padding=padding, x_dilation=ones, w_dilation=ones, groups=1)
    y = convolution(x, w, **params)
    back = transposed_padding(x.shape[1:3], (k, k), (s, s), padding, ones, ones)
    turned = np.ascontiguousarray(w[::-1, ::-1].transpose(0, 1, 3, 2))
    moved = params | dict(strides=ones, padding=back, x_dilation=(s, s))
    calls = torch_calls(x, w, y, k, s) if torch else (None,) * 3
    return 2 * y.size * k * k * c, [
        ("value", "convolution", (x, w), params, calls[0]),
        ("by x", "convolution", (y, turned), moved, calls[1]),
        ("by w", "convolution_weights", (x, y), params | dict(window=(k, k)), calls[2]),
    ]


def torch_calls(x, w, y, k: int, s: int):
    """The same products by PyTorch, images and weights in channels-last order."""
    torch.set_num_threads(1)
    image, ct = (torch.from_numpy(v).permute(0, 3, 1, 2) for v in (x, y))
    weights = torch.from_numpy(w).permute(3, 2, 0, 1)
    weights = weights.contiguous(memory_format=torch.channels_last)
    padding = [(k - 1) // 2] * 2

    def back(mask):
        return lambda: torch.ops.aten.convolution_backward(
            ct, image, weights, None, [s, s], padding, [1, 1], False, [0, 0], 1, mask
        )

    value = torch.nn.functional.conv2d
    return (
        lambda: value(image, weights, stride=s, padding=padding),
        back([True, False, False]),
        back([False, True, False]),
    )


def native(op: str, inputs, params):
    """A call of the kernel, and its output."""
    places = tuple(contiguous_place(type_of(x)) for x in inputs)
    types = REGISTRY[op].type_rule(*[p.type for p in places], **params)
    site = Site(op, params, places, tuple(map(contiguous_place, types)))
    kernel = EMITTERS[op](site)
    assert kernel is not None
    texts = [
        p.text.replace("define internal", "define").replace("@@", f"@phase{i}", 1)
        for i, p in enumerate(kernel.phases)
    ]
    loaded = Loaded(object_code("\n".join(texts)))
    form = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    phases = [(form(loaded.address(f"phase{i}")), p.tasks) for i, p in enumerate(kernel.phases)]
    out = np.zeros(types[0].shape, types[0].dtype)
    scratch = np.zeros(kernel.scratch + 64, np.uint8)
    pointers = [a.ctypes.data for a in (*inputs, out)] + [-(-scratch.ctypes.data // 64) * 64]
    table = (ctypes.c_void_p * len(pointers))(*pointers)

    def call(keep=(loaded, scratch, inputs)):
        for phase, tasks in phases:
            phase(ctypes.addressof(table), 0, tasks)

    return call, out


def best_of(calls) -> list[float]:
    """Seconds of a call of each, the best; they are timed in turn."""
    best = [float("inf")] * len(calls)
    for call in calls:
        call()
    for _ in range(ROUNDS):
        for i, call in enumerate(calls):
            stop = time.perf_counter() + SECONDS
            while (start := time.perf_counter()) < stop:
                call()
                best[i] = min(best[i], time.perf_counter() - start)
    return best


def main(names: list[str]) -> None:
    top = machine.measured(1)["fma_float32"] / 1e9
    print(f"ceiling {top:.0f} GFLOP/s (float32)")
    print(f"{'layer':32} {'product':8} {'ours':>7} {'share':>6} {'torch':>7}")
    for layer in LAYERS:
        n, height, width, c, d, k, s = layer
        name = f"{n}x{height}x{width}x{c} -> {d}, {k}x{k} / {s}"
        if names and not any(part in name for part in names):
            continue
        flops, rows = products(*layer)
        for product, op, inputs, params, other in rows:
            call, out = native(op, inputs, params)
            seconds = best_of([call, other] if other else [call])
            expected = REGISTRY[op].evaluate(*inputs, **params)
            assert np.abs(out - expected).max() < 1e-4 * np.abs(expected).max()
            speeds = [flops / t / 1e9 for t in seconds]
            beside = f"{speeds[1]:7.1f}" if other else ""
            print(f"{name:32} {product:8} {speeds[0]:7.1f} {speeds[0] / top:6.0%} {beside}")


if __name__ == "__main__":
    main(sys.argv[1:])
