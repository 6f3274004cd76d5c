"""At what rate counts change with their parameter: against the laws themselves, by mpmath."""

import numpy as np
import pytest
from mpmath import mp

from chainrule.transforms.laws_counts import (
    logseries_alternatives,
    logseries_count,
    logseries_values,
    zipf_alternatives,
)


def _zipf_rate(x, a):
    """-(d/da of the probability up to x) over the probability of x."""
    x, a = mp.mpf(x), mp.mpf(a)
    above = lambda a: mp.zeta(a, x + 1) / mp.zeta(a)
    return float(mp.diff(above, a) * x**a * mp.zeta(a))


@pytest.mark.parametrize("a", [1.05, 1.6, 2.0, 5.0, 30.0])
def test_rates_of_zipfs_law(a):
    x = np.array([1, 2, 3, 7, 40, 1000, 10**6, 10**12])
    with mp.workdps(60):
        truth = [_zipf_rate(int(k), a) for k in x]
    ((position, other, rate),) = zipf_alternatives(x, np.full(x.shape, a))
    assert position == 0 and np.array_equal(other, x + 1)
    np.testing.assert_allclose(rate, truth, rtol=1e-10)


@pytest.mark.parametrize("p", [1e-3, 0.3, 0.6, 0.95, 0.999])
def test_rates_of_the_logarithmic_series(p):
    x = np.array([1, 3, 40, 4000])

    def above(q, k):
        return -(q ** (k + 1)) * mp.lerchphi(q, 1, k + 1) / mp.log(1 - q)

    with mp.workdps(60):
        truth = []
        for k in map(int, x):
            here = -(mp.mpf(p) ** k) / (k * mp.log(1 - mp.mpf(p)))
            step = mp.mpf(p) * mp.mpf(10) ** -25
            slope = (above(p + step, k) - above(p - step, k)) / (2 * step)
            truth.append(float(slope / here))
    ((position, other, rate),) = logseries_alternatives(x, np.full(x.shape, p))
    assert position == 0 and np.array_equal(other, x + 1)
    np.testing.assert_allclose(rate, truth, rtol=1e-9)


def test_all_values_of_the_logarithmic_series():
    p = np.array([0.0, 0.4, 0.9])
    _, values, share, slope = logseries_values(p)
    assert len(values) == logseries_count(p)
    np.testing.assert_allclose(share.sum(-1), 1.0, rtol=1e-13)
    np.testing.assert_allclose(slope.sum(-1), 0.0, atol=1e-12)
    mean = (values * slope).sum(-1)
    with mp.workdps(30):
        moves = [float(mp.diff(lambda q: -q / ((1 - q) * mp.log(1 - q)), mp.mpf(q)))
                 for q in p[1:]]  # fmt: skip
    np.testing.assert_allclose(mean, [0.5, *moves], rtol=1e-11)
