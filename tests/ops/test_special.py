"""Special functions where it is hard: far tails, edges, large parameters, infinite entries."""

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import special as scipy_special

import chainrule as cr
from chainrule import special
from chainrule.ops.special.gamma_functions import polygamma_difference_value
from chainrule.ops.special.incomplete_beta import beta_density_value, betainc_by_value
from chainrule.ops.special.incomplete_gamma import gamma_density_value, gammainc_by_a_value
from tests.numpy.against_numpy import through_trace

inf, nan = np.inf, np.nan
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def relative_error(found, truth) -> float:
    return abs(float((mpf(float(found)) - truth) / truth))


def first(f, x):
    """f' at x, which is a number."""
    return cr.grad(f)(np.float64(x))


def second(f, x):
    return cr.grad(cr.grad(f))(np.float64(x))


# --- tails --------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [-40.0, -1e3, -1e5, -1e100])
def test_log_ndtr_slopes_in_the_far_left_tail(x):
    # phi / Phi = 1 / int_0^inf exp(x t - t^2 / 2) dt; with r = phi / Phi the second is -r (x + r)
    with mp.workdps(250):
        z = mpf(x) ** 2 / 2
        ratio = mp.sqrt(2) / mp.hyperu(mpf(1) / 2, mpf(1) / 2, z)
        curvature = -ratio * (x + ratio)
    assert relative_error(first(special.log_ndtr, x), ratio) < 1e-15
    assert relative_error(second(special.log_ndtr, x), curvature) < 1e-14


@pytest.mark.parametrize("x", [-800.0, -745.0, -40.0, 40.0, 745.0, 800.0])
def test_logistic_slopes_in_both_tails(x):
    with mp.workdps(400):
        slope = 1 / (1 + mp.exp(x))
        density = slope * (1 - slope)
    np.testing.assert_allclose(first(special.log_expit, x), float(slope), rtol=4e-16, atol=5e-324)
    np.testing.assert_allclose(first(special.expit, x), float(density), rtol=4e-16, atol=1e-320)


@pytest.mark.parametrize("x", [1e-300, 1e-16, 0.25, 0.75, 1 - 1e-16])
def test_ndtri_slope_is_one_over_the_density(x):
    with mp.workdps(350):
        quantile = -mp.sqrt(2) * mp.erfinv(1 - 2 * mpf(x))
        slope = mp.sqrt(2 * mp.pi) * mp.exp(quantile**2 / 2)
    assert relative_error(first(special.ndtri, x), slope) < 2e-15


@pytest.mark.parametrize(
    ("function", "x"), [("erfinv", 1.0), ("erfinv", -1.0), ("ndtri", 0.0), ("ndtri", 1.0)]
)
def test_inverses_have_infinite_slope_at_the_ends(function, x):
    assert first(getattr(special, function), x) == inf


def test_erfcx_slopes_do_not_cancel_for_large_arguments():
    for x in (10.0, 1e4, 1e8):
        with mp.workdps(60):  # erfcx(x) = U(1/2, 1/2, x^2) / sqrt(pi)
            slope = -mp.hyperu(1, mpf(1) / 2, mpf(x) ** 2) / mp.sqrt(mp.pi)
        assert relative_error(first(special.erfcx, x), slope) < 1e-15


def test_i0e_slope_does_not_cancel_for_large_arguments():
    for x in (5.0, 29.0, 31.0, 1e4, 1e12):
        with mp.workdps(60):
            slope = mp.exp(-mpf(x)) * (mp.besseli(1, x) - mp.besseli(0, x))
        assert relative_error(first(special.i0e, x), slope) < 2e-15


# --- parameters of incomplete integrals ---------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "x"),
    [(1e-3, 1e-60), (0.02, 0.5), (0.5, 30.0), (3.0, 1e-20), (50.0, 20.0), (300.0, 420.0),
     (1e4, 1e4 + 1.0), (1e5, 1e5 - 900.0)],
)  # fmt: skip
def test_gammainc_by_a_keeps_its_digits_everywhere(a, x):
    with mp.workdps(120):
        if x < a:
            truth = mp.diff(lambda q: mp.gammainc(q, 0, x, regularized=True), mpf(a))
        else:
            truth = -mp.diff(lambda q: mp.gammainc(q, x, mp.inf, regularized=True), mpf(a))
    found = gammainc_by_a_value(np.float64(a), np.float64(x), n=1)
    assert relative_error(found, truth) < 5e-14


