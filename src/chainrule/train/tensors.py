"""Arrays by name as the bytes of a safetensors file, and back, checked on both ways.

Written bytes are read back and compared before anybody relies on them (some versions of
safetensors store arrays with strides wrongly). Read bytes have their header checked first, so that
no array is made for a claim that the file does not hold.

Format    8 bytes: length of the header; the header, JSON: name -> {dtype, shape, data_offsets};
          the arrays' bytes, little-endian, without gaps or overlaps.
Source    https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import errors, extras
from chainrule.train import json_text

DTYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1",
    "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip

_LARGEST_HEADER = 100_000_000  # bytes, the format's own bound
_NAMES = {np.dtype(code): name for name, code in DTYPES.items()}


def to_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a safetensors file; any order in memory, 0-d and empty arrays included.

    **Errors** `DtypeError` for arrays of other dtypes than those of `DTYPES`.
    **Cost** twice the arrays' size in memory while they are compared.

    >>> from_bytes(to_bytes({"a": np.arange(3)}), "a.safetensors")["a"]
    array([0, 1, 2])
    """
    plain = {name: _plain(name, array) for name, array in arrays.items()}
    content = _library().save(plain)
    back = from_bytes(content, "what safetensors wrote")
    for name, array in plain.items():
        if not same_bits(array, back[name]):
            raise errors.FileDamaged(
                f"the library safetensors stored the array {name!r} wrongly: install another "
                f"version of it than {extras.load('safetensors', 'train', 'Files').__version__}."
            )
    return content


def _plain(name: str, array: Any) -> np.ndarray:
    if name == "__metadata__":
        raise ValueError("an array cannot be named '__metadata__': safetensors files use the name.")
    array = np.asarray(array)
    dtype = array.dtype.newbyteorder("=")
    if dtype not in _NAMES:
        raise errors.DtypeError(
            f"files hold arrays of {', '.join(str(d) for d in _NAMES)}; {name!r} is {array.dtype}."
        )
    return np.array(array, dtype, order="C", copy=None)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays have the same shape, dtype and bytes (nan equals the same nan)."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def header(content: bytes, name: str | os.PathLike) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """The shape and dtype of each array, from bytes whose header is whole and consistent.

    **Errors** `FileDamaged`, with the file's name and the array's, for anything else.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, _LARGEST_HEADER):
        raise errors.FileDamaged(f"{name} is cut, or no safetensors file.")
    entries = json_text.parsed(content[8 : 8 + length], name)
    if not isinstance(entries, dict):
        raise errors.FileDamaged(f"{name} has no table of arrays in its header.")
    if "__metadata__" in entries:
        raise errors.FileDamaged(f"{name} holds metadata, and chainrule's files hold none.")
    found, spans = {}, []
    for key, entry in entries.items():
        shape, dtype, span = _checked_entry(entry, f"{name}: the array {key!r}")
        found[key] = (shape, dtype)
        spans.append(span)
    at = 0
    for start, end in sorted(spans):
        if start != at:
            raise errors.FileDamaged(f"{name} has arrays that overlap, or gaps between them.")
        at = end
    if at != len(content) - 8 - length:
        raise errors.FileDamaged(
            f"{name} holds {len(content) - 8 - length:,} bytes of arrays; its header says {at:,}."
        )
    return found


def _checked_entry(entry: Any, what: str) -> tuple[tuple[int, ...], np.dtype, tuple[int, int]]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise errors.FileDamaged(f"{what} has no dtype, shape and data_offsets.")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        raise errors.FileDamaged(
            f"{what} has the dtype {_short(entry['dtype'])}, which is none of {', '.join(DTYPES)}."
        )
    if not _sizes(shape) or len(shape) > 32:
        raise errors.FileDamaged(f"{what} has the shape {_short(shape)}, no list of sizes.")
    if not _sizes(offsets) or len(offsets) != 2:
        raise errors.FileDamaged(f"{what} has the data_offsets {_short(offsets)}.")
    dtype = np.dtype(DTYPES[entry["dtype"]])
    claimed = math.prod(shape) * dtype.itemsize
    if offsets[1] - offsets[0] != claimed:
        raise errors.FileDamaged(
            f"{what} of shape {_short(shape)} needs {claimed:.6g} bytes, and has "
            f"{offsets[1] - offsets[0]:.6g}."
        )
    return tuple(shape), dtype, (offsets[0], offsets[1])


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 63 for n in value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def from_bytes(content: bytes, name: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file, each its own, writable.

    **Errors** `FileDamaged` as `header`.
    """
    expected = header(content, name)
    try:
        arrays = _library().load(content)
    except Exception as error:  # the library's own class is not public
        raise errors.FileDamaged(f"{name} cannot be read: {error}.") from error
    for key, (shape, dtype) in expected.items():
        array = arrays.get(key)
        if array is None or array.shape != shape or array.dtype != dtype:
            raise errors.FileDamaged(f"{name}: the array {key!r} was read differently than stored.")
    return {key: arrays[key] for key in expected}


def _library():
    return extras.load("safetensors.numpy", "train", "Model files and checkpoints")
