"""Layers beside PyTorch's: for each, a function that draws one configuration.

Ours have channels on the last axis, PyTorch's behind the first; each pair speaks our layout.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.training.against_torch import Pair
from chainrule import nn

TORCH = {"f": torch.float32, "d": torch.float64}


def same(a):
    """The layout of PyTorch's parameter is ours."""
    return a


def transposed(a):
    """(inputs, outputs) -> (outputs, inputs)."""
    return a.T


def kernel(a):
    """(*window, inputs, outputs) -> (outputs, inputs, *window)."""
    return np.moveaxis(a, (-1, -2), (0, 1))


def channels_last(module):
    """A module of PyTorch's that takes and gives (N, *S, C)."""
    return lambda x: module(x.movedim(-1, 1)).movedim(1, -1)


def called(training: bool = False):
    """Our model on an input."""
    return lambda model, x: model(x, training=training)


def normal(rng, shape, dtype) -> np.ndarray:
    """Inputs."""
    return rng.normal(size=shape).astype(dtype)


def randomised(model, rng):
    """The model with normal numbers in the place of its parameters, scales around 1."""
    for path, array in model.named_parameters():
        around = 1.0 if path.endswith("scale") else 0.0
        size = 0.5 if array.ndim < 2 else np.prod(array.shape[:-1]) ** -0.5
        array[...] = around + size * rng.normal(size=array.shape)
    return model


def linear(rng, dtype) -> Pair:
    n, m, bias = *rng.integers(1, 20, 2).tolist(), bool(rng.integers(2))
    lead = tuple(rng.integers(1, 6, rng.integers(1, 4)).tolist())
    ours = randomised(nn.Linear(n, m, bias, dtype=dtype), rng)
    theirs = torch.nn.Linear(n, m, bias, dtype=TORCH[dtype])
    parameters = {"weight": (theirs.weight, transposed)}
    parameters |= {"bias": (theirs.bias, same)} if bias else {}
    text = f"({n}, {m}, bias={bias}) of {(*lead, n)}"
    return Pair(text, [normal(rng, (*lead, n), dtype)], called(), theirs, ours, parameters)


def convolution(rng, dtype, axes: int) -> Pair:
    groups = int(rng.choice([1, 1, 2, 3]))
    n, m = (groups * int(k) for k in rng.integers(1, 5, 2))
    window = tuple(rng.integers(1, 4, axes).tolist())
    dilation = tuple(rng.integers(1, 3, axes).tolist())
    strides = tuple(rng.integers(1, 4, axes).tolist())
    padding = ["valid", "same", tuple(rng.integers(0, 3, axes).tolist())][rng.integers(3)]
    if padding == "same":
        strides = (1,) * axes  # PyTorch has no other; its odd zero stands at the end, as ours
    size = tuple(rng.integers(6, 12, axes).tolist())
    bias = bool(rng.integers(2))
    ours = [nn.Conv1d, nn.Conv2d][axes - 1](
        n, m, window, strides=strides, padding=padding, dilation=dilation, groups=groups,
        bias=bias, dtype=dtype,
    )  # fmt: skip
    theirs = [torch.nn.Conv1d, torch.nn.Conv2d][axes - 1](
        n, m, window, stride=strides, padding=padding, dilation=dilation, groups=groups,
        bias=bias, dtype=TORCH[dtype],
    )  # fmt: skip
    parameters = {"weight": (theirs.weight, kernel)}
    parameters |= {"bias": (theirs.bias, same)} if bias else {}
    text = (
        f"({n}, {m}, {window}, strides={strides}, padding={padding}, dilation={dilation}, "
        f"groups={groups}, bias={bias}) of {size}"
    )
    x = normal(rng, (int(rng.integers(1, 4)), *size, n), dtype)
    return Pair(text, [x], called(), channels_last(theirs), randomised(ours, rng), parameters)


