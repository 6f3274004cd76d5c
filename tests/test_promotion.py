"""Dtypes under trace are NumPy's (NEP 50), for every pair of dtypes and every kind of scalar."""

import operator
import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors
from chainrule.program.evaluate import evaluate
from chainrule.program.types import SUPPORTED_DTYPES
from chainrule.tracing import trace_call

OPERATORS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "//": operator.floordiv, "%": operator.mod, "**": operator.pow, "<": operator.lt,
    "==": operator.eq, "&": operator.and_, "<<": operator.lshift, "arctan2": np.arctan2,
    "maximum": np.maximum, "where": lambda x, y: np.where([True, False], x, y),
    "copysign": np.copysign, "hypot": np.hypot, "logaddexp": np.logaddexp,
}  # fmt: skip

SCALARS = {
    "bool": True, "int": 3, "negative int": -2, "large int": 1000, "float": 1.5, "complex": 1 + 2j,
    "np.bool": np.bool_(True), "np.int8": np.int8(3), "np.uint64": np.uint64(3),
    "np.float16": np.float16(1.5), "np.float32": np.float32(1.5), "np.float64": np.float64(1.5),
    "np.complex64": np.complex64(1 + 2j),
}  # fmt: skip


def plain(f, *args):
    """NumPy's result, or the builtin exception that it raises."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return f(*args)
        except (TypeError, ValueError, OverflowError) as error:
            return next(c for c in type(error).__mro__ if c.__module__ == "builtins")


def traced(f, *args):
    """The result of the traced program, or the builtin exception that tracing raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call = trace_call(f, args, {})
            call.program.validate()
            return call.finish(evaluate(call.program, call.operands))
        except (TypeError, ValueError, OverflowError) as error:
            return next(c for c in type(error).__mro__ if c.__module__ == "builtins")


def assert_like_numpy(f, *args):
    found, wanted = traced(f, *args), plain(f, *args)
    if isinstance(wanted, type):
        assert found is wanted, (args, found, wanted)
        return
    assert not isinstance(found, type), (args, found, wanted)
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), args
    if (
        found.dtype.kind in "fc"
    ):  # NumPy's functions of scalars round otherwise than those of arrays
        np.testing.assert_allclose(found, wanted, rtol=4 * np.finfo(found.dtype).eps)
    else:
        assert np.array_equal(found, wanted), (args, found, wanted)


def array_of(dtype) -> np.ndarray:
    return np.array([2, 1]).astype(dtype)


def is_beyond(scalar, dtype) -> bool:
    """Whether a Python int does not fit into an integer dtype."""
    if type(scalar) is not int or dtype.kind not in "iu":
        return False
    return not np.iinfo(dtype).min <= scalar <= np.iinfo(dtype).max


@pytest.mark.parametrize("name", OPERATORS)
def test_two_arrays(name):
    for left in SUPPORTED_DTYPES:
        for right in SUPPORTED_DTYPES:
            assert_like_numpy(OPERATORS[name], array_of(left), array_of(right))


@pytest.mark.parametrize("name", OPERATORS)
def test_an_array_and_a_constant(name):
    f = OPERATORS[name]
    for dtype in SUPPORTED_DTYPES:
        for scalar in SCALARS.values():
            if name == "where" and is_beyond(scalar, dtype):
                continue  # NumPy wraps it around without a word
            assert_like_numpy(lambda x: f(x, scalar), array_of(dtype))
            assert_like_numpy(lambda x: f(scalar, x), array_of(dtype))


@pytest.mark.parametrize("name", OPERATORS)
def test_an_array_and_a_scalar_argument(name):
    f = OPERATORS[name]
    for dtype in SUPPORTED_DTYPES:
        for scalar in SCALARS.values():
            if name == "where" and is_beyond(scalar, dtype):
                continue
            assert_like_numpy(f, array_of(dtype), scalar)
            assert_like_numpy(f, scalar, array_of(dtype))


