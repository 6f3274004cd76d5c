"""Convolution and pooling as users call them: layouts, options, dtypes, derivatives, errors."""

import numpy as np
import pytest
from scipy.signal import correlate

import chainrule as cr
from chainrule import errors, nn

rng = np.random.default_rng(11)


def by_scipy(x, w):
    """Valid correlation of images (N, H, W, C) with w (h, w, C, D), by SciPy."""
    planes = [
        [correlate(image, w[..., d], "valid")[..., 0] for d in range(w.shape[-1])] for image in x
    ]
    return np.moveaxis(np.array(planes), 1, -1)


X = rng.normal(size=(2, 7, 8, 3))
W = rng.normal(size=(3, 2, 3, 4))


def test_convolution_is_scipys_correlation_summed_over_channels():
    np.testing.assert_allclose(nn.convolution(X, W), by_scipy(X, W), rtol=1e-12)


def test_strides_take_every_other_place():
    np.testing.assert_allclose(nn.convolution(X, W, strides=(2, 3)), by_scipy(X, W)[:, ::2, ::3])


def test_padding_is_zeros_around():
    wide = np.pad(X, ((0, 0), (1, 2), (3, 0), (0, 0)))
    np.testing.assert_allclose(nn.convolution(X, W, padding=[(1, 2), (3, 0)]), by_scipy(wide, W))
    wide = np.pad(X, ((0, 0), (1, 1), (2, 2), (0, 0)))
    np.testing.assert_allclose(nn.convolution(X, W, padding=(1, 2)), by_scipy(wide, W))
    np.testing.assert_allclose(nn.convolution(X, W, padding=-1), by_scipy(X[:, 1:-1, 1:-1], W))


