"""Descriptions: what builds a layer again, as plain data that fits into JSON.

A description is `{"kind": name, "config": {...}}`: the name of a class and what its constructor
takes. A function of an array, as a `Sequential` may hold, is described by its name in the table of
activations: a file never holds code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.nn.activations import FUNCTIONS
from chainrule.nn.module import Module

_NUMPYS: dict[Callable, str] = {np.tanh: "tanh"}


def description(layer: Module | Callable) -> dict[str, Any]:
    """`{"kind", "config"}` of a module, or of a function that is an activation of the table.

    **Errors** `NotSupported` for other functions, and for modules without `config()`.

    >>> description(np.tanh)
    {'kind': 'function', 'config': {'name': 'tanh'}}
    """
    if isinstance(layer, Module):
        return {"kind": type(layer).__name__, "config": layer.config()}
    names = {function: name for name, function in FUNCTIONS.items()} | _NUMPYS
    try:
        return {"kind": "function", "config": {"name": names[layer]}}
    except (KeyError, TypeError):
        raise errors.NotSupported(
            f"a model file holds no code, and {getattr(layer, '__name__', repr(layer))} is a "
            f"function that has no name in it. Those with a name: {', '.join(FUNCTIONS)} "
            "(from chainrule.nn). Write yours as a Module with config(), and add the class to "
            "nn.BUILDERS."
        ) from None
