"""Functions of matrices written out, against mpmath: the error is what the problem's condition
allows, for the written-out form as for SciPy's."""

import numpy as np
import pytest
from mpmath import matrix, mp, mpf

import chainrule as cr
from chainrule.compiler.lower import lower
from chainrule.compiler.native import build
from chainrule.ops.matrix_functions import block_of_derivative
from chainrule.program.evaluate import evaluate
from chainrule.program.op import REGISTRY
from tests.compiler.test_lower import names, one_op

EPS = np.finfo(float).eps
TRUTH = {"expm": mp.expm, "sqrtm": mp.sqrtm, "logm": mp.logm}
ROTATION = np.array([[0.0, -3.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
NILPOTENT = np.diag([1e6, 1e6], 1)  # the norm alone would ask for twenty squarings
SPREAD = np.diag([1e-6, 1.0, 1e4]) + np.triu(np.ones((3, 3)), 1)


def spd(n, seed):
    x = np.random.default_rng(seed).normal(size=(n, n))
    return x @ x.T + 0.1 * np.eye(n)


CASES = [
    ("expm", ROTATION), ("expm", NILPOTENT), ("expm", 10 * spd(3, 0)), ("expm", -20 * spd(3, 1)),
    ("expm", np.zeros((2, 2))), ("expm", 1e-9 * ROTATION), ("expm", np.array([[-2.5]])),
    ("sqrtm", spd(3, 2)), ("sqrtm", SPREAD), ("sqrtm", ROTATION + 4 * np.eye(3)),
    ("sqrtm", np.eye(2)), ("logm", spd(3, 3)), ("logm", SPREAD), ("logm", np.eye(2)),
    ("logm", np.array([[0.0, -1.0], [1.0, 0.0]])), ("logm", 1e5 * spd(3, 4)),
]  # fmt: skip


def exact(name, a):
    with mp.workdps(40):
        return np.array(TRUTH[name](matrix(a.tolist())).apply(mp.re).tolist(), dtype=object)


def condition(name, a):
    """|f'(A)| |A|, in Frobenius norms: how far rounding A moves f(A)."""
    n, step, columns = len(a), mpf(10) ** -15, []
    with mp.workdps(40):
        start = TRUTH[name](matrix(a.tolist()))
        for k in range(n * n):
            moved = matrix(a.tolist())
            moved[k // n, k % n] += step
            columns.append(mp.norm(TRUTH[name](moved) - start) / step)
        return float(mp.norm(matrix(columns))) * np.linalg.norm(a)


def run(name, *arrays):
    native = build(one_op(name, *arrays), {})
    assert not native.sites
    outputs, failed = native.attempt(list(arrays))
    assert not failed
    return outputs[0]


@pytest.mark.filterwarnings("ignore:logm result may be inaccurate")  # SciPy's own, of 1e5 times
@pytest.mark.parametrize("name, a", CASES)
def test_values_are_as_exact_as_the_condition_allows(name, a):
    truth = exact(name, a)
    bound = 8 * len(a) * EPS * (condition(name, a) + float(np.linalg.norm(truth.astype(float))))
    for found in (run(name, a), REGISTRY[name].evaluate(a)):
        assert np.linalg.norm((found - truth).astype(float)) <= bound


@pytest.mark.parametrize("name", sorted(TRUTH))
def test_derivatives_are_blocks(name):
    a, first, second = spd(3, 5), spd(3, 6), spd(3, 7)
    for directions in ((first,), (first, 1e3 * second)):
        wanted = block_of_derivative(lambda x: exact(name, x).astype(float), a, directions)
        found = run(f"{name}_derivative", directions[0], a, *directions[1:])
        assert np.abs(found - wanted).max() <= 1e-11 * np.abs(wanted).max()


@pytest.mark.parametrize("name", sorted(TRUTH))
def test_stacks_and_single_precision(name):
    stack = np.stack([spd(3, k) * 10.0 ** (k - 2) for k in range(4)])
    found = run(name, stack)
    for one, value in zip(stack, found, strict=True):
        np.testing.assert_allclose(value, run(name, one), rtol=1e-13, atol=1e-13 * abs(value).max())
    small = stack.astype("f")
    assert run(name, small).dtype == np.float32
    with np.errstate(over="ignore"):
        wanted = run(name, small.astype("d")).astype("f")
    np.testing.assert_allclose(run(name, small), wanted, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
def test_what_has_no_real_root_is_left_to_the_evaluator():
    for name, a in [("sqrtm", np.diag([0.0, 1.0])), ("sqrtm", -np.eye(2)), ("logm", -np.eye(2)),
                    ("expm", np.array([[np.nan, 0], [0, 1]]))]:  # fmt: skip
        native = build(one_op(name, a), {})
        assert native.attempt([a])[1]
        np.testing.assert_array_equal(native.run([a])[0], REGISTRY[name].evaluate(a))
    with pytest.raises(ValueError, match="infs or NaNs"):
        cr.compile(lambda x: REGISTRY["logm"](x))(np.array([[np.inf, 0], [0, 1]]))


@pytest.mark.parametrize("m, n", [(3, 2), (8, 8), (9, 9)])
def test_steins_equation(m, n):
    rng = np.random.default_rng(m)
    a, b = (0.3 * rng.normal(size=(2, k, k)) / k**0.5 for k in (m, n))
    q = rng.normal(size=(2, m, n))
    program = one_op("stein", a, b, q)
    x = evaluate(lower(program), [a, b, q])[0]
    assert np.abs(x - a @ x @ b - q).max() < 50 * EPS * np.abs(q).max()
    np.testing.assert_allclose(build(program, {}).run([a, b, q])[0], x, rtol=1e-11, atol=1e-13)


def test_empty_matrices_are_left_to_the_operation():
    assert names(lower(one_op("expm", np.zeros((0, 0))))) == ["expm"]


@pytest.mark.parametrize("dtype", "fdD")
def test_adjugates_of_matrices_of_every_rank(dtype):
    rng = np.random.default_rng(8)
    left, right = rng.integers(-3, 4, (2, 4, 4)).astype(float)
    stack = np.stack([left[:, :k] @ right[:k] for k in range(5)])
    exact = [[[(-1) ** (i + j) * round(np.linalg.det(np.delete(np.delete(a, j, 0), i, 1)))
               for j in range(4)] for i in range(4)] for a in stack]  # fmt: skip
    native = build(one_op("adjugate", stack.astype(dtype)), {})
    assert not native.sites
    (found,) = native.run([stack.astype(dtype)])  # a singular complex one goes to the evaluator
    assert found.dtype == dtype
    scale = np.abs(stack).max() ** 3
    np.testing.assert_allclose(found, np.array(exact, float), rtol=1e-6 if dtype == "f" else 1e-12,
                               atol=1e-13 * scale)  # fmt: skip
