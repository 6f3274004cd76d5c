"""Arrays to train on: inputs, targets and weights of the same rows, checked once."""

from __future__ import annotations

from math import prod
from mmap import mmap
from typing import Any

import numpy as np

from chainrule import errors


class Arrays:
    """Inputs, targets and weights of N rows.

    `inputs` is an array (N, ...), `targets` (N,) class numbers or (N,) or (N, K) real numbers, or
    None; `sample_weights` (N,) numbers from 0, or None. What lies in memory becomes contiguous, in
    `dtype` (None leaves inputs as they are); a memory-map stays on disk and is converted as rows
    of it are gathered. `frequencies` (N,) makes rows come into minibatches in proportion to them
    (see `order`), as for classes that are rare. `augment` changes images each time that they are
    gathered.

    **Dtypes** inputs and real targets `dtype`; whole targets int64; weights and frequencies that
    of real targets.
    **Errors** DataError: rows that differ in number, text, dates, weights below 0.

    >>> data = Arrays([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 1, 1])
    >>> len(data), data.inputs.dtype, data.targets.dtype
    (3, dtype('float32'), dtype('int64'))
    >>> data[[2, 0]].inputs
    array([[5., 6.],
           [1., 2.]], dtype=float32)
    """

    def __init__(
        self, inputs, targets=None, sample_weights=None, *, dtype: Any = np.float32,
        frequencies=None, augment=None,
    ):  # fmt: skip
        self.dtype = None if dtype is None else np.dtype(dtype)
        self.inputs = _inputs(inputs, self.dtype)
        real = self.dtype if self.dtype is not None and self.dtype.kind == "f" else np.dtype("f")
        self.targets = None if targets is None else _targets(targets, real)
        self.sample_weights = _weights(sample_weights, real, "sample_weights")
        self.frequencies = _weights(frequencies, real, "frequencies")
        self.augment = augment
        for name in ("targets", "sample_weights", "frequencies"):
            found = getattr(self, name)
            if found is not None and len(found) != len(self.inputs):
                raise errors.DataError(
                    f"Arrays needs as many {name} as inputs, got {len(found)} {name} and "
                    f"{len(self.inputs)} inputs."
                )

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        parts = [f"inputs {_said(self.inputs)}"]
        parts += [] if self.targets is None else [f"targets {_said(self.targets)}"]
        parts += [] if self.sample_weights is None else ["weighted"]
        return f"Arrays({', '.join(parts)})"

    def __getitem__(self, rows) -> Arrays:
        """The rows of these numbers, mask or slice, in memory; not augmented."""
        return self._with(_copied(self.inputs, rows, self.dtype), rows, None)

    def part(self, rows) -> Arrays:
        """These rows as data of their own: still on disk if they are there, still augmented.

        >>> Arrays(np.arange(4.0)[:, None], [0, 0, 1, 1]).part([0, 2])
        Arrays(inputs (2, 1) float32, targets (2,) int64)
        """
        if on_disk(self.inputs):
            return self._with(RowsOnDisk.of(self.inputs, rows), rows, self.augment)
        return self._with(_copied(self.inputs, rows, self.dtype), rows, self.augment)

    def _with(self, inputs, rows, augment) -> Arrays:
        made = object.__new__(Arrays)
        made.dtype, made.inputs, made.augment = self.dtype, inputs, augment
        for name in ("targets", "sample_weights", "frequencies"):
            array = getattr(self, name)
            setattr(made, name, None if array is None else _copied(array, rows, None))
        return made

    @property
    def streamed(self) -> bool:
        """Whether rows must be gathered for each stretch of steps: on disk, or augmented."""
        return on_disk(self.inputs) or self.augment is not None

    def gather(self, rows: np.ndarray, epoch: int = 0) -> tuple[Arrays, np.ndarray]:
        """The rows that minibatches name, in memory, and the same minibatches as rows of these.

        **Shapes** rows (steps, batch) -> Arrays of steps * batch rows, (steps, batch): equal for
        equal sizes, so that compiled steps fit every stretch. Only these rows are read from a
        memory-map, each once and in the order of the file.

        >>> piece, local = Arrays(np.arange(10.0)[:, None]).gather(np.array([[7, 2], [2, 5]]))
        >>> piece.inputs[local][..., 0].tolist()
        [[7.0, 2.0], [2.0, 5.0]]
        """
        flat = np.ravel(rows)
        needed, place = np.unique(flat, return_inverse=True)
        read = np.asarray(self.inputs[needed])[place]  # before it becomes wider, in `dtype`
        piece = self._with(_copied(read, slice(None), self.dtype), flat, None)
        if self.augment is not None:
            piece.inputs = self.augment(piece.inputs, flat, epoch)
        return piece, np.arange(flat.size).reshape(np.shape(rows))


