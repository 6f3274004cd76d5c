"""Rules that look at each epoch: its record, the records before it, and the health of the layers.

A rule takes the records so far, the health, what is remembered of the steps, and what was done so
far; it gives a decision or None. A decision that continues is advice.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.train.babysitter.health import LayerHealth
from chainrule.train.babysitter.reports import START_OVER, Decision, decided
from chainrule.train.babysitter.step_rules import Past
from chainrule.train.babysitter.watch import Watch

ENOUGH = 50  # steps that a mean of losses is over, at least: as many epochs as that takes
PATIENCE = 6  # such means without a better training loss
BETTER = 0.005  # of the lowest loss so far
BOUNCES = 1.3  # times the lowest loss so far
CONVERGED = 0.02  # of the first losses: what is left is not worth smaller steps
STUCK = 0.1  # of the first epoch's loss: below it, going up and down may be the data's noise
UNDONE = 3.0  # times the lowest loss of an epoch: what was learned is being lost
STEADY = 0.0005  # of the weights in a step, where a thousandth is usual: less undoes nothing
RESTLESS, STALLED = 0.01, 0.85  # of the weights in a step, and of the loss two means ago
DIED, EARLY = 0.25, 10  # share of a layer's units, within so many epochs
YOUNG = 40  # epochs after which it is too late to start over
FEW = 3  # units, or restarts
MOSTLY = 0.9  # dead or saturated units in a layer
VANISHED, EXPLODED = 1e-5, 1e4  # first layer's gradient over the largest, or the last's
FADED = 1e-3  # standard deviation over rows, last hidden layer over input
LEARNING = 500  # steps after which a classifier should know more than how often classes come
BETTER_THAN_CHANCE = 0.99  # of the loss of one that knows no more
RISES = 1.1  # validation loss over its lowest

Epochs = list[dict[str, float]]


def curve(epochs: Epochs, since: int = 0, most: int | None = None) -> list[float]:
    """The training losses, each the mean over as many epochs as have 50 steps together.

    Of the epochs from number `since` on; the last `most` means. (A run may have thousands of
    epochs, and rules are asked after each: most of them need no more than the last means.)

    >>> epochs = [{"loss": v, "steps": 25} for v in (9.0, 4.0, 2.0, 1.0, 1.0)]
    >>> curve(epochs), curve(epochs, most=1), curve(epochs, since=2)
    ([3.0, 1.0], [1.0], [1.0])
    """
    steps = max(1.0, epochs[-1]["steps"]) if epochs else 1.0
    count = math.ceil(ENOUGH / steps)
    start = since if most is None else max(since, len(epochs) - most * count)
    losses = [e["loss"] for e in epochs[start:]]
    ends = range(len(losses), count - 1, -count)
    return [sum(losses[end - count : end]) / count for end in ends][::-1]


def died(epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past) -> Decision | None:
    """Many units of a layer have died within the first epochs."""
    if past.restarts >= FEW or len(epochs) > EARLY:
        return None
    for layer in health[1:-1]:
        share = layer.dead - past.dead_at_first.get(layer.path, 0.0)
        if share >= DIED and share * layer.units >= FEW:
            return decided("restart", f"{share:.0%} of the {layer.units} units of {layer.path} "
                           "have died: they give the same for every row. The steps are too long",
                           START_OVER, factor=0.1)  # fmt: skip
    return None


def undone(epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past) -> Decision | None:
    """The training loss has climbed far above its lowest, under steps that can do so.

    Near 0 a loss multiplies by chance: a few hard rows do it. So it must have climbed to a share
    of the first losses, and steps that hardly change the weights are not to blame.
    """
    least = CONVERGED * _first(epochs, watch)
    last = curve(epochs, past.lowered_at, 1)
    if not last or last[0] < least:
        return None
    losses = curve(epochs, past.lowered_at)
    if len(losses) < 2 or losses[-1] < max(UNDONE * min(losses), least):
        return None
    if not watch.typical_now > STEADY:
        return None
    what = f"the training loss has climbed from {min(losses):.4g} to {losses[-1]:.4g}"
    return _too_long(what, epochs, watch, past)


def restless(
    epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past
) -> Decision | None:
    """Steps stay large beside the weights while the training loss hardly falls."""
    losses = curve(epochs, past.lowered_at, 3)
    if len(losses) < 3 or losses[-1] < max(STALLED * losses[-3], 0.05 * epochs[0]["loss"]):
        return None
    if not watch.typical_now > RESTLESS:
        return None
    what = (
        f"the training loss hardly falls ({losses[-3]:.4g} before, {losses[-1]:.4g} now) "
        f"while each step changes the weights by {watch.typical_now:.1%} of their size"
    )
    return _too_long(what, epochs, watch, past)


def plateau(epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past) -> Decision | None:
    """The training loss has stopped falling, well above 0, and goes up and down."""
    recent = curve(epochs, past.lowered_at, PATIENCE)
    if len(recent) < PATIENCE or min(recent) < STUCK * epochs[0]["loss"]:
        return None
    losses = curve(epochs, past.lowered_at)
    if len(losses) <= PATIENCE:
        return None
    before = min(losses[:-PATIENCE])
    now, top = min(recent), max(recent)
    if now < (1 - BETTER) * before:
        return None
    if top < BOUNCES * before:
        return None  # flat, as where nothing is left to learn: smaller steps change little
    return decided("lower", "the training loss goes up and down and has stopped falling: "
                   f"{before:.4g} at best before, {now:.4g} since",
                   "Half the step size.", factor=0.5)  # fmt: skip


def _first(epochs: Epochs, watch: Watch) -> float:
    """The larger of the first epoch's loss and the first of all, which no step has touched.

    The latter counts up to ten times the former: it may be that of an odd batch.
    """
    mean = epochs[0]["loss"]
    return max(mean, min(watch.first or 0.0, 10 * mean))


def _too_long(what: str, epochs: Epochs, watch: Watch, past: Past) -> Decision:
    """Training starts over while it is young; later the step size is lowered."""
    if past.restarts < FEW and (len(epochs) <= YOUNG or watch.steps <= 1000):
        return decided("restart", f"{what}: the steps are too long", START_OVER, factor=0.1)
    return decided("lower", what, "A quarter of the step size.", factor=0.25)


def dead(epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past) -> Decision | None:
    """Most units of a layer give the same for every row."""
    worst = max(health[1:-1], key=lambda h: h.dead, default=None)
    if worst is None or worst.dead < MOSTLY:
        return None
    return Decision(reason=f"{worst.dead:.0%} of the {worst.units} units of {worst.path} are dead: "
                    "they give the same for every row, and learn no more. A smaller step size, "
                    "leaky_relu, or batch norm keeps them alive.")  # fmt: skip


def saturated(
    epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past
) -> Decision | None:
    """Most units of a layer are at a bound of their activation."""
    worst = max(health, key=lambda h: h.saturated, default=None)
    if worst is None or worst.saturated < MOSTLY:
        return None
    return Decision(reason=f"{worst.saturated:.0%} of the {worst.units} units of {worst.path} are "
                    "saturated: their slopes are near 0. Smaller initial weights, scaled inputs, "
                    "or batch norm bring them back.")  # fmt: skip


def gradients_vanish(
    epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past
) -> Decision | None:
    """The first layer's gradient is tiny beside the largest, or huge beside the last layer's."""
    if len(watch.weights) < 3:
        return None
    first, last = watch.weights[0], watch.weights[-1]
    most = int(np.argmax(watch.gradients))
    ratio = watch.gradients[first] / max(watch.gradients[most], 1e-300)
    if watch.gradients[first] > EXPLODED * watch.gradients[last] > 0:
        how, most, ratio = "explode", last, watch.gradients[first] / watch.gradients[last]
    elif ratio < VANISHED and watch.gradients[most] > 0:
        how = "vanish"
    else:
        return None
    return Decision(reason=f"gradients {how}: that of {watch.names[first]} is {ratio:.1e} times "
                    f"that of {watch.names[most]}, so the two learn at different speeds. Skip "
                    "connections, batch norm, or another initialisation keep their "
                    "scale.")  # fmt: skip


def signal_fades(
    epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past
) -> Decision | None:
    """Deep layers hardly tell the rows apart, and so gradients hardly tell how they differ."""
    if len(health) < 3 or not health[0].std > 0:
        return None
    ratio = health[-2].std / health[0].std
    if ratio >= FADED:
        return None
    return Decision(reason=f"the signal fades: {health[-2].path} differs between rows {ratio:.1e} "
                    "times as much as the input, so the gradients that tell rows apart vanish on "
                    "their way back. Skip connections or batch norm carry it through.")  # fmt: skip


def guesses(epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past) -> Decision | None:
    """The perplexity is not below that of a classifier which looks at no input."""
    if not past.chance or watch.steps < LEARNING or len(epochs) < 3:
        return None
    if epochs[-1]["loss"] < BETTER_THAN_CHANCE * past.chance:
        return None
    losses = curve(epochs) + [e["validation_loss"] for e in epochs if "validation_loss" in e]
    if min(losses) < BETTER_THAN_CHANCE * past.chance:
        return None
    return Decision(reason=f"the perplexity after {watch.steps} steps is {_exp(min(losses)):.4g} "
                    f"at best, and knowing only how often each class comes gives "
                    f"{_exp(past.chance):.4g}: nothing has been learned of the inputs. Look at "
                    "the step size and at the initial weights; or the classes do not depend on "
                    "these inputs.")  # fmt: skip


def _exp(loss: float) -> float:
    """The perplexity of a loss in nats."""
    return math.exp(min(loss, 700.0))


def overfits(
    epochs: Epochs, health: list[LayerHealth], watch: Watch, past: Past
) -> Decision | None:
    """The validation loss rises while the training loss falls."""
    if "validation_loss" not in epochs[-1] or len(epochs) < 4:
        return None
    if epochs[-1]["loss"] > min(e["loss"] for e in epochs[-4:-1]):
        return None
    found = [e["validation_loss"] for e in epochs if e.get("validation_loss") is not None]
    if len(found) < 4 or found[-1] < RISES * min(found) or min(found[-3:]) == min(found):
        return None
    return Decision(reason=f"the validation loss rises ({min(found):.4g} at best, {found[-1]:.4g} "
                    "now) while the training loss falls: the network learns its examples by heart. "
                    "Early stopping, dropout, l2, or more data help.")  # fmt: skip
