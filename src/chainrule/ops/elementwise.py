"""Elementwise arithmetic, powers, exponentials, logarithms, trigonometric and hyperbolic functions.

Value     NumPy's own function, for every real (and, where it is analytic, complex) argument.
Slope     the partial derivatives below; `x, y` are the inputs, `out` the value.
Edges     products in rules are `scale` (an exact zero annihilates), so an infinite slope of a
          branch that is not taken never spoils the branch that is.
Source    Abramowitz and Stegun, chapters 4 and 6; conventions at ties: docs/ops.md.
"""

import math
import operator

import numpy as np

from chainrule.ops.compare import (
    equal,
    greater,
    greater_equal,
    isinf,
    less,
    less_equal,
    signbit,
)
from chainrule.ops.select import constant_like, select
from chainrule.program.exact import LN2, LN10, exact_result, log_of
from chainrule.program.op import (
    TAKES,
    Bilinear,
    Constant,
    Discrete,
    Edge,
    Linear,
    Op,
    elementwise,
    elementwise_type,
)
from chainrule.program.trace import is_traced
from chainrule.program.types import Type, array_type


def _ones(*_):
    return 1.0


def _minus_ones(*_):
    return -1.0


# --- the product of derivatives -----------------------------------------------------------------


def _scale(p, t):
    product = p * t
    flat = product.ravel() if isinstance(product, np.ndarray) else product
    norm = np.nan if flat.dtype == np.float16 else np.vdot(flat, flat)
    if norm != norm:  # one cheap pass finds out whether any nan is there to be looked at
        lost = (product != product) & ((p == 0) | (t == 0))
        return np.where(lost, product.dtype.type(0), product)[()]
    return product


def _scalar_scale(p, t):
    product = p * t
    if product != product and (p == 0 or t == 0):
        return type(product)(0)
    return product


def _scale_value(p, t):
    """p * t, and exactly 0 where either is exactly 0 (0 * inf and 0 * nan are 0)."""
    if isinstance(p, np.ndarray) or isinstance(t, np.ndarray):
        return _scale(p, t)
    return _scalar_scale(p, t)


add = elementwise("add", operator.add, (_ones, _ones), takes="any")
subtract = elementwise("subtract", operator.sub, (_ones, _minus_ones), takes="number")
multiply = elementwise(
    "multiply", operator.mul, (lambda x, y, out: y, lambda x, y, out: x), takes="any"
)


def conj(x):
    """The complex conjugate of a traced or NumPy value; x itself where it is real."""
    if isinstance(x, int | float):
        return x
    if x.dtype.kind != "c":
        return x
    return conjugate(x) if is_traced(x) else np.conj(x)


def scale_type(p: Type, t: Type) -> tuple[Type, ...]:
    if p.dtype != t.dtype or (p.shape != t.shape and () not in (p.shape, t.shape)):
        raise TypeError(f"scale needs equal types, got {p} and {t}")
    return (p if p.ndim else t,)


scale = Op(
    "scale",
    scale_type,
    _scale_value,
    Bilinear(
        left=lambda ct, p, t: scaled(conj(t), ct),
        right=lambda ct, p, t: scaled(conj(p), ct),
    ),
    elementwise=True,
    doc="p * t, linear in each, and exactly 0 where either is exactly 0, whatever the other is",
)

def scaled(p, t):
    """scale(p, t), as a plain product where t is a known number (such as the cotangent 1)."""
    number = t._var.value if is_traced(t) and t._var.is_literal else None
    if number is None or number == 0 or not np.isfinite(number):
        return scale(p, t)
    return p if number == 1 else multiply(p, t)


# --- arithmetic ---------------------------------------------------------------------------------

