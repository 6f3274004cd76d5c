"""Derivatives at kinks and singular points, against closed forms: every mode, one table."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, germs, nn
from chainrule.derived import derived
from chainrule.germs.generic import direction, traced_direction
from chainrule.program.evaluate import Plan
from chainrule.program.trace import Builder
from chainrule.program.types import array_type
from chainrule.tracing import trace_call

R = np.random.default_rng(7)  # seed 7


def relu(x):
    return np.maximum(x, 0)


def leaky(x):
    return np.where(x > 0, x, 0.01 * x)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def cross_entropy(z):
    top = np.max(z)
    return top + np.log(np.sum(np.exp(z - top))) - z[0]


def huber(x):
    return np.where(np.abs(x) <= 1.0, 0.5 * x * x, np.abs(x) - 0.5)


def wave(x):
    return np.abs(x - np.round(x))


def by_if(x):
    if x > 0:
        return 2.0 * x
    return 4.0 * x


def pieces(x):
    total = 0.0
    for k in range(3):
        total = total + (max(x - k, 0.0) if x < 2 else x * k)
    return total


THIRD = 1.0 / 3.0
TIES = np.array([1.0, 1.0, 0.0])

# name: function, point, gradient, Hessian (None: not asked)
CASES = {
    "relu": (relu, 0.0, 0.5, 0.0),
    "relu(x) - relu(-x)": (lambda x: relu(x) - relu(-x), 0.0, 1.0, 0.0),
    "relu after relu": (lambda x: relu(relu(x) - x) + relu(x), 0.0, 0.0, 0.0),
    "relu squared": (lambda x: relu(x) ** 2, 0.0, 0.0, 1.0),
    "relu of a square": (lambda x: relu(x * x), 0.0, 0.0, 2.0),
    "relu of a cube": (lambda x: relu(x**3), 0.0, 0.0, 0.0),
    "leaky relu": (leaky, 0.0, 0.505, 0.0),
    "abs": (np.abs, 0.0, 0.0, 0.0),
    "abs times abs": (lambda x: np.abs(x) * np.abs(x), 0.0, 0.0, 2.0),
    "x abs": (lambda x: x * np.abs(x), 0.0, 0.0, 0.0),
    "sign times x": (lambda x: np.sign(x) * x, 0.0, 0.0, 0.0),
    "sign times x squared": (lambda x: np.sign(x) * np.sign(x) * x, 0.0, 1.0, 0.0),
    "where x > 0": (lambda x: np.where(x > 0, x, np.sin(x)), 0.0, 1.0, 0.0),
    "where x >= 0": (lambda x: np.where(x >= 0, np.exp(x), 1 + x), 0.0, 1.0, 0.5),
    "sinc by hand": (
        lambda x: np.where(x == 0, 1.0, np.sin(x) / np.where(x == 0, 1.0, x)), 0.0, 0.0, -THIRD),
    "sinc without care": (lambda x: np.where(x == 0, 1.0, np.sin(x) / x), 0.0, 0.0, -THIRD),
    "maximum and minimum": (
        lambda x: np.maximum(x[0], x[1]) + np.minimum(x[0], x[1]), TIES, [1.0, 1.0, 0.0], None),
    "maximum by abs": (
        lambda x: np.maximum(x[0], x[1]) - (x[0] + x[1] + np.abs(x[0] - x[1])) / 2,
        TIES, [0.0, 0.0, 0.0], None),
    "clip": (lambda x: np.clip(x, 0.0, 1.0), 1.0, 0.5, 0.0),
    "clip beside clip": (lambda x: np.clip(x, 0.0, 1.0) + np.maximum(x, 1.0), 1.0, 1.0, 0.0),
    "max": (np.max, TIES, [0.5, 0.5, 0.0], None),
    "min": (np.min, np.array([2.0, 1.0, 1.0]), [0.0, 0.5, 0.5], None),
    "max of zeros and itself": (lambda x: np.max(x) + np.min(x), np.zeros(2), [1.0, 1.0], None),
    "sum of sorted": (lambda x: np.sum(np.sort(x) ** 2), TIES, [2.0, 2.0, 0.0], None),
    "median of two": (np.median, np.array([1.0, 1.0]), [0.5, 0.5], None),
    "quantile": (
        lambda x: np.quantile(x, 0.0) + np.quantile(x, 1.0), np.ones(2), [1.0, 1.0], None),
    "L1 norm": (lambda x: np.sum(np.abs(x)), np.array([0.0, 3.0]), [0.0, 1.0], None),
    "L-infinity norm": (
        lambda x: np.linalg.norm(x, np.inf), np.array([2.0, -2.0]), [0.5, -0.5], None),
    "L2 norm squared": (lambda x: np.linalg.norm(x) ** 2, np.zeros(2), [0.0, 0.0], 2 * np.eye(2)),
    "hinge": (lambda x: np.maximum(0.0, 1.0 - x), 1.0, -0.5, 0.0),
    "huber": (huber, 1.0, 1.0, 0.5),
    "softplus": (softplus, 0.0, 0.5, 0.25),
    "cross-entropy": (
        cross_entropy, np.array([1.0, 1.0]), [-0.5, 0.5], [[0.25, -0.25], [-0.25, 0.25]]),
    "triangle wave": (wave, 0.5, 0.0, 0.0),
    "sawtooth": (lambda x: x - np.floor(x), 2.0, 1.0, 0.0),
    "sqrt of a square": (lambda x: np.sqrt(x * x), 0.0, 0.0, None),
    "sqrt of a fourth power": (lambda x: np.sqrt(x**4), 0.0, 0.0, 2.0),
    "cbrt of a cube": (lambda x: np.cbrt(x**3), 0.0, 1.0, 0.0),
    "power of a cube": (lambda x: (x**3) ** THIRD, 0.0, 1.0, None),
    "sqrt, the limit": (np.sqrt, 0.0, np.inf, None),
    "if": (by_if, 0.0, 3.0, 0.0),
    "max of Python": (lambda x: max(x, 0.0) - max(-x, 0.0), 0.0, 1.0, 0.0),
    "if in a loop": (pieces, 1.0, 1.5, 0.0),
    "argmax as an index": (lambda x: x[int(np.argmax(x))], TIES, [0.5, 0.5, 0.0], None),
    "argmax": (lambda x: x[np.argmax(x)] ** 2, TIES, [1.0, 1.0, 0.0], None),
    "cond": (lambda x: cr.cond(x > 0, lambda x: x * x, lambda x: 2 * x, x), 0.0, 1.0, 1.0),
    "scan": (lambda x: cr.scan(lambda c, _: (relu(c) - relu(-c), c), x, np.ones(3))[0],
             0.0, 1.0, 0.0),
    "while": (lambda x: cr.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, np.abs(s[1]) - s[1]),
                                      (0, x))[1], 0.0, 0.0, 0.0),
    "checkpoint": (cr.checkpoint(lambda x: relu(x) - relu(-x)), 0.0, 1.0, 0.0),
}  # fmt: skip
SCALARS = [name for name, case in CASES.items() if np.ndim(case[1]) == 0]


def _case(name):
    f, x, slope, curvature = CASES[name]
    return f, x, np.asarray(slope, float), curvature


def near(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_first_derivatives_in_every_mode(name):
    f, x, slope, _ = _case(name)
    near(cr.grad(f)(x), slope)
    near(cr.value_and_grad(f)(x)[1], slope)
    near(cr.value_and_grad(f)(x)[0], f(x))
    near(cr.jacobian(f, mode="forward")(x), slope)
    near(cr.jacobian(f, mode="reverse")(x), slope)
    near(cr.vjp(f, x)[1](2.0)[0], 2 * slope)
    if np.isfinite(slope).all():
        dx = R.normal(size=np.shape(x))[()]
        near(cr.jvp(f, (x,), (dx,))[1], np.sum(slope * dx))
        near(cr.linearize(f, x)[1](dx), np.sum(slope * dx))


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c[3] is not None])
def test_second_derivatives_in_every_nesting(name):
    f, x, _, curvature = _case(name)
    near(cr.hessian(f)(x), curvature)
    near(cr.jacobian(cr.jacobian(f, mode="forward"), mode="reverse")(x), curvature)
    near(cr.jacobian(cr.grad(f), mode="reverse")(x), curvature)
    dx = R.normal(size=np.shape(x))[()]
    near(cr.hvp(f, (x,), (dx,)), np.dot(curvature, dx))
    near(cr.vjp(cr.grad(f), x)[1](dx)[0], np.dot(curvature, dx))


@pytest.mark.parametrize("name", [n for n in SCALARS if n not in ("if", "if in a loop",
                                                                   "max of Python")])  # fmt: skip
def test_lanes_of_vmap_are_settled_each(name):
    f, x, slope, curvature = _case(name)
    lanes = np.array([x, x + 0.25, x])
    found = cr.vmap(cr.grad(f))(lanes)
    near(found, [slope, cr.grad(f)(x + 0.25), slope])
    if curvature is not None:
        near(cr.vmap(cr.grad(cr.grad(f)))(lanes)[0], curvature)


@pytest.mark.parametrize("name", [n for n in CASES if n not in (
    "if", "if in a loop", "max of Python", "argmax as an index")])  # fmt: skip
def test_compiled_derivatives_are_settled(name):
    f, x, slope, curvature = _case(name)
    compiled = cr.compile(cr.grad(f))
    beside = x + np.arange(1.0, 1.0 + np.size(x)).reshape(np.shape(x)) / 8
    for _ in range(2):
        near(compiled(x), slope)
        near(compiled(beside), cr.grad(f)(beside))
    if curvature is not None:
        near(cr.compile(cr.hessian(f))(x), curvature)


# --- options --------------------------------------------------------------------------------------


def test_convention_follows_the_table_of_each_operation():
    both = lambda x: relu(relu(x) - x) + relu(x)
    assert cr.grad(both, kinks="convention")(0.0) == 0.25
    assert cr.grad(both)(0.0) == 0.0
    near(cr.grad(np.max, kinks="convention")(np.ones(3)), np.full(3, 1 / 3))


@pytest.mark.parametrize("name", ["relu", "abs", "hinge", "max", "L1 norm", "if", "sqrt, the limit",
                                  "max of Python of one"])  # fmt: skip
def test_raise_where_there_is_no_derivative(name):
    f, x = (lambda x: max(x, 0.0), 0.0) if name.endswith("of one") else CASES[name][:2]
    along = np.arange(1.0, np.size(x) + 1.0).reshape(np.shape(x))[()]
    for derivative in (
        lambda: cr.grad(f, kinks="raise")(x),
        lambda: cr.jacobian(f, kinks="raise")(x),
        lambda: cr.vjp(f, x, kinks="raise")[1](1.0),
        lambda: cr.jvp(f, (x,), (along,), kinks="raise"),
        lambda: cr.linearize(f, x, kinks="raise")[1](along),
    ):
        with pytest.raises(errors.NotDifferentiable, match=r"test_kinks\.py"):
            derivative()


@pytest.mark.parametrize("name", ["relu(x) - relu(-x)", "where x > 0", "sum of sorted", "softplus",
                                  "cross-entropy", "cbrt of a cube", "sinc without care",
                                  "max of Python"])  # fmt: skip
def test_raise_gives_the_derivative_where_there_is_one(name):
    f, x, slope, _ = _case(name)
    near(cr.grad(f, kinks="raise")(x), slope)
    near(cr.vjp(f, x, kinks="raise")[1](1.0)[0], slope)


def test_raise_names_the_line_of_the_choice():
    def f(x):
        y = x * 2.0
        return np.abs(y) + y

    line = f.__code__.co_firstlineno + 2
    with pytest.raises(errors.NotDifferentiable, match=rf"sign, at .*test_kinks\.py:{line}"):
        cr.grad(f, kinks="raise")(0.0)


def test_raise_looks_at_powers_of_arrays_one_by_one():
    f = lambda x, y: np.sum(np.power(x, y))
    with pytest.raises(errors.NotDifferentiable, match=r"log, at .*test_kinks\.py"):
        cr.grad(f, argnums=(0, 1), kinks="raise")(np.array([0.0, 2.0]), np.array([2.0, 2.0]))


def test_values_stay_those_at_the_point():
    jump = lambda x: np.where(x > 0, 1.0, -1.0) + np.sign(x)
    assert cr.value_and_grad(jump)(0.0) == (-1.0, 0.0)
    with_aux = lambda x: (relu(x) - relu(-x), np.sign(x))
    assert cr.grad(with_aux, has_aux=True)(0.0) == (1.0, 0.0)


# --- effects and nesting --------------------------------------------------------------------------


def test_what_a_function_writes_is_written_once():
    def f(x, log):
        log["calls"] = log["calls"] + 1
        log["seen"] += np.where(x > 0, 1.0, 2.0)
        return x * x if x > 0 else 3.0 * x

    log = {"calls": 0, "seen": np.zeros(1)}
    assert cr.grad(f)(0.0, log) == 1.5
    assert log["calls"] == 1 and log["seen"] == [2.0]


def test_a_side_on_which_the_function_raises_does_not_count():
    def root(x):
        if x < 0:
            raise ValueError("negative")
        return x**1.5 + 2.0 * x

    assert cr.grad(root)(0.0) == 2.0


def test_an_inner_derivative_at_a_fixed_point_is_settled():
    slope = lambda x: x * cr.grad(lambda y: relu(relu(y) - y) + relu(y))(0.0)
    assert cr.grad(slope)(2.0) == 0.0
    assert cr.grad(lambda x: x * cr.grad(np.abs)(0.0))(1.0) == 0.0
    assert cr.jvp(cr.grad(by_if), (0.0,), (1.0,)) == (3.0, 0.0)


def test_the_value_of_an_inner_derivative_is_settled():
    f = lambda x: relu(relu(x) - x) + relu(x)
    assert cr.value_and_grad(cr.grad(f))(0.0) == (0.0, 0.0)
    assert cr.jvp(cr.grad(f), (0.0,), (1.0,)) == (0.0, 0.0)


def test_perturbations_are_not_confused_at_a_tie():
    f = lambda x: x * cr.grad(lambda y: relu(x - y) - relu(y - x))(x)
    assert cr.grad(f)(1.0) == -1.0


def test_derivatives_inside_control_flow_are_settled():
    f = lambda x: relu(relu(x) - x) + relu(x)
    points = np.array([0.0, 1.0, -1.0])
    total, _ = cr.scan(lambda c, x: (c + cr.grad(f)(x), c), 0.0, points)
    assert total == 0.0
    assert cr.cond(True, lambda x: cr.grad(f)(x), lambda x: x, 0.0) == 0.0
    near(cr.vmap(lambda x: cr.vjp(f, x)[1](3.0)[0])(points), [0.0, 3.0, -3.0])
    near(cr.vmap(lambda x: cr.jvp(f, (x,), (2.0,))[1])(points), [0.0, 2.0, -2.0])


def test_lanes_choose_their_own_branch_of_cond():
    f = lambda x: cr.cond(x > 0, lambda x: x * np.sqrt(x), lambda x: -2.0 * x, x)
    near(cr.vmap(cr.grad(f))(np.array([-1.0, 0.0, 4.0])), [-2.0, -1.0, 3.0])


# --- compiled -------------------------------------------------------------------------------------


def test_a_compiled_step_with_ties_updates_its_argument_once():
    def step(w, x):
        w -= 0.5 * cr.grad(lambda w: np.sum(relu(x @ w) - relu(-(x @ w))))(w)

    x = R.normal(size=(3, 2))
    for w in (np.zeros(2), np.ones(2)):
        plain = w.copy()
        cr.compile(step)(w, x)
        step(plain, x)
        near(w, plain)


def test_a_compiled_loop_settles_ties_in_every_step():
    f = lambda x: relu(relu(x) - x) + relu(x)
    run = cr.compile(lambda xs: cr.scan(lambda c, x: (c + cr.grad(f)(x), c), 0.0, xs))
    near(run(np.array([0.0, 1.0, 0.0]))[0], 1.0)
    near(run(np.array([2.0, 1.0, 0.5]))[0], 3.0)


def test_compiled_lanes_are_settled():
    f = lambda x: relu(relu(x) - x) + relu(x)
    near(cr.compile(cr.vmap(cr.grad(f)))(np.array([0.0, 1.0, 0.0])), [0.0, 1.0, 0.0])


# --- what counts as a tie -------------------------------------------------------------------------


def _watches(f, *args) -> bool:
    call = trace_call(f, args, {}, frozenset(range(len(args))))
    mask = call.active(frozenset(range(len(args))))
    return derived("gradient", call.program, mask, False).watches


def test_smooth_functions_are_not_watched():
    x = R.normal(size=3)
    assert not _watches(lambda x: np.sum(np.exp(x) * np.sin(x) @ x), x)
    assert not _watches(lambda x: np.sum(np.logaddexp(x, 1.0)), x)
    assert not _watches(lambda x: np.sum(x / (1.0 + np.arange(3.0))), x)
    mask = np.array([True, False, True])
    assert not _watches(lambda x: np.sum(np.where(mask, x, 0.0)) / np.sum(mask), x)


@pytest.mark.parametrize(
    "f",
    [
        lambda a: np.sum(np.abs(np.linalg.qr(a)[1])),
        lambda a: np.sum(np.maximum(np.linalg.cholesky(a @ a.T + np.eye(3)), -9.0) ** 2)
        + np.sum(np.abs(np.linalg.cholesky(a @ a.T + np.eye(3)))),
        lambda a: np.sum(np.linalg.eig(a)[1].real ** 3),
    ],
    ids=["qr", "cholesky", "eig"],
)
def test_what_a_factorisation_keeps_at_0_is_no_tie(f, monkeypatch):
    """Entries below R's diagonal and beside L's, and the component of an eigenvector that LAPACK
    makes real, are 0 for every matrix."""
    a = np.array([[1.0, 2.0, 0.3], [-3.0, 1.5, 0.7], [0.1, 0.4, 2.0]])
    monkeypatch.setattr("chainrule.kinked.settled_outputs", None)  # not called
    slope = cr.grad(f)(a)
    step = 1e-6 * np.eye(9).reshape(9, 3, 3)
    near = [(f(a + h) - f(a - h)) / 2e-6 for h in step]
    np.testing.assert_allclose(slope.ravel(), near, rtol=1e-6, atol=1e-8)


def test_one_largest_entry_is_no_tie(monkeypatch):
    monkeypatch.setattr("chainrule.kinked.settled_outputs", None)  # not called
    x = np.array([3.0, 1.0, 2.0])
    for f in (np.max, np.min, np.median, lambda x: np.sum(np.sort(x)), lambda x: x[np.argmax(x)],
              lambda x: np.sum(np.maximum.accumulate(x) * x), np.ptp, cross_entropy):  # fmt: skip
        cr.grad(f)(x)
    with pytest.raises(TypeError):
        cr.grad(np.max)(np.ones(2))


# --- sides by tangents, and by series -------------------------------------------------------------


def mlp(w):
    hidden = np.maximum(POINTS @ w["w1"] + w["b1"], 0)
    hidden = np.where(hidden > 0, hidden, 0.1 * hidden)
    return np.sum(np.abs(hidden @ w["w2"])) + np.max(hidden @ w["w2"])


POINTS = np.concatenate([R.normal(size=(4, 3)), np.zeros((2, 3))])  # zero rows: ties at zero bias
WEIGHTS = {"w1": R.normal(size=(3, 5)), "b1": np.zeros(5), "w2": R.normal(size=(5, 2))}


def test_tangents_and_series_make_the_same_choices(monkeypatch):
    by_tangents = cr.grad(mlp)(WEIGHTS)
    compiled = cr.compile(cr.grad(mlp))
    natively = [compiled(WEIGHTS) for _ in range(2)]
    monkeypatch.setattr("chainrule.kinked.Kinked.on_side", lambda *_: None)
    by_series = cr.grad(mlp)(WEIGHTS)
    for name in WEIGHTS:
        near(by_tangents[name], by_series[name])
        near(natively[0][name], by_series[name])
        near(natively[1][name], by_series[name])


def test_a_compiled_tie_is_settled_natively(monkeypatch):
    compiled = cr.compile(cr.grad(lambda x: np.sum(3.0 * relu(x) - relu(-x))))
    near(compiled(np.array([0.0, 2.0, -1.0])), [2.0, 3.0, 1.0])
    monkeypatch.setattr("chainrule.kinked.settled_outputs", None)  # no call of the evaluator
    near(compiled(np.array([3.0, 0.0, 0.0])), [3.0, 2.0, 2.0])


def test_directions_are_the_same_wherever_they_are_made():
    def traced(number):
        with Builder() as builder:
            builder.lines_from_user = False
            out = traced_direction(array_type((50,), np.dtype(np.float64)), number)
            return Plan(builder.finish([out._var])).run([])[0]

    for number in range(3):
        plain = direction(array_type((50,), np.dtype(np.float64)), number)
        near(traced(number), plain)
        assert (plain == np.rint(plain)).all() and np.abs(plain).min() >= 1
        assert np.abs(plain).max() <= 97 and (plain < 0).any() and (plain > 0).any()


def test_dead_units_are_no_ties(monkeypatch):
    monkeypatch.setattr("chainrule.kinked.settled_outputs", None)  # not called
    x = np.array([[-1.0, -2.0, 3.0, 1.0], [-3.0, -1.0, -2.0, -4.0]])
    slope = cr.grad(lambda x: np.sum(relu(relu(x)) + np.where(relu(x) > 0, relu(x), 5.0)))(x)
    near(slope, np.where(x > 0, 2.0, 0.0))
    pooled = lambda x: np.sum(np.max(relu(x).reshape(2, 2, 2), axis=2) ** 2)
    near(cr.grad(pooled)(x), [[0.0, 0.0, 6.0, 0.0], [0.0] * 4])
    images = x.reshape(1, 2, 4, 1)
    slope = cr.grad(lambda x: np.sum(nn.max_pool(relu(x), 2)))(images)
    near(slope.ravel(), [0, 0, 1, 0, 0, 0, 0, 0])


def test_pooled_ties_by_tangents_and_by_series(monkeypatch):
    rng = np.random.default_rng(0)
    images = np.where(rng.random((2, 7, 6, 1)) < 0.9, 0.0, rng.normal(size=(2, 7, 6, 1)))
    weights = {"w": rng.normal(size=(3, 3, 1, 2)), "b": np.zeros(2), "v": rng.normal(size=(2, 3))}

    def loss(p):
        hidden = relu(nn.convolution(images, p["w"]) + p["b"])
        return np.sum((np.sum(nn.max_pool(hidden, 2), axis=(1, 2)) @ p["v"]) ** 3)

    def forward(p):
        return cr.jvp(lambda w: loss({**p, "w": w}), (p["w"],), (np.ones((3, 3, 1, 2)),))[1]

    by_tangents, natively = cr.grad(loss)(weights), cr.compile(cr.grad(loss))(weights)
    slope, native_slope = forward(weights), cr.compile(forward)(weights)
    monkeypatch.setattr("chainrule.kinked.Kinked.on_side", lambda *_: None)
    by_series = cr.grad(loss)(weights)
    assert not np.allclose(by_series["b"], cr.grad(loss, kinks="convention")(weights)["b"])
    for name in weights:
        near(by_tangents[name], by_series[name])
        near(natively[name], by_series[name])
    near(slope, forward(weights))
    near(native_slope, slope)


def test_compile_gives_the_default_of_derivatives_inside():
    f = lambda x: relu(relu(x) - x) + relu(x)
    plain, settled = cr.grad(f), cr.grad(f, kinks="exact")
    assert cr.compile(lambda x: plain(x))(0.0) == 0.0
    assert cr.compile(lambda x: plain(x), kinks="convention")(0.0) == 0.25
    assert cr.compile(lambda x: settled(x), kinks="convention")(0.0) == 0.0
    assert cr.compile(lambda x: cr.vjp(f, x)[1](1.0)[0], kinks="convention")(0.0) == 0.25
    with pytest.raises(errors.NotDifferentiable):
        cr.compile(cr.grad(np.abs), kinks="raise")(0.0)
    with pytest.raises(ValueError, match="kinks"):
        cr.compile(f, kinks="none")


def test_sparse_jacobians_are_settled_as_dense_ones_are():
    x = np.array([1.0, 1.0, 2.0])
    differences = lambda x: np.maximum(x[1:], x[:-1]) + np.minimum(x[1:], x[:-1])
    near(cr.jacobian(differences, sparse=True)(x).toarray(), [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    with pytest.raises(errors.NotDifferentiable):
        cr.jacobian(lambda x: np.maximum(x[1:], x[:-1]), sparse=True, kinks="raise")(x)


def test_without_a_rule_for_series_the_convention_stands(monkeypatch):
    def unsupported(*_):
        raise germs.Unsupported("sine")

    monkeypatch.setattr("chainrule.kinked.germs.limits", unsupported)
    cube_root = lambda x: np.cbrt(x**3) + x  # the convention gives the root slope 0, series 1
    assert cr.grad(cube_root)(0.0) == 1.0
    with pytest.raises(errors.NotDifferentiable, match=r"not known.*sine has no rule"):
        cr.grad(cube_root, kinks="raise")(0.0)


@pytest.mark.parametrize("f, watches", [
    (lambda x: 1.0 / (1.0 + np.exp(-x)), False),
    (lambda x: np.exp(x) / np.sum(np.exp(np.stack([x, x * x]))), False),
    (lambda x: 1.0 / (2.0 + x * x), False),
    (lambda x: 1.0 / np.cosh(x), False),
    (lambda x: 1.0 / (x * x), True),
    (lambda x: 1.0 / (1.0 - np.exp(-x)), True),
    (lambda x: np.log(1.0 + x), True),
])  # fmt: skip
def test_denominators_that_are_surely_positive_are_not_watched(f, watches):
    assert _watches(f, 0.5) == watches


def test_powers_at_a_tie_do_not_take_the_tangents_of_tangents_without_end():
    assert cr.grad(lambda x: np.sqrt(((x + 1.0) - 2.0) ** 4))(1.0) == 0.0
    assert cr.grad(lambda x: np.abs(((x + 1.0) - 2.0) ** 3) + x)(1.0) == 1.0


def test_an_infinite_limit_beside_a_result_that_is_no_number():
    f = lambda x: (np.sqrt(np.maximum(x, 0.0)), x > 0.0)
    values, (slope, nothing) = cr.jvp(f, (np.array([0.0, 4.0]),), (np.ones(2),))
    assert nothing is None
    np.testing.assert_array_equal(values[1], [False, True])
    near(slope, [0.0, 0.25])
