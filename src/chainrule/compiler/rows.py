"""Which loop kernels are done together, a few rows at a time.

Kernels that follow each other go through the same rows when what one reads of another is the same
row: the mean of each row, its variance, the normalised row. Where what they share does not stay in
the cache from one to the next, they become one step (llvm/row_chunks.py). A row is a place of the
leading axes that all of them keep and in which every array lies evenly.

All arrays of such a step live until its end. A kernel writes over what it reads only where that
is memory in which every kernel keeps to its own row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from chainrule.compiler.kernel import Kernel
from chainrule.compiler.llvm.loops import LoopSpec
from chainrule.compiler.llvm.row_chunks import emit_row_chunks
from chainrule.compiler.steps import Group, Ref, Root, Step

_SHARED_BYTES = 1 << 20  # that several kernels go through; less stays in the second cache anyway
_CHUNK_BYTES = 1 << 16
_ROW_BYTES = 1 << 19  # of one row that may be too long to stay


@dataclass(eq=False)
class Rows(Step):
    """Loop kernels that are done together, so many rows at a time."""

    parts: list[Group] = field(default_factory=list)
    axes: int = 0  # leading ones that make the rows
    together: int = 0
    scratch: Root | None = None

    @property
    def count(self) -> int:
        """How many rows there are."""
        return math.prod(self.parts[0].domain[: self.axes])

    @property
    def arguments(self) -> list[Ref]:
        return [r for part in self.parts for r in part.arguments]

    def reads(self) -> list[Ref]:
        return [r for part in self.parts for r in part.reads()]

    def writes(self) -> list[Root]:
        return [r for part in self.parts for r in part.writes()]

    def results(self) -> list[Ref]:
        """The arrays it makes."""
        return [r for part in self.parts for r in part.results()]

    @cached_property
    def kernel(self) -> Kernel:
        """The kernel that does them, written when it is asked for first."""
        specs = [_by_rows(part.loop, self.axes) for part in self.parts if part.loop is not None]
        return emit_row_chunks(tuple(specs), self.together)

    def keeps_to_rows(self, root: Root) -> bool:
        """Whether every kernel reads and writes a row's own part of this memory in each row."""
        return all(
            touch.in_own_row(self.axes)
            for part in self.parts for touch in _touches(part) if touch.ref.root.final is root
        )  # fmt: skip


def rows_together(steps: list[Step]) -> list[Rows]:
    """The kernels that are worth doing together, in order; they follow each other in `steps`."""
    runs = [_Run()]
    for step in steps:
        if isinstance(step, Group) and step.is_empty:
            continue
        if isinstance(step, Group) and step.loop is not None:
            if runs[-1].takes(step, step.loop):
                continue
            runs.append(_Run())
            runs[-1].takes(step, step.loop)
        else:
            runs.append(_Run())
    found = [run.worth() for run in runs if len(run.parts) > 1]
    return [rows for rows in found if rows is not None]


class _Touch(NamedTuple):
    """One array of one kernel, with its strides over the kernel's domain."""

    part: Group
    ref: Ref
    strides: tuple[int, ...]
    written: bool

    def row_bytes(self, axes: int) -> int:
        return abs(self.strides[axes - 1]) * self.ref.type.dtype.itemsize

    def in_own_row(self, axes: int) -> bool:
        """Whether it lies so that row i of the loop is within part i of its memory: then it goes on
        in steps of a part (and from 0, or the last row would lie outside)."""
        row, rest = self.strides[axes - 1], self.strides[axes:]
        if not isinstance(self.ref.base, Root) or min(rest, default=0) < 0:
            return False
        rows = math.prod(self.part.domain[:axes])
        return row * rows * self.ref.type.dtype.itemsize == self.ref.root.nbytes


