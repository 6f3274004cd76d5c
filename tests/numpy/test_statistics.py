"""Averages, covariances and bins through a trace, against NumPy."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConcreteValueNeeded, NotSupported
from tests.numpy.against_numpy import check_same, through_trace
from tests.ops.differentiation import check_derivatives

pytestmark = pytest.mark.filterwarnings("ignore:(Degrees of|invalid|divide):RuntimeWarning")

RNG = np.random.default_rng(8)
X = RNG.standard_normal((3, 5))
WEIGHTS = RNG.random((3, 5)) + 0.1
ALONG = RNG.random(5) + 0.1
PLACES = RNG.integers(0, 5, 9)


@pytest.mark.parametrize("options", [{}, {"axis": 0}, {"axis": (0, 1)}, {"keepdims": True}])
def test_averages(options):
    check_same(lambda x: np.average(x, **options), X)
    check_same(lambda x: np.average(x, returned=True, **options), X)
    check_same(lambda x, w: np.average(x, weights=w, returned=True, **options), X, WEIGHTS)
    check_derivatives(lambda x, w: np.average(x, weights=w, **options), X, WEIGHTS)


def test_weights_of_some_axes():
    check_same(lambda x, w: np.average(x, axis=1, weights=w, returned=True), X, ALONG)
    check_same(lambda x: np.average(x, axis=0, weights=[1, 2, 3]), np.arange(15).reshape(3, 5))
    cube = RNG.standard_normal((2, 3, 4))
    check_same(lambda x, w: np.average(x, axis=(2, 0), weights=w), cube, RNG.random((4, 2)))


def test_weights_that_do_not_fit_raise_numpys_errors():
    check_same(lambda x: np.average(x, weights=[1, 2]), X)
    check_same(lambda x: np.average(x, axis=0, weights=[1, 2]), X)
    check_same(lambda x: np.average(x, weights=np.zeros((3, 5))), X)


COVARIANCES = ({}, {"rowvar": False}, {"bias": True}, {"ddof": 0}, {"ddof": 2})


@pytest.mark.parametrize("options", COVARIANCES, ids=str)
def test_covariances(options):
    check_same(lambda x: np.cov(x, **options), X)
    check_same(lambda x, y: np.cov(x, y, **options), X, X[::-1] ** 2)
    rows = {**options, "rowvar": True}
    check_same(lambda x, w: np.cov(x, aweights=w, **rows), X, ALONG, exact=False)
    check_derivatives(lambda x: np.cov(x, **options), X)


def test_covariances_with_frequencies():
    counts = [1, 2, 1, 3, 1]
    check_same(lambda x: np.cov(x, fweights=counts), X, exact=False)
    check_same(lambda x, w: np.cov(x, fweights=counts, aweights=w), X, ALONG, exact=False)
    check_derivatives(lambda x, w: np.cov(x, fweights=counts, aweights=w), X, ALONG)


@pytest.mark.parametrize("x", [X[0], X + 1j * X[::-1], np.arange(15).reshape(3, 5)], ids=str)
def test_covariance_of_other_arrays(x):
    check_same(np.cov, x, exact=False)
    check_same(np.corrcoef, x, exact=False)


def test_correlation_coefficients():
    check_same(np.corrcoef, X)
    check_same(lambda x: np.corrcoef(x, rowvar=False), X)
    check_same(np.corrcoef, X[0], X[1])
    check_derivatives(np.corrcoef, X[:2, :3])  # of a row with itself, 1 is clipped: a tie


@pytest.mark.parametrize("right", [False, True])
def test_digitize_in_rising_and_falling_bins(right):
    bins = np.array([0.0, 1.0, 2.5, 4.0])
    for edges in (bins, bins[::-1].copy()):
        for concrete in (True, False):
            x = np.array([0.0, 1.0, 2.5, 4.0, -1.0, 9.0, 0.5])
            check_same(lambda x, b: np.digitize(x, b, right), x, edges, concrete=concrete)
    check_same(lambda x: np.digitize(x, [0.0, 2.0, 1.0]), X)


def test_bincount():
    weights = RNG.standard_normal(9)
    check_same(lambda i: np.bincount(i), PLACES)
    check_same(lambda i: np.bincount(i, minlength=9), PLACES.astype("u1"))
    check_same(lambda w: np.bincount(PLACES, weights=w, minlength=7), weights)
    check_same(lambda i, w: np.bincount(i, w), PLACES, weights)
    check_derivatives(lambda w: np.bincount(PLACES, weights=w, minlength=7), weights)
    with pytest.raises(ConcreteValueNeeded, match="np.bincount"):
        through_trace(np.bincount, PLACES, concrete=False)


BINS = ({}, {"bins": 4}, {"bins": 3, "range": (-1, 1)}, {"bins": [-1, 0, 0.5, 2]},
        {"bins": [-1, 0, 0.5, 2], "density": True})  # fmt: skip


@pytest.mark.parametrize("options", BINS, ids=str)
def test_histograms(options):
    values = RNG.standard_normal((4, 50))
    check_same(lambda x: np.histogram(x, **options), values)
    check_same(lambda x: np.histogram(x, **options), values.astype("f4"))
    check_same(lambda x, w: np.histogram(x, weights=w, **options), values, values, exact=False)


def test_histograms_at_edges_and_of_equal_values():
    check_same(lambda x: np.histogram(x, bins=5), np.zeros(3))
    check_same(lambda x: np.histogram(x, bins=5), np.array([], dtype=float))
    check_same(lambda x: np.histogram(x, bins=6), RNG.integers(0, 7, 40))
    check_same(lambda x: np.histogram(x, bins=[0, 1, 2]), np.array([0.0, 1.0, 2.0, 2.0, 3.0]))


def test_a_histogram_is_linear_in_its_weights():
    values = RNG.standard_normal(12)
    check_derivatives(lambda w: np.histogram(values, bins=3, weights=w)[0], values)
    slope = cr.grad(lambda x: np.histogram(x, bins=2)[1][1])(np.array([1.0, 5.0, 3.0]))
    np.testing.assert_array_equal(slope, [0.5, 0.5, 0.0])


def test_rules_for_the_number_of_bins_are_refused():
    with pytest.raises(NotSupported, match="bins='auto'"):
        through_trace(lambda x: np.histogram(x, bins="auto"), X)
