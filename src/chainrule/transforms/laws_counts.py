"""How Zipf's and logarithmic series' draws change with their parameter: other values and rates.

For whole numbers with probabilities p_k(t) and P(t) those up to k, summed by parts,

    d/dt E g = sum over k of (g(k) - g(k + 1)) dP_k/dt

so a draw x moves to x + 1 at the rate -dP_x/dt / p_x, which is negative for Zipf's, whose draws
shrink as a grows.
"""

from __future__ import annotations

import numpy as np

_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
_STEPS, _DIRECT = 16, 64  # terms that are added before the rest is an integral


def _special():
    from scipy import special  # loaded when it is needed: it is slow to load

    return special


def scaled_zeta(a, x):
    """x^a times the sum of (x + k)^-a over k >= 0, and of (x + k)^-a log(x + k).

    Source: the sum formula of Euler and Maclaurin, DLMF 2.10.1.
    """
    total, logs = 0.0, 0.0
    for k in range(_STEPS):
        power = np.exp(-a * np.log1p(k / x))
        total, logs = total + power, logs + power * np.log(x + k)
    q = x + _STEPS
    power, log = np.exp(-a * np.log1p(_STEPS / x)), np.log(q)
    total = total + power * (q / (a - 1.0) + 0.5)
    logs = logs + power * (q * (log / (a - 1.0) + 1.0 / (a - 1.0) ** 2) + 0.5 * log)
    rising, slope = a, np.ones_like(a)  # a (a + 1) ... and its derivative by a
    falling, factorial = power / q, 2.0
    for j, number in enumerate(_BERNOULLI):
        part = number / factorial * falling
        total = total + part * rising
        logs = logs + part * (rising * log - slope)
        for i in (2 * j + 1, 2 * j + 2):
            slope, rising = slope * (a + i) + rising, rising * (a + i)
        falling, factorial = falling / (q * q), factorial * (2 * j + 3) * (2 * j + 4)
    return total, logs


def zipf_alternatives(x, a):
    """x + 1, at the rate at which the probability above x grows with a (it falls), over that of
    x."""
    here, a = np.asarray(x, float), np.asarray(a, float)
    zeta, logs = scaled_zeta(a, np.ones_like(a))
    above, above_logs = scaled_zeta(a, here + 1.0)
    share = np.exp(-a * np.log1p(1.0 / here))  # of x + 1, by that of x
    return [(0, x + 1, share * (above * (logs / zeta) - above_logs))]


def _series_mean(p):
    """p / ((p - 1) log(1 - p)): the mean of a draw."""
    small = np.where(p > 0, p, 0.5)
    return np.where(p > 0, small / ((small - 1.0) * np.log1p(-small)), 1.0)


def _series_tail(x, p):
    """The sum of p^(j - x - 1) x / j over j > x: the probability above x over that of x and p.

    Source: 64 terms, and the sum formula of Euler and Maclaurin for p^t / t, whose integral is an
    exponential integral.
    """
    total, power = 0.0, np.ones_like(p)
    for k in range(1, _DIRECT + 1):
        total = total + power * x / (x + k)
        power = power * p
    y = x + _DIRECT
    rate = -np.log(np.where(p > 0.5, p, 0.5))
    rest = _scaled_integral(rate * y) - 0.5 / y
    slope, factorial = rate / y + 1.0 / (y * y), 2.0  # of p^t / t, by p^t, with the other sign
    for k, number in enumerate(_BERNOULLI):
        rest = rest + number / factorial * slope
        for n in (2 * k + 2, 2 * k + 3):
            slope = rate**n / y + n / y * slope
        factorial = factorial * (2 * k + 3) * (2 * k + 4)
    return np.where(p > 0.5, total + power / np.where(p > 0.5, p, 1.0) * x * rest, total)


def _scaled_integral(z):
    """e^z E1(z), which does not underflow."""
    some, far = np.minimum(z, 50.0), np.maximum(z, 50.0)
    series, term = 0.0, 1.0 / far
    for k in range(1, 30):
        series, term = series + term, -term * k / far
    return np.where(z < 50.0, np.exp(some) * _special().exp1(some), series)


def logseries_alternatives(x, p):
    """x + 1, at the rate at which the probability above x grows with p, over that of x."""
    here, p = np.asarray(x, float), np.asarray(p, float)
    # sum over j > x of p_j (j - mean) / p, where sum over j > x of j p_j is x p_x p / (1 - p)
    rate = here / (1.0 - p) - _series_mean(p) * _series_tail(here, p)
    return [(0, x + 1, rate)]


def logseries_count(p) -> float:
    """How many values count as all of them."""
    most = float(np.max(p, initial=0.0))
    return 3.0 + (0.0 if most <= 0.0 else np.floor(np.log(1e-15) / np.log(most)))


def logseries_values(p):
    """Position, values, shares and their slopes."""
    values = np.arange(1, int(logseries_count(p)) + 1)
    p = p[..., None]
    small = np.where(p > 0, p, 0.5)
    share = np.where(p > 0, -(small**values) / (values * np.log1p(-small)), values == 1)
    slope = share * (values - _series_mean(p)) / small
    at_zero = np.where(values == 1, -0.5, np.where(values == 2, 0.5, 0.0))
    return 0, values, share, np.where(p > 0, slope, at_zero)
