"""Draws by rejection as native kernels: gamma, Poisson, binomial; and subsets by weight.

Value     the bits of `chainrule.ops.samplers_gamma` and `samplers_discrete`: every lane goes on
          with its own next attempt until it is accepted. Parameters outside their range set the
          status.
Tasks     are ranges of elements, or lanes of the state.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Site, contiguous_place
from chainrule.compiler.llvm.along import at_lane
from chainrule.compiler.llvm.code import Code, Index, Value
from chainrule.compiler.llvm.draws import exponential_from_bits, normal_from_bits, open_interval
from chainrule.compiler.llvm.draws_bits import Draw, State, joined
from chainrule.compiler.llvm.draws_discrete import require
from chainrule.compiler.llvm.draws_elementary import exp, log1p, log_of_normal, where_some
from chainrule.compiler.llvm.draws_probabilities import Probabilities, counted, stirling_table
from chainrule.compiler.llvm.gather import copy_row
from chainrule.compiler.llvm.sorting import Sorting
from chainrule.compiler.llvm.vecmath_lanes import Lanes
from chainrule.compiler.llvm.walk import operand_pointers
from chainrule.ops.samplers_discrete import LARGEST_MEAN, SMALL_MEAN
from chainrule.program.types import array_type

Attempt = Callable[[tuple], tuple[Lanes, Lanes]]


class _Elements:
    """The elements of a draw at one place: attempts, and their parameters."""

    def __init__(self, code: Code, draw: Draw, status: Value, own: State, index: Index, lanes: int):
        self.code, self.draw, self.status = code, draw, status
        self.own, self.index, self.lanes = own, index, lanes

    def attempts(self, attempt: Attempt) -> Lanes:
        """The first accepted float64s."""
        return self.draw.by_attempts(
            self.code, self.own, self.index, self.lanes, "double", self.status, attempt
        )

    def bits(self) -> Lanes:
        """64 random bits of each element, apart from those of the attempts."""
        return self.draw.bits(self.code, self.own, self.index, self.lanes, 64)


def _emit(site: Site, value: Callable[..., Lanes], work: int) -> Kernel | None:
    """A kernel that makes each element of its float64 parameters, by `value`."""
    (out,), parameters = site.outputs, site.inputs[1:]
    draw = Draw(site, out, parameters, work)
    if any(p.type.dtype.char != "d" for p in parameters) or not draw.fits:
        return None
    code = Code()
    state, *pointers, target, status = operand_pointers(code, site.inputs, 2)
    table = stirling_table(code)

    def body(own, row: Index, index: Index, lanes: int) -> None:
        given = [
            draw.parameter(code, i, p, row, index, lanes) for i, p in enumerate(pointers)
        ]
        elements = _Elements(code, draw, status, own, index, lanes)
        made = value(elements, Probabilities(code, table), *given)
        at = code.index_add(code.index_mul(row, draw.size), index)
        code.store(made.value, at_lane(code, target, at, 8), 8)

    tasks = draw.write(code, state, draw.blocks, body) if draw.rows and draw.size else 1
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD), tasks),), can_fail=True)


# --- gamma ----------------------------------------------------------------------------------------


def emit_gamma(site: Site) -> Kernel | None:
    """The kernel of `standard_gamma` and `log_standard_gamma`."""
    value = _log_gamma if site.op == "log_standard_gamma" else _gamma
    return _emit(site, value, 200)


def _pieces(elements: _Elements, a: Lanes):
    """Whether the shape is an ordinary one; d, v and log(boost)."""
    require(elements.code, (a < 0.0).negated(), elements.status)
    ordinary = (a > 0.0) & (a < math.inf)
    inside = ordinary.choose(a, 1.0)
    small = inside < 1.0
    d = small.choose(inside + 1.0, inside) - 1.0 / 3.0
    c = 1.0 / (d * 9.0).root()

    def attempt(words):
        z = normal_from_bits(joined(words[0], words[1]))
        u = open_interval(joined(words[2], words[3]))
        v = c * z + 1.0
        v = v * v * v
        positive = v > 0.0
        log_v = log_of_normal(positive.choose(v, 1.0))
        bound = (z * z) * 0.5 + d * ((1.0 - v) + log_v)
        return v, positive & (log_of_normal(u) < bound)

    v = elements.attempts(attempt)

    def boost() -> Lanes:
        return log_of_normal(open_interval(elements.bits())) / inside

    return ordinary, d, v, where_some(small, boost, a.like(0.0))


def _gamma(elements: _Elements, _, a: Lanes) -> Lanes:
    ordinary, d, v, log_boost = _pieces(elements, a)
    boost = where_some(log_boost < 0.0, lambda: exp(log_boost), a.like(1.0))
    return ordinary.choose(d * v * boost, a.equals(0.0).choose(a.like(0.0), a))


def _log_gamma(elements: _Elements, _, a: Lanes) -> Lanes:
    ordinary, d, v, log_boost = _pieces(elements, a)
    logarithm = log_of_normal(d) + log_of_normal(v) + log_boost
    return ordinary.choose(logarithm, a.equals(0.0).choose(a.like(-math.inf), a))


# --- Poisson and binomial -------------------------------------------------------------------------


def emit_poisson(site: Site) -> Kernel | None:
    """The kernel of `random_poisson`."""
    return _emit(site, _poisson, 250)


def _accepted(u: Lanes) -> Lanes:
    return u.equals(u)


def _hat(words, a: Lanes, b: Lanes, centre: Lanes):
    """A draw from Hoermann's hat: k, the quick acceptance's two numbers, and the hat's height."""
    u = open_interval(joined(words[0], words[1])) - 0.5
    v = open_interval(joined(words[2], words[3]))
    to_end = 0.5 - abs(u)
    k = ((a * 2.0 / to_end + b) * u + centre).rounded("floor")
    return k, v, to_end, a / (to_end * to_end) + b


