"""Rewriting a program: the record of one rewrite, and the graph that rewrites are applied to.

A program is rebuilt equation by equation, in order. Each equation is read with its operands already
rewritten; the rewrites of its operation are tried, and what it becomes is recorded. A rewrite looks
upwards only, at the equations that made its operands, so one sweep is linear and carries a chain of
rewrites from the top to the bottom of the program.

Rewrites are data. Each says for which values it holds and what it changes in the result; those that
change nothing, not even the sign of a zero, are the default. (The bits of a nan are never kept.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.program.op import REGISTRY, Op
from chainrule.program.program import Equation, Literal, Operand, Program, Var
from chainrule.program.types import Type
from chainrule.transforms.facts import Facts

CHAIN = 64  # rewrites that may follow from one equation
MANY = 1 << 30

# Operations whose two operands may change places without changing a bit of the result.
_COMMUTATIVE = {
    "add", "multiply", "scale", "equal", "not_equal", "logical_and", "logical_or", "logical_xor",
    "bitwise_and", "bitwise_or", "bitwise_xor",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Rewrite:
    """One rewrite, and what is known of it.

    `apply(equation, graph)` returns the operand that stands for the equation's output (a tuple of
    them, where it has several), or None where the rewrite does not apply. `ops` names the
    operations that it is tried on; "elementwise" is all those, "*" every one. A rewrite without
    `apply` belongs to the sweep itself. `reads` names the operations of which one must have made
    one of the operands ("number" for a literal) for the rewrite to apply at all; empty for any.
    """

    name: str
    doc: str  # the pattern and its replacement, as the table in docs/simplification.md shows it
    ops: tuple[str, ...] = ()
    apply: Callable[[Equation, Graph], Operand | tuple | None] | None = None
    reads: tuple[str, ...] = ()
    valid_for: str = "all"  # values: "all", "finite" or "real domain"
    changes: str = "nothing"  # or "order of sums", or "rounding"
    source: str = "ours"


class Rules:
    """The rewrites of a sweep by the operation that they are tried on."""

    def __init__(self, rewrites: Sequence[Rewrite]):
        self.names = {r.name for r in rewrites}
        self._rewrites = list(rewrites)
        self._by_op: dict[Op, _Tried] = {}

    def of(self, op: Op) -> _Tried:
        """The rewrites that are tried on an operation, in order, and what they read, all together
        (None where one of them may read anything)."""
        found = self._by_op.get(op)
        if found is None:
            kinds = {op.name, "*"} | ({"elementwise"} if op.elementwise else set())
            tried = [r for r in self._rewrites if kinds & set(r.ops)]
            reads = frozenset(name for r in tried for name in r.reads)
            found = (
                tuple([(r, r.apply, frozenset(r.reads)) for r in tried if r.apply is not None]),
                reads if all(r.reads for r in tried) else None,
            )
            self._by_op[op] = found
        return found


_Tried = tuple[tuple[tuple[Rewrite, Callable, frozenset], ...], frozenset | None]


class Graph:
    """The part of a program that has been rewritten so far, and its equations by what they made."""

    def __init__(self, program: Program, rules: Rules, inner: Callable[[Program], Program]):
        self.program = program
        self.rules = rules
        self.equations: list[Equation] = []
        self.names: set[str] = set()  # of the operations of the equations
        self.fired: dict[str, int] = {}
        self.line: Any = None
        self._inner = inner
        self._env: dict[Operand, Operand] = {}
        self._maker: dict[Operand, Equation] = {}
        self.facts = Facts(self._maker.get)  # not self.maker: a graph is freed without a collector
        merges = "common subexpressions" in rules.names
        self._made: dict[tuple, tuple] | None = {} if merges else None
        self._uses: dict[Operand, int] | None = None
        self._trying: Rewrite | None = None
        self._chain: list[str] = []  # the rewrites that the equation being recorded comes from

    def run(self) -> Program:
        """The rewritten program."""
        program = self.program
        visit = self._visit
        with np.errstate(all="ignore"):
            for equation in program.equations:
                self.line = equation.line
                visit(equation)
        get = self._env.get
        return Program(
            program.inputs, self.equations, [get(o, o) for o in program.outputs],
            program.captured, program.captured_values, program.name,
        )  # fmt: skip

    @property
    def settled(self) -> bool:
        """Whether another sweep would find nothing: what a rewrite reads above an equation does not
        change any more, so only those that asked for uses may apply after dead code is removed."""
        return self._uses is None

    # --- what rewrites read -------------------------------------------------------------------

    def maker(self, operand: Operand) -> Equation | None:
        """The equation that made an operand; None for an input and for a literal."""
        return self._maker.get(operand)

    def made_by(self, operand: Operand, name: str) -> Equation | None:
        """The equation that made an operand, if it is of this operation."""
        found = self._maker.get(operand)
        return found if found is not None and found.op.name == name else None

    def uses(self, var: Operand) -> int:
        """How many operands and outputs of the program read a variable, as the sweep began.

        `MANY` for a variable that a rewrite has just recorded: who will read it is not known yet.
        """
        if self._uses is None:
            self._uses = self._count()
        return self._uses.get(var, MANY)

    def _count(self) -> dict[Operand, int]:
        found: dict[Operand, int] = {}
        get = self._env.get
        for e in self.program.equations:
            found.update((get(v, v), 0) for v in e.outputs)
        for operands in [*(e.inputs for e in self.program.equations), self.program.outputs]:
            for x in operands:
                x = get(x, x)
                found[x] = found.get(x, 0) + 1
        return found

    # --- what rewrites record -----------------------------------------------------------------

    def emit(self, name: str, *operands: Operand, **params) -> Any:
        """Apply an operation: the operand that stands for its output (a tuple, for several).

        It is rewritten in turn, and merged with an equal equation before it.
        """
        op = REGISTRY[name]
        types = op.type_rule(*[x.type for x in operands], **params)
        return self.record(op, operands, params, types)

    def record(self, op: Op, operands: tuple, params: dict, types: Sequence[Type]) -> Any:
        """As `emit`, with the types of the outputs given."""
        outputs = tuple([Var(t) for t in types])
        trying = self._trying
        assert trying is not None
        self._chain.append(trying.name)
        if len(self._chain) > CHAIN:
            raise looping(self._chain[-4:])
        self._visit(Equation(op, operands, params, outputs, self.line))
        self._trying = trying
        self._chain.pop()
        found = tuple([self._env.get(v, v) for v in outputs])
        return found[0] if len(found) == 1 else found

    def inline(self, program: Program, operands: Sequence[Operand]) -> list[Operand]:
        """Record a closed program's equations on these operands; the operands of its outputs."""
        env: dict[Operand, Operand] = dict(zip(program.inputs, operands, strict=True))
        for e in program.equations:
            inputs = tuple([env.get(x, x) for x in e.inputs])
            made = self.record(e.op, inputs, e.params, [v.type for v in e.outputs])
            made = made if isinstance(made, tuple) else (made,)
            env.update(zip(e.outputs, made, strict=True))
        return [env.get(o, o) for o in program.outputs]

    def fill(self, value: Literal, type_: Type) -> Operand:
        """An operand of a type that is `value` everywhere."""
        if not type_.ndim:
            return value
        return self.emit("broadcast", value, shape=type_.shape, axes=())

    def of_type(self, operand: Operand, type_: Type) -> Operand:
        """The operand; where it is a literal that stands for an array, that array."""
        return self.fill(operand, type_) if operand.is_literal and type_.ndim else operand

    # --- the sweep ----------------------------------------------------------------------------

    def _visit(self, equation: Equation) -> None:
        """Rewrite one equation and enter what its outputs have become."""
        env, inputs = self._env, equation.inputs
        if env:
            get = env.get
            inputs = tuple([get(x, x) for x in inputs])
        params = equation.params
        if params:
            params = self._simplified(params)
        if inputs != equation.inputs or params is not equation.params:
            equation = Equation(equation.op, inputs, params, equation.outputs, equation.line)
        if self._rewritten(equation) or (self._made is not None and self._merged(equation)):
            return
        self.equations.append(equation)
        self.names.add(equation.op.name)
        maker = self._maker
        for var in equation.outputs:
            maker[var] = equation

    def _rewritten(self, equation: Equation) -> bool:
        """Whether a rewrite applied to the equation; its outputs have then been replaced."""
        rules, reads = self.rules.of(equation.op)
        get = self._maker.get
        makers = [
            "number" if x.is_literal else "" if (m := get(x)) is None else m.op.name
            for x in equation.inputs
        ]
        if reads is not None and reads.isdisjoint(makers):
            return False
        for rewrite, apply, wanted in rules:
            if wanted and wanted.isdisjoint(makers):
                continue
            self._trying = rewrite
            found = apply(equation, self)
            if found is not None:
                self.fired[rewrite.name] = self.fired.get(rewrite.name, 0) + 1
                self._replace(equation, found if isinstance(found, tuple) else (found,))
                return True
        return False

    def _simplified(self, params: dict[str, Any]) -> dict[str, Any]:
        """The params with their sub-programs simplified; the same dict where nothing changed."""
        changed = None
        for name, value in params.items():
            if type(value) is Program:
                new: Any = self._inner(value)
            elif type(value) is tuple and value and type(value[0]) is Program:
                new = tuple([self._inner(p) for p in value])
                if all(a is b for a, b in zip(new, value, strict=True)):
                    continue
            else:
                continue
            if new is not value:
                changed = changed or dict(params)
                changed[name] = new
        return params if changed is None else changed

    def _merged(self, equation: Equation) -> bool:
        """Whether an equal equation stands above, whose outputs are taken instead."""
        op = equation.op
        operands: Any = tuple([x.key if x.is_literal else x for x in equation.inputs])
        if op.name in _COMMUTATIVE:
            operands = frozenset(operands)
        key = (op, operands, *equation.params.values())
        assert self._made is not None
        found = self._made.get(key)
        if found is None:
            if op.pure:
                self._made[key] = equation.outputs
            return False
        self.fired["common subexpressions"] = self.fired.get("common subexpressions", 0) + 1
        self._replace(equation, found)
        return True

    def _replace(self, equation: Equation, operands: Sequence[Operand]) -> None:
        for var, operand in zip(equation.outputs, operands, strict=True):
            if operand is var:
                continue
            assert operand.type is var.type, (self._chain, equation.op, operand.type, var.type)
            self._env[var] = operand
            if self._uses is not None:
                self._uses[operand] = self._uses.get(operand, 0) + self._uses.get(var, 0)
            if not operand.is_literal and operand.name is None and operand in self._maker:
                operand.name = var.name


def is_real(x: Operand) -> bool:
    """Whether an operand holds floats."""
    return x.type.dtype.kind == "f"


def looping(names: Sequence[str]) -> errors.RewriteLoop:
    """The error for rewrites that undo each other."""
    listed = " and ".join(dict.fromkeys(repr(n) for n in names))
    return errors.RewriteLoop(
        f"the rewrites of simplify do not come to an end: {listed} keeps applying.\n"
        "  Leave it out with simplify(program, without=[...]), and report the program."
    )
