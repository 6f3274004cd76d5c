"""Rows for distributions, the Faddeeva function, hypergeometric functions, and Bessel's relatives.

Where mpmath is slow, second derivatives are tested on rows without it.
"""

from mpmath import inf, mp, mpf

from tests.ops.table import given, log_uniform, samples, uniform

# --- distributions ------------------------------------------------------------------------------


def _lower(a, x):
    return mp.gammainc(a, 0, x, regularized=True)


def _upper(a, x):
    return mp.gammainc(a, x, inf, regularized=True)


def _beta_cdf(a, b, x):
    return mp.betainc(a, b, 0, x, regularized=True)


def _t_cdf(v, t):
    tail = _beta_cdf(v / 2, mpf(1) / 2, v / (v + t * t)) / 2
    return tail if t < 0 else 1 - tail


def _f_cdf(m, n, x):
    return _beta_cdf(m / 2, n / 2, m * x / (m * x + n))


_VX = (uniform(0.5, 9), uniform(0.5, 9))
_POINT = (uniform(0.5, 9), uniform(0.1, 0.9))
_RATE = (uniform(0.5, 2), *_VX)
_COUNTS = (given([0.0, 2.0, 5.0]), given([3.0, 4.0, 9.0]))
_CHANCE = given([0.2, 0.5, 0.9])
samples("chdtr", *_VX, truth=lambda v, x: _lower(v / 2, x / 2), value_ulps=128, smooth=False)
samples("chdtrc", *_VX, truth=lambda v, x: _upper(v / 2, x / 2), value_ulps=128, smooth=False)
samples("chdtr", *_VX, dtypes="fd")
samples("gdtr", *_RATE, truth=lambda a, b, x: _lower(b, a * x), value_ulps=128, smooth=False)
samples("gdtrc", *_RATE, truth=lambda a, b, x: _upper(b, a * x), value_ulps=128, smooth=False)
samples("gdtrc", *_RATE, dtypes="fd")
samples("gdtrix", uniform(0.5, 2), *_POINT, tolerance=1e-6)
samples("chdtri", *_POINT, tolerance=1e-6)
samples("pdtr", given([0.0, 2.0, 5.0]), uniform(0.5, 9, 3), active=(1,), value_ulps=128,
        truth=lambda k, m: _upper(k + 1, m))  # fmt: skip
samples("pdtrc", given([0.0, 2.0, 5.0]), uniform(0.5, 9, 3), active=(1,), value_ulps=128,
        truth=lambda k, m: _lower(k + 1, m))  # fmt: skip
samples("bdtr", *_COUNTS, _CHANCE, active=(2,), value_ulps=128,
        truth=lambda k, n, p: _beta_cdf(n - k, k + 1, 1 - p))  # fmt: skip
samples("bdtrc", *_COUNTS, _CHANCE, active=(2,), value_ulps=128,
        truth=lambda k, n, p: _beta_cdf(k + 1, n - k, p))  # fmt: skip
samples("bdtri", *_COUNTS, _CHANCE, active=(2,))
samples("nbdtr", *_COUNTS, _CHANCE, active=(2,), value_ulps=128,
        truth=lambda k, n, p: _beta_cdf(n, k + 1, p))  # fmt: skip
samples("nbdtrc", *_COUNTS, _CHANCE, active=(2,), value_ulps=128,
        truth=lambda k, n, p: _beta_cdf(k + 1, n, 1 - p))  # fmt: skip
samples("stdtr", uniform(0.5, 30), uniform(-3, 3), truth=_t_cdf, value_ulps=128, smooth=False,
        extra=[(5.0, 1e-3), (2.0, 40.0), (3.0, -20.0)])  # fmt: skip
samples("stdtr", uniform(0.5, 9), uniform(-3, 3), dtypes="fd")
samples("stdtrit", *_POINT, tolerance=1e-6)
samples("fdtr", uniform(0.5, 9), *_VX, truth=_f_cdf, value_ulps=128, smooth=False,
        extra=[(3.0, 4.0, 40.0), (3.0, 4.0, 1e-3)])  # fmt: skip
samples("fdtrc", uniform(0.5, 9), *_VX, value_ulps=128, smooth=False,
        truth=lambda m, n, x: _beta_cdf(n / 2, m / 2, n / (m * x + n)))  # fmt: skip
