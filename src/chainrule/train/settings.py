"""What a training was asked for: checked, completed, and written as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np

from chainrule import errors, optim
from chainrule.nn.losses import LOSSES
from chainrule.optim.optimizer import Optimizer
from chainrule.options import options
from chainrule.train.early_stopping import EarlyStopping, early_stopping
from chainrule.train.metrics import Metric, named
from chainrule.train.precision import Float16

EPOCHS = 10  # where neither epochs nor steps are given
ITERATIONS = 500  # the same, of L-BFGS
OPTIMIZERS = {name.lower(): rule for name, rule in optim.OPTIMIZERS.items()}


@dataclass
class Settings:
    """The options of `fit`, as it runs with them."""

    loss: Any
    epochs: int | None
    steps: int | None
    batch_size: int
    optimizer: Any
    step_size: Any
    schedule: Any
    metrics: dict[str, Metric]
    early_stopping: EarlyStopping | None
    accumulate: int
    precision: Any
    kinks: str
    memory: int | str | None
    seed: int
    babysitter: str
    checkpoint_every: int | None
    keep: int
    validation: Any = None
    loss_function: Callable = field(default=lambda *_: None, repr=False)

    def __post_init__(self) -> None:
        for name, value in list(vars(self).items()):
            if isinstance(value, np.generic):  # as files hold numbers
                setattr(self, name, value.item())
        if self.epochs is None and self.steps is None:
            self.epochs = ITERATIONS if self.full_batch else EPOCHS
        for name in ("epochs", "steps", "batch_size", "accumulate", "checkpoint_every", "keep"):
            value = getattr(self, name)
            if value is not None and not (_is_whole(value) and value >= 1):
                raise ValueError(f"{name} is a whole number from 1, got {value!r}.")
        if not (_is_whole(self.seed) and self.seed >= 0):
            raise ValueError(f"seed is a whole number from 0, got {self.seed!r}.")
        if self.babysitter not in ("act", "advise", "off"):
            raise ValueError(f"babysitter is one of act, advise, off; got {self.babysitter!r}.")
        options(self.kinks, self.memory, False)  # before anything is compiled or written
        self.loss_function = loss_function(self.loss)

    @property
    def full_batch(self) -> bool:
        """Whether the optimizer is L-BFGS, which takes all rows at once."""
        given = self.optimizer
        name = given.get("name") if isinstance(given, dict) else given
        return type(given).__name__ == "FullBatch" or str(name).lower() == "lbfgs"

    @property
    def searches(self) -> bool:
        """Whether the step size is to be found by a search."""
        return isinstance(self.step_size, str | dict)

    @property
    def share(self) -> float | None:
        """The share of rows that validates, where it is one."""
        given = self.validation
        is_number = isinstance(given, int | float) and not isinstance(given, bool)
        return float(given) if is_number else None

    def to_json(self) -> dict[str, Any]:
        """The options as data; functions and objects of yours stand as None, or by their names."""
        stopping = self.early_stopping
        return {
            "loss": _plain(self.loss) if isinstance(self.loss, str | dict) else None,
            "loss_name": loss_name(self.loss),
            "metrics": list(self.metrics),
            "early_stopping": None if stopping is None else stopping.options(),
            "optimizer": _plain(self.optimizer), "step_size": _plain(self.step_size),
            "schedule": _plain(self.schedule), "precision": _plain(self.precision),
            "validation": self.share,
            **{name: getattr(self, name) for name in _AS_THEY_ARE},
        }  # fmt: skip

    @classmethod
    def from_json(
        cls, facts: dict[str, Any], *, loss: Any = None, metrics: Any = None,
        optimizer: Any = None, validation: Any = None,
    ) -> Settings:  # fmt: skip
        """The options that `to_json` wrote, with others in the place of what is no data."""
        return cls(
            loss=facts["loss"] if loss is None else loss,
            metrics=named(facts["metrics"] if metrics is None else metrics),
            early_stopping=early_stopping(facts["early_stopping"]),
            optimizer=facts["optimizer"] if optimizer is None else optimizer,
            validation=facts["validation"] if validation is None else validation,
            **{name: facts[name] for name in ("step_size", "schedule", "precision")},
            **{name: facts[name] for name in _AS_THEY_ARE},
        )


_AS_THEY_ARE = (
    "epochs", "steps", "batch_size", "accumulate", "kinks", "memory", "seed", "babysitter",
    "checkpoint_every", "keep",
)  # fmt: skip


def _plain(value: Any) -> Any:
    """Names, numbers and options as they are; an object as the name of its class."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return np.asarray(value).tolist()
    return asdict(value) if isinstance(value, Float16) else {"object": type(value).__name__}


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def loss_function(given: Any) -> Callable:
    """A loss from its name, its name with options, or a function.

    >>> loss_function({"name": "huber", "delta": 0.5})(np.array([2.0]), np.array([0.0]))
    np.float64(0.875)
    """
    if callable(given):
        return given
    options = dict(given) if isinstance(given, dict) else {"name": given}
    name = options.pop("name", None)
    if not isinstance(name, str) or name not in LOSSES:
        raise ValueError(
            f"loss is a function of (outputs, targets) or one of {', '.join(LOSSES)}; got "
            f"{given!r}."
        )
    if not options:
        return LOSSES[name]
    frozen = {
        key: _frozen(np.asarray(value).tolist()) if np.ndim(value) else value
        for key, value in options.items()
    }
    return _with_options(name, tuple(sorted(frozen.items())))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


