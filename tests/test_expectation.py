"""Expectations and their derivatives: against closed forms, and what is refused."""

import math

import numpy as np
import pytest
from mpmath import mp

import chainrule as cr
from chainrule.transforms import joint, lanes
from tests.expectation_cases import CASES

SEED = 2022
ERRORS = 4.5  # standard errors; a correct estimator is further off in 1 of 150,000 trials


def rng(seed: int = SEED):
    return cr.random.Generator(seed)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_mean_and_gradient_against_closed_forms(case):
    found = cr.expectation(case.f).estimate(case.at, rng=rng(), samples=case.samples)
    value, slope = case.value(), case.slope()
    assert abs(found.value - value) <= ERRORS * found.value_error + 1e-9 * (1 + abs(value))
    assert abs(found.gradient - slope) <= ERRORS * found.gradient_error + 1e-9 * (1 + abs(slope))


@pytest.mark.parametrize("case", CASES[::7], ids=lambda case: case.name)
def test_grad_gives_the_gradient_that_estimate_gives(case):
    mean = cr.expectation(case.f, samples=200)
    found = mean.estimate(case.at, rng=rng())
    value, slope = cr.value_and_grad(mean)(case.at, rng=rng())
    assert value == pytest.approx(found.value, rel=1e-12)
    assert slope == pytest.approx(found.gradient, rel=1e-12)
    assert cr.grad(mean)(case.at, rng=rng(), samples=200) == pytest.approx(slope, rel=1e-12)


HONEST = ["normal", "many bernoullis", "sum above", "student above", "subset", "gamma",
          "branch with a later draw", "mixture", "cost after a deadline", "walk above"]  # fmt: skip


@pytest.mark.parametrize("case", [c for c in CASES if c.name in HONEST], ids=lambda c: c.name)
def test_standard_errors_are_honest(case):
    mean, slope = cr.expectation(case.f, samples=100), case.slope()
    off = []
    for seed in range(40):
        found = mean.estimate(case.at, rng=rng(seed))
        off.append((found.gradient - slope) / found.gradient_error)
    assert 0.55 < np.mean(np.square(off)) < 1.7  # chi-squared over 40: outside once in 1,000
    assert abs(np.mean(off)) < 4.0 / np.sqrt(40)


# --- transformations ----------------------------------------------------------------------------


def mixed(t, rng):
    return np.where(rng.normal(t, 1.0) > 0.5, 1.0 * rng.poisson(np.exp(t)), t)


def branching(t, rng):
    return rng.normal(t, 1.0) ** 2 if rng.bernoulli(t) else 3.0 * t


@pytest.mark.parametrize("f", [mixed, branching])
def test_forward_reverse_and_jacobian_agree(f):
    def mean(t):
        return cr.expectation(f, samples=100)(t, rng=rng())

    slope = cr.grad(mean)(0.3)
    assert cr.jvp(mean, (0.3,), (2.0,))[1] == pytest.approx(2.0 * slope, rel=1e-12)
    assert cr.vjp(mean, 0.3)[1](1.0)[0] == pytest.approx(slope, rel=1e-12)
    assert cr.jacobian(mean)(0.3) == pytest.approx(slope, rel=1e-12)


def test_compiled_expectations_are_those_of_plain_calls():
    def mean(t, generator):
        return cr.expectation(mixed, samples=100)(t, rng=generator)

    assert cr.compile(mean)(0.3, rng()) == mean(0.3, rng())
    assert cr.compile(cr.grad(mean))(0.3, rng()) == cr.grad(mean)(0.3, rng())


def test_vmap_over_parameters_is_a_loop():
    def mean(t):
        return cr.expectation(mixed, samples=100)(t, rng=rng())

    points = np.array([0.2, 0.4])
    slopes = [cr.grad(mean)(t) for t in points]
    np.testing.assert_allclose(cr.vmap(mean)(points), [mean(t) for t in points], rtol=1e-12)
    np.testing.assert_allclose(cr.vmap(cr.grad(mean))(points), slopes, rtol=1e-12)
    total = cr.grad(lambda x: np.sum(cr.vmap(mean)(x)))(points)
    np.testing.assert_allclose(total, slopes, rtol=1e-12)