samples("fdtr", uniform(0.5, 9), *_VX, dtypes="fd")
samples("fdtri", uniform(2, 9), uniform(2, 9), uniform(0.1, 0.9), tolerance=1e-6)
samples("betainccinv", uniform(0.5, 9), *_POINT, tolerance=1e-6)

# --- Faddeeva -----------------------------------------------------------------------------------


def _w(z, n=0):
    """exp(-z^2) erfc(-i z), and its derivatives by their recurrence."""
    with mp.extradps(80):
        before, this = mpf(0), mp.exp(-z * z) * mp.erfc(-mp.j * z)
        if n:
            before, this = this, 2j / mp.sqrt(mp.pi) - 2 * z * this
        for k in range(1, n):
            before, this = this, -2 * z * this - 2 * k * before
        return this


def _dawson(x, n=0):
    return mp.sqrt(mp.pi) / 2 * mp.im(_w(mp.mpc(x), n))


def _voigt(x, sigma, gamma):
    return mp.re(_w((x + 1j * gamma) / (sigma * mp.sqrt(2)))) / (sigma * mp.sqrt(2 * mp.pi))


samples("wofz", uniform(-4, 4), truth=_w, dtypes="D", value_ulps=64, second=1e-10)
samples("wofz", given([0.3 + 0j, 6.9 + 1j, 7.1 + 1j, -50 + 0.5j, 1e4 + 1e-3j, 9 + 0j, 1 - 3j]),
        truth=_w, dtypes="D", value_ulps=64, second=1e-10)  # fmt: skip
for _n in (1, 2):
    samples("faddeeva", uniform(-4, 4), n=_n, truth=_w, dtypes="D", value_ulps=4096, ulps=1e5,
            second=1e-9)  # fmt: skip
    samples("dawson", uniform(0.1, 6), n=_n, truth=_dawson, value_ulps=4096, ulps=1e5, second=1e-9,
            extra=[7.5, -30.0, 1e5])  # fmt: skip
samples("faddeeva", given([-8 - 0.5j, 7 - 7j, 300 + 1j]), n=2, truth=_w, dtypes="D", ulps=4096)
samples("dawsn", uniform(-6, 6), truth=_dawson, value_ulps=64, dtypes="fd", second=1e-10,
        extra=[0.0, 7.5, -30.0, 1e5])  # fmt: skip
samples("voigt_profile", uniform(-3, 3), uniform(0.5, 2), uniform(0.1, 2), truth=_voigt,
        value_ulps=64, dtypes="fd", second=1e-10)  # fmt: skip

# --- hypergeometric and elliptic ----------------------------------------------------------------

_Z = uniform(-2, 0.9)
samples("hyp0f1", given([0.5, 2.0, 3.5]), given([-3.0, 0.5, 4.0]), active=(1,), truth=mp.hyp0f1,
        value_ulps=64)  # fmt: skip
samples("hyp1f1", given([0.5, 2.0, 3.5]), given([1.5, 0.7, 4.0]), given([-3.0, 0.5, 4.0]),
        active=(2,), truth=mp.hyp1f1, value_ulps=64)  # fmt: skip
samples("hyp2f1", given([0.5, 2.0, 3.5]), given([1.5, 0.7, 4.0]), given([2.2, 3.1, 5.0]),
        given([-3.0, 0.5, 0.8]), active=(3,), truth=mp.hyp2f1, value_ulps=64)  # fmt: skip
samples("hyperu", given([0.5, 2.0, 3.5]), given([1.5, 0.7, 4.0]), given([3.0, 0.5, 4.0]),
        active=(2,), truth=mp.hyperu, value_ulps=1e6)  # fmt: skip
samples("spence", log_uniform(0.05, 9), truth=lambda x: mp.re(mp.polylog(2, 1 - x)), value_ulps=64,
        slopes=(lambda x: mp.log(x) / (1 - x),), extra=[1 + 1e-9])  # fmt: skip
samples("ellipk", _Z, truth=mp.ellipk, value_ulps=16, extra=[0.0, 1e-9, 0.999])
samples("ellipe", _Z, truth=mp.ellipe, value_ulps=16, extra=[0.0, 1e-9, 0.999])
samples("ellipkm1", log_uniform(1e-9, 2), truth=lambda p: mp.ellipk(1 - p), value_ulps=16,
        extra=[0.49, 0.51])  # fmt: skip
