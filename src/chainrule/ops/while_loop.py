"""while: a body repeated while a test holds, carrying values; and `repeat`, its linear half.

Value     while test(constants, carry): carry = body(constants, carry).
Slope     forward mode carries tangents along. For reverse mode the loop runs once, counting its n
          steps; the linear half is a `repeat` of n steps, transposed as a loop that runs backwards
          over recomputed states: 64 states are stored at equal distances, and 64 more within each
          stretch, so n <= 4096 steps are computed at most three times, in the memory of 128 states.
Source    multilevel checkpointing: Griewank, "Achieving logarithmic growth of temporal and spatial
          complexity in reverse automatic differentiation", 1992.
"""

from __future__ import annotations

import numpy as np

from chainrule.ops.compare import equal, less
from chainrule.ops.cond import cond_op
from chainrule.ops.control import (
    as_tuple,
    check_types,
    closed_program,
    fresh,
    pick,
    tangent_or_zeros,
    unmoved,
    with_inputs,
    with_outputs,
    with_zeros,
)
from chainrule.ops.elementwise import (
    add,
    floor_divide,
    maximum,
    minimum,
    multiply,
    remainder,
    subtract,
)
from chainrule.ops.index import index, index_set
from chainrule.ops.reduce import any_, argmax
from chainrule.ops.select import cast, select
from chainrule.ops.shape import add_batch_axis, broadcast, iota, zeros_of
from chainrule.program.evaluate import plan
from chainrule.program.liveness import remove_dead
from chainrule.program.op import Op, Structural
from chainrule.program.program import Equation, Program, literal
from chainrule.program.trace import Traced, inline
from chainrule.program.types import array_type

SLOTS = 64  # states stored at each of the two levels
_COUNT = array_type((), np.dtype(np.int64))
_BOOL = array_type((), np.dtype(bool))


def _type(*inputs, test: Program, body: Program, constants):
    check_types("the body of while takes", body.in_types, inputs)
    check_types("the body of while carries", body.out_types, inputs[constants:])
    check_types("the test of while takes", test.in_types, inputs)
    check_types("the test of while gives", test.out_types, (_BOOL,))
    return body.out_types


def _evaluate(*inputs, test, body, constants):
    fixed, carry = list(inputs[:constants]), list(inputs[constants:])
    types = body.in_types[constants:]
    carry = [
        np.array(x, t.dtype) if t.ndim else t.dtype.type(x)
        for x, t in zip(carry, types, strict=True)
    ]
    holds = plan(test)
    step = plan(body, tuple(range(constants, len(inputs))))
    fixed = [t.dtype.type(x) if not t.ndim else x
             for x, t in zip(fixed, body.in_types, strict=False)]  # fmt: skip
    while holds([*fixed, *carry])[0]:
        carry = step([*fixed, *carry])
    return carry[0] if len(carry) == 1 else tuple(carry)


def _forward(equation, inputs, tangents, forward):
    body, test = equation.params["body"], equation.params["test"]
    n = equation.params["constants"]
    fixed = [t is not None for t in tangents[:n]]
    carry = [t is not None for t in tangents[n:]]
    while True:
        made, moves = forward(body, tuple(fixed + carry))
        grown = [a or b for a, b in zip(carry, moves, strict=True)]
        if grown == carry:
            break
        carry = grown
    if not any(carry):
        return unmoved(equation, inputs)
    made = with_zeros(made, moves, tuple(carry), len(moves))
    active = fixed + carry
    given = [
        tangent_or_zeros(t, x) if a else None
        for t, x, a in zip(tangents, inputs, active, strict=True)
    ]
    moving = iter(made.inputs[len(body.inputs) :])
    d_inputs = [next(moving) if a else None for a in active]
    order = [*made.inputs[:n], *_some(d_inputs[:n]), *made.inputs[n : len(body.inputs)]]
    order += _some(d_inputs[n:])
    new_body = with_inputs(made, order)
    new_test = _test_with(test, n, _some(d_inputs[:n]), _some(d_inputs[n:]))
    operands = [*inputs[:n], *_some(given[:n]), *inputs[n:], *_some(given[n:])]
    values = as_tuple(
        while_op(*operands, test=new_test, body=new_body, constants=n + sum(fixed))
    )
    outputs = list(values[: len(equation.outputs)])
    source = iter(values[len(equation.outputs) :])
    return outputs, [next(source) if m else None for m in carry]


