"""jacobian and hessian: mixed mode, sparse results, how many passes they take."""

import sys
import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve

import chainrule as cr
from chainrule import errors
from chainrule.transforms import sparse_jacobian
from chainrule.transforms.colouring import colour

RNG = np.random.default_rng(7)
NARROW, WIDE = RNG.normal(size=(2, 100)), RNG.normal(size=(100, 2))
X = 0.1 * RNG.normal(size=100)


def hourglass(x):
    """R^100 -> R^2 -> R^100."""
    return np.sin(WIDE @ np.tanh(NARROW @ x))


def hourglass_jacobian(x):
    inner = np.tanh(NARROW @ x)
    outer = np.cos(WIDE @ inner)
    return (outer[:, None] * WIDE) @ ((1 - inner**2)[:, None] * NARROW)


def assert_close(found, wanted, tolerance=1e-12):
    scale = max(np.max(np.abs(wanted), initial=0.0), 1e-300)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * scale)


# --- mixed mode ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse", "mixed"])
def test_every_mode_gives_the_closed_form(mode):
    assert_close(cr.jacobian(hourglass, mode=mode)(X), hourglass_jacobian(X))
    assert_close(cr.compile(cr.jacobian(hourglass, mode=mode))(X), hourglass_jacobian(X))


def test_an_hourglass_takes_four_passes():
    assert cr.jacobian(hourglass, mode="mixed").passes(X)[:2] == (2, 2)
    assert cr.jacobian(hourglass).passes(X)[:2] == (2, 2)
    assert cr.jacobian(hourglass, mode="forward").passes(X)[:2] == (100, 0)
    assert cr.jacobian(hourglass, mode="reverse").passes(X)[:2] == (0, 100)


def test_auto_takes_the_cheaper_end_where_nothing_is_narrower():
    assert cr.jacobian(lambda x: np.sum(x**2)).passes(X)[:2] == (0, 1)
    assert cr.jacobian(lambda x: x * np.ones(50)).passes(2.0)[:2] == (1, 0)
    assert cr.jacobian(lambda x: x**2, mode="mixed").passes(X[:5])[:2] in ((5, 0), (0, 5))


def test_the_cut_may_go_through_several_variables():
    def f(x, y):
        a, b = np.sum(x**2), np.sum(np.sin(y))
        return np.outer(a * x, np.ones(1)).ravel()[:1] * np.ones(40), a * b * np.ones(40) + b

    x, y = RNG.normal(size=30), RNG.normal(size=30)
    found = cr.jacobian(f, (0, 1), mode="mixed")
    wanted = cr.jacobian(f, (0, 1), mode="forward")(x, y)
    for row, wanted_row in zip(found(x, y), wanted, strict=True):
        for block, wanted_block in zip(row, wanted_row, strict=True):
            assert_close(block, wanted_block)
    assert sum(found.passes(x, y)[:2]) < 12


def test_an_exact_zero_annihilates_an_infinite_derivative_in_mixed_mode():
    def f(x):
        s = np.sum(x[:2] ** 2)
        return np.where(s > 0, np.sqrt(s), 0.0) * np.ones(9) + np.sum(x)

    x = np.zeros(9)
    assert cr.jacobian(f, mode="mixed").passes(x)[:2] != (9, 0)
    assert np.array_equal(cr.jacobian(f, mode="mixed")(x), np.ones((9, 9)))


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse", "mixed"])
def test_a_spectrum_between_real_ends_moves_by_both_of_its_parts(mode):
    def resampled(x):  # linear: its matrix is its Jacobian
        X = np.fft.rfft(x)[:3] * np.array([1.0, 0.5 - 0.25j, 2j])
        return np.fft.irfft(X, n=12)

    wanted = np.stack([resampled(column) for column in np.eye(10)], axis=1)
    assert_close(cr.jacobian(resampled, mode=mode)(X[:10]), wanted)
    assert_close(cr.compile(cr.jacobian(resampled, mode=mode))(X[:10]), wanted)
    assert cr.jacobian(resampled, mode="mixed").passes(X[:10])[:2] == (6, 6)


