"""What becomes one kernel, what costs nothing, and what is updated in place."""

import itertools

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.native import build
from chainrule.compiler.steps import Control, Host, Keep
from chainrule.tracing import trace_call


def compiled(f, *args, written=None):
    """The native form of a function's program; `written` as in `build`, or from its effects."""
    call = trace_call(f, args, {})
    if written is None:
        written = {call.count + k: e.target for k, e in enumerate(call.effects)}
    return build(call.program, written), [np.array(x) for x in call.operands]


def kinds(native) -> list[str]:
    return [type(s).__name__ for s in native.region.steps]


def test_chain_of_elementwise_operations_is_one_kernel():
    native, values = compiled(lambda x: np.maximum(x * 2.0 + 1.0, 0.0) - x, np.arange(10.0))
    assert kinds(native) == ["Group"] and native.arena_bytes == 0
    wanted = np.maximum(values[0] * 2 + 1, 0) - values[0]
    np.testing.assert_array_equal(native.run(values)[0], wanted)


def test_reduction_joins_the_kernel_of_its_operand():
    native, values = compiled(lambda x: np.sum(x * x), np.arange(10.0))
    assert kinds(native) == ["Group"] and native.arena_bytes == 0
    assert native.run(values)[0] == 285.0


def test_views_cost_nothing():
    def f(x):
        return x.T[::-1, 1:].reshape(-1)[::2] + 1.0

    native, values = compiled(f, np.arange(12.0).reshape(3, 4)[:, :])
    assert kinds(native).count("Group") <= 2  # one copy: the reshape of a transposed array
    np.testing.assert_array_equal(native.run(values)[0], f(values[0]))


def test_two_outputs_over_one_shape_are_one_kernel():
    native, values = compiled(lambda x: (x + 1.0, x * 2.0), np.arange(5.0))
    assert kinds(native) == ["Group"]
    found = native.run(values)
    np.testing.assert_array_equal(found[0], values[0] + 1)
    np.testing.assert_array_equal(found[1], values[0] * 2)


def adam(w, m, v, g):
    m *= 0.9
    m += 0.1 * g
    v *= 0.99
    v += 0.01 * g * g
    w -= 0.1 * m / (np.sqrt(v) + 1e-8)


def test_parameter_update_is_one_kernel_that_works_in_place():
    arrays = [np.arange(1.0, 6.0) * k for k in (1, 2, 3, 4)]
    native, values = compiled(adam, *arrays)
    assert kinds(native) == ["Group"] and native.arena_bytes == 0
    native.run(values)
    adam(*arrays)
    for found, wanted in zip(values, arrays, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-15)


def test_update_waits_for_the_last_reader_of_the_old_value():
    def step(w, x):
        gradient = x.T @ x
        back = x @ w
        w -= gradient
        return back

    w, x = np.ones((6, 6)), np.arange(24.0).reshape(4, 6)
    native, values = compiled(step, w, x)
    assert "copy" not in "".join(kinds(native)) and kinds(native).count("Group") == 1
    back = native.run(values)[0]
    np.testing.assert_allclose(back, x @ w)
    np.testing.assert_allclose(values[0], w - x.T @ x)


def test_swapped_arguments_are_swapped():
    def swap(a, b):
        old = a.copy()
        a[...] = b
        b[...] = old

    native, values = compiled(swap, np.arange(3.0), np.arange(3.0, 6.0))
    native.run(values)
    assert values[0].tolist() == [3, 4, 5] and values[1].tolist() == [0, 1, 2]


def test_failing_call_leaves_its_arguments_as_they_were():
    def f(x, i):
        x[0] = 7.0
        return x[i]

    native, values = compiled(f, np.zeros(3), 1)
    native.run(values)
    assert values[0][0] == 7.0
    values = [np.zeros(3), np.int64(5)]
    try:
        native.run(values)
        raise AssertionError("no IndexError")
    except IndexError as error:
        assert "test_schedule.py" in "".join(error.__notes__)
    assert values[0][0] == 0.0


def test_loop_writes_its_carry_in_place():
    def f(x):
        def body(i, x):
            x = x.copy()
            x[i] = 2.0 * x[i - 1]
            return x

        return cr.fori_loop(1, 50, body, x)

    native, values = compiled(f, np.ones(50))
    (control,) = [s for s in native.region.steps if isinstance(s, Control)]
    inner = control.regions[-1].steps
    assert all(s.needless for s in inner if isinstance(s, Keep))
    assert not any(isinstance(s, Host) for s in inner)
    np.testing.assert_array_equal(native.run(values)[0], 2.0 ** np.arange(50))


def test_read_before_a_write_does_not_copy_the_whole_array():
    def f(x, i):
        old = x[i]
        x[i] = 0.0
        return old

    native, values = compiled(f, np.arange(100.0), 3)
    assert native.arena_bytes <= 64 * 8
    assert native.run(values)[0] == 3.0 and values[0][3] == 0.0


def test_operation_without_native_form_runs_on_the_evaluator_inside_a_loop():
    def f(x):
        return cr.scan(lambda c, row: (c + row[np.argpartition(row, 1)[0]], c), 0.0, x)[0]

    native, values = compiled(f, np.arange(12.0).reshape(3, 4))
    assert native.sites
    np.testing.assert_allclose(native.run(values)[0], f(values[0]))


def test_temporary_memory_is_shared_by_what_does_not_live_together():
    def f(x):
        for _ in range(20):
            x = np.tanh(x @ x)
        return x

    native, _ = compiled(f, np.eye(32))
    assert native.arena_bytes <= 4 * 32 * 32 * 8


