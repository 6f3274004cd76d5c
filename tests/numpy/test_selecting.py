"""Choosing, taking and writing elements: against NumPy, with derivatives and vmap."""

import numpy as np
import pytest

import chainrule as cr
import chainrule.numpy as cn
from chainrule.errors import ConcreteValueNeeded, MutationError
from chainrule.tracing import trace_call, type_of
from tests.numpy.against_numpy import check_same, through_trace
from tests.numpy.properties import check_linear

V = np.arange(5.0)
M = np.arange(12.0).reshape(3, 4)
I = np.array([[0, 2], [1, 1]])  # noqa: E741
B = M > 5


def written(write):
    """A function that returns the array it wrote to, for functions that write in place."""

    def function(x, *args):
        y = x.copy()
        write(y, *args)
        return y

    return function


CASES = {
    "where": (lambda x, y: np.where(B, x, y), M, V[:4]),
    "where scalar": (lambda x: [np.where(B, x, 0), np.where(B, 1.5, x)], M),
    "select": (lambda x, y: np.select([B, M > 2], [x, y], 7.0), M, M + 1),
    "choose": (lambda x, y: np.choose(I, [x, y, 2.0], mode="clip"), M[:2, :2].copy(), np.ones(2)),
    "piecewise": (lambda x: np.piecewise(x, [B, M < 2], [lambda v: 2 * v, 3.0]), M),
    "extract": (lambda x: np.extract(B, x), M),
    "compress": (lambda x: [np.compress([True, False, True], x, 0), x.compress([0, 1], 1)], M),
    "take": (lambda x: [np.take(x, I), np.take(x, I, 1), x.take([0, -1], 0)], M),
    "take wrap": (lambda x: [np.take(x, [9, -7], 1, mode=m) for m in ("wrap", "clip")], M),
    "take_along_axis": (lambda x: np.take_along_axis(x, I, 1), M[:2].copy()),
    "take_along_axis None": (lambda x: np.take_along_axis(x, np.array([3, 1]), None), M),
    "put_along_axis": (written(lambda x, v: np.put_along_axis(x, I[:, :1], v, 1)), M[:2].copy(),
                       np.float64(9)),
    "put": (written(lambda x, v: np.put(x, [0, -1, 2], v)), M, V[:2]),
    "putmask": (written(lambda x, v: np.putmask(x, B, v)), M, V),
    "place": (written(lambda x, v: np.place(x, B, v)), M, V),
    "copyto": (written(lambda x, v: np.copyto(x, v, where=B)), M, V[:4]),
    "fill_diagonal": (written(lambda x, v: np.fill_diagonal(x, v)), M, V[:2]),
    "fill": (written(lambda x, v: x.fill(v)), M, np.float64(3)),
    "ix_": (lambda x: x[np.ix_([0, 2], [1, 3])], M),
    "diag": (lambda x: [np.diag(x, k) for k in range(-3, 5)], M),
    "diag of a vector": (lambda x: [np.diag(x, k) for k in (-2, 0, 1)], V),
    "diagonal": (lambda x: [np.diagonal(x, k, 0, 2) for k in (-1, 0, 2)], M.reshape(2, 2, 3)),
    "diagflat": (lambda x: np.diagflat(x, 1), M[:2, :2].copy()),
    "tril": (lambda x: [np.tril(x, k) for k in range(-3, 5)], M),
    "triu": (lambda x: [np.triu(x, k) for k in range(-3, 5)], M),
    "tril of a vector": (lambda x: np.tril(x), V),
    "boolean mask": (lambda x: [x[B], x[B[:, 0]], x[:, B[2]]], M),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_value_derivatives_and_vmap(name):
    check_linear(*CASES[name])


SAME = {
    "where with one argument": (lambda x: np.where(x > 3), M),
    "where with two arguments": (lambda x: np.where(x > 3, x), M),
    "where 0-d": (lambda x: np.where(x, 1.5, 1), np.float32(3)),
    "where keeps float32": (lambda x: np.where(x > 3, x, 2.0), M.astype(np.float32)),
    "where complex": (lambda x: np.where(x > 3, x, 1j), M),
    "select float conditions": (lambda x: np.select([x], [x]), M),
    "select lengths": (lambda x: np.select([x > 3], [x, 2]), M),
    "choose out of range": (lambda i: np.choose(i, [1.0, 2.0]), I),
    "choose negative": (lambda i: np.choose(i - 1, [1.0, 2.0, 3.0]), I),
    "choose wrap": (lambda i: np.choose(i - 5, [1.0, 2.0, 3.0], mode="wrap"), I),
    "choose method": (lambda i: i.choose([1.0, 2.0, 3.0]), I),
    "piecewise default": (lambda x: np.piecewise(x, [x < 3, x > 8], [lambda v: v - v.mean(), 2, 7]),
                          M),
    "piecewise one condition": (lambda x: np.piecewise(x, x < 3, [1, 2]), M),
    "piecewise scalar": (lambda x: np.piecewise(x, [x < 3, x >= 3], [lambda v: 2 * v, 2]),
                         np.float64(4)),
    "piecewise integers": (lambda x: np.piecewise(x, [x < 3], [lambda v, c: v / c, 2], 3),
                           M.astype(int)),
    "piecewise too few": (lambda x: np.piecewise(x, [x < 3, x > 5, x > 8], [1]), M),
    "compress 2-d condition": (lambda x: np.compress([[True]], x), M),
    "compress too long": (lambda x: np.compress([0, 0, 0, 0, 1], x, 1), M),
    "take out of range": (lambda x: np.take(x, [3, 3], 0), M),
    "take floats": (lambda x: np.take(x, np.array([1.0])), M),
    "take booleans": (lambda x: np.take(x, [True, False]), M),
    "take axis": (lambda x: np.take(x, [0], 3), M),
    "take_along_axis ndim": (lambda x: np.take_along_axis(x, np.array([3]), 0), M),
    "take_along_axis floats": (lambda x: np.take_along_axis(x, np.array([[3.0]]), 0), M),
    "put out of range": (lambda x: np.put(x, [0, 20], -3), M),
    "put wrap": (lambda x: np.put(x, [-1, 20], -3, mode="wrap"), M),
    "put of a transpose": (lambda x: np.put(x.T, [1], -3), M),
    "putmask shape": (lambda x: np.putmask(x, x[0] > 3, 8), M),
    "putmask casts": (lambda x: np.putmask(x, x > 3, [1.5, 2]), M.astype(int)),
    "place from nothing": (lambda x: np.place(x, x > 3, []), M),
    "place of a transpose": (lambda x: np.place(x.T, x.T > 3, [1, 2, 3]), M),
    "copyto casting": (lambda x: np.copyto(x, V[:4]), M.astype(int)),
    "copyto number": (lambda x: np.copyto(x, 3.5), M.astype(int)),
    "copyto shape": (lambda x: np.copyto(x, V), M),
    "copyto row": (lambda x: np.copyto(x[0], 7), M),
    "fill_diagonal tall": (lambda x: np.fill_diagonal(x, 7.0, wrap=True), np.zeros((7, 2))),
    "fill_diagonal cube": (lambda x: np.fill_diagonal(x, [1, 2.0]), np.zeros((3, 3, 3))),
    "fill_diagonal vector": (lambda x: np.fill_diagonal(x, 7.0), V),
    "fill_diagonal of a transpose": (lambda x: np.fill_diagonal(x.T, 7.0), M),
    "nonzero": (lambda x: [*np.nonzero(x > 3), *(x > 3).nonzero()], M),
    "flatnonzero": (lambda x: np.flatnonzero(x > 3), M),
    "argwhere": (lambda x: np.argwhere(x > 3), M),
    "count_nonzero": (lambda x: [np.count_nonzero(x), np.count_nonzero(x > 5, axis=0),
                                 np.count_nonzero(x, axis=(0, 1), keepdims=True)], M),
    "ix_ of a mask": (lambda x: x[np.ix_(x[:, 0] > 3, [1, 3])], M),
    "unravel_index": (lambda i: [np.unravel_index(i, (3, 4)), np.unravel_index(i, (3, 4), "F")], I),
    "unravel_index of argmax": (lambda x: x[np.unravel_index(x.argmax(), x.shape)], M),
    "unravel_index out of range": (lambda i: np.unravel_index(i, (2, 1)), I),
    "ravel_multi_index": (lambda i: [np.ravel_multi_index((i, i), (3, 4), order=o) for o in "CF"],
                          I),
    "ravel_multi_index modes": (lambda i: np.ravel_multi_index((i - 1, i + 3), (3, 4),
                                                               mode=("wrap", "clip")), I),
    "ravel_multi_index out of range": (lambda i: np.ravel_multi_index((i, i), (2, 2)), I),
    "tril_indices_from": (lambda x: [np.tril_indices_from(x, 1), np.triu_indices_from(x),
                                     np.diag_indices_from(x[:, :3])], M),
    "vander": (lambda x: [np.vander(x), np.vander(x, 3, True), np.vander(x, 0), np.vander(x, 1)],
               V),
    "vander of integers": (lambda x: np.vander(x, 3), V.astype(int)),
    "isclose": (lambda x: [np.isclose(x, x + 1e-9), np.isclose(x, 2), np.isclose(x, V[:4])], M),
    "isclose of inf and nan": (lambda x: [np.isclose(x, x), np.isclose(x, -x), np.isclose(x, 1),
                                          np.isclose(x, x, equal_nan=True)],
                               np.array([np.nan, 1, np.inf, -np.inf])),
    "allclose": (lambda x: [np.allclose(x, x + 1e-9), np.allclose(x, 0)], M),
    "array_equal": (lambda x: [np.array_equal(x, x), np.array_equal(x, -x), np.array_equal(x, V),
                               np.array_equiv(x, x[0])], M),
    "array_equal of nan": (lambda x: [np.array_equal(x, x), np.array_equal(x, x, equal_nan=True)],
                           np.array([np.nan, 1.0])),
    "iscomplex": (lambda x: [np.iscomplex(x), np.isreal(x), np.iscomplex(x + 1j)], M),
    "real_if_close": (lambda x: [np.real_if_close(x + d) for d in (1e-18j, 1e-10j, 0)], M),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_value_or_error_is_numpys(name):
    check_same(*SAME[name])


def test_questions_about_types_are_answered_in_plain_python():
    def function(x):
        answers = [np.shape(x), np.ndim(x), np.size(x), np.size(x, 1), x.size, len(x), x.nbytes,
                   np.iscomplexobj(x), np.isrealobj(x), np.isscalar(x), np.isscalar(x[0, 0]),
                   np.result_type(x, 1.0), np.can_cast(x.dtype, int), np.common_type(x),
                   np.min_scalar_type(x), isinstance(x, np.ndarray), np.iterable(x)]  # fmt: skip
        assert all(type(a) is type(b) and a == b for a, b in zip(answers, expected, strict=True))
        return x

    expected = [(3, 4), 2, 12, 4, 12, 3, 96, False, True, False, True, np.dtype(float), False,
                np.float64, np.dtype(float), True, True]  # fmt: skip
    function(M)
    through_trace(function, M)


def test_the_branch_that_where_does_not_take_is_an_exact_zero():
    x = np.array([-1.0, 0.0, 4.0])
    slope = cr.grad(lambda x: np.where(x > 0, np.sqrt(x), 0.0).sum())(x)
    np.testing.assert_array_equal(slope, [0.0, 0.0, 0.25])
    slope = cr.grad(lambda x: np.select([x > 0], [np.log(x)], -x).sum())(x)
    np.testing.assert_array_equal(slope, [-1.0, -1.0, 0.25])


def test_vander_has_the_slopes_of_powers():
    x = np.array([2.0, -3.0, 0.0])
    jacobian = cr.jacobian(lambda x: np.vander(x, 4))(x)
    slopes = np.zeros((3, 4, 3))
    for i, v in enumerate(x):
        slopes[i, :, i] = [3 * v**2, 2 * v, 1.0, 0.0]
    np.testing.assert_array_equal(jacobian, slopes)


@pytest.mark.parametrize(
    "write",
    [lambda y, x: np.copyto(y, x), lambda y, x: np.put(y, [0], x), lambda y, x: np.place(y, B, x),
     lambda y, x: np.putmask(y, B, x)],
)  # fmt: skip
def test_writing_traced_values_into_a_plain_array_names_the_way_out(write):
    outside = np.zeros((3, 4))
    with pytest.raises(MutationError, match=r"(?s)plain array, at .*test_selecting.py.*cr.*zeros"):
        through_trace(lambda x: write(outside, x), M)


@pytest.mark.parametrize(
    "function",
    [np.nonzero, np.flatnonzero, np.argwhere, lambda x: np.extract(x > 0, x), lambda x: x[x > 0],
     lambda x: np.compress(x[0] > 0, x, 1), lambda x: np.piecewise(x, [x > 0], [np.sort]),
     lambda x: np.where(x > 0), lambda x: np.real_if_close(x + 0j)],
)  # fmt: skip
def test_a_shape_that_depends_on_values_needs_them_at_hand(function):
    with pytest.raises(ConcreteValueNeeded, match=r"(?s)test_selecting.py.*np.where"):
        trace_call(lambda x: function(x), (M,), {}, frozenset(), [type_of(M)], False)


SPLINE = [lambda t: 0.0 * t, lambda t: 2.0 * t - 1.0 + (t - 1.0) ** 2, lambda t: t**2]
POINTS = np.array([-1.0, 0.0, 0.5, 1.0, 3.0])


def test_piecewise_is_batched_and_compiled():
    spline = lambda x: np.piecewise(x, [x < 0, x > 1], SPLINE)
    slopes = [0.0, 0.0, 1.0, 2.0, 6.0]
    np.testing.assert_array_equal(cr.vmap(cr.grad(spline))(POINTS), slopes)
    np.testing.assert_array_equal(cr.compile(cr.grad(lambda x: np.sum(spline(x))))(POINTS), slopes)
    logs = lambda x: np.piecewise(x, [x > 0, x < 0], [np.log, lambda t: 3.0])
    np.testing.assert_array_equal(cr.compile(logs)(POINTS), logs(POINTS))
    capped = lambda t, most: np.where(t > most, most, t)
    table = lambda x: np.piecewise(x, [x > 0], [capped, 1.0], 2.0)
    column = POINTS[:, None]
    np.testing.assert_array_equal(cr.compile(table)(column), table(column))


@pytest.mark.parametrize("mixes", [
    lambda t: t - t.mean(), np.sort, np.cumsum, lambda t: t[::-1], lambda t: t * POINTS[:t.size],
    lambda t: np.arange(1.0, 1.0 + t.size),
])  # fmt: skip
def test_piecewise_of_what_mixes_elements_is_evaluated(mixes):
    f = lambda x: np.piecewise(x, [x > 0], [mixes, 0.0])
    with pytest.warns(RuntimeWarning, match=r"(?s)test_selecting.py.*np.where"):
        found = cr.compile(f)(POINTS)
    np.testing.assert_array_equal(found, f(POINTS))


ABSTRACT = ["where", "where scalar", "select", "choose", "take", "take wrap", "take_along_axis",
            "put_along_axis", "put", "putmask", "copyto", "fill_diagonal", "ix_", "diag", "tril",
            "diagonal"]  # fmt: skip


@pytest.mark.parametrize("name", ABSTRACT)
def test_no_value_is_needed_where_the_shape_is_known(name):
    function, *args = CASES[name]
    types = [type_of(a) for a in args]
    trace_call(function, tuple(args), {}, frozenset(), types, False)


def test_results_are_values_of_their_own():
    def function(x):
        made = [np.take(x, 0, 0), np.where(True, x, x), np.tril(x), x[[0]][0],
                np.extract(x >= 0, x)]  # fmt: skip
        for y in made:
            y[0] = 50
        return made

    check_same(function, M)


def test_out_is_written():
    def function(x):
        out = cn.zeros((2, 4))
        np.take(x, [0, 1], 0, out=out)
        return out

    np.testing.assert_array_equal(through_trace(function, M), M[:2])
