"""The recipe: plain data, from sizes alone, that builds what it describes."""

import json

import numpy as np
import pytest

from chainrule import nn, optim
from chainrule.train.recipe import LOSSES, network, optimizer, recipe


@pytest.mark.parametrize("task", LOSSES)
@pytest.mark.parametrize("rows", [1, 7, 1000, 1_000_000])
def test_a_recipe_is_plain_data_and_builds_a_network_and_an_optimizer(task, rows):
    settings = recipe(task, rows, 5, 3)
    assert json.loads(json.dumps(settings)) == settings
    model = network(settings["model"], 5, 3, rng=0)
    assert model(np.ones((2, 5), np.float32)).shape == (2, 3)
    made = optimizer(settings["fit"], model, 100)
    assert type(made) is optim.OPTIMIZERS[settings["fit"]["optimizer"]]
    assert made.step_size == settings["fit"]["step_size"]


def test_a_minibatch_has_no_more_rows_than_the_data():
    assert all(recipe("regression", n, 2)["fit"]["batch_size"] <= n for n in (1, 5, 31, 40, 10**6))


def test_small_data_gets_more_epochs():
    epochs = [recipe("regression", n, 2)["fit"]["epochs"] for n in (100, 1000, 10_000, 10**6)]
    assert epochs == sorted(epochs, reverse=True) and epochs[0] > epochs[-1]


def test_options_of_the_optimizer_are_passed_on():
    model = network({"hidden": [4]}, 3, 2, rng=0)
    options = recipe("regression", 10, 3)["fit"] | {"l2": 0.5, "schedule": "constant", "decay": 0}
    made = optimizer(options, model, 100)
    assert made.l2 == [0.5, None, 0.5, None] and made.decay == [None] * 4
    assert isinstance(made.schedule, optim.Constant)


@pytest.mark.parametrize("wrong", [("ranking", 10, 2), ("regression", 0, 2), ("regression", 5, 0)])
def test_what_has_no_recipe_is_said(wrong):
    with pytest.raises(ValueError, match="task is one of|rows and columns"):
        recipe(*wrong)


def test_skips_make_residual_blocks_of_the_hidden_layers():
    model = network({"hidden": [8] * 5, "skips": True, "batch_norm": True}, 3, 2, rng=0)
    assert sum(isinstance(layer, nn.ResidualBlock) for layer in model.layers) == 2
    shapes = [a.shape for _, a in model.named_parameters() if a.ndim == 2]
    assert shapes == [(3, 8), *[(8, 8)] * 4, (8, 2)]


@pytest.mark.parametrize("hidden", [[8], [8, 8], [8, 8, 9]])
def test_layers_that_skips_cannot_join_are_said(hidden):
    with pytest.raises(ValueError, match="an odd number of equal sizes"):
        network({"hidden": hidden, "skips": True}, 3, 2)