def test_vectors_of_parameters_and_results():
    def f(x, rng):
        return np.stack([x[1] * rng.poisson(x[0]), 1.0 * rng.bernoulli(x[1])])

    found = cr.expectation(f).estimate(np.array([2.0, 0.3]), rng=rng(), samples=4000)
    truth = np.array([[0.3, 2.0], [0.0, 1.0]])
    assert found.value.shape == (2,) and found.gradient.shape == (2, 2)
    assert np.all(np.abs(found.gradient - truth) <= ERRORS * found.gradient_error + 1e-12)
    slopes = cr.jacobian(cr.expectation(f, samples=4000))(np.array([2.0, 0.3]), rng=rng())
    np.testing.assert_allclose(slopes, found.gradient, rtol=1e-12)


def test_trees_of_parameters_and_several_arguments():
    mean = cr.expectation(lambda p, s, rng: rng.binomial(10, p["p"]) * s)
    by_p, by_s = cr.grad(mean, argnums=(0, 1))({"p": 0.3}, 2.0, rng=rng(), samples=4000)
    assert by_p["p"] == pytest.approx(20.0, rel=1e-12)
    assert by_s == pytest.approx(3.0, abs=0.1)


def test_hessian_where_everything_is_smooth():
    mean = cr.expectation(lambda x, rng: np.sum(rng.normal(x, 1.0) ** 2) * x[0])
    x = np.array([1.0, 2.0])
    found = cr.hessian(mean)(x, rng=rng(), samples=20_000)
    np.testing.assert_allclose(found, [[6.0, 4.0], [4.0, 2.0]], atol=0.15)


def test_curvature_at_a_kink_by_an_expectation_of_the_gradient():
    def slope(t, rng):
        return cr.grad(lambda t, rng: np.maximum(rng.normal(t, 1.0), 0.0))(t, rng)

    found = cr.grad(cr.expectation(slope))(0.3, rng=rng())
    assert found == pytest.approx(float(mp.npdf(0.3)), rel=1e-9)


# --- generators ---------------------------------------------------------------------------------


@pytest.mark.parametrize("differentiate", [False, True])
def test_generators_advance_by_one_draw(differentiate):
    captured, passed = rng(1), rng(2)
    first = cr.expectation(lambda t: t * captured.normal(t, 1.0), samples=10)
    second = cr.expectation(lambda t, rng: t if rng.bernoulli(t) else 0.0, samples=10)
    if differentiate:
        first, second = cr.grad(first), cr.grad(second)
    first(0.5)
    second(0.5, rng=passed)
    assert captured.state[1] == 1 and passed.state[1] == 1


def test_names_and_places_of_the_generator():
    expected = cr.expectation(lambda t, rng: rng.normal(t))(0.5, rng=rng())
    assert cr.expectation(lambda t, generator: generator.normal(t))(0.5, rng=rng()) == expected
    assert cr.expectation(lambda rng, t: rng.normal(t))(0.5, rng=rng()) == expected
    assert cr.expectation(lambda t, rng: rng.normal(t))(0.5, rng()) == expected
    assert cr.expectation(lambda t, *, rng: rng.normal(t))(0.5, rng=SEED) == expected


def test_functions_that_close_over_outer_traced_values():
    def smooth(t):
        return cr.expectation(lambda rng: rng.normal(t, 1.0) * t)(rng=rng())

    def branch(t):
        return cr.expectation(lambda rng: 5.0 * t if rng.bernoulli(t) else 1.0)(rng=rng())

    draws = cr.expectation(lambda rng: rng.normal())(rng=rng())
    assert cr.grad(smooth)(0.5) == pytest.approx(1.0 + draws, rel=1e-12)
    assert cr.grad(branch)(0.5) == pytest.approx(4.0, rel=1e-12)  # of 5 t**2 + 1 - t


def test_standard_error_beside_the_mean():
    mean, error = cr.expectation(lambda rng: rng.normal())(rng=rng(), samples=400, with_error=True)
    assert abs(mean) < 5 * error and error == pytest.approx(0.05, rel=0.15)


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [lambda t: 1.0 * rng().bernoulli(t), lambda t: 1.0 * (rng().normal(t) > 0.0),
     lambda t: np.floor(rng().normal(t)), lambda t: np.sum(rng().poisson(t, size=3)) * 1.0],
)  # fmt: skip
def test_a_plain_derivative_through_a_jump_of_chance_is_refused(f):
    with pytest.raises(cr.errors.NotDifferentiable, match=r"cr\.expectation\(f\)"):
        cr.grad(f)(0.4)
    with pytest.raises(cr.errors.NotDifferentiable, match="test_expectation.py"):
        cr.jvp(f, (0.4,), (1.0,))