def _some(items) -> list:
    return [x for x in items if x is not None]


def _test_with(test: Program, constants: int, more_fixed, more_carry) -> Program:
    """The test as a function of more constants and carries, which it does not read."""
    a, b = fresh([v.type for v in more_fixed]), fresh([v.type for v in more_carry])
    return with_inputs(test, [*test.inputs[:constants], *a, *test.inputs[constants:], *b])


# --- reverse mode ---------------------------------------------------------------------------------


def _split(equation, mask, split_program):
    """The loop without what moves, counting; then `repeat`, the moving part for that many steps."""
    params = equation.params
    body, n = params["body"], params["constants"]
    fixed, carry = list(mask[:n]), list(mask[n:])
    while True:
        moves = split_program(body, tuple(fixed + carry))[2]
        grown = [a or b for a, b in zip(carry, moves, strict=True)]
        if grown == carry:
            break
        carry = grown
    linear = fixed + carry
    known_inputs = pick(body.inputs, linear, False)
    known = split_program(body, tuple(linear), tuple(carry))[0]
    known_body = remove_dead(with_outputs(known, known.outputs[: sum(not c for c in carry)]))
    moving_body = with_inputs(body, [*known_inputs, *pick(body.inputs, linear)])
    moving_body = remove_dead(with_outputs(moving_body, pick(body.outputs, carry)))
    n_known, n_linear = sum(not m for m in fixed), sum(fixed)
    counting = _counting(equation, known_body, linear, n_known)
    steps = counting.outputs[0]
    after = Equation(
        repeat_op,
        (steps, *pick(equation.inputs, linear, False), *pick(equation.inputs, linear)),
        {
            "known": known_body, "moving": moving_body,
            "known_constants": n_known, "linear_constants": n_linear,
        },
        tuple(pick(equation.outputs, carry)),
        equation.line,
    )  # fmt: skip
    return [counting], [after]


def _counting(equation, known_body: Program, linear, n_known: int) -> Equation:
    """The loop over the carries that do not move, with the number of its steps in front."""
    test = equation.params["test"]
    known_test = with_inputs(test, pick(test.inputs, linear, False))
    carries = known_body.in_types[n_known:]
    types = [*known_body.in_types[:n_known], _COUNT, *carries]

    def step(*values):
        state = [*values[:n_known], *values[n_known + 1 :]]
        return [add(values[n_known], np.int64(1)), *inline(known_body, state)]

    def holds(*values):
        return inline(known_test, [*values[:n_known], *values[n_known + 1 :]])

    body, _ = closed_program(known_body.name, types, step)
    new_test, _ = closed_program(test.name, types, holds)
    operands = pick(equation.inputs, linear, False)
    outputs = (*fresh([_COUNT]), *pick(equation.outputs, linear[-len(equation.outputs) :], False))
    return Equation(
        while_op, (*operands[:n_known], literal(np.int64(0)), *operands[n_known:]),
        {"test": new_test, "body": body, "constants": n_known}, outputs, equation.line,
    )  # fmt: skip


def _repeat_type(steps, *inputs, known, moving, known_constants, linear_constants):
    n = len(known.inputs)
    check_types("repeat takes", known.in_types, inputs[:n])
    check_types("repeat carries", known.out_types, inputs[known_constants:n])
    check_types("the linear half of repeat takes", moving.in_types, inputs)
    check_types("the linear half of repeat carries", moving.out_types,
                inputs[n + linear_constants :])  # fmt: skip
    return moving.out_types


