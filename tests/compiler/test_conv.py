"""Native convolutions against the evaluator, task by task, for all kinds of options."""

import itertools

import numpy as np
import pytest

import chainrule  # noqa: F401  (registers every operation)
from chainrule.compiler.llvm import conv, conv_geometry, conv_layout, conv_weights
from chainrule.compiler.llvm.conv import emit_convolution
from chainrule.compiler.llvm.conv_again import emit_convolution_again
from chainrule.compiler.llvm.conv_weights import emit_convolution_weights
from chainrule.ops.windows import convolution, convolution_weights
from tests.compiler.running import run_kernel, site_of

rng = np.random.default_rng(3)


def check(x, w, one_by_one=True, **params):
    expected = convolution(x, w, **params)
    (found,) = run_kernel(emit_convolution, "convolution", x, w, one_by_one=one_by_one, **params)
    assert found.dtype == expected.dtype
    close(found, expected, np.prod(w.shape[:-1]))


def close(found, expected, terms):
    scale = np.max(np.abs(expected), initial=1e-30)
    bound = 4 * np.sqrt(terms) * np.finfo(expected.dtype).eps * scale
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


def options(spatial, strides=1, padding=0, x_dilation=1, w_dilation=1, groups=1):
    return dict(
        strides=(strides,) * spatial, padding=((padding, padding),) * spatial,
        x_dilation=(x_dilation,) * spatial, w_dilation=(w_dilation,) * spatial, groups=groups,
    )  # fmt: skip


def arrays(x, w, dtype="f"):
    return rng.normal(size=x).astype(dtype), rng.normal(size=w).astype(dtype)


COMBINATIONS = (  # strides, x_dilation, w_dilation, padding
    (1, 2, 1, ((0, 0), (0, 0))), (2, 1, 1, ((2, 1), (1, 3))), (2, 1, 1, ((-1, 2), (2, -1))),
    (2, 3, 1, ((2, 1), (1, 3))), (1, 1, 2, ((-1, 2), (2, -1))), (1, 2, 2, ((2, 1), (1, 3))),
    (3, 2, 1, ((2, 1), (1, 3))), (2, 4, 3, ((0, 0), (0, 0))), (1, 4, 6, ((2, 1), (1, 3))),
    (1, 2, 1, ((-1, 2), (2, -1))),
)  # fmt: skip
all_options = pytest.mark.parametrize(("strides", "holes", "dilation", "padding"), COMBINATIONS)


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("channels", [(3, 16), (16, 12), (5, 3), (1, 1), (4, 40), (2, 25)])
def test_channels_of_every_width(dtype, channels):
    inner, outer = channels
    check(*arrays((2, 7, 9, inner), (3, 3, inner, outer), dtype), **options(2, padding=1))


@all_options
def test_strides_holes_and_padding(strides, holes, dilation, padding):
    params = options(2, strides, 0, holes, dilation) | {"padding": padding}
    check(*arrays((2, 8, 7, 3), (3, 2, 3, 9)), **params)


def test_options_that_differ_between_axes():
    params = dict(strides=(2, 1), padding=((1, 0), (-1, 2)), x_dilation=(1, 3), w_dilation=(2, 1))
    check(*arrays((3, 9, 6, 4), (2, 4, 2, 6)), groups=2, **params)


