"""The right derivative of the NumPy code you already have."""

from chainrule import errors, linalg, numpy, random, special, testing
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
from chainrule.control import checkpoint, cond, fori_loop, scan, while_loop
from chainrule.custom import custom_derivative
from chainrule.program.tree import register
from chainrule.show.source import source, trace

__all__ = [
    "checkpoint",
    "cond",
    "custom_derivative",
    "errors",
    "fori_loop",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "linalg",
    "linearize",
    "numpy",
    "random",
    "register",
    "scan",
    "source",
    "special",
    "stop_gradient",
    "testing",
    "trace",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
]