@pytest.mark.parametrize("name", OPERATORS)
def test_two_scalar_arguments(name):
    f = OPERATORS[name]
    for left in SCALARS.values():
        for right in SCALARS.values():
            one = isinstance(left, np.generic) or isinstance(right, np.generic)
            beyond = is_beyond(left, np.asarray(right).dtype) or is_beyond(
                right, np.asarray(left).dtype
            )
            if one and not (name == "where" and beyond):
                assert_like_numpy(f, left, right)


@pytest.mark.parametrize("kind", ["0-d array", "scalar"])
def test_values_without_axes(kind):
    for dtype in SUPPORTED_DTYPES:
        x = np.array(2, dtype) if kind == "0-d array" else dtype.type(2)
        for name in ("+", "*", "/", "**", "<"):
            for other in (*SCALARS.values(), array_of(np.float32), array_of(np.int8)):
                assert_like_numpy(OPERATORS[name], x, other)
                assert_like_numpy(OPERATORS[name], other, x)


def test_unary_functions():
    functions = (np.negative, np.sqrt, np.sin, np.exp2, np.floor, np.sign, np.abs, np.square,
                 np.reciprocal, np.rint, np.isnan, np.conj, np.real, np.sum, np.mean, np.prod,
                 np.cumsum, np.std, np.invert, np.log1p, np.arctan, np.angle)  # fmt: skip
    for f in functions:
        for dtype in SUPPORTED_DTYPES:
            assert_like_numpy(f, array_of(dtype))


def test_weakness_ends_where_an_array_begins():
    def f(x, n):
        y = n * 2  # still a Python number
        return x + y, np.asarray(y) + x, np.sum(y) + x

    results = traced(f, np.float32([1.0]), 3)
    for found, wanted in zip(results, f(np.float32([1.0]), 3), strict=True):
        assert found.dtype == wanted.dtype


def test_python_numbers_stay_python_numbers():
    def f(x, n):
        flag = (n > 3) * 1 + True
        return x * (n / 2) ** 2 - (n // 2) % 3 + abs(-n) + divmod(n, 2)[0] + round(n) + flag

    for dtype in (np.float16, np.float32, np.float64, np.complex64, np.int8):
        assert_like_numpy(f, np.ones(2, dtype), 5)


def test_casts_in_place_follow_the_same_kind_rule():
    def add(x, y):
        x += y
        return x

    for left in SUPPORTED_DTYPES:
        for right in (*map(array_of, SUPPORTED_DTYPES), *SCALARS.values()):
            found, wanted = traced(add, array_of(left), right), plain(add, array_of(left), right)
            if isinstance(wanted, type):
                assert found is wanted, (left, right)
            else:
                assert found.dtype == wanted.dtype, (left, right)
                assert np.array_equal(found, wanted), (left, right)


def test_a_refused_cast_names_both_dtypes():
    def add(x, y):
        x += y
        return x

    with pytest.raises(errors.DtypeError, match="from dtype\\('float64'\\) to dtype\\('int64'\\)"):
        trace_call(add, (np.arange(2), np.ones(2)), {})


@pytest.mark.parametrize(
    "x", [np.array([3, 4]), 3, np.int64(3), np.float32(3), 3.0, np.array([3.0], "f"),
          np.array([True, False])], ids=repr,
)  # fmt: skip
def test_powers_have_numpys_dtype_whatever_kind_of_number_the_exponent_is(x):
    for y in (2, 2.0, 1, 1.0, 0.5, -1.0, 3, 3.0, np.float64(2.0), np.int64(2), np.float32(1.0)):
        wanted = np.asarray(x**y)
        found = np.asarray(cr.compile(lambda x, y=y: x**y)(x))
        assert found.dtype == wanted.dtype, (y, found.dtype, wanted.dtype)
        np.testing.assert_array_equal(found, wanted)
