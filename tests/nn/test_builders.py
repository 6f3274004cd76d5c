"""Descriptions of models: built again with the same structure, and nothing else accepted."""

import json

import numpy as np
import pytest

from chainrule import errors, nn
from chainrule.nn.builders import build, described

ROWS, SIGNALS, IMAGES = (4, 3), (2, 8, 4), (2, 6, 6, 4)
SAMPLES = {
    "Activation": (ROWS, lambda: nn.Activation("gelu")),
    "AdaptiveMaxPool": (IMAGES, lambda: nn.AdaptiveMaxPool((2, 3))),
    "AdaptiveMeanPool": (SIGNALS, lambda: nn.AdaptiveMeanPool(3)),
    "Autoencoder": (ROWS, lambda: nn.Autoencoder(3, (4,), 2, tied=True)),
    "BatchNorm": (ROWS, lambda: nn.BatchNorm(3, 0.2)),
    "Bottleneck2d": (IMAGES, lambda: nn.Bottleneck2d(4, 2, strides=2)),
    "CNN": (IMAGES, lambda: nn.CNN((6, 6, 4), (2,), (3,), 2, batch_norm=True)),
    "Conv1d": (SIGNALS, lambda: nn.Conv1d(4, 2, 3, padding=[(2, 1)], dilation=2)),
    "Conv2d": (IMAGES, lambda: nn.Conv2d(4, 6, (3, 2), strides=(2, 1), groups=2, bias=False)),
    "DeepBelief": (ROWS, lambda: nn.DeepBelief(3, (2, 2))),
    "DenseBlock": (IMAGES, lambda: nn.DenseBlock(4, 2, 2, window=3, bottleneck=1)),
    "DenseLayer": (ROWS, lambda: nn.DenseLayer(3, 2, batch_norm=False)),
    "DenseMLP": (ROWS, lambda: nn.DenseMLP(3, 4, 2, growth=2, count=2, blocks=2)),
    "DenseNet": (IMAGES, lambda: nn.DenseNet(7, 2, shape=(6, 6, 4), outputs=2)),
    "Dropout": (ROWS, lambda: nn.Dropout(0.25)),
    "Embedding": (None, lambda: nn.Embedding(5, 3)),
    "Flatten": (IMAGES, nn.Flatten),
    "GlobalMeanPool": (IMAGES, nn.GlobalMeanPool),
    "LSTM": (SIGNALS, lambda: nn.LSTM(4, 3, last=True, forget_bias=2.0)),
    "LayerNorm": (ROWS, lambda: nn.LayerNorm(3, 1e-3)),
    "Linear": (ROWS, lambda: nn.Linear(3, 2, bias=False, dtype="d")),
    "MLP": (ROWS, lambda: nn.MLP(3, (4, 5), 2, activation=["tanh", "relu"], batch_norm=True)),
    "MaxPool1d": (SIGNALS, lambda: nn.MaxPool1d(3, strides=2, padding=1)),
    "MaxPool2d": (IMAGES, lambda: nn.MaxPool2d((2, 3), padding="same")),
    "MeanPool1d": (SIGNALS, lambda: nn.MeanPool1d(2)),
    "MeanPool2d": (IMAGES, lambda: nn.MeanPool2d(3, 1, ((1, 0), (0, 1)))),
    "MultiHeadAttention": (SIGNALS, lambda: nn.MultiHeadAttention(4, 2, causal=True)),
    "RBM": (ROWS, lambda: nn.RBM(3, 2, "gaussian")),
    "ResNet": (IMAGES, lambda: nn.ResNet("resnet8", shape=(6, 6, 4), outputs=2)),
    "Residual": (ROWS, lambda: nn.Residual(nn.Linear(3, 3), np.tanh)),
    "ResidualBlock": (ROWS, lambda: nn.ResidualBlock(3, 5, form="pre_activation", dropout=0.5)),
    "ResidualBlock2d": (IMAGES, lambda: nn.ResidualBlock2d(4, 5, strides=2, shortcut="zeros")),
    "ResidualMLP": (ROWS, lambda: nn.ResidualMLP(3, 4, 6, 2, form="batch_norm")),
    "Sequential": (ROWS, lambda: nn.Sequential(
        nn.Linear(3, 2), np.tanh, nn.relu, nn.Sequential(nn.LayerNorm(2), nn.Swish(2))
    )),
    "SkipMLP": (ROWS, lambda: nn.SkipMLP(3, (4, 7), 2, skips=[(0, 1), (1, 2, "add")])),
    "SoftClip": (ROWS, lambda: nn.SoftClip(2.0)),
    "Stack": (ROWS, lambda: nn.Stack(nn.Linear(3, 3), nn.relu, skips=[(0, 2)], join="add")),
    "Swish": (ROWS, lambda: nn.Swish(3)),
    "Tied": (ROWS, lambda: nn.Sequential(nn.Linear(3, 2), nn.Tied(0, 3, bias=False))),
    "Transition": (IMAGES, lambda: nn.Transition(4, 2, batch_norm=False)),
    "ZeroShortcut": (IMAGES, lambda: nn.ZeroShortcut(4, 6, 2)),
}  # fmt: skip


