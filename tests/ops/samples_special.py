"""Rows for special functions. Where differences of mpmath lose a tail, the slope is written out."""

import numpy as np
from mpmath import inf, mp, mpf

from tests.ops.table import given, literal, log_uniform, normal, samples, uniform

# --- error functions ----------------------------------------------------------------------------


def _gauss(x):
    return 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)


def _normal_density(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def _erfcx(x, n=0):
    """exp(x^2) times the n-th repeated integral of erfc."""
    if n == 0 and x < 50:
        return mp.exp(x * x) * mp.erfc(x)
    if n == 0:
        return mp.hypercomb(lambda: [([x], [-1], [], [], [1, 0.5], [], -1 / (x * x))], [])
    return 2 ** (-n) * mp.hyperu((n + mpf(1)) / 2, 0.5, x * x) / mp.sqrt(mp.pi) if x > 0 else None


def _log_ndtr(x):
    if x > 0:
        return mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2)
    return mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


def _mills(x):
    """phi / Phi, with guard digits for the far left tail."""
    with mp.extradps(30):
        if x < -30:
            z = -x / mp.sqrt(2)
            return mp.sqrt(2 / mp.pi) / (mp.hyperu(0.5, 0.5, z * z) / mp.sqrt(mp.pi))
        return _normal_density(x) / mp.ncdf(x)


def _ndtri(p):
    with mp.extradps(30 + max(0, -int(mp.log10(p)))):
        return -mp.sqrt(2) * mp.erfinv(1 - 2 * p)


samples("exp_square", uniform(-3, 3), halves=-2, dtypes="efdFD", extra=[0.0, 26.0, -11.3],
        truth=lambda x, halves: mp.exp(halves * x * x / 2))  # fmt: skip
samples("exp_square", uniform(-3, 3), halves=-1, extra=[37.3, -20.1],
        truth=lambda x, halves: mp.exp(halves * x * x / 2))  # fmt: skip
samples("erf", uniform(-3, 3), truth=mp.erf, slopes=(_gauss,), dtypes="efdFD",
        extra=[0.0, 1e-200, 6.5, -26.0])  # fmt: skip
samples("erfc", uniform(-3, 3), truth=mp.erfc, slopes=(lambda x: -_gauss(x),), dtypes="efdFD",
        value_ulps=256, extra=[0.0, 26.0, -7.5])  # fmt: skip
samples("erfi", uniform(-3, 3), truth=mp.erfi, dtypes="efd", value_ulps=64, extra=[0.0, 20.0])
samples("erfcx", uniform(-2, 9), truth=_erfcx, dtypes="efd", value_ulps=16, second=1e-13,
        extra=[0.0, 1.0, 2.5, 6.0, 45.0])  # fmt: skip
for _n in (1, 3):
    samples("erfcx_integral", uniform(0.1, 9), n=_n, truth=_erfcx, value_ulps=64,
            extra=[1.0, 2.5, 6.0, 1e5])  # fmt: skip
samples("erfinv", uniform(-0.99, 0.99), truth=mp.erfinv, dtypes="efd", second=1e-12,
        slopes=(lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(mp.erfinv(x) ** 2),),
        extra=[0.0, 1 - 1e-12, -0.5])  # fmt: skip
samples("erfcinv", uniform(0.01, 1.99), dtypes="efd",
        truth=lambda x: -_ndtri(x / 2) / mp.sqrt(2),
        second=1e-12, extra=[0.5, 1e-12, 1e-200, 1.5],
        slopes=(lambda x: -mp.sqrt(mp.pi) / 2 * mp.exp(_ndtri(x / 2) ** 2 / 2),))  # fmt: skip
samples("ndtr", uniform(-3, 3), truth=mp.ncdf, slopes=(_normal_density,), dtypes="efd",
        value_ulps=2048, extra=[0.0, 9.0, -37.0])  # fmt: skip
samples("log_ndtr", uniform(-9, 3), truth=_log_ndtr, slopes=(_mills,), dtypes="efd",
        value_ulps=1024, extra=[0.0, 30.0, -40.0, -1e5])  # fmt: skip
samples("ndtri", uniform(0.01, 0.99), truth=_ndtri, dtypes="efd", value_ulps=16,
        slopes=(lambda p: mp.sqrt(2 * mp.pi) * mp.exp(_ndtri(p) ** 2 / 2),),
        second=1e-12, extra=[0.25, 1e-12, 1e-200, 1 - 1e-10])  # fmt: skip

# --- logistic -----------------------------------------------------------------------------------


def _expit(x):
    return 1 / (1 + mp.exp(-x))


