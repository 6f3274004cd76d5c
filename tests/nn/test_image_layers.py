"""Convolution and pooling layers: values by SciPy and by hand, training in a compiled step."""

import numpy as np
import pytest
from scipy.signal import correlate

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.nn.builders import build, described

rng = np.random.default_rng(5)
IMAGES = rng.normal(size=(3, 9, 8, 4))
SIGNALS = rng.normal(size=(3, 12, 4))


def test_conv2d_is_scipys_correlation_plus_a_bias():
    layer = nn.Conv2d(4, 5, (3, 2), dtype="d", rng=1)
    layer.bias[...] = rng.normal(size=5)
    wanted = [
        sum(correlate(image[..., c], layer.weight[..., c, d], "valid") for c in range(4))
        + layer.bias[d]
        for image in IMAGES for d in range(5)
    ]  # fmt: skip
    wanted = np.moveaxis(np.reshape(wanted, (3, 5, 7, 7)), 1, -1)
    np.testing.assert_allclose(layer(IMAGES), wanted, rtol=1e-12, atol=1e-13)


def test_conv1d_with_strides_dilation_padding_and_groups_is_its_sum_written_out():
    layer = nn.Conv1d(
        4, 6, 3, strides=2, padding=[(1, 2)], dilation=2, groups=2, bias=False, dtype="d", rng=2
    )
    wide = np.pad(SIGNALS, ((0, 0), (1, 2), (0, 0)))
    length = (wide.shape[1] - 5) // 2 + 1
    wanted = np.zeros((3, length, 6))
    for o in range(length):
        for k in range(3):
            seen = wide[:, 2 * o + 2 * k]
            for d in range(6):
                group = seen[:, :2] if d < 3 else seen[:, 2:]
                wanted[:, o, d] += group @ layer.weight[k, :, d]
    np.testing.assert_allclose(layer(SIGNALS), wanted, rtol=1e-12, atol=1e-13)
    assert layer.weight.shape == (3, 2, 6) and layer.bias is None


def test_initial_weights_have_the_variance_of_their_fan_in():
    weight = nn.Conv2d(32, 64, 3, groups=2, rng=0).weight
    assert weight.std() == pytest.approx(np.sqrt(2 / (9 * 16)), rel=0.02)
    weight = nn.Conv2d(32, 64, 3, groups=2, init="glorot", rng=0).weight
    assert np.abs(weight).max() == pytest.approx(np.sqrt(6 / (9 * 16 + 9 * 32)), rel=0.01)


def test_pooling_layers_pool_windows():
    blocks = IMAGES[:, :8].reshape(3, 4, 2, 4, 2, 4)
    np.testing.assert_array_equal(nn.MaxPool2d(2)(IMAGES), blocks.max(axis=(2, 4)))
    np.testing.assert_allclose(nn.MeanPool2d(2)(IMAGES), blocks.mean(axis=(2, 4)), rtol=1e-13)
    both = np.stack([SIGNALS[:, :-1], SIGNALS[:, 1:]])
    np.testing.assert_array_equal(nn.MaxPool1d(2, strides=1)(SIGNALS), both.max(axis=0))
    np.testing.assert_allclose(nn.MeanPool1d(2, strides=1)(SIGNALS), both.mean(axis=0), rtol=1e-13)
    padded = nn.MeanPool2d(3, strides=2, padding=1)(IMAGES)
    np.testing.assert_allclose(padded[:, 0, 0], IMAGES[:, :2, :2].mean(axis=(1, 2)))


@pytest.mark.parametrize("size", [1, 3, 4, (2, 5)])
def test_adaptive_pooling_covers_the_axes_by_windows(size):
    rows, columns = size if isinstance(size, tuple) else (size, size)
    for layer, of in ((nn.AdaptiveMeanPool(size), np.mean), (nn.AdaptiveMaxPool(size), np.max)):
        found = layer(IMAGES)
        assert found.shape == (3, rows, columns, 4)
        for i in range(rows):
            for j in range(columns):
                high = slice(int(np.floor(i * 9 / rows)), int(np.ceil((i + 1) * 9 / rows)))
                wide = slice(int(np.floor(j * 8 / columns)), int(np.ceil((j + 1) * 8 / columns)))
                wanted = of(IMAGES[:, high, wide], axis=(1, 2))
                np.testing.assert_allclose(found[:, i, j], wanted, rtol=1e-12)


