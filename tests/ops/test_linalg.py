"""Derivatives of linear algebra: each function of np.linalg and cr.linalg, real and complex."""

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule import linalg
from chainrule.numpy.versions import FROM_2_5
from chainrule.program.op import REGISTRY
from tests.ops.differentiation import check_derivatives, error, random_array

RNG = np.random.default_rng(20)


def draw(shape, is_complex):
    return random_array(RNG, shape, is_complex)


def hermitian(a):
    return a @ a.conj().T + np.eye(len(a))


def invariants_of_eigh(a):
    values, vectors = np.linalg.eigh(a, "U")
    return (
        values,
        vectors[:, :1] @ vectors[:, :1].conj().T,
        (vectors * np.exp(values)) @ vectors.conj().T,
    )


def invariants_of_svd(a):
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return s, u[:, :1] @ vh[:1], u[:, :2] @ u[:, :2].conj().T, u @ vh


def invariants_of_full_svd(a):
    u, s, vh = np.linalg.svd(a)
    k = s.shape[0]
    return u[:, k:] @ u[:, k:].conj().T, vh[k:].conj().T @ vh[k:]


def invariants_of_hermitian_svd(a):
    u, s, vh = np.linalg.svd(a, hermitian=True)
    return s, u @ vh


def cases(c):
    """(name, function, arguments) for real (c = False) and complex matrices."""
    square, two, stack = draw((3, 3), c) + 2 * np.eye(3), draw((3, 2), c), draw((2, 3, 3), c)
    stack, vector, definite = stack + 2 * np.eye(3), draw((3,), c), hermitian(square)
    la = np.linalg
    yield "solve", la.solve, square, two
    yield "solve a vector", la.solve, square, vector
    yield "solve stacks", la.solve, stack, two
    yield "solve many right sides", la.solve, square, draw((2, 3, 2), c)
    yield "inv", la.inv, square
    yield "det", la.det, stack
    yield "slogdet", la.slogdet, square
    yield "cholesky", la.cholesky, definite
    yield "cholesky upper", lambda a: la.cholesky(a, upper=True), definite
    yield "eigvalsh", la.eigvalsh, definite
    yield "eigvalsh of the upper triangle", lambda a: la.eigvalsh(a, "U"), square
    yield "eigh", la.eigh, square
    yield "eigh of the upper triangle", lambda a: la.eigh(a, "U"), square
    yield "invariants of eigh", invariants_of_eigh, square
    separate = 0.3 * draw((3, 3), c) + np.diag([1, 3, 6])  # eigenvalues keep their order
    yield "eigvals", la.eigvals, separate + 0j
    yield "eig", la.eig, separate + 0j
    yield "svd hermitian", invariants_of_hermitian_svd, square
    yield "pinv hermitian", lambda a: la.pinv(a, hermitian=True), definite
    yield "expm", linalg.expm, square
    yield "solve_triangular", lambda a, b: linalg.solve_triangular(a, b, lower=True), square, two
    yield "solve_triangular T", lambda a, b: linalg.solve_triangular(a, b, "T"), square, two
    yield (
        "solve_triangular C",
        lambda a, b: linalg.solve_triangular(a, b, 2, unit_diagonal=True), square, vector,
    )  # fmt: skip
    yield "cho_solve", lambda a, b: linalg.cho_solve(linalg.cho_factor(a), b), definite, vector
    yield (
        "cho_solve lower",
        lambda a, b: linalg.cho_solve(linalg.cho_factor(a, True), b), definite, two,
    )  # fmt: skip
    for shape in ((3, 3), (4, 2), (2, 4)):
        a, b = draw(shape, c), draw((shape[0], 2), c)
        yield f"qr {shape}", la.qr, a
        yield f"qr complete {shape}", lambda a: la.qr(a, "complete"), a
        yield f"qr r {shape}", lambda a: la.qr(a, "r"), a
        yield f"svdvals {shape}", la.svdvals, a
        yield f"svd {shape}", lambda a: la.svd(a, full_matrices=False), a
        yield f"invariants of svd {shape}", invariants_of_svd, a
        yield f"svd full {shape}", invariants_of_full_svd, a
        yield f"pinv {shape}", la.pinv, a
        yield f"lstsq {shape}", lambda a, b: la.lstsq(a, b)[0], a, b
    for order in (None, "fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf):
        yield f"norm {order}", lambda a, order=order: la.norm(a, order), square
    for order in (None, 1, 2, 3, 0.5, -1.5, np.inf, -np.inf):
        yield (
            f"norm of rows {order}",
            lambda a, order=order: la.norm(a, order, axis=1, keepdims=True), square,
        )  # fmt: skip
    for order in (None, -2, 1, np.inf, "fro"):
        yield f"cond {order}", lambda a, order=order: la.cond(a, order), square
    yield "vector_norm", lambda a: la.vector_norm(a, axis=(0, 2)), stack
    yield "matrix_norm", lambda a: la.matrix_norm(a, keepdims=True), stack
    for n in (0, 1, 2, 3, 5, -2):
        yield f"matrix_power {n}", lambda a, n=n: la.matrix_power(a, n), stack
    chain = draw((3,), c), draw((3, 4), c), draw((4, 2), c), draw((2, 3), c)
    yield "multi_dot", lambda *chain: la.multi_dot(chain), *chain
    yield "multi_dot of three", lambda *chain: la.multi_dot(chain), *chain[1:]
    yield "tensorsolve", la.tensorsolve, draw((2, 3, 6), c), draw((2, 3), c)
    yield "tensorinv", lambda a: la.tensorinv(a, 1), draw((6, 2, 3), c)
    yield "vecdot", la.vecdot, square, vector
    yield "matmul", la.matmul, stack, two
    yield "outer", la.outer, vector, vector
    yield "cross", la.cross, square, square
    yield "trace", la.trace, stack
    yield "diagonal", lambda a: la.diagonal(a, offset=1), stack
    yield "matrix_transpose", la.matrix_transpose, stack
    yield "tensordot", la.tensordot, stack, square


CASES = [(name, f, a, c) for c in (False, True) for name, f, *a in cases(c)]
IDS = [f"{name}{' complex' if c else ''}" for name, _, _, c in CASES]


@pytest.mark.parametrize(("f", "arguments"), [(f, a) for _, f, a, _ in CASES], ids=IDS)
def test_every_derivative_is_right(f, arguments):
    check_derivatives(f, *arguments, step=0.002)  # farther off, LAPACK's signs may change


def test_lstsq_gives_residuals_with_a_derivative():
    a, b = draw((5, 2), False), draw((5, 3), False)
    check_derivatives(lambda a, b: np.linalg.lstsq(a, b)[1], a, b, batched=False)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize("name", ["inv", "det", "svdvals", "pinv", "eigvalsh"])
def test_single_precision_stays_single(name, dtype):
    a = (draw((3, 3), dtype == np.complex64) + 3 * np.eye(3)).astype(dtype)
    f = getattr(np.linalg, name)
    y, pullback = cr.vjp(f, a)
    (gradient,) = pullback(y)
    wide = np.result_type(dtype, np.float64)
    _, precise = cr.vjp(f, a.astype(wide))
    assert gradient.dtype == dtype
    assert error(gradient, precise(np.asarray(y).astype(np.result_type(y, np.float64)))) < 1e-4


# --- exact values --------------------------------------------------------------------------------


def test_grad_of_det_is_the_transposed_adjugate():
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(cr.grad(np.linalg.det)(a), [[4, -3], [-2, 1]], rtol=1e-14)


def test_grad_of_logdet_is_the_transposed_inverse():
    a = hermitian(draw((4, 4), False))
    found = cr.grad(lambda a: np.linalg.slogdet(a)[1])(a)
    np.testing.assert_allclose(found, np.linalg.inv(a).T, rtol=1e-13)


def test_expm_derivative_agrees_with_mpmath():
    a, e = draw((3, 3), False), 50 * draw((3, 3), False)
    _, found = cr.jvp(linalg.expm, (a,), (e,))
    with mpmath.workdps(40):
        h = mpmath.mpf(10) ** -15
        a, e = mpmath.matrix(a.tolist()), mpmath.matrix(e.tolist())
        truth = (mpmath.expm(a + h * e) - mpmath.expm(a - h * e)) / (2 * h)
        truth = np.array(truth.tolist(), float)
    np.testing.assert_allclose(found, truth, rtol=1e-12)


def test_grad_of_solve_is_two_solves():
    a, b, ct = draw((3, 3), False), draw((3,), False), draw((3,), False)
    _, pullback = cr.vjp(np.linalg.solve, a, b)
    of_a, of_b = pullback(ct)
    np.testing.assert_allclose(of_b, np.linalg.solve(a.T, ct), rtol=1e-13)
    np.testing.assert_allclose(of_a, -np.outer(of_b, np.linalg.solve(a, b)), rtol=1e-13)


# --- triangles -----------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [np.linalg.cholesky, np.linalg.eigvalsh])
def test_the_cotangent_lands_on_the_triangle_that_is_read(f):
    a = hermitian(draw((3, 3), False))
    gradient = cr.grad(lambda a: np.sum(f(a) ** 3))(a)
    assert np.all(np.triu(gradient, 1) == 0)
    assert np.all(gradient[np.tril_indices(3)] != 0)


def test_the_upper_triangle_is_read_where_it_is_asked_for():
    a = hermitian(draw((3, 3), False))
    for f in (
        lambda a: np.linalg.cholesky(a, upper=True),
        lambda a: np.linalg.eigh(a, UPLO="U").eigenvalues,
    ):
        gradient = cr.grad(lambda a, f=f: np.sum(f(a) ** 2))(a)
        assert np.all(np.tril(gradient, -1) == 0)


# --- eigenvectors, as LAPACK normalises them -----------------------------------------------------


def test_real_eigenvectors_of_a_real_matrix():
    a = np.array([[2.0, 1.0, 0.5], [0.3, 3.0, 1.0], [0.2, 0.7, 5.0]])
    check_derivatives(np.linalg.eig, a, batched=False)
    wanted = np.linalg.eig(a).eigenvectors.dtype  # complex from NumPy 2.5 on
    assert cr.jvp(np.linalg.eig, (a,), (a,))[1].eigenvectors.dtype == wanted


def test_complex_eigenvectors_of_a_real_matrix():
    a = np.array([[1.0, 2.0, 0.3], [-3.0, 1.5, 0.7], [0.1, 0.4, 2.0]])
    check_derivatives(np.linalg.eig, a, batched=False)


@pytest.mark.skipif(FROM_2_5, reason="eigvals is always complex from NumPy 2.5 on")
def test_eig_of_a_real_matrix_needs_its_values():
    with pytest.raises(cr.errors.ConcreteValueNeeded, match="depends on its values"):
        turn = lambda _, a: a * np.sum(np.linalg.eigvals(a))
        cr.compile(lambda a: cr.fori_loop(0, 2, turn, a))(np.ones((3, 3)))


# --- singular and deficient matrices -------------------------------------------------------------


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_det_at_singular_matrices(rank, is_complex):
    a = draw((4, rank), is_complex) @ draw((rank, 4), is_complex)
    check_derivatives(np.linalg.det, a)


def test_third_derivative_of_det_at_zero_is_the_permutation_symbol():
    found = cr.jacobian(cr.hessian(np.linalg.det))(np.zeros((3, 3)))
    expected = np.zeros((3,) * 6)
    for p in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)):
        sign = round(np.linalg.det(np.eye(3)[list(p)]))
        for r in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)):
            expected[r[0], p[r[0]], r[1], p[r[1]], r[2], p[r[2]]] = sign
    np.testing.assert_allclose(found, expected, atol=1e-14)


