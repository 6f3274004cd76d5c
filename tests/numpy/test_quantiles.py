"""Medians and quantiles through a trace, against NumPy: every method, nan, weights, traced q."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.numpy.quantiles import METHODS
from tests.numpy.against_numpy import check_same
from tests.ops.differentiation import check_derivatives

pytestmark = pytest.mark.filterwarnings("ignore:(Mean of empty|All-NaN|invalid):RuntimeWarning")

RNG = np.random.default_rng(2)
X = RNG.standard_normal((6, 3))
WITH_NAN = np.where(RNG.random((6, 3)) < 0.3, np.nan, X)
LEVELS = (0.0, 0.3, 1, 0, np.float64(0.25), np.array([0.0, 0.2, 0.77, 1.0]), [0.1, 0.9])
by_method = pytest.mark.parametrize("method", METHODS)


@pytest.mark.parametrize("function", [np.median, np.nanmedian], ids=lambda f: f.__name__)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
def test_medians(function, axis):
    for x in (X, X[:5], WITH_NAN, X.astype("f2"), X.astype("f4"), np.arange(18).reshape(6, 3)):
        check_same(lambda x: function(x, axis=axis), x)
        check_same(lambda x: function(x, axis=axis, keepdims=True), x)
    check_same(np.median, np.zeros(0))
    check_same(lambda x: np.median(x, axis=1), np.zeros((3, 0)))


@pytest.mark.parametrize("function", [np.quantile, np.nanquantile], ids=lambda f: f.__name__)
@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_quantiles_of_every_dtype(function, level):
    for dtype in ("f2", "f4", "f8", "i8"):
        x = (X * 5).astype(dtype)
        for axis in (None, 0, 1, (0, 1)):
            check_same(lambda x: function(x, level, axis=axis), x)
            check_same(lambda x: function(x, level, axis=axis, keepdims=True), x)


def test_percentiles():
    for q in (0, 37.5, 100.0, [10, 60], np.array([5.0])):
        check_same(lambda x: np.percentile(x, q, axis=0), X)
        check_same(lambda x: np.nanpercentile(x, q, axis=0), WITH_NAN, exact=False)


@by_method
@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_methods(method, count):
    for q in (0.0, 0.25, 0.5, 0.6, 1.0, np.linspace(0, 1, 9)):
        check_same(lambda x: np.quantile(x, q, axis=0, method=method), X[:count])
        check_same(lambda x: np.quantile(x, q, axis=0, method=method), WITH_NAN[:count])
        some = WITH_NAN[:count]
        check_same(lambda x: np.nanquantile(x, q, axis=0, method=method), some, exact=False)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_weights(axis):
    weights = RNG.integers(0, 4, X.shape) + 0.5 * (RNG.random(X.shape) < 0.5)
    for q in (0.3, 0.0, 1.0, [0.1, 0.5]):
        options = {"axis": axis, "method": "inverted_cdf"}
        check_same(lambda x, w: np.quantile(x, q, weights=w, **options), X, weights)
        check_same(lambda x, w: np.quantile(x, q, weights=w, **options), WITH_NAN, weights)
        check_same(lambda x, w: np.nanquantile(x, q, weights=w, **options), WITH_NAN, weights)
        if axis is not None:
            along = np.arange(1.0, X.shape[axis] + 1)
            check_same(lambda x: np.quantile(x, q, weights=along, **options), X)


def test_errors_are_numpys():
    check_same(lambda x: np.quantile(x, 1.5), X)
    check_same(lambda x: np.percentile(x, -1), X)
    check_same(lambda x: np.quantile(x, 0.5, method="middle"), X)
    check_same(lambda x: np.quantile(x, 0.5, weights=np.ones(3)), X)
    check_same(lambda x: np.quantile(x[:0], 0.5), X)
    check_same(lambda x: np.quantile(x * 1j, 0.5), X)


# --- derivatives --------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_derivatives_of_medians(axis):
    for function in (np.median, np.nanmedian):
        check_derivatives(lambda x: function(x, axis=axis), X)
        check_derivatives(lambda x: function(x, axis=axis), X[:5])


@by_method
def test_derivatives_with_respect_to_entries_and_level(method):
    for function in (np.quantile, np.nanquantile):
        for q in (0.37, [0.33, 0.47, 0.62]):
            check_derivatives(lambda x, q: function(x, q, axis=0, method=method), X, q, step=1e-3)


def test_derivatives_of_weighted_quantiles_go_to_the_entry_found():
    weights = np.array([1.0, 2.0, 1.0, 3.0, 1.0, 1.5])
    check_derivatives(
        lambda x, w: np.quantile(x, 0.41, axis=0, weights=w, method="inverted_cdf"), X, weights
    )


def test_entries_that_are_nan_have_slope_zero():
    slope = cr.grad(lambda x: np.nanquantile(x, 0.5))(np.array([4.0, np.nan, 1.0, 2.0]))
    np.testing.assert_array_equal(slope, [0.0, 0.0, 0.0, 1.0])


def test_at_an_entry_the_slope_by_the_level_is_the_one_above():
    x = np.array([0.0, 1.0, 3.0])
    assert cr.grad(lambda q: np.quantile(x, q), kinks="convention")(0.5) == 4.0
