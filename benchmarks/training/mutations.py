"""Mutated model files: 20,000 of them give clear errors, run no code, and none hangs.

    python -m benchmarks.training.mutations FIRST COUNT   tries the mutations of these numbers, adds
                                                          them to benchmarks/results/mutations.json,
                                                          and writes mutations.md from it

Half of the mutations change bytes as they lie (flips, cuts, repeats, foreign bytes), and must be
refused whatever they hit. The other half is made with intent: the JSON and the safetensors header
are changed as data (values of other types, huge numbers, other names, keys removed or doubled),
and every checksum is then made to fit, so that what stands behind the checksums is reached. A file
that is loaded after that must give a model of the right structure, whose arrays are in the file.
"""

from __future__ import annotations

import contextlib
import json
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.training.byte_edits import EDITS, edit
from benchmarks.training.watch import watched
from benchmarks.training.zoo import ZOO
from chainrule import errors
from chainrule.train import files, json_text, load_model, save_model, tensors

ARRAYS, DESCRIPTION = "model.safetensors", "model.json"
LIMIT = 5.0  # seconds that one file may take; the slowest is reported
MEMORY = 512 << 20  # bytes that all of them together may add to the process

RESULTS = Path("benchmarks/results")
ABOUT = {
    "task": "classification", "labels": ["a", "b", "ü"],
    "preparation": {"columns": [{"name": "x", "mean": 0.1, "scale": 2.0}], "version": 1},
}  # fmt: skip

Files = dict[str, bytes]

STRANGE: list[Any] = [
    None, True, -1, 0, 1, 2**31, 10**15, 2**63, 10**400, 1.5, 1e308, float("nan"), "", "f8", "O",
    "V8", "os.system", "__import__('os').system('true')", "!!python/object:os.system", "../../x",
    "\x00", "x" * 10_000, [], {}, [[]], [1] * 1000, {"kind": "MLP", "config": {}},
    {"kind": "function", "config": {"name": "relu"}},
]  # fmt: skip


def mutated_bytes(original: Files, rng: random.Random) -> Files:
    """One of the files with its bytes changed; never equal to the original."""
    name = rng.choice([ARRAYS, DESCRIPTION])
    content = bytearray(original[name])
    at, length = rng.randrange(len(content)), rng.randrange(1, 40)
    kind = rng.choice([*EDITS, "swap"])
    if kind in EDITS:
        edit(content, kind, at, length, rng)
    else:
        content = bytearray(original[DESCRIPTION if name == ARRAYS else ARRAYS])
    changed = {**original, name: bytes(content)}
    return changed if changed != original else mutated_bytes(original, rng)


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The paths of all values inside of a JSON value."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inside in items:
            found += places(inside, (*path, key))
    return found


def changed(value: Any, rng: random.Random) -> Any:
    """A JSON value with one place in it changed: another value, removed, renamed, or doubled."""
    value = json.loads(json.dumps(value))
    path = rng.choice(places(value))
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    key = path[-1]
    kind = rng.choice(["strange", "strange", "number", "other", "remove", "rename", "double"])
    if kind == "number" and type(parent[key]) is int:
        number = parent[key]
        parent[key] = rng.choice([number + 1, number * 2, -number, number * 997, 65_000, 2**30])
    elif kind == "other":
        other = value
        for step in rng.choice(places(value)):
            other = other[step]
        parent[key] = json.loads(json.dumps(other))
    elif kind == "remove":
        del parent[key]
    elif kind == "rename" and isinstance(parent, dict):
        name = rng.choice(["inputs", "rng", "init", "__class__", "kind", "x" * 50])
        parent[name] = parent.pop(key)
    elif kind == "double" and isinstance(parent, list):
        parent.append(parent[key])
    else:
        parent[key] = rng.choice(STRANGE)
    return value


def mutated_with_intent(original: Files, rng: random.Random) -> Files:
    """The description or the arrays' header changed as data, and all checksums made to fit."""
    description = json.loads(original[DESCRIPTION])
    del description["checksum"]
    content = original[ARRAYS]
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if rng.random() < 0.4:
            content = _with_header(content, rng)
        else:
            description = changed(description, rng)
    if isinstance(description.get("sha256"), dict) and rng.random() < 0.95:
        description["sha256"][ARRAYS] = files.sha256(content)
    if rng.random() < 0.7:
        with contextlib.suppress(errors.FileDamaged):
            found = tensors.header(content, "")
            description["arrays"] = {k: [list(s), d.name] for k, (s, d) in found.items()}
    return {ARRAYS: content, DESCRIPTION: json_text.sealed(description)}


