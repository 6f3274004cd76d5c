"""Native sorting and searching against the evaluator, task by task."""

import numpy as np
import pytest

import chainrule  # noqa: F401  (registers every operation)
from chainrule.compiler.llvm.sorting import emit_argsort, emit_searchsorted, emit_sort
from chainrule.program.op import REGISTRY
from tests.compiler.running import run_kernel, site_of

rng = np.random.default_rng(6)
DTYPES = "?bhilBHILefd"
SHAPES = [
    ((1,), 0), ((0,), 0), ((3, 0), 0), ((3, 0), 1), ((32,), 0), ((33,), 0), ((300,), 0),
    ((4, 20), 1), ((50, 3), 0), ((2, 70, 3), 1),
]  # fmt: skip


def draws(shape, dtype):
    """Numbers over the whole range of a dtype; every tenth one is a nan, a zero or infinite."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    x = (rng.normal(size=shape) * 10.0 ** rng.integers(-4, 4, shape)).astype(dtype)
    for value in (np.nan, -np.nan, 0.0, -0.0, np.inf, -np.inf):
        x[rng.random(shape) < 0.02] = value
    return x


def check(emitter, op, *inputs, **params):
    expected = REGISTRY[op].evaluate(*inputs, **params)
    (found,) = run_kernel(emitter, op, *inputs, one_by_one=True, **params)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def check_sort(x, axis):
    if x.dtype.itemsize >= 4 and (x.shape[axis] > 32 or x.size > 512):
        assert emit_sort(site_of("sort", x, axis=axis)) is None  # NumPy's is faster
    else:
        check(emit_sort, "sort", x, axis=axis)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sort_and_argsort_of_every_dtype(dtype):
    for shape, axis in SHAPES if dtype in "dh" else SHAPES[4:7]:
        x = draws(shape, dtype)
        check_sort(x, axis)
        check(emit_argsort, "argsort", x, axis=axis, stable=True)
        few = rng.integers(0, 4, shape).astype(dtype)
        check_sort(few, axis)
        check(emit_argsort, "argsort", few, axis=axis, stable=True)


@pytest.mark.parametrize("dtype", "ldfh")
def test_many_entries_by_wide_digits(dtype):
    x = draws(20_000, dtype)
    check_sort(x, 0)
    check(emit_argsort, "argsort", x, axis=0, stable=True)
    check(emit_argsort, "argsort", np.abs(x[::-1]), axis=0, stable=True)


def test_strided_arrays_and_many_tasks():
    x = draws((50, 40, 7), "d")
    for y in (x, x.transpose(2, 0, 1), x[:, ::-1, ::3], np.broadcast_to(x[:1], x.shape)):
        for axis in range(y.ndim):
            check_sort(y, axis)
            check(emit_argsort, "argsort", y, axis=axis, stable=True)
    assert emit_argsort(site_of("argsort", x, axis=1, stable=True)).phases[0].tasks > 1


def test_what_is_not_native():
    x = draws(8, "d")
    assert emit_argsort(site_of("argsort", x, axis=0, stable=False)) is None
    assert emit_sort(site_of("sort", x.astype("D"), axis=0)) is None


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_searchsorted_of_every_dtype(side, dtype):
    for n in (0, 1, 2, 3, 7, 8, 100) if dtype == "d" else (8, 100):
        a, v = np.sort(draws(n, dtype)), draws((5, 9), dtype)
        v.flat[:n] = a[: v.size]
        check(emit_searchsorted, "searchsorted", a, v, side=side, lead=0)
    a, v = np.sort(draws((3, 2, 9), dtype), axis=-1), draws((3, 2, 4, 5), dtype)
    check(emit_searchsorted, "searchsorted", a, v, side=side, lead=2)


def test_searchsorted_of_strided_arrays_and_many_tasks():
    a, v = np.sort(draws((9, 3), "d"), axis=0), draws((4, 3), "d")
    check(emit_searchsorted, "searchsorted", a.T, v.T, side="left", lead=1)
    check(emit_searchsorted, "searchsorted", a[:, 1], draws(60_000, "d")[::2], side="left", lead=0)
