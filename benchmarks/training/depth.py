"""A hundred layers: with skip connections as good as ten, without them the gradients vanish.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.training.depth [SEEDS] [--write]

trains, on the digits, residual networks of 10 and of 100 layers of weights (pre-activation blocks),
one of 100 whose blocks have no batch norm, and networks of 100 layers without skips: with the
course's initial weights, randn / sqrt(2 n), with He's, and with batch norm. All have the same width
and options and the babysitter, which gives advice only. With --write the table goes to
benchmarks/results/depth.md.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.training.well_set import CASES, fitted, halves, score
from chainrule import nn

WIDTH, EPOCHS = 32, 20
DIGITS = CASES[0]
RESULTS = Path(__file__).parents[1] / "results" / "depth.md"


def networks(inputs: int, outputs: int, seed: int) -> dict[str, nn.Module]:
    """The networks, by what they are."""

    def residual(depth: int, form: str) -> nn.Module:
        return nn.ResidualMLP(inputs, WIDTH, depth, outputs, form=form, rng=seed)

    def plain(init: str, batch_norm: bool) -> nn.Module:
        hidden = (WIDTH,) * 99
        return nn.MLP(inputs, hidden, outputs, init=init, batch_norm=batch_norm, rng=seed)

    return {
        "10 layers, skips": residual(10, "pre_activation"),
        "100 layers, skips": residual(100, "pre_activation"),
        "100 layers, skips, no batch norm": residual(100, "plain"),
        "100 layers, no skips": plain("slide", False),
        "100 layers, no skips, He's weights": plain("he", False),
        "100 layers, no skips, batch norm": plain("he", True),
    }


def trained(model: nn.Module, pairs: Any, seed: int) -> tuple[float, list[str], float]:
    """The test accuracy in per cent, what the babysitter said, and the seconds."""
    began = time.perf_counter()
    history = fitted(DIGITS, model, pairs[0], seed, epochs=EPOCHS, babysitter="advise")
    said = [d["reason"] for d in history.decisions]
    return score(DIGITS, model, pairs[1]), said, time.perf_counter() - began


def main(arguments: list[str]) -> None:
    """Trains all, prints the table, and writes it where asked."""
    numbers = [int(a) for a in arguments if a.isdigit()]
    seeds = numbers[0] if numbers else 2
    lines, spoken = [], {}
    for seed in range(seeds):
        pairs = halves(DIGITS, seed)
        inputs, outputs = pairs[0][0].shape[1], int(pairs[0][1].max()) + 1
        for name, model in networks(inputs, outputs, seed).items():
            accuracy, said, seconds = trained(model, pairs, seed)
            spoken.setdefault(name, said)
            vanish = any("gradients" in r and "vanish" in r for r in said)
            lines.append(f"| {name} | {seed} | {accuracy:.1f} % | {'yes' if vanish else 'no'} | "
                         f"{seconds:.0f} s |")  # fmt: skip
            print(lines[-1], flush=True)
    text = "\n".join([
        "# Depth", "", f"`python -m benchmarks.training.depth {seeds} --write`: the digits, half "
        f"of them for the test; width {WIDTH}, ReLU, Adam, {EPOCHS} epochs, the weights with the "
        "least validation loss.", "",
        "| network | seed | test accuracy | says that gradients vanish | time |",
        "|---|---|---|---|---|", *lines, "", "What the babysitter said, seed 0:", "",
        *(f"- {name}: {' '.join(said) or 'nothing'}" for name, said in spoken.items()), "",
    ])  # fmt: skip
    if "--write" in arguments:
        RESULTS.write_text(text)
    print("\n".join(f"{name}: {said}" for name, said in spoken.items()))


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        main(sys.argv[1:])
