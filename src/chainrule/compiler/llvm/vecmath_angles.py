"""Reduction of angles: x = k pi/2 + r with |r| <= pi/4, for every float.

Maths     |x| < 2^30: r = x - n pi/2 with pi/2 in three floats; the first product and difference
          are exact by fma. Beyond, and only where some lane is there: x = m 2^E, and of 2/pi only
          the 192 bits matter that make x 2/pi mod 4 (those before give multiples of 4, those after
          less than 2^-137); their product with m is taken in integers, lane by lane.
Source    W. J. Cody and W. Waite, 1980; M. H. Payne and R. N. Hanek, SIGNUM Newsl. 18 (1983) 19.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from chainrule.compiler.llvm.code import HARDLY_RUN, I64, Code, Value, constant, lanes_of
from chainrule.compiler.llvm.vecmath_lanes import (
    PRECISE,
    Arithmetic,
    Lanes,
    Pair,
    fast_two_sum,
    fma,
    two_product,
    two_sum,
)

_HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
_TWO_OVER_PI = 0.6366197723675814
_HUGE = 2.0**30
# 64 zeros, then 1,216 bits of 2/pi
_BITS_OF_TWO_OVER_PI = (
    0x0000000000000000,
    0xA2F9836E4E441529, 0xFC2757D1F534DDC0, 0xDB6295993C439041, 0xFE5163ABDEBBC561,
    0xB7246E3A424DD2E0, 0x06492EEA09D1921C, 0xFE1DEB1CB129A73E, 0xE88235F52EBB4484,
    0xE99C7026B45F7E41, 0x3991D639835339F4, 0x9C845F8BBDF9283B, 0x1FF897FFDE05980F,
    0xEF2F118B5A0A6D1F, 0x6D367ECF27CB09B7, 0x4F463F669E5FEA2D, 0x7527BAC7EBE5F17B,
    0x3D0739F78A5292EA, 0x6BFB5FB11F8D5D08, 0x56033046FC7B6BAB,
)  # fmt: skip


class Angle(NamedTuple):
    """x = quadrant pi/2 + rest; of the integer quadrant only the low two bits count."""

    rest: Pair
    quadrant: Lanes


def reduce_angle(x: Lanes, arithmetic: Arithmetic) -> Angle:
    """The parts of any float64; nan for inf and nan. Of the same number they are the same: sin and
    cos of it are wanted together wherever one is differentiated."""
    made, key = x.code.made, ("angle", x.value, arithmetic.precise)
    found: Any = made.get(key)
    if found is None:
        found = _reduced(x, arithmetic)
        x.code.made[key] = found
    return found


def _reduced(x: Lanes, arithmetic: Arithmetic) -> Angle:
    near = _reduce_moderate(x, arithmetic)
    size = abs(x)
    huge = (size >= _HUGE) & (size < math.inf)
    low = near.rest.low
    carried = [near.rest.high, near.quadrant, *([] if low is None else [low])]
    found = where_any(huge, lambda: _reduce_huge(x, huge, carried), carried)
    return Angle(Pair(found[0], found[2] if low is not None else None), found[1])


def _reduce_moderate(x: Lanes, arithmetic: Arithmetic) -> Angle:
    magic = x.format.round_magic
    rounded = fma(x, _TWO_OVER_PI, magic)
    n = rounded - magic
    first = fma(n, -_HALF_PI[0], x)  # exact
    if not arithmetic.precise:
        return Angle(Pair(fma(n, -_HALF_PI[1], first)), rounded.bits())
    product = two_product(n, n.like(-_HALF_PI[1]))
    total = two_sum(first, product.high)
    assert total.low is not None and product.low is not None
    rest = total.low + fma(n, -_HALF_PI[2], product.low)
    return Angle(fast_two_sum(total.high, rest), rounded.bits())


def where_any(
    condition: Lanes, compute: Callable[[], Sequence[Lanes]], otherwise: Sequence[Lanes]
) -> list[Lanes]:
    """What `compute` writes, run only if the condition holds in some lane; else the others."""
    code, width = condition.code, lanes_of(condition.value.type)
    some = condition.value
    if width > 1:
        some = code.intrinsic("vector.reduce.or", condition.value, result="i1")
    before = code.block_name
    with code.if_(some):
        found = list(compute())
        inside = code.block_name
    return [
        Lanes(code, code.emit(
            f.value.type,
            f"phi {f.value.type} [ {f.value.text}, %{inside} ], [ {o.value.text}, %{before} ]",
        ))
        for f, o in zip(found, otherwise, strict=True)
    ]  # fmt: skip


# --- huge angles ----------------------------------------------------------------------------------


HUGE_ANGLES = "huge_angles"  # the function's name beside a kernel


def _reduce_huge(x: Lanes, huge: Lanes, near: list[Lanes]) -> list[Lanes]:
    """[rest.high, quadrant, rest.low], or the first two: those of lanes from 2^30 on, else `near`.

    It is a function of its own, of numbers in memory: some hundred instructions that are hardly
    ever run, and are shared by all angles of a kernel.
    """
    code, width = x.code, lanes_of(x.value.type)
    places = [code.alloca(8 * width) for _ in range(4)]
    for value, place in zip([x, *near], places, strict=False):
        code.store(value.value, place)
    name = code.beside(HUGE_ANGLES, huge_angles)
    code.line(f"call void {name}({', '.join(map(str, places))}, i64 {width})")
    types = [n.value.type for n in near]
    found = [Lanes(code, code.load(p, t)) for t, p in zip(types, places[1:], strict=False)]
    return [huge.choose(f, n) for f, n in zip(found, near, strict=True)]


def huge_angles(name: str) -> str:
    """The text of the function of this name: `%count` numbers from 2^30 on at `%x`, which others
    may be among."""
    code = Code()
    x, *parts = (Value(f"%{p}", "ptr") for p in ("x", "high", "quadrant", "low"))
    table = Value(f"{name}.table", "ptr")
    with code.loop(0, Value("%count", I64)) as loop:
        one = Lanes(code, code.load(code.offset(x, loop.index, 8), "double"))
        size = abs(one)
        huge = (size >= _HUGE) & (size < math.inf)
        with code.if_(huge.value):
            for part, value in zip(parts, _reduce_one(code, one.value, table), strict=True):
                code.store(value, code.offset(part, loop.index, 8))
    code.line("ret void")
    words = ", ".join(str(constant(I64, word)) for word in _BITS_OF_TWO_OVER_PI)
    head = f"define internal void {name}(ptr %x, ptr %high, ptr %quadrant, ptr %low, i64 %count)"
    return "\n".join([
        f"{name}.table = internal constant [{len(_BITS_OF_TWO_OVER_PI)} x i64] [{words}]",
        code.function(head, f"cold {HARDLY_RUN}"),
    ])


def _reduce_one(code: Code, value: Value, table: Value) -> list[Value]:
    """[rest.high, quadrant, rest.low] of one double."""
    x = Lanes(code, value)
    bits = x.bits()
    exponent = bits.unsigned_shift(52) & 0x7FF
    mantissa = (bits & (2**52 - 1)) | 2**52
    product = _product_words(mantissa, _window(exponent - 1075, table))
    quadrant, fraction = product[0].unsigned_shift(62), _shifted_by_two(product)
    negative = fraction[0] >> 63  # all ones where the fraction is at least a half: then less one
    quarter_turns = _as_pair([word ^ negative for word in fraction])
    rest = PRECISE.product(quarter_turns, PRECISE.constant(x, *_HALF_PI[:2]))
    below = negative.compare("ne", 0) ^ (x < 0.0)
    turns = quadrant - negative
    assert rest.low is not None
    high, low = below.choose(-rest.high, rest.high), below.choose(-rest.low, rest.low)
    return [high.value, (x < 0.0).choose(0 - turns, turns).value, low.value]


def _window(exponent: Lanes, table: Value) -> list[Lanes]:
    """The 192 bits of 2/pi from weight 2^(1 - exponent) on, the highest word first."""
    code = exponent.code
    position = exponent + 62
    start = code.offset(table, position.unsigned_shift(6).value, 8)
    words = [code.load(code.offset(start, i, 8), I64) for i in range(4)]
    shift = (position & 63).value
    return [Lanes(code, code.intrinsic("fshl", a, b, shift)) for a, b in pairwise(words)]


def _product_words(factor: Lanes, words: Sequence[Lanes]) -> list[Lanes]:
    """factor * words mod 2^192."""
    wide = factor.convert("zext", "i128")
    low = wide * words[2].convert("zext", "i128")
    middle = wide * words[1].convert("zext", "i128") + low.unsigned_shift(64)
    high = factor * words[0] + middle.unsigned_shift(64).convert("trunc", "i64")
    return [high, middle.convert("trunc", "i64"), low.convert("trunc", "i64")]


def _shifted_by_two(words: Sequence[Lanes]) -> list[Lanes]:
    """The fraction behind the two bits of the quadrant, in two words."""
    high, middle, low = words
    return [
        (high << 2) | middle.unsigned_shift(62),
        (middle << 2) | low.unsigned_shift(62),
    ]


def _as_pair(fraction: Sequence[Lanes]) -> Pair:
    """A fraction below a half, of 128 bits, as two doubles."""
    high, low = fraction
    kept = high & -1024  # 53 bits at most: its conversion is exact
    rest = ((high & 1023) << 53) | low.unsigned_shift(11)
    top = kept.convert("sitofp", "double") * 2.0**-64
    return fast_two_sum(top, rest.convert("sitofp", "double") * 2.0**-117)
