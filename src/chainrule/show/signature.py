"""The parameters of a printed function: the user's own, and arrays that it closes over."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule.program.tree import flatten, node_of, paths
from chainrule.tracing import Call

# The functions that chainrule's transformations return -> prefix of the name, words for it.
_TRANSFORMED = {
    "gradient": ("grad", "the gradient of"),
    "value_and_gradient": ("value_and_grad", "the value and the gradient of"),
    "jacobian_of_f": ("jacobian", "the Jacobian of"),
    "batched": ("vmap", "a batch of"),
}
_SMALL = 16  # captured arrays of at most so many numbers are written out


def function_name(f: Callable) -> tuple[str, str]:
    """A name for the printed function, and what it is in words: `grad_f`, "the gradient of f"."""
    prefixes, words = [], []
    while True:
        code = getattr(f, "__code__", None)
        if code is not None and code.co_name in _TRANSFORMED and hasattr(f, "__wrapped__"):
            prefix, word = _TRANSFORMED[code.co_name]
            prefixes.append(prefix)
            words.append(word)
        if not hasattr(f, "__wrapped__"):
            break
        f = f.__wrapped__
    name = getattr(f, "__name__", None) or type(f).__name__
    name = name if name.isidentifier() else "f"
    return "_".join([*prefixes, name]), " ".join([*words, name])


class Signature:
    """How each leaf of the arguments is written, and the `def` line's parameters."""

    def __init__(self, name: tuple[str, str]):
        self.name, self.words = name
        self.roots: list[tuple[str, Any]] = []  # the name of each argument, and its value
        self.parameters: list[str] = []
        self.leaves: list[str] = []
        self.notes: list[str] = []

    @classmethod
    def of_call(cls, f: Callable, args: tuple, kwargs: dict) -> Signature:
        """The parameters of a function, for these arguments."""
        made = cls(function_name(f))
        names = _positional_names(f, len(args))
        for name, value in [*zip(names, args, strict=True), *kwargs.items()]:
            made._add(name, value)
        return made

    @classmethod
    def of_names(cls, name: str, names: list[str]) -> Signature:
        """One parameter for each name."""
        made = cls((name, name))
        made.parameters, made.leaves = list(names), list(names)
        return made

    def _add(self, name: str, value) -> None:
        self.roots.append((name, value))
        leaves, structure = flatten(value)
        if leaves:
            self.parameters.append(name)
            self.leaves += _access(name, structure)
            return
        default = _default_text(value)
        after_default = any("=" in p for p in self.parameters)
        self.parameters.append(f"{name}={default}" if default or after_default else name)
        if default:
            self.notes.append(f"with {name}={default}")

    @property
    def parameter_names(self) -> list[str]:
        return [p.partition("=")[0] for p in self.parameters]

    def path_of(self, container) -> str | None:
        """How a list, dict or object among the arguments is written."""
        for name, root in self.roots:
            found = _find(name, root, container)
            if found is not None:
                return found
        return None

    def parameter_text(self) -> list[str]:
        """The parameters, in an order that Python allows: those with a default last."""
        plain = [p for p in self.parameters if "=" not in p]
        if plain == self.parameters[: len(plain)]:
            return self.parameters
        return [p.partition("=")[0] for p in self.parameters]


def _access(name: str, structure) -> list[str]:
    return [path.replace("'", '"') for path in paths(structure, name)]


def _find(text: str, value, container) -> str | None:
    if value is container:
        return text
    node = node_of(value)
    if node is None:
        return None
    for key, child in zip(node.keys, node.children, strict=True):
        if not isinstance(child, np.ndarray | np.generic | int | float | complex):
            step = f".{key}" if not isinstance(value, list | tuple | dict) else f"[{key!r}]"
            found = _find(text + step.replace("'", '"'), child, container)
            if found is not None:
                return found
    return None


def _positional_names(f: Callable, count: int) -> list[str]:
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names: list[str] = []
    for p in parameters:
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            names.append(p.name)
        elif p.kind is p.VAR_POSITIONAL:
            names += [f"{p.name}_{i}" for i in range(len(names), count)]
    names += [f"x{i}" for i in range(len(names), count)]
    return names[:count]


def quoted(value) -> str:
    """A plain value as Python writes it, strings in double quotes."""
    text = repr(value)
    return f'"{text[1:-1]}"' if isinstance(value, str) and '"' not in text else text


def _default_text(value) -> str | None:
    plain = (None, True, False)
    if isinstance(value, str) or any(value is p for p in plain):
        return quoted(value)
    return None


# --- captured arrays ------------------------------------------------------------------------------


def is_small(value: np.ndarray) -> bool:
    """Whether a captured array is written out in the source."""
    if value.size <= _SMALL:
        return True
    counting = value.dtype == np.int64 and value.ndim == 1
    return counting and np.array_equal(value, np.arange(value[0], value[0] + value.size))


def captured_names(f: Callable, call: Call) -> list[str]:
    """A name for each captured array: where the function's names reach it, else `constant`."""
    wanted = {id(host) for host in call.operands[: call.leading]}
    found: dict[int, str] = {}
    for name, value in _reachable(f):
        if id(value) in wanted and id(value) not in found:
            found[id(value)] = name
    return [found.get(id(host), "constant") for host in call.operands[: call.leading]]


def _reachable(f: Callable, most: int = 5000) -> Iterator[tuple[str, Any]]:
    """What the names of a function reach, nearest first, with an identifier for each."""
    pending: deque[tuple[str, Any, int]] = deque([("", f, 0)])
    seen: set[int] = set()
    while pending and len(seen) < most:
        name, value, depth = pending.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield name, value
        if depth < 5:
            prefix = "" if callable(value) or name == "self" else name
            pending += [
                (f"{prefix}_{key}" if prefix else key, part, depth + 1)
                for key, part in _parts(value)
            ]


def _parts(value) -> Iterator[tuple[str, Any]]:
    if isinstance(value, np.ndarray | np.generic | str | int | float | type(np)):
        return
    if hasattr(value, "__wrapped__"):
        yield "", value.__wrapped__
    if hasattr(value, "__self__") and not isinstance(value.__self__, type(np)):
        yield "self", value.__self__
    code = getattr(value, "__code__", None)
    if code is not None:
        yield from _names_of_code(value, code)
    elif isinstance(value, dict):
        yield from ((str(k), v) for k, v in list(value.items()) if str(k).isidentifier())
    elif isinstance(value, list | tuple):
        yield from ((str(i), v) for i, v in enumerate(value[:100]))
    else:
        yield from list(getattr(value, "__dict__", {}).items())


def _names_of_code(function, code) -> Iterator[tuple[str, Any]]:
    function = getattr(function, "__func__", function)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not yet assigned
            continue
    names = set(code.co_names)
    for inner in code.co_consts:
        names.update(getattr(inner, "co_names", ()))
    for name in sorted(names):
        value = function.__globals__.get(name)
        if value is not None and not isinstance(value, type | type(np)):
            yield name, value
