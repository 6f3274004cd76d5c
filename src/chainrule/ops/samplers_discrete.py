"""Discrete draws: Bernoulli, Poisson, binomial, geometric, categorical, integers, orders, subsets.

Value     small means by inversion of the distribution function, large ones by transformed
          rejection with exact log probabilities (no cancellation at any mean); integers by
          multiplication, with the rejection that makes them exactly uniform; a random order is the
          order of random 64-bit keys.
Slope     none: these draws have no tangent space.
Source    PTRS and BTRS: Hoermann, "The transformed rejection method for generating Poisson random
          variables", 1993, and "The generation of binomial random variates", 1993. Integers:
          Lemire, "Fast random integer generation in an interval", 2019. Subsets: Efraimidis and
          Spirakis, "Weighted random sampling with a reservoir", 2006.
"""

import numpy as np

from chainrule.ops.random import (
    FLOAT64,
    UINT64,
    by_attempts,
    check_parameters,
    check_state,
    join_words,
    lanes_batch,
    transformed_bits,
)
from chainrule.ops.samplers import exponential_from_bits, open_interval, unit_interval
from chainrule.ops.samplers_elementary import (
    exp,
    log1p,
    log_binomial,
    log_of_normal,
    log_poisson,
)
from chainrule.program.op import Discrete, Op
from chainrule.program.types import Type, array_type

INT64 = np.dtype(np.int64)
SMALL_MEAN = 10.0  # below it inversion takes fewer than 60 steps
MOST_STEPS = 100
LARGEST_MEAN = 9.2e18  # the largest draws must fit an int64


def _whole_type(state: Type, *parameters: Type, stream) -> tuple[Type, ...]:
    check_parameters(state, *parameters)
    return (parameters[0].with_dtype(INT64),)


def _flops(number: int):
    return lambda ins, outs, params: number * outs[0].size


def _require(condition, message: str) -> None:
    if not np.all(condition):
        raise ValueError(message)


def _counted(u, probability, ratio):
    """How many values of the distribution function lie below u.

    `probability` is that of 0; `ratio(j)` is the probability of j over that of j - 1.
    """
    total, count = probability, np.zeros(u.shape)
    for j in range(1, MOST_STEPS):
        below = u > total
        if not below.any():
            break
        count += below
        probability = probability * ratio(j)
        total = total + probability
    return count


# --- Poisson ------------------------------------------------------------------------------------


def _poisson_by_inversion(words, mean):
    u = open_interval(join_words(words[0], words[1]))
    return _counted(u, exp(-mean), lambda j: mean / j), np.ones(mean.shape, bool)


def _hat(words, a, b, centre):
    """A draw from Hoermann's hat: k, the quick acceptance's two numbers, and the hat's height."""
    u = open_interval(join_words(words[0], words[1])) - 0.5
    v = open_interval(join_words(words[2], words[3]))
    to_end = 0.5 - np.abs(u)
    k = np.floor((2.0 * a / to_end + b) * u + centre)
    return k, v, to_end, a / (to_end * to_end) + b


def _poisson_by_rejection(words, mean):
    root = np.sqrt(mean)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    k, v, to_end, height = _hat(words, a, b, mean + 0.43)
    quick = (to_end >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2.0))
    inside = k >= 0.0
    whole = np.where(inside, k, 0.0)
    bound = log_of_normal(v * (1.1239 + 1.1328 / (b - 3.4)) / height)
    return whole, inside & (quick | (bound <= log_poisson(whole, mean)))


def _poisson(state, mean, *, stream):
    _require(mean >= 0, "lam < 0 or lam contains NaNs")
    _require(mean <= LARGEST_MEAN, "lam value too large")
    small = mean < SMALL_MEAN
    out = np.zeros(mean.shape)
    if small.any():
        some = (np.minimum(mean, SMALL_MEAN),)
        out = by_attempts(state, some, _poisson_by_inversion, FLOAT64, stream)
    if not small.all():
        some = (np.maximum(mean, SMALL_MEAN),)
        large = by_attempts(state, some, _poisson_by_rejection, FLOAT64, stream)
        out = np.where(small, out, large)
    return np.asarray(out).astype(INT64)[()]


