"""Descriptions of models: built again with the same structure, and nothing else accepted."""

import json

import numpy as np
import pytest

from chainrule import errors, nn
from chainrule.nn.builders import build, described

MODELS = {
    "linear": lambda: nn.Linear(3, 2, bias=False, dtype="d"),
    "mlp": lambda: nn.MLP(3, (4, 5), 2, activation=["tanh", "relu"], batch_norm=True, dropout=0.1),
    "sequential": lambda: nn.Sequential(
        nn.Linear(3, 2), np.tanh, nn.relu, nn.Sequential(nn.LayerNorm(2), nn.Swish(2))
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_description_builds_the_same_structure_up_to_the_arrays(name):
    model = MODELS[name]()
    text = json.dumps(described(model))
    again = build(json.loads(text), rng=7)
    assert json.dumps(described(again)) == text
    for (path, a), (other, b) in zip(
        [*model.named_parameters(), *model.named_state()],
        [*again.named_parameters(), *again.named_state()], strict=True,
    ):  # fmt: skip
        assert (path, a.shape, a.dtype) == (other, b.shape, b.dtype)
        a[...] = b
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("f")
    np.testing.assert_array_equal(model(x), again(x))


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
