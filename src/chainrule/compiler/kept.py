"""Compiled programs kept on disk: what is asked of the compiler, and what of its answer runs.

A program is found by its digest (program/digest.py), what was asked for, and chainrule's source;
then nothing is simplified, scheduled or written, and what does that is not even imported. Its entry
in the cache is JSON and names the entries of its object code. Programs with equations on the
evaluator are not kept.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from chainrule.compiler import cache, externals
from chainrule.compiler.source import changed_among_imported, source_digest
from chainrule.program.digest import digest
from chainrule.program.program import Program


class Request(NamedTuple):
    """What `native.build` is asked for; in a `stage` from 1 on, the program that goes on where the
    stage before has left a tie open.

    `loaded` is when chainrule was, in seconds; without it nothing is kept or looked up.
    """

    program: Program
    written: dict[int, int]
    check: str | None
    memory: int | None
    stable: bool
    stage: int = 0
    loaded: float | None = None


class Code(NamedTuple):
    """What runs of a compiled program: object code, the names of the kernels in it, the functions
    that it calls by address, and the bytes of its arena.

    It `estimates` its errors where it ends when digits may be lost; it has `ties` where it ends
    when a derivative in it meets one, and as a settled program where it ends when none does. Where
    it `goes_on`, there is a program of the next stage for what it leaves open.
    """

    objects: tuple[bytes, ...]
    kernels: tuple[str, ...]
    externals: tuple[str, ...]
    arena: int
    estimates: bool
    ties: bool
    goes_on: bool


def key_of(request: Request) -> bytes | None:
    """The key of the entry of what is asked for; None where it can have none."""
    if request.loaded is None or cache.private_folder() is None:
        return None
    source, name = source_digest(request.loaded), digest(request.program)
    if source is None or name is None:
        return None
    written = sorted(request.written.items())
    asked = request._replace(loaded=None)._asdict() | {"program": name, "written": written}
    return cache.key_of("program", source, json.dumps(asked))


def keep(key: bytes, request: Request, code: Code, texts: list[str]) -> None:
    """Keep what runs, whose object code was made from these texts; unless it may have been made by
    source that was changed meanwhile, some of which is imported late."""
    if not _callable(code) or request.loaded is None or changed_among_imported(request.loaded):
        return
    objects = [cache.object_key(text).hex() for text in texts]
    cache.keep(key, json.dumps({**code._asdict(), "objects": objects}).encode())


def found(key: bytes) -> Code | None:
    """What is kept under a key; None where there is nothing, or not all of it."""
    content = cache.read(key)
    if content is None:
        return None
    try:
        kept: dict[str, Any] = json.loads(content)
        objects = [cache.read(bytes.fromhex(name)) for name in kept.pop("objects")]
        code = Code(tuple([x for x in objects if x is not None]), **kept)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if None in objects or list(map(type, code[1:])) != [list, list, int, bool, bool, bool]:
        return None
    code = code._replace(kernels=tuple(code.kernels), externals=tuple(code.externals))
    return code if _callable(code) else None


def _callable(code: Code) -> bool:
    """Whether this SciPy has all that the code calls; another build of it may not."""
    return all(externals.address(name) is not None for name in code.externals)
