"""Discrete draws as native kernels: Bernoulli, geometric, integers, orders, categories.

Value     the bits of `chainrule.ops.samplers_discrete`. Parameters outside their range set the
          status, so that the evaluator raises the error.
Tasks     are ranges of elements, or lanes of the state.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Place, Site, contiguous_place
from chainrule.compiler.llvm.along import at_lane
from chainrule.compiler.llvm.code import Code, Index, Value, constant
from chainrule.compiler.llvm.draws import (
    TRANSFORMS,
    exponential_from_bits,
    unit_interval,
    write_standard,
)
from chainrule.compiler.llvm.draws_bits import Draw, joined
from chainrule.compiler.llvm.draws_elementary import any_lane, log1p, where_some
from chainrule.compiler.llvm.loops import task_count
from chainrule.compiler.llvm.sorting import Sorting
from chainrule.compiler.llvm.vecmath_lanes import Lanes
from chainrule.compiler.llvm.walk import operand_pointers, set_status, task_bounds
from chainrule.program.types import array_type


def require(code: Code, condition: Lanes, status: Value) -> None:
    """Set the status where a condition does not hold everywhere."""
    with code.if_(any_lane(condition.negated()).value):
        set_status(code, status)


def emit_bernoulli(site: Site) -> Kernel | None:
    """The kernel of `random_bernoulli`."""
    (_, p), (out,) = site.inputs, site.outputs
    draw = Draw(site, out, (p,), 20)
    if p.type.dtype.char not in "fd" or not draw.fits:
        return None
    code = Code()
    state, chances, target, status = operand_pointers(code, site.inputs, 2)

    def body(own, row: Index, index: Index, lanes: int) -> None:
        chance = draw.parameter(code, 0, chances, row, index, lanes)
        require(code, (chance >= 0.0) & (chance <= 1.0), status)
        wide = chance.convert("fpext", "double")
        value = unit_interval(draw.bits(code, own, index, lanes, 64)) < wide
        at = code.index_add(code.index_mul(row, draw.size), index)
        code.store(value.convert("zext", "i8").value, at_lane(code, target, at, 1), 1)

    return _finished(code, draw, state, draw.each(64), body)


def _finished(code: Code, draw: Draw, state: Value, each: int, body) -> Kernel:
    tasks = draw.write(code, state, each, body) if draw.rows and draw.size else 1
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD), tasks),), can_fail=True)


def emit_geometric(site: Site) -> Kernel | None:
    """The kernel of `random_geometric`."""
    (_, p), (out,) = site.inputs, site.outputs
    draw = Draw(site, out, (p,), 100)
    if p.type.dtype.char != "d" or not draw.fits:
        return None
    code = Code()
    state, chances, target, status = operand_pointers(code, site.inputs, 2)

    def body(own, row: Index, index: Index, lanes: int) -> None:
        chance = draw.parameter(code, 0, chances, row, index, lanes)
        require(code, (chance > 0.0) & (chance <= 1.0), status)
        waiting = exponential_from_bits(draw.bits(code, own, index, lanes, 64))
        trials = (waiting / -log1p(-chance)).rounded("ceil").at_least(1.0)
        fits = trials < 2.0**63
        whole = fits.choose(trials, 0.0).convert("fptosi", "i64")
        at = code.index_add(code.index_mul(row, draw.size), index)
        value = fits.choose(whole, 2**63 - 1)
        code.store(value.value, at_lane(code, target, at, 8), 8)

    return _finished(code, draw, state, max(2, draw.each(64) // 2), body)


# --- integers -------------------------------------------------------------------------------------


def emit_below(site: Site) -> Kernel | None:
    """The kernel of `random_below`: Lemire's multiplication, with the rejection it needs."""
    (_, last), (out,) = site.inputs, site.outputs
    draw = Draw(site, out, (last,), 80)
    if not draw.fits:
        return None
    code = Code()
    state, bounds, target, status = operand_pointers(code, site.inputs, 2)

    def body(own, row: Index, index: Index, lanes: int) -> None:
        number = draw.parameter(code, 0, bounds, row, index, lanes) + 1  # 0 stands for 2**64

        def attempt(words):
            return _bounded(joined(words[0], words[1]), number)

        value = draw.by_attempts(code, own, index, lanes, "i64", status, attempt)
        at = code.index_add(code.index_mul(row, draw.size), index)
        code.store(value.value, at_lane(code, target, at, 8), 8)

    return _finished(code, draw, state, draw.blocks, body)


def _bounded(bits: Lanes, number: Lanes) -> tuple[Lanes, Lanes]:
    """bits * number >> 64, and whether it is accepted."""
    whole = number.compare("eq", 0)
    value = whole.choose(bits, _multiply_high(bits, number))
    low = bits * number
    doubtful = low.compare("ult", number) & whole.negated()  # the threshold is below the number

    def threshold() -> Lanes:
        code, divisor = bits.code, whole.choose(number.like(1), number)
        return Lanes(code, code.binary("urem", (number.like(0) - number).value, divisor.value))

    least = where_some(doubtful, threshold, number.like(0))
    return value, whole | low.compare("uge", least)


