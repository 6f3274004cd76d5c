"""NumPy's own files to a table: .npy (one array), .npz (arrays by name); nothing is unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from chainrule import errors
from chainrule.data.table import Table, objects


def read_array_file(
    path: str | Path, looked_at: Callable[[str], bool] = lambda _: True
) -> Table:  # fmt: skip
    """The table in a .npz file (a column for each array) or a .npy file.

    Arrays with one axis, or a second one of size 1, are columns; others stay whole, as one column
    of kind "array". A .npy file with two axes has a column for each column, called "0", "1", ...;
    one with fields has them. What is not `looked_at` and has no rows, or more, is empty.

    **Errors** DataError: no such file, arrays of other lengths, pickled objects.
    """
    try:
        found = np.load(path, allow_pickle=False)
        arrays = {"0": found} if isinstance(found, np.ndarray) else {n: found[n] for n in found}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, SyntaxError) as error:
        raise errors.DataError(f"{path} cannot be read as arrays: {error}") from error
    if isinstance(found, np.ndarray):
        arrays = _columns(found)
    rows = {len(a) for n, a in arrays.items() if looked_at(n) and np.ndim(a)}
    for name, array in arrays.items():
        if not looked_at(name) and len(rows) == 1 and not (np.ndim(array) and len(array) in rows):
            arrays[name] = objects([None] * min(rows))
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.ndim == 0:
            raise errors.DataError(
                f"{path}: {name!r} is no array of rows.\n  Leave it out: ignore=[{name!r}]"
            )
    flat = {n: a[:, 0] if a.ndim == 2 and a.shape[1] == 1 else a for n, a in arrays.items()}
    return Table.of(flat, str(path))


def _columns(array: np.ndarray) -> dict[str, np.ndarray]:
    if array.dtype.names:
        return {name: array[name] for name in array.dtype.names}
    if array.ndim == 2:
        return {str(i): array[:, i] for i in range(array.shape[1])}
    return {"0": array}
