"""The nodes of a computation graph: a program's inputs and equations, one by one or in groups."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.program.op import Structural
from chainrule.program.program import Equation, Operand, Program, Var
from chainrule.program.text import line_number, line_text
from chainrule.show.definitions import Definitions
from chainrule.show.forms import Use, form_of
from chainrule.show.fragments import Fragment, index_text, number
from chainrule.show.memory_order import C_ORDER, Layouts
from chainrule.show.user_names import span_of
from chainrule.show.variables import Names

MOST = 60  # nodes that are drawn one by one
_MOST_INPUTS = 8  # inputs that are drawn one by one beside groups


@dataclass
class Node:
    """A node: what it is, its value and adjoint, and the numbers of the nodes that it reads."""

    name: str
    expression: str  # empty for inputs
    kind: str  # "input", "constant", "operation", "group" or "result"
    variables: tuple[Var, ...]  # the variables that it stands for; the last one is shown
    sources: list[int] = field(default_factory=list)
    where: str = ""
    note: str = ""  # of a group: what it holds
    value: Any = None
    adjoint: Any = None
    equation: Equation | None = None

    @property
    def title(self) -> str:
        """`b = exp(a)`, or the name alone."""
        return f"{self.name} = {self.expression}" if self.expression else self.name

    @property
    def shown(self) -> Var:
        """The variable whose value and adjoint the node shows."""
        return self.variables[-1]


class Nodes:
    """The nodes of a closed program, in order. `group` is "auto", "none", "function" or "line"."""

    def __init__(self, program: Program, labels: Sequence[str], constants: int, group: str):
        self.program = program
        self._passed = {
            e.outputs[0]: e.inputs[0] for e in program.equations
            if _only_adds_axes(e) and not e.inputs[0].is_literal
        }  # fmt: skip
        self.equations = [e for e in program.equations if e.outputs[0] not in self._passed]
        self.nodes: list[Node] = []
        self._node_of: dict[Operand, int] = {}
        self._calls: dict[str, int] = {}  # how often a group's name has been given
        runs = _runs(self.equations, group)
        if runs is None:
            self._add_inputs(labels, constants, None)
            self._add_each()
        else:
            self._add_inputs(labels, constants, runs)
            for run in runs:
                self._add_group(run)
        self._mark_results()

    def source_of(self, x: Operand) -> Operand:
        """The operand itself, or what it is a broadcast of."""
        while x in self._passed:
            x = self._passed[x]
        return x

    def _add(self, node: Node) -> None:
        for var in node.variables:
            self._node_of[var] = len(self.nodes)
        self.nodes.append(node)

    def _add_inputs(self, labels: Sequence[str], constants: int, runs) -> None:
        read = {self.source_of(x) for e in self.equations for x in e.inputs}
        read |= {self.source_of(o) for o in self.program.outputs}
        used = [
            (var, label, "constant" if i < constants else "input")
            for i, (var, label) in enumerate(zip(self.program.inputs, labels, strict=True))
            if var in read
        ]
        if runs is not None and len(used) > _MOST_INPUTS:
            self._add_together(used, runs)
            return
        for var, label, kind in used:
            self._add(Node(label, "", kind, (var,)))

    def _add_together(self, used, runs: list[list[Equation]]) -> None:
        """One node for the inputs of one argument that go to the same groups: `params[0]`."""
        readers: dict[Operand, set[int]] = {}
        for i, run in enumerate(runs):
            for x in {self.source_of(x) for e in run for x in e.inputs}:
                readers.setdefault(x, set()).add(i)
        together: dict[tuple, list[tuple[Var, str]]] = {}
        for var, label, kind in used:
            root = label.partition("[")[0].partition(".")[0] if kind == "input" else "captured"
            key = kind, root, frozenset(readers.get(var, ()))
            together.setdefault(key, []).append((var, label))
        for (kind, root, _), found in together.items():
            variables = tuple(var for var, _ in found)
            name = _common_part([label for _, label in found], root)
            size = sum(v.type.size for v in variables)
            note = f"{len(found)} arrays, {size:,} numbers" if len(found) > 1 else ""
            self._add(Node(name, "", kind, variables, note=note))

    # --- one node for each equation ---------------------------------------------------------------

    def _add_each(self) -> None:
        names = Names(self.program, {n.name for n in self.nodes})
        shown: dict[Operand, str] = {n.variables[0]: n.name for n in self.nodes}
        for var, name in list(shown.items()):
            names.show(var, name)  # type: ignore[arg-type]
        for equation in self.equations:
            expression = self._expression(equation, shown)
            sources = self._sources(equation.inputs)
            for var in equation.outputs:
                name = names.of(var)
                names.show(var, name)
                shown[var] = name
            outputs = ", ".join(shown[v] for v in equation.outputs)
            self._add(
                Node(outputs, expression, "operation", equation.outputs, sources,
                     line_text(equation.line), equation=equation)
            )  # fmt: skip

    def _sources(self, operands) -> list[int]:
        found = [self._node_of.get(self.source_of(x)) for x in operands if not x.is_literal]
        return list(dict.fromkeys(n for n in found if n is not None))

    def _expression(self, equation: Equation, shown: dict[Operand, str]) -> str:
        def fragment(x: Operand) -> Fragment:
            return number(x.value) if x.is_literal else Fragment(shown[self.source_of(x)])

        op = equation.op
        if isinstance(op.derivative, Structural):
            return f"{op.name}({', '.join(fragment(x).text for x in equation.inputs)})"
        if op.in_place is not None:
            target, value, *arrays = [fragment(x) for x in equation.inputs]
            shape = equation.inputs[0].type.shape
            place = index_text([a.text for a in arrays], equation.params["at"], shape)
            sign = "=" if op.name == "index_set" else "+="
            return f"{target.text} with {place} {sign} {value.text}"
        form = form_of(op)
        if form is None:
            return op.name
        fragments = [None if x.is_literal else fragment(x) for x in equation.inputs]
        return _without_modules(
            form(Use(equation, fragments, Definitions(set()), _AllDense())).text
        )

    # --- groups -----------------------------------------------------------------------------------

    def _add_group(self, run: list[Equation]) -> None:
        inside = {v for e in run for v in e.outputs}
        operands = [x for e in run for x in e.inputs if self.source_of(x) not in inside]
        sources = self._sources(operands)
        leaving = self._leaving(run, inside)
        name, lines = _place(run)
        self._calls[name] = self._calls.get(name, 0) + 1
        name = f"{name} {self._calls[name]}" if self._calls[name] > 1 else name
        note = f"{len(run)} operation{'s' if len(run) > 1 else ''}{lines}"
        variables = (*(v for e in run for v in e.outputs if v not in leaving), *leaving)
        self._add(Node(name, "", "group", variables, sources, line_text(run[-1].line), note))

    def _leaving(self, run: list[Equation], inside: set) -> list[Var]:
        """The variables of a group that others read, or the last one."""
        if not hasattr(self, "_read_by"):
            self._read_by: dict[Operand, list[Equation]] = {}
            for e in self.equations:
                for x in e.inputs:
                    self._read_by.setdefault(self.source_of(x), []).append(e)
        own, results = set(run), {self.source_of(o) for o in self.program.outputs}
        leaving = [
            v for e in run for v in e.outputs
            if v in results or any(reader not in own for reader in self._read_by.get(v, ()))
        ]  # fmt: skip
        return leaving or list(run[-1].outputs[-1:])

    def _mark_results(self) -> None:
        for o in self.program.outputs:
            place = self._node_of.get(self.source_of(o))
            if place is not None and self.nodes[place].kind in ("operation", "group"):
                self.nodes[place].kind = "result"


def _common_part(labels: list[str], root: str) -> str:
    """What labels have in common: `params[0]` of `params[0][0]` and `params[0][1]`."""
    if len(labels) == 1:
        return labels[0]
    first, last = min(labels), max(labels)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    common = first[:same]
    end = max(common.rfind("]") + 1, common.rfind("."))
    return common[:end] if common[:end].startswith(root) else root


class _AllDense(Layouts):
    """Memory is no concern of a drawing."""

    def of(self, operand) -> str:
        return C_ORDER


def _only_adds_axes(equation: Equation) -> bool:
    """Whether an equation does what NumPy does without being asked: repeating, axes of length 1."""
    if equation.op.name == "broadcast":
        return True
    if equation.op.name != "reshape":
        return False
    shapes = equation.inputs[0].type.shape, equation.params["shape"]
    before, after = ([n for n in shape if n != 1] for shape in shapes)
    return before == after


def _without_modules(text: str) -> str:
    for module in ("np.linalg.", "np.", "scipy.special.", "scipy.linalg."):
        text = text.replace(module, "")
    return text


def _place(run: list[Equation]) -> tuple[str, str]:
    """The function that a run of equations was recorded in, and its lines."""
    lines = [e.line for e in run if isinstance(e.line, tuple)]
    if not lines:
        return "operations", ""
    code = lines[-1][0]
    numbers = [line_number(c, i) for c, i in lines if c is code]
    first, last = min(numbers), max(numbers)
    name = code.co_name if code.co_name.isidentifier() else os.path.basename(code.co_filename)
    return name, f", line {first}" if first == last else f", lines {first}-{last}"


def _runs(equations: list[Equation], group: str) -> list[list[Equation]] | None:
    """The equations in groups that follow each other; None for each by itself."""
    if group not in ("auto", "none", "function", "line"):
        raise ValueError(f'group is "auto", "none", "function" or "line", not "{group}".')
    if group == "none" or (group == "auto" and len(equations) <= MOST):
        return None
    if group == "line":
        return list(_consecutive(equations, _line_of))
    runs = list(_consecutive(equations, _function_of))
    if group == "function":
        return runs
    if len(runs) < 3:
        runs = list(_consecutive(equations, _line_of))
    while len(runs) > MOST:
        runs = [[e for run in runs[i : i + 2] for e in run] for i in range(0, len(runs), 2)]
    return runs


def _function_of(equation: Equation):
    return id(equation.line[0]) if isinstance(equation.line, tuple) else None


def _line_of(equation: Equation):
    if not isinstance(equation.line, tuple):
        return None
    code, instruction = equation.line
    return id(code), line_number(code, instruction)


def _consecutive(equations: list[Equation], key) -> Iterator[list[Equation]]:
    run: list[Equation] = []
    for equation in equations:
        if run and (key(equation) != key(run[-1]) or _begins_again(equation, run)):
            yield run
            run = []
        run.append(equation)
    if run:
        yield run


def _begins_again(equation: Equation, run: list[Equation]) -> bool:
    """Whether a function is called again: its first instruction comes once more."""
    lines = [e.line for e in (equation, run[0], run[-1])]
    if not all(isinstance(line, tuple) for line in lines):
        return False
    now, first, last = (span_of(*line) for line in lines)
    return now is not None and now == first != last


def summary(value, with_shape: bool = True) -> str:
    """A value in a few characters: the number, the few numbers, or shape, norm and range."""
    if value is None:
        return ""
    value = np.asarray(value)
    if value.ndim == 0:
        return _short(value[()])
    if value.ndim == 1 and value.size <= 3:
        return f"[{', '.join(_short(x) for x in value)}]"
    shape = " x ".join(map(str, value.shape)) if with_shape else ""
    if not value.size:
        return f"{shape}, empty"
    if value.dtype.kind not in "fiu":
        return f"{shape} {value.dtype}"
    with np.errstate(all="ignore"):
        norm = float(np.sqrt(np.sum(np.square(value, dtype=np.float64))))
    ends = f"norm {_short(norm, 3)}, in [{_short(value.min(), 3)}, {_short(value.max(), 3)}]"
    return f"{shape}, {ends}" if shape else ends


def _short(x, digits: int = 4) -> str:
    if isinstance(x, bool | np.bool_ | int | np.integer):
        return str(x)
    if isinstance(x, complex | np.complexfloating):
        return f"{x.real:.{digits}g}{x.imag:+.{digits}g}j"
    return f"{float(x) + 0.0:.{digits}g}"
