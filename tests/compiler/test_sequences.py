"""Native recurrences, sums of segments and convolutions against the evaluator, task by task."""

import numpy as np
import pytest

import chainrule  # noqa: F401  (registers every operation)
from chainrule.compiler.llvm.sequences import emit_convolve, emit_recurrence, emit_segment_sum
from chainrule.program.op import REGISTRY
from tests.compiler.running import Runner, run_kernel, site_of

rng = np.random.default_rng(2)
EMITTERS = {
    "recurrence": emit_recurrence, "segment_sum": emit_segment_sum, "convolve": emit_convolve,
}  # fmt: skip


def numbers(shape, dtype="d"):
    """Small whole numbers: sums of them are exact."""
    return rng.integers(0, 3, shape).astype(dtype)


def check(op, *inputs, near=0.0, **params):
    expected = REGISTRY[op].evaluate(*inputs, **params)
    (found,) = run_kernel(EMITTERS[op], op, *inputs, one_by_one=True, **params)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    if near:
        np.testing.assert_allclose(found, expected, rtol=near, atol=near)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", "fd")
def test_recurrences(dtype):
    eps = 64 * np.finfo(dtype).eps
    for k in (0, 1, 3, 8, 9, 40):
        c = (rng.uniform(-1, 1, k) / max(k, 1)).astype(dtype)
        x = rng.normal(size=(2, 3, 50)).astype(dtype)
        check("recurrence", c, x, near=eps)
        check("recurrence", c, x[0, 0, ::-3], near=eps)
        if not k:
            continue
        each = np.broadcast_to(c, (2, 3, k)) * rng.random((2, 3, 1)).astype(dtype)
        check("recurrence", each, x, near=eps)
    check("recurrence", c, x[..., :0])
    check("recurrence", c, x[..., :1])


def test_recurrences_round_one_product_after_the_other():
    c, x = rng.uniform(-0.5, 0.5, 2), rng.normal(size=200)
    w = [0.0, 0.0]
    for value in x:
        w.append(((0.0 - c[1] * w[-2]) - c[0] * w[-1]) + value)
    (found,) = run_kernel(emit_recurrence, "recurrence", c, x)
    np.testing.assert_array_equal(found, w[2:])


def test_many_recurrences_are_tasks():
    x = rng.normal(size=(300, 200))
    site = site_of("recurrence", np.array([0.5]), x)
    assert emit_recurrence(site).phases[0].tasks > 1
    check("recurrence", np.array([0.5]), x, near=1e-14)
    assert emit_recurrence(site_of("recurrence", np.array([0.5j]), x + 0j)) is None


@pytest.mark.parametrize("dtype", "?bhilBHILefdFD")
def test_sums_of_segments_of_every_dtype(dtype):
    starts = np.array([3, 5, 5, 4, 20, 39])
    check("segment_sum", numbers((40, 3, 5), dtype), starts, axis=0)
    check("segment_sum", numbers((3, 40), dtype), starts, axis=1)
    check("segment_sum", numbers(40, dtype), starts, axis=0)


def test_sums_of_segments_of_strided_arrays_and_of_nothing():
    x, starts = numbers((9, 60, 7)), np.array([0, 10, 30, 31])
    for y in (x.transpose(1, 0, 2)[::2], x.transpose(1, 2, 0), x[0, :, ::-1], x.T[:, ::-1, 0].T):
        axis = y.shape.index(max(y.shape))
        check("segment_sum", y, np.minimum(starts, y.shape[axis] - 1), axis=axis)
    check("segment_sum", x, np.repeat(starts, 2)[::2], axis=1)
    check("segment_sum", x, starts[:0], axis=1)
    check("segment_sum", x[:0], starts, axis=1)


@pytest.mark.parametrize("starts", [[0, 60], [-1, 3], [5, 2**40], [0, -(2**62)]])
def test_starts_outside_the_axis_set_the_status(starts):
    x, starts = numbers((60, 2)), np.array(starts)
    site = site_of("segment_sum", x, starts, axis=0)
    runner = Runner(emit_segment_sum(site), site)
    runner.run(x, starts)
    assert runner.status == 1


@pytest.mark.parametrize("axis", [0, 1])
def test_rounding_errors_of_long_segments_stay_small(axis):
    x = rng.normal(size=(2, 50_000)).astype("f")
    truth = x.astype("d").sum(1)
    y = x if axis else np.ascontiguousarray(x.T)
    (found,) = run_kernel(emit_segment_sum, "segment_sum", y, np.array([0]), axis=axis)
    assert np.abs(found.ravel() - truth).max() < 2e-3


@pytest.mark.parametrize("mode", ["full", "valid"])
@pytest.mark.parametrize("dtype", "?bhilBHILefd")
def test_convolutions_of_every_dtype(mode, dtype):
    check("convolve", numbers(70, dtype), numbers(3, dtype), mode=mode)
    check("convolve", numbers((2, 3, 9), dtype), numbers((2, 3, 9), dtype), mode=mode)


@pytest.mark.parametrize("mode", ["full", "valid"])
def test_convolutions_of_any_lengths(mode):
    for n, m in ((1, 1), (5, 1), (200, 150), (40, 33), (33, 1)):
        check("convolve", numbers(n), numbers(m), mode=mode)
    x = numbers((4, 6, 50))
    check("convolve", x[:, ::2, ::-1], numbers((3, 4, 5)).transpose(1, 0, 2), mode=mode)
    check("convolve", numbers(3), numbers(50), mode="full")
    check("convolve", rng.normal(size=30_000), rng.normal(size=40), mode=mode, near=1e-13)
    assert emit_convolve(site_of("convolve", x + 0j, x + 0j, mode=mode)) is None


def test_long_convolutions_and_many_are_tasks():
    for shape in ((20_000,), (100, 200)):
        x, y = rng.normal(size=shape), rng.normal(size=(*shape[:-1], 50))
        assert emit_convolve(site_of("convolve", x, y, mode="full")).phases[0].tasks > 1
        check("convolve", x, y, mode="full", near=1e-13)
