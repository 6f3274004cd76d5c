"""Whole networks: their sizes as published, their depth, training in a compiled step."""

import json

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.nn.builders import build, described

rng = np.random.default_rng(2)


def size(model):
    return sum(a.size for a in model.parameters())


# Parameters as published: He et al., table 6, and Huang et al., table 2, to the digits there; the
# digits beyond are those of PyTorch's networks of these names.
PUBLISHED = {
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet56": 853_018,
    "densenet_bc100": 769_162,
    "resnet18": 11_689_512,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_have_the_published_number_of_parameters(name):
    large = name == "resnet18"
    shape, outputs = ((224, 224, 3), 1000) if large else ((32, 32, 3), 10)
    kind = nn.DenseNet if "dense" in name else nn.ResNet
    assert size(kind(name, shape=shape, outputs=outputs, init="zeros")) == PUBLISHED[name]


def test_a_large_network_ends_in_seven_by_seven_pixels():
    model = nn.ResNet("resnet18", shape=(224, 224, 3), outputs=1000, init="zeros")
    rows = nn.summary(model, (1, 224, 224, 3)).rows
    before = next(r for r in rows if r.kind == "MaxPool2d")
    assert before.shape == (1, 56, 56, 64)
    assert [r.shape for r in rows if r.kind == "Conv2d"][-1] == (1, 7, 7, 512)
    assert (rows[-1].shape, rows[-1].kind) == ((1, 1000), "Linear")
    # 1.8e9 products and sums (He et al., table 1, which counts a product with its sum as one)
    assert nn.summary(model, (1, 224, 224, 3)).flops == pytest.approx(2 * 1.8e9, rel=0.03)


def test_depth_counts_the_layers_of_weights():
    for depth in (4, 10, 100):
        model = nn.ResidualMLP(3, 4, depth, 2)
        assert sum(path.endswith("weight") for path, _ in model.named_parameters()) == depth
    with pytest.raises(ValueError, match="even number from 4 on"):
        nn.ResidualMLP(3, 4, 7, 2)
    for name, depth in (("resnet8", 8), ("resnet44", 44), ("resnet34", 34)):
        model = nn.ResNet(name, shape=(8, 8, 1), outputs=2, init="zeros")
        names = [p for p, _ in model.named_parameters() if p.endswith("weight")]
        assert sum("shortcut" not in p for p in names) == depth
    model = nn.DenseNet(40, shape=(8, 8, 1), outputs=2, init="zeros")
    assert sum(path.endswith("weight") for path, _ in model.named_parameters()) == 40
    assert len(model.layers[1].layers) == 12


def test_a_deep_residual_network_begins_with_gradients_of_one_size():
    x = rng.normal(size=(20, 3))

    def sizes(model):
        grads = cr.grad(lambda m: np.sum(m(x) ** 2))(model)
        return [np.linalg.norm(g) for p, g in grads.named_parameters() if p.endswith("weight")]

    deep = nn.ResidualMLP(3, 8, 100, 2, dtype="d", rng=0)
    shallow = nn.Sequential(*deep.layers[:2], deep.layers[-1])  # without the 49 blocks
    np.testing.assert_array_equal(deep(x), shallow(x))
    first, *_, last = sizes(deep)
    np.testing.assert_allclose([first, last], sizes(shallow), rtol=1e-12)
    plain = sizes(nn.MLP(3, (8,) * 99, 2, init="lecun", dtype="d", rng=0))
    assert plain[0] < 1e-10 * first


NETWORKS = {
    "cnn": lambda: nn.CNN((6, 6, 1), (3, 4), (5,), 3, batch_norm=True, rng=0),
    "resnet8": lambda: nn.ResNet("resnet8", shape=(6, 6, 1), outputs=3, rng=0),
    "densenet": lambda: nn.DenseNet(
        10, growth=2, shape=(6, 6, 1), outputs=3, bottleneck=2, reduction=0.5, rng=0
    ),
    "residual": lambda: nn.ResidualMLP(36, 6, 6, 3, form="pre_activation", dropout=0.1, rng=0),
    "dense": lambda: nn.DenseMLP(36, 4, 3, growth=3, count=2, blocks=2, rng=0),
    "skips": lambda: nn.SkipMLP(36, (6, 6), 3, skips=[(0, 2), (1, 2, "add")], rng=0),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_built_again_and_learn_in_a_compiled_step(name):
    model = NETWORKS[name]()
    text = json.dumps(described(model))
    assert json.dumps(described(build(json.loads(text)))) == text
    x = rng.normal(size=(6, 6, 6, 1)).astype("f")
    x = x if name in ("cnn", "resnet8", "densenet") else x.reshape(6, 36)
    labels = np.arange(6) % 3
    optimizer = optim.Adam(model, step_size=0.01)

    def loss(model, x, rng):
        scores = model(x, training=True, rng=rng)
        return nn.losses.softmax_cross_entropy(scores, labels)

    @cr.compile(kinks="convention", stabilize=False)
    def steps(model, optimizer, x, rng):
        def body(carry, _):
            value, grads = cr.value_and_grad(loss)(model, x, rng)
            optimizer.step(model, grads)
            return carry, value

        return cr.scan(body, 0, np.arange(60))[1]

    losses = steps(model, optimizer, x, cr.random.default_rng(0))
    assert losses.dtype == np.float32
    assert losses[-1] < 0.3 * losses[0]


MIXTURES = {
    "signals": ((4, 12, 3), lambda: nn.Sequential(
        nn.Conv1d(3, 4, 3, padding="same", dtype="d", rng=1), nn.Swish(4, dtype="d"),
        nn.LayerNorm(4, dtype="d"), nn.MaxPool1d(2), nn.MeanPool1d(3, strides=1),
        nn.Stack(nn.Linear(4, 2, dtype="d", rng=2), nn.Tied(0, 4, dtype="d"), skips=[(0, 2)]),
        nn.LSTM(4, 4, dtype="d", rng=3),
        nn.MultiHeadAttention(4, 2, dropout=0.25, dtype="d", rng=4),
        nn.AdaptiveMaxPool(2), nn.Flatten(), nn.Linear(8, 2, dtype="d", rng=5),
    )),
    "images": ((3, 6, 6, 2), lambda: nn.Sequential(
        nn.Bottleneck2d(2, 1, dtype="d", rng=1), nn.DenseBlock(4, 2, 2, window=3, dtype="d", rng=2),
        nn.Transition(8, 4, dtype="d", rng=3),
        nn.ResidualBlock2d(4, 6, shortcut="zeros", strides=2, dropout=0.25, dtype="d", rng=4),
        nn.AdaptiveMeanPool(2), nn.GlobalMeanPool(), nn.Dropout(),
        nn.Linear(6, 2, dtype="d", rng=5),
    )),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXTURES)
def test_compiled_training_gives_the_evaluators_gradients_and_state(name):
    shape, make = MIXTURES[name]
    x = rng.normal(size=shape)

    def slopes(model, x, rng):
        return cr.grad(lambda m: np.sum(np.sin(m(x, training=True, rng=rng))))(model)

    plain, native = make(), make()
    wanted = slopes(plain, x, cr.random.default_rng(0))
    found = cr.compile(slopes, kinks="convention", stabilize=False)(
        native, x, cr.random.default_rng(0)
    )
    for (path, a), b in zip(wanted.named_parameters(), found.parameters(), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-11, err_msg=path)
    for (path, a), (_, b) in zip(plain.named_state(), native.named_state(), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-10, err_msg=path)


def test_unknown_names_and_sizes_are_refused():
    with pytest.raises(ValueError, match=r"a ResNet is one of resnet8.*'resnet9'"):
        nn.ResNet("resnet9", shape=(8, 8, 1), outputs=2)
    with pytest.raises(ValueError, match="a DenseNet is a depth or one of"):
        nn.DenseNet("densenet9", shape=(8, 8, 1), outputs=2)
    with pytest.raises(ValueError, match=r"3 n \+ 4, got 12"):
        nn.DenseNet(12, shape=(8, 8, 1), outputs=2)
    with pytest.raises(ValueError, match=r"\(H, W, C\), got \(8, 8\)"):
        nn.CNN((8, 8), (4,), (), 2)
    with pytest.raises(ValueError, match="whose form is 'batch_norm'"):
        nn.ResNet("resnet50", shape=(8, 8, 1), outputs=2, form="plain")
