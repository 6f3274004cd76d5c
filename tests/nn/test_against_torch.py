"""Layers, activations, losses and optimizers equal PyTorch's, where that is installed.

Two configurations each, by the evaluator; `benchmarks/training/layers.py` takes twenty, and
compiled code as well.
"""

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is the peer here, and no requirement")

from benchmarks.training.against_torch import BOUNDS, difference, differences
from benchmarks.training.layers import KINDS, found
from chainrule import nn, optim

ROWS = [(kind, name) for kind, pairs in KINDS.items() for name in pairs]


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize(("kind", "name"), ROWS, ids=[name for _, name in ROWS])
def test_values_and_slopes_are_pytorchs(kind, name, dtype):
    for number in range(2):
        text, parts = found(kind, name, dtype, number, compiled=False)
        assert max(parts.values()) <= BOUNDS[dtype], f"{text}: {parts}"


def test_every_activation_loss_and_optimizer_is_compared_that_has_a_counterpart():
    assert set(KINDS["activation"]) == {*nn.activations.FUNCTIONS, "swish, learned"}
    assert set(KINDS["loss"]) == set(nn.losses.LOSSES) - {"quantile"}
    compared = {name.split(",")[0] for name in KINDS["optimizer"]}
    assert compared == set(optim.OPTIMIZERS)


def test_a_difference_is_seen():
    import torch

    assert difference(np.float32([1.0, 200.0]), torch.tensor([1.0, 100.0])) == 1.0
    with pytest.raises(ValueError, match=r"\(2,\)"):
        difference(np.zeros(2), torch.zeros(3, dtype=torch.float64))
    pair = KINDS["layer"]["Linear"](np.random.default_rng(0), "d")
    right = pair.ours
    pair.ours = lambda model, x: right(model, x) * 1.001
    assert differences(pair, np.random.default_rng(1), False)["value"] > 1e-4
