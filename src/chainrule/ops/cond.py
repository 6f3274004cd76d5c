"""cond: one of two programs, chosen by a boolean scalar.

Value     branches[0](*operands) where the predicate holds, else branches[1](*operands). The branch
          that is not taken is not run.
Slope     each branch is differentiated; what one branch does not make, it fills with zeros.
Batching  with a predicate for each lane, both branches run, each on its own lanes only (the other
          lanes are replaced by copies of a lane that takes it), so nothing is raised, and no loop
          is entered, for a lane that did not ask for it.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.ops.compare import logical_not
from chainrule.ops.control import (
    as_tuple,
    check_types,
    fresh,
    pick,
    residual_sources,
    union,
    unmoved,
    with_inputs,
    with_zeros,
)
from chainrule.ops.index import index
from chainrule.ops.reduce import any_, argmax
from chainrule.ops.select import cast, select
from chainrule.ops.shape import broadcast, iota, zeros_of
from chainrule.program.evaluate import plan
from chainrule.program.op import Op, Structural
from chainrule.program.program import Equation, Program
from chainrule.program.trace import Builder, as_operand, inline


def _type(predicate, *operands, branches):
    if predicate.shape or predicate.dtype != np.bool_:
        raise errors.ShapeError(f"cond needs one bool, got {predicate}.")
    for branch in branches:
        check_types("a branch of cond takes", branch.in_types, operands)
        check_types("a branch of cond gives", branch.out_types, branches[0].out_types)
    return branches[0].out_types


def _evaluate(predicate, *operands, branches):
    made = plan(branches[0 if predicate else 1]).run(operands)
    return made[0] if len(made) == 1 else tuple(made)


def _forward(equation, inputs, tangents, forward):
    predicate, *operands = inputs
    active = tuple(t is not None for t in tangents[1:])
    count = len(equation.outputs)
    made = [forward(b, active) for b in equation.params["branches"]]
    moves = union(*(m for _, m in made))
    if not any(moves):
        return unmoved(equation, inputs)
    branches = tuple(with_zeros(p, m, moves, count) for p, m in made)
    given = [t for t in tangents[1:] if t is not None]
    values = iter(as_tuple(cond_op(predicate, *operands, *given, branches=branches)))
    outputs = [next(values) for _ in range(count)]
    return outputs, [next(values) if m else None for m in moves]


def _split(equation, mask, split_program):
    predicate, *operands = equation.inputs
    linear = tuple(mask[1:])
    branches = equation.params["branches"]
    moves = union(*(split_program(b, linear)[2] for b in branches))
    parts = [split_program(b, linear, moves) for b in branches]
    known_outputs = pick(equation.outputs, moves, False)
    sources = [residual_sources(b, operands, p[3]) for b, p in zip(branches, parts, strict=True)]
    made = [
        [r for r, s in zip(p[3], source, strict=True) if s is None]
        for p, source in zip(parts, sources, strict=True)
    ]
    carried = [fresh([r.type for r in residuals]) for residuals in made]
    known_branches = tuple(
        _known_branch(p[0], len(known_outputs), p[3], made, i) for i, p in enumerate(parts)
    )
    known = Equation(
        cond_op, (predicate, *pick(operands, linear, False)), {"branches": known_branches},
        (*known_outputs, *carried[0], *carried[1]), equation.line,
    )  # fmt: skip
    extra: list = []
    orders = []
    for source, new in zip(sources, carried, strict=True):
        fill = iter(new)
        given = [next(fill) if s is None else s for s in source]
        orders.append((len(extra), len(given)))
        extra += given
    linear_operands = pick(operands, linear)
    linear_branches = tuple(
        _linear_branch(p[1], extra, orders[i], len(linear_operands)) for i, p in enumerate(parts)
    )
    after = Equation(
        cond_op, (predicate, *extra, *linear_operands), {"branches": linear_branches},
        tuple(pick(equation.outputs, moves)), equation.line,
    )  # fmt: skip
    before = [known] if known.outputs else []
    return before, [after]


def _known_branch(program: Program, count: int, residuals, made, mine: int) -> Program:
    """The known half of a branch, with its own residuals and zeros for the other branch's."""
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        inputs = [builder.input(v.type, v.name) for v in program.inputs]
        values = inline(program, inputs)
        by_residual = dict(zip(residuals, values[count:], strict=True))
        out = values[:count]
        for i, group in enumerate(made):
            out += [by_residual[r] if i == mine else zeros_of(r.type) for r in group]
        return builder.finish([as_operand(builder, v) for v in out])


