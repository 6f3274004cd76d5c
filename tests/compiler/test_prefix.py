"""Native counting, running values and positions of extremes against the evaluator."""

import numpy as np
import pytest

import chainrule  # noqa: F401  (registers every operation)
from chainrule.compiler.llvm.extremes import emit_arg_extreme
from chainrule.compiler.llvm.prefix import emit_accumulate, emit_iota
from chainrule.program.op import REGISTRY
from tests.compiler.running import Runner, run_kernel, site_of

rng = np.random.default_rng(3)
SCANS = ("cumsum", "cumprod", "cummax", "cummin")
SHAPES = [
    ((7,), 0), ((1,), 0), ((0,), 0), ((3, 0), 0), ((3, 0), 1), ((100,), 0), ((3, 45), 1),
    ((45, 3), 0), ((5, 37), 0), ((2, 6, 70), 1), ((2, 33, 4), 2), ((4, 1, 3), 1),
]  # fmt: skip


def few(shape, dtype):
    """Numbers among which many tie, some nan in floats."""
    x = rng.integers(-3 if np.dtype(dtype).kind in "if" else 0, 4, shape).astype(dtype)
    if x.dtype.kind == "f":
        x[rng.random(shape) < 0.02] = np.nan
        x[rng.random(shape) < 0.02] = -np.inf
        x[rng.random(shape) < 0.1] = -0.0
    return x


def evaluated(op, *inputs, **params):
    with np.errstate(all="ignore"):
        return REGISTRY[op].evaluate(*inputs, **params)


def same_bits(found, expected, zeros=True):
    """Equal, the signs of zeros as well; which of two zeros is larger depends on the processor."""
    assert found.dtype == expected.dtype and found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)
    if found.dtype.kind == "f" and zeros:
        numbers = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found)[numbers], np.signbit(expected)[numbers])


@pytest.mark.parametrize("dtype", "bhilBHILefd")
def test_iota_counts(dtype):
    for n in (0, 1, 5, 100):
        (found,) = run_kernel(emit_iota, "iota", size=n, dtype=np.dtype(dtype), one_by_one=True)
        same_bits(found, np.arange(n, dtype=dtype))


def test_a_long_iota_is_divided():
    site = site_of("iota", size=1_000_003, dtype=np.dtype("d"))
    kernel = emit_iota(site)
    assert kernel.phases[0].tasks > 1
    same_bits(Runner(kernel, site).run(one_by_one=True)[0], np.arange(1_000_003.0))
    assert emit_iota(site_of("iota", size=200, dtype=np.dtype("B"))) is not None
    assert emit_iota(site_of("iota", size=300, dtype=np.dtype("b"))) is None


@pytest.mark.parametrize("op", SCANS)
@pytest.mark.parametrize("dtype", "?bhilBHILefd")
def test_running_values_of_every_dtype(op, dtype):
    for shape, axis in SHAPES if dtype in "dh" else SHAPES[7:9]:
        x = few(shape, dtype)
        if op == "cumprod" and dtype in "efd":
            x[np.isfinite(x)] /= 2
        expected = evaluated(op, x, axis=axis)
        (found,) = run_kernel(emit_accumulate, op, x, axis=axis, one_by_one=True)
        same_bits(found, expected, op in SCANS[:2])  # sums of small integers are exact


@pytest.mark.parametrize("op", SCANS)
def test_running_values_of_strided_arrays(op):
    x = few((6, 40, 10), "d")
    for y in (x.transpose(2, 0, 1), x[:, ::-1, ::3], x[::2, 5:, 1], x.T,
              np.broadcast_to(x[:1], x.shape)):  # fmt: skip
        for axis in range(y.ndim):
            (found,) = run_kernel(emit_accumulate, op, y, axis=axis, one_by_one=True)
            same_bits(found, evaluated(op, y, axis=axis), op in SCANS[:2])


