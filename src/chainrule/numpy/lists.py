"""NumPy's functions on nested lists that hold traced values: np.max([x, -x]).

NumPy asks an argument itself for the protocol, not what a list holds; it would make an array of
constants of it (and so raise). While a trace is open, the functions that are written with lists are
replaced (interception.py) by wrappers that stack these before NumPy sees them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from chainrule.numpy.promotion import contains_traced, stacked

NAMES = {
    "numpy": (
        "sum prod max min amax amin mean median std var ptp average argmax argmin sort argsort "
        "cumsum cumprod clip diff dot inner outer cross interp polyval trapezoid quantile "
        "percentile nansum nanmax nanmin nanmean diag"
    ),
    "numpy.linalg": "norm det inv solve eigvalsh eigh svd cholesky slogdet",
}


@functools.lru_cache(maxsize=128)
def stacking(original: Callable) -> Callable:
    """NumPy's function, of arrays in place of lists that hold traced values."""

    @functools.wraps(original)
    def function(*args, **kwargs):
        if kwargs:
            kwargs = {name: _array(a) for name, a in kwargs.items()}
        for a in args:
            if type(a) is list or type(a) is tuple:
                return original(*map(_array, args), **kwargs)
        return original(*args, **kwargs)

    return function


def _array(value):
    is_list = type(value) is list or type(value) is tuple
    return stacked(value) if is_list and contains_traced(value) else value
