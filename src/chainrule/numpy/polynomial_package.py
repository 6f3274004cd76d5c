"""numpy.polynomial on traced values: NumPy's own code, run on arrays that can be filled.

The functions of `numpy.polynomial.chebyshev` and its sisters make arrays with `np.empty` and fill
them, or put coefficients into lists: all in Python. Each module gets a twin, the same functions
with `np` replaced by a namespace whose creation functions are chainrule's. While a trace is open, a
function called with a traced argument is the twin's (see undispatched.py).
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import FunctionType, ModuleType

import numpy as np

from chainrule.numpy.namespace import OWN
from chainrule.numpy.undispatched import PACKAGES

_NAME = "numpy.polynomial"
_MODULES = ("polynomial", "chebyshev", "legendre", "hermite", "hermite_e", "laguerre")


@cache
def _namespace() -> ModuleType:
    """NumPy, with chainrule's creation functions."""
    made = ModuleType("numpy")
    vars(made).update(vars(np))
    vars(made).update(OWN)
    return made


@cache
def _twin(name: str) -> ModuleType:
    """The functions of a module with the names that they use exchanged."""
    module = sys.modules[name]
    twin = ModuleType(name)
    names = vars(twin)
    names.update(vars(module))
    names["np"] = _namespace()
    if "pu" in names:
        names["pu"] = _twin(f"{_NAME}.polyutils")
    for key, value in vars(module).items():
        if isinstance(value, FunctionType) and value.__globals__ is vars(module):
            made = FunctionType(
                value.__code__, names, value.__name__, value.__defaults__, value.__closure__
            )
            made.__kwdefaults__ = value.__kwdefaults__
            names[key] = made
    return twin


def _functions() -> dict[ModuleType, dict]:
    """Every module of the package with the twins of its public functions."""
    importlib.import_module(_NAME)  # NumPy itself loads it at first use only
    found = {}
    for name in (f"{_NAME}.{short}" for short in _MODULES):
        module, twin = sys.modules[name], _twin(name)
        found[module] = {
            key: getattr(twin, key)
            for key in module.__all__
            if isinstance(getattr(module, key), FunctionType)
        }
    return found


PACKAGES.append(_functions)
