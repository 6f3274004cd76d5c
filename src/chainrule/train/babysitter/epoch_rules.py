"""Rules that look at each epoch: its record, the records before it, and the health of the layers.

A rule takes the records so far, the health, what is remembered of the steps, and what was done so
far; it gives a decision or None. A decision that continues is advice.
"""

from __future__ import annotations

from chainrule.train.babysitter.health import LayerHealth
from chainrule.train.babysitter.reports import Decision
from chainrule.train.babysitter.step_rules import Past
from chainrule.train.babysitter.watch import Watch, layer_of

PATIENCE = 6  # epochs without a better training loss
BETTER = 0.01  # of the lowest loss so far
CONVERGED = 0.02  # of the first loss: what is left is not worth smaller steps
MOSTLY = 0.9  # dead or saturated units in a layer
VANISHED, EXPLODED = 1e-5, 1e4  # gradient by weight, first layer over last
RISES = 1.1  # validation loss over its lowest

Epochs = list[dict[str, float]]


def plateau(epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past):
    """The training loss has stopped falling, well above 0."""
    losses = [e["loss"] for e in epochs[past.lowered_at :]]
    if len(losses) <= PATIENCE:
        return None
    before = min(losses[:-PATIENCE])
    now = min(losses[-PATIENCE:])
    if now < (1 - BETTER) * before or now < CONVERGED * epochs[0]["loss"]:
        return None
    return Decision("lower", f"the training loss has stopped falling: {before:.4g} "
                    f"{PATIENCE} epochs ago, {now:.4g} at best since. Half the step size.",
                    factor=0.5)  # fmt: skip


def dead(epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past):
    """Most units of a layer give the same for every row."""
    worst = max(health[1:-1], key=lambda h: h.dead, default=None)
    if worst is None or worst.dead < MOSTLY:
        return None
    return Decision(reason=f"{worst.dead:.0%} of the {worst.units} units of {worst.path} are dead: "
                    "they give the same for every row, and learn no more. A smaller step size, "
                    "leaky_relu, or batch norm keeps them alive.")  # fmt: skip


def saturated(epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past):
    """Most units of a layer are at a bound of their activation."""
    worst = max(health, key=lambda h: h.saturated, default=None)
    if worst is None or worst.saturated < MOSTLY:
        return None
    return Decision(reason=f"{worst.saturated:.0%} of the {worst.units} units of {worst.path} are "
                    "saturated: their slopes are near 0. Smaller initial weights, scaled inputs, "
                    "or batch norm bring them back.")  # fmt: skip


def gradients_vanish(epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past):
    """The first layers' gradients are tiny, or huge, beside the last layers'."""
    if len(watch.weights) < 3:
        return None
    first, last = watch.weights[0], watch.weights[-1]
    if not watch.gradients[last] > 0:
        return None
    ratio = watch.gradients[first] / watch.gradients[last]
    if VANISHED <= ratio <= EXPLODED:
        return None
    how = "vanish" if ratio < VANISHED else "explode"
    return Decision(reason=f"gradients {how}: that of {layer_of(watch.names[first])} is "
                    f"{ratio:.1e} times that of {layer_of(watch.names[last])}, so the two learn at "
                    "different speeds. Skip connections, batch norm, or another initialisation "
                    "keep their scale.")  # fmt: skip


def overfits(epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past):
    """The validation loss rises while the training loss falls."""
    found = [e["validation_loss"] for e in epochs if e.get("validation_loss") is not None]
    if len(found) < 4 or found[-1] < RISES * min(found) or min(found[-3:]) == min(found):
        return None
    if epochs[-1]["loss"] > min(e["loss"] for e in epochs[-4:-1]):
        return None
    return Decision(reason=f"the validation loss rises ({min(found):.4g} at best, {found[-1]:.4g} "
                    "now) while the training loss falls: the network learns its examples by heart. "
                    "Early stopping, dropout, l2, or more data help.")  # fmt: skip
