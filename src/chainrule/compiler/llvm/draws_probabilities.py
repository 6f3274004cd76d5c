"""Poisson and binomial log probabilities as vector code, and inversion by counting.

Value     those of `chainrule.ops.samplers_elementary`, with the same bits.
Source    Loader, "Fast and accurate computation of binomial probabilities", 2000.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.compiler.llvm.along import at_lane
from chainrule.compiler.llvm.code import Code, Value, constant, lanes_of
from chainrule.compiler.llvm.draws_elementary import (
    any_lane,
    log,
    log1p,
    log_of_normal,
    polynomial,
)
from chainrule.compiler.llvm.vecmath_lanes import Lanes
from chainrule.ops.samplers_discrete import MOST_STEPS
from chainrule.ops.samplers_elementary import HALF_LOG_TWO_PI, STIRLING_SERIES, STIRLING_TABLE


def stirling_table(code: Code) -> Value:
    """The table of Stirling's error on the stack."""
    table = code.alloca(8 * len(STIRLING_TABLE), 8)
    for i, value in enumerate(STIRLING_TABLE):
        code.store(constant("double", float(value)), code.offset(table, 8 * i))
    return table


class Probabilities:
    """Log probabilities; `table` is that of Stirling's error in memory."""

    def __init__(self, code: Code, table: Value):
        self.code, self.table = code, table

    def _looked_up(self, n: Lanes) -> Lanes:
        """The table's entries for whole numbers, clipped to its ends."""
        code, lanes = self.code, lanes_of(n.value.type)
        index = n.at_least(0.0).at_most(15.0).convert("fptosi", "i64").value
        out = Value("poison", n.value.type)
        for lane in range(lanes):
            found = code.load(at_lane(code, self.table, code.extract(index, lane), 8), "double")
            out = code.insert(out, found, lane) if lanes > 1 else found
        return Lanes(code, out)

    def stirling_error(self, n: Lanes) -> Lanes:
        """log(n!) - log(sqrt(2 pi n) (n / e)**n)."""
        large = n.at_least(16.0)
        series = polynomial(1.0 / (large * large), STIRLING_SERIES) / large
        return (n < 16.0).choose(self._looked_up(n), series)

    def log_poisson(self, k: Lanes, mean: Lanes) -> Lanes:
        """The log of the Poisson probability of whole numbers."""
        normal = -self.stirling_error(k) - deviance(k, mean)
        normal = normal - log_of_normal(k.at_least(1.0)) * 0.5
        return (k > 0.0).choose(normal - HALF_LOG_TWO_PI, -mean)

    def log_binomial(self, k: Lanes, n: Lanes, p: Lanes) -> Lanes:
        """The log of the binomial probability of whole numbers."""
        q = 1.0 - p
        rest = n - k
        inside = (k > 0.0) & (rest > 0.0)
        core = self.stirling_error(n) - self.stirling_error(k) - self.stirling_error(rest)
        core = core - deviance(k, n * p) - deviance(rest, n * q)
        odds = inside.choose(n / (k.at_least(1.0) * rest.at_least(1.0)), 1.0)
        normal = core + log_of_normal(odds) * 0.5 - HALF_LOG_TWO_PI
        return inside.choose(normal, (k > 0.0).choose(n * log(p), n * log1p(-p)))


def deviance(x: Lanes, mean: Lanes) -> Lanes:
    """x log(x / mean) + mean - x."""
    difference, total = x - mean, x + mean
    ratio = difference / total
    square = (ratio * ratio).at_most(0.01)
    odd = tuple(1.0 / (2 * j + 3) for j in range(8))
    series = difference * ratio + x * 2.0 * ratio * square * polynomial(square, odd)
    quotient = (x > 0.0).choose(x / mean, 1.0)
    return (abs(difference) < total * 0.1).choose(
        series, x * log_of_normal(quotient) + mean - x
    )


def counted(u: Lanes, probability: Lanes, ratio: Callable[[Lanes], Lanes]) -> Lanes:
    """How many values of the distribution function lie below u, by steps."""
    code, zero = u.code, u.like(0.0)
    name, before = code.fresh("counted"), code.block_name
    names = [Value(f"%{name}.{part}", u.value.type) for part in ("step", "p", "total", "count")]
    code.branch(f"{name}.head")
    code.start_block(f"{name}.head")
    place = len(code.lines)
    code.lines += [""] * 4
    step, now, total, count = (Lanes(code, v) for v in names)
    below = u > total
    counts = count + below.choose(u.like(1.0), 0.0)
    following = now * ratio(step)
    after = [step + 1.0, following, total + following, counts]
    again = any_lane(below)
    few = Lanes(code, code.extract(step.value, 0)) < float(MOST_STEPS - 1)
    latest = code.block_name
    code.branch_if((again & few).value, f"{name}.head", f"{name}.after")
    starts = [u.like(1.0), probability, probability, zero]
    for i, (phi, first, then) in enumerate(zip(names, starts, after, strict=True)):
        ways = f"[ {first.value.text}, %{before} ], [ {then.value.text}, %{latest} ]"
        code.lines[place + i] = f"  {phi.text} = phi {phi.type} {ways}"
    code.start_block(f"{name}.after")
    return counts
