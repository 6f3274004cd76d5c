"""Native kernels through LAPACK agree with NumPy's and SciPy's linear algebra."""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from chainrule.compiler.externals import address
from chainrule.compiler.llvm.lapack import LINEAR
from chainrule.compiler.llvm.lapack_orthogonal import ORTHOGONAL
from chainrule.compiler.llvm.lapack_spectral import SPECTRAL
from chainrule.program.blas import one_thread
from chainrule.program.op import REGISTRY
from tests.compiler.running import Runner, site_of

EMITTERS = {**LINEAR, **SPECTRAL, **ORTHOGONAL}


def kernel_of(name, *arrays, **params):
    """A runner of the native kernel; None where there is none."""
    site = site_of(name, *arrays, **params)
    kernel = EMITTERS[name](site)
    if kernel is None:
        return None
    return Runner(kernel, site, tuple(address(n) for n in kernel.externals))


def run(name, *arrays, one_by_one=False, **params):
    """(outputs, status) of the native kernel."""
    runner = kernel_of(name, *arrays, **params)
    return runner.run(*arrays, one_by_one=one_by_one), runner.status


def evaluated(name, *arrays, **params):
    """The outputs of the operation's own evaluation."""
    with np.errstate(all="ignore"), one_thread():
        out = REGISTRY[name].evaluate(*arrays, **params)
    return out if isinstance(out, tuple) else (out,)


def assert_close(got, wanted, factor=8.0):
    """Equal to `factor` roundings of the largest entry for each row of the largest matrix."""
    for x, y in zip(got, wanted, strict=True):
        y = np.asarray(y)
        assert x.shape == y.shape and x.dtype == y.dtype
        n = max(x.shape[-2:], default=1)
        size = np.abs(y, where=np.isfinite(y), out=np.zeros(y.shape)).max(initial=0.0)
        eps = np.finfo(y.dtype).eps if y.dtype.kind in "fc" else 0
        np.testing.assert_allclose(x, y, rtol=factor * n * eps, atol=factor * n * eps * size)


def matrices(dtype, *shape, seed=0, shift=None):
    """Random matrices, far from singular by a multiple of the identity."""
    rng = np.random.default_rng(seed)
    shift = 2 * shape[-1] ** 0.5 if shift is None else shift
    return (rng.normal(size=shape) + shift * np.eye(*shape[-2:])).astype(dtype)


def definite(dtype, *shape, seed=0):
    """Symmetric positive definite matrices, with nan in the triangle that is not to be read."""
    x = matrices(dtype, *shape, seed=seed, shift=1.0)
    return (x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])).astype(dtype)


SHAPES = [(1, 1), (5, 1, 1), (2, 9, 9), (7, 3, 3), (2, 3, 5, 5), (70, 70)]


def cases(shapes):
    """Parametrize by dtype and shape: float64 for all, float32 for the last two."""
    chosen = [("d", x) for x in shapes] + [("f", x) for x in shapes[-2:]]
    return pytest.mark.parametrize(("dtype", "shape"), chosen, ids=str)


by_shape = cases(SHAPES)
by_count = pytest.mark.parametrize("count", [1, 9])  # through LAPACK, and in lanes
by_dtype = pytest.mark.parametrize("dtype", "fd")


# --- cholesky -------------------------------------------------------------------------------------


@by_shape
def test_cholesky(dtype, shape):
    for upper in (False, True):
        _check_cholesky(dtype, shape, upper)


def _check_cholesky(dtype, shape, upper):
    a = definite(dtype, *shape)
    unread = np.triu if not upper else np.tril
    a = a + unread(np.full(shape, np.nan, dtype), -1 if upper else 1)
    got, status = run("cholesky", a, upper=upper)
    assert status == 0
    assert_close(got, evaluated("cholesky", a, upper=upper))


@by_count
def test_cholesky_of_an_indefinite_matrix_fails(count):
    a = definite("d", count, 4, 4)
    a[-1, 2, 2] = -1.0
    assert run("cholesky", a, upper=False)[1] == 1


# --- systems --------------------------------------------------------------------------------------


@by_shape
@pytest.mark.parametrize(("adjoint", "k"), [(False, 1), (True, 4)])
def test_solve(dtype, shape, adjoint, k):
    a, b = matrices(dtype, *shape), matrices(dtype, *shape[:-1], k, seed=1, shift=0.0)
    got, status = run("solve", a, b, adjoint=adjoint, raises=True)
    assert status == 0
    assert_close(got, evaluated("solve", a, b, adjoint=adjoint, raises=True))


