"""scipy.linalg under SciPy's names: SciPy's values and conventions, and derivatives."""

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.spatial

import chainrule as cr
from chainrule.errors import NotSupported
from tests.numpy.against_numpy import check_same
from tests.ops.differentiation import check_derivatives

RNG = np.random.default_rng(21)
A = RNG.standard_normal((3, 3)) + 3 * np.eye(3)
B = RNG.standard_normal((3, 3)) + 3 * np.eye(3)
SPD = A @ A.T + np.eye(3)
OTHER = B @ B.T + np.eye(3)
TALL = RNG.standard_normal((4, 2))
V = RNG.standard_normal(3)
C = A + 1j * B
L = scipy.linalg  # its attributes are read inside the functions, while the trace is open

CALLS = {
    "solve": (lambda a, b: L.solve(a, b), A, V),
    "solve transposed": (lambda a, b: L.solve(a, b, transposed=True), A, TALL[:3]),
    "solve definite": (lambda a, b: L.solve(a, b, lower=True, assume_a="pos"), SPD, V),
    "solve symmetric": (lambda a, b: L.solve(a, b, assume_a="symmetric"), SPD, V),
    "solve triangular": (lambda a, b: L.solve(a, b, assume_a="upper triangular"), A, V),
    "inv": (lambda a: L.inv(a), A),
    "inv of a stack": (lambda a: L.inv(a), np.stack([A, B])),
    "det": (lambda a: L.det(a), A),
    "pinv": (lambda a: L.pinv(a), TALL),
    "pinv and rank": (lambda a: L.pinv(a, return_rank=True)[0], TALL),
    "lstsq": (lambda a, b: L.lstsq(a, b)[0], TALL, np.arange(4.0)),
    "lstsq residual": (lambda a, b: L.lstsq(a, b)[1], TALL, np.arange(4.0)),
    "solve_triangular": (lambda a, b: L.solve_triangular(a, b, lower=True), A, V),
    "cholesky": (lambda a: L.cholesky(a), SPD),
    "cholesky lower": (lambda a: L.cholesky(a, lower=True), SPD),
    "cho_solve": (lambda a, b: L.cho_solve(L.cho_factor(a), b), SPD, V),
    "qr": (lambda a: L.qr(a, mode="economic")[1], TALL),
    "qr full": (lambda a: L.qr(a)[1], A),
    "qr r": (lambda a: L.qr(a, mode="r")[0], A),
    "svd": (lambda a: L.svd(a)[1], TALL),
    "svd without vectors": (lambda a: L.svd(a, compute_uv=False), TALL),
    "svdvals": (lambda a: L.svdvals(a), TALL),
    "eigh": (lambda a: L.eigh(a)[0], SPD),
    "eigh of some": (lambda a: L.eigh(a, subset_by_index=[1, 2], eigvals_only=True), SPD),
    "eigh general": (lambda a, b: np.abs(L.eigh(a, b)[1]), SPD, OTHER),
    "eigvalsh general": (lambda a, b: L.eigvalsh(a, b, lower=False), SPD, OTHER),
    "eig": (lambda a: L.eig(a)[0], SPD),
    "eigvals": (lambda a: L.eigvals(a), SPD),
    "norm": (lambda a: L.norm(a, "nuc"), A),
    "norm of a vector": (lambda a: L.norm(a), V),
    "expm": (lambda a: L.expm(a), A / 3),
    "cosm": (lambda a: L.cosm(a), A / 3),
    "sinm": (lambda a: L.sinm(a), A / 3),
    "tanm": (lambda a: L.tanm(a), A / 5),
    "coshm": (lambda a: L.coshm(a), A / 3),
    "sinhm": (lambda a: L.sinhm(a), A / 3),
    "tanhm": (lambda a: L.tanhm(a), A / 3),
    "sqrtm": (lambda a: L.sqrtm(a), SPD),
    "logm": (lambda a: L.logm(a), SPD),
    "solve_sylvester": (lambda a, b, q: L.solve_sylvester(a, b, q), A, SPD[:2, :2], TALL[:3]),
    "solve_lyapunov": (lambda a, q: L.solve_lyapunov(a, q), A, B),
    "solve_discrete_lyapunov": (lambda a, q: L.solve_discrete_lyapunov(a, q), A / 5, B),
    "solve_continuous_are": (
        lambda a, b: L.solve_continuous_are(a, b, SPD, OTHER[:2, :2]), A, TALL[:3]),
    "solve_discrete_are": (
        lambda a, b: L.solve_discrete_are(a, b, SPD, OTHER[:2, :2]), A, TALL[:3]),
    "block_diag": (lambda a, b: L.block_diag(a, b, 2.0), A, V),
    "toeplitz": (lambda c, r: L.toeplitz(c, r), V, np.arange(4.0)),
    "toeplitz of one": (lambda c: L.toeplitz(c), V),
    "hankel": (lambda c, r: L.hankel(c, r), V, np.arange(4.0)),
    "hankel of one": (lambda c: L.hankel(c), V),
    "circulant": (lambda c: L.circulant(c), V),
    "companion": (lambda a: L.companion(a), V),
    "leslie": (lambda f, s: L.leslie(f, s), V, np.arange(2.0)),
    "polar": (lambda a: L.polar(a)[1], A),
    "procrustes": (lambda a, b: L.orthogonal_procrustes(a, b)[0], A, B),
    "matmul_toeplitz": (lambda c, x: L.matmul_toeplitz(c, x), V, V),
}  # fmt: skip
NOT_BATCHED = {
    "solve_continuous_are", "solve_discrete_are", "procrustes", "sqrtm", "logm", "solve transposed",
    "eig", "lstsq residual", "matmul_toeplitz",
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_values_are_scipys_and_derivatives_right(name):
    f, *args = CALLS[name]
    np.testing.assert_allclose(cr.vjp(f, *args)[0], f(*args), rtol=1e-11, atol=1e-12)
    check_derivatives(f, *args, tolerance=1e-6, second=False, batched=name not in NOT_BATCHED)


COMPLEX = ["solve", "inv", "det", "expm", "cosm", "sinm", "sqrtm", "logm", "circulant", "toeplitz"]


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_matrices(name):
    f, *args = CALLS[name]
    args = [x * (1 + 0.3j) for x in args]
    np.testing.assert_allclose(cr.vjp(f, *args)[0], f(*args), rtol=1e-11, atol=1e-12)


def test_dtypes_and_shapes_of_results_are_scipys():
    check_same(lambda a: L.eig(a), SPD, exact=False)
    check_same(lambda a: L.eigvals(a.astype(np.float32)).dtype.itemsize * a, SPD)
    check_same(lambda a: L.lstsq(a, np.ones(4))[1:3], TALL, exact=False)
    check_same(lambda a: L.lstsq(a, np.ones((2, 1)))[1], TALL[:2])
    check_same(lambda a: L.qr(a), A, exact=False)
    check_same(lambda a: L.pinv(a, return_rank=True)[1], TALL)
    check_same(lambda a: L.companion(a), np.arange(1, 4))
    check_same(lambda a: L.block_diag(a, [1, 2]), np.arange(3))


def test_what_is_not_finite_is_refused_as_in_scipy():
    for f in (L.solve, L.inv, L.det, L.cholesky, L.svdvals, L.norm):
        args = (A * np.nan, V)[: 2 if f is L.solve else 1]
        check_same(lambda *a, name=f.__name__: getattr(L, name)(*a), *args)
    check_same(lambda a: L.det(a, check_finite=False), A * np.nan)


def test_options_without_a_traced_meaning_are_refused_by_name():
    for f, what in (
        (lambda a: L.solve(a, V, assume_a="tridiagonal"), r"solve\(assume_a='tridiagonal'\)"),
        (lambda a: L.qr(a, pivoting=True), "qr"),
        (lambda a: L.eig(a, left=True), "eig"),
        (lambda a: L.eigh(a, subset_by_value=[0, 1]), "eigh"),
        (lambda a: L.pinv(a, atol=0.1), "atol"),
        (lambda a: L.inv(a, some=True), "some"),
    ):
        with pytest.raises(NotSupported, match=f"{what}.*test_scipy_linalg_functions.py"):
            cr.vjp(f, A)


def test_a_root_that_is_complex_comes_complex():
    turned = -SPD
    for f in (lambda a: L.sqrtm(a), lambda a: L.logm(a)):
        check_same(f, turned, exact=False)
    stack = np.stack([SPD, OTHER])
    with pytest.warns(RuntimeWarning, match=r"a.astype\(complex\)"):
        found = cr.compile(cr.vmap(lambda a: L.sqrtm(a)))(stack)
    np.testing.assert_allclose(found, [L.sqrtm(a) for a in stack], rtol=1e-12, atol=1e-12)


def test_derivatives_of_roots_solve_their_equations():
    e = RNG.standard_normal((3, 3))
    root, moved = cr.jvp(lambda a: L.sqrtm(a), (SPD,), (e,))
    np.testing.assert_allclose(root @ moved + moved @ root, e, rtol=1e-12, atol=1e-12)
    logarithm, moved = cr.jvp(lambda a: L.logm(a), (SPD,), (e,))
    _, back = cr.jvp(lambda a: L.expm(a), (logarithm,), (moved,))
    np.testing.assert_allclose(back, e, rtol=1e-11, atol=1e-11)


def test_unsymmetric_costs_are_refused_as_in_scipy():
    check_same(lambda q: L.solve_discrete_are(A, TALL[:3], q, np.eye(2)), B)


def test_functions_of_scipy_that_call_these():
    x, y = RNG.standard_normal(8), RNG.standard_normal(8)
    for f in (
        lambda x: scipy.spatial.distance.euclidean(x, y),
        lambda x: scipy.spatial.distance.minkowski(x, y, 3),
        lambda x: scipy.signal.detrend(x),
        lambda x: scipy.spatial.procrustes(x.reshape(4, 2), y.reshape(4, 2))[2],
    ):
        check_same(f, x, exact=False)
        check_derivatives(f, x, second=False, batched=False)


def test_scipy_is_itself_outside_of_traces():
    before = scipy.linalg.inv, scipy.spatial.distance.norm
    cr.vjp(lambda a: L.inv(a), A)
    assert (scipy.linalg.inv, scipy.spatial.distance.norm) == before
    assert L.inv.__module__.startswith("scipy.")


ROW_EXCHANGES = np.random.default_rng(4).normal(size=(4, 4))  # LAPACK exchanges three rows
RIGHT = np.random.default_rng(5).normal(size=(4, 2))
BANDS = np.array([[0.0, 0.1, 0.2, 0.3], [3.0, 4.0, 5.0, 6.0]])
FACTORED = {
    "lu_factor": (lambda a: scipy.linalg.lu_factor(a)[0], ROW_EXCHANGES),
    "lu_solve": (lambda a, b: scipy.linalg.lu_solve(scipy.linalg.lu_factor(a), b),
                 ROW_EXCHANGES, RIGHT),
    "lu_solve, transposed": (
        lambda a, b: scipy.linalg.lu_solve(scipy.linalg.lu_factor(a), b, trans=1),
        ROW_EXCHANGES, RIGHT),
    "lu_solve by plain factors": (
        lambda b: scipy.linalg.lu_solve(scipy.linalg.lu_factor(ROW_EXCHANGES), b), RIGHT[:, 0]),
    "solve_banded": (lambda ab, b: scipy.linalg.solve_banded((1, 0), ab, b), BANDS[::-1], RIGHT),
    "solveh_banded": (lambda ab, b: scipy.linalg.solveh_banded(ab, b), BANDS, RIGHT),
    "solveh_banded of the lower triangle": (
        lambda ab, b: scipy.linalg.solveh_banded(ab, b, lower=True), BANDS[::-1], RIGHT),
}  # fmt: skip


@pytest.mark.parametrize("name", FACTORED)
def test_factors_and_bands(name):
    f, *arguments = FACTORED[name]
    check_same(f, *arguments, exact=False)
    check_derivatives(f, *arguments, step=1e-3, tolerance=1e-9, second=False, batched=False)