def test_mixed_jacobians_compose_with_the_other_transformations():
    batch = np.stack([X, 2 * X])
    assert_close(
        cr.vmap(cr.jacobian(hourglass, mode="mixed"))(batch),
        np.stack([hourglass_jacobian(x) for x in batch]),
    )
    total = lambda mode: lambda x: np.sum(cr.jacobian(hourglass, mode=mode)(x) ** 2)
    assert_close(cr.grad(total("mixed"))(X), cr.grad(total("forward"))(X))


def test_single_and_double_precision_may_meet_at_the_cut():
    x = X.astype(np.float32)
    for f in (lambda x: hourglass(x), lambda x: WIDE.astype(np.float32) @ (NARROW @ x)[:2]):
        found = cr.jacobian(f, mode="mixed")(x)
        assert found.dtype == np.float32
        assert_close(found, cr.jacobian(f, mode="forward")(x), 1e-5)


def test_loops_and_branches_are_cut_like_anything_else():
    def f(x):
        def step(carry, row):
            return np.tanh(carry + row @ x[:3]), carry

        last, _ = cr.scan(step, np.sum(x), RNG_ROWS)
        return np.outer(last, np.ones(30)).ravel() * 2.0

    found = cr.jacobian(f, mode="mixed")
    assert found.passes(X)[:2] == (1, 1)
    assert_close(found(X), cr.jacobian(f, mode="forward")(X))


RNG_ROWS = np.random.default_rng(8).normal(size=(5, 3))


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="'mixed'"):
        cr.jacobian(hourglass, mode="backward")


# --- sparse Jacobians ----------------------------------------------------------------------------


def test_a_sparse_jacobian_is_a_csr_array_of_outputs_by_inputs():
    f = lambda x: (x[1:] - x[:-1] ** 2).reshape(3, 3)
    x = np.arange(10.0).reshape(5, 2)
    found = cr.jacobian(lambda x: f(x.ravel()), sparse=True)(x)
    assert isinstance(found, sparse.csr_array)
    assert (found.shape, found.dtype, found.nnz) == ((9, 10), np.float64, 18)
    assert found.has_sorted_indices
    wanted = np.eye(9, 10, 1) - np.diag(2 * np.arange(10.0))[:9]
    assert np.array_equal(found.toarray(), wanted)


def test_the_passes_are_the_colours():
    assert cr.jacobian(np.sin, sparse=True).passes(X) == (1, 0, 100)
    second = lambda x: x[2:] - 2 * x[1:-1] ** 2 + x[:-2]
    assert cr.jacobian(second, sparse=True).passes(X) == (3, 0, 3 * 98)
    assert cr.jacobian(lambda x: np.sum(x**2), sparse=True).passes(X) == (0, 1, 100)
    arrow = lambda x: np.concatenate([x[:1] * x.sum(), x[0] * x[1:] ** 2])
    assert cr.jacobian(arrow, sparse=True).passes(X) == (2, 1, 298)
    assert cr.jacobian(arrow, mode="forward", sparse=True).passes(X)[:2] == (100, 0)
    assert cr.jacobian(arrow, mode="reverse", sparse=True).passes(X)[:2] == (0, 100)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse", "mixed"])
def test_sparse_jacobians_of_every_mode_are_the_dense_one(mode):
    def f(x):
        return np.concatenate([x[:1] * x.sum(), x[0] * x[1:] ** 2, np.diff(np.exp(x))])

    x = X[:12]
    found = cr.jacobian(f, mode=mode, sparse=True)(x)
    assert_close(found.toarray(), cr.jacobian(f)(x))


