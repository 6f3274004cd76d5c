"""L-BFGS on all rows at once, in the place of minibatch steps: `fit(optimizer="lbfgs")`.

Each iteration counts as a step and as an epoch: it has a record, validation and early stopping. The
model runs in inference, as the loss must be the same function at each call; models with dropout or
running statistics are refused. The babysitter has nothing to do here, and a run that is resumed
starts over, to the same bits.
"""

from __future__ import annotations

from chainrule import errors, nn, optim
from chainrule.program.tree import register
from chainrule.train.epochs import end_epoch
from chainrule.train.interrupts import Interrupts
from chainrule.train.session import Session
from chainrule.train.settings import Settings


@register
class FullBatch:
    """Stands where other trainings have their optimizer: the options of `optim.lbfgs`."""

    def __init__(self, memory: int = 10, tolerance: float = 1e-8):
        if not (memory >= 1 and tolerance >= 0):
            raise ValueError(f"memory is from 1 and tolerance from 0, got {memory}, {tolerance}.")
        self.memory, self.tolerance = int(memory), float(tolerance)
        self.step_size = 1.0  # what L-BFGS tries first in each iteration

    def size(self) -> float:
        """The step size that an iteration tries first."""
        return self.step_size


def full_batch_for(model: nn.Module, settings: Settings) -> FullBatch:
    """The options of L-BFGS, where everything else that was asked for goes with it.

    **Errors** `ValueError` for options that it does not have; `NotSupported` for models that are
    not the same function at each call.
    """
    given = settings.optimizer
    for name, usual in (("step_size", None), ("schedule", None), ("accumulate", 1)):
        if getattr(settings, name) != usual:
            raise ValueError(f"optimizer 'lbfgs' takes no {name}: it uses all rows in each step.")
    if settings.precision not in ("float32", "float64"):
        raise ValueError("optimizer 'lbfgs' goes with precision 'float32' or 'float64'.")
    for path, module in nn.named_modules(model):
        if isinstance(module, nn.Dropout | nn.BatchNorm):
            raise errors.NotSupported(
                f"L-BFGS needs the same function at each call, and {path or 'the model'} is "
                f"{module!r}: leave it out, or take optimizer='adam'."
            )
    if isinstance(given, FullBatch):
        return given
    options = {k: v for k, v in given.items() if k != "name"} if isinstance(given, dict) else {}
    try:
        return FullBatch(**options)
    except TypeError as error:
        raise ValueError(f"optimizer 'lbfgs': {error}.") from None


def minimise(session: Session, interrupts: Interrupts) -> None:
    """All iterations, up to the number asked for or until nothing gets better."""
    s, place, data = session.settings, session.place, session.data
    rows = slice(None) if session.rows is None else session.rows
    whole = data[rows] if session.rows is not None or data.streamed else data
    targets = whole.inputs if whole.targets is None else whole.targets

    def loss(model, x, y, weights):
        options = {} if weights is None else {"sample_weights": weights}
        return s.loss_function(model(x), y, **options)

    def after(value: float) -> bool:
        place.step += 1
        place.loss_sum, place.loss_count = value, 1
        end_epoch(session)
        if interrupts.asked:
            if session.run is not None:
                session.run.log("interrupted", step=place.step)
            raise KeyboardInterrupt
        return session.history.stopped is not None

    limit = min(n for n in (s.epochs, s.steps) if n is not None)
    found = optim.lbfgs(
        loss, session.model, whole.inputs, targets, whole.sample_weights, steps=limit,
        tolerance=session.optimizer.tolerance, memory=session.optimizer.memory, after=after,
    )  # fmt: skip
    if session.history.stopped is None:
        session.history.stopped = f"L-BFGS: {found.reason}"
