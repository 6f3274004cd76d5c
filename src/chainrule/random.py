"""Random numbers: `Generator(seed)`, with the method names of numpy.random.Generator.

A generator is an ordinary mutable object. Each call draws with its key and the number of the draw,
and advances the number by one; inside a trace the same happens to the traced state, which is
written back when the trace has run. Draws have the same bits on every machine and inside and
outside of traces; only `multivariate_normal` depends, in the last place, on the linear algebra
library. Derivatives pass through a draw to its parameters (the draw moves with them) where the
distribution is continuous; discrete draws have none.

Differs from NumPy: other numbers for the same seed, a bool for `bernoulli`, a lower triangular
factor as the default of `multivariate_normal`, and 0-d results are NumPy scalars.
"""

from __future__ import annotations

import operator
import secrets
from collections.abc import MutableSequence

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import (
    as_array,
    broadcast_shape,
    broadcast_to,
    cast_to,
    shape_of,
    traced,
)
from chainrule.ops import samplers, samplers_discrete
from chainrule.ops.index import index_set
from chainrule.ops.random import FLOAT64, UINT64, fold_in, next_draw, random_state
from chainrule.ops.samplers_elementary import portable_exp, portable_expm1, portable_log
from chainrule.ops.samplers_gamma import log_standard_gamma, standard_gamma
from chainrule.ops.select import stop_gradient
from chainrule.ops.shape import broadcast, iota
from chainrule.program import mutation
from chainrule.program.text import line_text
from chainrule.program.trace import (
    Traced,
    current,
    is_traced,
    operand,
    traced_literal,
    user_line,
)
from chainrule.program.tree import register

__all__ = ["Generator", "default_rng"]


def default_rng(seed=None) -> Generator:
    """A new generator, as `numpy.random.default_rng`; a generator is passed on as it is."""
    return seed if isinstance(seed, Generator) else Generator(seed)


