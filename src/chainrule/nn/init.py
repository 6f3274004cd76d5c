"""Initial weights: the course's forms as the slides write them, and the usual ones.

An initialisation is a function `(rng, shape, inputs, outputs) -> array`: `inputs` and `outputs` are
the numbers of values that one unit reads and that read one unit (fan-in and fan-out; with the
window's size for a convolution). A layer takes one as `init=`: a function, or its name in `NAMED`.

| name | weights | variance for n inputs, m outputs |
|---|---|---|
| zeros | 0 | 0 |
| small | 0.00001 randn | 1e-10 |
| slide | randn / sqrt(2 n) | 1 / (2 n) |
| lecun | randn / sqrt(n) | 1 / n |
| he | sqrt(2 / n) randn | 2 / n |
| glorot | uniform on [-b, b], b = sqrt(6) / sqrt(n + m) | 2 / (n + m) |
| orthogonal | rows or columns orthonormal | 1 / max(n, m) |

Source    Glorot and Bengio, AISTATS 2010; He et al., ICCV 2015; LeCun et al., "Efficient BackProp",
          1998; Saxe et al., ICLR 2014; Mishkin and Matas, "All you need is a good init", ICLR 2016.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule import random

Initialisation = Callable[[Any, tuple[int, ...], int, int], np.ndarray]


def zeros(rng, shape: tuple[int, ...], inputs: int, outputs: int) -> np.ndarray:
    """All 0, as for biases. Weights of 0 keep the units of a layer equal for ever."""
    return np.zeros(shape)


def small(rng, shape: tuple[int, ...], inputs: int, outputs: int) -> np.ndarray:
    """0.00001 randn: apart enough to break the symmetry, too small for a deep network."""
    return 0.00001 * rng.normal(size=shape)


def slide(rng, shape: tuple[int, ...], inputs: int, outputs: int) -> np.ndarray:
    """randn / sqrt(2 n), as the course's slide has it.

    A ReLU keeps half of the variance, so a layer of these multiplies it by 1/4, where He's keep it:
    after 10 layers a millionth is left. It stands here because it is what the slide says.
    """
    return rng.normal(size=shape) / math.sqrt(2 * inputs)


def lecun(rng, shape: tuple[int, ...], inputs: int, outputs: int) -> np.ndarray:
    """randn / sqrt(n): a linear layer, or tanh near 0, keeps the variance."""
    return rng.normal(size=shape) / math.sqrt(inputs)


def he(rng, shape: tuple[int, ...], inputs: int, outputs: int) -> np.ndarray:
    """sqrt(2 / n) randn: a ReLU layer keeps the variance."""
    return rng.normal(size=shape) * math.sqrt(2 / inputs)


def glorot(rng, shape: tuple[int, ...], inputs: int, outputs: int) -> np.ndarray:
    """Uniform on [-b, b], b = sqrt(6) / sqrt(n + m): a compromise between values and gradients."""
    bound = math.sqrt(6) / math.sqrt(inputs + outputs)
    return rng.uniform(-bound, bound, size=shape)


def orthogonal(rng, shape: tuple[int, ...], inputs: int, outputs: int) -> np.ndarray:
    """A random matrix with orthonormal rows or columns, whichever are fewer, in this shape."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    tall = rng.normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))  # uniform over all of them (Mezzadri 2007)
    return (q if rows >= columns else q.T).reshape(shape)


NAMED: dict[str, Initialisation] = {
    "zeros": zeros, "small": small, "slide": slide, "lecun": lecun, "he": he, "glorot": glorot,
    "orthogonal": orthogonal,
}  # fmt: skip


_blank: contextvars.ContextVar[list[int] | None] = contextvars.ContextVar("blank", default=None)


@contextlib.contextmanager
def blank(limit: int) -> Iterator[None]:
    """Inside, weights are zeros and nothing is drawn: for models whose values come from a file.

    **Errors** `ValueError`, before any memory is asked for, where the weights that are made inside
    come to more than `limit` numbers.

    >>> with blank(10):
    ...     initial("he", 0, (2, 2), 2, 2)
    array([[0., 0.],
           [0., 0.]], dtype=float32)
    """
    token = _blank.set([limit])
    try:
        yield
    finally:
        _blank.reset(token)


def _zeros_within(left: list[int], shape: tuple[int, ...], dtype) -> np.ndarray:
    left[0] -= math.prod(shape)
    if left[0] < 0:
        raise ValueError(f"weights of {shape} are more than the file holds.")
    return np.zeros(shape, dtype)


def initial(
    init: str | Initialisation, rng, shape: tuple[int, ...], inputs: int, outputs: int, dtype="f"
) -> np.ndarray:
    """Weights of a shape by an initialisation or its name.

    `rng` is a `cr.random.Generator` or a seed for one.

    **Errors** `ValueError` for an unknown name, or where the function gives another shape.

    >>> initial("glorot", 0, (2, 3), 2, 3).dtype
    dtype('float32')
    """
    left = _blank.get()
    if left is not None:
        return _zeros_within(left, shape, dtype)
    if isinstance(init, str):
        if init not in NAMED:
            raise ValueError(f"init is a function or one of {', '.join(NAMED)}; got {init!r}.")
        init = NAMED[init]
    made = np.asarray(init(random.default_rng(rng), shape, inputs, outputs), dtype)
    if made.shape != shape:
        raise ValueError(f"the initialisation gave shape {made.shape} for weights of {shape}.")
    return made
