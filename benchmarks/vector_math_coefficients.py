"""The polynomials of the vector math: minimax coefficients, computed at 60 digits.

    python benchmarks/vector_math_coefficients.py [NAME ...]

prints each polynomial (lowest power first, rounded to its precision) with the largest weighted
error that remains after the coefficients are rounded. The weight makes that error one of the
function that the polynomial serves, relative to its value. Source: Remez's exchange algorithm,
E. Remez, C. R. Acad. Sci. Paris 199 (1934) 337.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from mpmath import mp, mpf

mp.dps = 60


class Target(NamedTuple):
    """A function on an interval, the weight of an error, and the degree per precision."""

    function: Callable
    weight: Callable
    low: object
    high: object
    degrees: dict[int, int]  # bits of the element: degree


def _root(z):
    return mp.sqrt(z)


def _exponential_rest(r):
    """(e^r - 1 - r) / r^2."""
    if abs(r) < 0.01:
        return sum(r**k / mp.factorial(k + 2) for k in range(25))
    return (mp.expm1(r) - r) / r**2


def _cubic_rest(r):
    """(e^r - 1 - r - r^2 / 2) / r^3."""
    if abs(r) < 0.01:
        return sum(r**k / mp.factorial(k + 3) for k in range(25))
    return (mp.expm1(r) - r - r * r / 2) / r**3


def _logarithm_rest(f):
    """(log(1 + f) - f) / f^2."""
    if abs(f) < mpf("1e-3"):
        return sum((-1) ** (k + 1) * f**k / (k + 2) for k in range(25))
    return (mp.log1p(f) - f) / f**2


def _odd_rest(function: Callable, third, fifth) -> Callable:
    """(function(x) - x) / x^3 by z = x^2; the first Taylor coefficients near 0."""
    return lambda z: third + fifth * z if z < mpf("1e-24") else (
        function(_root(z)) - _root(z)
    ) / _root(z) ** 3


def _cosine_rest(z):
    """(cos(r) - 1 + r^2 / 2) / r^4 by z = r^2."""
    return mpf(1) / 24 if z < mpf("1e-20") else (mp.cos(_root(z)) - 1 + z / 2) / z**2


def _power_of_two_rest(r):
    """(2^r - 1) / r."""
    return mp.log(2) if abs(r) < mpf("1e-40") else mp.expm1(r * mp.log(2)) / r


def _error_function(z):
    """(erf(x) / x - 2 / sqrt(pi)) / x^2 by z = x^2."""
    if z < mpf("1e-20"):
        return -2 / (3 * mp.sqrt(mp.pi))
    return (mp.erf(_root(z)) / _root(z) - 2 / mp.sqrt(mp.pi)) / z


def _scaled_erfc(t):
    """(1 + 2 x) exp(x^2) erfc(x) by t = (x - 3.75) / (x + 3.75)."""
    if t >= 1:
        return 2 / mp.sqrt(mp.pi)
    x = mpf("3.75") * (1 + t) / (1 - t)
    if x > 60:
        terms = (mp.fac2(2 * k - 1) * (-1) ** k / (2 * x * x) ** k for k in range(24))
        return (1 + 2 * x) / (x * mp.sqrt(mp.pi)) * sum(terms)
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


_MIDDLE = _scaled_erfc(mpf(0))


def _scaled_erfc_rest(t):
    """(the same - its value at 0) / t."""
    t = t if abs(t) > mpf("1e-25") else mpf("1e-25")
    return (_scaled_erfc(t) - _MIDDLE) / t


def _log_erfc(t):
    """log erfc(1 + t)."""
    return mp.log(mp.erfc(1 + t))


def _erfinv_middle(v):
    """erfinv(x) / x by v = w - 2.5, w = -log(1 - x^2)."""
    w = max(v + mpf("2.5"), mpf("1e-30"))
    x = mp.sqrt(-mp.expm1(-w))
    return mp.erfinv(x) / x


def _erfinv_tail(v):
    """erfinv(x) by v = sqrt(w) - 4, w = -log(1 - x^2)."""
    return mp.erfinv(mp.sqrt(-mp.expm1(-((v + 4) ** 2))))


_HALF_LN2 = mp.log(2) / 2 * mpf("1.0001")
_QUARTER_PI = (mp.pi / 4 * mpf("1.0001")) ** 2

TARGETS = {
    "EXPONENTIAL": Target(
        _exponential_rest, lambda r: r * r, -_HALF_LN2, _HALF_LN2, {32: 4, 64: 9}
    ),
    "EXPONENTIAL_MINUS_ONE": Target(
        _exponential_rest, lambda r: abs(r), -_HALF_LN2, _HALF_LN2, {32: 5, 64: 10}
    ),
    "EXPONENTIAL_CUBIC": Target(
        _cubic_rest, lambda r: abs(r) ** 3, -_HALF_LN2, _HALF_LN2, {64: 9}
    ),
    "POWER_OF_TWO": Target(
        _power_of_two_rest, lambda r: abs(r) + mpf("0.01"), -mpf("0.5001"), mpf("0.5001"),
        {32: 6, 64: 11},
    ),
    "LOGARITHM": Target(
        _logarithm_rest, lambda f: abs(f), mp.sqrt(0.5) * mpf("0.9999") - 1,
        mp.sqrt(2) * mpf("1.0001") - 1, {32: 9},
    ),
    "HYPERBOLIC_ARCTANGENT": Target(
        _odd_rest(mp.atanh, mpf(1) / 3, mpf(1) / 5), lambda z: z, mpf(0), mpf("0.0295"), {64: 7}
    ),
    "HYPERBOLIC_ARCTANGENT_FIFTH": Target(
        lambda z: mpf(1) / 5 if z < mpf("1e-15") else (
            (mp.atanh(_root(z)) / _root(z) - 1) / z - mpf(1) / 3
        ) / z,
        lambda z: z * z, mpf(0), mpf("0.0295"), {64: 9},
    ),
    "HYPERBOLIC_TANGENT": Target(
        _odd_rest(mp.tanh, mpf(-1) / 3, mpf(2) / 15), lambda z: z, mpf(0), mpf("1.0"), {32: 6}
    ),
    "HYPERBOLIC_SINE": Target(
        _odd_rest(mp.sinh, mpf(1) / 6, mpf(1) / 120), lambda z: z, mpf(0), mpf(1), {64: 6}
    ),
    "SINE": Target(
        _odd_rest(mp.sin, mpf(-1) / 6, mpf(1) / 120), lambda z: z, mpf(0), _QUARTER_PI,
        {32: 3, 64: 5},
    ),
    "COSINE": Target(_cosine_rest, lambda z: z * z, mpf(0), _QUARTER_PI, {32: 3, 64: 5}),
    "ARCTANGENT": Target(
        _odd_rest(mp.atan, mpf(-1) / 3, mpf(1) / 5), lambda z: z, mpf(0),
        mp.tan(mp.pi / 8) ** 2 * mpf("1.0001"), {32: 4, 64: 10},
    ),
    "ARCSINE": Target(
        _odd_rest(mp.asin, mpf(1) / 6, mpf(3) / 40), lambda z: z, mpf(0), mpf("0.25001"),
        {32: 5, 64: 12},
    ),
    "ERROR": Target(_error_function, lambda z: z, mpf(0), mpf(1), {64: 12}),
    "ERROR_NARROW": Target(
        lambda z: _error_function(z) + mpf("0.375"), lambda z: z, mpf(0), mpf(1), {32: 5}
    ),
    "SCALED_ERFC": Target(
        _scaled_erfc_rest, lambda t: abs(t) + mpf("1e-3"), mpf(-1), mpf(1), {32: 12, 64: 24}
    ),
    "INVERSE_ERROR": Target(
        _erfinv_middle, lambda v: 1 / _erfinv_middle(v), mpf("-2.5"), mpf("2.51"), {64: 11}
    ),
    "INVERSE_ERROR_TAIL": Target(
        _erfinv_tail, lambda v: 1 / _erfinv_tail(v), mp.sqrt(5) - mpf("4.01"), mpf("2.1"),
        {64: 11},
    ),
    "LOG_ERFC_NARROW": Target(
        _log_erfc, lambda t: mp.erfc(1 + t), mpf("-0.001"), mpf("3.0"), {32: 8}
    ),
    "LOG_ERFC": Target(
        _log_erfc, lambda t: mp.erfc(1 + t), mpf("-0.001"), mpf("5.0"), {64: 22}
    ),
}  # fmt: skip


def _solve(target: Target, points: list, degree: int) -> list:
    """The polynomial whose weighted error alternates with equal size at these points."""
    rows = mp.matrix(len(points), degree + 2)
    right = mp.matrix(len(points), 1)
    for i, x in enumerate(points):
        for k in range(degree + 1):
            rows[i, k] = x**k
        rows[i, degree + 1] = (-1) ** i / max(target.weight(x), mpf("1e-30"))
        right[i] = target.function(x)
    solution = mp.lu_solve(rows, right)
    return [solution[k] for k in range(degree + 1)]


def _extremes(grid: list, errors: list, count: int) -> list:
    """The places of the largest error of each sign in turn, `count` of them."""
    runs: list[tuple] = []
    for x, e in zip(grid, errors, strict=True):
        if runs and (e > 0) == (runs[-1][1] > 0):
            if abs(e) > abs(runs[-1][1]):
                runs[-1] = (x, e)
        else:
            runs.append((x, e))
    while len(runs) > count:
        runs.pop(0 if abs(runs[0][1]) < abs(runs[-1][1]) else -1)
    return [x for x, _ in runs]


def minimax(target: Target, degree: int, rounds: int = 12) -> list:
    """The coefficients, lowest power first, of the best polynomial of this degree."""
    middle, half = (target.low + target.high) / 2, (target.high - target.low) / 2
    count = degree + 2
    points = [middle - half * mp.cos(mp.pi * (2 * k + 1) / (2 * count)) for k in range(count)]
    grid = [middle - half * mp.cos(mp.pi * k / (40 * count)) for k in range(40 * count + 1)]
    values = [target.function(x) for x in grid]
    weights = [target.weight(x) for x in grid]
    for _ in range(rounds):
        coefficients = _solve(target, points, degree)
        errors = _errors(coefficients, grid, values, weights)
        following = _extremes(grid, errors, count)
        if len(following) < count or following == points:
            break
        points = following
    return coefficients


def _errors(coefficients, grid, values, weights) -> list:
    return [
        (mp.polyval(coefficients[::-1], x) - v) * w
        for x, v, w in zip(grid, values, weights, strict=True)
    ]


def main(names: list[str]) -> None:
    """Print the polynomials of these names, or all."""
    for name in names or TARGETS:
        target = TARGETS[name]
        for bits, degree in target.degrees.items():
            exact = minimax(target, degree)
            kind = np.float32 if bits == 32 else np.float64
            rounded = [kind(str(c)) for c in exact]
            grid = [target.low + (target.high - target.low) * k / 500 for k in range(501)]
            errors = _errors(
                [mpf(float(c)) for c in rounded], grid, [target.function(x) for x in grid],
                [target.weight(x) for x in grid],
            )  # fmt: skip
            worst = max(map(abs, errors))
            print(f"{name} {bits}: error 2^{float(mp.log(worst, 2)):.1f}")
            print("    " + ", ".join(f"{c!s}" for c in rounded))


if __name__ == "__main__":
    main(sys.argv[1:])
