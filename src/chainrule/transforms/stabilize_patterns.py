"""Patterns over programs: text such as "log(1 + exp(x))", matched to the equations above a value.

A name of a variable stands for any operand, the same one wherever it stands; a name that begins
with "c" for a number. Sums and products are matched in any order, with signs and factors as they
come (x - 1 is x + -1; a * b / c holds b / c), and at the root of a pattern as a part of a longer
sum or product. x * x, x**2 and square(x) are the same. A pattern looks through broadcasts, shapes
and indices: an elementwise function of a broadcast is the broadcast of the function.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from chainrule.program.program import Equation, Literal, Operand
from chainrule.transforms.rewriting import Graph

TERMS = 6  # of a sum or product that are looked at together
_MOVES = {"broadcast", "reshape", "transpose", "flip", "index"}
_OTHERWISE = {"name", "number", "sum", "product", "square", "sqrt", "power"}  # see `_named`
_SUMS, _PRODUCTS = ("add", "subtract", "negative"), ("multiply", "divide", "scale")

Bindings = dict[str, Operand]
Terms = list[tuple[int, Operand]]  # each with a sign, or with an exponent 1 or -1


@dataclass(frozen=True)
class Pattern:
    """A node: kind "name", "number", "sum", "product" or an operation's name.

    `parts` holds pairs (sign, pattern) in a sum, (exponent, pattern) in a product.
    """

    kind: str
    name: str = ""
    value: float = 0.0
    parts: tuple = ()


@dataclass(frozen=True)
class Node:
    """What made an operand, as patterns see it: an operation's name and its operands."""

    name: str
    inputs: tuple[Operand, ...]


# --- reading patterns -----------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def pattern(text: str) -> Pattern:
    """The pattern of a text."""
    return _read(ast.parse(text, mode="eval").body)


def _read(node: ast.AST) -> Pattern:
    if isinstance(node, ast.Constant):
        assert isinstance(node.value, int | float)
        return Pattern("number", value=float(node.value))
    if isinstance(node, ast.Name):
        return Pattern("name", node.id)
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        return Pattern(node.func.id, parts=tuple(_read(a) for a in node.args))
    if isinstance(node, ast.UnaryOp):
        inner = _read(node.operand)
        if inner.kind == "number":
            return Pattern("number", value=-inner.value)
        return Pattern("sum", parts=((-1, inner),))
    assert isinstance(node, ast.BinOp)
    left, right = _read(node.left), _read(node.right)
    if isinstance(node.op, ast.Add | ast.Sub):
        sign = 1 if isinstance(node.op, ast.Add) else -1
        return Pattern("sum", parts=_joined("sum", left, right, sign))
    if isinstance(node.op, ast.Mult | ast.Div):
        sign = 1 if isinstance(node.op, ast.Mult) else -1
        return Pattern("product", parts=_joined("product", left, right, sign))
    assert isinstance(node.op, ast.Pow)
    if right == Pattern("number", value=2.0):
        return Pattern("square", parts=(left,))
    return Pattern("power", parts=(left, right))


def _joined(kind: str, left: Pattern, right: Pattern, sign: int) -> tuple:
    """The terms of both, those that are quickest to be found missing first, names last."""
    first = left.parts if left.kind == kind else ((1, left),)
    second = right.parts if right.kind == kind else ((1, right),)
    parts = [*first, *[(sign * s, p) for s, p in second]]
    order = {"number": 0, "name": 2}
    return tuple(sorted(parts, key=lambda part: order.get(part[1].kind, 1)))


def wanted(p: Pattern) -> frozenset[str]:
    """What must stand at the top of the parts of whatever matches: operations, "number", "sum" or
    "product". A cheap look before the search."""
    parts = [part[1] if isinstance(part, tuple) else part for part in p.parts]
    found = {part.kind for part in parts if part.kind != "name"}
    if p.kind == "product" and all(q.value == 1.0 for q in parts if q.kind == "number"):
        found.discard("number")  # a factor 1 may be missing
    return frozenset(found)


@lru_cache(maxsize=4096)
def functions(p: Pattern) -> frozenset[str]:
    """The operations below the top of whatever matches, but those that go by several names."""
    parts = [part[1] if isinstance(part, tuple) else part for part in p.parts]
    found = {part.kind for part in parts if part.kind not in _OTHERWISE}
    return frozenset(found.union(*map(functions, parts)))


# --- reading programs -----------------------------------------------------------------------------


