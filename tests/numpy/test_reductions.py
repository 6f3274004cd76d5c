"""Sums, products, extremes, means, variances and running ones through a trace, against NumPy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import chainrule as cr
from chainrule.errors import AxisError, DtypeError, ShapeError
from tests.numpy.against_numpy import check_same, through_trace
from tests.ops.differentiation import check_derivatives

# NumPy warns of what it computes here on purpose; a trace does not reproduce the warnings
pytestmark = pytest.mark.filterwarnings("ignore:(Mean of empty|Degrees of|All-NaN):RuntimeWarning")

RNG = np.random.default_rng(11)
X = RNG.standard_normal((3, 4))
Y = RNG.standard_normal((2, 3, 4))
MASK = np.array([[True, False, True, True], [True, True, False, True], [False, True, True, True]])
WITH_NAN = np.where([[0, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]], np.nan, X)

REDUCTIONS = (np.sum, np.prod, np.mean, np.var, np.std, np.max, np.min, np.ptp)
TRUTHS = (np.all, np.any)
IGNORING_NAN = (np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmin)
RUNNING = (np.cumsum, np.cumprod, np.nancumsum, np.nancumprod)
POSITIONS = (np.argmax, np.argmin, np.nanargmax, np.nanargmin)


def named(functions):
    return pytest.mark.parametrize("function", functions, ids=lambda f: f.__name__)


# --- values -------------------------------------------------------------------------------------


@st.composite
def arrays_and_axes(draw):
    dtypes = ["?", "i1", "i4", "i8", "u1", "f2", "f4", "f8", "c8", "c16"]
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    small = st.integers(-3, 3) if np.dtype(dtype).kind != "u" else st.integers(0, 3)
    whole = draw(hnp.arrays(np.int64, shape, elements=small))
    x = whole.astype(dtype) if dtype[0] in "?iu" else (whole * 0.625).astype(dtype)
    axes = st.sampled_from(range(-x.ndim, x.ndim)) if x.ndim else st.none()
    axis = draw(st.one_of(st.none(), axes, hnp.valid_tuple_axes(x.ndim)))
    return x, axis, draw(st.booleans())


@given(arrays_and_axes(), st.sampled_from((*REDUCTIONS, *TRUTHS, *IGNORING_NAN)))
@settings(max_examples=200)
def test_reductions_give_numpys_bits_dtypes_and_errors(case, function):
    x, axis, keepdims = case
    # NumPy divides complex numbers in double precision, and counts as complex numbers
    exact = x.dtype.kind != "c" or function in (np.sum, np.prod, np.max, np.min, np.all, np.any)
    if x.dtype == np.complex64 and not exact:
        return
    check_same(lambda x: function(x, axis=axis, keepdims=keepdims), x, exact=exact)


@given(arrays_and_axes(), st.sampled_from((*RUNNING, *POSITIONS)))
@settings(max_examples=100)
def test_running_reductions_and_positions_are_numpys(case, function):
    x, axis, _ = case
    if isinstance(axis, tuple):
        axis = axis[0] if axis else None
    check_same(lambda x: function(x, axis=axis), x)


@named((np.sum, np.mean, np.var, np.std, np.prod))
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_large_arrays_are_added_in_numpys_order(function, dtype):
    big = np.random.default_rng(3).standard_normal((300, 200)).astype(dtype)
    for axis in (None, 0, 1):
        check_same(lambda x: function(x, axis=axis), big)
        check_same(lambda x: function(x.T, axis=axis), big)
        check_same(lambda x: function(x[::2, 1::3], axis=axis), big)


@named((np.sum, np.prod, np.mean, np.var, np.std, *IGNORING_NAN[:5]))
def test_where_leaves_entries_out(function):
    for axis in (None, 0, 1):
        check_same(lambda x, m: function(x, axis=axis, where=m), X, MASK, exact=False)
        check_same(lambda x: function(x, axis=axis, where=MASK[0]), X, exact=False)
        check_same(lambda x: function(x, axis=axis, where=x > -1), X, exact=False)


@pytest.mark.parametrize(
    ("function", "start"), [(np.sum, 2.5), (np.prod, 2.5), (np.max, 0.3), (np.min, -0.2),
                            (np.nansum, 1.0), (np.nanmax, 0.3)],
)  # fmt: skip
def test_initial_takes_part(function, start):
    for axis in (None, 0):
        check_same(lambda x: function(x, axis=axis, initial=start), X, exact=False)
        check_same(lambda x: function(x, axis=axis, initial=start, where=MASK), X, exact=False)
    check_same(lambda x: function(x, axis=0, initial=start), np.zeros((0, 3)))


@named((np.sum, np.prod, np.mean, np.var, np.std))
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
def test_dtype_is_the_accumulators(function, dtype):
    check_same(lambda x: function(x, axis=0, dtype=dtype), X.astype("f4"), exact=False)
    check_same(lambda x: function(x, axis=0, dtype=dtype), np.arange(12).reshape(3, 4), exact=False)


@named((np.var, np.std, np.nanvar, np.nanstd))
@pytest.mark.parametrize("ddof", [0, 1, 1.5, 4, 7])
def test_degrees_of_freedom(function, ddof):
    check_same(lambda x: function(x, axis=1, ddof=ddof), X)
    check_same(lambda x: function(x, axis=1, correction=ddof), X)
    check_same(lambda x: function(x, axis=1, mean=np.mean(x, axis=1, keepdims=True)), X)


@named((*IGNORING_NAN, np.sum, np.max, np.min, np.mean))
def test_nan_is_passed_over_or_passed_on(function):
    for axis in (None, 0, 1):
        check_same(lambda x: function(x, axis=axis), WITH_NAN)


def test_out_is_written():
    def totals(x, out):
        assert np.sum(x, axis=0, out=out) is out
        np.max(x, axis=0, out=out[:])
        return x.sum(axis=0, out=out)

    check_same(totals, X, np.zeros(4))


def test_cumulative_sum_and_prod_with_an_initial_entry():
    for function in (np.cumulative_sum, np.cumulative_prod):
        for initial in (False, True):
            check_same(lambda x: function(x, axis=1, include_initial=initial), X)
            check_same(lambda x: function(x, include_initial=initial), X[0])


def test_methods_are_the_functions():
    check_same(lambda x: [x.sum(0), x.mean(), x.std(1), x.prod(0), x.max(), x.ptp(), x.argmin(1)]
               if hasattr(x, "ptp") else [x.sum(0), x.mean(), x.argmin(1)], X)  # fmt: skip
    check_same(lambda x: [x.var(axis=0, ddof=1), x.min(1), x.all(0), x.any(), x.cumsum(1)], X)


# --- errors -------------------------------------------------------------------------------------


def refuse(f, *args, error, match):
    with pytest.raises(error, match=match):
        through_trace(f, *args)


def test_empty_reductions_are_worded_as_numpys():
    empty = np.zeros((0, 3))
    words = "zero-size array to reduction operation maximum which has no identity, at test_red"
    refuse(lambda x: np.max(x), empty, error=ShapeError, match=words)
    refuse(lambda x: np.argmin(x), empty, error=ShapeError, match="attempt to get argmin of an emp")
    refuse(lambda x: np.nanargmax(x), X * np.nan, error=ShapeError, match="All-NaN slice")


def test_wrong_axes_are_worded_as_numpys():
    words = "axis 2 is out of bounds for array of dimension 1, at test_reductions.py"
    refuse(lambda x: np.sum(x, axis=2), X[0], error=AxisError, match=words)
    refuse(lambda x: np.sum(x, axis=(0, 0)), X, error=ValueError, match="repeated axis")


def test_a_mask_is_boolean_and_needs_an_identity():
    refuse(lambda x: np.sum(x, where=[1, 0, 1, 1]), X, error=DtypeError, match="safe")
    refuse(lambda x: np.max(x, where=MASK), X, error=ValueError, match="specify 'initial'")


# --- derivatives --------------------------------------------------------------------------------


@named((*REDUCTIONS, *IGNORING_NAN, *RUNNING))
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_derivatives_of_reductions(function, axis):
    check_derivatives(lambda x: function(x, axis=axis), Y[0])


@named(REDUCTIONS)
def test_derivatives_over_two_axes(function):
    check_derivatives(lambda x: function(x, axis=(0, 2)), Y, batched=False)


@named((np.sum, np.prod, np.mean, np.var, np.std))
def test_derivatives_with_where_and_initial(function):
    check_derivatives(lambda x: function(x, axis=1, where=MASK), X)
    if function in (np.sum, np.prod):
        check_derivatives(lambda x, i: function(x * i, axis=0, initial=2.0), X, 1.5)


@pytest.mark.parametrize("function", [np.maximum.accumulate, np.minimum.accumulate])
def test_derivatives_of_running_extremes(function):
    check_derivatives(lambda x: function(x, axis=1), X)
    check_derivatives(lambda x: function(x), X)


@pytest.mark.parametrize("shape", [(1,), (2,), (9,)])
def test_derivatives_of_cumprod_of_any_length(shape):
    check_derivatives(np.cumprod, RNG.standard_normal(shape))


def products_of_others(x):
    return [math.prod(x[:i] + x[i + 1 :]) for i in range(len(x))]


@pytest.mark.parametrize("x", [[0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [2.0, 0.0, 5.0, 7.0], [0.0]])
def test_prod_is_exact_at_zeros(x):
    np.testing.assert_array_equal(cr.grad(np.prod)(np.array(x)), products_of_others(x))
    check_derivatives(np.prod, x, batched=False)
    check_derivatives(np.cumprod, x, batched=False)


def test_cumprod_is_exact_at_zeros():
    x = [3.0, 0.0, 2.0, 0.0, 5.0]
    jacobian = cr.jacobian(np.cumprod)(np.array(x))
    for j in range(5):
        expected = products_of_others(x[: j + 1]) + [0.0] * (4 - j)
        np.testing.assert_array_equal(jacobian[j], expected)


def test_complex_products_descend():
    z = RNG.standard_normal(4) + 1j * RNG.standard_normal(4)
    slope = cr.grad(lambda z: np.prod(z).real)(z)
    np.testing.assert_allclose(slope, [np.conj(np.prod(np.delete(z, i))) for i in range(4)])


# --- conventions --------------------------------------------------------------------------------


def test_extremes_share_evenly_at_ties():
    tie = np.array([1.0, 3.0, 3.0, 0.0])
    np.testing.assert_array_equal(cr.grad(np.max, kinks="convention")(tie), [0, 0.5, 0.5, 0])
    np.testing.assert_array_equal(cr.grad(np.min, kinks="convention")(-tie), [0, 0.5, 0.5, 0])
    many = np.zeros(3000, np.float16)  # more ties than a float16 can count
    slope = cr.grad(np.max, kinks="convention")(many)
    np.testing.assert_array_equal(slope, np.full(3000, 1 / 3000, np.float16))


def test_an_extreme_that_is_nan_has_slope_nan():
    assert np.isnan(cr.grad(np.max)(np.array([1.0, np.nan, 2.0]))).all()


def test_running_extremes_follow_the_latest_record():
    total = lambda x: np.sum(np.maximum.accumulate(x))
    slope = cr.grad(total, kinks="convention")(np.array([1.0, 1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(slope, [1, 2, 0, 1])


@pytest.mark.parametrize("x", [np.full(4, 0.25), np.full(3, 0.1), np.zeros(1)])
def test_std_of_equal_values_has_slope_zero(x):
    np.testing.assert_allclose(cr.grad(np.std)(x), 0.0, atol=1e-15)


def test_entries_that_are_nan_have_slope_zero():
    x = np.array([1.0, np.nan, 3.0])
    for function in IGNORING_NAN:
        assert cr.grad(function)(x)[1] == 0.0
    np.testing.assert_array_equal(cr.grad(np.nanmean)(x), [0.5, 0.0, 0.5])
    np.testing.assert_array_equal(cr.grad(np.nanmax)(x), [0.0, 0.0, 1.0])


def test_variance_against_its_closed_form():
    slope = cr.grad(lambda x: np.var(x, ddof=1))(X[0])
    np.testing.assert_allclose(slope, 2 * (X[0] - X[0].mean()) / 3, rtol=1e-13)
    second = cr.hessian(lambda x: np.var(x, ddof=1))(X[0])
    np.testing.assert_allclose(second, 2 / 3 * (np.eye(4) - 0.25), rtol=1e-13)
