"""The benchmark's workloads on tiny sizes: chainrule's part of each runs, and is what it says.

The peers are not needed here; when the benchmark runs, they are compared with chainrule's results.
"""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import multivariate_normal

import chainrule as cr
from benchmarks.speed.contender import OBJECTIVE, OURS, difference
from benchmarks.speed.workloads import (
    WORKLOADS,
    bundle,
    dense,
    gmm,
    hand,
    lstm,
    mlp,
    residual,
    resnet,
    training,
)
from benchmarks.speed.workloads import small_linear_algebra as algebra

TINY = {
    "mlp": [{"sizes": [5, 7, 6, 1], "batch": 4, "batches": 3},
            {"sizes": [5, 7, 3], "batch": 4, "batches": 3}],
    "residual": [{"layers": 2, "width": 6, "batch": 5, "batches": 3}],
    "resnet": [{"blocks": 1, "batch": 2, "size": 8, "batches": 3}],
    "dense": [{"growth": 3, "layers": 2, "size": 4, "batch": 2, "batches": 3}],
    "gmm": [{"d": 3, "K": 4, "n": 6}],
    "bundle": [{"cameras": 2, "points": 3, "observations": 6}],
    "hand": [{"points": 5}],
    "lstm": [{"layers": 2, "length": 6, "bits": 4}],
    "tiny": [{"arguments": 1}, {"arguments": 3}],
    "elementwise": [{"chain": "curve", "size": 37}, {"chain": "line", "size": 37}],
    "reductions": [{"reduction": name, "axis": axis, "shape": [9, 21]}
                   for name in ("sum", "mean", "var", "logsumexp") for axis in (0, 1)],
    "small-linear-algebra": [{"task": task, "count": 5, "n": 3}
                             for task in ("cholesky", "solve", "gradient")],
}  # fmt: skip


def tiny(name: str, number: int = 0) -> tuple:
    workload = WORKLOADS[name]
    return workload, workload.inputs(np.random.default_rng(1), **TINY[name][number])


def doubles(tree):
    """The same arrays in float64, where differences can be taken."""
    if isinstance(tree, (list, tuple)):
        return type(tree)(doubles(x) for x in tree)
    return np.asarray(tree, np.float64)


def slope(f, arrays: list, direction: list, step: float = 1e-7) -> float:
    """The derivative of f along a direction, by a central difference short of most kinks."""
    ahead, behind = (
        f([a + sign * step * d for a, d in zip(arrays, direction, strict=True)]) for sign in (1, -1)
    )
    return (ahead - behind) / (2 * step)


def check_gradient(f, arrays: list) -> None:
    """The gradient of f by a list of arrays agrees with differences along random directions."""
    gradients = cr.grad(f)(arrays)
    rng = np.random.default_rng(2)
    for _ in range(3):
        direction = [rng.normal(size=a.shape) for a in arrays]
        length = np.sqrt(sum(np.sum(d * d) for d in direction))
        direction = [d / length for d in direction]
        found = sum(np.sum(g * d) for g, d in zip(gradients, direction, strict=True))
        assert found == pytest.approx(slope(f, arrays, direction), rel=1e-5, abs=2e-8)


def test_every_workload_is_tried_here():
    assert set(TINY) == set(WORKLOADS)


EACH = [
    pytest.param(name, i, marks=[pytest.mark.slow] * (name in ("resnet", "dense")))
    for name in TINY for i in range(len(TINY[name]))
]  # fmt: skip


@pytest.mark.parametrize("name, number", EACH)
def test_chainrules_forms_run_and_agree(name, number):
    workload, inputs = tiny(name, number)
    found = {}
    for contender, build in workload.contenders.items():
        if contender.startswith(OURS) and not workload.leave_out(contender, TINY[name][number]):
            made = build(inputs)
            made.call()
            found[contender] = made.check()
    found.pop(OBJECTIVE, None)
    for values in found.values():
        assert values and all(np.isfinite(x).all() for x in values)
        assert difference(workload, values, found["chainrule"]) <= 1


@pytest.mark.parametrize("name", TINY)
def test_sizes_drawn_at_random_make_inputs_titles_and_costs(name):
    workload = WORKLOADS[name]
    if workload.draw:
        sizes = workload.draw(np.random.default_rng(3))
        assert workload.flops(sizes) >= 0 and workload.traffic(sizes) > 0
        assert workload.title(sizes).startswith(name)


@pytest.mark.parametrize("number", [0, 1])
def test_the_perceptrons_gradient_is_its_losss(number):
    _, inputs = tiny("mlp", number)
    x, y = doubles((inputs["xs"][0], inputs["ys"][0]))
    check_gradient(lambda p: mlp.with_chainrule(p, x, y), doubles(inputs["parameters"]))


@pytest.mark.parametrize("name, loss", [
    ("residual", residual.with_chainrule), ("dense", dense.with_chainrule),
    ("resnet", resnet.with_chainrule(1)),
])  # fmt: skip
def test_the_deep_networks_gradients_are_their_losss(name, loss):
    _, inputs = tiny(name)
    x, y = doubles((inputs["xs"][0], inputs["ys"][0]))
    check_gradient(lambda p: loss(p, x, y), doubles(inputs["parameters"]))