class Reader:
    """A graph as patterns see it."""

    def __init__(self, graph: Graph, barred: set[Operand]):
        self.graph, self.barred = graph, barred
        self._nodes: dict[Operand, Node | None] = {}
        self._terms: dict[tuple[str, Operand], Terms] = {}

    def node(self, operand: Operand) -> Node | None:
        """What made an operand: seen through shapes, and under its simplest name."""
        if operand.is_literal or operand in self.barred:
            return None
        if operand not in self._nodes:
            equation = self.graph.maker(operand)
            self._nodes[operand] = None if equation is None else self.seen(equation)
        return self._nodes[operand]

    def seen(self, equation: Equation) -> Node | None:
        """An equation as a node; one that moves entries is the function that it moves."""
        if equation.op.name in _MOVES:
            return self._moved(equation)
        return _named(equation)

    def _moved(self, equation: Equation) -> Node | None:
        x, *others = equation.inputs
        inner = self.node(x)
        maker = self.graph.maker(x)
        if inner is None or maker is None:
            return None
        source = maker
        while source.op.name in _MOVES:
            above = self.graph.maker(source.inputs[0])
            if above is None:
                return None
            source = above
        if not source.op.elementwise or equation.outputs[0].type.dtype != x.type.dtype:
            return None
        emit, name, params = self.graph.emit, equation.op.name, equation.params
        moved = [
            y if y.is_literal or y.type is not x.type else emit(name, y, *others, **params)
            for y in inner.inputs
        ]
        if any(m is y and not y.is_literal for m, y in zip(moved, inner.inputs, strict=True)):
            return None
        return Node(inner.name, tuple(moved))

    def terms(self, operand: Operand, kind: str) -> Terms:
        """The terms of a sum with their signs, or the factors of a product with exponents 1, -1."""
        if operand.is_literal:
            return [(1, operand)]
        found = self._terms.get((kind, operand))
        if found is None:
            found = self._terms[kind, operand] = self._spread(kind, [(1, operand)])
        return found

    def terms_of(self, node: Node, kind: str) -> Terms:
        """As `terms`, of what a node computes."""
        return self._spread(kind, list(zip(_signs(node, 1), node.inputs, strict=True)))

    def _spread(self, kind: str, waiting: Terms) -> Terms:
        names = _SUMS if kind == "sum" else _PRODUCTS
        done: Terms = []
        while waiting:
            sign, x = waiting.pop(0)
            node = self.node(x)
            if node is None or node.name not in names or len(done) + len(waiting) >= TERMS:
                done.append((sign, x))
            else:
                waiting[:0] = list(zip(_signs(node, sign), node.inputs, strict=True))
        return done


    def tags(self, operands: Iterable[Operand]) -> set[str]:
        """What patterns may find at the top of some operands: see `wanted`."""
        found: set[str] = set()
        for x in operands:
            if x.is_literal:
                found.add("number")
                continue
            node = self.node(x)
            if node is not None:
                found.add(node.name)
                if node.name in _SUMS:
                    found.add("sum")
                elif node.name in _PRODUCTS:
                    found.add("product")
        return found

    def total(self, kind: str, terms: Terms) -> Operand | None:
        """One operand for a sum or product of terms, recorded; None for no terms."""
        if not terms:
            return None
        first = [x for s, x in terms if s > 0]
        rest = [x for s, x in terms if s < 0]
        emit = self.graph.emit
        join, part = ("add", "subtract") if kind == "sum" else ("multiply", "divide")
        if not first and kind == "sum":
            out = emit("negative", rest.pop(0))
        elif not first:
            out = emit("divide", _one(rest[0]), rest.pop(0))
        else:
            out = first.pop(0)
        for x in first:
            out = emit(join, out, x)
        for x in rest:
            out = emit(part, out, x)
        return out


def _signs(node: Node, sign: int) -> tuple[int, ...]:
    if node.name == "negative":
        return (-sign,)
    return (sign, -sign if node.name in ("subtract", "divide") else sign)


def is_value(operand: Operand, value: float) -> bool:
    """Whether an operand is this number."""
    return operand.is_literal and operand.value.dtype.kind == "f" and float(operand.value) == value


def _named(equation: Equation) -> Node:
    name, inputs = equation.op.name, equation.inputs
    if name == "multiply" and inputs[0] is inputs[1]:
        return Node("square", inputs[:1])
    if name == "power":
        for exponent, simple in ((2.0, "square"), (0.5, "sqrt")):
            if is_value(inputs[1], exponent):
                return Node(simple, inputs[:1])
        if is_value(inputs[1], -1.0):
            return Node("divide", (_one(inputs[0]), inputs[0]))
    if name == "reciprocal":
        return Node("divide", (_one(inputs[0]), inputs[0]))
    return Node(name, inputs)


