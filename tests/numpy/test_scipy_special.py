"""scipy.special on traced values: SciPy's own ufuncs, chainrule.special, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import special as scipy_special

import chainrule as cr
from chainrule import special
from chainrule.errors import DerivativeMissing, DtypeError, NotSupported
from chainrule.numpy.scipy_special import UFUNCS
from tests.numpy.against_numpy import check_same

X = np.array([0.3, 0.7, 0.9])
# Ufuncs whose derivative by the first argument is missing, and what that argument is.
ORDERS = {
    "jv": 1.0, "yv": 1.0, "iv": 2.0, "kv": 2.0, "expn": 2.0, "jve": 1.0, "yve": 1.0, "ive": 2.0,
    "kve": 2.0, "kn": 2, "yn": 2, "struve": 1.0, "modstruve": 1.0,
}  # fmt: skip
# The leading arguments that no derivative is taken by: orders, parameters, and whole counts.
LEADING = {
    **{name: [order] for name, order in ORDERS.items()},
    "hyp0f1": [1.5], "hyp1f1": [0.5, 1.5], "hyp2f1": [0.5, 1.5, 2.5], "hyperu": [0.5, 1.5],
    "pdtr": [2.0], "pdtrc": [2.0], "bdtr": [2.0, 5], "bdtrc": [2.0, 5], "bdtri": [2.0, 5],
    "nbdtr": [2, 5], "nbdtrc": [2, 5],
}  # fmt: skip
NAMES = sorted(set(UFUNCS) - {"zeta"})


def arguments(name: str) -> list[np.ndarray]:
    """Points inside every function's domain; an order where the first argument is one."""
    count = getattr(scipy_special, name).nin
    points = [X + 0.01 * i for i in range(count)]
    leading = [np.full(3, value) for value in LEADING.get(name, ())]
    return [*leading, *points[len(leading) :]]


@pytest.mark.parametrize("name", NAMES)
def test_ufunc_of_scipy_dispatches_on_traced_values(name):
    exact = not hasattr(np, name)  # expm1 and its like are NumPy's: the last bit may differ
    check_same(getattr(scipy_special, name), *arguments(name), exact=exact)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8])
def test_dtypes_are_scipys(name, dtype):
    args = [np.ones_like(x, dtype if x.dtype.kind == "f" else None) for x in arguments(name)]
    with np.errstate(all="ignore"):
        check_same(getattr(scipy_special, name), *args, exact=False)


@pytest.mark.parametrize("name", NAMES)
def test_derivative_through_scipys_name(name):
    f, args = getattr(scipy_special, name), arguments(name)
    place = len(LEADING.get(name, ()))

    def moved(h):
        return np.real(f(*(x + h if i == place else x for i, x in enumerate(args))))

    h = 2.0**-8
    coarse, fine = ((moved(s) - moved(-s)) / (2 * s) for s in (h, h / 2))
    slope = cr.grad(lambda *a: np.real(f(*a)).sum(), argnums=place)(*args)
    np.testing.assert_allclose(slope, (4 * fine - coarse) / 3, rtol=2e-5, atol=1e-7)


def test_names_of_the_namespace_are_scipys():
    for name in special.__all__:
        assert callable(getattr(special, name))
        assert hasattr(scipy_special, name)
    assert special.erf is scipy_special.erf
    assert special.digamma is scipy_special.digamma
    assert set(special.__all__) <= set(dir(special))


def test_unknown_name_says_that_it_is_not_supported():
    with pytest.raises(AttributeError, match="chainrule.special has no 'tklmbda'"):
        _ = special.tklmbda


def test_unsupported_ufunc_of_scipy_is_refused_by_name():
    with pytest.raises(NotSupported, match=r"scipy.special.tklmbda is not supported .*test_scipy"):
        cr.grad(lambda x: scipy_special.tklmbda(x, 2.0))(1.0)


def test_importing_chainrule_does_not_import_scipy():
    code = "import sys, chainrule; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", sorted(ORDERS))
