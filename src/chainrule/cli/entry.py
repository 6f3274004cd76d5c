"""From the arguments to the exit code.

0: done. 1: the data, the files or the run are at fault; a message, no traceback. 2: the command was
written wrongly. 130: interrupted. `--debug` anywhere shows the traceback of a failure too.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version

from chainrule import errors, extras
from chainrule.cli.commands import COMMANDS
from chainrule.cli.failures import Failed, Misused, for_the_line

DONE, AT_FAULT, MISUSED, INTERRUPTED = 0, 1, 2, 130

_HELP = "Derivatives of NumPy code, and deep networks trained on your data."
_MORE = "Each command explains itself: `chainrule fit --help`. `--debug` shows tracebacks."


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    >>> main(["--version"])
    0.1.0
    0
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    debug = "--debug" in given
    try:
        return _run([one for one in given if one != "--debug"])
    except KeyboardInterrupt as stop:
        return _ended(INTERRUPTED, str(stop) or "interrupted", debug)
    except Misused as fault:
        return _ended(MISUSED, fault, debug)
    except BrokenPipeError:  # the reader of our output has gone, as after `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return AT_FAULT
    except (errors.ChainruleError, Failed, OSError, MemoryError) as fault:
        return _ended(AT_FAULT, _words(fault), debug)


def _run(tokens: list[str]) -> int:
    cyclopts = extras.load("cyclopts", "cli", "Commands")
    app = _app(cyclopts)
    try:
        result = app(
            tokens, exit_on_error=False, print_error=False, result_action="return_value"
        )  # fmt: skip
    except cyclopts.CycloptsError as error:
        error.verbose = False
        dash = "\n  A dash as a value follows an equals sign: --missing=-" if "-" in tokens else ""
        raise Misused(f"{error}{dash}\n  Try: {_try(app, tokens)} --help") from error
    return result if isinstance(result, int) else DONE


def _try(app, tokens: list[str]) -> str:
    """The command whose help would have told."""
    return " ".join(["chainrule", *tokens[:1]] if tokens and tokens[0] in app else ["chainrule"])


def _app(cyclopts):
    """The application, with a line for each command; a command's file is loaded when it runs."""
    app = cyclopts.App(
        name="chainrule",
        help=_HELP,
        help_epilogue=_MORE,
        version=version("chainrule"),
        suppress_keyboard_interrupt=False,
        default_parameter=cyclopts.Parameter(negative=(), consume_multiple=False),
    )
    names = dict.fromkeys(command.group for command in COMMANDS.values())
    groups = {name: cyclopts.Group.create_ordered(name) for name in names}
    for name, command in COMMANDS.items():
        app.command(
            f"chainrule.cli.{command.function}",
            name=name,
            help=command.help,
            group=groups[command.group],
            **command.options,
        )
    return app


def _words(fault: BaseException) -> str:
    own = isinstance(fault, errors.ChainruleError)
    if isinstance(fault, OSError) and fault.strerror and not own:
        return f"{fault.filename}: {fault.strerror}" if fault.filename else fault.strerror
    if isinstance(fault, MemoryError) and not str(fault):
        return "not enough memory"
    return for_the_line(str(fault)) if isinstance(fault, errors.DataError) else str(fault)


def _ended(code: int, message: object, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"chainrule: {message}", file=sys.stderr)
    return code
