"""What a model is worth on data: the loss and the metrics that `fit` would record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.nn.module import Module
from chainrule.train.checks import check_data
from chainrule.train.evaluation import ROWS, evaluated
from chainrule.train.metrics import named
from chainrule.train.preparing import arrays_for, fitting
from chainrule.train.settings import loss_function


def evaluate(
    model: Module, data: Any, *, loss: str | dict | Callable | None = None,
    metrics: str | Callable | Sequence[str | Callable] = (), batch_size: int = ROWS,
) -> dict[str, float]:  # fmt: skip
    """The loss and the metrics of a model on all rows of data at once, in inference, by name.

    `data`, `loss` and `metrics` are what `fit` takes. The loss is computed in float64.

    **Errors** as those of `fit`.

    >>> import numpy as np
    >>> from chainrule import nn
    >>> model = nn.Linear(2, 1, init="zeros")
    >>> evaluate(model, (np.ones((4, 2)), np.full(4, 3.0)), loss="squared", metrics=["rmse"])
    {'loss': 4.5, 'rmse': 3.0}
    """
    functions, data = named(metrics), arrays_for(model, data)
    if loss is None:
        check_data(data, "the data's")
        return evaluated(model, data, metrics=functions, batch_size=batch_size)
    function = loss_function(loss)
    data = fitting(model, data, loss, "the data's")
    return evaluated(model, data, loss=function, metrics=functions, batch_size=batch_size)
