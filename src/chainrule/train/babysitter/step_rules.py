"""Rules that look at each stretch of steps. One function each; the table in `rules` lists them.

A rule takes what is remembered of the steps before (`Watch`), the stretch, and what the babysitter
has done so far (`Past`); it gives a decision or None. Thresholds are ours, found on runs of other
seeds than those in benchmarks/training/faults.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from chainrule.train.babysitter.reports import NEW_WEIGHTS, START_OVER, Decision, Stretch, decided
from chainrule.train.babysitter.watch import Watch, layer_of, ordinary_norm, total

SPIKE = 10.0  # times the largest of the recent losses, or gradients
CLIP = 1.5  # times the usual gradient
SPIKES = 12  # of gradients alone, after which they are clipped
SUSPECT = 2.0  # times: enough where rows of the batch are absurd as well
ENOUGH = 10  # steps before which nothing is known of what is usual
DIVERGED = 3.0  # times the first loss, in the median of ten steps
TRIES = 3  # batches left out at one place, after which no batch is at fault
HALF = "Back to the last good state, with half the step size."
FEW = 3  # repeats of one action, after which another is taken
MANY, OFTEN = 6, 0.05  # spikes, and their share of the steps, after which it is not the data
LONG, GROWING = 0.05, (20, 70)  # of the weights, in the median of these steps
SILENT = 20  # steps without any gradient in half of the weights


@dataclass
class Past:
    """What was done so far: counts, and the places of the failures since the last kept stretch."""

    failures: list[int] = field(default_factory=list)
    gradient_spikes: int = 0
    rollbacks: int = 0
    restarts: int = 0
    initialised: int = 0
    unexplained: int = 0  # spikes since training last started over whose rows look ordinary
    lowered_at: int = 0  # epochs since the last change of the step size count from here
    dead_at_first: dict[str, float] = field(default_factory=dict)  # by layer
    clip: float | None = None  # the norm that gradients are clipped to
    said: list[str] = field(default_factory=list)  # advice is given once
    chance: float | None = None  # the loss of outputs that look at no input, in nats

    def keeps_spiking(self, steps: int) -> bool:
        """Whether so many spikes came that it is not the data."""
        return self.unexplained >= MANY and self.unexplained > OFTEN * steps

    def stuck_at(self, place: int) -> bool:
        """Whether the steps have failed about this place again and again, batch after batch."""
        last = self.failures[-(TRIES if place else TRIES - 1) :]
        return len(last) >= (TRIES if place else TRIES - 1) and all(
            abs(p - place) < 2 for p in last
        )


def not_finite(watch: Watch, stretch: Stretch, past: Past) -> Decision | None:
    """A loss or a gradient that is nan or infinite."""
    bad = ~np.isfinite(stretch.losses)
    if stretch.loss_scale <= 1:  # a scaled gradient may overflow: the scale is halved for it
        bad = bad | ~np.isfinite(total(stretch.gradient_norms))
    if not bad.any():
        return None
    place = int(np.argmax(bad))
    what = f"at step {stretch.first_step + place} {_not_finite_where(watch, stretch, place)}"
    if _grew(watch, stretch, place):
        return _smaller_steps(watch, past, f"{what}, after losses that grew: steps too long")
    if past.stuck_at(place):
        return _state_at_fault(watch, past, place, f"{what}, whichever batch comes")
    return _left_out(stretch, place, f"{what}; the steps before it were as usual")


def spike(watch: Watch, stretch: Stretch, past: Past) -> Decision | None:
    """One loss far above all recent ones, which no weights explain."""
    losses = np.asarray(stretch.losses, np.float64)
    usual = _usual(watch.losses, losses, watch.first)
    high = np.flatnonzero((losses > SPIKE * usual) & ~np.asarray(stretch.weighted))
    if not len(high):
        return None
    place = int(high[0])
    what = (
        f"the loss of step {stretch.first_step + place} is {losses[place]:.3g}, where those "
        f"around it were at most {usual[place]:.3g}"
    )
    if past.stuck_at(place):
        return _state_at_fault(watch, past, place, f"{what}, whichever batch comes")
    if past.keeps_spiking(watch.steps):
        return _smaller_steps(watch, past, f"{what}, as in {past.unexplained} steps before: the "
                              "steps are too long")  # fmt: skip
    before = place - 1 if place and past.failures[-1:] == [place] else place
    return _left_out(stretch, before, what)


def suspects(watch: Watch, stretch: Stretch) -> list[int]:
    """Places of losses somewhat above the usual ones: their batches may hold faulty rows."""
    losses = np.asarray(stretch.losses, np.float64)
    usual = _usual(watch.losses, losses, watch.first)
    if not watch.losses and len(losses) > 1:  # the first of all, by those after it
        usual[0] = float(np.median(losses[1 : ENOUGH + 1]))
    return [int(place) for place in np.flatnonzero(losses > SUSPECT * usual)]


def gradient_spike(watch: Watch, stretch: Stretch, past: Past) -> Decision | None:
    """A gradient far above those before it and the first ones, whose loss is as usual, and which no
    weights explain."""
    place, usual = _gradient_spike(watch, stretch)
    if place is None or (past.clip is not None and CLIP * usual > 0.6 * past.clip):
        return None
    norm = float(total(stretch.gradient_norms)[place])
    what = (
        f"the gradient of step {stretch.first_step + place} has norm {norm:.3g}, where {usual:.3g} "
        "is usual, though its loss is as usual"
    )
    if past.clip is None and past.gradient_spikes < SPIKES:
        return _left_out(stretch, place, what)
    then = f"Back to the last good state; gradients are clipped to {CLIP * usual:.3g} from here on."
    return decided("clip", f"{what}, as others before", then, factor=CLIP * usual)


def diverging(watch: Watch, stretch: Stretch, past: Past) -> Decision | None:
    """Ten losses in a row far above the first one."""
    tail = [*watch.losses, *np.asarray(stretch.losses, np.float64)][-ENOUGH:]
    first = watch.first if watch.first is not None else float(stretch.losses[0])
    if len(tail) < ENOUGH or not float(np.median(tail)) > DIVERGED * first:
        return None
    return _smaller_steps(watch, past, f"the loss was {first:.3g} at first and is "
                          f"{np.median(tail):.3g} now: the steps are too long")  # fmt: skip


def silent(watch: Watch, stretch: Stretch, past: Past) -> Decision | None:
    """Half of the weights have had no gradient at all for a while, and there is a loss to lower."""
    if len(watch.weights) < 2 or not watch.smoothed > 0:
        return None
    mute = [i for i in watch.weights if watch.silent[i] >= SILENT]
    if 2 * len(mute) < len(watch.weights) or len(mute) == len(watch.names):
        return None
    more = f" and {len(mute) - 1} more" if len(mute) > 1 else ""
    what = f"no gradient reaches {layer_of(watch.names[mute[0]])}{more}"
    if min(watch.silent[i] for i in mute) >= watch.steps and not past.initialised:
        return decided("restart", f"{what}: the initial weights keep all units of a layer equal, "
                       "or dead", NEW_WEIGHTS, initialise=True)  # fmt: skip
    if past.restarts < FEW:
        return decided("restart", f"{what}: units have died", START_OVER, factor=0.1)
    return None


def long_steps(watch: Watch, stretch: Stretch, past: Past) -> Decision | None:
    """Each step changes the weights by 5 % and more, when they have grown to their size."""
    first, last = GROWING
    begun = watch.steps < last <= watch.steps + len(stretch.losses)
    if not begun or past.restarts >= FEW:
        return None
    ratios = [*watch.early, *watch.typical(stretch.update_ratios)][first:last]
    if not np.median(ratios) > LONG:
        return None
    return decided("restart", f"each step changes the weights by {np.median(ratios):.0%} of their "
                   "size, where a thousandth is usual", START_OVER, factor=0.1)  # fmt: skip


def small_scale(watch: Watch, stretch: Stretch, past: Past) -> Decision | None:
    """A loss scale below 1: half precision overflows without any scaling."""
    if stretch.loss_scale >= 1:
        return None
    if past.rollbacks < FEW:
        return decided("rollback", f"the loss scale has fallen to {stretch.loss_scale:g}: float16 "
                       "overflows without any scaling", HALF, factor=0.5)  # fmt: skip
    return decided("stop", f"the loss scale stays below 1 ({stretch.loss_scale:g}), with smaller "
                   "steps too", "Train with precision='float32'.")  # fmt: skip


def _usual(recent: list[float], losses: np.ndarray, first: float | None) -> np.ndarray:
    """The largest loss of the recent steps before each of these; inf where too few are known."""
    most = np.maximum.accumulate(np.concatenate([[max(recent, default=-np.inf)], losses[:-1]]))
    if len(losses):
        most = np.maximum(most, losses[0] if first is None else first)
    known = len(recent) + np.arange(len(losses))
    return np.where(known >= 1, most, np.inf)


def _gradient_spike(watch: Watch, stretch: Stretch) -> tuple[int | None, float]:
    """Where the first gradient is that spikes on its own, and what is usual about there."""
    norms, losses = total(stretch.gradient_norms), np.asarray(stretch.losses, np.float64)
    first = watch.first_norm if watch.first_norm is not None else ordinary_norm(norms[:20])
    as_usual = losses <= SUSPECT * _usual(watch.losses, losses, watch.first)
    as_usual &= ~np.asarray(stretch.weighted)
    for place in np.flatnonzero((norms > SPIKE * first) & np.isfinite(norms) & as_usual):
        before = [*watch.norms, *norms[:place]]
        usual = ordinary_norm(before[-8:] or norms[1:9])
        if norms[place] > 2 * SPIKE * usual:
            return int(place), usual
    return None, 0.0


def _grew(watch: Watch, stretch: Stretch, place: int) -> bool:
    """Whether the losses before a place had grown far above the first one."""
    before = [*watch.losses, *np.asarray(stretch.losses[:place], np.float64)]
    first = watch.first if watch.first is not None else (before[0] if before else np.inf)
    return any(loss > DIVERGED * first for loss in before[-3:])


def _not_finite_where(watch: Watch, stretch: Stretch, place: int) -> str:
    if not np.isfinite(stretch.losses[place]):
        return f"the loss is {stretch.losses[place]:g}"
    bad = int(np.argmax(~np.isfinite(stretch.gradient_norms[place])))
    return f"the gradient of {watch.names[bad]} is not finite"


def _left_out(stretch: Stretch, place: int, what: str) -> Decision:
    step = stretch.first_step + place
    return decided("skip", what, f"Back to the last good state; the batch of step {step} is left "
                   "out.", skip=(step,))  # fmt: skip


def _state_at_fault(watch: Watch, past: Past, place: int, what: str) -> Decision:
    """The same place fails with any batch: weights are damaged, or the steps before too long."""
    if place == 0 and not watch.steps and not past.initialised:
        return decided("restart", f"{what}: the initial weights are at fault", NEW_WEIGHTS,
                       initialise=True)  # fmt: skip
    if place == 0 and watch.steps:
        return decided("rollback", f"{what}: the weights are damaged", "Back to the good state "
                       "before.", back=2)  # fmt: skip
    return _smaller_steps(watch, past, f"{what}: the steps are too long")


def _smaller_steps(watch: Watch, past: Past, what: str) -> Decision:
    learned = watch.lowest is not None and watch.first and watch.lowest < 0.5 * watch.first
    if learned and past.rollbacks < FEW:
        return decided("rollback", what, HALF, factor=0.5)
    if past.restarts > FEW:
        return decided("stop", f"{what}, though training has started over {past.restarts} times",
                       "Look at the data and the loss.")  # fmt: skip
    return decided("restart", what, START_OVER, factor=0.1)
