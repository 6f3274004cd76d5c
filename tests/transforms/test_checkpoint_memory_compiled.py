"""memory= in compiled functions: the arena and the results together stay within it."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors
from tests.transforms.test_checkpoint_memory import least_of, network


def taken(compiled):
    """The bytes of a compiled function's latest trace: its arena, and results that are new."""
    native = compiled.latest_trace().native
    new = [t.nbytes for k, t in enumerate(native.program.out_types) if k not in native.written]
    return native.arena_bytes + sum(new)


def close(found, wanted):
    """Up to the order of additions: sums of a kernel are split by how much the kernel does."""
    for a, b in zip(found, wanted, strict=True):
        assert np.max(np.abs(a - b)) <= 1e-13 * np.max(np.abs(b))


def relu(z):
    return np.maximum(z, 0.0)


@pytest.mark.parametrize("activation", [np.tanh, relu], ids=["tanh", "relu"])
def test_a_compiled_gradient_takes_no_more_than_its_budget(activation):
    loss, weights, biases, unit = network(12, 32, 1000, activation)
    wanted = cr.grad(loss, (0, 1))(weights, biases)
    plain = cr.compile(cr.grad(loss, (0, 1)))
    plain(weights, biases)
    assert taken(plain) > 13 * unit
    for units in (12, 8):
        lean = cr.compile(cr.grad(loss, (0, 1)), memory=units * unit)
        found = lean(weights, biases)
        assert taken(lean) <= units * unit
        close(found[0] + found[1], wanted[0] + wanted[1])


def test_a_compiled_step_that_updates_in_place_fits_too():
    loss, weights, biases, unit = network(12, 32, 1000)
    ours, theirs = [w.copy() for w in weights], [w.copy() for w in weights]

    def step(weights):
        for w, g in zip(weights, cr.grad(loss)(weights, biases), strict=True):
            w -= 0.1 * g

    lean = cr.compile(step, memory=8 * unit)
    for _ in range(3):
        lean(ours)
        step(theirs)
    assert taken(lean) <= 8 * unit
    close(ours, theirs)


def test_the_budget_of_a_gradient_inside_a_compiled_function_is_kept():
    loss, weights, biases, unit = network(12, 32, 1000)
    inner = cr.compile(lambda w: cr.grad(loss, memory=12 * unit)(w, biases))
    close(inner(weights), cr.grad(loss)(weights, biases))
    assert taken(inner) <= 12 * unit


def test_a_compiled_function_that_cannot_fit_says_the_least_that_would():
    loss, weights, biases, unit = network(8, 32, 1000)
    with pytest.raises(errors.BudgetTooSmall) as error:
        cr.compile(cr.grad(loss), memory="10 KB")(weights, biases)
    fitting = cr.compile(cr.grad(loss), memory=least_of(error))
    fitting(weights, biases)
    assert taken(fitting) == least_of(error)


def test_memory_that_is_no_amount_is_refused_by_compile():
    with pytest.raises(ValueError, match="amount such as '256MB'"):
        cr.compile(np.sin, memory="much")


def test_a_compiled_network_keeps_its_activations_and_no_more():
    loss, weights, biases, unit = network(16, 64, 1000)
    compiled = cr.compile(cr.grad(loss, (0, 1)))
    found, wanted = compiled(weights, biases), cr.grad(loss, (0, 1))(weights, biases)
    close(found[0] + found[1], wanted[0] + wanted[1])
    assert compiled.latest_trace().native.arena_bytes <= 18.1 * unit
