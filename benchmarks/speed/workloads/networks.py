"""Layers that several networks share, in any library with NumPy's functions as `xp`."""

from __future__ import annotations

import numpy as np


def batch_norm(xp, x, gain, shift):
    """Normalised over all axes but the last, by the batch's own mean and variance."""
    axes = tuple(range(x.ndim - 1))
    centred = x - xp.mean(x, axis=axes)
    return centred / xp.sqrt(xp.mean(centred * centred, axis=axes) + 1e-5) * gain + shift


def cross_entropy(xp, z, y):
    """The mean over the batch; y has a one for each example's class."""
    z = z - xp.max(z, axis=1, keepdims=True)
    return xp.mean(xp.log(xp.sum(xp.exp(z), axis=1)) - xp.sum(z * y, axis=1))


def parameters(rng, shapes) -> list:
    """He's scale for products and convolutions; ones and zeros in turn for vectors of a norm."""
    made, vectors = [], 0
    for shape in shapes:
        if len(shape) > 1:
            scale = np.sqrt(2 / np.prod(shape[:-1]))
            made.append((rng.normal(size=shape) * scale).astype(np.float32))
        else:
            made.append(np.full(shape, 1 - vectors % 2, np.float32))
            vectors += 1
    return made


def batches(rng, count, batch, shape, classes=10) -> tuple:
    """Normal inputs and random classes: (count, batch, *shape) and (count, batch, classes)."""
    xs = rng.normal(size=(count, batch, *shape)).astype(np.float32)
    return xs, np.eye(classes, dtype=np.float32)[rng.integers(0, classes, (count, batch))]


# --- torch, channels last -------------------------------------------------------------------------


def torch_batch_norm(x, gain, shift):
    """By torch's own; its second axis is the channels'."""
    from torch.nn import functional

    return functional.batch_norm(x, None, None, gain, shift, training=True)


def torch_images(x):
    """(N, H, W, C) -> (N, C, H, W), channels last in memory."""
    import torch

    return torch.tensor(x).permute(0, 3, 1, 2)


def torch_parameter(p):
    """Weights (H, W, C, D) -> (D, C, H, W), channels last in memory; others as they are."""
    import torch

    if p.ndim < 4:
        return torch.tensor(p)
    return torch.tensor(p.transpose(3, 2, 0, 1)).contiguous(memory_format=torch.channels_last)


def from_torch_parameter(p):
    return p.permute(2, 3, 1, 0) if p.ndim == 4 else p


TORCH_LAYOUT = torch_parameter, from_torch_parameter, torch_images


# --- convolutions, channels last ------------------------------------------------------------------


def chainrule_convolution(x, w, stride=1):
    import chainrule as cr

    return cr.nn.convolution(x, w, strides=stride, padding=w.shape[0] // 2)


def jax_convolution(x, w, stride=1):
    import jax

    pad = w.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x, w, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def torch_convolution(x, w, stride=1):
    from torch.nn import functional

    return functional.conv2d(x, w, stride=stride, padding=w.shape[2] // 2)