@cases([(5, 3, 3), (5, 8, 8), (40, 40)])
@pytest.mark.parametrize(
    ("lower", "adjoint", "unit"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (1, 1, 0), (1, 0, 0)]
)
def test_triangular_solve(dtype, shape, lower, adjoint, unit):
    a, b = matrices(dtype, *shape), matrices(dtype, *shape[:-1], 3, seed=1, shift=0.0)
    a = np.tril(a) if lower else np.triu(a)
    a[..., ~np.eye(shape[-1], dtype=bool)] *= 0.25 / shape[-1]  # well conditioned with ones too
    params = dict(lower=bool(lower), adjoint=bool(adjoint), unit_diagonal=bool(unit), raises=True)
    got, status = run("triangular_solve", a, b, **params)
    assert status == 0
    assert_close(got, evaluated("triangular_solve", a, b, **params))


def _layouts(a):
    """The same matrices lying in memory in several ways."""
    wide = np.zeros((*a.shape[:-2], 2 * a.shape[-2], 3 * a.shape[-1]), a.dtype)
    wide[..., ::2, ::3] = a
    padded = np.zeros((*a.shape[:-1], a.shape[-1] + 3), a.dtype)
    padded[..., :-3] = a
    return {
        "columns": np.swapaxes(np.swapaxes(a, -1, -2).copy(), -1, -2),
        "sparse": wide[..., ::2, ::3],
        "padded": padded[..., :-3],
        "backwards": a[..., ::-1, ::-1].copy()[..., ::-1, ::-1],
        "stack": np.swapaxes(np.swapaxes(a, 0, 1).copy(), 0, 1),
    }


@pytest.mark.parametrize("layout", ["columns", "sparse", "padded", "backwards", "stack"])
def test_operands_of_any_strides(layout):
    a, b = matrices("d", 3, 2, 6, 6), matrices("d", 3, 2, 6, 5, seed=1, shift=0.0)
    x, y = _layouts(a)[layout], _layouts(b)[layout]
    assert x.strides != a.strides
    triangle = dict(lower=True, adjoint=False, unit_diagonal=False, raises=True)
    for name, params in (
        ("solve", dict(adjoint=False, raises=True)),
        ("triangular_solve", triangle),
    ):
        assert_close(run(name, x, y, **params)[0], evaluated(name, a, b, **params))
    for name, params in (("inv", dict(raises=True)), ("det", {}), ("slogdet", {})):
        assert_close(run(name, x, **params)[0], evaluated(name, a, **params))


def test_one_matrix_repeated_over_a_stack():
    a = np.broadcast_to(matrices("d", 4, 4), (5, 4, 4))
    b = matrices("d", 5, 4, 2, seed=1)
    params = dict(adjoint=False, raises=True)
    assert_close(run("solve", a, b, **params)[0], evaluated("solve", a, b, **params))


def test_tasks_run_in_any_order():
    for n in (7, 40):  # in lanes, with some left over; through LAPACK
        a, b = matrices("d", 401, n, n), matrices("d", 401, n, 1, seed=1)
        params = dict(adjoint=False, raises=True)
        runner = kernel_of("solve", a, b, **params)
        assert runner.kernel.phases[0].tasks > 1
        wanted, got = runner.run(a, b), runner.run(a, b, one_by_one=True)
        assert (wanted[0] == got[0]).all()
        assert_close(got, evaluated("solve", a, b, **params))


@by_shape
def test_inv(dtype, shape):
    a = matrices(dtype, *shape)
    got, status = run("inv", a, raises=True)
    assert status == 0
    assert_close(got, evaluated("inv", a, raises=True))


# --- singular matrices ----------------------------------------------------------------------------


def _one_singular(dtype, count):
    """Matrices of which the last one is singular, whatever the rounding."""
    a = matrices(dtype, count, 3, 3)
    a[-1] = [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 1.0]]
    return a


@by_count
def test_singular_systems_fail_where_the_operation_raises(count):
    a, b = _one_singular("d", count), matrices("d", count, 3, 2)
    assert run("solve", a, b, adjoint=False, raises=True)[1] == 1
    assert run("inv", a, raises=True)[1] == 1
    params = dict(lower=True, adjoint=False, unit_diagonal=False, raises=True)
    a[-1, 1, 1] = 0.0
    assert run("triangular_solve", a, b, **params)[1] == 1


