"""Rows for random bits, samplers, and the elementary functions that they are made of.

The references count bits with a plain Python Philox. Gamma draws move along their quantiles, not
along the rejection sampler's own path, so their derivative is tested in tests/random.
"""

import numpy as np
from mpmath import mp

from tests.ops.table import given, log_uniform, samples, uniform

F64, F32, U32, U64 = (np.dtype(name) for name in ("f8", "f4", "u4", "u8"))
STATE = given([0x0123456789ABCDEF, 2**32 + 5], U64)
LANES = given([[1, 0], [2, 0], [2, 1]], U64)


def philox_block(state, block: int, stream: int) -> int:
    """128 random bits, in Python's whole numbers."""
    key, draw = (int(word) for word in state)
    c = [block, stream << 24, draw % 2**32, draw >> 32]
    k = [key % 2**32, key >> 32]
    for _ in range(10):
        first, second = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(second >> 32) ^ c[1] ^ k[0], second % 2**32, (first >> 32) ^ c[3] ^ k[1],
             first % 2**32]  # fmt: skip
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return sum(word << (32 * i) for i, word in enumerate(c))


def words(state, shape, width: int, stream: int = 0) -> np.ndarray:
    """The random bits of every element, for each lane."""
    out = np.empty(state.shape[:-1] + shape, f"u{width // 8}")
    for lane in np.ndindex(*state.shape[:-1]):
        for k, place in enumerate(np.ndindex(*shape)):
            block = philox_block(state[lane], k * width // 128, stream)
            out[lane + place] = (block >> (k * width % 128)) % 2**width
    return out


def fractions(state, shape, stream: int = 0) -> np.ndarray:
    """Uniform in (0, 1), as the continuous samplers use it."""
    return (2.0 * (words(state, shape, 64, stream) >> 12) + 1.0) * 2.0**-53


def _fold(state, number):
    keys = [
        philox_block([key, draw], int(n) % 2**32, 255) % 2**64
        for (key, draw), n in zip(np.reshape(state, (-1, 2)), np.ravel(number), strict=True)
    ]
    out = np.stack([np.array(keys, U64), np.zeros(len(keys), U64)], axis=-1)
    return out.reshape(np.shape(state))


for _state in (STATE, LANES):
    for _dtype in (U32, U64):
        samples("random_bits", _state, shape=(3, 2), dtype=_dtype, stream=1,
                reference=lambda s, w=_dtype.itemsize * 8: words(s, (3, 2), w, 1))  # fmt: skip
samples("fold_in", STATE, given(7, U64), reference=_fold)
samples("fold_in", LANES, given([0, 1, 2], U64), reference=_fold)

# --- standard draws -----------------------------------------------------------------------------

for _name, _value in (
    ("standard_exponential", lambda u: -np.log(u)),
    ("standard_gumbel", lambda u: -np.log(-np.log(u))),
):
    samples(_name, LANES, shape=(5,), dtype=F64, stream=0, value_ulps=16,
            reference=lambda s, f=_value: f(fractions(s, (5,))))  # fmt: skip
samples("standard_uniform", STATE, shape=(7,), dtype=F64, stream=0,
        reference=lambda s: (words(s, (7,), 64) >> 11) * 2.0**-53)  # fmt: skip
samples("standard_uniform", STATE, shape=(7,), dtype=F32, stream=0,
        reference=lambda s: (words(s, (7,), 32) >> 8).astype(F32) * F32.type(2.0**-24))  # fmt: skip
for _name in ("standard_normal", "standard_logistic", "standard_laplace", "standard_cauchy"):
    samples(_name, LANES, shape=(4,), dtype=F64, stream=0)
    samples(_name, STATE, shape=(), dtype=F32, stream=2)

# --- draws with parameters ----------------------------------------------------------------------

samples("standard_gamma", STATE, log_uniform(0.1, 10), stream=0, active=())
samples("log_standard_gamma", STATE, log_uniform(1e-4, 10), stream=1, active=())
samples("random_poisson", STATE, log_uniform(0.1, 1000), stream=0, active=())
samples("random_binomial", STATE, given([0.0, 5.0, 100.0, 1e6]), given([0.5, 0.1, 0.4, 0.9]),
        stream=0, active=())  # fmt: skip
samples("random_geometric", STATE, uniform(0.1, 0.9, 6), stream=0, active=(),
        reference=lambda s, p: np.ceil(np.log(fractions(s, (6,))) / np.log1p(-p)).astype("l"),
        )  # fmt: skip
samples("random_bernoulli", STATE, uniform(0, 1, 6), stream=0, active=(),
        reference=lambda s, p: (words(s, (6,), 64) >> 11) * 2.0**-53 < p)  # fmt: skip
samples("random_categorical", STATE, given([0.0, 1.0, 3.0]), shape=(4,), stream=0, active=())
samples("random_categorical", STATE, uniform(0, 1, 4, 3), shape=(4,), stream=0, active=())
samples("random_below", STATE, given([0, 5, 2**40, 2**64 - 1], U64), stream=0)
samples("random_order", LANES, shape=(2, 6), stream=0,
        reference=lambda s: np.argsort(words(s, (2, 6), 64), axis=-1))  # fmt: skip
samples("random_subset", STATE, given([0.5, 0.0, 1.0, 2.0]), count=2, stream=0, active=(),
        reference=lambda s, w: np.argsort(
            -np.log(fractions(s, (4,))) / np.maximum(w, 1e-300))[:2])  # fmt: skip

# --- elementary functions -----------------------------------------------------------------------

samples("portable_log", log_uniform(1e-2, 1e2), truth=mp.log, dtypes="efd", extra=[1e-300, 1e300])
samples("portable_exp", uniform(-3, 3), truth=mp.exp, dtypes="efd", extra=[0.0, 700.0, -700.0])
samples("portable_expm1", uniform(-3, 3), truth=mp.expm1, dtypes="efd", extra=[1e-20, 700.0])


def _path_moment(order: int, shift: int, left: bool):
    """The integral over the left or the right tail (see ops/samplers_gamma.py)."""
    sign = 1 if left else -1

    def value(a, x, **_):
        def integrand(v):
            return v**order * mp.exp(-sign * (a + shift) * v - x * mp.expm1(-sign * v))

        total = mp.quad(integrand, [0, 0.1, 1, 10, 200] if left else [0, 0.1, 1, 3, 8])
        return total if left else (-1) ** (order + 1) * total

    return value


def _path_moment_slopes(order: int, shift: int, left: bool):
    """dK[n, m]/da = -K[n + 1, m] and dK[n, m]/dx = K[n, m] - K[n, m + 1]."""
    here, above = _path_moment(order, shift, left), _path_moment(order, shift + 1, left)
    beside = _path_moment(order + 1, shift, left)
    return (lambda a, x, **_: -beside(a, x)), (lambda a, x, **_: here(a, x) - above(a, x))


for _order, _shift in ((0, 0), (1, 1)):
    for _left, _x in ((True, uniform(0.1, 2.0, 3)), (False, uniform(3.6, 9, 3))):
        samples("gamma_path_moment", uniform(2, 3, 3), _x, order=_order, shift=_shift,
                truth=_path_moment(_order, _shift, _left), value_ulps=16, ulps=64, smooth=False,
                slopes=_path_moment_slopes(_order, _shift, _left))  # fmt: skip
        samples("gamma_path_moment", uniform(2, 3, 3), _x, order=_order, shift=_shift)
