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


def test_a_kernel_density_by_its_data_and_points():
    """Of one dimension: sum_i w_i normal(x - x_i, h s)."""
    weights, at = np.arange(1.0, 9.0), np.array([0.1, -0.7, 1.2])

    def formula(data, at):
        w = weights / weights.sum()
        mean = w @ data
        variance = w @ (data - mean) ** 2 / (1.0 - w @ w) * 0.25
        apart = (at[None, :] - data[:, None]) ** 2 / variance
        return np.sum(w[:, None] * np.exp(-apart / 2.0), axis=0) / np.sqrt(2.0 * np.pi * variance)

    def density(data, at):
        return stats.gaussian_kde(data, bw_method=0.5, weights=weights)(at)

    np.testing.assert_allclose(density(X, at), formula(X, at), rtol=1e-13)
    for argnums in (0, 1):
        found, wanted = (cr.jacobian(f, argnums=argnums)(X, at) for f in (density, formula))
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-14)
    two = np.stack([X, Y])
    log = lambda p: stats.gaussian_kde(two).logpdf(p)
    value, tangent = cr.jvp(log, (two,), (np.ones_like(two),))
    np.testing.assert_allclose(value, stats.gaussian_kde(two).logpdf(two), rtol=1e-12)
    h = 1e-6
    np.testing.assert_allclose(tangent, (log(two + h) - log(two - h)) / (2 * h), rtol=1e-6)


def test_ranks_are_constants():
    np.testing.assert_allclose(cr.grad(lambda y: y @ stats.rankdata(y))(Y), stats.rankdata(Y))
    table = np.stack([X, Y])
    wanted = stats.rankdata(table, axis=1)
    ranks = cr.jvp(lambda t: stats.rankdata(t, axis=1), (table,), (table,))
    np.testing.assert_array_equal(ranks[0], wanted)
    assert not ranks[1].any()
    value, slope = cr.value_and_grad(lambda y: stats.spearmanr(X, y)[0])(Y)
    assert value == stats.spearmanr(X, Y)[0] and not slope.any()
