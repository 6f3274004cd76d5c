"""NumPy's functions on nested lists that hold traced values: np.max([x, -x]).

NumPy asks an argument itself for the protocol, not what a list holds; it would make an array of
constants of it (and so raise). For the functions that are written with lists, `undispatched.py`
stacks these before NumPy sees them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from chainrule.numpy.promotion import contains_traced, stacked
from chainrule.numpy.protocols import array_function
from chainrule.numpy.undispatched import replaces

_NAMES = {
    "numpy": (
        "sum prod max min amax amin mean median std var ptp average argmax argmin sort argsort "
        "cumsum cumprod clip diff dot inner outer cross interp polyval trapezoid quantile "
        "percentile nansum nanmax nanmin nanmean diag"
    ),
    "numpy.linalg": "norm det inv solve eigvalsh eigh svd cholesky slogdet",
}


def _on_lists(function: Callable) -> Callable:
    """The function on traced values, with lists that hold some stacked."""

    def on_lists(*args, **kwargs):
        stacked_args = tuple([_array(a) for a in args])
        named = {name: _array(a) for name, a in kwargs.items()}
        return array_function(None, function, (), stacked_args, named)

    return on_lists


def _array(value):
    is_list = isinstance(value, list | tuple) and contains_traced(value)
    return stacked(value) if is_list else value


for _module, _names in _NAMES.items():
    for _name in _names.split():
        replaces(_module, _name)(_on_lists(getattr(sys.modules[_module], _name)))
