"""What `chainrule.numpy.<name>` is: NumPy's function where it is supported on traced values.

Most names are NumPy's own functions, which dispatch on traced values and give plain results for
plain arguments. Creation functions, which NumPy cannot dispatch, are chainrule's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.numpy import creation, ufuncs
from chainrule.numpy.protocols import FUNCTIONS

API_VERSION = "2024.12"

_OWN = (
    "arange", "array", "asarray", "ascontiguousarray", "asfortranarray", "copy", "empty",
    "empty_like", "eye",
    "from_dlpack", "full", "full_like", "geomspace", "identity", "linspace", "logspace",
    "ones", "ones_like", "tri", "zeros", "zeros_like",
)  # fmt: skip
OWN: dict[str, Any] = {name: getattr(creation, name) for name in _OWN}
OWN["asanyarray"] = creation.asarray

# Names that never meet a traced value, or ask only for what is plain Python.
PLAIN = frozenset(
    (
        "e", "euler_gamma", "inf", "nan", "newaxis", "pi", "little_endian",
        "bool", "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "float16", "float32", "float64", "complex64", "complex128",
        "byte", "ubyte", "short", "ushort", "intc", "uintc", "int_", "uint", "intp", "uintp",
        "long", "ulong", "longlong", "ulonglong", "half", "single", "double", "csingle", "cdouble",
        "generic", "number", "integer", "signedinteger", "unsignedinteger", "inexact", "floating",
        "complexfloating", "ndarray", "dtype",
        "finfo", "iinfo", "isdtype", "issubdtype", "promote_types", "broadcast_shapes",
        "__array_namespace_info__", "isscalar", "iterable", "ndindex", "s_", "index_exp", "r_",
        "c_", "indices", "fromfunction", "diag_indices", "tril_indices", "triu_indices",
        "mask_indices", "errstate", "geterr", "seterr", "printoptions", "exceptions", "linalg",
        "fft", "bartlett", "blackman", "hamming", "hanning", "kaiser", "mgrid", "ogrid",
        "isfortran",
    )
)  # fmt: skip


def lookup(name: str):
    """The object of this name; AttributeError says whether it is NumPy that lacks it."""
    if name in OWN:
        return OWN[name]
    if name == "__array_api_version__":
        return API_VERSION
    found = vars(np).get(name)
    if name in PLAIN or is_supported(found):
        return found
    if found is None:
        raise AttributeError(f"neither chainrule.numpy nor numpy has {name!r}")
    raise AttributeError(
        f"chainrule.numpy has no {name!r}: numpy.{name} is not supported on traced values"
    )


def is_supported(function) -> bool:
    """Whether a NumPy function or ufunc accepts traced values."""
    if isinstance(function, np.ufunc):
        tables = (ufuncs.OPS, ufuncs.COMPOSED, ufuncs.SPECIAL)
        return any(function in table for table in tables)
    try:
        return function in FUNCTIONS
    except TypeError:  # not hashable, so not a function
        return False


def names() -> list[str]:
    """Every name of the namespace, sorted."""
    supported = {name for name, value in vars(np).items() if is_supported(value)}
    plain = {name for name in PLAIN if name in vars(np)}
    return sorted(supported | plain | set(OWN))
