"""Rows for arithmetic, elementary functions, comparisons, selection, and moving data."""

import numpy as np
from mpmath import mp

from tests.ops.table import (
    booleans,
    given,
    indices,
    integers,
    literal,
    log_uniform,
    normal,
    samples,
    uniform,
)

inf, nan = np.inf, np.nan
REAL = "bhilBHILefd"
NUMBERS = REAL + "FD"
ALL = "?" + NUMBERS

# --- arithmetic ---------------------------------------------------------------------------------

for _name, _function in (
    ("add", lambda x, y: x + y),
    ("subtract", lambda x, y: x - y),
    ("multiply", lambda x, y: x * y),
):
    samples(_name, uniform(0, 5), uniform(0, 5), extra=[(0.0, 0.0)], truth=_function,
            dtypes=NUMBERS if _name == "subtract" else ALL)  # fmt: skip
    samples(_name, literal(1.5), uniform(-5, 5), truth=_function)
samples("scale", uniform(-5, 5), uniform(-5, 5), truth=lambda p, t: p * t, dtypes="efdFD")
samples("negative", uniform(-5, 5), truth=lambda x: -x, dtypes="bhilefdFD")
samples("divide", uniform(-5, 5), uniform(1, 5), truth=lambda x, y: x / y, dtypes="efdFD",
        extra=[(0.0, 2.0), (1e-300, 3.0), (1e300, -7.0)])  # fmt: skip
samples("reciprocal", uniform(1, 5), truth=lambda x: 1 / x, dtypes="hilefdFD", extra=[-1e-150])
samples("floor_divide", uniform(-9, 9), uniform(1, 5), truth=lambda x, y: mp.floor(x / y),
        dtypes=REAL)  # fmt: skip
samples("remainder", uniform(-9, 9), uniform(1, 5), dtypes=REAL,
        truth=lambda x, y: x - y * mp.floor(x / y))  # fmt: skip
samples("fmod", uniform(1, 9), uniform(1, 5), dtypes=REAL,
        truth=lambda x, y: x - y * mp.floor(x / y))  # fmt: skip
samples("absolute", uniform(-5, 5), truth=abs, dtypes="bhilefd", extra=[1e300, -1e-300])
samples("sign", uniform(-5, 5), truth=mp.sign, dtypes=REAL)
samples("square", uniform(-5, 5), truth=lambda x: x * x, dtypes=NUMBERS, extra=[0.0, -1e150])
samples("power", uniform(0.1, 5), uniform(-3, 3), truth=lambda x, y: x**y, dtypes="efdFD",
        extra=[(2.0, 0.5), (1e-100, 2.0), (7.0, -1.0)])  # fmt: skip
samples("power", uniform(-3, 3), literal(3.0), truth=lambda x, y: x**y, extra=[(0.0, 3.0)])
samples("power", integers(1, 4), integers(0, 3), dtypes="bhilBHIL")
samples("power", literal(2.0), uniform(-30, 30), truth=lambda x, y: x**y)
samples("sqrt", log_uniform(1e-3, 1e3), truth=mp.sqrt, dtypes="efdFD", extra=[1e-300, 1e300])
samples("cbrt", uniform(-9, 9), truth=lambda x: mp.sign(x) * mp.cbrt(abs(x)), dtypes="efd",
        extra=[1e-200, -1e300])  # fmt: skip

# --- exponentials and logarithms ----------------------------------------------------------------

samples("exp", uniform(-3, 3), truth=mp.exp, dtypes="efdFD", extra=[0.0, 700.0, -700.0])
samples("exp2", uniform(-3, 3), truth=lambda x: mp.mpf(2) ** x, dtypes="efd", extra=[1e3, -1e3])
samples("expm1", uniform(-3, 3), truth=mp.expm1, dtypes="efd", extra=[1e-20, -50.0, 700.0])
samples("log", log_uniform(1e-2, 1e2), truth=mp.log, dtypes="efdFD", extra=[1e-300, 1e300])
samples("log2", log_uniform(1e-2, 1e2), truth=lambda x: mp.log(x, 2), dtypes="efd")
samples("log10", log_uniform(1e-2, 1e2), truth=mp.log10, dtypes="efd")
samples("log1p", uniform(-0.9, 9), truth=mp.log1p, dtypes="efd", extra=[1e-20, 1e300, -1 + 1e-12])
samples("logaddexp", uniform(-5, 5), uniform(-5, 5), dtypes="efd",
        truth=lambda x, y: mp.log(mp.exp(x) + mp.exp(y)), value_ulps=16,
        extra=[(700.0, -30.0), (-700.0, -701.0), (1.0, 1.0)])  # fmt: skip
