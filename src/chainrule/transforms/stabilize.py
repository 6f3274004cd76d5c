"""Stabilize: the same program with formulas rewritten that lose digits or overflow.

    log(1 + exp(x)), exp(x) - 1, sqrt(x + 1) - sqrt(x), mean(x**2) - mean(x)**2, ...

The rules are data (`RULES`, by family in the files beside this one): a pattern, what takes its
place, where, and why. A program is read once, from its first equation to its last; each equation is
tried with the rules of its operation, whose patterns look at the equations above it. It is applied
before a derivative is made, so that the good formula is differentiated, and again after, since the
derivative of a good formula may be a bad one. What computes a rounding error on purpose
(`error_free.py`) is left as it stands, and so is every program in which no rule applies.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from chainrule.program.garbage import collector_paused
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Operand, Program
from chainrule.transforms.error_free import error_free
from chainrule.transforms.power_series import FUNCTIONS
from chainrule.transforms.rewrites_arithmetic import ARITHMETIC
from chainrule.transforms.rewriting import Graph, Rewrite, Rules
from chainrule.transforms.stabilize_differences import DIFFERENCES
from chainrule.transforms.stabilize_distances import DISTANCES
from chainrule.transforms.stabilize_exponentials import EXPONENTIALS
from chainrule.transforms.stabilize_linear import difference
from chainrule.transforms.stabilize_patterns import (
    Bindings,
    Node,
    Pattern,
    Reader,
    Terms,
    functions,
    matches,
    partly,
    pattern,
    wanted,
)
from chainrule.transforms.stabilize_polynomials import polynomials
from chainrule.transforms.stabilize_reductions import REDUCTIONS, ReductionRule
from chainrule.transforms.stabilize_roots import ROOTS
from chainrule.transforms.stabilize_rules import Rule, place
from chainrule.transforms.stabilize_series import near_zero
from chainrule.transforms.stabilize_special import SPECIAL
from chainrule.transforms.stabilize_trigonometric import TRIGONOMETRIC

RULES: tuple[Rule, ...] = (
    *EXPONENTIALS, *ROOTS, *TRIGONOMETRIC, *SPECIAL, *DIFFERENCES,
)  # fmt: skip

REDUCTION_RULES: tuple[ReductionRule, ...] = (*REDUCTIONS, *DISTANCES)

SERIES_TO = 1000  # equations: in a longer program series near 0 are not looked for

# Exact rewrites that show a formula's shape; those that are for after derivation are left out.
_EXACT = tuple(
    r for r in ARITHMETIC
    if r.name in ("twice the same", "add a negative", "product of negatives",
                  "negative of a product", "divide by a power of two", "multiply by one",
                  "divide by one", "multiply by minus one", "constant folding")
)  # fmt: skip


def stabilize(program: Program) -> Program:
    """The program with every rule applied; the same object where none applies.

    **Cost** some tens of microseconds an equation.
    """
    with collector_paused():
        return _Stabilizer().program(program)


class _Stabilizer:
    """The sub-programs stabilised so far; each is done once, wherever it stands."""

    def __init__(self):
        self.done: dict[int, tuple[Program, Program]] = {}
        self.fired: dict[str, int] = {}

    def program(self, program: Program) -> Program:
        if program.stable:
            return program
        found = self.done.get(id(program))
        if found is None:
            found = self.done[id(program)] = (program, self._stabilized(program))
            program.stable = found[1] is program
        return found[1]

    def _stabilized(self, program: Program) -> Program:
        program, sums = polynomials(program)
        if sums:
            self.fired["polynomial"] = self.fired.get("polynomial", 0) + sums
        if not any(_worth_reading(e) for e in program.equations):
            return program
        reading = _Reading(program, self.program)
        made = reading.run()
        if not reading.fired and not reading.changed_inside:
            return program
        for name, count in reading.fired.items():
            self.fired[name] = self.fired.get(name, 0) + count
        return remove_dead(made)


def rules_fired(program: Program) -> dict[str, int]:
    """Which rules apply in a program, and how often."""
    stabilizer = _Stabilizer()
    stabilizer.program(program)
    return stabilizer.fired


def _worth_reading(equation: Equation) -> bool:
    if any(isinstance(v, Program | tuple) for v in equation.params.values()):
        if any(_programs(v) for v in equation.params.values()):
            return True
    return equation.op.name in _heads() or equation.op.name in _reductions()


def _programs(value) -> bool:
    return isinstance(value, Program) or (
        isinstance(value, tuple) and any(isinstance(v, Program) for v in value)
    )


# --- the rules by the operation that they begin with ----------------------------------------------

_KINDS = {"add": "sum", "subtract": "sum", "multiply": "product", "divide": "product"}
_SERIES: set[str] = {*FUNCTIONS, "product"}  # of a sum that may cancel at 0
_ROOTS = {"sum": ("add", "subtract"), "product": ("multiply", "divide")}


_Tried = tuple[Rule, Pattern, frozenset[str], frozenset[str]]


@lru_cache(maxsize=1)
def _heads() -> dict[str, tuple[_Tried, ...]]:
    found: dict[str, list] = {}
    for rule in RULES:
        p = pattern(rule.pattern)
        names: tuple[str, ...] = _ROOTS.get(p.kind, (p.kind,))
        if p.kind == "square":
            names = ("square", "multiply", "power")
        for name in names:
            found.setdefault(name, []).append((rule, p, wanted(p), functions(p)))
    found.setdefault("reciprocal", []).extend(found.get("divide", []))
    found.setdefault("power", []).extend(found.get("sqrt", []) + found.get("divide", []))
    return {
        name: tuple(sorted(rules, key=lambda r: -_size(r[1])))  # the most particular first
        for name, rules in found.items()
    }


def _size(p: Pattern) -> int:
    parts = [part[1] if isinstance(part, tuple) else part for part in p.parts]
    return sum(_size(part) for part in parts) + 1


@lru_cache(maxsize=1)
def _reductions() -> dict[str, tuple[ReductionRule, ...]]:
    names = {name for rule in REDUCTION_RULES for name in rule.ops}
    return {name: tuple(r for r in REDUCTION_RULES if name in r.ops) for name in names}


class _Reading:
    """One program being rewritten."""

    def __init__(self, program: Program, inner: Callable[[Program], Program]):
        self.fired: dict[str, int] = {}
        self.changed_inside = False
        self._inner = inner
        self._barred = error_free(program)
        own = Rewrite("stabilize", "", ("*",), self._apply)
        merge = Rewrite("common subexpressions", "")
        self.graph = Graph(program, Rules((merge, own, *_EXACT)), self._sub_program)
        self._reader = Reader(self.graph, self._barred)
        self._making: list[str] = []
        long = len(program.equations) > SERIES_TO
        self._series: set[str] = set() if long else _SERIES

    def run(self) -> Program:
        """The program rewritten; once. Its tables are freed with the graph, whose rules lead back
        here."""
        try:
            return self.graph.run()
        finally:
            del self.graph, self._reader

    def _sub_program(self, program: Program) -> Program:
        made = self._inner(program)
        self.changed_inside |= made is not program
        return made

    def _apply(self, equation: Equation, graph: Graph) -> Operand | None:
        name = equation.op.name
        rules, reductions = _heads().get(name, ()), _reductions().get(name, ())
        if not (rules or reductions) or len(equation.outputs) != 1:
            return None
        out = equation.outputs[0]
        if out.type.dtype.kind != "f" or out in self._barred:
            return None
        node = self._reader.seen(equation)
        if node is None:
            return None
        for reduction in reductions:
            if not reduction.needs <= graph.names:
                continue
            found = reduction.apply(equation, self._reader)
            if found is not None:
                self.fired[reduction.name] = self.fired.get(reduction.name, 0) + 1
                return found
        kind = _KINDS.get(node.name)
        terms = [] if kind is None else self._reader.terms_of(node, kind)
        tags = self._reader.tags([x for _, x in terms] if terms else node.inputs)
        found = self._with_rules(rules, equation, node, terms, tags)
        if found is None and kind == "sum" and not self._series.isdisjoint(tags):
            found = near_zero(equation, self._reader)
            if found is not None:
                self.fired["series"] = self.fired.get("series", 0) + 1
        return found

    def _with_rules(
        self, rules: tuple[_Tried, ...], equation: Equation, node: Node, terms: Terms, tags
    ) -> Operand | None:
        names = self.graph.names
        for rule, p, needed, inside in rules:
            if not needed <= tags or not inside <= names:
                continue
            if rule.name in self._making:  # not by itself again
                continue
            found = self._with_rule(rule, p, equation, node, terms)
            if found is not None:
                self.fired[rule.name] = self.fired.get(rule.name, 0) + 1
                return found
        return None

    def _with_rule(
        self, rule: Rule, p: Pattern, equation: Equation, node: Node, terms: Terms
    ) -> Operand | None:
        reader, type_ = self._reader, equation.outputs[0].type
        if p.kind not in _ROOTS:
            for bound in _root(p, node, reader):
                made = self._placed(rule, bound, type_)
                if made is not None:
                    return made
            return None
        if p.kind != _KINDS.get(node.name):
            return None
        if len(terms) < sum(part.kind != "number" or part.value != 1 for _, part in p.parts):
            return None
        for bound, left, flipped in partly(p, terms, reader, {}):
            made = self._placed(rule, bound, type_) if bound else None
            if made is None:
                continue
            total = reader.total(p.kind, [(-1 if flipped else 1, made), *left])
            assert total is not None
            return self.graph.of_type(total, type_)
        return None

    def _placed(self, rule: Rule, bound: Bindings, type_) -> Operand | None:
        """What stands for a matched rule, recorded; None where its conditions do not hold."""
        if rule.holds is not None and not rule.holds(bound):
            return None
        self._making.append(rule.name)
        try:
            if rule.difference is not None:
                d, cancels = difference(rule.difference, bound, self._reader)
                if rule.cancels and not cancels:
                    return None
                bound = {**bound, "d": d}
            return place(rule.becomes, bound, type_, self.graph)
        finally:
            self._making.pop()


def _root(p: Pattern, node, reader: Reader):
    """The ways in which an equation itself matches a pattern whose root is one operation."""
    if node.name != p.kind or len(node.inputs) != len(p.parts):
        return
    if len(p.parts) == 1:
        yield from matches(p.parts[0], node.inputs[0], reader, {})
        return
    for bound in matches(p.parts[0], node.inputs[0], reader, {}):
        yield from matches(p.parts[1], node.inputs[1], reader, bound)