def _one(like: Operand) -> Literal:
    return Literal(like.type.dtype.type(1))


# --- matching -------------------------------------------------------------------------------------


def matches(p: Pattern, operand: Operand, reader: Reader, bound: Bindings) -> Iterator[Bindings]:
    """The ways in which a whole operand matches a pattern; `bound` is not changed."""
    if p.kind == "name":
        yield from _bind(p.name, operand, bound)
    elif p.kind == "number":
        if is_value(operand, p.value):
            yield bound
    elif p.kind in ("sum", "product"):
        yield from _whole(p, operand, reader, bound)
    else:
        node = reader.node(operand)
        if node is not None and node.name == p.kind and len(node.inputs) == len(p.parts):
            yield from _each(list(zip(p.parts, node.inputs, strict=True)), reader, bound)


def _bind(name: str, operand: Operand, bound: Bindings) -> Iterator[Bindings]:
    if name[0] == "c" and not operand.is_literal:
        return
    known = bound.get(name)
    if known is None:
        yield {**bound, name: operand}
    elif same(known, operand):
        yield bound


def same(x: Operand, y: Operand) -> bool:
    """Whether two operands are the same variable or number."""
    return x is y or (x.is_literal and y.is_literal and x.key == y.key)


def _each(pairs: list, reader: Reader, bound: Bindings) -> Iterator[Bindings]:
    if not pairs:
        yield bound
        return
    (p, operand), *rest = pairs
    for found in matches(p, operand, reader, bound):
        yield from _each(rest, reader, found)


def _whole(p: Pattern, operand: Operand, reader: Reader, bound: Bindings) -> Iterator[Bindings]:
    terms = reader.terms(operand, p.kind)
    for found, left, flipped in partly(p, terms, reader, bound, True):
        if not left and not flipped:
            yield found


def partly(
    p: Pattern, terms: Terms, reader: Reader, bound: Bindings, whole: bool = False
) -> Iterator[tuple[Bindings, Terms, bool]]:
    """The ways in which some terms match a sum or product, the terms left, and whether every
    sign is the opposite (of a sum only). With `whole` a last name stands for all terms left."""
    flips = (1, -1) if p.kind == "sum" and not whole else (1,)
    for flip in flips:
        wanted = [(flip * sign, part) for sign, part in p.parts]
        for found, left in _some(p.kind, wanted, terms, reader, bound, whole):
            yield found, left, flip < 0


def _some(
    kind: str, wanted: list, terms: Terms, reader: Reader, bound: Bindings, whole: bool
) -> Iterator[tuple[Bindings, Terms]]:
    if not wanted:
        yield bound, terms
        return
    (sign, part), *rest = wanted
    if part.kind == "name" and whole and not rest and len(terms) != 1:
        yield from _all_left(kind, sign, part.name, terms, reader, bound)
        return
    for place, (s, operand) in enumerate(terms):
        left = terms[:place] + terms[place + 1 :]
        if part.kind == "number":
            if operand.is_literal and _is_term(kind, sign, part.value, s, operand):
                yield from _some(kind, rest, left, reader, bound, whole)
        elif s == sign:
            for found in matches(part, operand, reader, bound):
                yield from _some(kind, rest, left, reader, found, whole)
        elif kind == "sum" and part.kind == "name" and whole and not rest:
            yield from _all_left(kind, sign, part.name, terms, reader, bound)
    if kind == "product" and part.kind == "number" and part.value == 1.0:
        yield from _some(kind, rest, terms, reader, bound, whole)


def _is_term(kind: str, sign: int, value: float, s: int, operand: Operand) -> bool:
    held = float(operand.value.real) if operand.is_literal else 0.0
    if kind == "sum":
        return s * held == sign * value
    return s == sign and held == value


def _all_left(kind, sign, name, terms: Terms, reader: Reader, bound: Bindings) -> Iterator:
    """A name bound to everything that is left of a sum or product."""
    if not terms or name in bound or (name[0] == "c" and len(terms) > 1):
        return
    signs = {s for s, _ in terms}
    if kind == "product" and (sign not in signs or (sign < 0 and 1 in signs)):
        return  # a product is no 1 / x
    value = reader.total(kind, [(sign * s, x) for s, x in terms])
    assert value is not None
    for found in _bind(name, value, bound):
        yield found, []
