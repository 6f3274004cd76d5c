"""Every optimizer against its formula, written out in NumPy; clipping, penalties, step sizes."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim

STEPS = 6
RNG = np.random.default_rng(11)
START = {"w": RNG.normal(size=(3, 2)), "b": RNG.normal(size=2)}
SLOPES = [{k: RNG.normal(size=v.shape) for k, v in START.items()} for _ in range(STEPS)]
SCHEDULE = optim.InverseTime(3.0)
SIZES = [0.1 * 3.0 / (3.0 + t) for t in range(STEPS)]


def sgd(w, gs):
    for a, g in zip(SIZES, gs, strict=True):
        w = w - a * g
    return w


def heavy_ball(w, gs):
    before = w
    for a, g in zip(SIZES, gs, strict=True):
        w, before = w - a * g + 0.9 * (w - before), w
    return w


def heavy_ball_torch(w, gs):
    v = 0.0
    for a, g in zip(SIZES, gs, strict=True):
        v = 0.9 * v + g
        w = w - a * v
    return w


def nesterov(w, gs):
    x = w
    for a, g in zip(SIZES, gs, strict=True):
        new = w - a * g
        w, x = new + 0.9 * (new - x), new
    return w


def adagrad(w, gs):
    s = 0.0
    for a, g in zip(SIZES, gs, strict=True):
        s = s + g**2
        w = w - a * g / (np.sqrt(s) + 1e-10)
    return w


def rmsprop(w, gs):
    s = 0.0
    for a, g in zip(SIZES, gs, strict=True):
        s = 0.9 * s + 0.1 * g**2
        w = w - a * g / (np.sqrt(s) + 1e-8)
    return w


def adam(w, gs, decay=0.0, largest=False):
    m = s = top = 0.0
    for t, (a, g) in enumerate(zip(SIZES, gs, strict=True), 1):
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2
        top = np.maximum(top, s)
        root = np.sqrt((top if largest else s) / (1 - 0.999**t)) + 1e-8
        w = w - a * (m / (1 - 0.9**t) / root + decay * w)
    return w


FORMULAS = {
    "SGD": sgd, "HeavyBall": heavy_ball, "Nesterov": nesterov, "AdaGrad": adagrad,
    "RMSprop": rmsprop, "Adam": adam, "AdamW": lambda w, gs: adam(w, gs, 0.01 * (w.ndim > 1)),
    "AMSGrad": lambda w, gs: adam(w, gs, largest=True),
}  # fmt: skip


def run(name, compiled=False, dtype="d", **options):
    model = {k: v.astype(dtype) for k, v in START.items()}
    made = optim.OPTIMIZERS[name](model, 0.1, schedule=optim.InverseTime(3.0), **options)

    def step(made, model, slopes):
        made.step(model, slopes)

    step = cr.compile(step) if compiled else step
    for slopes in SLOPES:
        step(made, model, {k: v.astype(dtype) for k, v in slopes.items()})
    return model, made


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", FORMULAS)
def test_the_rule_is_that_of_the_source(name, compiled):
    model, made = run(name, compiled)
    for k, v in START.items():
        wanted = FORMULAS[name](v, [s[k] for s in SLOPES])
        np.testing.assert_allclose(model[k], wanted, rtol=1e-12, atol=1e-14)
    assert made.count == STEPS


def test_every_optimizer_is_tested():
    assert set(FORMULAS) == set(optim.OPTIMIZERS)


def test_pytorchs_momentum_differs_under_a_schedule_and_is_available():
    model, _ = run("HeavyBall", form="torch")
    wanted = heavy_ball_torch(START["w"], [s["w"] for s in SLOPES])
    np.testing.assert_allclose(model["w"], wanted, rtol=1e-12)
    course, _ = run("HeavyBall")
    assert np.abs(course["w"] - wanted).max() > 1e-3


@pytest.mark.parametrize("name", FORMULAS)
def test_float32_stays_float32(name):
    model, made = run(name, dtype="f", l2=0.1, l1=0.01, clip_norm=1.0, clip_value=0.5)
    assert all(v.dtype == np.float32 for v in model.values())


def test_clipping_by_norm_keeps_the_direction_and_by_value_each_entry():
    model = {"w": np.zeros((2, 2))}
    slope = {"w": np.array([[3.0, 0.0], [0.0, -4.0]])}
    optim.SGD(model, 1.0, clip_norm=1.0).step(model, slope)
    np.testing.assert_allclose(model["w"], -slope["w"] / 5.0, rtol=1e-15)
    model = {"w": np.zeros((2, 2))}
    optim.SGD(model, 1.0, clip_value=2.0).step(model, slope)
    np.testing.assert_array_equal(model["w"], -np.clip(slope["w"], -2, 2))


def test_a_zero_gradient_is_not_clipped_to_nan():
    model = {"w": np.ones((2, 2))}
    optim.SGD(model, 1.0, clip_norm=1.0).step(model, {"w": np.zeros((2, 2))})
    np.testing.assert_array_equal(model["w"], np.ones((2, 2)))


def test_l2_is_the_courses_penalty_with_its_own_lambda_for_each_layer():
    model = nn.MLP(2, (3,), 1, dtype="d", rng=0)
    start = [p.copy() for p in model.parameters()]
    grads = cr.grad(lambda m: 0.0 * np.sum(m(np.ones((1, 2)))))(model)
    optim.SGD(model, 0.5, l2={"layers[0]": 0.2, "layers[2].weight": 0.4}).step(model, grads)
    for before, after, factor in zip(start, model.parameters(), (0.2, 0.2, 0.4, 0.0), strict=True):
        np.testing.assert_allclose(after, before * (1 - 0.5 * factor), rtol=1e-14)


def test_the_l1_step_makes_weights_exactly_zero():
    model = {"w": np.array([[0.05, -0.3], [0.2, -0.01]])}
    optim.SGD(model, 0.1, l1=1.0).step(model, {"w": np.zeros((2, 2))})
    np.testing.assert_allclose(model["w"], [[0.0, -0.2], [0.1, 0.0]], atol=1e-16)
    assert np.count_nonzero(model["w"]) == 2


def test_step_sizes_by_layer_and_larger_ones_for_biases():
    model = nn.MLP(2, (3,), 1, dtype="d", rng=0)
    start = [p.copy() for p in model.parameters()]
    grads = cr.grad(lambda m: sum(np.sum(p) for p in m.parameters()))(model)
    optim.SGD(model, 0.1, step_sizes={"layers[0]": 0.5}, bias_factor=2.0).step(model, grads)
    moved = [(b - a).max() for a, b in zip(start, model.parameters(), strict=True)]
    np.testing.assert_allclose(moved, [-0.05, -0.1, -0.1, -0.2], rtol=1e-12)


def test_patterns_that_name_nothing_are_refused():
    with pytest.raises(ValueError, match="layer7"):
        optim.SGD({"w": np.ones(2)}, 0.1, l2={"layer7": 1.0})


@pytest.mark.parametrize("option", ["clip_norm", "clip_value"])
@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_that_is_not_positive_is_refused(option, limit):
    with pytest.raises(ValueError, match=f"{option} is a positive number"):
        optim.SGD({"w": np.ones(2)}, 0.1, **{option: limit})


def test_the_step_size_may_be_changed_in_mid_run_without_a_new_trace():
    model = {"w": np.zeros((2, 2))}
    made = optim.SGD(model, 1.0)
    traces = []

    @cr.compile
    def step(made, model, slopes):
        traces.append(1)
        made.step(model, slopes)

    for size in (1.0, 0.5, 0.25):
        made.step_size = size
        step(made, model, {"w": np.ones((2, 2))})
    np.testing.assert_array_equal(model["w"], np.full((2, 2), -1.75))
    assert len(traces) == 1


def test_many_steps_in_one_loop_equal_steps_one_by_one():
    one, _ = run("Adam")
    model = {k: v.copy() for k, v in START.items()}
    made = optim.Adam(model, 0.1, schedule=optim.InverseTime(3.0))
    stacked = {k: np.stack([s[k] for s in SLOPES]) for k in START}

    @cr.compile
    def steps(made, model, stacked):
        def body(state, slopes):
            made, model = state
            made.step(model, slopes)
            return (made, model), 0.0

        (after, updated), _ = cr.scan(body, (made, model), stacked)
        return after, updated

    _, updated = steps(made, model, stacked)
    for k in START:
        np.testing.assert_allclose(updated[k], one[k], rtol=1e-12)


def test_adam_fails_where_amsgrad_does_not():
    """Reddi, Kale and Kumar 2018: 3 x every third step, else -x, on [-1, 1]: the best is x = -1."""
    ends = {}
    for kind in (optim.Adam, optim.AMSGrad):
        model = {"x": np.zeros((1, 1))}
        made = kind(
            model, 0.5, memory=0.0, square_memory=1 / (1 + 3**2), schedule=optim.InverseRoot(1.0)
        )
        for t in range(3000):
            slope = 3.0 if t % 3 == 0 else -1.0
            made.step(model, {"x": np.full((1, 1), slope)})
            model["x"][...] = np.clip(model["x"], -1.0, 1.0)
        ends[kind.__name__] = float(model["x"][0, 0])
    assert ends["Adam"] > 0.9
    assert ends["AMSGrad"] < -0.9


def test_a_gradient_of_another_model_is_refused():
    model = {"w": np.ones(2)}
    with pytest.raises(cr.errors.StructureMismatch, match="1 parameters"):
        optim.SGD(model, 0.1).step(model, {"w": np.ones(2), "b": np.ones(1)})


def test_a_step_inside_a_native_loop_changes_model_and_optimizer_in_place():
    model = {"w": np.array([[1.0, 2.0]])}
    made = optim.Adam(model, 0.1)
    by_hand, single = {"w": np.array([[1.0, 2.0]])}, optim.Adam(model, 0.1)
    slopes = {"w": np.arange(6.0).reshape(3, 1, 2)}

    @cr.compile
    def steps(made, model, slopes):
        def body(carry, slope):
            made.step(model, slope)
            return carry, 0.0

        cr.scan(body, 0, slopes)

    steps(made, model, slopes)
    for k in range(3):
        single.step(by_hand, {"w": slopes["w"][k]})
    np.testing.assert_allclose(model["w"], by_hand["w"], rtol=1e-12)
    assert made.count == 3


@pytest.mark.parametrize("model, where", [(0.02, r"float\."), ({"w": 1.0}, r"float at \['w'\]")])
def test_what_is_no_model_is_refused_with_the_way_to_write_it(model, where):
    said = r"Adam takes the model first.*Adam\(model, 0.01\). Got " + where
    with pytest.raises(TypeError, match=said):
        optim.Adam(model, 0.1)
