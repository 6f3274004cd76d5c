"""Writing one LLVM function as text: typed values with fresh names, blocks, loops.

Text is written at once (building IR through objects costs as much as generating code from it).
A `Value` is an operand with its LLVM type. Arithmetic methods work on scalars and on vectors of any
length: LLVM splits a vector that is wider than a register, and widens one that is narrower.

Nothing here reassociates or contracts: an `fma` is there only where `Code.fma` is called.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple, TypeGuard

import numpy as np


class Value(NamedTuple):
    """An operand of LLVM IR: its text (`%v3`, or a constant) and its type (`<8 x float>`)."""

    text: str
    type: str

    def __str__(self) -> str:
        return f"{self.type} {self.text}"


Index = Value | int  # an i64, or a number known while the code is written

POINTER = "ptr"
I64 = "i64"

HARDLY_RUN = "noinline optnone nounwind"  # half of LLVM's time, for code that is a half slower

_ELEMENTS = {
    "?": "i1", "b": "i8", "B": "i8", "h": "i16", "H": "i16", "i": "i32", "I": "i32", "l": "i64",
    "L": "i64", "q": "i64", "Q": "i64", "e": "half", "f": "float", "d": "double",
}  # fmt: skip
_BITS = {
    "i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "i128": 128, "half": 16, "float": 32,
    "double": 64,
}  # fmt: skip


def element_type(dtype: np.dtype) -> str:
    """The LLVM type of one element in a register (bool is i1; in memory it is a byte)."""
    return _ELEMENTS[dtype.char]


def vector(element: str, lanes: int) -> str:
    """The type of `lanes` elements; a scalar where there is one."""
    return element if lanes == 1 else f"<{lanes} x {element}>"


@lru_cache(maxsize=1024)
def parts(type_: str) -> tuple[str, int]:
    """(element, lanes) of a scalar or vector type."""
    if not type_.startswith("<"):
        return type_, 1
    lanes, _, element = type_[1:-1].partition(" x ")
    return element, int(lanes)


def element_of(type_: str) -> str:
    """The element of a scalar or vector type."""
    return parts(type_)[0]


def lanes_of(type_: str) -> int:
    """How many elements a type holds."""
    return parts(type_)[1]


def bits_of(type_: str) -> int:
    """The bits of one element."""
    return _BITS[parts(type_)[0]]


def with_element(type_: str, element: str) -> str:
    """A type of as many lanes of another element."""
    return vector(element, parts(type_)[1])


@lru_cache(maxsize=1024)
def mangled(type_: str) -> str:
    """The suffix by which overloaded intrinsics name a type: `v8f32`."""
    element, lanes = parts(type_)
    if element == "ptr":
        return "p0"
    short = element if element.startswith("i") else f"f{_BITS[element]}"
    return short if lanes == 1 else f"v{lanes}{short}"


def number_text(element: str, number) -> str:
    """A number as LLVM reads it: exact, whatever its size."""
    if element == "i1":
        return "true" if number else "false"
    if element.startswith("i"):
        bits = _BITS[element]
        whole = int(number) & ((1 << bits) - 1)
        return str(whole - (1 << bits) if whole >> (bits - 1) else whole)
    if element == "half":
        return f"0xH{np.float16(number).view(np.uint16):04X}"
    if element == "float":
        with np.errstate(over="ignore"):
            single = np.float32(number)
        if single != single:  # a nan keeps its payload only through the bits of the double
            return f"0x{int(single.view(np.uint32)) << 29 & ((1 << 52) - 1) | 0x7FF << 52:016X}"
        number = float(single)
    return f"0x{struct.unpack('<Q', struct.pack('<d', float(number)))[0]:016X}"


def constant(type_: str, number) -> Value:
    """A number in a type: in every lane of a vector."""
    element, lanes = parts(type_)
    text = number_text(element, number)
    return Value(text if lanes == 1 else f"splat ({element} {text})", type_)


def as_index(index: Index) -> Value:
    """An index as an i64 operand."""
    return Value(str(index), I64) if isinstance(index, int) else index


_BESIDE = "FUNCTION"  # stands for a function's name until that is known


def _known(index: Index) -> TypeGuard[int]:
    return isinstance(index, int)


class Loop:
    """A loop being written: its `index`, and the values `carried` into this round.

    The body gives the next round's values by `next(...)`; after the loop they are `results`.
    """

    def __init__(self, index: Value, carried: tuple[Value, ...]):
        self.index = index
        self.carried = carried
        self.results: tuple[Value, ...] = carried
        self._next: tuple[Value, ...] = carried

    def next(self, *values: Value) -> None:
        """Carry these values into the next round."""
        assert len(values) == len(self.carried)
        self._next = values


class Code:
    """The body of one function, being written.

    LLVM may rewrite the addresses in its loops where it `reduces_strength`. That takes a quarter of
    the time of generating code, and the kernels are no faster by it but for those of small
    matrices; so the numbers and addresses that a loop carries are frozen, which makes no code and
    hides from LLVM that they grow in steps.
    """

    def __init__(self, reduces_strength: bool = False) -> None:
        self.reduces_strength = reduces_strength
        self.lines: list[str] = []
        self._count = 0
        self._entry: list[str] = []  # allocas: they stand in the first block
        self._beside: dict[str, str] = {}  # functions that this one calls
        self.repeats = False  # whether a block is run more than once: it is jumped back to
        self._started = {"entry"}
        self.block_name = "entry"
        self.made: dict[object, object] = {}  # by whoever wrote it: what need not be written again

    # --- names, lines and blocks ------------------------------------------------------------------

    def fresh(self, hint: str = "v") -> str:
        """A name not used before, without its %."""
        self._count += 1
        return f"{hint}{self._count}"

    def line(self, text: str) -> None:
        """Write one instruction that gives no value."""
        self.lines.append("  " + text)

    def emit(self, type_: str, text: str) -> Value:
        """Write one instruction whose value has this type."""
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"  {name} = {text}")
        return Value(name, type_)

    def start_block(self, name: str) -> None:
        """Begin the block of this name; the one before must have ended in a branch."""
        self.lines.append(f"{name}:")
        self._started.add(name)
        self.block_name, self.made = name, {}

    def branch(self, name: str) -> None:
        """Jump to a block."""
        self.repeats |= name in self._started
        self.line(f"br label %{name}")

    def branch_if(self, condition: Value, yes: str, no: str) -> None:
        """Jump to one of two blocks by an i1."""
        self.repeats |= yes in self._started or no in self._started
        self.line(f"br i1 {condition.text}, label %{yes}, label %{no}")

    def alloca(self, size: int, align: int = 64, name: str = "") -> Value:
        """Stack memory of `size` bytes, made once at the entry of the function."""
        name = f"%{name or self.fresh('stack')}"
        self._entry.append(f"  {name} = alloca [{size} x i8], align {align}")
        return Value(name, POINTER)

    def constant_in_memory(self, x: Value) -> Value:
        """The address of a constant on the stack, written once at the entry of the function."""
        pointer = self.alloca(8, align=8)
        self._entry.append(f"  store {x}, {pointer}, align 8")
        return pointer

    def function(self, head: str, attributes: str = "nounwind") -> str:
        """The whole function's text: `head` is `define internal void @f(ptr %args, ...)`.

        The functions beside it come first.
        """
        lines = [f"{head} {attributes} {{", "entry:", *self._entry, *self.lines, "}", ""]
        text = "\n".join([*self._beside.values(), *lines])
        own = head.partition("@")[2].partition("(")[0]
        return text.replace(_BESIDE, own) if self._beside else text

    def beside(self, name: str, write: Callable[[str], str]) -> str:
        """The name of a function that only this one calls; `write(name)` gives its text, once."""
        full = f"@{_BESIDE}.{name}"
        if name not in self._beside:
            self._beside[name] = write(full)
        return full

    # --- arithmetic -------------------------------------------------------------------------------

    def binary(self, operation: str, x: Value, y: Value) -> Value:
        """`fadd`, `fsub`, `fmul`, `fdiv`, `add`, `sub`, `mul`, `and`, `or`, `xor`, `shl`, ..."""
        assert x.type == y.type, (operation, x, y)
        return self.emit(x.type, f"{operation} {x.type} {x.text}, {y.text}")

    def fadd(self, x: Value, y: Value) -> Value:
        return self.binary("fadd", x, y)

    def fsub(self, x: Value, y: Value) -> Value:
        return self.binary("fsub", x, y)

    def fmul(self, x: Value, y: Value) -> Value:
        return self.binary("fmul", x, y)

    def fdiv(self, x: Value, y: Value) -> Value:
        return self.binary("fdiv", x, y)

    def fneg(self, x: Value) -> Value:
        return self.emit(x.type, f"fneg {x}")

    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """x * y + z, rounded once."""
        return self.intrinsic("fma", x, y, z)

    def intrinsic(self, name: str, *operands: Value, result: str | None = None, more="") -> Value:
        """A call of `llvm.<name>` overloaded by its first operand's type; `more` are immediates."""
        type_ = result or operands[0].type
        arguments = ", ".join(map(str, operands)) + more
        return self.emit(
            type_, f"call {type_} @llvm.{name}.{mangled(operands[0].type)}({arguments})"
        )

    def compare(self, predicate: str, x: Value, y: Value) -> Value:
        """An i1 per lane: `oeq`, `olt`, `une`, `uno`, ... of floats; `eq`, `slt`, `ult`, ..."""
        word = "fcmp" if not element_of(x.type).startswith(("i", "p")) else "icmp"
        assert x.type == y.type, (predicate, x, y)
        return self.emit(
            with_element(x.type, "i1"), f"{word} {predicate} {x.type} {x.text}, {y.text}"
        )

    def select(self, condition: Value, x: Value, y: Value) -> Value:
        """x where the condition holds, else y; the condition has as many lanes, or one."""
        assert x.type == y.type, (condition, x, y)
        return self.emit(x.type, f"select {condition}, {x}, {y}")

    def convert(self, operation: str, x: Value, element: str) -> Value:
        """`sitofp`, `fptosi`, `zext`, `trunc`, `fpext`, `fptrunc`, `bitcast`, ... lane by lane."""
        type_ = with_element(x.type, element)
        return x if type_ == x.type else self.emit(type_, f"{operation} {x} to {type_}")

    def bits(self, x: Value) -> Value:
        """The bits of floats as integers of the same width."""
        return self.convert("bitcast", x, f"i{bits_of(x.type)}")

    def like(self, x: Value, number) -> Value:
        """A number as a constant of the type of x."""
        return constant(x.type, number)

    # --- lanes ------------------------------------------------------------------------------------

    def splat(self, x: Value, lanes: int) -> Value:
        """A scalar in every lane of a vector."""
        if lanes == 1:
            return x
        if x.text[0] != "%":
            return Value(f"splat ({x.type} {x.text})", vector(x.type, lanes))
        type_ = vector(x.type, lanes)
        one = self.emit(type_, f"insertelement {type_} poison, {x}, i64 0")
        zeros = f"<{lanes} x i32> zeroinitializer"
        return self.emit(type_, f"shufflevector {type_} {one.text}, {type_} poison, {zeros}")

    def extract(self, x: Value, lane: int) -> Value:
        """One lane of a vector; x itself where it is a scalar."""
        if lanes_of(x.type) == 1:
            return x
        return self.emit(element_of(x.type), f"extractelement {x}, i64 {lane}")

    def insert(self, x: Value, item: Value, lane: int) -> Value:
        """The vector with one lane replaced."""
        return self.emit(x.type, f"insertelement {x}, {item}, i64 {lane}")

    def shuffle(self, x: Value, y: Value, lanes: Sequence[int]) -> Value:
        """Lanes chosen from x and y, numbered through both; -1 for any."""
        mask = ", ".join("i32 poison" if i < 0 else f"i32 {i}" for i in lanes)
        type_ = vector(element_of(x.type), len(lanes))
        return self.emit(type_, f"shufflevector {x}, {y}, <{len(lanes)} x i32> <{mask}>")

    # --- memory -----------------------------------------------------------------------------------

    def load(self, pointer: Value, type_: str, align: int | None = None) -> Value:
        """The value at an address; `align` in bytes, by default that of one element."""
        align = align or max(bits_of(type_) // 8, 1) if type_ != POINTER else 8
        return self.emit(type_, f"load {type_}, {pointer}, align {align}")

    def prefetch(self, pointer: Value) -> None:
        """Ask for the cache line of an address, which need not exist."""
        self.line(f"call void @llvm.prefetch.p0({pointer}, i32 0, i32 3, i32 1)")

    def store(self, x: Value, pointer: Value, align: int | None = None) -> None:
        """Write a value to an address."""
        align = align or max(bits_of(x.type) // 8, 1) if x.type != POINTER else 8
        self.line(f"store {x}, {pointer}, align {align}")

    def offset(self, pointer: Value, index: Index, size: int = 1) -> Value:
        """The address `index * size` bytes further."""
        if isinstance(index, int):
            if index == 0:
                return pointer
            return self.emit(POINTER, f"getelementptr i8, {pointer}, i64 {index * size}")
        if size < 0:
            index = self.binary("mul", index, constant(I64, size))
            return self.emit(POINTER, f"getelementptr i8, {pointer}, {index}")
        return self.emit(POINTER, f"getelementptr [{size} x i8], {pointer}, {index}")

    # --- indices ----------------------------------------------------------------------------------

    def index_add(self, x: Index, y: Index) -> Index:
        """x + y, worked out now where both are known."""
        if isinstance(x, int) and isinstance(y, int):
            return x + y
        if x == 0 or y == 0:
            return y if x == 0 else x
        return self.emit(I64, f"add nsw i64 {as_index(x).text}, {as_index(y).text}")

    def index_mul(self, x: Index, y: Index) -> Index:
        """x * y, worked out now where both are known."""
        if isinstance(x, int) and isinstance(y, int):
            return x * y
        if x == 0 or y == 0:
            return 0
        if x == 1 or y == 1:
            return y if x == 1 else x
        return self.emit(I64, f"mul nsw i64 {as_index(x).text}, {as_index(y).text}")

    # --- control flow -----------------------------------------------------------------------------

    @contextmanager
    def loop(
        self, start: Index, stop: Index, step: int = 1, carried: Sequence[Value] = ()
    ) -> Iterator[Loop]:
        """A loop over start, start + step, ... below stop (above it where step is negative).

            with code.loop(0, n, carried=[total]) as loop:
                loop.next(code.fadd(loop.carried[0], ...))
            total = loop.results[0]

        Of a loop known to have no round, nothing is written; of one known to have one, its body.
        """
        rounds = len(range(start, stop, step)) if _known(start) and _known(stop) else None
        if rounds is not None and rounds < 2:
            yield from self._hardly_a_loop(as_index(start), carried, rounds)
            return
        runs = rounds is not None
        number = self.fresh("loop")
        before, head, after = self.block_name, f"{number}.head", f"{number}.after"
        if runs:
            self.branch(head)
        else:
            enters = self.compare("slt" if step > 0 else "sgt", as_index(start), as_index(stop))
            self.branch_if(enters, head, after)
        self.start_block(head)
        index = Value(f"%{number}.index", I64)
        names = [Value(f"%{number}.carry{i}", v.type) for i, v in enumerate(carried)]
        place = len(self.lines)
        self.lines += [""] * (1 + len(names))  # the phis, written when the latch is known
        loop = Loop(index, tuple(names))
        yield loop
        following = self.emit(I64, f"add nsw i64 {index.text}, {step}")
        following, *loop_next = self._opaque(following, *loop._next)
        loop._next = tuple(loop_next)
        again = self.compare("slt" if step > 0 else "sgt", following, as_index(stop))
        latch = self.block_name
        self.branch_if(again, head, after)
        self.lines[place] = (
            f"  {index.text} = phi i64 [ {as_index(start).text}, %{before} ], "
            f"[ {following.text}, %{latch} ]"
        )
        for i, (name, first, then) in enumerate(zip(names, carried, loop._next, strict=True)):
            self.lines[place + 1 + i] = (
                f"  {name.text} = phi {name.type} [ {first.text}, %{before} ], "
                f"[ {then.text}, %{latch} ]"
            )
        self.start_block(after)
        if runs or not carried:
            loop.results = loop._next
            return
        loop.results = tuple(
            self.emit(
                f.type, f"phi {f.type} [ {f.text}, %{before} ], [ {t.text}, %{latch} ]"
            )
            for f, t in zip(carried, loop._next, strict=True)
        )

    def _opaque(self, *values: Value) -> list[Value]:
        """Values for the next round, of which LLVM does not see how they come from this one."""
        if self.reduces_strength:
            return list(values)
        return [
            self.emit(v.type, f"freeze {v}") if v.type in (I64, POINTER) else v for v in values
        ]

    def _hardly_a_loop(self, start: Value, carried: Sequence[Value], rounds: int) -> Iterator[Loop]:
        """A loop of at most one round. LLVM finds out too, but late: after it has worked on it."""
        lines, entry, block = len(self.lines), len(self._entry), self.block_name
        made = dict(self.made)
        loop = Loop(start, tuple(carried))
        yield loop
        if rounds:
            loop.results = loop._next
        else:
            del self.lines[lines:], self._entry[entry:]
            self.block_name, self.made = block, made

    @contextmanager
    def if_(self, condition: Value) -> Iterator[None]:
        """What is written inside runs only where the i1 holds."""
        number, made = self.fresh("if"), self.made
        self.branch_if(condition, f"{number}.yes", f"{number}.after")
        self.start_block(f"{number}.yes")
        yield
        self.branch(f"{number}.after")
        self.start_block(f"{number}.after")
        self.made = made


