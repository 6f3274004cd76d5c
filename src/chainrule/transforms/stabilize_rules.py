"""What a rule of stability is, and how it is applied.

A rule is data: a pattern and what takes its place, both in the notation of formulas; where it
holds; a source. Its test against mpmath is made from these fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from chainrule.ops import compare, elementwise, select
from chainrule.ops.special import (
    bessel_functions,
    bessel_relatives,
    entropy,
    error_functions,
    exponential_integrals,
    gamma_functions,
    gaussian,
    logistic,
    stable_forms,
)
from chainrule.program.op import Op
from chainrule.program.program import Operand, Program, Var
from chainrule.program.trace import Builder, Traced, as_operand
from chainrule.program.types import Type
from chainrule.transforms.rewriting import Graph
from chainrule.transforms.stabilize_patterns import Bindings


@dataclass(frozen=True)
class Rule:
    """One rewriting of a formula.

    `becomes` is a formula in the operations of chainrule, `where(c, x, y)` among them. `domain`
    says for which values of the names the rule improves on the pattern; elsewhere it gives the
    same values, nan and infinities included. `holds(bindings)` is a condition on the numbers.
    With a `difference`, such as "1 + x - y", the name d in `becomes` is that sum with what cancels
    in it left out: 1 for x + 1 and x. With `cancels`, the rule holds only if something does.
    """

    name: str
    pattern: str
    becomes: str
    domain: str = "every number"
    source: str = "ours"
    holds: Callable[[Bindings], bool] | None = None
    difference: str | None = None
    cancels: bool = False


def _where(condition, x, y):
    """x where the condition holds, else y; numbers stand for arrays filled with them."""
    return select.select(condition, x, y)


def only(condition, x):
    """x where the condition holds, else nan; so are the derivatives there."""
    one = select.constant_like(x, 1.0)
    known = select.stop_gradient(condition)  # no jump: what follows is continuous
    return x / select.select(known, one, x.dtype.type(np.nan))


_OPS: dict[str, Any] = {
    name: value
    for module in (
        compare, elementwise, bessel_functions, bessel_relatives, entropy, error_functions,
        exponential_integrals, gamma_functions, gaussian, logistic, stable_forms,
    )
    for name, value in vars(module).items()
    if isinstance(value, Op)
}  # fmt: skip
NAMES: dict[str, Any] = {**_OPS, "where": _where, "only": only, "nan": np.nan, "inf": np.inf}


def formula(text: str, values: dict[str, Any]) -> Any:
    """The value of a formula for traced values, arrays or numbers."""
    return eval(_compiled(text), {"__builtins__": {}, **NAMES, **values})


@lru_cache(maxsize=4096)
def _compiled(text: str):
    return compile(text, f"<{text}>", "eval")


def place(text: str, bindings: Bindings, type_: Type, graph: Graph) -> Operand:
    """Record a formula on the bound operands; the operand that it gives, of this type."""
    names = tuple(sorted(bindings))
    variable = [n for n in names if not bindings[n].is_literal]
    literals = {n: x for n, x in bindings.items() if x.is_literal}
    numbers = tuple((n, literals[n].key) for n in names if n in literals)
    values = {n: x.value for n, x in literals.items()}
    types = tuple(bindings[n].type for n in variable)
    program = _recorded(text, tuple(variable), types, _Numbers(numbers, values))
    (found,) = graph.inline(program, [bindings[n] for n in variable])
    return graph.of_type(found, type_)


class _Numbers:
    """The numbers that a formula is recorded with: equal where dtypes and bits are."""

    def __init__(self, key: tuple, values: dict):
        self.key, self.values = key, values

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other) -> bool:
        return isinstance(other, _Numbers) and self.key == other.key


@lru_cache(maxsize=2048)
def _recorded(
    text: str, names: tuple[str, ...], types: tuple[Type, ...], numbers: _Numbers
) -> Program:
    inputs = [Var(t) for t in types]
    with Builder("formula") as builder:
        builder.lines_from_user = False
        values = {n: Traced(builder, v) for n, v in zip(names, inputs, strict=True)}
        out = as_operand(builder, formula(text, {**numbers.values, **values}))
    return Program(inputs, builder.equations, [out])