samples("logaddexp2", uniform(-5, 5), uniform(-5, 5), dtypes="efd", value_ulps=16,
        truth=lambda x, y: mp.log(2**x + 2**y, 2), extra=[(1000.0, 980.0), (1.0, 1.0)])  # fmt: skip

# --- trigonometric and hyperbolic ---------------------------------------------------------------

samples("sin", uniform(-7, 7), truth=mp.sin, dtypes="efdFD", extra=[0.0, 1e-200, 1e5])
samples("cos", uniform(-7, 7), truth=mp.cos, dtypes="efdFD", extra=[0.0, 1e5])
samples("tan", uniform(-1.5, 1.5), truth=mp.tan, dtypes="efdFD", extra=[1.5707, 1e5])
samples("arcsin", uniform(-0.99, 0.99), truth=mp.asin, dtypes="efdFD", extra=[0.0, 1 - 1e-12])
samples("arccos", uniform(-0.99, 0.99), truth=mp.acos, dtypes="efdFD", extra=[0.0, -1 + 1e-12])
samples("arctan", uniform(-5, 5), truth=mp.atan, dtypes="efdFD", extra=[0.0, 1e8])
samples("arctan2", uniform(-5, 5), uniform(-5, 5), truth=mp.atan2, dtypes="efd",
        extra=[(1e-9, -1.0), (1.0, 0.0), (1e200, 1e200)])  # fmt: skip
samples("hypot", uniform(-5, 5), uniform(-5, 5), truth=mp.hypot, dtypes="efd",
        extra=[(3e200, 4e200), (3e-200, 4e-200)])  # fmt: skip
samples("sinh", uniform(-4, 4), truth=mp.sinh, dtypes="efdFD", extra=[0.0, 1e-200, 700.0])
samples("cosh", uniform(-4, 4), truth=mp.cosh, dtypes="efdFD", extra=[0.0, -700.0])
samples("tanh", uniform(-4, 4), truth=mp.tanh, dtypes="efdFD", extra=[0.0, 19.0, 40.0])
samples("arcsinh", uniform(-9, 9), truth=mp.asinh, dtypes="efdFD", extra=[0.0, 1e-200, 1e200])
samples("arccosh", uniform(1.1, 9), truth=mp.acosh, dtypes="efdFD", extra=[1 + 1e-12, 1e200])
samples("arctanh", uniform(-0.99, 0.99), truth=mp.atanh, dtypes="efdFD", extra=[0.0, 1 - 1e-12])

# --- choosing and rounding ----------------------------------------------------------------------

for _name, _function in (("maximum", max), ("minimum", min), ("fmax", max), ("fmin", min)):
    samples(_name, uniform(0, 9), uniform(0, 9), truth=_function, dtypes="?bhilBHILefd")
samples("clip", uniform(0, 9), uniform(2, 4), uniform(5, 7), dtypes="bhilBHILefd",
        truth=lambda x, low, high: min(max(x, low), high))  # fmt: skip
samples("floor", uniform(-9, 9), truth=mp.floor, dtypes="efd")
samples("ceil", uniform(-9, 9), truth=mp.ceil, dtypes="efd")
samples("trunc", uniform(-9, 9), truth=lambda x: mp.sign(x) * mp.floor(abs(x)), dtypes="efd")
samples("rint", uniform(-9, 9), truth=mp.nint, dtypes="efdFD")
samples("copysign", uniform(-9, 9), uniform(-9, 9), dtypes="efd",
        truth=lambda x, y: abs(x) * mp.sign(y), extra=[(1.0, -3.0)])  # fmt: skip
samples("heaviside", uniform(-9, 9), uniform(-9, 9), dtypes="efd",
        truth=lambda x, y: mp.mpf(x > 0))  # fmt: skip
samples("nextafter", uniform(-9, 9), uniform(-9, 9), dtypes="fd", smooth=False, active=())
samples("spacing", uniform(-9, 9), dtypes="efd")
samples("ldexp", uniform(-9, 9), indices(5, 8), dtypes="efd", reference=np.ldexp)
samples("binary_exponent", uniform(-9, 9), dtypes="efd", reference=lambda x: np.frexp(x)[1])

# --- integers, bits and comparisons -------------------------------------------------------------

for _name in ("gcd", "lcm", "bitwise_and", "bitwise_or", "bitwise_xor"):
    samples(_name, integers(0, 11), integers(0, 11), dtypes="bhilBHIL")
