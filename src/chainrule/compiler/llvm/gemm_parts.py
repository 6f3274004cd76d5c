"""A product of matrices whose tasks finish their part of it in the cache: it is never in memory.

The part of the result that a task makes stays on its stack. When its sums are complete, a loop
kernel's body goes over its rows: all of an optimizer's arrays are read and written there from end
to end, as by the loop alone, for which the parts are of whole rows (gemm_plan.py). What the loop
will read of large arrays is fetched into the second cache while the sums are made.

Source    Goto and van de Geijn (2008) for the blocks; that updates go over them is ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from chainrule.compiler.kernel import Kernel
from chainrule.compiler.llvm.code import POINTER, Code, Index, Value
from chainrule.compiler.llvm.gemm import Part, emit_product_in_parts
from chainrule.compiler.llvm.gemm_plan import ProductSpec, plan_of
from chainrule.compiler.llvm.gemm_strip import Ahead, fetched_ahead
from chainrule.compiler.llvm.loops import (
    Body,
    LoopSpec,
    Stream,
    along_rows,
    argument_pointers,
    lanes_for,
)

REGISTERS = 2  # of every value at a time: with one, or four, updates were no faster
SMALL_BYTES = 2 << 20  # of a product that stays in the caches until a loop reads it


def is_large(product: ProductSpec) -> bool:
    """Whether a product leaves the caches before a loop reads it."""
    return product.m * product.n * product.dtype.itemsize >= SMALL_BYTES


def fits_parts(product: ProductSpec) -> bool:
    """Whether a product can be made part by part without loss.

    It has rows and columns; and what all parts read of B is packed once, or not at all: where every
    task packs its own (few rows, and B wider than a cache), 300 x 512 x 1024 took a fifth longer.
    """
    if product.m == 1 or product.n == 1:
        return False
    plan = plan_of(product, True, in_parts=True)
    return plan.shared or not plan.pack_b or plan.row_groups == 1


def emit_in_parts(product: ProductSpec, loop: LoopSpec, of: int) -> Kernel:
    """The kernel of a product, and of a loop over its rows and columns that finishes it.

    The product is the loop's load number `of`; the arguments are the product's two, then the
    loop's others.
    """

    def finish(code: Code, part: Part) -> None:
        pointers = argument_pointers(code, product.pointers)
        lanes = math.gcd(lanes_for(loop, REGISTERS), part.multiple)
        with code.loop(0, part.rows) as rows:
            body = body_of(code, loop, of, pointers)
            body = body.at(0, code.index_add(part.top, rows.index)).at(1, part.left)
            row = code.index_mul(rows.index, part.step)
            body.pointers[of] = code.offset(part.place, row, product.dtype.itemsize)
            if isinstance(part.columns, int):
                rest = part.columns % lanes
                along_rows(code, body, lanes, 0, part.columns - rest, rest)
            else:
                along_rows(code, body, lanes, 0, part.columns, 0)

    ahead = operands_ahead(loop, of, lambda _: False) if is_large(product) else None
    return emit_product_in_parts(product, finish, ahead)


def body_of(code: Code, loop: LoopSpec, of: int, pointers) -> Body:
    """The loop's body at its first element; the product has no place yet."""
    given = list(pointers[2:])
    given.insert(of, Value("null", POINTER))
    return Body(code, loop, given)


def operands_ahead(loop: LoopSpec, of: int, near: Callable[[Stream], bool]) -> Ahead:
    """What fetches columns of a row of the loop's arrays, into the first cache where `near`."""

    def ahead(code: Code, pointers, row: Index, column: Index, columns: int) -> None:
        rows = body_of(code, loop, of, pointers).at(0, row).pointers
        for i, stream in enumerate(loop.loads):
            size = stream.dtype.itemsize
            if i == of or stream.strides[0] == 0 or stream.strides[1] != 1:
                continue
            first = code.offset(rows[i], column, size)
            for line in range(0, columns * size, 64):
                fetched_ahead(code, code.offset(first, line), near=near(stream))

    return ahead
