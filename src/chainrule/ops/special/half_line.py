"""Tools for the incomplete integrals: quadrature on [0, inf), Bell polynomials, two expansions.

half_line_integral for integrands that fall off like exp(-v) or faster, smooth on the scale of 1;
half_line_rule     its nodes and weights; more panels reach further, each three times as wide.
bell, bell_pair    the n-th derivative of exp(f) divided by exp(f), from the derivatives of f.
stirling_error     log Gamma(a + 1) minus Stirling's formula.
deviance           a log(a / m) + m - a, which is tiny and cancels where m is near a.
Source             Gauss and Legendre; Bell, Annals of Math. 35 (1934) 258; Loader, "Fast and
                   accurate computation of binomial probabilities", 2000, for the last two.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from math import comb

import numpy as np

from chainrule.ops.special.gamma_functions import BERNOULLI
from chainrule.ops.special.scipy_functions import scipy_special

ROWS_AT_ONCE = 2048  # elements integrated together: 64 nodes each make arrays of a megabyte
PANELS = (0.0, 1.5, 5.0, 14.0, 40.0)
_STIRLING_FROM = 10.0


@cache
def half_line_rule(extra: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of 16-point Gauss panels on [0, 40 * 3**extra]."""
    ends = (*PANELS, *(PANELS[-1] * 3.0**k for k in range(1, extra + 1)))
    node, weight = np.polynomial.legendre.leggauss(16)
    halves = [(high - low) / 2 for low, high in pairwise(ends)]
    middles = [(high + low) / 2 for low, high in pairwise(ends)]
    nodes = [h * node + m for h, m in zip(halves, middles, strict=True)]
    return np.concatenate(nodes), np.concatenate([h * weight for h in halves])


def half_line_integral(integrand, reach=1.0):
    """The integrals of rows (..., 1): `integrand` takes nodes and gives (..., nodes).

    The panels go `reach` times as far as without (the largest one that is finite counts).
    """
    farthest = np.max(reach, initial=1.0)
    extra = max(0, math.ceil(math.log(farthest, 3.0))) if np.isfinite(farthest) else 0
    node, weight = half_line_rule(extra)
    return np.sum(weight * integrand(node), axis=-1, keepdims=True)


def bell(slopes: list):
    """(d/da)^n exp(f) / exp(f) for the slopes f', f'', ..., f^(n): the complete Bell polynomial."""
    found: list = [1.0]
    for m in range(len(slopes)):
        terms = [comb(m, k) * (found[m - k] * slopes[k]) for k in range(m + 1)]
        found.append(_sum(terms))
    return found[-1]


def bell_pair(i: int, j: int, slopes: dict):
    """(d/da)^i (d/db)^j exp(f) / exp(f); slopes[k, l] is the derivative of f, k by a and l by b."""
    found: dict = {(0, 0): 1.0}
    for n in range(1, j + 1):
        terms = [comb(n - 1, m) * (found[0, n - 1 - m] * slopes[0, m + 1]) for m in range(n)]
        found[0, n] = _sum(terms)
    for m in range(1, i + 1):
        for n in range(j + 1):
            terms = [
                comb(m - 1, k) * comb(n, p) * (found[m - 1 - k, n - p] * slopes[k + 1, p])
                for k in range(m)
                for p in range(n + 1)
            ]
            found[m, n] = _sum(terms)
    return found[i, j]


def _sum(terms: list):
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def stirling_error(a):
    """log Gamma(a + 1) - (log(2 pi a) / 2 + a log a - a) for a > 0."""
    large = np.maximum(a, _STIRLING_FROM)
    series = np.zeros_like(large)
    for k in range(len(BERNOULLI), 0, -1):
        series = series + BERNOULLI[k - 1] / (2 * k * (2 * k - 1)) * large ** (1 - 2 * k)
    small = np.minimum(a, _STIRLING_FROM)
    formula = 0.5 * np.log(2.0 * np.pi * small) + small * np.log(small) - small
    return np.where(a >= _STIRLING_FROM, series, scipy_special().gammaln(small + 1.0) - formula)


def deviance(a, m, difference):
    """a log(a / m) + difference, where difference = m - a was computed without cancellation."""
    ratio = -difference / (a + m)
    near = np.abs(ratio) < 0.1
    v = np.where(near, ratio, 0.0)
    square = v * v
    power = 2.0 * a * v
    series = -difference * v
    for k in range(1, 10):
        power = power * square
        series = series + power / (2 * k + 1)
    return np.where(near, series, a * np.log(a / m) + difference)


def in_blocks(function, *arrays) -> np.ndarray:
    """function on flat arrays, `ROWS_AT_ONCE` elements at a time."""
    if arrays[0].size <= ROWS_AT_ONCE:
        return function(*arrays)
    parts = [
        function(*[x[start : start + ROWS_AT_ONCE] for x in arrays])
        for start in range(0, arrays[0].size, ROWS_AT_ONCE)
    ]
    return np.concatenate(parts)


def where_valid(valid, function, otherwise, *arrays):
    """`function` on the elements where `valid` holds, `otherwise` elsewhere; any shape."""
    out = np.array(np.broadcast_to(otherwise, valid.shape), np.float64)
    if np.any(valid):
        out[valid] = in_blocks(function, *[x[valid] for x in arrays])
    return out
