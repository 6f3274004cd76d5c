"""Elementary functions for samplers: the same bits on every machine.

The C library's log and exp differ in the last bit from one system to the next, and NumPy's from
both. These use only operations that IEEE 754 rounds correctly (+, -, *, /, sqrt, rint), integer
arithmetic, comparisons and selections, so a draw has the same bits wherever it is made. Nothing
here may be contracted into a fused multiply-add.

Value     log and exp within 1 ulp, expm1 and log1p within 2, tan_pi within 3 (float64; measured
          against mpmath in the tests). float32 arguments are computed in float64 and rounded.
Slope     1 / x, exp(x), exp(x): those of the functions that they stand for.
Source    log, exp, sin and cos: coefficients of fdlibm (Sun Microsystems 1993); Stirling's error
          and the deviance: Loader, "Fast and accurate computation of binomial probabilities",
          2000; log1p: Kahan's correction, HP-15C handbook 1982.
"""

import numpy as np

from chainrule.program.op import elementwise

LN2_HIGH = 6.93147180369123816490e-01  # its last 32 bits are zero: k * LN2_HIGH is exact
LN2_LOW = 1.90821492927058770002e-10
LOG = (
    6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
    2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
    1.479819860511658591e-01,
)  # fmt: skip
EXP = (
    1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05,
    -1.65339022054652515390e-06, 4.13813679705723846039e-08,
)  # fmt: skip
SIN = (
    -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04,
    2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10,
)  # fmt: skip
COS = (
    4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05,
    -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11,
)  # fmt: skip
LN2 = 0.693147180559945309417
ONE_OVER_LN2 = 1.44269504088896340736
HALF_LOG_TWO_PI = 0.918938533204672741780
PI = 3.14159265358979323846


def polynomial(x, coefficients):
    """The polynomial with these coefficients, lowest first, by Horner's rule."""
    total = x * coefficients[-1]
    for c in coefficients[-2:0:-1]:
        total += c
        total *= x
    total += coefficients[0]
    return total


ONE = np.int64(0x3FF0000000000000)
SQRT_HALF = np.int64(0x3FE6A09E00000000)  # the bits of sqrt(1/2), rounded down
FRACTION = np.int64(0x000FFFFFFFFFFFFF)


def log_of_normal(x):
    """log(x) of an array of positive, finite, normal float64s."""
    bits = x.view(np.int64) + (ONE - SQRT_HALF)
    k = ((bits >> 52) - 1023).astype(np.float64)
    f = ((bits & FRACTION) + SQRT_HALF).view(np.float64) - 1.0  # in [sqrt(1/2), sqrt(2)) - 1
    s = f / (2.0 + f)
    z = s * s
    half_square = 0.5 * (f * f)
    r = z * polynomial(z, LOG)
    return k * LN2_HIGH - ((half_square - (s * (half_square + r) + k * LN2_LOW)) - f)


def log(x):
    """log(x) of any float64 array; -inf at 0, nan below."""
    x = np.asarray(x, np.float64)
    tiny = x < np.finfo(np.float64).tiny
    inside = (x > 0) & (x < np.inf)
    safe = np.where(inside, np.where(tiny, np.where(tiny, x, 0.0) * 2.0**54, x), 1.0)
    out = log_of_normal(safe) - np.where(tiny, 54.0, 0.0) * LN2
    edge = np.where(x == 0, -np.inf, np.where(x == np.inf, np.inf, np.nan))
    return np.where(inside, out, edge)


def _reduced_exp(x):
    """k and e with exp(x) = 2**k * (1 + e), for |x| < 1000 and e near [-0.3, 0.42]."""
    k = np.rint(x * ONE_OVER_LN2)
    high = x - k * LN2_HIGH
    low = k * LN2_LOW
    r = high - low
    t = r * r
    c = r - t * polynomial(t, EXP)
    return k.astype(np.int64), high - (low - (r * c) / (2.0 - c))


def exp(x):
    """exp(x) of any float64 array."""
    x = np.asarray(x, np.float64)
    k, e = _reduced_exp(np.clip(np.where(x == x, x, 0.0), -800.0, 800.0))
    return np.where(x == x, times_power_of_two(1.0 + e, k), x)


def expm1(x):
    """exp(x) - 1 of any float64 array, without cancellation near 0."""
    x = np.asarray(x, np.float64)
    k, e = _reduced_exp(np.clip(np.where(x == x, x, 0.0), -100.0, 800.0))
    one = times_power_of_two(np.ones_like(e), k - 1)  # halves: 2**1024 would overflow
    half = times_power_of_two(e, k - 1) + (one - 0.5)
    out = np.where(k == 0, e, 2.0 * half)
    return np.where((x == x) & (x != 0), out, x)


