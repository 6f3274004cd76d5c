"""cdist, pdist and squareform under SciPy's names: SciPy's values, and derivatives."""

import numpy as np
import pytest
from scipy.spatial import distance

import chainrule as cr
from chainrule.errors import MutationError, NotSupported
from tests.numpy.against_numpy import check_same
from tests.ops.differentiation import check_derivatives

RNG = np.random.default_rng(41)
A, B = RNG.standard_normal((4, 3)), RNG.standard_normal((2, 3))
W = np.array([0.5, 1.0, 2.0])
METRICS = [
    ("euclidean", {}), ("sqeuclidean", {"w": W}), ("cityblock", {}), ("chebyshev", {}),
    ("minkowski", {"p": 3}), ("minkowski", {"p": 1.5, "w": W}), ("cosine", {}),
    ("correlation", {}), ("canberra", {}), ("braycurtis", {}), ("seuclidean", {"V": W}),
    ("mahalanobis", {"VI": np.diag(W) + 0.1}), ("euclidean", {"w": W}),
    ("minkowski", {"p": np.inf}),
    (lambda u, v: np.sum(np.abs(u - v)), {}),
]  # fmt: skip


@pytest.mark.parametrize("metric, options", METRICS)
def test_metrics(metric, options):
    for f, *args in (
        (lambda a, b: distance.cdist(a, b, metric, **options), A, B),
        (lambda a: distance.pdist(a, metric, **options), A),
    ):
        check_same(f, *args, exact=False)
        check_derivatives(f, *args, second=False, batched=not callable(metric), tolerance=1e-8)


def test_distances_of_points_to_themselves_have_slope_zero_at_zero():
    slope = cr.grad(lambda a: distance.cdist(a, a).sum())(A)
    assert np.isfinite(slope).all()
    doubled = 2 * cr.grad(lambda a: distance.pdist(a).sum())(A)
    np.testing.assert_allclose(slope, doubled, rtol=1e-12, atol=1e-12)


def test_squareform_there_and_back():
    check_same(lambda a: distance.squareform(distance.pdist(a)), A, exact=False)
    check_same(lambda a: distance.squareform(a), distance.squareform(np.arange(6.0)))
    check_same(lambda a: distance.squareform(a), np.arange(5.0))
    check_same(lambda a: distance.squareform(a), np.zeros(0))


def test_what_is_not_supported_says_what_is():
    with pytest.raises(NotSupported, match="'jaccard'.*use one of euclidean"):
        cr.vjp(lambda a: distance.cdist(a, B, "jaccard"), A)
    with pytest.raises(NotSupported, match="needs VI=..."):
        cr.vjp(lambda a: distance.pdist(a, "mahalanobis"), A)
    with pytest.raises(MutationError, match="out="):
        cr.vjp(lambda a: distance.pdist(a, out=np.zeros(6)), A)
