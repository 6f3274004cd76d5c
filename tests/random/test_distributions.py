"""Every draw has the law that it should: goodness of fit and moments, over the parameters' range.

With fixed seeds the p-values are fixed too; the bound is one at which a correct sampler fails for
about one seed in a thousand over the whole file.
"""

import numpy as np
import pytest
from scipy import stats

from chainrule.random import Generator
from tests.random.laws import CONTINUOUS, DISCRETE, SINGLE, Law, chi_square_pvalue

LEAST = 1e-5
SIZE = 100_000


@pytest.mark.parametrize("case", CONTINUOUS + SINGLE, ids=str)
def test_continuous_draws_follow_their_distribution_function(case: Law):
    drawn = case.draw(Generator(20), SIZE)
    assert drawn.dtype == (case.options or {}).get("dtype", np.float64)
    assert np.all(np.isfinite(drawn))
    assert stats.kstest(drawn.astype(np.float64), case.law.cdf).pvalue > LEAST


@pytest.mark.parametrize("case", DISCRETE, ids=str)
def test_discrete_draws_have_their_probabilities(case: Law):
    drawn = case.draw(Generator(21), SIZE)
    assert chi_square_pvalue(drawn, case.law) > LEAST


@pytest.mark.parametrize("case", CONTINUOUS + DISCRETE, ids=str)
def test_mean_and_variance(case: Law):
    mean, variance, excess = case.moments()
    if not np.isfinite(excess) or abs(excess) > 1e4:
        pytest.skip("the law has too few moments for its variance to settle")
    drawn = case.draw(Generator(22), SIZE).astype(np.float64)
    assert abs(drawn.mean() - mean) < 5 * np.sqrt(variance / SIZE)
    assert abs(drawn.var() / variance - 1) < 5 * np.sqrt((excess + 2) / SIZE)


@pytest.mark.parametrize("mean", [1e13, 1e16])
def test_large_poisson_means_keep_their_shape(mean):
    drawn = Generator(3).poisson(mean, size=SIZE).astype(np.float64)
    assert stats.kstest((drawn - mean) / np.sqrt(mean), stats.norm.cdf).pvalue > LEAST


def test_many_binomial_trials_keep_their_shape():
    n, p = 10**15, 0.3
    drawn = Generator(3).binomial(n, p, size=SIZE).astype(np.float64)
    assert stats.kstest((drawn - n * p) / np.sqrt(n * p * (1 - p)), stats.norm.cdf).pvalue > LEAST


def test_beta_and_dirichlet_of_tiny_parameters_do_not_underflow_together():
    drawn = Generator(4).beta(1e-4, 1e-4, size=SIZE)
    assert np.all((drawn >= 0) & (drawn <= 1))
    assert stats.binomtest(int((drawn > 0.5).sum()), SIZE).pvalue > LEAST
    rows = Generator(4).dirichlet([1e-4, 1e-4, 2e-4], size=SIZE)
    np.testing.assert_allclose(rows.sum(axis=-1), 1.0, rtol=1e-15)
    assert np.abs(rows.mean(axis=0) - [0.25, 0.25, 0.5]).max() < 5 * 0.5 / np.sqrt(SIZE)


def test_dirichlet_has_beta_margins():
    rows = Generator(5).dirichlet([0.5, 2.0, 3.5], size=SIZE)
    for j, a in enumerate([0.5, 2.0, 3.5]):
        assert stats.kstest(rows[:, j], stats.beta(a, 6 - a).cdf).pvalue > LEAST


@pytest.mark.parametrize("method", ["cholesky", "eigh", "svd"])
def test_multivariate_normal_has_its_mean_and_covariance(method):
    mean, cov = (
        np.array([1.0, -2.0, 0.5]),
        np.array([[2.0, 0.6, 0], [0.6, 1, -0.3], [0, -0.3, 0.5]]),
    )
    rows = Generator(6).multivariate_normal(mean, cov, size=SIZE, method=method)
    assert np.abs(rows.mean(axis=0) - mean).max() < 5 * np.sqrt(2 / SIZE)
    assert np.abs(np.cov(rows.T) - cov).max() < 5 * 2 * np.sqrt(2 / SIZE)
    whitened = np.linalg.solve(np.linalg.cholesky(cov), (rows - mean).T)
    assert stats.kstest((whitened**2).sum(axis=0), stats.chi2(3).cdf).pvalue > LEAST


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_uniform_draws_are_below_one_and_reach_every_part(dtype):
    drawn = Generator(7).random(1_000_000, dtype=dtype)
    assert drawn.min() >= 0 and drawn.max() < 1
    assert drawn.min() < 1e-5 and drawn.max() > 1 - 1e-5


def test_the_extreme_words_give_finite_draws_inside_the_interval():
    from chainrule.ops import samplers

    for width in (32, 64):
        dtype = np.dtype(f"uint{width}")
        half = 2 ** (width - 1)
        bits = np.array([0, 1, half - 1, half, half + 1, 2**width - 1], dtype)
        assert np.all((samplers.unit_interval(bits) >= 0) & (samplers.unit_interval(bits) < 1))
        assert np.all((samplers.open_interval(bits) > 0) & (samplers.open_interval(bits) < 1))
        for transform in (
            samplers.normal_from_bits, samplers.exponential_from_bits, samplers._gumbel,
            samplers._logistic, samplers._laplace, samplers._cauchy,
        ):  # fmt: skip
            values = transform(bits)
            assert np.all(np.isfinite(values))
            assert np.all(np.isfinite(values.astype(np.float32)))


