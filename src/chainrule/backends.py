"""What runs the program of a compiled function: native code, or the evaluator.

A backend is made by `build(program, written, check, memory, stable)` of a closed program: `written`
maps outputs to the inputs whose memory they update in place; `memory` bounds what a call allocates;
a `stable` program is stabilized, and looked at for lost digits. Its
`run(values)` takes C-contiguous arrays and NumPy scalars of exactly the program's input types, and
returns the outputs, None for those in `written`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from chainrule.checking import run_checked
from chainrule.derived import derived
from chainrule.kept_derivatives import LOADED
from chainrule.program.program import Program
from chainrule.running import run
from chainrule.transforms.checkpoint import within
from chainrule.transforms.stabilize import stabilize
from chainrule.wide.repair import watch


class Backend(Protocol):
    """A program that is ready to run."""

    def run(self, values: list) -> list: ...


class Evaluated:
    """A program on the reference evaluator, with the native backend's manners."""

    def __init__(
        self, program: Program, written: dict[int, int], check: str | None,
        memory: int | None = None, stable: bool = True,
    ):  # fmt: skip
        program = stabilize(program) if stable else program
        self.program, self.written, self._check = within(program, memory), written, check
        self._watch = watch(program) if stable and not written and check is None else None

    def run(self, values: list) -> list:
        """The outputs; those that update an input in place are None."""
        if self._watch is not None:
            outputs = self._watch.run(values)
        elif self._check is None:
            outputs = run(derived("run", self.program), values)
        else:
            outputs = run_checked(self.program, values)
        for output, number in self.written.items():
            np.copyto(values[number], outputs[output])
            outputs[output] = None
        return outputs


_LOADED = LOADED


def _native(program: Program, *options) -> Any:
    native = import_module("chainrule.compiler.native")
    return native.build(program, *options, loaded=_LOADED)


builders: dict[str, Callable[..., Backend]] = {"native": _native, "evaluator": Evaluated}

chosen = "native" if find_spec("llvmlite") else "evaluator"


def build(
    program: Program, written: dict[int, int], check: str | None, memory: int | None = None,
    stable: bool = True,
) -> Backend:  # fmt: skip
    """The program, ready to run on the chosen backend."""
    return builders[chosen](program, written, check, memory, stable)