def test_a_jump_inside_a_loop_is_found():
    def f(t, generator):
        step = lambda i, x: x + np.where(generator.normal(t, 1.0) > 0.0, 1.0, 0.0)
        return cr.fori_loop(0, 3, step, 0.0)

    with pytest.raises(cr.errors.NotDifferentiable, match="greater"):
        cr.grad(f)(0.3, rng())


def test_masks_that_do_not_move_pass():
    kept = np.sum(rng().random(5) < 0.5)
    assert cr.grad(lambda t: t * np.sum(rng().random(5) < 0.5))(0.3) == kept
    assert cr.grad(lambda t: t * rng().bernoulli(0.5))(0.3) == rng().bernoulli(0.5)
    assert cr.grad(lambda t: np.where(rng().normal(t) == 0.0, 9.0, t))(0.3) == 1.0


def test_a_leaky_unit_of_one_draw_is_continuous():
    def f(t):
        x = rng().normal(t)
        return np.where(x > 0.0, x, 0.1 * x)

    assert cr.grad(f)(0.3) in (1.0, 0.1)
    assert cr.grad(lambda t: (lambda x: (x - 1.0) * (x > 1.0))(rng().normal(t)))(0.3) in (0.0, 1.0)


def test_what_is_zero_somewhere_only_does_not_count_as_continuous():
    def f(t):
        x = rng().normal(t)
        return np.where(x > 0.0, 1.0, 0.0) * np.maximum(x - 5.0, 0.0)

    with pytest.raises(cr.errors.NotDifferentiable):
        cr.grad(f)(0.3)


def test_second_derivatives_of_estimates_are_refused():
    mean = cr.expectation(mixed, samples=10)
    with pytest.raises(cr.errors.DerivativeMissing, match="itself an estimate"):
        cr.hessian(mean)(0.3, rng=rng())
    with pytest.raises(cr.errors.DerivativeMissing, match="itself an estimate"):
        cr.hessian(cr.expectation(branching, samples=10))(0.3, rng=rng())


def test_what_is_no_generator_is_refused():
    with pytest.raises(TypeError, match="cr.random.Generator"):
        cr.expectation(lambda t, rng: rng.normal(t))(0.3, rng=np.random.default_rng(1))
    with pytest.raises(TypeError, match="pass rng="):
        cr.expectation(lambda t, rng: rng.normal(t))(0.3)
    with pytest.raises(TypeError, match="no parameter rng"):
        cr.expectation(lambda t: t)(0.3, rng=rng())
    with pytest.raises(ValueError, match="method is one of"):
        cr.expectation(lambda t: t, method="guess")(0.3)
    with pytest.raises(ValueError, match="positive"):
        cr.expectation(lambda t: t, samples=0)(0.3)


def test_writes_and_changing_structures_are_refused():
    def writes(x, rng):
        x[0] = rng.normal()
        return x[0]

    with pytest.raises(cr.errors.MutationError, match="each sample"):
        cr.expectation(writes)(np.ones(2), rng=rng())

    def changes(t, rng):
        return (t, t) if rng.bernoulli(t) else t

    with pytest.raises(cr.errors.StructureMismatch, match="different draws"):
        cr.expectation(changes)(0.5, rng=rng())


def test_a_number_of_trials_that_moves_is_refused():
    with pytest.raises(cr.errors.NotDifferentiable, match="trials"):
        cr.grad(cr.expectation(lambda t, rng: 1.0 * rng.binomial(t, 0.5)))(4.0, rng=rng())


def test_what_is_not_pathwise_is_refused_on_request():
    for f in (mixed, lambda t, rng: 1.0 * rng.bernoulli(t)):
        with pytest.raises(cr.errors.NotDifferentiable, match="pathwise"):
            cr.grad(cr.expectation(f, method="pathwise"))(0.3, rng=rng())
    smooth = cr.expectation(lambda t, rng: rng.normal(t) ** 2, method="pathwise")
    assert cr.grad(smooth)(0.3, rng=rng()) == pytest.approx(0.6, abs=0.3)


# --- methods ------------------------------------------------------------------------------------

