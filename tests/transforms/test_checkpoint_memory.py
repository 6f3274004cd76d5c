"""memory=: derivatives that fit into a number of bytes, measured as NumPy allocates them."""

import re
import tracemalloc

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors
from chainrule.program.evaluate import Plan
from chainrule.program.footprint import footprint
from chainrule.tracing import trace_call
from chainrule.transforms.checkpoint import within
from chainrule.transforms.minimum_cut import Network
from chainrule.transforms.reverse import reverse
from chainrule.transforms.storing import storing_less

ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0.0),
    "logistic": lambda z: 1.0 / (1.0 + np.exp(-z)),
    "leaky": lambda z: np.where(z > 0, z, 0.01 * z),
}


def network(layers, width, batch, activation=np.tanh, seed=3):
    """A loss of weights and biases, these, and the bytes of one activation."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(width, width)) / np.sqrt(width) for _ in range(layers)]
    biases = [0.1 * rng.normal(size=width) for _ in range(layers)]
    x = rng.normal(size=(batch, width))

    def loss(weights, biases):
        h = x
        for w, b in zip(weights, biases, strict=True):
            h = activation(h @ w + b)
        return np.mean(h**2)

    return loss, weights, biases, x.nbytes


def allocated(run):
    """The most bytes that a call has allocated at once; the first calls fill caches."""
    for _ in range(2):
        run()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        run()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def gradient_program(f, *args):
    """The program of the value and gradient of a function of trees, and its operands."""
    leaves = sum(len(a) if isinstance(a, list) else 1 for a in args)
    call = trace_call(f, args, {}, frozenset(range(leaves)))
    mask = call.active(frozenset(range(leaves)))
    return reverse(call.program, mask, seeds=(0,))[0], call.operands


def same(found, wanted):
    return all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


def least_of(error):
    return int(re.search(r"Give memory=(\d+)", str(error.value))[1])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_gradient_under_a_budget_has_the_same_bits_and_takes_no_more(name):
    loss, weights, biases, unit = network(12, 32, 2000, ACTIVATIONS[name])
    wanted = cr.grad(loss, (0, 1))(weights, biases)
    free = allocated(lambda: cr.grad(loss, (0, 1))(weights, biases))
    for units in (12, 7):
        derivative = cr.grad(loss, (0, 1), memory=units * unit)
        found = derivative(weights, biases)
        assert same(found[0] + found[1], wanted[0] + wanted[1])
        assert allocated(lambda: derivative(weights, biases)) <= 1.05 * units * unit < 1.05 * free


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_predicted_peak_is_the_measured_one_within_five_per_cent(name):
    loss, weights, biases, unit = network(12, 32, 3000, ACTIVATIONS[name])
    program, operands = gradient_program(loss, weights, biases)
    for memory in (None, 14 * unit, 9 * unit, 7 * unit):
        made = within(program, memory)
        plan = Plan(made)
        measured = allocated(lambda: plan.run(operands))
        assert abs(footprint(made) - measured) <= 0.05 * measured


def test_a_budget_that_is_large_enough_changes_nothing():
    loss, weights, biases, unit = network(4, 8, 50)
    program, _ = gradient_program(loss, weights, biases)
    assert within(program, footprint(program)) is program


def test_where_nothing_fits_the_error_says_the_least_that_would():
    loss, weights, biases, unit = network(12, 32, 2000)
    with pytest.raises(errors.BudgetTooSmall, match="does not fit into memory=1000") as error:
        cr.grad(loss, memory=1000)(weights, biases)
    assert re.search(r"test_checkpoint_memory\.py:\d+", str(error.value))
    least = least_of(error)
    cr.grad(loss, memory=least)(weights, biases)
    with pytest.raises(MemoryError):
        cr.grad(loss, memory=least - 1)(weights, biases)


def test_a_hundred_layers_take_the_root_of_their_activations():
    layers = 100
    loss, weights, biases, unit = network(layers, 48, 3000)
    program, operands = gradient_program(loss, weights, biases)
    results = sum(t.nbytes for t in program.out_types)
    made = within(program, int(2.6 * np.sqrt(layers) * unit) + results)
    assert made.cost().flops <= 1.35 * program.cost().flops
    assert footprint(made) <= 2.6 * np.sqrt(layers) * unit + results
    assert footprint(program) > 2 * layers * unit


def test_a_pullback_and_a_linear_map_keep_no_more_than_their_budget():
    loss, weights, biases, unit = network(12, 32, 2000)
    for make, given in ((cr.vjp, (1.0,)), (cr.linearize, (weights, biases))):
        _, wanted = make(loss, weights, biases)

        def both(memory, make=make, given=given):
            value, push = make(loss, weights, biases, memory=memory)
            return value, push(*given)

        value, found = both(13 * unit)
        assert value == loss(weights, biases)
        flat = lambda tree: np.concatenate([np.ravel(x) for x in _leaves(tree)])
        assert np.array_equal(flat(found), flat(wanted(*given)))
        assert allocated(lambda: both(13 * unit)) <= 1.05 * 13 * unit < allocated(
            lambda: both(None)
        )
        value, found = both(8 * unit)  # little is kept between the halves
        assert value == loss(weights, biases)
        assert np.array_equal(flat(found), flat(wanted(*given)))
        assert allocated(lambda: both(8 * unit)) <= 1.05 * 8 * unit


def _leaves(tree):
    if isinstance(tree, list | tuple):
        return [leaf for item in tree for leaf in _leaves(item)]
    return [tree]


def test_a_hessian_vector_product_fits_as_a_whole():
    loss, weights, biases, unit = network(8, 16, 3000)
    primals = (weights, biases)
    wanted = cr.hvp(loss, primals, primals)
    found = cr.hvp(loss, primals, primals, memory=21 * unit)
    assert same(_leaves(found), _leaves(wanted))
    measured = allocated(lambda: cr.hvp(loss, primals, primals, memory=21 * unit))
    assert measured <= 1.05 * 21 * unit < allocated(lambda: cr.hvp(loss, primals, primals))


def test_dropout_is_recomputed_with_the_same_numbers():
    loss_of, weights, biases, unit = network(8, 32, 2000)
    x = np.random.default_rng(5).normal(size=(2000, 32))

    def loss(weights, rng):
        h = x
        for w in weights:
            h = np.tanh(h @ w)
            h = np.where(rng.random(h.shape) < 0.5, 2.0 * h, 0.0)
        return np.mean(h**2)

    wanted = cr.grad(loss)(weights, cr.random.Generator(4))
    generator = cr.random.Generator(4)
    found = cr.grad(loss, memory=12 * unit)(weights, generator)
    assert same(found, wanted)
    after = cr.random.Generator(4)
    loss(weights, after)
    assert generator.random() == after.random()  # advanced once for each draw, not twice


# --- without a budget -----------------------------------------------------------------------------


def by_hand(weights, biases, x):
    """The gradient of a tanh network's mean square, as NumPy users write it."""
    kept = [x]
    for w, b in zip(weights, biases, strict=True):
        kept.append(np.tanh(kept[-1] @ w + b))
    out = kept.pop()
    moving = 2.0 / out.size * out * (1.0 - out**2)
    by_weights, by_biases = [], []
    for w in reversed(weights):
        before = kept.pop()
        by_weights.append(before.T @ moving)
        by_biases.append(moving.sum(axis=0))
        if kept:
            moving = (moving @ w.T) * (1.0 - before**2)
    return by_weights[::-1], by_biases[::-1]


