"""custom_derivative: a function with a derivative rule of your own."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper

import numpy as np

from chainrule import errors
from chainrule.api import flatten_like
from chainrule.ops.control import as_tuple, fresh, with_inputs
from chainrule.ops.custom import custom_op
from chainrule.ops.shape import zeros_of
from chainrule.program.program import Program
from chainrule.program.trace import Builder, Traced, as_operand, bind, current, inline
from chainrule.program.tree import first_difference, flatten, paths, unflatten
from chainrule.program.types import Type, type_of
from chainrule.tracing import Call, trace_call
from chainrule.transforms.kinks import inlined
from chainrule.transforms.reverse import split_program, transpose_program


class custom_derivative:
    """The function f, to be given a derivative rule by `.forward` or `.reverse` (or both).

    `@f.forward` takes `rule(primals, output, tangents) -> output tangent`, linear in the tangents.
    `@f.reverse` takes `rule(primals, output, cotangent) -> tuple of cotangents`, linear in the
    cotangent, one entry per argument (None for an argument without a derivative). Where only one
    rule is given, the other is derived from it by transposition. `primals` and `tangents` are
    tuples, one entry per argument; trees are allowed.

    **Errors** `CustomRuleError` where a rule returns another structure, shape or dtype, or closes
    over a traced value (pass it as an argument); `DerivativeMissing` where no rule was given.

    >>> import numpy as np
    >>> from chainrule.api import grad
    >>> @custom_derivative
    ... def log1pexp(x):
    ...     return np.log(1.0 + np.exp(x))
    >>> @log1pexp.forward
    ... def rule(primals, output, tangents):
    ...     return tangents[0] / (1.0 + np.exp(-primals[0]))
    >>> grad(log1pexp)(1000.0)
    np.float64(1.0)
    """

    def __init__(self, f: Callable):
        self._f = f
        self._forward: Callable | None = None
        self._reverse: Callable | None = None
        self.__name__: str = getattr(f, "__name__", type(f).__name__)
        update_wrapper(self, f)

    def forward(self, rule: Callable) -> Callable:
        """Give the forward rule; usable as a decorator."""
        self._forward = rule
        return rule

    def reverse(self, rule: Callable) -> Callable:
        """Give the reverse rule; usable as a decorator."""
        self._reverse = rule
        return rule

    def __get__(self, instance, owner=None):
        return self if instance is None else lambda *args: self(instance, *args)

    def __call__(self, *args):
        leaves, structure = flatten(args)
        if current() is None or not any(type(x) is Traced for x in leaves):
            return self._f(*args)
        if self._forward is None and self._reverse is None:
            raise errors.DerivativeMissing(
                f"{self.__name__} has no rule: give it one with @{self.__name__}.forward or "
                f"@{self.__name__}.reverse."
            )
        call = trace_call(self._f, args, {}, types=[_type(x) for x in leaves], concrete=False)
        if call.effects:
            raise errors.CustomRuleError(f"{self.__name__} writes to its arguments.")
        rules = _Rules(self.__name__, call, structure)
        params = rules.params(self._forward, self._reverse)
        operands = (*call.operands[: call.leading], *rules.arrays, *call.operands[call.leading :])
        outputs = as_tuple(bind(custom_op, operands, params))
        return call.finish(list(outputs))


def _type(value) -> Type:
    return value.type if type(value) is Traced else type_of(value)


class _Rules:
    """The user's rules traced to programs on [operands, outputs, tangents or cotangents]."""

    def __init__(self, name: str, call: Call, structure):
        self.name, self.call, self.structure = name, call, structure
        self.own = [v.type for v in call.program.inputs[call.leading :]]
        self.out_types = list(call.program.out_types)
        self.arrays: list[np.ndarray] = []  # constant arrays that the rules close over

    def params(self, forward: Callable | None, reverse: Callable | None) -> dict:
        rules = [None if f is None else self._rule(f, k) for f, k in
                 ((forward, "forward"), (reverse, "reverse"))]  # fmt: skip
        lead = [v.type for v in self.call.program.inputs[: self.call.leading]]
        lead += [type_of(x) for x in self.arrays]
        programs = [
            None if r is None else self._with_leading(r, lead, k)
            for r, k in zip(rules, ("forward", "reverse"), strict=True)
        ]
        fixed = len(lead) + len(self.own) + len(self.out_types)
        given = programs[0] if programs[0] is not None else programs[1]
        assert given is not None
        both = programs[0] is not None and programs[1] is not None
        inputs = self.call.program.inputs
        held = [*inputs[: self.call.leading], *fresh([type_of(x) for x in self.arrays])]
        return {
            "program": with_inputs(self.call.program, [*held, *inputs[self.call.leading :]]),
            "forward": programs[0], "reverse": programs[1],
            "transposed": None if both else _transposed(given, fixed, self.name),
        }  # fmt: skip

    def _with_leading(self, rule: Call, lead: list[Type], kind: str) -> Program:
        """A rule's program on [captured values, arguments, outputs, all that moves]."""
        inputs = rule.program.inputs
        held = fresh(lead)
        for host, var in zip(rule.operands, inputs[: rule.leading], strict=False):
            held[self._place(host)] = var
        given = inputs[rule.leading :]
        fixed = len(self.own) + len(self.out_types)
        moving = [t for t in lead if t.inexact]
        extra = fresh(moving) if kind == "forward" else []
        program = with_inputs(rule.program, [*held, *given[:fixed], *extra, *given[fixed:]])
        return program if kind == "forward" else _with_leading_zeros(program, moving)

    def _place(self, host) -> int:
        return self.call.leading + next(i for i, x in enumerate(self.arrays) if x is host)

    def _rule(self, rule: Callable, kind: str) -> Call:
        """The rule traced on [arguments, outputs, tangents or cotangents]."""
        run = self._run_forward if kind == "forward" else self._run_reverse
        moving = self.own if kind == "forward" else self.out_types
        types = [*self.own, *self.out_types, *(t for t in moving if t.inexact)]
        zeros = tuple(np.zeros(t.shape, t.dtype)[()] for t in types)
        a, b = len(self.own), len(self.own) + len(self.out_types)
        call = trace_call(
            lambda *v: run(rule, list(v[:a]), list(v[a:b]), list(v[b:])), zeros, {},
            frozenset(range(len(types))), types, concrete=False,
        )  # fmt: skip
        call.program = inlined(call.program)
        for host in call.operands[: call.leading]:
            if type(host) is Traced:
                self._refuse_captured(rule, host)
            if not any(x is host for x in self.arrays):
                self.arrays.append(host)
        return call

    def _primals(self, values):
        return unflatten(self.structure, values)

    def _with_none(self, types, values):
        source = iter(values)
        return [next(source) if t.inexact else None for t in types]

    def _run_forward(self, rule, primals, outputs, tangents) -> list:
        given = unflatten(self.structure, self._with_none(self.own, tangents))
        out = rule(self._primals(primals), unflatten(self.call.structure, outputs), given)
        return self._checked(out, self.call.structure, self.out_types, "tangent")

    def _run_reverse(self, rule, primals, outputs, cotangents) -> list:
        given = unflatten(self.call.structure, self._with_none(self.out_types, cotangents))
        out = rule(self._primals(primals), unflatten(self.call.structure, outputs), given)
        if not isinstance(out, tuple):
            raise errors.CustomRuleError(
                f"the reverse rule of {self.name} must return a tuple with one cotangent per "
                f"argument, it returned {type(out).__name__}."
            )
        return self._checked(out, self.structure, self.own, "cotangent")

    def _refuse_captured(self, rule, host: Traced) -> None:
        raise errors.CustomRuleError(
            f"the rule {getattr(rule, '__name__', 'rule')} of {self.name} uses a traced value "
            f"{host.type} from outside. A rule sees its primals and outputs only: pass the value "
            "as an argument of the function."
        )

    def _checked(self, out, structure, types, what: str) -> list:
        """The rule's result as one value per leaf that has a derivative."""
        try:
            leaves = flatten_like(structure, out, what)
        except errors.StructureMismatch as error:
            difference = first_difference(structure, flatten(out)[1])
            raise errors.CustomRuleError(
                f"the rule of {self.name} returned a {what} of another structure: {difference}."
            ) from error
        found = []
        for leaf, type_, path in zip(leaves, types, paths(structure), strict=True):
            if not type_.inexact:
                continue
            found.append(self._leaf(leaf, type_, path, what))
        return found

    def _leaf(self, leaf, type_: Type, path: str, what: str):
        if leaf is None:
            return np.zeros(type_.shape, type_.dtype)[()]
        have = _type(leaf)
        if have.shape != type_.shape:
            raise errors.CustomRuleError(
                f"the rule of {self.name} returned a {what}{path} of shape {have.shape}; needed "
                f"{type_.shape}."
            )
        if have.dtype == type_.dtype:
            return leaf
        return leaf.astype(type_.dtype) if type(leaf) is Traced else np.asarray(leaf, type_.dtype)


def _with_leading_zeros(program: Program, types) -> Program:
    """The program with zero outputs in front: captured values receive no cotangent."""
    if not types:
        return program
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        inputs = [builder.input(v.type, v.name) for v in program.inputs]
        values = [*(zeros_of(t) for t in types), *inline(program, inputs)]
        return builder.finish([as_operand(builder, v) for v in values])


def _transposed(program: Program, fixed: int, name: str) -> Program:
    """A rule backwards: [fixed inputs, cotangents of its results] to those of its linear inputs."""
    mask = (False,) * fixed + (True,) * (len(program.inputs) - fixed)
    known, linear, _, residuals = split_program(program, mask, (True,) * len(program.outputs))
    backwards = transpose_program(linear, len(residuals))
    with Builder(name, reuse=True) as builder:
        builder.lines_from_user = False
        inputs = [builder.input(v.type, v.name) for v in program.inputs[:fixed]]
        cts = [builder.input(o.type) for o in program.outputs]
        values = inline(known, inputs)
        found = inline(backwards, [*values, *cts])
        return builder.finish([as_operand(builder, v) for v in found])
