"""Rewrites of arithmetic, logic, selection and casts that leave every bit as it is.

None of them reassociates, cancels (x - x is nan for x = inf) or multiplies by zero. Those with a
zero mind its sign: x + 0 is not x for x = -0, but x - 0 is, and x + -0.
"""

from __future__ import annotations

import math
import operator

import numpy as np

from chainrule.program.displacement import holds_quotient
from chainrule.program.exact import exact_result
from chainrule.program.op import Structural
from chainrule.program.program import Equation, Literal, Operand, folded
from chainrule.transforms.rewriting import Graph, Rewrite


def is_number(operand: Operand, number: float) -> bool:
    """Whether an operand is this real number, with the same sign where it is 0."""
    if not operand.is_literal:
        return False
    value = operand.value
    if value != number:
        return False
    kind = value.dtype.kind
    if number or kind in "biu":
        return True
    sign = math.copysign(1.0, number)
    if kind == "c":
        return math.copysign(1.0, value.real) == sign == math.copysign(1.0, value.imag)
    return math.copysign(1.0, value) == sign


def other_than(equation: Equation, number: float, graph: Graph) -> Operand | None:
    """The operand beside this number, as the value of the whole equation; None without one."""
    x, y = equation.inputs
    for one, other in ((x, y), (y, x)):
        if is_number(one, number):
            return graph.of_type(other, equation.outputs[0].type)
    return None


def _kind(equation: Equation) -> str:
    return equation.inputs[0].type.dtype.kind


# --- neutral elements -----------------------------------------------------------------------------


def _times_one(equation, graph):
    return None if _kind(equation) == "c" else other_than(equation, 1, graph)


def _over_one(equation, graph):
    x, y = equation.inputs
    if _kind(equation) == "c" or not is_number(y, 1):
        return None
    return graph.of_type(x, equation.outputs[0].type)


def _plus_nothing(equation, graph):
    return other_than(equation, 0 if _kind(equation) in "biu" else -0.0, graph)


def _minus_nothing(equation, graph):
    x, y = equation.inputs
    return graph.of_type(x, equation.outputs[0].type) if is_number(y, 0.0) else None


def _times_minus_one(equation, graph):
    if _kind(equation) not in "fi":
        return None
    found = other_than(equation, -1, graph)
    return None if found is None else graph.emit("negative", found)


def _over_power_of_two(equation, graph):
    x, y = equation.inputs
    if not y.is_literal or _kind(equation) != "f":
        return None
    if not np.isfinite(y.value) or not y.value or abs(math.frexp(float(y.value))[0]) != 0.5:
        return None
    inverse = np.reciprocal(y.value)
    if not np.isfinite(inverse) or np.reciprocal(inverse) != y.value:
        return None
    return graph.emit("multiply", x, Literal(inverse))


# --- signs ----------------------------------------------------------------------------------------

_INVOLUTIONS = ("negative", "conjugate", "invert")


def _twice(equation, graph):
    inner = graph.made_by(equation.inputs[0], equation.op.name)
    return None if inner is None else inner.inputs[0]


def _plus_negative(equation, graph):
    x, y = equation.inputs
    name, opposite = equation.op.name, {"add": "subtract", "subtract": "add"}[equation.op.name]
    if _kind(equation) == "b":
        return None
    inner = graph.made_by(y, "negative")
    if inner is not None:
        return graph.emit(opposite, x, inner.inputs[0])
    inner = graph.made_by(x, "negative") if name == "add" else None
    return None if inner is None else graph.emit("subtract", y, inner.inputs[0])


def _product_of_negatives(equation, graph):
    x, y = equation.inputs
    if _kind(equation) not in "fi":
        return None
    left, right = graph.made_by(x, "negative"), graph.made_by(y, "negative")
    if left is not None and right is not None:
        return graph.emit(equation.op.name, left.inputs[0], right.inputs[0])
    if left is not None and _negatable(y):
        return graph.emit(equation.op.name, left.inputs[0], _opposite(y))
    if right is not None and _negatable(x):
        return graph.emit(equation.op.name, _opposite(x), right.inputs[0])
    return None


def _opposite(number: Operand) -> Literal:
    assert number.is_literal
    return folded("negative", operator.neg, number)


def _negatable(operand: Operand) -> bool:
    return operand.is_literal and operand.value.dtype.kind in "fi"


def _negative_of_product(equation, graph):
    (x,) = equation.inputs
    if _kind(equation) not in "fi":
        return None
    inner = graph.maker(x)
    if inner is None or inner.op.name not in ("multiply", "divide"):
        return None
    left, right = inner.inputs
    if _negatable(right):
        return graph.emit(inner.op.name, left, _opposite(right))
    return graph.emit(inner.op.name, _opposite(left), right) if _negatable(left) else None


def _without_sign(equation, graph):
    if _kind(equation) not in "fi":
        return None
    inner = graph.maker(equation.inputs[0])
    if inner is None or inner.op.name not in ("negative", "absolute"):
        return None
    return graph.emit(equation.op.name, inner.inputs[0])


