"""What is known of the memory of a program's values: which are surely contiguous.

NumPy's `x @ y` and `np.dot(x, y)` run the same BLAS routine on contiguous operands, and may differ
in the last bit on others. The shorter form is printed where it is surely the same.
"""

from __future__ import annotations

from chainrule.program.program import Equation, Var

C_ORDER, DENSE = "c", "dense"  # in C order; without gaps, in some order of the axes

_MAKES_C = {"contract", "iota", "random_bits", "inv", "concatenate", "cumsum", "cumprod"}


class Layouts:
    """The known layout of each variable: C_ORDER, DENSE, or None where nothing is known."""

    def __init__(self) -> None:
        self._known: dict[Var, str | None] = {}

    def set(self, var: Var, layout: str | None) -> None:
        self._known[var] = layout

    def of(self, operand) -> str | None:
        """The layout of an operand; a literal has none."""
        if operand.is_literal:
            return None
        if operand.type.ndim == 0:
            return C_ORDER
        return self._known.get(operand)

    def is_dense(self, operand) -> bool:
        return self.of(operand) is not None

    def made_by(self, equation: Equation) -> None:
        """Note the layouts of an equation's outputs."""
        layout = self._made(equation)
        for var in equation.outputs:
            if var.type.ndim == 1 and layout is not None:
                self._known[var] = C_ORDER
            else:
                self._known[var] = layout

    def _made(self, equation: Equation) -> str | None:
        op = equation.op
        arrays = [x for x in equation.inputs if not x.is_literal and x.type.ndim]
        in_c = all(self.of(x) == C_ORDER for x in arrays)
        if op.elementwise:
            return C_ORDER if in_c else DENSE
        if op.name == "reshape":
            return C_ORDER if in_c else None
        if op.name == "transpose":
            return DENSE if arrays and self.is_dense(arrays[0]) else None
        if op.view or op.in_place is not None:
            return self.of(equation.inputs[0]) if op.in_place is not None else None
        if op.name in _MAKES_C or op.name in ("sum", "prod", "max", "min"):
            return C_ORDER if in_c else DENSE
        return DENSE if not op.view and op.elementwise else None
