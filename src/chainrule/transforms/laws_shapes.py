"""Densities and quantiles of von Mises and inverse Gaussian draws, for lines that draws move along.

Quantiles are where lines begin and end and where jumps are looked for between: they are found by
halving, to some 12 digits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_HALVINGS = 48


def _special():
    from scipy import special  # loaded when it is needed: it is slow to load

    return special


def _halved(below: Callable, share, low, high):
    """Where the distribution function `below` reaches a share, between two ends."""
    share, low, high = np.broadcast_arrays(share, low, high)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        less = below(middle) < share
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    return 0.5 * (low + high)


def vonmises_density(v, kappa):
    """exp(kappa cos v) / (2 pi I0(kappa)) on [-pi, pi]."""
    inside = np.exp(-2.0 * kappa * np.sin(0.5 * v) ** 2) / (2.0 * np.pi * _special().i0e(kappa))
    return np.where(np.abs(v) <= np.pi, inside, 0.0)


def vonmises_quantile(q, kappa):
    """The angle below which a share q of the draws lies."""
    from scipy.stats import vonmises

    q, kappa = np.broadcast_arrays(q, np.asarray(kappa, float))
    reach = np.minimum(np.pi, 40.0 / np.sqrt(np.maximum(kappa, 1.0)))
    with np.errstate(all="ignore"):
        return _halved(lambda v: vonmises.cdf(v, np.maximum(kappa, 1e-300)), q, -reach, reach)


def wald_density(x, shape):
    """The inverse Gaussian density of mean 1."""
    inside = np.where(x > 0, x, 1.0)
    power = np.exp(-0.5 * shape * (inside - 1.0) ** 2 / inside)
    return np.where(x > 0, np.sqrt(shape / (2.0 * np.pi * inside**3)) * power, 0.0)


def _wald_below(x, shape):
    """The distribution function; e^(2 f) Phi(-b) by the scaled tail."""
    root = np.sqrt(shape / x)
    a, b = root * (x - 1.0), root * (x + 1.0)
    special = _special()
    tail = 0.5 * np.exp(-0.5 * a * a) * special.erfcx(b / np.sqrt(2.0))
    return special.ndtr(a) + tail


def wald_quantile(q, shape):
    """The number below which a share q of the draws lies: halved in the logarithm."""
    shape = np.asarray(shape, float)
    far = np.log1p(700.0 / shape + 60.0 / np.sqrt(shape))
    with np.errstate(all="ignore"):
        return np.exp(_halved(lambda y: _wald_below(np.exp(y), shape), q, -far, far))
