"""Writes inside traced functions: what the caller sees afterwards, and derivatives through them.

One promise a test; `test_random_functions.py` draws whole functions that write and alias.
"""

import dataclasses
from collections import defaultdict, namedtuple

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors

# --- arguments -----------------------------------------------------------------------------------


def test_a_written_argument_is_changed_for_the_caller():
    def f(x, w):
        w *= 2.0
        w[0] += x
        return np.sum(w)

    w = np.array([1.0, 2.0])
    assert cr.grad(f)(3.0, w) == 1.0
    assert np.array_equal(w, [5.0, 4.0])


def test_every_derivative_function_writes_back_once():
    def f(x):
        x += 1.0
        return np.sum(x * x)

    ways = [
        lambda x: cr.grad(f)(x), lambda x: cr.value_and_grad(f)(x), lambda x: cr.vjp(f, x),
        lambda x: cr.jvp(f, (x,), (x,)), lambda x: cr.linearize(f, x),
        lambda x: cr.jacobian(f)(x), lambda x: cr.hessian(f)(x),
        lambda x: cr.hvp(f, (x,), (x,)), lambda x: cr.checkpoint(f)(x),
        lambda x: cr.grad(cr.checkpoint(f))(x),
    ]  # fmt: skip
    for way in ways:
        x = np.array([1.0, 2.0])
        way(x)
        assert np.array_equal(x, [2.0, 3.0])


def test_a_scalar_argument_is_not_changed():
    def f(x):
        y = x
        x += 1.0
        return x * y  # y is still the old one

    assert cr.grad(f)(3.0) == 7.0
    assert cr.grad(f)(np.float64(3.0)) == 7.0


def test_an_array_without_axes_is_changed():
    def f(x):
        y = x
        x += 1.0
        return x * y

    x = np.array(3.0)
    assert cr.grad(f)(x) == 8.0
    assert x == 4.0


def test_the_same_array_twice_is_one_array():
    def f(a, b):
        a += 1.0
        b *= 2.0
        return np.sum(a * b)

    z, plain = np.array([1.0, 2.0]), np.array([1.0, 2.0])
    wanted = f(plain, plain)
    value, (by_a, by_b) = cr.value_and_grad(f, (0, 1))(z, z)
    assert value == wanted
    assert np.array_equal(z, plain)
    # f computes (2 (a + 1))^2 whatever b was; the sum is the derivative by the shared array
    assert np.array_equal(by_a + by_b, [16.0, 24.0])


def test_one_array_in_two_places_has_two_derivatives():
    x = np.array([2.0, 3.0])
    by_a, by_b = cr.grad(lambda a, b: np.sum(a * a * b), (0, 1))(x, x)
    assert np.array_equal(by_a, 2 * x * x)
    assert np.array_equal(by_b, x * x)


def test_the_same_container_twice_is_one_container():
    def f(p, q):
        p["w"] = p["w"] * 2.0
        return np.sum(q["w"])

    p = {"w": np.ones(2)}
    assert cr.value_and_grad(f, 1)(p, p)[0] == 4.0
    assert np.array_equal(p["w"], [2.0, 2.0])


def test_overlapping_arguments_may_be_read():
    x = np.arange(4.0)
    assert np.array_equal(cr.grad(lambda a, b: np.sum(a * b))(x[:3], x[1:]), [1.0, 2.0, 3.0])


@pytest.mark.parametrize("swap", [False, True])
def test_overlapping_arguments_may_not_be_written(swap):
    def f(a, b):
        target = b if swap else a
        target += 1.0
        return np.sum(a * b)

    x = np.arange(4.0)
    with pytest.raises(
        errors.MutationError, match="writes to argument '[ab]', which shares memory"
    ):
        cr.grad(f)(x[:3], x[1:])
    assert np.array_equal(x, np.arange(4.0))


def test_parts_of_one_array_that_do_not_overlap_may_be_written():
    def f(a, b):
        a += 1.0
        return np.sum(a * b)

    x = np.arange(4.0)
    assert np.array_equal(cr.grad(f)(x[::2], x[1::2]), [1.0, 3.0])
    assert np.array_equal(x, [1.0, 1.0, 3.0, 3.0])