def test_every_class_of_the_table_has_a_sample():
    assert set(SAMPLES) == set(nn.BUILDERS)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_description_builds_the_same_structure_up_to_the_arrays(name):
    shape, make = SAMPLES[name]
    model, rng = make(), np.random.default_rng(0)
    text = json.dumps(described(model))
    again = build(json.loads(text), rng=7)
    assert json.dumps(described(again)) == text
    for (path, a), (other, b) in zip(
        [*model.named_parameters(), *model.named_state()],
        [*again.named_parameters(), *again.named_state()], strict=True,
    ):  # fmt: skip
        assert (path, a.shape, a.dtype) == (other, b.shape, b.dtype)
        a[...] = b
    x = np.array([[1, 4]]) if shape is None else rng.normal(size=shape).astype("f")
    np.testing.assert_array_equal(model(x), again(x))
    assert str(nn.summary(model, x)).endswith("B")


def test_one_seed_gives_one_model():
    made = [build(described(nn.MLP(3, (4,), 2)), rng=seed).parameters() for seed in (1, 1, 2)]
    assert np.array_equal(made[0][0], made[1][0]) and not np.array_equal(made[0][0], made[2][0])


def test_a_class_of_the_users_joins_the_table(monkeypatch):
    class Double(nn.Module):
        def __call__(self, x, training=False, rng=None):
            return 2 * x

        def config(self):
            return {}

    with pytest.raises(errors.NotSupported, match=r"nn\.BUILDERS\['Double'\]"):
        described(nn.Sequential(Double()))
    monkeypatch.setitem(nn.BUILDERS, "Double", Double)
    assert isinstance(build(described(nn.Sequential(Double()))).layers[0], Double)


def test_what_cannot_be_described_is_refused():
    with pytest.raises(errors.NotSupported, match="<lambda>"):
        described(nn.Sequential(lambda x: x))

    class Plain(nn.Module):
        pass

    with pytest.raises(errors.NotSupported, match=r"Plain.*config\(\)"):
        described(Plain())
    with pytest.raises(TypeError, match="takes a name"):
        nn.Activation(np.tanh)


@pytest.mark.parametrize(
    "description, message",
    [
        (None, "model: a layer is described by"),
        ({"kind": "Linear"}, "described by"),
        ({"kind": "os.system", "config": {}}, "no layer is called 'os.system'"),
        ({"kind": "Linear", "config": {"inputs": 3}}, "cannot be built"),
        ({"kind": "Linear", "config": {"inputs": "3", "outputs": 2}}, "cannot be built"),
        ({"kind": "Linear", "config": {"inputs": 3, "outputs": 2, "rng": 1}}, "takes no rng"),
        ({"kind": "Dropout", "config": {"rate": 2}}, "below 1"),
        ({"kind": "Dropout", "config": {"rate": 10**20}}, "no layer is as large"),
        ({"kind": "function", "config": {"name": "relu"}}, "function alone"),
        (
            {"kind": "Sequential", "config": {"layers": [{"kind": "function", "config": {}}]}},
            r"model\.layers\[0\]: a function is one of",
        ),
    ],
)
def test_what_is_no_description_is_refused_by_name(description, message):
    with pytest.raises(ValueError, match=message):
        build(description)