samples("expit", uniform(-5, 5), truth=_expit, slopes=(lambda x: _expit(x) * _expit(-x),),
        dtypes="efd", extra=[0.0, 40.0, -700.0, 700.0])  # fmt: skip
samples("logit", uniform(0.01, 0.99), truth=lambda x: -mp.log(1 / x - 1), dtypes="efd",
        value_ulps=16, extra=[1e-300, 1 - 1e-12])  # fmt: skip
samples("log_expit", uniform(-5, 5), truth=lambda x: -mp.log1p(mp.exp(-x)), dtypes="efd",
        slopes=(lambda x: _expit(-x),), extra=[0.0, 40.0, -800.0, 700.0])  # fmt: skip


def _softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


for _name in ("softmax", "softmax_shares"):
    samples(_name, normal(3, 4), axes=(1,), dtypes="efd", reference=lambda x: _softmax(x, 1))
    samples(_name, given([1000.0, 999.0, -1000.0]), axes=(0,), reference=lambda x: _softmax(x, 0))
samples("log_softmax", normal(3, 4), axes=(0, 1), dtypes="fd",
        reference=lambda x: np.log(_softmax(x, (0, 1))))  # fmt: skip
samples("logsumexp", normal(3, 4), axes=(0,), dtypes="efd",
        reference=lambda x: np.log(np.exp(x).sum(0)))  # fmt: skip
samples("logsumexp", given([1000.0, 999.0, 1000.0]), axes=(0,),
        reference=lambda x: 1000 + np.log(2 + np.exp(-1)))  # fmt: skip

# --- gamma --------------------------------------------------------------------------------------

_LOG_GAMMA = dict(truth=lambda x: mp.re(mp.loggamma(x)), slopes=(lambda x: mp.psi(0, x),))
samples("gamma", log_uniform(0.01, 20), truth=mp.gamma, dtypes="efd", value_ulps=16,
        slopes=(lambda x: mp.gamma(x) * mp.psi(0, x),), extra=[-0.7, -3.3, 150.0])  # fmt: skip
samples("gammaln", log_uniform(0.01, 90), **_LOG_GAMMA, dtypes="efd", value_ulps=256,
        extra=[-0.7, -3.3, 1e10])  # fmt: skip
samples("loggamma", log_uniform(0.01, 90), **_LOG_GAMMA, dtypes="efd", value_ulps=256)
samples("psi", log_uniform(0.01, 90), truth=lambda x: mp.psi(0, x), dtypes="efd", value_ulps=16,
        slopes=(lambda x: mp.psi(1, x),), extra=[-0.7, -3.3, -77.7, 1e10])  # fmt: skip
for _n in (1, 4):
    samples("polygamma", log_uniform(0.01, 90), n=_n, truth=lambda x, n: mp.psi(n, x),
            slopes=(lambda x, n: mp.psi(n + 1, x),), value_ulps=64,
            extra=[-0.7, -3.3, -77.7, 1e10])  # fmt: skip


def _difference(a, b, n):
    with mp.extradps(30):
        return mp.psi(n, a + b) - mp.psi(n, a)


for _n in (0, 1):
    samples("polygamma_difference", log_uniform(1e-2, 1e3), log_uniform(1e-6, 1e3), n=_n,
            truth=_difference, value_ulps=16, extra=[(1e8, 1e-3), (0.5, -0.2)],
            slopes=(lambda a, b, n: _difference(a, b, n + 1),
                    lambda a, b, n: mp.psi(n + 1, a + b)))  # fmt: skip
samples("beta", log_uniform(0.1, 9), log_uniform(0.1, 9), truth=mp.beta, dtypes="efd",
        value_ulps=64)  # fmt: skip
samples("betaln", log_uniform(0.1, 90), log_uniform(0.1, 90), value_ulps=2048, dtypes="efd",
        truth=lambda a, b: mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b))  # fmt: skip
samples("betaln", given([1e6]), given([1e-3]), value_ulps=inf,  # SciPy's value cancels
        truth=lambda a, b: mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b))  # fmt: skip
samples("poch", uniform(0.5, 9), uniform(0.5, 9), truth=mp.rf, dtypes="efd", value_ulps=256)
samples("zeta", literal(3.0), uniform(0.5, 9), truth=mp.zeta, value_ulps=16)

# --- incomplete gamma and beta ------------------------------------------------------------------


def _gamma_density(a, x):
    return mp.exp((a - 1) * mp.log(x) - x - mp.loggamma(a))


def _beta_density(a, b, x):
    return mp.exp((a - 1) * mp.log(x) + (b - 1) * mp.log(1 - x)) / mp.beta(a, b)


