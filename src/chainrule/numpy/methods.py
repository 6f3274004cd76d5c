"""Attributes and methods of traced values that are not operators: shape, dtype, T, sum(), ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy import layout, shaping
from chainrule.numpy.operators import needs_value
from chainrule.numpy.promotion import cast_to
from chainrule.numpy.protocols import FUNCTIONS, full_name
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

# --- attributes ---------------------------------------------------------------------------------


def _strides(self) -> tuple[int, ...]:
    return tuple(step * self.itemsize for step in layout.full_strides(self))


_FLAG_LETTERS = {
    "C": "c_contiguous", "F": "f_contiguous", "O": "owndata", "W": "writeable", "A": "aligned",
    "B": "behaved", "CA": "carray", "FA": "farray", "FORTRAN": "f_contiguous",
}  # fmt: skip


class Flags:
    """What `x.flags` says of a traced value, as far as it is known."""

    def __init__(self, x: Traced):
        self.c_contiguous = layout.is_c_contiguous(x)
        self.f_contiguous = layout.is_f_contiguous(x)
        self.contiguous = self.c_contiguous
        self.forc = self.c_contiguous or self.f_contiguous
        self.fnc = self.f_contiguous and not self.c_contiguous
        self.owndata = x._view is None
        is_scalar = not x.ndim and not x.boxed
        self.writeable = not is_scalar and (x._view is None or x._view.write is not None)
        self.aligned = True
        self.behaved = self.writeable
        self.carray = self.behaved and self.c_contiguous
        self.farray = not self.c_contiguous  # sic: NumPy tests for any of its flags
        self.fortran = self.f_contiguous
        self.writebackifcopy = False

    def __getitem__(self, name: str) -> bool:
        return getattr(self, _FLAG_LETTERS.get(name, name.lower()))


_PROPERTIES = {
    "shape": lambda self: self._var.type.shape,
    "dtype": lambda self: self._var.type.dtype,
    "ndim": lambda self: self._var.type.ndim,
    "size": lambda self: self._var.type.size,
    "itemsize": lambda self: self._var.type.dtype.itemsize,
    "nbytes": lambda self: self._var.type.nbytes,
    "strides": _strides,
    "flags": Flags,
    "device": lambda self: "cpu",
    "T": lambda self: shaping.transposed(self),
    "mT": lambda self: shaping.matrix_transpose(self),
    "real": lambda self: shaping.real(self),
    "imag": lambda self: shaping.imag(self),
    "flat": lambda self: shaping.flat(self),
}


def _refuse_reshaping(self, value):
    raise errors.MutationError(
        f"the shape of a traced array cannot be assigned, at {line_text(user_line())}: write "
        f"x = x.reshape({value!r})."
    )


def _set_real(self, value):
    target = self.real if self.dtype.kind == "c" else self
    target[...] = value


def _set_imag(self, value):
    if self.dtype.kind != "c":
        raise errors.DtypeError(
            f"array does not have imaginary part to set, at {line_text(user_line())}"
        )
    self.imag[...] = value


def _set_flat(self, value):
    self.flat[...] = value


_SETTERS = {
    "real": _set_real,
    "imag": _set_imag,
    "flat": _set_flat,
    "shape": _refuse_reshaping,
}


# --- methods ------------------------------------------------------------------------------------


def copy(self, order="C"):
    """A value of its own, which later writes to the original do not change."""
    out = shaping.fresh(self, boxed=self.boxed)
    out.weak = self.weak
    if order == "A":
        order = "F" if layout.is_f_contiguous(self) and not layout.is_c_contiguous(self) else "C"
    return layout.with_order_of(out, self) if order == "K" else layout.in_order(out, order)


def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
    """The array in another dtype; casting may be restricted as in NumPy."""
    dtype = np.dtype(dtype)
    if not np.can_cast(self.dtype, dtype, casting):
        raise errors.DtypeError(
            f"Cannot cast array data from {self.dtype!r} to {dtype!r} according to the rule "
            f"{casting!r}, at {line_text(user_line())}"
        )
    out = cast_to(self, dtype)
    if out is self and copy:
        return self.copy(order)
    out.boxed = self.boxed
    return out


def fill(self, value):
    """Every element set to a scalar, in place."""
    self[...] = value


def view(self, dtype=None, type=None):
    """A view of the whole array; its memory cannot be read as another dtype."""
    if (dtype is not None and np.dtype(dtype) != self.dtype) or type is not None:
        raise errors.NotSupported(
            f"x.view({dtype or type}) is not supported on traced values, at "
            f"{line_text(user_line())}: the memory of one dtype cannot be read as another. "
            "To convert, write x.astype(...)."
        )
    return self


def reshape(self, *shape, order="C", copy=None):
    """np.reshape, with the lengths as one tuple or as arguments."""
    if len(shape) == 1:
        shape = shape[0]
    return shaping.reshape(self, shape, order, copy=copy)


def transpose(self, *axes):
    """np.transpose, with the axes as one tuple or as arguments."""
    wanted: Any = axes or None
    if len(axes) == 1 and (axes[0] is None or np.iterable(axes[0])):
        wanted = axes[0]
    return shaping.transpose(self, wanted)


def conj(self):
    """The complex conjugate; a real array is returned itself."""
    return np.conjugate(self) if self.dtype.kind == "c" else self


def compress(self, condition, axis=None, out=None):
    """np.compress of this array."""
    return FUNCTIONS[np.compress](condition, self, axis, out)


def sort(self, axis=-1, kind=None, order=None, *, stable=None):
    """np.sort, in place."""
    self[...] = np.sort(self, axis, kind, order, stable=stable)


def partition(self, kth, axis=-1, kind="introselect", order=None):
    """np.partition, in place."""
    self[...] = np.partition(self, kth, axis, kind, order)


def to_device(self, device, /, *, stream=None):
    """The array itself: the only device is "cpu"."""
    if device != "cpu" or stream is not None:
        raise ValueError(f"Unsupported device: {device}; only 'cpu' is known, without streams.")
    return self


def _dlpack(self, **options):
    advice = "Pass the traced value itself, or cr.stop_gradient(x)."
    return needs_value(self, "x.__dlpack__()", advice).__dlpack__(**options)


def byteswap(self, inplace=False):
    """Refused: a traced value has no bytes."""
    raise errors.NotSupported(
        f"x.byteswap is not supported on traced values, at {line_text(user_line())}."
    )


_API_VERSIONS = (None, "2021.12", "2022.12", "2023.12", "2024.12")


def _array_namespace(namespace):
    def __array_namespace__(self, *, api_version=None):
        if api_version not in _API_VERSIONS:
            raise ValueError(f"Version {api_version!r} of the Array API is not supported.")
        return namespace

    return __array_namespace__


def _by_function(name: str):
    function = getattr(np, name)

    def method(self, *args, **kwargs):
        implementation = FUNCTIONS.get(function)
        if implementation is None:
            raise errors.NotSupported(
                f"{full_name(function)} is not supported on traced values, "
                f"at {line_text(user_line())}."
            )
        return implementation(self, *args, **kwargs)

    method.__name__ = name
    return method


def _missing(self, name: str):
    if hasattr(np.ndarray, name) and not name.startswith("_"):
        raise AttributeError(
            f"x.{name} is not supported on traced values, at {line_text(user_line())}."
        )
    raise AttributeError(f"a traced {self._var.type} has no attribute {name!r}")


def install(namespace) -> None:
    """Give traced values their attributes and methods. Called when chainrule.numpy is imported."""
    for name, getter in _PROPERTIES.items():
        setattr(Traced, name, property(getter, _SETTERS.get(name)))
    for method in (
        copy, astype, fill, view, reshape, transpose, conj, compress, sort, partition, to_device,
        byteswap,
    ):  # fmt: skip
        setattr(Traced, method.__name__, method)
    for name in (
        "all", "any", "argmax", "argmin", "argpartition", "argsort", "choose", "clip", "cumprod",
        "cumsum", "diagonal", "dot", "max", "mean", "min", "nonzero", "prod", "put", "ravel",
        "repeat", "round", "searchsorted", "squeeze", "std", "sum", "swapaxes", "take", "trace",
        "var",
    ):  # fmt: skip
        setattr(Traced, name, _by_function(name))
    special = {
        "conjugate": conj,
        "flatten": shaping.flatten,
        "__array_namespace__": _array_namespace(namespace),
        "__dlpack__": _dlpack,
        "__dlpack_device__": lambda self: (1, 0),  # the processor, as DLPack numbers it
        "__getattr__": _missing,
    }
    for name, method in special.items():
        setattr(Traced, name, method)
