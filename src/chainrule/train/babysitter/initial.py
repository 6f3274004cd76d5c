"""Initial weights: whether they are hopeless, and new ones.

Source    Glorot and Bengio, AISTATS 2010, for signals that keep their scale from layer to layer;
          He et al., ICCV 2015, for the new weights. The thresholds are ours.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule import nn, random
from chainrule.nn.builders import BUILDERS, build, described
from chainrule.nn.init import he
from chainrule.nn.layer_outputs import named_modules
from chainrule.train.babysitter.health import LayerHealth
from chainrule.train.babysitter.reports import NEW_WEIGHTS, Decision, decided

LOUD, QUIET = 100.0, 1e-6  # output over input: root mean squares
EQUAL = 1e-3  # standard deviation over the largest weight
ORDINARY = {"bias": 0.0, "shift": 0.0, "scale": 1.0}  # vectors of layers that nothing can build


def hopeless(layers: list[LayerHealth]) -> Decision | None:
    """A restart with new weights, where all units of a layer are equal, or the signal explodes or
    fades on its way through a model.

    `layers` is `health(model, sample)`. Units that are equal have equal gradients, and stay so;
    where columns of the input are, the weights are not to blame. A model that gives exactly 0 is
    left alone: a last layer of zeros learns, and what does not is seen by its gradients.
    """
    if len(layers) < 2 or not layers[0].rms > 0:
        return None
    equal = [layer for layer in layers[1:-1] if layer.alike and not layers[0].alike]
    if equal:
        what = (
            f"all {equal[0].units} units of {equal[0].path} give the same as each other: with "
            "equal initial weights they learn the same, and stay one unit"
        )
        then = "Training starts over with weights that differ."
        return decided("restart", what, then, initialise=True, rule="hopeless_start")
    ratio = layers[-1].rms / layers[0].rms
    if ratio == 0 or QUIET <= ratio <= LOUD:
        return None
    how = "fades" if ratio < QUIET else "explodes"
    what = (
        f"with its initial weights the signal {how} on its way through the network: outputs are "
        f"{ratio:.1e} times as large as inputs"
    )
    return decided("restart", what, NEW_WEIGHTS, initialise=True, rule="hopeless_start")


def initialise(model: nn.Module, seed: int = 0) -> None:
    """Give all weights of a model an initial scale again, in place; draw those anew that are equal.

    Layers are built again from their `config()`, which draws by He's rule. Weights that differ from
    each other are multiplied by one number, so that their standard deviation is that of the new
    ones: their pattern stays. Weights that are all equal, or not finite, and all vectors (biases 0,
    scales 1) become the new ones. In layers that `nn.BUILDERS` does not know, arrays with two axes
    and more are drawn by He's rule for their shape, and vectors of other names stay.

    >>> model = nn.MLP(2, (3,), 1, init="zeros")
    >>> initialise(model)
    >>> bool(np.all(model.layers[0].weight != 0))
    True
    """
    rng = random.default_rng(seed)
    done: set[int] = set()
    for _, module in named_modules(model):
        inside = list(named_modules(module))
        if len(inside) == 1 and not any(id(a) in done for a in module.parameters()):
            done |= {id(a) for a in _built_again(module, rng)}
    for path, array in model.named_parameters():
        if id(array) not in done:
            array[...] = _scaled(array, np.asarray(_drawn(path, array, rng)))


def _built_again(module: nn.Module, rng) -> list[np.ndarray]:
    """The arrays of a layer that its config builds again, now with their new values."""
    if BUILDERS.get(type(module).__name__) is not type(module):
        return []
    made = build(described(module), rng)
    fresh = [*made.named_parameters(), *made.named_state()]
    own = [*module.named_parameters(), *module.named_state()]
    for (_, array), (_, new) in zip(own, fresh, strict=True):
        array[...] = _scaled(array, new)
    return [array for _, array in own]


def _scaled(array: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Weights with the standard deviation of new ones, or these where the old ones are equal."""
    if array.ndim < 2 or not np.isfinite(array).all():
        return new
    wide = array.astype(np.float64)
    spread, size = float(wide.std()), float(np.abs(wide).max())
    return wide * (float(new.std()) / spread) if spread > EQUAL * size else new


def _drawn(path: str, array: np.ndarray, rng) -> np.ndarray | float:
    if array.ndim < 2:
        return ORDINARY.get(path.rsplit(".", 1)[-1], array)
    inputs = math.prod(array.shape[:-1])
    return he(rng, array.shape, inputs, array.shape[-1])
