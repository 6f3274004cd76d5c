"""Rows for NumPy's ufuncs."""

import numpy as np

from tests.numpy.samples import cplx, numpy_samples, positive, real, truth, whole


def ufunc(name: str, *args, derivative: bool = True) -> None:
    """A row that calls a ufunc."""
    function = getattr(np, name)
    numpy_samples(f"np.{name}", lambda *x: function(*x), *args, derivative=derivative)


for _name in (
    "sin", "cos", "tan", "arctan", "sinh", "cosh", "tanh", "arcsinh", "exp", "exp2", "expm1",
    "square", "negative", "positive", "absolute", "fabs", "cbrt", "deg2rad", "rad2deg", "degrees",
    "radians", "modf", "conjugate", "sign", "floor", "ceil", "trunc", "rint",
):  # fmt: skip
    ufunc(_name, 0.9 * real(5))
for _name in ("log", "log2", "log10", "log1p", "sqrt", "reciprocal"):
    ufunc(_name, positive(5))
for _name in ("arcsin", "arccos", "arctanh"):
    ufunc(_name, np.tanh(real(5)))
ufunc("arccosh", 1 + positive(5))
for _name in ("exp", "sin", "sqrt", "conjugate", "absolute", "sign", "square"):
    ufunc(_name, cplx(4))
for _name in (
    "add", "subtract", "multiply", "divide", "floor_divide", "remainder", "fmod", "divmod",
    "maximum", "minimum", "fmax", "fmin", "hypot", "arctan2", "copysign", "logaddexp",
    "logaddexp2",
):  # fmt: skip
    ufunc(_name, 3 * real(2, 3), np.array([0.7, -1.3, 2.1]))
ufunc("frexp", np.array([0.3, -5.0, 100.0]))
ufunc("heaviside", real(4), real(4))
ufunc("nextafter", real(4), real(4))
ufunc("power", positive(4), real(4))
ufunc("float_power", positive(4), 3)
ufunc("ldexp", real(4), whole(4))
ufunc("spacing", real(4), derivative=False)
for _name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
    ufunc(_name, whole(5), whole(5))
for _name in ("logical_and", "logical_or", "logical_xor"):
    ufunc(_name, truth(5), truth(5))
ufunc("logical_not", truth(5))
for _name in ("isnan", "isinf", "isfinite", "signbit"):
    ufunc(_name, np.array([1.0, -np.inf, np.nan, -0.0]))
for _name in ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift"):
    ufunc(_name, whole(5), whole(5))
for _name in ("gcd", "lcm"):
    ufunc(_name, whole(5), whole(5))
for _name in ("invert", "bitwise_count"):
    ufunc(_name, whole(5))
ufunc("clip", real(5), -0.5, 0.5)
ufunc("matmul", real(2, 3, 4), real(4, 2))
ufunc("vecdot", real(2, 3), real(3))
ufunc("matvec", real(2, 3, 4), real(4))
ufunc("vecmat", real(3), real(2, 3, 4))
