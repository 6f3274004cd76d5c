"""Derivatives kept on disk, for compiled functions: gradients and Jacobians of a program.

A derivative is found by the digest of the program that it comes from, the options, and
chainrule's source (as compiled programs are, compiler/kept.py); then nothing is differentiated,
simplified or rewritten. The program's names and lines are in the key as well, since those of the
derivative come from them. What settles ties is worked out when a tie is met.
"""

from __future__ import annotations

import marshal
import time
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from chainrule.kinked import Kinked
from chainrule.program.digest import digest
from chainrule.program.packed import Lines, Unfit, equations_of, pack, unpack
from chainrule.program.program import Program
from chainrule.program.trace import current

LOADED = time.time()  # the source is digested once for each such time: there is no other


def key_of(program: Program, *asked) -> bytes | None:
    """The key of what is asked of a program; None where it can have none, or is not to be kept:
    outside of a compiled function, LLVM is not loaded, which the cache is made for."""
    if not _in_compiled() or find_spec("llvmlite") is None:
        return None
    cache = import_module("chainrule.compiler.cache")
    if cache.private_folder() is None:
        return None
    source = import_module("chainrule.compiler.source").source_digest(LOADED)
    name = digest(program)
    if source is None or name is None:
        return None
    return cache.key_of("derivative", source, name, _marks(program), repr(asked))


def _in_compiled() -> bool:
    """Whether a compiled function is being traced, perhaps a loop or a derivative inside of it."""
    builder = current()
    while builder is not None and not builder.by_reference:
        builder = builder.parent
    return builder is not None


def _marks(program: Program) -> str:
    """The names of a program's variables, and which of its equations are of one line."""
    names = [v.name for v in program.inputs]
    for equation in equations_of(program):
        names += [v.name for v in equation.outputs]
    return repr((program.name, names, Lines(program).pattern))


def found(key: bytes, program: Program, order) -> Kinked | None:
    """What is kept under a key, as made of this program; None where there is nothing."""
    content = import_module("chainrule.compiler.cache").read(key)
    return None if content is None else from_bytes(content, program, order)


def keep(key: bytes, program: Program, made: Any) -> None:
    """Keep what was made of a program, where it can be."""
    content = as_bytes(program, made)
    if content is not None:
        write(key, content)


def write(key: bytes, content: bytes) -> None:
    """Put an entry in the cache; unless the source has changed meanwhile."""
    if not import_module("chainrule.compiler.source").changed_among_imported(LOADED):
        import_module("chainrule.compiler.cache").keep(key, content)


def as_bytes(program: Program, made: Any) -> bytes | None:
    """What was made of a program, as bytes; None where it cannot be kept."""
    if not isinstance(made, Kinked) or made.memory is not None:
        return None
    try:
        packed = pack(made.program, Lines(program))
    except Unfit:
        return None
    facts = {
        "moving": made.moving, "settled": made.settled, "kinks": made.kinks, "first": made.first,
        "start": made.start, "zeros": len(made.zeros), "watches": made.watches,
    }  # fmt: skip
    return marshal.dumps((packed, facts))


def from_bytes(content: bytes, program: Program, order) -> Kinked | None:
    """What `as_bytes` was given, as made of this program; None where it holds something that this
    process has not."""
    packed, facts = marshal.loads(content)
    try:
        return Kinked(unpack(packed, Lines(program)), **facts, order=order)
    except Unfit:
        return None
