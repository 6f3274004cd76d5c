"""What an entry uses of Python and NumPy: addresses of functions and types, and where fields lie.

Functions come from the stable part of both C APIs. Of structures only these offsets are used, and
checked before the first entry is made: the type of an object, the fields of an array and of its
dtype (NumPy's public PyArrayObject_fields and PyArray_Descr), and the values of float, complex,
NumPy scalars and closure cells, which lie right behind the head of the object.

Other interpreters than CPython, and its free-threaded build, have other heads: no entries there.

Source    CPython's Include/cpython/*.h, 3.11 to 3.14; NumPy's ndarraytypes.h, __multiarray_api.h.
"""

from __future__ import annotations

import ctypes
import sys
import sysconfig
from functools import lru_cache
from importlib import import_module

import numpy as np

# Offsets in bytes.
TYPE, VALUE = 8, 16
DATA, NDIM, SHAPE, DTYPE, FLAGS = 16, 24, 32, 56, 64
BYTE_ORDER, TYPE_NUMBER = 26, 28

C_CONTIGUOUS, ALIGNED, WRITEABLE = 0x1, 0x100, 0x400  # of an array's flags

_PYTHON = (
    "Py_IncRef", "Py_DecRef", "PyEval_SaveThread", "PyEval_RestoreThread", "PyObject_Vectorcall",
    "PyObject_Call", "PyObject_GenericGetDict", "PyErr_Clear", "PyMem_RawMalloc",
    "PyMem_RawFree",     "PyLong_AsLongLongAndOverflow", "PyUnicode_Compare",
    "PyTuple_New", "PyTuple_Size", "PyTuple_GetItem", "PyTuple_SetItem",
    "PyList_New", "PyList_Size", "PyList_GetItem", "PyList_SetItem",
    "PyDict_New", "PyDict_Size", "PyDict_Next", "PyDict_SetItem", "PyDict_GetItemWithError",
)  # fmt: skip
_NUMPY = {"PyArray_NewFromDescr": 94, "PyArray_Scalar": 60}  # places in NumPy's table
_OBJECTS = {"ndarray": np.ndarray, "str": str, "True": True}

NAMES = (*_PYTHON, *_NUMPY, *_OBJECTS)
PLACE = {name: i for i, name in enumerate(NAMES)}


@lru_cache(maxsize=1)
def api_table() -> ctypes.Array | None:
    """The addresses of NAMES in this process; None where there can be no entries."""
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return None
    if not _offsets_hold():
        return None
    addresses = [_address(getattr(ctypes.pythonapi, name)) for name in _PYTHON]
    table = ctypes.cast(_numpy_table(), ctypes.POINTER(ctypes.c_void_p))
    addresses += [table[place] for place in _NUMPY.values()]
    addresses += [id(thing) for thing in _OBJECTS.values()]
    return (ctypes.c_void_p * len(addresses))(*addresses)


def _address(function) -> int | None:
    return ctypes.cast(function, ctypes.c_void_p).value


def _numpy_table() -> int:
    umath = import_module("numpy._core._multiarray_umath")
    # A prototype of our own: pythonapi's functions are shared, and so are their argtypes.
    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    pointer = prototype(("PyCapsule_GetPointer", ctypes.pythonapi))
    return pointer(umath._ARRAY_API, None)


def _word(thing, offset: int, kind=ctypes.c_void_p):
    return kind.from_address(id(thing) + offset).value


def _offsets_hold() -> bool:
    """Whether the fields of some objects are where they should be."""
    if ctypes.sizeof(ctypes.c_void_p) != 8 or sys.byteorder != "little":
        return False
    array = np.arange(6.0).reshape(2, 3)
    locked = array.T
    locked.flags.writeable = False
    number, cell = 0.1 + len(NAMES), (lambda: array).__closure__[0]  # type: ignore[index]
    swapped = np.dtype(">f8")
    shape = (ctypes.c_int64 * 2).from_address(_word(array, SHAPE))
    return (
        _word(array, TYPE) == id(np.ndarray)
        and _word(array, DATA) == array.ctypes.data
        and _word(array, NDIM, ctypes.c_int32) == 2
        and tuple(shape) == (2, 3)
        and _word(array, DTYPE) == id(array.dtype)
        and _flags(array) == C_CONTIGUOUS | ALIGNED | WRITEABLE
        and _flags(locked) == ALIGNED
        and _word(array.dtype, BYTE_ORDER, ctypes.c_char) == b"="
        and _word(swapped, BYTE_ORDER, ctypes.c_char) == b">"
        and _word(swapped, TYPE_NUMBER, ctypes.c_int32) == swapped.num
        and _word(number, VALUE, ctypes.c_double) == number
        and _word(complex(number, 1), VALUE, ctypes.c_double) == number
        and _word(np.float32(1.5), VALUE, ctypes.c_float) == 1.5
        and _word(np.int8(-7), VALUE, ctypes.c_int8) == -7
        and _word(cell, VALUE) == id(array)
    )


def _flags(array: np.ndarray) -> int:
    return _word(array, FLAGS, ctypes.c_int32) & (C_CONTIGUOUS | ALIGNED | WRITEABLE)
