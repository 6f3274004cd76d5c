"""A product of matrices whose finished vectors go through a loop kernel's body, and not to memory.

The body is that of a loop kernel that reads the product's result: the update of parameters by
their gradient, or bias and activation. Its other arrays are read, and its results written, where
a vector of the product is finished, or part by part (gemm_parts.py); the result itself is never in
memory.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from chainrule.compiler.kernel import Kernel, Site
from chainrule.compiler.llvm.code import Code, Index, Value, as_index, element_of, lanes_of
from chainrule.compiler.llvm.gemm import emit_product
from chainrule.compiler.llvm.gemm_contract import plain_product
from chainrule.compiler.llvm.gemm_parts import (
    body_of,
    emit_in_parts,
    fits_parts,
    is_large,
    operands_ahead,
)
from chainrule.compiler.llvm.gemm_plan import K_MOST, ProductSpec
from chainrule.compiler.llvm.loops import Body, LoopSpec, Stream, normalised

FEW_STORES = 2  # arrays that the loop stores behind a small product, or finishes in registers
MOST_DEPTH = 2 * K_MOST  # of such a product
NEAR_ROWS = 2048  # bytes from row to row: farther ones fall on few sets of the first cache


class Finished(NamedTuple):
    """A product, and the loop over its rows and columns that finishes it.

    The product is number `of` of the loop's loads. The arguments are the product's operands, the
    other loads, and the stores. It is finished part by part, or vector by vector.
    """

    product: ProductSpec
    loop: LoopSpec
    of: int
    in_parts: bool


def finished_product(site: Site, loop: LoopSpec, of: int) -> Finished | None:
    """The product of a site finished by a loop kernel whose load number `of` is its result.

    None where the loop's axes are not the rows and columns of a product without a batch, or where
    the two are faster apart.
    """
    product = plain_product(site)
    if product is None or loop.reductions:
        return None
    loop = normalised(loop)
    if len(loop.domain) == 1 and loop.loads[of].strides == (1,):
        columns = product.n if product.c == (product.n, 1) else product.m
        rows = loop.domain[0] // columns
        loop = loop.with_axes((rows, columns), lambda s: (s[0] * columns, s[0]), ())
    for way in (product, product.transposed()):
        if loop.domain == (way.m, way.n) and loop.loads[of].strides == way.c:
            count = 1 + len(loop.loads) + len(loop.stores)
            way = way._replace(arguments=(*way.arguments[:2], 0), pointers=count)
            in_parts = len(loop.stores) > 1 and min(way.m, way.n) > 1
            if _worth(way, loop, in_parts):
                return Finished(way, loop, of, in_parts)
    return None


def _worth(product: ProductSpec, loop: LoopSpec, in_parts: bool) -> bool:
    """Whether the two are to be done together. Products are k x m x n here.

    Vector by vector, an update reads and writes a line of each row of a tile, and the rows lie far
    apart. With SGD's one array, which is fetched ahead, that takes less time than the gradient's
    way through memory (64 x 784 x 256: 283 us for 295; 32 x 1024 x 1024: 1.20 ms for 1.40). With
    momentum's two it takes more (1.95 ms for 1.51), with Adam's three twice as much (3.2 ms for
    1.7), even if it is spread over the sums of the next tile, so that roots go on beside fma.

    Part by part, with long rows, 64 x 1024 x 1024 takes 1.62 ms for 1.85 with momentum, and with
    Adam 1.97 for 2.03. Longer sums lose 3 % (256 x 1024 x 1024 with Adam: 6.83 ms for 6.63, a
    hundredth of the step), but a large gradient less is in memory. A small one is in the cache when
    the update reads it: nothing is saved, and the step of a network of 784 x 256 weights took 5 %
    longer with Adam.

    After a long sum little is saved, and sums wait for it: a logistic function behind
    64 x 256 x 784 loses 1 % to 6 %, behind 64 x 128 x 256 gains 2 %.
    """
    if in_parts and not fits_parts(product):
        return False
    few = len(loop.stores) <= FEW_STORES and product.k <= MOST_DEPTH
    return few or (in_parts and is_large(product))


@lru_cache(maxsize=256)
def emit_finished(finished: Finished) -> Kernel:
    """The kernel of a product with its epilogue."""
    product, loop, of, in_parts = finished
    if in_parts:
        return emit_in_parts(product, loop, of)

    def store(code: Code, pointers, row: Index, column: Index, value: Value) -> None:
        places = body_of(code, loop, of, pointers).at(0, row).pointers
        body = _Finishing(code, loop, places, of, column, value)
        body.values(body.invariants(), column, lanes_of(value.type))

    def near(stream: Stream) -> bool:
        return stream.strides[0] * stream.dtype.itemsize < NEAR_ROWS

    ahead = operands_ahead(loop, of, near)
    return emit_product(product, store, ahead)


class _Finishing(Body):
    """The body at neighbouring columns of a row, of which the product is in a register."""

    def __init__(self, code: Code, loop: LoopSpec, pointers, of: int, column: Index, value: Value):
        super().__init__(code, loop, pointers)
        self.of, self.column, self.value = of, column, value

    def _load(self, i: int, index: Index, lanes: int) -> Value:
        value = self.value
        if i != self.of:
            return super()._load(i, index, lanes)
        if lanes == lanes_of(value.type):
            return value
        start, place = as_index(self.column), as_index(index)  # one lane, found at run time
        lane = self.code.emit("i64", f"sub i64 {place.text}, {start.text}")
        return self.code.emit(element_of(value.type), f"extractelement {value}, {lane}")
