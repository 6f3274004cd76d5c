"""Vector math: errors in ulps against mpmath and float64, NumPy's edges, any number of lanes."""

import math
import re

import numpy as np
import pytest
import scipy.special
from mpmath import mp, mpf

import chainrule as cr
from benchmarks.vector_math_accuracy import (
    BINARY,
    QUOTIENTS,
    float32_errors,
    float64_error,
    native,
    points,
    text_of,
    wide_reference,
    worst_float32,
    worst_float64,
)
from chainrule.compiler.llvm.code import Code, Value, element_type, vector
from chainrule.compiler.llvm.vecmath import MATH

MEASURED = [name for name in MATH if name not in QUOTIENTS]
DTYPES = [np.float32, np.float64]
INLINE = {
    "fabs", "fma", "sqrt", "rint", "floor", "trunc", "copysign", "fshl", "vector.reduce.or",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _digits():
    with mp.workdps(60):  # other tests leave mpmath's precision as they need it
        yield


def reference(name):
    return getattr(np, name, None) or getattr(scipy.special, name)


def same_bits(x, y):
    """Equal, zeros of equal sign; any nan equals any."""
    return ((x == y) & (np.signbit(x) == np.signbit(y))) | (np.isnan(x) & np.isnan(y))


# --- accuracy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MEASURED)
def test_float32_errors_are_below_one_ulp(name):
    error, where, _ = worst_float32(name, stride=2**16 + 1)
    assert error < 1.0, where


@pytest.mark.parametrize("name", MEASURED)
def test_float64_errors_are_below_two_ulps(name):
    error, where, _ = worst_float64(name, 240, seed=11)
    assert error < 2.0, where


@pytest.mark.parametrize(
    "name, hard",
    [
        ("exp", 16.333014), ("log", 0.69960153), ("log1p", 0.44437948), ("tanh", 1.0001487),
        ("expit", -5.233133), ("erf", 1.0752414), ("log_expit", 1.2836462),
    ],
)  # fmt: skip
def test_float32_errors_at_the_hardest_points_found(name, hard):
    """The worst of 70 million, and its neighbours."""
    near = np.float32(hard).view(np.int32) + np.arange(-2000, 2000, dtype=np.int32)
    x, truth = near.view(np.float32), wide_reference(name)
    assert float32_errors(native(name, np.float32)(x), truth(x.astype(np.float64))).max() < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED)
def test_float32_errors_are_below_one_ulp_at_many_points(name):
    """The page's table is of four million, by benchmarks/vector_math_accuracy.py."""
    error, where, _ = worst_float32(name, stride=16_411)
    assert error < 1.0, where


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED)
def test_float64_errors_are_below_two_ulps_at_thousands_of_points(name):
    error, where, _ = worst_float64(name, 4000, seed=5)
    assert error < 2.0, where


@pytest.mark.parametrize("dtype, bits", [(np.float32, 51), (np.float64, 58)])
def test_logaddexp_that_cancels_is_accurate_beside_its_larger_input(dtype, bits):
    x = (-np.random.default_rng(0).uniform(0.1, 5, 200)).astype(dtype)
    y = np.log(-np.expm1(x))  # e^x + e^y = 1, but for the rounding of y
    found = native("logaddexp", dtype)(x, y)
    for a, b, value in zip(x, y, found, strict=True):
        truth = mp.log(mp.exp(mpf(float(a))) + mp.exp(mpf(float(b))))
        rounding = abs(truth) * float(np.finfo(dtype).eps)
        error = abs(mpf(float(value)) - truth)
        assert error < 2.0**-bits * float(max(abs(a), abs(b))) + rounding


def test_angles_nearest_to_a_multiple_of_a_quarter_turn():
    """Muller, Elementary Functions, 2nd edition, table 9.1: the hardest float64, and 1e22."""
    x = np.array([6381956970095103.0 * 2.0**797, 1e22, 2.0**1023 * 1.9999])
    for name, truth in (("sin", mp.sin), ("cos", mp.cos), ("tan", mp.tan)):
        for angle, value in zip(x, native(name, np.float64)(x), strict=True):
            assert float64_error(float(value), truth(mpf(float(angle)))) < 2.0


