"""The Bottou trick and the range test, on losses whose best step size is known; L-BFGS."""

import numpy as np
import pytest

from chainrule import nn, optim


@pytest.mark.parametrize("best", [3e-5, 0.02, 0.5, 40.0])
def test_bottous_search_finds_the_best_step_size_to_within_a_third(best):
    found, trials = optim.bottou(lambda size, rows: np.log(size / best) ** 2, 1000)
    assert best / 1.34 < found < best * 1.34
    assert len(trials) < 25


def test_bottous_search_is_over_a_sample_of_the_rows():
    seen = []
    optim.bottou(lambda size, rows: seen.append(rows) or size, 1000, share=0.05, seed=3)
    assert len(seen[0]) == 50 and len(set(seen[0])) == 50
    assert all((rows == seen[0]).all() for rows in seen)


def test_bottous_search_climbs_out_of_step_sizes_that_diverge():
    found, _ = optim.bottou(
        lambda size, rows: np.inf if size > 1e-3 else np.log(size / 1e-4) ** 2, 100, start=10.0
    )
    assert 5e-5 < found < 2e-4


def test_bottous_search_says_where_nothing_is_finite():
    with pytest.raises(ValueError, match="finite"):
        optim.bottou(lambda size, rows: np.nan, 100)


def test_the_range_test_finds_the_steepest_fall_on_quadratic_descent():
    w = np.array([1.0])

    def run(size):
        before = float(w[0] ** 2)
        w[...] -= size * 2 * w
        return before

    found, curve = optim.range_test(run, low=1e-4, high=10.0, steps=80)
    assert 1e-3 < found < 1.0
    assert len(curve) < 80  # it ended where the loss blew up


def test_lbfgs_fits_a_small_network():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 2))
    y = (x[:, :1] * x[:, 1:]).copy()
    model = nn.MLP(2, (16,), 1, activation="tanh", init="glorot", dtype="d", rng=0)
    found = optim.lbfgs(lambda m, x, y: nn.losses.squared(m(x), y), model, x, y, steps=400)
    assert found.loss < 1e-3
    np.testing.assert_allclose(nn.losses.squared(model(x), y), found.loss, rtol=1e-12)
