"""A program evaluated in germs, equation by equation.

An input moves (a `Germ`) or is fixed (an array). What depends on no moving value is computed as
ever; the rest by the rule of the operation's name in `RULES`, else by the one of the kind of its
derivative in `BY_KIND`. The rule files enter themselves in these tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.germs.series import Germ, constant
from chainrule.program.at_hand import add_line
from chainrule.program.liveness import last_uses
from chainrule.program.program import Equation, Literal, Program

Value = Any  # a Germ, or what NumPy computes with


class Unsupported(Exception):
    """An operation has no rule in germs, on values that move: `op` is its name."""

    def __init__(self, op: str, why: str = ""):
        super().__init__(f"{op} has no rule for germs{': ' + why if why else ''}")
        self.op = op


class FinerRoot(Exception):
    """A root of s**odd was met: the parameter must be a higher root of eps, `factor` times."""

    def __init__(self, factor: int):
        super().__init__(f"eps = s**q with a q that is {factor} times as large")
        self.factor = factor


LOG = 2.0**14


class Run:
    """One evaluation: how many terms are kept, in which root of eps, and what it met.

    `log` stands for log(1 / s). `undecided` is set where a comparison would have needed more terms,
    `met_logarithm` where log s came in.
    """

    def __init__(self, window: int, root: int = 1, log: float = LOG):
        self.window, self.root, self.log = window, root, log
        self.whole = window  # that of the run that this one is a part of
        self.undecided = False
        self.met_logarithm = False
        self.kept: dict | None = None  # within a derivative rule: what was worked out

    def smaller(self, window: int) -> Run:
        """A run of fewer terms, for a part of this one."""
        run = Run(window, self.root, self.log)
        run.whole = self.whole
        run.met_logarithm, run.kept = self.met_logarithm, self.kept
        return run

    def join(self, run: Run) -> None:
        """Note what a part met."""
        self.undecided |= run.undecided
        self.met_logarithm |= run.met_logarithm


Rule = Callable[[Run, Equation, list], Any]
RULES: dict[str, Rule] = {}
BY_KIND: dict[type, Rule] = {}


def rule(*names: str):
    """Enter a rule `rule(run, equation, inputs) -> output(s)` for operations of these names."""

    def enter(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return enter


def evaluate_in(run: Run, program: Program, inputs: Sequence[Value]) -> list[Value]:
    """The outputs of a closed program, as germs where they may move."""
    env: dict[Any, Value] = dict(zip(program.inputs, inputs, strict=True))
    uses = last_uses(program)
    with np.errstate(all="ignore"):
        for number, equation in enumerate(program.equations):
            values = [_literal(x) if x.is_literal else env[x] for x in equation.inputs]
            try:
                made = apply(run, equation, values)
            except (Unsupported, FinerRoot):
                raise
            except Exception as error:
                raise add_line(error, equation) from None
            env.update(zip(equation.outputs, made, strict=True))
            for x in (*equation.inputs, *equation.outputs):
                if not x.is_literal and uses.get(x, number) <= number:
                    env.pop(x, None)
    return [o.value if o.is_literal else env[o] for o in program.outputs]


def _literal(x: Literal) -> Value:
    """A literal; in float32 the number that it stands for, since germs are float64."""
    single = x.exact is not None and x.type.dtype == np.float32
    return np.float64(x.exact) if single else x.value


def apply(run: Run, equation: Equation, inputs: list[Value]) -> tuple:
    """The outputs of one equation."""
    op = equation.op
    if not any(isinstance(x, Germ) for x in inputs):
        made = op.evaluate(*inputs, **equation.params)
    else:
        found = RULES.get(op.name) or BY_KIND.get(type(op.derivative))
        if found is None:
            raise Unsupported(op.name)
        made = found(run, equation, inputs)
    return made if isinstance(made, tuple) else (made,)


def germ_of(run: Run, value: Value) -> Germ:
    """A value as a germ."""
    return value if isinstance(value, Germ) else constant(value, run.window)
