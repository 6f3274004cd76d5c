"""vmap is a loop over the examples, stacked: in value, derivatives, effects and errors."""

from collections import namedtuple

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors
from chainrule.random import Generator

RNG = np.random.default_rng(5)
XS = RNG.uniform(0.2, 1.0, (4, 3))
YS = RNG.uniform(0.2, 1.0, (4, 3))
W = RNG.uniform(-1.0, 1.0, (2, 3))


def looped(f, *args, axes):
    """f on each example, stacked: what vmap promises."""
    size = next(np.shape(a)[x] for a, x in zip(args, axes, strict=True) if x is not None)
    rows = [
        f(*(a if x is None else np.moveaxis(a, x, 0)[k] for a, x in zip(args, axes, strict=True)))
        for k in range(size)
    ]
    return np.stack(rows)


def assert_close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-15)


FUNCTIONS = {
    "elementwise": lambda x: np.sin(x) * np.exp(-x) + x**2,
    "reduction": lambda x: np.sum(x) / np.max(x) + np.std(x),
    "product": lambda x: W @ x,
    "outer": lambda x: np.outer(x, x) @ x,
    "view": lambda x: x[::-1][1:] * x[0],
    "write": lambda x: written(x),
    "rows": lambda x: x[[2, 0, 2]] + np.take(x, [1]),
    "mask": lambda x: np.where(x > 0.5, x, 0.0 * x),
    "sort": lambda x: np.sort(x) + np.argsort(x),
    "solve": lambda x: np.linalg.solve(np.diag(x) + 0.1, x),
    "cumulative": lambda x: np.cumsum(x) * np.cumprod(x),
    "concatenate": lambda x: np.concatenate([x, W[0], 2.0 * x]),
    "einsum": lambda x: np.einsum("ij,j,j->i", W, x, x),
    "scan": lambda x: cr.scan(lambda c, t: (c * t + 0.1, c), 1.0, x)[1],
    "while": lambda x: cr.while_loop(lambda s: s < 3.0, lambda s: s * (1.0 + x[0]), 1.0 + 0 * x[0]),
    "cond": lambda x: cr.cond(x[0] > 0.5, lambda: x * 2.0, lambda: np.sin(x)),
    "checkpoint": lambda x: cr.checkpoint(lambda x: np.sin(x * x))(x),
    "constant": lambda x: np.ones(2) * 3.0,
    "gradient": lambda x: cr.grad(lambda y: np.sum(np.tanh(W @ y)))(x),
    "hessian": lambda x: cr.hessian(lambda y: np.sum(np.sin(y) * y[::-1]))(x),
    "complex": lambda x: abs(np.fft.fft(x * (1 + 1j))) ** 2,
}


def written(x):
    y = x * 1.0
    y[0] = y[1] * 2.0
    y[1:] += x[:-1]
    np.add.at(y, [0, 0, 2], x)
    return y


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_batch_is_a_loop_over_its_examples(name):
    f = FUNCTIONS[name]
    # inside a trace on both sides: eager control flow differs in the last bit
    single = lambda x: cr.vjp(f, x)[0]
    assert_close(cr.vmap(f)(XS), looped(single, XS, axes=(0,)))
    assert_close(cr.vmap(f, in_axes=1)(XS.T), looped(single, XS, axes=(0,)))
    assert_close(cr.vmap(f, out_axes=-1)(XS), np.moveaxis(looped(single, XS, axes=(0,)), 0, -1))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_pass_through_a_batch(name):
    f = FUNCTIONS[name]
    total = lambda x: np.sum(np.sin(f(x)))
    single = [cr.grad(total)(x) for x in XS]
    assert_close(cr.vmap(cr.grad(total))(XS), single)
    assert_close(cr.grad(lambda xs: np.sum(np.sin(cr.vmap(f)(xs))))(XS), single)
    push = lambda x, dx: cr.jvp(f, (x,), (dx,))[1]
    wanted = [push(x, y) for x, y in zip(XS, YS, strict=True)]
    assert_close(cr.vmap(push)(XS, YS), wanted)
    assert_close(cr.jvp(cr.vmap(f), (XS,), (YS,))[1], wanted)


