"""What there is to say of a model folder and of a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chainrule import errors, nn, train
from chainrule.cli.saved import has_model, model_folder, saved_model
from chainrule.train import checkpoints
from chainrule.train.model_files import read_model_files


def of_model(place: Path) -> dict[str, Any]:
    """Of a model folder, or of a run's: its layers, what it takes and gives, its figures.

    **Errors** `FileDamaged`: a byte of its files is not the one written.
    """
    folder = model_folder(place)
    description, _ = read_model_files(folder)
    found: dict[str, Any] = {
        "model": str(folder), "checksums": "right", "kind": description["model"]["kind"],
    }  # fmt: skip
    about = description["about"]
    if "preparation" not in about:
        network, _ = train.load_model(folder)
        return found | {"parameters": sum(a.size for a in network.parameters()), "about": about}
    saved = saved_model(folder)
    preparation = saved.preparation
    found |= {name: about.get(name) for name in ("task", "target")}
    if preparation.labels is not None:
        found["classes"] = preparation.labels
    if preparation.task == "multilabel" and preparation.target is not None:
        pairs = zip(preparation.target.names, preparation.target.labels or (), strict=True)
        found["labels"] = [f"{name} ({no} or {yes})" for name, (no, yes) in pairs]
    found |= {"columns": preparation.columns, "inputs": len(preparation.names)}
    summary = nn.summary(saved.network, (1, *preparation.shape))
    found |= {"parameters": summary.parameters, "flops a row": summary.flops}
    found |= {"rows": about.get("rows", {}), "test": about.get("test", {})}
    return found | {"layers": str(summary)}


def of_run(place: Path) -> dict[str, Any]:
    """Of a run: how far it is, its best epoch and checkpoints, and its model where it has ended."""
    run = train.Run.open(place)
    stored = run.config.get("cli") or {}
    events = run.events()
    epochs = [event for event in events if event["event"] == "epoch"]
    found: dict[str, Any] = {
        "run": str(place),
        "data": stored.get("data"),
        "state": "ended" if run.finished else "not ended: chainrule resume " + str(place),
        "epochs": epochs[-1]["epoch"] if epochs else 0,
        "steps": max((line["step"] for line in run.metrics()), default=0),
        "decisions of the babysitter": sum(e["event"] == "babysitter" for e in events),
        "checkpoints": _checkpoints(place / "checkpoints"),
    }
    if stored:
        found["options"] = stored["options"]
        found["plan"] = {**stored["plan"]["model"], **stored["plan"]["fit"]}
    if epochs:
        found["last epoch"] = {k: v for k, v in epochs[-1].items() if k not in ("event", "time")}
    return found | of_model(place) if has_model(place) else found


def _checkpoints(folder: Path) -> dict[str, str]:
    """Each checkpoint, and whether every byte of it is the one written."""
    found = {}
    for path in sorted(folder.glob("step-*")):
        try:
            checkpoints.load(path)
            found[path.name] = "intact"
        except errors.FileDamaged as error:
            found[path.name] = f"damaged: {error}"
    return found
