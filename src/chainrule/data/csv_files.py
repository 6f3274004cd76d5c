"""Delimited text (CSV) to a table: strict, and every complaint names the line.

One line of names, then rows of as many fields. Fields are separated by a comma, semicolon, tab,
bar or any number of blanks (found from the first lines), may be quoted, and lose the blanks around
them.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.data import values
from chainrule.data.columns import Reading, of_texts
from chainrule.data.table import Table, listed, shown

DELIMITERS = (",", ";", "\t", "|")
BLANKS = " "  # as a delimiter: any number of blanks and tabs, none of them at the ends of a line
SAMPLE = 1 << 16  # characters from which the delimiter is found
CHUNK = 1_000  # rows at a time; ten times as many took half as long again
KNOWN = 10_000  # different fields of a column that are remembered, to share equal ones
_APART = re.compile(r'("(?:[^"]|"")*")|[ \t]*(\r?\n)[ \t]*|[ \t]+')  # quoted, or blanks
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_csv(
    path: str | Path, *, delimiter: str | None = None, encoding: str = "utf-8", header: bool = True,
    reading: Reading | None = None,
) -> Table:  # fmt: skip
    """The table in a file of delimited text, also one that gzip has compressed.

    **Errors** DataError: not text in this encoding, no rows, names that are empty or come twice,
    rows of other lengths, quotes that do not close, values that do not fit their column.
    """
    path = Path(path)
    text = _decoded(path, encoding)
    delimiter = delimiter or sniffed(text[:SAMPLE])
    rows = _records(text, delimiter, path)
    first = next(rows, None)
    if first is None:
        raise errors.DataError(f"{path} is empty; needed is a line of names, then rows of values.")
    names = _names(first[1], first[0], path) if header else _numbered(first[1])
    body = rows if header else _again(first, rows)
    fields, lines = _gathered(body, len(names), path, first)
    if header:
        _refuse_values(names, fields, first[0], path)
    made = _columns(names, fields, lines, path, reading or Reading())
    table = Table(made, str(path), lines, (), "line")
    nameless = [i for i, text in enumerate(first[1]) if header and not text.strip()]
    return _without_blanks(table, nameless)


def sniffed(sample: str) -> str:
    """The delimiter that splits the most lines alike, into the most fields.

    Blanks are one only where no other splits the first line, and they split all lines alike into
    columns of which one is numbers: else they are in texts.

    >>> sniffed("a;b\\n1,5;2\\n"), sniffed("name\\nOslo\\n"), sniffed("mpg  name\\n18.0 'ford'\\n")
    (';', ',', ' ')
    """

    def score(delimiter: str) -> tuple[float, int]:
        lengths = [len(row) for row in _first(sample, delimiter)]
        if not lengths or lengths[0] < 2:
            return 0.0, 0
        return lengths.count(lengths[0]) / len(lengths), lengths[0]

    best = max(DELIMITERS, key=score)
    if score(best)[1] or score(BLANKS)[0] < 1:
        return best
    numbers = [
        all(values.number(text.replace(",", ".")) is not None for text in column)
        for column in zip(*_first(sample, BLANKS)[1:], strict=True)
    ]
    return BLANKS if any(numbers) else best


def _first(sample: str, delimiter: str) -> list[list[str]]:
    """The first records of a sample, up to 50, without the last one, which may be cut off."""
    try:
        found = [row for row in islice(_reader(sample, delimiter), 50) if row]
    except csv.Error:
        return []
    return found[:-1] if len(found) > 2 else found


def _reader(text: str, delimiter: str, *, strict: bool = False) -> Any:
    if delimiter == BLANKS:  # quoted fields as they are, and one blank for several
        text = _APART.sub(lambda m: m[1] or m[2] or BLANKS, text.strip(" \t"))
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)


def _decoded(path: Path, encoding: str) -> str:
    """The text of a file, without its byte-order mark."""
    raw = _unpacked(path)
    try:
        text = raw.decode(encoding).removeprefix("\ufeff")
    except LookupError as error:
        raise errors.DataError(f"{path}: no encoding is called {encoding!r}.") from error
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        line = raw[:at].count(b"\n") + 1
        hint = "utf-16" if raw[:2] in _UTF16 else "latin-1"
        raise errors.DataError(
            f"{path}, line {line}: byte {raw[at : at + 1].hex()} is not {encoding} text.\n"
            f"  If the file is in another encoding, name it: encoding={hint!r}"
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise errors.DataError(f"{path}, line {line}: a NUL character; this is no table in text.")
    return text


def _unpacked(path: Path) -> bytes:
    """The bytes of a file, or of the one that gzip or zip has packed into it."""
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            return gzip.decompress(raw)
        if raw[:4] != b"PK\x03\x04":
            return raw
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            (name,) = archive.namelist()
            return archive.read(name)
    except ValueError as error:
        raise errors.DataError(f"{path} holds several files; unpack the one to read.") from error
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise errors.DataError(f"{path} cannot be read: {error}") from error


def _records(text: str, delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The line on which each record starts, and its fields; blank lines left out."""
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise errors.DataError(f"delimiter is one character, as ',', got {delimiter!r}.")
    reader = _reader(text, delimiter, strict=True)
    line = 1
    try:
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1
    except csv.Error as error:
        raise errors.DataError(
            f"{path}, line {line}: {error}; a quoted field that starts there is not closed, or is "
            'followed by more text.\n  A quote inside a quoted field is written twice: "".'
        ) from error


