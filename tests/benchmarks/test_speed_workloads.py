"""The benchmark's workloads on tiny sizes: chainrule's part of each runs, and is what it says.

The peers are not needed here; when the benchmark runs, they are compared with chainrule's results.
"""

import numpy as np
import pytest

import chainrule as cr
from benchmarks.speed.contender import OBJECTIVE, OURS, difference
from benchmarks.speed.workloads import WORKLOADS, mlp, training

TINY = {
    "mlp": [{"sizes": [5, 7, 6, 1], "batch": 4, "batches": 3},
            {"sizes": [5, 7, 3], "batch": 4, "batches": 3}],
}  # fmt: skip


def tiny(name: str, number: int = 0) -> tuple:
    workload = WORKLOADS[name]
    return workload, workload.inputs(np.random.default_rng(1), **TINY[name][number])


def doubles(tree):
    """The same arrays in float64, where differences can be taken."""
    if isinstance(tree, (list, tuple)):
        return type(tree)(doubles(x) for x in tree)
    return np.asarray(tree, np.float64)


def slope(f, arrays: list, direction: list, step: float = 1e-5) -> float:
    """The derivative of f along a direction, by a central difference."""
    ahead, behind = (
        f([a + sign * step * d for a, d in zip(arrays, direction, strict=True)])
        for sign in (1, -1)
    )
    return (ahead - behind) / (2 * step)


def check_gradient(f, arrays: list) -> None:
    """The gradient of f by a list of arrays agrees with differences along random directions."""
    gradients = cr.grad(f)(arrays)
    rng = np.random.default_rng(2)
    for _ in range(3):
        direction = [rng.normal(size=a.shape) for a in arrays]
        found = sum(np.sum(g * d) for g, d in zip(gradients, direction, strict=True))
        assert found == pytest.approx(slope(f, arrays, direction), rel=1e-5, abs=1e-7)


def test_every_workload_is_tried_here():
    assert set(TINY) == set(WORKLOADS)


@pytest.mark.parametrize("name, number", [(n, i) for n in TINY for i in range(len(TINY[n]))])
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
        assert difference(values, found["chainrule"]) < workload.tolerance


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


def test_adam_moves_each_parameter_by_its_rate_at_first():
    """The first step is rate * g / |g|, whatever the gradient's size (Kingma & Ba, 2015)."""
    step = training.adam_step(lambda parameters, x, y: np.sum(parameters[0] * x) + y)
    parameters, x = [np.zeros(3)], np.array([1e-3, -5.0, 40.0])
    step(parameters, [np.zeros(3)], [np.zeros(3)], np.zeros(()), x, 0.0)
    np.testing.assert_allclose(parameters[0], -training.RATE * np.sign(x), rtol=1e-6)
