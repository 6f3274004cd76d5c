"""The differentiation tools the corpus asks, each behind the same two methods.

`forward(f, x, v)` returns the value and the derivative along `v`; `reverse(f, x)` returns the
value and a pullback. A tool that is not installed is left out of the run, with a line that says
so. `autograd+import` and `jax+import` replace, in the module that defines the function and for
the length of the call, the name that is bound to `numpy`: what a user gets after changing that
module's import line.
"""
import contextlib
import importlib
import inspect
import sys

import numpy as np


class Chainrule:
    """This package, on the function as it is."""

    name, module = "chainrule", "chainrule"

    def __init__(self):
        self.api = importlib.import_module("chainrule")
        if not hasattr(self.api, "vjp"):
            raise ImportError("this chainrule has no vjp")

    def forward(self, f, x, v):
        return self.api.jvp(f, (x,), (v,))

    def reverse(self, f, x):
        return self.api.vjp(f, x)


class Autograd:
    """HIPS autograd, on the function as it is."""

    name, module = "autograd", "autograd"

    def __init__(self):
        self.api = importlib.import_module("autograd.differential_operators")
        self.numpy = importlib.import_module("autograd.numpy")

    def forward(self, f, x, v):
        return self.api.make_jvp(f)(x)(v)

    def reverse(self, f, x):
        pullback, value = self.api.make_vjp(f)(x)
        return value, pullback


class Jax:
    """JAX in double precision, not jitted, on the function as it is."""

    name, module = "jax", "jax"

    def __init__(self):
        self.api = importlib.import_module("jax")
        self.api.config.update("jax_enable_x64", True)
        self.numpy = importlib.import_module("jax.numpy")

    def forward(self, f, x, v):
        return self.api.jvp(f, (x,), (v,))

    def reverse(self, f, x):
        return self.api.vjp(f, x)


PEERS = {"chainrule": Chainrule, "autograd": Autograd, "jax": Jax,
         "autograd+import": Autograd, "jax+import": Jax}


def available(names) -> dict:
    """Returns the tools of these names that can be imported, by name."""
    found = {}
    for name in names:
        try:
            tool = PEERS[name]()
        except ImportError as error:
            print(f"left out: {name} ({error})", file=sys.stderr)
            continue
        found[name] = tool
    return found


@contextlib.contextmanager
def numpy_replaced(target, replacement):
    """Binds the names of numpy in the target's module to the replacement while inside."""
    module = inspect.getmodule(inspect.unwrap(target))
    names = [name for name, value in vars(module).items() if value is np]
    try:
        vars(module).update(dict.fromkeys(names, replacement))
        yield
    finally:
        vars(module).update(dict.fromkeys(names, np))