def test_normal_quantiles_are_those_of_mpmath():
    import mpmath

    from chainrule.ops import samplers

    rng = np.random.default_rng(8)
    bits = rng.integers(0, 2**64, 200, dtype=np.uint64)
    bits = np.concatenate([bits, np.uint64(2**63) - np.uint64(1) - (bits >> np.uint64(20))])
    bits = np.concatenate([bits, bits >> np.uint64(40)])
    q, to_end = samplers.centred(bits)
    for z, middle, end in zip(samplers.normal_from_bits(bits), q, to_end, strict=True):
        with mpmath.workdps(40):
            y = mpmath.mpf(float(abs(z)))
            area = mpmath.mpf(float(end)) - mpmath.erfc(y / mpmath.sqrt(2)) / 2
            if end > 0.25:
                area = mpmath.erf(y / mpmath.sqrt(2)) / 2 - mpmath.mpf(float(abs(middle)))
            error = area / mpmath.npdf(y) / y  # one step of Newton's method
        assert abs(error) < 1e-15 and np.signbit(z) == np.signbit(middle)


def test_orders_are_equally_likely():
    rng = Generator(9)
    orders = rng.permuted(np.broadcast_to(np.arange(4), (60_000, 4)), axis=1)
    codes = orders @ np.array([64, 16, 4, 1])
    counts = np.unique(codes, return_counts=True)[1]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > LEAST


def test_weighted_choice_without_replacement_draws_one_after_the_other():
    p, rng = np.array([0.1, 0.2, 0.3, 0.4]), Generator(10)
    pairs = np.array([rng.choice(4, 2, replace=False, p=p) for _ in range(3000)])
    counts = np.zeros((4, 4))
    np.add.at(counts, (pairs[:, 0], pairs[:, 1]), 1)
    expected = p[:, None] * p[None, :] / (1 - p[:, None])
    inside = ~np.eye(4, dtype=bool)
    assert np.all(counts[~inside] == 0)
    assert stats.chisquare(counts[inside], expected[inside] * 3000).pvalue > LEAST


def test_categorical_takes_probabilities_or_logits_along_any_axis():
    weights = np.array([[0.0, 2.0], [1.0, 0.0], [3.0, 2.0]])
    drawn = Generator(11).categorical(weights, size=(SIZE, 2), axis=0)
    assert set(np.unique(drawn[:, 0])) == {1, 2} and set(np.unique(drawn[:, 1])) == {0, 2}
    assert stats.binomtest(int((drawn[:, 0] == 1).sum()), SIZE, 0.25).pvalue > LEAST
    with np.errstate(divide="ignore"):
        logits = np.log(weights) + 5.0
    same = Generator(11).categorical(logits=logits, size=(SIZE, 2), axis=0)
    assert np.mean(drawn != same) < 1e-3  # exp(log(w)) may round otherwise


def test_integers_reach_both_ends_of_every_dtype():
    for name in ("bool", "int8", "uint8", "int16", "uint16"):
        low, high = (0, 1) if name == "bool" else (np.iinfo(name).min, np.iinfo(name).max)
        drawn = Generator(12).integers(low, high, size=1_000_000, dtype=name, endpoint=True)
        assert drawn.dtype == name and drawn.min() == low and drawn.max() == high
    wide = Generator(12).integers(0, 2**64, size=1000, dtype=np.uint64)
    assert stats.kstest(wide / 2.0**64, "uniform").pvalue > LEAST
    wide = Generator(12).integers(-(2**63), 2**63, size=1000)
    assert stats.kstest(wide / 2.0**64 + 0.5, "uniform").pvalue > LEAST


def test_counts_of_outcomes_have_the_law_of_numpys():
    chances = [0.2, 0.0, 0.5, 0.3]
    drawn = Generator(11).multinomial(20, chances, size=(100, 400))
    assert drawn.shape == (100, 400, 4) and drawn.dtype == np.int64
    assert (drawn.sum(-1) == 20).all() and (drawn >= 0).all() and not drawn[..., 1].any()
    counts = drawn.reshape(-1, 4)
    law = stats.multinomial(20, chances)
    error = np.sqrt(2.0 * 20.0**2 / len(counts))  # of an entry of the covariance, at most
    np.testing.assert_allclose(counts.mean(0), law.mean(), atol=5 * np.sqrt(5.0 / len(counts)))
    np.testing.assert_allclose(np.cov(counts.T), law.cov(), atol=5 * error)
    assert np.array_equal(Generator(1).multinomial(4, [1.0]), [4])
    assert Generator(1).multinomial([2, 5], [[0.5, 0.5], [0.1, 0.9]]).sum(-1).tolist() == [2, 5]
    for chances in ([0.7, 0.7, 0.0], [-0.1, 0.5], [np.nan, 0.5]):
        with pytest.raises(ValueError, match="pvals"):
            Generator(1).multinomial(4, chances)
