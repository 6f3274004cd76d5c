"""Does the babysitter save runs that something is wrong with, and leave the others alone?

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.training.faults [SEED] [--write]

trains, for each of ten faults, on each of five data sets, a network with the fault and the
babysitter, and one without either; the fault is survived where the test score is at most one point
below. Then fifty healthy runs of as many kinds, in which each action is a false alarm. With
--write the tables go to benchmarks/results/babysitting.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.training.well_set import CASES, Case, fitted, halves, network, score
from chainrule import nn

POINTS = 1.0  # below the well-set run, at most
SHARE = 0.01  # of the rows that are spoilt
MARK = 1.0001  # the weight of a row whose gradient is spoilt
RESULTS = Path(__file__).parents[1] / "results" / "babysitting.md"


@cr.custom_derivative
def _spoilt(outputs, factors):
    """The outputs; the gradients that come back through them are multiplied by the factors."""
    return outputs * 1.0 + 0.0 * factors


@_spoilt.reverse
def _rule(primals, output, cotangent):
    return cotangent * primals[1], None


def _gradient_fault(factor: float) -> Callable:
    """A loss like the given one, whose gradient is spoilt in the rows with a weight of MARK."""

    def wrapped(name: str) -> Callable:
        plain = nn.losses.LOSSES[name]

        def loss(outputs, targets, *, sample_weights=None, reduce="mean"):
            if name == "squared":  # one output
                targets = targets.reshape(outputs.shape)
            if sample_weights is None:
                return plain(outputs, targets, reduce=reduce)
            bad = (sample_weights > 1)[:, None]
            factors = np.where(bad, np.float32(factor), np.float32(1)) + 0.0 * outputs
            return plain(_spoilt(outputs, factors), targets, reduce=reduce)

        loss.__name__ = name  # it takes the same targets
        return loss

    return wrapped


class Run:
    """One training with a fault: what `fitted` is called with, and what the fault changes."""

    def __init__(self, case: Case, seed: int):
        self.case, self.seed = case, seed
        self.rng = np.random.default_rng([seed, 1])
        self.optimizer = ("adam", "heavyball")[seed % 2]
        self.train, self.test = halves(case, seed)
        self.train = self.train[0].copy(), self.train[1].copy()
        self.model = network(case, self.train, seed)
        self.options: dict[str, Any] = {"optimizer": self.optimizer}

    def rows(self, count: int | None = None) -> np.ndarray:
        """Some rows of the training data."""
        total = len(self.train[0])
        return self.rng.choice(total, count or max(3, int(SHARE * total)), replace=False)

    def at_epoch(self, spoil: Callable[[Any], None]) -> None:
        """Something that happens once, after an epoch in the first half."""
        when, done = int(self.rng.integers(1, self.case.epochs // 2)), []

        def callback(event):
            if event.kind == "epoch" and event.epoch == when and not done:
                done.append(True)
                spoil(event)

        self.options["callbacks"] = callback

    def finish(self) -> tuple[float, list[dict]]:
        """The test score, and the decisions."""
        history = fitted(self.case, self.model, self.train, self.seed, **self.options)
        return score(self.case, self.model, self.test), history.decisions


def _step_size(factor: float) -> Callable[[Run], None]:
    def spoil(run: Run) -> None:
        run.options["step_size"] = factor * run.case.step_sizes[run.optimizer]

    return spoil


def _spikes_in_data(run: Run) -> None:
    rows = run.rows()
    run.train[0][rows] *= (10.0 ** run.rng.uniform(2, 6, (len(rows), 1))).astype(np.float32)


def _nan_in_data(run: Run) -> None:
    """After the check: as where a file on disk is overwritten during the training."""
    rows, x = run.rows(), run.train[0]
    columns = run.rng.integers(0, x.shape[1], len(rows))

    def spoil(event) -> None:
        x[rows, columns] = np.nan

    run.at_epoch(spoil)


def _nan_in_weights(run: Run) -> None:
    def spoil(event) -> None:
        arrays = event.model.parameters()
        array = arrays[int(run.rng.integers(len(arrays)))]
        array.flat[int(run.rng.integers(array.size))] = np.nan

    run.at_epoch(spoil)


def _gradients(factor: float) -> Callable[[Run], None]:
    def spoil(run: Run) -> None:
        x, y = run.train
        weights = np.ones(len(x), np.float32)
        weights[run.rows(2)] = MARK
        run.train = (x, y, weights)
        run.options["loss"] = _LOSSES[factor](run.case.loss)

    return spoil


_LOSSES = {factor: _gradient_fault(factor) for factor in (1e4, np.nan)}


def _weights(init: Any) -> Callable[[Run], None]:
    def spoil(run: Run) -> None:
        run.model = network(run.case, run.train, run.seed, init=init)

    return spoil


def _huge(rng, shape, inputs, outputs):
    return 100 * nn.init.he(rng, shape, inputs, outputs)


FAULTS: dict[str, Callable[[Run], None]] = {
    "step size x 10": _step_size(10.0), "step size x 100": _step_size(100.0),
    "spikes in the data": _spikes_in_data, "nan in the data": _nan_in_data,
    "nan in the weights": _nan_in_weights, "nan in gradients": _gradients(np.nan),
    "spikes in gradients": _gradients(1e4), "initial weights 0": _weights("zeros"),
    "initial weights x 100": _weights(_huge), "initial weights 1e-5": _weights("small"),
}  # fmt: skip

HEALTHY: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no validation": {"validation": None, "early_stopping": None},
    "large batches": {"batch_size": 64},
    "cosine": {"schedule": "cosine"},
    "tanh": {"activation": "tanh", "init": "glorot"},
    "batch norm": {"batch_norm": True},
    "dropout": {"dropout": 0.3},
    "rmsprop": {"optimizer": "rmsprop", "step_size": 1e-3},
    "sgd": {"optimizer": "sgd", "step_size": 0.05},
    "nesterov, weight decay": {"optimizer": "nesterov", "step_size": 5e-3},
}
NETWORK = ("activation", "init", "batch_norm", "dropout")


def faulty(case: Case, fault: str, seed: int) -> tuple[float, float, list[dict]]:
    """Scores of the well-set run and of the one with the fault, and the decisions in it."""
    well, bad = Run(case, seed), Run(case, seed)
    well.options["babysitter"] = "off"
    FAULTS[fault](bad)
    with np.errstate(all="ignore"):
        return well.finish()[0], *bad.finish()


def healthy(case: Case, kind: str, seed: int) -> tuple[float, list[dict]]:
    """The score of a healthy run, and what was done in it."""
    run, options = Run(case, seed), dict(HEALTHY[kind])
    inside = {key: options.pop(key) for key in NETWORK if key in options}
    run.model = network(case, run.train, seed, **inside)
    run.options.update(options)
    found, decisions = run.finish()
    return found, [d for d in decisions if d["action"] != "continue"]


def in_short(decisions: list[dict]) -> str:
    """Actions and the rules behind them, each counted: "2 skip (spike)"."""
    counts: dict[str, int] = {}
    for d in decisions:
        if d["action"] != "continue":
            name = f"{d['action']} ({d['rule']})"
            counts[name] = counts.get(name, 0) + 1
    return ", ".join(name if n == 1 else f"{n} {name}" for name, n in counts.items()) or "nothing"


def fault_table(seed: int) -> tuple[list[str], int]:
    """Lines of the table, and how many of the fifty were survived."""
    lines, survived = [], 0
    for i, fault in enumerate(FAULTS):
        for j, case in enumerate(CASES):
            well, bad, decisions = faulty(case, fault, seed + len(CASES) * i + j)
            fine = bad >= well - POINTS
            survived += fine
            lines.append(f"| {fault} | {case.name} | {well:.1f} | {bad:.1f} | "
                         f"{'yes' if fine else '**no**'} | {in_short(decisions)} |")  # fmt: skip
            print(lines[-1], flush=True)
    return lines, survived


def healthy_table(seed: int) -> tuple[list[str], int]:
    """Lines of the table, and how many of the fifty were left alone."""
    lines, alone = [], 0
    for i, kind in enumerate(HEALTHY):
        for j, case in enumerate(CASES):
            found, decisions = healthy(case, kind, seed + len(CASES) * i + j)
            alone += not decisions
            lines.append(f"| {kind} | {case.name} | {found:.1f} | {in_short(decisions)} |")
            print(lines[-1], flush=True)
    return lines, alone


def as_text(seed: int, faults: list[str], survived: int, runs: list[str], alone: int) -> str:
    """The page of results."""
    return "\n".join([
        "# Faults survived, and healthy runs left alone", "",
        f"`python -m benchmarks.training.faults {seed} --write`. The rules were found on other "
        "seeds.", "",
        f"**Faults: {survived} of {len(faults)}** end within {POINTS:g} point (of accuracy, or of "
        "100 R^2) of the run without the fault and without the babysitter.", "",
        f"**Healthy runs: {alone} of {len(runs)}** are left alone: nothing was done in them.", "",
        "| fault | data | well-set | with the fault | within a point | what was done |",
        "|---|---|---|---|---|---|", *faults, "",
        "| healthy run | data | score | what was done |", "|---|---|---|---|", *runs, "",
    ])  # fmt: skip


def main(arguments: list[str]) -> None:
    """Runs all, prints the tables, and writes them where asked."""
    numbers = [int(a) for a in arguments if a.isdigit()]
    seed = numbers[0] if numbers else 8000
    faults, survived = fault_table(seed)
    runs, alone = healthy_table(seed + 500)
    print(f"{survived} of {len(faults)} faults survived, {alone} of {len(runs)} left alone")
    if "--write" in arguments:
        RESULTS.write_text(as_text(seed, faults, survived, runs, alone))


if __name__ == "__main__":
    main(sys.argv[1:])
