"""What a program costs, predicted from shapes."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.program.cost import takes_more
from chainrule.tracing import trace_call


@pytest.mark.parametrize(
    "f, x",
    [
        (lambda x: np.sum(np.tanh(x @ x) + x), np.ones((5, 5))),
        (lambda x: cr.fori_loop(0, 12, lambda i, c: np.sin(c) * x, x), np.ones(3)),
        (cr.grad(lambda x: np.sum(np.abs(x) * x)), np.ones(7)),  # a program inside of an equation
    ],
)
def test_takes_more_is_the_comparison_with_the_whole_cost(f, x):
    program = trace_call(f, (x,), {}).program
    cost = program.cost()
    total = cost.flops + cost.bytes_read
    assert total > 0
    assert takes_more(program, total - 1) and not takes_more(program, total)
