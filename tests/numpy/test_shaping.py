"""Shapes and axes: against NumPy, with derivatives, vmap, and which results are views."""

import numpy as np
import pytest

from chainrule.errors import AxisError, MutationError, ShapeError
from tests.numpy.against_numpy import check_same, through_trace
from tests.numpy.properties import check_linear

V = np.arange(5.0)
M = np.arange(12.0).reshape(3, 4)
T = np.arange(24.0).reshape(2, 3, 4)

CASES = {
    "reshape": (lambda x: x.reshape(4, 3), M),
    "reshape -1": (lambda x: np.reshape(x, (2, -1)), M),
    "reshape F": (lambda x: np.reshape(x, (4, 3), order="F"), M),
    "reshape A": (lambda x: np.reshape(x.T, (2, 6), order="A"), M),
    "ravel": (lambda x: [x.ravel(o) for o in "CFAK"] + [x.T.ravel(o) for o in "CFAK"], M),
    "flatten": (lambda x: [x.flatten(), x.flatten("F")], M),
    "flat": (lambda x: x.T.flat[2:5], M),
    "transpose": (lambda x: [x.transpose(1, 0, 2), x.transpose((2, 0, 1)), x.T, x.mT], T),
    "permute_dims": (lambda x: np.permute_dims(x, (2, 0, 1)), T),
    "matrix_transpose": (np.matrix_transpose, T),
    "swapaxes": (lambda x: x.swapaxes(0, -1), T),
    "moveaxis": (lambda x: np.moveaxis(x, [0, 1], [-1, 0]), T),
    "rollaxis": (lambda x: [np.rollaxis(x, 2), np.rollaxis(x, 0, 3)], T),
    "squeeze": (lambda x: [np.squeeze(x), x.squeeze(0), np.squeeze(x, (0, 2))], T[:1, :, :1]),
    "expand_dims": (lambda x: [np.expand_dims(x, 1), np.expand_dims(x, (0, -1))], M),
    "atleast_1d": (lambda x: np.atleast_1d(x), np.float64(3)),
    "atleast_2d": (lambda x: np.atleast_2d(x), V),
    "atleast_3d": (lambda x, y: np.atleast_3d(x, y), V, M),
    "broadcast_to": (lambda x: np.broadcast_to(x, (2, 3, 4)), M),
    "broadcast_arrays": (lambda x, y: np.broadcast_arrays(x, y), M, M[:, :1].copy()),
    "flip": (lambda x: [np.flip(x), np.flip(x, 1), np.flip(x, (0, 2))], T),
    "fliplr": (np.fliplr, M),
    "flipud": (np.flipud, M),
    "rot90": (lambda x: [np.rot90(x, k, (0, 2)) for k in range(-1, 5)], T),
    "roll": (lambda x: [np.roll(x, 5), np.roll(x, -1, 1), np.roll(x, (1, 2), (0, 2))], T),
    "real": (lambda x: np.real(x + 2j * x), M),
    "imag": (lambda x: np.imag(x + 2j * x), M),
    "copy": (lambda x: [np.copy(x), x.copy()], M),
    "astype": (lambda x: [np.astype(x, np.float64), x.astype(float)], M),
    "apply_along_axis": (lambda x: np.apply_along_axis(lambda v: 2 * v[::-1], 0, x), M),
    "apply_over_axes": (lambda x: np.apply_over_axes(np.sum, x, [0, 2]), T),
}


@pytest.mark.parametrize("name", CASES)
def test_value_derivatives_and_vmap(name):
    check_linear(*CASES[name])


ARRAYS = [M, V, T, M.T, np.float64(3), np.array(2.0), M[:0], M.astype(np.float32), M.astype(int),
          M + 1j, M[:, ::2], M[::-1], M > 5]  # fmt: skip
UNARY = [np.squeeze, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.transpose, np.fliplr,
         np.flipud, np.flip, np.rot90, np.real, np.imag, np.copy, np.ravel, np.matrix_transpose,
         lambda x: np.roll(x, 2), lambda x: np.reshape(x, -1), lambda x: x.flatten()]  # fmt: skip


@pytest.mark.parametrize("function", UNARY)
def test_every_kind_of_array_is_reshaped_as_numpy_does(function):
    for x in ARRAYS:
        check_same(lambda x: function(x), x)


