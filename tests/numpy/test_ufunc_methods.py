"""reduce, accumulate, reduceat, outer and at of NumPy's ufuncs through a trace, against NumPy."""

import numpy as np
import pytest

from chainrule.errors import ConcreteValueNeeded, MutationError, ShapeError
from tests.numpy.against_numpy import check_same, through_trace
from tests.ops.differentiation import check_derivatives

X = np.random.default_rng(9).standard_normal((3, 4))
# arctan2 and power are left out: NumPy's own reductions of these are wrong on some processors
UFUNCS = pytest.mark.parametrize(
    "ufunc",
    [np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.subtract, np.divide,
     np.logaddexp, np.hypot, np.copysign],
    ids=lambda f: f.__name__,
)  # fmt: skip
AXES = pytest.mark.parametrize("axis", [0, 1, -1, None, (0, 1)])


@UFUNCS
@AXES
def test_reduce(ufunc, axis):
    check_same(lambda x: ufunc.reduce(x, axis=axis), X)
    check_same(lambda x: ufunc.reduce(x, axis=axis, keepdims=True), X)
    check_same(lambda x: ufunc.reduce(x[:0], axis=axis), X)
    extremes = ("maximum", "minimum", "fmax", "fmin")
    reorders = ufunc.identity is not None or ufunc.__name__ in extremes
    if reorders or axis in (0, 1, -1):
        check_derivatives(lambda x: ufunc.reduce(x, axis=axis), X, second=axis == 1)


@UFUNCS
@pytest.mark.parametrize("axis", [0, 1])
def test_accumulate_and_reduceat(ufunc, axis):
    check_same(lambda x: ufunc.accumulate(x, axis=axis), X)
    exact = ufunc is not np.add  # NumPy adds the first entry of a segment last
    check_same(lambda x: ufunc.reduceat(x, [0, 2, 1], axis=axis), X, exact=exact)
    check_same(lambda x: ufunc.reduceat(x, [1, 2], axis=axis), X)
    check_derivatives(lambda x: ufunc.accumulate(x, axis=axis), X, second=False)
    check_derivatives(lambda x: ufunc.reduceat(x, [0, 2, 1], axis=axis), X, second=False)
    check_derivatives(lambda x: ufunc.reduceat(x, [1, 2], axis=axis), X, second=False)


@UFUNCS
def test_outer(ufunc):
    check_same(lambda x, y: ufunc.outer(x, y), X, X[0])
    check_same(lambda x: ufunc.outer(x, [1.0, 2.0]), X)
    check_same(lambda x: ufunc.outer(2.0, x), X)
    check_derivatives(lambda x, y: ufunc.outer(x, y), X[:, :2], X[0] + 5, second=False)


@UFUNCS
def test_at_counts_every_repeated_index(ufunc):
    def line(x, y):
        ufunc.at(x, [0, 2, 0, 0], y)
        ufunc.at(x, -1, 3.0)
        return x

    def table(x, y):
        ufunc.at(x, (np.array([0, 2, 0]), np.array([1, 1, 1])), y)
        ufunc.at(x, (slice(None), 0), y)
        return x

    check_same(line, X[0], X[1])
    check_same(table, X, X[:, 2].copy())
    check_derivatives(lambda x, y: line(x + 0, y), abs(X[0]) + 5, abs(X[1]) + 1, second=False)


def test_at_of_functions_of_one_argument():
    def change(x):
        np.negative.at(x, [0, 0, 1])
        np.exp.at(x, [1, 1])
        return x

    check_same(change, X[0])


def test_truth_and_bits():
    for ufunc in (np.logical_and, np.logical_or, np.logical_xor):
        check_same(lambda x: ufunc.reduce(x, axis=0), X > 0)
        check_same(lambda x: ufunc.reduce(x, axis=1), X)
        check_same(lambda x: ufunc.accumulate(x, axis=0), X > 0)
    for ufunc in (np.bitwise_and, np.bitwise_or, np.gcd):
        check_same(lambda x: ufunc.reduce(x, axis=0), np.arange(1, 13).reshape(3, 4))


def test_options_of_reduce():
    small = np.arange(12, dtype="i1").reshape(3, 4)
    for ufunc in (np.add, np.multiply):
        check_same(lambda x: ufunc.reduce(x), small)
        check_same(lambda x: ufunc.accumulate(x), small)
        check_same(lambda x: ufunc.reduce(x, dtype="f4"), X)
        check_same(lambda x: ufunc.reduce(x, axis=None, initial=3.0, where=x > 0), X, exact=False)
    check_same(lambda x: np.hypot.reduce(x, initial=2.0), X)

    def into(x, out):
        np.add.reduce(x, out=out)
        return np.maximum.reduce(x, axis=0, out=out)

    check_same(into, X, np.zeros(4))


def test_misuse_raises_numpys_errors():
    check_same(lambda x: np.exp.reduce(x), X)
    check_same(lambda x: np.subtract.reduce(x, axis=None), X)
    check_same(lambda x: np.add.reduceat(x, [9]), X)
    check_same(lambda x: np.add.accumulate(x, axis=4), X)
    check_same(lambda x: np.add.accumulate(x[0, 0]), X)
    with pytest.raises(ShapeError, match="maximum which has no identity, at test_ufunc_methods"):
        through_trace(lambda x: np.maximum.reduce(x[:0]), X)
    outside = np.zeros(3)
    with pytest.raises(MutationError, match="traced values into a plain array"):
        through_trace(lambda x: np.add.at(outside, [0], x[0, 0]), X)
    with pytest.raises(ConcreteValueNeeded, match="np.multiply.at needs the value of its ind"):
        through_trace(lambda x, i: np.multiply.at(x, i, 2.0), X, np.array([0, 0]), concrete=False)