def test_trees_of_outputs_and_inputs_have_a_matrix_for_each_pair():
    def f(p, s):
        return {"a": p["u"] * 2, "b": (p["v"].sum() * p["u"], s), "n": 3.0, "i": 3}

    p = {"u": X[:4], "v": X[4:6]}
    found = cr.jacobian(f, (0, 1), sparse=True)(p, 2.0)
    wanted = cr.jacobian(f, (0, 1))(p, 2.0)
    assert found["i"] is None
    assert found["n"][0]["u"].shape == (1, 4)
    assert found["n"][0]["u"].nnz == found["a"][0]["v"].nnz == 0
    for key in (lambda t: t["a"][0]["u"], lambda t: t["b"][0][0]["v"], lambda t: t["b"][1][1],
                lambda t: t["a"][1], lambda t: t["n"][0]["v"]):  # fmt: skip
        block, dense = key(found), np.asarray(key(wanted))
        assert_close(block.toarray(), dense.reshape(block.shape))


def test_a_pattern_follows_its_indices():
    f = lambda x, i: x[i] ** 2
    found = cr.jacobian(f, sparse=True)
    for rows in (np.array([0, 1, 1]), np.array([2, 2, 0]), np.array([0, 1, 1])):
        assert np.array_equal(found(X, rows).indices, rows)
        assert_close(found(X, rows).toarray(), cr.jacobian(f)(X, rows))


def test_a_pattern_follows_the_zeros_of_a_matrix():
    found = cr.jacobian(lambda x, a: a @ x**2, sparse=True)
    for a in (np.eye(3), np.array([[0.0, 2.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])):
        made = found(X[:3], a)
        assert made.nnz == np.count_nonzero(a)
        assert_close(made.toarray(), a * 2 * X[:3])


def test_what_the_caller_does_to_a_result_does_not_change_the_next():
    found = cr.jacobian(lambda x: x[1:] * x[:-1], sparse=True)
    first = found(np.zeros(4))
    first.eliminate_zeros()
    first.indices[:] = 0
    wanted = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 2.0, 1.0, 0.0], [0.0, 0.0, 3.0, 2.0]])
    assert np.array_equal(found(np.arange(4.0)).toarray(), wanted)


def test_float32_stays_float32():
    x = np.ones(5, np.float32)
    assert cr.jacobian(lambda x: x[1:] * x[:-1], sparse=True)(x).dtype == np.float32


def test_empty_arguments_and_results_have_empty_matrices():
    assert cr.jacobian(lambda x: x * 2.0, sparse=True)(np.zeros(0)).shape == (0, 0)
    assert cr.jacobian(lambda x: x[:0], sparse=True)(X).shape == (0, 100)
    assert cr.jacobian(lambda x: np.ones(3), sparse=True)(X).nnz == 0


def test_effects_are_applied_once():
    def f(x, log):
        log += 1.0
        return x[1:] * x[:-1]

    log = np.zeros(2)
    cr.jacobian(f, sparse=True)(X, log)
    assert np.array_equal(log, np.ones(2))


def test_complex_arguments_are_refused():
    with pytest.raises(errors.NotSupported, match="real and imaginary"):
        cr.jacobian(lambda x: x**2, sparse=True)(X + 1j)


def test_a_bound_on_memory_is_refused_with_sparse():
    with pytest.raises(errors.NotSupported, match="sparse"):
        cr.jacobian(lambda x: x**2, sparse=True, memory="1MB")


def test_a_sparse_newton_step_solves_a_boundary_value_problem():
    """u'' = exp(u), u(0) = u(1) = 0, by finite differences: 1000 unknowns, three colours."""
    size = 1000
    h = 1.0 / (size + 1)

    def residual(u):
        full = np.concatenate([np.zeros(1), u, np.zeros(1)])
        return (full[2:] - 2 * full[1:-1] + full[:-2]) / h**2 - np.exp(u)

    step = cr.jacobian(residual, sparse=True)
    u = np.zeros(size)
    for _ in range(5):
        u = u - spsolve(step(u).tocsc(), residual(u))
    assert np.max(np.abs(residual(u))) < 1e-6
    assert step.passes(u) == (3, 0, 3 * size - 2)


# --- compiled ------------------------------------------------------------------------------------

ROWS = np.random.default_rng(9).integers(0, 20, 40)


