"""Points at which a program is judged, drawn as Herbie draws them, with the truth at each.

Each argument is uniform over the float64 bit patterns between the bounds that the precondition
gives it; points where the precondition fails, or where the value or a partial derivative is not a
float64 number, are drawn again. Truths are kept in a folder of their own.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import struct
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fpbench.python_code import Unsupported, folded_number
from benchmarks.fpbench.read import Core
from benchmarks.fpbench.truth import holds, true_values

SEED = 20240607
TRIES = 24  # draws for each point that is wanted
FEW = 8  # points; programs with fewer are left out
_LARGEST = float.fromhex("0x1.fffffffffffffp+1023")


@dataclass(frozen=True)
class Points:
    """Points of one program, a row each; the value and the partials at each, correctly rounded."""

    arguments: list[list[float]]
    truths: list[list[float]]


def ordinal(x: float) -> int:
    """The place of a float64 in the order of all of them; 0 for both zeros."""
    bits = struct.unpack("<q", struct.pack("<d", x))[0]
    return bits if bits >= 0 else -(bits & 0x7FFFFFFFFFFFFFFF)


def _at(place: int) -> float:
    return math.copysign(struct.unpack("<d", struct.pack("<q", abs(place)))[0], place)


def points_of(core: Core, count: int, cache: Path) -> Points | None:
    """The points of a program, drawn or read from the cache; None where too few are found."""
    told = json.dumps([core.arguments, core.pre, core.body, count, SEED, TRIES])
    path = cache / f"{hashlib.sha256(told.encode()).hexdigest()[:24]}.json"
    if path.exists():
        found = json.loads(path.read_text())
    else:
        found = _drawn(core, count)
        cache.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    return Points(*found) if len(found[0]) >= FEW else None


def _drawn(core: Core, count: int) -> tuple[list, list]:
    generator = random.Random(SEED)
    bounds = _bounds(core)
    arguments: list[list[float]] = []
    truths: list[list[float]] = []
    for tried in range(count * TRIES):
        if len(arguments) == count or (tried > 2 * count and len(arguments) < FEW // 4):
            break
        point = [_at(generator.randint(ordinal(a), ordinal(b))) for a, b in bounds]
        if not holds(core, point):
            continue
        truth = true_values(core, point)
        if truth is not None and all(map(math.isfinite, truth)):
            arguments.append(point)
            truths.append(truth)
    return arguments, truths


def _bounds(core: Core) -> list[tuple[float, float]]:
    """The interval that the precondition's conjuncts give each argument."""
    found = {name: [-_LARGEST, _LARGEST] for name in core.arguments}
    for chain in _chains(core.pre):
        for place, item in enumerate(chain):
            if not isinstance(item, str) or item not in found:
                continue
            below = [v for v in map(_number, chain[:place]) if v is not None]
            above = [v for v in map(_number, chain[place + 1 :]) if v is not None]
            found[item][0] = max([found[item][0], *below])
            found[item][1] = min([found[item][1], *above])
    return [(a, b) if a <= b else (-_LARGEST, _LARGEST) for a, b in found.values()]


def _number(form) -> float | None:
    try:
        return folded_number(form)
    except (Unsupported, KeyError, TypeError):
        return None


def _chains(form) -> list[list]:
    """The comparisons that must all hold, each from the smallest to the largest."""
    if not isinstance(form, list):
        return []
    if form[0] == "and":
        return [chain for part in form[1:] for chain in _chains(part)]
    if form[0] in ("<", "<="):
        return [form[1:]]
    return [form[:0:-1]] if form[0] in (">", ">=") else []