def _repeat_parts(values, known, known_constants, linear_constants):
    """The inputs of `repeat` in four lists: constants and carry that are known, and that move."""
    n = len(known.inputs)
    fixed, state = list(values[:known_constants]), list(values[known_constants:n])
    lin_fixed = list(values[n : n + linear_constants])
    return fixed, state, lin_fixed, list(values[n + linear_constants :])


def _repeat_evaluate(steps, *inputs, known, moving, known_constants, linear_constants):
    fixed, state, lin_fixed, carry = _repeat_parts(inputs, known, known_constants, linear_constants)
    forward_step, linear_step = plan(known), plan(moving)
    for _ in range(int(steps)):
        carry = linear_step.run([*fixed, *state, *lin_fixed, *carry])
        state = forward_step.run([*fixed, *state])
    return carry[0] if len(carry) == 1 else tuple(carry)


def repeat_as_while(steps, inputs, params):
    """The same computation as a while loop: for the derivatives by what does not move."""
    known, moving = params["known"], params["moving"]
    fixed, state, lin_fixed, carry = _repeat_parts(
        inputs, known, params["known_constants"], params["linear_constants"]
    )
    a, b, c = len(fixed), len(state), len(lin_fixed)

    def step(k, *values):
        now, move = list(values[:b]), list(values[b:])
        held = [*fixed, *now]
        return [
            add(k, np.int64(1)), *inline(known, held), *inline(moving, [*held, *lin_fixed, *move]),
        ]  # fmt: skip

    assert a + b + c <= len(inputs)
    out = loop(lambda k, *_: less(k, steps), step, [np.int64(0), *state, *carry],
               [_COUNT, *(known.in_types[a:]), *moving.out_types])  # fmt: skip
    return out[1 + b :]


def loop(test, body, carry, types) -> list:
    """A while loop of a rule: `test` and `body` are functions of the carry."""
    body_program, body_captured = closed_program("body", types, body)
    test_program, test_captured = closed_program("test", types, lambda *c: [test(*c)])
    n_body, n_test = len(body_captured), len(test_captured)
    body_all = with_inputs(
        body_program,
        [*fresh([_type_of(v) for v in test_captured]), *body_program.inputs],
    )
    extra = fresh([_type_of(v) for v in body_captured])
    test_all = with_inputs(
        test_program, [*test_program.inputs[:n_test], *extra, *test_program.inputs[n_test:]]
    )
    return list(
        as_tuple(
            while_op(
                *test_captured, *body_captured, *carry,
                test=test_all, body=body_all, constants=n_body + n_test,
            )
        )
    )  # fmt: skip


def _type_of(value):
    return value.type


def _repeat_forward(equation, inputs, tangents, forward):
    """Differentiate the equivalent while loop."""
    types = [x.type for x in equation.inputs]
    program, captured = closed_program(
        "repeat", types, lambda *v: repeat_as_while(v[0], v[1:], equation.params)
    )
    assert not captured
    active = tuple(t is not None for t in tangents)
    made, moves = forward(program, active)
    values = inline(made, [*inputs, *_some(tangents)])
    count = len(equation.outputs)
    source = iter(values[count:])
    return values[:count], [next(source) if m else None for m in moves]


def _repeat_split(equation, mask, split_program):
    """What moves is the linear carry alone: the whole equation is linear."""
    return [], [equation]


def _repeat_transpose(equation, arrived, env, mask, transpose_program, split_program):
    params = equation.params
    values = [None if m else x.value if x.is_literal else env[x]
              for x, m in zip(equation.inputs, mask, strict=True)]  # fmt: skip
    steps, *rest = values
    n = len(params["known"].inputs)
    lin_types = [x.type for x in equation.inputs[1 + n :]]
    cts = [
        zeros_of(v.type) if ct is None else ct
        for v, ct in zip(equation.outputs, arrived, strict=True)
    ]
    known, moving = params["known"], params["moving"]
    compute, linear, _, residuals = split_program(
        moving, (False,) * n + (True,) * len(lin_types), (True,) * len(moving.outputs)
    )
    n_lin = params["linear_constants"]
    backwards = transpose_program(linear, len(residuals), n_lin)
    found = _backward_loop(
        steps, rest[:n], known, params["known_constants"], remove_dead(compute), backwards,
        [zeros_of(t) for t in lin_types[:n_lin]], cts,
    )  # fmt: skip
    return [None] * (1 + n) + found


