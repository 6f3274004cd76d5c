"""chainrule itself: plain NumPy goes in."""

from __future__ import annotations

import numpy as np
import scipy.special

import chainrule as cr
from chainrule.lab.right_derivatives.libraries import Library


def library() -> Library:
    """chainrule, as a user calls it."""
    return Library(
        name="chainrule",
        version="this one",
        namespaces={"np": np, "special": scipy.special, "control": cr},
        array=lambda x: x,
        plain=np.asarray,
        grad=cr.grad,
        value_and_grad=cr.value_and_grad,
        hessian=cr.hessian,
        jacobian=cr.jacobian,
        jvp=lambda f, x, dx: cr.jvp(f, (x,), (dx,))[1],
        vjp=lambda f, x, ct: cr.vjp(f, x)[1](ct)[0],
        hvp=_hvp,
        vmap=cr.vmap,
        compile=cr.compile,
        expectation=_expectation,
    )


def _hvp(f, x, dx):
    return cr.hvp(f, (x,), (dx,))


def _expectation(f, arguments, seed):
    """The gradient of the mean, by all arguments, from 500 samples."""
    generator = cr.random.Generator(seed)
    numbers = tuple(range(len(arguments)))
    return cr.grad(cr.expectation(f), numbers)(*arguments, rng=generator, samples=500)
