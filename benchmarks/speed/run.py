"""chainrule beside its peers: `./bench` from the root, or `python -m benchmarks.speed.run`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.speed import machine, peers, report
from benchmarks.speed.figures import Row
from benchmarks.speed.measure import QUICK, Measurement, Plan
from benchmarks.speed.workloads import WORKLOADS


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./bench", description=__doc__)
    add = parser.add_argument
    add("--only", default="", metavar="NAMES", help="only these workloads, separated by commas")
    add("--row", default="", metavar="TEXT", help="only rows that have this text in their title")
    add("--random", type=int, default=0, metavar="N", help="N more rows, of shapes drawn at random")
    add("--seed", type=int, default=None, help="of the shapes (it is printed)")
    add("--threads", default="1,2", metavar="COUNTS", help="separated by commas; default 1,2")
    add("--quick", action="store_true", help="few and short measurements")
    add("--list", action="store_true", help="print the workloads and their rows")
    add("--output", type=Path, default=report.RESULTS, metavar="FOLDER", help="for speed.*")
    return parser.parse_args()


def chosen_rows(given: argparse.Namespace) -> list[tuple]:
    """(workload, title, sizes) of all rows asked for, the random ones last."""
    names = given.only.split(",") if given.only else list(WORKLOADS)
    unknown = set(names) - set(WORKLOADS)
    if unknown:
        sys.exit(f"no workload {', '.join(sorted(unknown))}: there are {', '.join(WORKLOADS)}")
    chosen = [WORKLOADS[name] for name in names]
    rows = [
        (w, title, sizes) for w in chosen for title, sizes in w.cases.items() if given.row in title
    ]
    return rows + drawn(chosen, given.random, given.seed)


def drawn(workloads: list, count: int, seed: int | None) -> list[tuple]:
    """Rows at random: every workload that can, in a random order, as often as needed."""
    able = [w for w in workloads if w.draw]
    if not count or not able:
        return []
    seed = int.from_bytes(os.urandom(4), "little") if seed is None else seed
    print(f"random rows: --seed {seed}", file=sys.stderr)
    rng = np.random.default_rng(seed)
    order = [able[i] for i in rng.permutation(len(able))]
    found = []
    for i in range(count):
        workload = order[i % len(order)]
        sizes = workload.draw(rng)
        found.append((workload, "random: " + workload.title(sizes), sizes))
    return found


def main() -> None:
    given = options()
    rows = chosen_rows(given)
    if given.list:
        for workload, title, _ in rows:
            print(f"{workload.name:20} {title}")
        return
    for name in peers.PACKAGES:
        if not peers.installed(name):
            print(f"{name} is not installed, and left out", file=sys.stderr)
    counts = [int(n) for n in given.threads.split(",")]
    limits: dict[int, dict] = {n: {} for n in counts}
    plan = QUICK if given.quick else Plan()
    command, found = " ".join(["./bench", *sys.argv[1:]]), []
    for number, (workload, title, sizes) in enumerate(rows, 1):
        if number == 1 or rows[number - 2][0] is not workload:
            _measure_machine(limits)
        for threads in counts:
            label = f"[{number}/{len(rows)}] {title}, {threads} thread(s)"
            start = time.perf_counter()
            results = Measurement(workload, sizes, threads, plan).run(
                lambda text, label=label: _show(f"{label}: {text}")
            )
            found.append(Row(title, workload, sizes, threads, results, limits[threads]))
            _show("")
            print(
                f"{label}: {_verdict(found[-1])} ({time.perf_counter() - start:.0f} s)", flush=True
            )
            report.write(found, machine.describe(), limits, command, given.output)


def _measure_machine(limits: dict[int, dict]) -> None:
    """Take what the machine reaches now for its limits, where that is more than was seen before."""
    for threads, known in limits.items():
        known.update(machine.larger(known, machine.measured(threads)))


def _show(text: str) -> None:
    """A line that the next one replaces, where somebody is looking."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _verdict(row: Row) -> str:
    times = ", ".join(
        f"{name} {result.time * 1e6:.4g}" if result.bursts else f"{name} failed"
        for name, result in row.results.items()
    )
    return f"ratio {row.ratio or float('nan'):.2f}; us: {times}"


if __name__ == "__main__":
    main()
