"""The part of the entry's code that checks: guards, captured values and arguments."""

from __future__ import annotations

from chainrule.compiler import entry_api as api
from chainrule.compiler import entry_table as table
from chainrule.compiler.entry_function import (
    I1,
    I8,
    I32,
    NULL,
    NUMBER_BYTES,
    EntryFunction,
    i64,
)
from chainrule.compiler.llvm.code import I64, POINTER, Value, constant


def checking_functions() -> list[str]:
    """The texts of `same_text`, `hold`, `take`, `items`, `guards` and `apart`."""
    return [_same_text(), _hold(), _take(), _items(), _guards(), _apart()]


def _same_text() -> str:
    """Whether two objects are the same one, or equal strs."""
    c = EntryFunction("frame", "x", "y")
    frame, x, y = c.arguments
    c.branch_if(c.compare("eq", x, y), "yes", "differ")
    c.start_block("differ")
    for text in (x, y):
        c.check_equal(c.load(c.offset(text, api.TYPE), POINTER), c.thing(frame, "str"))
    c.check_equal(c.call(frame, "PyUnicode_Compare", I32, x, y), constant(I32, 0))
    c.branch("yes")
    c.start_block("yes")
    c.give(constant(I1, 1))
    c.start_block("no")
    c.give(constant(I1, 0))
    return c.text(I1, "same_text")


def _hold() -> str:
    """Keep an object of a container alive until the call ends."""
    c = EntryFunction("frame", "thing")
    frame, thing = c.arguments
    c.do(frame, "Py_IncRef", thing)
    c.push(frame, "held", "held_count", thing)
    c.line("ret void")
    return c.text("void", "hold")


def _take() -> str:
    """Check one argument against its record, and note its inputs; the record behind, or null."""
    c = EntryFunction("thing", "record", "frame", nested=I1)
    thing, record, frame, _ = c.arguments
    second = c.word(record, 1)
    untyped = {"same": table.SAME, "text": table.TEXT, "alias": table.ALIAS}
    c.switch(c.word(record, 0, I64), untyped, "typed")
    _take_untyped(c, thing, record, frame, second)
    c.start_block("typed")
    c.check_equal(c.load(c.offset(thing, api.TYPE), POINTER), second)
    kinds = {
        "array": table.ARRAY, "value": table.VALUE, "int": table.INT, "tuple": table.TUPLE,
        "list": table.LIST, "dict": table.DICT, "object": table.OBJECT,
    }  # fmt: skip
    c.switch(c.word(record, 0, I64), kinds)
    _take_array(c, thing, record, frame)
    _take_numbers(c, thing, record, frame)
    for kind in ("tuple", "list"):
        _take_sequence(c, kind, thing, record, frame)
    _take_dict(c, thing, record, frame)
    c.start_block("no")
    c.give(NULL)
    return c.text(POINTER, "take")


def _take_untyped(c: EntryFunction, thing, record, frame, second) -> None:
    with c.case("same"):
        c.branch_if(c.compare("eq", thing, second), "behind", "no")
    with c.case("text"):
        c.branch_if(c.own("same_text", I1, frame, thing, second), "behind", "no")
    with c.case("alias"):
        number = c.word(record, 1, I64)
        c.check_equal(c.load(c.at(c.field(frame, "objects"), number), POINTER), thing)
        data = c.load(c.at(c.field(frame, "inputs"), number), POINTER)
        _note(c, frame, thing, data, held=False)
        c.branch("behind")
    with c.case("behind"):
        c.give(c.offset(record, 2, 8))


def _note(c: EntryFunction, frame: Value, thing: Value, data: Value, held: bool = True) -> None:
    """One more input."""
    place = c.push(frame, "inputs", "input", data)
    c.store(thing, c.at(c.field(frame, "objects"), place), 8)
    if held:
        with c.if_(Value("%nested", I1)):
            c.own_line("hold", frame, thing)


