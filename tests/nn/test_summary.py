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
    assert [found[p].inner for p in ("", "layers[0]", "layers[2]")] == [True, False, True]
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
    conv, flatten, linear, between = summary.rows
    assert (conv.path, conv.kind, conv.shape) == ("layers[0]", "Conv2d", (2, 6, 6, 8))
    assert conv.parameters == 3 * 3 * 3 * 8 + 8
    assert conv.flops == 2 * 6 * 6 * 8 * (2 * 27 + 1)
    assert conv.bytes == 2 * 6 * 6 * 8 * 4
    assert (flatten.flops, flatten.parameters) == (0, 0)
    assert linear.flops == 2 * 5 * 2 * 8 * 36
    assert (between.kind, between.flops) == ("between layers", 2 * 6 * 6 * 8)
    assert summary.parameters == sum(a.size for a in model.parameters())
    assert summary.flops == conv.flops + linear.flops + between.flops
    assert summary.activation_bytes == conv.bytes + flatten.bytes + linear.bytes
    last = str(summary).splitlines()[-1].split()
    assert last[:3] == ["total", f"{summary.parameters:,}", f"{summary.flops:,}"]


def test_a_summary_takes_an_array_and_the_models_dtype():
    model = nn.MLP(3, (), 2, dtype="d")
    assert nn.summary(model, np.ones((4, 3))).rows[0].bytes == 4 * 2 * 8
    assert nn.summary(model, (4, 3)).activation_bytes == 4 * 2 * 8
    with pytest.raises(ValueError, match="takes 3 inputs"):
        nn.summary(model, (4, 5))
