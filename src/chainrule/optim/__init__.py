"""Optimizers: objects that update a model in place, their schedules, and searches for step sizes.

>>> import numpy as np
>>> import chainrule as cr
>>> from chainrule import nn, optim
>>> model = nn.MLP(1, (8,), 1, activation="tanh", rng=0)
>>> optimizer = optim.Adam(model, step_size=0.05)
>>> x = np.linspace(-1, 1, 32, dtype=np.float32)[:, None]
>>> @cr.compile
... def step(model, optimizer, x, y):
...     def loss(model):
...         return nn.losses.squared(model(x, training=True), y)
...     value, grads = cr.value_and_grad(loss)(model)
...     optimizer.step(model, grads)
...     return value
>>> losses = [step(model, optimizer, x, x**2) for _ in range(200)]
>>> bool(losses[-1] < 0.01 * losses[0]), int(optimizer.count)
(True, 200)
"""

from chainrule.optim.lbfgs import Minimum, lbfgs
from chainrule.optim.optimizer import Optimizer
from chainrule.optim.rules import (
    OPTIMIZERS,
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    AMSGrad,
    HeavyBall,
    Nesterov,
    RMSprop,
)
from chainrule.optim.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    InverseRoot,
    InverseTime,
    Steps,
    WarmUp,
)
from chainrule.optim.step_size import bottou, range_test

__all__ = [
    "AMSGrad", "AdaGrad", "Adam", "AdamW", "Constant", "Cosine", "HeavyBall", "InverseRoot",
    "InverseTime", "Minimum", "Nesterov", "OPTIMIZERS", "Optimizer", "RMSprop", "SCHEDULES", "SGD",
    "Steps", "WarmUp", "bottou", "lbfgs", "range_test",
]  # fmt: skip