def _again(first, rest: Iterator) -> Iterator:
    yield first
    yield from rest


def _numbered(fields: list[str]) -> list[str]:
    return [f"column {i + 1}" for i in range(len(fields))]


def _names(fields: list[str], line: int, path: Path) -> list[str]:
    """The names in the first line, checked."""
    names = [text.strip() or f"column {i + 1}" for i, text in enumerate(fields)]
    found = [values.number(name) for name in names]
    counting = len(set(names)) == len(names) and all(f is not None and f % 1 == 0 for f in found)
    if all(f is not None for f in found) and not counting:
        raise errors.DataError(
            f"{path}, line {line}: numbers ({listed(names, 3)}) where the names of the columns "
            "belong.\n  If the file has no line of names, read it with header=False."
        )
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        at = [i + 1 for i, name in enumerate(names) if name == twice]
        raise errors.DataError(
            f"{path}, line {line}: columns {at[0]} and {at[1]} are both called {shown(twice)}.\n"
            "  Names must differ; if the file has no line of names, read it with header=False."
        )
    return names


def _refuse_values(names: list[str], fields: list[list[str]], line: int, path: Path) -> None:
    """Refuses a first line of numbers beside texts that stand in their own columns again."""
    texts = [i for i, name in enumerate(names) if values.number(name) is None]
    again = next((names[i] for i in texts if names[i] in fields[i]), None)
    if again is not None and len(texts) < len(names):
        raise errors.DataError(
            f"{path}, line {line}: values ({listed(names, 3)}) where the names of the columns "
            f"belong: {shown(again)} stands in its own column again.\n"
            "  If the file has no line of names, read it with header=False."
        )


def _gathered(body, width: int, path: Path, first) -> tuple[list[list[str]], np.ndarray]:
    """The fields of each column, and the line of each row."""
    fields: list[list[str]] = [[] for _ in range(width)]
    known: list[dict] = [{} for _ in range(width)]  # equal fields share one object
    lines: list[int] = []
    while chunk := list(islice(body, CHUNK)):
        for line, record in chunk:
            if len(record) != width:
                raise _ragged(line, record, width, path, first)
        lines += [line for line, _ in chunk]
        for column, seen, texts in zip(
            fields, known, zip(*(record for _, record in chunk), strict=True), strict=True
        ):
            column.extend(map(seen.setdefault, texts, texts))
            if len(seen) > KNOWN:
                seen.clear()
    if not lines:
        raise errors.DataError(f"{path} has a line of names and no rows.")
    return fields, np.array(lines, np.int64)


def _ragged(line: int, record: list[str], width: int, path: Path, first) -> errors.DataError:
    last = shown(record[-1])
    return errors.DataError(
        f"{path}, line {line}: {len(record)} fields, where line {first[0]} has {width}; the last "
        f"is {last}.\n  A delimiter inside a value needs quotes around the value; a missing value "
        "keeps its delimiter."
    )


def _columns(names, fields, lines, path: Path, reading: Reading) -> dict:
    unknown = [n for n in [*reading.types, *reading.dates] if n not in names]
    if unknown:
        raise errors.DataError(
            f"{path} has no column {unknown[0]!r}, which types or dates name.\n"
            f"  It has: {listed(names)}"
        )
    made = {}
    for i, name in enumerate(names):
        place = partial(_place, path, lines, name)
        made[name] = of_texts(name, fields[i], reading, place)
        fields[i] = []  # the text is not needed any more
    return made


def _place(path: Path, lines: np.ndarray, name: str, row: int) -> str:
    return f"{path}, line {lines[row]}, column {name!r}"


def _without_blanks(table: Table, nameless: list[int]) -> Table:
    """The table without columns that have neither a name nor a value, or only number the rows."""
    names, dropped, notes = list(table.columns), [], []
    for i in nameless:
        column = table.columns[names[i]]
        if column.missing.all():
            dropped.append(names[i])
            notes.append(f"column {i + 1} has no name and no values; it is left out")
        elif i == 0 and column.kind == "number" and np.all(np.diff(column.values) == 1):
            dropped.append(names[i])
            notes.append("the first column has no name and numbers the rows; it is left out")
        else:
            notes.append(f"column {i + 1} has no name; it is called {names[i]!r}")
    left = table.without(dropped)
    return Table(left.columns, table.source, table.lines, tuple(notes), table.unit)