def on_disk(array: Any) -> bool:
    """Whether the numbers of an array lie in a file that is mapped into memory.

    Of what is computed from a memory-map the class is np.memmap as well, but it lies in memory.
    """
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap | RowsOnDisk)


class RowsOnDisk:
    """Some rows of a memory-map, read as they are asked for: `[rows]` is an array."""

    def __init__(self, base: np.ndarray, rows: np.ndarray):
        self.base, self.rows = base, rows
        self.dtype, self.shape = base.dtype, (len(rows), *base.shape[1:])

    @classmethod
    def of(cls, array: np.ndarray | RowsOnDisk, rows) -> RowsOnDisk:
        """The rows of a memory-map, or of some of its rows."""
        if isinstance(array, RowsOnDisk):
            return cls(array.base, array.rows[rows])
        return cls(array, np.arange(len(array))[rows])

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows) -> np.ndarray:
        return np.asarray(self.base[self.rows[rows]])


def arrays(data: Any, *, dtype: Any = np.float32) -> Arrays:
    """Arrays as they are; a tuple (inputs, targets) or (inputs, targets, weights) made into them.

    >>> arrays(([[1.0]], [0]))
    Arrays(inputs (1, 1) float32, targets (1,) int64)
    """
    if isinstance(data, Arrays):
        return data
    if isinstance(data, tuple) and 2 <= len(data) <= 3:
        return Arrays(*data, dtype=dtype)
    raise errors.DataError(
        f"data is Arrays or a tuple (inputs, targets) or (inputs, targets, weights), got "
        f"{type(data).__name__}. Write: data.Arrays(inputs, targets)"
    )


def _copied(array: np.ndarray, rows, dtype: np.dtype | None) -> np.ndarray:
    found = np.asarray(array[rows])
    return np.ascontiguousarray(found, found.dtype if dtype is None else dtype)


def _inputs(given, dtype: np.dtype | None):
    if isinstance(given, RowsOnDisk):
        return given
    array = _numbers(given, "inputs")
    if on_disk(array):
        return array
    return _cast(array, array.dtype if dtype is None else dtype, "inputs")


def _targets(given, dtype: np.dtype) -> np.ndarray:
    array = _numbers(given, "targets")
    return _cast(array, dtype if array.dtype.kind == "f" else np.dtype(np.int64), "targets")


def _cast(array: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    """The numbers in C order and a dtype; refused where it is too narrow for them."""
    try:
        with np.errstate(over="raise"):
            found = np.ascontiguousarray(array, dtype)
    except FloatingPointError:
        outside = np.isfinite(array) & (np.abs(array) > np.finfo(dtype).max)
        row, *rest = (int(i) for i in np.argwhere(outside)[0])
        where = f", column {', '.join(map(str, rest))}" if rest else ""
        raise errors.DataError(
            f"{name} row {row}{where} is {array[(row, *rest)]}, more than {dtype} holds.\n"
            f"  {_INSTEAD}"
        ) from None
    if found.dtype.itemsize < array.dtype.itemsize and found.dtype.kind == "f" and len(found):
        top = np.maximum(array.max(axis=0), -array.min(axis=0))
        lost = np.argwhere((top > 0) & (top < np.finfo(dtype).tiny))
        if len(lost):
            where = f" in column {', '.join(map(str, lost[0].tolist()))}" if len(lost[0]) else ""
            raise errors.DataError(
                f"{name} are {top[tuple(lost[0])]} at most{where}, which {dtype} does not hold: "
                f"they would lose their digits, or be 0.\n  {_INSTEAD}"
            )
    return found


_INSTEAD = (
    "Scale the numbers (data.Preparation does), or train in another precision: "
    "fit(..., precision='float64')."
)


def _weights(given, dtype: np.dtype, name: str) -> np.ndarray | None:
    if given is None:
        return None
    array = _numbers(given, name).astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(array) & (array >= 0)).reshape(len(array), -1).all(axis=1))
    if array.ndim != 1 or len(wrong):
        where = f"row {wrong[0]} has {array[wrong[0]]}" if len(wrong) else f"shape {array.shape}"
        raise errors.DataError(f"{name} is one finite number from 0 for each row; {where}.")
    return array.astype(dtype)


def _numbers(given, name: str) -> np.ndarray:
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise errors.DataError(
            f"{name} have masked entries, which would be learned as if they were not.\n"
            "  Fill them in (given.filled(...)), or leave their rows out."
        )
    if hasattr(given, "toarray"):
        raise errors.DataError(f"{name} are sparse; write {name}.toarray().")
    array = np.asarray(given)
    if array.dtype.kind in "fiub" and array.ndim > 0:
        return array
    raise errors.DataError(
        f"{name} is an array (N, ...) of numbers, got {_said(array)}.\n"
        "  Text, dates and missing values are turned into numbers by data.Preparation."
    )


def _said(array: np.ndarray | RowsOnDisk) -> str:
    return f"{array.shape} {array.dtype}"
