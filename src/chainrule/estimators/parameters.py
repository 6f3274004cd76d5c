"""What the parameters of the estimators may be: one table, looked at when `fit` begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

from chainrule import nn, optim

AUTO = "auto"


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, Integral) and not isinstance(v, bool) and int(v) >= least


def _real(test: Callable[[float], bool]) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, Real) and not isinstance(v, bool) and test(float(v))


def _sizes(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(map(_whole(1), value))


def _one_of(*names: Any) -> Callable[[Any], bool]:
    return lambda v: any(v is n or (isinstance(v, type(n)) and v == n) for n in names)


def _names(known) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, str) and v in known


def _activations(value: Any) -> bool:
    names = [value] if isinstance(value, str) else value
    return isinstance(names, Sequence) and all(_names(nn.activations.FUNCTIONS)(n) for n in names)


LOSSES = ("squared", "absolute", "huber", "poisson")
SCHEDULES = ("constant", "cosine")

# name: (what it may be besides "auto", in words, and whether "auto" is allowed)
ALLOWED: dict[str, tuple[Callable[[Any], bool], str, bool]] = {
    "hidden": (_sizes, "a tuple of sizes of layers, as (128, 64)", True),
    "code": (_whole(1), "a whole number from 1", False),
    "activation": (_activations, f"one of {', '.join(nn.activations.FUNCTIONS)}", True),
    "dropout": (_real(lambda v: 0 <= v < 1), "a probability below 1", True),
    "batch_norm": (_one_of(True, False), "True or False", True),
    "skips": (_one_of(True, False), "True or False", False),
    "input_clip": (
        lambda v: v is None or _real(lambda b: 0 < b < float("inf"))(v),
        "None or a positive number",
        True,
    ),
    "init": (_names(nn.init.NAMED), f"one of {', '.join(nn.init.NAMED)}", False),
    "loss": (_names(LOSSES), f"one of {', '.join(LOSSES)}", False),
    "optimizer": (_names(optim.OPTIMIZERS), f"one of {', '.join(optim.OPTIMIZERS)}", True),
    "step_size": (_real(lambda v: 0 < v < float("inf")), "a positive number", True),
    "schedule": (_names(SCHEDULES), f"one of {', '.join(SCHEDULES)}", True),
    "l2": (_real(lambda v: 0 <= v < float("inf")), "a number from 0", False),
    "decay": (_real(lambda v: 0 <= v < float("inf")), "a number from 0", True),
    "batch_size": (_whole(1), "a whole number from 1", True),
    "epochs": (_whole(1), "a whole number from 1", True),
    "early_stopping": (_one_of(True, False), "True or False", True),
    "patience": (_whole(1), "a whole number from 1", False),
    "validation_fraction": (_real(lambda v: 0 < v < 1), "a share between 0 and 1", False),
    "standardize": (_one_of(True, False), "True or False", False),
    "tied": (_one_of(True, False), "True or False", False),
    "noise": (_one_of(None, "gaussian", "mask"), "None, 'gaussian' or 'mask'", False),
    "noise_level": (_real(lambda v: 0 <= v < float("inf")), "a number from 0", False),
    "precision": (_one_of("float32", "float64"), "'float32' or 'float64'", False),
    "babysitter": (_one_of("act", "advise", "off"), "'act', 'advise' or 'off'", False),
    "warm_start": (_one_of(True, False), "True or False", False),
    "verbose": (_one_of(True, False), "True or False", False),
}


def check(estimator) -> None:
    """Nothing, where every parameter of the estimator is one that it may have.

    **Errors** `ValueError` with the parameter, its value and what it may be.
    """
    for name, value in estimator.get_params(deep=False).items():
        if name not in ALLOWED:
            continue  # class_weight and random_state, which scikit-learn's own functions check
        test, words, may_be_auto = ALLOWED[name]
        if not (test(value) or (may_be_auto and _names((AUTO,))(value))):
            auto = ", or 'auto' for what the recipe says" if may_be_auto else ""
            raise ValueError(
                f"{name} of {type(estimator).__name__} is {words}{auto}; got {value!r}."
            )
