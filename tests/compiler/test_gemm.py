"""Generated products of matrices against sums of products in a wider type."""

import itertools

import numpy as np
import pytest

from chainrule.compiler.kernel import contiguous_place
from chainrule.compiler.llvm import gemm_plan
from chainrule.compiler.llvm.code import Value, as_index, lanes_of
from chainrule.compiler.llvm.gemm import emit_product
from chainrule.compiler.llvm.gemm_contract import emit_contract
from chainrule.compiler.llvm.gemm_plan import ProductSpec
from chainrule.program.types import array_type
from tests.compiler.running import Runner, place_of, run_kernel, site_of

MATMUL = {"axes": ((1,), (0,)), "batch": ((), ())}
LAYOUTS = ("rows", "columns", "sliced", "repeated", "backwards")


def matrix(rng, m: int, n: int, layout: str, dtype: str) -> np.ndarray:
    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    if layout == "rows":
        return normal(m, n)
    if layout == "columns":
        return normal(n, m).T
    if layout == "sliced":
        return normal(2 * m + 1, 3 * n + 1)[1::2, 1::3]
    if layout == "backwards":
        return normal(m, n)[::-1, ::-1]
    return np.broadcast_to(normal(1, n), (m, n))


def assert_product(found, equation: str, x, y, case) -> None:
    """Within the error of sums in any order: k roundings of the sum of absolute values at most."""
    wide = np.float64 if x.dtype.char == "f" else np.longdouble
    fast = wide == np.float64  # as products of matrices
    wanted = np.einsum(equation, x.astype(wide), y.astype(wide), optimize=fast)
    scale = np.einsum(equation, abs(x).astype(wide), abs(y).astype(wide), optimize=fast)
    assert found.shape == wanted.shape, case
    assert found.dtype == x.dtype, case
    # in truth 2 or 3 eps, as the roundings do not all point one way
    assert np.all(abs(found - wanted) <= 4 * np.finfo(x.dtype).eps * scale), case


def check_matmul(rng, m, n, k, dtype, left="rows", right="rows") -> None:
    x, y = matrix(rng, m, k, left, dtype), matrix(rng, k, n, right, dtype)
    case = f"m={m}, n={n}, k={k}, {dtype}, {left}, {right}"
    site = site_of("contract", x, y, **MATMUL)
    runner = Runner(emit_contract(site), site)
    (found,) = runner.run(x, y)
    assert_product(found, "ik,kj->ij", x, y, case)
    (again,) = runner.run(x, y, one_by_one=True)
    assert np.array_equal(found, again), case


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_products_of_every_small_shape(dtype):
    rng = np.random.default_rng(1)
    sizes = (0, 1, 2, 3, 5, 8, 13, 17, 33)
    cases = list(itertools.product(sizes, repeat=3))
    for i in rng.permutation(len(cases))[:35]:
        check_matmul(rng, *cases[i], dtype)


@pytest.mark.parametrize("left", LAYOUTS)
@pytest.mark.parametrize("right", LAYOUTS)
def test_operands_lie_in_memory_in_any_way(left, right):
    rng = np.random.default_rng(2)
    check_matmul(rng, 19, 21, 35, "f", left, right)
    if right in ("rows", "sliced"):  # a column is contiguous, or it is not
        check_matmul(rng, 40, 1, 70, "d", left, right)


@pytest.mark.parametrize(
    "shape",
    [
        (64, 256, 784), (784, 256, 64), (100, 70, 1100), (6, 16, 3000), (300, 500, 20),
        (1, 900, 700),
    ],
)
@pytest.mark.parametrize("layouts", [("rows", "rows"), ("columns", "rows"), ("rows", "columns")])
def test_large_products_in_blocks(shape, layouts):
    check_matmul(np.random.default_rng(3), *shape, "f", *layouts)


@pytest.mark.parametrize("width, registers", [(16, 32), (32, 16), (64, 32)])
def test_registers_of_other_processors(monkeypatch, width, registers):
    """What is written for NEON, AVX2 and AVX-512: LLVM splits the vectors that are too wide."""
    monkeypatch.setattr(gemm_plan, "vector_bytes", lambda: width)
    monkeypatch.setattr(gemm_plan, "vector_registers", lambda: registers)
    rng = np.random.default_rng(12)
    for dtype in "fd":
        check_matmul(rng, 45, 71, 37, dtype, "rows", "columns")
        check_matmul(rng, 45, 71, 300, dtype, "columns", "rows")
        check_matmul(rng, 35, 1, 75, dtype)
        check_matmul(rng, 1, 90, 150, dtype)
    for name in ("LARGE_BYTES", "MANY_STRIPS"):  # A is packed as well
        monkeypatch.setattr(gemm_plan, name, 0)
    check_matmul(rng, 45, 71, 150, "f", "rows", "rows")
    check_matmul(rng, 45, 71, 150, "d", "columns", "rows")