def test_zero_length_arrays():
    native, values = compiled(lambda x: (x * 2.0, np.sum(x), np.concatenate([x, x])), np.zeros(0))
    found = native.run(values)
    assert found[0].shape == (0,) and found[1] == 0.0 and found[2].shape == (0,)




def test_loop_over_independent_examples_is_one_batched_kernel():
    def f(x, w):
        return cr.scan(lambda c, row: (c, np.tanh(row @ w) + 1.0), (), x)[1]

    x, w = np.arange(12.0).reshape(4, 3) / 10, np.arange(6.0).reshape(3, 2)
    native, values = compiled(f, x, w)
    assert not any(isinstance(s, Control) for s in native.region.steps)
    np.testing.assert_allclose(native.run(values)[0], np.tanh(x @ w) + 1.0)


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))), ids=str)
def test_transposed_product_is_made_where_it_belongs(axes):
    def f(x, y):
        return np.einsum("bik,bkj->bij", x, y).transpose(axes) + 1.0

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 4, 5)), rng.normal(size=(3, 5, 9))
    native, values = compiled(f, x, y)
    np.testing.assert_allclose(native.run(values)[0], f(x, y), rtol=1e-13)
    group = native.region.steps[-1]
    assert all(ref.contiguous for ref in group.reads())


def spread(x):
    distance = x - np.mean(x, axis=1, keepdims=True)
    deviation = np.sqrt(np.mean(distance * distance, axis=1, keepdims=True))
    return np.sum(np.abs(distance) / deviation, axis=1)


def top_twice(x):
    distance = x - np.max(x, axis=1, keepdims=True)
    return np.sum(distance * np.sum(np.exp(distance), axis=1, keepdims=True), axis=1)


@pytest.mark.parametrize("f", [spread, top_twice])
def test_what_is_lightly_made_again_is_not_stored(f):
    native, values = compiled(f, np.random.default_rng(0).normal(size=(64, 300)))
    assert native.arena_bytes < values[0].nbytes // 8  # the totals of rows, and no whole array
    np.testing.assert_allclose(native.run(values)[0], f(values[0]), rtol=1e-13)


def test_an_argument_is_updated_in_place_though_values_of_it_are_light():
    def f(x, y):
        difference = x - 1.0
        total = np.sum(difference * y)
        x *= 2.0
        return difference * (total + np.sum(x * y))  # x is other than it was by then

    native, values = compiled(f, np.arange(3000.0), np.ones(3000))
    assert not any(step.copies for step in native.region.steps)
    before = values[0] - 1
    wanted = before * (np.sum(before) + np.sum(2.0 * values[0]))
    np.testing.assert_allclose(native.run(values)[0], wanted, rtol=1e-13)


def joins():
    """name: function of (x, y) of shape (40, 3), how many steps"""
    bias = np.arange(3.0)
    return {
        "columns of one kernel": (lambda x, y: np.stack([x * y, x + y, np.sin(x)], 2), 1),
        "one below the other": (lambda x, y: np.concatenate([x * y, np.cos(y)]), 1),
        "beside each other": (lambda x, y: np.concatenate([x * y, np.cos(y)], 1), 1),
        "one twice": (lambda x, y: np.stack([z := x * y, z, np.exp(z)]), 2),
        "a number": (lambda x, y: np.stack([x * y, x - y, np.full_like(x, 2.0)], 2), 2),
        "arguments": (lambda x, y: np.stack([x, y]), 1),
        "read elsewhere": (lambda x, y: (np.stack([z := x * y, x - y]), z.T @ x), None),
        "joined again": (
            lambda x, y: np.concatenate([np.concatenate([x * y, x - y], 1), x / 2.0], 1), None),
        "of other shapes": (lambda x, y: np.concatenate([(x * y).sum(1)[:, None], x - y], 1), None),
        "finished products": (
            lambda x, y: np.stack([np.tanh(x @ y.T + 1.0), x @ y.T * 2.0], 2), None),
        "products with a bias": (
            lambda x, y: np.concatenate([x @ (y.T @ y) + bias, np.exp(x)], 1), None),
        "written to afterwards": (lambda x, y: written(np.concatenate([x * y, x - y])), None),
    }  # fmt: skip


def written(joined):
    before = joined.sum()
    joined[3] = before
    joined[-1] += 1.0
    return joined


@pytest.mark.parametrize("name", joins())
def test_joined_values_are_stored_where_they_belong(name):
    f, count = joins()[name]
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
    found, wanted = cr.compile(f)(x, y), f(x, y)
    if not isinstance(wanted, tuple):
        found, wanted = (found,), (wanted,)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)
    if count is not None:
        native, _ = compiled(f, x, y)
        assert len(native.region.steps) == count, native.region.steps


def test_a_call_past_the_entry_keeps_no_second_arena():
    f = cr.compile(lambda x: np.sum(np.cumsum(x) * np.sort(x)))
    assert f(np.ones(400)) == f(np.ones(400)) == 80200.0
    native = f.latest_trace().native
    assert native.arena_bytes and not native.keeps_arena
    assert native.run([np.ones(400)])[0] == 80200.0
    assert not vars(native._arenas)


def test_calls_are_timed_by_the_steps_that_their_code_was_made_from():
    f = cr.compile(lambda x: np.cumsum(np.cumsum(x)[::-1] * 3.0))
    f(np.ones(70))
    native = f.latest_trace().native
    assert native.region  # made again: it is not kept after compilation
    whole = native.whole()
    assert whole is not native and whole.whole() is whole
    assert whole.built is native.built and len(whole.profiled([np.ones(70)], 2)) > 1
