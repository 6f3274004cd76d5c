"""A polynomial with known rational coefficients, accurate where its terms cancel.

    polynomial(x)     (n_0 + n_1 x + ... + n_d x^d) / D, whole numbers n_k and D

Value     Horner's rule with a running bound of its error. Where that is more than an ulp or two:
          compensated Horner, whose every product and sum hands on its rounding error; where that
          is not certain either, whole numbers. Compiled, always compensated.
Slope     another polynomial; nothing is differentiated that rounds.
At inf    nan where the terms are of both signs, as by the terms one by one.
Source    Higham, "Accuracy and Stability of Numerical Algorithms", algorithm 5.1, for the bound;
          Graillat, Langlois, Louvet, "Compensated Horner scheme" (2005); Dekker, Numer. Math. 18
          (1971) 224, for the error of a product.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import inf, isfinite, nan
from typing import NamedTuple

import numpy as np

from chainrule.ops.special.scipy_functions import elementwise_family, in_float64
from chainrule.program.exact import ExactFloat

UNIT = 2.0**-53
_ROUGH = 2.0**-51  # a relative error that is none of cancellation
EXACT_TO = 4096  # entries that one call computes in whole numbers
_SPLITTER = 2.0**27 + 1


class Floats(NamedTuple):
    """The coefficients by x / unit, from the constant on, each the sum of two floats."""

    high: tuple[float, ...]
    low: tuple[float, ...]
    unit: float  # a power of two


@lru_cache(maxsize=512)
def floats(numerators: tuple[int, ...], denominator: int) -> Floats:
    """The coefficients in floats; x is scaled so that the first and the last are of like size."""
    shift = _shift(numerators)
    pairs = [_pair(n, denominator, k * shift) for k, n in enumerate(numerators)]
    return Floats(tuple([h for h, _ in pairs]), tuple([low for _, low in pairs]), 2.0**shift)


def _shift(numerators: Sequence[int]) -> int:
    """s with n_d 2^(s d) about n_j 2^(s j), the first and the last coefficient that are not 0."""
    powers = [k for k, n in enumerate(numerators) if n]
    if len(powers) < 2:
        return 0
    first, last = powers[0], powers[-1]
    size = numerators[first].bit_length() - numerators[last].bit_length()
    return max(-500, min(500, round(size / (last - first))))


def _pair(numerator: int, denominator: int, shift: int) -> tuple[float, float]:
    numerator, denominator = numerator << max(shift, 0), denominator << max(-shift, 0)
    try:
        high = numerator / denominator
    except OverflowError:
        return (inf if numerator > 0 else -inf), 0.0
    above, below = high.as_integer_ratio()
    return high, (numerator * below - above * denominator) / (denominator * below)


def in_range(numerators: tuple[int, ...], denominator: int) -> bool:
    """Whether the coefficients are of sizes whose products with x neither overflow nor vanish
    before those of the polynomial do."""
    sizes = [abs(h) for h in floats(numerators, denominator).high if h]
    return len(sizes) == sum(map(bool, numerators)) and all(
        2.0**-900 < size < 2.0**900 for size in sizes
    )


def at_infinity(numerators: tuple[int, ...], sign: int) -> float:
    """The value at inf or, for a sign -1, -inf."""
    signs = {(n > 0) == (sign > 0 or k % 2 == 0) for k, n in enumerate(numerators) if k and n}
    if not signs:
        return nan
    return nan if len(signs) > 1 else inf if signs.pop() else -inf


def exactly(x: float, numerators: tuple[int, ...], denominator: int) -> float:
    """The nearest float of the value at a finite x."""
    above, below = x.as_integer_ratio()
    bits = below.bit_length() - 1  # below = 2^bits
    total = 0
    for k in range(len(numerators) - 1, -1, -1):
        total = total * above + (numerators[k] << bits * (len(numerators) - 1 - k))
    try:
        return total / (denominator << bits * (len(numerators) - 1))
    except OverflowError:
        return inf if total > 0 else -inf


def _plainly(x, coefficients: Sequence[float]):
    """Horner's rule, and a bound of its error."""
    total = x * 0.0 + coefficients[-1]
    size = abs(x)
    error = abs(total)
    for c in coefficients[-2::-1]:
        total = total * x
        if c:
            total = total + c
        error = error * size + abs(total) + abs(c)
    return total, (2.0 * error - abs(total)) * UNIT


def _compensated(x: np.ndarray, form: Floats) -> tuple[np.ndarray, np.ndarray]:
    """Compensated Horner, and a bound of its error."""
    size = abs(x)
    x_high = _first_half(x)
    x_low = x - x_high
    total = np.full_like(x, form.high[-1])
    rest = np.full_like(x, form.low[-1])
    lost = abs(rest)
    for c, c_low in zip(form.high[-2::-1], form.low[-2::-1], strict=True):
        product = total * x
        high = _first_half(total)
        low = total - high
        error = low * x_low - (((product - high * x_high) - low * x_high) - high * x_low)
        total = product + c
        part = total - product
        error = error + ((product - (total - part)) + (c - part))
        rest = rest * x + (error + c_low)
        lost = lost * size + abs(error) + abs(c_low)
    out = total + rest
    return out, UNIT * abs(out) + (2 * len(form.high) + 2) * UNIT * lost


def _first_half(x):
    """The upper half of the digits of x."""
    product = x * _SPLITTER
    return product - (product - x)


@in_float64
def _value(x, *, numerators, denominator):
    form = floats(numerators, denominator)
    with np.errstate(all="ignore"):
        if not np.ndim(x):
            return np.float64(_of_number(float(x), form, numerators, denominator))
        total, error = _plainly(x / form.unit, form.high)
        bad = ~(error <= _ROUGH * abs(total))
        if bad.any():
            total[bad] = _of_entries(x[bad], form, numerators, denominator)
        return total


def _of_number(x: float, form: Floats, numerators, denominator) -> float:
    if not isfinite(x):
        return _beyond(x, form, numerators)
    total, error = _plainly(x / form.unit, form.high)
    return total if error <= _ROUGH * abs(total) else exactly(x, numerators, denominator)


def _beyond(x: float, form: Floats, numerators) -> float:
    """The value at inf, -inf or nan."""
    if x != x:
        return nan
    return at_infinity(numerators, 1 if x > 0 else -1) if any(numerators[1:]) else form.high[0]


def _of_entries(x: np.ndarray, form: Floats, numerators, denominator) -> np.ndarray:
    out, error = _compensated(x / form.unit, form)
    left = np.flatnonzero(~(error <= _ROUGH * abs(out)))
    for i in left:
        if not isfinite(x[i]):
            out[i] = _beyond(x[i], form, numerators)
        elif len(left) <= EXACT_TO or not isfinite(out[i]):
            out[i] = exactly(float(x[i]), numerators, denominator)
    return out


def _slope(x, out, *, numerators, denominator):
    slopes = tuple([k * n for k, n in enumerate(numerators)][1:]) or (0,)
    return polynomial(x, numerators=slopes, denominator=denominator)


polynomial = elementwise_family(
    "polynomial", _value, (_slope,), flops=300,
    doc="a polynomial with the coefficients `numerators` / `denominator`, terms that cancel or not",
)  # fmt: skip


def written_out(x, *, numerators, denominator):
    """The polynomial by Horner's rule in plain operations; its coefficients are exact numbers."""
    first, *others = [ExactFloat(Fraction(n, denominator), {}) for n in numerators[::-1]]
    total = x * first if others else x * 0.0 + first
    for k, c in enumerate(others):
        total = total * x if k else total
        total = total + c if c else total
    return total
