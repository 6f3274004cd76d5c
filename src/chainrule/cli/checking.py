"""Options that no data would make right, refused before any data are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule import nn, random
from chainrule.cli.failures import Misused
from chainrule.cli.job import share_of
from chainrule.cli.models import OPTIONS as MODEL_OPTIONS
from chainrule.cli.models import check_kind, parsed
from chainrule.cli.plan import optimizer_of, step_size_of
from chainrule.cli.tables import reading_of, target_of
from chainrule.data.columns import Reading
from chainrule.train.full_batch import full_batch_for
from chainrule.train.settings import Settings, optimizer_for
from chainrule.train.step_size import search_of

STEPS = 1000  # of a training, for schedules by name
_LAYERS = ("activation", "dropout", "batch_norm", "init")  # that a network of one unit takes


def check(source: str, options: Mapping[str, Any]) -> None:
    """Nothing, where there are data that a network could be trained on with these options.

    **Errors** Misused, with the option, what it says and what there is; DataError for the marks in
    numbers.
    """
    reading = reading_of(options)
    Reading(decimal=reading.get("decimal", "."), thousands=reading.get("thousands"))
    for part in ("test", "validation"):
        share_of(part, options.get(part))
    target = options.get("target") or target_of(source) or ()
    for name in ("groups", "time"):
        if options.get(name) in target:
            raise Misused(
                f"--{name} {options[name]} is what is to be predicted: rows would be set apart by "
                "the very answer. Name another column, or leave the option out."
            )
    if (seed := options.get("seed", 0)) < 0:
        raise Misused(f"--seed {seed}: expected a whole number from 0.")
    _check_model(options)
    try:
        _check_training(options)
    except ValueError as error:
        raise Misused(str(error)) from error


def _check_model(options: Mapping[str, Any]) -> None:
    kind = options.get("model") or "mlp"
    chosen = {name: parsed(name, options[name]) for name in MODEL_OPTIONS if name in options}
    check_kind(kind, chosen)
    try:
        nn.MLP(1, (1,), 1, rng=0, **{k: v for k, v in chosen.items() if k in _LAYERS})
    except (ValueError, KeyError, AttributeError) as error:
        raise Misused(f"--model {kind}: {error}") from error


def _check_training(options: Mapping[str, Any]) -> None:
    size = step_size_of(options["step_size"]) if "step_size" in options else None
    settings = Settings(
        loss=options.get("loss", "squared"), batch_size=options.get("batch_size", 32),
        optimizer=optimizer_of(options), step_size=size, metrics={}, early_stopping=None,
        accumulate=options.get("accumulate", 1), precision=options.get("precision", "float32"),
        kinks="convention", seed=options.get("seed", 0),
        babysitter=options.get("babysitter", "act"), keep=options.get("keep", 3),
        checkpoint_every=options.get("checkpoint_every"), epochs=options.get("epochs"),
        steps=options.get("steps"), schedule=options.get("schedule"), memory=options.get("memory"),
    )  # fmt: skip
    unit = nn.Linear(1, 1, rng=random.default_rng(0))
    if settings.full_batch:
        full_batch_for(unit, settings)
        return
    if settings.searches:
        search_of(size)
        size = None
    optimizer_for(unit, settings.optimizer, size, settings.schedule, STEPS)
