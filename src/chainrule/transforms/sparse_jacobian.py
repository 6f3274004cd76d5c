"""Sparse Jacobians: the pattern is found and coloured once, then each call runs one pass a colour.

    constants   what the pattern is read from: a part of the function's half
    colouring   by the pattern of the linear half (sparsity.py, colouring.py), kept for the
                constants (index arrays, masks, zeros of matrices) that the pattern was read from
    whole       the function, then all tangents and all cotangents in one batched program, and the
                entries picked out
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from chainrule import errors
from chainrule.ops.index import index
from chainrule.ops.join import concatenate
from chainrule.ops.select import cast
from chainrule.ops.shape import reshape
from chainrule.program.evaluate import evaluate
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Program, Var
from chainrule.program.trace import Builder, inline, operand
from chainrule.program.types import array_type
from chainrule.transforms.batch import batch, with_batch_axis
from chainrule.transforms.colouring import Colouring, colour
from chainrule.transforms.forward import traced_of
from chainrule.transforms.jacobian import linearised, price
from chainrule.transforms.reverse import transpose_program
from chainrule.transforms.sparsity import Reader, every_entry

_KEPT = 8  # colourings of one program, for as many contents of its constants


@dataclass(frozen=True, eq=False)
class Block:
    """One output by one input: the pattern as CSR arrays, and where its entries are read."""

    shape: tuple[int, int]
    indices: np.ndarray
    indptr: np.ndarray
    place: np.ndarray
    dtype: np.dtype


class Passes(NamedTuple):
    """The pass of each column and row (-1: none), and how many of each kind there are."""

    tangent: np.ndarray
    cotangent: np.ndarray
    forward: int
    reverse: int


class Kept(NamedTuple):
    """What is kept of a colouring: the constants that were `asked`, the program that runs, and
    where it is read."""

    asked: list[int]
    plan: Any
    passes: Passes
    blocks: list[Block]


@dataclass(frozen=True, eq=False)
class Coloured:
    """A colouring, ready to run: `plan` on [operands, `given`] gives the function's outputs, then
    the entries of each block.

    It holds for the constants whose `key` is the same; `asked` are the numbers of those residuals.
    """

    asked: list[int]
    key: list[bytes]
    plan: Any
    given: list[np.ndarray]
    blocks: list[Block]
    forward: int
    reverse: int


class SparseJacobian:
    """The Jacobian of a program's first `count` outputs, to be coloured for given constants.

    `planned` makes a program on [operands, seeds, places] ready to run; `disk` is where colourings
    are looked for and put (kept_colourings.py).
    **Errors** `NotSupported` for complex inputs or outputs.
    """

    def __init__(
        self, program: Program, active, count: int, mode: str, symmetric: bool,
        planned: Callable[[Program], Any], disk: Any,
    ):  # fmt: skip
        known, self.linear, self.moves, self.residuals = linearised(program, active, count)
        self.moves = self.moves[:count]
        self.known, self.planned, self.disk = known, planned, disk
        self.outputs = len(program.outputs)
        self.in_types = [v.type for v in self.linear.inputs[self.residuals :]]
        self.out_types = list(self.linear.out_types)
        if any(t.dtype.kind == "c" for t in (*self.in_types, *self.out_types)):
            raise errors.NotSupported(
                f"a sparse Jacobian of {program.name} by, or of, complex numbers: differentiate "
                "real and imaginary parts, or leave out sparse=True."
            )
        self.mode, self.symmetric = mode, symmetric
        self.moving = _moving(known, self.outputs, active)  # by residual
        self.readable = [
            not moves or v.type.dtype.kind in "iu"
            for v, moves in zip(self.linear.inputs, self.moving, strict=False)
        ]
        self.constants = self._constants()
        self._kept: list[Coloured] = []
        self._lock = threading.Lock()

    def coloured(self, values: Sequence) -> Coloured:
        """The colouring for these values of `constants` (None where one is not at hand)."""
        source = iter(values)
        values = [next(source) if r else None for r in self.readable]
        for found in self._kept:
            if all(values[i] is not None for i in found.asked):
                if _key(values, found.asked) == found.key:
                    return found
        made = self._ready(self._kept_or_made(values), values)
        with self._lock:
            self._kept = [*self._kept[-_KEPT + 1 :], made]
        return made

    def _constants(self) -> Program:
        """The program of the residuals that the pattern may be read from: whole numbers, and what
        no active input moves."""
        wanted = [
            o for o, r in zip(self.known.outputs[self.outputs :], self.readable, strict=True) if r
        ]
        return remove_dead(
            Program(self.known.inputs, self.known.equations, wanted, name=self.known.name)
        )

    def _kept_or_made(self, values) -> Kept:
        key = self.disk.key_of(values)
        found = None if key is None else self.disk.found(key)
        if found is None:
            found = self._colour(values)
            if key is not None:
                self.disk.keep(key, found)
        return found

    def _ready(self, kept: Kept, values) -> Coloured:
        tangent, cotangent, forward, reverse = kept.passes
        given = [
            *_seeds(self.in_types, tangent, forward), *_seeds(self.out_types, cotangent, reverse),
            *(b.place for b in kept.blocks),
        ]  # fmt: skip
        key = _key(values, kept.asked)
        return Coloured(kept.asked, key, kept.plan, given, kept.blocks, forward, reverse)

    def _colour(self, values) -> Kept:
        width = sum(t.size for t in self.in_types)
        given, start = [None] * self.residuals, 0
        for t in self.in_types:
            given.append(every_entry(t.size, start, width))
            start += t.size
        reader = Reader(width)
        found = reader.run(self.linear, given, [*values, *[None] * len(self.in_types)])
        self._refuse_unknown(reader.unknown)
        rows = [
            reader.none(t.size) if p is None else p
            for p, t in zip(found, self.out_types, strict=True)
        ]
        matrix = _stacked(rows, width)
        pull = transpose_program(self.linear, self.residuals)
        symmetric = self.symmetric and _is_symmetric(matrix)
        colouring = colour(matrix, price(self.linear), price(pull), symmetric, self.mode)
        number = {v: i for i, v in enumerate(self.linear.inputs)}
        asked = sorted(number[v] for v in reader.asked if v in number)  # type: ignore[index]
        blocks = self._blocks(colouring)
        plan = self.planned(self._whole(self._values_program(colouring, pull, blocks)))
        passes = colouring.tangent, colouring.cotangent, colouring.forward, colouring.reverse
        return Kept(asked, plan, Passes(*passes), blocks)

    def _refuse_unknown(self, equations) -> None:
        """Raise where an index that could have been known is not; one that follows from the active
        inputs cannot be, and the pattern holds whatever it is."""
        fixed = zip(self.linear.inputs, self.moving, strict=False)
        settled = {v for v, moves in fixed if not moves}
        for e in equations:
            if any(x in settled for x in e.inputs if x.type.dtype.kind in "iu"):
                raise errors.ConcreteValueNeeded(
                    f"the sparsity of the Jacobian of {self.linear.name} depends on indices that "
                    f"are not known while it is traced, at {e.where}.\n"
                    "  Let the function close over the index arrays instead of taking them as "
                    "arguments (functools.partial, or a lambda), or do not compile it."
                )

    def _whole(self, values: Program) -> Program:
        """[operands, seeds, places] to the function's outputs and the entries of each block."""
        with Builder(self.known.name, reuse=True) as builder:
            builder.lines_from_user = False
            inputs = [builder.input(v.type, v.name) for v in self.known.inputs]
            given = [builder.input(v.type) for v in values.inputs[self.residuals :]]
            found = inline(self.known, inputs)
            entries = inline(values, [*found[self.outputs :], *given])
            results = [*found[: self.outputs], *entries]
            made = builder.finish([operand(builder, traced_of(builder, v)) for v in results])
        return remove_dead(made)

    def _blocks(self, colouring: Colouring) -> list[Block]:
        """The pattern cut into outputs by inputs (outputs major)."""
        tops = np.cumsum([0, *(t.size for t in self.out_types)])
        lefts = np.cumsum([0, *(t.size for t in self.in_types)])
        rows, columns = colouring.rows, colouring.columns
        found = []
        for top, out in zip(tops, self.out_types, strict=False):
            for left, t in zip(lefts, self.in_types, strict=False):
                inside = (rows >= top) & (rows < top + out.size)
                inside &= (columns >= left) & (columns < left + t.size)
                counts = np.bincount(rows[inside] - top, minlength=out.size)
                pointer = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
                indices = (columns[inside] - left).astype(np.int32)
                place = colouring.place[inside].astype(np.int64)
                found.append(Block((out.size, t.size), indices, pointer, place, t.dtype))
        return found

    def _values_program(self, colouring: Colouring, pull: Program, blocks) -> Program:
        """[residuals, tangents, cotangents, places] to the entries of each block."""
        fixed = self.linear.inputs[: self.residuals]
        with Builder(self.linear.name, reuse=True) as builder:
            builder.lines_from_user = False
            given = [builder.input(v.type, v.name) for v in fixed]
            results = []
            for program, types, count in (
                (self.linear, self.in_types, colouring.forward),
                (pull, self.out_types, colouring.reverse),
            ):
                seeds = [builder.input(with_batch_axis(t, count)) for t in types] if count else []
                results += _passes(program, given, seeds, count)
            places = [builder.input(array_type(b.place.shape, b.place.dtype)) for b in blocks]
            picked = _picked(results, places, blocks)
            return builder.finish([operand(builder, traced_of(builder, v)) for v in picked])


