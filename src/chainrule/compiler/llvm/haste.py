"""Strong zeros in haste: `scale` as a plain product, with a second look where a nan comes out.

`scale(p, t)` differs from p * t only where that is nan. In a loop kernel the nan reaches what is
stored or summed, if only operations that hand on a nan lie between. So the body computes plain
products, asks of the sum of its results whether it is nan, and in that rare case computes the same
vector again with the full rule. (The sum may be nan for other reasons; that costs time, no more.)
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from chainrule.compiler.llvm.code import Code, Value, lanes_of

if TYPE_CHECKING:
    from chainrule.compiler.llvm.loops import LoopSpec

_HANDS_ON = frozenset(
    {
        "add", "subtract", "multiply", "divide", "negative", "absolute", "scale", "square",
        "reciprocal", "sqrt", "sign", "maximum", "minimum", "stop_gradient", "barrier",
        *("exp", "log", "tanh", "expit", "log1p", "expm1", "sin", "cos", "erf", "sinh", "cosh"),
    }
)  # fmt: skip


@lru_cache(maxsize=1024)
def hasty_nodes(spec: LoopSpec) -> frozenset[int]:
    """The `scale` nodes (numbered behind the loads) whose nan reaches a result of the kernel."""
    first = len(spec.loads)
    reaches = {o for o in results(spec) if isinstance(o, int)}
    for i in range(first + len(spec.nodes) - 1, first - 1, -1):
        node = spec.nodes[i - first]
        if i in reaches and node.operation.name in _HANDS_ON and _is_float(node):
            reaches.update(o for o in node.operands if isinstance(o, int))
    return frozenset(
        i
        for i, node in enumerate(spec.nodes, start=first)
        if node.operation.name == "scale" and i in reaches and node.operation.out.char in "fd"
    )


def _is_float(node) -> bool:
    return node.operation.out.kind == "f" and all(d.kind == "f" for d in node.operation.dtypes)


def results(spec: LoopSpec) -> list:
    """The operands that are stored or reduced, where they are floats; each once."""
    found = [o for o, s in spec.stores if s.dtype.kind == "f"]
    found += [r.operand for r in spec.reductions if r.dtype.kind == "f"]
    return list(dict.fromkeys(found))


def some_nan(code: Code, values: list[Value]) -> Value:
    """An i1: whether a nan is among the lanes of these values (or their sum is one)."""
    flags = []
    for type_ in dict.fromkeys(v.type for v in values):
        alike = [v for v in values if v.type == type_]
        total = alike[0]
        for v in alike[1:]:
            total = code.fadd(total, v)
        flags.append(code.compare("uno", total, total))
    flag = flags[0]
    for other in flags[1:]:
        flag = code.binary("or", flag, other)
    lanes = lanes_of(flag.type)
    if lanes == 1:
        return flag
    bits = code.emit(f"i{lanes}", f"bitcast {flag} to i{lanes}")
    return code.compare("ne", bits, Value("0", f"i{lanes}"))
