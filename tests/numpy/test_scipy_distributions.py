"""The distributions of scipy.stats on traced values.

Slopes by point, location, scale and shapes are those of mpmath, from densities written out here;
values are SciPy's own. Other distributions are compared with central differences of SciPy's.
"""

import mpmath
import numpy as np
import pytest
from scipy import stats

import chainrule as cr
from chainrule.errors import NotSupported

m = mpmath.mp

# name -> log density at the standard point, and shapes
LOG_DENSITIES = {
    "norm": (lambda x: -x * x / 2 - m.log(2 * m.pi) / 2, ()),
    "expon": (lambda x: -x, ()),
    "gamma": (lambda x, a: (a - 1) * m.log(x) - x - m.loggamma(a), (2.3,)),
    "beta": (lambda x, a, b: (a - 1) * m.log(x) + (b - 1) * m.log(1 - x) - m.log(m.beta(a, b)),
             (2.2, 3.1)),
    "t": (lambda x, n: m.loggamma((n + 1) / 2) - m.loggamma(n / 2) - m.log(n * m.pi) / 2
          - (n + 1) / 2 * m.log(1 + x * x / n), (4.5,)),
    "lognorm": (lambda x, s: -((m.log(x) / s) ** 2) / 2 - m.log(x * s) - m.log(2 * m.pi) / 2,
                (0.7,)),
    "cauchy": (lambda x: -m.log(m.pi) - m.log(1 + x * x), ()),
    "laplace": (lambda x: -abs(x) - m.log(2), ()),
    "logistic": (lambda x: -x - 2 * m.log(1 + m.exp(-x)), ()),
    "weibull_min": (lambda x, c: m.log(c) + (c - 1) * m.log(x) - x**c, (1.7,)),
    "chi2": (lambda x, k: (k / 2 - 1) * m.log(x) - x / 2 - m.log(2) * k / 2 - m.loggamma(k / 2),
             (3.2,)),
    "invgamma": (lambda x, a: -(a + 1) * m.log(x) - m.loggamma(a) - 1 / x, (2.5,)),
    "pareto": (lambda x, b: m.log(b) - (b + 1) * m.log(x), (2.2,)),
    "uniform": (lambda x: m.mpf(0), ()),
}  # fmt: skip


@pytest.mark.parametrize("name", LOG_DENSITIES)
def test_the_log_density_by_point_location_scale_and_shapes(name):
    density, shapes = LOG_DENSITIES[name]
    x = 2.7 if name == "pareto" else 0.8
    point = np.array([x, 0.05, 1.3, *shapes])

    def f(v):
        return getattr(stats, name).logpdf(v[0], *v[3:], loc=v[1], scale=v[2])

    def truth(x, loc, scale, *shapes):
        return density((x - loc) / scale, *shapes) - m.log(scale)

    with mpmath.workdps(30):
        orders = np.eye(len(point), dtype=int)
        slope = [float(m.diff(truth, tuple(point), tuple(map(int, n)))) for n in orders]
    assert cr.compile(f)(point) == pytest.approx(f(point), rel=1e-13)
    for g in (cr.grad(f), cr.compile(cr.grad(f)), lambda v: cr.vmap(cr.grad(f))(v[None])[0]):
        np.testing.assert_allclose(g(point), slope, rtol=1e-11, atol=1e-14)

    h = lambda v: np.exp(f(v)) - getattr(stats, name).pdf(v[0], *v[3:], loc=v[1], scale=v[2])
    np.testing.assert_allclose(cr.grad(h)(point), 0.0, atol=1e-13)


WAYS = ["pdf", "logpdf", "cdf", "logcdf", "sf", "logsf", "ppf", "isf"]
OTHERS = {
    "norm": (), "expon": (), "lognorm": (0.7,), "logistic": (), "weibull_min": (1.7,),
    "halfnorm": (), "gumbel_r": (), "rayleigh": (), "maxwell": (), "levy": (), "cauchy": (),
    "lomax": (2.0,), "johnsonsu": (0.4, 1.2), "fisk": (2.0,), "gamma": (2.3,), "beta": (2.2, 3.1),
    "triang": (0.4,), "kappa4": (0.1, 0.2), "truncnorm": (-2.0, 4.0),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OTHERS)
def test_every_function_of_a_distribution_by_its_point(name, way):
    inverse = way in ("ppf", "isf")
    x = np.array([0.35, 0.62])
    f = lambda v: getattr(stats, name)(*OTHERS[name], loc=0.1, scale=1.2).__getattribute__(way)(v)
    if not inverse and name not in ("beta", "triang"):
        x = x + 0.9
    slope = (f(x + 1e-6) - f(x - 1e-6)) / 2e-6
    value = f(x)
    np.testing.assert_allclose(cr.compile(f)(x), value, rtol=1e-12)
    np.testing.assert_allclose(cr.grad(lambda v: f(v).sum())(x), slope, rtol=1e-6)
    np.testing.assert_allclose(cr.vmap(f)(x), value, rtol=1e-12)


