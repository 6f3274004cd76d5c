"""An entry's spec as a table of words, which the entry's code reads (compiler/entry_code.py).

The table is an array, so that the code finds it through the object of the builtin function; it
keeps alive what its words point to. It begins with one word for each name in HEAD; then come

    guards       CELL cell expected | ITEM dict key expected | CHECK function
                 | CAPTURED value, and a record
    arguments    a record each:
                 ARRAY ndarray dtype number-of-dtype flags ndim, and the shape
                 VALUE type bytes low high (to be compared, if bytes is not 0)
                 INT type checked value
                 SAME object | TEXT str | ALIAS input
                 TUPLE type n, and n records | LIST likewise | DICT type n, n times: key, record
                 OBJECT type, and the DICT record of its attributes
    outputs      input or -1, dtype, ndim, and the shape
    result       OUTPUT number | ARGUMENT input | CONTAINER number | SAME object
                 TUPLE n, and n records | LIST likewise | CALL function, TUPLE n, ...
                 DICT n, and n times: key, record
    extents      for each array, if any is written: input, bytes, whether it is written, and the
                 address at which it was last seen apart from the others
"""

from __future__ import annotations

import ctypes
from itertools import count
from typing import Any

import numpy as np

from chainrule.compiler import entry_api as api
from chainrule.compiler.entry_spec import (
    MISSING,
    AliasSpec,
    ArraySpec,
    CellGuard,
    CheckGuard,
    DictGuard,
    DictSpec,
    EntrySpec,
    NumberSpec,
    ObjectSpec,
    ResultArgument,
    ResultCall,
    ResultContainer,
    ResultLeaf,
    ResultSame,
    SameSpec,
    SequenceSpec,
)
from chainrule.program.trace import traces_open

HEAD = (
    "api", "main", "runtime", "slow", "positional", "keywords", "names", "guards", "guard_count",
    "arguments", "inputs", "containers", "held", "outputs", "output_count", "result",
    "arena_bytes", "arena_slot", "releases_gil", "extents", "extent_count", "traces_open",
)  # fmt: skip

_KINDS = count(1)
ARRAY, VALUE, INT, SAME, TEXT, ALIAS, TUPLE, LIST, DICT, OBJECT = (next(_KINDS) for _ in range(10))
CELL, ITEM, CHECK, CAPTURED = (next(_KINDS) for _ in range(4))
OUTPUT, ARGUMENT, CONTAINER, CALL = (next(_KINDS) for _ in range(4))


class Table(np.ndarray):
    """The words of one entry; `kept` is what they point to, `parts` how many leaves and containers
    there are in the arguments."""

    kept: list
    parts: int


class Arena:
    """A slot for the memory of a call that nobody is making now; freed with this object."""

    def __init__(self) -> None:
        self.slot = ctypes.c_void_p()
        self._free = ctypes.pythonapi.PyMem_RawFree

    def __del__(self) -> None:
        self._free(self.slot)
        self.slot.value = None


def make_table(spec: EntrySpec, main: int, runtime: int, arena_bytes: int, slow) -> Table:
    """The table of a spec, for a program's `main`, and the callable for what does not match."""
    writer = _Writer()
    sections = writer.sections(spec)
    arena = Arena()
    head = dict.fromkeys(HEAD, 0) | writer.counts(spec) | {
        "api": ctypes.addressof(api.api_table()),  # type: ignore[arg-type]
        "main": main, "runtime": runtime, "slow": writer.pointer(slow),
        "arena_bytes": arena_bytes, "arena_slot": ctypes.addressof(arena.slot),
        "releases_gil": int(spec.releases_gil), "traces_open": traces_open.ctypes.data,
    }  # fmt: skip
    table = np.zeros(len(HEAD) + sum(map(len, sections.values())), np.int64).view(Table)
    place = len(HEAD)
    for name, words in sections.items():
        head[name] = table.ctypes.data + 8 * place
        table[place : place + len(words)] = words
        place += len(words)
    table[: len(HEAD)] = [head[name] for name in HEAD]
    table.kept = [*writer.kept, arena]
    table.parts = len(writer.leaves) + writer.containers
    return table


