"""scipy.special under SciPy's names: pairs, whole orders, and functions written in Python."""

import numpy as np
import pytest
from scipy import special as scipy_special

import chainrule as cr
from chainrule import special
from chainrule.errors import DtypeError, NotSupported
from tests.numpy.against_numpy import check_same

X = np.array([0.3, 0.7, 1.9])


def slopes(f, x=X, step=2.0**-8):
    """Extrapolated central differences of f."""
    coarse, fine = ((f(x + h) - f(x - h)) / (2 * h) for h in (step, step / 2))
    return (4 * fine - coarse) / 3


def check_slope(f, x=X):
    check_same(f, x)
    found = cr.grad(lambda x: np.sum(f(x)))(x)
    np.testing.assert_allclose(found, slopes(f, x), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name, count", [("fresnel", 2), ("sici", 2), ("shichi", 2), ("airy", 4)])
def test_functions_that_give_several(name, count):
    function = getattr(scipy_special, name)
    for i in range(count):
        check_slope(lambda x, i=i: function(x)[i])
    check_same(function, np.arange(1, 4))
    check_same(function, X.astype(np.float32), exact=False)


def test_airy_of_complex_numbers_and_pairs_of_them():
    check_same(scipy_special.airy, X + 1j)
    with pytest.raises(DtypeError, match="sine_integral is not defined for dtype complex128"):
        cr.vjp(scipy_special.sici, X + 1j)


@pytest.mark.parametrize(
    "name, parameters",
    [("legendre", ()), ("chebyt", ()), ("hermite", ()), ("jacobi", (0.5, 1.5)),
     ("gegenbauer", (2,))],
)  # fmt: skip
def test_orthogonal_polynomials_of_a_plain_degree(name, parameters):
    function = getattr(scipy_special, f"eval_{name}")
    for n in (0, 1, 3, np.int64(4)):
        check_slope(lambda x, n=n: function(n, *parameters, x), X / 2)


def test_a_traced_or_broken_degree_is_refused():
    with pytest.raises(NotSupported, match="one integer, got 0.5, at test_scipy_special_more.py"):
        cr.grad(lambda x: scipy_special.eval_legendre(0.5, x))(0.3)
    with pytest.raises(NotSupported, match="one integer"):
        cr.grad(lambda x: scipy_special.eval_legendre(np.arange(3), x).sum())(0.3)
    with pytest.raises(NotSupported, match="only its last argument can be traced"):
        cr.grad(lambda a: scipy_special.eval_gegenbauer(2, a, 0.3))(0.3)


@pytest.mark.parametrize("name", ["spherical_jn", "spherical_yn", "spherical_in", "spherical_kn"])
def test_spherical_bessel_functions(name):
    for function in (getattr(special, name), lambda *a: getattr(scipy_special, name)(*a)):
        for n in (0, 1, 3):
            check_slope(lambda x, n=n, f=function: f(n, x))
            check_same(lambda x, n=n, f=function: f(n, x, True), X, exact=False)
    assert getattr(special, name)(2, 1.5) == getattr(scipy_special, name)(2, 1.5)
    with pytest.raises(NotSupported, match=f"scipy.special.{name}.*one integer"):
        cr.grad(lambda x: getattr(special, name)(np.arange(2), x).sum())(1.0)


def test_lambertw():
    check_same(lambda x: scipy_special.lambertw(x), X)
    check_slope(lambda x: scipy_special.lambertw(x).real)
    check_slope(lambda x: scipy_special.lambertw(-x / 9, -1).real)
    assert cr.grad(lambda x: special.lambertw(x).real)(0.0) == 1.0
    with pytest.raises(NotSupported, match="the branch k of a traced argument takes one integer"):
        cr.grad(lambda x: scipy_special.lambertw(x, np.array([0, 1])).real.sum())(0.3)


def test_comb_and_diric():
    check_slope(lambda n: scipy_special.comb(n + 3, 2.3))
    check_slope(lambda k: scipy_special.comb(5.5, k))
    check_same(lambda n: scipy_special.comb(n, 2), np.array([-1.0, 1.0, 5.0]))
    check_same(lambda n: scipy_special.comb(n, [0, 2], repetition=True), np.array([0.0, 5.0]))
    check_slope(lambda x: scipy_special.diric(x, 7))
    check_same(lambda x: scipy_special.diric(x, 4), np.array([0.0, 2 * np.pi, 1.0]), exact=False)
    assert special.comb(5, 2) == 10.0 and special.diric(0.0, 3) == 1.0


def test_functions_written_in_python_are_replaced_in_scipys_module_while_tracing():
    x = X + 1.0
    before = scipy_special.polygamma
    slope = cr.grad(lambda x: scipy_special.polygamma(1, x).sum())(x)
    np.testing.assert_allclose(slope, scipy_special.polygamma(2, x), rtol=1e-13)
    slope = cr.grad(lambda x: scipy_special.multigammaln(x, 2).sum())(x)
    np.testing.assert_allclose(slope, scipy_special.psi(x) + scipy_special.psi(x - 0.5))
    check_same(lambda x: scipy_special.softmax(x), x)
    assert scipy_special.polygamma is before
