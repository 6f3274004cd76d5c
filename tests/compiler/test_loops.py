"""Loop kernels by themselves: elementwise passes and reductions over arrays of any layout."""

import ctypes
import itertools
import re

import numpy as np
import pytest

from chainrule.compiler.kernel import Site, contiguous_place
from chainrule.compiler.llvm.elementwise import Operation
from chainrule.compiler.llvm.loops import (
    LoopSpec,
    Node,
    Reduction,
    Stream,
    lanes_for,
    normalised,
    number,
)
from chainrule.compiler.llvm.reductions import emit_loop
from chainrule.program.op import REGISTRY
from chainrule.program.types import array_type
from tests.compiler.running import Runner, place_of

SHAPES = [(), (1,), (5,), (37,), (1000,), (3, 5), (64, 33), (7, 1, 130), (4, 5, 6), (100, 3)]
UFUNCS = {
    "sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum,
    "all": np.logical_and, "any": np.logical_or,
}  # fmt: skip


def stream(array) -> Stream:
    return Stream(array.dtype, tuple(s // array.itemsize for s in array.strides))


def run(spec: LoopSpec, inputs, out_types, one_by_one: bool = False) -> list:
    """The results of a loop kernel on these arrays."""
    outputs = tuple(contiguous_place(t) for t in out_types)
    site = Site("loop", {}, tuple(place_of(x) for x in inputs), outputs)
    return Runner(emit_loop(spec), site).run(*inputs, one_by_one=one_by_one)


def drawn(shape, dtype, seed=0, scale=5.0):
    rng = np.random.default_rng(seed)
    return np.asarray(np.asarray(rng.normal(size=shape) * scale).astype(dtype))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i1", "f2"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_elementwise_kernel_gives_numpys_bits(dtype, shape):
    x, y = drawn(shape, dtype), drawn(shape, dtype, 1)
    turned = np.asarray(np.ascontiguousarray(y.T).T)
    d = x.dtype
    add, multiply = (Operation(name, (), (d, d), d) for name in ("add", "multiply"))
    out = stream(np.empty(shape, d))
    nodes = (Node(add, (0, 1)), Node(multiply, (2, 0)))
    spec = LoopSpec(shape, (stream(x), stream(turned)), nodes, ((3, out), (2, out)))
    both, total = run(spec, [x, turned], [array_type(shape, d)] * 2)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(total, x + y)
        np.testing.assert_array_equal(both, (x + y) * x)


def reduction(name, x, axes) -> tuple[LoopSpec, object]:
    """The spec that reduces an array over axes, and the type of its result."""
    kept = tuple(n for a, n in enumerate(x.shape) if a not in axes)
    dtype = np.dtype(bool) if name in ("all", "any") else x.dtype
    steps = iter([s // dtype.itemsize for s in np.empty(kept, dtype).strides])
    strides = tuple(0 if a in axes else next(steps) for a in range(x.ndim))
    made = Reduction(name, 0, x.dtype, Stream(dtype, strides))
    spec = LoopSpec(x.shape, (stream(x),), (), (), axes, (made,))
    return spec, array_type(kept, dtype)


def subsets(ndim: int):
    return itertools.chain.from_iterable(
        itertools.combinations(range(ndim), n) for n in range(1, ndim + 1)
    )


@pytest.mark.parametrize("name", UFUNCS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "?"])
def test_reduction_over_any_axes_agrees_with_numpy(name, dtype):
    for shape in SHAPES[1:]:
        x = drawn(shape, dtype, scale=1.0 if name == "prod" else 5.0)
        x = np.asarray(np.ascontiguousarray(x.T).T)
        for axes in subsets(x.ndim):
            if (dtype == "?" and name in ("sum", "prod")) or (name == "prod" and x.size > 50):
                continue  # NumPy counts truth values; long products leave the range
            spec, type_ = reduction(name, x, axes)
            (found,) = run(spec, [x], [type_])
            wide = {"dtype": "f8"} if dtype[0] == "f" and name in ("sum", "prod") else {}
            wanted = UFUNCS[name].reduce(x, axes, **wide)
            size = np.abs(x).sum(axes) if name == "sum" else np.abs(wanted)
            error = np.abs(np.asarray(found, float) - np.asarray(wanted, float))
            eps = np.finfo(x.dtype).eps if dtype[0] == "f" and name in ("sum", "prod") else 0
            steps = x.size if name == "prod" else 4
            assert np.all(error <= steps * eps * np.asarray(size, float)), (shape, axes)


@pytest.mark.parametrize("shape, axes", [
    ((1000003,), (0,)), ((1000, 1000), (0, 1)), ((1000, 1000), (0,)), ((300000, 10), (0,)),
    ((3, 7, 100003), (0, 2)), ((2, 600001), (1,)),
])  # fmt: skip
def test_long_sums_do_not_depend_on_who_does_which_task(shape, axes):
    x = drawn(shape, "f4")
    spec, type_ = reduction("sum", x, axes)
    (found,) = run(spec, [x], [type_])
    (again,) = run(spec, [x], [type_], one_by_one=True)
    assert found.tobytes() == again.tobytes()
    wanted = x.sum(axes, dtype="f8")
    numpys = np.abs(x.sum(axes) - wanted).max()
    assert np.abs(found - wanted).max() <= max(2 * numpys, 2e-7 * np.abs(x).sum(axes).max())


def test_long_sum_is_as_accurate_as_numpys():
    x = np.random.default_rng(0).random(3_000_001, dtype="f4")
    spec, type_ = reduction("sum", x, (0,))
    (found,) = run(spec, [x], [type_])
    assert abs(float(found) - x.sum(dtype="f8")) <= 2.0**-24 * float(found)


def test_extremes_hand_on_a_nan_and_sums_keep_the_sign_of_zero():
    x = np.ones((3, 40))
    x[1, 17] = np.nan
    for name in ("max", "min"):
        spec, type_ = reduction(name, x, (1,))
        np.testing.assert_array_equal(run(spec, [x], [type_])[0], UFUNCS[name].reduce(x, 1))
    spec, type_ = reduction("sum", np.full(5, -0.0), (0,))
    assert np.signbit(run(spec, [np.full(5, -0.0)], [type_])[0])


def test_axes_that_lie_together_are_merged():
    x = np.empty((4, 5, 6), "f4")
    spec = LoopSpec(x.shape, (stream(x),), (), ((0, stream(x)),))
    assert normalised(spec).domain == (120,)
    rows = stream(np.empty((4, 5, 8), "f4")[:, :, :6])
    assert normalised(LoopSpec(x.shape, (rows,), (), ((0, stream(x)),))).domain == (20, 6)


def test_vectors_run_along_the_matrix_whatever_repeats_itself_beside_it():
    d = np.dtype("f4")
    add = Operation("add", (), (d, d), d)
    of_rows = [Stream(d, (1, 0))] * 3
    nodes = (Node(add, (0, 1)), Node(add, (4, 2)), Node(add, (5, 3)))
    total = Reduction("sum", 6, d, Stream(d, (1, 0)))
    spec = LoopSpec((50, 70), (Stream(d, (70, 1)), *of_rows), nodes, (), (1,), (total,))
    made = normalised(spec)
    assert made.domain == (50, 70) and made.loads[0].strides == (70, 1)


def test_literal_fills():
    out = np.empty((3, 7), "f8")
    spec = LoopSpec(out.shape, (), (), ((number(np.float64(2.5)), stream(out)),))
    np.testing.assert_array_equal(run(spec, [], [array_type((3, 7), "f8")])[0], 2.5)


def test_part_before_and_after_a_vector_is_left_alone():
    x = np.arange(200, dtype="f4")
    spec = LoopSpec((37,), (Stream(x.dtype, (1,)),), (), ((0, Stream(x.dtype, (1,))),))
    kernel = emit_loop(spec)
    target = np.full(64, -1, "f4")
    site = Site("loop", {}, (place_of(x[:37]),), (contiguous_place(array_type((37,), "f4")),))
    runner = Runner(kernel, site)
    table = (ctypes.c_void_p * 2)(x[3:40].ctypes.data, target[5:42].ctypes.data)
    runner.functions[0](ctypes.addressof(table), 0, kernel.phases[0].tasks)
    np.testing.assert_array_equal(target[5:42], x[3:40])
    assert (target[:5] == -1).all() and (target[42:] == -1).all()


@pytest.mark.parametrize("blocked", [False, True], ids=["nan comes out", "nan is swallowed"])
@pytest.mark.parametrize("n", [1, 3, 7, 10, 13, 40, 64])
def test_strong_zeros_are_those_of_the_evaluator(n, blocked):
    edges = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5, -2.0])
    p, t = (x.ravel() for x in np.meshgrid(edges, edges))
    p, t = np.resize(p, n * 49)[-n:].copy(), np.resize(t, n * 49)[-n:].copy()
    d, b = p.dtype, np.dtype(bool)
    nodes = [Node(Operation("scale", (), (d, d), d), (0, 1))]
    if blocked:
        nodes.append(Node(Operation("isnan", (), (d,), b), (2,)))
        nodes.append(Node(Operation("cast", (), (b,), d), (3,)))
    out = Stream(d, (1,))
    spec = LoopSpec((n,), (stream(p), stream(t)), tuple(nodes), ((1 + len(nodes), out),))
    (found,) = run(spec, [p, t], [array_type((n,), d)])
    with np.errstate(all="ignore"):
        wanted = REGISTRY["scale"].evaluate(p, t)
    np.testing.assert_array_equal(found, np.isnan(wanted).astype(d) if blocked else wanted)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8"])
@pytest.mark.parametrize("shape, axes", [
    ((7, 9001), (0,)), ((2, 6, 5000), (1,)), ((3, 5, 4, 1500), (1, 2)), ((9, 4097), (0,)),
], ids=str)  # fmt: skip
def test_columns_are_summed_panel_by_panel(dtype, shape, axes):
    """More columns than a panel has, rows that are no multiple of those added at once."""
    x = drawn(shape, dtype, scale=100.0).round()  # whole numbers: sums are exact in any order
    spec, out = reduction("sum", x, axes)
    for one_by_one in (False, True):
        found = run(spec, [x], [out], one_by_one)[0]
        np.testing.assert_array_equal(found, x.sum(axis=axes, dtype=found.dtype))


@pytest.mark.parametrize("n", range(1, 18))
def test_rows_of_every_length_are_computed_in_their_own_lanes(n):
    """Comparisons, strong zeros and sums across; memory behind a row is the next row's."""
    x, y = drawn((5, n), "f8"), drawn((5, n), "f8", 1)
    x[2], y[2] = np.inf, 0.0
    d, b = x.dtype, np.dtype(bool)
    nodes = (
        Node(Operation("scale", (), (d, d), d), (0, 1)),
        Node(Operation("less", (), (d, d), b), (0, 2)),
    )
    stores = ((2, stream(x)), (3, stream(np.empty((5, n), bool))))
    spec = LoopSpec((5, n), (stream(x), stream(y)), nodes, stores)
    product, below = run(spec, [x, y], [array_type((5, n), d), array_type((5, n), b)])
    with np.errstate(invalid="ignore"):  # inf * 0, before it is made 0
        wanted = REGISTRY["scale"].evaluate(x, y)
    np.testing.assert_array_equal(product, wanted)
    np.testing.assert_array_equal(below, x < wanted)
    total, out = reduction("sum", x.round(), (0,))
    np.testing.assert_array_equal(run(total, [x.round()], [out])[0], x.round().sum(0))


@pytest.mark.parametrize("n", [3, 10, 22])
def test_nothing_is_compared_in_an_odd_number_of_lanes(n):
    """LLVM takes such comparisons apart lane by lane."""
    d = np.dtype("f8")
    rows = Stream(d, (n, 1))
    spec = LoopSpec((50, n), (rows, rows), (Node(Operation("scale", (), (d, d), d), (0, 1)),),
                    ((2, rows),))  # fmt: skip
    text = "".join(phase.text for phase in emit_loop(spec).phases)
    widths = [int(w) for w in re.findall(r"fcmp \w+ <(\d+) x", text)]
    assert widths and all(w & (w - 1) == 0 for w in widths)


def test_a_long_body_is_summed_in_one_register_of_lanes():
    """With more, every value of it is spilled, and its code is as many times as long."""
    d, n = np.dtype("f8"), 300
    x = drawn((1000 + 3,), d, scale=0.1)
    add = Operation("add", (), (d, d), d)
    nodes = [Node(Operation("multiply", (), (d, d), d), (0, 0))]
    nodes += [Node(add, (i + 1, 0)) for i in range(n)]
    out = Stream(d, (0,))
    spec = LoopSpec(x.shape, (stream(x),), tuple(nodes), (), (0,), (
        Reduction("sum", n + 1, d, out),))  # fmt: skip
    found = run(spec, [x], [array_type((), d)])[0]
    np.testing.assert_allclose(found, np.sum(x * x + n * x), rtol=1e-12)
    text = "".join(phase.text for phase in emit_loop(spec).phases)
    assert max(int(w) for w in re.findall(r"fadd <(\d+) x", text)) == lanes_for(spec, 1)


@pytest.mark.parametrize("shape", [(14,), (50, 14), (150,)], ids=str)
def test_short_rows_of_a_long_body_are_not_finished_one_by_one(shape):
    """Six of the fourteen numbers of a gate took half as long again as all of them."""
    d, n = np.dtype("f8"), 300
    x = drawn((*shape[:-1], shape[-1] + 1), d)[..., :-1]  # rows do not lie one behind the other
    nodes = [Node(Operation("add", (), (d, d), d), (i, 0)) for i in range(n)]
    spec = LoopSpec(shape, (stream(x),), tuple(nodes), ((n, stream(np.empty(shape, d))),))
    found = run(spec, [x], [array_type(shape, d)])[0]
    np.testing.assert_allclose(found, (n + 1) * x, rtol=1e-13)
    text = "".join(phase.text for phase in emit_loop(spec).phases)
    assert "fadd double" not in text


@pytest.mark.parametrize(("columns", "ahead"), [(1 << 12, False), (1 << 18, True)])
def test_what_comes_from_memory_is_asked_for_ahead(columns, ahead):
    x = drawn((5, columns), "d")
    out = Reduction("sum", 0, x.dtype, Stream(x.dtype, (1, 0)))
    spec = LoopSpec(x.shape, (stream(x),), (), (), (1,), (out,))
    text = emit_loop(spec).phases[0].text
    assert ("@llvm.prefetch" in text) is ahead
    (found,) = run(spec, [x], [array_type((5,), x.dtype)])
    np.testing.assert_allclose(found, x.sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize("shape, axes, loops", [
    ((256, 256), (0,), 3), ((1000003,), (0,), 6), ((3, 7, 100003), (0, 2), 10),
])  # fmt: skip
def test_loops_of_a_sum_are_written_once(shape, axes, loops):
    """Panels that are not there, rows left over by none, and each round of joining segments have no
    code of their own."""
    spec, _ = reduction("sum", drawn(shape, "f4"), axes)
    assert sum(phase.text.count(".head:") for phase in emit_loop(spec).phases) <= loops
