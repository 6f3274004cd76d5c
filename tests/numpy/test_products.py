"""Products of arrays through a trace, against NumPy: matmul, dot and their relatives."""

import numpy as np
import pytest

from chainrule.errors import ShapeError
from chainrule.numpy.versions import FROM_2_5
from chainrule.tracing import trace_call
from tests.numpy.against_numpy import check_same, through_trace
from tests.ops.differentiation import check_derivatives

pytestmark = pytest.mark.filterwarnings("ignore:Arrays of 2-dimensional:DeprecationWarning")


def normal(*shape):
    return np.random.default_rng(len(shape) + sum(shape)).standard_normal(shape)


def shaped(*pairs):
    return pytest.mark.parametrize(("left", "right"), pairs, ids=str)


MATMULS = (
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (5, 3, 4)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,)), ((6, 1, 2, 3), (5, 3, 4)),
    ((0, 3), (3, 2)), ((2, 0), (0, 3)),
)  # fmt: skip


@shaped(*MATMULS)
def test_matmul(left, right):
    check_same(np.matmul, normal(*left), normal(*right))
    check_same(lambda x, y: x @ y, normal(*left).astype("f4"), normal(*right))
    check_same(np.matmul, normal(*left) > 0, normal(*right) > 0)
    check_same(np.matmul, (normal(*left) * 5).astype("i4"), (normal(*right) * 5).astype("i8"))
    if 0 not in left:
        check_derivatives(np.matmul, normal(*left), normal(*right))


@shaped(*MATMULS[:6], ((), (3,)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3)))
def test_dot(left, right):
    exact = len(left) < 3 and len(right) < 3  # with more axes NumPy adds in another order
    check_same(np.dot, normal(*left), normal(*right), exact=exact)
    check_derivatives(np.dot, normal(*left), normal(*right))


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 33, 64])
def test_products_of_matrices_are_blas_bit_for_bit(size, dtype):
    x, y = normal(size, size + 5).astype(dtype), normal(size + 5, 9).astype(dtype)
    for f in (np.dot, np.matmul):
        check_same(f, x, y)
        check_same(f, np.asfortranarray(x), y)
        check_same(lambda x, y: f(x, y.T), x, y.T.copy())
        check_same(lambda x, y: f(x.T, y), x.T.copy(), y)
        check_same(lambda x: f(x, x.T), x)
        check_same(lambda x, y: f(x, y[:, 0]), x, y)


def test_transposed_matrices_are_read_where_they_lie():
    args = normal(3, 4), normal(3, 2)
    program = trace_call(lambda x, y: x.T @ y.T.T, args, {}, frozenset({0, 1}), None, True).program
    contraction = program.equations[-1]
    assert contraction.op.name == "contract"
    assert contraction.inputs == tuple(program.inputs)


@shaped(((3,), (3,)), ((2, 3), (4, 3)), ((5, 2, 3), (4, 3)), ((), (3,)), ((2, 3), (3,)))
def test_inner(left, right):
    check_same(np.inner, normal(*left), normal(*right), exact=len(left) < 3)
    check_derivatives(np.inner, normal(*left), normal(*right))


def test_vdot_and_outer():
    check_same(np.vdot, normal(2, 3), normal(3, 2))
    check_same(np.vdot, normal(3) * 1j, normal(3) + 1j)
    check_same(np.outer, normal(2, 3), normal(4))
    check_same(np.outer, np.array([-0.0, np.inf]), normal(3))
    check_derivatives(np.outer, normal(2, 3), normal(4))
    check_derivatives(np.vdot, normal(2, 3), normal(3, 2))


VECTOR_PRODUCTS = [
    ("vecdot", (3,), (3,)), ("vecdot", (4, 3), (3,)), ("vecdot", (2, 1, 3), (4, 3)),
    ("matvec", (2, 3), (3,)), ("matvec", (5, 2, 3), (3,)), ("matvec", (2, 3), (5, 3)),
    ("vecmat", (3,), (3, 4)), ("vecmat", (5, 3), (3, 4)), ("vecmat", (5, 3), (5, 3, 4)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "left", "right"), VECTOR_PRODUCTS)