@lru_cache(maxsize=64)
def _with_options(name: str, options: tuple) -> Callable:
    """One function for the same name and options, so that compiled steps are shared."""
    try:
        chosen = partial(LOSSES[name], **dict(options))
        chosen(*_example(name, np.asarray(dict(options).get("class_weights", 1.0)).shape))
    except TypeError as error:
        raise ValueError(f"loss {name!r}: {error}.") from None
    return chosen


def _example(name: str, weights: tuple[int, ...]) -> tuple:
    """Scores and targets of one row, as a loss takes them, with class weights of that shape."""
    if name == "softmax_cross_entropy":
        return np.zeros((1, *(weights[:1] or (2,)))), np.zeros(1, np.int64)
    outputs = np.zeros((1, *weights[:-1]))
    return outputs, np.zeros_like(outputs)


def loss_name(given: Any) -> str:
    """The name of a loss, for the babysitter and the config."""
    if isinstance(given, dict):
        return str(given["name"])
    return given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)


def known_loss(given: Any) -> str:
    """The name of a loss where it is one of the table, else ""."""
    name = loss_name(given)
    return "" if callable(given) and LOSSES.get(name) is not given else name


def optimizer_for(model, given: Any, step_size: Any, schedule: Any, total: int) -> Optimizer:
    """An optimizer from its name, its name with options, or one that was made for this model.

    `step_size` is a number, or None for the optimizer's own; `total` the steps of the training,
    for schedules by name.
    """
    if isinstance(given, Optimizer):
        _check_made_for(model, given)
        made = given
    else:
        options = dict(given) if isinstance(given, dict) else {"name": given}
        name = str(options.pop("name", None)).lower()
        if name not in OPTIMIZERS:
            raise ValueError(
                f"optimizer is an Optimizer or one of {', '.join(OPTIMIZERS)}, lbfgs; got "
                f"{given!r}."
            )
        try:
            made = OPTIMIZERS[name](model, **options)
        except TypeError as error:
            raise ValueError(f"optimizer {name!r}: {error}.") from None
    if step_size is not None:
        if not (isinstance(step_size, int | float) and step_size > 0):
            raise ValueError(
                f"step_size is a positive number, 'bottou' or 'range', got {step_size!r}."
            )
        made.step_size = float(step_size)
    if schedule is not None:
        made.schedule = schedule_for(schedule, total)
    return made


def _check_made_for(model, optimizer: Optimizer) -> None:
    count = len(model.parameters())
    if len(optimizer.factors) != count:
        raise errors.StructureMismatch(
            f"the optimizer was made for {len(optimizer.factors)} parameters, and the model has "
            f"{count}: make it for this model, optim.Adam(model, ...)."
        )


def schedule_for(given: Any, total: int) -> Any:
    """A schedule object, or one by name for a training of `total` steps.

    "constant"; "inversetime" and "inverseroot" with t0 a tenth of the steps; "steps", a tenth after
    each third; "cosine" down to 0 at the end; "warmup", a twentieth of the steps up, then cosine.
    """
    warm = max(1, total // 20)
    third, tenth = max(1, total // 3), max(1, total // 10)
    by_name: dict[str, Callable[[], Any]] = {
        "constant": optim.Constant,
        "inversetime": lambda: optim.InverseTime(float(tenth)),
        "inverseroot": lambda: optim.InverseRoot(float(tenth)),
        "steps": lambda: optim.Steps(third),
        "cosine": lambda: optim.Cosine(total),
        "warmup": lambda: optim.WarmUp(warm, optim.Cosine(max(1, total - warm))),
    }
    if isinstance(given, str):
        if given not in by_name:
            raise ValueError(
                f"schedule is one of {', '.join(by_name)}, or an object of optim; got {given!r}."
            )
        return by_name[given]()
    if not callable(given):
        raise ValueError(f"schedule is a name or an object of optim, got {given!r}.")
    return given
