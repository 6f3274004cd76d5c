"""Writing one function of the entry's code: words of the table and of the frame, calls, checks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chainrule.compiler import entry_api as api
from chainrule.compiler import entry_table as table
from chainrule.compiler.llvm.code import I64, POINTER, Code, Value, constant

NULL = Value("null", POINTER)
I1, I8, I32 = "i1", "i8", "i32"

# A call's frame: pointers to its arrays, and how far they are filled.
FRAME = (
    "api", "inputs", "objects", "numbers", "containers", "held", "made", "input", "container",
    "held_count", "record", "result",
)  # fmt: skip
NUMBER_BYTES = 16  # the place of one number: a complex128 is the longest


def i64(n: int) -> Value:
    """A whole number as an i64."""
    return constant(I64, n)


def operand_list(values) -> str:
    """Operands with their types, as in a call."""
    return ", ".join(map(str, values))


class EntryFunction(Code):
    """A function that gives up by a jump to the block `no`."""

    def __init__(self, *pointers: str, **others: str):
        super().__init__()
        self.arguments = [Value(f"%{name}", POINTER) for name in pointers]
        self.arguments += [Value(f"%{name}", type_) for name, type_ in others.items()]

    def word(self, place: Value, index: int, type_: str = POINTER) -> Value:
        """A word behind an address."""
        return self.load(self.offset(place, index, 8), type_, 8)

    def head(self, entry: Value, name: str, type_: str = POINTER) -> Value:
        """A word of the table's head."""
        return self.word(entry, table.HEAD.index(name), type_)

    def field(self, frame: Value, name: str, type_: str = POINTER) -> Value:
        """A word of the frame."""
        return self.word(frame, FRAME.index(name), type_)

    def set_field(self, frame: Value, name: str, value: Value) -> None:
        self.store(value, self.offset(frame, FRAME.index(name), 8), 8)

    def at(self, base: Value, index: Value, size: int = 8) -> Value:
        return self.offset(base, index, size)

    def push(self, frame: Value, base: str, count: str, value: Value) -> Value:
        """Put a pointer at the end of one of the frame's arrays; where it was put."""
        place = self.field(frame, count, I64)
        self.store(value, self.at(self.field(frame, base), place), 8)
        self.set_field(frame, count, self.binary("add", place, i64(1)))
        return place

    def call(self, frame: Value, name: str, type_: str, *operands: Value) -> Value:
        """The result of a function of Python or NumPy."""
        function = self.word(self.field(frame, "api"), api.PLACE[name])
        return self.emit(type_, f"call {type_} {function.text}({operand_list(operands)})")

    def do(self, frame: Value, name: str, *operands: Value) -> None:
        """Call a function that gives nothing, or only what does not matter here."""
        function = self.word(self.field(frame, "api"), api.PLACE[name])
        self.line(f"call void {function.text}({operand_list(operands)})")

    def own(self, name: str, type_: str, *operands: Value) -> Value:
        """The result of a function of this module."""
        return self.emit(type_, f"call {type_} @{name}({operand_list(operands)})")

    def own_line(self, name: str, *operands: Value) -> None:
        """Call a function of this module that gives nothing."""
        self.line(f"call void @{name}({operand_list(operands)})")

    def thing(self, frame: Value, name: str) -> Value:
        """The address of an object or type."""
        return self.word(self.field(frame, "api"), api.PLACE[name])

    def check(self, condition: Value) -> None:
        """Go on where the i1 holds, else to `no`."""
        following = self.fresh("ok")
        self.branch_if(condition, following, "no")
        self.start_block(following)

    def check_equal(self, x: Value, y: Value) -> None:
        self.check(self.compare("eq", x, y))

    def check_some(self, x: Value) -> None:
        self.check(self.compare("ne", x, NULL))

    def nonzero(self, x: Value) -> Value:
        return self.compare("ne", x, constant(x.type, 0))

    def give(self, x: Value) -> None:
        self.line(f"ret {x}")

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        """A block of its own, which ends in a return or a jump."""
        self.start_block(name)
        yield

    def switch(self, kind: Value, cases: dict[str, int], otherwise: str = "no") -> None:
        """Jump to the block of a number."""
        inside = " ".join(f"i64 {number}, label %{name}" for name, number in cases.items())
        self.line(f"switch {kind}, label %{otherwise} [ {inside} ]")

    def text(self, result: str, name: str) -> str:
        """The whole function."""
        return self.function(f"define {result} @{name}({operand_list(self.arguments)})")
