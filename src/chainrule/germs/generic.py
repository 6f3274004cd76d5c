"""Generic directions: whole numbers from 1 to 97 of either sign, by a formula of the place.

Entry i of an array is a hash of i and of which array it is, so a compiled program makes the same
numbers without holding them. Sums and products of a few of them are exact, also in float32.
"""

from __future__ import annotations

import numpy as np

from chainrule.ops.elementwise import absolute
from chainrule.ops.select import cast
from chainrule.ops.shape import iota, reshape
from chainrule.program.types import Type

_LARGEST = np.int64(97)
_WORD = np.int64(0xFFFFFFFF)


def direction(type_: Type, number: int, level: int = 0, seed: int = 0) -> np.ndarray:
    """The direction of the input with this number among those that move, of one level."""
    places = np.arange(type_.size, dtype=np.int64)
    return _entries(places, number, level, seed).astype(np.float64).reshape(type_.shape)


def traced_direction(type_: Type, number: int):
    """The first level of the same direction with seed 0, recorded in the current trace."""
    places = iota(size=type_.size, dtype=np.dtype(np.int64))
    entries = cast(_entries(places, number, 0, 0), dtype=type_.dtype)
    return reshape(entries, shape=type_.shape)


def positive_direction(type_: Type, number: int):
    """The sizes of a direction's entries, recorded in the current trace: all of one sign."""
    places = iota(size=type_.size, dtype=np.dtype(np.int64))
    entries = cast(absolute(_entries(places, number, 0, 0)), dtype=type_.dtype)
    return reshape(entries, shape=type_.shape)


def _entries(places, number: int, level: int, seed: int):
    """The entries at these places. No product overflows: a word times a factor below 2**31."""
    start = (0x9E3779B9 * (number + 1) + 0x85EBCA6B * level + 0xC2B2AE35 * seed) & int(_WORD)
    word = (places + np.int64(start)) & _WORD
    for factor in (0x2C1B3C6D, 0x297A2D39):
        word = ((word ^ (word >> np.int64(15))) * np.int64(factor)) & _WORD
    word = word ^ (word >> np.int64(15))
    size = (((word & np.int64(0xFFFF)) * _LARGEST) >> np.int64(16)) + np.int64(1)
    return size * (np.int64(1) - np.int64(2) * ((word >> np.int64(16)) & np.int64(1)))
