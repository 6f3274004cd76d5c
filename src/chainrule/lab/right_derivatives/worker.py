"""One library in one process: answers to cases as lines of JSON.

python -m chainrule.lab.right_derivatives.worker LIBRARY [GROUP ...]
"""

from __future__ import annotations

import json
import signal
import sys
import warnings

import numpy as np

from chainrule.lab.right_derivatives import libraries
from chainrule.lab.right_derivatives.asking import answers
from chainrule.lab.right_derivatives.cases import cases

SECONDS = 60  # of processor time; a case that takes longer counts as refused


def main(arguments: list[str]) -> None:
    """Prints a first line with the version (or "missing"), then one line a case."""
    name, *groups = arguments
    try:
        library = libraries.load(name)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    print(json.dumps({"version": library.version}), flush=True)
    warnings.simplefilter("ignore")
    for case in cases(groups):
        with np.errstate(all="ignore"):
            count = 1 if case.by == "vmap" else len(case.points)
            found = limited(lambda case=case: answers(library, case), count)
        print(
            json.dumps({"case": f"{case.group}/{case.name}", "answers": _plain(found)}), flush=True
        )


def limited(function, points: int):
    """`function()`, or as many errors as points where it takes more than SECONDS."""

    def stop(*_):
        raise TimeoutError(f"no answer within {SECONDS} s")

    if not hasattr(signal, "SIGPROF"):
        return function()
    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        return function()
    except TimeoutError as error:
        return [str(error)] * points
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _plain(found):
    if found is None:
        return None
    return [f if isinstance(f, str) else [np.asarray(part).tolist() for part in f] for f in found]


if __name__ == "__main__":
    main(sys.argv[1:])
