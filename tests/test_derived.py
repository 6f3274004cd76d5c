"""Derived programs are kept by structure and place."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import derived as derived_programs
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


def test_what_a_compiled_function_derives_is_put_in_order_only_where_it_is_run(monkeypatch):
    ordered = []

    def order(program):
        ordered.append(program)
        return program

    monkeypatch.setattr(derived_programs, "checking", False)  # which looks at the order
    monkeypatch.setattr(derived_programs, "storing_less", order)

    def f(x):
        return np.sum(np.tanh(x) * np.abs(x))

    x = np.linspace(0.5, 1.5, 7)
    found = cr.compile(cr.grad(f))(x)
    assert not ordered
    np.testing.assert_array_equal(cr.grad(f)(x), cr.grad(f)(x))
    assert len(ordered) == 1
    np.testing.assert_allclose(found, x / np.cosh(x) ** 2 + np.tanh(x), rtol=1e-15)