BY_SCORE = {"subset", "threshold that moves", "digital option", "own bernoulli",
            "own exponential", "rounding", "inside a circle", "best of three", "best by its mask",
            "remainder", "order above demand", "direction above"}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_score_function_is_right_and_noisier(case):
    score = cr.expectation(case.f, method="score", samples=2000)
    if case.name in BY_SCORE:
        with pytest.raises(cr.errors.NotDifferentiable, match="auto"):
            score.estimate(case.at, rng=rng())
        return
    found = score.estimate(case.at, rng=rng())
    slope = case.slope()
    assert abs(found.gradient - slope) <= ERRORS * found.gradient_error + 1e-9 * (1 + abs(slope))
    own = cr.expectation(case.f, samples=500).estimate(case.at, rng=rng())
    assert own.gradient_error / 2.0 <= 1.05 * found.gradient_error + 1e-9


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.name in ("mixture", "restocking", "binomial above", "geometric",
                                            "policy", "large poisson")], ids=lambda c: c.name,
)  # fmt: skip
@pytest.mark.parametrize("method", ["perturb", "enumerate"])
def test_neighbours_and_all_values_of_discrete_draws(case, method):
    mean = cr.expectation(case.f, method=method, samples=400)
    found, slope = mean.estimate(case.at, rng=rng()), case.slope()
    assert abs(found.gradient - slope) <= ERRORS * found.gradient_error + 1e-9 * (1 + abs(slope))
    assert cr.grad(mean)(case.at, rng=rng()) == pytest.approx(found.gradient, rel=1e-12)


def test_combinations_of_values_are_run_side_by_side(monkeypatch):
    made = []

    class Counted(joint.Runs):
        def __init__(self, paths, numbers, replaced):
            super().__init__(paths, numbers, replaced)
            made.append(len(numbers))

    def walk(p, rng):
        x = 0
        for _ in range(7):
            x = x + np.where(rng.bernoulli(p), 1, -1)
        return x**3

    monkeypatch.setattr(joint, "Runs", Counted)
    slope = cr.grad(cr.expectation(walk, samples=10))(0.3, rng=rng())
    # E x^3 = m^3 + 3 m v + 7 k for m = 7 q, v = 7 (1 - q^2), k = 2 q^3 - 2 q and q = 2 p - 1
    q = -0.4
    assert slope == pytest.approx(2 * (3 * 343 * q**2 + 147 * (1 - 3 * q**2) + 7 * (6 * q**2 - 2)))
    assert made == [1, 2, 4, 8, 16, 32, 64, 128]


def test_only_what_depends_on_a_changed_draw_is_run_again(monkeypatch):
    evaluated = []
    wide = lanes.Lanes._wide
    monkeypatch.setattr(
        lanes.Lanes, "_wide", lambda self, e, *rest: evaluated.append(e) or wide(self, e, *rest)
    )

    def equations(draws: int) -> int:
        def f(t, rng):
            return sum(np.exp(np.sin(1.0 * rng.poisson(t))) for _ in range(draws))

        evaluated.clear()
        cr.grad(cr.expectation(f, method="perturb", samples=20))(2.0, rng=rng())
        return len(evaluated)

    # For each draw its own sine is run again and the sums behind it, not the other draws and sines.
    assert equations(16) < 3 * equations(8)


def test_values_that_are_too_many_are_refused_on_request():
    mean = cr.expectation(lambda t, rng: 1.0 * rng.poisson(t), method="enumerate")
    with pytest.raises(cr.errors.NotDifferentiable, match="reruns"):
        cr.grad(mean)(1e8, rng=rng())


def test_few_combinations_of_discrete_draws_leave_no_noise():
    for name in ("absorbed walk", "chain of spins", "dependent bernoullis", "policy"):
        case = next(c for c in CASES if c.name == name)
        found = cr.expectation(case.f, samples=50).estimate(case.at, rng=rng())
        assert found.gradient == pytest.approx(case.slope(), rel=1e-11)
        assert found.gradient_error == 0.0


def test_score_of_compiled_and_traced_expectations():
    def mean(t, generator):
        return cr.expectation(lambda t, rng: rng.normal(t) ** 2 * rng.poisson(t), method="score",
                              samples=50)(t, rng=generator)  # fmt: skip

    assert cr.compile(cr.grad(mean))(0.7, rng()) == pytest.approx(cr.grad(mean)(0.7, rng()))


