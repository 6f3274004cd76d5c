"""Builders for functions without effects: a value, a gradient, a Jacobian, in each library.

`f` takes the inputs in order. What a library's arrays are made from the inputs once, before
anything is timed.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.speed.contender import Contender, immediate, pure


def chainrule(transformed):
    """A builder: the function that `transformed(cr)` makes, compiled."""

    def build(inputs) -> Contender:
        import chainrule as cr

        return immediate(cr.compile(transformed(cr)), *inputs)

    return build


def with_numpy(f):
    """A builder: the function as NumPy runs it."""
    return lambda inputs: immediate(f, *inputs)


def jax(transformed):
    """A builder: the function that `transformed(jax)` makes, jitted."""

    def build(inputs) -> Contender:
        import jax

        arrays = jax.device_put(tuple(inputs))
        return pure(jax.jit(transformed(jax)), *arrays, done=jax.block_until_ready)

    return build


def tensors(inputs) -> list:
    """The inputs as torch's; numbers stay numbers."""
    import torch

    return [torch.tensor(x) if isinstance(x, (np.ndarray, np.generic)) else x for x in inputs]


def torch(transformed):
    """A builder: the function that `transformed(torch)` makes, eagerly."""

    def build(inputs) -> Contender:
        import torch

        return immediate(_quiet(transformed(torch)), *tensors(inputs))

    return build


def torch_compile(transformed):
    """A builder: the same, compiled."""

    def build(inputs) -> Contender:
        import torch

        return immediate(_quiet(torch.compile(transformed(torch))), *tensors(inputs))

    return build


def _quiet(f):
    """The function outside of eager autograd, which has no part in it."""
    import torch

    return torch.no_grad()(f)


def torch_backward(f, count: int):
    """A builder: eager autograd's gradient by the first `count` inputs."""

    def build(inputs) -> Contender:
        import torch

        arguments = tensors(inputs)
        wanted = [x.requires_grad_() for x in arguments[:count]]
        return immediate(lambda: torch.autograd.grad(f(*arguments), wanted))

    return build


def autograd(f, argnums):
    """A builder: HIPS autograd's gradient."""

    def build(inputs) -> Contender:
        from autograd import grad

        return immediate(grad(f, argnums), *inputs)

    return build


def gradients(f, count: int, leave_out=()) -> dict:
    """Everybody's gradient of `f(library, *inputs)` by the first `count` inputs, and f itself.

    `library` is "chainrule", "jax", "torch" or "autograd": whose functions f is to use.
    """
    argnums = tuple(range(count))
    ours, by_jax, by_torch, by_autograd = (
        partial(f, name) for name in ("chainrule", "jax", "torch", "autograd")
    )
    found = {
        "chainrule": chainrule(lambda cr: cr.grad(ours, argnums)),
        "chainrule objective": chainrule(lambda cr: ours),
        "jax": jax(lambda jax: jax.grad(by_jax, argnums)),
        "torch": torch_backward(by_torch, count),
        "torch.compile": torch_compile(lambda torch: torch.func.grad(by_torch, argnums)),
        "autograd": autograd(by_autograd, argnums),
    }
    return {name: builder for name, builder in found.items() if name not in leave_out}