for _name in ("left_shift", "right_shift"):
    samples(_name, integers(0, 15), integers(0, 3), dtypes="bhilBHIL")
samples("invert", integers(0, 100), dtypes="?bhilBHIL")
samples("bitwise_count", integers(0, 100), dtypes="bhilBHIL")
for _name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
    samples(_name, integers(0, 2), integers(0, 2), dtypes="?bhilBHILefd", extra=[(1, 1)])
    samples(_name, uniform(-1, 1), given([0.0, nan, inf, -inf, -0.0, 1.0, 1.0, nan]))
for _name in ("logical_and", "logical_or", "logical_xor"):
    samples(_name, integers(0, 1), integers(0, 1), dtypes="?bhilBHILefd")
samples("logical_not", integers(0, 1), dtypes="?bhilBHILefd")
for _name in ("isnan", "isinf", "isfinite", "signbit"):
    samples(_name, given([0.0, -0.0, nan, inf, -inf, 1.0, -1.0]), dtypes="efd")

# --- complex parts ------------------------------------------------------------------------------

samples("real", normal(4), dtypes="FD", reference=np.real)
samples("imag", normal(4), dtypes="FD", reference=np.imag)
samples("join", normal(4), normal(4), dtypes="fd", reference=lambda x, y: x + 1j * y)
samples("conjugate", normal(4), dtypes="FD", reference=np.conjugate)

# --- selection ----------------------------------------------------------------------------------

samples("select", booleans(), uniform(-5, 5), uniform(-5, 5), dtypes=ALL, reference=np.where)
samples("select", booleans(), uniform(-5, 5), literal(2.0), reference=np.where)
samples("cast", uniform(-5, 5), dtype=np.dtype(np.float32), reference=lambda x: x.astype("f"),
        tolerance=1e-3)  # fmt: skip
samples("cast", uniform(-5, 5), dtype=np.dtype(np.int64), reference=lambda x: x.astype("l"))
samples("cast", uniform(-5, 5), dtype=np.dtype(complex), reference=lambda x: x.astype("D"))
samples("cast", uniform(-5, 5), dtypes="D", dtype=np.dtype(float), reference=np.real)
samples("stop_gradient", uniform(-5, 5), dtypes=ALL, reference=np.copy)
samples("require", normal(3), given(np.ones((), bool)), error="MutationError", message="no",
        dtypes=ALL, reference=lambda x, ok: np.copy(x))  # fmt: skip
samples("barrier", uniform(-5, 5), token=7, dtypes=ALL, reference=np.copy)

# --- shapes -------------------------------------------------------------------------------------

samples("broadcast", normal(3), shape=(2, 3, 4), axes=(1,), dtypes="ldD",
        reference=lambda x: np.broadcast_to(x[:, None], (2, 3, 4)))  # fmt: skip
samples("broadcast", given(2.5), shape=(2, 3), axes=(), reference=lambda x: np.full((2, 3), x))
samples("broadcast", normal(0), shape=(2, 0), axes=(1,), reference=lambda x: np.empty((2, 0)))
samples("reshape", normal(2, 3), shape=(3, 1, 2), dtypes="ldD",
        reference=lambda x: np.reshape(x, (3, 1, 2)))  # fmt: skip
samples("reshape", normal(1), shape=(), reference=lambda x: x[0])
samples("transpose", normal(2, 3, 4), axes=(2, 0, 1), dtypes="ldD",
        reference=lambda x: np.transpose(x, (2, 0, 1)))  # fmt: skip
samples("flip", normal(2, 3), axes=(0,), dtypes="ldD", reference=lambda x: x[::-1])
samples("flip", normal(2, 3), axes=(0, 1), reference=lambda x: x[::-1, ::-1])
samples("iota", size=5, dtype=np.dtype(np.int32), reference=lambda: np.arange(5, dtype="i"))
samples("index", normal(3, 4), at=(1, (0, 4, 2)), reference=lambda x: x[1, 0:4:2], dtypes="ldD")
samples("index", normal(5), at=((4, -1, -2),), reference=lambda x: x[::-2])
samples("index", normal(5, 3), indices(5, 4), at=((0, 3, 1),), reference=lambda x, i: x[i])
samples("index", normal(4, 5, 2), indices(4, 2, 3), indices(5, 2, 3), at=(1,),
        reference=lambda x, i, j: x[i, j, 1])  # fmt: skip
samples("index", normal(4), given(2, "l"), at=(), reference=lambda x, i: x[i])


def _set(x, value, *key):
    out = x.copy()
    out[key] = value
    return out


def _add(x, value, *key):
    out = x.copy()
    np.add.at(out, key, value)
    return out