def test_global_means_and_flattening():
    np.testing.assert_allclose(nn.GlobalMeanPool()(IMAGES), IMAGES.mean(axis=(1, 2)), rtol=1e-13)
    np.testing.assert_array_equal(nn.Flatten()(IMAGES), IMAGES.reshape(3, -1))


LAYERS = {
    "conv1d": lambda: nn.Conv1d(4, 2, 3, strides=2, padding="same", dilation=2, dtype="d"),
    "conv2d": lambda: nn.Conv2d(4, 2, (3, 1), padding=((1, 0), (2, 1)), groups=2, dtype="d"),
    "max_pool": lambda: nn.MaxPool2d((2, 3), strides=2, padding=((1, 0), (0, 0))),
    "mean_pool": lambda: nn.MeanPool1d(3, padding="same"),
    "adaptive_mean": lambda: nn.AdaptiveMeanPool(3),
    "adaptive_max": lambda: nn.AdaptiveMaxPool([3, 2]),
    "global_mean": nn.GlobalMeanPool,
    "flatten": nn.Flatten,
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_built_again_from_their_description_and_have_true_derivatives(name):
    layer = LAYERS[name]()
    x = SIGNALS if "1d" in name or name == "mean_pool" else IMAGES
    if "max" in name:  # far apart, so that no difference steps over a tie
        x = rng.permutation(x.size).reshape(x.shape).astype(float)
    again = build(described(layer))
    for a, b in zip(again.parameters(), layer.parameters(), strict=True):
        a[...] = b
    np.testing.assert_array_equal(layer(x), again(x))
    assert layer(x.astype("f")).dtype == (np.float64 if layer.parameters() else np.float32)
    cr.testing.check_derivatives(lambda *arrays: _with(layer, arrays[1:])(arrays[0]),
                                 (x, *layer.parameters()))  # fmt: skip


def _with(layer, arrays):
    made = build(described(layer))
    for (path, _), array in zip(layer.named_parameters(), arrays, strict=True):
        setattr(made, path, array)
    return made


def test_a_small_network_of_all_of_them_learns_in_a_compiled_step():
    model = nn.Sequential(
        nn.Conv2d(4, 6, 3, padding="same", rng=1), nn.BatchNorm(6), nn.relu, nn.MaxPool2d(2),
        nn.Conv2d(6, 6, 3, groups=3, rng=2), nn.Activation("elu"), nn.AdaptiveMeanPool((2, 1)),
        nn.Flatten(), nn.Linear(12, 3, rng=3),
    )  # fmt: skip
    labels = np.array([0, 1, 2])
    optimizer = optim.Adam(model, step_size=0.02)

    def loss(model, x, labels):
        return nn.losses.softmax_cross_entropy(model(x, training=True), labels)

    @cr.compile(kinks="convention", stabilize=False)
    def step(model, optimizer, x, labels):
        value, grads = cr.value_and_grad(loss)(model, x, labels)
        optimizer.step(model, grads)
        return value

    images = IMAGES.astype("f")
    assert loss(model, images, labels).dtype == np.float32
    losses = [step(model, optimizer, images, labels) for _ in range(40)]
    assert losses[0] > 0.5 and losses[-1] < 0.05


def test_what_does_not_fit_is_refused_with_the_layers_name():
    with pytest.raises(errors.ShapeError, match=r"Conv2d takes 4 channels.*\(3, 12, 5\)"):
        nn.Conv2d(4, 2, 3)(np.ones((3, 12, 5)))
    with pytest.raises(errors.ShapeError, match=r"x\[\.\.\., None\]$"):
        nn.Conv2d(1, 2, 3)(np.ones((9, 12, 12)))
    with pytest.raises(errors.ShapeError, match=r"np\.moveaxis\(x, -3, -1\)"):
        nn.Conv2d(4, 2, 3)(np.ones((9, 4, 12, 12)))
    with pytest.raises(ValueError, match="groups that divide both.*groups=3"):
        nn.Conv1d(4, 6, 3, groups=3)
    with pytest.raises(ValueError, match=r"the window of Conv2d.*\(3, 3, 3\)"):
        nn.Conv2d(4, 6, (3, 3, 3))
    with pytest.raises(ValueError, match="padding is 'valid', 'same' or numbers"):
        nn.Conv2d(4, 6, 3, padding="full")
    with pytest.raises(errors.ShapeError, match="GlobalMeanPool"):
        nn.GlobalMeanPool()(np.ones((3, 4)))
    with pytest.raises(errors.ShapeError, match="AdaptiveMeanPool of size"):
        nn.AdaptiveMeanPool((2, 2))(SIGNALS)
