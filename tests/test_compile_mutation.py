"""Writes inside compiled functions: the caller sees at each call what plain NumPy would show."""

import dataclasses
from collections import defaultdict, namedtuple

import numpy as np
import pytest
from hypothesis import given, settings

import chainrule as cr
from chainrule import backends, errors
from chainrule.random import Generator
from tests.random_statements import cases
from tests.test_random_functions import RUNS, assert_close


@pytest.fixture(autouse=True, scope="module", params=["evaluator", "native"])
def backend(request):
    before, backends.chosen = backends.chosen, request.param
    yield request.param
    backends.chosen = before


def assert_same(found, wanted) -> None:
    """Equal trees, of equal types where these are no arrays or numbers."""
    if isinstance(wanted, dict | list | tuple):
        assert type(found) is type(wanted)
        assert len(found) == len(wanted)
        if isinstance(wanted, dict):
            assert list(found) == list(wanted)
            found, wanted = found.values(), wanted.values()
        for a, b in zip(found, wanted, strict=True):
            assert_same(a, b)
    elif hasattr(wanted, "__dict__"):
        assert type(found) is type(wanted)
        assert_same(vars(found), vars(wanted))
    elif isinstance(wanted, np.ndarray | np.generic | int | float):
        assert np.array_equal(found, wanted)
        assert np.asarray(found).dtype == np.asarray(wanted).dtype
    else:
        assert found == wanted


def check(f, arguments) -> None:
    """f compiled against plain f: results and changed arguments, at three calls."""
    compiled = cr.compile(f)
    for _ in range(3):
        mine, theirs = arguments(), arguments()
        assert_same(compiled(*mine), f(*theirs))
        assert_same(mine, theirs)


def test_written_arguments():
    def f(x, w):
        w *= 2.0
        w[0] += x
        return np.sum(w)

    check(f, lambda: (3.0, np.array([1.0, 2.0])))
    check(f, lambda: (3.0, np.arange(8.0)[::2]))
    check(f, lambda: (3.0, np.arange(4.0, dtype=">f8")))
    check(f, lambda: (3.0, np.arange(6.0).reshape(2, 3).T))


def test_an_array_without_axes():
    def f(x):
        y = x
        x += 1.0
        return x * y

    check(f, lambda: (np.array(3.0),))
    check(f, lambda: (3.0,))
    check(f, lambda: (np.float32(3.0),))


def test_the_same_array_twice_is_one_array():
    def f(a, b):
        a += 1.0
        b *= 2.0
        return np.sum(a * b)

    check(f, lambda: (np.array([1.0, 2.0]),) * 2)
    check(f, lambda: (np.array([1.0, 2.0]), np.array([1.0, 2.0])))
    compiled = cr.compile(f)
    compiled(np.ones(2), np.ones(2))
    twice, plain = np.ones(2), np.ones(2)
    assert compiled(twice, twice) == f(plain, plain)
    assert np.array_equal(twice, plain)


def test_the_same_container_twice_is_one_container():
    def f(p, q):
        p["w"] = p["w"] * 2.0
        return np.sum(q["w"])

    check(f, lambda: ({"w": np.ones(2)},) * 2)
    check(f, lambda: ({"w": np.ones(2)}, {"w": np.ones(2)}))


def test_overlapping_arguments_may_not_be_written_at_any_call():
    def f(a, b):
        a += 1.0
        return np.sum(a * b)

    x = np.arange(4.0)
    compiled = cr.compile(f)
    assert compiled(x[:2], x[2:]) == 1 * 2 + 2 * 3
    with pytest.raises(errors.MutationError, match="writes to argument 'a', which shares memory"):
        compiled(x[:2], x[1:3])
    assert np.array_equal(x, [1.0, 2.0, 2.0, 3.0])
    check(f, lambda: (np.arange(6.0)[::2], np.arange(6.0)[1::2]))


def test_a_read_only_argument_may_not_be_written():
    def f(a, b):
        b *= 2.0
        a += 1.0

    x, y = np.ones(2), np.ones(2)
    compiled = cr.compile(f)
    compiled(x, y)
    x.flags.writeable = False
    for _ in range(2):
        with pytest.raises(ValueError, match="read-only: f writes to its argument 'a'"):
            compiled(x, y)
    assert np.array_equal(y, [2.0, 2.0])


def test_new_entries_of_dicts_and_lists():
    def f(p, x):
        p["w"][0] = x
        p["new"] = {"deep": [x * x, 7, "text"]}
        p["steps"] += 1
        del p["old"]
        p["list"].append(x)
        p["list"][0] = None
        return x * p["w"][1]

    check(f, lambda: ({"w": np.ones(2), "old": 1.0, "steps": 3, "list": [0.0]}, np.float64(2.0)))


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
        if self.count > 1:
            layer.name = f"step {self.count}"


def test_attributes_over_many_steps():
    def f(layer, optimizer, x):
        optimizer.update(layer, x)
        return np.sum(layer.weight * x)

    def fresh():
        return Layer(np.ones(2), np.zeros(2)), Optimizer(0.25), np.array([1.0, 2.0])

    check(f, fresh)
    compiled, mine, plain = cr.compile(f), fresh(), fresh()
    weight = mine[0].weight
    for _ in range(4):
        assert compiled(*mine) == f(*plain)
        assert_same(mine, plain)
    assert mine[0].weight is weight


def test_attributes_come_and_go():
    def f(optimizer):
        del optimizer.velocity
        optimizer.twice = optimizer.step * 2.0

    check(f, lambda: (Optimizer(0.25),))


