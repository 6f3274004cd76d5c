"""A table: named columns of equal length, each of one kind, that remember where they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import numpy as np

from chainrule import errors

EXACT = 2**53  # whole numbers up to it are exact in float64
KINDS = ("number", "boolean", "date", "text", "array")


@dataclass(frozen=True)
class Column:
    """The values of one column, and their kind, which says how they are stored.

    number, boolean   float64 (N,); nan where missing
    date              datetime64[us] (N,), in UTC; NaT where missing
    text              objects (N,): str, None where missing
    array             numbers of any kind (N, ...): images, vectors
    """

    name: str
    kind: str
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @property
    def missing(self) -> np.ndarray:
        """Which rows have no value, bool (N,)."""
        if self.kind == "text":
            return np.array([value is None for value in self.values], bool)
        if self.kind == "date":
            return np.isnat(self.values)
        if self.values.dtype.kind != "f":
            return np.zeros(len(self.values), bool)
        return np.isnan(self.values).reshape(len(self.values), -1).any(axis=1)

    def texts(self) -> list[str | None]:
        """Each value as the text that stands for it as a category; None where missing."""
        if self.kind == "text":
            return list(self.values)
        return [None if gone else spelled(self.kind, value)
                for value, gone in zip(self.values, self.missing, strict=True)]  # fmt: skip


def spelled(kind: str, value) -> str:
    """A value as text: whole numbers without a point, truth as true or false, dates as ISO."""
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "number":
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    return str(value)


@dataclass(frozen=True)
class Table:
    """Columns by name. `source` names the file; `lines` has what each row is known by there,
    and `unit` says what that is ("line", "file"; "row" where rows are counted from 0).

    >>> table = Table.of({"age": [31.0, 45.0], "city": ["Oslo", None]})
    >>> len(table), list(table.columns), table.columns["city"].kind
    (2, ['age', 'city'], 'text')
    >>> table[[1]]["age"]
    array([45.])
    """

    columns: dict[str, Column]
    source: str = "the table"
    lines: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    unit: str = "row"

    @classmethod
    def of(cls, arrays: Mapping[str, Any], source: str = "the table") -> Table:
        """A table of arrays or lists: numbers, booleans, dates, text with None where missing."""
        table = cls(
            {str(name): column(str(name), values) for name, values in arrays.items()}, source
        )
        lengths = {name: len(c) for name, c in table.columns.items()}
        if len(set(lengths.values())) > 1:
            raise errors.DataError(f"the columns of {source} differ in length: {lengths}.")
        return table

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __repr__(self) -> str:
        kinds = ", ".join(f"{name}: {c.kind}" for name, c in self.columns.items())
        return f"Table({len(self)} rows; {kinds})"

    def __getitem__(self, chosen):
        """The values of a column, by its name, or a table of some rows."""
        if isinstance(chosen, str):
            return self.column(chosen).values
        columns = {n: Column(n, c.kind, c.values[chosen]) for n, c in self.columns.items()}
        lines = np.arange(len(self)) if self.lines is None else self.lines
        return Table(columns, self.source, lines[chosen], self.notes, self.unit)

    def column(self, name: str) -> Column:
        """A column by its name; an error that lists what there is where it does not exist."""
        if name in self.columns:
            return self.columns[name]
        same = [one for one in self.columns if one.casefold().split() == name.casefold().split()]
        near = same or get_close_matches(name, self.columns, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise errors.DataError(
            f"{self.source} has no column {name!r}.{hint}\n  It has: {listed(self.columns)}"
        )

    def without(self, names: Iterable[str]) -> Table:
        """The table without these columns."""
        left = {n: c for n, c in self.columns.items() if n not in set(names)}
        return Table(left, self.source, self.lines, self.notes, self.unit)

    def present(self, name: str) -> Table:
        """The rows that have a value in this column."""
        return self[~self.column(name).missing]

    def place(self, row: int, name: str) -> str:
        """Where a value stands: the file, its line (or row, from 0), and the column."""
        known_as = row if self.lines is None else self.lines[row]
        return f"{self.source}, {self.unit} {known_as}, column {name!r}"

    def bad(self, rows: Sequence[int] | np.ndarray, name: str, wanted: str, instead: str):
        """The error for values of a column that are not what is wanted, the first one named."""
        value = self[name][rows[0]]
        count = "" if len(rows) == 1 else f" ({len(rows)} rows are like this)"
        return errors.DataError(
            f"{self.place(rows[0], name)}: {shown(value)} {wanted}{count}.\n  {instead}"
        )


def column(name: str, values) -> Column:
    """A column of the kind that an array's dtype says; objects are text, or an error.

    Whole numbers that float64 does not hold exactly are keys, and text: some would become equal.
    Lists of numbers of one length are an array, and so are gray images, uint8 (N, H, W) or
    (N, H, W, 1). Durations are numbers of seconds, masked entries missing values.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        mask, values = np.ma.getmaskarray(values), values.data.astype(object)
        values[mask] = None
    array = np.asarray(values)
    if array.ndim == 0:
        raise errors.DataError(f"column {name!r} needs an array of values, got {values!r}.")
    if array.dtype.kind == "O" and array.ndim == 1 and _are_lists(array):
        array = _stacked(name, array)
    if array.dtype.kind in "fiub" and array.ndim > 1:
        gray = array.dtype == np.uint8 and array.ndim == 3
        return Column(name, "array", array[..., None] if gray else array)
    if array.ndim == 1 and array.dtype.kind in "iu" and _are_keys(array):
        return Column(name, "text", objects([str(value) for value in array]))
    if array.ndim == 1 and array.dtype.kind in "fiu":
        return Column(name, "number", array.astype(np.float64))
    if array.ndim == 1 and array.dtype.kind == "b":
        return Column(name, "boolean", array.astype(np.float64))
    if array.ndim == 1 and array.dtype.kind == "m":
        return Column(name, "number", array / np.timedelta64(1, "s"))
    if array.ndim == 1 and array.dtype.kind == "M":
        return Column(name, "date", array.astype("datetime64[us]"))
    if array.ndim == 1 and array.dtype.kind in "UO":
        return _of_objects(name, array)
    raise errors.DataError(
        f"column {name!r} has dtype {array.dtype} and {array.ndim} axes; needed are numbers, "
        "booleans, datetime64 or text."
    )


