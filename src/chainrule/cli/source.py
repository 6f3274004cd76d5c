"""`chainrule source FILE:FUNCTION ARGUMENT...`: a derivative as a Python function to read."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

import chainrule as cr
from chainrule.cli.failures import Misused
from chainrule.cli.functions import arguments_of, faults_of_the_file, function_in
from chainrule.cli.output import note

Arguments = Annotated[
    str,
    Parameter(
        name="ARGUMENT",
        allow_leading_hyphen=True,
        help="A number, '[1.0, 2.0]', a type such as 'f64[3,2]', @FILE.npy, or name=ARGUMENT.",
    ),
]
Place = Annotated[str, Parameter(name="FILE:FUNCTION", help="The function. FILE is executed.")]
Derivative = Literal["gradient", "value-and-gradient", "jacobian", "hessian", "none"]

_MADE: dict[str, Callable] = {
    "gradient": cr.grad,
    "value-and-gradient": cr.value_and_grad,
    "jacobian": cr.jacobian,
    "hessian": cr.hessian,
}


def source(
    function: Place,
    /,
    *arguments: Arguments,
    derivative: Derivative = "gradient",
    by: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=False)] = None,
    output: Path | None = None,
) -> None:
    """Print the derivative of a function in a file, as code that needs only NumPy.

    The function is traced with the arguments: their shapes and dtypes matter, and which way an `if`
    goes. Example: chainrule source model.py:loss 'f64[3]' 'f64[8,3]' 'f64[8]' --by w

    Parameters
    ----------
    derivative
        Which one; "none" prints the function itself as it was traced.
    by
        The argument to differentiate by, by name or position (0 is the first, and the default);
        can be given again.
    output
        The file to write instead.
    """
    found = function_in(function)
    positional, named = arguments_of(found, arguments, function)
    with faults_of_the_file(function.rpartition(":")[0]):
        made = _derivative(found, derivative, by or (), function)
        text = cr.source(made, *positional, **named)
    if output is None:
        print(text.rstrip("\n"))
    else:
        output.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
        note(f"wrote {output}")


def _derivative(f: Callable, kind: str, by: tuple[str, ...], place: str) -> Callable:
    if kind == "none":
        return f
    positions = tuple(_position(f, one, place) for one in by) or (0,)
    return _MADE[kind](f, argnums=positions if len(positions) > 1 else positions[0])


def _position(f: Callable, text: str, place: str) -> int:
    """The position of an argument that is given by name or number."""
    names = list(inspect.signature(f).parameters)
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise Misused(f"{place} has no argument {text}. It has: {', '.join(names)}.")
