"""One trace of a compiled function: what it depends on, and running it on new arguments."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.backends import Evaluated, build
from chainrule.deciding import Decisions
from chainrule.effects import Hosts
from chainrule.guards import Guards, same
from chainrule.ops.control import with_outputs
from chainrule.ops.refuse import Refused
from chainrule.program.evaluate import Plan
from chainrule.program.program import Program
from chainrule.sharing import Holder, refuse_overlaps
from chainrule.signature import Arguments
from chainrule.tracing import Call

_clock = itertools.count()


class CompiledTrace:
    """One trace of a compiled function, and its program, built."""

    def __init__(
        self, call: Call, guards: Guards, check: str | None, memory: int | None = None,
        stable: bool = True, evaluated: str = "",
    ):  # fmt: skip
        self.uses = -1
        self.note_use()
        self.call, self.guards = call, guards
        self.captured = call.operands[: call.leading]
        self.asked = call.asked  # the values of numbers that it depends on, by leaf
        self.written = written_arrays(call)
        refuse_read_only(call, self.written)
        self._convert = conversions(call)
        self.wanted, self._plain, self.in_place = _native_part(call)
        self.decided: Decisions | None = call.decided or None
        held = self._plain if self.decided is None else self.decided.held(self._plain)
        self.evaluated = evaluated  # why it is, for the one call that it was made for; or empty
        making = Evaluated if evaluated else build
        program = self._plain if evaluated else held
        self.native: Any = making(program, self.in_place, check, memory, stable)
        self._evaluated = partial(Evaluated, self._plain, self.in_place, check, memory, stable)
        call.operands, call.containers = [], []  # the first caller's own are not kept alive

    def note_use(self) -> None:
        """Note that this trace was used last."""
        self.used = next(_clock)
        self.uses += 1

    def holds(self, arguments: Arguments) -> bool:
        """Whether the program is right for these arguments, which are of its signature."""
        leaves, types = arguments.leaves, self.call.program.in_types
        return (
            all(same(leaves[n], value) for n, value in self.asked.items())
            and all(x.shape == t.shape for x, t in zip(self.captured, types, strict=False))
            and self.guards.hold()
        )

    def asks_for_fractions(self) -> bool:
        """Whether it holds for one value of a number that is not whole."""
        return any(isinstance(value, float | complex) for value in self.asked.values())

    def proves_same(self, call: Call, arguments: Arguments) -> bool:
        """Whether a new trace, made since the content of arrays had changed that the program reads
        itself, is the same as this one: then that content does not matter to the trace."""
        leaves = arguments.leaves
        if call.decided or self.decided is not None:
            return False
        if not all(same(leaves[n], value) for n, value in self.asked.items()):
            return False
        if not self.guards.only_suspects_changed() or call.program.key != self.call.program.key:
            return False
        if call.structure != self.call.structure:  # which may hold the pattern of a sparse matrix
            return False
        new = call.operands[: call.leading]
        return all(
            a is b or (a.shape == b.shape and a.tobytes() == b.tobytes())
            for a, b in zip(self.captured, new, strict=True)
        )

    def run(self, arguments: Arguments) -> Any:
        """What the function returns for these arguments; its effects are applied."""
        operands = self.operands(arguments)
        if self.written:
            refuse_overlaps(self.call.name, _holders(self.call, operands, self.written))
        return self.finish(self._found(self.values(operands)), operands, arguments.containers)

    def _found(self, values: list) -> list:
        """The outputs, in a call that goes this way."""
        try:
            return self.native.run(values)
        except Refused:  # by rounding, compiled code decides otherwise than the trace did
            return self._evaluated().run(values)

    def attempt(self, arguments: Arguments) -> list | None:
        """The outputs of the native program, where the call goes the way of this trace."""
        assert self.decided is not None
        operands = self.operands(arguments)
        if self.written:
            refuse_overlaps(self.call.name, _holders(self.call, operands, self.written))
        values = self.values(operands)
        if hasattr(self.native, "attempt"):
            found, failed = self.native.attempt([np.asarray(v) for v in values])
            if not failed:
                self.note_use()
                return found
        if self._differs(values):
            return None
        self.note_use()
        return self._found(values)

    @cached_property
    def _difference(self) -> Plan:
        assert self.decided is not None
        return Plan(self.decided.difference(self._plain))

    def _differs(self, values: list) -> bool:
        """Whether a call with these values goes another way, or cannot go this one to its end."""
        assert self.decided is not None
        try:
            with np.errstate(all="ignore"):
                return bool(self._difference.run(values)[0])
        except Exception:  # of an operation that a call which goes another way does not come to
            return True

    def operands(self, arguments: Arguments) -> list:
        """The caller's own objects that are the program's inputs."""
        operands = [*self.captured, *arguments.leaves]
        for number, (owner, attribute) in self.call.owners.items():
            operands[number] = getattr(owner, attribute)
        return operands

    def values(self, operands: list) -> list:
        """The operands as the native program takes them."""
        values = operands.copy()
        for number, convert in self._convert:
            values[number] = convert(values[number])
        return values

    def finish(self, found: list, operands: list, containers: list) -> Any:
        """The function's result, from the outputs that the native program has computed."""
        outputs: list = [None] * len(self.call.program.outputs)
        for number, value in zip(self.wanted, found, strict=True):
            outputs[number] = value
        return self.call.finish(outputs, Hosts(operands, containers))