def _moving(known: Program, start: int, active) -> list[bool]:
    """Which residuals follow from active inputs."""
    moving = {v for v, a in zip(known.inputs, active, strict=True) if a}
    for e in known.equations:
        if any(x in moving for x in e.inputs if not x.is_literal):
            moving.update(e.outputs)
    return [not o.is_literal and o in moving for o in known.outputs[start:]]


def _key(values, asked) -> list[bytes]:
    """What a pattern depends on in these values."""
    return [content_of(np.asarray(values[i])) for i in asked]


def content_of(value: np.ndarray) -> bytes:
    """What a pattern may be read from in a value: indices, and where others are zero."""
    return value.tobytes() if value.dtype.kind in "iu" else np.packbits(value != 0).tobytes()


def _stacked(rows, width: int):
    from scipy.sparse import csr_array, vstack

    made = vstack(rows, format="csr", dtype=bool) if rows else csr_array((0, width), dtype=bool)
    made.sort_indices()
    return made


def _is_symmetric(matrix) -> bool:
    return matrix.shape[0] == matrix.shape[1] and (matrix != matrix.T).nnz == 0


def _seeds(types, colours, count: int) -> list[np.ndarray]:
    """For each type an array (count, *shape): 1 where a pass moves an entry."""
    if not count:
        return []
    whole = colours == np.arange(count)[:, None]
    ends = np.cumsum([t.size for t in types])[:-1]
    parts = np.split(whole, ends, axis=1)
    return [p.astype(t.dtype).reshape(count, *t.shape) for p, t in zip(parts, types, strict=True)]


