"""`chainrule info`: what a model or a run is, or what this installation has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from chainrule.cli.installation import installation
from chainrule.cli.output import Json, print_facts, print_json
from chainrule.cli.saved import is_run


def info(
    place: Annotated[
        Path | None, Parameter(name="MODEL", help="A run, or the model folder of one.")
    ] = None,
    /,
    *,
    models: bool = False,
    json: Json = False,
) -> None:
    """Tell about a model, a run, or (without a path) this installation.

    Of a model: checksums are verified, then its layers, inputs and figures. Of a run also how far
    it is, and which of its checkpoints are intact.

    Parameters
    ----------
    models
        List the kinds of networks that `fit --model` knows, instead.
    """
    if models:
        facts = _kinds()
    elif place is None:
        facts = installation()
    else:
        facts = _of(place)
    if json:
        print_json(facts)
    else:
        _print(facts)


def _kinds() -> dict[str, Any]:
    from chainrule.cli.models import KINDS

    return {name: kind.about for name, kind in KINDS.items()}


def _of(place: Path) -> dict[str, Any]:
    from chainrule.cli.facts import of_model, of_run

    return of_run(place) if is_run(place) else of_model(place)


def _print(facts: dict[str, Any]) -> None:
    """The single facts, then each part that has several, under its name."""
    print_facts({name: _said(value) for name, value in facts.items() if not _is_part(value)})
    for name, value in facts.items():
        if not _is_part(value) or not value:
            continue
        print(f"\n{name}:")
        if isinstance(value, dict):
            print_facts({f"  {key}": _said(one) for key, one in value.items()})
        else:
            print(value)


def _is_part(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, str) and "\n" in value)


def _said(value: Any) -> str:
    if isinstance(value, list):
        some = ", ".join(map(_said, value[:12]))
        return some + (f", ... ({len(value)} in all)" if len(value) > 12 else "")
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(one)}" for name, one in value.items())
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
