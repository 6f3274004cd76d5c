"""Random functions that view, write, read and alias arrays, against NumPy itself.

Values and changed arguments are NumPy's; derivatives are those of the complex step through NumPy.
"""

import numpy as np
import pytest
from hypothesis import given, settings

import chainrule as cr
from chainrule.program.evaluate import evaluate
from chainrule.program.trace import current, is_traced
from chainrule.tracing import trace_call
from tests.random_statements import cases, laid_out


def complex_step(f, arguments, directions, layouts) -> float:
    """The derivative of f along the directions: Im f(x + i h dx) / h, exact to rounding."""
    step = 1e-200
    moved = [
        laid_out(x + 1j * step * dx, layout)
        for x, dx, layout in zip(arguments, directions, layouts, strict=True)
    ]
    return f(*moved).imag / step


def assert_close(found, wanted, tolerance=1e-12):
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def check_derivatives(f, plain, case) -> None:
    """Value, changed arguments and both modes of f against plain NumPy's function."""
    args = case.arguments()
    wanted = plain(*args)
    directions = [np.random.default_rng(3).uniform(-1, 1, x.shape) for x in args]
    exact = complex_step(plain, case.arguments(), directions, case.layouts)
    found = case.arguments()
    value, gradients = cr.value_and_grad(f, (0, 1))(*found)
    assert_close(value, wanted)
    for changed, like in zip(found, args, strict=True):
        assert_close(changed, like)
    products = [np.sum(g * dx) for g, dx in zip(gradients, directions, strict=True)]
    assert_close(sum(products), exact, 1e-9)
    assert_close(cr.jvp(f, tuple(case.arguments()), tuple(directions))[1], exact, 1e-9)


@settings(max_examples=37)
@given(cases())
def test_functions_compute_and_change_what_numpy_does(case):
    f = case.function()
    check_derivatives(f, f, case)
    call = trace_call(f, tuple(case.arguments()), {})
    assert_close(evaluate(call.program, call.operands)[0], f(*case.arguments()))


# --- written from inside control flow ------------------------------------------------------------


def once(block) -> None:
    block()


def twice(block) -> None:
    block()
    block()


def in_cond(block) -> None:
    yes = cr.numpy.ones(1).sum() > 0
    assert is_traced(yes) == (current() is not None)  # a branch for run time
    cr.cond(yes, block, lambda: None)


def in_scan(block) -> None:
    cr.scan(lambda carry, _: (block(), (carry, None))[1], 0.0, None, length=2)


def in_while(block) -> None:
    cr.while_loop(lambda k: k < 2, lambda k: (block(), k + 1)[1], 0)


def in_grad(block) -> None:
    cr.grad(lambda t: (block(), t)[1])(1.0)


RUNS = {
    "checkpoint": (lambda block: cr.checkpoint(block)(), once), "cond": (in_cond, once),
    "scan": (in_scan, twice), "while": (in_while, twice), "grad": (in_grad, once),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_functions_write_from_inside_control_flow(name):
    run, plain = RUNS[name]

    @settings(max_examples=12)
    @given(cases(blocks=True))
    def check(case):
        check_derivatives(case.function(run), case.function(plain), case)

    check()


# --- batches -------------------------------------------------------------------------------------


def rows_of(examples, layout: str) -> np.ndarray:
    """The examples stacked, every row of the result in this memory layout."""
    shape = (len(examples), *examples[0].shape)
    if layout == "strided":
        out = np.zeros((shape[0], *(2 * n for n in shape[1:])))
        out = out[(slice(None), *(slice(None, None, 2) for _ in shape[1:]))]
    elif layout == "reversed":
        out = np.zeros(shape)[:, ::-1]
    elif layout == "F":
        out = np.zeros((shape[0], *shape[:0:-1])).transpose(0, *range(len(shape) - 1, 0, -1))
    else:
        out = np.zeros(shape)
    out[...] = np.stack(examples)
    return out


@settings(max_examples=30)
@given(cases())
def test_batches_compute_and_change_what_a_loop_does(case):
    f = case.function()

    def examples():
        return [
            [laid_out(x * (1.0 + k / 8), layout) for k in range(3)]
            for x, layout in zip(case.arguments(), case.layouts, strict=True)
        ]

    def batches():
        return [
            rows_of(rows, layout) for rows, layout in zip(examples(), case.layouts, strict=True)
        ]

    one_by_one, together = examples(), batches()
    wanted = [f(a, b) for a, b in zip(*one_by_one, strict=True)]
    assert_close(cr.vmap(f)(*together), wanted)
    for batch, rows in zip(together, one_by_one, strict=True):
        assert_close(batch, np.stack(rows))
    slopes = [cr.grad(f, (0, 1))(a, b) for a, b in zip(*examples(), strict=True)]
    found = cr.vmap(cr.grad(f, (0, 1)))(*batches())
    for position in (0, 1):
        assert_close(found[position], [s[position] for s in slopes], 1e-9)
