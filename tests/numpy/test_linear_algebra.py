"""np.linalg on traced values: values, dtypes, shapes and errors are NumPy's."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import linalg
from tests.numpy.against_numpy import check_raises, check_same, through_trace
from tests.ops.differentiation import leaves

RNG = np.random.default_rng(50)
DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
OF_ONE_MATRIX = (
    "inv", "det", "slogdet", "cholesky", "qr", "svd", "svdvals", "eigh", "eigvalsh", "eig",
    "eigvals", "pinv", "norm", "matrix_rank", "cond", "matrix_norm", "vector_norm",
)  # fmt: skip
SHAPES = [(3, 3), (2, 3, 3), (2, 2, 4), (4, 2), (0, 0), (2, 0, 0), (0, 2, 2), (0, 3), (3, 0), (3,)]


def draw(shape, dtype=np.float64):
    out = RNG.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        out = out + 1j * RNG.normal(size=shape)
    return out.astype(dtype)


def check_close(f, *arguments):
    """As check_same, but the last bits may differ."""
    try:
        expected = f(*arguments)
    except Exception as error:
        check_raises(type(error), f, arguments)
        return
    found = through_trace(f, *arguments)
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        eps = np.finfo(b.dtype).eps if b.dtype.kind in "fc" else 0
        np.testing.assert_allclose(a, b, rtol=64 * eps, atol=64 * eps)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", OF_ONE_MATRIX)
def test_functions_of_one_matrix(name, shape):
    function = getattr(np.linalg, name)
    for dtype in DTYPES:
        a = draw(shape, dtype)
        if name == "cholesky" and len(shape) > 1 and shape[-1] == shape[-2]:
            a = a @ np.conj(np.swapaxes(a, -1, -2)) + np.eye(shape[-1], dtype=dtype)
        if name == "matrix_rank" and len(shape) < 2:
            assert through_trace(function, a) == function(a)  # an int, of which no array is made
            continue
        check_close(function, a)


@pytest.mark.parametrize("dtype", DTYPES)
def test_systems(dtype):
    a, b = draw((3, 3), dtype), draw((2, 3, 3), dtype)
    for left, right in ((a, b[0, 0]), (a, b), (b, a), (b, a[0]), (b, b), (a, b[0, :2])):
        check_same(np.linalg.solve, left, right)
    check_same(np.linalg.solve, a, draw((3, 0), dtype))
    check_same(np.linalg.tensorsolve, draw((2, 3, 6), dtype), draw((2, 3), dtype))
    check_same(lambda a: np.linalg.tensorsolve(a, a[:, 0], axes=(0,)), draw((4, 2, 2), dtype))
    check_same(lambda a: np.linalg.tensorinv(a, ind=1), draw((6, 2, 3), dtype))


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (3, 0), (0, 3)])
def test_least_squares(shape):
    a = draw(shape)
    check_close(np.linalg.lstsq, a, draw(shape[0]))
    check_close(np.linalg.lstsq, a, draw((shape[0], 2)))
    check_close(lambda a, b: np.linalg.lstsq(a, b, rcond=-1), a, draw(shape[0]))


def test_least_squares_of_deficient_rank():
    a = np.ones((3, 2))
    check_close(np.linalg.lstsq, a, draw(3))
    check_same(np.linalg.lstsq, a, draw(4))


@pytest.mark.parametrize("order", [None, "fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf, 3, "x"])
def test_matrix_norms(order):
    for dtype in DTYPES:
        a = draw((2, 3, 3), dtype)
        check_close(lambda a: np.linalg.norm(a, order, (1, 2)), a)
        check_close(lambda a: np.linalg.norm(a, order, (2, 0), keepdims=True), a)
        check_close(lambda a: np.linalg.norm(a[0], order), a)
        check_close(lambda a: np.linalg.norm(a[:, :0], order, (1, 2)), a)


@pytest.mark.parametrize("order", [None, 0, 1, 2, 3, 0.5, -1.5, np.inf, -np.inf, "fro"])
def test_vector_norms(order):
    for dtype in DTYPES:
        a = draw((2, 3, 3), dtype)
        check_close(lambda a: np.linalg.norm(a, order, axis=-1), a)
        check_close(lambda a: np.linalg.norm(a[0, 0], order, keepdims=True), a)
        check_close(lambda a: np.linalg.vector_norm(a, ord=order, axis=(0, 2)), a)


@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, np.inf, -np.inf, "fro", "nuc"])
def test_condition_numbers(p):
    check_close(lambda a: np.linalg.cond(a, p), draw((2, 3, 3)))
    if p != "nuc":  # NumPy's SVD does not converge on the nan that stands for the inverse
        check_close(lambda a: np.linalg.cond(a, p), np.zeros((2, 2)))


def test_options():
    a = draw((3, 3)) + 3 * np.eye(3)
    for n in range(-3, 7):
        check_same(lambda a, n=n: np.linalg.matrix_power(a, n), a)
    check_same(lambda a: np.linalg.matrix_power(a, 1.5), a)
    for mode in ("reduced", "complete", "r"):
        check_same(lambda a, mode=mode: np.linalg.qr(a[:, :2], mode), a)
    check_same(lambda a: np.linalg.svd(a[:2], full_matrices=False), a)
    check_same(lambda a: np.linalg.svd(a[:2], compute_uv=False), a)
    check_close(lambda a: np.linalg.svd(a, hermitian=True), a)
    check_close(lambda a: np.linalg.svd(a, compute_uv=False, hermitian=True), a)
    check_same(lambda a: np.linalg.pinv(a, rtol=1e-3), a)
    check_same(lambda a: np.linalg.pinv(a, rtol=None), a)
    check_same(lambda a: np.linalg.pinv(a, 1e-3, rtol=1e-3), a)
    check_close(lambda a: np.linalg.pinv(a, hermitian=True), a)
    check_same(lambda a: np.linalg.matrix_rank(a, hermitian=True), a)
    check_same(lambda a: np.linalg.matrix_rank(a, tol=3.0), a)
    check_same(lambda a: np.linalg.matrix_rank(a, rtol=0.5), a)
    check_same(lambda a: np.linalg.eigh(a, "U"), a)
    check_same(lambda a: np.linalg.eigvalsh(a, UPLO="X"), a)
    check_same(lambda a: np.linalg.cholesky(a @ a.T, upper=True), a)


def test_products():
    a, v = draw((3, 3)), draw(3)
    check_same(lambda a, b: np.linalg.multi_dot([a, b]), a, v)
    check_same(lambda a, b: np.linalg.multi_dot([b, a, a[:, :2]]), a, v)
    check_same(lambda a, b: np.linalg.multi_dot([b, a[:, :2], a[:2], b]), a, v)
    check_same(lambda a: np.linalg.multi_dot([a]), a)
    check_same(np.linalg.outer, v, v)
    check_same(np.linalg.outer, a, v)
    check_same(np.linalg.cross, a, v)
    check_close(np.linalg.vecdot, a, v)
    check_close(np.linalg.vecdot, draw((2, 3), complex), draw(3, complex))
    check_same(np.linalg.matmul, a, v)
    check_same(lambda a: np.linalg.tensordot(a, a, axes=1), a)
    check_same(lambda a: np.linalg.trace(a, offset=1), draw((2, 3, 3)))
    check_same(lambda a: np.linalg.diagonal(a, offset=-1), draw((2, 3, 3)))
    check_same(np.linalg.matrix_transpose, draw((2, 3, 4)))
    check_same(np.linalg.matrix_transpose, v)


@pytest.mark.parametrize("dtype", [bool, np.int32, np.float16])
@pytest.mark.parametrize("name", OF_ONE_MATRIX)
def test_integers_become_float64_and_float16_is_refused(name, dtype):
    a = np.array([[2, 1], [1, 3]], dtype)
    if dtype is bool and name == "cholesky":
        return  # not positive definite
    check_close(getattr(np.linalg, name), a)


def test_the_result_of_eig_is_real_where_numpy_gives_real():
    check_same(np.linalg.eig, np.diag([1.0, 2.0]) + 0.1)
    check_same(np.linalg.eigvals, np.array([[0.0, 1.0], [-1.0, 0.0]]))


def test_scipys_names_are_scipys_on_plain_arrays():
    scipy_linalg = pytest.importorskip("scipy.linalg")
    a, b = draw((3, 3)) + 3 * np.eye(3), draw(3)
    np.testing.assert_array_equal(linalg.expm(a), scipy_linalg.expm(a))
    np.testing.assert_array_equal(
        linalg.solve_triangular(a, b, lower=True), scipy_linalg.solve_triangular(a, b, lower=True)
    )
    np.testing.assert_allclose(
        through_trace(linalg.solve_triangular, a, b), scipy_linalg.solve_triangular(a, b)
    )
    np.testing.assert_allclose(through_trace(linalg.expm, a), scipy_linalg.expm(a), rtol=1e-15)
    h = a @ a.T
    plain = linalg.cho_solve(linalg.cho_factor(h), b)
    np.testing.assert_allclose(plain, np.linalg.solve(h, b), rtol=1e-10)


def test_every_name_of_np_linalg_is_there():
    missing = {"linalg", "test", "LinAlgError"} ^ (set(np.linalg.__all__) - set(linalg.__all__))
    assert missing <= {"linalg", "test", "LinAlgError"}


@pytest.mark.parametrize("shape", [(2, 3), (3,)])
def test_a_matrix_of_the_wrong_shape_is_a_linalg_error_with_the_line(shape):
    with pytest.raises(np.linalg.LinAlgError, match="test_linear_algebra.py") as raised:
        cr.linearize(lambda a: np.linalg.inv(a), np.ones(shape))
    assert isinstance(raised.value, cr.errors.ChainruleError)