class Generator:
    """A stream of random numbers: a key and the number of the next draw, in `state` (uint64[2]).

    `seed` is a whole number from 0, a sequence of them, or None for a fresh one from the system.

    >>> rng = Generator(7)
    >>> rng.integers(100, size=5)
    array([75,  8, 55, 86, 49])
    """

    state: np.ndarray

    def __init__(self, seed=None):
        self.state = _initial_state(seed)

    def __repr__(self) -> str:
        if is_traced(self.state):
            return "Generator(traced)"
        return f"Generator(key={int(self.state[0]):#018x}, draw={int(self.state[1])})"

    def __copy__(self) -> Generator:
        made = Generator.__new__(Generator)
        made.state = self.state.copy()
        return made

    def __deepcopy__(self, memo) -> Generator:
        return self.__copy__()

    def _next_draw(self):
        """The state that this draw uses; the generator is at the next one afterwards."""
        if current() is None:
            draw = self.state
            self.state = next_draw(draw)
            return draw
        cell = self.state if is_traced(self.state) else mutation.captured_cell(self, "state")
        cell = mutation.local(cell)
        draw = Traced(cell.builder, operand(cell.builder, cell))
        mutation.assign(cell, next_draw(draw))
        return draw

    def spawn(self, n_children: int) -> list[Generator]:
        """New generators, independent of each other and of this one, which advances one draw."""
        parent, children = self._next_draw(), []
        for number in range(n_children):
            child = Generator.__new__(Generator)
            child.state = fold_in(parent, np.uint64(number))
            children.append(child)
        return children

    # --- continuous, without parameters -------------------------------------------------------------

    def _standard(self, op, size, dtype):
        shape, dtype = _as_shape(size), _float_dtype(dtype, op.name)
        return op(self._next_draw(), shape=shape, dtype=dtype, stream=0)

    def random(self, size=None, dtype=np.float64):
        """Uniform in [0, 1)."""
        return self._standard(samplers.standard_uniform, size, dtype)

    def standard_normal(self, size=None, dtype=np.float64):
        """Normal of mean 0 and variance 1."""
        return self._standard(samplers.standard_normal, size, dtype)

    def standard_exponential(self, size=None, dtype=np.float64):
        """Exponential of mean 1."""
        return self._standard(samplers.standard_exponential, size, dtype)

    def standard_cauchy(self, size=None, dtype=np.float64):
        """Cauchy: centre 0, half of the mass within 1."""
        return self._standard(samplers.standard_cauchy, size, dtype)

    # --- continuous, by location and scale ----------------------------------------------------------

    def _scaled(self, op, loc, scale, size, dtype):
        _check_not_negative(scale=scale)
        dtype = _float_dtype(dtype, op.name)
        z = self._standard(op, _shape(size, loc, scale), dtype)
        return _number(loc, dtype) + _number(scale, dtype) * z

    def uniform(self, low=0.0, high=1.0, size=None, dtype=np.float64):
        """Uniform from `low` to `high`; `high` itself can occur only by rounding."""
        _check(low, high, lambda a, b: a <= b, "high - low < 0")
        dtype = _float_dtype(dtype, "uniform")
        u = self._standard(samplers.standard_uniform, _shape(size, low, high), dtype)
        low, high = _number(low, dtype), _number(high, dtype)
        return low + (high - low) * u

    def normal(self, loc=0.0, scale=1.0, size=None, dtype=np.float64):
        """Normal of mean `loc` and standard deviation `scale`."""
        return self._scaled(samplers.standard_normal, loc, scale, size, dtype)

    def laplace(self, loc=0.0, scale=1.0, size=None, dtype=np.float64):
        """Laplace: exp(-|x - loc| / scale) / (2 scale)."""
        return self._scaled(samplers.standard_laplace, loc, scale, size, dtype)

    def gumbel(self, loc=0.0, scale=1.0, size=None, dtype=np.float64):
        """Gumbel: the law of the largest of many; P(X <= x) = exp(-exp(-(x - loc) / scale))."""
        return self._scaled(samplers.standard_gumbel, loc, scale, size, dtype)

    def logistic(self, loc=0.0, scale=1.0, size=None, dtype=np.float64):
        """Logistic: P(X <= x) = 1 / (1 + exp(-(x - loc) / scale))."""
        return self._scaled(samplers.standard_logistic, loc, scale, size, dtype)

    def cauchy(self, loc=0.0, scale=1.0, size=None, dtype=np.float64):
        """Cauchy: centre `loc`, half of the mass within `scale` of it."""
        return self._scaled(samplers.standard_cauchy, loc, scale, size, dtype)

    def exponential(self, scale=1.0, size=None, dtype=np.float64):
        """Exponential of mean `scale`."""
        _check_not_negative(scale=scale)
        dtype = _float_dtype(dtype, "exponential")
        z = self._standard(samplers.standard_exponential, _shape(size, scale), dtype)
        return _number(scale, dtype) * z

    def lognormal(self, mean=0.0, sigma=1.0, size=None, dtype=np.float64):
        """exp of a normal of mean `mean` and standard deviation `sigma`."""
        _check_not_negative(sigma=sigma)
        return portable_exp(self._scaled(samplers.standard_normal, mean, sigma, size, dtype))

    # --- continuous, by their inverse distribution function -----------------------------------------

    def _exponential_for(self, size, *parameters):
        shape = _shape(size, *parameters)
        z = self._standard(samplers.standard_exponential, shape, FLOAT64)
        return z, *(_parameter(p, shape) for p in parameters)

    def rayleigh(self, scale=1.0, size=None):
        """Rayleigh: the length of a normal vector in the plane."""
        _check_not_negative(scale=scale)
        z, scale = self._exponential_for(size, scale)
        return scale * np.sqrt(2.0 * z)

    def weibull(self, a, size=None):
        """Weibull of shape `a` and scale 1: P(X > x) = exp(-x**a)."""
        _check_not_negative(a=a)
        z, a = self._exponential_for(size, a)
        return portable_exp(portable_log(z) / a)

    def pareto(self, a, size=None):
        """Pareto of the second kind (Lomax): P(X > x) = (1 + x)**-a."""
        _check_positive(a=a)
        z, a = self._exponential_for(size, a)
        return portable_expm1(z / a)

    def power(self, a, size=None):
        """P(X <= x) = x**a for x in [0, 1]."""
        _check_positive(a=a)
        z, a = self._exponential_for(size, a)
        return portable_exp(-z / a)

    def triangular(self, left, mode, right, size=None):
        """A density that rises from `left` to `mode` and falls to `right`."""
        _check(left, mode, lambda a, b: a <= b, "left > mode")
        _check(mode, right, lambda a, b: a <= b, "mode > right")
        _check(left, right, lambda a, b: a != b, "left == right")
        shape = _shape(size, left, mode, right)
        u = self._standard(samplers.standard_uniform, shape, FLOAT64)
        left, mode, right = (_parameter(p, shape) for p in (left, mode, right))
        width = right - left
        rising = u * width <= mode - left
        area = np.where(rising, u * (mode - left), (1.0 - u) * (right - mode)) * width
        root = np.sqrt(area)
        return np.where(rising, left + root, right - root)[()]

    # --- continuous, built on gamma draws -----------------------------------------------------------

    def _gamma(self, shape_parameter, shape):
        return standard_gamma(self._next_draw(), _parameter(shape_parameter, shape), stream=0)

    def standard_gamma(self, shape, size=None, dtype=np.float64):
        """Gamma of scale 1: the density is proportional to x**(shape - 1) exp(-x)."""
        dtype = _float_dtype(dtype, "standard_gamma")
        return self._gamma(shape, _shape(size, shape)).astype(dtype)

    def gamma(self, shape, scale=1.0, size=None):
        """Gamma: `scale` times a standard gamma draw."""
        _check_not_negative(scale=scale)
        return self._gamma(shape, _shape(size, shape, scale)) * _number(scale, FLOAT64)

    def chisquare(self, df, size=None):
        """The sum of `df` squared standard normals."""
        _check_positive(df=df)
        return 2.0 * self._gamma(0.5 * _number(df, FLOAT64), _shape(size, df))

    def standard_t(self, df, size=None):
        """Student's t: a standard normal over the root of an independent chi-square over `df`."""
        _check_positive(df=df)
        shape, draw = _shape(size, df), self._next_draw()
        half = 0.5 * _parameter(df, shape)
        z = samplers.standard_normal(draw, shape=shape, dtype=FLOAT64, stream=0)
        return z * np.sqrt(half / standard_gamma(draw, half, stream=1))

    def student_t(self, df, loc=0.0, scale=1.0, size=None):
        """Student's t with a location and a scale."""
        _check_not_negative(scale=scale)
        z = self.standard_t(df, _shape(size, df, loc, scale))
        return _number(loc, FLOAT64) + _number(scale, FLOAT64) * z

    def f(self, dfnum, dfden, size=None):
        """Fisher's F: the ratio of two chi-squares, each over its degrees of freedom."""
        _check_positive(dfnum=dfnum, dfden=dfden)
        shape, draw = _shape(size, dfnum, dfden), self._next_draw()
        upper, lower = (0.5 * _parameter(df, shape) for df in (dfnum, dfden))
        first, second = standard_gamma(draw, upper, stream=0), standard_gamma(draw, lower, stream=1)
        return (first * lower) / (second * upper)

    def beta(self, a, b, size=None):
        """Beta on (0, 1): the density is proportional to x**(a - 1) (1 - x)**(b - 1)."""
        _check_positive(a=a, b=b)
        shape, draw = _shape(size, a, b), self._next_draw()
        log_x = log_standard_gamma(draw, _parameter(a, shape), stream=0)
        log_y = log_standard_gamma(draw, _parameter(b, shape), stream=1)
        return 1.0 / (1.0 + portable_exp(log_y - log_x))

    def dirichlet(self, alpha, size=None):
        """Random proportions that sum to 1; `alpha` is (..., K), the result (size, K)."""
        _check_positive(alpha=alpha)
        lead, length = shape_of(alpha)[:-1], shape_of(alpha)[-1]
        shape = (*_fitting(size, lead), length)
        logs = log_standard_gamma(self._next_draw(), _parameter(alpha, shape), stream=0)
        gammas = portable_exp(logs - stop_gradient(np.max(logs, axis=-1, keepdims=True)))
        return gammas / np.cumsum(gammas, axis=-1)[..., -1:]  # a sum in one order everywhere

    def multivariate_normal(self, mean, cov, size=None, method="cholesky"):
        """Normal vectors of mean (..., N) and covariance (..., N, N).

        `method` is the factor of the covariance: "cholesky", "eigh" or "svd". Only the first has a
        derivative where eigenvalues coincide; the others also take singular covariances.
        """
        length = shape_of(mean)[-1]
        if shape_of(cov)[-2:] != (length, length):
            raise ValueError("mean and cov must have same length")
        shape = _fitting(size, broadcast_shape(shape_of(mean)[:-1], shape_of(cov)[:-2]))
        z = self._standard(samplers.standard_normal, (*shape, length), FLOAT64)
        factor = _factor(_number(cov, FLOAT64), method)
        spread = z @ factor.T if factor.ndim == 2 else (factor @ z[..., None])[..., 0]
        return _number(mean, FLOAT64) + spread

    # --- discrete -----------------------------------------------------------------------------------

    def _counted(self, op, size, *parameters):
        shape = _shape(size, *parameters)
        arrays = [_parameter(p, shape) for p in parameters]
        return op(self._next_draw(), *arrays, stream=0)

    def poisson(self, lam=1.0, size=None):
        """The number of events when `lam` are expected."""
        return self._counted(samplers_discrete.random_poisson, size, lam)

    def binomial(self, n, p, size=None):
        """The number of successes in `n` trials of probability `p`."""
        return self._counted(samplers_discrete.random_binomial, size, n, p)

    def negative_binomial(self, n, p, size=None):
        """The number of failures before the `n`-th success, in trials of probability `p`."""
        _check_positive(n=n)
        _check(p, p, lambda p, _: (p > 0) & (p <= 1), "p <= 0, p > 1 or p contains NaNs")
        shape, draw = _shape(size, n, p), self._next_draw()
        n, p = _parameter(n, shape), _parameter(p, shape)
        mean = standard_gamma(draw, n, stream=0) * ((1.0 - p) / p)
        return samplers_discrete.random_poisson(draw, mean, stream=1)

    def geometric(self, p, size=None):
        """The number of trials up to and including the first success."""
        return self._counted(samplers_discrete.random_geometric, size, p)

    def bernoulli(self, p=0.5, size=None, dtype=bool):
        """True with probability `p`; other dtypes give 1 and 0."""
        return self._counted(samplers_discrete.random_bernoulli, size, p).astype(dtype)

    def categorical(self, p=None, size=None, *, logits=None, axis=-1):
        """An index along `axis` of the probabilities `p`, or of exp(`logits`).

        Neither need be normalised. The result has the shape of the other axes, or `size`.
        """
        if (p is None) == (logits is None):
            raise TypeError("categorical takes probabilities p or logits, one of them")
        weights = _full(p if logits is None else logits)
        weights = np.moveaxis(weights, axis, -1)
        if logits is not None:
            weights = portable_exp(weights - np.max(weights, axis=-1, keepdims=True))
        lead = shape_of(weights)[:-1]
        shape = _fitting(size, lead)
        if lead:
            weights = broadcast_to_shape(weights, (*shape, shape_of(weights)[-1]))
        return samplers_discrete.random_categorical(
            self._next_draw(), weights, shape=shape, stream=0
        )

    def integers(self, low, high=None, size=None, dtype=np.int64, endpoint=False):
        """Whole numbers from `low` to `high` (from 0 to `low` without it), `high` only by request."""
        low, high = (0, low) if high is None else (low, high)
        dtype, shape = np.dtype(dtype), _shape(size, low, high)
        low, last = _bounds(low, high, dtype, endpoint)
        wide = np.dtype(np.uint64 if dtype == UINT64 else np.int64)
        low, last = (_parameter(x, shape, wide).astype(np.uint64) for x in (low, last))
        with np.errstate(over="ignore"):  # modulo 2**64, as it should be
            below = samplers_discrete.random_below(self._next_draw(), last - low, stream=0)
            return (low + below).astype(dtype)

    # --- choices and orders -------------------------------------------------------------------------

    def choice(self, a, size=None, replace=True, p=None, axis=0, shuffle=True):
        """Entries of `a` along `axis` (of range(a) for a number), by the probabilities `p`.

        Without replacement the order is always random, whatever `shuffle` says.
        """
        a = as_array(a)
        count = operator.index(a) if shape_of(a) == () else shape_of(a)[axis]
        shape = _as_shape(size)
        chosen = self._chosen(count, shape, replace, p)
        return chosen if shape_of(a) == () else _along(a, chosen, axis)

    def _chosen(self, count: int, shape, replace: bool, p):
        if p is not None:
            p = _probabilities(p, count)
            if replace:
                return self.categorical(p, shape)
        elif replace:
            return self.integers(count, size=shape)
        wanted = int(np.prod(shape, dtype=int))
        if wanted > count:
            raise ValueError("Cannot take a larger sample than population when replace is False")
        draw = self._next_draw()
        if p is None:
            order = samplers_discrete.random_order(draw, shape=(count,), stream=0)[:wanted]
        else:
            order = samplers_discrete.random_subset(draw, p, count=wanted, stream=0)
        return order.reshape(shape)[()]

    def permutation(self, x, axis=0):
        """range(x), or a copy of the array x along `axis`, in random order."""
        x = as_array(x)
        count = operator.index(x) if shape_of(x) == () else shape_of(x)[axis]
        order = samplers_discrete.random_order(self._next_draw(), shape=(count,), stream=0)
        return order if shape_of(x) == () else _along(x, order, axis)

    def permuted(self, x, *, axis=None):
        """A copy of x, each slice along `axis` in a random order of its own (all of x for None)."""
        x = _full(x, dtype=None)
        if axis is None:
            return self.permutation(x.reshape(-1)).reshape(shape_of(x))
        last = np.moveaxis(x, axis, -1)
        order = samplers_discrete.random_order(self._next_draw(), shape=last.shape, stream=0)
        return np.moveaxis(np.take_along_axis(last, order, axis=-1), -1, axis)

    def shuffle(self, x, axis=0) -> None:
        """Put the array (or list) x in random order along `axis`, in place."""
        if isinstance(x, MutableSequence):
            order = samplers_discrete.random_order(self._next_draw(), shape=(len(x),), stream=0)
            x[:] = [x[operator.index(order[i])] for i in range(len(x))]
        else:
            x[...] = self.permutation(x, axis)


