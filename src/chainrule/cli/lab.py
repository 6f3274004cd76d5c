"""`chainrule lab EXPERIMENT`: the experiments, with the arguments that they take."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from chainrule.lab.__main__ import main


def lab(*arguments: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Run an experiment; `chainrule lab --help` lists them."""
    try:
        return main(list(arguments), "chainrule lab")
    except SystemExit as end:  # how the experiments' own parser ends after help or wrong usage
        return end.code if isinstance(end.code, int) else 0
