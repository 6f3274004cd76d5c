"""Native operations on complex matrices against numpy.linalg; failures, and what follows them."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.ops.linalg import triangular_solve
from tests.compiler.test_schedule import compiled

rng = np.random.default_rng(0)


def matrices(*shape, dtype="D"):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)


def native(f, *args):
    made, values = compiled(f, *args)
    assert not made.sites
    return made.run(values)


def hermitian(a):
    return a @ np.conj(np.swapaxes(a, -1, -2))


FUNCTIONS = {
    "solve": lambda a: np.linalg.solve(a, a[..., :2] + 1),
    "inv": np.linalg.inv,
    "det": np.linalg.det,
    "slogdet": lambda a: tuple(np.linalg.slogdet(a)),
    "cholesky": lambda a: np.linalg.cholesky(hermitian(a)),
    "cholesky upper": lambda a: np.linalg.cholesky(hermitian(a), upper=True),
    "eigh": lambda a: tuple(np.linalg.eigh(a)),
    "eigh upper": lambda a: tuple(np.linalg.eigh(a, "U")),
    "eigvalsh": np.linalg.eigvalsh,
    "eig": lambda a: tuple(np.linalg.eig(a)),
    "eigvals": np.linalg.eigvals,
    "svd": lambda a: tuple(np.linalg.svd(a[..., :3])),
    "svd reduced": lambda a: tuple(np.linalg.svd(a[..., :3], full_matrices=False)),
    "singular values": lambda a: np.linalg.svd(a[..., :3], compute_uv=False),
}


def low_rank(a):
    return a[..., :2] @ np.conj(a[..., 1:3].swapaxes(-1, -2))


def least_squares(a):
    x, _, rank, s = np.linalg.lstsq(a, a[..., 1:] + 1, rcond=1e-4)
    return x, rank, s


FUNCTIONS["pinv"] = lambda a: np.linalg.pinv(a[..., :3])
FUNCTIONS["pinv of low rank"] = lambda a: np.linalg.pinv(low_rank(a), rcond=1e-4)


@pytest.mark.parametrize("dtype", "FD")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_stacks_of_matrices_are_numpys(name, dtype):
    f = FUNCTIONS[name]
    for shape in ((4, 4), (2, 3, 4, 4)):
        a = matrices(*shape, dtype=dtype)
        wanted = f(a)
        for x, y in zip(native(f, a), wanted if type(wanted) is tuple else [wanted], strict=True):
            assert x.dtype == y.dtype
            np.testing.assert_allclose(x, y, atol=500 * np.finfo(dtype).eps * np.abs(y).max())


@pytest.mark.parametrize("dtype", "FD")
def test_least_squares_are_numpys(dtype):
    for a in (matrices(5, 3, dtype=dtype), matrices(3, 5, dtype=dtype)):
        for b in (a, low_rank(a)):
            for x, y in zip(native(least_squares, b), least_squares(b), strict=True):
                size = 1e4 * np.finfo(dtype).eps * np.abs(y).max()
                np.testing.assert_allclose(x, y, atol=size)


@pytest.mark.parametrize("dtype", "FD")
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("adjoint", [True, False])
@pytest.mark.parametrize("unit", [True, False])
def test_triangular_systems_have_small_residuals(lower, adjoint, unit, dtype):
    a, b = matrices(2, 5, 5, dtype=dtype), matrices(2, 5, 3, dtype=dtype)
    params = dict(lower=lower, adjoint=adjoint, unit_diagonal=unit, raises=True)
    (x,) = native(lambda a, b: triangular_solve(a, b, **params), a, b)
    t = np.tril(a) if lower else np.triu(a)
    if unit:
        t[:, range(5), range(5)] = 1
    t = np.conj(t.transpose(0, 2, 1)) if adjoint else t
    size = np.abs(t).max() * np.abs(x).max()
    np.testing.assert_allclose(t @ x, b, atol=64 * np.finfo(dtype).eps * size, rtol=0)


def test_singular_matrix_raises_as_on_the_evaluator():
    a = np.ones((3, 2, 2), complex)
    a[:2] += np.eye(2)
    for f in (np.linalg.inv, lambda a: np.linalg.solve(a, a)):
        with pytest.raises(np.linalg.LinAlgError):
            cr.compile(f)(a)
    with pytest.raises(np.linalg.LinAlgError):
        cr.compile(np.linalg.cholesky)(-a)


def test_entries_that_are_not_finite_give_what_the_evaluator_gives():
    a = matrices(3, 3)
    a[1, 1] = np.nan
    with pytest.raises(np.linalg.LinAlgError):
        cr.compile(lambda a: tuple(np.linalg.eig(a)))(a)
    found = cr.compile(lambda a: np.linalg.inv(a))(a)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(np.linalg.inv(a)))


def test_gradient_through_complex_matrices_needs_no_evaluator():
    def f(a, b):
        return np.sum(np.abs(np.linalg.solve(a, b)) ** 2) + np.linalg.slogdet(a)[1]

    a, b = matrices(4, 4), matrices(4, 2)
    slope = cr.compile(lambda a, b: cr.grad(f)(a, b))
    np.testing.assert_allclose(slope(a, b), cr.grad(f)(a, b), rtol=1e-10)
    assert "on the evaluator: nothing" in str(cr.explain(slope))