def _gammainc(a, x):
    return mp.gammainc(a, 0, x, regularized=True)


def _gammaincc(a, x):
    return mp.gammainc(a, x, inf, regularized=True)


def _betainc(a, b, x):
    return mp.betainc(a, b, 0, x, regularized=True)


_AX = (uniform(0.5, 9), uniform(0.5, 9))
_ABX = (uniform(0.5, 9), uniform(0.5, 9), uniform(0.05, 0.95))
samples("gamma_density", *_AX, truth=_gamma_density, value_ulps=128,
        extra=[(300.0, 310.0), (0.01, 1e-9)])  # fmt: skip
samples("gammainc", *_AX, truth=_gammainc, value_ulps=128, dtypes="fd",
        slopes=(None, _gamma_density), extra=[(0.01, 1e-9), (40.0, 45.0)])  # fmt: skip
samples("gammaincc", *_AX, truth=_gammaincc, value_ulps=128, dtypes="fd",
        slopes=(None, lambda a, x: -_gamma_density(a, x)))  # fmt: skip
samples("gammainc_by_a", uniform(0.5, 9), uniform(0.5, 9), n=1, value_ulps=128, smooth=False,
        truth=lambda a, x, n: mp.diff(lambda q: _gammainc(q, x), a, n))  # fmt: skip
# Where mpmath is slow, second derivatives are tested on rows without it.
samples("gammainc_by_a", *_AX, n=2)
samples("betainc", *_ABX)
samples("betainc_by", *_ABX, i=1, j=0)
samples("betainc_by", *_ABX, i=1, j=1)
samples("beta_density", *_ABX, truth=_beta_density, value_ulps=128,
        extra=[(300.0, 200.0, 0.6)])  # fmt: skip
samples("betainc", *_ABX, truth=_betainc, value_ulps=128, dtypes="fd", smooth=False,
        slopes=(None, None, _beta_density), extra=[(40.0, 50.0, 0.45)])  # fmt: skip
samples("betaincc", *_ABX, truth=lambda a, b, x: _betainc(b, a, 1 - x), value_ulps=128,
        smooth=False, slopes=(None, None, lambda a, b, x: -_beta_density(a, b, x)))  # fmt: skip
samples("betainc_by", uniform(0.5, 9), uniform(0.5, 9), literal(0.375), i=1, j=0, smooth=False,
        ulps=1e5,  # second derivatives have zeros
        truth=lambda a, b, x, i, j: mp.diff(lambda q: _betainc(q, b, x), a),
        value_ulps=128)  # fmt: skip
# The inverses, at values that a direct function gave.
samples("gammaincinv", uniform(0.5, 9), uniform(0.1, 0.9), tolerance=1e-6)
samples("gammainccinv", uniform(0.5, 9), uniform(0.1, 0.9), tolerance=1e-6)
samples("betaincinv", uniform(0.5, 9), uniform(0.5, 9), uniform(0.1, 0.9), tolerance=1e-6)

# --- Bessel -------------------------------------------------------------------------------------


def _i0e_moment(x, n):
    def weighted(t):
        return (1 - mp.cos(t)) ** n * mp.exp(-abs(x) * (1 - mp.cos(t)))

    return mp.quad(weighted, mp.linspace(0, mp.pi, 9)) / mp.pi


for _name, _truth in (
    ("i0", lambda x: mp.besseli(0, x)),
    ("i1", lambda x: mp.besseli(1, x)),
    ("i0e", lambda x: mp.besseli(0, x) * mp.exp(-abs(x))),
    ("i1e", lambda x: mp.besseli(1, x) * mp.exp(-abs(x))),
):
    samples(_name, uniform(0.1, 20), truth=_truth, dtypes="efd", value_ulps=16,
            second=1e-13, extra=[-3.5, 1e-6, 500.0, 29.9, 30.1])  # fmt: skip
samples("i0e_moment", uniform(0.1, 20, 3), n=1, truth=_i0e_moment, value_ulps=16,
        slopes=(lambda x, n: -mp.sign(x) * _i0e_moment(x, n + 1),),
        smooth=False, extra=[-7.0, 31.0])  # fmt: skip
samples("i0e_moment", uniform(0.1, 40), n=1)
for _name, _truth in (
    ("j0", lambda x: mp.besselj(0, x)),
    ("j1", lambda x: mp.besselj(1, x)),
    ("y0", lambda x: mp.bessely(0, x)),
    ("y1", lambda x: mp.bessely(1, x)),
):
    samples(_name, uniform(0.1, 20), truth=_truth, dtypes="efd", value_ulps=256)