# --- exact results --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_of_two_and_cubes_are_exact(dtype):
    whole = np.arange(-120, 121).astype(dtype)
    powers = np.ldexp(dtype(1), np.arange(-120, 121))
    np.testing.assert_array_equal(native("exp2", dtype)(whole), powers)
    np.testing.assert_array_equal(native("log2", dtype)(powers), whole)
    np.testing.assert_array_equal(native("cbrt", dtype)(whole**3), whole)
    np.testing.assert_array_equal(native("power", dtype)(whole, dtype(3)), whole**3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sinc_is_zero_at_integers(dtype):
    x = np.array([-3.0, -1.0, 1.0, 2.0, 12345.0, 2.0**60], dtype)
    assert same_bits(native("sinc", dtype)(x), np.zeros_like(x)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(QUOTIENTS))
def test_quotients_are_numpys_bits(name, dtype):
    x, y = points(name, np.dtype(dtype), 12000)
    rng = np.random.default_rng(4)
    with np.errstate(all="ignore"):
        multiples = (rng.integers(-60, 60, y.size) * y).astype(dtype)
        x, y = np.concatenate([x, multiples]), np.concatenate([y, y])
        expected = getattr(np, name)(x, y)
    assert same_bits(native(name, dtype)(x, y), expected).all()


# --- edges ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [n for n in MATH if n != "sinc"])
def test_edges_are_numpys_and_scipys(name, dtype):
    limits = np.finfo(dtype)
    ends = [limits.smallest_subnormal, limits.tiny, limits.max]
    values = [0.0, math.inf, 1.0, 2.0, 3.0, 0.5, 1e5, *ends]
    x = np.array([math.nan, *values, *[-v for v in values]], dtype)
    inputs = [a.ravel() for a in np.meshgrid(x, x)] if name in BINARY else [x]
    with np.errstate(all="ignore"):
        expected = reference(name)(*inputs)
    found = native(name, dtype)(*inputs)
    near = np.isclose(found, expected, rtol=8 * limits.eps, atol=0) & np.isfinite(expected)
    signs = np.signbit(found) == np.signbit(expected)
    good = same_bits(found, expected) | (near & signs)
    assert good.all(), [x[~good] for x in (*inputs, found, expected)]


def test_sinc_at_its_edges():
    x = np.array([0.0, -0.0, 5e-324, 1e-300, math.inf, -math.inf, math.nan, 1e308])
    expected = np.array([1.0, 1.0, 1.0, 1.0, math.nan, math.nan, math.nan, 0.0])
    assert same_bits(native("sinc", np.float64)(x), expected).all()


# --- the code -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["exp", "expit", "log", "sin", "power", "fmod", "erfc"])
def test_any_number_of_lanes_gives_the_same_bits(name, dtype):
    inputs = points(name, np.dtype(dtype), 400)
    expected = native(name, dtype, 8)(*inputs)
    for lanes in (1, 3, 5, 16):
        assert same_bits(native(name, dtype, lanes)(*inputs), expected).all(), lanes


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", list(MATH))
def test_nothing_is_called_but_what_is_an_instruction(name, dtype):
    called = re.findall(r"call [^@]*@([\w.]+)\(", text_of(name, dtype, 8))
    plain = {re.sub(r"\.v?\d*[if]\d+$", "", c.removeprefix("llvm.")) for c in called}
    assert plain - {"apply.huge_angles"} <= INLINE  # which is in the same text


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lanes", [1, 8])
def test_angles_are_reduced_once_for_sine_and_cosine(dtype, lanes):
    code = Code()
    place = Value("%p", "ptr")
    x, y = (code.load(code.offset(place, 8 * i), vector(element_type(np.dtype(dtype)), lanes))
            for i in range(2))  # fmt: skip
    values = [MATH[name](code, angle) for angle in (x, y) for name in ("sin", "cos", "tan")]
    assert len({v.text for v in values}) == 6
    text = code.function("define void @f(ptr %p)")
    assert text.count("call void @f.huge_angles(") == 2
    assert text.count("define internal void @f.huge_angles(") == 1


def test_sine_and_cosine_of_one_number_are_right_for_every_size_of_it():
    """Beside each other in one kernel, as a derivative has them: also of two numbers in turn."""
    hardest = 6381956970095103.0 * 2.0**797
    x = np.array([0.5, -3.0, 1e200, 2.0**30, hardest, 0.0, 1e5, -1e9])
    f = cr.compile(lambda x, y: (np.sin(x), np.sin(y), np.cos(y), np.cos(x), np.tan(x)))
    for inputs, wanted in zip("xyyxx", zip("sscct", f(x, x[::-1]), strict=True), strict=True):
        truth = {"s": mp.sin, "c": mp.cos, "t": mp.tan}[wanted[0]]
        for angle, value in zip(x if inputs == "x" else x[::-1], wanted[1], strict=True):
            assert float64_error(float(value), truth(mpf(float(angle)))) < 2.0


def test_a_huge_lane_changes_nothing_beside_it():
    small = np.linspace(-10, 10, 8)
    mixed = small.copy()
    mixed[3] = 1e200
    for name in ("sin", "cos", "tan"):
        run = native(name, np.float64, 8)
        alone, beside = run(small), run(mixed)
        assert same_bits(np.delete(alone, 3), np.delete(beside, 3)).all()
