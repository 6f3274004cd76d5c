"""A trained model as the commands use it: the network with its preparation, from a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import data, errors, nn, train
from chainrule.cli.failures import Failed
from chainrule.cli.tables import reading_for, reading_of, table_of
from chainrule.data.table import listed
from chainrule.train import files
from chainrule.train.evaluation import predict


@dataclass(frozen=True)
class Saved:
    """A model of `chainrule fit`, and what was saved about it."""

    folder: Path
    network: nn.Module
    preparation: data.Preparation
    about: dict[str, Any]

    def table(
        self, source: str, *, with_target: bool, options: Mapping[str, Any] | None = None
    ) -> data.Table:
        """The table of a source, its columns read as the kinds that the model was trained with.

        It is read as the data of the training were, but for what the `options` say. Images get the
        channels that those had: among gray ones alone, no colours are seen.
        """
        target = self.preparation.target
        asked = target.names if with_target and target is not None else ()
        used = {*self.preparation.columns, *asked}
        types = {name: kind for name, kind in self.preparation.types.items() if name in used}
        stored = reading_for(source, self._channels() | self.about.get("reading", {}))
        reading = {**stored, **reading_of(options or {}), "only": used}
        if "dates" in reading:
            reading["dates"] = {k: v for k, v in reading["dates"].items() if k in types}
        try:
            table = table_of(source, types, reading)
        except errors.DataError:
            table = table_of(source, None, reading)[:0]
            self.preparation.inputs(table)  # says which columns are missing
            _check_targets(table, asked)
            raise
        _check_targets(table, asked)
        return table

    def _channels(self) -> dict[str, int]:
        """The option of reading with which images get the channels of those of the training."""
        shapes = [record.get("shape", ()) for record in self.preparation.records]
        channels = [shape[2] for shape in shapes if len(shape) == 3 and shape[2] in (1, 3)]
        return {"channels": channels[0]} if channels else {}

    def outputs(self, table: data.Table) -> np.ndarray:
        """The network's outputs for a table's rows."""
        return predict(self.network, self.preparation.inputs(table))


def _check_targets(table: data.Table, names: Iterable[str]) -> None:
    for name in names:
        if name not in table:
            raise Failed(
                f"{table.source} lacks {name!r}, which the model predicts: what it predicts is "
                f"compared with what is known.\n  It has: {listed(table.columns)}. Without it: "
                "chainrule predict."
            )


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run."""
    return (folder / "config.json").exists()


def has_model(place: Path) -> bool:
    """Whether a run folder holds a model."""
    return (files.standing(place / "model") / "model.json").exists()


def model_folder(place: Path) -> Path:
    """The folder with the model's files: `place`, or `model` in a run."""
    for folder in (place, place / "model"):
        if (files.standing(folder) / "model.json").exists():
            return folder
    if not place.exists():
        raise Failed(f"{place} does not exist; a run or a model folder is needed.")
    if is_run(place):
        raise Failed(
            f"{place} holds a run without a model: it has not ended.\n"
            f"  Let it go on: chainrule resume {place}"
        )
    raise Failed(
        f"{place} is neither a run nor a model folder: it has no config.json or model.json."
    )


def saved_model(place: Path) -> Saved:
    """The model of a run or a model folder, checksums verified."""
    folder = model_folder(place)
    network, about = train.load_model(folder)
    if "preparation" not in about:
        raise Failed(
            f"{folder} says nothing of how data become inputs: it was not saved by `chainrule fit`."
            "\n  Load it in Python: train.load_model(folder)"
        )
    try:
        preparation = data.Preparation.from_json(about["preparation"])
    except errors.FileDamaged as error:
        raise errors.FileDamaged(f"{folder / 'model.json'}: {error}") from error
    return Saved(folder, network, preparation, about)