def test_a_compiled_sparse_jacobian_gives_a_csr_array():
    made = cr.compile(cr.jacobian(lambda x: x[ROWS] * x[(ROWS + 1) % 20], sparse=True))
    for scale in (1.0, 2.0):
        found, x = made(scale * X[:20]), scale * X[:20]
        assert isinstance(found, sparse.csr_array)
        assert_close(found.toarray(), cr.jacobian(lambda x: x[ROWS] * x[(ROWS + 1) % 20])(x))


def test_code_that_finds_a_pattern_is_not_noted(monkeypatch):
    """It is none of the user's, and every call in it would take thrice as long."""
    profiles = []

    def coloured(*given):
        profiles.append(sys.getprofile())
        return colour(*given)

    monkeypatch.setattr(sparse_jacobian, "colour", coloured)
    cr.compile(cr.jacobian(lambda x: x[ROWS] * np.cos(x[ROWS]), sparse=True))(np.ones(20))
    assert profiles == [sys.getprofile()]


def test_a_compiled_sparse_hessian_gives_a_csr_array():
    f = lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    made = cr.compile(cr.hessian(f, sparse=True))
    assert_close(made(X).toarray(), cr.hessian(f)(X))
    assert_close(made(-X).toarray(), cr.hessian(f)(-X))


def test_compiled_code_notices_that_small_index_arrays_have_changed():
    rows = np.arange(20)
    made = cr.compile(cr.jacobian(lambda x: x[rows] ** 2, sparse=True))
    made(X[:20])
    rows[:] = rows[::-1].copy()
    assert_close(made(X[:20]).toarray(), np.diag(2 * X[:20])[::-1])


def test_compiled_code_refuses_large_index_arrays_that_have_changed():
    rows = np.arange(20_000) % 20
    made = cr.compile(cr.jacobian(lambda x: x[rows] ** 2, sparse=True))
    made(X[:20])
    rows[0] = 3
    with pytest.raises(errors.MutationError, match="compile the function again"):
        made(X[:20])


def test_large_matrices_may_change_where_they_are_not_zero():
    a = np.diag(np.ones(100))
    made = cr.compile(cr.jacobian(lambda x: a @ x**2, sparse=True))
    assert made(X).nnz == 100
    a[5, 5] = 3.0
    assert_close(made(X).toarray(), a * 2 * X)
    a[5, 6] = 3.0
    with pytest.raises(errors.MutationError):
        made(X)


def test_indices_as_arguments_of_compiled_code_have_a_pattern_for_each_call():
    f = lambda x, i: x[i] ** 2
    made = cr.compile(cr.jacobian(f, sparse=True))
    with pytest.warns(RuntimeWarning, match=r"test_jacobians.py:\d+"):
        assert_close(made(X, ROWS).toarray(), cr.jacobian(f)(X, ROWS))
    assert_close(made(X, ROWS[::-1].copy()).toarray(), cr.jacobian(f)(X, ROWS[::-1]))


def test_a_sparse_jacobian_is_multiplied_inside_a_compiled_function():
    f = lambda x: x[1:] * x[:-1]
    made = cr.compile(lambda x: cr.jacobian(f, sparse=True)(x) @ x)
    assert_close(made(X), cr.jacobian(f)(X) @ X)
    total = lambda x: np.sum(cr.jacobian(f, sparse=True)(x).toarray() ** 2)
    assert_close(cr.grad(total)(X), cr.grad(lambda x: np.sum(cr.jacobian(f)(x) ** 2))(X))
    with pytest.raises(errors.ShapeError):
        cr.grad(lambda x: np.sum(cr.jacobian(f, sparse=True)(x) @ x[:3]))(X)


def test_vmap_of_a_sparse_jacobian_is_refused():
    with pytest.raises(errors.NotSupported, match="toarray"):
        cr.vmap(cr.jacobian(lambda x: x**2, sparse=True))(np.ones((3, 4)))
    one = lambda x: cr.jacobian(lambda x: x**2, sparse=True)(x).toarray()
    dense = cr.vmap(one)(np.ones((3, 4)))
    assert np.array_equal(dense, np.stack([2 * np.eye(4)] * 3))