@pytest.mark.parametrize("x, a, b", [(0.3, -2.0, 4.0), (10.2, 10.0, 12.0), (-10.2, -12.0, -10.0)])
def test_a_truncated_normal_variable_far_out_and_by_its_bounds(x, a, b):
    def mass(a, b):
        return m.log(m.ncdf(-a) - m.ncdf(-b)) if a > 0 else m.log(m.ncdf(b) - m.ncdf(a))

    truths = {
        "logpdf": lambda x, a, b: -x * x / 2 - m.log(2 * m.pi) / 2 - mass(a, b),
        "logcdf": lambda x, a, b: mass(a, x) - mass(a, b),
        "logsf": lambda x, a, b: mass(x, b) - mass(a, b),
    }
    with mpmath.workdps(60):
        for way, truth in truths.items():
            value, slopes = cr.value_and_grad(
                lambda v, way=way: getattr(stats.truncnorm, way)(v[0], v[1], v[2])
            )(np.array([x, a, b]))
            assert value == pytest.approx(float(truth(*map(m.mpf, (x, a, b)))), rel=1e-12)
            orders = np.eye(3, dtype=int)
            wanted = [float(m.diff(truth, (x, a, b), tuple(map(int, n)))) for n in orders]
            np.testing.assert_allclose(slopes, wanted, rtol=1e-9, atol=1e-12, err_msg=way)


def test_formulas_that_go_through_rows_get_rows():
    x = np.array([0.3, 0.5, 0.9])
    shapes = 1.2, 0.4
    for way, slope in (("sf", -1.0), ("cdf", 1.0), ("logcdf", 0.0)):
        f = lambda *at, way=way: getattr(stats.norminvgauss, way)(*at)
        value, tangent = cr.jvp(lambda x, f=f: f(x, *shapes), (x,), (np.ones(3),))
        np.testing.assert_allclose(value, f(x, *shapes), rtol=1e-9)
        if slope:
            np.testing.assert_allclose(tangent, slope * stats.norminvgauss.pdf(x, *shapes), 1e-9)
        assert cr.jvp(lambda x, f=f: f(x, *shapes), (0.5,), (1.0,))[0] == pytest.approx(value[1])


def test_outside_of_the_support_and_for_parameters_that_are_not_allowed():
    for name, shapes in (("expon", ()), ("gamma", (2.0,)), ("beta", (2.0, 3.0)), ("uniform", ())):
        x = np.array([-1.0, 0.0, 0.5, 1.0, 3.0, np.nan])
        for way in ("pdf", "logpdf", "cdf", "sf"):
            f = lambda v: getattr(getattr(stats, name), way)(v, *shapes)
            np.testing.assert_allclose(cr.compile(f)(x), f(x), rtol=1e-13)
            g = lambda v: getattr(getattr(stats, name), way)(v, *shapes, scale=-1.0)
            assert np.isnan(cr.compile(g)(x)).all()
    for q in (0.0, 1.0, -0.5, 1.5):
        f = lambda v: stats.expon.ppf(v, loc=2.0)
        np.testing.assert_array_equal(cr.compile(f)(np.array(q)), f(q))
    assert cr.grad(lambda x: stats.gamma.pdf(x, 2.0))(-1.0) == 0.0


def test_a_likelihood_is_followed_through_its_parameters():
    data = np.array([0.3, 1.2, 2.2, 0.7])
    f = lambda p: stats.norm(loc=p[0], scale=p[1]).logpdf(data).sum()
    p = np.array([1.0, 0.8])
    z = (data - p[0]) / p[1]
    expected = [(z / p[1]).sum(), ((z * z - 1.0) / p[1]).sum()]
    for g in (cr.grad(f), cr.compile(cr.grad(f))):
        np.testing.assert_allclose(g(p), expected, rtol=1e-13)


def test_masses_of_whole_numbers_by_their_parameters():
    k = np.array([0, 1, 4])
    poisson = lambda mean: stats.poisson.logpmf(k, mean).sum()
    assert cr.compile(cr.grad(poisson))(1.7) == pytest.approx((k / 1.7 - 1.0).sum(), rel=1e-14)
    binom = lambda p: stats.binom.logpmf(k, 6, p).sum()
    assert cr.grad(binom)(0.3) == pytest.approx((k / 0.3 - (6 - k) / 0.7).sum(), rel=1e-13)
    assert cr.compile(binom)(0.3) == pytest.approx(binom(0.3), rel=1e-13)
    geom = lambda p: stats.geom.pmf(3, p)
    assert cr.grad(geom)(0.3) == pytest.approx(0.7**2 - 2 * 0.3 * 0.7, rel=1e-13)
    f = lambda mean: stats.poisson.pmf(np.array([-1.0, 0.5, 2.0]), mean)
    np.testing.assert_allclose(cr.compile(f)(1.7), f(1.7), rtol=1e-13)
    cdf = lambda mean: stats.poisson.cdf(2, mean)
    assert cr.grad(cdf)(1.7) == pytest.approx(-stats.poisson.pmf(2, 1.7), rel=1e-12)


def test_what_is_compiled_is_refused_with_its_name():
    with pytest.raises(NotSupported, match="_skewnorm_cdf"):
        cr.grad(lambda x: stats.skewnorm.cdf(x, 1.0))(0.3)


def test_the_methods_are_scipys_outside_of_traces():
    before = vars(stats.rv_continuous)["logpdf"]
    cr.grad(lambda x: stats.norm.logpdf(x))(0.5)
    assert vars(stats.rv_continuous)["logpdf"] is before
    assert "chainrule" not in before.__module__
