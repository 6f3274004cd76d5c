"""Attributes and methods of traced values that are not operators: shape, dtype, T, sum(), ..."""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import cast_to
from chainrule.numpy.protocols import FUNCTIONS
from chainrule.ops import elementwise
from chainrule.ops.shape import inverse_permutation, transpose
from chainrule.program.mutation import make_view
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

_PROPERTIES = {
    "shape": lambda self: self._var.type.shape,
    "dtype": lambda self: self._var.type.dtype,
    "ndim": lambda self: self._var.type.ndim,
    "size": lambda self: self._var.type.size,
    "itemsize": lambda self: self._var.type.dtype.itemsize,
    "nbytes": lambda self: self._var.type.nbytes,
    "T": lambda self: transposed(self, tuple(range(self.ndim))[::-1]),
    "mT": lambda self: transposed(self, (*range(self.ndim - 2), self.ndim - 1, self.ndim - 2)),
    "real": lambda self: real_part(self),
    "imag": lambda self: imaginary_part(self),
    "flat": lambda self: self.reshape(-1),
}


def transposed(x: Traced, axes: tuple[int, ...]) -> Traced:
    """A view of x with its axes in another order."""
    if axes == tuple(range(x.ndim)):
        return x
    back = inverse_permutation(axes)
    return make_view(
        x,
        ("transpose", axes),
        lambda parent: transpose(parent, axes=axes),
        lambda _, value: transpose(value, axes=back),
    )


def real_part(x: Traced) -> Traced:
    """x.real: a view."""
    if x.dtype.kind != "c":
        return x
    return make_view(
        x, "real", elementwise.real, lambda parent, v: elementwise.join(v, elementwise.imag(parent))
    )


def imaginary_part(x: Traced) -> Traced:
    """x.imag: a view for complex arrays, zeros for real ones."""
    if x.dtype.kind != "c":
        return x * 0
    return make_view(
        x, "imag", elementwise.imag, lambda parent, v: elementwise.join(elementwise.real(parent), v)
    )


def copy(self, order="C"):
    """A value of its own, which later writes to the original do not change."""
    out = Traced(self.builder, self._var, self.weak, self.active)
    out._var = (+self)._var if self.view is not None else self._var
    out.boxed = self.boxed
    return out


def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
    """The array in another dtype; casting may be restricted as in NumPy."""
    dtype = np.dtype(dtype)
    if not np.can_cast(self.dtype, dtype, casting):
        raise errors.DtypeError(
            f"Cannot cast array data from {self.dtype!r} to {dtype!r} according to the rule "
            f"{casting!r}, at {line_text(user_line())}"
        )
    out = cast_to(self, dtype)
    return out.copy() if out is self and copy else out


def fill(self, value):
    """Every element set to a scalar, in place."""
    self[...] = value


def _by_function(function):
    def method(self, *args, **kwargs):
        return FUNCTIONS[function](self, *args, **kwargs)

    method.__name__ = function.__name__
    return method


def install() -> None:
    """Give traced values their attributes and methods. Called when chainrule.numpy is imported."""
    for name, getter in _PROPERTIES.items():
        setattr(Traced, name, property(getter))
    for method in (copy, astype, fill):
        setattr(Traced, method.__name__, method)
    for name in (
        "all", "any", "argmax", "argmin", "argsort", "choose", "clip", "compress", "cumprod",
        "cumsum", "diagonal", "dot", "max", "mean", "min", "nonzero", "prod", "ptp", "ravel",
        "repeat", "reshape", "round", "searchsorted", "squeeze", "std", "sum", "swapaxes", "take",
        "trace", "var",
    ):  # fmt: skip
        setattr(Traced, name, _by_function(getattr(np, name)))
    for name, function in (("conj", np.conj), ("conjugate", np.conj)):
        setattr(Traced, name, lambda self, f=function: f(self))
    setattr(Traced, "flatten", lambda self, order="C": self.reshape(-1, order=order).copy())  # noqa: B010