def _poisson(elements: _Elements, probabilities: Probabilities, mean: Lanes) -> Lanes:
    require(elements.code, (mean >= 0.0) & (mean <= LARGEST_MEAN), elements.status)
    small = mean < SMALL_MEAN

    def by_inversion() -> Lanes:
        low = mean.at_most(SMALL_MEAN)

        def attempt(words):
            u = open_interval(joined(words[0], words[1]))
            return counted(u, exp(-low), lambda j: low / j), _accepted(u)

        return elements.attempts(attempt)

    def by_rejection() -> Lanes:
        return elements.attempts(_poisson_attempt(probabilities, mean.at_least(SMALL_MEAN)))

    out = where_some(small, by_inversion, mean.like(0.0))
    return where_some(small.negated(), by_rejection, out).convert("fptosi", "i64")


def _poisson_attempt(probabilities: Probabilities, mean: Lanes) -> Attempt:
    b = mean.root() * 2.53 + 0.931
    a = b * 0.02483 + -0.059

    def attempt(words):
        k, v, to_end, height = _hat(words, a, b, mean + 0.43)
        quick = (to_end >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2.0))
        inside = k >= 0.0
        whole = inside.choose(k, 0.0)
        bound = log_of_normal(v * (1.1328 / (b - 3.4) + 1.1239) / height)
        fits = bound <= probabilities.log_poisson(whole, mean)
        return whole, inside & (quick | fits)

    return attempt


def emit_binomial(site: Site) -> Kernel | None:
    """The kernel of `random_binomial`."""
    return _emit(site, _binomial, 400)


def _binomial(elements: _Elements, probabilities: Probabilities, n: Lanes, p: Lanes) -> Lanes:
    proper = (n >= 0.0) & (p >= 0.0) & (p <= 1.0)
    require(elements.code, proper, elements.status)
    flipped = p > 0.5
    rarer = flipped.choose(1.0 - p, p)
    small = n * rarer < SMALL_MEAN

    def by_inversion() -> Lanes:
        few = small.choose(n, 0.0)

        def attempt(words):
            u = open_interval(joined(words[0], words[1]))
            odds = rarer / (1.0 - rarer)
            none = exp(few * log1p(-rarer))
            count = counted(u, none, lambda j: (few - (j - 1.0)) / j * odds)
            return (count < few).choose(count, few), _accepted(u)

        return elements.attempts(attempt)

    def by_rejection() -> Lanes:
        many, share = small.choose(n.like(40.0), n), small.choose(n.like(0.5), rarer)
        return elements.attempts(_binomial_attempt(probabilities, many, share))

    out = where_some(small, by_inversion, n.like(0.0))
    out = where_some(small.negated(), by_rejection, out)
    return flipped.choose(n - out, out).convert("fptosi", "i64")