def test_the_mixtures_likelihood_is_that_of_its_densities():
    """Against SciPy's normal densities, at a prior that is constant."""
    _, (alphas, means, factors, x, *_) = tiny("gmm")
    d, expected = x.shape[1], 0.0
    place, below = gmm.triangle(d, "chainrule")
    weights = np.exp(alphas) / np.exp(alphas).sum()
    roots = [np.diag(np.exp(f[:d])) + f[place] * below for f in factors]
    for point in x:
        densities = [
            multivariate_normal(m, np.linalg.inv(root.T @ root)).pdf(point)
            for m, root in zip(means, roots, strict=True)
        ]
        expected += np.log(weights @ densities)
    found = gmm.objective("chainrule", alphas, means, factors, x, 0.0, 0.0, 0.0)
    assert found - len(x) * d / 2 * np.log(2 * np.pi) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name, count, f", [
    ("gmm", 3, gmm.objective), ("lstm", 2, lstm.with_any),
])  # fmt: skip
def test_adbenchs_gradients_are_their_objectives(name, count, f):
    _, inputs = tiny(name)
    free, fixed = [np.array(x) for x in inputs[:count]], inputs[count:]
    check_gradient(lambda p: f("chainrule", *p, *fixed), free)


def complex_step(f, x) -> np.ndarray:
    """The Jacobian of an analytic f, exact to rounding: (*out, x.size)."""
    steps = 1e-30j * np.eye(x.size)
    return np.stack([f(x + h.reshape(x.shape)).imag / 1e-30 for h in steps], -1)


def test_the_bundles_blocks_are_its_residuals_jacobian():
    workload, inputs = tiny("bundle")
    cameras, points, weights, features, camera_of, point_of = inputs
    by_camera, by_point, by_weight, of_weight = workload.contenders["chainrule"](inputs).check()
    for i, (c, p) in enumerate(zip(camera_of, point_of, strict=True)):
        at = np.concatenate([cameras[c], points[p], weights[i : i + 1]])
        expected = complex_step(
            lambda v, i=i: bundle.residual(np, v[:11], v[11:14], v[14], features[i]), at
        )
        found = np.concatenate([by_camera[i], by_point[i], by_weight[i][:, None]], -1)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-9)
        assert of_weight[i] == -2 * weights[i]


def test_the_hands_jacobian_is_its_residuals():
    workload, (theta, *others) = tiny("hand")
    (found,) = workload.contenders["chainrule"]((theta, *others)).check()
    expected = complex_step(lambda t: hand.residuals(np, t, *others), theta)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_a_posed_bone_is_turned_by_its_angles_in_turn():
    x, z, y = angles = np.array([0.3, -0.7, 1.1])
    expected = Rotation.from_euler("xyz", [x, y, z]).as_matrix()  # about fixed axes: R_z R_y R_x
    found = hand.bone_rotations(np, angles[None])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    vector = np.array([0.2, -1.3, 0.4])
    np.testing.assert_allclose(
        hand.global_rotation(np, vector), Rotation.from_rotvec(vector).as_matrix(), rtol=1e-12
    )
    np.testing.assert_allclose(
        bundle.rotated(np, vector, angles), Rotation.from_rotvec(vector).apply(angles), rtol=1e-12
    )


def test_the_likelihoods_gradient_is_the_one_by_hand():
    workload, (a, b, task) = tiny("small-linear-algebra", 2)
    found = workload.contenders["chainrule"]((a, b, task)).check()
    for mine, expected in zip(found, algebra.gradient_by_hand(a, b), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["elementwise", "reductions", "small-linear-algebra"])
def test_values_are_numpys(name):
    for number, sizes in enumerate(TINY[name]):
        workload, inputs = tiny(name, number)
        found, expected = (
            workload.contenders[who](inputs).check() for who in ("chainrule", "numpy")
        )
        assert difference(workload, found, expected) <= 1, sizes


def test_tiny_gradients_are_their_closed_forms():
    (scalar,), (x, weight, bias) = (tiny("tiny", n)[1] for n in (0, 1))
    (found,) = WORKLOADS["tiny"].contenders["chainrule"]((scalar,)).check()
    expected = np.exp(-(scalar**2)) * (3 * np.cos(3 * scalar) - 2 * scalar * np.sin(3 * scalar))
    assert found == pytest.approx(expected, rel=1e-14)
    out = np.tanh(x @ weight + bias)
    slope = 2 * out * (1 - out**2)
    found = WORKLOADS["tiny"].contenders["chainrule"]((x, weight, bias)).check()
    for mine, expected in zip(found, (weight @ slope, np.outer(x, slope), slope), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-12)


def test_adam_moves_each_parameter_by_its_rate_at_first():
    """The first step is rate * g / |g|, whatever the gradient's size (Kingma & Ba, 2015)."""
    step = training.adam_step(lambda parameters, x, y: np.sum(parameters[0] * x) + y)
    parameters, x = [np.zeros(3)], np.array([1e-3, -5.0, 40.0])
    step(parameters, [np.zeros(3)], [np.zeros(3)], np.zeros(()), x, 0.0)
    np.testing.assert_allclose(parameters[0], -training.RATE * np.sign(x), rtol=1e-6)
