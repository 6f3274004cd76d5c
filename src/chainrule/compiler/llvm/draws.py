"""Standard draws as native kernels: bits, uniform, normal, exponential and what follows from them.

Value     the bits of `chainrule.ops.samplers`: one random word an element, turned into a number by
          the same operations in the same order.
Tasks     are ranges of elements, or lanes of the state.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Place, Site
from chainrule.compiler.llvm.along import at_lane
from chainrule.compiler.llvm.code import Code, Index, Value, bits_of
from chainrule.compiler.llvm.draws_bits import Draw
from chainrule.compiler.llvm.draws_elementary import (
    log_of_normal,
    polynomial,
    small_to_double,
    tan_pi,
    to_double,
    where_some,
)
from chainrule.compiler.llvm.vecmath_lanes import Lanes
from chainrule.compiler.llvm.walk import operand_pointers
from chainrule.ops.samplers import CENTRE, FAR_TAIL, TAIL

Transform = Callable[[Lanes], Lanes]  # random words (i32 or i64) to float64s


def _is_narrow(bits: Lanes) -> bool:
    return bits_of(bits.value.type) == 32


def unit_interval(bits: Lanes) -> Lanes:
    """Uniform in [0, 1): float32s of 32 bits, float64s of 64."""
    if _is_narrow(bits):
        return bits.unsigned_shift(8).convert("uitofp", "float") * 2.0**-24
    return bits.unsigned_shift(11).convert("uitofp", "double") * 2.0**-53


def open_interval(bits: Lanes) -> Lanes:
    """Uniform in (0, 1) and symmetric about 1/2."""
    if _is_narrow(bits):
        return (small_to_double(bits.convert("zext", "i64")) + 0.5) * 2.0**-32
    return (small_to_double(bits.unsigned_shift(12)) + 0.5) * 2.0**-52


def centred(bits: Lanes) -> tuple[Lanes, Lanes]:
    """Uniform q in [-1/2, 1/2], and 1/2 - |q| > 0."""
    narrow = _is_narrow(bits)
    whole = bits.convert("sext", "i64") if narrow else bits
    top, unit = (2**31 - 1, 2.0**-32) if narrow else (2**63 - 1, 2.0**-64)
    magnitude = whole ^ (whole >> 63)
    q = (to_double(whole) + 0.5) * unit
    return q, (to_double(whole.like(top) - magnitude) + 0.5) * unit


def _ratio(x: Lanes, coefficients) -> Lanes:
    return polynomial(x, coefficients[0]) / polynomial(x, coefficients[1])


def normal_from_bits(bits: Lanes) -> Lanes:
    """The normal quantile of random words."""
    q, to_end = centred(bits)
    centre = q * _ratio(0.180625 - q * q, CENTRE)

    def tail() -> Lanes:
        r = (-log_of_normal(to_end)).root()
        near = _ratio(r - 1.6, TAIL)
        z = where_some(r > 5.0, lambda: _ratio(r - 5.0, FAR_TAIL), near)
        return z.with_sign_of(q)

    return where_some(to_end < 0.075, tail, centre)


def exponential_from_bits(bits: Lanes) -> Lanes:
    """-log(u)."""
    return -log_of_normal(open_interval(bits))


def _gumbel(bits: Lanes) -> Lanes:
    return -log_of_normal(exponential_from_bits(bits))


def _logistic(bits: Lanes) -> Lanes:
    q, to_end = centred(bits)
    return log_of_normal((1.0 - to_end) / to_end).with_sign_of(q)


def _laplace(bits: Lanes) -> Lanes:
    q, to_end = centred(bits)
    return log_of_normal(to_end * 2.0).with_sign_of(q)


def _cauchy(bits: Lanes) -> Lanes:
    q, to_end = centred(bits)
    return tan_pi(abs(q), to_end).with_sign_of(q)


TRANSFORMS: dict[str, Transform] = {
    "random_bits": lambda bits: bits,
    "standard_uniform": unit_interval,
    "standard_normal": normal_from_bits,
    "standard_exponential": exponential_from_bits,
    "standard_gumbel": _gumbel,
    "standard_logistic": _logistic,
    "standard_laplace": _laplace,
    "standard_cauchy": _cauchy,
}


def emit_standard(site: Site) -> Kernel | None:
    """The kernel of a standard draw of float32s or float64s, or of random bits."""
    (out,) = site.outputs
    draw = Draw(site, out)
    if out.type.dtype.char not in "fdILQ" or not draw.fits:
        return None
    code = Code()
    state, target = operand_pointers(code, site.inputs, 1)
    tasks = write_standard(code, draw, TRANSFORMS[site.op], out, state, target)
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD), tasks),))


def write_standard(
    code: Code, draw: Draw, transform: Transform, out: Place, state: Value, target: Value
) -> int:
    """Write the loops that fill an array of elements; the number of tasks."""
    dtype = out.type.dtype
    width = 32 if dtype.itemsize == 4 else 64
    each = draw.each(width)
    if transform not in (TRANSFORMS["random_bits"], unit_interval):
        each = max(2, each // (4 if dtype == np.float32 else 2))

    def body(own, row: Index, index: Index, lanes: int) -> None:
        value = transform(draw.bits(code, own, index, lanes, width))
        if dtype.char == "f" and bits_of(value.value.type) == 64:
            value = value.narrowed()
        at = code.index_add(code.index_mul(row, draw.size), index)
        code.store(value.value, at_lane(code, target, at, dtype.itemsize), dtype.alignment)

    return draw.write(code, state, each, body) if draw.rows and draw.size else 1
