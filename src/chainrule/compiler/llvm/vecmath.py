"""Elementary and special functions as vector code: `MATH`, by the name of the operation.

`MATH[name](code, *inputs)` writes the function of float or double values of any number of lanes,
inline: no calls, no tables in memory, and no branches but for the reduction of huge angles and
quotients. Accuracy is measured in docs/vector-math.md: below 1 ulp in float32 and 2 in float64,
subnormal inputs and results included; edges are NumPy's and SciPy's.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.compiler.llvm import (
    vecmath_exponential,
    vecmath_logarithm,
    vecmath_logistic,
    vecmath_power,
    vecmath_trigonometric,
)
from chainrule.compiler.llvm.code import Code, Value
from chainrule.compiler.llvm.vecmath_lanes import Lanes


def _emitter(function: Callable[..., Lanes]) -> Callable[..., Value]:
    """The function of values that writes this function of lanes."""

    def emit(code: Code, *inputs: Value) -> Value:
        return function(*[Lanes(code, x) for x in inputs]).value

    emit.__doc__ = function.__doc__
    return emit


_FUNCTIONS: dict[str, Callable[..., Lanes]] = {
    "exp": vecmath_exponential.exp,
    "expm1": vecmath_exponential.expm1,
    "log": vecmath_logarithm.log,
    "log1p": vecmath_logarithm.log1p,
    "tanh": vecmath_logistic.tanh,
    "expit": vecmath_logistic.expit,
    "power": vecmath_power.power,
    "sin": vecmath_trigonometric.sin,
    "cos": vecmath_trigonometric.cos,
    "tan": vecmath_trigonometric.tan,
    "sinc": vecmath_trigonometric.sinc,
    "exp2": vecmath_power.exp2,
    "exp10": vecmath_power.exp10,
    "log2": vecmath_power.log2,
    "log10": vecmath_power.log10,
    "sqrt": vecmath_power.sqrt,
    "hypot": vecmath_power.hypot,
}

MATH: dict[str, Callable[..., Value]] = {
    name: _emitter(function) for name, function in _FUNCTIONS.items()
}
