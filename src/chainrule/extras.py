"""Libraries that only some functions need: loaded at first use, asked for by name where absent."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from chainrule import errors


def load(module: str, extra: str, purpose: str) -> ModuleType:
    """The module; where it is not installed, an error that names the extra to install.

    >>> load("json", "train", "Logs").dumps([1])
    '[1]'
    >>> load("no_such_module", "train", "Logs")
    Traceback (most recent call last):
    chainrule.errors.MissingExtra: Logs need no_such_module, which is not installed.
      Install it with: pip install 'chainrule[train]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise  # the library is there, and something that it needs is not
        raise errors.MissingExtra(
            f"{purpose} need {module.split('.')[0]}, which is not installed.\n"
            f"  Install it with: pip install 'chainrule[{extra}]'"
        ) from error
