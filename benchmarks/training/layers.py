"""Every layer, activation, loss and optimizer beside PyTorch's, on random configurations.

    python -m benchmarks.training.layers [NAME ...] [--configurations 20] [--interpreted]

Run from the root, in an environment that has chainrule and torch. Compares values, gradients by
inputs and parameters, and running statistics, in float32 and float64, computed by the evaluator
and by compiled code; prints what is too far apart, and a table. Rows go to
`benchmarks/results/layers.json`, those of the NAMEs alone where some are given, and the table of
all rows to `layers.md`. `--interpreted` leaves the compiled code out (its rows stay as they were).
The exit code is 1 where a bound is missed.

A difference is the largest |a - b| over an array, divided by the larger of 1 and the largest |b|.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch

from benchmarks.training.against_torch import BOUNDS, differences
from benchmarks.training.composite_pairs import BLOCKS
from benchmarks.training.function_pairs import ACTIVATIONS, LOSSES
from benchmarks.training.layer_pairs import LAYERS
from benchmarks.training.optimizer_pairs import OPTIMIZERS, STEPS, trajectory

ROOT = Path(__file__).parents[2]

RESULTS = ROOT / "benchmarks" / "results"
KINDS = {
    "layer": LAYERS,
    "block": BLOCKS,
    "activation": ACTIVATIONS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
}
WAYS = {"f": "float32", "d": "float64"}


def found(kind: str, name: str, dtype: str, number: int, compiled: bool) -> tuple[str, dict]:
    """The configuration in words, and the differences of each thing compared."""
    rng = np.random.default_rng([number, zlib.crc32(name.encode())])
    if kind == "optimizer":
        return trajectory(KINDS[kind][name], rng, dtype, compiled)
    pair = KINDS[kind][name](rng, dtype)
    return pair.text, differences(pair, rng, compiled)


def row(kind: str, name: str, count: int, ways: tuple[bool, ...]) -> dict:
    """Worst differences of one row by dtype and way of computing, and the bounds missed."""
    made: dict = {"kind": kind, "missed": [], "things": []}
    for compiled in ways:
        for dtype, long in WAYS.items():
            worst = 0.0
            for number in range(count):
                text, parts = found(kind, name, dtype, number, compiled)
                largest = max(parts.values())
                worst = max(worst, largest) if largest == largest else float("nan")
                made["things"] = sorted({*made["things"], *parts})
                if not largest <= BOUNDS[dtype]:
                    made["missed"].append(f"{long} {name} {text}: {parts}")
            made[f"{long}{', compiled' if compiled else ''}"] = [worst, count]
    return made


def table(rows: dict) -> str:
    """The rows as Markdown."""
    columns = ["float32", "float64", "float32, compiled", "float64, compiled"]
    lines = [
        "# Layers beside PyTorch's",
        "",
        "Written by `python -m benchmarks.training.layers`, which says how. Each entry is the",
        "largest difference over that many random configurations, of values, of gradients by",
        "inputs and parameters, of running statistics, and for optimizers of parameters and losses",
        f"along {STEPS} steps. Bounds: {BOUNDS['f']:g} in float32, {BOUNDS['d']:g} in float64.",
        "",
        f"numpy {np.__version__}, torch {torch.__version__}.",
        "",
        f"| | | {' | '.join(columns)} | configurations | missed |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, made in rows.items():
        cells = [f"{made[c][0]:.1e}" if c in made else "" for c in columns]
        counts = max(made[c][1] for c in columns if c in made)
        lines.append(
            f"| {made['kind']} | {name} | {' | '.join(cells)} | {counts} | {len(made['missed'])} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="rows to compute: all by default")
    parser.add_argument("--configurations", type=int, default=20)
    parser.add_argument("--interpreted", action="store_true")
    options = parser.parse_args()
    known = {name: kind for kind, pairs in KINDS.items() for name in pairs}
    unknown = set(options.names) - set(known)
    if unknown:
        parser.error(f"no rows are called {', '.join(unknown)}; there are: {', '.join(known)}")
    warnings.filterwarnings("ignore", "Using padding='same' with even kernel")  # PyTorch copies
    torch.set_num_threads(1)
    path = RESULTS / "layers.json"
    rows = json.loads(path.read_text()) if path.exists() else {}
    for name in options.names or known:
        ways = (False,) if options.interpreted else (False, True)
        made = row(known[name], name, options.configurations, ways)
        rows[name] = made if len(ways) == 2 else {**rows.get(name, {}), **made}
        print(*made["missed"], sep="\n", end="\n" if made["missed"] else "")
        shown = {k: f"{v[0]:.1e}" for k, v in made.items() if k[:5] == "float"}
        print(f"{name}: {shown}", flush=True)
        rows = {n: rows[n] for n in known if n in rows}
        path.write_text(json.dumps(rows, indent=1) + "\n")
        (RESULTS / "layers.md").write_text(table(rows))
    return int(any(rows[name]["missed"] for name in options.names or known))


if __name__ == "__main__":
    sys.exit(main())