random_poisson: Op = Op(
    "random_poisson", _whole_type, _poisson, Discrete(), lanes_batch(lambda: random_poisson),
    flops=_flops(150), doc="a Poisson draw for each mean",
)  # fmt: skip

# --- binomial and geometric ---------------------------------------------------------------------


def _binomial_by_inversion(words, n, p):
    u = open_interval(join_words(words[0], words[1]))
    odds = p / (1.0 - p)
    count = _counted(u, exp(n * log1p(-p)), lambda j: (n - (j - 1.0)) / j * odds)
    return np.minimum(count, n), np.ones(n.shape, bool)


def _binomial_by_rejection(words, n, p, log_at_mode):
    deviation = np.sqrt(n * p * (1.0 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    k, v, to_end, height = _hat(words, a, b, n * p + 0.5)
    quick = (to_end >= 0.07) & (v <= 0.92 - 4.2 / b)
    inside = (k >= 0.0) & (k <= n)
    whole = np.where(inside, k, 0.0)
    bound = log_of_normal(v * ((2.83 + 5.1 / b) * deviation) / height)
    return whole, inside & (quick | (bound <= log_binomial(whole, n, p) - log_at_mode))


def _binomial(state, n, p, *, stream):
    _require(n >= 0, "n < 0")
    _require((p >= 0) & (p <= 1), "p < 0, p > 1 or p is NaN")
    flipped = p > 0.5
    rarer = np.where(flipped, 1.0 - p, p)
    small = n * rarer < SMALL_MEAN
    out = np.zeros(n.shape)
    if small.any():
        some = np.where(small, n, 0.0), rarer
        out = by_attempts(state, some, _binomial_by_inversion, FLOAT64, stream)
    if not small.all():
        out = np.where(small, out, _large_binomial(state, n, rarer, small, stream))
    return np.where(flipped, n - out, out).astype(INT64)[()]


def _large_binomial(state, n, p, small, stream):
    some_n, some_p = np.where(small, 40.0, n), np.where(small, 0.5, p)
    with np.errstate(all="ignore"):
        log_at_mode = log_binomial(np.floor((some_n + 1.0) * some_p), some_n, some_p)
    parameters = some_n, some_p, np.asarray(log_at_mode)
    return by_attempts(state, parameters, _binomial_by_rejection, FLOAT64, stream)


random_binomial: Op = Op(
    "random_binomial", _whole_type, _binomial, Discrete(), lanes_batch(lambda: random_binomial),
    flops=_flops(250), doc="a binomial draw for each number of trials and probability (float64s)",
)  # fmt: skip


def _geometric(state, p, *, stream):
    _require((p > 0) & (p <= 1), "p <= 0, p > 1 or p contains NaNs")
    shape = p.shape[state.ndim - 1 :]
    waiting = transformed_bits(state, shape, 64, stream, exponential_from_bits, FLOAT64)
    with np.errstate(all="ignore"):
        trials = np.maximum(np.ceil(waiting / -log1p(-p)), 1.0)
    fits = trials < 2.0**63
    whole = np.where(fits, trials, 0.0).astype(INT64)
    return np.where(fits, whole, np.iinfo(INT64).max)[()]


random_geometric: Op = Op(
    "random_geometric", _whole_type, _geometric, Discrete(), lanes_batch(lambda: random_geometric),
    flops=_flops(80), doc="the number of trials up to the first success, for each probability",
)  # fmt: skip

# --- Bernoulli and categorical ------------------------------------------------------------------


def _bool_type(state: Type, p: Type, *, stream) -> tuple[Type, ...]:
    check_parameters(state, p)
    return (p.with_dtype(np.bool_),)


def _bernoulli(state, p, *, stream):
    _require((p >= 0) & (p <= 1), "p < 0, p > 1 or p is NaN")
    shape = p.shape[state.ndim - 1 :]
    return transformed_bits(state, shape, 64, stream, unit_interval, FLOAT64) < p


random_bernoulli: Op = Op(
    "random_bernoulli", _bool_type, _bernoulli, Discrete(), lanes_batch(lambda: random_bernoulli),
    flops=_flops(20), doc="True with each probability",
)  # fmt: skip


def _categorical_type(state: Type, weights: Type, *, shape, stream) -> tuple[Type, ...]:
    lanes = check_state(state)
    if weights.shape[:-1] not in (lanes, lanes + shape):
        raise ValueError(f"categorical: weights {weights} do not fit a draw of shape {shape}.")
    return (array_type(lanes + shape, INT64),)


def _categorical(state, weights, *, shape, stream):
    _require(weights >= 0, "probabilities are not non-negative")
    total = np.add.accumulate(weights, axis=-1)
    _require((total[..., -1] > 0) & (total[..., -1] < np.inf), "probabilities do not sum to 1")
    u = transformed_bits(state, shape, 64, stream, unit_interval, FLOAT64)
    if weights.ndim > state.ndim or not shape:  # u total < total: the last entry bounds the count
        below = total <= np.asarray(u * total[..., -1])[..., None]
        return np.count_nonzero(below, axis=-1).astype(INT64)
    lanes = state.shape[:-1]
    rows = total.reshape(-1, total.shape[-1])
    flat = np.reshape(u, (len(rows), -1))
    found = [np.searchsorted(r, x * r[-1], side="right") for r, x in zip(rows, flat, strict=True)]
    return np.reshape(np.asarray(found, INT64), lanes + tuple(shape))


random_categorical: Op = Op(
    "random_categorical", _categorical_type, _categorical, Discrete(),
    lanes_batch(lambda: random_categorical), flops=_flops(30),
    doc="an index into the last axis of the weights (one row for all draws, or one for each)",
)  # fmt: skip

# --- integers, orders, subsets ------------------------------------------------------------------


def _below_type(state: Type, last: Type, *, stream) -> tuple[Type, ...]:
    check_parameters(state, last)
    return (last,)


def _multiply_high(x, y):
    """The upper 64 bits of the product of two uint64s."""
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    x0, x1, y0, y1 = x & low, x >> shift, y & low, y >> shift
    middle = x1 * y0 + ((x0 * y0) >> shift)
    other = (middle & low) + x0 * y1
    return x1 * y1 + (middle >> shift) + (other >> shift)


def _bounded(words, last):
    bits = join_words(words[0], words[1])
    number = last + np.uint64(1)  # 0 stands for 2**64
    whole = number == 0
    threshold = (np.uint64(0) - number) % np.where(whole, np.uint64(1), number)
    value = np.where(whole, bits, _multiply_high(bits, number))
    return value, whole | (bits * number >= threshold)


def _below(state, last, *, stream):
    return by_attempts(state, (last,), _bounded, UINT64, stream)


random_below: Op = Op(
    "random_below", _below_type, _below, Discrete(), lanes_batch(lambda: random_below),
    flops=_flops(60), doc="a uint64 from 0 to `last`, both included, all equally likely",
)  # fmt: skip


def _order_type(state: Type, *, shape, stream) -> tuple[Type, ...]:
    return (array_type(check_state(state) + shape, INT64),)


def _order(state, *, shape, stream):
    keys = transformed_bits(state, shape, 64, stream, lambda bits: bits, UINT64)
    return np.argsort(keys, axis=-1, kind="stable").astype(INT64, copy=False)


random_order: Op = Op(
    "random_order", _order_type, _order, Discrete(), lanes_batch(lambda: random_order),
    flops=_flops(60), doc="a random order of the last axis of `shape`, for each row",
)  # fmt: skip


def _subset_type(state: Type, weights: Type, *, count, stream) -> tuple[Type, ...]:
    check_state(state)
    return (array_type((*weights.shape[:-1], count), INT64),)


def _subset(state, weights, *, count, stream):
    _require(weights >= 0, "probabilities are not non-negative")
    enough = np.count_nonzero(weights, axis=-1) >= count
    _require(enough, "Fewer non-zero entries in p than size")
    shape = weights.shape[-1:]
    waiting = transformed_bits(state, shape, 64, stream, exponential_from_bits, FLOAT64)
    with np.errstate(all="ignore"):
        order = np.argsort(waiting / weights, axis=-1, kind="stable")
    return order[..., :count].astype(INT64, copy=False)


random_subset: Op = Op(
    "random_subset", _subset_type, _subset, Discrete(), lanes_batch(lambda: random_subset),
    flops=_flops(60), doc="`count` different indices, drawn one after the other by weight",
)  # fmt: skip