negative = elementwise("negative", operator.neg, (_minus_ones,), takes="number")
divide = elementwise(
    "divide",
    operator.truediv,
    (lambda x, y, out: _inverse(y), lambda x, y, out: -out / y),
    ulps=4,
)
reciprocal = elementwise("reciprocal", np.reciprocal, (lambda x, out: -(out * out),), "number")
floor_divide = elementwise("floor_divide", np.floor_divide, Constant(), takes="real")
remainder = elementwise(
    "remainder", np.remainder, (_ones, lambda x, y, out: -floor(x / y)), takes="real"
)
fmod = elementwise("fmod", np.fmod, (_ones, lambda x, y, out: -trunc(x / y)), takes="real")
absolute = elementwise(
    "absolute", np.absolute, (lambda x, out: sign(x),), takes="real",
    edges=(Edge(0.0, 0.0, 0.0), Edge(-math.inf, math.inf, -1.0)),
)  # fmt: skip
sign: Op = elementwise("sign", np.sign, Constant(), takes="real")
square = elementwise("square", np.square, (lambda x, out: 2.0 * x,), takes="number")


def _power_by_base(x, y, out):
    if _is_array(y):
        return scale(y, x ** (y - 1))
    return y * x ** _one_less(y) if y else 0.0  # x ** 0 is 1 everywhere, also at 0


def _inverse(y):
    """1 / y; where floating point rounds it, a float that remembers the quotient."""
    is_real = not _is_array(y) and not np.iscomplexobj(y)
    exact = exact_result("divide", (1.0, y)) if is_real else None
    return 1.0 / y if exact is None else exact


def _one_less(y):
    """y - 1; where floating point rounds it, a float that remembers the difference."""
    exact = None if np.iscomplexobj(y) else exact_result("subtract", (y, 1.0))
    return y - 1 if exact is None else exact


def _log_of_base(x):
    """log(x); of a number, a float that remembers it."""
    known = not _is_array(x) and not np.iscomplexobj(x) and 0.0 < x < math.inf and x != 1
    return log_of(x) if known else log(x)


def _is_array(value) -> bool:
    return is_traced(value) or not isinstance(value, int | float | complex | np.generic)


power = elementwise(
    "power",
    np.power,
    (_power_by_base, lambda x, y, out: scale(out, _log_of_base(x))),
    takes="number",
    edges=(),
    doc="x ** y; the derivative by y is 0 where the value is 0",
)
sqrt = elementwise(
    "sqrt", np.sqrt, (lambda x, out: 0.5 / out,), edges=(Edge(0.0, 0.0, math.inf),)
)
cbrt = elementwise(
    "cbrt", np.cbrt, (lambda x, out: 1.0 / (3.0 * (out * out)),), takes="float",
    edges=(Edge(0.0, 0.0, math.inf),),
)  # fmt: skip

# --- exponentials and logarithms ----------------------------------------------------------------

exp = elementwise("exp", np.exp, (lambda x, out: out,), edges=(Edge(-math.inf, 0.0, 0.0),))
exp2 = elementwise("exp2", np.exp2, (lambda x, out: LN2 * out,))
expm1 = elementwise("expm1", np.expm1, (lambda x, out: exp(x),), edges=(Edge(-math.inf, -1, 0.0),))
log: Op = elementwise(
    "log", np.log, (lambda x, out: 1.0 / x,), edges=(Edge(0.0, -math.inf, math.inf),)
)
log2 = elementwise("log2", np.log2, (lambda x, out: (1.0 / LN2) / x,))
log10 = elementwise("log10", np.log10, (lambda x, out: (1.0 / LN10) / x,))
log1p = elementwise("log1p", np.log1p, (lambda x, out: 1.0 / (1.0 + x),))


def _share(x, y, power):
    """The weight of x beside y, 1 / (1 + power(y - x)); 1/2 where both are the same infinity."""
    tie = equal(x, y) & isinf(x)
    difference = select(tie, constant_like(x, 0.0), y - x)
    return 1.0 / (1.0 + power(difference))


logaddexp = elementwise(
    "logaddexp",
    np.logaddexp,
    (lambda x, y, out: _share(x, y, exp), lambda x, y, out: _share(y, x, exp)),
    takes="float",
)
logaddexp2 = elementwise(
    "logaddexp2",
    np.logaddexp2,
    (lambda x, y, out: _share(x, y, exp2), lambda x, y, out: _share(y, x, exp2)),
    takes="float",
)

