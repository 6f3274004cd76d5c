"""Arrays made inside a trace: the same as NumPy's, and they can be filled with traced values."""

import numpy as np
import pytest

import chainrule as cr
import chainrule.numpy as cn
from chainrule.errors import ConcreteValueNeeded, ShapeError
from chainrule.program.trace import is_traced
from tests.numpy.against_numpy import assert_same, check_same, through_trace
from tests.numpy.properties import check_linear

V = np.arange(5.0)
M = np.arange(12.0).reshape(3, 4)

MADE = {
    "zeros": lambda xp: [xp.zeros(3), xp.zeros((2, 3), np.float32), xp.zeros(()), xp.zeros(2, int)],
    "ones": lambda xp: [xp.ones(3), xp.ones((2, 3), dtype=bool), xp.ones((), np.complex64)],
    "full": lambda xp: [xp.full(3, 2.5), xp.full((2, 2), 7), xp.full((), True), xp.full(2, 3j),
                        xp.full((2, 3), [1.0, 2, 3]), xp.full(3, 2.5, dtype=int)],
    "eye": lambda xp: [xp.eye(3), xp.eye(2, 4, 1), xp.eye(4, 2, -1), xp.eye(3, k=5), xp.eye(0),
                       xp.eye(2, dtype=np.int8)],
    "identity": lambda xp: [xp.identity(3), xp.identity(2, np.float32)],
    "tri": lambda xp: [xp.tri(3), xp.tri(2, 4, 1), xp.tri(4, 2, -1, dtype=int)],
    "arange": lambda xp: [xp.arange(5), xp.arange(2, 7), xp.arange(0.0, 1.0, 0.1), xp.arange(7.5),
                          xp.arange(5, 0, -2), xp.arange(3, dtype=np.float32), xp.arange(0),
                          xp.arange(1, 2, 0.3), xp.arange(5, 2)],
    "linspace": lambda xp: [xp.linspace(0, 1, 7), xp.linspace(0, 1, 7, endpoint=False),
                            xp.linspace([0, 1], [2, 3], 4), *xp.linspace(0, 3, 4, retstep=True)],
    "logspace": lambda xp: [xp.logspace(0, 1, 7), xp.logspace(0, 3, 4, base=2)],
    "geomspace": lambda xp: [xp.geomspace(1, 8, 4), xp.geomspace(1, 8, 4, endpoint=False)],
    "array": lambda xp: [xp.array([1, 2]), xp.array([[1.0, 2]], np.float32), xp.array(3.5),
                         xp.array([1, 2], ndmin=2), xp.array([]), xp.array([True, False])],
    "asarray": lambda xp: [xp.asarray([1, 2]), xp.asarray(3), xp.asarray(M), xp.asarray(M, int),
                           xp.asarray(M, copy=True)],
    "ascontiguousarray": lambda xp: [xp.ascontiguousarray(3.0), xp.ascontiguousarray(M)],
    "zeros_like": lambda xp: [xp.zeros_like(M), xp.zeros_like(M, int), xp.zeros_like(V, shape=2)],
    "ones_like": lambda xp: [xp.ones_like(M), xp.ones_like(2.0), xp.ones_like(V, dtype=bool)],
    "full_like": lambda xp: [xp.full_like(M, 7), xp.full_like(V, M[0, 1]), xp.full_like(M, V[:4])],
    "copy": lambda xp: [xp.copy(M), xp.copy([1, 2])],
    "from_dlpack": lambda xp: xp.from_dlpack(M),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_inside_a_trace_the_array_is_numpys_and_traced(name):
    def function(x):
        made = MADE[name](cn)
        leaves = made if isinstance(made, list) else [made]
        if name not in ("linspace", "from_dlpack"):
            assert all(is_traced(leaf) for leaf in leaves)
        return made

    assert_same(through_trace(function, V), MADE[name](np))


@pytest.mark.parametrize("name", MADE)
def test_outside_a_trace_the_array_is_plain(name):
    made = MADE[name](cn)
    assert_same(made, MADE[name](np))
    for leaf in made if isinstance(made, list) else [made]:
        assert not is_traced(leaf)


def test_empty_arrays_are_made_to_be_filled():
    def function(x):
        a, b = cn.empty((2, 3)), cn.empty_like(x)
        a[:] = 1.0
        b[...] = x
        return a, b

    found = through_trace(function, V)
    assert_same(found, (np.ones((2, 3)), V))


FILLED = {
    "zeros then a loop": lambda x: _filled(cn.zeros(4), x),
    "empty": lambda x: _filled(cn.empty(4), x),
    "ones": lambda x: _filled(cn.ones((2, 2)).reshape(-1), x),
    "zeros_like": lambda x: _filled(np.zeros_like(x), x),
    "full": lambda x: cn.full((2, 3), x[0]),
    "full of a row": lambda x: cn.full((2, 4), x[:4]),
    "full_like": lambda x: np.full_like(x, x[1]),
    "array of scalars": lambda x: cn.array([x[0], 2.0, x[1]]),
    "array of rows": lambda x: cn.array([[x[0], x[1]], [x[2], 1]]),
    "array of arrays": lambda x: cn.array([x, 2 * x, V]),
    "asarray": lambda x: cn.asarray((x[0], x[1])),
    "eye": lambda x: _diagonal(cn.eye(4), x),
    "arange": lambda x: _filled(cn.arange(4.0), x),
    "copy": lambda x: _filled(cn.copy(V), x),
    "diag of a list": lambda x: np.diag(cn.array([x[0], x[1]])),
}


def _filled(out, x):
    for i in range(1, 4):
        out[i] = out[i - 1] + 2 * x[i]
    return out


def _diagonal(out, x):
    out[1, 2] = x[0]
    out[3] += x[1]
    return out


@pytest.mark.parametrize("name", FILLED)
def test_filling_with_traced_values_keeps_the_derivative(name):
    check_linear(FILLED[name], V)


def test_a_range_of_traced_ends_has_slopes():
    check_linear(lambda a, b: np.linspace(a, b, 5), np.float64(2), np.float64(10))
    check_linear(lambda a, b: np.linspace(a, b, 4, endpoint=False), V[:4], V[:4] + 8)
    check_linear(lambda a, b: np.linspace(a, b, 5, axis=-1), V, np.float64(8))
    slopes = cr.jacobian(lambda a: cn.arange(a, a + 3.0))(2.0)
    assert_same(slopes, np.ones(3))
    ends = np.float64(2.0), np.float64(32.0)
    by_start, by_stop = cr.jacobian(lambda a, b: np.geomspace(a, b, 5), (0, 1))(*ends)
    t, middle = np.arange(5) / 4, np.geomspace(*ends, 5)
    np.testing.assert_allclose(by_start, (1 - t) * middle / ends[0], rtol=1e-13)
    np.testing.assert_allclose(by_stop, t * middle / ends[1], rtol=1e-13, atol=1e-15)


RANGES = [
    lambda a: np.linspace(a, 3, 5), lambda a: np.linspace(a, a + 1, 5, endpoint=False),
    lambda a: np.linspace(a, 3, 5, retstep=True), lambda a: np.linspace(a, 3, 1),
    lambda a: np.linspace(a, 3, 0), lambda a: np.linspace(a, 9.5, 7, dtype=int),
    lambda a: np.linspace(a, 3, -1), lambda a: np.logspace(a, 3, 5),
    lambda a: np.logspace(0, a, 5, base=2), lambda a: np.linspace([0, 1], a, 3),
]  # fmt: skip


@pytest.mark.parametrize("function", RANGES)
def test_ranges_of_traced_ends_are_numpys(function):
    for end in (np.float64(1), np.int64(1), np.float32(1), V + 1):
        check_same(lambda a: function(a), end)


def test_geomspace_of_traced_ends_is_numpys():
    for a, b in [(2.0, 64.0), (-2.0, -64.0), (V + 1, 64 * V + 64)]:
        check_same(lambda a, b: np.geomspace(a, b, 5), np.asarray(a), np.asarray(b), exact=False)


def test_a_zero_dimensional_array_can_be_written():
    def function(x):
        total = cn.zeros(())
        for i in range(3):
            total += x[i]
        total[...] = total * 2
        return total

    assert through_trace(function, V) == 6.0
    assert_same(cr.grad(function)(V), np.array([2.0, 2, 2, 0, 0]))


def test_nested_lists_have_numpys_dtype():
    made = {
        "python": lambda x: cn.array([x, 1]),
        "arrays": lambda x: cn.array([[x, x], V[:2].astype(np.float32)]),
        "complex": lambda x: cn.array([x, 1j]),
        "given": lambda x: cn.array([x, 2.5], dtype=int),
    }
    for x in (np.float32(2), np.float64(2), np.int8(2)):
        for function in made.values():
            expected = function(x)  # outside a trace these are NumPy's own
            assert_same(through_trace(function, x), expected)


def test_lists_of_traced_values_are_arrays_wherever_another_argument_is_traced():
    check_same(lambda x, y: np.where(x > 1, [x, y], [y, 2.0]), np.float64(2), np.float64(3))
    check_same(lambda x, y: np.concatenate([x, [y[0], 1.0]]), V, V)


def test_errors_name_the_line():
    with pytest.raises(ShapeError, match="negative dimensions.*test_creation.py"):
        through_trace(lambda x: cn.zeros(-1), V)
    with pytest.raises(TypeError, match="no dtype.*test_creation.py"):
        through_trace(lambda x: cn.zeros(2, dtype="U3"), V)
    with pytest.raises(ValueError, match="cpu"):
        through_trace(lambda x: cn.zeros(2, device="gpu"), V)
    with pytest.raises(ValueError, match="cpu"):
        cn.zeros(2, device="gpu")


OUTSIDE = np.zeros(3)
NOT_DISPATCHED = {
    "an array from outside": lambda x: OUTSIDE.__setitem__(0, x),
    "a type": lambda x: np.float64(x),
}


@pytest.mark.parametrize("name", NOT_DISPATCHED)
def test_what_numpy_cannot_dispatch_names_the_line_and_the_spelling(name):
    with pytest.raises(ConcreteValueNeeded, match=r"(?s)test_creation.py.*cr\.") as raised:
        cr.grad(lambda x: NOT_DISPATCHED[name](x) or x)(2.0)
    assert "cr.numpy." in str(raised.value)
