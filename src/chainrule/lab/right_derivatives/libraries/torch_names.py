"""NumPy's names for PyTorch's functions: what someone writes who ports NumPy code to PyTorch."""

from __future__ import annotations

from importlib import import_module
from math import e, inf, nan, pi

from chainrule.lab.right_derivatives.libraries import Absent


class _Torch:
    """The module, imported at first use."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module("torch"), name)


torch = _Torch()


def tensor(x):
    """`x` as a tensor; numbers become float64."""
    return x if isinstance(x, torch.Tensor) else torch.as_tensor(x)


def _reduction(whole, along=None):
    """A reduction that PyTorch may name differently with and without an axis."""

    def reduce(x, axis=None, keepdims=False):
        x = tensor(x)
        if axis is None:
            out = getattr(torch, whole)(x)
            return out.reshape([1] * x.ndim) if keepdims else out
        return getattr(torch, along or whole)(x, dim=axis, keepdim=keepdims)

    return reduce


def _quantile(x, q, axis=None, keepdims=False):
    return torch.quantile(tensor(x), tensor(float(q)), dim=axis, keepdim=keepdims)


def _variance(name):
    def reduce(x, axis=None, ddof=0, keepdims=False):
        return getattr(torch, name)(tensor(x), dim=axis, correction=ddof, keepdim=keepdims)

    return reduce


def _clip(x, low=None, high=None):
    return torch.clamp(tensor(x), low, high)


def _where(condition, x, y):
    return torch.where(tensor(condition), tensor(x), tensor(y))


def _take(x, indices, axis=None):
    x, indices = tensor(x), torch.as_tensor(indices)
    if axis is None:
        return torch.take(x, indices)
    found = torch.index_select(x, axis, indices.reshape(-1))
    return found.reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


def _diff(x, axis=-1):
    return torch.diff(tensor(x), dim=axis)


def _select(conditions, choices, default=0.0):
    out = tensor(default)
    for condition, choice in reversed(list(zip(conditions, choices, strict=True))):
        out = torch.where(tensor(condition), tensor(choice), out)
    return out


class _Linalg:
    @staticmethod
    def norm(x, ord=None, axis=None, keepdims=False):
        return torch.linalg.norm(tensor(x), ord=ord, dim=axis, keepdim=keepdims)

    det = staticmethod(lambda a: torch.linalg.det(a))
    inv = staticmethod(lambda a: torch.linalg.inv(a))
    solve = staticmethod(lambda a, b: torch.linalg.solve(a, tensor(b)))
    eigvalsh = staticmethod(lambda a: torch.linalg.eigvalsh(a))
    slogdet = staticmethod(lambda a: torch.linalg.slogdet(a))


class TorchNumpy:
    """`np.NAME` for PyTorch."""

    linalg = _Linalg
    pi, e, inf, nan, newaxis = pi, e, inf, nan, None
    sum = staticmethod(_reduction("sum"))
    mean = staticmethod(_reduction("mean"))
    max = amax = staticmethod(_reduction("max", "amax"))
    min = amin = staticmethod(_reduction("min", "amin"))
    prod = staticmethod(_reduction("prod"))
    any = staticmethod(_reduction("any"))
    all = staticmethod(_reduction("all"))
    argmax = staticmethod(_reduction("argmax"))
    argmin = staticmethod(_reduction("argmin"))
    std = staticmethod(_variance("std"))
    var = staticmethod(_variance("var"))
    quantile = staticmethod(_quantile)
    median = staticmethod(lambda x, axis=None: _quantile(x, 0.5, axis))
    percentile = staticmethod(lambda x, q, axis=None: _quantile(x, q / 100.0, axis))
    sort = staticmethod(lambda x, axis=-1: torch.sort(tensor(x), dim=axis).values)
    argsort = staticmethod(lambda x, axis=-1: torch.argsort(tensor(x), dim=axis))
    cumsum = staticmethod(lambda x, axis=0: torch.cumsum(tensor(x), dim=axis))
    cumprod = staticmethod(lambda x, axis=0: torch.cumprod(tensor(x), dim=axis))
    maximum = staticmethod(lambda x, y: torch.maximum(tensor(x), tensor(y)))
    minimum = staticmethod(lambda x, y: torch.minimum(tensor(x), tensor(y)))
    clip = staticmethod(_clip)
    where = staticmethod(_where)
    select = staticmethod(_select)
    take = staticmethod(_take)
    diff = staticmethod(_diff)
    array = asarray = staticmethod(lambda x, dtype=None: torch.as_tensor(x, dtype=dtype))
    concatenate = staticmethod(lambda xs, axis=0: torch.cat([tensor(x) for x in xs], dim=axis))
    stack = staticmethod(lambda xs, axis=0: torch.stack([tensor(x) for x in xs], dim=axis))
    arange = staticmethod(lambda *given: torch.arange(*given))
    transpose = staticmethod(lambda x: tensor(x).T)
    dot = matmul = staticmethod(lambda x, y: torch.matmul(tensor(x), tensor(y)))
    reshape = staticmethod(lambda x, shape: tensor(x).reshape(shape))
    isnan = staticmethod(lambda x: torch.isnan(tensor(x)))
    isfinite = staticmethod(lambda x: torch.isfinite(tensor(x)))
    power = staticmethod(lambda x, y: torch.pow(tensor(x), y))
    logical_not = staticmethod(lambda x: torch.logical_not(x))
    cbrt = staticmethod(lambda x: torch.sign(x) * torch.pow(torch.abs(x), 1 / 3))
    ptp = staticmethod(lambda x: torch.max(x) - torch.min(x))

    def __getattr__(self, name):
        found = getattr(torch, name, None)
        if found is None:
            raise Absent(f"torch.{name}")
        return lambda *args, **rest: found(*[_operand(a) for a in args], **_renamed(rest))


def _operand(value):
    return torch.as_tensor(value) if isinstance(value, float) else value


def _renamed(keywords: dict) -> dict:
    names = {"axis": "dim", "keepdims": "keepdim"}
    return {names.get(key, key): value for key, value in keywords.items()}
