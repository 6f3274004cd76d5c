"""Python's math on traced numbers. The truth of slopes is mpmath's; of values, math itself."""

import math

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.numpy.python_math import OF_NUMBERS, OF_SEQUENCES

# a call in `math`, the same in mpmath, and the points
CASES = {
    "sin": (mpmath.sin, 0.7), "cos": (mpmath.cos, 0.7), "tan": (mpmath.tan, 0.7),
    "asin": (mpmath.asin, 0.3), "acos": (mpmath.acos, 0.3), "atan": (mpmath.atan, 0.3),
    "sinh": (mpmath.sinh, 0.7), "cosh": (mpmath.cosh, 0.7), "tanh": (mpmath.tanh, 0.7),
    "asinh": (mpmath.asinh, 0.7), "acosh": (mpmath.acosh, 1.7), "atanh": (mpmath.atanh, 0.7),
    "exp": (mpmath.exp, 0.7), "exp2": (lambda x: 2**x, 0.7), "expm1": (mpmath.expm1, 0.7),
    "log": (mpmath.log, 1.3, 2.5), "log1p": (lambda x: mpmath.log(1 + x), 0.7),
    "log2": (lambda x: mpmath.log(x, 2), 0.7), "log10": (mpmath.log10, 0.7),
    "sqrt": (mpmath.sqrt, 1.7), "cbrt": (mpmath.cbrt, 1.7), "fabs": (mpmath.fabs, -1.7),
    "degrees": (mpmath.degrees, 0.7), "radians": (mpmath.radians, 0.7),
    "pow": (mpmath.power, 1.3, 2.2), "atan2": (mpmath.atan2, 0.7, -0.4),
    "copysign": (lambda x, y: mpmath.fabs(x) * mpmath.sign(y), 0.7, -0.4),
    "fmod": (lambda x, y: x - y * 3, 2.5, 0.7), "remainder": (lambda x, y: x - y * 4, 2.5, 0.7),
    "hypot": (lambda *x: mpmath.sqrt(sum(v * v for v in x)), 0.7, -0.4, 1.1),
    "modf": (lambda x: x - 2, 2.3), "erf": (mpmath.erf, 0.7), "erfc": (mpmath.erfc, 0.7),
    "gamma": (mpmath.gamma, 1.7), "lgamma": (mpmath.loggamma, 1.7),
    "isnan": (lambda x: 0, 0.7), "isinf": (lambda x: 0, 0.7), "isfinite": (lambda x: 1, 0.7),
    "isclose": (lambda x, y: 0, 0.7, 0.8),
    "fsum": (lambda *x: sum(x), 0.7, -0.4, 1.1),
    "dist": (lambda a, b, c, d: mpmath.hypot(a - c, b - d), 0.7, -0.4, 1.1, 2.0),
    "sumprod": (lambda a, b, c, d: a * c + b * d, 0.7, -0.4, 1.1, 2.0),
}  # fmt: skip
NAMES = [name for name in CASES if hasattr(math, name)]


def test_each_function_has_a_case():
    assert set(CASES) == set(OF_NUMBERS) | set(OF_SEQUENCES)


def called(name):
    """The function of a vector x that calls math's on the elements of x."""

    def f(x):
        entries = list(x)
        if name == "fsum":
            return math.fsum(entries)
        if name in ("dist", "sumprod"):
            return getattr(math, name)(entries[:2], entries[2:])
        out = getattr(math, name)(*entries)
        return out[0] if name == "modf" else out * 1.0

    return f


@pytest.mark.parametrize("name", NAMES)
def test_value_and_slope_of_a_function_of_math(name):
    truth, *point = CASES[name]
    f, x = called(name), np.array(point)
    with mpmath.workdps(30):
        orders = np.eye(len(point), dtype=int)
        slope = [float(mpmath.diff(truth, tuple(point), tuple(map(int, n)))) for n in orders]
    assert cr.compile(f)(x) == pytest.approx(f(x), rel=1e-15)
    assert cr.vmap(f)(np.stack([x, x]))[1] == pytest.approx(f(x), rel=1e-15)
    for g in (cr.grad(f), cr.compile(cr.grad(f))):
        np.testing.assert_allclose(g(x), slope, rtol=1e-13, atol=1e-15)


def test_a_result_of_math_is_a_python_float():
    def f(x):
        y = math.sin(x)
        assert isinstance(y, float)
        return (y * np.float32([1.0, 2.0])).sum()

    assert cr.value_and_grad(f)(np.float32(0.5))[0].dtype == np.float32
    assert cr.grad(f)(0.5) == pytest.approx(3.0 * math.cos(0.5), rel=1e-6)  # in float32


@pytest.mark.parametrize(
    ("name", "x", "error"),
    [("log", 0.0, ValueError), ("sqrt", -1.0, ValueError), ("exp", 1000.0, OverflowError),
     ("acos", 2.0, ValueError), ("gamma", 0.0, ValueError)],
)  # fmt: skip
def test_errors_of_math_are_pythons_where_the_value_is_at_hand(name, x, error):
    with pytest.raises(error):
        cr.grad(lambda v: getattr(math, name)(v))(x)
    compiled = cr.compile(lambda v: getattr(math, name)(v[0]))(np.array([x]))
    assert not math.isfinite(compiled)


def test_a_caught_error_of_math_leads_to_the_other_branch():
    def f(x):
        try:
            return math.log(x)
        except ValueError:
            return -100.0 + 3.0 * x

    assert cr.grad(f)(-1.0) == 3.0
    assert cr.grad(f)(2.0) == 0.5


def test_a_compiled_function_does_not_depend_on_the_number_that_math_is_given():
    traces = []

    def f(x):
        traces.append(1)
        return math.log(x) + math.exp(x)

    g = cr.compile(f)
    for x in (0.5, 0.7, 2.0):
        assert g(x) == pytest.approx(math.log(x) + math.exp(x), rel=1e-15)
    assert len(traces) == 1


def test_math_refuses_arrays_as_ever():
    with pytest.raises(TypeError, match="only 0-dimensional arrays"):
        cr.grad(lambda x: math.sin(x))(np.ones(2))
    with pytest.raises(TypeError, match="must be real number"):
        cr.compile(lambda x: math.sin(x))(1j)


@pytest.mark.parametrize("rounded", [math.floor, math.ceil, math.trunc, round])
def test_roundings_need_no_value_at_hand(rounded):
    def f(x):
        return rounded(x[0]) * x[1]

    for first in (1.2, 1.7, -1.2, -1.7, 2.5, 3.5):
        x = np.array([first, 3.0])
        assert cr.compile(f)(x) == f(x)
        if first % 1.0 != 0.5:  # at a jump the slope is the mean of both sides
            np.testing.assert_array_equal(cr.compile(cr.grad(f))(x), [0.0, rounded(first)])
        np.testing.assert_array_equal(cr.vmap(f)(np.stack([x, -x])), [f(x), f(-x)])


def test_math_is_as_before_outside_of_traces():
    before = math.sin, math.fsum
    cr.grad(lambda x: math.sin(x))(1.0)
    assert (math.sin, math.fsum) == before
    assert "chainrule" not in math.sin.__module__
