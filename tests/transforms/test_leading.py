"""Ties settled by the input that entered last, against exact arithmetic along the same germ."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.germs.generic import direction
from chainrule.program.evaluate import Plan
from chainrule.program.types import array_type
from chainrule.transforms.entering import germ_of
from chainrule.transforms.leading import leading_side
from chainrule.transforms.ties import watched

R = np.random.default_rng(12)
F64 = np.dtype(np.float64)


def relu(x):
    return np.maximum(x, 0)


# --- networks, for floats and for fractions alike -------------------------------------------------


def windows(x, size, stride=1):
    """The places of windows over axes 1 and 2 of images, with what is seen there."""
    high, wide = ((n - size) // stride + 1 for n in x.shape[1:3])
    for i in range(size):
        for j in range(size):
            rows = slice(i, i + (high - 1) * stride + 1, stride)
            yield i, j, x[:, rows, slice(j, j + (wide - 1) * stride + 1, stride)]


def padded(x):
    count, high, wide, channels = x.shape
    out = np.zeros((count, high + 2, wide + 2, channels), x.dtype) + 0 * x.flat[0]
    out[:, 1:-1, 1:-1] = x
    return out


def convolved(x, w, padding):
    x = padded(x) if padding == "same" else x
    return sum(seen @ w[i, j] for i, j, seen in windows(x, len(w)))


def pooled(x):
    places = [seen for *_, seen in windows(x, 2, 2)]
    out = places[0]
    for place in places[1:]:
        out = np.maximum(out, place)
    return out


def by_hand(w, images, wanted, padding):
    """The loss of a network of convolutions in plain arithmetic, of any numbers."""
    x = images
    for kernel, bias in zip(w[:-1:2], w[1:-1:2], strict=True):
        x = pooled(np.maximum(convolved(x, kernel, padding) + bias, 0))
    return np.sum((x.reshape(len(x), -1) @ w[-1] - wanted) ** 2)


def network(images, wanted, padding):
    def loss(*w):
        x = images
        for kernel, bias in zip(w[:-1:2], w[1:-1:2], strict=True):
            x = nn.max_pool(relu(nn.convolution(x, kernel, padding=padding) + bias), 2)
        return np.sum((x.reshape(len(x), -1) @ w[-1] - wanted) ** 2)

    return loss


def dense(rows, wanted):
    def loss(*w):
        x = rows
        for kernel, bias in zip(w[:-1:2], w[1:-1:2], strict=True):
            x = relu(x @ kernel + bias)
        return np.sum((x @ w[-1] - wanted) ** 2)

    return loss


def whole(*shape, most=3):
    return R.integers(-most, most + 1, size=shape).astype(float)


def generic(*shape):
    return np.round(R.normal(size=shape) * 1024) / 1024


def zero_corner(n, count=1):
    images = whole(count, n, n, 1) + 0.5
    images[:, : n - 2, : n - 2] = 0.0
    return images


# --- the germ in exact arithmetic -----------------------------------------------------------------


def moved(program, moving, values, side, eps):
    """The inputs that move, a little along the germ, as fractions."""
    found, germ = [], germ_of(program, moving)
    movers = [v for v, m in zip(program.inputs, moving, strict=True) if m]
    for v, value in zip(movers, values, strict=True):
        way = germ[v]
        made = np.full(v.type.shape, Fraction(side * way.sign), object)
        for axis, n in enumerate(v.type.shape):
            size = np.abs(direction(array_type((n,), F64), way.bit.bit_length() * 8 + axis))
            size = size.reshape([n if a == axis else 1 for a in range(made.ndim)])
            made = made * np.vectorize(lambda x: Fraction(int(x)), otypes=[object])(size)
        power = len(values) + 1 - way.bit.bit_length()  # what entered last leads
        exact = np.vectorize(Fraction, otypes=[object])(value)
        found.append(exact + made * eps**power)
    return found


def slopes(loss, values, step):
    """The gradient by central differences; of pieces of low degree that is exact up to step**2."""
    found = []
    for k, value in enumerate(values):
        slope = np.zeros(value.shape)
        for at in np.ndindex(*value.shape):
            ends = []
            for sign in (1, -1):
                changed = [v.copy() for v in values]
                changed[k][at] += sign * step
                ends.append(loss(changed))
            slope[at] = float((ends[0] - ends[1]) / (2 * step))
        found.append(slope)
    return found


CASES = {
    "a zero corner": (zero_corner(6, 2), [1, 2], "valid"),
    "a zero corner, padded": (zero_corner(6), [1, 2], "same"),
    "two layers": (zero_corner(8), [1, 1, 2], "same"),
    "a corner of one colour": (np.maximum(zero_corner(8), 0.75), [1, 1, 2], "valid"),
    "two layers of one": (zero_corner(10), [1, 2, 1], "valid"),
}


@pytest.mark.parametrize("name", CASES)
def test_sides_are_the_gradients_beside_the_point(name):
    images, channels, padding = CASES[name]
    w = []
    for c, k in pairwise(channels):
        size = 2 if len(channels) > 2 and padding == "valid" else 3
        w += [generic(size, size, c, k), np.zeros(k)]
    flat = _features(images, w, padding)
    w.append(whole(flat, 2))
    wanted = whole(len(images), 2)
    exact = [np.vectorize(Fraction, otypes=[object])(x) for x in (images, wanted)]
    _check(network(images, wanted, padding), w, lambda v: by_hand(v, *exact, padding), name)


def _features(images, w, padding):
    x = images
    for kernel, bias in zip(w[::2], w[1::2], strict=True):
        x = pooled(np.maximum(convolved(x, kernel, padding) + bias, 0))
    return x[0].size


def test_sides_of_dense_layers_are_the_gradients_beside_the_point():
    rows = whole(5, 3)
    rows[1:3] = 0.0
    w = [whole(3, 4), np.zeros(4), whole(4, 3), np.zeros(3), whole(3, 2)]
    wanted = whole(5, 2)
    exact = [np.vectorize(Fraction, otypes=[object])(x) for x in (rows, wanted)]
    _check(dense(rows, wanted), w, lambda v: dense(*exact)(*v))


def germ_of_gradient(loss, w):
    """The program of an exact gradient by all its arguments, what moves, and its operands."""
    compiled = cr.compile(cr.grad(loss, argnums=tuple(range(len(w)))), stabilize=False)
    compiled(*w)
    trace, arguments = compiled.trace_of(*w)
    program = trace.native.program
    values = dict(zip(program.inputs, trace.values(trace.operands(arguments)), strict=True))
    (e,) = [e for e in program.equations if e.op.name == "germ"]
    operands = [x.value if x.is_literal else values[x] for x in e.inputs]
    return e.params["program"], e.params["moving"], operands


def _check(loss, w, exactly, name=""):
    program, moving, operands = germ_of_gradient(loss, w)
    count, eps = len(w), Fraction(1, 2**60)
    assert sum(moving) == count
    sides = []
    thorough = "colour" in name
    for side in (1, -1):
        made = leading_side(program, moving, side, thorough)
        assert made is not None
        *found, open_, open_on_both = Plan(made).run(operands)
        assert not open_ and not open_on_both
        beside = moved(program, moving, w, side, eps)
        truth = slopes(exactly, beside, eps ** (count + 3))
        for a, b in zip(found, truth, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-9)
        sides.append(found)
    if not thorough:  # there, entries of windows tie and have the same gradients
        assert any((a != b).any() for a, b in zip(*sides, strict=True))  # a tie was settled
    assert Plan(watched(program, moving)).run(operands)[-1]
    mean = [(a + b) / 2 for a, b in zip(*sides, strict=True)]
    for a, b in zip(cr.grad(loss, argnums=tuple(range(count)))(*w), mean, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


# --- what a user sees -----------------------------------------------------------------------------


def leaves_open(loss, w, thorough=False):
    program, moving, operands = germ_of_gradient(loss, w)
    found = []
    for side in (1, -1):
        made = leading_side(program, moving, side, thorough)
        assert made is not None
        found += Plan(made).run(operands)[-2:]
    return any(found)


def parameters(images, padding, channels=(1, 2, 2)):
    w = []
    for c, k in pairwise(channels):
        w += [generic(3, 3, c, k), np.zeros(k)]
    return [*w, generic(_features(images, w, padding), 2)]


@pytest.mark.parametrize(
    ("images", "padding", "dtype", "open_"),
    [
        (zero_corner(12), "same", np.float64, [False, False]),
        (zero_corner(12), "same", np.float32, [False, False]),
        (np.full((1, 12, 12, 1), 0.75), "valid", np.float64, [True, False]),
        (np.full((1, 12, 12, 1), 0.75), "same", np.float64, [True, False]),
    ],
    ids=["zeros", "zeros in float32", "one colour", "one colour, padded"],
)
def test_compiled_is_evaluated(images, padding, dtype, open_):
    images = images.astype(dtype)
    w = [np.abs(x.astype(dtype)) for x in parameters(images, padding)]
    loss = network(images, generic(len(images), 2).astype(dtype), padding)
    assert [leaves_open(loss, w, thorough) for thorough in (False, True)] == open_
    gradient = cr.grad(loss, argnums=tuple(range(len(w))))
    compiled = cr.compile(gradient)
    wanted, first = gradient(*w), compiled(*w)
    tolerance = {np.float64: 1e-11, np.float32: 2e-3}[dtype]
    for a, b in zip(first, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())
    moved_off = [x + 0.5 for x in w]
    off = compiled(*moved_off)
    for _ in range(3):  # whichever program served last, a call gives what its arguments say
        for arguments, result in ((w, first), (moved_off, off), (w, first)):
            for a, b in zip(compiled(*arguments), result, strict=True):
                np.testing.assert_array_equal(a, b)


def test_a_compiled_network_with_ties_needs_no_evaluator(monkeypatch):
    images = zero_corner(12)
    w = parameters(images, "same")
    loss = network(images, generic(1, 2), "same")
    compiled = cr.compile(cr.grad(loss, argnums=tuple(range(len(w)))))
    monkeypatch.setattr("chainrule.compiler.native.plan", None)  # not called
    compiled(*w)


def test_activations_that_are_the_identity_leave_no_trace():
    """relu(z) - relu(-z) is z: where it ties, the gradient is that of the linear network."""
    rows = generic(4, 3)
    rows[1] = 0.0

    def made_of(activation):
        def loss(w, b, v, c):
            h = activation(rows @ w + b)
            return np.sum(np.sin(activation(h @ v + c)) + activation(h @ v))

        return loss

    w = [generic(3, 3), np.zeros(3), generic(3, 2), np.zeros(2)]
    exact = cr.grad(made_of(lambda z: relu(z) - relu(-z)), argnums=(0, 1, 2, 3))
    linear = cr.grad(made_of(lambda z: z), argnums=(0, 1, 2, 3))(*w)
    for found in (exact(*w), cr.compile(exact)(*w)):
        for a, b in zip(found, linear, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_several_derivatives_are_settled_each_by_itself():
    """One of them leaves ties open to the straight germ, the other does not."""
    grey, corner = np.full((1, 12, 12, 1), 0.75), zero_corner(12)
    w = parameters(grey, "same")
    by = tuple(range(len(w)))
    losses = [network(x, generic(1, 2), "same") for x in (grey, corner)]

    def both(*w):
        return [cr.grad(loss, argnums=by)(*w) for loss in losses]

    compiled = cr.compile(both)
    for _ in range(2):
        for found, loss in zip(compiled(*w), losses, strict=True):
            for a, b in zip(found, cr.grad(loss, argnums=by)(*w), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def test_columns_tell_units_apart():
    """The largest of units that tie by their weights: one of them on each side, not all."""
    x = np.array([1.0, 2.0, -1.0])

    def loss(w):
        return np.max(x @ w)

    w = np.ones((3, 4))
    slope = cr.grad(loss)(w)
    shares = slope[0] / x[0]
    np.testing.assert_allclose(slope, x[:, None] * shares)
    assert sorted(shares) == [0.0, 0.0, 0.5, 0.5]


def test_pooling_of_hidden_windows_is_no_tie(monkeypatch):
    monkeypatch.setattr("chainrule.kinked.settled_outputs", None)  # not called
    images, b = np.full((1, 4, 4, 1), -1.0), np.array([0.25])

    def loss(b, images):
        weight = np.exp(b).reshape(1, 1, 1, 1)
        return np.sum(nn.max_pool(relu(nn.convolution(images, weight) + b), 2) + b)

    np.testing.assert_array_equal(cr.grad(loss)(b, images), [4.0])
    with pytest.raises(TypeError):  # in sight, it is one
        cr.grad(loss)(b, 0.1 * images)


def test_pooling_goes_before_relu_and_bias():
    def f(x, b):
        return nn.max_pool(relu(nn.convolution(x, np.ones((2, 2, 1, 3))) + b), 2)

    x, b = generic(2, 7, 7, 1), generic(3)
    exact = cr.trace(cr.jacobian(f), x, b)
    names = [e.op.name for e in exact.equations]
    assert names.index("window_max") < names.index("add")
    np.testing.assert_array_equal(
        cr.value_and_grad(lambda x: np.sum(f(x, b) ** 2))(x)[0], np.sum(f(x, b) ** 2)
    )
    mine = cr.grad(lambda x: np.sum(f(x, b) ** 2))(x)
    other = cr.grad(lambda x: np.sum(f(x, b) ** 2), kinks="convention")(x)
    np.testing.assert_allclose(mine, other, rtol=1e-13, atol=1e-13)


def test_a_bias_that_is_one_number_leads():
    rows = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]])
    labels = np.array([1.0, 0.0, 1.0])

    def loss(w, b):
        z = rows @ w + b
        return np.mean(np.maximum(z, 0.0) - z * labels + np.log1p(np.exp(-np.abs(z))))

    gradient = cr.grad(loss, argnums=(0, 1))
    for found in (gradient(np.zeros(2), 0.0), cr.compile(gradient)(np.zeros(2), 0.0)):
        np.testing.assert_allclose(found[0], rows.T @ (0.5 - labels) / 3, rtol=1e-15)
        assert found[1] == pytest.approx(np.mean(0.5 - labels), rel=1e-15)


def test_numbers_are_compared_too():
    w = np.array([1.0, 2.0])
    gradient = cr.grad(lambda w, b: np.sum((w @ w) * np.maximum(b, 0.0)), argnums=(0, 1))
    for found in (gradient(w, 0.0), cr.compile(gradient)(w, 0.0)):
        np.testing.assert_array_equal(found[0], [0.0, 0.0])
        assert found[1] == 2.5  # the mean of w @ w and 0
