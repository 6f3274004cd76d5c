"""A rational number correctly rounded to a binary floating-point format.

Round to nearest, ties to even, as IEEE 754 prescribes; subnormal numbers, overflow to infinity and
underflow to zero included. All on whole numbers, so it is exact.
"""

from __future__ import annotations

import numpy as np

_FORMATS = {"e": (11, -24, 15), "f": (24, -149, 127), "d": (53, -1074, 1023)}


def round_ratio(numerator: int, denominator: int, dtype: np.dtype) -> np.floating:
    """The number of this dtype that is nearest to numerator / denominator (denominator > 0).

    >>> round_ratio(1, 10, np.dtype("f"))
    np.float32(0.1)
    """
    digits, least, most = _FORMATS[dtype.char]
    scalar = dtype.type
    if not numerator:
        return scalar(0.0)
    sign = -1.0 if numerator < 0 else 1.0
    numerator = abs(numerator)
    exponent = numerator.bit_length() - denominator.bit_length()  # of the leading bit, or 1 more
    if exponent > most + 1:
        return scalar(sign * np.inf)
    if exponent < least - 1:
        return scalar(sign * 0.0)
    below = numerator << max(-exponent, 0) < denominator << max(exponent, 0)
    unit = max(exponent - below - digits + 1, least)  # the exponent of the last bit that is kept
    divisor = denominator << max(unit, 0)
    kept, rest = divmod(numerator << max(-unit, 0), divisor)
    kept += 2 * rest + (kept & 1) > divisor
    if kept.bit_length() + unit > most + 1:
        return scalar(sign * np.inf)
    return scalar(sign * np.ldexp(np.float64(kept), unit))
