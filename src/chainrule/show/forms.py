"""How each operation is written in Python: the table, and the forms that follow from the record.

A form is a function of a `Use` (an operation with its operands' fragments, types and params) that
gives a fragment whose value has the bits of the operation's own `evaluate`. Operations whose value
is a function of NumPy or SciPy, a Python operator, or a function of their module, need no row: the
record says it. The others have a row in `FORMS`.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.ops.special.scipy_functions import ScipyFunction
from chainrule.program.op import Op
from chainrule.program.program import Equation
from chainrule.program.types import Type
from chainrule.show.definitions import Definitions, is_plain_lambda
from chainrule.show.fragments import (
    BIT_AND,
    BIT_OR,
    BIT_XOR,
    COMPARE,
    DEFAULT_DTYPES,
    PRODUCT,
    SHIFT,
    SIGN,
    SUM,
    Fragment,
    call,
    dtype_text,
    infix,
    number,
    tuple_text,
    typed_number,
)
from chainrule.show.memory_order import Layouts


class Use:
    """One use of an operation: what its form is made from."""

    __slots__ = ("_fragments", "definitions", "equation", "layouts")

    def __init__(self, equation: Equation, fragments, definitions: Definitions, layouts: Layouts):
        self.equation, self._fragments = equation, fragments
        self.definitions, self.layouts = definitions, layouts

    @property
    def params(self) -> dict[str, Any]:
        return self.equation.params

    @property
    def types(self) -> list[Type]:
        return [x.type for x in self.equation.inputs]

    @property
    def out(self) -> Type:
        return self.equation.outputs[0].type

    def operand(self, i: int) -> Fragment:
        """An operand; a number is plain where another operand, or Python, gives it its dtype."""
        x = self.equation.inputs[i]
        if not x.is_literal:
            return self._fragments[i]
        others = [y for y in self.equation.inputs if not y.is_literal]
        beside = any(y.type.dtype == x.type.dtype for y in others)
        return number(x.value) if beside else typed_number(x.value)

    def operands(self) -> list[Fragment]:
        return [self.operand(i) for i in range(len(self.equation.inputs))]

    def plain(self, i: int) -> Fragment:
        """An operand; a number is plain always."""
        x = self.equation.inputs[i]
        return number(x.value) if x.is_literal else self._fragments[i]


Form = Callable[[Use], Fragment]

FORMS: dict[str, Form] = {}  # rows, entered by array_forms.py and matrix_forms.py


def form_of(op: Op) -> Form | None:
    """How an operation is written; None where nothing says it."""
    return FORMS.get(op.name) or _form_of_value(op)


_INFIX: dict[Any, tuple[str, int]] = {
    operator.add: ("+", SUM), operator.sub: ("-", SUM),
    operator.mul: ("*", PRODUCT), operator.truediv: ("/", PRODUCT),
    operator.eq: ("==", COMPARE), operator.ne: ("!=", COMPARE),
    operator.lt: ("<", COMPARE), operator.le: ("<=", COMPARE),
    operator.gt: (">", COMPARE), operator.ge: (">=", COMPARE),
    np.bitwise_and: ("&", BIT_AND), np.bitwise_or: ("|", BIT_OR), np.bitwise_xor: ("^", BIT_XOR),
    np.left_shift: ("<<", SHIFT), np.right_shift: (">>", SHIFT),
}  # fmt: skip
_PREFIX = {operator.neg: "-", np.invert: "~"}
_SHORTER = {"absolute": "abs", "conjugate": "conj"}


def _form_of_value(op: Op) -> Form | None:
    value = op.evaluate
    try:
        if value in _INFIX:
            symbol, level = _INFIX[value]
            return lambda use: infix(symbol, level, *use.operands())
        if value in _PREFIX:
            return lambda use: Fragment(_PREFIX[value] + use.operand(0).within(SIGN), SIGN)
    except TypeError:  # not hashable
        return None
    if isinstance(value, np.ufunc):
        name = _SHORTER.get(value.__name__, value.__name__)
        return lambda use: call(f"np.{name}", *use.operands())
    if isinstance(value, ScipyFunction):
        return lambda use: _scipy_call(use, value.name)
    module = getattr(value, "__module__", None) or ""
    if module == "numpy" or module.startswith("numpy."):
        path = module.replace("numpy", "np", 1)
        return lambda use: call(f"{path}.{value.__name__}", *use.operands(), **params_of(use))
    if is_plain_lambda(value):
        return lambda use: call(
            use.definitions.lambda_(op.name, value), *as_arrays(use), **params_of(use)
        )
    return _form_of_function(value)


def _scipy_call(use: Use, name: str) -> Fragment:
    made = call(f"{use.definitions.module('scipy.special')}.{name}", *use.operands())
    if use.out.dtype == np.float16:  # SciPy computes it in float32
        return made.get(f".astype({dtype_text(use.out.dtype)})")
    return made


def _form_of_function(value) -> Form | None:
    """A call of the function of a module, whose definition is taken along."""
    name = getattr(value, "__qualname__", "")
    module = sys.modules.get(getattr(value, "__module__", ""))
    if not name.isidentifier() or getattr(module, name, None) is not value:
        return None
    return lambda use: call(use.definitions.function(value), *as_arrays(use), **params_of(use))


def as_arrays(use: Use) -> list[Fragment]:
    """Operands as chainrule's own functions take them: NumPy scalars, not plain numbers."""
    return [
        call(dtype_text(x.type.dtype), number(x.value)) if x.is_literal else use.operand(i)
        for i, x in enumerate(use.equation.inputs)
    ]


def params_of(use: Use) -> dict[str, str]:
    """All params as options."""
    return {name: param_text(value) for name, value in use.params.items()}


def param_text(value) -> str:
    """A param as Python writes it."""
    if isinstance(value, np.dtype):
        return f"np.dtype({dtype_text(value)})"
    if isinstance(value, tuple):
        return tuple_text(param_text(item) for item in value)
    return repr(value)


def dtype_option(use: Use) -> dict[str, str]:
    """`dtype=...` where NumPy would not choose the output's dtype by itself."""
    name = use.out.dtype.name
    return {} if name in DEFAULT_DTYPES else {"dtype": dtype_text(use.out.dtype)}
