"""Which values are positive: by what they are made of, each looked at once."""

import numpy as np
import pytest

from chainrule.tracing import trace_call
from chainrule.transforms.signs import positive


def sign_of(f, x=0.5):
    """Whether the result is known to be positive, and how many values were asked for."""
    program = trace_call(f, (x,), {}).program
    made = {v: e for e in program.equations for v in e.outputs}
    asked = []

    def maker(v):
        asked.append(v)
        return made.get(v)

    return positive(program.outputs[0], maker), len(asked)


POSITIVE = {
    "exp": np.exp, "sum of squares": lambda x: 1.0 + x * x + np.square(x),
    "root": lambda x: np.sqrt(1.0 + abs(x)), "quotient": lambda x: np.exp(x) / np.cosh(x),
    "maximum": lambda x: np.maximum(x, 0.1),
}  # fmt: skip
UNKNOWN = {
    "input": lambda x: x, "difference": lambda x: np.exp(x) - 0.5, "square": lambda x: x * x,
    "sine": np.sin, "magnitude": abs, "minimum": lambda x: np.minimum(x, 0.1),
}  # fmt: skip


@pytest.mark.parametrize("name", POSITIVE)
def test_positive(name):
    assert sign_of(POSITIVE[name])[0]


@pytest.mark.parametrize("name", UNKNOWN)
def test_not_known_to_be_positive(name):
    assert not sign_of(UNKNOWN[name])[0]


def test_values_that_are_read_by_several_are_looked_at_once():
    def f(x):
        a, b = np.exp(x), np.cosh(x)
        for _ in range(10):  # 2**20 paths
            a, b = a * b + 1.0, a + b
        return a / b

    known, asked = sign_of(f)
    assert known and asked < 100


def test_nothing_is_looked_at_behind_a_value_whose_sign_says_nothing():
    def f(x):
        for _ in range(10):
            x = np.sin(x) + 1.0
        return np.sin(x)

    assert sign_of(f) == (False, 1)