@pytest.mark.parametrize(
    ("a", "b", "x"),
    [(1e-3, 2.0, 1e-30), (2.0, 1e-3, 0.99), (0.01, 0.01, 0.5), (1.0, 1e-6, 0.9999),
     (30.0, 50.0, 0.1), (1e3, 2e3, 0.333), (2e4, 5.0, 0.9995)],
)  # fmt: skip
def test_betainc_by_its_parameters_keeps_its_digits_everywhere(a, b, x):
    found = [betainc_by_value(*map(np.float64, (a, b, x)), i=i, j=1 - i) for i in (1, 0)]
    with mp.workdps(80):
        truth = [
            mp.diff(lambda q: mp.betainc(q, b, 0, x, regularized=True), mpf(a)),
            mp.diff(lambda q: mp.betainc(a, q, 0, x, regularized=True), mpf(b)),
        ]
    for value, true in zip(found, truth, strict=True):
        assert relative_error(value, true) < 5e-14


def test_incomplete_integrals_do_not_move_at_the_ends_of_their_range():
    assert gammainc_by_a_value(np.float64(2.0), np.array([0.0, inf]), n=1).tolist() == [0.0, 0.0]
    ends = np.array([0.0, 1.0])
    assert betainc_by_value(np.float64(2.0), np.float64(3.0), ends, i=0, j=1).tolist() == [0.0, 0.0]


def test_parameters_outside_the_domain_give_nan():
    assert np.isnan(gammainc_by_a_value(np.float64(-1.0), np.float64(1.0), n=1))
    assert np.isnan(betainc_by_value(*map(np.float64, (1.0, -1.0, 0.5)), i=1, j=0))
    assert np.isnan(beta_density_value(*map(np.float64, (1.0, 0.0, 0.5))))


def test_gamma_density_at_zero_is_the_limit():
    a = np.array([0.5, 1.0, 1.5])
    assert gamma_density_value(a, np.zeros(3)).tolist() == [inf, 1.0, 0.0]


@pytest.mark.parametrize(("a", "slope"), [(1.0, -1.0), (2.0, 1.0), (3.0, 0.0)])
def test_second_derivative_of_gammainc_at_zero(a, slope):
    assert second(lambda x: special.gammainc(a, x), 0.0) == slope


def test_all_second_derivatives_of_gammainc_and_betainc():
    def check(f, truth, point):
        hessian = cr.jacobian(cr.grad(lambda p: f(*p)))(np.array(point))
        for i in range(len(point)):
            for j in range(len(point)):
                orders = tuple(int(k == i) + int(k == j) for k in range(len(point)))
                with mp.workdps(40):
                    true = mp.diff(truth, tuple(map(mpf, point)), orders)
                assert relative_error(hessian[i, j], true) < 1e-12

    check(special.gammainc, lambda a, x: mp.gammainc(a, 0, x, regularized=True), [2.5, 1.75])
    check(
        special.betainc,
        lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True),
        [2.5, 0.75, 0.625],
    )


def test_inverses_of_incomplete_integrals_undo_them():
    a, x = np.float64(2.5), np.float64(1.5)
    slopes = cr.grad(lambda a, x: special.gammaincinv(a, special.gammainc(a, x)), (0, 1))(a, x)
    np.testing.assert_allclose(slopes, [0.0, 1.0], atol=1e-13)
    b, p = np.float64(0.75), np.float64(0.625)
    slopes = cr.grad(lambda a, b, x: special.betaincinv(a, b, special.betainc(a, b, x)), (0, 1, 2))(
        a, b, p
    )
    np.testing.assert_allclose(slopes, [0.0, 0.0, 1.0], atol=1e-13)


# --- gamma --------------------------------------------------------------------------------------


def test_polygamma_differences_do_not_cancel():
    for a, b in ((1e6, 1e-3), (1e12, 1.0), (0.3, 1e-9)):
        for n in (0, 1, 2):
            with mp.workdps(60):
                truth = mp.psi(n, mpf(a) + mpf(b)) - mp.psi(n, mpf(a))
            found = polygamma_difference_value(np.float64(a), np.float64(b), n=n)
            assert relative_error(found, truth) < 2e-15


def test_gammaln_derivatives_at_negative_arguments():
    for x in (-0.5, -7.25, -100.75):
        with mp.workdps(40):
            truth = [mp.psi(k, mpf(x)) for k in (0, 1)]
        assert relative_error(first(special.gammaln, x), truth[0]) < 1e-14
        assert relative_error(second(special.gammaln, x), truth[1]) < 1e-14


# --- edges --------------------------------------------------------------------------------------


