"""Differentiates every function of the corpus with chainrule and its peers, and judges them.

    pip install -e . -r benchmarks/corpus/requirements.txt   # Python 3.11, from the root
    python -m benchmarks.corpus.run                      # everything; writes results.json, .md
    python -m benchmarks.corpus.run --only scipy.stats   # cases whose title contains the text
    python -m benchmarks.corpus.run --tools autograd     # some tools (see peers.py)
    python -m benchmarks.corpus.run --tools none         # only check the references

Verdicts, for forward (`jvp`) and reverse mode (`vjp`) each, along every direction:
  right           the derivative is the reference's, to within the reference's error
  wrong           a derivative or a value came back, and it is not that one
  refused         the tool raised an error class of its own
  crashed         any other error, something else than numbers, or no answer in 20 seconds
A case whose reference cannot be computed is `not measurable` and counts for nobody.
"""
import argparse
import contextlib
import io
import re
import signal
import traceback
import warnings
from pathlib import Path

import numpy as np

from .peers import PEERS, available, numpy_replaced
from .reference import NotMeasurable, like, reference, to_vector
from .report import print_row, print_summary, write_results
from .tables import CASES

HERE = Path(__file__).resolve().parent
TIME_LIMIT = 20  # seconds, for one case and one tool
DEFAULT_TOOLS = "chainrule,autograd,autograd+import,jax,jax+import"


class OutOfTime(BaseException):
    """Not an Exception, so that no `except Exception` in a package swallows it."""


@contextlib.contextmanager
def guard():
    """Raises OutOfTime inside after the time limit; keeps what a package prints to itself."""
    def stop(signum, frame):
        raise OutOfTime(f"no answer in {TIME_LIMIT} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(TIME_LIMIT)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        signal.alarm(0)


def measure(case):
    """Returns the reference of a case, or the reason that there is none."""
    try:
        with guard():
            return reference(case.function(), case.point())
    except NotMeasurable as reason:
        return str(reason)
    except (Exception, OutOfTime) as error:
        return f"the function itself fails: {type(error).__name__}: {_one_line(error)}"


def judge(case, tool_name, tool, truth) -> dict:
    """Returns the verdicts of one tool on one case: {"forward": ..., "reverse": ...}."""
    return {mode: _guarded(check, case, tool_name, tool, truth)
            for mode, check in (("forward", _forward), ("reverse", _reverse))}


def _guarded(check, case, tool_name, tool, truth):
    swap = contextlib.nullcontext()
    try:
        if tool_name.endswith("+import"):
            swap = numpy_replaced(case.target(), tool.numpy)
        with guard(), swap:
            return check(case, tool, truth)
    except (Exception, OutOfTime) as error:
        own = type(error).__module__.partition(".")[0] == tool.module
        return {"verdict": "refused" if own else "crashed", "error": type(error).__name__,
                "message": _one_line(error), "where": _where(error, case)}


def _forward(case, tool, truth):
    function = case.function()
    for v, expected, error in zip(truth.directions, truth.derivatives, truth.errors, strict=True):
        point = case.point()  # anew, since some functions write into it
        value, tangent = tool.forward(function, point, like(v, point))
        if not _close(to_vector(value), truth.value, _slack(truth.value, 0.0)):
            return _wrong("the value differs", to_vector(value), truth.value)
        if not _close(to_vector(tangent), expected, _slack(expected, error)):
            return _wrong("the derivative differs", to_vector(tangent), expected)
    return {"verdict": "right"}


def _reverse(case, tool, truth):
    function, point = case.function(), case.point()
    value, pullback = tool.reverse(function, point)
    if not _close(to_vector(value), truth.value, _slack(truth.value, 0.0)):
        return _wrong("the value differs", to_vector(value), truth.value)
    weights = np.random.default_rng(1).uniform(0.5, 1.5, truth.value.size)
    cotangent = weights.astype(to_vector(value).dtype).reshape(np.shape(value))
    pulled = pullback(cotangent if cotangent.shape else cotangent[()])
    if isinstance(pulled, tuple) and len(pulled) == 1 and not isinstance(point, tuple):
        pulled = pulled[0]
    pulled = to_vector(pulled)
    if pulled.size != truth.directions[0].size:
        return _wrong("the derivative's size differs", pulled, truth.directions[0])
    for v, expected, error in zip(truth.directions, truth.derivatives, truth.errors, strict=True):
        # The weights are real, so the pullback of a complex result pairs with its real part.
        wanted = np.sum(weights * expected.real)
        slack = np.sum(weights * _slack(expected, error))
        if not _close(np.sum(pulled * v), wanted, slack):
            return _wrong("the derivative differs", np.sum(pulled * v), wanted)
    return {"verdict": "right"}


def _slack(expected, error):
    size = np.abs(expected)
    return 10 * error + 1e-8 * size + 1e-11 * np.max(size, initial=0.0)


def _close(found, expected, slack):
    return np.shape(found) == np.shape(expected) and bool(np.all(np.abs(found - expected) <= slack))


def _wrong(what, found, expected):
    found, expected = np.atleast_1d(found), np.atleast_1d(expected)
    if found.shape != expected.shape:
        message = f"{what}: {found.size} numbers came, {expected.size} were due"
    else:
        i = int(np.argmax(np.nan_to_num(np.abs(found - expected), nan=np.inf)))
        message = f"{what}: {found[i]:.10g} came, {expected[i]:.10g} was due"
    return {"verdict": "wrong", "message": message}


def _one_line(error):
    """The first line of the message, without the folders of this machine."""
    lines = [line for line in str(error).splitlines() if re.search(r"\w", line)]
    first = lines[0].strip() if lines else ""
    return re.sub(r"/\S*/(site-packages|lib/python3\.\d+|corpus|src)/", "", first)[:160]


def _where(error, case):
    """The last line of the case's own package on the way to the error."""
    top = case.path.partition(".")[0]
    places = [(frame.filename.partition("site-packages/")[2], frame.lineno)
              for frame in traceback.extract_tb(error.__traceback__)]
    mine = [place for place in places if place[0].startswith((f"{top}/", f"{top}.py"))]
    return "{}:{}".format(*mine[-1]) if mine else ""


def arguments():
    """Returns the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="run the cases whose title contains this")
    parser.add_argument("--tools", default=DEFAULT_TOOLS, help=f"of {', '.join(PEERS)}, or none")
    parser.add_argument("--output", type=Path, default=None,
                        help="folder for results.json and results.md (default: this one, if all "
                             "cases run with all default tools that are installed)")
    return parser.parse_args()


def main():
    """Runs the chosen cases, prints a row each, then the summary, and writes the results."""
    options = arguments()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    tools = available([name for name in options.tools.split(",") if name in PEERS])
    rows = []
    for case in [case for case in CASES if options.only in case.title]:
        truth = measure(case)
        row = {"case": case.title, "package": case.package}
        if isinstance(truth, str):
            row |= {"reference": "not measurable", "reason": truth, "tools": {}}
        else:
            judged = {name: judge(case, name, tool, truth) for name, tool in tools.items()}
            row |= {"reference": truth.method, "tools": judged}
        rows.append(row)
        print_row(row)
    print_summary(rows)
    output = options.output or (None if options.only or options.tools == "none" else HERE)
    if output:
        write_results(rows, output)


if __name__ == "__main__":
    main()
