"""Native pooling against the evaluator, task by task."""

import numpy as np
import pytest

import chainrule  # noqa: F401  (registers every operation)
from chainrule.compiler.llvm import pool_windows
from chainrule.compiler.llvm.pool import (
    emit_window_max,
    emit_window_pick,
    emit_window_share,
    emit_window_sum,
)
from chainrule.ops.pooling import window_max
from chainrule.program.op import REGISTRY
from tests.compiler.running import run_kernel, site_of

rng = np.random.default_rng(4)

EMITTERS = {
    "window_sum": emit_window_sum, "window_max": emit_window_max, "window_pick": emit_window_pick,
    "window_share": emit_window_share,
}  # fmt: skip
# (window, strides, padding, w_dilation)
WINDOWS = [
    ((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)),
    ((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1)),
    ((3, 2), (1, 1), ((1, 1), (0, 1)), (1, 1)),
    ((2, 3), (3, 4), ((1, 0), (2, 2)), (1, 1)),
    ((2, 2), (1, 2), ((1, 2), (-1, 2)), (3, 2)),
    ((1, 1), (2, 3), ((0, 0), (0, 0)), (1, 1)),
    ((5, 6), (1, 1), ((2, 2), (2, 3)), (1, 1)),
    ((2, 2), (2, 2), ((3, 3), (0, 5)), (1, 1)),  # windows that see nothing
]


def few(*shape, dtype="f"):
    """Numbers among which many tie, some nan, in places."""
    x = rng.integers(-2, 3, shape).astype(dtype)
    x[rng.random(shape) < 0.02] = np.nan
    x[rng.random(shape) < 0.02] = -np.inf
    return x


def check(op, *inputs, one_by_one=True, **params):
    expected = REGISTRY[op].evaluate(*inputs, **params)
    (found,) = run_kernel(EMITTERS[op], op, *inputs, one_by_one=one_by_one, **params)
    assert found.dtype == expected.dtype
    eps = np.finfo(expected.dtype).eps
    np.testing.assert_allclose(found, expected, rtol=32 * eps, atol=32 * eps)


def check_all(x, y_layout=lambda y: y, **params):
    names = ("window", "strides", "padding", "w_dilation")
    params = dict(zip(names, params["options"], strict=True))
    check("window_max", x, **params)
    out = window_max(x, **params)
    ct = rng.normal(size=out.shape).astype(x.dtype)
    check("window_share", x, y_layout(out), y_layout(ct), **params)
    check("window_share", x, out, ct, one_by_one=False, **params)
    dx = rng.normal(size=x.shape).astype(x.dtype)
    check("window_pick", x, y_layout(out), dx, **params)
    check("window_sum", dx, x_dilation=(1,) * len(params["window"]), **params)


@pytest.mark.parametrize("options", WINDOWS)
def test_all_operations_on_ties_and_nan(options):
    check_all(few(2, 8, 12, 3), options=options)


def test_all_operations_in_float64():
    check_all(few(2, 8, 12, 6, dtype="d"), options=WINDOWS[1])


@pytest.mark.parametrize("channels", [1, 8, 37])
def test_channels_of_every_width(channels):
    check_all(few(2, 5, 6, channels), options=WINDOWS[1])
    check_all(few(2, 4, 6, channels), options=WINDOWS[0])


@pytest.mark.parametrize("options", WINDOWS[:7])
@pytest.mark.parametrize("holes", [(1, 2), (2, 2), (3, 4), (7, 5)])
def test_sums_over_holes(options, holes):
    params = dict(zip(("window", "strides", "padding", "w_dilation"), options, strict=True))
    x = rng.normal(size=(2, 5, 6, 9)).astype("f")
    check("window_sum", x, x_dilation=holes, **params)


def test_windows_far_apart():
    check_all(few(2, 13, 15, 4), options=((6, 7), (6, 7), ((0, 0), (0, 0)), (1, 1)))
    check_all(few(2, 13, 15, 4), options=((7, 8), (6, 7), ((1, 2), (3, 0)), (1, 1)))


def test_one_axis():
    check_all(few(3, 11, 5), options=((3,), (2,), ((1, 1),), (1,)))
    check_all(few(3, 11, 5), options=((2,), (2,), ((0, 0),), (1,)))


def test_operands_of_any_strides():
    x = few(6, 6, 6, 6)
    check_all(x.transpose(3, 1, 0, 2)[:, ::2, ::-1], options=WINDOWS[1])
    check_all(x[:, 1:, :, 1:4], np.asfortranarray, options=WINDOWS[0])


def test_results_in_many_tasks(monkeypatch):
    monkeypatch.setattr(pool_windows, "task_count", lambda work: 7)
    check_all(few(2, 9, 8, 36), options=WINDOWS[1])
    check_all(few(2, 8, 8, 36), options=WINDOWS[0])


def test_vectors_of_other_processors(monkeypatch):
    for lanes in (4, 16):
        monkeypatch.setattr(pool_windows, "lane_count", lambda size, n=lanes: n)
        check_all(few(2, 5, 6, 37), options=WINDOWS[1])


def test_whole_numbers_and_three_axes_are_left_to_the_evaluator():
    params = dict(window=(2,), strides=(2,), padding=((0, 0),), w_dilation=(1,))
    assert emit_window_max(site_of("window_max", np.ones((1, 4, 1), int), **params)) is None
    params = {k: v * 3 for k, v in params.items()}
    assert emit_window_max(site_of("window_max", np.ones((1, 4, 4, 4, 1)), **params)) is None