def test_an_array_that_is_argument_and_closed_over_may_not_be_written():
    x = np.arange(3.0)

    def f(a):
        a += 1.0
        return np.sum(a * x)

    with pytest.raises(
        errors.MutationError, match="shares memory with an array that f closes over"
    ):
        cr.grad(f)(x)
    assert np.array_equal(x, np.arange(3.0))


# --- containers and objects ----------------------------------------------------------------------


def test_new_entries_of_dicts_and_lists_reach_the_caller():
    def f(p, x):
        p["w"][0] = x
        p["new"] = {"deep": [x * x, 7, "text"]}
        p["steps"] += 1
        del p["old"]
        p["list"].append(x)
        p["list"][0] = None
        return x * p["w"][1]

    p = {"w": np.ones(2), "old": 1.0, "steps": 3, "list": [0.0]}
    w = p["w"]
    assert cr.grad(f, 1)(p, 2.0) == 1.0
    assert p["w"] is w
    assert np.array_equal(w, [2.0, 1.0])
    assert list(p) == ["w", "steps", "list", "new"]
    assert p["new"] == {"deep": [4.0, 7, "text"]}
    assert (p["steps"], type(p["steps"])) == (4, int)
    assert p["list"] == [None, 2.0]


@dataclasses.dataclass
class Layer:
    weight: np.ndarray
    bias: np.ndarray
    name: str = "layer"


@cr.register
class Optimizer:
    """Gradient descent with momentum, as one would write it."""

    def __init__(self, step):
        self.step, self.count, self.velocity = step, 0, np.zeros(2)

    def update(self, layer, gradient):
        self.count += 1
        self.velocity *= 0.5
        self.velocity -= self.step * gradient
        layer.weight += self.velocity
        self.step *= 0.5
        layer.name = f"step {self.count}"


def test_attributes_of_dataclasses_and_registered_objects_reach_the_caller():
    def f(layer, optimizer, x):
        optimizer.update(layer, x)
        return np.sum(layer.weight * x)

    def fresh():
        return Layer(np.ones(2), np.zeros(2)), Optimizer(0.25), np.array([1.0, 2.0])

    mine, plain = fresh(), fresh()
    weight = mine[0].weight
    wanted = f(*plain)
    value, slope = cr.value_and_grad(f, 2)(*mine)
    assert value == wanted
    assert mine[0].weight is weight
    for found, like in zip(mine[:2], plain[:2], strict=True):
        for name, now in vars(like).items():
            assert np.array_equal(getattr(found, name), now), name
            assert type(getattr(found, name)) is type(now)
    assert np.array_equal(slope, [1 - 0.5 * 1.0, 1 - 0.5 * 2.0])  # of w x - x^2 / 4


def test_attributes_come_and_go():
    def f(optimizer):
        del optimizer.velocity
        optimizer.twice = optimizer.step * 2.0
        return optimizer.twice

    optimizer = Optimizer(0.25)
    del optimizer.count
    slope = cr.grad(f)(optimizer)
    assert vars(optimizer) == {"step": 0.25, "twice": 0.5}
    assert set(vars(slope)) == {"step", "velocity"}  # the structure of the argument as it was
    assert slope.step == 2.0


def test_objects_keep_their_identity():
    def f(d):
        d["a"], d["b"] = d["b"], d["a"]
        d["c"] = d["list"]
        return np.sum(d["a"])

    d = {"a": np.ones(2), "b": np.zeros(2), "list": [1.0]}
    a, b, items = d["a"], d["b"], d["list"]
    cr.grad(f)(d)
    assert d["a"] is b
    assert d["b"] is a
    assert d["c"] is items


def test_a_rebound_entry_does_not_change_the_old_array():
    w = np.ones(2)
    d = {"w": w}

    def f(d):
        d["w"] = d["w"] * 2.0
        return np.sum(d["w"])

    cr.grad(f)(d)
    assert np.array_equal(w, [1.0, 1.0])
    assert np.array_equal(d["w"], [2.0, 2.0])


def test_a_default_dict_and_a_namedtuple_pass_through():
    Pair = namedtuple("Pair", "left right")

    def f(d, pair):
        d["new"].append(pair.left)
        pair.right[0] = pair.left * 2.0
        return np.sum(pair.right)

    d, pair = defaultdict(list), Pair(3.0, np.zeros(2))
    slope = cr.grad(f, 1)(d, pair)
    assert d == {"new": [3.0]}
    assert np.array_equal(pair.right, [6.0, 0.0])
    assert isinstance(slope, Pair)
    assert slope.left == 2.0
    assert np.array_equal(slope.right, [0.0, 1.0])


