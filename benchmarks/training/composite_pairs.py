"""Blocks of layers beside the same written in PyTorch's functions, on tensors of our layout.

Slopes that are 0, or small, by cancellation say nothing of a layer: rounding errors alone are left
of them. There are such before a batch norm, by a bias of a channel that is almost constant (with 5
values behind a ReLU ours were 2e-5 from the truth in float32, PyTorch's 2e-4) and by the weights of
channels that come from one or two others (1.1e-5 and 1.2e-5). So norms get 16 values a channel or
more, and bottlenecks three channels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from benchmarks.training.against_torch import Pair
from benchmarks.training.layer_pairs import called, normal, randomised, same
from chainrule import nn


class Tensors:
    """The parameters of our model as PyTorch's tensors, and its state as buffers, by path."""

    def __init__(self, model):
        self.learned = {
            path: torch.from_numpy(a.copy()).requires_grad_()
            for path, a in model.named_parameters()
        }
        self.state = {path: torch.from_numpy(a.copy()) for path, a in model.named_state()}

    def linear(self, x, path: str):
        bias = self.learned.get(f"{path}.bias")
        return functional.linear(x, self.learned[f"{path}.weight"].T, bias)

    def convolution(self, x, path: str, strides: int):
        w = self.learned[f"{path}.weight"].permute(3, 2, 0, 1)
        bias, even = self.learned.get(f"{path}.bias"), w.shape[-1] // 2
        return functional.conv2d(x.movedim(-1, 1), w, bias, strides, even).movedim(1, -1)

    def norm(self, x, path: str):
        out = functional.batch_norm(
            x.movedim(-1, 1), self.state[f"{path}.running_mean"],
            self.state[f"{path}.running_variance"], self.learned[f"{path}.scale"],
            self.learned[f"{path}.shift"], True, 0.1, 1e-5,
        )  # fmt: skip
        return out.movedim(1, -1)

    def pair(self, text: str, x, run, ours) -> Pair:
        parameters = {path: (tensor, same) for path, tensor in self.learned.items()}
        return Pair(text, [x], called(True), run, ours, parameters, self.state)


def residual(rng, dtype) -> Pair:
    n, hidden = rng.integers(2, 9, 2).tolist()
    form = str(rng.choice(nn.residual.FORMS))
    ours = randomised(nn.ResidualBlock(n, hidden, form=form, dtype=dtype), rng)
    x = normal(rng, (int(rng.integers(16, 33)), n), dtype)
    return _residual(ours, form, x, lambda t, x, path: t.linear(x, path), f"({n}, {hidden})")


def residual_images(rng, dtype) -> Pair:
    n, more = rng.integers(1, 5, 2).tolist()
    strides, form = int(rng.integers(1, 3)), str(rng.choice(nn.residual.FORMS))
    m = n if strides == 1 and rng.integers(2) else n + more
    ours = randomised(nn.ResidualBlock2d(n, m, strides=strides, form=form, dtype=dtype), rng)
    x = normal(rng, (3, *(2 * rng.integers(2, 5, 2)).tolist(), n), dtype)

    def weights(tensors, x, path):
        return tensors.convolution(x, path, 1 if path == "second" else strides)

    return _residual(ours, form, x, weights, f"({n}, {m}, strides={strides}) of {x.shape}")


def _residual(ours, form: str, x, weights, text: str) -> Pair:
    tensors, h = Tensors(ours), torch.relu

    def shortcut(x):
        if not any(path.startswith("shortcut") for path in tensors.learned):
            return x
        paths = sorted({p.rpartition(".")[0] for p in tensors.learned if p.startswith("shortcut")})
        out = weights(tensors, x, paths[0])
        return tensors.norm(out, paths[1]) if len(paths) > 1 else out

    def norm(x, path):
        return tensors.norm(x, path) if form != "plain" else x

    def run(x):
        if form == "pre_activation":
            a = h(norm(x, "first_norm"))
            out = weights(tensors, h(norm(weights(tensors, a, "first"), "second_norm")), "second")
            changed = any(path.startswith("shortcut") for path in tensors.learned)
            return out + (shortcut(a) if changed else x)
        inner = h(norm(weights(tensors, x, "first"), "first_norm"))
        return h(shortcut(x) + norm(weights(tensors, inner, "second"), "second_norm"))

    return tensors.pair(f"{form} {text}", x, run, ours)


def bottleneck(rng, dtype) -> Pair:
    n, width, strides = *rng.integers(3, 7, 2).tolist(), int(rng.integers(1, 3))
    ours = nn.Bottleneck2d(n, width, strides=strides, dtype=dtype)
    tensors = Tensors(randomised(ours, rng))
    changed = any(path.startswith("shortcut") for path in tensors.learned)

    def run(x):
        a = x
        for i in range(3):
            a = tensors.convolution(a, f"convolutions[{i}]", strides if i == 1 else 1)
            a = tensors.norm(a, f"norms[{i}]")
            a = torch.relu(a) if i < 2 else a
        if changed:
            x = tensors.convolution(x, "shortcut.layers[0]", strides)
            x = tensors.norm(x, "shortcut.layers[1]")
        return torch.relu(x + a)

    x = normal(rng, (3, 6, 8, n), dtype)
    return tensors.pair(f"({n}, {width}, strides={strides})", x, run, ours)


