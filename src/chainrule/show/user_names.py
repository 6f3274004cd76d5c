"""The names that the user's own source gives to the values of a program.

An equation remembers the instruction of the user's code that recorded it. Its position in the file
is that of an expression; where the expression is the right side of an assignment, the value has the
name of the target. What has no name in the file is a part of an expression: it gets a letter.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from types import CodeType
from typing import NamedTuple

from chainrule.program.names import Name
from chainrule.program.program import Equation, Program

Span = tuple[int, int, int, int]  # first line, last line, first column, end column (in bytes)

LETTERS = "abcefghjkmnpqrstuvwz"  # without d (a derivative's prefix), i, l, o, x and y


class Target(NamedTuple):
    """What the value of an expression is assigned to; `returned`: the function that returns it."""

    names: tuple[str | None, ...]  # several where it is unpacked
    written: bool = False  # the expression is the place written to: x[i] = value
    returned: bool = False


class NamedLine(tuple):
    """The line of an equation whose variables have been named; derived equations inherit it."""


def name_values(program: Program) -> None:
    """Give every variable that an equation makes its name in the user's file, or a letter."""
    taken = {v.name for v in program.inputs if v.name}
    letters = (x for x in _letters() if x not in taken)
    fresh = [e for e in program.equations if type(e.line) is tuple]
    for _, run in groupby(fresh, key=lambda e: (id(e.line[0]), span_of(*e.line))):
        equations = list(run)
        target = _target(*equations[0].line)
        if target is not None and target.returned and target.names in ((program.name,), (None,)):
            target = Target(("result",), returned=True)
        for equations_of_one in _repetitions(equations, target):
            _name_run(equations_of_one, target, letters)
    for equation in fresh:
        equation.line = NamedLine(equation.line)


def _letters() -> Iterator[str]:
    yield from LETTERS
    number = 1
    while True:
        for letter in LETTERS:
            yield f"{letter}{number}"
        number += 1


def _repetitions(equations: list[Equation], target) -> Iterator[list[Equation]]:
    """The equations of one instruction, run in a loop: one list for each time it was run."""
    ops = [e.op for e in equations]
    count = len(ops)
    unpacked = len(target.names) if target is not None and _only_reads(equations) else 1
    period = next(
        p for p in range(unpacked, count + 1)
        if count % p == 0 and (p == count or ops[p:] == ops[:-p])
    ) if count >= unpacked else count  # fmt: skip
    for start in range(0, count, period):
        yield equations[start : start + period]


def _name_run(equations: list[Equation], target: Target | None, letters) -> None:
    last = equations[-1]
    if target is not None and not (target.written and last.op.name == "index"):
        names: tuple[str | None, ...] = target.names
        if len(names) == len(last.outputs):
            for var, name in zip(last.outputs, names, strict=True):
                if name and var.name is None:
                    var.name = Name(name, temporary=target.returned)
        elif _only_reads(equations) and len(equations) == len(names):
            for equation, name in zip(equations, names, strict=True):
                equation.outputs[0].name = Name(name) if name else None
    for equation in equations:
        for var in equation.outputs:
            if var.name is None:
                var.name = Name(next(letters), temporary=True)


def _only_reads(equations: list[Equation]) -> bool:
    return all(e.op.name == "index" for e in equations)


def _target(code: CodeType, instruction: int) -> Target | None:
    span = span_of(code, instruction)
    return None if span is None else _targets(code.co_filename).get(span)


def span_of(code: CodeType, instruction: int) -> Span | None:
    """Where the expression of an instruction stands in its file.

    (Python may run one instruction from several places, once it has specialised it.)
    """
    found = _positions(id(code), code)[instruction // 2]
    return None if any(n is None for n in found) else found


@lru_cache(maxsize=512)
def _positions(identity: int, code: CodeType) -> list:
    return list(code.co_positions())


def _targets(filename: str) -> dict[Span, Target]:
    linecache.checkcache(filename)
    return _targets_in("".join(linecache.getlines(filename)))


@lru_cache(maxsize=64)
def _targets_in(text: str) -> dict[Span, Target]:
    """What every assigned expression of a file is assigned to, by its position."""
    found: dict[Span, Target] = {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return found
    lambda_names = {
        node.value: _names(node.targets[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if node.value is not None:
                _enter(found, node.value, Target(_value_names(targets[0])))
            for target in targets:
                _enter_written(found, target)
        elif isinstance(node, ast.AugAssign):
            _enter(found, node, Target(_value_names(node.target)))
            _enter_written(found, node.target)
        elif isinstance(node, ast.For | ast.comprehension):
            _enter(found, node.iter, Target(_names(node.target)))
            if isinstance(node, ast.For):  # where Python 3.11 says that the next item is made
                _enter(found, node, Target(_names(node.target)))
        elif isinstance(node, ast.Lambda):
            _enter(found, node.body, Target(lambda_names.get(node, (None,)), returned=True))
        elif isinstance(node, ast.FunctionDef):
            for value in _returned(node):
                _enter(found, value, Target((node.name,), returned=True))
    return found


def _enter(found: dict, node, target: Target) -> None:
    if isinstance(node, ast.IfExp):
        _enter(found, node.body, target)
        _enter(found, node.orelse, target)
    found[node.lineno, node.end_lineno, node.col_offset, node.end_col_offset] = target
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        last = node.func.end_lineno  # a method call over several lines starts at the method's name
        if last is not None and last != node.lineno:
            start = (node.func.end_col_offset or 0) - len(node.func.attr.encode())
            found[last, node.end_lineno, start, node.end_col_offset] = target


def _enter_written(found: dict, target) -> None:
    if isinstance(target, ast.Subscript):
        _enter(found, target, Target(_names(target.value), written=True))
    elif isinstance(target, ast.Tuple | ast.List):
        _enter(found, target, Target(_names(target)))


def _returned(function: ast.FunctionDef) -> Iterator[ast.expr]:
    """The expressions that a function itself returns (functions inside it excepted)."""
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Return) and node.value is not None:
            yield node.value
        pending.extend(ast.iter_child_nodes(node))


def _names(target) -> tuple[str | None, ...]:
    if isinstance(target, ast.Tuple | ast.List):
        return tuple(_name(item) for item in target.elts)
    return (_name(target),)


def _value_names(target) -> tuple[str | None, ...]:
    """The names of an assigned value: none where it becomes a part of something, x[0] = value."""
    if isinstance(target, ast.Subscript) and not _is_word(target.slice):
        return (None,)
    return _names(target)


def _is_word(key) -> bool:
    is_text = isinstance(key, ast.Constant) and isinstance(key.value, str)
    return is_text and key.value.isidentifier()


def _name(target) -> str | None:
    """The last word of a target: x, self.x and params["x"] are all x; x[0] is x too."""
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Attribute):
        return target.attr
    if isinstance(target, ast.Starred):
        return _name(target.value)
    if isinstance(target, ast.Subscript):
        key = target.slice
        if isinstance(key, ast.Constant) and _is_word(key):
            return str(key.value)
        return _name(target.value)
    return None