# --- if the function raises ----------------------------------------------------------------------


def test_if_the_function_raises_arguments_are_as_they_were():
    def f(p, optimizer, x):
        p["w"] *= 2.0
        p["new"] = x
        p["list"].append(x)
        optimizer.count += 1
        raise KeyError("mine")

    p, optimizer = {"w": np.ones(2), "list": [1.0]}, Optimizer(0.1)
    for derivative in (cr.grad(f, 2), lambda *a: cr.vjp(f, *a), cr.vmap(f, (None, None, 0))):
        with pytest.raises(KeyError, match="mine"):
            derivative(p, optimizer, np.ones(1))
    assert np.array_equal(p["w"], [1.0, 1.0])
    assert p["list"] == [1.0]
    assert "new" not in p
    assert optimizer.count == 0


def test_if_the_evaluation_raises_arguments_are_as_they_were():
    def f(w, x, i):
        w *= 2.0
        return np.sum(w[i] * x)

    w = np.ones(2)
    with pytest.raises(IndexError, match="index 5 is out of bounds for axis 0 with size 2"):
        cr.grad(f, 1)(w, 1.0, np.array([5]))
    assert np.array_equal(w, [1.0, 1.0])


def test_after_an_error_tracing_works_again():
    def broken(x):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError):
        cr.grad(lambda x: x * cr.grad(broken)(x))(1.0)
    assert cr.grad(lambda x: x * x)(3.0) == 6.0


# --- results -------------------------------------------------------------------------------------


def value_of(f, *args):
    return cr.vjp(f, *args)[0]


def test_a_returned_argument_is_the_callers_own_array():
    def f(x, p):
        x *= 2.0
        return x, p["w"], {"again": x}

    x, w = np.ones(3), np.zeros(2)
    first, second, third = value_of(f, x, {"w": w})
    assert first is x
    assert second is w
    assert third["again"] is x
    assert np.array_equal(x, [2.0, 2.0, 2.0])


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[1:], lambda x: x[::-1, 1], lambda x: x.T, lambda x: x.reshape(3, 2),
        lambda x: x[0], lambda x: x[:, None].T[1:], lambda x: x.ravel(), lambda x: x[..., 1:],
        lambda x: np.broadcast_to(x, (2, 2, 3)), lambda x: np.broadcast_to(x, (2, 3)),
        lambda x: np.diagonal(x), lambda x: np.flip(x), lambda x: np.moveaxis(x, 0, 1)[1],
    ],
)  # fmt: skip
def test_a_returned_view_of_an_argument_views_the_callers_array(view):
    def f(x):
        x += 1.0
        return view(x), x * 2.0

    x = np.arange(6.0).reshape(2, 3)
    found, other = value_of(f, x)
    assert np.array_equal(found, view(x))
    layout = [(n, step) for n, step in zip(found.shape, found.strides, strict=True) if n > 1]
    like = view(x)
    assert layout == [(n, s) for n, s in zip(like.shape, like.strides, strict=True) if n > 1]
    assert found.flags.writeable == view(x).flags.writeable
    assert np.shares_memory(found, x)
    assert not np.shares_memory(other, x)


def test_a_copy_of_an_argument_is_no_view():
    x = np.arange(6.0).reshape(2, 3)
    for copy in (lambda x: x.copy(), lambda x: x[[0, 1]], lambda x: x.T.ravel(), lambda x: +x):
        assert not np.shares_memory(value_of(copy, x), x)


def test_a_view_kept_in_a_container_views_the_callers_array():
    def f(d):
        d["first"] = d["w"][:1]
        return np.sum(d["w"])

    d = {"w": np.ones(3)}
    cr.grad(f)(d)
    assert np.shares_memory(d["first"], d["w"])


def test_a_view_returned_from_an_inner_derivative_writes_through():
    def f(x):
        part, _ = cr.jvp(lambda a: a[1:], (x,), (x,))
        part *= 3.0
        return np.sum(x)

    x = np.arange(3.0)
    value, slope = cr.value_and_grad(f)(x)
    assert value == 9.0
    assert np.array_equal(slope, [1.0, 3.0, 3.0])
    assert np.array_equal(x, [0.0, 3.0, 6.0])