def _take_array(c: EntryFunction, thing, record, frame) -> None:
    with c.case("array"):
        dtype = c.load(c.offset(thing, api.DTYPE), POINTER)
        c.branch_if(c.compare("eq", dtype, c.word(record, 2)), "dtype", "equal_dtype")
    with c.case("equal_dtype"):  # of a copy: one that was pickled, or has metadata
        number = c.convert("sext", c.load(c.offset(dtype, api.TYPE_NUMBER), I32), I64)
        c.check_equal(number, c.word(record, 3, I64))
        order = c.load(c.offset(dtype, api.BYTE_ORDER), I8)
        native = [c.compare("eq", order, constant(I8, ord(sign))) for sign in "=|"]
        c.branch_if(c.binary("or", *native), "dtype", "no")
    with c.case("dtype"):
        wanted = c.word(record, 4, I64)
        flags = c.convert("sext", c.load(c.offset(thing, api.FLAGS), I32), I64)
        c.check_equal(c.binary("and", flags, wanted), wanted)
        ndim = c.word(record, 5, I64)
        its_ndim = c.convert("sext", c.load(c.offset(thing, api.NDIM), I32), I64)
        c.check_equal(its_ndim, ndim)
        shape = c.load(c.offset(thing, api.SHAPE), POINTER)
        expected = c.offset(record, 6, 8)
        with c.loop(0, ndim) as loop:
            its, wants = (c.load(c.at(s, loop.index), I64) for s in (shape, expected))
            c.check_equal(its, wants)
        _note(c, frame, thing, c.load(c.offset(thing, api.DATA), POINTER))
        c.give(c.at(expected, ndim))


def _take_numbers(c: EntryFunction, thing, record, frame) -> None:
    with c.case("value"):
        value, wanted = c.offset(thing, api.VALUE), c.offset(record, 3, 8)
        with c.loop(0, c.word(record, 2, I64)) as loop:
            its, wants = (c.load(c.at(s, loop.index, 1), I8) for s in (value, wanted))
            c.check_equal(its, wants)
        _note(c, frame, thing, value)
        c.give(c.offset(record, 5, 8))
    with c.case("int"):
        overflow = c.alloca(8, 8)
        number = c.call(frame, "PyLong_AsLongLongAndOverflow", I64, thing, overflow)
        c.check_equal(c.load(overflow, I32), constant(I32, 0))
        free = c.compare("eq", c.word(record, 2, I64), i64(0))
        c.check(c.binary("or", free, c.compare("eq", number, c.word(record, 3, I64))))
        place = c.at(c.field(frame, "numbers"), c.field(frame, "input", I64), NUMBER_BYTES)
        c.store(number, place)
        _note(c, frame, thing, place)
        c.give(c.offset(record, 4, 8))


def _note_container(c: EntryFunction, frame: Value, thing: Value) -> None:
    c.push(frame, "containers", "container", thing)
    with c.if_(Value("%nested", I1)):
        c.own_line("hold", frame, thing)


def _take_sequence(c: EntryFunction, kind: str, thing, record, frame) -> None:
    name = f"Py{kind.capitalize()}"
    with c.case(kind):
        count = c.word(record, 2, I64)
        c.check_equal(c.call(frame, f"{name}_Size", I64, thing), count)
        _note_container(c, frame, thing)
        with c.loop(0, count, carried=[c.offset(record, 3, 8)]) as loop:
            item = c.call(frame, f"{name}_GetItem", POINTER, thing, loop.index)
            after = c.own("take", POINTER, item, loop.carried[0], frame, constant(I1, 1))
            c.check_some(after)
            loop.next(after)
        c.give(loop.results[0])


def _take_dict(c: EntryFunction, thing, record, frame) -> None:
    with c.case("dict"):
        _note_container(c, frame, thing)
        c.give(c.own("items", POINTER, thing, record, frame))
    with c.case("object"):
        _note_container(c, frame, thing)
        attributes = c.call(frame, "PyObject_GenericGetDict", POINTER, thing, NULL)
        c.branch_if(c.compare("ne", attributes, NULL), "has_attributes", "has_none")
    with c.case("has_attributes"):
        c.push(frame, "held", "held_count", attributes)
        c.give(c.own("items", POINTER, attributes, c.offset(record, 2, 8), frame))
    with c.case("has_none"):
        c.do(frame, "PyErr_Clear")
        c.branch("no")


def _items() -> str:
    """Check the keys and values of a dict; the record behind, or null."""
    c = EntryFunction("thing", "record", "frame")
    thing, record, frame = c.arguments
    count = c.word(record, 2, I64)
    c.check_equal(c.call(frame, "PyDict_Size", I64, thing), count)
    place, key, value = c.alloca(8, 8), c.alloca(8, 8), c.alloca(8, 8)
    c.store(i64(0), place)
    with c.loop(0, count, carried=[c.offset(record, 3, 8)]) as loop:
        c.check(c.nonzero(c.call(frame, "PyDict_Next", I32, thing, place, key, value)))
        wanted = c.word(loop.carried[0], 0)
        c.check(c.own("same_text", I1, frame, c.load(key, POINTER), wanted))
        inside = c.offset(loop.carried[0], 1, 8)
        item = c.load(value, POINTER)
        after = c.own("take", POINTER, item, inside, frame, constant(I1, 1))
        c.check_some(after)
        loop.next(after)
    c.give(loop.results[0])
    c.start_block("no")
    c.give(NULL)
    return c.text(POINTER, "items")