@pytest.mark.parametrize("name", ["product", "write", "scan", "while", "cond", "solve", "gradient"])
def test_batches_of_batches(name):
    f = FUNCTIONS[name]
    cube = np.stack([XS, YS])
    wanted = np.stack([[cr.vjp(f, x)[0] for x in rows] for rows in cube])
    assert_close(cr.vmap(cr.vmap(f))(cube), wanted)
    assert_close(cr.vmap(cr.vmap(f, in_axes=1), in_axes=2)(np.moveaxis(cube, 0, -1).swapaxes(0, 1)),
                 wanted)  # fmt: skip


# --- axes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0), (1, 0), (-1, -2)])
def test_every_argument_has_its_axis(axes):
    x = XS if axes[0] in (0, None) else XS.T
    x = XS[0] if axes[0] is None else x
    y = YS[0] if axes[1] is None else YS
    f = lambda x, y: np.sin(x) * y + np.sum(x * y)
    assert_close(cr.vmap(f, axes)(x, y), looped(f, x, y, axes=axes))


def test_trees_have_trees_of_axes():
    Pair = namedtuple("Pair", "left right")
    f = lambda p, q: {"a": p["x"] * q.left, "b": (np.sum(p["x"]) + q.right, p["n"])}
    p, q = {"x": XS, "n": 2.0}, Pair(YS, YS.T)
    out = cr.vmap(f, in_axes=({"x": 0, "n": None}, Pair(0, 1)), out_axes={"a": 1, "b": (0, 0)})(
        p, q
    )
    assert_close(out["a"], (XS * YS).T)
    assert_close(out["b"][0], XS.sum(1)[:, None] + YS)
    assert_close(out["b"][1], np.full(4, 2.0))


def test_one_axis_stands_for_a_whole_argument():
    f = lambda p: p["a"] * p["b"][0]
    assert_close(cr.vmap(f)({"a": XS, "b": [YS]}), XS * YS)
    assert_close(cr.vmap(f, in_axes=(1,))({"a": XS.T, "b": [YS.T]}), XS * YS)


def test_keyword_arguments_are_batched_along_their_first_axis():
    assert_close(cr.vmap(lambda x, y: x * y)(XS, y=YS), XS * YS)


def test_results_that_do_not_depend_on_the_batch_are_repeated():
    found = cr.vmap(lambda x, y: (y * 2.0, 1.0), (0, None))(XS, YS[0])
    assert_close(found[0], np.stack([YS[0] * 2.0] * 4))
    assert_close(found[1], np.ones(4))


def test_an_empty_batch():
    assert cr.vmap(FUNCTIONS["product"])(XS[:0]).shape == (0, 2)
    assert cr.vmap(cr.grad(lambda x: np.sum(x**2)))(XS[:0]).shape == (0, 3)
    assert cr.vmap(FUNCTIONS["scan"])(XS[:0]).shape == (0, 3)
    assert cr.vmap(FUNCTIONS["cond"])(XS[:0]).shape == (0, 3)


def test_dtypes_are_those_of_the_examples():
    for dtype in (np.float32, np.int8, np.complex64, bool):
        x = np.ones((4, 3), dtype)
        f = lambda x: (x + x, x * np.float32(2), x * 2, np.sum(x))
        for found, wanted in zip(cr.vmap(f)(x), f(x[0]), strict=True):
            assert found.dtype == wanted.dtype


# --- captured values and effects -----------------------------------------------------------------


def test_captured_values_are_not_batched():
    f = lambda x: cr.vmap(lambda y: x * y)(YS)
    assert_close(f(2.0), 2.0 * YS)
    assert_close(cr.jacobian(f)(2.0), YS)
    assert_close(cr.grad(lambda x: np.sum(f(x)))(2.0), np.sum(YS))
    assert_close(cr.grad(lambda x: np.sum(cr.vmap(lambda y: np.sum(x * y))(YS)))(XS[0]), YS.sum(0))


