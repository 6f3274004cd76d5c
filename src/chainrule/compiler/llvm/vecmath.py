"""Elementary and special functions as vector code: `MATH`, by the name of the operation.

`MATH[name](code, *inputs)` writes the function of float or double values of any number of lanes,
inline: no calls, no tables in memory and no branches, but for the reduction of huge angles (a
function beside the kernel) and of quotients. Accuracy is measured in docs/vector-math.md: below 1
ulp in float32 and 2 in float64, subnormal inputs and results included (logaddexp where it cancels:
beside its larger input); edges are NumPy's and SciPy's.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.compiler.llvm import (
    vecmath_arcs,
    vecmath_error,
    vecmath_exponential,
    vecmath_hyperbolic,
    vecmath_inverse_error,
    vecmath_logarithm,
    vecmath_logistic,
    vecmath_power,
    vecmath_quotients,
    vecmath_sums,
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
    "exp2": vecmath_power.exp2,
    "exp10": vecmath_power.exp10,
    "log2": vecmath_power.log2,
    "log10": vecmath_power.log10,
    "sqrt": vecmath_power.sqrt,
    "cbrt": vecmath_power.cbrt,
    "hypot": vecmath_power.hypot,
    "sin": vecmath_trigonometric.sin,
    "cos": vecmath_trigonometric.cos,
    "tan": vecmath_trigonometric.tan,
    "sinc": vecmath_trigonometric.sinc,
    "arcsin": vecmath_arcs.arcsin,
    "arccos": vecmath_arcs.arccos,
    "arctan": vecmath_arcs.arctan,
    "arctan2": vecmath_arcs.arctan2,
    "sinh": vecmath_hyperbolic.sinh,
    "cosh": vecmath_hyperbolic.cosh,
    "arcsinh": vecmath_hyperbolic.arcsinh,
    "arccosh": vecmath_hyperbolic.arccosh,
    "arctanh": vecmath_hyperbolic.arctanh,
    "erf": vecmath_error.erf,
    "erfc": vecmath_error.erfc,
    "ndtr": vecmath_error.ndtr,
    "log_ndtr": vecmath_error.log_ndtr,
    "erfinv": vecmath_inverse_error.erfinv,
    "log_expit": vecmath_sums.log_expit,
    "logaddexp": vecmath_sums.logaddexp,
    "logaddexp2": vecmath_sums.logaddexp2,
    "xlogy": vecmath_sums.xlogy,
    "xlog1py": vecmath_sums.xlog1py,
    "entr": vecmath_sums.entr,
    "rel_entr": vecmath_sums.rel_entr,
    "fmod": vecmath_quotients.fmod,
    "remainder": vecmath_quotients.remainder,
    "floor_divide": vecmath_quotients.floor_divide,
}

MATH: dict[str, Callable[..., Value]] = {
    name: _emitter(function) for name, function in _FUNCTIONS.items()
}
