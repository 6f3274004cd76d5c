"""The right derivative of the NumPy code you already have."""

from importlib import import_module
from typing import TYPE_CHECKING

from chainrule import errors, linalg, numpy, random, special, testing
from chainrule import scipy_integrals as _scipy_integrals  # registers what scipy.integrate means
from chainrule import scipy_minimisers as _scipy_minimisers  # and scipy.optimize
from chainrule import scipy_solvers as _scipy_solvers
from chainrule.api import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    stop_gradient,
    value_and_grad,
    vjp,
)
from chainrule.batching import vmap
from chainrule.compiled import compile
from chainrule.control import checkpoint, cond, fori_loop, scan, while_loop
from chainrule.custom import custom_derivative
from chainrule.expecting import expectation
from chainrule.implicit import argmin, fixed_point, root
from chainrule.ops import pooling as _pooling  # registers the operations that `nn` stands on
from chainrule.program.tree import register

if TYPE_CHECKING:
    from chainrule import data, nn, optim, train
    from chainrule.certify.accuracy import accuracy
    from chainrule.certify.certified import certified
    from chainrule.compiler.threads import get_threads, set_threads
    from chainrule.show.explain import explain
    from chainrule.show.graph import graph
    from chainrule.show.source import source, trace

__all__ = [
    "accuracy",
    "argmin",
    "certified",
    "checkpoint",
    "compile",
    "cond",
    "custom_derivative",
    "data",
    "errors",
    "expectation",
    "explain",
    "fixed_point",
    "fori_loop",
    "get_threads",
    "grad",
    "graph",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "linalg",
    "linearize",
    "nn",
    "numpy",
    "optim",
    "random",
    "register",
    "root",
    "scan",
    "set_threads",
    "source",
    "special",
    "stop_gradient",
    "testing",
    "trace",
    "train",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
]

_AT_FIRST_USE = {
    "accuracy": "chainrule.certify.accuracy",
    "certified": "chainrule.certify.certified",
    "explain": "chainrule.show.explain",
    "get_threads": "chainrule.compiler.threads",
    "set_threads": "chainrule.compiler.threads",
    "graph": "chainrule.show.graph",
    "source": "chainrule.show.source",
    "trace": "chainrule.show.source",
}


# packages built on the names above, loaded at first use
_ROOMS = ("data", "estimators", "nn", "optim", "train")


def __getattr__(name: str):
    if name in _ROOMS:
        return import_module(f"chainrule.{name}")
    if name not in _AT_FIRST_USE:
        raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_AT_FIRST_USE[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_AT_FIRST_USE, *_ROOMS})
