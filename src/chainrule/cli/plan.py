"""What a run does: the recipe for its data, with the options that say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from chainrule.cli.failures import Misused
from chainrule.cli.job import Job
from chainrule.cli.models import KINDS, parsed
from chainrule.cli.models import OPTIONS as MODEL_OPTIONS
from chainrule.train.recipe import recipe

METRICS = {"classification": ["accuracy"], "multilabel": ["exact_match", "hamming_loss"],
           "regression": ["r2"]}  # fmt: skip
# The losses that mean something for outputs that are class scores, log-odds, standardised numbers.
LOSSES = {
    "classification": ("softmax_cross_entropy",),
    "multilabel": ("logistic", "hinge", "perceptron"),
    "regression": ("squared", "absolute", "huber", "quantile"),
}
_WORDS = {"classification": "classes", "multilabel": "labels", "regression": "numbers"}
VALIDATION = 0.1  # share of rows, where options need a validation set and do not say how large
_OF_OPTIMIZER = ("decay", "l2", "l1", "clip_norm")
_OF_FIT = (
    "loss", "epochs", "steps", "batch_size", "schedule", "accumulate", "precision", "memory",
    "babysitter", "seed", "checkpoint_every", "keep",
)  # fmt: skip


def validation_share(options: dict[str, Any]) -> float | None:
    """The share of rows that validate where `--validation` says nothing."""
    return VALIDATION if options.get("patience") is not None else None


def plan(job: Job, options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The network's kind and options, and those of `train.fit`, as data that fits into JSON."""
    shape, rows = job.preparation.shape, len(job.rows["training"])
    usual = recipe(str(job.preparation.task), rows, prod(shape), job.outputs)
    if (options.get("optimizer") or "").lower() == "lbfgs":  # needs one function, and no schedule
        usual["model"] |= {"dropout": 0.0, "batch_norm": False}
        usual["fit"]["schedule"] = None
    return {"model": _model(usual["model"], options), "fit": _fit(usual["fit"], job, options)}


def _model(usual: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    kind = options.get("model") or "mlp"
    chosen = {name: parsed(name, options[name]) for name in MODEL_OPTIONS if name in options}
    if kind in KINDS:
        chosen = {k: v for k, v in usual.items() if k in KINDS[kind].usual} | chosen
    return {"kind": kind, **chosen}


def _fit(usual: dict[str, Any], job: Job, options: dict[str, Any]) -> dict[str, Any]:
    found = {name: usual[name] for name in ("loss", "epochs", "batch_size", "schedule")}
    found |= {name: options[name] for name in _OF_FIT if name in options}
    _check_loss(found["loss"], str(job.preparation.task))
    if (loss := balanced_loss(job)) is not None:
        if found["loss"] != loss["name"]:
            raise Misused(
                f"--balance weights of labels are for --loss logistic, got {found['loss']}."
            )
        found["loss"] = loss
    if "steps" in options and "epochs" not in options:
        found["epochs"] = None
    name = options.get("optimizer") or usual["optimizer"]
    own = name.lower() == usual["optimizer"].lower()  # what suits one optimizer is not another's
    suited = {key: usual[key] for key in _OF_OPTIMIZER if own and usual.get(key) is not None}
    found["optimizer"] = optimizer_of(options, usual["optimizer"], suited)
    found["step_size"] = usual["step_size"] if own else None
    if "step_size" in options:
        found["step_size"] = step_size_of(options["step_size"])
    if len(job.rows["validation"]):
        found["metrics"] = METRICS[str(job.preparation.task)]
        found["early_stopping"] = options.get("patience", usual.get("early_stopping"))
    elif options.get("patience") is not None:
        raise Misused("--patience watches the validation: do not write --validation 0 beside it.")
    return found


def balanced_loss(job: Job) -> dict[str, Any] | None:
    """The loss of labels whose values are to count the same; None where that is not asked for."""
    weights = job.label_weights()
    return None if weights is None else {"name": "logistic", "class_weights": weights}


def _check_loss(name: str, task: str) -> None:
    if name in LOSSES[task]:
        return
    instead = ""
    if name == "poisson":
        instead = "\n  Counts: chainrule.estimators.DeepRegressor(loss='poisson') in Python."
    raise Misused(
        f"--loss {name} is not for {_WORDS[task]}. Known: {', '.join(LOSSES[task])}." + instead
    )


def optimizer_of(
    options: Mapping[str, Any], usual: str = "AdamW", suited: Mapping[str, Any] | None = None
) -> str | dict[str, Any]:
    """The optimizer's name, with its options where there are some; those `suited` where no others
    are given.

    >>> optimizer_of({"optimizer": "sgd"}), optimizer_of({"l2": 0.1})
    ('sgd', {'name': 'AdamW', 'l2': 0.1})
    """
    name = options.get("optimizer") or usual
    given = {**(suited or {}), **{key: options[key] for key in _OF_OPTIMIZER if key in options}}
    return {"name": name, **given} if given else name


def step_size_of(text: str) -> float | str:
    """A step size, which is a number or the name of a search."""
    try:
        return float(text)
    except ValueError:
        return text