def _backward_loop(steps, known_inputs, known, constants, compute, backwards, totals, cts):
    """Cotangents through all steps, last first, over states recomputed from two levels."""
    fixed, start = known_inputs[:constants], known_inputs[constants:]
    types = list(known.in_types[constants:])

    def advance(state):
        return inline(known, [*fixed, *state])

    def pull(state, moving):
        """One step backwards at `state`: totals and cotangents before the step."""
        residuals = inline(compute, [*fixed, *state])
        split_at = len(totals)
        return inline(backwards, [*residuals, *moving[split_at:], *moving[:split_at]])

    def stretch(state, first, last, depth, moving):
        """Run backwards over the steps first..last-1, whose first state is given."""
        if depth == 0:
            return _recompute_each(state, first, last, advance, pull, moving, types)
        stride = _stride(first, last)
        stored = _store(state, first, last, stride, advance, types)

        def inner(k, *moving):
            begin = add(first, multiply(k, stride))
            end = minimum(add(begin, stride), last)
            here = [_read(buffer, k) for buffer in stored]
            return stretch(here, begin, end, depth - 1, list(moving))

        pieces = floor_divide(add(subtract(last, first), subtract(stride, np.int64(1))), stride)
        return _downwards(pieces, inner, moving)

    return stretch(list(start), np.int64(0), steps, 2, [*totals, *cts])


def _stride(first, last):
    """The distance between checkpoints: at least 1, with at most SLOTS of them."""
    length = subtract(last, first)
    return maximum(floor_divide(add(length, np.int64(SLOTS - 1)), np.int64(SLOTS)), np.int64(1))


def _store(state, first, last, stride, advance, types) -> list:
    """Buffers of the states at first, first + stride, ..."""
    empty = [zeros_of(t.with_shape((SLOTS, *t.shape))) for t in types]
    count = len(types)

    def step(k, *values):
        now, buffers = list(values[:count]), list(values[count:])
        offset = subtract(k, first)
        slot = floor_divide(offset, stride)
        due = equal(remainder(offset, stride), np.int64(0))
        buffers = _stored_where(due, slot, now, buffers)
        return [add(k, np.int64(1)), *advance(now), *buffers]

    carry_types = [_COUNT, *types, *(t.with_shape((SLOTS, *t.shape)) for t in types)]
    out = loop(lambda k, *_: less(k, last), step, [first, *state, *empty], carry_types)
    return out[1 + count :]


def _stored_where(due, slot, now, buffers) -> list:
    if not buffers:
        return []
    types = [b.type for b in buffers] + [_COUNT] + [_of(v) for v in now]
    count = len(buffers)

    def write(*values):
        where = values[count]
        return [
            index_set(b, v, where, at=_whole(b))
            for b, v in zip(values[:count], values[count + 1 :], strict=True)
        ]

    yes, _ = closed_program("store", types, write)
    no, _ = closed_program("keep", types, lambda *values: list(values[:count]))
    return list(as_tuple(cond_op(due, *buffers, slot, *now, branches=(yes, no))))


def _of(value):
    return value.type if type(value) is Traced else array_type((), value.dtype)


def _whole(buffer):
    return tuple((0, n, 1) for n in buffer.shape[1:])


def _read(buffer, k):
    return index(buffer, k, at=_whole(buffer))


def _downwards(count, body, moving) -> list:
    """body(k, *moving) for k = count - 1, ..., 0."""
    types = [_COUNT, *(_of(v) for v in moving)]

    def step(k, *values):
        before = subtract(k, np.int64(1))
        return [before, *body(before, *values)]

    return loop(lambda k, *_: less(np.int64(0), k), step, [count, *moving], types)[1:]


