"""Mutated CSV files: 20,000 of them are read or refused by DataError, run no code, and none hangs.

    python -m benchmarks.training.mutated_tables [COUNT]

writes benchmarks/results/mutated_tables.md.

Half of the mutations change bytes as they lie (flips, cuts, repeats, foreign bytes). The other half
is made with intent: fields, names and rows are changed as data (values of other kinds, numbers and
dates at the edge of what there is, quotes, delimiters, formulas), and written as CSV again or
joined without quotes. What can be read is then prepared, as for a training: inputs must be finite,
and the preparation must come back from its JSON. Other columns are read with the kinds of the
original, as a file to predict from is.
"""

from __future__ import annotations

import csv
import io
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.training.byte_edits import EDITS, edit
from benchmarks.training.watch import watched
from chainrule import errors
from chainrule.data import Preparation, read

LIMIT = 5.0  # seconds that one file may take; the slowest is reported
RESULT = Path("benchmarks/results/mutated_tables.md")

ORIGINAL = '''id,day,size,colour,owned,note,price
"a1",2024-01-31,1.5,red,true,"said ""yes""",10
"a2",2024-02-29,-2e3,blue,false,"x, y",20.5
"a3",2023-12-31T23:59:59,.5,red,TRUE,ü,0
"a4",2024-03-01,NA,,,,7
"a5",2024-03-02,4,green,false,plain,12
"a6",2024-03-03,5,red,true,"two
lines",11
"a7",2024-03-04,6,blue,true,plain,9
"a8",2024-03-05,7,red,false,plain,8
'''

STRANGE = [
    "", " ", "NA", "nan", "-nan", "inf", "-Infinity", "1e308", "-1e308", "1e999", "5e-324", "0x1F",
    "1_000", "1,5", "1;5", "1\t5", "1|5", "--1", "+", ".", "e5", "1" * 5000, "9" * 400 + ".5",
    "٣", "½", "0000-01-01", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2023-02-30",
    "2024-13-01", "1969-12-31T00:00:00.000001", "true", "FALSE", "maybe", '"', '""', '"x', 'x"y',
    "\n", "\r", "\r\n", "\x00", "\x1a", "\ufeff", "\u2028", "\ud83d\ude00", "x" * 200_000,
    "=cmd|' /C calc'!A0", "@SUM(1)", "__import__('os').system('true')", "{{7*7}}", "${x}", "%s%n",
    "../../etc/passwd", "<script>", "'; DROP TABLE t; --", "\\", "\\N", "#", "a" * 70,
]  # fmt: skip


def mutated_bytes(original: bytes, rng: random.Random) -> bytes:
    """The file with its bytes changed in one to three places."""
    content = bytearray(original)
    for _ in range(rng.choice([1, 1, 2, 3])):
        at, length = rng.randrange(len(content) + 1), rng.randrange(1, 40)
        kind = rng.choice([*EDITS, "mark"])
        if kind in EDITS and (content or kind != "flip"):
            times = rng.choice([1, 2, 1000]) if kind == "repeat" else 1
            edit(content, kind, at, length, rng, times)
        else:
            content[at:at] = rng.choice([b'"', b",", b"\n", b"\r", b";", b"\xef\xbb\xbf", b"\xff"])
    return bytes(content)


def mutated_with_intent(original: bytes, rng: random.Random) -> bytes:
    """Fields, names and rows changed as data, and written again."""
    rows = [*csv.reader(io.StringIO(original.decode(), newline=""))]
    for _ in range(rng.choice([1, 1, 2, 4])):
        row = rng.randrange(len(rows))
        at = rng.randrange(max(1, len(rows[row])))
        kind = rng.choice(
            ["field", "field", "column", "remove", "insert", "double", "drop", "swap"]
        )
        if kind == "field" and rows[row]:
            rows[row][at] = rng.choice(STRANGE)
        elif kind == "column":
            value = rng.choice(STRANGE)
            for other in rows[1:]:
                other[at : at + 1] = [rng.choice([value, rng.choice(STRANGE)])]
        elif kind == "remove":
            del rows[row][at : at + 1]
        elif kind == "insert":
            rows[row].insert(at, rng.choice(STRANGE))
        elif kind == "double":
            rows[row:row] = [list(rows[row])] * rng.choice([1, 50])
        elif kind == "drop" and len(rows) > 1:
            del rows[row]
        else:
            rng.shuffle(rows)
    delimiter = rng.choice([",", ",", ";", "\t", "|"])
    if rng.random() < 0.3:
        return "\n".join(delimiter.join(row) for row in rows).encode(errors="surrogatepass")
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode(errors="surrogatepass")


