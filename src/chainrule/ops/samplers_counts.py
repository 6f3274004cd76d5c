"""Discrete draws by rejection: hypergeometric, Zipf's law, the logarithmic series.

Value     hypergeometric: up to 9 draws (or marked ones) by inversion of the distribution function,
          more by ratio of uniforms under a hat for all; Zipf: rejection from a power law; the
          logarithmic series: two uniforms, without a rejection.
Slope     none: these draws have no tangent space.
Source    Stadlober, J. Comp. Appl. Math. 31 (1990) 181 (HRUA); Devroye, Non-Uniform Random Variate
          Generation, 1986, 10.6.1; Kemp, Applied Statistics 30 (1981) 249 (LK).
"""

import math

import numpy as np

from chainrule.ops.random import FLOAT64, by_attempts, check_parameters, join_words, lanes_batch
from chainrule.ops.samplers import open_interval
from chainrule.ops.samplers_elementary import (
    exp,
    expm1,
    log,
    log1p,
    log_binomial,
    log_of_normal,
)
from chainrule.program.op import Discrete, Op
from chainrule.program.types import Type

INT64 = np.dtype(np.int64)
MOST = 2.0**63 - 1024.0  # the largest float64 below 2**63
FEW = 10.0  # with fewer draws or fewer marked ones, inversion
_WIDTH, _EXTRA = 2.0 * math.sqrt(2.0 / math.e), 3.0 - 2.0 * math.sqrt(3.0 / math.e)


def _type(state: Type, *parameters: Type, stream) -> tuple[Type, ...]:
    check_parameters(state, *parameters)
    return (parameters[0].with_dtype(INT64),)


def _require(condition, message: str) -> None:
    if not np.all(condition):
        raise ValueError(message)


def _uniforms(words):
    return (open_interval(join_words(words[0], words[1])),
            open_interval(join_words(words[2], words[3])))  # fmt: skip


# --- hypergeometric -----------------------------------------------------------------------------


def _by_inversion(words, total, marked, sample):
    """How many of `sample` < 10 are marked, of `marked` <= total / 2."""
    u, _ = _uniforms(words)
    probability = np.ones(u.shape)
    for i in range(int(FEW)):
        factor = (total - marked - i) / np.maximum(total - i, 1.0)
        probability = np.where(i < sample, probability * factor, probability)
    cumulative, count = probability, np.zeros(u.shape)
    for j in range(1, int(FEW)):
        below = (u > cumulative) & (j <= sample)
        count += below
        ways = (marked - j + 1.0) * (sample - j + 1.0)
        ratio = ways / (j * np.maximum(total - marked - sample + j, 1.0))
        probability = np.where(j <= sample, probability * np.maximum(ratio, 0.0), 0.0)
        cumulative = cumulative + probability
    return np.minimum(count, marked), np.ones(u.shape, bool)


def _log_probability(k, total, marked, sample):
    """The log of the probability of k, less what does not depend on k."""
    share = sample / total
    return log_binomial(k, marked, share) + log_binomial(sample - k, total - marked, share)


def _by_ratio(words, total, marked, sample, centre, scale, at_mode):
    u, v = _uniforms(words)
    whole = np.floor(centre + scale * (v - 0.5) / u)
    inside = (whole >= 0.0) & (whole <= np.minimum(marked, sample))
    k = np.where(inside, whole, 0.0)
    bound = _log_probability(k, total, marked, sample) - at_mode
    return k, inside & (2.0 * log_of_normal(u) <= bound)


def _hypergeometric(state, good, bad, sample, *, stream):
    _require((good >= 0) & (good < 1e9) & (bad >= 0) & (bad < 1e9),
             "ngood and nbad must be from 0 to below 1000000000")  # fmt: skip
    _require((sample >= 0) & (sample <= good + bad), "nsample < 0 or ngood + nbad < nsample")
    total = good + bad
    fewer_good, fewer_drawn = good <= bad, 2.0 * sample <= total
    a, b = np.minimum(good, bad), np.where(fewer_drawn, sample, total - sample)
    marked, drawn = np.maximum(a, b), np.minimum(a, b)  # the law is the same either way
    few = drawn < FEW
    out = np.zeros(total.shape)
    if few.any():
        some = (total, marked, np.where(few, drawn, 0.0))
        out = by_attempts(state, some, _by_inversion, FLOAT64, stream)
    if not few.all():
        out = np.where(few, out, _many(state, total, marked, drawn, few, stream))
    out = np.where(fewer_drawn, out, a - out)  # of the marked, those that are left
    return np.where(fewer_good, out, sample - out).astype(INT64)[()]


