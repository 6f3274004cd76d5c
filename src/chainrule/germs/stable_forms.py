"""Operations that stand for a formula in a form that keeps its digits: at a singular point, where
their value is 0, infinite or nan, the formula itself is evaluated in germs."""

from __future__ import annotations

from functools import cache

import numpy as np

from chainrule.germs.evaluation import Run, evaluate_in, germ_of, rule
from chainrule.germs.series import Germ, chosen, typed
from chainrule.germs.smooth import smooth
from chainrule.ops.control import closed_program
from chainrule.ops.special.stable_forms import MEANINGS
from chainrule.program.program import Equation, Program
from chainrule.program.types import Type


@rule(*(set(MEANINGS) - {"safe_norm"}))
def _stable(run: Run, equation: Equation, inputs: list) -> Germ:
    type_ = equation.outputs[0].type
    limits = [x.wide_limit()[()] if isinstance(x, Germ) else x for x in inputs]
    value = np.asarray(equation.op.evaluate(*limits, **equation.params)).reshape(-1)
    singular = np.broadcast_to(~np.isfinite(value) | (value == 0), type_.size)
    if not singular.any():
        return smooth(run, equation, inputs)[0]
    types = tuple(v.type.with_dtype(float) for v in equation.inputs)
    program = _formula(equation.op.name, types, tuple(equation.params.items()))
    made = typed(germ_of(run, evaluate_in(run, program, inputs)[0]), type_)
    if singular.all():
        return made
    return chosen(singular, made, smooth(run, equation, inputs)[0], type_)


@cache
def _formula(name: str, types: tuple[Type, ...], params: tuple) -> Program:
    """The formula that an operation stands for, as a program."""
    program, captured = closed_program(
        name, types, lambda *values: [MEANINGS[name](*values, **dict(params))]
    )
    assert not captured
    return program
