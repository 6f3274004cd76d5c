"""The printed form of programs: typed, stable, with the user's line beside each equation.

    program f(x: f64[]) -> f64[]
      a = multiply -2.0 x                    : f64[]   # model.py:12
      b = exp a                              : f64[]   # model.py:12
      return b

An equation is `outputs = operation operands params : types # line`. Sub-programs follow the
equation that holds them, indented; its params name them by number, `test={1} body={2}`. Literals
carry their dtype where it is not a default one (`0.5:f32`). `parse.py` reads the same form back.

Printing only reads attributes, so this file imports none of the classes that it prints.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from types import CodeType

import numpy as np

from chainrule.program.types import dtype_name, dtype_named

_DEFAULT_LITERALS = ("float64", "int64", "bool", "complex128")
_RESERVED = ("inf", "nan", "program", "captured", "return")  # never names of variables


def line_text(line) -> str:
    """`file.py:12` for a recorded line (a code object and an instruction offset), or for text."""
    if line is None:
        return ""
    if isinstance(line, str):
        return line
    code, instruction = line
    return f"{os.path.basename(code.co_filename)}:{line_number(code, instruction)}"


def line_number(code: CodeType, instruction: int) -> int:
    """The line number of an instruction of a code object."""
    return _line_table(code)[instruction // 2] or code.co_firstlineno


@lru_cache(maxsize=512)
def _table_by_id(identity: int, code: CodeType) -> list[int | None]:
    return [start for start, *_ in code.co_positions()]


def _line_table(code: CodeType) -> list[int | None]:
    return _table_by_id(id(code), code)


def letters() -> Iterator[str]:
    """a, b, ..., z, a1, b1, ...: names for variables, in order."""
    for round_ in count():
        for letter in "abcdefghijklmnopqrstuvwxyz":
            yield letter if round_ == 0 else f"{letter}{round_}"


def variable_names(program) -> dict:
    """A distinct name for every variable of a program: its own wish where it has one."""
    names: dict = {}
    taken: set[str] = set(_RESERVED)
    wished = list(program.captured) + list(program.inputs)
    for var in wished:
        names[var] = _free_name(var.name, taken) if var.name else None
    made = [v for equation in program.equations for v in equation.outputs]
    for var in made:
        names[var] = _free_name(var.name, taken) if var.name else None
    fresh = (name for name in letters() if name not in taken)
    for var in wished + made:
        if names[var] is None:
            names[var] = next(fresh)
    return names


def _free_name(wish: str, taken: set[str]) -> str:
    name, tries = wish, 1
    while name in taken:
        tries += 1
        name = f"{wish}_{tries}"
    taken.add(name)
    return name


def format_literal(value: np.generic) -> str:
    """A scalar as printed in a program: `-2.0`; with its dtype where it is not a default one.

    The few that have no such spelling (a nan with a sign) are printed as their bytes, `0x...:f64`.
    """
    default = value.dtype.name in _DEFAULT_LITERALS
    short = repr(value.item()) if default else str(value)
    suffix = "" if default else f":{dtype_name(value.dtype)}"
    text = short.replace("(", "").replace(")", "") + suffix
    if parse_literal(text).tobytes() == value.tobytes():
        return text
    return f"0x{value.tobytes().hex()}:{dtype_name(value.dtype)}"


def parse_literal(text: str) -> np.generic:
    """The scalar that `format_literal` printed; ValueError or KeyError where it is none."""
    number, _, name = text.partition(":")
    dtype = dtype_named(name or _default_dtype(number))
    if number.startswith("0x"):
        return np.frombuffer(bytes.fromhex(number[2:]), dtype)[0]
    if dtype.kind == "b":
        return np.bool_({"True": True, "False": False}[number])
    if dtype.kind in "iu":
        return dtype.type(int(number))
    return dtype.type(complex(number) if dtype.kind == "c" else float(number))


def _default_dtype(number: str) -> str:
    if number in ("True", "False"):
        return "bool"
    if number.endswith("j"):
        return "c128"
    return "f64" if any(c in number for c in ".en") else "i64"


def format_param(value, blocks: list) -> str:
    """One parameter of an equation; its sub-programs are appended to `blocks`, and named `{1}`."""
    if isinstance(value, np.dtype):
        return dtype_name(value)
    if isinstance(value, tuple):
        inside = ",".join(format_param(item, blocks) for item in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if hasattr(value, "equations"):
        blocks.append(value)
        return f"{{{len(blocks)}}}"
    return repr(value.item() if isinstance(value, np.generic) else value)


def format_program(program, indent: str = "") -> str:
    """The whole program as text."""
    names = variable_names(program)
    head = ", ".join(f"{names[v]}: {v.type}" for v in program.inputs)
    results = ", ".join(repr(o.type) for o in program.outputs)
    lines = [f"{indent}program {program.name}({head}) -> {results}".rstrip()]
    lines += [f"{indent}  captured {names[v]}: {v.type}" for v in program.captured]
    for equation in program.equations:
        blocks: list = []
        lines.append(equation_text(equation, names, indent + "  ", blocks))
        lines += [format_program(block, indent + "    ") for block in blocks]
    returned = ", ".join(_operand_text(o, names) for o in program.outputs)
    lines.append(f"{indent}  return {returned}".rstrip())
    return "\n".join(lines)


def equation_text(equation, names: dict, indent: str = "", blocks: list | None = None) -> str:
    """One equation as a line of text; its sub-programs are appended to `blocks`."""
    blocks = [] if blocks is None else blocks
    left = ", ".join(names[v] for v in equation.outputs)
    words = [equation.op.name, *(_operand_text(x, names) for x in equation.inputs)]
    words += [f"{name}={format_param(v, blocks)}" for name, v in equation.params.items()]
    types = ", ".join(repr(v.type) for v in equation.outputs)
    where = line_text(equation.line)
    text = f"{indent}{left} = {' '.join(words)}"
    return f"{text:<40} : {types}" + (f"   # {where}" if where else "")


def _operand_text(operand, names: dict) -> str:
    if getattr(operand, "is_literal", False):
        return format_literal(operand.value)
    return names.get(operand, "?")  # "?" only in reports about programs that are not valid
