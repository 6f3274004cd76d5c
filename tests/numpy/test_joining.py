"""Joining, splitting, repeating and padding: against NumPy, with derivatives and vmap."""

import numpy as np
import pytest

import chainrule.numpy as cn
from chainrule.errors import ConcreteValueNeeded, DtypeError, MutationError, ShapeError
from chainrule.tracing import trace_call, type_of
from tests.numpy.against_numpy import check_same, through_trace
from tests.numpy.properties import check_linear

V = np.arange(5.0)
M = np.arange(12.0).reshape(3, 4)
T = np.arange(24.0).reshape(2, 3, 4)
W = np.arange(4.0) + 20.0

CASES = {
    "concatenate": (lambda x, y: [np.concatenate([x, y]), np.concatenate((x, y, x), 1)], M, M + 9),
    "concatenate None": (lambda x, y: np.concatenate([x, y], None), M, V),
    "concatenate scalars": (lambda x, y: np.concatenate([x, [y, 2.0]]), V, np.float64(7)),
    "concat": (lambda x: np.concat([x, x]), V),
    "stack": (lambda x, y: [np.stack([x, y], axis) for axis in (0, 1, -1)], M, M + 9),
    "stack scalars": (lambda x, y: np.stack([x, y, 3.0]), np.float64(1), np.float64(2)),
    "hstack": (lambda x, y: [np.hstack([x, 3.0, y]), np.hstack([M, M])], V, W),
    "vstack": (lambda x: np.vstack([x, V, x]), V),
    "dstack": (lambda x, y: np.dstack([x, V]), V, V),
    "column_stack": (lambda x: np.column_stack([x, V, np.ones((5, 2))]), V),
    "append": (lambda x, y: [np.append(x, y), np.append(x, x, 0)], M, V),
    "block": (lambda x: np.block([[x, np.ones((3, 1))], [np.zeros((1, 4)), 2.0]]), M),
    "block flat": (lambda x: np.block([x, 1.0, V]), V),
    "r_": (lambda x, y: [np.r_[x, 0, y], np.r_["0,2", x, V], np.r_[y, 1:4]], V, np.float64(7)),
    "c_": (lambda x: [np.c_[x, V], np.c_[np.ones(5), x, 2 * x]], V),
    "tile": (lambda x: [np.tile(x, 2), np.tile(x, (2, 1, 3)), np.tile(x, (1,))], M),
    "repeat": (lambda x: [np.repeat(x, 2), x.repeat(3, 1), np.repeat(x, [1, 2, 0], 0)], M),
    "insert": (lambda x, y: [np.insert(x, 1, y), np.insert(x, [2, 0, 0], y), np.insert(x, 1, y, 1)],
               M, np.float64(9)),
    "insert rows": (lambda x, y: [np.insert(x, 1, y, 0), np.insert(x, slice(0, 2), y, 0)], M, W),
    "delete": (lambda x: [np.delete(x, 1, 0), np.delete(x, [0, 2], 1), np.delete(x, slice(2))], M),
    "resize": (lambda x: [np.resize(x, (5, 4)), np.resize(x, 3)], M),
    "split": (lambda x: [*np.split(x, 3), *np.split(x, [1, 3], 1)], M),
    "array_split": (lambda x: [*np.array_split(x, 2), *np.array_split(x, 3, 1)], M),
    "hsplit": (lambda x: np.hsplit(x, 2), M),
    "vsplit": (lambda x: np.vsplit(x, 3), M),
    "dsplit": (lambda x: np.dsplit(x, 2), T),
    "unstack": (lambda x: [*np.unstack(x), *np.unstack(x, axis=-1)], M),
    "meshgrid": (lambda x, y: [*np.meshgrid(x, y), *np.meshgrid(x, y, indexing="ij")], V, W),
    "meshgrid sparse": (lambda x, y: np.meshgrid(x, y, [1.0, 2.0], sparse=True), V, W),
    "pad constant": (lambda x: [np.pad(x, 1), np.pad(x, ((1, 2), (0, 3)))], M),
    "pad with values": (
        lambda x, c: [np.pad(x, 2, constant_values=c),
                      np.pad(x, 1, constant_values=((c, 1), (2, c)))],
        M, np.float64(7)),
    "pad edge": (lambda x: np.pad(x, ((1, 2), (0, 3)), "edge"), M),
    "pad reflect": (lambda x: np.pad(x, ((5, 2), (4, 9)), "reflect"), M),
    "pad reflect odd": (lambda x: np.pad(x, ((5, 2), (4, 9)), "reflect", reflect_type="odd"), M),
    "pad symmetric": (lambda x: np.pad(x, ((7, 2), (4, 9)), "symmetric"), M),
    "pad symmetric odd": (lambda x: np.pad(x, 5, "symmetric", reflect_type="odd"), M),
    "pad wrap": (lambda x: np.pad(x, ((1, 2), (0, 3)), "wrap"), M),
    "pad linear_ramp": (lambda x: np.pad(x, 2, "linear_ramp", end_values=(4, 8)), 4 * M + 8),
    "pad mean": (lambda x: np.pad(x, 1, "mean", stat_length=2), 2 * M),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_value_derivatives_and_vmap(name):
    check_linear(*CASES[name])


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap", "maximum",
                                  "minimum", "mean", "median", "linear_ramp"])  # fmt: skip
