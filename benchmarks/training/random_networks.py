"""Random networks: compiled training steps against the reference evaluator.

    python -m benchmarks.training.random_networks [--seconds 300] [--first 0] [--dtype d]

Draws networks of one to five layers with random options (convolutions with strides, padding,
dilation and groups, pooling, norms, LSTMs, attention, residual and dense blocks, dropout) and a
random batch, and compares, compiled and evaluated: the loss, the gradients by the input and by
every parameter, and the running statistics. Prints each one that differs by more than 1e-8 of the
largest gradient (1e-3 in float32), with its seed, and writes how many were run to
`benchmarks/results/random_networks.md`. The tests hold two networks with every layer.

In float32 a network may be beyond its digits. In seed 34 three equal values pass through several
norms: evaluator and compiled code both give 0 for a gradient that is 1.87 in float64, and differ in
others by 3e-2.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.nn.builders import build, described

ROOT = Path(__file__).parents[2]

SMOOTH = ["tanh", "gelu", "swish", "softplus", "elu", "sigmoid", "softmax", "leaky_relu"]
FORMS = ["plain", "batch_norm", "pre_activation"]


class Draw:
    """Random choices of one network: `size(low, high)` both included, `one_of(list)`."""

    def __init__(self, seed: int, dtype: str):
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype

    def size(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def one_of(self, choices: list):
        return choices[self.size(0, len(choices) - 1)]

    def made(self) -> dict:
        return {"dtype": self.dtype, "rng": self.size(0, 99)}

    def divisor(self, n: int, most: int) -> int:
        return self.one_of([d for d in range(1, most + 1) if n % d == 0])


def _dense(d: Draw, c: int, window: int) -> nn.Module:
    return nn.DenseBlock(c, d.size(1, 3), 2, window=window, bottleneck=d.size(0, 2),
                         activation="tanh", **d.made())  # fmt: skip


SEQUENCES: list[Callable[[Draw, int], nn.Module]] = [
    lambda d, c: nn.Conv1d(c, d.size(1, 8), d.size(1, 3), padding=d.one_of(["same", 1]),
                           strides=d.size(1, 2), **d.made()),
    lambda d, c: nn.LSTM(c, d.size(1, 8), **d.made()),
    lambda d, c: nn.MultiHeadAttention(c, d.divisor(c, 4), causal=d.one_of([True, False]),
                                       dropout=d.one_of([0.0, 0.3]), **d.made()),
    lambda d, c: nn.LayerNorm(c, dtype=d.dtype),
    lambda d, c: nn.BatchNorm(c, dtype=d.dtype),
    lambda d, c: nn.Linear(c, d.size(1, 40), **d.made()),
    lambda d, c: nn.Activation(d.one_of(SMOOTH)),
    lambda d, c: _dense(d, c, 0),
    lambda d, c: nn.ResidualBlock(c, d.size(1, 4), form=d.one_of(FORMS), activation="tanh",
                                  **d.made()),
]  # fmt: skip


def _conv2d(d: Draw, c: int) -> nn.Module:
    groups = d.divisor(c, 3)
    return nn.Conv2d(
        c, groups * d.size(1, 5), (d.size(1, 3), d.size(1, 3)), groups=groups,
        padding=d.one_of(["same", 1, ((1, 2), (0, 1))]), strides=(d.size(1, 2), d.size(1, 2)),
        dilation=d.size(1, 2), bias=d.one_of([True, False]), **d.made(),
    )  # fmt: skip


IMAGES: list[Callable[[Draw, int], nn.Module]] = [
    _conv2d, _conv2d,
    lambda d, c: nn.MaxPool2d((d.size(1, 2), d.size(1, 2)), d.size(1, 2), "same"),
    lambda d, c: nn.MeanPool2d((d.size(1, 3), d.size(1, 3)), d.size(1, 2), "same"),
    lambda d, c: nn.BatchNorm(c, dtype=d.dtype),
    lambda d, c: nn.ResidualBlock2d(c, c + d.size(0, 3), strides=d.size(1, 2),
                                    shortcut=d.one_of(["projection", "zeros"]),
                                    form=d.one_of(FORMS), activation="tanh", **d.made()),
    lambda d, c: _dense(d, c, 3),
    lambda d, c: nn.Bottleneck2d(c, d.size(1, 3), strides=d.size(1, 2), activation="tanh",
                                 **d.made()),
    lambda d, c: nn.Dropout(0.2),
]  # fmt: skip


def network(d: Draw, images: bool) -> tuple[nn.Sequential, np.ndarray]:
    """A network, and a batch for it."""
    spatial = (d.size(4, 11), d.size(4, 11)) if images else (d.size(3, 11),)
    x = d.rng.normal(size=(d.size(1, 5), *spatial, d.size(1, 6))).astype(d.dtype)
    layers, y = [], x
    for _ in range(d.size(1, 4)):
        layers.append(d.one_of(IMAGES if images else SEQUENCES)(d, y.shape[-1]))
        y = layers[-1](y)
    layers.append(d.one_of([nn.GlobalMeanPool(), nn.AdaptiveMeanPool(2), nn.AdaptiveMaxPool(2),
                            nn.Flatten()]))  # fmt: skip
    model = nn.Sequential(*layers)
    for array in model.parameters():
        array += 0.3 * d.rng.normal(size=array.shape)
    return model, x


def slopes(model, x, rng):
    """The loss, and its gradients by model and input."""
    return cr.value_and_grad(
        lambda m, x: np.sum(np.sin(m(x, training=True, rng=rng))), argnums=(0, 1)
    )(model, x)


COMPILED = {"kinks": "convention", "stabilize": False}


def difference(model: nn.Sequential, x: np.ndarray) -> float:
    """The largest difference, by the largest gradient."""
    native = build(described(model))
    for a, b in zip(native.parameters(), model.parameters(), strict=True):
        a[...] = b
    value, (grads, by_x) = slopes(model, x, cr.random.default_rng(0))
    found, (native_grads, native_by_x) = cr.compile(slopes, **COMPILED)(
        native, x, cr.random.default_rng(0)
    )
    wanted = [value, by_x, *grads.parameters(), *(a for _, a in model.named_state())]
    got = [found, native_by_x, *native_grads.parameters(), *(a for _, a in native.named_state())]
    size = max(1.0, *(np.abs(g).max() for g in [*grads.parameters(), by_x]))
    return max(float(np.abs(a - b).max()) for a, b in zip(wanted, got, strict=True)) / size


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--dtype", choices=["d", "f"], default="d")
    options = parser.parse_args()
    allowed = 1e-8 if options.dtype == "d" else 1e-3
    end, seed = time.monotonic() + options.seconds, options.first
    ran, wrong, worst = 0, [], 0.0
    while time.monotonic() < end:
        seed += 1
        try:
            model, x = network(Draw(seed, options.dtype), images=bool(seed % 2))
            if not model.parameters():
                continue
            found = difference(model, x)
        except cr.errors.ShapeError:  # a window larger than its image, or a norm of one value
            continue
        ran, worst = ran + 1, max(worst, found)
        if not found <= allowed:
            wrong.append(seed)
            print(f"seed {seed}: {found:.2e} {x.shape} {model}", flush=True)
    line = (
        f"{ran} random networks, {'float64' if options.dtype == 'd' else 'float32'}, seeds from "
        f"{options.first + 1}: {len(wrong)} differ by more than {allowed:g}; largest {worst:.1e}."
    )
    print(line)
    results = ROOT / "benchmarks" / "results" / "random_networks.md"
    kept = results.read_text().splitlines() if results.exists() else [TITLE, ""]
    rows = [row for row in kept if row.startswith("- ")] + [f"- {line}"]
    results.write_text("\n".join([TITLE, "", *sorted(set(rows)), ""]))
    return 1 if wrong else 0


TITLE = "# Random networks: compiled training steps against the evaluator"

if __name__ == "__main__":
    sys.exit(main())