class _Writer:
    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.leaves: list[ArraySpec | NumberSpec | AliasSpec] = []
        self.containers = 0

    def pointer(self, thing) -> int:
        self.kept.append(thing)
        return id(thing)

    def sections(self, spec: EntrySpec) -> dict[str, list[int]]:
        """The sections' words; captured values come before the arguments, as inputs do."""
        guards = [w for guard in spec.guards for w in self._guard(guard)]
        for captured in spec.captured:
            guards += [CAPTURED, self.pointer(captured.value), *self.record(captured.spec)]
        return {
            "names": [self.pointer(name) for name in spec.keywords],
            "guards": guards,
            "arguments": [w for argument in spec.arguments for w in self.record(argument)],
            "outputs": [w for output in spec.outputs for w in self._output(output)],
            "result": self.result(spec.result),
            "extents": self._extents(),
        }

    def counts(self, spec: EntrySpec) -> dict[str, int]:
        return {
            "positional": len(spec.arguments) - len(spec.keywords),
            "keywords": len(spec.keywords),
            "guard_count": len(spec.guards) + len(spec.captured),
            "inputs": len(self.leaves),
            "containers": self.containers,
            "held": len(self.leaves) + 2 * self.containers,  # an object's __dict__ is one more
            "output_count": len(spec.outputs),
            "extent_count": len(self._extents()) // 4,
        }

    def _guard(self, guard) -> list[int]:
        if isinstance(guard, CellGuard):
            return [CELL, self.pointer(guard.cell), self.pointer(guard.expected)]
        if isinstance(guard, DictGuard):
            expected = 0 if guard.expected is MISSING else self.pointer(guard.expected)
            return [ITEM, self.pointer(guard.dict), self.pointer(guard.key), expected]
        assert isinstance(guard, CheckGuard)
        return [CHECK, self.pointer(guard.function)]

    # --- arguments --------------------------------------------------------------------------------

    def record(self, spec) -> list[int]:
        """The record of one argument, or of a part of one."""
        if isinstance(spec, SameSpec):
            return [TEXT if type(spec.value) is str else SAME, self.pointer(spec.value)]
        if isinstance(spec, ArraySpec | NumberSpec | AliasSpec):
            self.leaves.append(spec)
            return self._leaf(spec)
        self.containers += 1
        if isinstance(spec, SequenceSpec):
            items = [w for item in spec.items for w in self.record(item)]
            return [_sequence(spec.kind), self.pointer(spec.kind), len(spec.items), *items]
        if isinstance(spec, ObjectSpec):
            attributes = spec.attributes
            return [OBJECT, self.pointer(spec.kind), *self._dict(attributes, self.record, True)]
        assert isinstance(spec, DictSpec)
        return self._dict(spec, self.record, True)

    def _leaf(self, spec) -> list[int]:
        if isinstance(spec, AliasSpec):
            return [ALIAS, spec.number]
        if isinstance(spec, ArraySpec):
            dtype, shape = spec.type.dtype, spec.type.shape
            flags = api.C_CONTIGUOUS | api.ALIGNED | (api.WRITEABLE if spec.written else 0)
            place = [self.pointer(np.ndarray), self.pointer(dtype), dtype.num]
            return [ARRAY, *place, flags, len(shape), *shape]
        if spec.kind is int:
            return [INT, self.pointer(int), int(spec.value is not None), spec.value or 0]
        bits = b"" if spec.value is None else np.array(spec.value, np.dtype(spec.kind)).tobytes()
        low, high = np.frombuffer(bits.ljust(16, b"\0"), np.int64).tolist()
        return [VALUE, self.pointer(spec.kind), len(bits), low, high]

    def _dict(self, spec: DictSpec, record, typed: bool) -> list[int]:
        words = [DICT, self.pointer(dict), len(spec.keys)] if typed else [DICT, len(spec.keys)]
        for key, item in zip(spec.keys, spec.items, strict=True):
            words += [self.pointer(key), *record(item)]
        return words

    def _extents(self) -> list[int]:
        """Nothing where nothing is written: then it does not matter whether arrays overlap."""
        arrays = [
            (i, spec)
            for i, spec in enumerate(self.leaves)
            if isinstance(spec, ArraySpec) and spec.type.size
        ]
        if not any(spec.written for _, spec in arrays):
            return []
        return [w for i, spec in arrays for w in (i, spec.type.nbytes, int(spec.written), 0)]

    # --- results ----------------------------------------------------------------------------------

    def _output(self, output) -> list[int]:
        shape = output.type.shape
        target = -1 if output.target is None else output.target
        return [target, self.pointer(output.type.dtype), len(shape), *shape]

    def result(self, spec) -> list[int]:
        """The record of a result, or of a part of one."""
        if isinstance(spec, ResultLeaf):
            return [OUTPUT, spec.number]
        if isinstance(spec, ResultArgument):
            return [ARGUMENT, spec.number]
        if isinstance(spec, ResultContainer):
            return [CONTAINER, spec.number]
        if isinstance(spec, ResultSame):
            return [SAME, self.pointer(spec.value)]
        if isinstance(spec, DictSpec):
            return self._dict(spec, self.result, False)
        if isinstance(spec, ResultCall):
            function = self.pointer(spec.function)
            return [CALL, function, *self.result(SequenceSpec(tuple, spec.items))]
        assert isinstance(spec, SequenceSpec)
        items = [w for item in spec.items for w in self.result(item)]
        return [_sequence(spec.kind), len(spec.items), *items]


def _sequence(kind: type) -> int:
    assert kind in (tuple, list), kind
    return TUPLE if kind is tuple else LIST
