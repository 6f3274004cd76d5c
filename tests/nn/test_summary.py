"""Every layer's output, and the summary's numbers by hand."""

import numpy as np
import pytest

from chainrule import nn

rng = np.random.default_rng(0)


def test_layer_outputs_are_what_each_layer_gives():
    first, last = nn.Linear(3, 4, rng=1), nn.Linear(4, 2, rng=2)
    model = nn.Sequential(first, np.tanh, nn.Sequential(last, nn.Activation("relu")))
    x = rng.normal(size=(5, 3)).astype("f")
    found = {record.path: record for record in nn.layer_outputs(model, x)}
    np.testing.assert_array_equal(found["layers[0]"].output, first(x))
    np.testing.assert_array_equal(found["layers[2].layers[0]"].output, last(np.tanh(first(x))))
    np.testing.assert_array_equal(found[""].output, model(x))
    assert [found[p].inner for p in ("", "layers[0]", "layers[2]")] == [4, 0, 2]
    assert found["layers[0]"].module is first
    assert type(model) is nn.Sequential and type(first) is nn.Linear


def test_looking_at_a_training_model_leaves_its_state_alone():
    norm = nn.BatchNorm(3)
    nn.layer_outputs(nn.Sequential(norm), rng.normal(size=(5, 3)) + 7, training=True)
    np.testing.assert_array_equal(norm.running_mean, np.zeros(3))


def test_a_summary_counts_parameters_flops_and_bytes():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding="same"), nn.relu, nn.Flatten(), nn.Linear(8 * 36, 5, bias=False)
    )
    summary = nn.summary(model, (2, 6, 6, 3))
    conv, flatten, linear, whole = summary.rows
    assert (conv.path, conv.kind, conv.shape) == ("layers[0]", "Conv2d", (2, 6, 6, 8))
    assert conv.parameters == 3 * 3 * 3 * 8 + 8
    assert conv.flops == 2 * 6 * 6 * 8 * (2 * 27 + 1)
    assert conv.bytes == 2 * 6 * 6 * 8 * 4
    assert (flatten.flops, flatten.parameters) == (0, 0)
    assert linear.flops == 2 * 5 * 2 * 8 * 36
    assert (whole.path, whole.kind, whole.flops) == ("", "Sequential", 2 * 6 * 6 * 8)  # relu
    assert summary.parameters == sum(a.size for a in model.parameters())
    assert summary.flops == conv.flops + linear.flops + whole.flops
    assert summary.activation_bytes == conv.bytes + flatten.bytes + linear.bytes + whole.bytes
    last = str(summary).splitlines()[-1].split()
    assert last[:3] == ["total", f"{summary.parameters:,}", f"{summary.flops:,}"]


def test_a_summary_takes_an_array_and_the_models_dtype():
    model = nn.MLP(3, (), 2, dtype="d")
    assert nn.summary(model, np.ones((4, 3))).rows[0].bytes == 4 * 2 * 8
    assert nn.summary(model, (4, 3)).activation_bytes == 4 * 2 * 8
    with pytest.raises(ValueError, match="takes 3 inputs"):
        nn.summary(model, (4, 5))


def test_a_module_that_computes_beside_its_layers_has_a_row():
    block = nn.summary(nn.ResidualBlock(3, 5), (2, 3)).rows
    assert [row.path for row in block] == ["first", "second", ""]
    assert block[-1].flops == 2 * 5 + 2 * 3 + 2 * 3  # relu, the sum, relu
    assert (block[-1].parameters, block[0].parameters) == (0, 20)
    layer = nn.MultiHeadAttention(4, 2)
    own = nn.summary(layer, (1, 6, 4)).rows[-1]
    assert own.flops > 2 * (2 * 6 * 6 * 4)  # two products over all pairs of places
    tied = nn.summary(nn.Sequential(nn.Embedding(7, 3), nn.Tied(0, 7)), np.array([1, 2])).rows
    looks = 2 * 2  # whether the tokens are negative, and what then
    assert [(row.parameters, row.flops) for row in tied] == [(21, looks), (7, 2 * 2 * 3 * 7 + 14)]