def _binomial_attempt(probabilities: Probabilities, n: Lanes, p: Lanes) -> Attempt:
    mode = ((n + 1.0) * p).rounded("floor")
    log_at_mode = probabilities.log_binomial(mode, n, p)
    deviation = (n * p * (1.0 - p)).root()
    b = deviation * 2.53 + 1.15
    a = b * 0.0248 + -0.0873 + p * 0.01

    def attempt(words):
        k, v, to_end, height = _hat(words, a, b, n * p + 0.5)
        quick = (to_end >= 0.07) & (v <= 0.92 - 4.2 / b)
        inside = (k >= 0.0) & (k <= n)
        whole = inside.choose(k, 0.0)
        bound = log_of_normal(v * ((5.1 / b + 2.83) * deviation) / height)
        fits = bound <= probabilities.log_binomial(whole, n, p) - log_at_mode
        return whole, inside & (quick | fits)

    return attempt


# --- subsets --------------------------------------------------------------------------------------


def emit_subset(site: Site) -> Kernel | None:
    """The kernel of `random_subset`: waiting times by weight, and the first of their order."""
    (_, weights), (out,) = site.inputs, site.outputs
    keys = contiguous_place(array_type(weights.type.shape, np.dtype(np.float64)))
    draw = Draw(site, keys, (weights,), 60)
    if weights.type.dtype.char != "d" or not draw.fits or not weights.type.size:
        return None
    share = -(-keys.type.nbytes // 64) * 64
    first = Code()
    state, weight, _, scratch, status = operand_pointers(first, site.inputs, 3)

    def body(own, row: Index, index: Index, lanes: int) -> None:
        given = draw.parameter(first, 0, weight, row, index, lanes)
        require(first, given >= 0.0, status)
        waiting = exponential_from_bits(draw.bits(first, own, index, lanes, 64))
        at = first.index_add(first.index_mul(row, draw.size), index)
        first.store((waiting / given).value, at_lane(first, scratch, at, 8), 8)

    tasks = draw.write(first, state, max(2, draw.each(64) // 2), body)
    first.line("ret void")
    order = contiguous_place(array_type(weights.type.shape, np.dtype(np.int64)))
    sorting = Sorting(keys, order, weights.type.ndim - 1, ranks=True)
    second = Code()
    *_, scratch, _ = operand_pointers(second, site.inputs, 3)
    places = [second.offset(scratch, i * share) for i in range(3)]
    shares = sorting.write(second, *places)
    second.line("ret void")
    last = Phase(_first_of(site, share, out.type.shape[-1]))
    phases = (Phase(first.function(HEAD), tasks), Phase(second.function(HEAD), shares), last)
    return Kernel(phases, 2 * share + sorting.scratch + 64, can_fail=True)


def _first_of(site: Site, share: int, count: int) -> str:
    """The first `count` of every row's order; a later one of weight 0 sets the status."""
    code = Code()
    _, _, out, scratch, status = operand_pointers(code, site.inputs, 3)
    *lead, n = site.inputs[1].type.shape
    if count:
        with code.loop(0, math.prod(lead)) as loop:
            order = code.offset(code.offset(scratch, share), loop.index, 8 * n)
            keys = code.offset(scratch, loop.index, 8 * n)
            last = code.load(code.offset(order, 8 * (count - 1)), "i64")
            time = Lanes(code, code.load(at_lane(code, keys, last, 8), "double"))
            require(code, time < math.inf, status)  # it is infinite for the weight 0
            copy_row(code, order, code.offset(out, loop.index, 8 * count), 8 * count)
    code.line("ret void")
    return code.function(HEAD)
