"""scan: a body run along the leading axis of arrays, carrying values from step to step.

Value     for each i in order (backwards if `reverse`): carry, y_i = body(constants, carry, x_i).
          The result is the last carry and the y_i stacked. Inputs: constants, carry, stacked xs.
Slope     the tangent of a scan is a scan. Reverse mode stores, stacked, what the linear half of the
          body reads; what does not change from step to step is computed once, outside; the linear
          half runs backwards with the cotangents of the constants as a running total.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.ops.control import (
    as_tuple,
    check_types,
    depends_only_on,
    fresh,
    pick,
    stacked,
    substituted,
    tangent_or_zeros,
    unmoved,
    with_inputs,
    with_outputs,
    with_zeros,
)
from chainrule.ops.shape import add_batch_axis, broadcast, move_axis, zeros_of
from chainrule.program.evaluate import plan
from chainrule.program.liveness import remove_dead
from chainrule.program.op import Op, Structural
from chainrule.program.program import Equation, Program
from chainrule.program.trace import Traced


def _type(*inputs, body: Program, constants, carries, length, reverse):
    want = inputs[: constants + carries] + tuple(
        t.with_shape(t.shape[1:]) for t in inputs[constants + carries :]
    )
    check_types("the body of scan takes", body.in_types, want)
    outs = body.out_types
    check_types("the body of scan carries", outs[:carries], want[constants : constants + carries])
    if any(t.shape[:1] != (length,) for t in inputs[constants + carries :]):
        raise errors.ShapeError(f"scan runs {length} steps, over arrays of other lengths.")
    return outs[:carries] + tuple(stacked(t, length) for t in outs[carries:])


def _evaluate(*inputs, body, constants, carries, length, reverse):
    fixed, xs = list(inputs[:constants]), inputs[constants + carries :]
    donated = tuple(range(constants, constants + carries))
    step = plan(body, donated)
    types = body.in_types[constants : constants + carries]
    carry = [
        np.array(x, t.dtype) if t.ndim else t.dtype.type(x)
        for x, t in zip(inputs[constants : constants + carries], types, strict=True)
    ]
    ys = [np.empty((length, *t.shape), t.dtype) for t in body.out_types[carries:]]
    for i in range(length - 1, -1, -1) if reverse else range(length):
        out = step([*fixed, *carry, *[x[i] for x in xs]])
        carry = out[:carries]
        for y, value in zip(ys, out[carries:], strict=True):
            y[i] = value
    made = (*carry, *ys)
    return made[0] if len(made) == 1 else made


def _groups(items, params) -> tuple[list, list, list]:
    """Inputs in three lists: constants, carry, xs."""
    a = params["constants"]
    b = a + params["carries"]
    return list(items[:a]), list(items[a:b]), list(items[b:])


def _forward(equation, inputs, tangents, forward):
    params = equation.params
    body, count = params["body"], params["carries"]
    fixed, carry, xs = (
        [t is not None for t in group] for group in _groups(tangents, params)
    )
    while True:
        made, moves = forward(body, tuple(fixed + carry + xs))
        grown = [a or b for a, b in zip(carry, moves[:count], strict=True)]
        if grown == carry:
            break
        carry = grown
    wanted = tuple(carry) + tuple(moves[count:])
    if not any(wanted):
        return unmoved(equation, inputs)
    made = with_zeros(made, moves, wanted, len(moves))
    active = fixed + carry + xs
    given = [
        tangent_or_zeros(t, x) if a else None
        for t, x, a in zip(tangents, inputs, active, strict=True)
    ]
    groups = [
        [*primal, *(t for t in moving if t is not None)]
        for primal, moving in zip(_groups(inputs, params), _groups(given, params), strict=True)
    ]
    made = _paired(made, body, params, active, wanted)
    new = {
        "body": made, "constants": len(groups[0]), "carries": len(groups[1]),
        "length": params["length"], "reverse": params["reverse"],
    }  # fmt: skip
    values = as_tuple(scan_op(*groups[0], *groups[1], *groups[2], **new))
    return _unpaired(values, count, len(equation.outputs), wanted)


def _paired(program: Program, body: Program, params, active, moves) -> Program:
    """Reorder [primals, tangents] to constants, carry, xs, each with its tangents behind it."""
    count, n = params["carries"], len(body.inputs)
    tangent = iter(program.inputs[n:])
    moving = [next(tangent) if a else None for a in active]
    order: list = []
    for primal, group in zip(
        _groups(program.inputs[:n], params), _groups(moving, params), strict=True
    ):
        order += [*primal, *(t for t in group if t is not None)]
    m = len(body.outputs)
    made = iter(program.outputs[m:])
    d_out = [next(made) if flag else None for flag in moves]
    out = [*program.outputs[:count], *(d for d in d_out[:count] if d is not None)]
    out += [*program.outputs[count:m], *(d for d in d_out[count:] if d is not None)]
    return with_outputs(with_inputs(program, order), out)


def _unpaired(values, count: int, total: int, moves):
    source = iter(values)
    carry = [next(source) for _ in range(count)]
    d_carry = [next(source) if m else None for m in moves[:count]]
    ys = [next(source) for _ in range(total - count)]
    d_ys = [next(source) if m else None for m in moves[count:]]
    return carry + ys, d_carry + d_ys


# --- reverse mode ---------------------------------------------------------------------------------


def _split(equation, mask, split_program):
    params = equation.params
    body, count = params["body"], params["carries"]
    fixed, carry, xs = _groups(mask, params)
    while True:
        linear = tuple(fixed + carry + xs)
        moves = split_program(body, linear)[2]
        grown = [a or b for a, b in zip(carry, moves[:count], strict=True)]
        if grown == carry:
            break
        carry = grown
    forced = tuple(carry) + tuple(moves[count:])
    known, lin, moves, residuals = split_program(body, linear, forced)
    division = _Division(equation, linear, moves, known, lin, residuals)
    return division.known_equations(), [division.linear_equation()]


class _Division:
    """A scan divided into the part that does not move and the linear part."""

    def __init__(self, equation: Equation, linear, moves, known, lin, residuals):
        self.equation, self.params = equation, equation.params
        self.linear, self.moves = linear, moves
        self.known, self.lin, self.residuals = known, lin, residuals
        body = self.params["body"]
        self.operand = dict(zip(body.inputs, equation.inputs, strict=True))
        self.fixed_vars, self.carry_vars, self.x_vars = _groups(body.inputs, self.params)
        lin_fixed, lin_carry, lin_xs = _groups(linear, self.params)
        self.known_fixed = pick(self.fixed_vars, lin_fixed, False)
        self.known_carry = pick(self.carry_vars, lin_carry, False)
        self.known_xs = pick(self.x_vars, lin_xs, False)
        self.lin_fixed = pick(self.fixed_vars, lin_fixed)
        self.lin_carry = pick(self.carry_vars, lin_carry)
        self.lin_xs = pick(self.x_vars, lin_xs)
        self.invariant = depends_only_on(known, self.known_fixed)
        self.stacked_residuals = [
            r for r in residuals if r not in self.invariant and r not in self.known_xs
        ]
        length = self.params["length"]
        self.stacks = fresh([stacked(r.type, length) for r in self.stacked_residuals])
        for stack, residual in zip(self.stacks, self.stacked_residuals, strict=True):
            if residual.name and not getattr(residual.name, "temporary", False):
                stack.name = f"{residual.name}_steps"

    def known_equations(self) -> list[Equation]:
        """The invariant equations once, and the scan of the known half."""
        count = self.params["carries"]
        self.outside = {v: self.operand[v] for v in self.known_fixed}
        hoisted = self._hoisted()
        known_out = self.known.outputs[: sum(not m for m in self.moves)]
        body = with_outputs(self.known, [*known_out, *self.stacked_residuals])
        body = with_inputs(body, [*self.known_fixed, *self.known_carry, *self.known_xs])
        outputs = pick(self.equation.outputs, self.moves, False)
        if not outputs and not self.stacks:
            return hoisted
        operands = [self.operand[v] for v in body.inputs]
        carries = sum(not m for m in self.moves[:count])
        made = self._equation(
            remove_dead(body), operands, (*outputs, *self.stacks), len(self.known_fixed), carries
        )
        return [*hoisted, made]

    def _hoisted(self) -> list[Equation]:
        """Copies, outside the loop, of the equations behind the residuals that never change."""
        wanted = [r for r in self.residuals if r in self.invariant]
        part = with_outputs(self.known, wanted)
        out = []
        for equation in remove_dead(part).equations:
            if all(v in self.invariant for v in equation.outputs):
                out.append(substituted(equation, self.outside))
        return out

    def linear_equation(self) -> Equation:
        """The scan of the linear half, reading the residuals."""
        once = [r for r in self.residuals if r in self.invariant]
        along = [r for r in self.residuals if r in self.known_xs]
        inputs = [*once, *self.lin_fixed, *self.lin_carry, *along, *self.stacked_residuals]
        inputs += self.lin_xs
        body = with_inputs(self.lin, inputs)
        operands = [self.outside.get(r, r) for r in once]
        operands += [self.operand[v] for v in self.lin_fixed + self.lin_carry]
        operands += [self.operand[v] for v in along]
        operands += [*self.stacks, *(self.operand[v] for v in self.lin_xs)]
        outputs = tuple(pick(self.equation.outputs, self.moves))
        constants = len(once) + len(self.lin_fixed)
        return self._equation(body, operands, outputs, constants, len(self.lin_carry))

    def _equation(self, body, operands, outputs, constants: int, carries: int) -> Equation:
        params = {
            "body": body, "constants": constants, "carries": carries,
            "length": self.params["length"], "reverse": self.params["reverse"],
        }  # fmt: skip
        return Equation(scan_op, tuple(operands), params, tuple(outputs), self.equation.line)


def _transpose(equation, arrived, env, mask, transpose_program, split_program):
    params = equation.params
    body, count = params["body"], params["carries"]
    masks = _groups(mask, params)
    fixed, carry, xs = _groups(body.inputs, params)
    known_fixed, lin_fixed = pick(fixed, masks[0], False), pick(fixed, masks[0])
    known_xs, lin_xs = pick(xs, masks[2], False), pick(xs, masks[2])
    ordered = with_inputs(body, [*known_fixed, *known_xs, *lin_fixed, *carry, *lin_xs])
    residuals = len(known_fixed) + len(known_xs)
    backwards = transpose_program(ordered, residuals, len(lin_fixed))
    new_body = _backward_body(
        backwards, len(known_fixed), len(known_xs), count, len(body.outputs), len(lin_fixed)
    )
    values = [None if m else x.value if x.is_literal else env[x]
              for x, m in zip(equation.inputs, mask, strict=True)]  # fmt: skip
    fixed_values, _, x_values = _groups(values, params)
    cts = [
        zeros_of(v.type) if ct is None else ct
        for v, ct in zip(equation.outputs, arrived, strict=True)
    ]
    totals = [zeros_of(v.type) for v in lin_fixed]
    operands = [*pick(fixed_values, masks[0], False), *cts[:count], *totals]
    operands += [*pick(x_values, masks[2], False), *cts[count:]]
    found = as_tuple(
        scan_op(
            *operands, body=new_body, constants=len(known_fixed), carries=count + len(lin_fixed),
            length=params["length"], reverse=not params["reverse"],
        )
    )  # fmt: skip
    return _placed(found, masks, count, len(lin_fixed))


def _backward_body(program: Program, n_fixed, n_xs, count, n_out, n_lin) -> Program:
    """Reorder the transposed body to constants; carry and totals; xs and cotangents of ys."""
    it = list(program.inputs)
    fixed, xs = it[:n_fixed], it[n_fixed : n_fixed + n_xs]
    cts = it[n_fixed + n_xs : n_fixed + n_xs + n_out]
    totals = it[n_fixed + n_xs + n_out :]
    ordered = with_inputs(program, [*fixed, *cts[:count], *totals, *xs, *cts[count:]])
    found = program.outputs
    new_totals, d_carry, d_xs = found[:n_lin], found[n_lin : n_lin + count], found[n_lin + count :]
    return with_outputs(ordered, [*d_carry, *new_totals, *d_xs])


def _placed(found, masks, count: int, n_lin: int) -> list:
    d_carry, totals = found[:count], iter(found[count : count + n_lin])
    along = iter(found[count + n_lin :])
    out = [next(totals) if m else None for m in masks[0]]
    out += list(d_carry)
    return out + [next(along) if m else None for m in masks[2]]


# --- batching -------------------------------------------------------------------------------------


def _batch(equation, size, inputs, mask, batch):
    params = equation.params
    body, count = params["body"], params["carries"]
    fixed, carry, xs = _groups(mask, params)
    while True:
        marks = batch(body, size, tuple(fixed + carry + xs))[1]
        grown = [a or b for a, b in zip(carry, marks[:count], strict=True)]
        if grown == carry:
            break
        carry = grown
    wanted = tuple(carry) + tuple(marks[count:])
    wide, _ = batch(body, size, tuple(fixed + carry + xs), wanted)
    fixed_in, carry_in, xs_in = _groups(inputs, params)
    carry_was = _groups(mask, params)[1]
    carry_in = [
        _wide(x, size) if now and not was else x
        for x, now, was in zip(carry_in, carry, carry_was, strict=True)
    ]
    xs_in = [move_axis(x, 0, 1) if m else x for x, m in zip(xs_in, xs, strict=True)]
    made = as_tuple(scan_op(*fixed_in, *carry_in, *xs_in, **{**params, "body": wide}))
    ys = [
        move_axis(y, 1, 0) if m else y for y, m in zip(made[count:], wanted[count:], strict=True)
    ]
    return [*made[:count], *ys], wanted


def _wide(x, size: int):
    if type(x) is Traced:
        return add_batch_axis(x, size)
    return broadcast(x, shape=(size,), axes=())


scan_op = Op(
    "scan", _type, _evaluate, Structural(_forward, _split, _transpose), _batch,
    doc="a body run along the leading axis of arrays, carrying values",
)  # fmt: skip
