"""HIPS autograd."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from chainrule.lab.right_derivatives.libraries import Library, Nothing


def library() -> Library:
    """`autograd.numpy` and autograd's derivative functions."""
    import autograd
    import autograd.numpy as anp
    import autograd.scipy.special as special

    return Library(
        name="autograd",
        version=version("autograd"),
        namespaces={"np": anp, "special": special, "control": Nothing()},
        array=lambda x: x,
        plain=np.asarray,
        grad=autograd.grad,
        value_and_grad=autograd.value_and_grad,
        hessian=autograd.hessian,
        jacobian=autograd.jacobian,
        jvp=lambda f, x, dx: autograd.make_jvp(f)(x)(dx)[1],
        vjp=lambda f, x, ct: autograd.make_vjp(f)(x)[0](ct),
        hvp=lambda f, x, dx: autograd.make_hvp(f)(x)[0](dx),
    )
