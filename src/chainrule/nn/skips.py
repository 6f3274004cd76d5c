"""Skip connections: from any layer of a stack, or its input, to any later one."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Sequence

import numpy as np

from chainrule import errors, random
from chainrule.nn.activations import Activation
from chainrule.nn.dropout import Dropout
from chainrule.nn.init import Initialisation
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.nn.normalisation import BatchNorm
from chainrule.nn.sequential import Sequential, one_each

JOINS = ("add", "concatenate")


class Stack(Sequential):
    """Layers one after the other, with skip connections between what they give.

    Value 0 is the input, and value l what layer l gives, counted from 1. A skip (i, l), i < l,
    joins value i to value l: by adding it ("add"), or by standing behind it on the last axis
    ("concatenate"). What reads value l after that, the next layer or another skip, reads the sum.
    A skip may name its own join: (0, 3, "concatenate"). Where several end, sums come first.

    **Errors** `ValueError` for skips that go nowhere or stand twice; `ShapeError` that names the
    skip, where shapes do not fit.

    >>> stack = Stack(Linear(3, 3, rng=0), Activation("relu"), Linear(3, 3, rng=1), skips=[(0, 3)])
    >>> x = np.ones((2, 3), np.float32)
    >>> np.allclose(stack(x), x + Sequential(*stack.layers)(x))
    True
    """

    def __init__(
        self, *layers: Module | Callable, skips: Sequence[Sequence] = (), join: str = "add"
    ):
        super().__init__(*layers)
        self._skips = json.dumps(checked_skips(skips, len(layers), join))

    def __call__(self, x, training: bool = False, rng=None):
        skips = json.loads(self._skips)
        values = [x]
        for number in range(1, len(self.layers) + 1):
            value = self.applied(number - 1, values[-1], training, rng)
            for source, target, join in skips:
                if target == number:
                    value = self._joined(value, values[source], source, target, join)
            values.append(value)
        return values[-1]

    def _joined(self, value, earlier, source: int, target: int, join: str):
        same = value.shape[:-1] == earlier.shape[:-1]
        if join == "concatenate" and same and value.ndim:
            return np.concatenate([value, earlier], axis=-1)
        if join == "add" and value.shape == earlier.shape:
            return value + earlier
        needs = "equal shapes" if join == "add" else "equal axes but the last"
        raise errors.ShapeError(
            f"the skip ({source}, {target}) joins {self._word(source)}, of shape {earlier.shape}, "
            f"to {self._word(target)}, of shape {value.shape}: {join!r} needs {needs}."
        )

    def _word(self, number: int) -> str:
        return f"layer {number} ({self.layers[number - 1]!r})" if number else "the input"

    def config(self) -> dict:
        """The descriptions of its layers, and its skips, or what a subclass has kept."""
        found = super().config()
        return found if self._config else {**found, "skips": json.loads(self._skips)}


class SkipMLP(Stack):
    """A multi-layer perceptron with skip connections between its hidden layers.

    Value 0 is the input and value l what hidden layer l gives (linear, batch norm if asked,
    activation, dropout); `skips` as in `Stack`, so (0, 2) joins the input to hidden layer 2, and
    the layer behind it reads both. "add" needs equal sizes; "concatenate" any.

    **Shapes** (..., inputs) -> (..., outputs).
    **Errors** `ValueError` where sizes do not fit.

    >>> network = SkipMLP(4, (8, 8), 3, skips=[(0, 1), (1, 2)], rng=0)
    >>> [layer.layers[0] for layer in network.layers]
    [Linear(4, 8), Linear(12, 8), Linear(20, 3)]
    """

    def __init__(
        self, inputs: int, hidden: Sequence[int], outputs: int, *, skips: Sequence[Sequence] = (),
        join: str = "concatenate", activation: str | Sequence[str] = "relu", dropout: float = 0.0,
        batch_norm: bool = False, init: str | Initialisation = "he", dtype="f", rng=0,
    ):  # fmt: skip
        rng = random.default_rng(rng)
        checked = checked_skips(skips, len(hidden), join)
        names = one_each(activation, len(hidden), "activation")
        sizes, layers = [inputs], []
        for number, (size, name) in enumerate(zip(hidden, names, strict=True), start=1):
            layers.append(Sequential(
                Linear(sizes[-1], size, init=init, dtype=dtype, rng=rng),
                *([BatchNorm(size, dtype=dtype)] if batch_norm else []), Activation(name),
                *([Dropout(dropout)] if dropout else []),
            ))  # fmt: skip
            sizes.append(size + _added_size(sizes, checked, number, size))
        layers.append(Sequential(Linear(sizes[-1], outputs, init=init, dtype=dtype, rng=rng)))
        super().__init__(*layers, skips=checked)
        self._configure(
            inputs=inputs, hidden=list(hidden), outputs=outputs, skips=checked, activation=names,
            dropout=dropout, batch_norm=batch_norm, dtype=np.dtype(dtype).char,
        )  # fmt: skip


def checked_skips(skips: Sequence[Sequence], count: int, join: str) -> list[list]:
    """[source, target, join] of each skip over `count` layers, in the order of their targets."""
    out = []
    for skip in skips:
        source, target, how = skip if len(skip) == 3 else (*skip, join)
        source, target = operator.index(source), operator.index(target)
        if not 0 <= source < target <= count or how not in JOINS:
            raise ValueError(
                f"a skip is (from, to) or (from, to, join), 0 <= from < to <= {count}, 0 being the "
                f"input, join one of {', '.join(JOINS)}; got {tuple(skip)} with join {how!r}."
            )
        out.append([source, target, how])
    if len({(source, target) for source, target, _ in out}) < len(out):
        raise ValueError(f"a skip stands twice in {[tuple(skip) for skip in skips]}.")
    return sorted(out, key=lambda skip: skip[1:])  # sums before what stands behind


def _added_size(sizes: list[int], skips: list[list], target: int, size: int) -> int:
    """How many values skips put behind those of hidden layer `target`."""
    added = 0
    for source, to, join in skips:
        if to != target:
            continue
        if join == "add" and sizes[source] != size + added:
            raise ValueError(
                f"the skip ({source}, {target}) adds {sizes[source]} values to {size + added}: "
                "sizes must be equal, or join='concatenate'."
            )
        added += sizes[source] if join == "concatenate" else 0
    return added
