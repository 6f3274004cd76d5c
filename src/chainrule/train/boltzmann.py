"""Learning Boltzmann machines by contrastive divergence, and stacks of them layer by layer.

The slope of the log-likelihood is mean over data of -F' less mean over the model of -F'. The second
mean is estimated by samples: CD-k takes `steps` rounds of Gibbs sampling from the data, persistent
CD goes on from the samples of the step before.

Source    Hinton, "Training products of experts by minimizing contrastive divergence", Neural
          Computation 14 (2002); Tieleman, "Training restricted Boltzmann machines using
          approximations to the likelihood gradient", ICML 2008.
"""

from __future__ import annotations

import numpy as np

from chainrule import api, compiled, control, data, nn, optim, random
from chainrule.train.pretraining import check_finite


def contrastive_divergence(machine: nn.RBM, v, rng, *, steps: int = 1, start=None):
    """(grads, samples): the estimated slope of minus the mean log-likelihood of v, with the
    machine's structure, and the samples where the chains ended.

    The chains start at v, or at `start` (persistent CD). Means of hidden units are taken where
    they are known, samples only where they are not.

    **Shapes** v: (B, visible), start: any number of rows.

    >>> machine = nn.RBM(4, 3)
    >>> v = np.ones((5, 4), np.float32)
    >>> grads, samples = contrastive_divergence(machine, v, random.default_rng(0))
    >>> grads.weight.shape, samples.shape
    ((4, 3), (5, 4))
    """
    samples = machine.gibbs(v if start is None else start, rng, steps)

    def difference(machine):
        return machine.free_energy(v).mean() - machine.free_energy(samples).mean()

    return api.grad(difference)(machine), samples


def fit_rbm(
    machine: nn.RBM, x, *, steps: int = 1, persistent: bool = False, epochs: int = 10,
    batch_size: int = 32, optimizer: str = "HeavyBall", step_size: float = 0.01, l2: float = 0.0,
    seed: int = 0,
) -> list[float]:  # fmt: skip
    """Learns a machine from x (N, visible), in place, by CD-`steps` or `persistent` CD.

    Returns, by epoch, the squared distance between x and its reconstruction by means, summed over
    the visible units: a sign of progress, not the likelihood. Binary units take x in [0, 1], read
    as probabilities; gaussian ones standardised x. Persistent chains follow the machine only while
    it changes slowly: take plain "SGD", and more `steps` as weights grow (on 3 x 3 bars and stripes
    with 10 hidden units and step size 0.1, one step loses likelihood after 240 epochs, five do
    not).

    **Errors** `ValueError` for x outside of [0, 1] with binary units, or unknown options;
    `NotConverged` where the distance is no longer finite.

    >>> x = np.repeat(np.eye(4, dtype=np.float32), 16, axis=0)
    >>> errors = fit_rbm(nn.RBM(4, 4), x, epochs=100, step_size=0.1)
    >>> errors[-1] < errors[0]
    True
    """
    x = np.asarray(x, machine.weight.dtype)
    if machine.units == "binary" and not (np.min(x) >= 0 and np.max(x) <= 1):
        raise ValueError(
            f"binary visible units take x in [0, 1], got values from {np.min(x)} to {np.max(x)}. "
            "Scale x, or take nn.RBM(..., units='gaussian')."
        )
    if optimizer not in optim.OPTIMIZERS:
        raise ValueError(f"optimizer is one of {', '.join(optim.OPTIMIZERS)}; got {optimizer!r}.")
    chosen = optim.OPTIMIZERS[optimizer](machine, step_size, l2=l2)
    stretch = _compiled_stretch(steps, persistent)
    rng, history, chain = random.Generator([seed, 2]), [], None
    for epoch in range(epochs):
        rows = data.order(seed, epoch, len(x), batch_size)
        if chain is None:
            chain = x[rows[0]]
        chain, distances = stretch(machine, chosen, x, rows, chain, rng)
        history.append(float(np.mean(distances)))
        check_finite("fit_rbm", history, repr(machine), step_size)
    return history


def fit_deep_belief(belief: nn.DeepBelief, x, *, seed: int = 0, **options) -> list[list[float]]:
    """Learns the machines of a deep belief network from the lowest upwards, in place; each takes
    the hidden probabilities of the one below. Options are those of `fit_rbm`, whose history comes
    back for each machine.

    >>> x = np.repeat(np.eye(4, dtype=np.float32), 16, axis=0)
    >>> history = fit_deep_belief(nn.DeepBelief(4, (4, 3)), x, epochs=2)
    >>> [len(errors) for errors in history]
    [2, 2]
    """
    history = []
    for number, machine in enumerate(belief.machines):
        history.append(fit_rbm(machine, x, seed=seed + number, **options))
        x = machine(x)
    return history


def _compiled_stretch(steps: int, persistent: bool):
    """An epoch in native code: the chains where they ended, and the distance of each step."""

    def stretch(machine, optimizer, x, rows, chain, rng):
        def step(chain, batch):
            v = x[batch]
            start = chain if persistent else None
            grads, chain = contrastive_divergence(machine, v, rng, steps=steps, start=start)
            distance = np.square(v - machine.visible_means(machine(v))).sum(axis=-1).mean()
            optimizer.step(machine, grads)
            return chain, distance

        return control.scan(step, chain, rows)

    return compiled.compile(stretch, kinks="convention", stabilize=False)