@by_dtype
@by_count
def test_singular_systems_give_inf_or_zero_where_it_does_not(dtype, count):
    a, b = _one_singular(dtype, count), matrices(dtype, count, 3, 2)
    b[-1, :, 1] = 0.0
    for name, arrays, params in (
        ("solve", (a, b), dict(adjoint=False, raises=False)),
        ("inv", (a,), dict(raises=False)),
    ):
        runner = kernel_of(name, *arrays, **params)
        assert not runner.kernel.can_fail
        assert_close(runner.run(*arrays), evaluated(name, *arrays, **params))
    a[-1] = np.tril(a[-1])
    a[-1, 1, 1] = 0.0
    params = dict(lower=True, adjoint=True, unit_diagonal=False, raises=False)
    got, _ = run("triangular_solve", a, b, **params)
    assert_close(got, evaluated("triangular_solve", a, b, **params))
    assert np.isinf(got[0][-1, :, 0]).all() and (got[0][-1, :, 1] == 0).all()


@by_count
def test_singular_matrices_have_determinant_zero(count):
    a = _one_singular("d", count)
    assert run("det", a)[0][0][-1] == 0.0
    (sign, logarithm), _ = run("slogdet", a)
    assert sign[-1] == 0.0 and logarithm[-1] == -np.inf


@by_count
def test_an_unused_entry_of_a_triangle_may_be_anything(count):
    a, b = matrices("d", count, 4, 4), matrices("d", count, 4, 2, seed=1)
    params = dict(lower=True, adjoint=False, unit_diagonal=True, raises=True)
    wanted = evaluated("triangular_solve", a, b, **params)
    a += np.triu(np.full((4, 4), np.nan))  # the diagonal too
    got, status = run("triangular_solve", a, b, **params)
    assert status == 0
    assert_close(got, wanted)


# --- determinants ---------------------------------------------------------------------------------


@by_shape
def test_det_and_slogdet(dtype, shape):
    a = matrices(dtype, *shape, shift=0.5)
    size = np.linalg.slogdet(a)[1][..., None, None] / shape[-1]
    scaled = (a * np.exp(-size)).astype(dtype)
    got, _ = run("det", scaled)
    assert_close(got, evaluated("det", scaled), factor=64)
    (sign, logarithm), _ = run("slogdet", a)
    wanted = evaluated("slogdet", a)
    assert (sign == wanted[0]).all()
    assert_close([logarithm], [wanted[1]])


@by_count
def test_det_keeps_in_range_where_a_product_would_not(count):
    a = np.repeat(np.diag([1e200, 1e200, -1e-200, 1e-200])[None], count, 0)
    a[:-1] = np.eye(4)
    (got,) = run("det", a)[0]
    np.testing.assert_allclose(got, [1.0] * (count - 1) + [-1.0], rtol=1e-12)
    a[-1] = np.diag([1e200, 1e200, 1.0, 1.0])
    assert run("det", a)[0][0][-1] == np.inf
    a[-1] = np.nan
    assert np.isnan(run("det", a)[0][0][-1])


@by_count
def test_det_is_exact_for_small_whole_numbers(count):
    a = np.array([[[0.0, 2.0], [1.0, 0.0]]] * count)
    assert (run("det", a)[0][0] == -2.0).all()


def test_rows_are_exchanged_in_each_matrix_by_itself():
    rng = np.random.default_rng(4)
    a = np.stack([rng.permutation(np.diag(np.arange(1.0, 7.0))) for _ in range(11)])
    got, _ = run("slogdet", a)
    assert (got[0] == np.linalg.slogdet(a)[0]).all()
    b = matrices("d", 11, 6, 2, seed=1)
    got, _ = run("solve", a, b, adjoint=False, raises=True)
    assert_close(got, (np.linalg.solve(a, b),))


# --- factors and spectra, signs included ----------------------------------------------------------

RECTANGLES = [(1, 1), (70, 40), (3, 6, 4), (3, 4, 6)]
by_rectangle = cases(RECTANGLES)


@cases([(1, 1), (4, 5, 5), (40, 40)])
@pytest.mark.parametrize("lower", [False, True])
def test_eigh(dtype, shape, lower):
    a = matrices(dtype, *shape, shift=0.0)  # not symmetric: one triangle counts
    for name in ("eigh", "eigvalsh"):
        got, status = run(name, a, lower=lower)
        assert status == 0
        assert_close(got, evaluated(name, a, lower=lower), factor=64)


@by_rectangle
@pytest.mark.parametrize("full", [False, True])
def test_svd(dtype, shape, full):
    a = matrices(dtype, *shape, shift=0.0)
    got, status = run("svd", a, full_matrices=full)
    assert status == 0
    assert_close(got, evaluated("svd", a, full_matrices=full), factor=64)
    if not full:
        got, status = run("singular_values", a)
        assert status == 0
        assert_close(got, evaluated("singular_values", a))