def test_a_batched_argument_is_written_for_the_caller():
    def f(x, y):
        x *= 2.0
        x[0] = y
        return np.sum(x)

    for axis in (0, 1):
        xs = XS.copy() if axis == 0 else XS.T.copy()
        found = cr.vmap(f, (axis, 0))(xs, YS[:, 0])
        wanted = 2.0 * XS
        wanted[:, 0] = YS[:, 0]
        assert_close(np.moveaxis(xs, axis, 0), wanted)
        assert_close(found, wanted.sum(1))


def test_an_unbatched_argument_is_not_written():
    shared = np.ones(3)

    def f(x, shared):
        shared += x
        return np.sum(shared)

    with pytest.raises(errors.MutationError, match="without a batch axis"):
        cr.vmap(f, (0, None))(XS, shared)
    assert np.array_equal(shared, np.ones(3))


def test_objects_are_not_changed_under_vmap():
    state = {"n": 0.0}

    def f(x, state):
        state["n"] = state["n"] + 1.0
        return x

    with pytest.raises(errors.MutationError, match="without a batch axis"):
        cr.vmap(f, (0, None))(XS, state)
    assert state == {"n": 0.0}


def test_arrays_made_inside_are_written_freely():
    def f(x):
        y = cr.numpy.zeros(3)
        y[1] = x[0]
        y += x
        return y

    assert_close(cr.vmap(f)(XS), XS + np.eye(3)[1] * XS[:, :1])


def test_every_example_has_a_stream_of_its_own():
    rng = Generator(3)
    before = rng.state.copy()
    found = cr.vmap(lambda x: x + rng.normal(size=2))(np.zeros(5))
    assert len(np.unique(found)) == 10
    assert np.array_equal(rng.state - before, [0, 1])  # one draw, however many inside
    rng.state = before
    assert np.array_equal(cr.vmap(lambda x: x + rng.normal(size=2))(np.zeros(5)), found)
    rng.state = before
    again = cr.vmap(lambda x, rng: x + rng.normal(size=2), (0, None))(np.zeros(5), rng)
    assert np.array_equal(again, found)
    assert np.array_equal(rng.state - before, [0, 1])


def test_a_stream_of_an_example_does_not_depend_on_the_batch():
    rng, other = Generator(3), Generator(3)
    few = cr.vmap(lambda x: x + rng.normal())(np.zeros(2))
    many = cr.vmap(lambda x: x + other.normal())(np.zeros(7))
    assert np.array_equal(few, many[:2])


def test_nested_batches_draw_different_numbers():
    rng = Generator(3)
    found = cr.vmap(cr.vmap(lambda x: x + rng.normal()))(np.zeros((3, 4)))
    assert len(np.unique(found)) == 12


def test_batched_derivatives_see_the_numbers_of_the_values():
    rng = Generator(3)
    state = rng.state.copy()
    values = cr.vmap(lambda x: x * rng.normal())(np.ones(4))
    rng.state = state
    slopes = cr.vmap(cr.grad(lambda x: x * rng.normal()))(np.ones(4))
    assert np.array_equal(values, slopes)
    rng.state = state
    through = cr.grad(lambda x: np.sum(cr.vmap(lambda x: x * rng.normal())(x)))(np.ones(4))
    assert np.array_equal(values, through)


# --- errors --------------------------------------------------------------------------------------


def refused(f, *args, **options) -> str:
    with pytest.raises(errors.StructureMismatch) as caught:
        cr.vmap(f, **options)(*args)
    return str(caught.value)


def test_batch_lengths_agree():
    assert "one batch length over all arguments, got lengths [3, 4]" in refused(
        lambda x, y: x, XS, XS[:3]
    )


def test_some_argument_has_a_batch_axis():
    assert "no batch axis at all" in refused(lambda x: x, XS, in_axes=None)


def test_axes_exist():
    assert "axis 0 of an argument of shape ()" in refused(lambda x, y: x, XS, 2.0)
    assert "axis 5 of an argument of shape (4, 3)" in refused(lambda x: x, XS, in_axes=5)
    assert "in_axes has 2 entries for 1 arguments" in refused(lambda x: x, XS, in_axes=(0, 0))


def test_axes_have_the_structure_of_their_argument():
    message = refused(lambda p: p["a"], {"a": XS}, in_axes=({"b": 0},))
    assert "the in_axes has the wrong structure" in message
    message = refused(lambda x: {"a": x}, XS, out_axes={"b": 0})
    assert "the out_axes has the wrong structure" in message