def test_a_network_keeps_its_activations_and_no_more():
    layers, unit = 16, 3000 * 32 * 8
    for name in ("tanh", "relu", "logistic", "leaky"):
        loss, weights, biases, unit = network(layers, 32, 3000, ACTIVATIONS[name])
        measured = allocated(lambda: cr.grad(loss, (0, 1))(weights, biases))
        assert measured <= (layers * 1.13 + 4) * unit  # leaky: and a bool for each activation


def test_a_network_takes_what_the_derivative_written_by_hand_takes():
    loss, weights, biases, unit = network(16, 32, 3000)
    x = np.random.default_rng(8).normal(size=(3000, 32))

    def of_x(weights, biases):
        h = x
        for w, b in zip(weights, biases, strict=True):
            h = np.tanh(h @ w + b)
        return np.mean(h**2)

    wanted = allocated(lambda: by_hand(weights, biases, x))
    assert allocated(lambda: cr.grad(of_x, (0, 1))(weights, biases)) <= 1.05 * wanted + unit
    found, hand = cr.grad(of_x, (0, 1))(weights, biases), by_hand(weights, biases, x)
    for a, b in zip(found[0] + found[1], hand[0] + hand[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-15)


def test_a_residual_network_does_not_make_all_of_its_sums_again_at_once():
    """Of a block h + tanh(h w) the product is kept, and the sum of every few blocks."""
    blocks, unit = 24, 3000 * 32 * 8
    rng = np.random.default_rng(4)
    x, weights = rng.normal(size=(3000, 32)), list(rng.normal(size=(blocks, 32, 32)) / 8)

    def loss(weights):
        h = x
        for w in weights:
            h = h + np.tanh(h @ w)
        return np.mean(h**2)

    assert allocated(lambda: cr.grad(loss)(weights)) <= 1.6 * blocks * unit


def test_keeping_less_changes_no_bit():
    for name in ("tanh", "relu", "logistic"):
        loss, weights, biases, unit = network(5, 32, 3000, ACTIVATIONS[name])
        program, operands = gradient_program(loss, weights, biases)
        less = storing_less(program)
        assert footprint(less) < footprint(program), name
        assert same(Plan(less).run(operands), Plan(program).run(operands))


def test_a_clear_gain_is_not_measured_and_a_small_program_is_left():
    loss, weights, biases, _ = network(8, 32, 3000, ACTIVATIONS["logistic"])
    program, _ = gradient_program(loss, weights, biases)
    plain, asked = footprint(program), []

    def measure(candidate):
        asked.append(candidate)
        return footprint(candidate)

    less = storing_less(program, measure, worth=plain // 4)
    assert footprint(less) <= 0.7 * plain and not asked
    less = storing_less(program, measure, worth=plain // 3)  # not so large: it is planned
    assert footprint(less) <= 0.7 * plain and asked == [program, less]
    assert storing_less(program, measure, worth=2 * plain) is program
    assert storing_less(program, lambda p: plain // 4, worth=plain // 3) is program


def test_the_cut_keeps_the_fewest_bytes():
    network = Network(8)  # source 0, sink 1; two ways of capacity 3 + 2, and one of 4 behind them
    for tail, head, capacity in ((0, 2, 3), (0, 3, 2), (2, 4, 9), (3, 4, 9), (4, 5, 4), (5, 1, 9)):
        network.connect(tail, head, capacity)
    assert network.behind_cut() == {1, 5}


def test_recomputing_makes_no_ties():
    """A tie of an array with its own largest entry is none, also where either is made again."""
    q = np.random.default_rng(1).normal(size=(4, 24, 16))

    def attention(q):
        for _ in range(3):
            scores = q @ q.transpose(0, 2, 1)
            shifted = np.exp(scores - scores.max(-1, keepdims=True))
            q = q + shifted / shifted.sum(-1, keepdims=True) @ q
        return np.sum(q**3)

    program, _ = gradient_program(attention, q)
    memory = int(0.5 * footprint(program))
    wanted = cr.grad(attention, kinks="raise")(q)
    assert np.array_equal(cr.grad(attention, kinks="raise", memory=memory)(q), wanted)
    _, pullback = cr.vjp(attention, q, kinks="raise", memory=2 * memory)
    assert np.array_equal(pullback(1.0)[0], wanted)


@pytest.mark.parametrize("make", [cr.jacobian, cr.hessian])
def test_jacobians_and_hessians_fit_too(make):
    w = np.random.default_rng(6).normal(size=(24, 24)) / 5

    def f(x):
        for _ in range(8):
            x = np.tanh(w @ x)
        return x if make is cr.jacobian else np.sum(x**2)

    x = np.ones(24)
    wanted = make(f)(x)
    with pytest.raises(errors.BudgetTooSmall) as error:
        make(f, memory=100)(x)
    assert np.array_equal(make(f, memory=least_of(error))(x), wanted)


def test_the_budget_is_kept_by_value_and_grad_with_aux():
    loss, weights, biases, unit = network(10, 32, 2000)

    def with_aux(weights):
        return loss(weights, biases), {"norm": np.sum(weights[0] ** 2)}

    wanted = cr.value_and_grad(with_aux, has_aux=True)(weights)
    found = cr.value_and_grad(with_aux, has_aux=True, memory=8 * unit)(weights)
    assert found[0] == wanted[0] and same(found[1], wanted[1])