# --- trigonometric ------------------------------------------------------------------------------

sin = elementwise("sin", np.sin, (lambda x, out: cos(x),))
cos: Op = elementwise("cos", np.cos, (lambda x, out: -sin(x),))
tan = elementwise("tan", np.tan, (lambda x, out: 1.0 + out * out,))


def _one_minus(x):
    """1 - x; for complex x with the sign of a zero imaginary part, the side of a branch cut."""
    return -(x - 1.0) if x.dtype.kind == "c" else 1.0 - x


arcsin = elementwise("arcsin", np.arcsin, (lambda x, out: 1.0 / sqrt(_one_minus(x) * (1.0 + x)),))
arccos = elementwise("arccos", np.arccos, (lambda x, out: -1.0 / sqrt(_one_minus(x) * (1.0 + x)),))
arctan = elementwise("arctan", np.arctan, (lambda x, out: 1.0 / (1.0 + x * x),))


def _over_norm(x, norm):
    """x / norm, and 0 at the origin: the subgradient of least norm."""
    return select(equal(norm, 0.0), constant_like(x, 0.0), x / norm)


hypot = elementwise(
    "hypot",
    np.hypot,
    (lambda x, y, out: _over_norm(x, out), lambda x, y, out: _over_norm(y, out)),
    takes="float",
)


def _arctan2_by_y(y, x, out):
    norm = hypot(y, x)
    return _over_norm(x, norm) / select(equal(norm, 0.0), constant_like(x, 1.0), norm)


arctan2 = elementwise(
    "arctan2",
    np.arctan2,
    (_arctan2_by_y, lambda y, x, out: -_arctan2_by_y(x, y, out)),
    takes="float",
)

# --- hyperbolic ---------------------------------------------------------------------------------

sinh = elementwise("sinh", np.sinh, (lambda x, out: cosh(x),))
cosh: Op = elementwise("cosh", np.cosh, (lambda x, out: sinh(x),))


def _tanh_slope(x, out):
    reciprocal_cosh = 1.0 / cosh(x)  # 1 - out**2 loses every digit where tanh is near 1
    return reciprocal_cosh * reciprocal_cosh


tanh = elementwise("tanh", np.tanh, (_tanh_slope,), edges=(Edge(math.inf, 1.0, 0.0),))
arcsinh = elementwise("arcsinh", np.arcsinh, (lambda x, out: 1.0 / _sqrt_one_plus_square(x),))
arccosh = elementwise(
    "arccosh", np.arccosh, (lambda x, out: 1.0 / (sqrt(x - 1.0) * sqrt(x + 1.0)),)
)
arctanh = elementwise("arctanh", np.arctanh, (lambda x, out: 1.0 / ((1.0 - x) * (1.0 + x)),))


def _sqrt_one_plus_square(x):
    return sqrt(1.0 + x * x) if x.dtype.kind == "c" else hypot(x, 1.0)


# --- choosing -----------------------------------------------------------------------------------


def _larger(x, y):
    """1 where x > y, 1/2 at a tie, else 0."""
    half = select(equal(x, y), constant_like(x, 0.5), constant_like(x, 0.0))
    return select(greater(x, y), constant_like(x, 1.0), half)


_first_larger = (lambda x, y, out: _larger(x, y), lambda x, y, out: _larger(y, x))
_first_smaller = (lambda x, y, out: _larger(y, x), lambda x, y, out: _larger(x, y))
maximum = elementwise("maximum", np.maximum, _first_larger, takes="any")
minimum = elementwise("minimum", np.minimum, _first_smaller, takes="any")


def _chosen(x, y, out):
    """The share of x in fmax and fmin, which ignore a nan."""
    at_tie = select(equal(x, y), constant_like(x, 0.5), constant_like(x, 1.0))
    return select(equal(out, x), at_tie, constant_like(x, 0.0))


