"""A rule for each operation: the nodes that compute it. What has none cannot be exported.

A rule is `rule(graph, step) -> names of the outputs`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.program.program import Literal, Program
from chainrule.tracing import trace_call
from chainrule.train.export.array_rules import ARRAYS
from chainrule.train.export.formulas import FORMULAS, NODES
from chainrule.train.export.graph import Graph
from chainrule.train.export.programs import Either, Step
from chainrule.train.export.window_rules import WINDOWS

Rule = Callable[[Graph, Step], list[str]]


def translate(graph: Graph, program: Either) -> list[str]:
    """Add the nodes of a program; the names of its outputs."""
    graph.shapes.update(program.shapes)
    graph.light |= _light(program)
    for step in program.steps:
        names = _translated(graph, step)
        graph.names.update(zip(step.outputs, names, strict=True))
    return [graph.name(out) for out in program.outputs]


def _translated(graph: Graph, step: Step) -> list[str]:
    rule = RULES.get(step.op)
    if rule is None:
        raise errors.NotSupported(
            f"{step.op} has no form in ONNX that chainrule knows"
            f"{', at ' + step.where if step.where else ''}.\n  What can be exported: "
            "docs/export.md. Write that line in other operations, or leave it out of the model."
        )
    return rule(graph, step)


def _light(program: Either) -> set:
    """Broadcasts that ONNX's own broadcasting performs: all who read them are elementwise and read
    an operand of the full shape beside."""
    made = {s.outputs[0] for s in program.steps if s.op == "broadcast"}
    light = made - set(program.outputs)
    for step in program.steps:
        read = {x for x in step.inputs if x in made}
        plain = step.op in NODES or step.op in FORMULAS
        full = any(
            x not in made and not isinstance(x, Literal)
            and program.shapes[x] == program.shapes[step.outputs[0]]
            for x in step.inputs
        )  # fmt: skip
        if read and not (plain and full):
            light -= read
    return light


def _node(graph: Graph, step: Step) -> list[str]:
    return [graph.add(NODES[step.op], *map(graph.name, step.inputs))]


def _formula(graph: Graph, step: Step) -> list[str]:
    dtypes = [x.type.dtype for x in step.inputs]
    return [_computed(graph, step.op, [graph.name(x) for x in step.inputs], tuple(dtypes))]


def _computed(graph: Graph, op: str, given: list[str], dtypes: tuple) -> str:
    """An elementwise operation on tensors of these names: a node, or those of its formula."""
    if op in NODES:
        return graph.add(NODES[op], *given)
    program = _program(op, dtypes)
    names = dict(zip(program.inputs, given, strict=True))
    for e in program.equations:
        read = [graph.name(x) if isinstance(x, Literal) else names[x] for x in e.inputs]
        types = tuple(x.type.dtype for x in e.inputs)
        names[e.outputs[0]] = _computed(graph, e.op.name, read, types)
    (out,) = program.outputs
    assert not isinstance(out, Literal)
    return names[out]


@cache
def _program(op: str, dtypes: tuple) -> Program:
    """The program of a formula; ONNX broadcasts, so that one for single numbers does."""
    numbers = tuple(np.zeros((), dtype) for dtype in dtypes)
    return trace_call(FORMULAS[op], numbers, {}, concrete=False).program


def _inlined(graph: Graph, step: Step) -> list[str]:
    """The equations of a program that an operation runs as it is."""
    return _run(graph, step.params["program"], step.inputs)


def _run(graph: Graph, program: Either, inputs: tuple) -> list[str]:
    for inner, outer in zip(program.inputs, inputs, strict=True):
        graph.names[inner] = graph.name(outer)
    return translate(graph, program)


def _cond(graph: Graph, step: Step) -> list[str]:
    holds, *operands = step.inputs
    branches: dict[str, Any] = {}
    for key, program in zip(("then_branch", "else_branch"), step.params["branches"], strict=True):
        inner = graph.inner()
        names = _run(inner, program, tuple(operands))
        branches[key] = _body(inner, key, [], names, step.outputs)
    return _listed(graph.add("If", graph.name(holds), outputs=len(step.outputs), **branches))


def _scan(graph: Graph, step: Step) -> list[str]:
    """A Scan node; what does not change from step to step is read from outside of the body."""
    body, fixed, carried = (step.params[key] for key in ("body", "constants", "carries"))
    inner = graph.inner()
    inner.names.update(zip(body.inputs[:fixed], map(graph.name, step.inputs[:fixed]), strict=True))
    inner.shapes.update(body.shapes)
    inputs = []
    for var in body.inputs[fixed:]:
        inner.names[var] = graph.fresh("state")
        shape = inner.shapes[var]
        inputs.append(graph.declared(inner.names[var], var.type.dtype, shape))
    names = translate(inner, body)
    stacked = len(body.outputs) - carried
    along = len(body.inputs) - fixed - carried
    backwards = int(step.params["reverse"])
    return _listed(graph.add(
        "Scan", *map(graph.name, step.inputs[fixed:]), outputs=len(step.outputs),
        body=_body(inner, "step", inputs, names, body.outputs), num_scan_inputs=along,
        scan_input_directions=[backwards] * along, scan_output_directions=[backwards] * stacked,
    ))  # fmt: skip


def _body(inner: Graph, name: str, inputs: list, names: list[str], outputs) -> Any:
    """The graph of a body. Its outputs are values of its own, each of them once."""
    own = [inner.add("Identity", one) for one in names]
    declared = [
        inner.declared(one, out.type.dtype, inner.shape_of(out))
        for one, out in zip(own, outputs, strict=True)
    ]
    return inner.helper.make_graph(inner.all_nodes(), inner.fresh(name), inputs, declared)


def _listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


RULES: dict[str, Rule] = {
    **dict.fromkeys(NODES, _node),
    **dict.fromkeys(FORMULAS, _formula),
    **ARRAYS,
    **WINDOWS,
    "checkpoint": _inlined,
    "custom": _inlined,
    "cond": _cond,
    "scan": _scan,
}
