"""Native draws by rejection: the bits of the evaluator, task by task."""

import numpy as np
import pytest

import chainrule  # noqa: F401  (registers every operation)
from chainrule.compiler.emitters import EMITTERS
from chainrule.program.op import REGISTRY
from tests.compiler.running import Runner, run_kernel, site_of

rng = np.random.default_rng(9)
STATE = np.array([0x0123456789ABCDEF, 2**32 + 5], np.uint64)
LANES = np.array([[1, 0], [2**63 + 11, 0], [2, 1]], np.uint64)


def check(op, *inputs, **params):
    with np.errstate(all="ignore"):
        expected = np.asarray(REGISTRY[op].evaluate(*inputs, **params))
    (found,) = run_kernel(EMITTERS[op], op, *inputs, one_by_one=True, **params)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def status_of(op, *inputs, **params):
    site = site_of(op, *inputs, **params)
    runner = Runner(EMITTERS[op](site), site)
    runner.run(*inputs)
    return runner.status


@pytest.mark.parametrize("op", ["standard_gamma", "log_standard_gamma"])
def test_gamma_draws(op):
    shapes = 10.0 ** rng.uniform(-4, 5, (3, 301))
    check(op, STATE, shapes, stream=1)
    check(op, LANES, shapes, stream=0)
    check(op, STATE, np.broadcast_to(np.float64(0.3), (100,)), stream=0)
    check(op, STATE, np.array([0.0, np.inf, np.nan, 1.0, 1e-300, 1e300]), stream=2)
    check(op, STATE, np.full((), 2.5), stream=2)
    assert status_of(op, STATE, np.array([1.0, -1e-300]), stream=0) == 1
    wide = shapes.astype("f")
    assert EMITTERS[op](site_of(op, STATE, wide, stream=0)) is None


def test_poisson_draws():
    means = 10.0 ** rng.uniform(-3, 17, (3, 501))
    check("random_poisson", STATE, means, stream=0)
    check("random_poisson", LANES, means, stream=1)
    check("random_poisson", STATE, rng.uniform(0, 10, 500), stream=0)
    check("random_poisson", STATE, rng.uniform(5, 40, 5000), stream=0)
    check("random_poisson", STATE, np.array([0.0, 10.0, 9.999999, 9.2e18]), stream=0)
    site = site_of("random_poisson", STATE, means[0, :2], stream=0)
    runner = Runner(EMITTERS["random_poisson"](site), site)
    for bad in (-1.0, np.nan, 1e19):
        runner.run(STATE, np.array([1.0, bad]))
        assert runner.status == 1


def test_binomial_draws():
    n = np.floor(10.0 ** rng.uniform(0, 9, (3, 501)))
    p = rng.random((3, 501)) ** rng.integers(1, 6, (3, 501))
    check("random_binomial", STATE, n, p, stream=0)
    check("random_binomial", LANES, n, 1 - p, stream=1)
    check("random_binomial", STATE, np.broadcast_to(np.float64(100), (900,)), rng.random(900),
          stream=0)  # fmt: skip
    n, p = np.array([0.0, 0.0, 9.0, 9.0, 1e15]), np.array([0.0, 1.0, 0.0, 1.0, 0.5])
    check("random_binomial", STATE, n, p, stream=0)
    site = site_of("random_binomial", STATE, n[:1], p[:1], stream=0)
    runner = Runner(EMITTERS["random_binomial"](site), site)
    for trials, chance in ((-1.0, 0.5), (5.0, -0.1), (5.0, 1.1), (5.0, np.nan)):
        runner.run(STATE, np.array([trials]), np.array([chance]))
        assert runner.status == 1


def test_subsets():
    weights = rng.random((3, 50)) * rng.integers(0, 2, (3, 50)) + np.eye(3, 50)
    check("random_subset", STATE, weights[0], count=5, stream=0)
    check("random_subset", LANES, weights, count=4, stream=1)
    check("random_subset", LANES, weights, count=0, stream=1)
    check("random_subset", STATE, np.ones(3000), count=3000, stream=1)
    bad = np.array([1.0, 0.0, 2.0])
    assert status_of("random_subset", STATE, bad, count=2, stream=0) == 0
    assert status_of("random_subset", STATE, bad, count=3, stream=0) == 1
    assert status_of("random_subset", STATE, -bad, count=1, stream=0) == 1


def test_large_draws_are_divided_into_tasks():
    shapes = np.full(40_001, 0.7)
    site = site_of("standard_gamma", STATE, shapes, stream=0)
    assert EMITTERS["standard_gamma"](site).phases[0].tasks > 1
    check("standard_gamma", STATE, shapes, stream=0)
