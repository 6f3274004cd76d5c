"""What the babysitter is told, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ACTIONS = ("continue", "lower", "skip", "clip", "rollback", "restart", "stop")


@dataclass(frozen=True)
class Stretch:
    """The k steps of one native call, for P parameters in the order of `names`.

    `gradient_norms` and `update_ratios` are (k, P): the norm of each parameter's gradient, and that
    of its step divided by its own. `loss_scale` is 1 where losses are not scaled. `weighted` (k,)
    says which steps are made mostly by rows of large weights, as those of a rare class have them,
    or of targets far from all others, as those of a long tail.
    """

    first_step: int
    losses: np.ndarray
    gradient_norms: np.ndarray
    update_ratios: np.ndarray
    step_size: float
    loss_scale: float = 1.0
    weighted: np.ndarray | bool = False


@dataclass(frozen=True)
class Decision:
    """What to do next, and why, in words.

    | action | what the training loop does |
    |---|---|
    | continue | goes on; a reason, if there is one, is advice |
    | lower | goes on with the step size multiplied by `factor` |
    | skip | puts the last good state back and leaves the batches of the steps in `skip` out |
    | clip | puts the last good state back, and clips gradients to the norm `factor` |
    | rollback | puts back the state `back` good copies ago, and multiplies the step size |
    | restart | starts over, the step size multiplied; with new weights if `initialise` |
    | stop | ends the training with the best weights so far |

    >>> Decision("lower", "the loss no longer falls", factor=0.5).acts
    True
    """

    action: str = "continue"
    reason: str = ""
    factor: float = 1.0
    skip: tuple[int, ...] = ()
    back: int = 1
    initialise: bool = False
    rule: str = ""
    what: str = ""  # the reason, up to what is done

    @property
    def acts(self) -> bool:
        """Whether it changes the training, rather than say something about it."""
        return self.action != "continue"

    @property
    def repeats(self) -> bool:
        """Whether the stretch that it is about is undone."""
        return self.action in ("skip", "clip", "rollback", "restart")


START_OVER = "Training starts over with a tenth of the step size."
NEW_WEIGHTS = "Training starts over with weights of the usual size."


def decided(action: str, what: str, then: str, **options) -> Decision:
    """A decision with its reason: what is the case, and what is done.

    >>> decided("restart", "the loss grows", START_OVER, factor=0.1).reason
    'the loss grows. Training starts over with a tenth of the step size.'
    """
    return Decision(action, f"{what}. {then}", what=what, **options)