WRITES = {
    "reshape of contiguous": lambda x: x.reshape(4, 3),
    "reshape of transpose": lambda x: x.T.reshape(3, 4),
    "reshape F": lambda x: x.reshape(4, 3, order="F"),
    "ravel": lambda x: x.ravel(),
    "ravel of transpose": lambda x: x.T.ravel(),
    "ravel K of transpose": lambda x: x.T.ravel("K"),
    "ravel of a strided vector": lambda x: x[0, ::2].ravel(),
    "reshape of a strided vector": lambda x: x[0, ::2].reshape(-1),
    "flat": lambda x: x.T.flat,
    "transpose": lambda x: x.T,
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "squeeze": lambda x: x[:1].squeeze(),
    "expand_dims": lambda x: np.expand_dims(x, (0, 2)),
    "flip": lambda x: np.flip(x, 1),
    "rot90": lambda x: np.rot90(x),
    "atleast_3d": lambda x: np.atleast_3d(x),
    "roll": lambda x: np.roll(x, 1),
    "flatten": lambda x: x.flatten(),
    "elementwise of transpose, raveled": lambda x: (x.T * 2).ravel(),
    "asarray": lambda x: np.asarray(x),
    "array": lambda x: np.array(x),
    "plus": lambda x: +x,
    "positive": lambda x: np.positive(x),
    "conj": lambda x: x.conj(),
    "conjugate": lambda x: np.conjugate(x),
    "view": lambda x: x.view(),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_goes_through_exactly_where_numpy_gives_a_view(name):
    def function(x):
        part = WRITES[name](x)
        part[...] = -1.0
        x[0, 0] = 77.0
        return part[...] + 0

    check_same(function, M)
    check_same(function, np.asfortranarray(M))


def test_writes_to_real_and_imag_go_through():
    def function(x):
        z = x + 1j * x
        z.real = 5
        z.imag[0] = 2
        w = z.real
        w[1] = 8
        z[..., 0] = 0
        x.real[0] = 3
        return z, w, z.imag, x.real

    check_same(function, M)


def test_a_scalar_has_no_memory_to_share():
    def function(x):
        s = x[0]
        r = np.reshape(s, (1,))
        r[0] = 5.0
        u = np.asarray(s)
        u[...] = 4.0
        u += 1
        return s, r, u, np.expand_dims(s, 0)

    check_same(function, V)


def test_writing_to_a_broadcast_view_raises_with_the_line():
    def function(x):
        wide = np.broadcast_to(x, (2, 3, 4))
        wide[0] = 1.0

    with pytest.raises(MutationError, match="read-only.*test_shaping.py"):
        through_trace(function, M)


def test_a_broadcast_view_sees_later_writes():
    def function(x):
        wide, row = np.broadcast_to(x, (2, 3, 4)), np.broadcast_to(x[0], (2, 4))
        x[0, 1] = 98.0
        return wide.copy(), row.copy()

    check_same(function, M)


def test_strides_and_flags_are_numpys():
    def function(x):
        made = [x, x.T, x[::2], x[:, 1], x.T * 2, np.flip(x), x.T.copy(), np.copy(x.T),
                x + x.T[0, 0], np.zeros_like(x.T), x.T.astype(np.float32),
                np.concatenate([x.T, x.T]), x[:, [0, 1]], np.where(x.T > 0, x.T, 0), x.T.sum(0),
                np.cumsum(x.T, 0)]  # fmt: skip
        return [
            [y.strides, y.flags.c_contiguous, y.flags.f_contiguous, y.flags["CONTIGUOUS"]]
            for y in made
            if y.flags.writeable
        ]

    assert through_trace(function, M) == function(M)
    fortran = np.asfortranarray(M)
    assert through_trace(function, fortran) == function(fortran)


ERRORS = [
    (lambda x: x.reshape(5, 3), ShapeError, "cannot reshape array of size 12 into shape (5,3)"),
    (lambda x: np.swapaxes(x, 0, 5), AxisError, "axis 5 is out of bounds for array of dimension 2"),
    (lambda x: np.moveaxis(x, 3, 0), AxisError, "source: axis 3 is out of bounds"),
    (lambda x: np.moveaxis(x, [0, 0], [0, 1]), ShapeError, "repeated axis in `source`"),
    (lambda x: np.moveaxis(x, [0, 1], [0]), ShapeError, "must have the same number of elements"),
    (lambda x: np.transpose(x, (0,)), ShapeError, "axes don't match array"),
    (lambda x: np.transpose(x, (0, 0)), ShapeError, "repeated axis"),
    (lambda x: np.squeeze(x, 0), ShapeError, "cannot select an axis to squeeze out which has size"),
    (lambda x: np.expand_dims(x, 4), AxisError, "axis 4 is out of bounds for array of dimension 3"),
    (
        lambda x: np.broadcast_to(x, (3, 5)),
        ShapeError,
        "operands could not be broadcast together with remapped shapes [original->remapped]: (3,4)",
    ),
    (lambda x: np.rot90(x, 1, (0, 0)), ShapeError, "Axes must be different"),
    (lambda x: np.fliplr(x[0]), ShapeError, "Input must be >= 2-d"),
    (lambda x: np.roll(x, 1, 2), AxisError, "axis 2 is out of bounds"),
]


@pytest.mark.parametrize("function, cls, words", ERRORS)
def test_errors_are_worded_as_numpys_and_name_the_line(function, cls, words):
    with pytest.raises((ValueError, IndexError)) as plain:
        function(M)
    with pytest.raises(type(plain.value)) as traced:
        through_trace(function, M)
    assert isinstance(traced.value, cls)
    assert words in str(traced.value)
    if words != "repeated axis":  # np.transpose words it so, np.moveaxis more precisely
        assert words in str(plain.value)
    assert "test_shaping.py:" in str(traced.value)


def test_an_axis_error_is_numpys_own_class():
    with pytest.raises(np.exceptions.AxisError):
        through_trace(lambda x: x.swapaxes(0, 9), M)


def test_an_axis_and_a_shape_may_be_arguments():
    check_same(lambda x, n, axis: np.expand_dims(x, axis).reshape(n, -1).swapaxes(0, axis), M, 4, 1)
    check_same(lambda x, k, axis: np.roll(np.flip(x, axis), k, axis), M, 2, 1)


def test_assigning_a_shape_is_refused_by_name():
    def function(x):
        x.shape = (4, 3)

    with pytest.raises(MutationError, match=r"x = x.reshape\(\(4, 3\)\)"):
        through_trace(function, M)


def test_reading_memory_as_another_dtype_is_refused_by_name():
    with pytest.raises(TypeError, match="x.view.*is not supported on traced values"):
        through_trace(lambda x: x.view(np.int64), M)
