"""What pretraining is worth on digits: a network of four sigmoid layers from several starts.

    python -m benchmarks.training.pretraining [--seeds 5]

Trains 64-64-64-64-64-10 by Adam (step size 0.001, minibatches of 32) from random weights
(Glorot's), from LSUV's, from a stack of denoising autoencoders and from a deep belief network (20
epochs a layer each), and one of ReLUs from He's weights beside them. Prints, and writes to
`benchmarks/results/pretraining.md`, the training loss and the accuracy on 397 digits that no step
saw, after some epochs: mean and deviation over the seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from chainrule import nn, train

ROOT = Path(__file__).parents[2]

HIDDEN, EPOCHS, UNSEEN = (64, 64, 64, 64), (5, 10, 40), 397


def network(seed: int, activation: str = "sigmoid", init: str = "glorot") -> nn.MLP:
    return nn.MLP(64, HIDDEN, 10, activation=activation, init=init, rng=seed)


def scaled(seed: int, x) -> nn.MLP:
    model = network(seed)
    nn.lsuv(model, x[:256], rng=seed)
    return model


def denoising(seed: int, x) -> nn.MLP:
    model = network(seed)
    train.pretrain(model, x, visible="sigmoid", epochs=20, step_size=3e-3, seed=seed)
    return model


def belief(seed: int, x) -> nn.MLP:
    machines = nn.DeepBelief(64, HIDDEN, rng=seed)
    train.fit_deep_belief(machines, x, epochs=20, step_size=0.05, seed=seed)
    return machines.network(10, rng=seed)


STARTS = {
    "random (Glorot)": lambda seed, x: network(seed),
    "LSUV": scaled,
    "denoising autoencoders": denoising,
    "deep belief network": belief,
    "ReLUs, random (He)": lambda seed, x: network(seed, "relu", "he"),
}


def figures(start, seed: int, x, y) -> list[tuple[float, float]]:
    """(training loss, accuracy on the unseen) after each of EPOCHS."""
    order = np.random.default_rng(seed).permutation(len(x))
    seen, unseen = order[UNSEEN:], order[:UNSEEN]
    model, found, done = start(seed, x[seen]), [], 0
    for goal in EPOCHS:  # each stretch with a new optimizer, and an order of its own
        train.fit(
            model, (x[seen], y[seen]), loss="softmax_cross_entropy", epochs=goal - done,
            step_size=1e-3, babysitter="off", progress="none", seed=100 * seed + goal,
        )  # fmt: skip
        done = goal
        loss = nn.losses.softmax_cross_entropy(model(x[seen]), y[seen])
        right = model(x[unseen]).argmax(axis=1) == y[unseen]
        found.append((float(loss), float(right.mean())))
    return found


def table(rows: dict[str, np.ndarray], seeds: int) -> str:
    """Markdown of {start: (seeds, len(EPOCHS), 2)}."""
    heads = [f"loss, {e} epochs" for e in EPOCHS] + [f"accuracy, {e}" for e in EPOCHS]
    lines = ["# Pretraining on digits", "",
             f"Written by `python -m benchmarks.training.pretraining`; {seeds} seeds.", "",
             f"| start | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]  # fmt: skip
    for name, found in rows.items():
        mean, spread = found.mean(axis=0), found.std(axis=0)
        losses = [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean[:, 0], spread[:, 0], strict=True)]
        shares = [f"{100 * m:.1f} % ± {100 * s:.1f}"
                  for m, s in zip(mean[:, 1], spread[:, 1], strict=True)]  # fmt: skip
        lines.append(f"| {name} | {' | '.join(losses + shares)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    rows = {
        name: np.array([figures(start, seed, x, y) for seed in range(seeds)])
        for name, start in STARTS.items()
    }
    text = table(rows, seeds)
    print(text)
    (ROOT / "benchmarks" / "results" / "pretraining.md").write_text(text)


if __name__ == "__main__":
    main()