def _guards() -> str:
    """Check the guards, and take the captured values; whether all of them match."""
    c = EntryFunction("table", "frame")
    entry, frame = c.arguments
    count = c.head(entry, "guard_count", I64)
    after = Value("%after", POINTER)
    with c.loop(0, count, carried=[c.head(entry, "guards")]) as loop:
        guard = loop.carried[0]
        second = c.word(guard, 1)
        kinds = {
            "cell": table.CELL, "item": table.ITEM, "function": table.CHECK,
            "captured": table.CAPTURED,
        }  # fmt: skip
        c.switch(c.word(guard, 0, I64), kinds)
        arms = [_cell(c, guard, second), _item(c, frame, guard, second)]
        arms += [_function(c, frame, guard, second), _captured(c, frame, guard, second)]
        c.start_block("next")
        inside = ", ".join(f"[ {value.text}, %{block} ]" for value, block in arms)
        c.line(f"{after.text} = phi ptr {inside}")
        loop.next(after)
    c.give(constant(I1, 1))
    c.start_block("no")
    c.give(constant(I1, 0))
    return c.text(I1, "guards")


def _arm(c: EntryFunction, after: Value) -> tuple[Value, str]:
    block = c.block_name
    c.branch("next")
    return after, block


def _cell(c: EntryFunction, guard, cell) -> tuple[Value, str]:
    c.start_block("cell")
    c.check_equal(c.load(c.offset(cell, api.VALUE), POINTER), c.word(guard, 2))
    return _arm(c, c.offset(guard, 3, 8))


def _item(c: EntryFunction, frame, guard, dictionary) -> tuple[Value, str]:
    c.start_block("item")
    found = c.call(frame, "PyDict_GetItemWithError", POINTER, dictionary, c.word(guard, 2))
    c.check_equal(found, c.word(guard, 3))
    return _arm(c, c.offset(guard, 4, 8))


def _function(c: EntryFunction, frame, guard, function) -> tuple[Value, str]:
    c.start_block("function")
    found = c.call(frame, "PyObject_Vectorcall", POINTER, function, NULL, i64(0), NULL)
    c.branch_if(c.compare("ne", found, NULL), "answered", "raised")
    c.start_block("raised")
    c.do(frame, "PyErr_Clear")  # the slow way asks again
    c.branch("no")
    c.start_block("answered")
    c.do(frame, "Py_DecRef", found)
    c.check_equal(found, c.thing(frame, "True"))
    return _arm(c, c.offset(guard, 2, 8))


def _captured(c: EntryFunction, frame, guard, value) -> tuple[Value, str]:
    c.start_block("captured")
    after = c.own("take", POINTER, value, c.offset(guard, 2, 8), frame, constant(I1, 0))
    c.check_some(after)
    return _arm(c, after)


def _apart() -> str:
    """Whether no array that is written shares memory with another.

    Pairs are compared only where one was elsewhere in the last call; each array's address then is
    kept in the table. The GIL is held, and nothing here can release it.
    """
    c = EntryFunction("table", "frame")
    entry, frame = c.arguments
    extents, count = c.head(entry, "extents"), c.head(entry, "extent_count", I64)
    inputs = c.field(frame, "inputs")

    def extent(index: Value):
        record = c.at(extents, index, 32)
        start = c.load(c.at(inputs, c.word(record, 0, I64)), I64)
        end = c.binary("add", start, c.word(record, 1, I64))
        return record, start, end

    with c.loop(0, count) as loop:
        record, start, end = extent(loop.index)
        with c.if_(c.compare("ne", start, c.word(record, 3, I64))):
            with c.loop(0, count) as others:
                other, its_start, its_end = extent(others.index)
                written = c.binary("or", c.word(record, 2, I64), c.word(other, 2, I64))
                meet = c.binary(
                    "and", c.compare("ult", start, its_end), c.compare("ult", its_start, end)
                )
                is_other = c.compare("ne", loop.index, others.index)
                both = c.binary("and", meet, c.binary("and", is_other, c.nonzero(written)))
                c.check(c.compare("eq", both, constant(I1, 0)))
    with c.loop(0, count) as loop:  # only now: all of these were compared with each other
        record, start, _ = extent(loop.index)
        c.store(start, c.offset(record, 24))
    c.give(constant(I1, 1))
    c.start_block("no")
    c.give(constant(I1, 0))
    return c.text(I1, "apart")