@pytest.mark.parametrize("groups", [2, 4, 8])
def test_groups(groups):
    check(*arrays((2, 6, 5, 8), (3, 2, 8 // groups, 16)), **options(2, 1, 1, groups=groups))


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 6, 7, 8, 13, 16, 17, 33])
def test_rows_of_every_length(columns):
    check(*arrays((1, 7, columns, 2), (1, 1, 2, 16)), **options(2))
    check(*arrays((1, 5, columns + 2, 2), (1, 3, 2, 24)), **options(2))


@pytest.mark.parametrize("padding", [0, 2, -1])
def test_one_axis(padding):
    check(*arrays((3, 20, 3), (4, 3, 10)), **options(1, 2, padding))
    check(*arrays((3, 20, 3), (4, 3, 10)), **options(1, 1, padding, 2))


def test_a_window_that_meets_nothing_but_padding():
    check(*arrays((1, 2, 2, 1), (2, 2, 1, 3)), **options(2, 1, 4))
    check(*arrays((1, 2, 2, 1), (1, 1, 1, 3)), **options(2, 3, 0, 2))
    check(*arrays((1, 3, 3, 2), (1, 1, 2, 3)), **options(2, 1, 0, 3))


@pytest.mark.parametrize("axes", list(itertools.permutations(range(4)))[::5])
def test_operands_of_any_strides(axes):
    x, w = arrays((6, 6, 6, 6), (3, 3, 6, 6))
    w = w[::-1, ::-1].transpose(0, 1, 3, 2)
    check(x.transpose(axes)[:, ::2, ::-1], w, **options(2, 1, 1))
    check(x[:, 1:, :, 1:4], w[:, :, :3], **options(2, 1, 0))


def test_strips_in_the_scratch_memory(monkeypatch):
    monkeypatch.setattr(conv_layout, "STACK_BYTES", 100)
    check(*arrays((2, 5, 5, 3), (3, 3, 3, 8)), **options(2, 1, 1))
    check(*arrays((2, 5, 5, 3), (3, 3, 3, 8)), **options(2, 1, 1), one_by_one=False)


def test_many_bands_of_rows(monkeypatch):
    monkeypatch.setattr(conv, "STRIP_BYTES", 1000)
    check(*arrays((1, 40, 9, 4), (3, 3, 4, 16)), **options(2, 2, 1))
    check(*arrays((1, 20, 9, 4), (3, 3, 4, 16)), **options(2, 1, 1, 2))


def test_registers_of_other_processors(monkeypatch):
    for lanes_bytes, registers in ((16, 32), (64, 32), (16, 16)):
        monkeypatch.setattr(conv_geometry, "vector_bytes", lambda n=lanes_bytes: n)
        monkeypatch.setattr(conv_geometry, "vector_registers", lambda n=registers: n)
        check(*arrays((2, 7, 9, 3), (3, 3, 3, 20)), **options(2, 1, 1))


def test_three_axes_and_whole_numbers_are_left_to_the_evaluator():
    x, w = arrays((1, 4, 4, 4, 1), (2, 2, 2, 1, 1))
    assert emit_convolution(site_of("convolution", x, w, **options(3))) is None
    x, w = x[0].astype(int), w[0].astype(int)
    assert emit_convolution(site_of("convolution", x, w, **options(2))) is None


# --- the weights' gradient ------------------------------------------------------------------------


def check_weights(x, w_shape, one_by_one=True, y_layout=lambda y: y, **params):
    out = convolution(x, np.zeros(w_shape, x.dtype), **params).shape
    y = y_layout(rng.normal(size=out).astype(x.dtype))
    params = params | {"window": w_shape[:-2]}
    expected = convolution_weights(x, y, **params)
    (found,) = run_kernel(
        emit_convolution_weights, "convolution_weights", x, y, one_by_one=one_by_one, **params
    )
    close(found, expected, y.size // y.shape[-1])


def array(*shape, dtype="f"):
    return rng.normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("channels", [(3, 16), (16, 12), (5, 3), (1, 1), (4, 40), (2, 25)])
def test_weights_of_every_width(dtype, channels):
    inner, outer = channels
    x = array(2, 7, 9, inner, dtype=dtype)
    check_weights(x, (3, 3, inner, outer), **options(2, padding=1))


@all_options
def test_weights_with_strides_holes_and_padding(strides, holes, dilation, padding):
    params = options(2, strides, 0, holes, dilation) | {"padding": padding}
    check_weights(array(2, 8, 7, 3), (3, 2, 3, 9), **params)


@pytest.mark.parametrize("groups", [2, 4])
def test_weights_of_groups(groups):
    check_weights(array(2, 6, 5, 8), (3, 2, 8 // groups, 16), **options(2, 1, 1, groups=groups))


@pytest.mark.parametrize("columns", [1, 3, 8, 9, 14])
def test_weights_of_one_axis_and_rows_of_every_length(columns):
    check_weights(array(2, 3, columns, 2), (1, 1, 2, 16), **options(2))
    check_weights(array(5, columns + 3, 3), (4, 3, 10), **options(1, 1, 0))
    check_weights(array(5, columns + 3, 3), (4, 3, 10), **options(1, 2, 2, 2))


def test_weights_of_operands_of_any_strides():
    x = array(6, 6, 6, 6)
    check_weights(x.transpose(3, 1, 0, 2)[:, ::2, ::-1], (2, 2, 6, 8), **options(2, 1, 1))
    check_weights(x[:, 1:, :, 1:4], (3, 3, 3, 8), **options(2))
    check_weights(x, (3, 3, 6, 4), **options(2, 1, 1), y_layout=np.asfortranarray)


def test_weights_of_few_and_of_many_images(monkeypatch):
    check_weights(array(1, 3, 3, 2), (3, 3, 2, 5), **options(2))
    check_weights(array(1, 3, 3, 2), (3, 3, 2, 5), y_layout=np.asfortranarray, **options(2, 1, 1))
    check_weights(array(37, 3, 3, 2), (3, 3, 2, 50), **options(2, 1, 1))
    check_weights(array(37, 3, 3, 2), (3, 3, 2, 50), one_by_one=False, **options(2, 1, 1))
    monkeypatch.setattr(conv_weights, "STRIP_BYTES", 1000)
    check_weights(array(1, 40, 9, 4), (3, 3, 4, 16), **options(2, 2, 1))
    monkeypatch.setattr(conv_weights, "LEAST_RESULTS", 1)
    check_weights(array(1, 20, 9, 4), (3, 3, 4, 16), **options(2, 1, 1))
    monkeypatch.setattr(conv_weights, "SUMS_BYTES", 5000)
    check_weights(array(9, 9, 9, 4), (3, 3, 4, 16), **options(2, 2, 1))


# --- depthwise ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("channels", [1, 7, 8, 24, 40, 70])
def test_depthwise_of_every_width(dtype, channels):
    x, w = arrays((3, 6, 7, channels), (3, 3, 1, channels), dtype)
    check(x, w, **options(2, 1, 1, groups=channels))
    check_weights(x, w.shape, **options(2, 1, 1, groups=channels))


@all_options
def test_depthwise_with_strides_holes_and_padding(strides, holes, dilation, padding):
    params = options(2, strides, 0, holes, dilation, 5) | {"padding": padding}
    x, w = arrays((2, 8, 7, 5), (3, 2, 1, 5))
    check(x, w, **params)
    check_weights(x, w.shape, **params)


def test_depthwise_of_one_axis_and_any_strides():
    x, w = arrays((18, 9, 6), (6, 1, 4))
    x, w = x.transpose(0, 2, 1)[:, ::-1], w.transpose(2, 1, 0)[::-1][:, :, :]
    check(x[..., :6], w, **options(1, 1, 2, groups=6))
    check_weights(x[..., :6], (4, 1, 6), y_layout=np.asfortranarray, **options(1, 2, 2, groups=6))


def test_far_strides_are_left_to_the_evaluator():
    x, w = arrays((1, 2, 2, 3), (5, 5, 3, 3))
    params = options(2, 1, 4, 5)
    assert emit_convolution(site_of("convolution", x, w, **params)) is None


def test_weights_of_many_channels_in_few_chunks(monkeypatch):
    monkeypatch.setattr(conv_weights, "SUMS_BYTES", 100)
    for outer in (16, 69, 83, 128):
        check_weights(array(3, 5, 6, 7), (3, 3, 7, outer), **options(2, 1, 1))


# --- made again -----------------------------------------------------------------------------------


def changed(x, places):
    """x with other numbers at some pixels (n, i, j), or (n, i)."""
    made = x.copy()
    for place in places:
        made[place] = rng.normal(size=x.shape[-1])
    return made


def check_again(x, before, w, **params):
    (known,) = run_kernel(emit_convolution, "convolution", before, w, **params)
    (expected,) = run_kernel(emit_convolution, "convolution", x, w, **params)
    for one_by_one in (False, True):
        (found,) = run_kernel(
            emit_convolution_again, "convolution_again", x, w, before, known,
            one_by_one=one_by_one, **params,
        )  # fmt: skip
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("channels", [(3, 16), (5, 3), (4, 40), (2, 25)])
@pytest.mark.parametrize("places", [[], [(0, 3, 4)], [(1, 0, 0), (1, 10, 16)], "all"])
def test_a_convolution_made_again_has_the_bits_of_the_whole(dtype, channels, places):
    inner, outer = channels
    before, w = arrays((2, 11, 17, inner), (3, 3, inner, outer), dtype)
    places = list(np.ndindex(2, 11, 17)) if places == "all" else places
    for padding in (0, 1):
        check_again(changed(before, places), before, w, **options(2, padding=padding))


@all_options
def test_a_convolution_made_again_of_every_kind(strides, holes, dilation, padding):
    params = options(2, strides, 0, holes, dilation) | {"padding": padding}
    before, w = arrays((2, 8, 7, 3), (4, 4, 3, 9))
    check_again(changed(before, [(0, 0, 0), (1, 5, 3)]), before, w, **params)
    check_again(changed(before, [(0, 7, 6)]), before, w, **params)


def test_what_agrees_is_taken_from_what_is_known():
    before, w = arrays((1, 9, 30, 4), (3, 3, 4, 8))
    x = changed(before, [(0, 4, 2)])
    known = np.full((1, 7, 28, 8), 7.0, "f")
    (found,) = run_kernel(
        emit_convolution_again, "convolution_again", x, w, before, known, **options(2)
    )
    seen = found[0, 2:5, 0:3]
    np.testing.assert_allclose(seen, convolution(x, w, **options(2))[0, 2:5, 0:3], rtol=1e-4)
    assert np.mean(found == 7.0) > 0.6


def test_layouts_signals_and_signed_zeros_of_what_is_made_again():
    before, w = arrays((2, 4, 9, 12), (3, 3, 4, 8))
    before = before.transpose(0, 3, 2, 1)
    x = before.copy(order="K")
    x[1, 3, 4, 2] += 1
    check_again(x, before, w, **options(2, padding=1))
    check_again(np.ascontiguousarray(x), before, w, **options(2, padding=1))
    before, w = arrays((3, 20, 4), (3, 4, 8))
    before[1, 3] = 0.0
    check_again(changed(before, [(2, 19)]), before, w, **options(1, padding=1))
    zeros, point = np.zeros((1, 9, 9, 1)), np.ones((1, 1, 1, 4))
    other = zeros.copy()
    other[0, 4, 4] = -0.0
    check_again(other, zeros, point, **options(2))
    other[0, 5, 5] = np.nan
    check_again(other, other.copy(), point, **options(2))


def test_what_is_not_made_again():
    x, w = arrays((1, 5, 5, 4), (3, 3, 2, 4))
    known = np.zeros((1, 3, 3, 4), "f")
    site = site_of("convolution_again", x, w, x, known, **options(2, groups=2))
    assert emit_convolution_again(site) is None
