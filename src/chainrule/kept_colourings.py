"""Coloured sparse Jacobians kept on disk, for compiled functions: the pattern and the passes.

They are found by what the Jacobian of a program is found by (kept_derivatives.py) and by what its
pattern was read from: the constants at hand, of which indices count as they are and other numbers
by where they are zero. Then no pattern is carried through the program, coloured, or made into one.

An entry holds the program that runs, packed; each block's entries and where they are read; and the
pass of each column and row. Its digest is compared before anything of it is used (compiler/cache).
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from chainrule import kept_derivatives
from chainrule.program.program import Program
from chainrule.transforms.sparse_jacobian import Block, Kept, Passes, content_of


class KeptColourings:
    """The colourings on disk of one program, for what is `asked` of its Jacobian.

    `order` is the order that the program of a colouring is run in.
    """

    def __init__(self, program: Program, order: Callable[[Program], Program], *asked):
        self.program, self.order, self.asked = program, order, asked

    def key_of(self, values: Sequence) -> bytes | None:
        """The key for constants of these values (None for one that is not at hand); None where
        nothing is to be kept."""
        base = kept_derivatives.key_of(self.program, "colouring", *self.asked)
        if base is None:
            return None
        made = hashlib.sha256()
        for value in values:
            if value is None:
                made.update(b"unknown\n")
                continue
            value = np.asarray(value)
            made.update(f"{value.dtype.str} {value.shape}\n".encode())
            made.update(content_of(value))
        cache = import_module("chainrule.compiler.cache")
        return cache.key_of("colouring", base.hex(), made.hexdigest())

    def found(self, key: bytes) -> Kept | None:
        """What is kept under a key; None where there is nothing."""
        content = import_module("chainrule.compiler.cache").read(key)
        if content is None:
            return None
        packed, asked, passes, blocks = marshal.loads(content)
        plan = kept_derivatives.from_bytes(packed, self.program, self.order)
        if plan is None:
            return None
        tangent, cotangent, *counts = passes
        found = [
            Block(shape, _array(indices), _array(indptr), _array(place).astype(np.int64),
                  np.dtype(dtype))
            for shape, indices, indptr, place, dtype in blocks
        ]  # fmt: skip
        return Kept(asked, plan, Passes(_array(tangent), _array(cotangent), *counts), found)

    def keep(self, key: bytes, made: Kept) -> None:
        """Keep a colouring, where its program can be kept."""
        packed = kept_derivatives.as_bytes(self.program, made.plan)
        if packed is None:
            return
        tangent, cotangent, *counts = made.passes
        passes = (_packed(tangent), _packed(cotangent), *counts)
        blocks = [
            (b.shape, *map(_packed, (b.indices, b.indptr, b.place)), b.dtype.str)
            for b in made.blocks
        ]
        content: Any = packed, made.asked, passes, blocks
        kept_derivatives.write(key, marshal.dumps(content))


def _packed(numbers: np.ndarray) -> tuple[str, bytes]:
    """Whole numbers, of half the bytes where they fit."""
    small = np.abs(numbers).max(initial=0) <= np.iinfo(np.int32).max
    numbers = numbers.astype(np.int32 if small else np.int64)
    return numbers.dtype.str, numbers.tobytes()


def _array(packed: tuple[str, bytes]) -> np.ndarray:
    dtype, content = packed
    return np.frombuffer(content, dtype)
