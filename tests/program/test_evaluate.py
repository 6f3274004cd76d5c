"""The planned evaluator against the plainest one, and what it may do to memory."""

import threading

import numpy as np
from hypothesis import given, settings

from chainrule.ops.elementwise import add, negative
from chainrule.ops.index import index, index_add, index_set
from chainrule.ops.shape import broadcast, reshape, transpose
from chainrule.program.evaluate import Plan, evaluate
from chainrule.program.trace import Builder, as_operand
from chainrule.program.types import array_type
from tests.program import naive
from tests.program.random_programs import arrays_for, programs

F64 = np.dtype(np.float64)


def traced_program(types, build):
    """A program recorded by a function of traced values."""
    with Builder("f") as builder:
        outputs = build(*[builder.input(t) for t in types])
        return builder.finish([as_operand(builder, v) for v in outputs])


def same_bits(left, right) -> bool:
    left, right = np.asarray(left), np.asarray(right)
    return (left.shape, left.dtype, left.tobytes()) == (right.shape, right.dtype, right.tobytes())


@settings(max_examples=125)
@given(programs(steps=14))
def test_a_planned_program_gives_the_bits_of_plain_evaluation(program):
    closed = program.closed()
    arrays = arrays_for(program)
    before = [np.array(a) for a in arrays]
    wanted = naive.run(closed, arrays)
    plan = Plan(closed)
    for _ in range(2):  # twice: a run must not spoil the plan's literals
        found = plan.run(arrays)
        assert all(same_bits(a, b) for a, b in zip(found, wanted, strict=True)), program
        assert all(same_bits(a, b) for a, b in zip(arrays, before, strict=True)), program
        for array in found:
            if isinstance(array, np.ndarray):
                array[...] = 77


@settings(max_examples=50)
@given(programs())
def test_outputs_own_their_memory(program):
    arrays = arrays_for(program)
    found = [v for v in evaluate(program.closed(), arrays) if isinstance(v, np.ndarray)]
    for i, array in enumerate(found):
        assert array.flags.writeable
        assert not any(np.shares_memory(array, other) for other in [*found[:i], *arrays])


def test_results_without_axes_are_numpy_scalars():
    program = traced_program([array_type((), F64)], lambda x: [add(x, 1.0), x])
    found = evaluate(program, [np.array(2.0)])
    assert [type(v) for v in found] == [np.float64, np.float64]


def test_a_broadcast_value_is_not_overwritten():
    # its elements share memory: an update in place would write all of them, or raise
    program = traced_program(
        [array_type((3,), F64)],
        lambda x: [index_add(broadcast(negative(x), shape=(2, 3), axes=(1,)), 1.0, at=(0, 0))],
    )
    (found,) = evaluate(program, [np.arange(3.0)])
    assert np.array_equal(found, [[1.0, -1.0, -2.0], [0.0, -1.0, -2.0]])


def test_a_view_read_after_an_update_shows_the_value_before_it():
    def build(x):
        y = negative(x)
        view = reshape(y, shape=(2, 2))
        changed = index_set(y, 9.0, at=(0,))
        return [changed, add(view, 0.0)]

    changed, view = evaluate(traced_program([array_type((4,), F64)], build), [np.arange(4.0)])
    assert np.array_equal(changed, [9.0, -1.0, -2.0, -3.0])
    assert np.array_equal(view, [[0.0, -1.0], [-2.0, -3.0]])


class CountingNumpy:
    """NumPy, counting the calls of np.array: in ops/index.py these are copies of whole arrays."""

    def __init__(self):
        self.copies = 0

    def __getattr__(self, name):
        return getattr(np, name)

    def array(self, *args, **kwargs):
        self.copies += 1
        return np.array(*args, **kwargs)


def test_writing_to_a_view_of_a_view_leaves_the_first_view_alone():
    # the first view is copied, so the second one views the copy: it may not be overwritten
    def build(x):
        first = transpose(negative(x), axes=(1, 0))
        second = reshape(first, shape=(4,))
        return [add(index_set(second, 9.0, at=(0,)), 0.0), add(first, 0.0)]

    program = traced_program([array_type((2, 2), F64)], build)
    written, first = evaluate(program, [np.arange(4.0).reshape(2, 2)])
    assert np.array_equal(written, [9.0, -2.0, -1.0, -3.0])
    assert np.array_equal(first, [[0.0, -2.0], [-1.0, -3.0]])


def test_a_chain_of_updates_makes_one_copy(monkeypatch):
    def build(x):
        for i in range(50):
            x = index_set(x, add(index(x, at=(i,)), 1.0), at=(i,))
        return [x]

    plan = Plan(traced_program([array_type((50,), F64)], build))
    counting = CountingNumpy()
    monkeypatch.setattr("chainrule.ops.index.np", counting)
    assert np.array_equal(plan.run([np.zeros(50)])[0], np.ones(50))
    assert counting.copies == 1


def test_a_plan_runs_in_many_threads_at_once():
    def build(x):
        y = negative(x)
        for i in range(100):
            y = index_add(y, index(y, at=((i + 1) % 100,)), at=(i,))
        return [y]

    program = traced_program([array_type((100,), F64)], build)
    rng = np.random.default_rng(1)
    inputs = [rng.integers(-3, 3, 100).astype(float) for _ in range(8)]
    wanted = [naive.run(program, [x])[0] for x in inputs]
    plan, failures = Plan(program), []

    def work(x, want):
        for _ in range(20):
            if not same_bits(plan.run([x])[0], want):
                failures.append(x)

    threads = [
        threading.Thread(target=work, args=pair) for pair in zip(inputs, wanted, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