samples("ellipkinc", uniform(-3, 3), uniform(-2, 0.9), active=(0,), truth=mp.ellipf, value_ulps=64)
samples("ellipeinc", uniform(-3, 3), uniform(-2, 0.9), active=(0,), truth=mp.ellipe, value_ulps=64)

# --- relatives of Bessel's functions --------------------------------------------------------------

_ORDER = given([0.0, 1.0, 2.0, 0.5, 2.5])
_AT = given([0.3, 1.7, 9.0, 4.0, 2.0])
for _name, _truth in (
    ("ive", lambda v, x: mp.besseli(v, x) * mp.exp(-abs(x))),
    ("kve", lambda v, x: mp.besselk(v, x) * mp.exp(x)),
    ("jve", mp.besselj),
    ("yve", mp.bessely),
    ("struve", mp.struveh),
    ("modstruve", mp.struvel),
):
    samples(_name, _ORDER, _AT, active=(1,), truth=_truth, value_ulps=512)
for _name, _truth in (("kn", mp.besselk), ("yn", mp.bessely)):
    samples(_name, given([0.0, 1.0, 2.0, 5.0, 3.0]), _AT, active=(1,), truth=_truth, value_ulps=512)
samples("k0e", uniform(0.1, 20), truth=lambda x: mp.besselk(0, x) * mp.exp(x), dtypes="fd",
        value_ulps=16, smooth=False)  # fmt: skip
samples("k1e", uniform(0.1, 20), truth=lambda x: mp.besselk(1, x) * mp.exp(x), dtypes="fd",
        value_ulps=16, smooth=False)  # fmt: skip
samples("k0e", uniform(0.1, 20))
samples("k1e", uniform(0.1, 20))


def _spherical(bessel, factor):
    return lambda x, n: mp.sqrt(factor / x) * bessel(n + mpf(1) / 2, x)


for _n in (0, 2):
    for _name, _bessel, _factor in (
        ("spherical_jn", mp.besselj, mp.pi / 2),
        ("spherical_yn", mp.bessely, mp.pi / 2),
        ("spherical_in", mp.besseli, mp.pi / 2),
        ("spherical_kn", mp.besselk, mp.pi / 2),
    ):
        samples(_name, uniform(0.5, 9), n=_n, truth=_spherical(_bessel, _factor), value_ulps=512)
samples("spherical_jn", given([-2.0, 0.0, 1.5]), n=1)
for _part, _truth in enumerate(
    (mp.airyai, lambda x: mp.airyai(x, derivative=1), mp.airybi,
     lambda x: mp.airybi(x, derivative=1))
):  # fmt: skip
    samples("airy", uniform(-4, 3), part=_part, truth=lambda x, part, f=_truth: f(x),
            value_ulps=512, dtypes="fd")  # fmt: skip
samples("airy", uniform(-2, 2), part=0, dtypes="D", truth=lambda x, part: mp.airyai(x),
        value_ulps=512)  # fmt: skip

# --- relatives of gamma -------------------------------------------------------------------------

samples("rgamma", uniform(-4.5, 9), truth=mp.rgamma, value_ulps=64, dtypes="fd",
        extra=[0.0, -1.0, -3.0])  # fmt: skip
samples("gammasgn", uniform(-4.5, 9), truth=lambda x: mp.sign(mp.gamma(x)))
samples("binom", uniform(3, 9), uniform(0.5, 2), truth=mp.binomial, value_ulps=256, dtypes="fd")
samples("inv_boxcox", uniform(0.1, 2), uniform(-0.4, 2), value_ulps=64, dtypes="fd",
        truth=lambda y, p: (p * y + 1) ** (1 / p), extra=[(2.0, 1e-9)])  # fmt: skip
samples("inv_boxcox1p", uniform(0.1, 2), uniform(-0.4, 2), value_ulps=64, dtypes="fd",
        truth=lambda y, p: mp.expm1(mp.log1p(p * y) / p))  # fmt: skip
samples("exp10", uniform(-3, 3), truth=lambda x: mpf(10) ** x, dtypes="fd", value_ulps=8)
samples("cosm1", uniform(-3, 3), truth=lambda x: mp.cos(x) - 1, dtypes="fd", value_ulps=64,
        extra=[1e-9])  # fmt: skip
