"""Which code a trace runs: the user's is noted, wherever it is called from; our own need not be."""

import sys

import numpy as np

from chainrule.numpy.protocols import FUNCTIONS, array_function
from chainrule.numpy.ufuncs import binary
from chainrule.program.noting import code_that_runs, unnoted
from chainrule.program.trace import record_elementwise
from chainrule.tracing import trace_call


class Offset:
    """An operand with code of its own."""

    def __radd__(self, x):
        return x * 2.0


class Number(float):
    def __float__(self):
        return 3.0


def codes_of(f, *args) -> set:
    with code_that_runs() as ran:
        trace_call(f, args, {})
    return set(ran)


def test_what_happens_between_plain_operands_is_not_noted():
    def f(x, y):
        x += y
        return (-x @ y) ** 2 / 3.0 + (1.0 - x > y)

    noted = codes_of(f, np.ones(2), np.ones(2))
    assert f.__code__ in noted
    assert noted.isdisjoint({binary.__code__, record_elementwise.__code__})


def test_what_functions_do_with_plain_arguments_is_not_noted():
    def f(x, y):
        joined = np.concatenate([x, np.sqrt(y), [1.0]], axis=0, dtype=np.float64)
        return np.where(joined > 0, np.multiply(joined, 2, dtype="f8"), np.sum(x, keepdims=True))

    noted = codes_of(f, np.ones(2), np.ones(2))
    assert f.__code__ in noted
    ours = {array_function, FUNCTIONS[np.concatenate], FUNCTIONS[np.where], record_elementwise}
    assert noted & {g.__code__ for g in ours} <= {array_function.__code__}


def test_functions_given_to_functions_are_noted():
    def row(x):
        return x * 2.0

    def f(x):
        return np.apply_along_axis(row, 0, x) + np.sqrt(Number(2.0) * x)

    assert {row.__code__, Number.__float__.__code__} <= codes_of(f, np.ones((3, 2)))


def test_the_code_of_operands_is_noted():
    def f(x):
        return (x + Offset()) * Number(1.0)

    assert {Offset.__radd__.__code__, Number.__float__.__code__} <= codes_of(f, np.ones(2))


def test_noting_goes_on_after_code_that_is_not_noted():
    def inner():
        return sys.getprofile()

    def fails():
        raise ValueError

    with code_that_runs() as ran:
        noting = sys.getprofile()
        assert unnoted(inner) is None
        assert sys.getprofile() is noting
        try:
            unnoted(fails)
        except ValueError:
            assert sys.getprofile() is noting
    assert inner.__code__ not in ran and sys.getprofile() is None