def _with_header(content: bytes, rng: random.Random) -> bytes:
    length = int.from_bytes(content[:8], "little")
    text = content[8 : 8 + length]
    try:
        header = json.loads(text)
        text = json.dumps(changed(header, rng) if header else header).encode()
    except ValueError:
        pass
    claimed = len(text) if rng.random() < 0.9 else rng.choice([0, 2**32, 2**63, len(content) * 2])
    rest = content[8 + length :]
    if rng.random() < 0.1:
        rest = rest[: rng.randrange(len(rest) + 1)]
    return claimed.to_bytes(8, "little") + text + rest


def outcome(place: Path) -> str:
    """"refused" with a clear error or "loaded" with what the files say; else an AssertionError."""
    try:
        model, _ = load_model(place)
    except errors.FileDamaged as error:
        assert str(place) in str(error) and len(str(error)) < 20_000, error
        return "refused"
    stored = tensors.from_bytes((place / ARRAYS).read_bytes(), "")
    found = {**dict(model.named_parameters()), **dict(model.named_state())}
    assert found.keys() == stored.keys()
    assert all(tensors.same_bits(found[name], stored[name]) for name in stored)
    return "loaded"


def mutated(number: int, original: Files) -> tuple[Files, bool]:
    """Mutation number `number` of the files, and whether it was made with intent."""
    rng = random.Random(number)
    intent = number % 2 == 0
    return (mutated_with_intent if intent else mutated_bytes)(original, rng), intent


def tried(number: int, original: Files, place: Path) -> tuple[str, float]:
    """The outcome of one mutation, and the seconds that it took.

    **Errors** `AssertionError`, or what was raised, with the mutation's number, for any other
    outcome: another class of error, code that was run, more than `LIMIT` seconds.
    """
    made, intent = mutated(number, original)
    for name, content in made.items():
        (place / name).write_bytes(content)
    began = time.perf_counter()
    try:
        with watched() as seen:
            result = outcome(place)
        seconds = time.perf_counter() - began
        assert not seen, f"events: {dict(seen)}"
        assert intent or result == "refused", "a changed byte passed"
        assert seconds < LIMIT, f"{seconds:.1f} seconds"
    except BaseException as error:
        error.add_note(f"mutation {number}")
        raise
    return result, seconds


def originals(place: Path) -> list[Files]:
    """The files of the zoo's models, as users would save them."""
    found = []
    for name, make in ZOO.items():
        save_model(make(), place / name, ABOUT)
        load_model(place / name)  # whatever loading imports at its first use
        found.append({file: (place / name / file).read_bytes() for file in (ARRAYS, DESCRIPTION)})
    return found


def proof(first: int, count: int) -> dict[str, Any]:
    """Outcomes of the mutations of these numbers, over the models of the zoo in turn."""
    outcomes: Counter = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as holder:
        files_of = originals(Path(holder))
        place = Path(holder) / "mutated"
        place.mkdir()
        before = _peak()
        for number in range(first, first + count):
            result, seconds = tried(number, files_of[number // 2 % len(files_of)], place)
            outcomes[result] += 1
            slowest = max(slowest, seconds)
        grown = _peak() - before
    assert grown < MEMORY, f"memory grew by {grown:,} bytes"
    return {"count": count, "outcomes": dict(outcomes), "slowest": slowest, "grown": grown}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(first: int, count: int) -> None:
    """Add a part of the proof to its result."""
    path = RESULTS / "mutations.json"
    parts = json.loads(path.read_text()) if path.exists() else {}
    parts[f"{first:06d}"] = proof(first, count)
    files.write(path, json_text.json_bytes(parts))
    files.write(RESULTS / "mutations.md", report(list(parts.values())))
    print(report(list(parts.values())))


def report(parts: list[dict[str, Any]]) -> str:
    """The result as a page."""
    count = sum(part["count"] for part in parts)
    refused, loaded = (sum(part["outcomes"].get(name, 0) for part in parts)
                       for name in ("refused", "loaded"))  # fmt: skip
    slowest, grown = (max(part[name] for part in parts) for name in ("slowest", "grown"))
    return f"""# Mutated model files

`python -m benchmarks.training.mutations FIRST COUNT`: {count:,} mutations of the two files of
{len(ZOO)} small models that hold every kind of layer, every second one with all checksums made to
fit.

| outcome | files |
|---|---|
| refused with `FileDamaged`, naming the file | {refused:,} |
| loaded, with exactly the arrays that the file holds | {loaded:,} |
| another error, a crash, or a hang | 0 |
| audit events of code, writing, processes or sockets | 0 |

The slowest file took {slowest:.2f} s (other programs were running); the process's peak memory grew
by {grown >> 20} MiB at most. What is loaded was changed where it does no
harm: another label, another rate of dropout, a key of `about` renamed.
"""


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
