"""Sparse matrices of SciPy beside traced values, against the same formulas on dense arrays."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import linalg

import chainrule as cr
from chainrule.errors import NotSupported

RNG = np.random.default_rng(2)
A = RNG.normal(size=(5, 4)) * (RNG.random((5, 4)) < 0.5)
S = RNG.normal(size=(5, 5)) * (RNG.random((5, 5)) < 0.4) + 4.0 * np.eye(5)
X, Y, COLUMNS = RNG.normal(size=4), RNG.normal(size=5), RNG.normal(size=(4, 3))
FORMATS = [kind + family for kind in ("csr", "csc", "coo", "dia", "bsr", "lil", "dok")
           for family in ("_array", "_matrix")]  # fmt: skip


def check(f, dense, x):
    """Value, gradient and second derivative, alone, compiled and in a batch."""
    wanted = cr.value_and_grad(lambda x: np.sum(np.sin(dense(x))))(x)
    g = cr.value_and_grad(lambda x: np.sum(np.sin(f(x))))
    for found in (g(x), cr.compile(g)(x), [v[0] for v in cr.vmap(g)(np.asarray(x)[None])]):
        np.testing.assert_allclose(found[0], wanted[0], rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(found[1], wanted[1], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(np.sum(np.sin(f(x))), wanted[0], rtol=1e-12, atol=1e-13)
    second = [cr.grad(lambda x, h=h: np.sum(cr.grad(lambda x: np.sum(np.sin(h(x))))(x) * x))(x)
              for h in (f, dense)]  # fmt: skip
    np.testing.assert_allclose(*second, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("kind", FORMATS)
def test_products_with_a_matrix_of_numbers(kind):
    a = getattr(sparse, kind)(A)
    check(lambda x: a @ x, lambda x: A @ x, X)
    check(lambda x: a.dot(x[:, None]), lambda x: A @ x[:, None], X)
    check(lambda x: a @ x, lambda x: A @ x, COLUMNS)
    check(lambda y: y @ a, lambda y: y @ A, Y)
    check(lambda y: y.T @ a, lambda y: y.T @ A, RNG.normal(size=(5, 2)))
    check(lambda x: a.T @ (a @ x), lambda x: A.T @ (A @ x), X)
    check(lambda x: (a * x[0]) @ x, lambda x: A * x[0] @ x, X)


ROWS, PLACES = np.array([0, 1, 1, 3, 3]), np.array([0, 2, 2, 1, 3])  # one place comes twice


def scattered(v):
    units = np.zeros((5, 5, 4))
    units[np.arange(5), ROWS, PLACES] = 1.0
    return np.einsum("i,ijk->jk", v, units)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_matrices_of_traced_entries(kind):
    def made(v):
        return getattr(sparse, kind + "_array")((v, (ROWS, PLACES)), shape=(5, 4))

    check(lambda v: made(v) @ X, lambda v: scattered(v) @ X, Y)
    check(lambda v: made(v).T @ v, lambda v: scattered(v).T @ v, Y)
    check(lambda v: made(v).toarray(), scattered, Y)
    check(lambda v: made(v).tocsc().tocsr() @ X, lambda v: scattered(v) @ X, Y)
    check(lambda v: (made(v) @ sparse.csr_array(A).T) @ v, lambda v: scattered(v) @ A.T @ v, Y)


M = sparse.csr_array(S)
MATRICES = {
    "diags": (lambda v: sparse.diags([v, v[1:]], [0, 1]), lambda v: np.diag(v) + np.diag(v[1:], 1)),
    "diags of one": (lambda v: sparse.diags(v), np.diag),
    "diags_array": (lambda v: sparse.diags_array([v[:4], v[:2]], offsets=[-1, 3]),
                    lambda v: np.diag(v[:4], -1) + np.diag(v[:2], 3)),
    "sum": (lambda v: M * v[0] + sparse.eye_array(5) * v[1], lambda v: S * v[0] + np.eye(5) * v[1]),
    "difference": (lambda v: sparse.eye_array(5) - M * v[0], lambda v: np.eye(5) - S * v[0]),
    "negative": (lambda v: -(M * v[0]), lambda v: -S * v[0]),
    "quotient": (lambda v: M / v[0], lambda v: S / v[0]),
    "power": (lambda v: (M * v[0]).power(2), lambda v: (S * v[0]) ** 2),
    "by entries": (lambda v: M.multiply(v), lambda v: S * v),
    "times array": (lambda v: v * M, lambda v: v * S),
    "slice": (lambda v: (M * v[0])[1:4], lambda v: (S * v[0])[1:4]),
    "hstack": (lambda v: sparse.hstack([M * v[0], M]), lambda v: np.hstack([S * v[0], S])),
    "vstack": (lambda v: sparse.vstack([M * v[0], sparse.coo_array(S)]),
               lambda v: np.vstack([S * v[0], S])),
    "bmat": (lambda v: sparse.bmat([[M * v[0], None], [M, M * v[1]]]),
             lambda v: np.block([[S * v[0], S * 0.0], [S, S * v[1]]])),
    "kron": (lambda v: sparse.kron(M * v[0], sparse.eye_array(2)),
             lambda v: np.kron(S * v[0], np.eye(2))),
}  # fmt: skip


@pytest.mark.parametrize("name", list(MATRICES))
def test_matrices_that_are_made_of_others(name):
    made, dense = MATRICES[name]
    check(lambda v: made(v).toarray(), dense, Y)
    width = dense(Y).shape[1]
    check(lambda v: made(v) @ np.ones(width), lambda v: dense(v) @ np.ones(width), Y)


NUMBERS = {
    "sum": lambda m: m.sum(), "sum of rows": lambda m: m.sum(axis=1), "mean": lambda m: m.mean(0),
    "trace": lambda m: m.trace(), "diagonal": lambda m: m.diagonal(), "entry": lambda m: m[1, 1],
}  # fmt: skip


@pytest.mark.parametrize("name", list(NUMBERS))
def test_numbers_of_a_matrix(name):
    f = NUMBERS[name]
    check(lambda v: f(M * v[0]), lambda v: f(S * v[0]), Y)


def test_a_conversion_copies_where_it_is_asked_to():
    def f(v):
        matrix = M * v[0]
        copy = matrix.tocsr(copy=True)
        copy.data = copy.data * 2.0
        return (matrix.toarray() + copy.toarray()).sum()

    check(f, lambda v: (S * v[0]).sum() * 3.0, Y)


def test_a_matrix_and_an_array_are_an_array():
    dense = np.full((5, 5), 0.3)
    check(lambda x: M + x, lambda x: S + x, dense)
    check(lambda x: x - M, lambda x: x - S, dense)
    check(lambda x: M - x, lambda x: S - x, dense)


SYSTEMS = {
    "spsolve": lambda a, b: linalg.spsolve(a, b),
    "cg": lambda a, b: linalg.cg(a @ a.T, b, rtol=1e-13)[0],
    "gmres": lambda a, b: linalg.gmres(a, b, rtol=1e-13)[0],
    "splu": lambda a, b: linalg.splu(a.tocsc()).solve(b),
    "splu transposed": lambda a, b: linalg.splu(a.tocsc()).solve(b, "T"),
    "factorized": lambda a, b: linalg.factorized(a.tocsc())(b),
}  # fmt: skip
MEANT = {"cg": lambda s: s @ s.T, "splu transposed": lambda s: s.T}


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_systems(name):
    solve, meant = SYSTEMS[name], MEANT.get(name, lambda s: s)
    check(lambda b: solve(M, b), lambda b: np.linalg.solve(meant(S), b), Y)
    both = lambda v: solve(M * v[0] + sparse.eye_array(5), v)
    check(both, lambda v: np.linalg.solve(meant(S * v[0] + np.eye(5)), v), Y)
    check(lambda v: solve(M * v[0], Y), lambda v: np.linalg.solve(meant(S * v[0]), Y), Y)


def test_factors_of_numbers_are_scipys_own():
    def f(v):
        factors = linalg.splu(M.tocsc())
        return np.sum(v * factors.solve(Y)) + factors.L.nnz + factors.shape[0]

    value, slope = cr.value_and_grad(f)(Y)
    assert value == f(Y)
    np.testing.assert_allclose(slope, np.linalg.solve(S, Y), rtol=1e-12)
    with pytest.raises(RuntimeError, match="singular"):
        cr.grad(lambda v: np.sum(linalg.splu(sparse.csc_array((5, 5))).solve(v)))(Y)


def test_a_system_with_several_right_sides():
    right = RNG.normal(size=(5, 2))
    check(lambda b: linalg.spsolve(M.tocsc(), b), lambda b: np.linalg.solve(S, b), right)


def test_the_adjoint_of_a_large_system():
    """A Poisson equation of 40,000 unknowns: its gradient solves once more, with the transpose."""
    n = 200
    line = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    grid = sparse.kron(line, sparse.eye_array(n)) + sparse.kron(sparse.eye_array(n), line)
    load = np.ones(n * n)

    def energy(k):
        return load @ linalg.spsolve((grid * k).tocsc(), load)

    value, slope = cr.value_and_grad(energy)(2.0)
    np.testing.assert_allclose(slope, -value / 2.0, rtol=1e-10)


def test_complex_systems():
    c = M * (1.0 + 0.5j)
    f = lambda v: np.sum(np.abs(linalg.spsolve((c * v[0]).tocsc(), v * (1 - 2j))) ** 2)
    g = lambda v: np.sum(np.abs(np.linalg.solve(S * (1 + 0.5j) * v[0], v * (1 - 2j))) ** 2)
    np.testing.assert_allclose(cr.grad(f)(Y), cr.grad(g)(Y), rtol=1e-10)


def test_a_singular_matrix_and_what_is_not_followed_are_errors():
    singular = sparse.csc_array(np.ones((5, 5)))
    with pytest.raises(np.linalg.LinAlgError):
        cr.grad(lambda v: np.sum(linalg.spsolve(singular, v)))(Y)
    with pytest.raises(ValueError, match=r"\(5, 5\) does not take"):
        cr.grad(lambda v: np.sum(linalg.spsolve(M, v)))(X)
    operator = linalg.aslinearoperator(M)
    with pytest.raises(NotSupported, match=r"test_scipy_sparse.py:\d+: give the matrix"):
        cr.grad(lambda v: np.sum(linalg.cg(operator, v)[0]))(Y)
    with pytest.raises(NotSupported, match=r"toarray\(out=...\).*test_scipy_sparse.py:\d+"):
        cr.grad(lambda v: (M * v[0]).toarray(out=np.zeros((5, 5))).sum())(Y)
    with pytest.raises(NotSupported, match=r"test_scipy_sparse.py:\d+: make one an array"):
        cr.grad(lambda v: (M * v[0]).multiply(M).sum())(Y)