def _multiply_high(x: Lanes, y: Lanes) -> Lanes:
    """The upper 64 bits of the product of two uint64s."""
    x0, x1, y0, y1 = x & 0xFFFFFFFF, x.unsigned_shift(32), y & 0xFFFFFFFF, y.unsigned_shift(32)
    middle = x1 * y0 + (x0 * y0).unsigned_shift(32)
    other = (middle & 0xFFFFFFFF) + x0 * y1
    return x1 * y1 + middle.unsigned_shift(32) + other.unsigned_shift(32)


# --- orders ---------------------------------------------------------------------------------------


def emit_order(site: Site) -> Kernel | None:
    """The kernel of `random_order`: random keys in scratch memory, then their order."""
    (out,) = site.outputs
    keys = contiguous_place(array_type(out.type.shape, np.dtype(np.uint64)))
    draw = Draw(site, keys)
    if not draw.fits:
        return None
    first = Code()
    state, _, scratch = operand_pointers(first, site.inputs, 2)
    tasks = write_standard(first, draw, TRANSFORMS["random_bits"], keys, state, scratch)
    first.line("ret void")
    second = Code()
    _, target, scratch = operand_pointers(second, site.inputs, 2)
    sorting = Sorting(keys, out, out.type.ndim - 1, ranks=True)
    own = _rounded_up(keys)
    shares = sorting.write(second, scratch, target, second.offset(scratch, own))
    second.line("ret void")
    phases = (Phase(first.function(HEAD), tasks), Phase(second.function(HEAD), shares))
    return Kernel(phases, scratch=own + sorting.scratch + 64)


def _rounded_up(place: Place) -> int:
    return -(-place.type.nbytes // 64) * 64


# --- categories -----------------------------------------------------------------------------------


def emit_categorical(site: Site) -> Kernel | None:
    """The kernel of `random_categorical`: uniform draws, running sums of weights, then a search."""
    (state, weights), (out,) = site.inputs, site.outputs
    uniform = contiguous_place(array_type(out.type.shape, np.dtype(np.float64)))
    draw = Draw(site, uniform)
    simple = weights.type.dtype.char == "d" and weights.contiguous and weights.literal is None
    if not (draw.fits and simple and weights.type.shape[-1] and out.type.size):
        return None
    own = weights.type.ndim > state.type.ndim or not site.params["shape"]
    first = Code()
    pointer, _, _, scratch, _ = operand_pointers(first, site.inputs, 3)
    tasks = write_standard(
        first, draw, TRANSFORMS["standard_uniform"], uniform, pointer, scratch
    )
    first.line("ret void")
    sums = Phase(*_sums(site, _rounded_up(uniform)))
    last = Phase(*_search(site, _rounded_up(uniform), draw.size if not own else 1))
    scratch_bytes = _rounded_up(uniform) + weights.type.nbytes + 64
    return Kernel((Phase(first.function(HEAD), tasks), sums, last), scratch_bytes, can_fail=True)


def _sums(site: Site, start: int) -> tuple[str, int]:
    """Running sums of each row of weights, in scratch memory; rows that are none set the status."""
    code = Code()
    _, weights, _, scratch, status = operand_pointers(code, site.inputs, 3)
    n = site.inputs[1].type.shape[-1]
    rows = math.prod(site.inputs[1].type.shape[:-1])
    tasks, bounds = task_bounds(code, rows, task_count(4 * rows * n))
    totals = code.offset(scratch, start)
    with code.loop(*bounds) as outer:
        source = at_lane(code, weights, outer.index, 8 * n)
        target = at_lane(code, totals, outer.index, 8 * n)
        with code.loop(0, n, carried=[constant("double", -0.0)]) as loop:
            weight = Lanes(code, code.load(at_lane(code, source, loop.index, 8), "double"))
            require(code, weight >= 0.0, status)
            total = Lanes(code, loop.carried[0]) + weight
            code.store(total.value, at_lane(code, target, loop.index, 8))
            loop.next(total.value)
        total = Lanes(code, loop.results[0])
        require(code, (total > 0.0) & (total < math.inf), status)
    code.line("ret void")
    return code.function(HEAD), tasks


def _search(site: Site, start: int, share: int) -> tuple[str, int]:
    """How many running sums each draw has reached; `share` draws have the same row of weights."""
    code = Code()
    _, _, out, scratch, _ = operand_pointers(code, site.inputs, 3)
    n, size = site.inputs[1].type.shape[-1], site.outputs[0].type.size
    tasks, bounds = task_bounds(code, size, task_count(10 * size * n.bit_length()))
    with code.loop(*bounds) as loop:
        u = code.load(at_lane(code, scratch, loop.index, 8), "double")
        row = code.binary("udiv", loop.index, constant("i64", share))
        totals = code.offset(code.offset(scratch, start), row, 8 * n)
        most = code.load(code.offset(totals, 8 * (n - 1)), "double")
        reached, length = constant("i64", 0), n
        bound = code.fmul(u, most)
        while length:
            half = (length + 1) // 2
            place = code.binary("add", reached, constant("i64", half - 1))
            below = code.compare("ole", code.load(at_lane(code, totals, place, 8), "double"), bound)
            more = code.select(below, constant("i64", half), constant("i64", 0))
            reached, length = code.binary("add", reached, more), length - half
        code.store(reached, at_lane(code, out, loop.index, 8))
    code.line("ret void")
    return code.function(HEAD), tasks