def test_results_that_are_no_arguments_own_their_memory():
    w = np.ones(3)
    out = value_of(lambda x: (w, x * 1.0, w[1:]), np.ones(3))
    for array in out:
        assert array.flags.writeable
        assert not np.shares_memory(array, w)


# --- closures and captured arrays ----------------------------------------------------------------


def test_captured_arrays_are_read_at_each_call():
    w = np.array([1.0, 2.0])
    slope = cr.grad(lambda x: np.sum(w * x))
    assert np.array_equal(slope(np.zeros(2)), [1.0, 2.0])
    w *= 3.0
    assert np.array_equal(slope(np.zeros(2)), [3.0, 6.0])


def test_two_functions_of_equal_structure_keep_their_own_arrays():
    def times(w):
        return cr.grad(lambda x: np.sum(w * x))

    first, second = times(np.array([1.0, 2.0])), times(np.array([3.0, 4.0]))
    x = np.zeros(2)
    assert np.array_equal(first(x), [1.0, 2.0])
    assert np.array_equal(second(x), [3.0, 4.0])
    assert np.array_equal(first(x), [1.0, 2.0])


def test_two_functions_that_differ_in_a_constant_are_not_confused():
    for factor in (2.0, 3.0, 2.0, -0.0, 0.0):
        value, slope = cr.value_and_grad(lambda x: factor * x)(1.0)
        assert slope == factor
        assert np.signbit(value) == np.signbit(factor)
    for dtype in (np.float32, np.float64):
        assert cr.grad(lambda x: x * dtype(2))(np.float32(1)).dtype == np.float32


def test_a_captured_array_written_by_numpy_before_its_use_is_seen():
    scratch = np.zeros(2)

    def f(x):
        scratch[:] = 3.0
        return np.sum(scratch * x)

    assert np.array_equal(cr.grad(f)(np.ones(2)), [3.0, 3.0])


@pytest.mark.parametrize("size", [2, 100_000])
def test_a_captured_array_changed_after_its_use_is_never_read_wrongly(size):
    w = np.ones(size)

    def f(x):
        y = np.sum(w * x)
        w[:] += 1.0  # nothing traced in it: plain NumPy
        return y + np.sum(w * x)

    try:
        found = cr.grad(f)(np.ones(size))
    except errors.MutationError as error:
        assert size > 1000, "small arrays are remembered as they were"
        assert "test_mutation.py:" in str(error)
        assert "already used" in str(error)
    else:
        assert np.array_equal(found, np.full(size, 3.0))
    w[:] = 5.0  # writable again
    assert np.array_equal(cr.grad(lambda x: np.sum(w * x))(np.ones(size)), np.full(size, 5.0))


def test_a_traced_write_to_a_captured_array_is_refused():
    w = np.ones(2)

    def f(x):
        np.add(w, x, out=w)
        return np.sum(w)

    with pytest.raises(errors.MutationError, match="test_mutation.py:"):
        cr.grad(f)(np.ones(2))
    assert np.array_equal(w, [1.0, 1.0])


def test_an_inner_function_writes_to_an_array_of_the_outer_one():
    def f(x):
        total = cr.numpy.zeros(2)

        def inner(a):
            total[0] = total[0] + a * x
            return a * a

        slope = cr.grad(inner)(x)  # 2 x
        return total[0] * slope  # 2 x^3

    assert cr.grad(f)(3.0) == 54.0


def test_inner_derivatives_write_to_arguments_of_the_outer_function():
    def f(x):
        def inner(a):
            a *= 2.0
            return np.sum(a * a)

        return np.sum(cr.grad(inner)(x)) + np.sum(x)  # 8 x + 2 x

    x = np.array([1.0, 2.0])
    value, slope = cr.value_and_grad(f)(x)
    assert value == 30.0
    assert np.array_equal(slope, [10.0, 10.0])
    assert np.array_equal(x, [2.0, 4.0])


def test_captured_array_without_axes_is_written_in_a_loop():
    def f(n):
        def body(carry, x):
            m = n
            m += 1
            return carry, x + m

        return cr.scan(body, 0.0, np.arange(3.0))[1]

    n = np.zeros(())
    value, tangent = cr.jvp(f, (n,), (np.ones(()),))
    assert value.tolist() == [1.0, 3.0, 5.0] and tangent.tolist() == [1.0, 1.0, 1.0]
    assert n == 3.0
