"""Standard draws: uniform, normal, exponential, Gumbel, logistic, Laplace and Cauchy.

Each turns one random word into one number by the inverse of its distribution function, in float64:
64 bits for a float64 result, 32 for a float32 one (rounded at the end). A location and a scale are
ordinary arithmetic on the result, so derivatives pass through them by themselves.

Value     uniform in [0, 1), a multiple of 2**-53 (2**-24 in float32); the others from an open
          interval, so no logarithm of 0 is ever taken and every draw is finite.
Slope     none: a standard draw depends on nothing but the state.
Source    normal: Wichura, "Algorithm AS 241: the percentage points of the normal distribution",
          Applied Statistics 37, 1988 (PPND16, relative error 1e-16).
"""

from collections.abc import Callable

import numpy as np

from chainrule.ops.random import check_state, lanes_batch, transformed_bits
from chainrule.ops.samplers_elementary import log_of_normal, polynomial, tan_pi
from chainrule.program.op import Discrete, Op
from chainrule.program.types import Type, array_type

CENTRE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
     1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
     3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
     5.2264952788528545610e3),
)  # fmt: skip
TAIL = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9),
)  # fmt: skip
FAR_TAIL = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
     2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15),
)  # fmt: skip


def unit_interval(bits):
    """Uniform in [0, 1): the top 53 bits of a uint64, or the top 24 of a uint32, as a fraction."""
    if bits.dtype == np.uint32:
        return (bits >> 8).astype(np.float32) * np.float32(2.0**-24)
    return (bits >> np.uint64(11)).view(np.int64).astype(np.float64) * 2.0**-53


def open_interval(bits):
    """Uniform in (0, 1) and symmetric about 1/2, exactly: odd multiples of 2**-53 (or 2**-33)."""
    if bits.dtype == np.uint32:
        return (bits.astype(np.float64) + 0.5) * 2.0**-32
    return ((bits >> np.uint64(12)).view(np.int64).astype(np.float64) + 0.5) * 2.0**-52


def centred(bits):
    """Uniform q in [-1/2, 1/2], and 1/2 - |q| > 0: both to full relative precision."""
    if bits.dtype == np.uint32:
        whole, top, unit = bits.view(np.int32).astype(np.int64), 2**31 - 1, 2.0**-32
    else:
        whole, top, unit = bits.view(np.int64), 2**63 - 1, 2.0**-64
    magnitude = whole ^ (whole >> 63)
    q = (whole.astype(np.float64) + 0.5) * unit
    return q, ((np.int64(top) - magnitude).astype(np.float64) + 0.5) * unit


def _ratio(x, coefficients):
    return polynomial(x, coefficients[0]) / polynomial(x, coefficients[1])


def normal_from_bits(bits):
    """Standard normal: the normal quantile of one random word."""
    q, to_end = centred(bits)
    out = q * _ratio(0.180625 - q * q, CENTRE)
    tail = np.flatnonzero(to_end < 0.075)
    if tail.size:
        out[tail] = np.copysign(_tail_quantile(to_end[tail]), q[tail])
    return out


def _tail_quantile(p):
    """-z, where a share p < 0.075 of normal draws lies below z."""
    r = np.sqrt(-log_of_normal(p))
    z = _ratio(r - 1.6, TAIL)
    far = np.flatnonzero(r > 5.0)
    if far.size:
        z[far] = _ratio(r[far] - 5.0, FAR_TAIL)
    return z


def exponential_from_bits(bits):
    """Standard exponential: -log(u), from 2**-53 to 36.8."""
    return -log_of_normal(open_interval(bits))


def _gumbel(bits):
    return -log_of_normal(exponential_from_bits(bits))


def _logistic(bits):
    q, to_end = centred(bits)
    return np.copysign(log_of_normal((1.0 - to_end) / to_end), q)


def _laplace(bits):
    q, to_end = centred(bits)
    return np.copysign(log_of_normal(2.0 * to_end), q)


def _cauchy(bits):
    q, to_end = centred(bits)
    return np.copysign(tan_pi(np.abs(q), to_end), q)


def _standard_type(state: Type, *, shape, dtype, stream) -> tuple[Type, ...]:
    return (array_type(check_state(state) + shape, dtype),)


def _standard(name: str, from_bits: Callable, flops: int, doc: str) -> Op:
    def evaluate(state, *, shape, dtype, stream):
        width = 32 if dtype == np.float32 else 64
        return transformed_bits(state, shape, width, stream, from_bits, dtype)

    op: Op = Op(
        name, _standard_type, evaluate, Discrete(), lanes_batch(lambda: op),
        flops=lambda ins, outs, params: flops * outs[0].size, doc=doc,
    )  # fmt: skip
    return op


standard_uniform = _standard("standard_uniform", unit_interval, 18, "uniform in [0, 1)")
standard_normal = _standard("standard_normal", normal_from_bits, 60, "normal of mean 0, variance 1")
standard_exponential = _standard(
    "standard_exponential", exponential_from_bits, 50, "exponential of mean 1"
)
standard_gumbel = _standard("standard_gumbel", _gumbel, 80, "Gumbel: -log of an exponential")
standard_logistic = _standard("standard_logistic", _logistic, 50, "logistic: log(u / (1 - u))")
standard_laplace = _standard("standard_laplace", _laplace, 50, "Laplace: an exponential, signed")
standard_cauchy = _standard("standard_cauchy", _cauchy, 50, "Cauchy: tan(pi (u - 1/2))")