# --- sparse Hessians -----------------------------------------------------------------------------


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_the_hessian_of_rosenbrock_in_closed_form():
    size = 50
    x = X[:size]
    diagonal = np.full(size, 200.0)
    diagonal[:-1] += 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    diagonal[-1] = 200.0
    diagonal[0] -= 200.0
    beside = -400 * x[:-1]
    wanted = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    found = cr.hessian(rosenbrock, sparse=True)
    assert isinstance(found(x), sparse.csr_array)
    assert_close(found(x).toarray(), wanted)
    assert found.passes(x) == (3, 0, 3 * size - 2)


def test_an_arrow_takes_two_colours():
    f = lambda x: np.sum(x[1:] * x[0] ** 2) + np.sum(x**3)
    found = cr.hessian(f, sparse=True)
    assert found.passes(X)[:2] == (2, 0)
    assert_close(found(X).toarray(), cr.hessian(f)(X))


FUNCTIONS = {
    "chain": lambda x: np.sum(np.sin(x[1:] * x[:-1])),
    "grid": lambda x: np.sum(np.diff(x.reshape(10, 10), axis=0) ** 4)
    + np.sum(np.diff(x.reshape(10, 10), axis=1) ** 4),
    "separable": lambda x: np.sum(np.cosh(x)),
    "pairs": lambda x: np.sum(np.exp(x[::2] * x[1::2])),
    "linear": lambda x: np.sum(3.0 * x),
    "piecewise": lambda x: np.sum(np.where(x > 0, x**3, x**2) * np.roll(x, 1)),
    "gathered": lambda x: np.sum(x[ROWS] ** 2 * x[(ROWS + 7) % 100]),
    "quadratic form": lambda x: x @ (TRIDIAGONAL @ x),
    "fori": lambda x: cr.fori_loop(0, 99, lambda i, s: s + x[i] ** 2 * x[i + 1], 0.0),
}  # fmt: skip
TRIDIAGONAL = np.diag(np.arange(100.0)) + np.diag(np.ones(99), 1) + np.diag(np.ones(99), -1)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_sparse_hessians_are_the_dense_ones(name):
    f = FUNCTIONS[name]
    found = cr.hessian(f, sparse=True)
    assert_close(found(X).toarray(), cr.hessian(f)(X))
    assert sum(found.passes(X)[:2]) <= 8


def test_the_hessian_of_several_arguments_has_a_matrix_for_each_pair():
    f = lambda x, y: np.sum(x**2 * y) + np.sum(y[1:] ** 2 * y[:-1])
    x, y = X[:6], X[6:12]
    for argnums in ((0, 1), (1, 0)):
        found = cr.hessian(f, argnums, sparse=True)(x, y)
        wanted = cr.hessian(f, argnums)(x, y)
        for i in (0, 1):
            for j in (0, 1):
                assert_close(found[i][j].toarray(), wanted[i][j])


def test_a_sparse_function_of_many_variables_costs_little():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cr.hessian(rosenbrock, sparse=True)(np.zeros(20_000))
    assert found.shape == (20_000, 20_000)
    assert found.nnz == 3 * 20_000 - 2


# --- kinks ---------------------------------------------------------------------------------------


def test_sparse_derivatives_are_right_at_kinks():
    """relu(x) - relu(-x) is x: its slope at 0 is 1."""
    relu = lambda x: np.maximum(x, 0.0)
    f = lambda x: (relu(x) - relu(-x)) * np.roll(x + 1.0, 1)
    x = np.zeros(4)
    wanted = cr.jacobian(lambda x: x * np.roll(x + 1.0, 1))(x)
    assert np.array_equal(cr.jacobian(f, sparse=True)(x).toarray(), wanted)
    assert np.array_equal(cr.compile(cr.jacobian(f, sparse=True))(x).toarray(), wanted)
    with pytest.raises(errors.NotDifferentiable):
        cr.jacobian(lambda x: abs(x), sparse=True, kinks="raise")(x)
    steep = lambda x: np.sum((relu(x) - relu(-x)) ** 2 * (x + 1.0))
    found = cr.hessian(steep, sparse=True)(x)
    assert_close(found.toarray(), cr.hessian(steep)(x))