@pytest.mark.parametrize("layout", ["rows", "columns", "sliced"])
def test_operands_packed_for_all_tasks(monkeypatch, layout):
    """What is done for A and B of megabytes, on small ones: full and last row blocks and strips."""
    for name, number in (("LARGE_BYTES", 0), ("MANY_STRIPS", 2), ("FEW_ROWS", 10)):
        monkeypatch.setattr(gemm_plan, name, number)
    rng = np.random.default_rng(14)
    for m, n, k, dtype in ((45, 71, 300, "f"), (45, 71, 250, "d"), (100, 600, 5, "f")):
        check_matmul(rng, m, n, k, dtype, layout)
    x, y = matrix(rng, 45, 300, layout, "d"), rng.standard_normal((300, 71))
    c = np.zeros((45, 71))
    plan = gemm_plan.plan_of(spec_of(x, y, c), False)
    assert plan.shared_a and plan.shared
    assert plan.pack_a == {"rows": "transpose", "columns": "copy", "sliced": "gather"}[layout]


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_few_rows_of_a_are_packed_first_where_b_is_wide(layout):
    """However wide the registers are: a strip of 32 columns had left A where it lies."""
    rng = np.random.default_rng(16)
    check_matmul(rng, 90, 800, 800, "f", layout, "rows")
    x, y = matrix(rng, 90, 800, layout, "f"), matrix(rng, 800, 800, "rows", "f")
    plan = gemm_plan.plan_of(spec_of(x, y, np.zeros((90, 800), "f")), False)
    assert plan.shared_a and not plan.shared


def test_one_operand_packed_for_a_batch(monkeypatch):
    """A is one for the whole batch and packed first; B is packed by the tasks, entry by entry."""
    for name, number in (("LARGE_BYTES", 0), ("MANY_STRIPS", 2)):
        monkeypatch.setattr(gemm_plan, name, number)
    rng = np.random.default_rng(15)
    x = np.broadcast_to(rng.standard_normal((33, 250)), (3, 33, 250))
    y = rng.standard_normal((3, 250, 70))
    params = params_of("bij,bjk->bik")
    (found,) = run_kernel(emit_contract, "contract", x, y, **params)
    assert_product(found, "bij,bjk->bik", x, y, "batch")


def test_large_product_in_double():
    check_matmul(np.random.default_rng(4), 301, 203, 605, "d", "columns", "columns")


def test_error_is_no_worse_than_numpys():
    rng = np.random.default_rng(5)
    errors = np.zeros(2)
    for m, k, n in ((64, 5000, 48), (64, 784, 256), (64, 256, 64), (33, 1000, 10), (1, 3000, 1)):
        x, y = rng.random((m, k), np.float32), rng.random((k, n), np.float32)
        (found,) = run_kernel(emit_contract, "contract", x, y, **MATMUL)
        truth = x.astype(float) @ y.astype(float)
        errors += [abs(z - truth).mean() / k for z in (found, x @ y)]
    assert errors[0] <= errors[1]


CONTRACTIONS = {
    "batch": ("bij,bjk->bik", (7, 8, 8), (7, 8, 8)),
    "batch of many small": ("bij,bjk->bik", (1000, 8, 8), (1000, 8, 8)),
    "batch, odd": ("bij,bjk->bik", (70, 13, 11), (70, 11, 9)),
    "two batch axes": ("abij,abjk->abik", (3, 4, 5, 6), (3, 4, 6, 7)),
    "batch axes inside": ("ibj,kjb->bik", (5, 6, 7), (9, 7, 6)),
    "rows of several axes": ("abk,kn->abn", (3, 5, 7), (7, 20)),
    "rows apart": ("akb,kn->abn", (12, 7, 5), (7, 20)),
    "columns apart": ("mk,akb->mab", (5, 7), (9, 7, 10)),
    "short rows apart": ("akb,kn->abn", (3, 7, 5), (7, 20)),
    "two summed axes": ("mab,abn->mn", (5, 6, 7), (6, 7, 8)),
    "summed axes in another order": ("mab,ban->mn", (5, 6, 7), (7, 6, 8)),
    "summed axes apart": ("amb,bna->mn", (6, 5, 7), (7, 8, 6)),
    "outer product of arrays": ("ab,cd->abcd", (3, 4), (5, 6)),
    "scalars": (",->", (), ()),
    "batch only": ("bc,cb->bc", (4, 5), (5, 4)),
    "dots of a batch": ("bk,bk->b", (40, 30), (40, 30)),
    "large and copied": ("amb,bna->mn", (60, 50, 70), (70, 80, 60)),
    "no entries": ("bij,bjk->bik", (0, 3, 4), (0, 4, 5)),
    "nothing summed": ("bij,bjk->bik", (2, 3, 0), (2, 0, 5)),
}  # fmt: skip


