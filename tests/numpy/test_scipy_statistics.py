"""Statistics of scipy.stats that are written in NumPy, against their formulas."""

import numpy as np
from scipy import special, stats

import chainrule as cr

RNG = np.random.default_rng(6)
X, Y = RNG.normal(size=(2, 8))


def correlation(y):
    a, b = X - np.mean(X), y - np.mean(y)
    return a @ b / np.sqrt((a @ a) * (b @ b))


def test_pearsonr():
    def chance(y):  # of a correlation that is larger, of the beta distribution
        return 2.0 * special.betainc(3.0, 3.0, 0.5 * (1.0 - np.abs(correlation(y))))

    for n, formula in enumerate((correlation, chance)):
        found = cr.value_and_grad(lambda y, n=n: stats.pearsonr(X, y)[n])(Y)
        wanted = cr.value_and_grad(formula)(Y)
        np.testing.assert_allclose(found[0], stats.pearsonr(X, Y)[n], rtol=1e-13)
        np.testing.assert_allclose(found[1], wanted[1], rtol=1e-12, atol=1e-14)


def test_linregress():
    slope = (X - X.mean()) / np.sum((X - X.mean()) ** 2)
    found = cr.grad(lambda y: stats.linregress(X, y).slope)(Y)
    np.testing.assert_allclose(found, slope, rtol=1e-13)
