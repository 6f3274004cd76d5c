"""The table of rules, in the order in which they are asked; the first that has an answer decides.

| rule | watches | acts |
|---|---|---|
| gradient_spike | a gradient 20 times the usual one, its loss as usual | skip; clip after 12 |
| not_finite | losses and gradients that are nan or infinite | skip, rollback, restart |
| small_scale | a loss scale below 1 | rollback with half the step size, stop |
| spike | a loss 10 times the largest recent one | skip, rollback, restart |
| diverging | ten losses above 3 times the first | rollback or restart with smaller steps |
| silent | weights without any gradient | restart: new weights, or a tenth of the step size |
| hopeless_start | initial outputs 1e-6 or 100 times the inputs, or equal units | new weights |
| long_steps | steps of 5 % of the weights, after the first 20 | restart: a tenth of the step size |
| died | a quarter of a layer's units that die in the first epochs | restart: a tenth |
| undone | a training loss 3 times its lowest | restart with, or lower to, smaller steps |
| restless | steps of 1 % of the weights while the loss hardly falls | restart, or lower |
| plateau | a training loss that goes up and down and falls no more | lower to half |
| dead, saturated | units of a layer, on a sample | says so |
| gradients_vanish | the first layer's gradient beside the largest, and the last one's | says so |
| signal_fades | how much the last hidden layer differs between rows | says so |
| guesses | the perplexity beside that of answers which look at no input | says so |
| overfits | a validation loss that rises while the training loss falls | says so |
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.train.babysitter.epoch_rules import (
    dead,
    died,
    gradients_vanish,
    guesses,
    overfits,
    plateau,
    restless,
    saturated,
    signal_fades,
    undone,
)
from chainrule.train.babysitter.step_rules import (
    diverging,
    gradient_spike,
    long_steps,
    not_finite,
    silent,
    small_scale,
    spike,
)

STEP_RULES: dict[str, Callable] = {
    "gradient_spike": gradient_spike, "not_finite": not_finite, "small_scale": small_scale,
    "spike": spike, "diverging": diverging, "silent": silent,
    "long_steps": long_steps,
}  # fmt: skip

EPOCH_RULES: dict[str, Callable] = {
    "died": died, "undone": undone, "restless": restless, "plateau": plateau, "dead": dead,
    "saturated": saturated, "gradients_vanish": gradients_vanish,
    "signal_fades": signal_fades, "guesses": guesses, "overfits": overfits,
}  # fmt: skip