def test_xlogy_where_both_are_zero():
    value, slopes = cr.value_and_grad(special.xlogy, argnums=(0, 1))(0.0, 0.0)
    assert value == 0.0
    assert slopes == (-inf, 0.0)


def test_cross_entropy_with_zero_probabilities_has_a_finite_gradient_by_the_other():
    p, q = np.array([0.0, 0.25, 0.75]), np.array([0.0, 0.5, 0.5])
    slopes = cr.grad(lambda q: -special.xlogy(p, q).sum())(q)
    np.testing.assert_array_equal(slopes, [0.0, -0.5, -1.5])
    slopes = cr.grad(lambda q: special.rel_entr(p, q).sum())(q)
    np.testing.assert_array_equal(slopes, [0.0, -0.5, -1.5])


def test_huber_slope_is_the_clipped_residual():
    r = np.array([-3.0, -0.5, 0.0, 0.5, 3.0])
    slopes = cr.grad(lambda r: special.huber(1.0, r).sum())(r)
    np.testing.assert_array_equal(slopes, np.clip(r, -1, 1))


# --- softmax and logsumexp ----------------------------------------------------------------------

ROWS = np.array([[1e4, 1e4 - 1.0, -1e4], [0.0, 0.0, 0.0], [-inf, 1.0, 2.0], [700.0, -700.0, 0.0]])


INFINITE = [np.full((2, 2), -inf), np.array([[inf, 0.0]]), np.array([[inf, -inf]])]


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_value_is_scipys(name, axis):
    for x in (ROWS, ROWS[1:2], ROWS.astype(np.float32), *INFINITE):
        expected = getattr(scipy_special, name)(x, axis=axis)
        found = through_trace(lambda x: getattr(special, name)(x, axis=axis), x)
        assert np.asarray(found).dtype == expected.dtype
        if name == "logsumexp":
            np.testing.assert_array_max_ulp(found, expected, 2)
        else:
            np.testing.assert_array_equal(found, expected)


def test_logsumexp_derivative_with_infinite_entries():
    slope = cr.grad(special.logsumexp)
    np.testing.assert_array_equal(slope(np.array([inf, 1.0, -inf])), [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(slope(np.array([-inf, -inf])), [0.5, 0.5])
    np.testing.assert_allclose(
        slope(np.array([-inf, 1.0, 2.0])),
        [0.0, 0.26894142136999512, 0.73105857863000488],
        rtol=1e-15,
    )


def test_derivatives_of_a_masked_softmax_are_finite():
    jacobian = cr.jacobian(special.softmax)(ROWS[2])
    s = scipy_special.softmax(ROWS[2])
    np.testing.assert_allclose(jacobian, np.diag(s) - np.outer(s, s), atol=1e-16)
    jacobian = cr.jacobian(special.log_softmax)(ROWS[2])
    np.testing.assert_allclose(jacobian, np.eye(3) - s, atol=1e-16)


def test_hessian_of_logsumexp_is_that_of_a_distribution():
    x = np.array([1000.0, 1001.0, 999.5])
    s = scipy_special.softmax(x)
    np.testing.assert_allclose(
        cr.hessian(special.logsumexp)(x), np.diag(s) - np.outer(s, s), atol=1e-16
    )


def test_weighted_logsumexp():
    a, b = (
        np.array([[0.5, 700.0, 1.0], [3.0, inf, 1.0]]),
        np.array([[1.0, -2.0, 0.0], [1.0, 0.0, 2.0]]),
    )

    def f(a, b):
        return special.logsumexp(a, axis=1, b=b, return_sign=True)

    value, pullback = cr.vjp(f, a, b)
    expected = scipy_special.logsumexp(a, axis=1, b=b, return_sign=True)
    np.testing.assert_allclose(value[0], expected[0], rtol=4e-16)
    np.testing.assert_array_equal(value[1], expected[1])
    by_a, by_b = pullback((np.ones(2), np.zeros(2)))
    total = np.exp(3.0) + 2 * np.exp(1.0)
    np.testing.assert_allclose(
        by_a[1], [np.exp(3.0) / total, 0.0, 2 * np.exp(1.0) / total], rtol=1e-14
    )
    np.testing.assert_allclose(by_b[0], np.exp(a[0] - 700) / -2, rtol=1e-14)


def test_logsumexp_of_a_negative_sum_is_nan_without_its_sign():
    a = np.array([1.0, 2.0])
    assert np.isnan(cr.jvp(lambda a: special.logsumexp(a, b=[1.0, -1.0]), (a,), (a,))[0])
