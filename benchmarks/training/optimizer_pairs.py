"""Optimizers beside PyTorch's: trajectories of a small network on a loss, step by step.

Each draws its options, and gives (ours, theirs): functions that make the two optimizers, of our
model and of PyTorch's parameters. Options that PyTorch spells differently are translated.
"""

from __future__ import annotations

import numpy as np
import torch

import chainrule as cr
from benchmarks.training.against_torch import difference
from chainrule import nn, optim

STEPS = 25
_SCHEDULES = {
    "Constant": lambda rng: (optim.Constant(), lambda t: 1.0),
    "InverseTime": lambda rng: (optim.InverseTime(7.0), lambda t: 7 / (7 + t)),
    "Steps": lambda rng: (optim.Steps(8, 0.5), lambda t: 0.5 ** (t // 8)),
    "Cosine": lambda rng: (optim.Cosine(20), lambda t: (1 + np.cos(np.pi * min(t, 20) / 20)) / 2),
}


def sgd(rng):
    return "SGD", {}, torch.optim.SGD, {}


def heavy_ball(rng):
    b = float(rng.uniform(0, 0.95))
    return "HeavyBall", {"momentum": b, "form": "torch"}, torch.optim.SGD, {"momentum": b}


def nesterov(rng):
    b = float(rng.uniform(0.1, 0.95))
    return "Nesterov", {"momentum": b}, torch.optim.SGD, {"momentum": b, "nesterov": True}


def adagrad(rng):
    e = float(10 ** rng.uniform(-10, -4))
    return "AdaGrad", {"epsilon": e}, torch.optim.Adagrad, {"eps": e}


def rmsprop(rng):
    d, e = float(rng.uniform(0.8, 0.99)), float(10 ** rng.uniform(-8, -4))
    return "RMSprop", {"memory": d, "epsilon": e}, torch.optim.RMSprop, {"alpha": d, "eps": e}


def adam(rng, name: str = "Adam", theirs=torch.optim.Adam, **more):
    a, b = float(rng.uniform(0.5, 0.95)), float(rng.uniform(0.9, 0.999))
    e = float(10 ** rng.uniform(-8, -4))
    ours = {"memory": a, "square_memory": b, "epsilon": e}
    return name, ours, theirs, {"betas": (a, b), "eps": e, **more}


def adamw(rng):
    decay = float(10 ** rng.uniform(-3, -1))
    name, ours, theirs, options = adam(rng, "AdamW", torch.optim.AdamW, weight_decay=decay)
    return name, {**ours, "decay": decay}, theirs, options


def amsgrad(rng):
    return adam(rng, "AMSGrad", amsgrad=True)


OPTIMIZERS = {
    "SGD": sgd, "HeavyBall, PyTorch's form": heavy_ball, "Nesterov": nesterov, "AdaGrad": adagrad,
    "RMSprop": rmsprop, "Adam": adam, "AdamW": adamw, "AMSGrad": amsgrad,
}  # fmt: skip


def trajectory(
    draw, rng: np.random.Generator, dtype: str, compiled: bool
) -> tuple[str, dict[str, float]]:
    """The options in words, and the largest difference of parameters on the way, and of losses."""
    name, ours, kind, theirs = draw(rng)
    plain = name in ("SGD", "HeavyBall", "AdaGrad", "RMSprop", "Adam", "AMSGrad")
    l2 = float(rng.choice([0.0, 0.01])) if plain else 0.0
    # Nesterov's points and PyTorch's are the same only while the step size does not change.
    schedule = "Constant" if name == "Nesterov" else str(rng.choice(list(_SCHEDULES)))
    factor, size = _SCHEDULES[schedule](rng), float(10 ** rng.uniform(-3, -1.5))
    model = nn.Sequential(nn.Linear(4, 5, False, dtype=dtype), np.tanh,
                          nn.Linear(5, 2, False, dtype=dtype))  # fmt: skip
    for array in model.parameters():
        array[...] = rng.normal(size=array.shape)
    x, y = (rng.normal(size=(8, k)).astype(dtype) for k in (4, 2))
    weights = [torch.tensor(w.copy(), requires_grad=True) for w in model.parameters()]
    options = {**theirs, "weight_decay": theirs.get("weight_decay", l2)}
    optimizer = kind(weights, lr=size, **options)
    mine = optim.OPTIMIZERS[name](model, size, schedule=factor[0], l2=l2, **ours)
    step = cr.compile(_step, kinks="convention", stabilize=False) if compiled else _step
    found = {"parameters": 0.0, "loss": 0.0}
    for t in range(STEPS):
        value = step(model, mine, x, y)
        their_value = _their_step(optimizer, weights, x, y, size * factor[1](t))
        found["loss"] = max(found["loss"], difference(value, their_value))
        for ours_now, theirs_now in zip(model.parameters(), weights, strict=True):
            found["parameters"] = max(found["parameters"], difference(ours_now, theirs_now))
    return f"step size {size:.2g}, {ours}, l2={l2}, {schedule}", found


def _loss(model, x, y):
    return nn.losses.squared(model(x), y)


def _step(model, optimizer, x, y):
    value, grads = cr.value_and_grad(_loss)(model, x, y)
    optimizer.step(model, grads)
    return value


def _their_step(optimizer, weights, x, y, size: float):
    for group in optimizer.param_groups:
        group["lr"] = size
    optimizer.zero_grad()
    out = torch.tanh(torch.from_numpy(x) @ weights[0]) @ weights[1]
    value = ((out - torch.from_numpy(y)) ** 2).sum() / 2 / len(x)
    value.backward()
    optimizer.step()
    return value
