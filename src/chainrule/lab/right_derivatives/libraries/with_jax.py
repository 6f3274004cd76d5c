"""JAX, with float64."""

from __future__ import annotations

import numpy as np

from chainrule.lab.right_derivatives.libraries import Library


def library() -> Library:
    """`jax.numpy` and JAX's own transformations."""
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    import jax.numpy as jnp
    import jax.scipy.special as special

    from chainrule.lab.right_derivatives.libraries.jax_random import JaxRandom

    def expectation(f, arguments, seed):
        """The gradient of a mean of 500 samples, as lanes of `vmap`."""
        keys = jax.random.split(jax.random.key(seed), 500)

        def mean(*args):
            return jnp.mean(jax.vmap(lambda key: f(*args, rng=JaxRandom(key)) * 1.0)(keys))

        return jax.grad(mean, tuple(range(len(arguments))))(*arguments)

    return Library(
        name="jax",
        version=jax.__version__,
        namespaces={"np": jnp, "special": special, "control": jax.lax},
        array=jnp.asarray,
        plain=np.asarray,
        grad=jax.grad,
        value_and_grad=jax.value_and_grad,
        hessian=jax.hessian,
        jacobian=jax.jacobian,
        jvp=lambda f, x, dx: jax.jvp(f, (x,), (dx,))[1],
        vjp=lambda f, x, ct: jax.vjp(f, x)[1](ct)[0],
        hvp=lambda f, x, dx: jax.jvp(jax.grad(f), (x,), (dx,))[1],
        vmap=jax.vmap,
        compile=jax.jit,
        expectation=expectation,
    )
