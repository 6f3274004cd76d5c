"""Compile times alone: the first call less a later one, ours beside JAX's, a table to read.

    python -m benchmarks.speed.compile_times --only tiny,reductions --rounds 5

Each figure is of a fresh process, as in measure.py: ours with an empty cache folder (cold), ours
with what that left there (warm), and JAX. They take turns, and the least of the rounds counts: a
busy machine only adds. Wall times are milliseconds; beside them stands the processor time of all of
a process's threads, which a busy machine changes less. The last columns are the figures to reach:
cold at most half of JAX's, warm at most a tenth.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from statistics import median

from benchmarks.speed import peers
from benchmarks.speed.measure import Process
from benchmarks.speed.run import chosen_rows

COLD, WARM = 0.5, 0.1  # the most that each may take, in JAX's time


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", default="", metavar="NAMES", help="only these workloads, separated by commas")
    add("--row", default="", metavar="TEXT", help="only rows that have this text in their title")
    add("--rounds", type=int, default=3, metavar="N")
    add("--threads", type=int, default=1, metavar="N")
    add("--ours", action="store_true", help="leave JAX out")
    parser.set_defaults(random=0, seed=None)
    return parser.parse_args()


def compile_seconds(row: tuple, contender: str, threads: int, cache: str) -> tuple[float, float]:
    """(wall, processor) seconds of a first call less a later one's, in a new process."""
    workload, _, sizes = row
    process = Process(contender, threads, cache)
    try:
        request = {"do": "build", "workload": workload.name, "sizes": sizes}
        built = process.ask(**request, contender=contender, values="")
        burst = process.ask(do="burst", seconds=0.02)
    finally:
        process.close()
    if "error" in built:
        sys.exit(f"{contender}: {built['error']}")
    later = median(burst["times"]) * built["steps"]
    return built["first"] - later, built["processor"] - later


def pairs(row: tuple) -> list[tuple[str, str]]:
    """(ours, JAX's) contenders of the same form."""
    workload, _, sizes = row
    names = [n for n in workload.contenders if not workload.leave_out(n, sizes)]
    return [
        (name, "jax" + name.removeprefix("chainrule")) for name in names
        if name.startswith("chainrule") and "jax" + name.removeprefix("chainrule") in names
    ]  # fmt: skip


def measured(row: tuple, ours: str, peer: str | None, given: argparse.Namespace) -> list:
    """The least of each figure: (wall, processor) of ours cold, ours warm, and the peer."""
    found: list[list[tuple]] = [[], [], []]
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as cache:
            for times in found[:2]:
                times.append(compile_seconds(row, ours, given.threads, cache))
            if peer:
                found[2].append(compile_seconds(row, peer, given.threads, cache))
    return [tuple(map(min, zip(*times, strict=True))) for times in found if times]


def main() -> None:
    given = options()
    print(f"{'row':70} {'cold':>13} {'warm':>13} {'JAX':>13}  cold/JAX warm/JAX")
    for row in chosen_rows(given):
        for ours, peer in pairs(row):
            shown = peer if peers.installed(peer) and not given.ours else None
            times = measured(row, ours, shown, given)
            title = f"{row[1]} ({ours})"
            cells = "".join(f" {wall * 1e3:6.1f} {cpu * 1e3:6.1f}" for wall, cpu in times)
            verdict = ""
            if shown:
                (cold, _), (warm, _), (theirs, _) = times
                verdict = f"  {cold / theirs:8.2f} {warm / theirs:8.3f}"
                missed = [("cold", cold / theirs > COLD), ("warm", warm / theirs > WARM)]
                verdict += "  MISSED " * any(m for _, m in missed)
                verdict += " ".join(name for name, miss in missed if miss)
            print(f"{title:70}{cells}{verdict}", flush=True)


if __name__ == "__main__":
    main()
