"""Sums of products: factors that are the same all along the sum go before it.

The gradient of a normalisation sums the same products several times, each time with other factors
of a row or a channel: of dy * (x - m) / s, of -dy * g * (x - m) / s / s, and so on. With these
factors before the sums, the sums are of two products, dy and dy * (x - m), and are made once: two
passes over the arrays instead of five. (What remains of others is the sum of x - mean(x).)

They hold in exact arithmetic, and change how results are rounded, or what infinities and nans give.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from chainrule.ops.shape import kept_axes
from chainrule.program.program import Operand
from chainrule.transforms.rewriting import Graph, Rewrite, is_real

_DEPTH = 8  # operations above a sum that are looked at
_Outer = Callable[[Operand], Operand]  # what is done to a sum, instead of to each of its terms


class _Sum:
    """A sum over some axes, being taken apart. Nothing is recorded before it is known how."""

    def __init__(self, graph: Graph, axes: tuple[int, ...], ndim: int):
        self.graph, self.axes = graph, axes
        self.kept = kept_axes(ndim, axes)

    def of(self, x: Operand, depth: int = _DEPTH) -> Callable[[], Operand] | None:
        """What records the sum of x with factors before it; None where there are none."""
        made = self.graph.maker(x)
        if made is None or not depth:
            return None
        if made.op.name in ("add", "subtract"):
            parts = [None if y.is_literal else self.of(y, depth - 1) for y in made.inputs]
            known = [p for p in parts if p is not None]
            if len(known) < 2:
                return None
            return lambda: self.graph.emit(made.op.name, *[record() for record in known])
        factors, outer = self._apart(x, depth)
        if not outer:
            return None
        inner = self.of(factors[0], depth - 1) if len(factors) == 1 else None
        return lambda: self._recorded(factors, inner, outer)

    def _recorded(self, factors: list[Operand], inner, outer: list[_Outer]) -> Operand:
        if inner is None:
            product, *rest = factors
            for y in rest:
                product = self.graph.emit("scale", product, y)
            out = self.graph.emit("sum", product, axes=self.axes)
        else:
            out = inner()
        for change in outer:
            out = change(out)
        return out

    def _apart(self, x: Operand, depth: int) -> tuple[list[Operand], list[_Outer]]:
        """The factors that vary along the sum, and what else is done to their product."""
        made = None if x.is_literal else self.graph.maker(x)
        if made is None or not depth:
            return [x], []
        name = made.op.name
        if name == "negative":
            factors, outer = self._apart(made.inputs[0], depth - 1)
            return factors, [*outer, lambda s: self.graph.emit("negative", s)]
        if name == "divide":
            top, bottom = made.inputs
            if top.is_literal or not self._is_same_all_along(bottom):
                return [x], []
            factors, outer = self._apart(top, depth - 1)
            return factors, [*outer, lambda s: self.graph.emit("divide", s, self._one_of(bottom))]
        if name not in ("multiply", "scale"):
            return [x], []
        for one, other in (made.inputs, made.inputs[::-1]):
            if self._is_same_all_along(one) and not other.is_literal:
                factors, outer = self._apart(other, depth - 1)
                return factors, [*outer, partial(self._times, name, one)]
        return self._of_two(x, made.inputs, depth)

    def _of_two(self, x: Operand, operands, depth: int) -> tuple[list[Operand], list[_Outer]]:
        """A product of two that vary: taken apart where there is something before the sum then,
        and nobody else needs the product."""
        if self.graph.uses(x) > 1:
            return [x], []
        (one, first), (other, second) = [self._apart(y, depth - 1) for y in operands]
        if not first and not second:
            return [x], []
        return [*one, *other], [*first, *second]

    def _times(self, name: str, factor: Operand, total: Operand) -> Operand:
        return self.graph.emit(name, self._one_of(factor), total)

    def _is_same_all_along(self, x: Operand) -> bool:
        if x.is_literal:
            return True
        spread = self.graph.made_by(x, "broadcast")
        return spread is not None and set(spread.params["axes"]) <= set(self.kept)

    def _one_of(self, x: Operand) -> Operand:
        """What is the same all along the sum, for each of the sum's results."""
        spread = None if x.is_literal else self.graph.made_by(x, "broadcast")
        if spread is None:
            return x
        (small,) = spread.inputs
        shape = tuple([x.type.shape[a] for a in self.kept])
        if small.type.shape == shape:
            return small
        places = tuple([self.kept.index(a) for a in spread.params["axes"]])
        return self.graph.emit("broadcast", small, shape=shape, axes=places)


def _factors_before(equation, graph: Graph):
    (x,), axes = equation.inputs, equation.params["axes"]
    if not is_real(x) or not x.type.size:
        return None
    record = _Sum(graph, axes, x.type.ndim).of(x)
    return None if record is None else record()


FACTORS = (
    Rewrite("factors before a sum",
            "sum(c a b) -> c sum(a b), for factors and divisors c that are the same all along the "
            "sum; sum(c a + d b) -> c sum(a) + d sum(b)", ("sum",), _factors_before,
            reads=("multiply", "scale", "divide", "negative", "add", "subtract"),
            valid_for="finite", changes="rounding"),
)  # fmt: skip
