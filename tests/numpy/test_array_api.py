"""chainrule.numpy as an Array API namespace: its names, and its functions through a trace.

The arrays are drawn by Hypothesis' own strategies for the standard; the judge is NumPy. The public
test-suite of the standard runs with `array_api_shim.py` beside this file.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import array_api

import chainrule as cr
import chainrule.numpy as cn
from chainrule.program.trace import is_traced
from tests.numpy import array_api_shim
from tests.numpy.against_numpy import assert_same, check_same, through_trace

xps = array_api.make_strategies_namespace(cn, api_version="2024.12")

CONSTANTS = ["e", "inf", "nan", "newaxis", "pi"]
DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float32", "float64", "complex64", "complex128"]  # fmt: skip
UNARY = ["abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "bitwise_invert", "ceil", "conj",
         "cos", "cosh", "exp", "expm1", "floor", "imag", "isfinite", "isinf", "isnan", "log",
         "log10", "log1p", "log2", "logical_not", "negative", "positive", "real", "reciprocal",
         "round", "sign", "signbit", "sin", "sinh", "sqrt", "square", "tan", "tanh",
         "trunc"]  # fmt: skip
BINARY = ["add", "atan2", "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift",
          "bitwise_xor", "copysign", "divide", "equal", "floor_divide", "greater", "greater_equal",
          "hypot", "less", "less_equal", "logaddexp", "logical_and", "logical_or", "logical_xor",
          "maximum", "minimum", "multiply", "nextafter", "not_equal", "pow", "remainder",
          "subtract"]  # fmt: skip
OTHERS = ["arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like",
          "linspace", "meshgrid", "ones", "ones_like", "tril", "triu", "zeros", "zeros_like",
          "astype", "broadcast_arrays", "broadcast_to", "can_cast", "finfo", "iinfo", "isdtype",
          "result_type", "clip", "take", "take_along_axis", "matmul", "matrix_transpose",
          "tensordot", "vecdot", "concat", "expand_dims", "flip", "moveaxis", "permute_dims",
          "repeat", "reshape", "roll", "squeeze", "stack", "tile", "unstack", "argmax", "argmin",
          "count_nonzero", "nonzero", "searchsorted", "where", "unique_all", "unique_counts",
          "unique_inverse", "unique_values", "argsort", "sort", "cumulative_prod",
          "cumulative_sum", "max", "mean", "min", "prod", "std", "sum", "var", "all", "any", "diff",
          "__array_namespace_info__"]  # fmt: skip
LINALG = ["cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul",
          "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr",
          "slogdet", "solve", "svd", "svdvals", "tensordot", "trace", "vecdot",
          "vector_norm"]  # fmt: skip
FFT = ["fft", "ifft", "fftn", "ifftn", "rfft", "irfft", "rfftn", "irfftn", "hfft", "ihfft",
       "fftfreq", "rfftfreq", "fftshift", "ifftshift"]  # fmt: skip


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONSTANTS + DTYPES + UNARY + BINARY + OTHERS)
def test_every_name_of_the_standard_is_there(name):
    assert name in dir(cn)
    getattr(cn, name)


def test_the_extensions_are_there():
    for name in LINALG:
        assert callable(getattr(cn.linalg, name))
    for name in FFT:
        assert callable(getattr(cn.fft, name))


def test_every_listed_name_can_be_had_and_is_numpys_or_ours():
    for name in dir(cn):
        found = getattr(cn, name)
        assert found is not None or name == "newaxis"
        assert found is getattr(np, name) or name in cn.namespace.OWN


def test_an_unknown_name_says_whose_fault_it_is():
    with pytest.raises(AttributeError, match="neither chainrule.numpy nor numpy has 'spam'"):
        cn.spam
    with pytest.raises(AttributeError, match="numpy.genfromtxt is not supported on traced values"):
        cn.genfromtxt
    assert not hasattr(cn, "nditer")


def test_names_can_be_imported():
    from chainrule.numpy import float32, linspace, sin

    assert (sin, float32) == (np.sin, np.float32)
    assert linspace(0, 1, 3)[1] == 0.5


def test_the_standard_is_named():
    assert cn.__array_api_version__ == "2024.12"
    info = cn.__array_namespace_info__()
    assert info.default_device() == "cpu"
    assert cn.isdtype(cn.float32, "real floating")


def test_a_traced_array_knows_its_namespace_and_device():
    def function(x):
        assert x.__array_namespace__() is cn
        assert x.__array_namespace__(api_version="2023.12") is cn
        assert x.device == "cpu"
        assert x.__dlpack_device__() == (1, 0)
        with pytest.raises(ValueError, match="'1999.01'"):
            x.__array_namespace__(api_version="1999.01")
        with pytest.raises(ValueError, match="cpu"):
            x.to_device("gpu")
        return x.to_device("cpu")

    check = np.arange(3.0)
    assert_same(through_trace(function, check), check)


# --- functions ----------------------------------------------------------------------------------


def _arrays(dtypes=None, shape=None):
    dtypes = dtypes or xps.scalar_dtypes()
    shape = xps.array_shapes(min_dims=0, max_dims=2, max_side=3) if shape is None else shape
    return xps.arrays(dtypes, shape)


@pytest.mark.parametrize("name", UNARY)
@given(x=_arrays())
@settings(max_examples=25)
def test_unary_functions_give_numpys_value_or_error(name, x):
    function = getattr(cn, name)
    check_same(lambda x: function(x), x, exact=name not in ("sign", "reciprocal", "abs"))


@pytest.mark.parametrize("name", BINARY)
@given(shapes=xps.mutually_broadcastable_shapes(2, max_dims=2, max_side=3), data=st.data())
@settings(max_examples=25)
def test_binary_functions_promote_and_broadcast_as_numpys(name, shapes, data):
    x, y = (data.draw(_arrays(shape=shape)) for shape in shapes.input_shapes)
    function = getattr(cn, name)
    exact = name not in ("pow", "floor_divide", "remainder", "logaddexp")
    check_same(lambda x, y: function(x, y), x, y, exact=exact)


@pytest.mark.parametrize("symbol", ["+", "-", "*", "/", "//", "%", "**", "==", "<", "&", "<<"])
@given(x=_arrays(), scalar=st.sampled_from([True, 2, 3.0, 1j]))
@settings(max_examples=25)
def test_python_scalars_are_weak_as_numpys(symbol, x, scalar):
    operate = eval(f"lambda x, y: x {symbol} y")
    check_same(lambda x: operate(x, scalar), x, exact=False)
    check_same(lambda x: operate(scalar, x), x, exact=False)


@given(data=st.data())
@settings(max_examples=60)
def test_indices_of_the_standard_read_as_numpys(data):
    x = data.draw(_arrays())
    key = data.draw(xps.indices(x.shape, allow_newaxis=True))
    check_same(lambda x: x[key], x)


@given(data=st.data())
@settings(max_examples=60)
def test_moving_functions_are_numpys(data):
    x = data.draw(_arrays(shape=xps.array_shapes(max_dims=3, max_side=3)))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    order = tuple(data.draw(st.permutations(range(x.ndim))))
    count = data.draw(st.integers(-4, 4))

    def function(x):
        return [
            cn.flip(x, axis=axis), cn.roll(x, count, axis=axis), cn.permute_dims(x, order),
            cn.concat([x, x], axis=axis), cn.stack([x, x], axis=axis),
            cn.expand_dims(x, axis=axis), cn.reshape(x, (-1,)), cn.moveaxis(x, axis, 0),
            cn.repeat(x, 2, axis=axis), cn.tile(x, (2, 1)), cn.broadcast_to(x, (2, *x.shape)),
            *cn.unstack(x, axis=axis), cn.take(x, cn.asarray([0]), axis=axis), cn.where(x, x, x),
        ]  # fmt: skip

    check_same(function, x)


@given(dtypes=st.lists(xps.scalar_dtypes(), min_size=1, max_size=3))
def test_result_type_is_numpys(dtypes):
    def function(*arrays):
        assert cn.result_type(*arrays) == np.result_type(*dtypes)
        assert cn.can_cast(arrays[0], dtypes[-1]) == np.can_cast(dtypes[0], dtypes[-1])
        return arrays[0]

    through_trace(function, *(np.zeros(2, dtype) for dtype in dtypes))


# --- code written for the standard --------------------------------------------------------------


def softmax(x):
    xp = x.__array_namespace__()
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def pairwise(x):
    xp = x.__array_namespace__()
    out = xp.zeros((x.shape[0], x.shape[0]), dtype=x.dtype)
    for i in range(x.shape[0]):
        out[i, :] = xp.sum(xp.square(x - x[i, :]), axis=1)
    return out


def test_code_written_for_the_standard_is_differentiated():
    x = np.arange(6.0).reshape(2, 3) / 4
    p = softmax(x[0])
    expected = np.diag(p) - np.outer(p, p)
    np.testing.assert_allclose(cr.jacobian(softmax)(x[0]), expected, rtol=1e-13, atol=1e-16)
    gradient = cr.grad(lambda x: pairwise(x).sum())(x)
    np.testing.assert_allclose(gradient, 8 * (x - x.mean(0)), rtol=1e-13)


def test_the_shim_for_the_public_suite_traces_every_call():
    x = array_api_shim.asarray([[1.0, 2.0], [3.0, 4.0]])
    seen = []
    array_api_shim.call(lambda x: seen.append(is_traced(x)) or x, x)
    assert seen == [True]
    assert type(x + 1) is type(x.T) is type(x[0]) is array_api_shim.Array
    x += 1
    x[0, 0] = 7
    assert_same(array_api_shim.sum(x, axis=0), np.array([11.0, 8.0]))
    assert_same(array_api_shim.linalg.inv(x) @ x, np.eye(2), exact=False)
