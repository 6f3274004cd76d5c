"""Reading a printed program back: `parse(program.text()) == program`.

The grammar is the one that `text.py` prints. Indentation is free: sub-programs follow the equation
that holds them, and `return` ends a program. Lines become comments' text; captured arrays, which
have no printed value, are captured variables without a value.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from chainrule import errors
from chainrule.program.op import REGISTRY
from chainrule.program.program import Equation, Literal, Program, Var
from chainrule.program.text import parse_literal
from chainrule.program.types import Type, dtype_named, parse_type

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<type>(?:bool|[iufc]\d+)\[[\d,]*\])
    | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<mark>->|[(){},=:])
    | (?P<word>[-+.\w]+(?::[iufc]\d+)?)
    )""",
    re.VERBOSE,
)
_COMMENT = re.compile(r"\s*(?:#\s?(?P<text>.*))?$")
_LITERAL = re.compile(r"[-+.\d]|(?:True|False|inf|nan)\b")
_WORDS = {"True": True, "False": False, "None": None}


def parse(text: str) -> Program:
    """The program that was printed as `text`.

    **Errors** `ParseError` with the number of the line that is no part of a printed program.
    """
    reader = _Reader(text)
    program = reader.program()
    if reader.more():
        raise reader.line().error("the program has ended here")
    return program


class _Reader:
    """The lines of the text that are not empty, in order."""

    def __init__(self, text: str):
        numbered = enumerate(text.splitlines(), start=1)
        lines = [(n, s) for n, s in numbered if s.strip() and not s.lstrip().startswith("#")]
        self._lines = lines
        self._next = 0

    def more(self) -> bool:
        return self._next < len(self._lines)

    def line(self) -> _Line:
        """The next line; the last one where the text has ended."""
        if not self.more():
            where = self._lines[-1] if self._lines else (1, "")
            raise _Line(*where).error("the program has no end: a `return` line is missing")
        self._next += 1
        return _Line(*self._lines[self._next - 1])

    def program(self) -> Program:
        """A whole program, from its head to its `return` line."""
        head = self.line()
        scope = _Scope()
        name, inputs, results = head.program_head(scope)
        captured: list[Var] = []
        equations: list[Equation] = []
        while True:
            line = self.line()
            if line.starts_with("return"):
                outputs = line.operands(scope)
                break
            if line.starts_with("captured"):
                captured.append(line.typed_name(scope))
                line.end()
            else:
                equations.append(self._equation(line, scope))
        if [o.type for o in outputs] != results:
            raise head.error(f"the outputs are {', '.join(repr(o.type) for o in outputs)}")
        return Program(inputs, equations, outputs, captured, (None,) * len(captured), name)

    def _equation(self, line: _Line, scope: _Scope) -> Equation:
        names = line.names()
        op = line.operation()
        operands, params, blocks = line.arguments(scope)
        types = line.types()
        if len(types) != len(names):
            raise line.error(f"{len(names)} names on the left, {len(types)} types on the right")
        where = line.end()
        programs = [self.program() for _ in range(blocks)]
        params = {name: value(programs) for name, value in params.items()}
        outputs = tuple(scope.define(n, t, line) for n, t in zip(names, types, strict=True))
        return Equation(op, tuple(operands), params, outputs, where)


class _Scope:
    """The variables of one program by their printed names."""

    def __init__(self) -> None:
        self._vars: dict[str, Var] = {}

    def define(self, name: str, type_: Type, line: _Line) -> Var:
        if name in self._vars:
            raise line.error(f"{name!r} is assigned twice")
        made = self._vars[name] = Var(type_, name)
        return made

    def operand(self, word: str, line: _Line):
        if _LITERAL.match(word):
            try:
                return Literal(parse_literal(word))
            except (ValueError, KeyError, OverflowError):
                raise line.error(f"{word!r} is no number") from None
        if word not in self._vars:
            raise line.error(f"{word!r} is not defined above")
        return self._vars[word]