def _are_lists(array: np.ndarray) -> bool:
    known = [type(value) for value in array if value is not None]
    return bool(known) and all(issubclass(kind, list | tuple | np.ndarray) for kind in known)


def _stacked(name: str, array: np.ndarray) -> np.ndarray:
    """Lists of numbers as the rows of one array."""
    shapes = {np.shape(value) for value in array}
    if len(shapes) == 1 and () not in shapes:
        stacked = np.array(array.tolist())
        if stacked.dtype.kind in "fiub":
            return stacked
    raise errors.DataError(
        f"column {name!r} holds lists; needed are lists of numbers, of the same length in every "
        "row.\n  Make columns of what is in them, or leave the column out."
    )


def _are_keys(array: np.ndarray) -> bool:
    return bool(np.any((array > EXACT) | (array < -EXACT)))


def _of_objects(name: str, array: np.ndarray) -> Column:
    """Objects that are all of one kind, with None or nan where missing."""
    given = [None if _is_nothing(v) else v for v in map(_plain, array.tolist())]
    if all(value is None or isinstance(value, str) for value in given):
        return Column(name, "text", objects([v if v is None else str(v) for v in given]))
    for kind, types, dtype, nothing in _OBJECTS:
        if all(value is None or isinstance(value, types) for value in given):
            values = [nothing if value is None else value for value in given]
            return Column(name, kind, np.array(values, dtype))
    row, value = next((i, v) for i, v in enumerate(given) if v is not None and type(v) is not str)
    alike = len({type(v) for v in given if v is not None}) == 1
    raise errors.DataError(
        f"column {name!r}, row {row}: {shown(value)} is of type {type(value).__name__}"
        f"{'' if alike else ', and others of its column are not'}.\n"
        "  A column holds numbers, booleans, dates or text. Convert it first."
    )


def _plain(value):
    """A value of NumPy as Python's; a moment of a time zone as one without, in UTC."""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]")  # nanoseconds would be a whole number
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _is_nothing(value) -> bool:
    return value is None or (isinstance(value, float) and value != value)


_NAT = np.datetime64("NaT", "us")
_OBJECTS: tuple[tuple[str, Any, str, Any], ...] = (
    ("boolean", bool, "float64", np.nan),
    ("number", (int, float, Decimal), "float64", np.nan),
    ("date", date, "datetime64[us]", _NAT),
)  # the kind, types, dtype and missing value of columns of objects


def objects(values: list) -> np.ndarray:
    """A list as an array of objects with one axis."""
    made = np.empty(len(values), object)
    made[:] = values
    return made


def shown(value) -> str:
    """A value in a message: short, and with quotes if it is text."""
    try:
        text = repr(value.item() if isinstance(value, np.generic) else value)
    except ValueError:  # a whole number of more than 4,300 digits
        text = f"a very long {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Names in a message: the first ones, and how many more."""
    names = [str(name) for name in names]
    more = f", ... ({len(names) - limit} more)" if len(names) > limit else ""
    return ", ".join(shown(name) for name in names[:limit]) + more
