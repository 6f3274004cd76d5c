"""The libraries that cases are put to: one file each, loaded in a process of its own.

A file defines `library()`, which imports the library and returns a `Library`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

NAMES = ("chainrule", "torch", "jax", "autograd", "pytensor")
TITLES = {
    "chainrule": "chainrule",
    "torch": "PyTorch",
    "jax": "JAX",
    "autograd": "HIPS autograd",
    "pytensor": "PyTensor",
}


class Nothing:
    """A namespace that the library does not have."""

    def __getattr__(self, name):
        raise Absent(name)


class Absent(Exception):
    """The library has no function of this name, or no such transformation."""


@dataclass(frozen=True)
class Library:
    """A library's names: its numpy-like namespace, and its derivative functions in JAX's form.

    `argnums` is a tuple, gradients are tuples; `jvp(f, x, dx)` and `vjp(f, x, ct)` are by one
    argument. What is None the library does not have.
    """

    name: str
    version: str
    namespaces: dict[str, Any]  # "np", and "special" and "control" where there are such
    array: Callable  # a float or a NumPy array as the library's own
    plain: Callable  # back to NumPy
    grad: Callable
    value_and_grad: Callable
    hessian: Callable
    jacobian: Callable
    jvp: Callable
    vjp: Callable
    hvp: Callable
    vmap: Callable | None = None
    compile: Callable | None = None
    expectation: Callable | None = None  # (f, arguments, seed) -> gradients, of some draws' mean
    answer: Callable | None = None  # instead of all of the above: (case, point) -> arrays


def load(name: str) -> Library:
    """The library, imported; `ImportError` where it is not installed."""
    return import_module(f"chainrule.lab.right_derivatives.libraries.with_{name}").library()