def test_products_of_vectors(name, left, right):
    function = getattr(np, name, None)
    if function is None:
        pytest.skip("new in NumPy 2.2")
    check_same(function, normal(*left), normal(*right))
    check_same(function, normal(*left) * 1j, normal(*right) + 1j, exact=False)
    check_derivatives(function, normal(*left), normal(*right))


def test_vecdot_along_another_axis():
    check_same(lambda x, y: np.vecdot(x, y, axis=0), normal(3, 2), normal(3, 2) * 2)
    check_derivatives(lambda x, y: np.vecdot(x, y, axis=-2), normal(2, 3, 4), normal(3, 4))


TENSORDOTS = [
    (0, (2,), (3,)), (1, (2, 3), (3, 4)), (2, (5, 2, 3), (2, 3, 4)), ((1, 0), (2, 3), (3, 4)),
    (([0, 1], [1, 0]), (2, 3, 4), (3, 2, 5)), (([-1, 0], [0, -1]), (2, 3, 4), (4, 5, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("axes", "left", "right"), TENSORDOTS, ids=str)
def test_tensordot(axes, left, right):
    check_same(lambda x, y: np.tensordot(x, y, axes), normal(*left), normal(*right))
    check_derivatives(lambda x, y: np.tensordot(x, y, axes), normal(*left), normal(*right))


@shaped(((2, 3), (4, 5)), ((3,), (2, 2)), ((2, 2), (3,)), ((), (2,)), ((2, 1, 3), (2, 2)))
def test_kron(left, right):
    check_same(np.kron, normal(*left), normal(*right))
    check_derivatives(np.kron, normal(*left), normal(*right))


OF_TWO = [] if FROM_2_5 else [((2,), (2,), {}), ((3,), (2,), {}), ((5, 2), (5, 3), {})]
CROSSES = [
    ((3,), (3,), {}), ((4, 3), (3,), {}), ((4, 3), (4, 3), {}), ((3, 4), (3, 4), {"axis": 0}),
    *OF_TWO,
    ((3, 4), (4, 3), {"axisa": 0, "axisb": 1, "axisc": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right", "options"), CROSSES, ids=str)
def test_cross(left, right, options):
    check_same(lambda x, y: np.cross(x, y, **options), normal(*left), normal(*right))
    check_derivatives(lambda x, y: np.cross(x, y, **options), normal(*left), normal(*right))


TRACES = ({}, {"offset": 1}, {"offset": -1}, {"axis1": 0, "axis2": 2}, {"offset": 9},
          {"axis1": 2, "axis2": 1, "offset": 1})  # fmt: skip


@pytest.mark.parametrize("options", TRACES, ids=str)
def test_trace(options):
    check_same(lambda x: np.trace(x, **options), normal(3, 4, 5))
    check_same(lambda x: x.trace(**options), np.arange(60, dtype="i4").reshape(3, 4, 5))
    check_derivatives(lambda x: np.trace(x, **options), normal(3, 4, 5))


@pytest.mark.parametrize(
    ("function", "left", "right", "words"),
    [
        (np.matmul, (2, 3), (4,), "mismatch in its core dimension 0, with gufunc signature"),
        (np.matmul, (2,), (), "does not have enough dimensions"),
        (np.dot, (2, 3), (2,), r"shapes \(2,3\) and \(2,\) not aligned: 3 \(dim 1\) != 2 \(d"),
        (np.inner, (2,), (3,), r"shapes \(2,\) and \(3,\) not aligned"),
        (np.vecdot, (2,), (3,), "vecdot: Input operand 1 has a mismatch"),
        (np.tensordot, (2, 3), (4, 5), "shape-mismatch for sum"),
        (np.vdot, (2,), (3,), "cannot reshape array of size 3"),
        (np.cross, (4,), (3,), "incompatible dimensions for cross product"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_in_numpys_words(function, left, right, words):
    check_same(function, normal(*left), normal(*right))
    with pytest.raises(ShapeError, match=words):
        through_trace(lambda x, y: function(x, y), normal(*left), normal(*right))