class _Line:
    """One line, read from left to right."""

    def __init__(self, number: int, text: str):
        self.number, self.text = number, text
        self._at = 0

    def error(self, what: str) -> errors.ParseError:
        return errors.ParseError(f"line {self.number}: {what}, in\n  {self.text.strip()}")

    def _peek(self) -> re.Match | None:
        return _TOKEN.match(self.text, self._at)

    def _take(self, kind: str, exact: str | None = None) -> str:
        """The next token, which must be of this kind (and exactly this text)."""
        found = self._peek()
        token = found.group(kind) if found is not None else None
        if found is None or token is None or (exact is not None and token != exact):
            rest = self.text[self._at :].strip()
            got = f"got {rest!r}" if rest else "the line ends"
            raise self.error(f"{exact or f'a {kind}'} is needed here, {got}")
        self._at = found.end()
        return token

    def _next_is(self, kind: str, exact: str | None = None) -> bool:
        found = self._peek()
        token = found.group(kind) if found is not None else None
        return token is not None and (exact is None or token == exact)

    def starts_with(self, word: str) -> bool:
        """Whether the line starts with this word, which is then read."""
        found = self._next_is("word", word)
        if found:
            self._take("word")
        return found

    def end(self) -> str | None:
        """The comment at the end of the line: the user's file and line."""
        found = _COMMENT.match(self.text, self._at)
        if found is None:
            raise self.error(f"cannot read {self.text[self._at :].strip()!r}")
        return found.group("text")

    def program_head(self, scope: _Scope) -> tuple[str, list[Var], list[Type]]:
        found = re.match(r"\s*program\s+([^\s(]+)\(", self.text)
        if found is None:
            raise self.error("a program starts with `program name(inputs) -> types`")
        self._at = found.end()
        inputs = []
        while not self._next_is("mark", ")"):
            inputs.append(self.typed_name(scope))
            if not self._next_is("mark", ")"):
                self._take("mark", ",")
        self._take("mark", ")")
        self._take("mark", "->")
        results = self._type_list() if self._next_is("type") else []
        self.end()
        return found.group(1), inputs, results

    def typed_name(self, scope: _Scope) -> Var:
        name = self._take("word")
        self._take("mark", ":")
        return scope.define(name, self._type(), self)

    def _type(self) -> Type:
        word = self._take("type")
        try:
            return parse_type(word)
        except KeyError:
            raise self.error(f"{word!r} is no type") from None

    def _type_list(self) -> list[Type]:
        types = [self._type()]
        while self._next_is("mark", ","):
            self._take("mark")
            types.append(self._type())
        return types

    def types(self) -> list[Type]:
        """The types after the colon."""
        self._take("mark", ":")
        return self._type_list()

    def names(self) -> list[str]:
        """The names on the left of an equation."""
        names = [self._take("word")]
        while self._next_is("mark", ","):
            self._take("mark")
            names.append(self._take("word"))
        self._take("mark", "=")
        return names

    def operation(self):
        name = self._take("word")
        if name not in REGISTRY:
            raise self.error(f"there is no operation {name!r}")
        return REGISTRY[name]

    def operands(self, scope: _Scope) -> list:
        """The operands of a `return` line."""
        found = []
        while self._next_is("word"):
            found.append(scope.operand(self._take("word"), self))
            if not self._next_is("mark", ","):
                break
            self._take("mark")
        self.end()
        return found

    def arguments(self, scope: _Scope) -> tuple[list, dict[str, Callable], int]:
        """Operands, then params (functions of the sub-programs), and how many of these follow."""
        operands: list = []
        params: dict[str, Callable] = {}
        blocks: list[int] = []
        while self._next_is("word"):
            word = self._take("word")
            if self._next_is("mark", "="):
                self._take("mark")
                params[word] = self._param(blocks)
            elif params:
                raise self.error(f"operands stand before params, got {word!r}")
            else:
                operands.append(scope.operand(word, self))
        if sorted(blocks) != list(range(1, len(blocks) + 1)):
            raise self.error(f"sub-programs are numbered 1, 2, ..., got {blocks}")
        return operands, params, len(blocks)

    def _param(self, blocks: list[int]) -> Callable[[list[Program]], Any]:
        if self._next_is("mark", "{"):
            self._take("mark")
            number = self._integer(self._take("word"))
            self._take("mark", "}")
            blocks.append(number)
            return lambda programs: programs[number - 1]
        if self._next_is("mark", "("):
            return self._tuple(blocks)
        if self._next_is("string"):
            value = ast.literal_eval(self._take("string"))
        else:
            value = self._plain(self._take("word"))
        return lambda programs: value

    def _tuple(self, blocks: list[int]) -> Callable[[list[Program]], tuple]:
        self._take("mark", "(")
        items = []
        while not self._next_is("mark", ")"):
            items.append(self._param(blocks))
            if not self._next_is("mark", ")"):
                self._take("mark", ",")
        self._take("mark", ")")
        return lambda programs: tuple([item(programs) for item in items])

    def _integer(self, word: str) -> int:
        if not word.isdigit():
            raise self.error(f"{word!r} is no number of a sub-program")
        return int(word)

    def _plain(self, word: str):
        """A Python constant, a number or a dtype."""
        if word in _WORDS:
            return _WORDS[word]
        for read in (int, float, complex, dtype_named):
            try:
                return read(word)
            except (ValueError, KeyError):
                continue
        raise self.error(f"{word!r} is no value of a param")
