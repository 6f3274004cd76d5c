"""Testing one rewrite by itself: what becomes of a program, and that every bit of it stays."""

import re

import numpy as np

from chainrule.program.parse import parse
from chainrule.program.program import Program
from chainrule.transforms.simplify import named, simplify
from tests.program import naive

_EDGES = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 3.7, -0.3, 1e-310, -1e300, 2.0**-1022]
_WHOLE = [0, 1, -1, 2, -3, 7, 100]


def edges(type_, seed: int) -> np.ndarray:
    """An array of a type with values from the edges of its dtype, drawn at random."""
    rng, dtype = np.random.default_rng(seed), type_.dtype
    if dtype.kind == "b":
        return rng.integers(0, 2, type_.shape).astype(bool)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        values = np.array([*_WHOLE[: 7 if dtype.kind == "i" else 2], info.min, info.max], dtype)
        return rng.choice(values, type_.shape)
    with np.errstate(all="ignore"):
        values = np.array([*_EDGES, np.finfo(dtype).max, -np.finfo(dtype).tiny], dtype.char.lower())
    found = rng.choice(values, type_.shape)
    if dtype.kind == "c":
        out = np.empty(type_.shape, dtype)
        out.real, out.imag = found, rng.choice(values, type_.shape)
        return out
    return np.asarray(found, dtype)


def whole(type_, seed: int) -> np.ndarray:
    """An array of a type with small whole numbers, whose sums are exact in any order."""
    return np.random.default_rng(seed).integers(-3, 4, type_.shape).astype(type_.dtype)


def bits(value) -> list:
    """What must not change: the numbers with the signs of zeros; every nan counts as the same."""
    value = np.asarray(value)
    if value.dtype.kind == "c":
        return [*bits(value.real), *bits(value.imag)]
    if value.dtype.kind != "f":
        return [(str(value.dtype), value.shape, value.tolist())]
    holds = np.isnan(value)
    clean = np.where(holds, 0, value)
    return [(str(value.dtype), value.shape, holds.tolist(), clean.tolist(),
             np.signbit(clean).tolist())]  # fmt: skip


def assert_same_bits(before: Program, after: Program, values) -> None:
    """The two programs give the same bits, each value laid out in C order."""
    assert before.in_types == after.in_types
    with np.errstate(all="ignore"):
        wanted, found = naive.run(before, values), naive.run(after, values)
    for a, b in zip(wanted, found, strict=True):
        assert bits(a) == bits(b), f"\n{before}\n{after}\n{values}"


def assert_keeps_bits(before: Program, after: Program, draw=edges, draws: int = 8) -> None:
    """The two programs give the same bits for several draws of the inputs."""
    after.validate()
    for seed in range(draws):
        values = [draw(t, 100 * seed + i) for i, t in enumerate(before.in_types)]
        assert_same_bits(before, after, values)


def lines(text: str) -> str:
    """A program's text without indentation, alignment and names of its head."""
    return "\n".join(" ".join(line.split("#")[0].split()) for line in text.strip().splitlines())


def rewritten(name: str, text: str, also=("dead code",), draw=edges) -> str:
    """The program as one rewrite leaves it (with dead code removed); its bits are checked."""
    before = parse(text)
    before.validate()
    after = simplify(before, named([name, *also]))
    assert_keeps_bits(before, after, draw)
    return lines(after.text())


def body(text: str) -> str:
    """The equations of a printed program, without types: "v1 = negative x; return v1"."""
    inner = lines(text).splitlines()[1:]
    return numbered("; ".join(line.split(" : ")[0] for line in inner))


def numbered(equations: str) -> str:
    """Equations divided by `;` with v1, v2, ... for the variables that they assign, in order."""
    names: dict[str, str] = {}
    out = []
    for equation in equations.split("; "):
        left, equals, right = equation.partition(" = ")
        if equals:
            names[left] = f"v{len(names) + 1}"
        out.append(re.sub(r"\b\w+\b(?!=)", lambda m: names.get(m[0], m[0]), equation))
    return "; ".join(out)


def becomes(name: str, text: str, wanted: str, draw=edges, also=("dead code",)) -> None:
    """One rewrite turns the program into these equations, bit for bit the same."""
    assert body(rewritten(name, text, also, draw)) == numbered(wanted)


def stays(name: str, text: str) -> None:
    """The rewrite does not apply to the program."""
    assert body(rewritten(name, text, ())) == body(parse(text).text())


def one(equations: str, inputs: str = "x: f64[40]", out: str = "f64[40]") -> str:
    """The text of a program: equations divided by `;`, the last one's variable is returned."""
    parts = [e.strip() for e in equations.split(";")]
    last = parts[-1].split("=")[0].strip()
    return "\n".join([f"program f({inputs}) -> {out}", *parts, f"return {last}"])
