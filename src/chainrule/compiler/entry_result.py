"""The part of the entry's code that makes: memory for outputs, scalars, and trees of results."""

from __future__ import annotations

from chainrule.compiler import entry_api as api
from chainrule.compiler import entry_table as table
from chainrule.compiler.entry_function import (
    I1,
    I32,
    NULL,
    NUMBER_BYTES,
    EntryFunction,
    i64,
)
from chainrule.compiler.llvm.code import I64, POINTER, Value, constant


def making_functions() -> list[str]:
    """The texts of `outputs`, `scalars` and `build`."""
    return [_outputs(), _scalars(), _build()]


def _outputs() -> str:
    """Memory for the outputs; whether there was enough."""
    c = EntryFunction("table", "frame", "places", "scalars")
    entry, frame, places, scalars = c.arguments
    count = c.head(entry, "output_count", I64)
    after = Value("%after", POINTER)
    with c.loop(0, count, carried=[c.head(entry, "outputs")]) as loop:
        record = loop.carried[0]
        target, dtype, ndim = (c.word(record, i, t) for i, t in enumerate((I64, POINTER, I64)))
        shape = c.offset(record, 3, 8)
        c.branch_if(c.compare("sge", target, i64(0)), "in_place", "new")
        c.start_block("in_place")
        updated = c.load(c.at(c.field(frame, "inputs"), target), POINTER)
        c.branch("next")
        c.start_block("new")
        c.branch_if(c.compare("eq", ndim, i64(0)), "scalar", "array")
        c.start_block("scalar")
        number = c.at(scalars, loop.index, NUMBER_BYTES)
        c.branch("next")
        c.start_block("array")
        c.do(frame, "Py_IncRef", dtype)
        dims = c.convert("trunc", ndim, I32)
        kind = c.thing(frame, "ndarray")
        zero = constant(I32, 0)
        operands = (kind, dtype, dims, shape, NULL, NULL, zero, NULL)
        made = c.call(frame, "PyArray_NewFromDescr", POINTER, *operands)
        c.check_some(made)
        c.store(made, c.at(c.field(frame, "made"), loop.index), 8)
        data = c.load(c.offset(made, api.DATA), POINTER)
        c.branch("next")
        arms = [(updated, "in_place"), (number, "scalar"), (data, c.block_name)]
        c.start_block("next")
        inside = ", ".join(f"[ {value.text}, %{name} ]" for value, name in arms)
        c.line(f"{after.text} = phi ptr {inside}")
        c.store(after, c.at(places, loop.index), 8)
        loop.next(c.at(shape, ndim))
    c.give(constant(I1, 1))
    c.start_block("no")
    c.give(constant(I1, 0))
    return c.text(I1, "outputs")


def _scalars() -> str:
    """Objects of the outputs that are numbers; whether there was memory."""
    c = EntryFunction("table", "frame", "scalars")
    entry, frame, scalars = c.arguments
    with c.loop(0, c.head(entry, "output_count", I64), carried=[c.head(entry, "outputs")]) as loop:
        record = loop.carried[0]
        ndim = c.word(record, 2, I64)
        new = c.compare("slt", c.word(record, 0, I64), i64(0))
        with c.if_(c.binary("and", new, c.compare("eq", ndim, i64(0)))):
            number = c.at(scalars, loop.index, NUMBER_BYTES)
            made = c.call(frame, "PyArray_Scalar", POINTER, number, c.word(record, 1), NULL)
            c.check_some(made)
            c.store(made, c.at(c.field(frame, "made"), loop.index), 8)
        loop.next(c.at(c.offset(record, 3, 8), ndim))
    c.give(constant(I1, 1))
    c.start_block("no")
    c.give(constant(I1, 0))
    return c.text(I1, "scalars")


def _build() -> str:
    """A new reference to a result, by its record, or null with an exception set.

    The frame's `record` is where it is read, and then behind it.
    """
    c = EntryFunction("frame")
    (frame,) = c.arguments
    record = c.field(frame, "record")
    made = c.alloca(8, 8)
    c.store(NULL, made)
    second = c.word(record, 1)
    c.set_field(frame, "record", c.offset(record, 2, 8))
    kinds = {
        "output": table.OUTPUT, "argument": table.ARGUMENT, "container": table.CONTAINER,
        "same": table.SAME, "tuple": table.TUPLE, "list": table.LIST, "call": table.CALL,
        "dict": table.DICT,
    }  # fmt: skip
    c.switch(c.word(record, 0, I64), kinds)
    for name, base in (("output", "made"), ("argument", "objects"), ("container", "containers")):
        with c.case(name):
            number = c.word(record, 1, I64)
            found = c.load(c.at(c.field(frame, base), number), POINTER)
            c.do(frame, "Py_IncRef", found)
            c.give(found)
    with c.case("same"):
        c.do(frame, "Py_IncRef", second)
        c.give(second)
    for name in ("tuple", "list"):
        _build_sequence(c, name, record, frame, made)
    _build_call(c, second, frame)
    _build_dict(c, record, frame, made)
    c.start_block("no")  # what was begun goes, if anything was
    begun = c.load(made, POINTER)
    with c.if_(c.compare("ne", begun, NULL)):
        c.do(frame, "Py_DecRef", begun)
    c.give(NULL)
    return c.text(POINTER, "build")


def _begin(c: EntryFunction, frame, made, name: str, *operands: Value) -> Value:
    new = c.call(frame, name, POINTER, *operands)
    c.check_some(new)
    c.store(new, made)
    return new


def _build_sequence(c: EntryFunction, name: str, record, frame, made) -> None:
    kind = f"Py{name.capitalize()}"
    with c.case(name):
        count = c.word(record, 1, I64)
        new = _begin(c, frame, made, f"{kind}_New", count)
        with c.loop(0, count) as loop:
            item = c.own("build", POINTER, frame)
            c.check_some(item)
            c.call(frame, f"{kind}_SetItem", I32, new, loop.index, item)  # takes the reference
        c.give(new)


def _build_call(c: EntryFunction, function, frame) -> None:
    with c.case("call"):
        items = c.own("build", POINTER, frame)
        c.check_some(items)
        found = c.call(frame, "PyObject_Call", POINTER, function, items, NULL)
        c.do(frame, "Py_DecRef", items)
        c.give(found)


def _build_dict(c: EntryFunction, record, frame, made) -> None:
    with c.case("dict"):
        new = _begin(c, frame, made, "PyDict_New")
        with c.loop(0, c.word(record, 1, I64)):
            place = c.field(frame, "record")
            c.set_field(frame, "record", c.offset(place, 1, 8))
            item = c.own("build", POINTER, frame)
            c.check_some(item)
            failed = c.call(frame, "PyDict_SetItem", I32, new, c.word(place, 0), item)
            c.do(frame, "Py_DecRef", item)
            c.check_equal(failed, constant(I32, 0))
        c.give(new)
