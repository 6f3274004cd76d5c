"""Types of values in a program: a static shape and a NumPy dtype, nothing else.

Types are interned: two equal types are the same object, so comparing them is one pointer test.
Whether a Python scalar is weak (NEP 50) is a property of the traced value, never of a type.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors

Shape = tuple[int, ...]

_interned: dict[tuple[Shape, np.dtype], Type] = {}

_LETTER = {"f": "f", "i": "i", "u": "u", "c": "c"}
_BY_NAME = {
    name: np.dtype(spelled)
    for name, spelled in {
        "bool": "?",
        "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
        "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64",
        "f16": "float16", "f32": "float32", "f64": "float64",
        "c64": "complex64", "c128": "complex128",
    }.items()
}  # fmt: skip
_NAME = {dtype: name for name, dtype in _BY_NAME.items()}
SUPPORTED_DTYPES = tuple(_NAME)


class Type:
    """The type of one array: `shape` (a tuple of ints) and `dtype`. Make one with `type_of`."""

    __slots__ = ("dtype", "inexact", "ndim", "shape", "size")

    shape: Shape
    dtype: np.dtype
    ndim: int
    size: int
    inexact: bool  # float or complex: the values that have a tangent space

    def __repr__(self) -> str:
        return f"{dtype_name(self.dtype)}[{','.join(map(str, self.shape))}]"

    def __reduce__(self):
        return array_type, (self.shape, self.dtype)

    def with_shape(self, shape: Shape) -> Type:
        """The type of the same dtype with another shape."""
        return array_type(shape, self.dtype)

    def with_dtype(self, dtype) -> Type:
        """The type of the same shape with another dtype."""
        return array_type(self.shape, np.dtype(dtype))

    @property
    def nbytes(self) -> int:
        """Bytes that a contiguous array of this type occupies."""
        return self.size * self.dtype.itemsize


def array_type(shape: Shape, dtype) -> Type:
    """The one `Type` object of this shape and dtype."""
    key = (shape, dtype)
    found = _interned.get(key)
    return found if found is not None else _make(shape, np.dtype(dtype))


def _make(shape, dtype: np.dtype) -> Type:
    shape = tuple(int(n) for n in shape)
    if dtype.byteorder not in "=|" and not dtype.isnative:
        dtype = dtype.newbyteorder("=")
    key = (shape, dtype)
    if key in _interned:
        return _interned[key]
    if dtype not in _NAME:
        raise TypeError(f"chainrule has no arrays of dtype {dtype}; supported: {supported_names()}")
    made = object.__new__(Type)
    made.shape, made.dtype, made.ndim = shape, dtype, len(shape)
    made.size = 1
    for n in shape:
        made.size *= n
    made.inexact = dtype.kind in "fc"
    return _interned.setdefault(key, made)


def type_of(value) -> Type:
    """The type of a NumPy array, NumPy scalar or Python number."""
    if isinstance(value, np.ndarray | np.generic):
        return array_type(value.shape, value.dtype)
    return array_type((), python_dtype(value))


def python_dtype(value) -> np.dtype:
    """NumPy's default dtype of a Python number."""
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise errors.DtypeError(
            f"the whole number {value} does not fit in int64.\n  Pass it as a float."
        )
    return _PYTHON[type(value)] if type(value) in _PYTHON else np.asarray(value).dtype


_PYTHON = {
    bool: np.dtype(bool),
    int: np.dtype(np.int64),
    float: np.dtype(np.float64),
    complex: np.dtype(np.complex128),
}


def is_supported(dtype) -> bool:
    """True for the dtypes that a program may hold."""
    return np.dtype(dtype).newbyteorder("=") in _NAME


def supported_names() -> str:
    """The supported dtypes, for error messages."""
    return ", ".join(str(dtype) for dtype in SUPPORTED_DTYPES)


def dtype_name(dtype) -> str:
    """The short name of a dtype in printed programs: float64 is `f64`."""
    return _NAME[np.dtype(dtype)]


def dtype_named(name: str) -> np.dtype:
    """The dtype of a short name: the inverse of `dtype_name`; KeyError where there is none."""
    return _BY_NAME[name]


def parse_type(text: str) -> Type:
    """The type that `repr` printed: `parse_type("f64[3,4]")`."""
    name, _, rest = text.partition("[")
    inside = rest.rstrip("]")
    return array_type(tuple(int(n) for n in inside.split(",") if n), _BY_NAME[name])
