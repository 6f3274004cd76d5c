"""`chainrule graph FILE:FUNCTION ARGUMENT...`: a computation graph with values and adjoints."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import chainrule as cr
from chainrule.cli.functions import arguments_of, faults_of_the_file, function_in
from chainrule.cli.output import Json, note, print_json
from chainrule.cli.source import Arguments, Place
from chainrule.train import files


def graph(
    function: Place,
    /,
    *arguments: Arguments,
    output: Path | None = None,
    group: Literal["auto", "none", "function", "line"] = "auto",
    json: Json = False,
) -> None:
    """Print the graph of a function at given arguments, each node with its value and adjoint.

    Example: chainrule graph model.py:loss 0.5 --output loss.svg

    Parameters
    ----------
    output
        The SVG file to draw it in.
    group
        Which operations make one node together: none, those of one function or line of yours, or
        (auto) what keeps the drawing readable.
    """
    found = function_in(function)
    positional, named = arguments_of(found, arguments, function)
    with faults_of_the_file(function.rpartition(":")[0]):
        made = cr.graph(found, *positional, group=group, **named)
    if output is not None:
        files.write(output, made.svg().encode())
        note(f"wrote {output}")
    if json:
        print_json({"title": made.title, "nodes": [_facts(made, node) for node in made.nodes]})
    elif output is None:
        print(made)


def _facts(made, node) -> dict:
    return {
        "name": node.name,
        "expression": node.expression,
        "kind": node.kind,
        "reads": [made.nodes[i].name for i in node.sources],
        "where": node.where,
        "value": node.value,
        "adjoint": node.adjoint,
    }