register(Generator, ("state",))

# --- states, as vmap uses them --------------------------------------------------------------------


def lane_states(state, size: int):
    """The states of `size` lanes, each with a key of its own, for the state of a generator."""
    if is_traced(state):
        states = broadcast(state, shape=(size, 2), axes=(1,))
        return fold_in(states, iota(size=size, dtype=UINT64))
    states = np.broadcast_to(np.asarray(state), (size, 2))
    return fold_in.evaluate(states, np.arange(size, dtype=UINT64))


def advanced(state):
    """The state one draw later."""
    return next_draw(state)


# --- seeds ----------------------------------------------------------------------------------------


def _initial_state(seed):
    if seed is None:
        seed = secrets.randbits(64)
    numbers = [operator.index(s) for s in (seed if isinstance(seed, list | tuple) else [seed])]
    if any(n < 0 for n in numbers) or not numbers:
        raise ValueError("expected non-negative integer seeds")
    state = random_state(numbers)
    return state if current() is None else _constant(state)


def _constant(state: np.ndarray):
    """The state as a constant of the program: a generator made inside a trace starts afresh."""
    key, zero = (traced_literal(int(word), UINT64) for word in state)
    filled = broadcast_to(zero, (2,))
    return index_set(filled, key, at=(0,))


# --- shapes and parameters --------------------------------------------------------------------------


