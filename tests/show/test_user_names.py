"""Names of values, found in the user's file by the position of the instruction that made them."""

import numpy as np
import pytest

import chainrule as cr


def names(f, *args) -> list[str]:
    """The names that a function's equations give, letters of parts of expressions left out."""
    outputs = [v for e in cr.trace(f, *args).equations for v in e.outputs]
    return [str(v.name) for v in outputs if not v.name.temporary]


def plain(x):
    y = np.sin(x)
    z = (y + x) * 2.0
    return z


def annotated(x):
    y: float = x * 2.0
    return y


def augmented(x):
    total = x * 1.0
    total += x
    return total


def unpacked(a):
    q, r = np.linalg.qr(a)
    return q, r


def unpacked_rows(a):
    first, second = a
    return first * second


def iterated(a):
    total = 0.0
    for row in a:
        total = total + row
    return total


def several_lines(x):
    total = (
        x * 2.0 +
        1.0
    )  # fmt: skip
    return total


def method_on_the_next_line(x):
    total = (
        (x * 2.0)
        .sum()
    )  # fmt: skip
    return total


def written(x):
    table = x * 1.0
    table[0] = x[1] * 3.0
    return table


def attribute(x):
    class Box:
        pass

    box = Box()
    box.content = x * 2.0
    return box.content


def word(x):
    values = {}
    values["size"] = x * 2.0
    return values["size"]


def walrus(x):
    return (half := x * 0.5) * half


def either(x):
    size = x * 2.0 if x.ndim else x * 3.0
    return size


@pytest.mark.parametrize(
    ("f", "argument", "expected"),
    [
        (plain, 0.5, ["y", "z"]),
        (annotated, 0.5, ["y"]),
        (augmented, np.ones(2), ["total", "total"]),
        (unpacked, np.eye(2), ["q", "r"]),
        (unpacked_rows, np.ones((2, 3)), ["first", "second"]),
        (iterated, np.ones((2, 3)), ["row", "total", "row", "total"]),
        (several_lines, 0.5, ["total"]),
        (method_on_the_next_line, np.ones(3), ["total"]),
        (written, np.ones(3), ["table", "table"]),
        (attribute, 0.5, ["content"]),
        (word, 0.5, ["size"]),
        (walrus, 0.5, ["half"]),
        (either, np.ones(3), ["size"]),
    ],
    ids=lambda item: getattr(item, "__name__", ""),
)
def test_a_value_has_the_name_that_it_is_assigned_to(f, argument, expected):
    assert names(f, argument) == expected


def test_what_a_function_returns_is_named_after_the_function():
    def sigmoid(z):
        return 1.0 / (1.0 + np.exp(-z))

    program = cr.trace(lambda x: sigmoid(x) * 2.0, 0.5)
    assert "sigmoid" in [str(e.outputs[0].name) for e in program.equations]


def test_letters_are_distinct_from_the_names_of_arguments():
    program = cr.trace(lambda a, b: np.sin(a * b) * np.cos(a), 0.5, 2.0)
    given = {v.name for v in program.inputs}
    assert given == {"a", "b"}
    assert not given & {str(e.outputs[0].name) for e in program.equations}


def test_derived_equations_are_not_named_after_the_line_that_they_come_from():
    def f(x):
        y = np.tan(x)
        return y * 2.0

    equations = cr.trace(cr.grad(f), 0.5).equations
    assert [str(e.outputs[0].name) for e in equations].count("y") == 1
