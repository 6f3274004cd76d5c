"""Native reading and writing at index arrays against the evaluator, task by task."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.kernel import Site, contiguous_place
from chainrule.compiler.llvm.gather import emit_gather
from chainrule.compiler.llvm.scatter import emit_scatter
from chainrule.compiler.native import build
from chainrule.compiler.steps import Keep, Native
from chainrule.program.op import REGISTRY
from chainrule.program.trace import Builder, operand
from chainrule.program.types import type_of
from tests.compiler.running import Runner, place_of, site_of

rng = np.random.default_rng(8)
DTYPES = "?bhilBHILefdFD"


def numbers(shape, dtype="d"):
    """Random numbers of a dtype."""
    return rng.integers(0, 100, shape).astype(dtype)


def indices(shape, n, dtype="l"):
    """Random indices into an axis of length n, from both ends."""
    low = -n if np.dtype(dtype).kind == "i" else 0
    return rng.integers(low, n, shape).astype(dtype)


def gathered(x, *arrays, at=(), one_by_one=True):
    """The native result and the status."""
    site = site_of("index", x, *arrays, at=at)
    runner = Runner(emit_gather(site), site)
    (out,) = runner.run(x, *arrays, one_by_one=one_by_one)
    return out, runner.status


def check_gather(x, *arrays, at=()):
    out, status = gathered(x, *arrays, at=at)
    expected = REGISTRY["index"].evaluate(x, *arrays, at=at)
    assert status == 0 and out.dtype == expected.dtype
    np.testing.assert_array_equal(out, expected)


def scattered(op, x, value, *arrays, at=(), one_by_one=True):
    """The array after the native write, and the status."""
    places = tuple(place_of(v) for v in (value, *arrays))
    site = Site(op, {"at": at}, places, (contiguous_place(type_of(x)),))
    runner = Runner(emit_scatter(site), site)
    (out,) = runner.run(value, *arrays, one_by_one=one_by_one, outputs=[x.copy()])
    return out, runner.status


def check_scatter(op, x, value, *arrays, at=()):
    out, status = scattered(op, x, value, *arrays, at=at)
    expected = REGISTRY[op].evaluate(x, value, *arrays, at=at)
    assert status == 0
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gather_of_every_dtype(dtype):
    check_gather(numbers(9, dtype), indices((3, 4), 9))
    check_gather(numbers((9, 37), dtype), indices(5, 9), at=((0, 37, 1),))


@pytest.mark.parametrize("dtype", "bhilBHIL")
def test_gather_by_every_integer(dtype):
    check_gather(numbers((5, 6)), indices(7, 5, dtype), indices(7, 6, dtype))


def test_gather_of_blocks_that_are_strided():
    x = numbers((7, 6, 10, 4))
    i = indices((2, 3), 7)
    check_gather(x, i, at=((5, -1, -2), (1, 9, 3), (0, 4, 1)))
    check_gather(x, i, at=((0, 6, 1), 3, (0, 4, 1)))
    check_gather(x.transpose(2, 0, 3, 1), indices(4, 10), at=((0, 7, 1), (0, 4, 1), (0, 6, 1)))
    check_gather(x, i.T, i.T % 6, i.T, i.T % 4)
    check_gather(np.broadcast_to(numbers(4), (7, 4)), i, at=((0, 4, 1),))


def test_gather_of_a_literal_and_by_one():
    check_gather(numbers((3, 4)), np.broadcast_to(np.int64(-1), (5,)), at=((0, 4, 1),))
    x = np.broadcast_to(np.float32(2.5), (6,))
    check_gather(x, indices((2, 2), 6))


def test_gather_of_nothing():
    check_gather(numbers((4, 3)), indices(0, 4), at=((0, 3, 1),))
    check_gather(numbers((4, 0)), indices(3, 4), at=((0, 0, 1),))
    assert gathered(numbers((4, 0)), np.array([4]), at=((0, 0, 1),))[1] == 1
    assert gathered(numbers((0, 3)), np.array([0]), at=((0, 3, 1),))[1] == 1


def test_large_gathers_are_divided_into_tasks():
    x, i = numbers((50, 64)), indices(9000, 50)
    assert emit_gather(site_of("index", x, i, at=((0, 64, 1),))).phases[0].tasks > 1
    check_gather(x, i, at=((0, 64, 1),))
    lanes = np.broadcast_to(np.arange(3)[:, None], (3, 60000))
    check_gather(numbers((3, 70)), lanes, indices((3, 60000), 70))


@pytest.mark.parametrize("bad", [-6, 5, 2**40, -(2**62)])
def test_indices_out_of_range_set_the_status(bad):
    i = np.array([0, 1, bad, 2])
    assert gathered(numbers((5, 3)), i, at=((0, 3, 1),))[1] == 1
    x = numbers((5, 3))
    for op in ("index_set", "index_add"):
        out, status = scattered(op, x, numbers((4, 3)), i, at=((0, 3, 1),))
        assert status == 1
        np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize("dtype", "bhilBHIL")
def test_every_index_is_checked_before_anything_is_written(dtype):
    x, i = numbers(50), indices(45, 50, dtype)
    least = -51 if np.dtype(dtype).kind == "i" else 50
    places = (place_of(x[i]), place_of(i))
    site = Site("index_set", {"at": ()}, places, (contiguous_place(type_of(x)),))
    runner = Runner(emit_scatter(site), site)
    for place in (0, 7, 21, 39, 40, 44):
        for bad in (50, least, np.iinfo(dtype).max, np.iinfo(dtype).min or 50):
            j = i.copy()
            j[place] = bad
            (out,) = runner.run(np.zeros(45), j, outputs=[x.copy()])
            assert runner.status == 1
            np.testing.assert_array_equal(out, x)
    runner.run(np.zeros(45), i, outputs=[x.copy()])
    assert runner.status == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", ["index_set", "index_add"])
def test_scatter_of_every_dtype(op, dtype):
    check_scatter(op, numbers(9, dtype), numbers(40, dtype), indices(40, 9))
    check_scatter(op, numbers((9, 37), dtype), numbers((20, 37), dtype), indices(20, 9),
                  at=((0, 37, 1),))  # fmt: skip
    check_scatter(op, numbers((9, 7), dtype), numbers((), dtype)[()], indices(4, 9),
                  at=((6, 0, -2),))  # fmt: skip


@pytest.mark.parametrize("op", ["index_set", "index_add"])
def test_scatter_of_strided_values(op):
    x, i = rng.normal(size=(7, 6, 5)), indices((4, 3), 7)
    at = ((1, 6, 2), (0, 5, 1))
    check_scatter(op, x, rng.normal(size=(5, 3, 3, 4)).transpose(3, 1, 2, 0), i, at=at)
    check_scatter(op, x, np.broadcast_to(rng.normal(size=(3, 1)), (4, 3, 3, 5)), i, at=at)
    check_scatter(op, x, rng.normal(size=(4, 3, 3, 10))[..., ::-2], i, at=at)
    check_scatter(op, x, rng.normal(size=(4, 3, 5)), i, i % 6, at=((0, 5, 1),))
    check_scatter(op, x, rng.normal(size=(4, 3, 3)), i, i % 6, at=((4, 1, -1),))


@pytest.mark.parametrize("op", ["index_set", "index_add"])
def test_repeated_indices_in_the_order_of_numpy(op):
    i = indices(3000, 11)
    check_scatter(op, rng.normal(size=11), rng.normal(size=3000), i)
    check_scatter(op, rng.normal(size=(11, 48)), rng.normal(size=(3000, 48)), i, at=((0, 48, 1),))


def test_wide_scatters_are_divided_into_columns():
    x, value, i = numbers((30, 96)), numbers((4000, 96)), indices(4000, 30)
    site = Site("index_add", {"at": ((0, 96, 1),)}, (place_of(value), place_of(i)),
                (contiguous_place(type_of(x)),))  # fmt: skip
    assert emit_scatter(site).phases[1].tasks > 1
    check_scatter("index_add", x, value, i, at=((0, 96, 1),))
    check_scatter("index_set", x, value, i, at=((0, 96, 1),))


@pytest.mark.parametrize("op", ["index_set", "index_add"])
def test_scatter_of_nothing(op):
    check_scatter(op, numbers((4, 3)), numbers((0, 3)), indices(0, 4), at=((0, 3, 1),))
    check_scatter(op, numbers((4, 3)), numbers((5, 0)), indices(5, 4), at=((1, 1, 1),))


def test_complex_addition_at_a_scalar_index():
    x, value = numbers((4, 3), "D") * 1j, numbers(3, "D")
    check_scatter("index_add", x, value, np.array(-2), at=((0, 3, 1),))
    check_scatter("index_add", x, numbers((4, 2), "D"), at=((0, 4, 1), (1, 3, 1)))


# --- whole programs -------------------------------------------------------------------------------


def program(op, *values, at):
    """The program of one operation."""
    with Builder("f") as builder:
        inputs = [builder.input(type_of(v)) for v in values]
        return builder.finish([operand(builder, REGISTRY[op](*inputs, at=at))])


def test_a_dying_array_is_written_where_it_is():
    x, value, i = numbers((6, 4)), numbers((3, 4)), np.array([1, -1, 1])
    native = build(program("index_add", x, value, i, at=((0, 4, 1),)), {0: 0})
    steps = native.region.steps
    assert [type(s) for s in steps] == [Keep, Native] and steps[0].needless
    expected = x.copy()
    np.add.at(expected, i, value)
    memory = x.copy()
    assert native.run([memory, value, i]) == [None]
    np.testing.assert_array_equal(memory, expected)


def test_an_array_that_is_read_later_is_copied():
    @cr.compile
    def f(x, i, v):
        y = x.copy()
        y[i] = v
        return x, y

    x, i = np.arange(5.0), np.array([3, 0, 3])
    before, after = f(x, i, np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(before, np.arange(5.0))
    np.testing.assert_array_equal(after, [2.0, 1.0, 2.0, 3.0, 4.0])


def test_indices_out_of_range_raise_as_on_the_evaluator_and_leave_arguments_alone():
    x, i = np.arange(5.0), np.array([3, 7])
    native = build(program("index_set", x, np.ones(2), i, at=()), {0: 0})
    with pytest.raises(IndexError):
        native.run([x, np.ones(2), i])
    np.testing.assert_array_equal(x, np.arange(5.0))