def times_power_of_two(x, k):
    """x * 2**k for x near 1, rounded once: subnormal results included."""
    first = np.clip(k, -1000, 1000)
    return (x * _power_of_two(first)) * _power_of_two(k - first)


def _power_of_two(k):
    return ((np.clip(k, -1022, 1023) + 1023) << 52).view(np.float64)


def log1p(x):
    """log(1 + x) of any float64 array."""
    x = np.asarray(x, np.float64)
    u = 1.0 + x
    lost = np.where((u > 0) & (u < np.inf), x - (u - 1.0), 0.0)
    return np.where(u == 1.0, x, log(u) + lost / np.where(u > 0, u, 1.0))


def tan_pi(q, complement):
    """tan(pi q) for q in (0, 1/2), where `complement` is 1/2 - q, known exactly."""
    small = np.minimum(q, complement) * PI
    z = small * small
    sine = small + small * z * polynomial(z, SIN)
    cosine = 1.0 - (0.5 * z - z * z * polynomial(z, COS))
    near = q < complement
    return np.where(near, sine, cosine) / np.where(near, cosine, sine)


# --- what Poisson and binomial probabilities need -----------------------------------------------

STIRLING_TABLE = np.array([
    0.0, 0.08106146679532725822, 0.04134069595540929409, 0.02767792568499833915,
    0.02079067210376509311, 0.01664469118982119216, 0.01387612882307074800,
    0.01189670994589177010, 0.01041126526197209650, 0.00925546218271273292,
    0.00833056343336287126, 0.00757367548795184079, 0.00694284010720952987,
    0.00640899418800420707, 0.00595137011275884774, 0.00555473355196280137,
])  # fmt: skip
STIRLING_SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)


def stirling_error(n):
    """log(n!) - log(sqrt(2 pi n) (n / e)**n) of whole float64s n >= 0 (0 at n = 0)."""
    table = STIRLING_TABLE[np.clip(n, 0, 15).astype(np.int64)]
    large = np.maximum(n, 16.0)
    return np.where(n < 16, table, polynomial(1.0 / (large * large), STIRLING_SERIES) / large)


def deviance(x, mean):
    """x log(x / mean) + mean - x, for x >= 0 and mean > 0: no cancellation where they are near."""
    difference, total = x - mean, x + mean
    ratio = difference / total
    series = _deviance_series(x, difference, ratio)
    quotient = np.where(x > 0, x / mean, 1.0)
    return np.where(
        np.abs(difference) < 0.1 * total, series, x * log_of_normal(quotient) + mean - x
    )


def _deviance_series(x, difference, ratio):
    """2 x (v**3 / 3 + v**5 / 5 + ...) + (x - mean) v, where v = (x - mean) / (x + mean) < 0.1."""
    square = np.minimum(ratio * ratio, 0.01)
    odd = tuple(1.0 / (2 * j + 3) for j in range(8))
    return difference * ratio + 2.0 * x * ratio * square * polynomial(square, odd)


def log_poisson(k, mean):
    """The log of the Poisson probability of the whole float64s k >= 0."""
    positive = np.maximum(k, 1.0)
    normal = -stirling_error(k) - deviance(k, mean) - 0.5 * log_of_normal(positive)
    return np.where(k > 0, normal - HALF_LOG_TWO_PI, -mean)


def log_binomial(k, n, p):
    """The log of the binomial probability of whole float64s 0 <= k <= n, for 0 < p < 1."""
    q = 1.0 - p
    rest = n - k
    inside = (k > 0) & (rest > 0)
    core = stirling_error(n) - stirling_error(k) - stirling_error(rest)
    core = core - deviance(k, n * p) - deviance(rest, n * q)
    odds = np.where(inside, n / (np.maximum(k, 1.0) * np.maximum(rest, 1.0)), 1.0)
    normal = core + 0.5 * log_of_normal(odds) - HALF_LOG_TWO_PI
    return np.where(inside, normal, np.where(k > 0, n * log(p), n * log1p(-p)))


# --- as operations: samplers written in the surface language use these --------------------------


def _rounded(function):
    def evaluate(x):
        dtype = np.asarray(x).dtype
        with np.errstate(all="ignore"):
            return function(x).astype(dtype)[()]

    return evaluate


portable_log = elementwise(
    "portable_log", _rounded(log), (lambda x, out: 1.0 / x,), "float",
    doc="log(x), with the same bits on every machine",
)  # fmt: skip
portable_exp = elementwise(
    "portable_exp", _rounded(exp), (lambda x, out: out,), "float",
    doc="exp(x), with the same bits on every machine",
)  # fmt: skip
portable_expm1 = elementwise(
    "portable_expm1", _rounded(expm1), (lambda x, out: portable_exp(x),), "float",
    doc="exp(x) - 1, with the same bits on every machine",
)  # fmt: skip