@pytest.mark.parametrize("n", range(5, 9))
@pytest.mark.parametrize("stride", (1, 2, 3))
@pytest.mark.parametrize("dilation", (1, 2))
def test_same_padding_gives_the_ceiling_with_the_odd_zero_last(n, stride, dilation):
    x = rng.normal(size=(1, n, 1))
    w = rng.normal(size=(4, 1, 1))
    found = nn.convolution(x, w, stride, "same", dilation)
    assert found.shape == (1, -(-n // stride), 1)
    spread = np.zeros(3 * dilation + 1)
    spread[::dilation] = w[:, 0, 0]
    missing = max((found.shape[1] - 1) * stride + len(spread) - n, 0)
    wide = np.pad(x[0, :, 0], (missing // 2, missing - missing // 2))
    np.testing.assert_allclose(found[0, :, 0], np.correlate(wide, spread, "valid")[::stride])


def test_groups_are_convolutions_side_by_side():
    x, w = rng.normal(size=(2, 6, 6, 4)), rng.normal(size=(2, 2, 2, 6))
    halves = [by_scipy(x[..., :2], w[..., :3]), by_scipy(x[..., 2:], w[..., 3:])]
    np.testing.assert_allclose(nn.convolution(x, w, groups=2), np.concatenate(halves, -1))


def test_channels_first_is_the_same_with_axes_moved():
    first = nn.convolution(np.moveaxis(X, -1, 1), W, 2, "same", channels="first")
    np.testing.assert_array_equal(np.moveaxis(first, 1, -1), nn.convolution(X, W, 2, "same"))
    pooled = nn.max_pool(np.moveaxis(X, -1, 1), 2, channels="first")
    np.testing.assert_array_equal(np.moveaxis(pooled, 1, -1), nn.max_pool(X, 2))


def test_any_number_of_lanes():
    one = nn.convolution(X[0], W)
    assert one.shape == (5, 7, 4)
    np.testing.assert_allclose(one, nn.convolution(X, W)[0], rtol=1e-13)
    several = nn.convolution(X.reshape(2, 1, 7, 8, 3), W)
    np.testing.assert_allclose(several[:, 0], nn.convolution(X, W), rtol=1e-13)
    assert nn.max_pool(X[0], (2, 2)).shape == (3, 4, 3)


def test_dtypes_are_numpys():
    assert nn.convolution(X.astype("f"), W.astype("f")).dtype == np.float32
    assert nn.convolution(X.astype("f"), W).dtype == np.float64
    whole = np.arange(8).reshape(1, 8, 1)
    assert nn.convolution(whole, np.ones((2, 1, 1), int)).dtype == np.int64
    assert nn.mean_pool(whole, 2).dtype == np.float64
    assert nn.mean_pool(whole.astype("f"), 2, padding=1).dtype == np.float32
    assert nn.sum_pool(whole.astype("b"), 2).dtype == np.int64
    assert nn.max_pool(whole.astype("b"), 2).dtype == np.int8


def test_lists_are_arrays():
    assert nn.sum_pool([[1.0], [2.0]], (2,)).tolist() == [[3.0]]
    assert cr.grad(lambda a: nn.sum_pool([[a], [a]], (2,))[0, 0])(1.0) == 2.0


def test_pools_against_reshaping():
    x = rng.normal(size=(2, 6, 8, 3))
    blocks = x.reshape(2, 3, 2, 4, 2, 3)
    np.testing.assert_array_equal(nn.max_pool(x, 2), blocks.max((2, 4)))
    np.testing.assert_allclose(nn.sum_pool(x, (2, 2)), blocks.sum((2, 4)), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(nn.mean_pool(x, 2), blocks.mean((2, 4)), rtol=1e-13, atol=1e-13)


def test_padding_does_not_win_and_does_not_count():
    x = -np.ones((1, 4, 4, 1))
    np.testing.assert_array_equal(nn.max_pool(x, 3, 2, 1), -np.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(nn.mean_pool(x, 3, 2, "same"), -np.ones((1, 2, 2, 1)))
    assert nn.sum_pool(x, 3, 2, 1)[0, :, :, 0].tolist() == [[-4.0, -6.0], [-6.0, -9.0]]


def test_nan_wins_and_has_no_derivative():
    x = np.array([[1.0], [np.nan], [2.0], [3.0]])
    np.testing.assert_array_equal(nn.max_pool(x, (2,))[:, 0], [np.nan, 3.0])
    found = cr.grad(lambda x: nn.max_pool(x, (2,)).sum())(x)
    np.testing.assert_array_equal(found[:, 0], [np.nan, np.nan, 0.0, 1.0])


def test_grad_of_max_pool_is_shared_by_ties():
    x = np.array([[2.0], [2.0], [1.0], [3.0]])
    found = cr.grad(lambda x: (nn.max_pool(x, (2,))[:, 0] * np.array([1.0, 10.0])).sum())(x)
    assert found[:, 0].tolist() == [0.5, 0.5, 0.0, 10.0]


def test_grad_of_a_small_network_against_differences():
    def loss(w, v):
        hidden = np.maximum(nn.convolution(X, w, 2, "same", groups=1), 0.1)
        pooled = nn.max_pool(hidden, 2, 1) + nn.mean_pool(hidden, 2, 1)
        return (nn.convolution(pooled, v, padding=1, dilation=2) ** 2).mean()

    w, v = W, rng.normal(size=(2, 2, 4, 5))
    dw, dv = rng.normal(size=w.shape), rng.normal(size=v.shape)
    h = 1e-5
    expected = (loss(w + h * dw, v + h * dv) - loss(w - h * dw, v - h * dv)) / (2 * h)
    by_w, by_v = cr.grad(loss, (0, 1))(w, v)
    assert np.vdot(by_w, dw) + np.vdot(by_v, dv) == pytest.approx(expected, rel=1e-7)
    value, slope = cr.jvp(loss, (w, v), (dw, dv))
    assert slope == pytest.approx(expected, rel=1e-7)


def test_gradients_per_example_are_those_of_each_example():
    def loss(w, image):
        return (nn.convolution(image, w, 1, "same") ** 2).sum()

    found = cr.vmap(cr.grad(loss), in_axes=(None, 0))(W, X)
    np.testing.assert_allclose(found, [cr.grad(loss)(W, image) for image in X], rtol=1e-12)


def test_source_of_a_convolution_runs():
    text = str(cr.source(cr.grad(lambda w: (nn.convolution(X, w) ** 2).sum()), W))
    assert "def convolution" in text and "sliding_window_view" in text


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "message"), [
    (lambda: nn.convolution(X, W[:, :, :2]), r"w of shape \(\*window, 3, D\), got \(3, 2, 2, 4\)"),
    (lambda: nn.convolution(X, W, groups=2), "groups that divide the channels"),
    (lambda: nn.convolution(X, W[0, 0]), r"three axes or more, got shape \(3, 4\)"),
    (lambda: nn.convolution(X[0, 0], W), r"2 spatial axes and one of channels .* got shape"),
    (lambda: nn.convolution(X, W, strides=(1, 2, 3)), r"strides .* 2 of them.*got \(1, 2, 3\)"),
    (lambda: nn.convolution(X, W, strides=0), "strides is a whole number of at least 1"),
    (lambda: nn.convolution(X, W, padding="full"), "padding is 'valid', 'same'.*got 'full'"),
    (lambda: nn.convolution(X, W, padding=(1, 2, 3)), "2 numbers or"),
    (lambda: nn.convolution(X, W[:0]), "empty window"),
    (lambda: nn.max_pool(X, 2, padding=2), "reaches over the whole window"),
    (lambda: nn.max_pool(X[0, 0], 2), "one number for each spatial axis"),
])  # fmt: skip
def test_shape_errors_say_what_came_and_what_was_needed(call, message):
    with pytest.raises(errors.ShapeError, match=message) as caught:
        call()
    assert "test_windows.py" in str(caught.value)
    with pytest.raises(errors.ShapeError, match=message):
        cr.grad(lambda a: np.sum(call()) + a)(1.0)


def test_other_errors():
    with pytest.raises(ValueError, match="channels is 'last' or 'first', got 'middle'"):
        nn.convolution(X, W, channels="middle")
    with pytest.raises(errors.DtypeError, match="complex"):
        nn.max_pool(X + 0j, 2)


def test_windows_larger_than_the_image_give_nothing():
    assert nn.convolution(X[:, :2], W).shape == (2, 0, 7, 4)
    found = cr.grad(lambda w: nn.convolution(X[:, :2], w).sum())(W)
    np.testing.assert_array_equal(found, np.zeros_like(W))


def test_nn_is_imported_at_first_use():
    assert cr.nn is nn
    assert "nn" in dir(cr)
