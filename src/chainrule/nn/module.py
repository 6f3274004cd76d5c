"""Module and Parameter: a model is an object that holds arrays, and a function of its input.

    class Line(nn.Module):
        def __init__(self, rng):
            self.slope = nn.Parameter(rng.normal(size=3))     # learned
            self.seen = np.zeros((), np.int64)                # state

        def __call__(self, x, training=False, rng=None):
            return x @ self.slope

An attribute that is assigned a `Parameter` is learned: it is stored as a plain array, and its name
is remembered. Every other array or number is state. A module is a tree (see `cr.register`), and
`grad(loss)(model, x)` gives a module of the same structure, with the gradient in the place of each
parameter and None in the place of state.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from chainrule import errors
from chainrule.program.tree import is_leaf, node_of, register


class Parameter:
    """Marks an array that is learned, where it is assigned to an attribute of a `Module`.

    Numbers and lists become float32 arrays; arrays keep their dtype, which must be floating.
    """

    __slots__ = ("value",)

    def __init__(self, value):
        array = value if isinstance(value, np.ndarray) else np.asarray(value, np.float32)
        if array.dtype.kind not in "fc":
            raise errors.DtypeError(
                f"a Parameter is an array of floats, got {array.dtype}: it has no derivative."
            )
        self.value = array


@register
class Module:
    """The base of every layer and model. See the module's page for what is learned and what not.

    Calling `model(x)` is inference and deterministic; `model(x, training=True, rng=rng)` trains:
    dropout draws from `rng` (a `cr.random.Generator`), batch norm updates its running statistics.
    """

    _learned: tuple[str, ...] = ()
    _config: str = ""  # JSON, because numbers in a module are data and text is structure

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            if name not in self._learned:
                object.__setattr__(self, "_learned", (*self._learned, name))
            value = value.value
        elif name in self._learned and not is_leaf(value):
            object.__setattr__(self, "_learned", tuple(n for n in self._learned if n != name))
        object.__setattr__(self, name, value)

    @property
    def __learned__(self) -> tuple[str, ...]:
        return self._learned

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no __call__.")

    def config(self) -> dict:
        """What its constructor takes to build it again, up to its arrays; fits into JSON.

        **Errors** `NotSupported` where the class does not say.
        """
        if not self._config:
            name = type(self).__name__
            raise errors.NotSupported(
                f"{name} does not say how it is built again. Give it config(), a dict of what "
                f"{name}(...) takes."
            )
        return json.loads(self._config)

    def _configure(self, **config: Any) -> None:
        """Keep what the constructor was given, for `config()` and as options of the layer."""
        self._config = json.dumps(config)

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """(path, array) of everything learned, in the order of assignment: `layers[0].weight`."""
        return ((leaf.path, leaf.array) for leaf in leaves(self) if leaf.learned)

    def named_state(self) -> Iterator[tuple[str, Any]]:
        """(path, array) of the arrays that are not learned: running statistics and the like."""
        return ((leaf.path, leaf.array) for leaf in leaves(self) if not leaf.learned)

    def parameters(self) -> list:
        """The learned arrays, in the order of assignment."""
        return [leaf.array for leaf in leaves(self) if leaf.learned]

    def __repr__(self) -> str:
        count = sum(array.size for array in self.parameters())
        return f"{type(self).__name__}({count:,} parameters)"


class Leaf(NamedTuple):
    """An array of a model: its path, whether it is learned, and what holds it under which key."""

    path: str
    learned: bool
    holder: Any
    key: Any

    @property
    def array(self) -> Any:
        """The array, as it is now."""
        if isinstance(self.holder, dict) or isinstance(self.key, int):
            return self.holder[self.key]
        return getattr(self.holder, self.key)


def leaves(value: Any) -> list[Leaf]:
    """All arrays of a model, in the order of assignment."""
    found: list[Leaf] = []
    _add_leaves(value, "", False, found)
    return found


def _add_leaves(value: Any, path: str, learned: bool, found: list[Leaf]) -> None:
    node = node_of(value)
    if node is None:
        return
    names = getattr(value, "__learned__", None)
    indexed = isinstance(value, list | tuple | dict)
    for key, child in zip(node.keys, node.children, strict=True):
        place = (path + (f"[{key!r}]" if indexed else f".{key}")).lstrip(".")
        inside = learned if names is None else key in names
        if not is_leaf(child):
            _add_leaves(child, place, inside, found)
        elif not (type(child) in (int, float, complex) or getattr(child, "weak", False)):
            found.append(Leaf(place, inside, value, key))
