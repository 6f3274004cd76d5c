"""clip, round, sinc, angle and their like through a trace, against NumPy."""

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.numpy.versions import FROM_2_5
from tests.numpy.against_numpy import check_same
from tests.ops.differentiation import check_derivatives

RNG = np.random.default_rng(6)
X = RNG.standard_normal((3, 4))
SPECIAL = np.array([1.0, np.nan, np.inf, -np.inf, -0.0, 2.5])
BOUNDS = [(1, 3), (None, 2), (1, None), (1.5, 2.5), (-1, 300), (None, None), (np.array(1), None),
          (np.ones(4), 3), (None, np.full((3, 1), 2.0)), (3, 1), (np.nan, 1.0)]  # fmt: skip


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i8", "u1"])
@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_clip(dtype, bounds):
    check_same(lambda x: np.clip(x, *bounds), (abs(X) * 4).astype(dtype))
    check_same(lambda x: x.clip(*bounds), (abs(X) * 4).astype(dtype))


def test_clip_by_other_spellings():
    check_same(lambda x: np.clip(x, min=0.1), X)
    check_same(lambda x: np.clip(x, min=0.1, max=0.2), X)
    check_same(lambda x: np.clip(x, 0.1, 0.2, min=0.1), X)
    check_same(lambda x: np.clip(x, 0.1, 0.2, out=x), X)
    check_same(lambda x: X.clip(x, 1.0), np.float64(0.5))
    check_same(lambda x: np.clip(x, 0.0, 1.0), SPECIAL)


def test_derivatives_of_clip():
    check_derivatives(np.clip, X, -0.3, 0.6)
    check_derivatives(lambda x, low: np.clip(x, low, None), X, X[0] / 3 - 1)
    check_derivatives(lambda x, high: np.clip(x, None, high), X, 0.25)


def test_at_its_bounds_clip_is_closed():
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    for bounds, expected in (((0, 1), [0, 1, 1, 1, 0]), ((0, None), [0, 1, 1, 1, 1]),
                             ((None, 1), [1, 1, 1, 1, 0])):  # fmt: skip
        slope = cr.grad(lambda x: np.sum(np.clip(x, *bounds)), kinks="convention")(x)
        np.testing.assert_array_equal(slope, expected)


@pytest.mark.parametrize("decimals", [0, 1, 3, -1, -2])
def test_round(decimals):
    for x in (X * 70, X.astype("f4"), (X * 700).astype(int), X + 2j * X, SPECIAL):
        check_same(lambda x: np.round(x, decimals), x)
        check_same(lambda x: np.around(x, decimals), x)
        check_same(lambda x: x.round(decimals), x)
    assert not cr.grad(lambda x: np.sum(np.round(x, decimals)))(X).any()


def test_fix_and_rint():
    for x in (X * 7, np.arange(4), SPECIAL):
        if not FROM_2_5:  # deprecated there
            check_same(np.fix, x)
        check_same(np.rint, x)


def test_nan_to_num():
    for x in (SPECIAL, SPECIAL.astype("f4"), SPECIAL + 1j, np.arange(3)):
        check_same(np.nan_to_num, x)
        check_same(lambda x: np.nan_to_num(x, nan=5.0, posinf=1.0, neginf=-1.0), x)
    slope = cr.grad(lambda x: np.sum(np.nan_to_num(x)))(SPECIAL)
    np.testing.assert_array_equal(slope, [1, 0, 0, 0, 1, 1])


def test_infinities_are_told_apart():
    check_same(lambda x: [np.isposinf(x), np.isneginf(x)], SPECIAL)


def test_nan_to_num_in_place():
    def clean(x):
        np.nan_to_num(x, copy=False)
        return x

    check_same(clean, SPECIAL)


def test_angle():
    for z in (X + 1j * X[::-1], X):
        check_same(np.angle, z, exact=False)
        check_same(lambda z: np.angle(z, deg=True), z, exact=False)
    check_derivatives(lambda x, y: np.angle(x + 1j * y), X, X[::-1] + 3)


def test_parts_of_floating_point_numbers():
    check_same(np.frexp, np.array([0.0, np.inf, 1.0, -3.0, 5e-324]))
    check_same(lambda x: np.ldexp(x, [0, 1, -2, 30]), X)
    check_same(lambda x: np.ldexp(x, 3), X.astype("f4"))
    check_same(np.modf, X * 3)
    check_same(lambda x: np.divmod(x, 0.7), X)
    check_derivatives(lambda x: np.ldexp(x, [0, 1, -2, 3]), X)
    check_derivatives(lambda x: np.frexp(x)[0], X, step=1e-3)


# --- sinc ---------------------------------------------------------------------------------------


def test_sinc_is_numpys():
    for x in (X * 3, X.astype("f4"), np.arange(4), np.array([0.0, -0.0, 1e-300, np.inf, np.nan])):
        check_same(np.sinc, x)
    check_same(np.sinc, X + 1j * X[::-1], exact=False)


def sinc_slopes(x, order):
    """Derivatives of sin(pi x) / (pi x) to 50 digits, by its Taylor series at 0."""
    with mpmath.workdps(60):
        x, total = mpmath.mpf(x), mpmath.mpf(0)
        for k in range(80):
            if 2 * k >= order:
                term = (-1) ** k * mpmath.pi ** (2 * k) / mpmath.factorial(2 * k + 1)
                total += term * mpmath.ff(2 * k, order) * x ** (2 * k - order)
        return total


def test_slopes_of_sinc_against_its_series():
    points = np.concatenate([np.linspace(-1.2, 1.2, 97), 10.0 ** np.arange(-200, -1, 11.0)])
    slopes = cr.grad(lambda x: np.sum(np.sinc(x)))(points)
    # measured: 2.1 ulp; between 1.2 and the zero at 1.43 the relative error grows without bound
    exact = [sinc_slopes(x, 1) for x in points]
    for slope, truth in zip(slopes, exact, strict=True):
        assert abs(slope - truth) <= 4 * np.spacing(abs(float(truth)))
    second = np.diagonal(cr.hessian(lambda x: np.sum(np.sinc(x)))(points[:97]))
    truth = [float(sinc_slopes(x, 2)) for x in points[:97]]
    np.testing.assert_allclose(second, truth, rtol=1e-12, atol=1e-13)


def test_sinc_far_from_zero():
    points = np.array([3.25, 100.5, 1e6 + 0.25, 5.0])
    with mpmath.workdps(40):
        pi = mpmath.pi
        truth = [float((mpmath.cospi(x) - mpmath.sinpi(x) / (pi * x)) / x)
                 for x in map(mpmath.mpf, points)]  # fmt: skip
    slopes = cr.grad(lambda x: np.sum(np.sinc(x)))(points)
    np.testing.assert_allclose(slopes, truth, rtol=1e-9)
    assert cr.grad(np.sinc)(0.0) == 0.0