_fchosen = (lambda x, y, out: _chosen(x, y, out), lambda x, y, out: _chosen(y, x, out))
fmax = elementwise("fmax", np.fmax, _fchosen, takes="any")
fmin = elementwise("fmin", np.fmin, _fchosen, takes="any")


def _one_where(condition, like):
    return select(condition, constant_like(like, 1.0), constant_like(like, 0.0))


def _inside(x, low, high, out):
    return _one_where(greater_equal(x, low) & less_equal(x, high), x)


clip = elementwise(
    "clip",
    lambda x, low, high: np.minimum(np.maximum(x, low), high),
    (
        _inside,
        lambda x, low, high, out: _one_where(less(x, low) & less_equal(low, high), out),
        lambda x, low, high, out: _one_where(greater(x, high) | greater(low, high), out),
    ),
    takes="any",
    doc="min(max(x, low), high); at a bound the derivative goes to x (a closed interval)",
)

# --- rounding and bits --------------------------------------------------------------------------

floor: Op = elementwise("floor", np.floor, Constant(), takes="real")
ceil = elementwise("ceil", np.ceil, Constant(), takes="real")
trunc: Op = elementwise("trunc", np.trunc, Constant(), takes="real")
rint = elementwise("rint", np.rint, Constant())
copysign = elementwise(
    "copysign",
    np.copysign,
    (lambda x, y, out: select(
        equal(signbit(x), signbit(y)), constant_like(x, 1.0), constant_like(x, -1.0)), None),
    takes="float",
)  # fmt: skip
heaviside = elementwise(
    "heaviside", np.heaviside, (None, lambda x, y, out: _one_where(equal(x, 0.0), x)), "float"
)
nextafter = elementwise("nextafter", np.nextafter, (_ones, None), takes="float")
spacing = elementwise("spacing", np.spacing, Constant(), takes="float")
gcd = elementwise("gcd", np.gcd, Discrete(), takes="integer")
lcm = elementwise("lcm", np.lcm, Discrete(), takes="integer")


def _bitwise_count_type(x: Type) -> tuple[Type, ...]:
    elementwise_type("bitwise_count", (x,), TAKES["integer"], None)
    return (x.with_dtype(np.uint8),)


bitwise_count = Op(
    "bitwise_count", _bitwise_count_type, np.bitwise_count, Discrete(), elementwise=True,
    doc="how many bits of |x| are 1, as uint8",
)  # fmt: skip

# --- complex parts ------------------------------------------------------------------------------


def _real_type(z: Type) -> tuple[Type, ...]:
    return (array_type(z.shape, np.dtype(z.dtype.char.lower())),)


def _complex_type(re: Type, im: Type) -> tuple[Type, ...]:
    out = re if re.ndim else im
    return (array_type(out.shape, np.dtype("complex64" if re.dtype.char == "f" else "complex128")),)


def _join(re, im):
    wide = np.complex64 if re.dtype == np.float32 else np.complex128
    out = np.empty(np.broadcast_shapes(np.shape(re), np.shape(im)), wide)
    out.real, out.imag = re, im
    return out[()]


# Transposes are taken in the real inner product Re(conj(u) v), so real and imag pair with join.
real = Op(
    "real", _real_type, np.real, Linear(lambda ct, z: (join(ct, constant_like(ct, 0.0)),)),
    elementwise=True, view=True, doc="the real part of a complex array",
)  # fmt: skip
imag = Op(
    "imag", _real_type, np.imag, Linear(lambda ct, z: (join(constant_like(ct, 0.0), ct),)),
    elementwise=True, view=True, doc="the imaginary part of a complex array",
)  # fmt: skip
join: Op = Op(
    "join", _complex_type, _join, Linear(lambda ct, re, im: (real(ct), imag(ct))),
    elementwise=True, doc="re + 1j * im",
)  # fmt: skip
conjugate: Op = Op(
    "conjugate", lambda z: (z,), np.conjugate, Linear(lambda ct, z: (conjugate(ct),)),
    elementwise=True, doc="the complex conjugate",
)  # fmt: skip
