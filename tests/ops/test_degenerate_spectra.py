"""Equal eigenvalues and singular values: derivatives of functions that do not depend on vectors.

Where a pair of values is equal, chainrule takes the limit of derivatives at values apart; the truth
here comes from functions of the matrix itself, or from extrapolated differences.
"""

import numpy as np
import pytest
import scipy.linalg

import chainrule as cr
from chainrule import linalg
from tests.ops.differentiation import check_derivatives, random_array

RNG = np.random.default_rng(30)
BOTH = pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])


def orthonormal(shape, is_complex):
    return np.linalg.qr(random_array(RNG, shape, is_complex))[0]


def with_eigenvalues(values, is_complex=False):
    """A Hermitian matrix with these eigenvalues."""
    q = orthonormal((len(values), len(values)), is_complex)
    a = (q * np.asarray(values, float)) @ q.conj().T
    return (a + a.conj().T) / 2


def with_singular_values(shape, values, is_complex=False):
    k = len(values)
    u, v = orthonormal((shape[0], k), is_complex), orthonormal((shape[1], k), is_complex)
    return (u * np.asarray(values, float)) @ v.conj().T


def of_eigenvalues(f):
    """V f(l) V^H"""

    def function(a):
        values, vectors = np.linalg.eigh(a)
        return (vectors * f(values)) @ vectors.conj().T

    return function


@BOTH
@pytest.mark.parametrize("values", [[1, 1, 2, 3], [2, 2, 2, 2], [1, 1, 3, 3], [0, 0, 1, 2]])
def test_functions_of_a_hermitian_matrix(values, is_complex):
    a = with_eigenvalues(values, is_complex)
    check_derivatives(of_eigenvalues(np.exp), a, reverse=1e-11)


def test_the_square_root_of_the_identity():
    root = of_eigenvalues(np.sqrt)
    e = np.array([[0.0, 1.0], [1.0, 0.0]])
    _, forward = cr.jvp(root, (np.eye(2),), (e,))
    np.testing.assert_allclose(forward, e / 2, atol=1e-12)
    _, pullback = cr.vjp(root, np.eye(2))
    np.testing.assert_allclose(pullback(e)[0], [[0, 0], [1, 0]], atol=1e-12)
    _, linear = cr.linearize(root, np.eye(2))
    np.testing.assert_allclose(linear(e), e / 2, atol=1e-12)


def test_the_logarithm_of_the_identity_where_f_is_zero_and_its_slope_is_not():
    e = np.array([[1.0, 2.0], [2.0, 3.0]])
    _, found = cr.jvp(of_eigenvalues(np.log), (np.eye(2),), (e,))
    np.testing.assert_allclose(found, e, atol=1e-12)


def test_expm_by_eigenvalues_equals_expm():
    a, e = with_eigenvalues([1, 1, 1, -2, -2]), random_array(RNG, (5, 5))
    e = e + e.T
    _, found = cr.jvp(of_eigenvalues(np.exp), (a,), (e,))
    np.testing.assert_allclose(found, scipy.linalg.expm_frechet(a, e)[1], rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(found, cr.jvp(linalg.expm, (a,), (e,))[1], rtol=1e-10, atol=1e-11)


def test_the_hessian_of_a_trace_at_the_identity():
    def f(a):
        return np.sum(np.linalg.eigvalsh(a) ** 3)

    e = np.array([[1.0, 2.0], [2.0, -1.0]])
    found = cr.hvp(f, (np.eye(2),), (e,))
    # tr((1 + t e)^3) has gradient 3 (1 + t e)^2, of which the lower triangle stands for both
    expected = 6 * np.array([[1.0, 0.0], [4.0, -1.0]])
    np.testing.assert_allclose(found, expected, atol=1e-9)


@BOTH
def test_sums_and_projectors_of_equal_eigenvalues(is_complex):
    a = with_eigenvalues([1, 1, 2, 3], is_complex)

    def pair(a):
        values, vectors = np.linalg.eigh(a)
        return values[:2].sum(), vectors[:, :2] @ vectors[:, :2].conj().T

    check_derivatives(pair, a, reverse=1e-11)


@BOTH
@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3)])
def test_equal_singular_values(shape, is_complex):
    a = with_singular_values(shape, [2, 2, 1], is_complex)

    def invariants(a):
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        return np.sum(s), np.sum(s**3), u @ vh, (u * np.exp(s)) @ u.conj().T

    check_derivatives(invariants, a, reverse=1e-11)


@BOTH
def test_vanishing_singular_values(is_complex):
    a = with_singular_values((4, 3), [2, 0, 0], is_complex)

    def invariants(a):
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        return np.sum(s**2), (u * np.sin(s)) @ vh, u[:, :1] @ vh[:1]

    check_derivatives(invariants, a, reverse=1e-11)


def test_the_singular_value_decomposition_reconstructs_at_zero():
    def product(a):
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        return (u * s) @ vh

    e = random_array(RNG, (3, 2))
    _, found = cr.jvp(product, (np.zeros((3, 2)),), (e,))
    np.testing.assert_allclose(found, e, atol=1e-12)


def test_equal_eigenvalues_of_a_general_matrix():
    x = random_array(RNG, (3, 3), True)
    a = x @ np.diag([1, 1, 2 + 1j]) @ np.linalg.inv(x)

    def exponential(a):
        values, vectors = np.linalg.eig(a)
        return (vectors * np.exp(values)) @ np.linalg.inv(vectors)

    check_derivatives(lambda a: np.sum(np.linalg.eigvals(a)), a)
    check_derivatives(exponential, a, tolerance=1e-9, second=None, reverse=1e-10, batched=False)


def test_one_degenerate_lane_leaves_the_others_alone():
    root = of_eigenvalues(np.sqrt)
    stack = np.stack([np.eye(2), np.diag([1.0, 3.0])])
    gradient = cr.vmap(cr.grad(lambda a: np.sum(root(a))))(stack)
    alone = cr.grad(lambda a: np.sum(root(a)))(stack[1])
    np.testing.assert_allclose(gradient[1], alone, rtol=1e-14)
    np.testing.assert_allclose(gradient[0], [[0.5, 0], [1, 0.5]], atol=1e-12)


def test_the_value_beside_a_derivative_is_the_value_at_the_point():
    f = of_eigenvalues(np.sqrt)
    value, _ = cr.value_and_grad(lambda a: np.sum(f(a)))(np.eye(3))
    assert value == np.sum(f(np.eye(3)))


def test_vectors_of_equal_eigenvalues_have_no_derivative():
    _, tangent = cr.jvp(np.linalg.eigh, (np.diag([1.0, 1.0, 3.0]),), (np.ones((3, 3)),))
    expected = [[0, np.nan, 0.5], [np.nan, 0, 0.5], [-0.5, -0.5, 0]]
    np.testing.assert_allclose(tangent.eigenvectors, expected, atol=1e-12)
    np.testing.assert_allclose(tangent.eigenvalues, [1, 1, 1], rtol=1e-14)


def test_vectors_of_close_eigenvalues_have_one():
    a = np.diag([1.0, 1.0 + 1e-6, 3.0])
    _, tangent = cr.jvp(np.linalg.eigh, (a,), (np.ones((3, 3)),))
    np.testing.assert_allclose(abs(tangent.eigenvectors[0, 1]), 1e6, rtol=1e-9)