def pool(rng, dtype, axes: int, kind: str) -> Pair:
    window = tuple(rng.integers(1, 4, axes).tolist())
    strides = tuple(rng.integers(1, 4, axes).tolist())
    padding = tuple(int(rng.integers(0, w // 2 + 1)) for w in window)
    size = tuple(rng.integers(4, 10, axes).tolist())
    ours = getattr(nn, f"{kind}Pool{axes}d")(window, strides, padding)
    name = f"{'Max' if kind == 'Max' else 'Avg'}Pool{axes}d"
    options = {} if kind == "Max" else {"count_include_pad": False}  # ours never counts padding
    theirs = getattr(torch.nn, name)(window, strides, padding, **options)
    text = f"({window}, strides={strides}, padding={padding}) of {size}"
    x = normal(rng, (2, *size, int(rng.integers(1, 5))), dtype)
    return Pair(text, [x], lambda _, x: ours(x), channels_last(theirs))


def adaptive(rng, dtype, kind: str) -> Pair:
    axes = int(rng.integers(1, 3))
    size, goal = (tuple(rng.integers(a, b, axes).tolist()) for a, b in ((4, 10), (1, 5)))
    ours = getattr(nn, f"Adaptive{kind}Pool")(goal)
    name = f"Adaptive{'Max' if kind == 'Max' else 'Avg'}Pool{axes}d"
    theirs = getattr(torch.nn, name)(goal if axes > 1 else goal[0])
    x = normal(rng, (2, *size, 3), dtype)
    return Pair(f"{size} to {goal}", [x], lambda _, x: ours(x), channels_last(theirs))


def batch_norm(rng, dtype, training: bool) -> Pair:
    channels, axes = int(rng.integers(1, 8)), int(rng.integers(0, 3))
    momentum, epsilon = float(rng.uniform(0.05, 0.5)), float(10 ** rng.uniform(-6, -2))
    ours = randomised(nn.BatchNorm(channels, momentum, epsilon, dtype=dtype), rng)
    kind = [torch.nn.BatchNorm1d, torch.nn.BatchNorm1d, torch.nn.BatchNorm2d][axes]
    theirs = kind(channels, epsilon, momentum, dtype=TORCH[dtype]).train(training)
    ours.running_mean[...] = rng.normal(size=channels)
    ours.running_variance[...] = rng.uniform(0.5, 2, size=channels)
    theirs.running_mean.copy_(torch.from_numpy(ours.running_mean))
    theirs.running_var.copy_(torch.from_numpy(ours.running_variance))
    shape = (int(rng.integers(4, 12)), *rng.integers(2, 6, axes).tolist(), channels)
    parameters = {"scale": (theirs.weight, same), "shift": (theirs.bias, same)}
    state = {"running_mean": theirs.running_mean, "running_variance": theirs.running_var}
    text = f"({channels}, {momentum:.3f}, {epsilon:.1e}) of {shape}"
    x = normal(rng, shape, dtype) * dtype_of(dtype)(2) + dtype_of(dtype)(1)
    run = channels_last(theirs)
    return Pair(text, [x], called(training), run, ours, parameters, state)


def dtype_of(dtype: str) -> type:
    """The scalar class of a dtype's letter."""
    return np.dtype(dtype).type


def layer_norm(rng, dtype) -> Pair:
    channels, epsilon = int(rng.integers(2, 20)), float(10 ** rng.uniform(-6, -2))
    shape = (*rng.integers(1, 6, rng.integers(1, 4)).tolist(), channels)
    ours = randomised(nn.LayerNorm(channels, epsilon, dtype=dtype), rng)
    theirs = torch.nn.LayerNorm(channels, epsilon, dtype=TORCH[dtype])
    parameters = {"scale": (theirs.weight, same), "shift": (theirs.bias, same)}
    text = f"({channels}, {epsilon:.1e}) of {shape}"
    return Pair(text, [normal(rng, shape, dtype)], called(), theirs, ours, parameters)


def embedding(rng, dtype) -> Pair:
    count, channels = rng.integers(1, 12, 2).tolist()
    tokens = rng.integers(0, count, tuple(rng.integers(1, 6, rng.integers(1, 3)).tolist()))
    ours = randomised(nn.Embedding(count, channels, dtype=dtype), rng)
    theirs = torch.nn.Embedding(count, channels, dtype=TORCH[dtype])
    parameters = {"weight": (theirs.weight, same)}
    text = f"({count}, {channels}) of {tokens.shape}"
    return Pair(text, [tokens], lambda model, x: model(x), theirs, ours, parameters)


def lstm(rng, dtype) -> Pair:
    inputs, units, time = rng.integers(1, 7, 3).tolist()
    last = bool(rng.integers(2))
    ours = randomised(nn.LSTM(inputs, units, last=last, dtype=dtype), rng)
    theirs = torch.nn.LSTM(inputs, units, batch_first=True, dtype=TORCH[dtype])
    theirs.bias_hh_l0.data.zero_()  # ours is one bias, PyTorch's two add up
    parameters = {
        "weight": (theirs.weight_ih_l0, transposed),
        "recurrent": (theirs.weight_hh_l0, transposed),
        "bias": (theirs.bias_ih_l0, same),
    }

    def run(x):
        outputs, (h, _) = theirs(x)
        return h[0] if last else outputs

    text = f"({inputs}, {units}, last={last}), {time} steps"
    x = normal(rng, (int(rng.integers(1, 5)), time, inputs), dtype)
    return Pair(text, [x], called(), run, ours, parameters)


def attention(rng, dtype) -> Pair:
    heads, size, time, batch = rng.integers(1, 5, 4).tolist()
    channels, causal, crossed = heads * size, *map(bool, rng.integers(2, size=2))
    causal = causal and not crossed
    ours = randomised(nn.MultiHeadAttention(channels, heads, causal=causal, dtype=dtype), rng)
    theirs = _Apart(channels, heads, TORCH[dtype])
    source = int(rng.integers(1, 6)) if crossed else time
    seen = np.tri(time, source, dtype=bool) if causal else np.ones((time, source), bool)
    given = None
    if rng.integers(2):
        given = rng.random((time, source)) < 0.7
        given[:, 0] = True  # each place sees one at least, whatever is causal: PyTorch gives nan
        seen = seen & given
    mask = torch.from_numpy(~seen)  # PyTorch's says what is not seen
    inputs = [normal(rng, (batch, time, channels), dtype)]
    inputs += [normal(rng, (batch, source, channels), dtype)] if crossed else []
    masked = given is not None
    text = f"({channels}, {heads}, causal={causal}), {time} steps from {source}, mask={masked}"
    return Pair(
        text, inputs, lambda model, x, y=None: model(x, context=y, mask=given),
        lambda x, y=None: theirs(x, y, mask), ours, theirs.parameters_by_path(),
    )  # fmt: skip


class _Apart:
    """PyTorch's attention function on four projections apart from each other."""

    def __init__(self, channels: int, heads: int, dtype):
        self.channels, self.heads = channels, heads
        names = ("query", "key", "value", "output")
        self.layers = {n: torch.nn.Linear(channels, channels, dtype=dtype) for n in names}

    def __call__(self, x, context, mask):
        context = x if context is None else context
        q, k, v, output = self.layers.values()
        out, _ = torch.nn.functional.multi_head_attention_forward(
            x.transpose(0, 1), context.transpose(0, 1), context.transpose(0, 1), self.channels,
            self.heads, None, torch.cat([q.bias, k.bias, v.bias]), None, None, False, 0.0,
            output.weight, output.bias, attn_mask=mask, use_separate_proj_weight=True,
            q_proj_weight=q.weight, k_proj_weight=k.weight, v_proj_weight=v.weight,
            need_weights=False,
        )  # fmt: skip
        return out.transpose(0, 1)

    def parameters_by_path(self) -> dict:
        found = {}
        for name, layer in self.layers.items():
            found |= {f"{name}.weight": (layer.weight, transposed),
                      f"{name}.bias": (layer.bias, same)}  # fmt: skip
        return found


LAYERS = {
    "Linear": linear,
    "Conv1d": lambda rng, dtype: convolution(rng, dtype, 1),
    "Conv2d": lambda rng, dtype: convolution(rng, dtype, 2),
    "MaxPool1d": lambda rng, dtype: pool(rng, dtype, 1, "Max"),
    "MaxPool2d": lambda rng, dtype: pool(rng, dtype, 2, "Max"),
    "MeanPool1d": lambda rng, dtype: pool(rng, dtype, 1, "Mean"),
    "MeanPool2d": lambda rng, dtype: pool(rng, dtype, 2, "Mean"),
    "AdaptiveMeanPool": lambda rng, dtype: adaptive(rng, dtype, "Mean"),
    "AdaptiveMaxPool": lambda rng, dtype: adaptive(rng, dtype, "Max"),
    "BatchNorm, training": lambda rng, dtype: batch_norm(rng, dtype, True),
    "BatchNorm, inference": lambda rng, dtype: batch_norm(rng, dtype, False),
    "LayerNorm": layer_norm,
    "Embedding": embedding,
    "LSTM": lstm,
    "MultiHeadAttention": attention,
}
