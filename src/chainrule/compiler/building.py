"""What a compiled program is made from: its steps, their memory, and their LLVM IR.

Running one needs nothing of this: it is imported where a program is not found on disk (kept.py), or
where its steps are asked for.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from chainrule.compiler.again import convolutions_again
from chainrule.compiler.budget import fitted
from chainrule.compiler.cache import cached_object_code, private_folder
from chainrule.compiler.kept import Code, Request
from chainrule.compiler.latest import Latest
from chainrule.compiler.llvm.code import mangled, parts
from chainrule.compiler.llvm.gemm_epilogue import emit_finished
from chainrule.compiler.llvm.haste import hasty_nodes
from chainrule.compiler.llvm.reductions import emit_loop
from chainrule.compiler.llvm.row_chunks import emit_row_chunks
from chainrule.compiler.llvm.vecmath import MATH
from chainrule.compiler.lower import lower
from chainrule.compiler.machine_code import object_code
from chainrule.compiler.region import Module, Region, Writer
from chainrule.compiler.threads import processors
from chainrule.program.garbage import clear_free_lists, collector_paused
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Program
from chainrule.transforms.columns import in_columns
from chainrule.transforms.kinks import goes_on, guarded, holds_germs, inlined, says_unmet, settled
from chainrule.transforms.refused import without_refused
from chainrule.transforms.simplify import DEFAULT, named, remove_barriers, simplify
from chainrule.wide.repair import Watch, watch
from chainrule.wide.twin import Twin

_FIRST = (*DEFAULT, *named(["product with a number", "product with a filled array"]))


class Built(NamedTuple):
    """A program's steps and their memory, what these share, and the text of its modules."""

    region: Region
    module: Module
    texts: list[str]
    estimates: bool = False
    ties: bool = False
    goes_on: bool = False

    def code(self) -> Code:
        """What runs, compiled."""
        module = self.module
        return Code(
            tuple(_compiled(self.texts)), tuple(module.functions), tuple(module.externals),
            self.region.arena, self.estimates, self.ties, self.goes_on,
        )  # fmt: skip


def prepare(program: Program, opened: Callable[[Program], Program] = guarded) -> Program:
    """The program as it is compiled: composite operations written out, and simplified.

    `opened` says what becomes of derivatives that settle ties. Products with a filled array, as the
    gradient of a sum of products has them, are sums, which need no array.
    """
    written_out = lower(simplify(remove_dead(opened(program)), _FIRST), keep=MATH)
    simplified = simplify(written_out)
    unrefused = without_refused(simplified)
    if unrefused is not simplified:
        simplified = simplify(unrefused)
    columns = in_columns(simplified)
    if columns is not simplified:
        simplified = simplify(columns)
    return remove_barriers(simplified)


@collector_paused()
def built(request: Request, program: Program) -> Built:
    """What a program is compiled from: that of the request, stabilized where it asks for it."""
    checked = request.check is not None
    stage = request.stage
    if stage:
        made = convolutions_again(prepare(program, partial(settled, stage=stage)))
        more = goes_on(program, stage)
        return _built(made, program, request, ties=says_unmet(program), goes_on=more)
    prepared = prepare(program)
    ties = not checked and holds_germs(program)
    if request.stable and not checked and not request.written:
        looking = watch(program)
        estimate = None if looking is None else _estimating(looking, prepared, program)
        if estimate is not None:
            return _built(estimate, program, request, estimates=True, ties=ties, goes_on=ties)
    return _built(prepared, program, request, ties=ties, goes_on=ties)


def _estimating(looking: Watch | Twin, prepared: Program, program: Program) -> Program | None:
    """The program as it is compiled, made to stop where it loses digits; None where it cannot be.

    Special functions, written out, make a program too long for estimates of every step, and there
    are none of singular values, which adjugates are computed by: these are then of whole functions.
    """
    found = None if looking.lowers_later else looking.estimating(prepared)
    if found is not None:
        return found
    found = looking.estimating(guarded(program))
    return None if found is None else prepare(found, inlined)


def _built(
    prepared: Program, program: Program, request: Request, **marks: bool
) -> Built:
    checked = request.check is not None
    region = fitted(prepared, request.written, checked, request.memory, program)
    module = Module()
    return Built(region, module, Writer(module, checked).main(region), **marks)


_SHORT = 20_000  # characters of LLVM IR, for which threads are not started
_SMALL = 10_000  # bytes of object code, of a program whose making leaves little behind
_LARGE = 100_000  # of one whose kernels are not kept for others


_latest = Latest(16 << 20)  # bytes: some 3,000 kernels


def _object_code(text: str) -> bytes:
    """The object code of a module, from the cache on disk where there is one; else the latest of
    the process are kept, in memory."""
    if private_folder() is None:
        return _latest.of(text, object_code)
    return cached_object_code(text)


def _compiled(texts: list[str]) -> list[bytes]:
    """The object code of modules, compiled side by side: LLVM runs without the GIL."""
    if sum(map(len, texts)) < _SHORT:
        return [*map(_object_code, texts)]
    with ThreadPoolExecutor(min(len(texts), processors())) as pool:
        longest = sorted(texts, key=len, reverse=True)
        codes = dict(zip(longest, pool.map(_object_code, longest), strict=True))
    return [codes[text] for text in texts]


def forget(nbytes: int) -> None:
    """Have nothing stay among what a program of so many bytes of object code was built from.

    To be called when that is gone, and before what will stay is made. Python's allocator gives back
    a megabyte when nothing in it is used, and a few small things in each keep it all: so the
    kernels that were written, of a large program, are forgotten, and the tuples that Python keeps
    to use them again.
    """
    if nbytes >= _LARGE:
        for cached in (emit_loop, emit_row_chunks, emit_finished, hasty_nodes, mangled, parts):
            cached.cache_clear()
    if nbytes >= _SMALL:
        clear_free_lists()


def give_back(nbytes: int) -> None:
    """Have the C library give back what making a program of so many bytes of object code, and
    loading it, have freed, some 10 MB: glibc keeps it, for threads that are gone as well."""
    if nbytes >= _SMALL and sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # glibc's
            trim(0)