def _recompute_each(state, first, last, advance, pull, moving, types) -> list:
    """Backwards over a stretch; each state is recomputed from the stretch's first one."""

    def step(offset, *values):
        target = add(first, offset)
        walk = loop(
            lambda k, *_: less(k, target),
            lambda k, *now: [add(k, np.int64(1)), *advance(list(now))],
            [first, *state], [_COUNT, *types],
        )  # fmt: skip
        return pull(walk[1:], list(values))

    return _downwards(subtract(last, first), step, moving)


# --- batching -------------------------------------------------------------------------------------


def _batch(equation, size, inputs, mask, batch):
    """All lanes run until the last one is done; a lane that is done keeps its carry."""
    params = equation.params
    test, body, n = params["test"], params["body"], params["constants"]
    fixed, carry = list(mask[:n]), list(mask[n:])
    while True:
        by_lane = batch(test, size, tuple(fixed + carry))[1][0]
        marks = batch(body, size, tuple(fixed + carry))[1]
        grown = [a or b or by_lane for a, b in zip(carry, marks, strict=True)]
        if grown == carry:
            break
        carry = grown
    everything = tuple(fixed + carry)
    wide_test, _ = batch(test, size, everything)
    wide_body, _ = batch(body, size, everything, tuple(carry))
    values = [
        x if was or not now else add_batch_axis(x, size) if type(x) is Traced
        else broadcast(x, shape=(size,), axes=())
        for x, was, now in zip(inputs, mask, everything, strict=True)
    ]  # fmt: skip
    if not by_lane:
        made = while_op(*values, test=wide_test, body=wide_body, constants=n)
        return as_tuple(made), tuple(carry)
    if not size:
        return values[n:], tuple(carry)
    return _batch_by_lane(values, wide_test, wide_body, n, fixed), tuple(carry)


def _batch_by_lane(values, test: Program, body: Program, n: int, batched_fixed):
    """Lanes that are done are replaced by one that is not, so that nothing is raised for them."""
    types = [_of(v) for v in values]

    def some(*v):
        return [any_(inline(test, list(v))[0], axes=(0,))]

    def step(*v):
        going = inline(test, list(v))[0]
        (size,) = going.shape
        first = argmax(cast(going, dtype=np.dtype(np.int8)), axis=0)
        lanes = iota(size=size, dtype=np.dtype(np.int64))
        lanes = select(going, lanes, broadcast(first, shape=(size,), axes=()))
        safe = [index(x, lanes, at=_whole(x)) for x in v[n:]]
        fixed = [
            index(x, lanes, at=_whole(x)) if is_batched else x
            for x, is_batched in zip(v[:n], batched_fixed, strict=True)
        ]
        new = inline(body, [*fixed, *safe])
        return [select(_spread(going, a), a, b) for a, b in zip(new, v[n:], strict=True)]

    new_test, _ = closed_program("test", types, some)
    new_body, _ = closed_program("body", types, step)
    return as_tuple(while_op(*values, test=new_test, body=new_body, constants=n))


def _spread(lanes, like):
    return lanes if like.ndim == 1 else broadcast(lanes, shape=like.shape, axes=(0,))


def _repeat_batch(equation, size, inputs, mask, batch):
    types = [x.type for x in equation.inputs]
    program, _ = closed_program(
        "repeat", types, lambda *v: repeat_as_while(v[0], v[1:], equation.params)
    )
    wide, marks = batch(program, size, tuple(mask))
    return inline(wide, inputs), marks


while_op = Op(
    "while", _type, _evaluate, Structural(_forward, _split, None), _batch,
    doc="the body repeated while the test holds",
)  # fmt: skip
repeat_op = Op(
    "repeat", _repeat_type, _repeat_evaluate,
    Structural(_repeat_forward, _repeat_split, _repeat_transpose), _repeat_batch,
    doc="the linear half of a while loop: a known number of steps over recomputed states",
)  # fmt: skip