def _passes(program: Program, fixed, seeds, count: int) -> list:
    """All passes of one kind at once, each result flattened to (count, size)."""
    if not count:
        return []
    mask = (False,) * len(fixed) + (True,) * len(seeds)
    wide, _ = batch(program, count, mask, (True,) * len(program.outputs))
    made = inline(wide, [*fixed, *seeds])
    dtype = np.result_type(*(v.dtype for v in made))
    rows = [reshape(v, shape=(count, v.type.size // count)) for v in made]
    rows = [v if v.dtype == dtype else cast(v, dtype=dtype) for v in rows]
    joint = rows[0] if len(rows) == 1 else concatenate(*rows, axis=1)
    return [reshape(joint, shape=(joint.type.size,))]


def _picked(results, places, blocks) -> list:
    dtype = np.result_type(*(v.dtype for v in results)) if results else None
    results = [v if v.dtype == dtype else cast(v, dtype=dtype) for v in results]
    flat = None if not results else concatenate(*results, axis=0) if results[1:] else results[0]
    picked = []
    for place, block in zip(places, blocks, strict=True):
        if flat is None or not flat.type.size:
            picked.append(cast(place, dtype=block.dtype))  # without entries
            continue
        value = index(flat, place, at=())
        picked.append(value if value.dtype == block.dtype else cast(value, dtype=block.dtype))
    return picked


def known_outputs(program: Program, operands: Sequence, at_hand) -> list:
    """The values of the outputs that depend on operands at hand alone; None for the others.

    `at_hand(operand)` gives an operand's value, or None.
    """
    known: set[Var] = set()
    values = {}
    for v, x in zip(program.inputs, operands, strict=True):
        value = at_hand(x)
        if value is not None:
            known.add(v)
            values[v] = value
    for e in program.equations:
        if all(x.is_literal or x in known for x in e.inputs):
            known.update(e.outputs)
    outputs = program.outputs
    wanted = [o for o in outputs if o.is_literal or o in known]
    part = remove_dead(Program(program.inputs, program.equations, wanted))
    given = [v for v in program.inputs if v in values]
    part = Program(given, part.equations, part.outputs)
    found = iter(evaluate(part, [values[v] for v in given]))
    return [next(found) if o.is_literal or o in known else None for o in outputs]


