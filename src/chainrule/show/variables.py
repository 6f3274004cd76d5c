"""The names of variables in printed source: the user's own, letters, and d_x for derivatives."""

from __future__ import annotations

import keyword
from collections.abc import Iterator

from chainrule.program.cost import subprograms
from chainrule.program.names import Name
from chainrule.program.program import Program, Var
from chainrule.show.user_names import LETTERS

NEVER = {"np", "scipy", *keyword.kwlist, *keyword.softkwlist}
_USED_BUILTINS = {"range", "reversed", "zip", "len", "tuple", "complex"}


class Names:
    """Distinct names, given as they are asked for. `taken` names are in use already."""

    def __init__(self, program: Program, taken: set[str]):
        variables = list(_variables(program))
        self.taken = {*NEVER, *_USED_BUILTINS, *taken}
        self._tries: dict[str, int] = {}
        self._temporaries = 0
        self._shown: dict[int, str] = {}  # identity of a Name -> what it is shown as
        self._wishes = {str(v.name) for v in variables if v.name and not _is_letter(v.name)}
        self._letters = _unused_letters(self)
        derivatives = [name for v in variables if (name := _as_derivative(v.name)) is not None]
        self._bases = {id(name.of) for name in derivatives}
        self._shared = {id(other) for name in derivatives for other in name.also}

    def keeps_statement(self, var: Var, minor: bool = False) -> bool:
        """Whether a variable has a line of its own: the user named it, or its derivative appears.

        The value of a `minor` operation has one only if its derivative is its own.
        """
        name = var.name
        if name is None:
            return False
        if type(name) is not Name or name.of is not None or not name.temporary:
            return True
        return id(name) in self._bases or (not minor and id(name) in self._shared)

    @property
    def of_the_user(self) -> set[str]:
        """All names that are not letters."""
        return self._wishes

    def is_the_users_alone(self, var: Var) -> bool:
        """Whether the user named a variable, and no derivative is named after it."""
        name = var.name
        if type(name) is not Name or name.of is not None or name.temporary:
            return False
        return id(name) not in self._bases and id(name) not in self._shared

    def shared_by(self, var: Var) -> list[str]:
        """What other values have this derivative: `d_c` and so on, where they are shown."""
        name = _as_derivative(var.name)
        if name is None:
            return []
        shown = [self._shown[id(other)] for other in name.also if id(other) in self._shown]
        return [f"d_{text}" for text in shown]

    def bind(self, var: Var, text: str) -> None:
        """Note that a variable is shown as a text that is given elsewhere, such as a parameter."""
        if var.name:
            self._shown.setdefault(id(var.name), text)

    def of(self, var: Var) -> str:
        """A new name for a variable."""
        return self.new(self._wish(var.name))

    def new(self, wish: str) -> str:
        """A new name: the wish itself, or with a number behind it."""
        found, tries = wish, self._tries.get(wish, 1)
        while found in self.taken:
            tries += 1
            found = f"{wish}_{tries}"
        self.taken.add(found)
        self._tries[wish] = tries
        return found

    def show(self, var: Var, text: str) -> None:
        """Note what a variable is called, for the names of its derivatives."""
        if type(var.name) is Name:
            self._shown.setdefault(id(var.name), text)

    def _wish(self, name: str | None) -> str:
        if name is None:
            return self._temporary()
        if type(name) is Name and name.of is not None:
            return f"d_{self._text(name.of)}"
        if _is_letter(name):
            return next(self._letters)
        return str(name)

    def _text(self, name: str) -> str:
        """What the name of a value is shown as, also where the value itself is not shown."""
        found = self._shown.get(id(name))
        if found is None:
            found = self._wish(name)
            if type(name) is Name:
                self._shown[id(name)] = found
        return found

    def _temporary(self) -> str:
        while True:
            self._temporaries += 1
            found = f"t{self._temporaries}"
            if found not in self.taken and found not in self._wishes:
                return found


def _variables(program: Program) -> Iterator[Var]:
    """All variables of a program and of the programs inside it."""
    yield from program.inputs
    for equation in program.equations:
        yield from equation.outputs
        for _, inner in subprograms(equation):
            yield from _variables(inner)


def _as_derivative(name) -> Name | None:
    return name if type(name) is Name and name.of is not None else None


def _is_letter(name) -> bool:
    """Whether a name is a letter given to a part of an expression (perhaps with a number)."""
    is_part = type(name) is Name and name.temporary
    return is_part and name[0] in LETTERS and not name[1:].strip("0123456789")


def _unused_letters(names: Names) -> Iterator[str]:
    number = 0
    while True:
        for letter in LETTERS:
            found = f"{letter}{number or ''}"
            if found not in names.taken and found not in names._wishes:
                yield found
        number += 1
