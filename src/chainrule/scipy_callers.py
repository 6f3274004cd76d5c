"""What SciPy's functions that take a function have in common inside a trace.

`scipy_solvers.py` and `scipy_integrals.py` give them their meaning.
"""

from __future__ import annotations

from typing import Any

from chainrule import errors
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, user_line


def as_arguments(args) -> tuple:
    """What SciPy takes for the further arguments of a function: a tuple, or the only one."""
    return args if isinstance(args, tuple) else (args,)


def plain_value(value, needed: str, instead: str) -> Any:
    """The value at hand of what may be traced, or a list of such.

    **Errors** `ConcreteValueNeeded`, which says what is `needed` and what to write `instead`.
    """
    if isinstance(value, list | tuple):
        return type(value)(plain_value(v, needed, instead) for v in value)
    if type(value) is not Traced:
        return value
    found = concrete_value(value)
    if found is None:
        raise errors.ConcreteValueNeeded(
            f"{needed} at {line_text(user_line())}, and this trace has no values at hand (compile, "
            f"vmap, or the body of a loop).\n  {instead}"
        )
    return found
