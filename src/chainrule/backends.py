"""What runs the program of a compiled function: native code, or the evaluator.

A backend is made by `build(program, written, check, memory)` of a closed program: `written` maps
outputs to the inputs whose memory they update in place; `memory` bounds what a call allocates. Its
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
from chainrule.program.program import Program
from chainrule.running import run
from chainrule.transforms.checkpoint import within


class Backend(Protocol):
    """A program that is ready to run."""

    def run(self, values: list) -> list: ...


class Evaluated:
    """A program on the reference evaluator, with the native backend's manners."""

    def __init__(
        self, program: Program, written: dict[int, int], check: str | None,
        memory: int | None = None,
    ):  # fmt: skip
        self._program, self._written, self._check = within(program, memory), written, check

    def run(self, values: list) -> list:
        """The outputs; those that update an input in place are None."""
        if self._check is None:
            outputs = run(derived("run", self._program), values)
        else:
            outputs = run_checked(self._program, values)
        for output, number in self._written.items():
            np.copyto(values[number], outputs[output])
            outputs[output] = None
        return outputs


def _native(program: Program, written, check: str | None, memory: int | None) -> Any:
    return import_module("chainrule.compiler.native").build(program, written, check, memory)


builders: dict[str, Callable[..., Backend]] = {"native": _native, "evaluator": Evaluated}

chosen = "native" if find_spec("llvmlite") else "evaluator"


def build(
    program: Program, written: dict[int, int], check: str | None, memory: int | None = None
) -> Backend:
    """The program, ready to run on the chosen backend."""
    return builders[chosen](program, written, check, memory)