@pytest.mark.parametrize("is_complex", [False, True])
def test_pinv_and_lstsq_at_deficient_rank(is_complex):
    tall, wide, b = draw((4, 2), is_complex), draw((2, 3), is_complex), draw((4,), is_complex)
    check_derivatives(lambda p, q: np.linalg.pinv(p @ q), tall, wide)
    check_derivatives(lambda p, q, b: np.linalg.lstsq(p @ q, b)[0], tall, wide, b)


def test_qr_complete_of_a_matrix_that_is_triangular_already():
    a = np.triu(draw((4, 2), False)) + np.eye(4, 2)

    def invariants(a):
        q, r = np.linalg.qr(a, "complete")
        return np.abs(r), q[:, 2:] @ q[:, 2:].T

    check_derivatives(invariants, a, step=1e-3)


def test_slogdet_of_a_singular_matrix_in_a_branch_not_taken():
    def f(a):
        return np.where(np.linalg.det(a) > 1, np.linalg.slogdet(a)[1], np.sum(a))

    np.testing.assert_array_equal(cr.grad(f)(np.ones((3, 3))), np.ones((3, 3)))


@pytest.mark.parametrize("order", [None, "fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf])
def test_norms_have_slope_zero_at_the_zero_matrix(order):
    gradient = cr.grad(lambda a: np.linalg.norm(a, order))(np.zeros((3, 3)))
    np.testing.assert_array_equal(gradient, np.zeros((3, 3)))


@pytest.mark.parametrize("order", [None, 0.5, 1, 2, 3, np.inf, -np.inf])
def test_norms_have_slope_zero_at_the_zero_vector(order):
    gradient = cr.grad(lambda a: np.linalg.norm(a, order))(np.zeros(3))
    np.testing.assert_array_equal(gradient, np.zeros(3))


def test_grad_of_a_norm_of_tiny_numbers_is_a_unit_vector():
    x = np.array([3e-150, 4e-150])
    np.testing.assert_allclose(cr.grad(np.linalg.norm)(x), [0.6, 0.8], rtol=1e-15)


# --- errors --------------------------------------------------------------------------------------


def test_a_singular_system_raises_with_the_line():
    def f(a):
        return np.sum(np.linalg.solve(a, np.ones(3)))

    with pytest.raises(np.linalg.LinAlgError, match="Singular") as raised:
        cr.grad(f)(np.ones((3, 3)))
    assert any("test_linalg.py" in note for note in raised.value.__notes__)


def test_qr_raw_is_refused_by_name():
    with pytest.raises(cr.errors.NotSupported, match="mode='raw'"):
        cr.grad(lambda a: np.sum(np.linalg.qr(a, "raw")[0]))(np.eye(2))


# --- batching ------------------------------------------------------------------------------------


def test_right_sides_that_share_a_matrix_are_solved_together():
    a, many = draw((3, 3), False), draw((4, 3), False)
    program = cr.vmap(lambda b: np.linalg.solve(a, b))
    np.testing.assert_allclose(program(many), np.linalg.solve(a, many.T).T, rtol=1e-13)


def test_jacobian_of_inv_by_both_modes():
    a = draw((3, 3), False) + 3 * np.eye(3)
    forward = cr.jacobian(np.linalg.inv, mode="forward")(a)
    reverse = cr.jacobian(np.linalg.inv, mode="reverse")(a)
    inverse = np.linalg.inv(a)
    np.testing.assert_allclose(forward, -np.einsum("ik,lj->ijkl", inverse, inverse), rtol=1e-12)
    np.testing.assert_allclose(forward, reverse, rtol=1e-12)


@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 2, 2)])
@pytest.mark.parametrize("name", ["inv", "det", "slogdet", "cholesky", "eigh", "eigvalsh", "svd"])
def test_empty_matrices_have_empty_derivatives(name, shape):
    y, pullback = cr.vjp(getattr(np.linalg, name), np.zeros(shape))
    (gradient,) = pullback(y)
    assert gradient.shape == shape


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
@pytest.mark.parametrize("name", ["qr", "svd", "svdvals", "pinv"])
def test_matrices_without_rows_or_columns(name, shape):
    y, pullback = cr.vjp(getattr(np.linalg, name), np.zeros(shape))
    assert pullback(y)[0].shape == shape


def test_a_logarithm_depends_on_the_matrix_alone():
    """SciPy's estimates norms from draws of NumPy's global generator."""
    rng = np.random.default_rng(0)
    value = REGISTRY["logm"].evaluate
    matrices = [rng.normal(size=(24, 24)) * 0.9 / np.sqrt(24) + 2 * np.eye(24) for _ in range(6)]
    found = set()
    for seed in range(20):
        np.random.seed(seed)
        before = np.random.get_state()[2]
        found.add(b"".join(value(a).tobytes() for a in matrices))
        assert np.random.get_state()[2] == before
    assert len(found) == 1
