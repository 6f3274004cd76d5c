"""check="nan": the first operation that makes a nan or an infinity is named; nothing is written."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors
from chainrule.compiler.native import build
from chainrule.tracing import trace_call


def checked(f, *args):
    call = trace_call(f, args, {})
    written = {call.count + k: e.target for k, e in enumerate(call.effects)}
    return build(call.program, written, "nan"), [np.array(x) for x in call.operands]


def inner(x):
    return np.sum(np.log(x - 1.0) * 2.0)


def test_finite_results_are_those_of_an_unchecked_run():
    native, values = checked(inner, np.full(5, 3.0))
    assert native.run(values)[0] == pytest.approx(inner(values[0]))


@pytest.mark.parametrize("bad, what", [(0.5, "a nan"), (1.0, "an infinity")])
def test_error_names_operation_and_line(bad, what):
    native, values = checked(inner, np.full(5, 3.0))
    values[0][2] = bad
    with pytest.raises(errors.NotANumber, match=rf"log made {what} .*test_check\.py:\d+"):
        native.run(values)


def test_what_is_not_finite_to_begin_with_is_no_error():
    native, values = checked(lambda x: np.sum(x * 2.0), np.full(5, 3.0))
    values[0][2] = np.inf
    assert native.run(values)[0] == np.inf


def test_error_in_a_loop():
    def f(x):
        return cr.fori_loop(0, 10, lambda i, c: np.sqrt(c - 1.0), x)

    native, values = checked(f, np.full(3, 30.0))
    with pytest.raises(errors.NotANumber, match="sqrt made a nan"):
        native.run(values)


def test_arguments_are_as_they_were_after_an_error():
    def f(x):
        x *= 2.0
        return np.log(x)

    native, values = checked(f, np.ones(4))
    values[0][1] = -1.0
    before = values[0].copy()
    with pytest.raises(errors.NotANumber):
        native.run(values)
    np.testing.assert_array_equal(values[0], before)