samples("k0", uniform(0.1, 20), truth=lambda x: mp.besselk(0, x), dtypes="efd", value_ulps=16,
        slopes=(lambda x: -mp.besselk(1, x),), smooth=False)  # fmt: skip
samples("k1", uniform(0.1, 20), truth=lambda x: mp.besselk(1, x), dtypes="efd", value_ulps=16,
        slopes=(lambda x: -(mp.besselk(0, x) + mp.besselk(2, x)) / 2,), smooth=False)  # fmt: skip
samples("k0", uniform(0.1, 20))
samples("k1", uniform(0.1, 20))
for _name, _truth in (
    ("iv", mp.besseli),
    ("jv", mp.besselj),
    ("yv", mp.bessely),
    ("kv", mp.besselk),
):
    samples(_name, given([0.0, 1.0, 2.0, 0.5, 2.5]), given([0.3, 1.7, 9.0, 4.0, 2.0]),
            active=(1,), truth=_truth, value_ulps=256)  # fmt: skip

# --- logarithms times numbers, and losses ---------------------------------------------------------

_POSITIVE = (log_uniform(1e-2, 1e2), log_uniform(1e-2, 1e2))
samples("xlogy", *_POSITIVE, truth=lambda x, y: x * mp.log(y), dtypes="efdFD")
samples("xlogy", literal(0.0), uniform(0.5, 9), truth=lambda x, y: x * mp.log(y))
samples("xlog1py", *_POSITIVE, truth=lambda x, y: x * mp.log1p(y), dtypes="efd", value_ulps=8)
samples("entr", log_uniform(1e-2, 1e2), truth=lambda x: -x * mp.log(x), dtypes="efd",
        extra=[0.36, 0.37, 1e-300], value_ulps=8)  # fmt: skip
samples("log_ratio", *_POSITIVE, truth=lambda x, y: mp.log(x / y), extra=[(1.0, 1.0 + 1e-9)])
samples("rel_entr", *_POSITIVE, truth=lambda x, y: x * mp.log(x / y), dtypes="efd",
        value_ulps=64)  # fmt: skip
samples("kl_div", *_POSITIVE, truth=lambda x, y: x * mp.log(x / y) - x + y, dtypes="efd",
        value_ulps=256)  # fmt: skip
samples("kl_div", given([1.0]), given([1.0 + 2.0**-30]), value_ulps=inf,  # SciPy's value cancels
        truth=lambda x, y: x * mp.log(x / y) - x + y)  # fmt: skip
samples("exprel", uniform(-3, 3), truth=lambda x: mp.expm1(x) / x, dtypes="efd",
        extra=[1e-9, 700.0, -700.0])  # fmt: skip
samples("exp_moment", uniform(-9, 9), n=2, value_ulps=16,
        truth=lambda z, n: mp.hyp1f1(n + 1, n + 2, z) / (n + 1))  # fmt: skip
samples("boxcox", log_uniform(0.1, 9), uniform(-2, 2), truth=lambda x, p: (x**p - 1) / p,
        dtypes="efd", value_ulps=32, extra=[(2.0, 1e-9)])  # fmt: skip
samples("boxcox1p", log_uniform(0.1, 9), uniform(-2, 2), dtypes="efd", value_ulps=32,
        truth=lambda x, p: mp.expm1(p * mp.log1p(x)) / p)  # fmt: skip
samples("huber", uniform(1, 2), uniform(-5, 5), dtypes="efd", value_ulps=8,
        truth=lambda d, r: d * (abs(r) - d / 2) if abs(r) > d else r * r / 2)  # fmt: skip
samples("pseudo_huber", uniform(1, 2), uniform(-5, 5), dtypes="efd", value_ulps=8,
        truth=lambda d, r: d * d * (mp.sqrt(1 + (r / d) ** 2) - 1))  # fmt: skip
samples("exp1", log_uniform(1e-3, 20), truth=mp.e1, dtypes="efd", value_ulps=8)
samples("expi", uniform(0.1, 20), truth=mp.ei, dtypes="efd", value_ulps=64, extra=[-3.0])
samples("expn", given([0.0, 1.0, 2.0, 3.0]), given([0.5, 0.7, 2.0, 9.0]), active=(1,),
        truth=mp.expint, value_ulps=8)  # fmt: skip
samples("sinc", uniform(-2, 2), truth=mp.sincpi, dtypes="efd", value_ulps=256, ulps=64,
        extra=[0.0, 1e-9, 0.5, -0.5])  # fmt: skip