class _Run:
    """Kernels that follow each other and can be done together."""

    def __init__(self) -> None:
        self.parts: list[Group] = []
        self.axes = 0  # leading ones that make the rows
        self.touched: dict[Root, list[_Touch]] = {}

    def takes(self, part: Group, loop: LoopSpec) -> bool:
        """Add a kernel at the end, if its rows are those of the others."""
        axes = self._common(part, loop)
        touches = _touches(part)
        if not axes or math.prod(part.domain[:axes]) < 2:
            return False
        if self.parts and not self._stays_local(touches, axes):
            return False
        for touch in touches:
            self.touched.setdefault(touch.ref.root, []).append(touch)
        self.parts.append(part)
        self.axes = axes
        return True

    def _common(self, part: Group, loop: LoopSpec) -> int:
        """How many leading axes make rows of this kernel and the others."""
        axes = 0 if 0 in part.domain else _even_axes(loop)
        if self.parts:
            axes = min(axes, self.axes)
            while axes and part.domain[:axes] != self.parts[0].domain[:axes]:
                axes -= 1
        return axes

    def _stays_local(self, touches: list[_Touch], axes: int) -> bool:
        """Whether what one kernel writes and another one touches is touched in its own row alone,
        and rows are short enough."""
        looked_at = set(self.touched) if axes < self.axes else set()
        new: dict[Root, list[_Touch]] = {}
        for touch in touches:
            new.setdefault(touch.ref.root, []).append(touch)
        for root in looked_at | new.keys():
            both = [*self.touched.get(root, ()), *new.get(root, ())]
            written = any(t.written for t in both) and len(both) > 1
            if written and not all(t.in_own_row(axes) for t in both):
                return False
        every = [[*self.touched.get(r, ()), *new.get(r, ())] for r in self.touched.keys() | new]
        return _row_bytes(every, axes) <= _ROW_BYTES

    def worth(self) -> Rows | None:
        """The kernels as one step, where that saves ways through memory."""
        shared = [found for found in self.touched.values() if self._is_shared(found)]
        sharing = {t.part for found in shared for t in found}
        if sum(found[0].ref.root.nbytes for found in shared) < _SHARED_BYTES:
            return None
        inside = [i for i, part in enumerate(self.parts) if part in sharing]
        parts = self.parts[inside[0] : inside[-1] + 1]
        row = _row_bytes(
            [f for f in self.touched.values() if any(t.part in parts for t in f)], self.axes
        )
        for part in parts:
            part.scratch = None  # of its own kernel, which is not used
        count = math.prod(parts[0].domain[: self.axes])
        together = min(count, max(1, _CHUNK_BYTES // max(row, 1)))
        return Rows(parts[-1].number, parts[-1].line, parts, self.axes, together)

    def _is_shared(self, found: list[_Touch]) -> bool:
        """Whether several kernels go through an array that moves with the rows."""
        moving = {t.part for t in found if t.strides[self.axes - 1]}
        return len(moving) > 1


def _row_bytes(touched: list[list[_Touch]], axes: int) -> int:
    """The bytes of a row of all these arrays, each given by where it is touched."""
    return sum(max(t.row_bytes(axes) for t in found) for found in touched)


def _touches(part: Group) -> list[_Touch]:
    """Every array of a kernel."""
    assert part.loop is not None
    written = {ref.root for ref in part.results()}
    return [
        _Touch(part, ref, stream.strides, ref.root in written)
        for ref, stream in zip(part.arguments, part.loop.streams, strict=True)
    ]


def _even_axes(spec: LoopSpec) -> int:
    """How many leading axes are kept, and lie one behind the other in every array."""
    count = 0
    while count < len(spec.domain) and count not in spec.axes:
        n = spec.domain[count]
        if count and any(s.strides[count - 1] != n * s.strides[count] for s in spec.streams):
            break
        count += 1
    return count


def _by_rows(spec: LoopSpec, axes: int) -> LoopSpec:
    """The spec with its leading axes made one."""
    domain = (math.prod(spec.domain[:axes]), *spec.domain[axes:])
    return spec.with_axes(domain, lambda s: s[axes - 1 :], [a - axes + 1 for a in spec.axes])
