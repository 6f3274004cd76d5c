"""Residual blocks: a layer learns what to add to its input.

| form | value for an input a |
|---|---|
| plain | h(a + W2 h(W1 a)), as the course writes it |
| batch_norm | h(a + N2(W2 h(N1(W1 a)))) |
| pre_activation | a + W2 h(N2(W1 h(N1(a)))) |

h is the activation, N1 and N2 are batch norms. With W2 = 0 and h the ReLU, the first two are the
identity for a >= 0 and the last one for every a.

Source    He et al., "Deep Residual Learning", CVPR 2016; "Identity Mappings in Deep Residual
          Networks", ECCV 2016. Blocks that begin as the identity: Goyal et al., 2017, section 5.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import errors, random
from chainrule.nn.activations import activation as function_of
from chainrule.nn.convolutions import Conv2d
from chainrule.nn.dropout import Dropout
from chainrule.nn.init import Initialisation
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.nn.normalisation import BatchNorm
from chainrule.nn.sequential import Sequential

FORMS = ("plain", "batch_norm", "pre_activation")
SHORTCUTS = ("projection", "zeros", "none")


class Residual(Sequential):
    """a + F(a), F being the layers one after the other; they keep the shape.

    **Errors** `ShapeError` where they do not.

    >>> layer = Linear(3, 3, init="zeros")
    >>> Residual(layer)(np.array([[1.0, 2.0, 3.0]], np.float32))
    array([[1., 2., 3.]], dtype=float32)
    """

    def __call__(self, x, training: bool = False, rng=None):
        return added(x, super().__call__(x, training, rng), "Residual")


class _Block(Module):
    """Two layers of weights around an activation, added to the input or to a shortcut of it."""

    first: Any  # modules, and None where there is none
    second: Any
    first_norm: Any
    second_norm: Any
    shortcut: Any
    dropout: Any

    def _make(self, make: Callable, sizes: tuple[int, int, int], option: dict, dtype) -> None:
        """The layers by `make(first or second)`; `sizes` are channels before, between, behind."""
        form, start = option["form"], option["identity_start"]
        if form not in FORMS:
            raise ValueError(f"form is one of {', '.join(FORMS)}; got {form!r}.")
        function_of(option["activation"])
        self.first, self.second = make("first"), make("second")
        before, between, behind = sizes
        places = {
            "plain": None,
            "batch_norm": (between, behind),
            "pre_activation": (before, between),
        }
        norms = places[form]
        self.first_norm = BatchNorm(norms[0], dtype=dtype) if norms else None
        self.second_norm = BatchNorm(norms[1], dtype=dtype) if norms else None
        self.dropout = Dropout(option["dropout"]) if option["dropout"] else None
        if start and form == "batch_norm":
            self.second_norm.scale[...] = 0
        elif start:
            self.second.weight[...] = 0
        self._configure(**option, dtype=np.dtype(dtype).char)

    def __call__(self, x, training: bool = False, rng=None):
        option = self.config()
        h = function_of(option["activation"])

        def by(layer, x):
            return x if layer is None else layer(x, training=training, rng=rng)

        name = type(self).__name__
        if option["form"] == "pre_activation":
            a = h(by(self.first_norm, x))
            out = self.second(by(self.dropout, h(by(self.second_norm, self.first(a)))))
            return added(x if self.shortcut is None else by(self.shortcut, a), out, name)
        inner = by(self.dropout, h(by(self.first_norm, self.first(x))))
        return h(added(by(self.shortcut, x), by(self.second_norm, self.second(inner)), name))

    def __repr__(self) -> str:
        option = self.config()
        sizes = ", ".join(str(option[k]) for k in ("inputs", "hidden", "outputs") if k in option)
        return f"{type(self).__name__}({sizes}, form={option['form']!r})"


class ResidualBlock(_Block):
    """A residual block of vectors, in one of the forms of the page: (..., inputs) -> the same.

    `first` is W1 (inputs, hidden), `second` W2 (hidden, inputs), both with biases. `hidden` is
    `inputs` by default. With `identity_start` the block begins as the identity: W2, or the scale
    of the second norm where that stands last, is 0.

    **Errors** `ValueError` where `outputs` is not `inputs`: there is nothing to add to.

    >>> block = ResidualBlock(3, 5, rng=0)
    >>> block.second.weight[...] = 0
    >>> block(np.array([[1.0, 2.0, 3.0]], np.float32))
    array([[1., 2., 3.]], dtype=float32)
    """

    def __init__(
        self, inputs: int, hidden: int | None = None, outputs: int | None = None, *,
        form: str = "plain", activation: str = "relu", dropout: float = 0.0,
        identity_start: bool = False, init: str | Initialisation = "he", dtype="f", rng=0,
    ):  # fmt: skip
        hidden = inputs if hidden is None else hidden
        outputs = inputs if outputs is None else outputs
        if outputs != inputs:
            raise ValueError(
                f"a residual block adds its input, of size {inputs}, to what it computes, of size "
                f"{outputs}: the sizes must be equal. Put Linear({inputs}, {outputs}) before it."
            )
        rng = random.default_rng(rng)
        sizes = {"first": (inputs, hidden), "second": (hidden, inputs)}
        self.shortcut = None
        option = dict(inputs=inputs, hidden=hidden, form=form, activation=activation,
                      dropout=dropout, identity_start=identity_start)  # fmt: skip
        self._make(lambda which: Linear(*sizes[which], init=init, dtype=dtype, rng=rng),
                   (inputs, hidden, inputs), option, dtype)  # fmt: skip


class ResidualBlock2d(_Block):
    """A residual block of images, two convolutions of 3 x 3: (N, H, W, C) -> (N, H', W', D).

    H' = ceil(H / strides). Where shape or channels change, the input comes to the sum by a
    `shortcut`: "projection" (a convolution of 1 x 1, with batch norm in the form "batch_norm"),
    "zeros" (every other pixel, and channels of zeros: no parameters) or "none": an error.

    **Errors** `ValueError` for sizes that change with shortcut "none".

    >>> block = ResidualBlock2d(4, 8, strides=2, rng=0)
    >>> block(np.ones((1, 6, 6, 4), np.float32)).shape
    (1, 3, 3, 8)
    """

    def __init__(
        self, inputs: int, outputs: int | None = None, *, strides: int = 1,
        form: str = "batch_norm", shortcut: str = "projection", activation: str = "relu",
        dropout: float = 0.0, identity_start: bool = False, init: str | Initialisation = "he",
        dtype="f", rng=0,
    ):  # fmt: skip
        rng = random.default_rng(rng)
        outputs = inputs if outputs is None else outputs
        bias = form == "plain"

        def make(which: str) -> Conv2d:
            channels, step = (inputs, strides) if which == "first" else (outputs, 1)
            return conv(channels, outputs, 3, step, bias, init, dtype, rng)

        option = dict(
            inputs=inputs, outputs=outputs, strides=strides, form=form, shortcut=shortcut,
            activation=activation, dropout=dropout, identity_start=identity_start,
        )  # fmt: skip
        self._make(make, (inputs, outputs, outputs), option, dtype)
        self.shortcut = shortcut_of(shortcut, inputs, outputs, strides, form, init, dtype, rng)


class Bottleneck2d(Module):
    """A residual block of images of 1 x 1, 3 x 3 and 1 x 1, with batch norms: to 4 width channels.

    The strides are those of the 3 x 3 convolution, and the shortcut is a projection where shape or
    channels change.

    **Source** He et al., CVPR 2016, figure 5. There the first convolution has the strides; here it
    is the second, as in PyTorch's networks of that name.

    >>> Bottleneck2d(8, 4, strides=2, rng=0)(np.ones((1, 6, 6, 8), np.float32)).shape
    (1, 3, 3, 16)
    """

    def __init__(
        self, inputs: int, width: int, *, strides: int = 1, activation: str = "relu",
        identity_start: bool = False, init: str | Initialisation = "he", dtype="f", rng=0,
    ):  # fmt: skip
        rng = random.default_rng(rng)
        function_of(activation)
        outputs = 4 * width
        sizes = [(inputs, width, 1, 1), (width, width, 3, strides), (width, outputs, 1, 1)]
        self.convolutions = [conv(*size, False, init, dtype, rng) for size in sizes]
        self.norms = [BatchNorm(size[1], dtype=dtype) for size in sizes]
        if identity_start:
            self.norms[-1].scale[...] = 0
        self.shortcut = shortcut_of("projection", inputs, outputs, strides, "batch_norm", init,
                                    dtype, rng)  # fmt: skip
        self._configure(
            inputs=inputs, width=width, strides=strides, activation=activation,
            identity_start=identity_start, dtype=np.dtype(dtype).char,
        )  # fmt: skip

    def __call__(self, x, training: bool = False, rng=None):
        h = function_of(self.config()["activation"])
        a = x
        for i, (layer, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            a = norm(layer(a), training=training)
            a = h(a) if i < 2 else a
        x = x if self.shortcut is None else self.shortcut(x, training=training, rng=rng)
        return h(added(x, a, "Bottleneck2d"))


class ZeroShortcut(Module):
    """Every `strides`-th pixel, with channels of zeros on both sides: shapes fit, without weights.

    **Source** He et al., CVPR 2016, option A.

    >>> ZeroShortcut(1, 3)(np.ones((1, 1, 1, 1)))[0, 0, 0]
    array([0., 1., 0.])
    """

    def __init__(self, inputs: int, outputs: int, strides: int = 1):
        if outputs < inputs:
            raise ValueError(f"zeros bring no {inputs} channels to {outputs}: use 'projection'.")
        self._configure(inputs=inputs, outputs=outputs, strides=strides)

    def __call__(self, x, training: bool = False, rng=None):
        option = self.config()
        step, missing = option["strides"], option["outputs"] - option["inputs"]
        x = x[..., ::step, ::step, :]
        low = missing // 2
        return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(low, missing - low)])


def conv(inputs: int, outputs: int, window: int, strides: int, bias: bool, init, dtype, rng):
    """A convolution that keeps the size (less the strides), its zeros even on all sides."""
    return Conv2d(inputs, outputs, window, strides=strides, padding=window // 2, bias=bias,
                  init=init, dtype=dtype, rng=rng)  # fmt: skip


def shortcut_of(
    kind: str, inputs: int, outputs: int, strides: int, form: str, init, dtype, rng
) -> Module | None:
    """What brings a block's input to the shape of its output; None where they are equal."""
    if kind not in SHORTCUTS:
        raise ValueError(f"shortcut is one of {', '.join(SHORTCUTS)}; got {kind!r}.")
    if inputs == outputs and strides == 1:
        return None
    if kind == "none":
        raise ValueError(
            f"a residual block adds its input, of {inputs} channels, to what it computes, of "
            f"{outputs} channels and strides {strides}: they must be equal, or take "
            "shortcut='projection' or 'zeros'."
        )
    if kind == "zeros":
        return ZeroShortcut(inputs, outputs, strides)
    projection = conv(inputs, outputs, 1, strides, form == "plain", init, dtype, rng)
    norm = [BatchNorm(outputs, dtype=dtype)] if form == "batch_norm" else []
    return Sequential(projection, *norm)


def added(x, y, name: str):
    """x + y, of equal shapes."""
    if x.shape != y.shape:
        raise errors.ShapeError(
            f"{name} adds its input, of shape {x.shape}, to what its layers give, of shape "
            f"{y.shape}: they must be equal."
        )
    return x + y