@pytest.mark.parametrize("width", [0, 1, (1, 2), ((1, 2), (0, 3)), ((5, 9), (4, 11)), {-1: 2}])
def test_pad_in_every_mode_is_numpys(mode, width):
    for x in (M, M.astype(int), T[:, :1, :1]):
        if mode in ("mean", "linear_ramp") or x.ndim == len(np.atleast_2d(width)) or width == 1:
            if x.ndim == 3 and np.ndim(width) == 2:
                continue
            check_same(lambda x: np.pad(x, width, mode), x, exact=mode != "linear_ramp")


@pytest.mark.parametrize("where", [0, 1, -1, 3, slice(0, 2), [0, 2], [2, 0, 0], [-1, -2, 1], [], 7,
                                   np.array([True, False, True]), [9], slice(None, None, -2)],
                         ids=repr)  # fmt: skip
def test_insert_and_delete_at_any_place(where):
    check_same(lambda x: np.insert(x, where, -9.0), M)
    check_same(lambda x: np.insert(x, where, -9.0, axis=0), M)
    check_same(lambda x: np.insert(x, where, W, axis=0), M)
    check_same(lambda x: np.insert(x, where, np.ones((3, 1)), axis=1), M)
    check_same(lambda x: np.delete(x, where), M)
    check_same(lambda x: np.delete(x, where, 0), M)


@pytest.mark.parametrize("sections", [2, 3, [1], [2, 1], [5], 0, 5])
def test_splits_of_any_size(sections):
    for axis in (0, 1, -1, 4):
        check_same(lambda x: np.split(x, sections, axis), M)
        check_same(lambda x: np.array_split(x, sections, axis), M)


def test_trim_zeros_is_a_slice():
    check_same(lambda x: np.trim_zeros(x), np.array([0.0, 0, 1, 0, 2, 0]))
    check_same(lambda x: [np.trim_zeros(x, "f"), np.trim_zeros(x * 0)], np.array([0, 1, 0]))
    check_same(lambda x: np.trim_zeros(np.pad(x, 2), axis=0), M)


def test_the_pieces_of_a_split_are_views():
    def function(x):
        pieces, rows = np.split(x, 3), np.unstack(x)
        pieces[1][:] = 0
        rows[0][1] = 4
        x[2] += 1
        return pieces, rows

    check_same(function, M)


