"""Coloured sparse Jacobians kept on disk: found once, right again, and for nothing else."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import derived as derived_programs
from chainrule.transforms import sparse_jacobian
from chainrule.transforms.colouring import colour

ROWS = np.array([3, 0, 2, 2])
X = np.array([0.5, -2.0, 1.5, 0.25])


@pytest.fixture(autouse=True)
def coloured(monkeypatch, tmp_path):
    """The patterns that are coloured, as dense matrices."""
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "kept"))
    patterns: list = []

    def noting(matrix, *rest):
        patterns.append(matrix.toarray())
        return colour(matrix, *rest)

    monkeypatch.setattr(sparse_jacobian, "colour", noting)
    return patterns


@pytest.fixture
def entries(tmp_path):
    """The files of the cache."""
    return lambda: sorted(p for p in (tmp_path / "kept").iterdir() if p.is_file())


def anew(f, *args):
    """As in another process: nothing is in memory but what is on disk."""
    derived_programs._cache.clear()
    return cr.compile(f)(*args)


def gathered(rows, factor=1.0):
    return cr.jacobian(lambda x: factor * x[rows] ** 2, sparse=True)


def gathered_jacobian(rows, x, factor=1.0):
    made = np.zeros((len(rows), len(x)))
    made[np.arange(len(rows)), rows] = 2 * factor * x[rows]
    return made


def check(found, wanted):
    np.testing.assert_allclose(found.toarray(), wanted, rtol=1e-14)
    assert found.nnz == np.count_nonzero(wanted)


def test_a_pattern_is_coloured_once(coloured):
    for _ in range(2):
        check(anew(gathered(ROWS), X), gathered_jacobian(ROWS, X))
    assert len(coloured) == 1


def test_other_arguments_have_the_same_pattern(coloured):
    for x in (X, X + 1.0):
        check(anew(gathered(ROWS), x), gathered_jacobian(ROWS, x))
    assert len(coloured) == 1


def test_other_indices_have_another_pattern(coloured):
    for rows in (ROWS, ROWS[::-1].copy(), ROWS):
        check(anew(gathered(rows), X), gathered_jacobian(rows, X))
    assert len(coloured) == 2


def test_of_a_matrix_its_zeros_count_and_its_numbers_do_not(coloured):
    first = np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 3.0, 0.0, 4.0]])
    other = first.copy()
    other[0, 1] = 5.0
    for matrix in (first, 2.0 * first, other):
        found = anew(cr.jacobian(lambda x, m=matrix: m @ x**2, sparse=True), X)
        check(found, matrix * (2 * X))
    assert len(coloured) == 2


@pytest.mark.parametrize("mode", ["forward", "reverse", "mixed"])
def test_modes_are_told_apart(mode, coloured):
    def f(x):
        return x[1:] * x[:-1]

    for _ in range(2):
        found = anew(cr.jacobian(f, mode=mode, sparse=True), X)
        check(found, np.diag(X[1:], 0) @ np.eye(3, 4) + np.diag(X[:-1]) @ np.eye(3, 4, 1))
        anew(cr.jacobian(f, sparse=True), X)
    assert len(coloured) == 2


def test_blocks_of_several_outputs_and_inputs_are_kept(coloured):
    def f(x, y):
        return x[ROWS] * y, np.sum(y, axis=0)

    y = np.array([1.0, 2.0, 3.0, 4.0])
    for _ in range(2):
        (a, b), (c, d) = anew(cr.jacobian(f, (0, 1), sparse=True), X, y)
        np.testing.assert_allclose(a.toarray(), y[:, None] * np.eye(4)[ROWS])
        np.testing.assert_allclose(b.toarray(), np.diag(X[ROWS]))
        assert c.nnz == 0 and c.shape == (1, 4)
        np.testing.assert_allclose(d.toarray(), np.ones((1, 4)))
    assert len(coloured) == 1


def test_a_hessian_is_kept(coloured):
    for _ in range(2):
        found = anew(cr.hessian(lambda x: np.sum(x[1:] ** 2 * x[:-1]), sparse=True), X)
        wanted = np.zeros((4, 4))
        for i in range(3):
            wanted[i + 1, i + 1] += 2 * X[i]
            wanted[i + 1, i] += 2 * X[i + 1]
            wanted[i, i + 1] += 2 * X[i + 1]
        np.testing.assert_allclose(found.toarray(), wanted, rtol=1e-14)
    assert len(coloured) == 1


def test_a_tie_is_settled_by_what_was_kept(coloured):
    x = np.array([0.0, 2.0, -3.0, 1.0])

    def f(x):
        return np.maximum(x, 0.0) - np.maximum(-x, 0.0) + np.abs(x)

    for _ in range(2):
        found = anew(cr.jacobian(f, sparse=True), x)
        np.testing.assert_array_equal(found.toarray(), np.diag([1.0, 2.0, 0.0, 2.0]))
    assert len(coloured) == 1


@pytest.mark.parametrize("damage", ["cut", "changed", "another"])
def test_a_damaged_or_foreign_entry_is_ignored_and_written_anew(damage, coloured, entries):
    anew(gathered(ROWS), X)
    other = {p.name for p in entries()}
    anew(gathered(ROWS[::-1].copy()), X)
    (path,) = [p for p in entries() if p.name not in other]  # of the second colouring
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "changed":
        path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    else:
        path.write_bytes(entries()[0].read_bytes() if entries()[0] != path else b"")
    for _ in range(2):
        check(anew(gathered(ROWS[::-1].copy()), X), gathered_jacobian(ROWS[::-1], X))
    assert len(coloured) == 3
    assert path.read_bytes() == whole


def test_nothing_is_kept_in_a_folder_that_others_may_read(coloured, tmp_path):
    (tmp_path / "kept").mkdir(mode=0o755)
    for _ in range(2):
        check(anew(gathered(ROWS), X), gathered_jacobian(ROWS, X))
    assert len(coloured) == 2
    assert not list((tmp_path / "kept").iterdir())


def test_outside_of_compiled_functions_nothing_is_kept(coloured, tmp_path):
    for _ in range(2):
        derived_programs._cache.clear()
        check(gathered(ROWS)(X), gathered_jacobian(ROWS, X))
    assert len(coloured) == 2
    assert not (tmp_path / "kept").exists()