def test_objects_keep_their_identity():
    def f(d):
        d["a"], d["b"] = d["b"], d["a"]
        d["c"] = d["list"]
        return np.sum(d["a"])

    compiled = cr.compile(f)
    for _ in range(2):
        d = {"a": np.ones(2), "b": np.zeros(2), "list": [1.0]}
        a, b, items = d["a"], d["b"], d["list"]
        compiled(d)
        assert d["a"] is b
        assert d["b"] is a
        assert d["c"] is items


def test_a_default_dict_and_a_namedtuple():
    Pair = namedtuple("Pair", "left right")

    def f(d, pair):
        d["new"].append(pair.left)
        pair.right[0] = pair.left * 2.0
        return pair._replace(right=pair.right * 2.0)

    check(f, lambda: (defaultdict(list), Pair(np.float64(3.0), np.zeros(2))))


def test_if_the_function_raises_arguments_are_as_they_were():
    def f(w, options, x, i):
        w *= 2.0
        options["new"] = x
        return np.sum(w[i] * x)

    w, options, compiled = np.ones(2), {}, cr.compile(f)
    compiled(w, {}, 1.0, np.array([1]))
    with pytest.raises(IndexError, match="index 5 is out of bounds for axis 0 with size 2"):
        compiled(w, options, 1.0, np.array([5]))
    assert np.array_equal(w, [2.0, 2.0])
    assert options == {}


def test_a_returned_argument_is_the_callers_own_array():
    def f(x, p):
        x *= 2.0
        return x, p["w"], {"again": x}

    compiled = cr.compile(f)
    for _ in range(2):
        x, w = np.ones(3), np.zeros(2)
        first, second, third = compiled(x, {"w": w})
        assert first is x
        assert second is w
        assert third["again"] is x
        assert np.array_equal(x, [2.0, 2.0, 2.0])


def test_a_returned_container_is_the_callers_own():
    def f(p, layer, x):
        p["w"] = p["w"] + x
        layer.weight = layer.weight * 2.0
        return p, [layer, x]

    compiled = cr.compile(f)
    for _ in range(2):
        p, layer = {"w": np.ones(2)}, Layer(np.ones(2), np.zeros(2))
        first, (second, third) = compiled(p, layer, 3.0)
        assert first is p
        assert second is layer
        assert third == 3.0
        assert np.array_equal(p["w"], [4.0, 4.0])
        assert np.array_equal(layer.weight, [2.0, 2.0])


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[1:], lambda x: x[::-1, 1], lambda x: x.T, lambda x: x.reshape(3, 2),
        lambda x: x[0], lambda x: x[:, None].T[1:], lambda x: x.ravel(), lambda x: x[..., 1:],
        lambda x: np.broadcast_to(x, (2, 2, 3)), lambda x: np.diagonal(x), lambda x: np.flip(x),
    ],
)  # fmt: skip
def test_a_returned_view_of_an_argument_views_the_callers_array(view):
    def f(x):
        x += 1.0
        return view(x), x * 2.0

    compiled = cr.compile(f)
    for _ in range(2):
        x = np.arange(6.0).reshape(2, 3)
        found, other = compiled(x)
        assert np.array_equal(found, view(x))
        assert found.flags.writeable == view(x).flags.writeable
        assert np.shares_memory(found, x)
        assert not np.shares_memory(other, x)


def test_the_memory_layout_decides_what_is_a_view():
    def f(x):
        flat = x.ravel()
        flat[0] = 9.0
        return np.sum(x)

    check(f, lambda: (np.arange(6.0).reshape(2, 3),))
    check(f, lambda: (np.arange(6.0).reshape(2, 3).T,))


def test_results_that_are_no_arguments_own_their_memory():
    w = np.ones(3)
    compiled = cr.compile(lambda x: (w, x * 1.0, w[1:], np.zeros(2)))
    first, second = compiled(np.ones(3)), compiled(np.ones(3))
    for array in [*first, *second]:
        assert array.flags.writeable
        assert not np.shares_memory(array, w)
    for a, b in zip(first, second, strict=True):
        assert not np.shares_memory(a, b)


# --- generators ----------------------------------------------------------------------------------


def test_a_captured_generator_advances_at_each_call():
    mine, plain = Generator(7), Generator(7)
    compiled = cr.compile(lambda x: x * mine.normal(size=2))
    for _ in range(3):
        assert np.array_equal(compiled(2.0), 2.0 * plain.normal(size=2))
    saved = mine.state
    again = compiled(1.0)
    mine.state = saved
    assert np.array_equal(compiled(1.0), again)


def test_a_generator_argument_advances():
    def f(x, rng):
        return x * rng.normal() + rng.uniform()

    compiled, mine, plain = cr.compile(f), Generator(7), Generator(7)
    for _ in range(3):
        assert compiled(2.0, mine) == f(2.0, plain)
        assert np.array_equal(mine.state, plain.state)


# --- random functions ----------------------------------------------------------------------------


def check_case(f, plain, case) -> None:
    compiled = cr.compile(f)
    for _ in range(2):
        mine, theirs = case.arguments(), case.arguments()
        assert_close(compiled(*mine), plain(*theirs))
        for changed, like in zip(mine, theirs, strict=True):
            assert_close(changed, like)


EXAMPLES = {"evaluator": 100, "native": 15}  # machine code takes its time


def test_random_functions_compute_and_change_what_numpy_does(backend):
    @settings(max_examples=EXAMPLES[backend])
    @given(cases())
    def check(case):
        check_case(case.function(), case.function(), case)

    check()


@pytest.mark.parametrize("name", RUNS)
def test_random_functions_write_from_inside_control_flow(name, backend):
    run, plain = RUNS[name]

    @settings(max_examples=EXAMPLES[backend] // 5)
    @given(cases(blocks=True))
    def check(case):
        check_case(case.function(run), case.function(plain), case)

    check()