def _as_shape(size) -> tuple[int, ...]:
    if size is None:
        return ()
    if isinstance(size, tuple | list):
        return tuple(operator.index(n) for n in size)
    return (operator.index(size),)


def _shape(size, *parameters) -> tuple[int, ...]:
    """The shape of a draw: `size`, which the parameters fit, or that of the parameters."""
    return _fitting(size, broadcast_shape(*(shape_of(p) for p in parameters)))


def _fitting(size, natural: tuple[int, ...]) -> tuple[int, ...]:
    if size is None:
        return natural
    shape = _as_shape(size)
    lead = len(shape) - len(natural)
    if lead < 0 or any(n not in (1, m) for n, m in zip(natural, shape[lead:], strict=True)):
        raise errors.ShapeError(
            f"Output size {shape} is not compatible with broadcast dimensions of inputs "
            f"{natural}, at {line_text(user_line())}."
        )
    return shape


def _float_dtype(dtype, name: str) -> np.dtype:
    dtype = np.dtype(dtype)
    if dtype not in (np.float64, np.float32):
        raise TypeError(f"Unsupported dtype {dtype!r} for {name}: use float64 or float32")
    return dtype


def _full(value, dtype: np.dtype | None = FLOAT64):
    """A parameter as an array, or as a traced value inside a trace; arrays are read at each call."""
    value = as_array(value)
    if current() is None:
        return np.asarray(value, dtype)
    value = traced(value)
    return value if dtype is None else cast_to(value, dtype)


