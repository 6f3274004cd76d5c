"""The command line of the laboratory: `python -m chainrule.lab right-derivatives`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main(arguments: list[str] | None = None, program: str = "python -m chainrule.lab") -> int:
    """Runs an experiment; 0 where it is done, 1 where a library failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog=program, description="Experiments on derivatives.")
    experiments = parser.add_subparsers(dest="experiment", required=True)
    _add_right_derivatives(experiments)
    chosen = parser.parse_args(arguments)
    return chosen.run(chosen)


def _add_right_derivatives(experiments) -> None:
    one = experiments.add_parser(
        "right-derivatives",
        help="derivatives at kinks, of branches not taken, of naive formulas, of expectations",
        description="Puts some hundreds of small functions to chainrule and to whichever of its "
        "peers are installed, and counts the right answers.",
    )
    one.add_argument("--class", dest="groups", action="append", metavar="NAME", default=[],
                     help="only this class (can be given again)")  # fmt: skip
    one.add_argument("--only", action="append", metavar="LIBRARY", default=[],
                     help="only this library (can be given again)")  # fmt: skip
    one.add_argument("--peers", metavar="PYTHON",
                     help="the interpreter in which the peers are installed")  # fmt: skip
    one.add_argument("--cases", action="store_true", help="one line for each case as well")
    one.add_argument("--json", metavar="FILE", type=Path, help="write everything as JSON")
    one.add_argument("--markdown", metavar="FILE", type=Path, help="write the table to a file")
    one.add_argument(
        "--earlier",
        metavar="FILE",
        type=Path,
        help="JSON of another run, for the answers of libraries that are not asked",
    )
    one.add_argument(
        "--page", metavar="FILE", type=Path, help="put table and examples between a page's markers"
    )
    one.set_defaults(run=_right_derivatives)


def _right_derivatives(chosen) -> int:
    try:
        import mpmath  # noqa: F401
    except ImportError:
        print("The truths are computed with mpmath: pip install 'chainrule[lab]'", file=sys.stderr)
        return 1
    from chainrule.lab.right_derivatives.libraries import NAMES
    from chainrule.lab.right_derivatives.page import put_into
    from chainrule.lab.right_derivatives.report import as_json, markdown
    from chainrule.lab.right_derivatives.run import run

    try:
        earlier = json.loads(chosen.earlier.read_text()) if chosen.earlier else None
        result = run(chosen.groups, chosen.peers, chosen.only or NAMES, earlier)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    table = markdown(result, chosen.cases)
    print(table, end="")
    if chosen.markdown:
        chosen.markdown.write_text(table)
    if chosen.page:
        put_into(chosen.page, result)
    if chosen.json:
        chosen.json.write_text(json.dumps(as_json(result), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
