"""A product of matrices whose finished vectors go through a loop kernel's body, and not to memory.

The body is that of a loop kernel that reads the product's result: the update of parameters by
their gradient, or bias and activation. Its other arrays are read, and its results written, where
a vector of the product is finished; of the result itself nothing is stored.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from chainrule.compiler.kernel import Kernel, Site
from chainrule.compiler.llvm.code import POINTER, Code, Index, Value, as_index, element_of, lanes_of
from chainrule.compiler.llvm.gemm import emit_product
from chainrule.compiler.llvm.gemm_contract import plain_product
from chainrule.compiler.llvm.gemm_plan import K_MOST, ProductSpec
from chainrule.compiler.llvm.gemm_strip import fetched_ahead
from chainrule.compiler.llvm.loops import Body, LoopSpec, normalised

MOST_STORES = 2  # arrays that the loop stores
MOST_DEPTH = 2 * K_MOST  # of the product
NEAR_ROWS = 2048  # bytes from row to row: farther ones fall on few sets of the first cache


class Finished(NamedTuple):
    """A product, and the loop over its rows and columns that finishes it.

    The product is number `of` of the loop's loads. The arguments are the product's operands, the
    other loads, and the stores.
    """

    product: ProductSpec
    loop: LoopSpec
    of: int


def finished_product(site: Site, loop: LoopSpec, of: int) -> Finished | None:
    """The product of a site finished by a loop kernel whose load number `of` is its result.

    None where the loop's axes are not the rows and columns of a product without a batch, or where
    the two are faster apart.
    """
    product = plain_product(site)
    if product is None or loop.reductions or not _worth(product, loop):
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
            return Finished(way, loop, of)
    return None


def _worth(product: ProductSpec, loop: LoopSpec) -> bool:
    """Whether the two are done sooner together.

    Of whole training steps, against the same step compiled twice (which agrees within 1 %): SGD's
    update gains about 1 %. Adam's, with three arrays to store and a root and a quotient for each
    element, loses up to 3 %: by itself it runs as fast as these are divided, and at the end of a
    tile nothing else runs meanwhile. After a long sum little is saved and sums are kept apart for
    it: a logistic function behind 64 x 256 x 784 loses 1 % to 6 %, behind 64 x 128 x 256 gains 2 %.
    """
    return len(loop.stores) <= MOST_STORES and product.k <= MOST_DEPTH


@lru_cache(maxsize=256)
def emit_finished(finished: Finished) -> Kernel:
    """The kernel of a product with its epilogue."""
    product, loop, of = finished

    def places(code: Code, pointers, row: Index) -> list[Value]:
        """The row's first elements, array by array; of the product, none."""
        given = list(pointers[2:])
        given.insert(of, Value("null", POINTER))
        return Body(code, loop, given).at(0, row).pointers

    def store(code: Code, pointers, row: Index, column: Index, value: Value) -> None:
        body = _Finishing(code, loop, places(code, pointers, row), of, column, value)
        body.values(body.invariants(), column, lanes_of(value.type))

    def ahead(code: Code, pointers, row: Index, column: Index, columns: int) -> None:
        rows = places(code, pointers, row)
        for i, stream in enumerate(loop.loads):
            size = stream.dtype.itemsize
            if i == of or stream.strides[0] == 0 or stream.strides[1] != 1:
                continue
            first = code.offset(rows[i], column, size)
            near = stream.strides[0] * size < NEAR_ROWS
            for line in range(0, columns * size, 64):
                fetched_ahead(code, code.offset(first, line), near=near)

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
