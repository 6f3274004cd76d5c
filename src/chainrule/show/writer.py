"""Writes the equations of a program as Python statements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import chainrule.show.matrix_forms  # noqa: F401  (rows of the table of forms)
from chainrule import errors
from chainrule.program.names import Name
from chainrule.program.op import Structural
from chainrule.program.program import Equation, Literal, Operand, Program, Var
from chainrule.show.array_forms import broadcast_axes, filled
from chainrule.show.control_flow import write_control_flow
from chainrule.show.definitions import Definitions
from chainrule.show.forms import Use, form_of
from chainrule.show.fragments import (
    WIDTH,
    Fragment,
    call,
    index_text,
    number,
    scalar,
    typed_number,
    wrapped,
)
from chainrule.show.memory_order import Layouts
from chainrule.show.reading import Reading
from chainrule.show.tidy import tidy
from chainrule.show.variables import Names

LONGEST_INSIDE = 64  # a longer expression gets a line of its own
LONGEST_RESULT = 84  # of one that is returned
SHORT = 16  # a shorter one never does


class Writer:
    """The statements of one function. Blocks of control flow are written into it in place.

    `own` are the names of the function and its parameters; no variable is named as in `taken`.
    """

    def __init__(self, program: Program, own: set[str], taken: set[str]):
        self.lines: list[str] = []
        self.names = Names(program, taken)
        self.definitions = Definitions(own | self.names.of_the_user)
        self.layouts = Layouts()
        self.steps: list[tuple[int, Var | None]] = []  # first line of each step of the program
        self._indices: list[str] = []  # of loops, outermost first
        self._depth = 0
        self._indent = "    "

    def line(self, text: str) -> None:
        """Write one statement, in several lines where it is long."""
        self.lines += wrapped(text, self._indent)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """A compound statement: `head` and, indented, what is written inside."""
        self.line(head)
        before, self._indent = self._indent, self._indent + "    "
        start = len(self.lines)
        yield
        if len(self.lines) == start:
            self.line("pass")
        self._indent = before

    @contextmanager
    def loop(self) -> Iterator[str]:
        """The name of a loop's index: i, inside it j, and so on."""
        if self._depth == len(self._indices):
            self._indices.append(self.names.new("ijk"[min(self._depth, 2)]))
        self._depth += 1
        yield self._indices[self._depth - 1]
        self._depth -= 1

    def assign(self, var: Var, value: str, wish: str | None = None) -> Fragment:
        """Give a variable a value; returns its name."""
        name = wish or self.names.of(var)
        self.names.show(var, name)
        shared = self.names.shared_by(var)
        note = f"  # also {', '.join(shared[:3])}{', ...' if shared[3:] else ''}" if shared else ""
        text = f"{name} = {value}"
        self.line(text + note if len(self._indent + text + note) <= WIDTH else text)
        return Fragment(name)

    def body(
        self, program: Program, inputs: Sequence[Fragment | Literal], donated: tuple[int, ...] = (),
        outermost: bool = False,
    ) -> Body:  # fmt: skip
        """The text of a closed program whose inputs are these names, or numbers."""
        pairs = list(zip(program.inputs, inputs, strict=True))
        numbers = {v: x for v, x in pairs if isinstance(x, Literal)}
        named: dict[Operand, Fragment] = {v: x for v, x in pairs if isinstance(x, Fragment)}
        return Body(self, tidy(program, donated, numbers), named, donated, outermost)