def outcome(path: Path, trained: Preparation) -> str:
    """What became of a file: refused, read, or read and prepared; else an AssertionError.

    `trained` is the preparation of the original, which the file may fit or not.
    """
    try:
        table = read(path)
    except errors.DataError as error:
        return _refused(error, path)
    assert len(table) > 0 and all(len(c) == len(table) for c in table.columns.values())
    _predicted(path, trained)
    try:
        preparation = Preparation.fitted(table, target=list(table.columns)[-1])
        inputs, targets = preparation.inputs(table), preparation.targets(table)
    except errors.DataError as error:
        _refused(error, path)
        return "read"
    assert inputs.dtype == np.float32 and np.isfinite(inputs).all() and np.isfinite(targets).all()
    again = Preparation.from_json(json.loads(json.dumps(preparation.to_json(), allow_nan=False)))
    assert again == preparation
    return "prepared"


def _predicted(path: Path, trained: Preparation) -> None:
    try:
        inputs = trained.inputs(read(path, types=trained.types))
    except errors.DataError as error:
        _refused(error, path)
    else:
        assert np.isfinite(inputs).all()


def _refused(error: errors.DataError, path: Path) -> str:
    assert str(path) in str(error) and len(str(error)) < 20_000, error
    return "refused"


def run(count: int, seed: int = 0) -> Counter:
    """How many of `count` mutations were refused, read, and prepared.

    **Errors** `AssertionError`, with the mutation's number, for any other outcome: another class of
    error, code that was run, more than `LIMIT` seconds.
    """
    original, counts = ORIGINAL.encode(), Counter()
    with tempfile.TemporaryDirectory() as holder:
        path = Path(holder) / "table.csv"
        path.write_bytes(original)
        trained = Preparation.fitted(read(path), target="price")
        assert outcome(path, trained) == "prepared"  # and all that is loaded at first use is loaded
        for number in range(count):
            rng = random.Random(f"{seed} {number}")
            mutate = mutated_bytes if number % 2 else mutated_with_intent
            path.write_bytes(mutate(original, rng))
            began = time.perf_counter()
            try:
                with watched() as seen:
                    result = outcome(path, trained)
                assert not seen, f"events: {dict(seen)}"
            except BaseException as error:
                error.add_note(f"mutation {number} of seed {seed}")
                raise
            seconds = time.perf_counter() - began
            assert seconds < LIMIT, f"mutation {number} of seed {seed} took {seconds:.1f} s"
            counts[result] += 1
            slowest[0] = max(slowest[0], seconds)
    return counts


slowest = [0.0]


def main(count: int = 20_000) -> None:
    """Run the proof and write its result."""
    began = time.perf_counter()
    counts = run(count)
    seconds = time.perf_counter() - began
    text = f"""# Mutated CSV files

`python -m benchmarks.training.mutated_tables {count}`: {count:,} mutations of a small table with
dates, numbers, categories, booleans, missing values and quotes.

| outcome | files |
|---|---|
| refused with `DataError`, naming the file | {counts["refused"]:,} |
| read, and refused as data to train on with `DataError` | {counts["read"]:,} |
| read and prepared: finite inputs, JSON exact both ways | {counts["prepared"]:,} |
| another error, a crash, or a hang | 0 |
| audit events of code, writing, processes or sockets | 0 |

The slowest file took {slowest[0] * 1e3:.0f} ms, all of them {seconds:.0f} s.
"""
    RESULT.write_text(text)
    print(text)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