def test_lanes_of_a_gradient_in_which_samples_meet_kinks():
    points = np.array([-0.3, 0.3, 1.0])
    mean = cr.expectation(lambda m, rng: np.maximum(rng.normal(m, 1.0), 0.0), samples=4000)
    generator = rng()
    slopes = cr.vmap(cr.grad(lambda m: mean(m, rng=generator)))(points)
    truth = [float(mp.ncdf(m)) for m in points]
    np.testing.assert_allclose(slopes, truth, atol=ERRORS * 0.5 / np.sqrt(4000))


def test_whole_numbers_of_smooth_draws_jump():
    for whole, start in ((int, 0.0), (math.floor, 0.0), (round, 0.5)):
        f = lambda m, rng: 1.0 * whole(np.clip(rng.normal(m + start, 1.0), start, start + 1.4))
        found = cr.expectation(f, samples=500).estimate(0.5, rng=rng())
        truth = float(mp.npdf(0.5))
        assert abs(found.gradient - truth) < ERRORS * found.gradient_error + 1e-9


def test_lists_of_traced_values_are_parameters():
    found = cr.grad(cr.expectation(lambda t, rng: rng.choice([1.0, 4.0], p=[t, 1.0 - t])))
    assert found(0.4, rng=rng()) == pytest.approx(-3.0, rel=1e-12)
    share = cr.expectation(lambda t, rng: rng.dirichlet([t, 1.0, 2.0])[0], samples=4000)
    estimate = share.estimate(1.5, rng=rng())
    assert abs(estimate.gradient - 3.0 / 4.5**2) < ERRORS * estimate.gradient_error


def test_loops_of_known_length_are_unrolled_in_compiled_functions():
    def loop(t, rng):
        step = lambda i, x: x + np.where(rng.normal(t, 1.0) > 0.0, 1.0, 0.0)
        return cr.fori_loop(0, 3, step, 0.0)

    def slope(t, generator):
        return cr.grad(cr.expectation(loop, samples=20))(t, rng=generator)

    assert cr.compile(slope)(0.3, rng()) == pytest.approx(3.0 * float(mp.npdf(0.3)), rel=1e-9)
    assert slope(0.3, rng()) == pytest.approx(3.0 * float(mp.npdf(0.3)), rel=1e-9)


def test_an_expectation_inside_an_expectation():
    def outer(t, rng):
        inside = cr.expectation(lambda y, rng: 1.0 * (rng.normal(y, 1.0) > 0.0), samples=10)
        return inside(rng.normal(t, 1.0), rng=rng)

    found = cr.expectation(outer, samples=300).estimate(0.3, rng=rng())
    truth = float(mp.npdf(0.3 / mp.sqrt(2)) / mp.sqrt(2))
    assert abs(found.gradient - truth) < ERRORS * found.gradient_error


def test_other_generators_inside_are_refused():
    generator = np.random.default_rng(1)
    with pytest.raises(cr.errors.NotSupported, match="same numbers"):
        cr.expectation(lambda t: t * generator.normal())(0.3)
    with pytest.raises(cr.errors.NotSupported, match="same numbers"):
        cr.expectation(lambda t: t * np.random.rand())(0.3)


def test_a_generator_that_is_taken_by_name_only_gets_there():
    def f(*values, rng):
        return values[0] * rng.normal() + values[1]

    rng = cr.random.Generator(0)
    mean = cr.expectation(f, samples=50)
    _, by_shift = cr.grad(lambda a, b: mean(a, b, rng=rng), (0, 1))(1.0, 2.0)
    np.testing.assert_allclose(by_shift, 1.0, rtol=1e-12)


# --- arrays that the function makes ---------------------------------------------------------------


def highest_of_array(m, rng):
    path = np.zeros(4)
    for i in range(1, 4):
        path[i] = path[i - 1] + rng.normal(m, 1.0)
    return np.where(path.max() > 1.0, 1.0, 0.0)


def highest_of_list(m, rng):
    path = [0.0]
    for _ in range(3):
        path.append(path[-1] + rng.normal(m, 1.0))
    return np.where(np.max(path) > 1.0, 1.0, 0.0)


def test_a_path_may_be_written_into_an_array():
    ways = [cr.expectation(f, samples=200) for f in (highest_of_array, highest_of_list)]
    one, other = [way.estimate(0.1, rng=rng()) for way in ways]
    assert one.value == other.value
    assert one.gradient == pytest.approx(other.gradient, rel=1e-12)
    slopes = [cr.compile(lambda m, g, w=w: cr.grad(w)(m, rng=g))(0.1, rng()) for w in ways]
    np.testing.assert_allclose(slopes, one.gradient, rtol=1e-12)


