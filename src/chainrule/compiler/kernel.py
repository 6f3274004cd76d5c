"""What a native kernel is: the contract between the emitters of operations and the compiler.

An emitter turns one equation, as a `Site`, into a `Kernel`; None where it has no native form for
these types and params (the equation then runs on the evaluator, inside the same compiled call).

Each phase is the text of one LLVM function

    define internal void @@(ptr %args, i64 %lo, i64 %hi)

(`@@` stands for the name that the compiler gives it) which does the tasks `lo` to `hi - 1`. `%args`
is an array of pointers: to the inputs that are no literals, in order; the outputs; the scratch
memory, where `scratch` is not 0; the status (an i32, to be set to 1 by a kernel that `can_fail`);
and the addresses of the `externals`. Phases run one after the other; the tasks of one phase run in
any order, on any number of threads, so they write to places of their own. How the work is divided
into tasks depends on shapes alone, so results do not depend on the number of threads.

Inputs may be strided; outputs are C-contiguous unless their strides say otherwise. Memory is
aligned to the size of an element, no more. A failure (an index out of range, a singular matrix)
makes the compiled call run again on the evaluator, which raises the error; so an emitter need not
say what went wrong, and memory must stay safe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule.program.types import Shape, Type


class Place(NamedTuple):
    """An operand of a kernel: its type, and its strides in elements (0 where it repeats).

    A literal has its number in `literal` and no pointer among the arguments.
    """

    type: Type
    strides: tuple[int, ...]
    literal: np.generic | None = None

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie one behind the other in C order."""
        return self.strides == c_strides(self.type.shape)


def c_strides(shape: Shape) -> tuple[int, ...]:
    """The strides, in elements, of a C-contiguous array."""
    out, step = [], 1
    for n in reversed(shape):
        out.append(step)
        step *= n
    return tuple(reversed(out))


def contiguous_place(type_: Type) -> Place:
    """The place of a C-contiguous array of a type."""
    return Place(type_, c_strides(type_.shape))


class Site(NamedTuple):
    """One equation as its emitter meets it."""

    op: str
    params: dict[str, Any]
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]


class Phase(NamedTuple):
    """One function, and how many tasks it divides its work into."""

    text: str
    tasks: int = 1


class Kernel(NamedTuple):
    """The native form of one equation."""

    phases: tuple[Phase, ...]
    scratch: int = 0  # bytes, shared by the phases
    can_fail: bool = False
    externals: tuple[str, ...] = ()  # names in `chainrule.compiler.externals`: "lapack.dpotrf"


Emitter = Callable[[Site], Kernel | None]

HEAD = "define internal void @@(ptr noalias %args, i64 %lo, i64 %hi)"