def _native_part(call: Call) -> tuple[list[int], Program, dict[int, int]]:
    """Which outputs must be computed, the program that does, and which update an input in place.

    A result that is the caller's own array is not computed.
    """
    program = call.program
    wanted = [i for i in range(len(program.outputs)) if i not in call.returned]
    place = {number: i for i, number in enumerate(wanted)}
    updated = _updated_in_place(call)
    in_place = {place[output]: number for output, number in updated.items()}
    return wanted, with_outputs(program, [program.outputs[i] for i in wanted]), in_place


def _updated_in_place(call: Call) -> dict[int, int]:
    """The outputs that are the new content of an argument, where a program may write there."""
    found: dict[int, int] = {}
    times = Counter(id(x) for x in call.operands)
    start = call.count
    for effect in call.effects:
        number = effect.target
        if number is not None and effect.owner is None and number >= call.leading:
            host = call.operands[number]
            if host.flags.carray and host.dtype.isnative and times[id(host)] == 1:
                found[start] = number
        start += effect.count
    return found


def written_arrays(call: Call) -> list[int]:
    """The numbers of the arguments that are arrays and that the function writes to."""
    return [
        e.target
        for e in call.effects
        if e.target is not None and e.target >= call.leading and e.owner is None
    ]


def refuse_read_only(call: Call, written: list[int]) -> None:
    """Raise for a write to an argument that may not be written, as NumPy does."""
    for number in written:
        if not call.operands[number].flags.writeable:
            name = call.program.inputs[number].name
            raise errors.MutationError(
                f"assignment destination is read-only: {call.name} writes to its argument "
                f"{name or number - call.leading!r}."
            )


def conversions(call: Call) -> list[tuple[int, Callable]]:
    """The inputs that must be converted for the program, by number, and how."""
    return [
        (i, convert)
        for i, (host, var) in enumerate(zip(call.operands, call.program.inputs, strict=True))
        if (convert := _conversion(host, var.type.dtype)) is not None
    ]


def _conversion(host, dtype: np.dtype) -> Callable | None:
    if not isinstance(host, np.ndarray):
        return None if isinstance(host, np.generic) and host.dtype == dtype else dtype.type
    flags = host.flags
    if flags.c_contiguous and flags.aligned and host.dtype.isnative:
        return None
    return lambda value: np.array(value, dtype, order="C")


def _holders(call: Call, operands: list, written: list[int]) -> list[Holder]:
    found: dict[int, Holder] = {}
    for i, (host, var) in enumerate(zip(operands, call.program.inputs, strict=True)):
        if isinstance(host, np.ndarray) and id(host) not in found:
            argument = f"argument {var.name!r}" if var.name else "an argument"
            what = argument if i >= call.leading else f"an array that {call.name} closes over"
            found[id(host)] = Holder(host, what, i in written)
    return list(found.values())