def _idempotent(equation, graph):
    x, y = equation.inputs
    logical = equation.op.name.startswith("logical") and _kind(equation) != "b"
    return x if x is y and not logical else None


# --- logic and selection --------------------------------------------------------------------------


def _not(equation, graph):
    inner = graph.maker(equation.inputs[0])
    if inner is None:
        return None
    if inner.op.name == "logical_not":
        return inner.inputs[0] if inner.inputs[0].type.dtype.kind == "b" else None
    opposite = {"equal": "not_equal", "not_equal": "equal"}.get(inner.op.name)
    return None if opposite is None else graph.emit(opposite, *inner.inputs)


def _logic_with_known(equation, graph):
    if _kind(equation) != "b":
        return None
    neutral = equation.op.name.endswith("and")
    kept = other_than(equation, neutral, graph)
    if kept is not None or not any(is_number(x, not neutral) for x in equation.inputs):
        return kept
    return graph.fill(Literal(np.bool_(not neutral)), equation.outputs[0].type)


def _select(equation, graph):
    condition, x, y = equation.inputs
    out = equation.outputs[0].type
    if condition.is_literal:
        return graph.of_type(x if condition.value else y, out)
    if x is y or (x.is_literal and y.is_literal and x.key == y.key):
        return graph.of_type(x, out)
    inner = graph.made_by(condition, "logical_not")
    if inner is not None and inner.inputs[0].type.dtype.kind == "b":
        return graph.emit("select", inner.inputs[0], y, x)
    first, second = graph.made_by(x, "select"), graph.made_by(y, "select")
    if first is not None and first.inputs[0] is condition:
        return graph.emit("select", condition, graph.of_type(first.inputs[1], out), y)
    if second is not None and second.inputs[0] is condition:
        return graph.emit("select", condition, x, graph.of_type(second.inputs[2], out))
    return None


def _select_of_truth(equation, graph):
    condition, x, y = equation.inputs
    if not x.is_literal or not y.is_literal or x.value.dtype.kind != "b" or x.value == y.value:
        return None
    return condition if x.value else graph.emit("logical_not", condition)


def _choice_of_same(equation, graph):
    """A nested choice by the opposite condition: select(c, x, select(not c, y, z)) and the like."""
    condition, x, y = equation.inputs
    inner = graph.made_by(y, "select")
    if inner is None or condition.is_literal:
        return None
    negated = graph.made_by(inner.inputs[0], "logical_not")
    if negated is None or negated.inputs[0] is not condition:
        return None
    return graph.emit("select", condition, x, graph.of_type(inner.inputs[1], y.type))


# --- derivatives' products ------------------------------------------------------------------------


def _scale_as_product(equation, graph):
    p, t = equation.inputs
    facts = graph.facts
    if p is not t:
        if not (facts.nonzero(p) or facts.finite(t)) or not (facts.nonzero(t) or facts.finite(p)):
            return None
    return graph.emit("multiply", p, t)


def zero_tests(equation: Equation, graph: Graph) -> tuple[bool, bool]:
    """Which operands of a `scale` must be tested for 0 where the product is nan: a zero matters
    only where the other operand can be inf or nan, and where it can be 0 itself."""
    p, t = equation.inputs
    facts = graph.facts
    return (
        not (facts.nonzero(p) or facts.finite(t)), not (facts.nonzero(t) or facts.finite(p))
    )  # fmt: skip


# --- casts ----------------------------------------------------------------------------------------


def _is_exact(source: np.dtype, target: np.dtype) -> bool:
    """Whether every value of one dtype is a value of the other."""
    if source == target:
        return True
    if source.kind in "iu" and target.kind in "fc":
        digits = np.finfo(target).nmant + 1
        return np.iinfo(source).bits - (source.kind == "i") <= digits and source.itemsize < 8
    return bool(np.can_cast(source, target, "safe"))


def _cast(equation, graph):
    (x,), dtype = equation.inputs, equation.params["dtype"]
    if x.type.dtype == dtype:
        return x
    inner = graph.made_by(x, "cast")
    if inner is None:
        return None
    source = inner.inputs[0].type.dtype
    if not _is_exact(source, x.type.dtype) or (source.kind in "fc" and dtype.kind in "iu"):
        return None
    return graph.emit("cast", inner.inputs[0], dtype=dtype)


def _complex_part(equation, graph):
    """real and imag of join; a part that is a number is repeated over the array's shape."""
    inner = graph.made_by(equation.inputs[0], "join")
    if inner is None:
        return None
    part = inner.inputs[0 if equation.op.name == "real" else 1]
    return graph.of_type(part, equation.outputs[0].type)


def _joined_parts(equation, graph):
    real, imag = (graph.maker(x) for x in equation.inputs)
    if real is None or imag is None or (real.op.name, imag.op.name) != ("real", "imag"):
        return None
    z = real.inputs[0]
    return z if z is imag.inputs[0] and z.type is equation.outputs[0].type else None


def _passed_on(equation, graph):
    return equation.inputs[0]


