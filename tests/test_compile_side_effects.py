"""What a compiled function does besides computing: it keeps, counts, catches and draws at each
call, or is refused."""

import random

import numpy as np
import pytest

import chainrule as cr
from chainrule import backends, errors
from chainrule.host_random import set_state, state_of

DEFAULT_RNG, OLD_RNG = np.random.default_rng(3), np.random.RandomState(3)


@pytest.fixture(autouse=True, params=["evaluator", "native"])
def backend(request, monkeypatch):
    monkeypatch.setattr(backends, "chosen", request.param)


# --- what a trace would do only once -------------------------------------------------------------


def test_a_number_that_the_function_counts_up_itself_stays_right():
    count = 0

    def f(x):
        nonlocal count
        count += 1
        return x * count

    g = cr.compile(f)
    assert [g(1.0), g(1.0), g(1.0)] == [1.0, 2.0, 3.0]
    assert count == 3


class Model:
    """Of a class that is not registered."""

    def __init__(self):
        self.weight = np.ones(2)


def test_a_traced_value_kept_outside_is_refused_and_put_back():
    model, log, last = Model(), [], 0.0
    weight = model.weight

    def to_attribute(x):
        model.weight = model.weight * x
        return x

    def to_list(x):
        log.append(x)
        return x

    def to_name(x):
        nonlocal last
        last = x
        return x

    for f in (to_attribute, to_list, to_name):
        with pytest.raises(errors.MutationError, match=f"{f.__name__} stores a traced value in "):
            cr.compile(f)(2.0)
    assert model.weight is weight
    assert log == []
    assert last == 0.0


def test_if_the_function_raises_what_it_reached_is_put_back():
    log = []

    def f(x):
        log.append(x)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        cr.compile(f)(2.0)
    assert log == []


def test_a_plain_write_to_a_captured_array_is_refused():
    scratch = np.zeros(2)

    def f(x):
        scratch[:] = 3.0
        return np.sum(scratch * x)

    with pytest.raises(errors.MutationError, match="f writes, by plain NumPy, to an array of"):
        cr.compile(f)(np.ones(2))


# --- what the function changes itself ---------------------------------------------------------


def counting_in_a_list():
    calls = [0]

    def count():
        calls.append(0)
        return len(calls)

    return count


def counting_in_a_dict():
    calls = {"made": 1}

    def count():
        calls["made"] += 1
        return calls["made"]

    return count


def counting_in_a_set():
    calls = {0}

    def count():
        calls.add(len(calls))
        return len(calls)

    return count


def counting_by_name():
    calls = 1

    def count():
        nonlocal calls
        calls += 1
        return calls

    return count


@pytest.mark.parametrize(
    ("counting", "changed"),
    [
        (counting_in_a_list, "what a list"), (counting_in_a_dict, "what a list"),
        (counting_in_a_set, "what a list"), (counting_by_name, "the name calls of an enclosing"),
    ],
)  # fmt: skip
def test_a_function_that_counts_its_calls_is_traced_at_each(counting, changed):
    count = counting()
    f = cr.compile(lambda x: x * count())
    found = [f(np.ones(2))[0], f(np.ones(2))[0]]
    with pytest.warns(RuntimeWarning, match=f"each call changes {changed}"):
        found.append(f(np.ones(2))[0])
    assert [*found, f(np.ones(2))[0]] == [2.0, 3.0, 4.0, 5.0]


def test_a_list_that_each_trace_adds_to_counts_the_traces():
    shapes, seen = [], set()
    f = cr.compile(lambda x: (shapes.append(x.shape), seen.add(x.shape), 2.0 * x)[2])
    for _ in range(3):
        f(np.ones(2))
    assert (shapes, seen) == ([(2,)], {(2,)})


def test_an_iterator_that_is_an_argument_is_moved_on_by_each_call():
    f, numbers = cr.compile(lambda x, numbers: x * next(numbers)), iter([1.0, 2.0, 3.0])
    with pytest.warns(RuntimeWarning, match="takes an iterator"):
        assert [f(2.0, numbers), f(2.0, numbers), f(2.0, numbers)] == [2.0, 4.0, 6.0]


def test_a_function_that_makes_something_at_its_first_call_is_compiled():
    made = []

    def f(x):
        if not made:
            made.append(2.0)
        return x * made[0]

    compiled = cr.compile(f)
    assert [compiled(1.0), compiled(2.0), compiled(3.0), compiled(4.0)] == [2.0, 4.0, 6.0, 8.0]
    assert compiled.latest_trace().call.name == "f"


# --- what the function catches ----------------------------------------------------------------


def _factor(x):
    jitter = 0.0
    while True:
        try:
            return np.linalg.cholesky(x + jitter * np.eye(len(x)))
        except np.linalg.LinAlgError:
            jitter = 10.0 * jitter or 0.5


def test_an_error_of_an_operation_is_caught_where_the_function_catches_it():
    good, bad = np.array([[2.0, 1.0], [1.0, 2.0]]), np.ones((2, 2)) - np.eye(2)
    f = cr.compile(_factor)
    np.testing.assert_array_equal(f(good), _factor(good))
    with pytest.warns(RuntimeWarning, match="_factor catches what an operation raises"):
        np.testing.assert_array_equal(f(bad), _factor(bad))
    np.testing.assert_array_equal(f(good), _factor(good))
    np.testing.assert_array_equal(f(bad), _factor(bad))


def test_an_error_that_nobody_catches_is_raised():
    def f(x):
        try:
            return np.linalg.inv(x)
        except KeyError:
            return x * 0.0

    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        cr.compile(f)(np.zeros((2, 2)))


# --- random numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "draw, generator",
    [
        (np.random.rand, np.random.mtrand._rand), (random.random, random._inst),
        (lambda: DEFAULT_RNG.normal(), DEFAULT_RNG), (lambda: OLD_RNG.normal(), OLD_RNG),
    ],
)  # fmt: skip
def test_random_numbers_from_outside_are_drawn_at_each_call(draw, generator):
    f, x = cr.compile(lambda x: x * draw()), np.ones(2)
    before = state_of(generator)
    with pytest.warns(RuntimeWarning, match="draws random numbers from NumPy's or Python's own"):
        found = [f(x)[0]]
    found += [f(x)[0], f(x)[0]]
    set_state(generator, before)
    assert found == [draw(), draw(), draw()]


def test_a_generator_of_numpy_that_is_an_argument_is_drawn_from_at_each_call():
    f = cr.compile(lambda x, rng: x + rng.normal())
    rng, plain = np.random.default_rng(5), np.random.default_rng(5)
    with pytest.warns(RuntimeWarning, match="draws random numbers"):
        assert f(1.0, rng) == 1.0 + plain.normal()
    assert f(1.0, rng) == 1.0 + plain.normal()


def test_random_numbers_of_chainrule_are_not_warned_of():
    rng = cr.random.Generator(3)
    f = cr.compile(lambda x: x * rng.normal())
    assert f(1.0) != f(1.0)