def _number(value, dtype: np.dtype):
    """A location or scale: Python numbers stay as they are, arrays take the dtype of the draw."""
    return value if type(value) in (int, float) else _full(value, dtype)[()]


def _parameter(value, shape: tuple[int, ...], dtype: np.dtype = FLOAT64):
    return broadcast_to_shape(_full(value, dtype), shape)


def broadcast_to_shape(value, shape: tuple[int, ...]):
    """The value repeated to `shape`, inside and outside of traces."""
    return np.broadcast_to(value, shape) if current() is None else broadcast_to(value, shape)


def _along(a, order, axis: int):
    """The entries of a along `axis` in this order."""
    a = _full(a, dtype=None)
    axis = axis % a.ndim
    return a[(slice(None),) * axis + (order,)]


def _factor(cov, method: str):
    if method == "cholesky":
        return np.linalg.cholesky(cov)
    if method == "eigh":
        values, vectors = np.linalg.eigh(cov)
        return vectors * np.sqrt(values)[..., None, :]
    if method == "svd":
        vectors, values, _ = np.linalg.svd(cov)
        return vectors * np.sqrt(values)[..., None, :]
    raise ValueError("method must be one of {'cholesky', 'eigh', 'svd'}")


# --- checks, of values at hand only -----------------------------------------------------------------