def transition(rng, dtype) -> Pair:
    n, m = rng.integers(1, 7, 2).tolist()
    image = bool(rng.integers(2))
    ours = nn.Transition(n, m, image=image, dtype=dtype)
    tensors = Tensors(randomised(ours, rng))

    def run(x):
        a = torch.relu(tensors.norm(x, "norm"))
        if not image:
            return tensors.linear(a, "weights")
        a = tensors.convolution(a, "weights", 1)
        return functional.avg_pool2d(a.movedim(-1, 1), 2).movedim(1, -1)

    x = normal(rng, ((3, 6, 4) if image else (32,)) + (n,), dtype)
    return tensors.pair(f"({n}, {m}, image={image})", x, run, ours)


def tied(rng, dtype) -> Pair:
    n, m = rng.integers(1, 9, 2).tolist()
    ours = nn.Sequential(nn.Linear(n, m, dtype=dtype), np.tanh, nn.Tied(0, n, dtype=dtype))
    tensors = Tensors(randomised(ours, rng))
    learned = tensors.learned

    def run(x):
        a = torch.tanh(tensors.linear(x, "layers[0]"))
        return functional.linear(a, learned["layers[0].weight"], learned["layers[2].bias"])

    return tensors.pair(f"({n}, {m})", normal(rng, (5, n), dtype), run, ours)


def dense(rng, dtype) -> Pair:
    n, growth, count = rng.integers(1, 5, 3).tolist()
    window = int(rng.choice([0, 3]))
    ours = nn.DenseBlock(n, growth, count, window=window, dtype=dtype)
    tensors = Tensors(randomised(ours, rng))

    def run(x):
        for i in range(count):
            a = torch.relu(tensors.norm(x, f"layers[{i}].norms[0]"))
            path = f"layers[{i}].weights[0]"
            new = tensors.convolution(a, path, 1) if window else tensors.linear(a, path)
            x = torch.cat([x, new], dim=-1)
        return x

    lead = (3, 5, 4) if window else (32,)
    x = normal(rng, (*lead, n), dtype)
    return tensors.pair(f"({n}, {growth}, {count}, window={window})", x, run, ours)


def autoencoder(rng, dtype) -> Pair:
    inputs, hidden, code = rng.integers(1, 8, 3).tolist()
    tied, output = bool(rng.integers(2)), str(rng.choice(["identity", "sigmoid"]))
    ours = nn.Autoencoder(inputs, (hidden,), code, "tanh", tied=tied, output=output, dtype=dtype)
    tensors = Tensors(randomised(ours, rng))
    learned = tensors.learned

    def decoded(x, number: int):
        path = f"decoder[{number}]"
        if not tied:
            return tensors.linear(x, path)
        return functional.linear(
            x, learned[f"encoder[{1 - number}].weight"], learned[path + ".bias"]
        )

    def run(x):
        x = torch.tanh(tensors.linear(torch.tanh(tensors.linear(x, "encoder[0]")), "encoder[1]"))
        x = decoded(torch.tanh(decoded(x, 0)), 1)
        return torch.sigmoid(x) if output == "sigmoid" else x

    text = f"({inputs}, {hidden}, {code}, tied={tied}, {output})"
    return tensors.pair(text, normal(rng, (5, inputs), dtype), run, ours)


def global_mean(rng, dtype) -> Pair:
    shape = (2, *rng.integers(1, 7, rng.integers(1, 3)).tolist(), int(rng.integers(1, 5)))
    layer, axes = nn.GlobalMeanPool(), tuple(range(1, len(shape) - 1))
    return Pair(str(shape), [normal(rng, shape, dtype)], lambda _, x: layer(x),
                lambda x: x.mean(dim=axes))  # fmt: skip


def flatten(rng, dtype) -> Pair:
    shape = tuple(rng.integers(1, 5, rng.integers(1, 5)).tolist())
    layer = nn.Flatten()
    theirs = torch.nn.Flatten() if len(shape) > 1 else lambda x: x[:, None]
    return Pair(str(shape), [normal(rng, shape, dtype)], lambda _, x: layer(x), theirs)


BLOCKS = {
    "GlobalMeanPool": global_mean, "Flatten": flatten, "ResidualBlock": residual,
    "ResidualBlock2d": residual_images, "Bottleneck2d": bottleneck, "Transition": transition,
    "Tied": tied, "DenseBlock": dense, "Autoencoder": autoencoder,
}  # fmt: skip