# --- constants ------------------------------------------------------------------------------------


def _folded(equation, graph):
    """What an equation computes from numbers alone, where that is a number."""
    inputs = equation.inputs
    if not inputs or not inputs[0].is_literal or not all([x.is_literal for x in inputs]):
        return None
    op = equation.op
    if not op.pure or len(equation.outputs) != 1 or equation.outputs[0].type.ndim:
        return None
    if op.name == "barrier" or isinstance(op.derivative, Structural) or holds_quotient(equation):
        return None
    try:
        value = op.evaluate(*[x.value for x in inputs], **equation.params)
    except Exception:  # whoever runs the program is told so, with the line
        return None
    made = np.asarray(value)
    if made.shape or made.dtype != equation.outputs[0].type.dtype:
        return None
    known = made.dtype.kind == "f" and not equation.params
    if known and any(x.exact is not None for x in inputs):
        exact = exact_result(op.name, [x.exact or x.value for x in inputs])
        return Literal(made.dtype.type(made[()]), exact=exact)
    return Literal(made.dtype.type(made[()]))


ARITHMETIC = (
    Rewrite("constant folding", "an operation on numbers alone, giving a number -> the number",
          ("*",), _folded, reads=("number",)),
    Rewrite("multiply by one", "x * 1 -> x (not complex: inf * 0)", ("multiply",), _times_one,
          reads=("number",)),
    Rewrite("divide by one", "x / 1 -> x (not complex)", ("divide",), _over_one, reads=("number",)),
    Rewrite("add nothing", "x + -0.0 -> x; of whole numbers, x + 0 -> x", ("add",), _plus_nothing,
          reads=("number",)),
    Rewrite("subtract nothing", "x - 0.0 -> x", ("subtract",), _minus_nothing, reads=("number",)),
    Rewrite("multiply by minus one", "x * -1 -> -x (not complex)", ("multiply",), _times_minus_one,
          reads=("number",)),
    Rewrite("divide by a power of two", "x / 2^k -> x * 2^-k, where 2^-k is a number of the dtype",
          ("divide",), _over_power_of_two, reads=("number",)),
    Rewrite("twice the same", "-(-x) -> x; likewise conjugate and invert", _INVOLUTIONS, _twice,
          reads=_INVOLUTIONS),
    Rewrite("add a negative", "x + (-y) -> x - y, x - (-y) -> x + y, (-x) + y -> y - x",
          ("add", "subtract"), _plus_negative, reads=("negative",)),
    Rewrite("product of negatives", "(-x) * (-y) -> x * y, (-x) * c -> x * -c; likewise divide",
          ("multiply", "divide"), _product_of_negatives, reads=("negative",)),
    Rewrite("negative of a product", "-(x * c) -> x * -c; likewise divide", ("negative",),
          _negative_of_product, reads=("multiply", "divide")),
    Rewrite("sign that is lost", "|-x| -> |x|, ||x|| -> |x|, (-x)^2 -> x^2, |x|^2 -> x^2 (real)",
          ("absolute", "square"), _without_sign, reads=("negative", "absolute")),
    Rewrite("both the same", "max(x, x) -> x; likewise min, fmax, fmin, and, or",
          ("maximum", "minimum", "fmax", "fmin", "logical_and", "logical_or", "bitwise_and",
           "bitwise_or"), _idempotent),
    Rewrite("negation", "not not c -> c, not (x == y) -> x != y and back", ("logical_not",), _not,
          reads=("logical_not", "equal", "not_equal")),
    Rewrite("logic with a known truth", "c and True -> c, c and False -> False; likewise or",
          ("logical_and", "logical_or"), _logic_with_known, reads=("number",)),
    Rewrite("select of one value",
          "select(True, x, y) -> x, select(c, x, x) -> x, select(not c, x, y) -> select(c, y, x), "
          "select(c, select(c, x, y), z) -> select(c, x, z) and likewise on the other side",
          ("select",), _select),
    Rewrite("select of truth", "select(c, True, False) -> c, select(c, False, True) -> not c",
          ("select",), _select_of_truth, reads=("number",)),
    Rewrite("select by the opposite", "select(c, x, select(not c, y, z)) -> select(c, x, y)",
          ("select",), _choice_of_same, reads=("select",)),
    Rewrite("scale of numbers",
          "scale(p, t) -> p * t, where p is never 0 or t never inf or nan, and the other way round",
          ("scale",), _scale_as_product),
    Rewrite("cast of a cast",
          "a cast to the same dtype -> x; a cast after an exact one -> one cast",
          ("cast",), _cast),
    Rewrite("parts of a complex number", "real(join(x, y)) -> x, imag(join(x, y)) -> y",
          ("real", "imag"), _complex_part, reads=("join",)),
    Rewrite("parts joined again", "join(real(z), imag(z)) -> z", ("join",), _joined_parts,
          reads=("real",)),
    Rewrite("stop_gradient", "stop_gradient(x) -> x: no derivative is taken any more",
          ("stop_gradient",), _passed_on),
)  # fmt: skip
