"""Native complex arithmetic against the evaluator: special values, branch cuts, order, fusion."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.externals import address
from chainrule.compiler.llvm.ufunc_loops import emit_ufunc
from chainrule.program.op import REGISTRY
from tests.compiler.running import Runner, site_of
from tests.compiler.test_schedule import compiled

EDGES = (0.0, -0.0, 1.0, -2.5, 0.5, 1e9, -1e-9, np.inf, -np.inf, np.nan)
GRID = np.array([complex(a, b) for a in EDGES for b in EDGES])
PAIRS = tuple(x.ravel() for x in np.meshgrid(GRID, GRID))

UNARY = {
    "negative", "square", "reciprocal", "conjugate", "real", "imag", "rint", "isnan", "isinf",
    "isfinite", "logical_not", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt",
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh",
    "arccosh", "arctanh",
}  # fmt: skip
BINARY = {
    "add", "subtract", "multiply", "divide", "scale", "power", "equal", "not_equal", "less",
    "less_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_xor",
    "maximum", "minimum", "fmax", "fmin", "xlogy",
}  # fmt: skip


def native(f, *args):
    """The function's native form, and the arguments."""
    made, values = compiled(f, *args)
    assert not made.sites
    return made.run(values)


def assert_close(found, wanted, ulps=4):
    """Equal parts that are nan or infinite; the rest within units in the last place of |z|."""
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    if wanted.dtype.kind != "c":
        np.testing.assert_array_equal(found, wanted)
        return
    bound = ulps * np.finfo(wanted.dtype).eps
    with np.errstate(all="ignore"):
        size = np.hypot(*[np.where(np.isfinite(p), p, 0) for p in (wanted.real, wanted.imag)])
        for a, b in ((found.real, wanted.real), (found.imag, wanted.imag)):
            good = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= bound * size)
            assert good.all(), (found[~good][:4], wanted[~good][:4])


@pytest.mark.parametrize("dtype", "FD")
@pytest.mark.parametrize("name", sorted(UNARY | BINARY))
def test_special_values_are_the_evaluators(name, dtype):
    op = REGISTRY[name]
    points = [x.astype(dtype) for x in ((GRID,) if name in UNARY else PAIRS)]
    with np.errstate(all="ignore"):
        wanted = np.asarray(op.evaluate(*points))
        found = native(lambda *z: op(*z), *points)[0]
    assert_close(found, wanted)


@pytest.mark.parametrize("dtype", "FD")
@pytest.mark.parametrize("number", [1, 2, 3, -1, 0.5, 1j, 0, np.inf, complex(np.nan, 2)])
def test_numbers_stand_for_arrays(number, dtype):
    z, number = GRID.astype(dtype), np.dtype(dtype).type(number)
    for name in ("add", "multiply", "divide", "scale", "power", "equal", "less"):
        op = REGISTRY[name]
        for f in (lambda z, op=op: op(z, number), lambda z, op=op: op(number, z)):
            with np.errstate(all="ignore"):
                assert_close(native(f, z)[0], np.asarray(f(z)))


def test_order_of_complex_numbers_is_numpys():
    z = np.random.default_rng(0).permutation(GRID)
    np.testing.assert_array_equal(native(np.sort, z)[0], np.sort(z))


def test_stable_order_along_an_axis_is_numpys():
    def f(z):
        return np.argsort(z.reshape(4, -1), axis=0, stable=True)

    z = np.random.default_rng(0).permutation(GRID)
    np.testing.assert_array_equal(native(f, z)[0], f(z))


def test_loops_of_ufuncs_run_over_any_strides_and_in_any_order():
    z = np.random.default_rng(1).normal(size=(70, 60, 4)).view(complex)
    for x in (z, z.transpose(1, 2, 0), z[::-1, :, 1:], z[:0], z[0, 0], z[:, :, 0].reshape(-1)):
        site = site_of("exp", x)
        kernel = emit_ufunc(site)
        runner = Runner(kernel, site, tuple(address(n) for n in kernel.externals))
        np.testing.assert_array_equal(runner.run(x, one_by_one=True)[0], np.exp(x))


def test_chain_of_complex_arithmetic_is_one_kernel_of_real_numbers():
    def f(z, w):
        return ((z * w + 1j) / (z - w)).conj() * 2

    made, values = compiled(f, GRID[:5], GRID[5:10] + 3)
    assert len(made.region.steps) == 1
    assert_close(made.run(values)[0], f(*values), 8)


def test_loops_and_branches_carry_complex_numbers():
    def f(z, x):
        def step(z, row):
            z = cr.cond(row.real > 0, lambda z: z * row, lambda z: z / row, z)
            return z, z.sum()

        z, sums = cr.scan(step, z, x)
        z[1:] += 2j
        return z, sums

    rng = np.random.default_rng(2)
    z, x = rng.normal(size=(2, 6)).view(complex)
    for found, wanted in zip(native(f, z, x), f(z.copy(), x), strict=True):
        assert_close(found, wanted, 32)


def test_gradient_of_complex_arithmetic_needs_no_evaluator():
    def f(z, a):
        return np.sum(np.abs(np.tanh(a @ z) * np.exp(1j * z) / (1 + z**2)) ** 2)

    rng = np.random.default_rng(3)
    z, a = rng.normal(size=(2,)).view(complex), rng.normal(size=(1, 2)).view(complex)
    compiled_slope = cr.compile(lambda z, a: cr.grad(f, (0, 1))(z, a))
    for found, wanted in zip(compiled_slope(z, a), cr.grad(f, (0, 1))(z, a), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert "on the evaluator: nothing" in str(cr.explain(compiled_slope))


@pytest.mark.parametrize("name, params", [
    ("wofz", {}), ("erf", {}), ("erfc", {}), ("lambertw", {"branch": -1}), ("airy", {"part": 3}),
    ("faddeeva", {"n": 2}),
])  # fmt: skip
def test_special_functions_of_complex_numbers_are_scipys(name, params):
    op, z = REGISTRY[name], np.random.default_rng(4).normal(size=(5, 20)).view(complex) * 6
    for view in (lambda z: z, lambda z: z.T, lambda z: z[::-1, 1:]):
        found = native(lambda z, view=view: op(view(z), **params), z)[0]
        assert_close(found, np.asarray(op.evaluate(view(z), **params)), 1024)


def test_check_finds_a_complex_number_that_is_not_finite():
    f = cr.compile(lambda z: np.exp(z) * 2, check="nan")
    np.testing.assert_array_equal(f(GRID[:2]), np.exp(GRID[:2]) * 2)
    with pytest.raises(FloatingPointError, match="exp"):
        f(np.array([1e3 + 1e3j]))
