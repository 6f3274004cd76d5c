"""Where code may catch what is raised, and operations that are run at once there."""

import dis

import numpy as np
import pytest

import chainrule as cr
from chainrule.program.catching import caught_in, entries


def _nested(x):
    try:
        x += 1
        try:
            x /= 2
        except ZeroDivisionError:
            x = 0
        finally:
            x *= 3
    except (ValueError, TypeError) as error:
        x = str(error)
    with open(x) as file:
        return [line for line in file if line] * 70_000


@pytest.mark.parametrize("f", [_nested, entries, dis.dis, np.linalg.norm.__wrapped__])
def test_the_table_is_read_as_dis_reads_it(f):
    wanted = [(range(e.start, e.end), e.target) for e in dis.Bytecode(f).exception_entries]
    assert entries(f.__code__) == wanted


def test_with_is_no_try():
    def f(x):
        with open(x) as file:
            return file.read()

    lines = {
        i.positions.lineno - _nested.__code__.co_firstlineno for i in dis.get_instructions(_nested)
        if i.positions.lineno and any(i.offset in caught for caught in caught_in(_nested.__code__))
    }  # fmt: skip
    assert entries(f.__code__) and not caught_in(f.__code__)
    assert {2, 4} <= lines <= set(range(1, 9))


def test_a_derivative_goes_the_way_of_the_error_that_is_caught():
    def f(x):
        try:
            return np.sum(np.linalg.cholesky(x))
        except np.linalg.LinAlgError:
            return np.sum(3.0 * x)

    for derivative in (cr.grad(f), cr.jacobian(f, mode="forward"), cr.compile(cr.grad(f))):
        np.testing.assert_array_equal(derivative(-np.eye(2)), np.full((2, 2), 3.0))
    np.testing.assert_allclose(cr.grad(f)(np.array([[4.0]])), 0.25)


def test_an_operation_is_run_once_where_nothing_is_caught():
    runs = []

    def f(x):
        return np.sum(np.linalg.inv(x))

    op = cr.trace(f, np.eye(2)).equations[0].op
    evaluate = op.evaluate
    object.__setattr__(op, "evaluate", lambda *a, **k: runs.append(1) or evaluate(*a, **k))
    try:
        with pytest.raises(np.linalg.LinAlgError):
            cr.value_and_grad(f)(np.zeros((2, 2)))
    finally:
        object.__setattr__(op, "evaluate", evaluate)
    assert len(runs) == 1


def test_an_error_is_raised_at_the_line_that_asked_for_the_operation():
    def f(x):
        try:
            return np.sum(np.linalg.inv(x))
        except KeyError:
            return x

    with pytest.raises(np.linalg.LinAlgError) as caught:
        cr.grad(f)(np.zeros((2, 2)))
    assert any(entry.name == "f" for entry in caught.traceback)