def _check(x, y, condition, message: str) -> None:
    if not is_traced(x) and not is_traced(y) and not np.all(condition(np.asarray(x), np.asarray(y))):
        raise ValueError(message)


def _check_not_negative(**values) -> None:
    for name, value in values.items():
        _check(value, value, lambda x, _: ~(x < 0), f"{name} < 0")


def _check_positive(**values) -> None:
    for name, value in values.items():
        _check(value, value, lambda x, _: ~(x <= 0), f"{name} <= 0")


def _probabilities(p, count: int):
    p = _full(p)
    if shape_of(p) != (count,):
        raise ValueError("a and p must have same size")
    _check(p, p, lambda p, _: abs(np.sum(p) - 1.0) < 1e-8, "probabilities do not sum to 1")
    return p


def _bounds(low, high, dtype: np.dtype, endpoint: bool):
    """The smallest and the largest number to draw, as Python ints where they came as such."""
    if dtype.kind not in "iub":
        raise TypeError(f"Unsupported dtype {dtype!r} for integers")
    least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    last = high if endpoint else (high if is_traced(high) else _exact(high)) - 1
    _check(low, last, lambda a, b: a <= b, "low > high" if endpoint else "low >= high")
    _check(low, low, lambda x, _: x >= least, f"low is out of bounds for {dtype}")
    _check(last, last, lambda x, _: x <= most, f"high is out of bounds for {dtype}")
    return low, last


def _exact(value):
    """An integer bound whose predecessor is exact: a Python int, or an array of int64 or wider."""
    if isinstance(value, int | np.integer):
        return int(value)
    value = np.asarray(value)
    return value if value.dtype == np.uint64 else value.astype(np.int64)
