"""Accuracy on the programs of FPBench and Herbie.

    python -m benchmarks.fpbench.run FOLDER... [--points 256] [--only WORD] [--every 1] [--list 40]
        [--certified N]

A folder holds `.fpcore` files, such as `benchmarks/` of a clone of FPBench/FPBench or `bench/` of
one of herbie-fp/herbie. `--clone FOLDER` clones the two there first. The truth is computed once for
each program (with python-flint) and kept under `--cache`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.fpbench.points import points_of
from benchmarks.fpbench.python_code import Unsupported, translated
from benchmarks.fpbench.read import Core, cores_under
from benchmarks.fpbench.score import Score, proven, scored
from chainrule import backends

WITHIN = 5.0  # bits
LARGEST = 1000  # nodes; three pictures, drawn by thousands, are left out
_CLONES = {"FPBench/FPBench": "benchmarks", "herbie-fp/herbie": "bench"}


def main(arguments: list[str] | None = None) -> None:
    chosen = _options(arguments)
    if not chosen.native:
        backends.chosen = "evaluator"  # the same programs, without LLVM's time
    folders = [Path(f) for f in chosen.folders]
    if chosen.clone:
        folders += _cloned(Path(chosen.clone))
    cores, left_out = [], Counter()
    for core in _distinct(folders):
        if chosen.only.lower() in core.label.lower():
            cores.append(core)
    cores = cores[:: chosen.every]
    scores = []
    options = {} if chosen.stabilize else {"stabilize": False}
    for core in cores:
        try:
            program = translated(core)
        except (Unsupported, ValueError, TypeError, SyntaxError) as error:
            left_out[str(error)] += 1
            continue
        if not core.arguments or core.size > LARGEST:
            left_out["no arguments" if not core.arguments else "too large"] += 1
            continue
        if not program.takes_arrays and chosen.points > 32:
            points = points_of(core, 32, Path(chosen.cache))
        else:
            points = points_of(core, chosen.points, Path(chosen.cache))
        if points is None:
            left_out["too few points"] += 1
            continue
        if chosen.truth_only:
            continue
        if chosen.certified:
            scores.append(proven(core.label, program, points, chosen.certified))
        else:
            scores.append(scored(core.label, program, points, options))
        if chosen.write:  # as far as it has come
            Path(chosen.write).write_text(json.dumps([vars(s) for s in scores], indent=1))
        if chosen.text:
            print(program.text)
    if scores:
        print(report(scores, chosen.list))
    print("left out:", dict(left_out))


def _options(arguments) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.fpbench.run")
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--clone", default="")
    parser.add_argument("--points", type=int, default=256)
    parser.add_argument("--only", default="")
    parser.add_argument("--every", type=int, default=1, help="only each n-th program")
    parser.add_argument("--list", type=int, default=40)
    parser.add_argument("--write", default="")
    parser.add_argument("--text", action="store_true")
    parser.add_argument("--truth-only", action="store_true")
    parser.add_argument("--native", action="store_true", help="values from native code")
    parser.add_argument("--no-stabilize", dest="stabilize", action="store_false")
    parser.add_argument(
        "--certified", type=int, default=0, metavar="N",
        help="what cr.certified proves at the first N points, in place of what is computed",
    )  # fmt: skip
    parser.add_argument("--cache", default=str(Path(tempfile.gettempdir()) / "fpbench-truth"))
    return parser.parse_args(arguments)


def _cloned(folder: Path) -> list[Path]:
    for name in _CLONES:
        target = folder / name.replace("/", "+")
        if not target.exists():
            url = f"https://github.com/{name}"
            subprocess.run(["git", "clone", "--depth=1", url, str(target)], check=True)
    return [folder / name.replace("/", "+") / inside for name, inside in _CLONES.items()]


def _distinct(folders: list[Path]) -> list[Core]:
    """The programs of all folders; of equal ones the first."""
    found: dict[str, Core] = {}
    for folder in folders:
        for core in cores_under(folder):
            found.setdefault(json.dumps([core.arguments, core.pre, core.body]), core)
    return list(found.values())


def report(scores: list[Score], worst: int) -> str:
    """The table: totals, and the programs whose derivative is worst."""
    n = len(scores)
    value = sum(s.value for s in scores) / n
    slope = sum(s.derivative for s in scores) / n
    good_value = sum(s.value <= WITHIN for s in scores)
    good = sum(s.derivative <= WITHIN for s in scores)
    lines = [
        f"{n} programs: {value:.2f} bits of error in the value, {slope:.2f} in the derivative",
        f"within {WITHIN:g} bits: value {good_value}, derivative {good}; "
        f"to the last bit: {sum(s.value == s.derivative == 0.0 for s in scores)}",
        "",
        "value  derivative  program",
    ]
    for s in sorted(scores, key=lambda s: -s.derivative - s.value)[:worst]:
        lines.append(f"{s.value:5.1f}  {s.derivative:10.1f}  {s.label}  {s.failure}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
