"""Eigenvalues and singular values that are equal at the limit, against matrices of numbers."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.germs.spectral import diagonalised
from tests.germs.sides import mean, sides


def _series(n, terms, seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(-3, 4, (terms, n, n)).astype(float)
    return a + np.swapaxes(a, 1, 2)


@pytest.mark.parametrize(
    "first",
    [np.diag([1.0, 1, 1, 2]), np.zeros((4, 4)), np.ones((4, 4)), np.diag([1.0, 2, 1, 2])],
)
@pytest.mark.parametrize("again", [False, True])
def test_a_series_of_symmetric_matrices_is_diagonalised(first, again):
    a = _series(4, 6, seed=3)
    a[0] = first
    if again:
        a[1] = first  # equal in two orders
    values, vectors, known = diagonalised(a)
    errors, lengths = [], []
    for s in (2.0**-10, 2.0**-12):
        power = s ** np.arange(6)[:, None, None]
        matrix, turned = np.sum(a * power, axis=0), np.sum((vectors * power)[:known], axis=0)
        found = np.sum(values * power[:, :, 0], axis=0)
        assert found == pytest.approx(np.linalg.eigvalsh(matrix), abs=200 * s**4)
        errors.append(np.abs(turned.T @ matrix @ turned - np.diag(found)).max())
        lengths.append(np.abs(turned.T @ turned - np.eye(4)).max())
    for first, second in (errors, lengths):  # s falls by 4
        assert second < 1e-12 or second < first / 3**known


def test_the_largest_eigenvalue_of_the_unit_matrix():
    plus, minus = sides(lambda x: np.linalg.eigvalsh(x)[-1], np.eye(2))
    for side in (plus[0], minus[0]):  # v v^T, read in the lower triangle
        full = (side + side.T) / 2
        assert np.linalg.eigvalsh(full) == pytest.approx([0, 1], abs=1e-14)
    assert plus[0] + minus[0] == pytest.approx(np.eye(2))


def test_functions_of_a_matrix_do_not_depend_on_the_choice_of_vectors():
    weights = np.array([[1.0, 2.0], [2.0, 5.0]])

    def exponential(a):
        values, vectors = np.linalg.eigh((a + a.T) / 2)
        return np.sum((vectors * np.exp(values)) @ vectors.T * weights)

    assert mean(exponential, 0.3 * np.eye(2)) == pytest.approx(np.exp(0.3) * weights)

    def cube(a):
        u, s, vh = np.linalg.svd(a)
        return np.sum((u * s**3) @ vh * weights)

    truth = 2 * weights + weights.T  # of sum(weights * (a a^T a)) at the unit matrix
    assert mean(cube, np.eye(2)) == pytest.approx(truth)


def test_spectral_and_nuclear_norms():
    a = np.ones((2, 2))
    assert mean(lambda x: np.linalg.norm(x, "nuc"), a) == pytest.approx(a / 2)
    plus, _ = sides(lambda x: np.linalg.norm(x, "nuc"), np.zeros((2, 3)))
    assert plus[0] @ plus[0].T == pytest.approx(np.eye(2))
    plus, _ = sides(lambda x: np.linalg.norm(x, 2), np.eye(3))
    assert np.linalg.svd(plus[0], compute_uv=False) == pytest.approx([1, 0, 0], abs=1e-12)


SMOOTH = [  # sums over all values, each from an operation of its own, and the gradient at 2 times 1
    (lambda x: np.linalg.norm(x, 2) + np.linalg.svd(x)[1][-1], 1.0),
    (lambda x: np.linalg.svd(x)[1][0] + np.linalg.svd(3 * x.T, compute_uv=False)[1] / 3, 1.0),
    (lambda x: np.linalg.eigvalsh(x)[-1] - np.linalg.eigvalsh(-x)[-1], 1.0),
    (lambda x: np.linalg.eigh(x)[0][0] ** 2 + np.linalg.eigvalsh(x)[1] ** 2, 4.0),
    (lambda x: np.linalg.norm(x, 2) * np.linalg.norm(x, -2), 2.0),  # |det x|
]


@pytest.mark.parametrize(("f", "slope"), SMOOTH)
@pytest.mark.parametrize("kinks", ["exact", "raise"])
def test_equal_values_of_two_operations_are_kept_apart_alike(f, slope, kinks):
    a = 2 * np.eye(2)
    for derivative in (cr.grad(f, kinks=kinks), cr.compile(cr.grad(f, kinks=kinks))):
        assert derivative(a) == pytest.approx(slope * np.eye(2), abs=1e-13)
    way = np.array([[0.5, 0.0], [0.0, 1.5]])
    assert cr.jvp(f, (a,), (way,), kinks=kinks)[1] == pytest.approx(2 * slope, abs=1e-13)


def test_the_largest_of_equal_eigenvalues_has_no_derivative():
    with pytest.raises(cr.errors.NotDifferentiable, match="eigh"):
        cr.grad(lambda x: np.linalg.eigvalsh(x)[-1], kinks="raise")(np.eye(3))
    a, b = [cr.grad(lambda x, k=k: np.linalg.eigvalsh(x)[k])(np.eye(3)) for k in (0, 2)]
    assert np.trace(a) == pytest.approx(1)  # a member of the subdifferential
    assert np.linalg.eigvalsh((b + b.T) / 2).min() > -1e-14