class Body:
    """The text of one program: after `write`, `outputs` are its results."""

    def __init__(
        self, writer: Writer, program: Program, inputs: dict[Operand, Fragment], donated,
        outermost: bool,
    ):  # fmt: skip
        self.writer, self.program, self.outermost = writer, program, outermost
        self.reading = Reading(program, donated, writer.names)
        self.fragments: dict[Operand, Fragment] = dict(inputs)
        self._named = self.reading.names_of_memory()
        self._wishes: dict[Var, str] = {}
        self._lines: set[Operand] = set()  # what has a line of its own
        self._latest: dict[str | None, Var] = {}  # the latest value of a name of the user's
        self._makers: dict[Operand, Equation] = {v: e for e in program.equations for v in e.outputs}
        for var, fragment in inputs.items():
            assert isinstance(var, Var)
            writer.names.show(var, fragment.text)

    def wish(self, var: Operand, name: str) -> None:
        """Ask for the variable to be assigned to `name` where it gets a line of its own."""
        if not var.is_literal:
            self._wishes[self.reading.updated.get(var, var)] = name

    def write(self) -> list[Fragment]:
        """Write all equations; returns the outputs."""
        for place, equation in enumerate(self.program.equations):
            start = len(self.writer.lines)
            self._equation(place, equation)
            if self.outermost and len(self.writer.lines) > start:
                self.writer.steps.append((start, equation.outputs[0]))
            self.writer.layouts.made_by(equation)
        return [self.operand(o) for o in self.program.outputs]

    def operand(self, x: Operand) -> Fragment:
        """The text of an operand."""
        return typed_number(x.value) if x.is_literal else self.fragments[x]

    def owned_outputs(self) -> list[bool]:
        """Which outputs share no memory with an input, or with an output before them."""
        seen: set = set()
        owned = []
        memory = self.reading.memory
        for o in self.program.outputs:
            root = memory.root.get(o) if isinstance(o, Var) else None
            owned.append(root is not None and root not in seen and root not in memory.foreign)
            seen.add(root)
        return owned

    def results(self) -> list[Fragment]:
        """Write the equations; the outputs, copied where they would share memory.

        (In C order, as the evaluator does.)
        """
        found = self.write()
        out = []
        rows = zip(self.program.outputs, found, self.owned_outputs(), strict=True)
        for o, fragment, owned in rows:
            if o.is_literal:
                out.append(scalar(o.value))
            elif not o.type.ndim:
                out.append(fragment.get("[()]") if self._has_no_axes(o) else fragment)
            elif owned:
                out.append(fragment)
            elif self._is_filled(o):
                out.append(self._filled(o))
            else:
                out.append(fragment.get(".copy()"))
        return out

    def _has_no_axes(self, var: Operand) -> bool:
        """Whether a scalar is printed as an array without axes."""
        made = self._makers.get(var)
        return made is not None and made.op.name in ("select", "reshape", "broadcast")

    def _is_filled(self, var: Operand) -> bool:
        made = self._makers.get(var)
        return made is not None and made.op.name == "broadcast" and made.inputs[0].is_literal

    def _filled(self, var: Operand) -> Fragment:
        made = self._makers.get(var)
        assert made is not None
        return filled(made.inputs[0].value, var.type.shape)

    # --- one equation -----------------------------------------------------------------------------

    def _equation(self, place: int, equation: Equation) -> None:
        if equation in self.reading.light:
            self._light(place, equation)
        elif isinstance(equation.op.derivative, Structural):
            write_control_flow(self, equation)
        elif equation.op.in_place is not None:
            self._update(place, equation)
        elif len(equation.outputs) > 1:
            self._several(equation)
        else:
            self._keep(place, equation, self._form(equation))

    def _form(self, equation: Equation) -> Fragment:
        form = form_of(equation.op)
        if form is None:
            raise errors.NotSupported(f"{equation.op.name} has no form in Python source yet.")
        self._shorten(equation)
        fragments = [None if x.is_literal else self.fragments[x] for x in equation.inputs]
        use = Use(equation, fragments, self.writer.definitions, self.writer.layouts)
        return form(use)

    def _shorten(self, equation: Equation) -> None:
        """Give operands a line of their own while the expression would be too long."""
        inside = [x for x in equation.inputs if not x.is_literal and x not in self._lines]
        inside = [x for x in inside if x in self._makers and not self._is_light(x)]
        inside.sort(key=lambda x: len(self.fragments[x].text))
        total = sum(len(self.fragments[x].text) for x in inside)
        while total > LONGEST_INSIDE and len(self.fragments[inside[-1]].text) > SHORT:
            x = inside.pop()
            total -= len(self.fragments[x].text)
            self._lines.add(x)
            self.fragments[x] = self._assign(x, self.fragments[x].text)

    def _is_light(self, x: Operand) -> bool:
        return self._makers[x] in self.reading.light

    def _keep(self, place: int, equation: Equation, made: Fragment) -> None:
        """Write the value inside the line that uses it, or give it a line of its own."""
        out = equation.outputs[0]
        if place in self.reading.memory.copied:
            made = call("np.copy", made)
        longest = LONGEST_RESULT if self.program.outputs == (out,) else LONGEST_INSIDE
        if place in self.reading.inside and len(made.text) <= longest:
            self.fragments[out] = made
            return
        self._lines.add(out)
        self.fragments[out] = self._assign(out, made.text, self._rebound(out, place))

    def _rebound(self, out: Var, place: int) -> str | None:
        """The name of an earlier value of the same name, if nothing reads that later."""
        if not self.writer.names.is_the_users_alone(out):
            return None
        before = self._latest.pop(out.name, None)
        if out not in self._named:  # what is updated later may be read under other variables
            self._latest[out.name] = out
        if before is None or self.reading.last_read.get(before, -1) > place:
            return None
        return self.fragments[before].text

    def _assign(self, out: Var, text: str, wish: str | None = None) -> Fragment:
        wish = self._wishes.get(out, wish)
        if out in self._named:
            fragment = self.writer.assign(self._named[out], text, wish)
            self.writer.names.show(out, fragment.text)
            return fragment
        return self.writer.assign(out, text, wish)

    def _light(self, place: int, equation: Equation) -> None:
        params = equation.params
        made = self.fragments[equation.inputs[0]].get(
            broadcast_axes(params["shape"], params["axes"])
        )
        out = equation.outputs[0]
        if place in self.reading.inside:
            self.fragments[out] = made
        else:
            self.fragments[out] = self._assign(out, made.text)

    def _update(self, place: int, equation: Equation) -> None:
        """index_set and index_add: in place where the evaluator does it in place."""
        out = equation.outputs[0]
        target = equation.inputs[0]
        if place in self.reading.memory.in_place:
            name = self.fragments[target]
        else:
            name = self._assign(out, self._copy_of(target))
        self.fragments[out] = name
        self.writer.names.show(out, name.text)
        self._write_update(equation, name.text)

    def _copy_of(self, target: Operand) -> str:
        if self._is_filled(target):
            return self._filled(target).text
        return call("np.copy", self.operand(target)).text

    def _write_update(self, equation: Equation, name: str) -> None:
        _, value, *arrays = equation.inputs
        texts = [self.plain(a) for a in arrays]
        entries = index_text(texts, equation.params["at"], equation.inputs[0].type.shape)
        given = self._value_written(value)
        if equation.op.name == "index_set":
            self.writer.line(f"{name}{entries} = {given}")
        elif arrays and arrays[0].type.ndim:
            key = f"np.s_{entries}" if ":" in entries else entries[1:-1]
            several = len(texts) > 1 or any(isinstance(e, int) for e in equation.params["at"])
            key = f"({key})" if several and not key.startswith("np.s_") else key
            self.writer.line(f"np.add.at({name}, {key}, {given})")
        else:
            self.writer.line(f"{name}{entries} += {given}")

    def _value_written(self, value: Operand) -> str:
        """The value of an update; NumPy broadcasts it by itself."""
        made = self._makers.get(value)
        if made is None or made.op.name != "broadcast" or made.inputs[0].is_literal:
            return self.plain(value)
        if value in self._lines:
            return self.plain(value)
        axes = broadcast_axes(made.params["shape"], made.params["axes"])
        return self.fragments[made.inputs[0]].get(axes).text

    def plain(self, x: Operand) -> str:
        """The text of an operand beside an array that gives it its dtype."""
        return number(x.value).text if x.is_literal else self.fragments[x].text

    def _several(self, equation: Equation) -> None:
        """Several outputs at once; those that nothing reads are called _."""
        made = self._form(equation)
        names = []
        for var in equation.outputs:
            read = var in self.reading.uses
            name = self._wishes.get(var) or (self.writer.names.of(var) if read else "_")
            self.fragments[var] = Fragment(name)
            if read:
                self.writer.names.show(var, name)
            names.append(name)
        self.writer.line(f"{', '.join(names)} = {made.text}")


def role_of(var: Var | None) -> int:
    """How many times a variable is differentiated: 0 for the function's own values."""
    name = var.name if var is not None else None
    order = 0
    while type(name) is Name and name.of is not None:
        order, name = order + 1, name.of
    return order
