"""Arrays taken apart into columns: the same values, without moves of columns."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.building import prepare
from chainrule.program.evaluate import evaluate
from chainrule.tracing import trace_call
from chainrule.transforms import columns
from chainrule.transforms.columns import in_columns

RNG = np.random.default_rng(12)
N = 150
X, Y = RNG.normal(size=(N, 3)), RNG.normal(size=(N, 3))
MOVES = ("concatenate", "pad", "index_add", "index_set")


def cross(a, b):
    return np.stack([
        a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0],
    ])  # fmt: skip


def turned(r, x):
    """x turned about r: Rodrigues' formula."""
    angle = np.sqrt(np.sum(r * r))
    axis = r / angle
    with_axis = axis * (np.sum(axis * x) * (1 - np.cos(angle)))
    return x * np.cos(angle) + cross(axis, x) * np.sin(angle) + with_axis


def written(x, y):
    out = 0.0 * np.concatenate([x, y[:1]])
    out[1:3] = x[:2] * y[1:]
    out[3] += np.max(x) - np.min(y)
    out[0] = 7.0
    return out[::-1]


def matrices(x, y):
    a = np.stack([x, y, cross(x, y)])
    return np.concatenate([a.T.reshape(-1)[:4], np.stack([np.prod(x), 2.0 * x[0]])])


def truths(x, y):
    above = np.stack([x[0] > y[0], x[1] > 0.0, np.any(x > y), np.all(x > y)])
    return np.where(above, np.concatenate([y, x[:1]]), 0.0)


ONE = {
    "cross": cross, "turned": turned, "written": written, "matrices": matrices, "truths": truths,
}  # fmt: skip


@pytest.fixture
def program(monkeypatch):
    """The program of a function as it is compiled, but for columns."""

    def made(f, *args):
        call = trace_call(f, args, {}, frozenset())
        with monkeypatch.context() as patch:
            patch.setattr(columns, "_SHORTEST", 1 << 60)
            return prepare(call.program), call.operands

    return made


@pytest.mark.parametrize("name", ONE)
def test_taken_apart_it_is_the_same_function(name, program):
    f = cr.vmap(ONE[name])
    before, operands = program(f, X, Y)
    after = in_columns(before)
    after.validate()
    assert after is not before
    (wanted,), (found,) = evaluate(before, operands), evaluate(after, operands)
    np.testing.assert_allclose(found, wanted, rtol=1e-14, atol=1e-14)
    one_by_one = np.stack([ONE[name](x, y) for x, y in zip(X, Y, strict=True)])
    np.testing.assert_allclose(cr.compile(f)(X, Y), one_by_one, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("name", ONE)
def test_jacobians_of_every_example_are_those_of_one(name, mode):
    f = cr.vmap(cr.jacobian(ONE[name], (0, 1), mode=mode))
    found = cr.compile(f)(X, Y)
    wanted = [cr.jacobian(ONE[name], (0, 1), mode=mode)(x, y) for x, y in zip(X, Y, strict=True)]
    for one, other in zip(found, zip(*wanted, strict=True), strict=True):
        np.testing.assert_allclose(one, np.stack(other), rtol=1e-12, atol=1e-13)


def test_no_columns_are_moved_but_those_of_results(program):
    before, _ = program(cr.vmap(cr.jacobian(turned, (0, 1), mode="reverse")), X, Y)
    after = in_columns(before)
    assert sum(e.op.name in MOVES for e in before.equations) > 2  # the results
    moves = [e.op.name for e in after.equations if e.op.name in MOVES]
    assert moves == ["concatenate", "concatenate"]
    shapes = [e.outputs[0].type.shape for e in after.equations if e.op.elementwise]
    assert all(shape == (N,) for shape in shapes if N in shape)


def test_sums_over_examples_are_made_of_columns(program):
    def f(r, x):
        return np.sum(cr.vmap(turned, (None, 0))(r, x) * Y)

    r = np.array([0.3, -0.2, 0.5])
    before, operands = program(cr.grad(f, (0, 1)), r, X)
    after = in_columns(before)
    assert after is not before
    for found, wanted in zip(evaluate(after, operands), evaluate(before, operands), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    one, other = cr.compile(cr.grad(f, (0, 1)))(r, X)
    slopes = cr.jvp(lambda r: f(r, X), (r,), (np.array([1.0, 2.0, 3.0]),))[1]
    assert one @ np.array([1.0, 2.0, 3.0]) == pytest.approx(slopes, rel=1e-12)
    assert other.shape == X.shape


def test_arrays_that_a_product_reads_are_joined_for_it(program):
    weights = RNG.normal(size=(3, 3))
    f = lambda x, y: np.tanh(cr.vmap(cross)(x, y) @ weights)[:, ::-1] + cr.vmap(cross)(y, x)
    before, operands = program(f, X, Y)
    found = evaluate(in_columns(before), operands)[0]
    np.testing.assert_allclose(found, f(X, Y), rtol=1e-13)
    np.testing.assert_allclose(cr.compile(f)(X, Y), f(X, Y), rtol=1e-13)


def test_wide_rows_and_few_examples_stay_as_they_are(program):
    a, b = RNG.normal(size=(N, 16)), RNG.normal(size=(N, 16))
    joined, _ = program(lambda a, b: np.tanh(np.concatenate([a, b], 1)) * 2.0, a, b)
    assert in_columns(joined) is joined
    few, _ = program(cr.vmap(cross), X[:9], Y[:9])
    assert in_columns(few) is few
    plain, _ = program(lambda x, y: np.sum(x * y, 1), X, Y)
    assert in_columns(plain) is plain


def test_infinities_and_strong_zeros_are_kept():
    x, y = X.copy(), Y.copy()
    x[3], y[4], x[5, 0], y[6, 1] = 0.0, np.inf, np.nan, 0.0
    f = cr.vmap(cr.jacobian(lambda x, y: cross(np.sqrt(np.abs(x)), y), (0, 1), mode="reverse"))
    with np.errstate(all="ignore"):
        for found, wanted in zip(cr.compile(f)(x, y), f(x, y), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-13)
