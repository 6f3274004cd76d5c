"""The right derivative of the NumPy code you already have."""

import chainrule.numpy
from chainrule import special
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
    "fori_loop",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "linearize",
    "register",
    "scan",
    "source",
    "special",
    "stop_gradient",
    "trace",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
]
