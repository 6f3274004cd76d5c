"""Elementary functions of fixed-point numbers: the integer t stands for t / 2**p.

Each result is within 2**6 units of its last place (`SLACK`).

Source    argument halving and Taylor series: Brent and Zimmermann, "Modern Computer Arithmetic",
          chapter 4; the formulas for log 2 and pi are Machin's kind.
"""

from __future__ import annotations

from math import isqrt, log1p

SLACK = 1 << 6

_constants: dict[str, tuple[int, int]] = {}  # the longest that was asked for: bits, value


def _constant(name: str, p: int, compute) -> int:
    bits, value = _constants.get(name, (0, 0))
    if bits < p:
        bits = p + p // 4 + 64
        value = compute(bits + 16) >> 16
        _constants[name] = (bits, value)
    return value >> (bits - p)


def _inverse_series(n: int, p: int, sign: int) -> int:
    """atan(1/n) (sign -1) or atanh(1/n) (sign 1)."""
    power = total = (1 << p) // n
    square, k = n * n, 3
    while power:
        power //= square
        total += sign * (power // k) if k & 2 else power // k
        k += 2
    return total


def log2_fixed(p: int) -> int:
    """The natural logarithm of 2."""
    return _constant("log 2", p, lambda b: (
        18 * _inverse_series(26, b, 1) - 2 * _inverse_series(4801, b, 1)
        + 8 * _inverse_series(8749, b, 1)
    ))  # fmt: skip


def pi_fixed(p: int) -> int:
    """Pi."""
    return _constant("pi", p, lambda b: (
        16 * _inverse_series(5, b, -1) - 4 * _inverse_series(239, b, -1)
    ))  # fmt: skip


def exp_fixed(t: int, p: int) -> int:
    """e**t for 0 <= t < 1."""
    halvings = isqrt(p) // 2 + 2
    guard = halvings + 16
    w = p + guard
    t = (t << guard) >> halvings
    total = term = 1 << w
    k = 1
    while term:
        term = (term * t >> w) // k
        total += term
        k += 1
    for _ in range(halvings):
        total = total * total >> w
    return total >> guard


def log_fixed(f: int, p: int) -> int:
    """log(f) for 1 <= f < 2, by Halley's iteration on e**y = f: each step triples the digits."""
    steps = [p]
    while steps[-1] > 40:
        steps.append(steps[-1] // 3 + 8)
    at = steps.pop()
    y = _log_start(f, p, at)
    while steps:
        to = steps.pop()
        y <<= to - at
        e, goal = exp_fixed(y, to), f >> (p - to)
        y = max(y + ((2 * (goal - e)) << to) // (goal + e), 0)
        at = to
    return y


def _log_start(f: int, p: int, at: int) -> int:
    return int(log1p((f - (1 << p)) / (1 << p)) * (1 << at))


def sin_cos_fixed(t: int, p: int) -> tuple[int, int]:
    """sin t and cos t for 0 <= t < 1."""
    halvings = isqrt(p) // 3 + 1
    guard = 2 * halvings + 16
    w = p + guard
    t = (t << guard) >> halvings
    square = t * t >> w
    s = term = t
    k = 2
    while term:
        term = (term * square >> w) // (k * (k + 1))
        s += term if k & 2 == 0 else -term
        k += 2
    one = 1 << w
    c = isqrt((one << w) - s * s)
    for _ in range(halvings):
        s, c = s * c >> (w - 1), one - (s * s >> (w - 1))
    return s >> guard, c >> guard


def atan_fixed(t: int, p: int) -> int:
    """atan t for 0 <= t <= 1."""
    halvings = isqrt(p) // 3 + 1
    guard = halvings + 16
    w = p + guard
    t <<= guard
    one = 1 << w
    for _ in range(halvings):
        t = (t << w) // (one + isqrt((one << w) + t * t))
    square = t * t >> w
    total = power = t
    k = 3
    while power:
        power = power * square >> w
        total += power // k if k & 2 == 0 else -(power // k)
        k += 2
    return total << halvings >> guard