@cases([(1, 1), (4, 5, 5), (40, 40)])
def test_eig(dtype, shape):
    a = matrices(dtype, *shape, shift=0.0)
    got, status = run("eig", a)
    assert status == 0
    assert got[0].dtype.kind == "c"
    assert_close(got, evaluated("eig", a), factor=256)
    assert_close(run("eigvals", a)[0], evaluated("eigvals", a), factor=256)


def test_eig_of_a_matrix_that_is_not_finite_fails():
    a = matrices("d", 3, 4, 4)
    a[1, 2, 3] = np.inf
    assert run("eig", a)[1] == run("eigvals", a)[1] == 1


def test_svd_of_nan_fails():
    assert run("svd", np.full((3, 3), np.nan), full_matrices=False)[1] == 1
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.svd(np.full((3, 3), np.nan))


@by_rectangle
@pytest.mark.parametrize("complete", [False, True])
def test_qr(dtype, shape, complete):
    a = matrices(dtype, *shape, shift=0.0)
    got, _ = run("qr", a, complete=complete)
    assert_close(got, evaluated("qr", a, complete=complete), factor=64)


@by_rectangle
@pytest.mark.parametrize("rcond", [None, 0.3])
def test_lstsq_and_pinv(dtype, shape, rcond):
    a, b = matrices(dtype, *shape, shift=3.0), matrices(dtype, *shape[:-1], 2, seed=1, shift=0.0)
    got, status = run("lstsq", a, b, rcond=rcond)
    assert status == 0
    assert_close(got, evaluated("lstsq", a, b, rcond=rcond), factor=256)
    rcond = 1e-15 if rcond is None else rcond
    got, status = run("pinv", a, rcond=rcond)
    assert status == 0
    assert_close(got, evaluated("pinv", a, rcond=rcond), factor=256)


def test_pinv_of_deficient_rank():
    a = np.outer([1.0, 2.0, 3.0], [1.0, -1.0])
    assert_close(run("pinv", a, rcond=1e-10)[0], (np.linalg.pinv(a, rcond=1e-10),))
    (_, rank, _), _ = run("lstsq", a, np.ones((3, 1)), rcond=1e-10)
    assert rank.dtype == np.int32 and rank == 1


def test_scratch_of_many_large_matrices_is_bounded():
    a = np.broadcast_to(np.eye(600), (200, 600, 600))
    kernel = SPECTRAL["svd"](site_of("svd", a, full_matrices=False))
    assert kernel.scratch <= 1 << 28
    assert kernel.phases[0].tasks > 1


# --- threads --------------------------------------------------------------------------------------


@pytest.fixture
def two_threads():
    """SciPy's BLAS set to two threads; gives the function that says how many they are."""
    if address("threads.get") is None:
        pytest.skip("SciPy's BLAS is not OpenBLAS")
    get = ctypes.CFUNCTYPE(ctypes.c_int)(address("threads.get"))
    set_ = ctypes.CFUNCTYPE(None, ctypes.c_int)(address("threads.set"))
    before = get()
    set_(2)
    yield get
    set_(before)


def test_many_callers_leave_the_number_of_threads_as_it_was(two_threads):
    arrays = [definite("d", 20, 40, 40, seed=i) for i in range(4)]
    runners = [kernel_of("cholesky", a, upper=False) for a in arrays]
    wanted = [evaluated("cholesky", a, upper=False) for a in arrays]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for got, y in zip(pool.map(Runner.run, runners, arrays), wanted, strict=True):
                assert_close(got, y)
    assert two_threads() == 2


def test_results_do_not_depend_on_the_threads_of_the_library(two_threads):
    a, b = matrices("d", 300, 300), matrices("d", 300, 300, seed=1)
    runner = kernel_of("solve", a, b, adjoint=False, raises=True)
    (got,) = runner.run(a, b)
    ctypes.CFUNCTYPE(None, ctypes.c_int)(address("threads.set"))(1)
    assert (got == runner.run(a, b)[0]).all()


# --- what has no native form ----------------------------------------------------------------------


def test_complex_and_empty_matrices_have_no_kernel():
    assert kernel_of("inv", np.eye(2) + 0j, raises=True) is None
    assert kernel_of("det", np.zeros((0, 2, 2))) is None
    assert kernel_of("det", np.zeros((3, 0, 0))) is None