def test_joined_arrays_are_values_of_their_own():
    def function(x):
        made = [np.concatenate([x]), np.stack([x])[0], np.tile(x, 1), np.repeat(x, 1, 0),
                np.pad(x, 0), np.block([[x]]), np.append(x, np.ones((0, 4)), 0),
                np.insert(x, [], 1.0, 0), np.delete(x, [], 0),
                *np.meshgrid(x[0], x[1])]  # fmt: skip
        for y in made:
            y[0, 0] = 99.0
        return made

    check_same(function, M)


def test_dtypes_are_promoted_as_numpy_does():
    check_same(lambda x: np.concatenate([x, [1, 2]]), V.astype(np.float32))
    check_same(lambda x: np.concatenate([x, V]), V.astype(int))
    check_same(lambda x: np.stack([x, 3.0]), np.float32(2))
    check_same(lambda x: np.hstack([x, True]), np.float32(2))
    check_same(lambda x: np.concatenate([x, V], dtype=np.float32), V)
    check_same(lambda x: np.concatenate([x, V], dtype=int), V)
    check_same(lambda x: np.concatenate([x, V], dtype=int, casting="unsafe"), V)


def test_out_is_written():
    def function(x):
        out = cn.zeros((2, 5))
        made = np.stack([x, x * 2], out=out)
        return out + 1, made

    np.testing.assert_array_equal(through_trace(function, V)[0], np.stack([V, V * 2]) + 1)
    outside = np.zeros(10)
    with pytest.raises(MutationError, match="np.concatenate would write.*test_joining.py"):
        through_trace(lambda x: np.concatenate([x, x], out=outside), V)


ERRORS = [
    (lambda x: np.concatenate([x, V]), "all the input arrays must have same number of dimensions"),
    (lambda x: np.concatenate([x, x[:, :2]]), "along dimension 1, the array at index 0 has size 4"),
    (lambda x: np.concatenate([x[0, 0], x[0, 1]]), "zero-dimensional arrays cannot be"),
    (lambda x: np.stack([x, x[0]]), "all input arrays must have the same shape"),
    (lambda x: np.split(x, 5), "array split does not result in an equal division"),
    (lambda x: np.insert(x, 9, 1.0, 0), "index 9 is out of bounds for axis 0 with size 3"),
    (lambda x: np.delete(x, 9, 0), "index 9 is out of bounds for axis 0 with size 3"),
    (lambda x: np.repeat(x, [1, 2], 1), "operands could not be broadcast together with shape (4,)"),
    (lambda x: np.pad(x, -1), "index can't contain negative values"),
    (lambda x: np.pad(x, 1, "bogus"), "mode 'bogus' is not supported"),
    (lambda x: np.block([[x], x]), "depths are mismatched"),
]  # fmt: skip


@pytest.mark.parametrize("function, words", ERRORS)
def test_errors_are_worded_as_numpys_and_name_the_line(function, words):
    with pytest.raises((ValueError, IndexError)) as plain:
        function(M)
    with pytest.raises(type(plain.value)) as traced:
        through_trace(function, M)
    assert words in str(plain.value)
    assert words in str(traced.value)
    assert "test_joining.py:" in str(traced.value)


def test_a_cast_that_is_not_allowed_raises_type_error():
    with pytest.raises(DtypeError, match="Cannot cast.*same_kind"):
        through_trace(lambda x: np.concatenate([x, x], dtype=int), V)


def test_lengths_may_be_arguments():
    check_same(lambda x, n, axis: np.repeat(np.tile(x, n), n, axis), M, 2, 1)
    check_same(lambda x, n: np.split(np.pad(x, n), n), V[:4], 2)


def test_a_length_without_a_value_at_hand_is_refused_with_the_line():
    types = [type_of(V), type_of(np.int64(2))]
    with pytest.raises(ConcreteValueNeeded, match="test_joining.py"):
        trace_call(lambda x, n: np.repeat(x, n), (V, np.int64(2)), {}, frozenset(), types, False)


def test_ragged_lists_are_refused_as_numpy_does():
    with pytest.raises(ShapeError, match="inhomogeneous"):
        through_trace(lambda x: cn.array([x, [x[0]]]), V)