samples("powm1", uniform(0.5, 2), uniform(-2, 2), truth=lambda x, y: x**y - 1, dtypes="fd",
        value_ulps=64)  # fmt: skip
for _name, _truth in (("sindg", mp.sin), ("cosdg", mp.cos), ("tandg", mp.tan), ("cotdg", mp.cot)):
    samples(_name, uniform(10, 80), truth=lambda x, f=_truth: f(x * mp.pi / 180), dtypes="fd",
            value_ulps=16)  # fmt: skip

# --- integrals ----------------------------------------------------------------------------------

samples("fresnel_sine", uniform(-3, 3), truth=mp.fresnels, dtypes="fd", value_ulps=64, ulps=64)
samples("fresnel_cosine", uniform(-3, 3), truth=mp.fresnelc, dtypes="fd", value_ulps=64, ulps=64)
samples("sine_integral", uniform(-9, 9), truth=mp.si, dtypes="fd", value_ulps=64, extra=[0.0, 1e-9])
samples("cosine_integral", uniform(0.1, 9), truth=mp.ci, dtypes="fd", value_ulps=512)
samples("hyperbolic_sine_integral", uniform(-9, 9), truth=mp.shi, dtypes="fd", value_ulps=64,
        extra=[0.0, 1e-9])  # fmt: skip
samples("hyperbolic_cosine_integral", uniform(0.1, 9), truth=mp.chi, dtypes="fd", value_ulps=512)
samples("owens_t", uniform(-3, 3), uniform(-3, 3))
samples("owens_t", uniform(-3, 3), uniform(-3, 3), dtypes="fd", value_ulps=64, smooth=False,
        truth=lambda h, a: mp.quad(
            lambda t: mp.exp(-h * h * (1 + t * t) / 2) / (1 + t * t), [0, a]) / (2 * mp.pi),
        slopes=(lambda h, a: -mp.exp(-h * h / 2) * mp.erf(a * h / mp.sqrt(2))
                / mp.sqrt(8 * mp.pi), None))  # fmt: skip
for _branch in (0, -1):
    samples("lambertw", uniform(-4, 4), branch=_branch, dtypes="D", value_ulps=16,
            truth=lambda z, branch: mp.lambertw(z, branch))  # fmt: skip
samples("lambertw", given([0j, 1e-9 + 0j, 1e5 + 0j]), branch=0, dtypes="D", value_ulps=16,
        truth=lambda z, branch: mp.lambertw(z, branch))  # fmt: skip
samples("wrightomega", uniform(-9, 9), dtypes="fd", value_ulps=16,
        truth=lambda x: mp.re(mp.lambertw(mp.exp(x))))  # fmt: skip

# --- orthogonal polynomials -----------------------------------------------------------------------

for _kind, _parameters, _truth in (
    ("legendre", (), mp.legendre),
    ("sh_legendre", (), lambda n, x: mp.legendre(n, 2 * x - 1)),
    ("chebyt", (), mp.chebyt),
    ("chebyu", (), mp.chebyu),
    ("chebyc", (), lambda n, x: 2 * mp.chebyt(n, x / 2)),
    ("chebys", (), lambda n, x: mp.chebyu(n, x / 2)),
    ("sh_chebyt", (), lambda n, x: mp.chebyt(n, 2 * x - 1)),
    ("sh_chebyu", (), lambda n, x: mp.chebyu(n, 2 * x - 1)),
    ("hermite", (), mp.hermite),
    ("hermitenorm", (), lambda n, x: 2 ** (-mpf(n) / 2) * mp.hermite(n, x / mp.sqrt(2))),
    ("laguerre", (), lambda n, x: mp.laguerre(n, 0, x)),
    ("genlaguerre", (0.5,), lambda n, x: mp.laguerre(n, mpf(1) / 2, x)),
    ("gegenbauer", (1.5,), lambda n, x: mp.gegenbauer(n, mpf(3) / 2, x)),
    ("jacobi", (0.5, 1.25), lambda n, x: mp.jacobi(n, mpf(1) / 2, mpf(5) / 4, x)),
):
    for _n in (0, 4):
        samples("orthogonal_polynomial", uniform(0.1, 0.9), kind=_kind, n=_n,
                parameters=_parameters, value_ulps=1e4, ulps=1e4,
                truth=lambda x, kind, n, parameters, f=_truth: f(n, x))  # fmt: skip
