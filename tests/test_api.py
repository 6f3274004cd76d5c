"""The derivative functions: arguments, trees, dtypes, complex numbers, Jacobians, strong zeros."""

import dataclasses
import itertools
import threading
from collections import OrderedDict, namedtuple

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule import derived, errors
from chainrule.tracing import trace_call

X = np.array([0.3, -0.7, 1.1])
W = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


def assert_same(found, wanted) -> None:
    """Equal values of equal shape and dtype."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(found, wanted, rtol=1e-14, atol=1e-300)


# --- arguments -----------------------------------------------------------------------------------


def test_argnums_chooses_the_arguments():
    f = lambda x, y, z: x * y * y * z
    assert cr.grad(f)(2.0, 3.0, 5.0) == 45.0
    assert cr.grad(f, 1)(2.0, 3.0, 5.0) == 60.0
    assert cr.grad(f, -1)(2.0, 3.0, 5.0) == 18.0
    assert cr.grad(f, (2, 0))(2.0, 3.0, 5.0) == (18.0, 45.0)
    assert cr.grad(f, [1])(2.0, 3.0, 5.0) == (60.0,)
    assert cr.grad(f, ())(2.0, 3.0, 5.0) == ()


def test_keyword_arguments_are_not_differentiated():
    assert cr.grad(lambda x, y=1.0, *, z: x * y * z)(2.0, y=3.0, z=5.0) == 15.0


def test_every_kind_of_callable_is_differentiated():
    class Cube:
        def __call__(self, x):
            return x**3

        def method(self, x):
            return x**3

        @staticmethod
        def static(x):
            return x**3

    for f in (Cube(), Cube().method, Cube.static, lambda *x: x[0] ** 3):
        assert cr.grad(f)(2.0) == 12.0
    assert cr.grad(np.sin)(0.0) == 1.0


def test_the_derivative_keeps_name_and_documentation():
    def cost(x):
        """What it costs."""
        return x

    assert cr.grad(cost).__name__ == "cost"
    assert cr.grad(cost).__doc__ == "What it costs."


def test_has_aux_passes_anything_along():
    f = lambda x: (x.sum(), {"twice": 2.0 * x, "text": "t", "none": None, "n": 3})
    slope, aux = cr.grad(f, has_aux=True)(X)
    assert np.array_equal(slope, np.ones(3))
    assert np.array_equal(aux.pop("twice"), 2.0 * X)
    assert aux == {"text": "t", "none": None, "n": 3}
    (value, aux), slope = cr.value_and_grad(f, has_aux=True)(X)
    assert value == X.sum()
    value, pull, aux = cr.vjp(f, X, has_aux=True)
    assert np.array_equal(pull(2.0)[0], 2.0 * np.ones(3))


def test_a_constant_function_has_derivative_zero():
    for f in (lambda x: 3.0, lambda x: np.float32(3), lambda x: np.sum(np.ones(2))):
        assert_same(cr.grad(f)(X), np.zeros(3))
        assert_same(cr.jacobian(f)(X), np.zeros(3))
        assert_same(cr.jvp(f, (X,), (X,))[1], np.zeros_like(np.asarray(f(X))))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64, np.complex128])
def test_a_gradient_has_the_dtype_of_its_argument(dtype):
    x = np.array([1.0, 2.0], dtype)
    for f in (lambda x: np.sum(abs(x) ** 2), lambda x: np.sum(np.real(x) * np.ones(2))):
        assert cr.grad(f)(x).dtype == dtype
        assert cr.jacobian(f, mode="forward")(x).dtype == dtype
        assert cr.jacobian(f, mode="reverse")(x).dtype == dtype


def test_results_without_axes_are_numpy_scalars():
    value, slope = cr.value_and_grad(lambda x: x * x)(3.0)
    assert type(value) is np.float64
    assert type(slope) is np.float64
    assert type(cr.grad(lambda x: x * x)(np.array(3.0))) is np.float64
    assert type(cr.jvp(lambda x: x * x, (3.0,), (1.0,))[1]) is np.float64


def test_empty_arrays_have_empty_gradients():
    empty = np.zeros((0, 3))
    value, slope = cr.value_and_grad(lambda x: np.sum(np.sin(x) * x))(empty)
    assert value == 0.0
    assert_same(slope, empty)
    assert cr.jacobian(lambda x: x * 2.0)(np.zeros(0)).shape == (0, 0)
    assert cr.jacobian(lambda x: x.sum(axis=0))(empty).shape == (3, 0, 3)
    assert cr.hessian(lambda x: np.sum(x**3))(np.zeros(0)).shape == (0, 0)
    assert cr.vmap(lambda x: x * 2.0)(empty).shape == (0, 3)


# --- trees ---------------------------------------------------------------------------------------

Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Model:
    weight: np.ndarray
    bias: float
    name: str = "linear"


@cr.register
class Registered:
    def __init__(self, scale):
        self.scale, self.label = scale, "label"


def test_gradients_have_the_structure_of_their_argument():
    def f(tree):
        model, point, other = tree["model"], tree["points"][0], tree["other"]
        line = np.sum(model.weight * point.x) + model.bias * point.y
        return line * other.scale + 0.0 * tree["points"][1]

    tree = {
        "model": Model(np.array([1.0, 2.0]), 3.0), "points": [Point(np.ones(2), 2.0), 5.0],
        "other": Registered(10.0), "none": None, "text": "t", "flag": True,
    }  # fmt: skip
    found = cr.grad(f)(tree)
    assert list(found) == list(tree)
    assert isinstance(found["model"], Model)
    assert np.array_equal(found["model"].weight, [10.0, 10.0])
    assert (found["model"].bias, found["model"].name) == (20.0, "linear")
    assert isinstance(found["points"][0], Point)
    assert np.array_equal(found["points"][0].x, [10.0, 20.0])
    assert found["points"][0].y == 30.0
    assert found["points"][1] == 0.0
    assert isinstance(found["other"], Registered)
    assert found["other"].scale == 9.0
    assert (found["none"], found["text"], found["flag"]) == (None, "t", True)
    assert tree["other"].scale == 10.0


def test_trees_go_through_every_derivative_function():
    f = lambda p: {"product": p["a"] * p["b"], "pair": (p["a"] ** 2, [p["b"]])}
    p = {"a": 2.0, "b": X}
    value, moved = cr.jvp(f, (p,), ({"a": 1.0, "b": None},))
    assert_same(moved["product"], X)
    assert moved["pair"][0] == 4.0
    assert_same(moved["pair"][1][0], np.zeros(3))
    _, push = cr.linearize(f, p)
    assert_same(push({"a": 1.0, "b": None})["product"], X)
    _, pull = cr.vjp(f, p)
    (found,) = pull({"product": X, "pair": (1.0, None)})
    assert found["a"] == pytest.approx(np.sum(X * X) + 4.0)
    assert_same(found["b"], 2.0 * X)
    table = cr.jacobian(f)(p)
    assert_same(table["product"]["a"], X)
    assert_same(table["product"]["b"], 2.0 * np.eye(3))
    assert_same(table["pair"][1][0]["a"], np.zeros(3))


def test_none_stands_for_any_part_of_a_cotangent():
    _, pull = cr.vjp(lambda x, n: (x * 2.0, {"s": x.sum(), "i": np.argmax(x) + n}), X, 3)
    assert_same(pull((np.ones(3), None))[0], 2.0 * np.ones(3))
    assert_same(pull((None, {"s": 1.0, "i": None}))[0], np.ones(3))
    assert_same(pull(None)[0], np.zeros(3))
    assert pull(None)[1] is None


def test_dicts_are_matched_by_key_not_by_order():
    tangents = {"b": 10.0, "a": 1.0}
    _, moved = cr.jvp(lambda p: p["a"] + 2.0 * p["b"], ({"a": 1.0, "b": 1.0},), (tangents,))
    assert moved == 21.0
    _, pull = cr.vjp(lambda x: {"a": x, "b": 2.0 * x}, 1.0)
    assert pull({"b": 10.0, "a": 1.0}) == (21.0,)


def test_integers_in_trees_have_no_tangent():
    value, moved = cr.jvp(lambda x: (np.argmax(x), x), (X,), (X,))
    assert value[0] == 2
    assert moved[0] is None
    assert_same(moved[1], X)
    table = cr.jacobian(lambda x: (np.argmax(x), x))(X)
    assert table[0] is None
    assert_same(table[1], np.eye(3))


def test_ordered_dicts_stay_ordered_dicts():
    found = cr.grad(lambda p: p["b"] * p["a"])(OrderedDict(b=2.0, a=3.0))
    assert found == OrderedDict(b=3.0, a=2.0)
    assert isinstance(found, OrderedDict)


# --- complex numbers -----------------------------------------------------------------------------


def real_gradient(f, z, step=1e-200):
    """df/da + i df/db by the complex step, for f(a, b) analytic in the two real parts."""
    a, b = z.real, z.imag
    by_a = [f(a + 1j * step * e, b).imag / step for e in np.eye(len(a))]
    by_b = [f(a, b + 1j * step * e).imag / step for e in np.eye(len(a))]
    return np.array(by_a) + 1j * np.array(by_b)


def test_the_gradient_of_the_squared_modulus_points_along_z():
    assert cr.grad(lambda z: abs(z) ** 2)(3 + 4j) == 6 + 8j
    assert cr.grad(lambda z: (z * np.conj(z)).real)(3 + 4j) == 6 + 8j
    assert cr.grad(lambda z: np.real(z))(3 + 4j) == 1
    assert cr.grad(lambda z: np.imag(z))(3 + 4j) == 1j


def test_a_step_against_the_gradient_descends():
    f = lambda z: np.sum(abs(np.exp(1j * z) - 0.3 + z**2) ** 2)
    z = np.array([0.5 + 0.25j, -1.0 + 0.125j])
    g = cr.grad(f)(z)
    rate = (f(z - 1e-7 * g) - f(z)) / 1e-7
    assert rate == pytest.approx(-np.sum(abs(g) ** 2), rel=1e-5)


def test_complex_gradients_agree_with_the_complex_step_on_both_parts():
    def both(a, b):  # |sin(z) + z^2|^2 written with real parts, analytic in a and b
        re = np.sin(a) * np.cosh(b) + a * a - b * b
        im = np.cos(a) * np.sinh(b) + 2 * a * b
        return np.sum(re * re + im * im)

    z = np.array([0.3 + 0.4j, -0.7 + 1.1j])
    found = cr.grad(lambda z: np.sum(abs(np.sin(z) + z * z) ** 2))(z)
    np.testing.assert_allclose(found, real_gradient(both, z), rtol=1e-12)


def test_real_to_complex_to_real():
    # |exp(i x) + x|^2 = 1 + 2 x cos x + x^2
    f = lambda x: abs(np.exp(1j * x) + x) ** 2
    wanted = 2 * np.cos(0.7) - 2 * 0.7 * np.sin(0.7) + 2 * 0.7
    assert cr.grad(f)(0.7) == pytest.approx(wanted, rel=1e-14)
    assert cr.jvp(f, (0.7,), (1.0,))[1] == pytest.approx(wanted, rel=1e-14)
    second = cr.grad(cr.grad(f))(0.7)
    assert second == pytest.approx(2 - 4 * np.sin(0.7) - 2 * 0.7 * np.cos(0.7), rel=1e-13)


def test_complex_products_are_adjoint_in_the_real_inner_product():
    f = lambda z: np.exp(z) * np.conj(z[::-1]) + np.real(z)
    z, rng = np.array([0.3 + 0.4j, -0.7 + 1.1j]), np.random.default_rng(4)
    dz = rng.normal(size=2) + 1j * rng.normal(size=2)
    ct = rng.normal(size=2) + 1j * rng.normal(size=2)
    _, moved = cr.jvp(f, (z,), (dz,))
    (pulled,) = cr.vjp(f, z)[1](ct)
    assert np.vdot(ct, moved).real == pytest.approx(np.vdot(pulled, dz).real, rel=1e-13)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_complex_jacobians_agree_in_every_mode(mode):
    z = np.array([0.3 + 0.4j, -0.7 + 1.1j])
    jacobian = lambda f: cr.jacobian(f, mode=mode)
    assert_same(jacobian(lambda z: z * np.exp(z))(z), np.diag((1 + z) * np.exp(z)))
    assert_same(jacobian(lambda z: abs(z) ** 2)(z), np.diag(2 * z))
    assert_same(jacobian(lambda x: np.exp(2j * x))(X), np.diag(2j * np.exp(2j * X)))
    mixed = jacobian(lambda x: {"c": x * 1j, "r": x * x})(X)
    assert_same(mixed["c"], np.eye(3) * 1j)
    assert_same(mixed["r"], np.diag(2 * X))


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_a_function_that_is_not_holomorphic_has_no_complex_jacobian(mode):
    z = np.array([3 + 4j])
    for f in (np.conj, lambda z: z * np.conj(z), lambda z: z.real + 0j, lambda z: abs(z) * z):
        with pytest.raises(errors.NotDifferentiable, match="is not holomorphic"):
            cr.jacobian(lambda z: f(z), mode=mode)(z)


# --- Jacobians and products ----------------------------------------------------------------------


def test_jacobians_agree_in_every_mode_and_with_the_closed_form():
    f = lambda x, w: (np.tanh(w @ x), np.sum(x))
    t = np.tanh(W @ X)
    for mode in ("auto", "forward", "reverse"):
        (by_x, by_w), (sum_x, sum_w) = cr.jacobian(f, (0, 1), mode=mode)(X, W)
        np.testing.assert_allclose(by_x, (1 - t * t)[:, None] * W, rtol=1e-13)
        outer = np.einsum("i,ij,k->ijk", 1 - t * t, np.eye(2), X)
        np.testing.assert_allclose(by_w, outer, rtol=1e-13, atol=1e-300)
        assert_same(sum_x, np.ones(3))
        assert_same(sum_w, np.zeros((2, 3)))


def test_the_automatic_mode_takes_the_cheaper_one():
    narrow = np.random.default_rng(1).normal(size=(50, 2))
    for matrix in (narrow, narrow.T):
        f = lambda x: np.tanh(matrix @ x)
        assert_same(cr.jacobian(f)(matrix[0]), cr.jacobian(f, mode="forward")(matrix[0]))
    flops = lambda shape, mode: trace_call(
        lambda x: cr.jacobian(lambda x: np.tanh(np.ones(shape) @ x), mode=mode)(x),
        (np.ones(shape[1]),), {},
    ).program.cost().flops  # fmt: skip
    for shape in ((50, 2), (2, 50)):
        forward, reverse, auto = (flops(shape, m) for m in ("forward", "reverse", "auto"))
        assert auto == min(forward, reverse)


def test_hessians_of_trees_are_tables_of_tables():
    found = cr.hessian(lambda p: p["a"] * p["b"] ** 2)({"a": 2.0, "b": 3.0})
    assert found == {"a": {"a": 0.0, "b": 6.0}, "b": {"a": 6.0, "b": 4.0}}
    found = cr.hessian(lambda x, y: np.sum(x * x * y), (0, 1))(X, X)
    for i, j in itertools.product((0, 1), repeat=2):
        assert_same(found[i][j], np.diag([2 * X, 2 * X, 2 * X, 0 * X][2 * i + j]))


def test_hvp_is_the_hessian_times_the_vector():
    f = lambda x: np.sum(np.sin(x) * x[::-1] ** 2)
    v = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(cr.hvp(f, (X,), (v,)), cr.hessian(f)(X) @ v, rtol=1e-12)


def test_a_linear_map_is_evaluated_many_times():
    y, push = cr.linearize(lambda x: np.sin(x) * 2.0, X)
    assert_same(y, 2.0 * np.sin(X))
    for v in np.eye(3):
        assert_same(push(v), 2.0 * np.cos(X) * v)


def test_a_pullback_belongs_to_the_point_where_it_was_made():
    w, x = np.array([2.0, 3.0]), np.array([1.0, 2.0])
    _, pull = cr.vjp(lambda x: w * x * x, x)
    _, push = cr.linearize(lambda x: w * x * x, x)
    w[:] = x[:] = 100.0
    assert_same(pull(np.ones(2))[0], np.array([4.0, 12.0]))
    assert_same(push(np.ones(2)), np.array([4.0, 12.0]))


def test_stop_gradient_is_a_constant_to_every_derivative():
    f = lambda x: x * cr.stop_gradient(x * x)
    assert cr.grad(f)(3.0) == 9.0
    assert cr.jvp(f, (3.0,), (1.0,)) == (27.0, 9.0)
    assert cr.grad(cr.grad(f))(3.0) == 0.0
    assert cr.stop_gradient({"a": 1.0, "b": None}) == {"a": 1.0, "b": None}
    tree = cr.grad(lambda p: p["a"] * cr.stop_gradient(p)["a"])({"a": 2.0})
    assert tree == {"a": 2.0}


# --- strong zeros --------------------------------------------------------------------------------

ZEROS = {  # f, points, first derivatives, second derivatives
    "sqrt where positive": (
        lambda x: np.where(x > 0, np.sqrt(np.where(x > 0, x, 0.0)), 0.0),
        [4.0, 0.0, -1.0], [0.25, 0.0, 0.0], [-1 / 32, 0.0, 0.0],
    ),
    "plain sqrt where positive": (
        lambda x: np.where(x > 0, np.sqrt(x), 0.0),
        [4.0, 0.0, -1.0], [0.25, 0.0, 0.0], [-1 / 32, 0.0, 0.0],
    ),
    "x log x": (
        lambda x: np.where(x > 0, x * np.log(x), 0.0),
        [1.0, 0.0, -2.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0],
    ),
    "safe division": (
        lambda x: np.where(x != 0, 1.0 / x, 0.0),
        [2.0, 0.0], [-0.25, 0.0], [0.25, 0.0],
    ),
    "overflow not taken": (
        lambda x: np.where(x < 10, np.exp(np.where(x < 10, x, 0.0)), x) + 0.0 * np.exp(-x * x),
        [0.0, 1e4], [1.0, 1.0], [1.0, 0.0],
    ),
    "exp not taken": (
        lambda x: np.where(x < 700, np.exp(x), 3.0 * x), [0.0, 1e5], [1.0, 3.0], [1.0, 0.0],
    ),
    "norm where not zero": (
        lambda x: np.where(x != 0, np.sqrt(x * x), 0.0),
        [2.0, 0.0, -3.0], [1.0, 0.0, -1.0], [0.0, 0.0, 0.0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ZEROS)
def test_branches_that_are_not_taken_contribute_exact_zeros(name):
    f, points, first, second = ZEROS[name]
    x, ones = np.array(points), np.ones(len(points))
    total = lambda x: np.sum(f(x))
    pushed = lambda x: cr.jvp(f, (x,), (ones,))[1]
    np.testing.assert_allclose(cr.grad(total)(x), first, rtol=1e-14)
    np.testing.assert_allclose(pushed(x), first, rtol=1e-14)
    for derivative in (
        lambda x: cr.grad(lambda x: np.sum(cr.grad(total)(x)))(x),
        lambda x: cr.jvp(cr.grad(total), (x,), (ones,))[1],
        lambda x: cr.grad(lambda x: np.sum(pushed(x)))(x),
        lambda x: cr.jvp(pushed, (x,), (ones,))[1],
        lambda x: cr.vmap(cr.grad(cr.grad(f)))(x),
    ):
        np.testing.assert_allclose(derivative(x), second, rtol=1e-13, atol=1e-15)


def test_a_zero_tangent_stays_zero_through_an_infinite_slope():
    assert cr.jvp(np.sqrt, (0.0,), (0.0,))[1] == 0.0
    assert cr.jvp(lambda x, y: np.sqrt(x) + y, (0.0, 1.0), (0.0, 1.0))[1] == 1.0
    _, pull = cr.vjp(lambda x: (np.sqrt(x), x), 0.0)
    assert pull((0.0, 1.0)) == (1.0,)


# --- accuracy ------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [-30.0, -1.5, 1e-9, 0.3, 2.0, 40.0])
def test_compositions_are_accurate(x):
    def f(x, m):
        return m.log(1 + m.exp(-x)) * m.sin(x * x) / (1 + x * x) + m.tanh(x) * m.sqrt(2 + m.cos(x))

    with mpmath.workdps(60):
        exact = [mpmath.diff(lambda t: f(t, mpmath), mpmath.mpf(x), n) for n in (1, 2)]
    g = lambda x: f(x, np)
    assert cr.grad(g)(x) == pytest.approx(float(exact[0]), rel=1e-10)
    assert cr.grad(cr.grad(g))(x) == pytest.approx(float(exact[1]), rel=1e-9)


# --- cost ----------------------------------------------------------------------------------------


class CountingNumpy:
    """NumPy, counting whole-array copies made in ops/index.py."""

    def __init__(self):
        self.copies = 0

    def __getattr__(self, name):
        return getattr(np, name)

    def array(self, *args, **kwargs):
        self.copies += 1
        return np.array(*args, **kwargs)


def read_elements(x):
    total = 0.0
    for i in range(x.shape[0]):
        total = total + x[i] * x[i]
    return total


def write_elements(x):
    y = x * 1.0
    for i in range(x.shape[0]):
        y[i] = y[i] * y[i]
    return np.sum(y)


def write_rows(x):
    y = cr.numpy.zeros((x.shape[0], 2))
    for i in range(x.shape[0]):
        y[i, 0] = x[i] * x[i]
        y[i, :1] += x[i - 1]
    return np.sum(y)


@pytest.mark.parametrize("f", [read_elements, write_elements, write_rows])
def test_a_loop_over_elements_copies_no_array_per_step(f, monkeypatch):
    counting = CountingNumpy()
    monkeypatch.setattr("chainrule.ops.index.np", counting)
    copies = []
    as_written = {"stabilize": False}  # looking for lost digits copies, by entry
    for n in (20, 40):
        counting.copies = 0
        x = np.linspace(-1.0, 1.0, n)
        wanted = 2.0 * x + (1.0 if f is write_rows else 0.0)
        np.testing.assert_allclose(cr.grad(f, **as_written)(x), wanted, rtol=1e-14)
        _, pull = cr.vjp(f, x, **as_written)
        np.testing.assert_allclose(pull(1.0)[0], wanted, rtol=1e-14)
        copies.append(counting.copies)
    assert copies[0] == copies[1] <= 8


def test_the_program_of_a_loop_over_elements_grows_linearly():
    count = lambda n: len(trace_call(cr.grad(write_elements), (np.ones(n),), {}).program.equations)
    ten, twenty, forty = count(10), count(20), count(40)
    assert forty - twenty == 2 * (twenty - ten)


def test_a_gradient_does_not_compute_the_value():
    f = lambda x: np.sum(np.sin(x)) + np.sum(np.exp(np.cos(x) * 2.0)) * 0.0
    names = [e.op.name for e in trace_call(cr.grad(lambda x: np.sum(np.sin(x))), (X,), {})
             .program.equations]  # fmt: skip
    assert "sin" not in names
    assert "cos" in names
    assert cr.grad(f)(X).shape == (3,)


def test_repeated_calls_derive_the_program_once(monkeypatch):
    calls: list = []
    made = derived.reverse
    monkeypatch.setattr(derived, "reverse", lambda *a, **k: calls.append(1) or made(*a, **k))
    slope = cr.grad(lambda x: np.sum(np.arctan(x) * np.exp2(x) - x), stabilize=False)
    for k in range(5):
        slope(X * k)
    assert len(calls) <= 1
    slope(np.ones(7))  # another shape, another program
    assert len(calls) == 2


def test_gradients_may_be_taken_in_many_threads_at_once():
    f = lambda x, w: np.sum(np.tanh(w @ x) ** 2)
    wanted = [cr.grad(f)(X * k, W) for k in range(1, 7)]
    failures: list = []

    def work(k):
        for _ in range(20):
            if not np.array_equal(cr.grad(f)(X * k, W), wanted[k - 1]):
                failures.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failures