def test_every_result_has_an_axis():
    assert "out_axes gives no axis" in refused(lambda x: x, XS, out_axes=None)


def test_a_shape_cannot_depend_on_an_example():
    with pytest.raises(errors.ConcreteValueNeeded, match="depends on the mask's value"):
        cr.vmap(lambda x: x[x > 0.5])(XS)
    assert_close(cr.vmap(lambda x: x[np.array([True, False, True])])(XS), XS[:, [0, 2]])


# --- Python's own branches: one example after the other ------------------------------------------


def by_python(x):
    """|x|^3 below 0, else as many sines as x has halves: no where, no cond."""
    if x < 0:
        return -(x**3)
    y = x
    for _ in range(int(2 * x)):
        y = np.sin(y)
    return y


PLACES = np.array([-1.5, -0.25, 0.0, 0.3, 0.6, 2.2])


def test_a_python_branch_decides_for_each_example():
    for derivative in (lambda f: f, cr.grad, cr.hessian, lambda f: cr.grad(cr.grad(f))):
        f = derivative(by_python)
        assert_close(cr.vmap(f)(PLACES), [f(x) for x in PLACES])
    slopes = [cr.grad(by_python)(x) for x in PLACES]
    assert_close(cr.jacobian(cr.vmap(by_python))(PLACES), np.diag(slopes))
    assert_close(cr.grad(lambda x: np.sum(cr.vmap(by_python)(x) ** 2))(PLACES),
                 2 * cr.vmap(by_python)(PLACES) * slopes)  # fmt: skip


def test_a_python_branch_at_a_tie_is_settled_for_its_example():
    def identity(x):
        positive = x if x > 0 else 0.0
        return positive + (x if x < 0 else 0.0)

    assert_close(cr.vmap(cr.grad(identity))(np.array([-1.0, 0.0, 2.0])), [1.0, 1.0, 1.0])


def test_a_python_branch_of_examples_compiles():
    found = cr.compile(cr.vmap(cr.grad(lambda x: x**2 if x > 0.5 else -x)))(PLACES)
    assert_close(found, np.where(PLACES > 0.5, 2 * PLACES, -1.0))


def test_examples_one_after_the_other_keep_axes_trees_and_writes():
    def f(p, scale):
        if p["a"][0] < 0:
            p["a"] *= scale
        return {"sum": p["a"].sum(), "rows": 2.0 * p["a"]}

    columns = np.array([[-1.0, 1.0], [2.0, 3.0]])
    found = cr.vmap(f, in_axes=(1, None), out_axes={"sum": 0, "rows": 1})({"a": columns}, 3.0)
    assert_close(columns, [[-3.0, 1.0], [6.0, 3.0]])
    assert_close(found["sum"], [3.0, 4.0])
    assert_close(found["rows"], 2.0 * columns)


def test_examples_one_after_the_other_draw_from_streams_of_their_own():
    def by_branch(x, rng):
        return x + rng.normal() if x > 0 else x - rng.normal()

    def by_where(x, rng):
        z = rng.normal()
        return np.where(x > 0, x + z, x - z)

    first, second = Generator(3), Generator(3)
    found = cr.vmap(by_branch, in_axes=(0, None))(PLACES, first)
    assert_close(found, cr.vmap(by_where, in_axes=(0, None))(PLACES, second))
    assert np.array_equal(first.state, second.state)
    captured = Generator(3)
    assert_close(cr.vmap(lambda x: by_branch(x, captured))(PLACES), found)
    assert np.array_equal(captured.state, second.state)


def test_what_cannot_be_told_one_after_the_other_is_refused():
    def replaces(p):
        if p["a"] > 0:
            p["a"] = 2.0 * p["a"]
        return p["a"]

    with pytest.raises(errors.ConcreteValueNeeded, match="truth value"):
        cr.vmap(replaces)({"a": PLACES})

    def writes(x, shared):
        if x > 0:
            shared[0] = x
        return x

    with pytest.raises(ValueError, match="read-only"):
        cr.vmap(writes, in_axes=(0, None))(PLACES, np.zeros(2))