for _name, _write in (("index_set", _set), ("index_add", _add)):
    samples(_name, normal(3, 4), normal(2), at=(1, (0, 4, 2)), dtypes="dD",
            reference=lambda x, v, w=_write: w(x, v, 1, slice(0, 4, 2)))  # fmt: skip
    samples(_name, normal(5, 2), normal(4, 2), given([0, 3, 1, 3]), at=((0, 2, 1),),
            reference=lambda x, v, i, w=_write: w(x, v, i))  # fmt: skip
    samples(_name, normal(5), literal(2.0), given([0, 3]), at=(),
            reference=lambda x, v, i, w=_write: w(x, v, i))  # fmt: skip
    samples(_name, normal(3, 3), normal(), given(1, "l"), given(2, "l"), at=(),
            reference=lambda x, v, i, j, w=_write: w(x, v, i, j))  # fmt: skip
samples("concatenate", normal(2, 3), normal(2, 1), axis=1, dtypes="ldD",
        reference=lambda x, y: np.concatenate([x, y], 1))  # fmt: skip
samples("concatenate", normal(2), normal(0), normal(3), axis=0,
        reference=lambda x, y, z: np.concatenate([x, y, z]))  # fmt: skip
samples("pad", normal(2, 3), widths=((1, 0), (2, 1)), dtypes="ldD",
        reference=lambda x: np.pad(x, ((1, 0), (2, 1))))  # fmt: skip

# --- reductions ---------------------------------------------------------------------------------

samples("sum", normal(2, 3, 4), axes=(0, 2), dtypes="lfdD", reference=lambda x: x.sum((0, 2)))
samples("sum", normal(2, 0), axes=(1,), reference=lambda x: np.zeros(2))
samples("prod", uniform(0.5, 2, 2, 3), axes=(1,), dtypes="dD", reference=lambda x: x.prod(1),
        analytic=True)  # fmt: skip
samples("prod", given([0.0, 2.0, 3.0, 0.0]), axes=(0,), reference=np.prod, analytic=True)
samples("prod", given([0.0, 2.0, -3.0]), axes=(0,), reference=np.prod, analytic=True)
for _name, _reduced in (("max", np.max), ("min", np.min)):
    samples(_name, normal(2, 3, 4), axes=(0, 2), dtypes="lfd",
            reference=lambda x, f=_reduced: f(x, (0, 2)))  # fmt: skip
for _name, _reduced in (("all", np.all), ("any", np.any)):
    samples(_name, booleans(3, 4), axes=(1,), dtypes="?",
            reference=lambda x, f=_reduced: f(x, 1))  # fmt: skip
for _name, _reduced in (("argmax", np.argmax), ("argmin", np.argmin)):
    samples(_name, normal(3, 4), axis=0, reference=lambda x, f=_reduced: f(x, 0))
samples("cumsum", normal(3, 4), axis=1, dtypes="ldD", reference=lambda x: np.cumsum(x, 1))
samples("cumprod", uniform(-2, 2, 2, 4), axis=1, dtypes="dD", analytic=True,
        reference=lambda x: np.cumprod(x, 1))  # fmt: skip
samples("cumprod", given([2.0, 0.0, 3.0, 0.0, 5.0]), axis=0, reference=np.cumprod, analytic=True)
for _name, _ufunc in (("cummax", np.maximum), ("cummin", np.minimum)):
    samples(_name, normal(3, 5), axis=1, reference=lambda x, f=_ufunc: f.accumulate(x, 1))

# --- products -----------------------------------------------------------------------------------

samples("contract", normal(3, 4), normal(4, 2), axes=((1,), (0,)), batch=((), ()), dtypes="fdD",
        reference=lambda x, y: x @ y)  # fmt: skip
samples("contract", normal(4), normal(4), axes=((0,), (0,)), batch=((), ()), reference=np.dot)
samples("contract", normal(2, 3, 4), normal(4, 2, 5), axes=((2,), (0,)), batch=((0,), (1,)),
        reference=lambda x, y: np.einsum("bij,jbk->bik", x, y))  # fmt: skip
samples("contract", normal(2, 3, 4), normal(4, 5, 3), axes=((1, 2), (2, 0)), batch=((), ()),
        reference=lambda x, y: np.einsum("aij,jki->ak", x, y))  # fmt: skip
samples("contract", normal(2), normal(3), axes=((), ()), batch=((), ()), reference=np.outer)
samples("contract", normal(2, 0), normal(0, 3), axes=((1,), (0,)), batch=((), ()),
        reference=lambda x, y: x @ y)  # fmt: skip
