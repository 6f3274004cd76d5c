"""An Array API namespace in which every function, operator and method runs through a trace.

For the public test-suite (github.com/data-apis/array-api-tests), which wants a module:

    ARRAY_API_TESTS_MODULE=tests.numpy.array_api_shim ARRAY_API_TESTS_VERSION=2024.12 pytest ...

A call traces `chainrule.numpy.<name>` on its array arguments, evaluates the program, and returns
NumPy arrays (of a subclass whose operators and methods do the same).
"""

import operator
import sys
from types import SimpleNamespace

import numpy as np

import chainrule.numpy as cn
from chainrule.program.trace import is_traced
from tests.numpy.against_numpy import through_trace

__array_api_version__ = "2024.12"
__version__ = "traced"


class Array(np.ndarray):
    """A NumPy array whose operators and methods run through a trace."""

    __hash__ = None

    def __array_namespace__(self, *, api_version=None):
        return sys.modules[__name__]

    @property
    def T(self):
        return call(lambda x: x.T, self)

    @property
    def mT(self):
        return call(lambda x: x.mT, self)

    def __getitem__(self, key):
        return call(lambda x, key: x[key], self, key)

    def __setitem__(self, key, value):
        call(operator.setitem, self, key, value)

    def to_device(self, device, /, *, stream=None):
        return call(lambda x: x.to_device(device, stream=stream), self)

    def __abs__(self):
        return call(operator.abs, self)

    def __pos__(self):
        return call(operator.pos, self)

    def __neg__(self):
        return call(operator.neg, self)

    def __invert__(self):
        return call(operator.invert, self)


def _install_operators():
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(Array, f"__{name}__", _forward(getattr(operator, name)))
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_",
                 "xor", "lshift", "rshift"):  # fmt: skip
        function, dunder = getattr(operator, name), name.rstrip("_")
        setattr(Array, f"__{dunder}__", _forward(function))
        setattr(Array, f"__r{dunder}__", _reflected(function))
        setattr(Array, f"__i{dunder}__", _in_place(getattr(operator, f"i{dunder}")))


def _forward(function):
    return lambda self, other: call(function, self, other)


def _reflected(function):
    return lambda self, other: call(lambda x, y: function(y, x), self, other)


def _in_place(function):
    def method(self, other):
        call(lambda x, y: [function(x, y)][:0], self, other)
        return self

    return method


_install_operators()


def call(function, *args, **kwargs):
    """function(*args, **kwargs), with the arrays in the arguments traced."""
    arrays = []
    spot = _spots((args, kwargs), arrays)
    plain = []

    def traced(*values):
        new_args, new_kwargs = spot(values)
        result = function(*new_args, **new_kwargs)
        if _any_traced(result):
            return result
        plain.append(result)
        return None

    found = through_trace(traced, *arrays)
    return plain[0] if plain else _wrapped(found)


def _spots(tree, arrays):
    """A function that rebuilds the tree with its arrays replaced; collects them in `arrays`."""
    if isinstance(tree, np.ndarray):
        arrays.append(tree.view(np.ndarray))
        number = len(arrays) - 1
        return lambda values: values[number]
    if isinstance(tree, np.generic):
        arrays.append(tree)
        number = len(arrays) - 1
        return lambda values: values[number]
    if isinstance(tree, list | tuple):
        parts, kind = [_spots(item, arrays) for item in tree], type(tree)
        return lambda values: kind([part(values) for part in parts])
    if isinstance(tree, dict):
        items = {name: _spots(value, arrays) for name, value in tree.items()}
        return lambda values: {name: part(values) for name, part in items.items()}
    return lambda values: tree


def _any_traced(tree) -> bool:
    if isinstance(tree, list | tuple):
        return any(_any_traced(item) for item in tree)
    return is_traced(tree)


def _wrapped(tree):
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*map(_wrapped, tree))
    if isinstance(tree, list | tuple):
        return type(tree)(map(_wrapped, tree))
    if isinstance(tree, np.ndarray | np.generic):
        return np.asarray(tree).view(Array)
    return tree


def _traced(function, name):
    def through(*args, **kwargs):
        return call(function, *args, **kwargs)

    through.__name__ = through.__qualname__ = name
    through.__wrapped__ = function  # the suite inspects signatures
    return through


def _public(function, name):
    if isinstance(function, type) or not callable(function) or name == "__array_namespace_info__":
        return function
    return _traced(function, name)


def _extension(module):
    names = [name for name in dir(module) if not name.startswith("_")]
    return SimpleNamespace(
        **{
            name: _public(getattr(module, name), name)
            for name in names
            if cn.namespace.is_supported(getattr(module, name)) or name in ("fftfreq", "rfftfreq")
        }
    )


linalg, fft = _extension(np.linalg), _extension(np.fft)


def __getattr__(name):
    return _public(getattr(cn, name), name)
