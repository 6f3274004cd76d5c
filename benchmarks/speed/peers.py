"""The libraries: how each is told its threads, and woken before anything is measured.

A contender's library is the first word of its name: "jax scan" is a way to use jax. Each worker
process is bound to as many cores as the row has threads, and told so in the variables that its
library reads at import: on one thread XLA's pool would otherwise still hand work to and fro.
"""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version

PACKAGES = {
    "chainrule": "chainrule", "numpy": "numpy", "jax": "jax", "torch": "torch",
    "torch.compile": "torch", "autograd": "autograd", "scikit-learn": "scikit-learn",
}  # fmt: skip
_COUNTS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS", "CHAINRULE_THREADS",
)  # fmt: skip


def library(contender: str) -> str:
    return contender.split()[0]


def installed(contender: str) -> str | None:
    """The version of a contender's library here, None where there is none."""
    try:
        return version(PACKAGES[library(contender)])
    except PackageNotFoundError:
        return "(working tree)" if library(contender) == "chainrule" else None


def prepare(name: str, threads: int) -> None:
    """Set up this process for a library, before it is imported."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    for variable in _COUNTS:
        os.environ[variable] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # its compile time is that of no cache
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    if name.startswith("torch"):
        import torch

        torch.set_num_threads(threads)


def warm_up(name: str, double: bool) -> None:
    """Make a library do something small: what it sets up once is no part of a row's figures."""
    if name in _WARM_UPS:
        _WARM_UPS[name](double)


def _jax(double: bool) -> None:
    import jax

    jax.config.update("jax_enable_x64", double)

    def body(w, x):
        value, gradient = jax.value_and_grad(lambda w: jax.numpy.sum(jax.numpy.sin(x @ w)))(w)
        return w - gradient, value

    x = jax.numpy.ones((4, 8, 8))
    jax.block_until_ready(jax.jit(lambda w: jax.lax.scan(body, w, x))(x[0]))


def _torch(double: bool) -> None:
    import torch

    w = torch.ones(8, 8, requires_grad=True)
    optimizer = torch.optim.Adam([w], fused=True)
    torch.sin(torch.ones(8, 8) @ w).sum().backward()
    optimizer.step()


def _torch_compile(double: bool) -> None:
    import torch

    _torch(double)
    torch.compile(lambda x: torch.sin(x @ x) + 1)(torch.ones(8, 8))


def _chainrule(double: bool) -> None:
    import numpy as np

    import chainrule as cr

    cr.compile(cr.grad(lambda w: np.sum(np.sin(w @ w))))(np.ones((8, 8)))


def _autograd(double: bool) -> None:
    import autograd
    import autograd.numpy as anp

    autograd.grad(lambda w: anp.sum(anp.sin(w @ w)))(anp.ones((8, 8)))


def _scikit_learn(double: bool) -> None:
    import numpy as np
    from sklearn.neural_network import MLPRegressor

    MLPRegressor(hidden_layer_sizes=(8,)).partial_fit(np.ones((8, 8)), np.ones(8))


_WARM_UPS = {
    "jax": _jax, "torch": _torch, "torch.compile": _torch_compile, "chainrule": _chainrule,
    "autograd": _autograd, "scikit-learn": _scikit_learn,
}  # fmt: skip