def params_of(equation: str) -> dict:
    (in_x, in_y), out = equation.split("->")[0].split(","), equation.split("->")[1]
    batch = [c for c in out if c in in_x and c in in_y]
    axes = [c for c in in_x if c in in_y and c not in out]
    return {
        key: (tuple(map(in_x.index, labels)), tuple(map(in_y.index, labels)))
        for key, labels in (("axes", axes), ("batch", batch))
    }


@pytest.mark.parametrize("name", CONTRACTIONS)
def test_contractions_over_any_axes(name):
    equation, shape_x, shape_y = CONTRACTIONS[name]
    rng = np.random.default_rng(6)
    for dtype in "fd":
        x, y = (np.asarray(rng.standard_normal(s), dtype) for s in (shape_x, shape_y))
        site = site_of("contract", x, y, **params_of(equation))
        runner = Runner(emit_contract(site), site)
        (found,) = runner.run(x, y)
        assert_product(found, equation, x, y, name)
        (again,) = runner.run(x, y, one_by_one=True)
        assert np.array_equal(found, again)


def in_memory_order(x, order):
    """The same array, its axes lying in memory in this order."""
    return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))


def test_summed_axes_named_in_any_order_over_operands_that_lie_in_any_way():
    """The weights of a layer behind a scan, whose axis of time is moved, had a wrong gradient."""
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((2, 5, 3)), rng.standard_normal((5, 2, 4))
    orders = list(itertools.permutations(range(3)))
    for order_x, order_y in itertools.product(orders, orders):
        left, right = in_memory_order(x, order_x), in_memory_order(y, order_y)
        for axes in (((0, 1), (1, 0)), ((1, 0), (0, 1))):
            params = {"axes": axes, "batch": ((), ())}
            (found,) = run_kernel(emit_contract, "contract", left, right, **params)
            assert_product(found, "abm,ban->mn", x, y, f"{order_x} {order_y} {axes}")


def test_broadcast_operand_of_a_batch():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((6, 9, 10))
    y = np.broadcast_to(rng.standard_normal((10, 11)), (6, 10, 11))
    params = params_of("bij,bjk->bik")
    for one, other in ((x, y), (y.transpose(0, 2, 1), x.transpose(0, 2, 1))):
        (found,) = run_kernel(emit_contract, "contract", one, other, **params)
        assert_product(found, "bij,bjk->bik", one, other, "broadcast")


def test_other_dtypes_are_left_to_the_evaluator():
    for dtype in ("F", "D", "i", "e", "?"):
        x = np.ones((2, 2), dtype)
        assert emit_contract(site_of("contract", x, x, **MATMUL)) is None


# --- products with an epilogue, added, and into strided results ----------------------------------


def run_product(spec: ProductSpec, x, y, c, *more, store=None) -> Runner:
    """C after the kernel; `c` holds what was there before. The runner can do it again."""
    kernel = emit_product(spec._replace(pointers=4 + len(more)), store)
    site = site_of("add", c, c)._replace(
        inputs=tuple(place_of(a) for a in (x, y, c, *more)),
        outputs=(contiguous_place(array_type((1,), c.dtype)),),
    )
    runner = Runner(kernel, site)
    runner.run(x, y, c, *more)
    return runner