def _many(state, total, marked, drawn, few, stream):
    total, marked = np.where(few, 100.0, total), np.where(few, 50.0, marked)
    drawn = np.where(few, 20.0, drawn)
    share = marked / total
    with np.errstate(all="ignore"):
        spread = (total - drawn) * drawn * share * (1.0 - share) / (total - 1.0)
        mode = np.floor((drawn + 1.0) * (marked + 1.0) / (total + 2.0))
        at_mode = np.asarray(_log_probability(mode, total, marked, drawn))
    scale = _WIDTH * np.sqrt(spread + 0.5) + _EXTRA
    parameters = total, marked, drawn, drawn * share + 0.5, scale, at_mode
    return by_attempts(state, parameters, _by_ratio, FLOAT64, stream)


random_hypergeometric: Op = Op(
    "random_hypergeometric", _type, _hypergeometric, Discrete(),
    lanes_batch(lambda: random_hypergeometric), flops=lambda ins, outs, params: 400 * outs[0].size,
    doc="how many good ones are among a sample, for each number of good, bad and sampled",
)  # fmt: skip

# --- Zipf's law ---------------------------------------------------------------------------------


def _power_law(words, less_one):
    """A whole number whose probability falls as k**-a, a = 1 + less_one."""
    u, v = _uniforms(words)
    k = np.floor(np.asarray(exp(-log_of_normal(u) / less_one)))
    inside = (k >= 1.0) & (k <= MOST)
    k = np.where(inside, k, 1.0)
    growth = np.asarray(expm1(less_one * log1p(1.0 / k)))  # (1 + 1 / k)**(a - 1) - 1
    most = -np.asarray(expm1(-less_one * math.log(2.0)))  # 1 - 2**(1 - a)
    return k, inside & (v * k * growth <= (growth + 1.0) * most)


def _zipf(state, a, *, stream):
    _require(a > 1, "a <= 1 or a is NaN")
    draws = by_attempts(state, (np.minimum(a - 1.0, 700.0),), _power_law, FLOAT64, stream)
    return np.asarray(draws).astype(INT64)[()]


random_zipf: Op = Op(
    "random_zipf", _type, _zipf, Discrete(), lanes_batch(lambda: random_zipf),
    flops=lambda ins, outs, params: 200 * outs[0].size,
    doc="a whole number k with probability proportional to k**-a, for each a",
)  # fmt: skip

# --- logarithmic series -------------------------------------------------------------------------


def _log_series(words, p):
    u, v = _uniforms(words)
    q = -np.asarray(expm1(np.asarray(log1p(-p)) * v))
    positive = np.where(q > 0.0, q, 0.5)
    with np.errstate(all="ignore"):
        long = np.floor(1.0 + log_of_normal(u) / np.asarray(log(positive)))
    out = np.where(u >= p, 1.0, np.where(u <= q * q, long, np.where(u >= q, 1.0, 2.0)))
    return out, (out >= 1.0) & (out <= MOST)


def _logseries(state, p, *, stream):
    _require((p >= 0) & (p < 1), "p < 0, p >= 1 or p is NaN")
    return np.asarray(by_attempts(state, (p,), _log_series, FLOAT64, stream)).astype(INT64)[()]


random_logseries: Op = Op(
    "random_logseries", _type, _logseries, Discrete(), lanes_batch(lambda: random_logseries),
    flops=lambda ins, outs, params: 150 * outs[0].size,
    doc="a whole number k with probability proportional to p**k / k, for each p",
)  # fmt: skip
