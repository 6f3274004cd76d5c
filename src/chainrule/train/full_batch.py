"""L-BFGS on all rows at once, in the place of minibatch steps: `fit(optimizer="lbfgs")`.

Each iteration counts as a step and as an epoch: it has a record, validation and early stopping, and
may leave a checkpoint. The model runs in inference, as the loss must be the same function at each
call; models with dropout or running statistics are refused. The babysitter has nothing to do here.
"""

from __future__ import annotations

from chainrule import errors, nn
from chainrule.optim.lbfgs import NO_STEP, Descent, Search
from chainrule.program.tree import register
from chainrule.train.epochs import end_epoch
from chainrule.train.interrupts import Interrupts
from chainrule.train.saving import save
from chainrule.train.session import Session
from chainrule.train.settings import Settings


@register
class FullBatch:
    """Stands where other trainings have their optimizer: the options of L-BFGS, and where it is.

    `memory` and `tolerance` may be changed at any time.
    """

    def __init__(self, memory: int = 10, tolerance: float = 1e-8):
        if not (memory >= 1 and tolerance >= 0):
            raise ValueError(f"memory is from 1 and tolerance from 0, got {memory}, {tolerance}.")
        self.memory, self.tolerance = int(memory), float(tolerance)
        self.descent = Descent()

    @property
    def step_size(self) -> float:
        """The step size that an iteration tries first. It cannot be set: each finds its own."""
        return 1.0

    @step_size.setter
    def step_size(self, value: float) -> None:
        raise ValueError(
            f"optimizer 'lbfgs' takes no step_size, got {value!r}: each of its iterations finds "
            "its own. Leave it as it is, or take optimizer='adam'."
        )

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
    place, optimizer, history = session.place, session.optimizer, session.history
    search = _search(session)
    while history.stopped is None:
        done = optimizer.descent.converged(optimizer.tolerance)
        if done is None and not search.step(optimizer.memory):
            done = NO_STEP
        if done is not None:
            history.stopped = f"L-BFGS: {done}"
            return
        place.step += 1
        place.loss_sum, place.loss_count = optimizer.descent.loss, 1
        end_epoch(session)
        if interrupts.asked:
            if session.run is not None:
                save(session)
                session.run.log("interrupted", step=place.step)
            raise KeyboardInterrupt


def _search(session: Session) -> Search:
    """L-BFGS from wherever it is, on all rows to train on."""
    s, data = session.settings, session.data
    rows = slice(None) if session.rows is None else session.rows
    whole = data[rows] if session.rows is not None or data.streamed else data
    targets = whole.inputs if whole.targets is None else whole.targets

    def loss(model, x, y, weights):
        options = {} if weights is None else {"sample_weights": weights}
        return s.loss_function(model(x), y, **options)

    return Search(
        loss, session.model, (whole.inputs, targets, whole.sample_weights),
        session.optimizer.descent,
    )  # fmt: skip