def test_derivative_by_the_order_is_missing(name):
    with pytest.raises(
        DerivativeMissing, match=f"{name} has no derivative with respect to its order"
    ):
        cr.grad(lambda v: getattr(scipy_special, name)(v, 1.0))(1.5)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_polygamma(n):
    check_same(lambda x: special.polygamma(n, x), X)
    np.testing.assert_allclose(
        cr.grad(lambda x: special.polygamma(n, x).sum())(X),
        scipy_special.polygamma(n + 1, X),
        rtol=1e-14,
    )


def test_polygamma_of_an_array_of_orders_is_refused():
    with pytest.raises(NotSupported, match="one integer n"):
        cr.grad(lambda x: special.polygamma(np.array([1, 2]), x).sum())(1.0)
    with pytest.raises(ValueError, match="n >= 0"):
        cr.grad(lambda x: special.polygamma(-1, x))(1.0)


def test_orders_of_expn_and_bessel_functions_may_be_integers():
    for f in (lambda x: scipy_special.expn(2, x), lambda x: scipy_special.jv(1, x)):
        check_same(f, X)
    np.testing.assert_allclose(
        cr.grad(lambda x: scipy_special.expn(2, x).sum())(X), -scipy_special.exp1(X)
    )
    check_same(scipy_special.expn, np.array([0, 1, 2]), X)


def test_hurwitz_zeta():
    check_same(lambda q: special.zeta(3.0, q), X)
    slope = cr.grad(lambda q: special.zeta(3.0, q).sum())(X)
    np.testing.assert_allclose(slope, -3 * scipy_special.zeta(4.0, X))
    with pytest.raises(NotSupported, match="zeta"):
        cr.grad(special.zeta)(3.0)


def test_multigammaln():
    check_same(lambda a: special.multigammaln(a, 3), np.float64(4.5), exact=False)
    slope = cr.grad(lambda a: special.multigammaln(a, 3))(4.5)
    np.testing.assert_allclose(slope, scipy_special.psi([4.5, 4.0, 3.5]).sum())


def test_without_traced_arguments_functions_are_scipys():
    assert special.polygamma([1, 2], 3.0).shape == (2,)
    assert special.logsumexp([1.0, 2.0]) == scipy_special.logsumexp([1.0, 2.0])
    assert special.zeta(2.0) == scipy_special.zeta(2.0)
    assert special.multigammaln(3.0, 2) == scipy_special.multigammaln(3.0, 2)


def test_options_of_softmax_and_logsumexp():
    x = np.arange(6.0).reshape(2, 3)
    check_same(lambda x: special.softmax(x, axis=-1), x)
    check_same(lambda x: special.logsumexp(x, axis=0, keepdims=True), x, exact=False)
    check_same(lambda x: special.logsumexp(x, return_sign=True), x, exact=False)
    check_same(lambda x: special.logsumexp(x, axis=(0, 1), b=2.0), x, exact=False)
    check_same(lambda x: special.softmax(x), np.arange(3))


def test_complex_arguments_are_refused_where_there_is_no_rule():
    with pytest.raises(DtypeError, match="complex values are not supported"):
        cr.jvp(special.softmax, (np.array([1j, 2.0]),), (np.array([1j, 2.0]),))


def test_complex_error_function():
    z = np.array([1 + 1j, 0.3 - 2j])
    _, slope = cr.jvp(scipy_special.erf, (z,), (np.ones_like(z),))
    np.testing.assert_allclose(slope, 2 / np.sqrt(np.pi) * np.exp(-z * z), rtol=1e-15)


def test_scipy_functions_built_on_ufuncs_differentiate_unchanged():
    np.testing.assert_allclose(cr.grad(scipy_special.logsumexp)(X), scipy_special.softmax(X))
    x = np.arange(4.0)
    s = scipy_special.softmax(x)
    jacobian = cr.jacobian(scipy_special.softmax)(x)
    np.testing.assert_allclose(jacobian, np.diag(s) - np.outer(s, s), atol=1e-16)


def test_numpy_i0():
    np.testing.assert_allclose(
        cr.grad(lambda x: np.i0(x).sum())(X), scipy_special.i1(X), rtol=1e-15
    )
