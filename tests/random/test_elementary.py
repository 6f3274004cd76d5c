"""The samplers' own log, exp and the like against mpmath, and the probabilities built on them."""

import math

import mpmath
import numpy as np
import pytest

from chainrule import grad
from chainrule.ops import samplers_elementary as elementary

SMALL = [s * 10.0**-k for k in range(0, 18) for s in (1.0, -1.0, 0.37, -0.37)]


def spread(low, high, count=1500):
    return np.random.default_rng(5).uniform(low, high, count)


def ulps(found, truth):
    unit = np.spacing(max(abs(float(truth)), 5e-324))
    return abs((mpmath.mpf(float(found)) - truth) / mpmath.mpf(float(unit)))


CASES = [
    (elementary.log, mpmath.log, 1.0, [*np.exp(spread(-740, 709)), *spread(0.5, 1.5), 5e-324]),
    (elementary.exp, mpmath.exp, 1.0, [*spread(-745, 709.7), *SMALL]),
    (elementary.expm1, mpmath.expm1, 2.0, [*spread(-60, 709.7), *SMALL, 709.78]),
    (elementary.log1p, mpmath.log1p, 2.0, [*spread(-1, 1e4), *(0.99 * np.array(SMALL))]),
]


@pytest.mark.parametrize(
    ("own", "true", "most", "points"), CASES, ids=lambda c: getattr(c, "__name__", "")
)
def test_within_so_many_ulp_of_mpmath(own, true, most, points):
    points = np.array(points)
    with mpmath.workprec(140):
        worst = max(
            ulps(value, true(mpmath.mpf(float(x))))
            for x, value in zip(points, own(points), strict=True)
        )
    assert worst < most


def test_tan_pi_is_within_three_ulp():
    q = np.concatenate([spread(0, 0.5), 2.0 ** -np.arange(2.0, 50.0)])
    exact = (0.5 - q) + q == 0.5
    found = elementary.tan_pi(q, 0.5 - q)
    with mpmath.workprec(140):
        for x, value in zip(q[exact], found[exact], strict=True):
            assert ulps(value, mpmath.tan(mpmath.pi * mpmath.mpf(float(x)))) < 3


def test_edges_are_those_of_numpy():
    x = np.array([0.0, -0.0, 1.0, -1.0, -2.0, np.inf, -np.inf, np.nan, 710.0, -750.0, 1e308])
    with np.errstate(all="ignore"):
        for name in ("log", "exp", "expm1", "log1p"):
            own, numpy_own = getattr(elementary, name)(x), getattr(np, name)(x)
            np.testing.assert_allclose(own, numpy_own, rtol=1e-15, err_msg=name)
            np.testing.assert_array_equal(np.signbit(own[:2]), np.signbit(numpy_own[:2]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("op", "slope"),
    [(elementary.portable_log, lambda x: 1 / x), (elementary.portable_exp, np.exp),
     (elementary.portable_expm1, np.exp)],
)  # fmt: skip
def test_as_operations_they_keep_the_dtype_and_have_slopes(op, slope, dtype):
    x = np.array([0.3, 1.0, 2.5], dtype)
    assert op(x).dtype == dtype and op(x[0]).dtype == dtype and op(x[0]).shape == ()
    found = grad(lambda x: op(x).sum())(x)
    np.testing.assert_allclose(found, slope(x), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("mean", [1e-3, 0.5, 10.0, 333.0, 1e6])
def test_log_poisson_is_exact_to_the_last_digits(mean):
    k = np.unique(np.floor(mean + np.sqrt(mean) * spread(-8, 8, 200)).clip(0))
    found = elementary.log_poisson(k, np.full_like(k, mean))
    with mpmath.workprec(200):
        m = mpmath.mpf(mean)
        truth = [float(int(j) * mpmath.log(m) - m - mpmath.loggamma(int(j) + 1)) for j in k]
    np.testing.assert_allclose(found, truth, rtol=2e-14)


@pytest.mark.parametrize(("n", "p"), [(1, 0.3), (20, 0.5), (1000, 0.01), (10**6, 0.4)])
def test_log_binomial_is_exact_to_the_last_digits(n, p):
    middle, width = n * p, 6 * math.sqrt(n * p) + 3
    k = np.unique(np.floor(spread(middle - width, middle + width, 150)).clip(0, n))
    found = elementary.log_binomial(k, np.full_like(k, n), np.full_like(k, p))
    with mpmath.workprec(200):
        q = mpmath.mpf(p)
        truth = [
            float(mpmath.log(mpmath.binomial(n, int(j))) + int(j) * mpmath.log(q)
                  + (n - int(j)) * mpmath.log1p(-q))
            for j in k
        ]  # fmt: skip
    np.testing.assert_allclose(found, truth, rtol=2e-14)