def _linear_branch(program: Program, extra, place, count: int) -> Program:
    start, length = place
    before = fresh([v.type for v in extra[:start]])
    after = fresh([v.type for v in extra[start + length :]])
    own, linear = program.inputs[:length], program.inputs[length:]
    assert len(linear) == count
    return with_inputs(program, [*before, *own, *after, *linear])


def _transpose(equation, arrived, env, mask, transpose_program, split_program):
    predicate, *operands = equation.inputs
    fixed = sum(not m for m in mask[1:])
    branches = tuple(transpose_program(b, fixed) for b in equation.params["branches"])
    values = [x.value if x.is_literal else env[x] for x in (predicate, *operands[:fixed])]
    cts = [
        zeros_of(v.type) if ct is None else ct
        for v, ct in zip(equation.outputs, arrived, strict=True)
    ]
    found = as_tuple(cond_op(values[0], *values[1:], *cts, branches=branches))
    return [None] * (1 + fixed) + list(found)


def _batch(equation, size, inputs, mask, batch):
    predicate, *operands = inputs
    batched = tuple(mask[1:])
    branches = equation.params["branches"]
    if mask[0]:
        return _batch_predicate(equation, size, predicate, operands, batched, batch)
    marks = union(*(batch(b, size, batched)[1] for b in branches))
    wide = tuple(batch(b, size, batched, marks)[0] for b in branches)
    return as_tuple(cond_op(predicate, *operands, branches=wide)), marks


def _batch_predicate(equation, size, predicate, operands, batched, batch):
    everything = (True,) * len(equation.outputs)
    if not size:
        types = [v.type.with_shape((0, *v.type.shape)) for v in equation.outputs]
        return [zeros_of(t) for t in types], everything
    sides = []
    for taken, branch in zip((predicate, logical_not(predicate)), equation.params["branches"],
                             strict=True):  # fmt: skip
        wide = batch(branch, size, batched, everything)[0]
        lanes = iota(size=size, dtype=np.dtype(np.int64))
        some = argmax(cast(taken, dtype=np.dtype(np.int8)), axis=0)
        lanes = select(taken, lanes, broadcast(some, shape=(size,), axes=()))
        own = [
            index(x, lanes, at=tuple((0, n, 1) for n in x.shape[1:])) if b else x
            for x, b in zip(operands, batched, strict=True)
        ]
        sides.append(as_tuple(cond_op(any_(taken, axes=(0,)), *own, branches=(wide, _zeros(wide)))))
    chosen = []
    for yes, no in zip(*sides, strict=True):
        choose = broadcast(predicate, shape=yes.shape, axes=(0,)) if yes.ndim > 1 else predicate
        chosen.append(select(choose, yes, no))
    return chosen, everything


def _zeros(program: Program) -> Program:
    """A program of the same type that computes nothing: zeros."""
    with Builder(program.name) as builder:
        builder.lines_from_user = False
        for v in program.inputs:
            builder.input(v.type)
        return builder.finish([as_operand(builder, zeros_of(t), t) for t in program.out_types])


cond_op = Op(
    "cond", _type, _evaluate, Structural(_forward, _split, _transpose), _batch,
    doc="branches[0] on the operands where the predicate holds, else branches[1]",
)  # fmt: skip
