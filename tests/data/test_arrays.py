"""Arrays: what is checked, what stays on disk, and rows gathered for minibatches."""

import numpy as np
import pytest
import scipy.sparse

from chainrule import errors
from chainrule.data import Arrays, arrays
from chainrule.data.arrays import on_disk


def test_arrays_have_the_dtypes_that_networks_take():
    data = Arrays(np.arange(6).reshape(3, 2), np.array([True, False, True]), [1, 2, 3])
    assert data.inputs.dtype == np.float32
    assert data.targets.dtype == np.int64
    assert data.sample_weights.dtype == np.float32
    assert Arrays(np.zeros((2, 1)), np.zeros((2, 3))).targets.dtype == np.float32


def test_dtype_none_keeps_words_as_whole_numbers_also_in_rows_of_them():
    data = Arrays(np.arange(6).reshape(3, 2), [0, 1, 2], dtype=None)
    assert data.inputs.dtype == data[[1]].inputs.dtype == np.int64
    assert data[[1]].targets.tolist() == [1]


def test_rows_are_chosen_by_numbers_masks_and_slices():
    data = Arrays([[0.0], [1.0], [2.0]], [0, 1, 2], [0.5, 1.0, 1.5])
    for rows in ([2, 1], np.array([2, 1])):
        assert data[rows].inputs.ravel().tolist() == [2.0, 1.0]
    assert data[np.array([True, False, True])].targets.tolist() == [0, 2]
    assert data[1:].sample_weights.tolist() == [1.0, 1.5]


@pytest.mark.parametrize("given, words", [
    ((np.zeros((3, 1)), [0, 1]), "as many targets as inputs, got 2 targets and 3 inputs"),
    ((np.zeros((2, 1)), ["a", "b"]), "targets is an array (N, ...) of numbers"),
    ((np.array(["a"]),), "data.Preparation"),
    ((np.float32(1.0),), "inputs is an array"),
    ((np.zeros((2, 1)), [0, 1], [1.0, -1.0]), "row 1 has -1.0"),
    ((np.zeros((2, 1)), [0, 1], [1.0, np.nan]), "row 1 has nan"),
    ((np.array([[0, np.inf], [2, -1e39]]),), "row 1, column 1 is -1e+39, more than float32 holds"),
    ((np.zeros((2, 1)), [1.0, 1e60]), "targets row 1 is 1e+60"),
    ((np.zeros((2, 1)), [1e-50, -3e-50]), "targets are 3e-50 at most, which float32 does not hold"),
    ((np.array([[1, 1e-40], [0, 0]]),), "inputs are 1e-40 at most in column 1"),
    ((np.ma.masked_greater(np.arange(3.0), 1),), "masked entries"),
    ((scipy.sparse.eye(3, format="csr"),), "inputs are sparse; write inputs.toarray()"),
])  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(given, words):
    with pytest.raises(errors.DataError) as caught:
        Arrays(*given)
    assert words in str(caught.value)


def test_a_tuple_becomes_arrays_and_anything_else_is_refused():
    assert arrays((np.zeros((2, 1)), [0, 1], [1, 1])).sample_weights.tolist() == [1.0, 1.0]
    data = Arrays(np.zeros((2, 1)))
    assert arrays(data) is data
    with pytest.raises(errors.DataError, match=r"Write: data.Arrays\(inputs, targets\)"):
        arrays(np.zeros((2, 1)))


def test_gathered_rows_are_those_that_the_minibatches_name():
    data = Arrays(np.arange(20.0).reshape(10, 2), np.arange(10))
    rows = np.array([[7, 2, 9], [2, 0, 7]])
    piece, local = data.gather(rows)
    assert len(piece) == rows.size
    assert np.array_equal(piece.inputs[local], data.inputs[rows])
    assert np.array_equal(piece.targets[local], data.targets[rows])


def test_a_memory_map_stays_on_disk_until_rows_are_gathered(tmp_path):
    wanted = np.random.default_rng(0).integers(0, 255, (50, 4), dtype=np.uint8)
    np.save(tmp_path / "x.npy", wanted)
    data = Arrays(np.load(tmp_path / "x.npy", mmap_mode="r"), np.arange(50))
    assert data.streamed
    assert on_disk(data.inputs)
    part = data.part(np.arange(10, 40)).part(np.array([5, 3]))
    assert part.streamed
    assert not isinstance(part.inputs, np.ndarray)
    assert (part.inputs.shape, part.inputs.dtype, len(part)) == ((2, 4), np.uint8, 2)
    piece, local = part.gather(np.array([[1, 0]]))
    assert piece.inputs.dtype == np.float32
    assert np.array_equal(piece.inputs[local][0], wanted[[13, 15]])
    assert np.array_equal(piece.targets[local][0], [13, 15])
    assert not Arrays(wanted).streamed


def test_what_is_computed_from_a_memory_map_is_in_memory(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((4, 2), np.float32))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert not Arrays(x.astype(np.float32)).streamed
    assert not Arrays(x.copy()).streamed
    assert not Arrays(x[[0, 1]]).streamed
    assert Arrays(x[1:]).streamed
    assert Arrays(np.asarray(x)).streamed
    assert not on_disk(None)


def test_a_memory_map_of_text_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array(["a", "b"]))
    with pytest.raises(errors.DataError, match="numbers"):
        Arrays(np.load(tmp_path / "x.npy", mmap_mode="r"))