def test_branches_may_write_into_an_array():
    def f(p, rng):
        counts = np.zeros(2)
        if rng.bernoulli(p):
            counts[0] = 3.0 * p
        else:
            counts[1] = 1.0
        return counts.sum()

    found = cr.expectation(f, samples=50).estimate(0.3, rng=rng())
    assert found.gradient == pytest.approx(6.0 * 0.3 - 1.0, rel=1e-12)


def test_what_else_is_refused_in_an_expectation_is_named():
    def f(p, rng):
        counts = np.zeros(2)
        counts[0] = np.float64(p)
        return counts.sum() * rng.bernoulli(p)

    with pytest.raises(cr.errors.ConcreteValueNeeded, match="stop_gradient"):
        cr.grad(cr.expectation(f))(0.3, rng=rng())


def test_a_parameter_that_most_samples_do_without_is_found():
    def loss(scale, rng):
        total = 0.0
        for _ in range(rng.poisson(0.4)):  # most samples have no claim at all
            total = total + rng.exponential(scale)
        return 1.0 if total > 2.0 else 0.0

    mean = cr.expectation(loss, samples=400)
    value, slope = cr.value_and_grad(mean)(0.7, rng=rng(3))
    found = mean.estimate(0.7, rng=rng(3))
    assert slope == found.gradient > 0.0
    assert value == found.value


@pytest.mark.parametrize("closed", [False, True])
def test_ways_on_which_nothing_that_moves_is_drawn(closed):
    def paid(p, rng):
        if rng.bernoulli(0.1):
            return 5.0 * rng.bernoulli(p) + p
        return 0.0

    def through_a_closure(p):
        return cr.expectation(lambda rng: paid(p, rng), samples=100)(rng=rng())

    mean = through_a_closure if closed else lambda p: cr.expectation(paid)(p, rng=rng())
    assert cr.grad(mean)(0.3) == pytest.approx(0.6, rel=1e-12)


def test_counts_without_replacement_have_no_derivative_by_themselves():
    mean = cr.expectation(lambda t, rng: 1.0 * rng.hypergeometric(t, 5, 2))
    with pytest.raises(cr.errors.DtypeError, match="whole numbers"):
        cr.grad(mean)(4.0, rng=rng())
    with pytest.raises(ValueError, match="nsample"):
        rng().hypergeometric(3, 2, 9)
    with pytest.raises(cr.errors.NotSupported, match="table"):
        rng().zipf(2.0)


def test_counts_of_several_colours_have_the_law_of_hypergeometric_ones():
    drawn = rng().multivariate_hypergeometric([3, 5, 2], 4, size=(200, 100)).reshape(-1, 3)
    assert (drawn.sum(-1) == 4).all() and drawn.dtype == np.int64
    assert drawn.mean(0) == pytest.approx([1.2, 2.0, 0.8], abs=0.03)
    cov = -4.0 * 0.3 * 0.5 * (10 - 4) / 9.0
    assert np.cov(drawn.T)[0, 1] == pytest.approx(cov, abs=0.02)


@pytest.mark.parametrize(
    ("f", "at", "slope"),
    [
        (lambda p, rng: 3.0 * rng.bernoulli(p), 0.0, 3.0),
        (lambda p, rng: 3.0 * rng.bernoulli(p) + rng.normal(), 0.0, 3.0),
        (lambda p, rng: rng.bernoulli(p) * (1.0 + rng.bernoulli(p)), 1.0, 3.0),
        (lambda t, rng: 1.0 * rng.poisson(t) ** 2, 0.0, 1.0),
        (lambda p, rng: 1.0 * rng.binomial(20, p) ** 2, 0.0, 20.0),
        (lambda p, rng: 1.0 * rng.geometric(p) ** 2, 1.0, -3.0),
        (lambda p, rng: 2.0 + rng.categorical(np.stack([p, 1.0 - p])), 0.0, -1.0),
        (lambda p, rng: 0.1 * rng.bernoulli(np.where(rng.bernoulli(p), 0.5, 0.2)), 0.0, 0.03),
    ],
)
def test_values_that_are_impossible_have_slopes(f, at, slope):
    found = cr.expectation(f).estimate(at, rng=rng(), samples=20)
    assert found.gradient == pytest.approx(slope, rel=1e-12)
