"""The printed form of programs: typed, stable, with the user's line beside each equation.

Printing only reads attributes, so this file imports none of the classes that it prints.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from types import CodeType

import numpy as np

from chainrule.program.types import dtype_name

_DEFAULT_LITERALS = ("float64", "int64", "bool", "complex128")


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
    taken: set[str] = set()
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
    """A scalar as printed in a program: `-2.0`; with its dtype where it is not a default one."""
    plain = repr(value.item()).replace("(", "").replace(")", "")
    return plain if value.dtype.name in _DEFAULT_LITERALS else f"{plain}:{dtype_name(value.dtype)}"


def format_param(value) -> str:
    """One parameter of an equation; sub-programs are printed by the caller, in braces."""
    if isinstance(value, np.dtype):
        return dtype_name(value)
    if isinstance(value, tuple):
        inside = ",".join(format_param(item) for item in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return repr(value)


def format_program(program, indent: str = "") -> str:
    """The whole program as text."""
    names = variable_names(program)

    def show(operand) -> str:
        return format_literal(operand.value) if operand.is_literal else names[operand]

    head = ", ".join(f"{names[v]}: {v.type}" for v in program.inputs)
    results = ", ".join(repr(o.type) for o in program.outputs)
    lines = [f"{indent}program {program.name}({head}) -> {results}"]
    lines += [f"{indent}  captured {names[v]}: {v.type}" for v in program.captured]
    for equation in program.equations:
        lines += _equation_lines(equation, names, show, indent + "  ")
    lines.append(f"{indent}  return {', '.join(show(o) for o in program.outputs)}".rstrip())
    return "\n".join(lines)


def _equation_lines(equation, names, show, indent: str) -> list[str]:
    left = ", ".join(names[v] for v in equation.outputs)
    words = [equation.op.name, *map(show, equation.inputs)]
    blocks: list[str] = []
    for name, value in equation.params.items():
        programs = _programs_in(value)
        if programs is None:
            words.append(f"{name}={format_param(value)}")
            continue
        words.append(f"{name}={{{len(programs)}}}")
        blocks += [format_program(program, indent + "  ") for program in programs]
    types = ", ".join(repr(v.type) for v in equation.outputs)
    text = f"{indent}{left} = {' '.join(words)}"
    where = line_text(equation.line)
    first = f"{text:<40} : {types}" + (f"   # {where}" if where else "")
    return [first, *blocks]


def _programs_in(value):
    """The sub-programs of one param, or None where it is plain data."""
    if hasattr(value, "equations"):
        return [value]
    if isinstance(value, tuple) and value and all(hasattr(item, "equations") for item in value):
        return list(value)
    return None