@pytest.mark.parametrize("dtype", "fd")
def test_rounding_errors_of_running_sums_are_no_worse_than_numpys(dtype):
    x = rng.normal(size=(3, 5000)).astype(dtype)
    truth = np.cumsum(x.astype(np.longdouble), axis=1)
    for y, axis in ((x, 1), (np.ascontiguousarray(x.T), 0)):
        (found,) = run_kernel(emit_accumulate, "cumsum", y, axis=axis)
        found = found if axis else found.T
        error, numpys = np.abs(found - truth).max(), np.abs(np.cumsum(x, 1) - truth).max()
        assert error <= numpys


@pytest.mark.parametrize("op", SCANS)
@pytest.mark.parametrize("dtype", "lfd?")
def test_one_long_sequence_is_divided_by_its_length(op, dtype):
    x = few(300_007, dtype) if op != "cumprod" else np.ones(300_007, dtype)
    if x.dtype.kind == "f" and op == "cumsum":
        x[~np.isfinite(x)] = 1
    site = site_of(op, x, axis=0)
    kernel = emit_accumulate(site)
    assert (kernel.phases[-1].tasks > 1) == (op != "cumprod" or dtype in "l?")
    runner = Runner(kernel, site)
    (whole,), (parts,) = runner.run(x), runner.run(x, one_by_one=True)
    same_bits(parts, whole)
    same_bits(whole, evaluated(op, x, axis=0), op in SCANS[:2])


def test_running_products_do_not_overflow_early():
    x = np.array([1e-300, 1e200, 1e200, 1e-100, 1e-100] * 20)
    (found,) = run_kernel(emit_accumulate, "cumprod", x, axis=0)
    same_bits(found, np.cumprod(x))


def test_running_sums_of_complex_numbers():
    x = (rng.integers(-9, 9, (4, 30)) + 1j * rng.integers(-9, 9, (4, 30))).astype("D")
    for y, axis in ((x, 0), (x, 1), (x.T, 1), (x.astype("F"), 1)):
        (found,) = run_kernel(emit_accumulate, "cumsum", y, axis=axis)
        np.testing.assert_array_equal(found, np.cumsum(y, axis))
    assert emit_accumulate(site_of("cumprod", x, axis=0)) is None


@pytest.mark.parametrize("op", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", "?bhilBHILefd")
def test_first_extreme_of_every_dtype(op, dtype):
    for shape, axis in SHAPES if dtype in "dh" else SHAPES[7:9]:
        if not shape[axis]:
            assert emit_arg_extreme(site_of(op, np.zeros(shape, dtype), axis=axis)) is None
            continue
        x = few(shape, dtype)
        (found,) = run_kernel(emit_arg_extreme, op, x, axis=axis, one_by_one=True)
        same_bits(found, np.asarray(evaluated(op, x, axis=axis)))


@pytest.mark.parametrize("op", ["argmax", "argmin"])
def test_first_extreme_of_strided_arrays(op):
    x = few((6, 40, 10), "f")
    for y in (x.transpose(2, 0, 1), x[:, ::-1, ::3], x[::2, 5:, 1], x.T,
              np.broadcast_to(x[:1], x.shape)):  # fmt: skip
        for axis in range(y.ndim):
            (found,) = run_kernel(emit_arg_extreme, op, y, axis=axis, one_by_one=True)
            same_bits(found, evaluated(op, y, axis=axis))


@pytest.mark.parametrize("op", ["argmax", "argmin"])
def test_a_nan_is_the_first_extreme(op):
    for n in (1, 9, 70):
        for place in range(0, n, 3):
            x = rng.normal(size=n)
            x[place:] = np.nan
            (found,) = run_kernel(emit_arg_extreme, op, x, axis=0)
            assert found == place


@pytest.mark.parametrize("op", ["argmax", "argmin"])
def test_first_extreme_of_one_long_sequence(op):
    x = rng.integers(-1000, 1000, 400_003).astype("f")
    site = site_of(op, x, axis=0)
    kernel = emit_arg_extreme(site)
    assert kernel.phases[0].tasks > 1
    (found,) = Runner(kernel, site).run(x, one_by_one=True)
    assert found == evaluated(op, x, axis=0)
