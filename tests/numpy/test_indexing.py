"""Reading and writing parts of arrays through a trace, against NumPy itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import chainrule as cr
from chainrule.errors import ConcreteValueNeeded, IndexOutOfRange, MutationError
from tests.numpy.against_numpy import assert_same, check_same, copies, through_trace

X = np.arange(24.0).reshape(2, 3, 4)
M = np.arange(12.0).reshape(3, 4)
V = np.arange(5.0)


def read(key):
    return lambda x: x[key]


def write(key, value):
    def function(x):
        x[key] = value
        return x

    return function


# --- keys drawn by Hypothesis -------------------------------------------------------------------


@st.composite
def entries(draw, n, array_shape):
    """One entry for an axis of length n."""
    kind = draw(st.sampled_from(["int", "slice", "array", "list", "mask"]))
    if kind == "slice":
        return draw(st.slices(n))
    if kind == "int" and n:
        return draw(st.integers(-n, n - 1))
    if kind == "mask":
        return draw(hnp.arrays(bool, n))
    low, high = (-n, n - 1) if n else (0, 0)
    shape = array_shape if n else (*array_shape[:-1], 0)
    array = draw(hnp.arrays(np.int64, shape, elements=st.integers(low, high)))
    return array.tolist() if kind == "list" else array


@st.composite
def keys(draw, shape):
    """A key of ints, slices, arrays, lists, masks, None and Ellipsis for an array of this shape."""
    array_shape = draw(hnp.array_shapes(min_dims=1, max_dims=2, max_side=3))
    count = draw(st.integers(0, len(shape)))
    key = [draw(entries(n, array_shape)) for n in shape[:count]]
    if draw(st.booleans()):
        tail = draw(st.integers(0, len(shape) - count))
        key += [Ellipsis, *(draw(entries(n, array_shape)) for n in shape[len(shape) - tail :])]
    for _ in range(draw(st.integers(0, 2))):
        key.insert(draw(st.integers(0, len(key))), None)
    return key[0] if len(key) == 1 and draw(st.booleans()) else tuple(key)


@st.composite
def arrays_and_keys(draw):
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    x = np.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    if draw(st.booleans()):
        x = np.asfortranarray(x)
    return x, draw(keys(shape))


@given(arrays_and_keys())
@settings(max_examples=150)
def test_any_key_reads_what_numpy_reads(case):
    x, key = case
    check_same(read(key), x)


@given(arrays_and_keys(), st.data())
@settings(max_examples=150)
def test_any_key_writes_what_numpy_writes(case, data):
    x, key = case
    try:
        shape = x[key].shape
    except IndexError:
        shape = ()
    dims = data.draw(st.integers(0, len(shape)))
    shape = tuple(data.draw(st.sampled_from([1, n])) for n in shape[len(shape) - dims :])
    value = -1.0 - np.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    if _repeats(x, key):
        value = -1.0  # which of several writes to one place wins is not specified
    check_same(write(key, value), x)


def _repeats(x, key) -> bool:
    try:
        picked = np.arange(x.size).reshape(x.shape)[key]
    except IndexError:
        return False
    return np.unique(picked).size != np.size(picked)


@given(arrays_and_keys(), st.data())
@settings(max_examples=50)
def test_a_traced_index_reads_as_a_plain_one(case, data):
    x, key = case
    entries = key if isinstance(key, tuple) else (key,)
    arrays = [e for e in entries if isinstance(e, np.ndarray | int)]

    def function(x, *indices):
        given_back = iter(indices)
        new = tuple(next(given_back) if isinstance(e, np.ndarray | int) else e for e in entries)
        return x[new]

    check_same(function, x, *map(np.asarray, arrays))


# --- sequences of views, writes and reads -------------------------------------------------------


class Steps:
    """A drawn sequence of steps, each a function from the values so far to the next value."""

    def __init__(self, data):
        self.data = data

    def draw(self, values):
        i = self.data.draw(st.integers(0, len(values) - 1))
        x = values[i]
        kind = self.data.draw(st.sampled_from(sorted(_STEPS)))
        return _STEPS[kind](self.data.draw, i, x)


def _basic(draw, i, x):
    key = draw(hnp.basic_indices(x.shape, allow_newaxis=True, max_dims=4))
    return lambda values: values[i][key]


def _fancy(draw, i, x):
    key = draw(keys(x.shape))
    return lambda values: values[i][key]


def _transpose(draw, i, x):
    axes = draw(st.permutations(range(x.ndim)))
    return lambda values: np.transpose(values[i], axes)


def _reshape(draw, i, x):
    shape = draw(st.sampled_from([(-1,), (1, -1), x.shape[::-1], x.shape, (-1, 1)]))
    order = draw(st.sampled_from("CFA"))
    return lambda values: np.reshape(values[i], shape if x.size else (0,), order)


def _ravel(draw, i, x):
    order = draw(st.sampled_from("CFAK"))
    return lambda values: values[i].ravel(order)


def _flip(draw, i, x):
    axis = draw(st.sampled_from([None, *range(x.ndim)]))
    return lambda values: np.flip(values[i], axis)


def _other_view(draw, i, x):
    function = draw(
        st.sampled_from([np.squeeze, np.atleast_2d, np.atleast_3d, np.rot90, np.diagonal, np.real])
    )
    return lambda values: function(values[i])


def _whole(draw, i, x):
    function = draw(
        st.sampled_from(
            [np.copy, np.negative, lambda y: y * 2, lambda y: +y, lambda y: y.copy(), np.cumsum,
             lambda y: y.astype(float), lambda y: np.concatenate([y, y]), lambda y: y.sum(0),
             lambda y: y.copy("K"), np.zeros_like, lambda y: np.where(y > 0, y, -y),
             lambda y: np.roll(y, 1, 0), lambda y: np.add(y, y[..., :1])]
        )
    )  # fmt: skip
    return lambda values: function(values[i])


def _write(draw, i, x):
    key = draw(hnp.basic_indices(x.shape, allow_newaxis=False) if draw(st.booleans())
               else keys(x.shape))  # fmt: skip
    number = float(draw(st.integers(-9, 9)))

    def step(values):
        values[i][key] = number
        return values[i]

    return step


def _write_another(draw, i, x):
    def step(values):
        values[i][...] = values[0].ravel()[: x.shape[-1]] if x.ndim else 7.0
        return values[i]

    return step


def _in_place(draw, i, x):
    key = draw(hnp.basic_indices(x.shape, allow_newaxis=False))
    which = draw(st.sampled_from(["whole", "part", "out"]))

    def step(values):
        y = values[i]
        if which == "whole":
            y += 1
        elif which == "part":
            y[key] *= 3
        else:
            np.subtract(y, 1, out=y)
        return y

    return step


_STEPS = {
    "basic": _basic,
    "fancy": _fancy,
    "transpose": _transpose,
    "reshape": _reshape,
    "ravel": _ravel,
    "flip": _flip,
    "view": _other_view,
    "whole": _whole,
    "write": _write,
    "write another": _write_another,
    "in place": _in_place,
}


@given(st.data())
@settings(max_examples=100)
def test_sequences_of_views_writes_and_reads_agree_with_numpy(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
    x = np.arange(float(np.prod(shape))).reshape(shape)
    if data.draw(st.booleans()):
        x = np.asfortranarray(x)
    steps, drawing = [], Steps(data)
    values = [x.copy(order="K")]
    for _ in range(data.draw(st.integers(1, 8))):
        step = drawing.draw(values)
        try:
            made = step(values)
        except (ValueError, IndexError, TypeError):  # shapes that do not fit, read-only views
            continue
        if not isinstance(made, np.ndarray) or made.size > 200:
            continue
        values.append(made)
        steps.append(step)

    def replay(x):
        values = [x]
        for step in steps:
            values.append(step(values))
        return [v + 0 for v in values]

    check_same(replay, x)


# --- particular cases ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        (), ..., None, 1, -1, np.int8(1), (1, 2), (1, 2, 3), (..., 1), (1, ...), (0, ..., 0),
        slice(None, None, -1), (slice(1, None), slice(None, None, 2)), (None, 1, None, ..., None),
        [0, 1], ([0, 1], [1, 2]), ([0, 1], slice(None), [1, 2]), (slice(None), [0, 1], [1, 2]),
        ([[0], [1]], [1, 2]), (0, [0, 1], slice(None)), (slice(None), 0, [0, 1]), (None, [0, 1]),
        ([0, 1], None, [1, 2]), True, False, (True, 0), (slice(None), True, [0, 1]),
        ([True, False], [0, 1]), (slice(None), [True, False, True]), [], ([],), ([True, True],),
        np.ones((2, 3), bool), np.array(1), (np.array(0), [1, 2]), (slice(0), [0]),
    ],
    ids=repr,
)  # fmt: skip
def test_key_reads_and_writes_as_numpy(key):
    check_same(read(key), X)
    check_same(write(key, -1.0), X)


@pytest.mark.parametrize(
    "key",
    [5, -3, (0, 3), (0, 0, 0, 0), (..., ...), 1.0, "a", [0.5], [2], [[0, -3]], ([0, 1], [0, 1, 2]),
     [True], [True, False, True], np.ones((2, 2), bool), (slice(0, 1, 0),), (0, slice(1.5)), {}],
    ids=repr,
)  # fmt: skip
def test_key_is_refused_with_numpys_error(key):
    check_same(read(key), X)
    check_same(write(key, -1.0), X)


WORDINGS = [
    (read(5), X, "index 5 is out of bounds for axis 0 with size 2"),
    (read((0, [0, 3])), X, "index 3 is out of bounds for axis 1 with size 3"),
    (read((0, 0, 0, 0)), X, "too many indices for array: array is 3-dimensional, but 4 were"),
    (read((..., ...)), X, "an index can only have a single ellipsis"),
    (read(1.0), X, "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and int"),
    (read(np.array([0.5])), X, "arrays used as indices must be of integer (or boolean) type"),
    (
        read(([0, 1], [0, 1, 2])),
        X,
        "shape mismatch: indexing arrays could not be broadcast together with shapes (2,) (3,)",
    ),
    (
        read([True]),
        X,
        "boolean index did not match indexed array along axis 0; size of axis is 2 but size of "
        "corresponding boolean axis is 1",
    ),
    (
        write(slice(0, 2), np.ones(3)),
        V,
        "could not broadcast input array from shape (3,) into shape (2,)",
    ),
    (
        write([0, 1], np.ones(3)),
        V,
        "shape mismatch: value array of shape (3,)",
    ),
    (write((0, 0, 0), 1j), X, None),
]


@pytest.mark.parametrize("function, x, words", WORDINGS)
def test_index_errors_are_worded_as_numpys_and_name_the_line(function, x, words):
    with pytest.raises((IndexError, ValueError, TypeError)) as plain:
        function(x.copy())
    with pytest.raises(type(plain.value)) as traced:
        through_trace(function, x.copy())
    if words is not None:
        assert words in str(plain.value)
        assert words in str(traced.value)
    assert "test_indexing.py:" in str(traced.value)


def test_an_index_that_is_found_out_of_range_when_it_runs_raises_index_error():
    with pytest.raises(IndexError, match="index 5 is out of bounds"):
        through_trace(lambda x, i: x[i], V, np.int64(5))


def test_a_row_read_by_a_traced_integer_is_a_view():
    def function(x, i):
        row = x[i]
        row[0] = 50.0
        row += 1
        x[i] *= 2
        x[i, 1] = -1
        last = x[..., i]
        last[...] = 9
        return row, last

    check_same(function, M, np.int64(1))
    check_same(function, M, np.int64(-1))


def test_a_row_read_by_a_0d_integer_array_is_a_copy():
    def function(x, i):
        row = x[i]
        i += 1
        row[0] = 50.0
        x[2] = 8.0
        other = x[np.array(0)]
        other[:] = 7.0
        return row + 0, i, other

    check_same(function, M, np.array(1))


def test_an_element_is_a_scalar_that_later_writes_do_not_change():
    def function(x):
        element, boxed = x[0], x[0, ...]
        x[0] = 5.0
        whole = x[()]
        boxed += 1
        return element, boxed, whole, x

    check_same(function, V)


def test_zero_dimensional_array_is_written_through_an_empty_key():
    def function(x):
        value, alias = x[()], x[...]
        x[()] = 3.0
        alias += 1
        return value, alias, x

    check_same(function, np.array(2.0))


def test_a_scalar_does_not_support_item_assignment():
    check_same(write((), 1.0), np.float64(2.0))


def test_augmented_assignment_to_a_part_writes_once():
    def function(x):
        x[1:] += 1
        x[0, 0] -= 3
        x[:, 1] *= x[:, 0]
        x[[0, 0], 1] += 5
        return x

    check_same(function, M)
    program = str(cr.tracing.trace_call(function, (M.copy(),), {}).program)
    assert program.count("index_set") == 4


def test_a_mask_with_a_scalar_needs_no_value_at_hand():
    check_same(lambda x: write(x > 3, 0.0)(x), M)
    types = [cr.tracing.type_of(M)]

    def function(x):
        x[x > 3] = 0.0
        x[x[:, 0] > 1] = 7.0
        return x

    call = cr.tracing.trace_call(function, (M,), {}, frozenset(), types, False)
    assert "select" in str(call.program)


def test_a_mask_that_decides_a_shape_needs_its_value_and_says_so():
    types = [cr.tracing.type_of(M)]
    with pytest.raises(ConcreteValueNeeded, match=r"the shape of x\[mask\].*test_indexing.py"):
        cr.tracing.trace_call(lambda x: x[x > 3], (M,), {}, frozenset(), types, False)


def test_a_list_of_traced_values_can_be_assigned():
    def function(x, a, b):
        x[:2] = [a, b]
        x[2:4] = (a * b, 1)
        return x

    check_same(function, V, np.float64(2.0), np.float64(3.0))


def test_a_list_of_traced_integers_is_an_index():
    check_same(lambda x, i, j: x[[i, j]], V, np.int64(2), np.int64(-1))


def test_writing_a_read_only_view_raises():
    for view in (np.diagonal, lambda x: np.broadcast_to(x[0], (2, 4))):
        with pytest.raises(MutationError, match="read-only.*test_indexing.py"):
            through_trace(lambda x, view=view: write(0, 1.0)(view(x)), M)


def test_storing_complex_values_in_a_real_array_raises():
    with pytest.raises(TypeError, match="complex"):
        through_trace(lambda x: write(0, x[1] * 1j)(x), V)


def test_index_error_is_both_numpys_and_chainrules():
    with pytest.raises(IndexOutOfRange):
        through_trace(read(9), V)
    with pytest.raises(IndexError):
        through_trace(read(9), V)


def test_overlapping_assignment_reads_before_it_writes():
    check_same(lambda x: write(slice(1, None), x[:-1])(x), V)
    check_same(lambda x: write(slice(None), x[::-1])(x), V)


def test_reading_leaves_the_argument_as_it_was():
    (x,) = copies((M,))
    assert_same(through_trace(lambda x: x[1] * 2, x), M[1] * 2)
    np.testing.assert_array_equal(x, M)


# --- derivatives --------------------------------------------------------------------------------


@given(arrays_and_keys())
@settings(max_examples=30)
def test_the_gradient_of_a_read_counts_how_often_each_element_is_read(case):
    x, key = case
    try:
        picked = np.arange(x.size).reshape(x.shape)[key]
    except IndexError:
        return
    expected = np.bincount(np.ravel(picked), minlength=x.size).reshape(x.shape)
    gradient = cr.grad(lambda x: x[key].sum())(x)
    np.testing.assert_array_equal(gradient, expected)


@given(arrays_and_keys())
@settings(max_examples=30)
def test_the_gradient_after_a_write_is_zero_where_it_was_written(case):
    x, key = case
    try:
        written = np.isin(np.arange(x.size), np.arange(x.size).reshape(x.shape)[key])
    except IndexError:
        return

    def function(x, value):
        y = x * 3.0
        y = y.copy()
        if y.ndim:
            y[key] = value
        else:
            y = np.asarray(y)
            y[key] = value
        return y.sum()

    by_x, by_value = cr.grad(function, argnums=(0, 1))(x, 2.0)
    np.testing.assert_array_equal(by_x, np.where(written, 0.0, 3.0).reshape(x.shape))
    assert by_value == written.sum()
