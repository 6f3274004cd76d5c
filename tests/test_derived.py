"""Derived programs are kept by structure and place."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.derived import derived
from chainrule.tracing import trace_call


def first(x, i):
    return np.sum(np.take(x, i) ** 2)


def second(x, i):
    return np.sum(np.take(x, i) ** 2)


def line_of(error) -> str:
    return "\n".join([str(error.value), *getattr(error.value, "__notes__", [])])


def test_functions_of_one_structure_keep_their_own_lines_in_errors():
    x, good, bad = np.arange(3.0), np.array([0, 2]), np.array([0, 7])
    cr.grad(first)(x, good)
    with pytest.raises(IndexError) as error:
        cr.grad(second)(x, bad)
    assert f"test_derived.py:{second.__code__.co_firstlineno + 1}" in line_of(error)


def test_a_derived_program_is_made_once_for_closures_of_one_function():
    def scaled(factor):
        return lambda x: np.sum(np.sin(x) * factor)

    plans = []
    for k in (1.0, 2.0):
        call = trace_call(scaled(np.full(2, k)), (np.ones(2),), {}, frozenset([0]))
        plans.append(derived("gradient", call.program, call.active(frozenset([0])), True))
    assert plans[0] is plans[1]
