"""The computation graph of a function, with the value and the adjoint of every node."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from chainrule.program.garbage import collector_paused
from chainrule.program.program import Program, Var
from chainrule.program.text import line_text
from chainrule.show.adjoints import adjoints_of, has_adjoints, local_derivative, values_of
from chainrule.show.drawing import draw
from chainrule.show.nodes import Node, Nodes, summary
from chainrule.show.signature import Signature, captured_names, function_name
from chainrule.show.source import named_call
from chainrule.show.tidy import tidy

_MOST_SLOPES = 40  # nodes up to which edges show their local derivatives


class Graph:
    """A computation graph: `nodes`, drawn by `svg()` and `save(path)`, printed as a table.

    In a notebook it shows itself.
    """

    def __init__(self, title: str, subtitle: str, nodes: list[Node], has_adjoints: bool):
        self.title, self.subtitle, self.nodes = title, subtitle, nodes
        self.has_adjoints = has_adjoints

    def svg(self) -> str:
        """The drawing, as SVG text."""
        slopes = _slopes(self.nodes) if self.has_adjoints else {}
        return draw(self.title, self.subtitle, self.nodes, slopes, self.has_adjoints)

    def _repr_svg_(self) -> str:
        return self.svg()

    def save(self, path: str | os.PathLike) -> None:
        """Write the drawing to a file, whole or not at all."""
        target = Path(path)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(self.svg())
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise

    def __str__(self) -> str:
        rows = [("node", "value", "adjoint" if self.has_adjoints else "")]
        for node in self.nodes:
            note = f"  ({node.note})" if node.note else ""
            rows.append((node.title + note, summary(node.value), summary(node.adjoint, False)))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = ["  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)) for row in rows]
        return "\n".join(line.rstrip() for line in lines)

    def __repr__(self) -> str:
        return f"Graph({self.title}, {len(self.nodes)} nodes)"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def graph(f: Callable, *args, group: str = "auto", **kwargs) -> Graph:
    """The computation graph of `f(*args, **kwargs)`, each node with its value and its adjoint.

    The adjoint of a node is the derivative of the result with respect to it; there are adjoints
    where the result (its first part, if it has several) is one real number. Edges between single
    numbers show local derivatives.

    `group` is "none" (one node for each operation), "function" or "line" (operations together that
    come from one call of a function of yours, or from one line), or "auto": groups where there are
    more than 60 operations.

    >>> import numpy as np
    >>> print(graph(lambda x: 10 * np.log(1 + np.exp(-2 * x)), 0.5))
    node                   value   adjoint
    x                      0.5     -5.379
    a = -2.0 * x           -1      2.689
    b = exp(a)             0.3679  7.311
    c = 1.0 + b            1.368   7.311
    e = log(c)             0.3133  10
    result = 10.0 * e      3.133   1
    """
    with collector_paused():
        call = named_call(f, args, kwargs)
        signature = Signature.of_call(f, args, kwargs)
        labels = [*captured_names(f, call), *signature.leaves]
        program = call.program
        outputs = program.outputs[: call.count] or program.outputs
        program = tidy(Program(program.inputs, program.equations, outputs, name=program.name))
        made = Nodes(program, labels, call.leading, group)
        _compute(program, call.operands, made.nodes)
    words = function_name(f)[1]
    return Graph(words, _subtitle(program), made.nodes, has_adjoints(program))


def _compute(program: Program, operands: list, nodes: list[Node]) -> None:
    """Enter the values and adjoints of the variables that the nodes show."""
    wanted = [v for node in nodes for v in _shown(node)]
    values = values_of(program, operands, wanted)
    adjoints = adjoints_of(program, operands, wanted) if has_adjoints(program) else {}
    for node in nodes:
        node.value = _together([values.get(v) for v in _shown(node)])
        node.adjoint = _together([adjoints.get(v) for v in _shown(node)])


def _shown(node: Node) -> tuple[Var, ...]:
    """The variables whose values a node shows: all of several inputs, else the last one."""
    return node.variables if node.kind in ("input", "constant") else (node.shown,)


def _together(values: list):
    """One value, or the entries of several in one array."""
    if len(values) == 1:
        return values[0]
    known = [np.ravel(v) for v in values if v is not None]
    return np.concatenate(known) if known else None


def _slopes(nodes: list[Node]) -> dict[tuple[int, int], str]:
    """The local derivatives of edges between single numbers."""
    if len(nodes) > _MOST_SLOPES:
        return {}
    place = {v: i for i, node in enumerate(nodes) for v in node.variables}
    values = {node.shown: node.value for node in nodes}
    out = {}
    for target, node in enumerate(nodes):
        if node.equation is None:
            continue
        for position, x in enumerate(node.equation.inputs):
            if x.is_literal or x not in place or x not in values:
                continue
            slope = local_derivative(node.equation, position, values)
            if slope is not None:
                out[place[x], target] = summary(slope)
    return out


def _subtitle(program: Program) -> str:
    count = len(program.equations)
    where = next((line_text(e.line) for e in reversed(program.equations) if e.line), "")
    operations = f"{count} operation{'s' if count != 1 else ''}"
    return f"{operations}, {where}" if where else operations
