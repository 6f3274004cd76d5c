"""Determinants, inverses and systems of small matrices are repaired where they lost digits."""

from fractions import Fraction

import numpy as np
import pytest

import chainrule as cr
from chainrule.program.types import type_of
from chainrule.wide import matrices
from chainrule.wide.arrays import to_host, to_wide
from chainrule.wide.number import Undecided, precision

NEAR = np.array([[1.0, 0.99999, 0.99999], [0.99999, 1.0, 0.99999], [0.99999, 0.99999, 1.0]])
TALL = np.array([[1e8, 1.0], [1e8, 1.0000001]])


def _exact(a):
    return [[Fraction(x) for x in row] for row in np.asarray(a).tolist()]


def _determinant(a):
    if not a:
        return Fraction(1)
    minors = [[row[:j] + row[j + 1 :] for row in a[1:]] for j in range(len(a))]
    return sum((-1) ** j * a[0][j] * _determinant(m) for j, m in enumerate(minors))


def _inverse(a):
    n, whole = len(a), _determinant(a)
    minor = lambda i, j: [row[:j] + row[j + 1 :] for k, row in enumerate(a) if k != i]
    return [[(-1) ** (i + j) * _determinant(minor(j, i)) / whole for j in range(n)]
            for i in range(n)]  # fmt: skip


def _floats(rows):
    return np.array([[float(x) for x in row] for row in rows])


@pytest.mark.parametrize("a", [NEAR, TALL, np.array([[2.0, 1.0], [1.0, 3.0]])])
def test_determinants_and_inverses_near_singular_ones_have_their_digits(a):
    exact = _exact(a)
    for run in (lambda f: f, cr.compile):
        value, slope = run(cr.value_and_grad(np.linalg.det))(a)
        assert value == pytest.approx(float(_determinant(exact)), rel=1e-15)
        adjugate = _floats(_inverse(exact)) * float(_determinant(exact))
        np.testing.assert_allclose(slope, adjugate.T, rtol=1e-14)
        inverse = _inverse(exact)
        columns = [sum(column) for column in zip(*inverse, strict=True)]
        wanted = _floats([[-x * sum(row) for row in inverse] for x in columns])
        value, slope = run(cr.value_and_grad(lambda a: np.sum(np.linalg.inv(a))))(a)
        assert value == pytest.approx(float(sum(columns)), rel=1e-14)
        np.testing.assert_allclose(slope, wanted, rtol=1e-14, atol=1e-300)


def test_the_logarithm_of_the_determinant_of_a_gram_matrix_has_its_digits():
    """a.T @ a was singular in floating point: -31.66 instead of -32.24."""
    a = np.array([[1.0, 2.0], [2.0, 4.0000001]])
    f = lambda a: np.log(np.linalg.det(a.T @ a))
    wanted = 2 * np.log(float(abs(_determinant(_exact(a)))))
    for run in (lambda f: f, cr.compile, lambda f: lambda a: [x[0] for x in cr.vmap(f)(a[None])]):
        value, slope = run(cr.value_and_grad(f))(a)
        assert value == pytest.approx(wanted, rel=1e-15)
        np.testing.assert_allclose(slope, 2 * _floats(_inverse(_exact(a))).T, rtol=1e-14)


def test_the_logarithm_of_a_determinant_near_one_has_its_digits():
    a = np.array([[1.0, 0.3], [0.2, 1.0]])
    f = lambda a: np.log(np.linalg.det(np.eye(2) + 1e-9 * a))
    e = Fraction(1e-9)
    small = float(e * 2 + e * e * (1 - Fraction(0.3) * Fraction(0.2)))
    assert cr.value_and_grad(f)(a)[0] == pytest.approx(np.log1p(small), rel=1e-15)


def test_a_solution_of_a_system_that_is_nearly_singular_has_its_digits():
    b = np.arange(1.0, 4.0)
    inverse = _inverse(_exact(NEAR))
    wanted = sum(Fraction(x) * inverse[i][j] * Fraction(y)
                 for i, x in enumerate(b) for j, y in enumerate(b))  # fmt: skip
    value, _ = cr.value_and_grad(lambda a: b @ np.linalg.solve(a, b))(NEAR)
    assert value == pytest.approx(float(wanted), rel=1e-15)


def test_a_cholesky_factor_has_its_digits():
    factor = cr.value_and_grad(lambda a: np.linalg.cholesky(a)[2, 2])(NEAR)[0]
    minor = _determinant(_exact(NEAR[:2, :2]))
    assert factor == pytest.approx(float(_determinant(_exact(NEAR)) / minor) ** 0.5, rel=1e-15)


def test_second_derivatives_of_determinants_are_polynomials():
    line = lambda t: np.linalg.det(NEAR + t * np.outer(np.arange(3.0), np.ones(3)))
    assert cr.grad(cr.grad(line))(0.5) == pytest.approx(0.0, abs=1e-13)
    cube = lambda t: np.linalg.det(t * np.eye(3) - NEAR)
    assert cr.grad(cr.grad(cube))(1.0) == pytest.approx(0.0, abs=1e-12)


def _wide(a):
    return to_wide(a, type_of(a))


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_wide_linear_algebra_is_that_of_floats(rows):
    a = np.random.default_rng(rows).normal(size=(2, rows, rows)) + 2 * np.eye(rows)
    b = a @ np.swapaxes(a, -1, -2)
    plain = {"adjoint": True, "raises": True}
    pairs = [
        (matrices.inv(_wide(a), raises=True), np.linalg.inv(a)),
        (matrices.det(_wide(a)), np.linalg.det(a)),
        (matrices.solve(_wide(a), _wide(b), **plain), np.linalg.solve(np.swapaxes(a, -1, -2), b)),
        (matrices.cholesky(_wide(b), upper=False), np.linalg.cholesky(b)),
        (matrices.cholesky(_wide(b), upper=True), np.linalg.cholesky(b, upper=True)),
        (matrices.adjugate(_wide(a)), np.linalg.inv(a) * np.linalg.det(a)[:, None, None]),
        (matrices.triangular_solve(_wide(a), _wide(b), lower=False, unit_diagonal=True,
                                   adjoint=False, raises=True),
         np.linalg.solve(np.triu(a, 1) + np.eye(rows), b)),
        *zip(matrices.slogdet(_wide(a)), np.linalg.slogdet(a), strict=True),
    ]  # fmt: skip
    for found, wanted in pairs:
        np.testing.assert_allclose(to_host(found, type_of(wanted)), wanted, rtol=1e-10, atol=1e-13)


def test_a_singular_matrix_of_whole_numbers_has_the_determinant_zero():
    a = np.arange(9.0).reshape(3, 3)
    assert matrices.det(_wide(a)).is_zero
    with pytest.raises(Undecided), precision(128):
        matrices.inv(_wide(a), raises=True)
    assert cr.grad(np.linalg.det)(a) == pytest.approx(np.array([[-3, 6, -3], [6, -12, 6],
                                                                [-3, 6, -3.0]]))  # fmt: skip