def spec_of(x, y, c, **more) -> ProductSpec:
    strides = [tuple(s // a.itemsize for s in a.strides) for a in (x, y, c)]
    return ProductSpec(x.shape[0], y.shape[1], x.shape[1], x.dtype, *strides, **more)


SHAPES = [
    (7, 19, 5), (1, 40, 9), (40, 1, 9), (30, 33, 500), (5, 3, 0), (100, 150, 70),
    (1, 700, 300), (700, 1, 300),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_products_added_to_what_is_there(shape):
    m, n, k = shape
    rng = np.random.default_rng(8)
    x, y, c = rng.standard_normal((m, k)), rng.standard_normal((k, n)), rng.standard_normal((m, n))
    wanted = c + x @ y
    run_product(spec_of(x, y, c, accumulate=True), x, y, c)
    np.testing.assert_allclose(c, wanted, rtol=1e-12, atol=1e-12 * max(k, 1))


@pytest.mark.parametrize("shape", SHAPES)
def test_results_of_other_strides_touch_nothing_else(shape):
    m, n, k = shape
    rng = np.random.default_rng(9)
    x, y = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    for inside, accumulate in (
        (lambda whole: whole[1 : m + 1, 2 : n + 2], True),
        (lambda whole: whole.T[: 2 * m : 2, : 2 * n : 2], False),
        (lambda whole: whole.T[: 2 * m : 2, : 2 * n : 2], True),
        (lambda whole: whole.T[1 : m + 1, 2 : n + 2], False),
    ):
        whole = rng.standard_normal((2 * max(m, n) + 3, 2 * max(m, n) + 3))
        wanted = whole.copy()
        inside(wanted)[...] = x @ y + (inside(whole) if accumulate else 0)
        c = inside(whole)
        run_product(spec_of(x, y, c, accumulate=accumulate), x, y, c)
        np.testing.assert_allclose(whole, wanted, rtol=1e-12, atol=1e-12 * max(k, 1))


def _biased_rectifier(code, pointers, row, column, value: Value) -> None:
    """c[row, column] = max(value + bias[column], 0) + row, with C and the bias in `pointers`."""
    at = code.offset(pointers[3], column, 8)
    total = code.fadd(value, code.load(at, value.type))
    total = code.intrinsic("maxnum", total, code.like(total, 0))
    number = code.emit("double", f"sitofp {as_index(row)} to double")
    total = code.fadd(total, code.splat(number, lanes_of(value.type)))
    target = code.offset(pointers[2], code.index_mul(row, _biased_rectifier.width), 8)
    code.store(total, code.offset(target, column, 8))


def test_an_epilogue_of_one_column_whose_rows_are_contiguous():
    rng = np.random.default_rng(13)
    for m in (40, 500):
        x, y, bias = matrix(rng, m, 30, "columns", "d"), rng.standard_normal((30, 1)), np.ones(1)
        c = np.full((m, 1), np.nan)
        _biased_rectifier.width = 1
        run_product(spec_of(x, y, c), x, y, c, bias, store=_biased_rectifier)
        wanted = np.maximum(x @ y + bias, 0) + np.arange(m)[:, None]
        np.testing.assert_allclose(c, wanted, rtol=1e-12)


@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_epilogue_gets_every_finished_element_once(shape, layout):
    m, n, k = shape
    rng = np.random.default_rng(10)
    x, y = rng.standard_normal((m, k)), matrix(rng, k, n, layout, "d")
    bias, c = rng.standard_normal(n), np.full((m, n), np.nan)
    _biased_rectifier.width = n
    spec = spec_of(x, y, c)
    runner = run_product(spec, x, y, c, bias, store=_biased_rectifier)
    wanted = np.maximum(x @ y + bias, 0) + np.arange(m)[:, None]
    np.testing.assert_allclose(c, wanted, rtol=1e-12, atol=1e-12 * max(k, 1))
    found = c.copy()
    c[...] = np.nan
    runner.run(x, y, c, bias, one_by_one=True)
    assert np.array_equal(c, found)


def test_rows_of_a_batch_are_numbered_through():
    rng = np.random.default_rng(11)
    x, y, bias = rng.standard_normal((5, 7, 6)), rng.standard_normal((5, 6, 9)), np.zeros(9)
    c = np.full((5, 7, 9), np.nan)
    _biased_rectifier.width = 9
    spec = ProductSpec(
        7, 9, 6, x.dtype, (6, 1), (9, 1), (9, 1), (5,), (42,), (54,), (63,)
    )
    run_product(spec, x, y, c, bias, store=_biased_rectifier)
    wanted = np.maximum(x @ y, 0) + np.arange(35).reshape(5, 7, 1)
    np.testing.assert_allclose(c, wanted, rtol=1e-12)


def test_tasks_depend_on_shape_and_are_one_where_little_is_to_be_done():
    def tasks(m, n, k):
        x, y = np.empty((m, k), "f"), np.empty((k, n), "f")
        return [p.tasks for p in emit_contract(site_of("contract", x, y, **MATMUL)).phases]

    assert tasks(16, 16, 16) == [1]
    assert tasks(32, 64, 20) == [1]
    assert tasks(64, 256, 784)[-1] >= 8
    assert tasks(1024, 1024, 1024)[-1] >= 16
