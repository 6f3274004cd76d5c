"""cr.compile: the same function, traced once for each signature."""

import copy
import dataclasses
import enum
import itertools
import subprocess
import sys
import threading

import numpy as np
import pytest

import chainrule as cr
from chainrule import backends, errors


@pytest.fixture(autouse=True, params=["evaluator", "native"])
def backend(request, monkeypatch):
    monkeypatch.setattr(backends, "chosen", request.param)


class Counted:
    """A function that counts how often its body is run: once for each trace."""

    def __init__(self, f):
        self.f, self.ticks, self.__name__ = f, itertools.count(), "counted"

    def __call__(self, *args, **kwargs):
        next(self.ticks)  # no number or list, whose change would be noticed
        return self.f(*args, **kwargs)

    @property
    def count(self) -> int:
        return next(copy.copy(self.ticks))


def compiled(f):
    counted = Counted(f)
    return cr.compile(counted), counted


# --- the function and its options ----------------------------------------------------------------


def test_a_compiled_function_keeps_its_name_and_its_documentation():
    @cr.compile
    def step(x):
        """One step."""
        return x + 1.0

    assert step.__name__ == "step"
    assert step.__doc__ == "One step."
    assert step.__wrapped__(1.0) == 2.0
    assert step(np.ones(2)).tolist() == [2.0, 2.0]


def test_compile_takes_its_option_as_a_decorator():
    @cr.compile(check="nan")
    def root(x):
        return np.sqrt(x)

    assert root(4.0) == 2.0
    with pytest.raises(errors.NotANumber, match=r"sqrt made a nan .* test_compile.py:"):
        root(-4.0)
    assert np.isnan(root(np.nan))


def test_an_unknown_check_is_refused():
    with pytest.raises(ValueError, match="check is None or 'nan', got 'inf'"):
        cr.compile(np.sin, check="inf")
    with pytest.raises(TypeError, match="compile takes a function, got 3"):
        cr.compile(3)


# --- signatures ----------------------------------------------------------------------------------


def test_one_signature_is_traced_once():
    f, counted = compiled(lambda x, y: x * y + 1.0)
    for scale in (1.0, 2.0, -3.0):
        assert np.array_equal(f(np.arange(3.0) * scale, scale), np.arange(3.0) * scale**2 + 1.0)
    assert counted.count == 1


@pytest.mark.parametrize(
    "other",
    [
        np.ones(4), np.ones((1, 3)), np.ones(3, np.float32), [np.ones(3)], {"x": np.ones(3)},
        np.ones(6)[::2], 2.0, np.float64(2.0), np.array(2.0), 2, (np.ones(3), "text"),
        (np.ones(3), "other"), None, True, np.ones(3, ">f8"),
    ],
    ids=repr,
)  # fmt: skip
def test_another_signature_is_traced_again(other):
    f, counted = compiled(lambda x: [x])
    f(np.ones(3))
    f(other)
    f(other)
    assert counted.count == 2


def test_an_enum_and_a_function_are_structure():
    class Way(enum.Enum):
        UP = 1
        DOWN = 2

    f, counted = compiled(lambda x, way, g: g(x) if way is Way.UP else -g(x))
    assert f(1.0, Way.UP, np.exp) == np.exp(1.0)
    assert f(1.0, Way.DOWN, np.exp) == -np.exp(1.0)
    assert f(1.0, Way.UP, np.sin) == np.sin(1.0)
    assert f(2.0, Way.UP, np.sin) == np.sin(2.0)
    assert counted.count == 3


def test_a_set_that_has_changed_is_another_argument():
    f = cr.compile(lambda x, names: x * len(names))
    names = {"a"}
    assert f(2.0, names) == 2.0
    names.add("b")
    assert f(2.0, names) == 4.0


def test_results_have_the_types_of_the_traced_function():
    f = cr.compile(lambda x, w: (x, x * w, x + 1, np.sum(w)))
    x = np.float32(2.0)
    found, wanted = f(x, np.ones(2, np.float32)), (x, x * np.ones(2, np.float32), x + 1, 2.0)
    for a, b in zip(found, wanted, strict=True):
        assert np.array_equal(a, b)
        assert np.asarray(a).dtype == np.float32
    assert isinstance(found[2], np.float32)
    assert isinstance(cr.compile(lambda x: x * 2)(np.array(1.0)), np.float64)


def test_many_signatures_are_kept_and_the_oldest_are_forgotten():
    f, counted = compiled(lambda x: x + 1.0)
    for n in range(70):
        f(np.ones(n))
        f(np.ones(0))
    assert counted.count == 70
    f(np.ones(69))
    assert counted.count == 70
    f(np.ones(1))
    assert counted.count == 71


def test_keyword_arguments_and_defaults():
    f, counted = compiled(lambda x, scale=2.0, *, shift=0.0: x * scale + shift)
    assert f(3.0) == 6.0
    assert f(3.0, shift=1.0) == 7.0
    assert f(3.0, scale=4.0) == 12.0
    assert f(3.0, 4.0) == 12.0
    assert f(5.0, shift=2.0) == 12.0
    assert counted.count == 4


def test_a_wrong_call_raises_what_python_raises():
    f = cr.compile(lambda x: x)
    with pytest.raises(TypeError, match="positional argument"):
        f(1.0, 2.0)
    with pytest.raises(errors.DtypeError, match="dtype object; supported"):
        f(np.array([None]))
    with pytest.raises(errors.NotSupported, match="matrix"):
        f(np.ma.masked_array([1.0], [True]).view(np.matrix))


# --- numbers -------------------------------------------------------------------------------------


def test_a_changed_number_costs_no_new_trace():
    f, counted = compiled(lambda x, step, power: x - step * x**power)
    for step in (0.1, 0.2):
        for power in (1, 2, 3):
            assert f(2.0, step, power) == 2.0 - step * 2.0**power
    assert counted.count == 1


def test_a_number_whose_value_is_needed_is_guarded():
    def f(x, n, m, unused):
        for _ in range(n):
            x = x * 2.0
        return x.reshape(m, -1)[: n - 1] + 1.0 if n > 3 else np.zeros(m) + x[0]

    def check(*args):
        assert np.array_equal(g(np.arange(6.0), *args), f(np.arange(6.0), *args))

    g, counted = compiled(f)
    check(2, 3, 0.5)
    check(2, 3, 0.75)
    assert counted.count == 1
    check(4, 3, 0.5)
    check(4, 2, 0.5)
    check(2, 3, 0.25)
    check(4, 3, 0.5)
    assert counted.count == 3


def test_a_number_computed_from_numbers_has_a_value():
    def f(x, a, b):
        c = a * 2.0 + b
        return x * c if c > 1.0 else x - c

    g, counted = compiled(f)
    assert g(np.float64(3.0), 1.0, 0.5) == 7.5
    assert g(np.float64(3.0), 0.0, 0.5) == 2.5
    assert g(np.float64(4.0), 0.0, 0.5) == 3.5
    assert counted.count == 2
    assert g(np.float64(3.0), -0.0, 0.5) == 2.5


def test_a_number_passed_to_an_inner_derivative_stays_data():
    loss = lambda w, step, n: np.sum(w**2) * step * (2.0 if n > 1 else 1.0)
    g, counted = compiled(lambda w, step, n: w - cr.grad(loss)(w, step, n))
    for step in (0.5, 0.25):
        assert np.array_equal(g(np.ones(2), step, 1), [1 - 2 * step] * 2)
    assert counted.count == 1
    assert np.array_equal(g(np.ones(2), 0.25, 2), [0.0, 0.0])
    assert counted.count == 2


def test_a_whole_number_of_numpy_may_be_a_shape():
    f, counted = compiled(lambda x, n, flag: np.ones(n) * x if flag else x)
    assert f(2.0, np.int64(2), np.True_).tolist() == [2.0, 2.0]
    assert f(2.0, np.int64(3), np.True_).tolist() == [2.0, 2.0, 2.0]
    assert f(2.0, np.int64(3), np.False_) == 2.0
    assert counted.count == 3


# --- inside other transformations ----------------------------------------------------------------


def test_a_compiled_function_inside_a_derivative_is_the_function():
    f = cr.compile(lambda x: np.sum(np.sin(x) * x))
    x = np.array([1.0, 2.0])
    wanted = np.cos(x) * x + np.sin(x)
    slope = cr.grad(f, stabilize=False)  # 2 cos(2) + sin(2) cancels: it would be more accurate
    assert np.array_equal(slope(x), wanted)
    assert np.array_equal(cr.compile(slope, stabilize=False)(x), wanted)
    assert np.array_equal(cr.compile(f.__wrapped__)(x), f(x))
    assert np.array_equal(cr.compile(lambda x: f(x) * 2.0)(x), f(x) * 2.0)


def test_vmap_both_ways():
    f = lambda x, y: np.sum(x * y)
    x, y = np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0])
    wanted = x @ y
    assert np.array_equal(cr.vmap(cr.compile(f), (0, None))(x, y), wanted)
    assert np.array_equal(cr.compile(cr.vmap(f, (0, None)))(x, y), wanted)


def test_a_compiled_function_in_control_flow():
    double = cr.compile(lambda x: x * 2.0)
    f = cr.compile(lambda x: cr.fori_loop(0, 3, lambda i, v: double(v), x))
    assert f(1.0) == 8.0
    assert cr.fori_loop(0, 3, lambda i, v: double(v), 1.0) == 8.0
    assert cr.jacobian(f)(1.0) == 8.0


def test_a_second_derivative_of_a_compiled_function():
    f = cr.compile(lambda x: x**3)
    assert cr.compile(cr.hessian(f))(2.0) == 12.0
    assert cr.compile(cr.grad(cr.compile(cr.grad(f))))(2.0) == 12.0


# --- methods and objects -------------------------------------------------------------------------


@cr.register
class Counter:
    def __init__(self):
        self.count, self.total = 0, np.zeros(2)

    @cr.compile
    def add(self, x):
        self.count += 1
        self.total += x
        return self.total * 2.0

    def plain(self, x):
        self.count += 2
        self.total = self.total + x
        return self.count


def test_a_compiled_method_updates_its_object():
    counter = Counter()
    total = counter.total
    for n in (1, 2, 3):
        assert np.array_equal(counter.add(np.ones(2)), [2.0 * n, 2.0 * n])
        assert counter.count == n
        assert type(counter.count) is int
    assert counter.total is total
    other = Counter()
    other.add(np.ones(2))
    assert (other.count, counter.count) == (1, 3)


def test_a_compiled_bound_method_updates_its_object():
    counter = Counter()
    step = cr.compile(counter.plain)
    for n in (1, 2, 3):
        assert step(np.ones(2)) == 2 * n
        assert counter.count == 2 * n
        assert np.array_equal(counter.total, [n, n])


@dataclasses.dataclass
class Layer:
    weight: np.ndarray
    bias: float
    name: str = "layer"


def test_containers_come_and_go():
    def f(layer, options, x):
        options["steps"] += 1
        options["last"] = [x, layer.weight]
        layer.name = "used"
        return Layer(layer.weight * x, layer.bias + 1.0, layer.name), options["steps"]

    g, counted = compiled(f)
    for x in (2.0, 3.0):
        mine, theirs = Layer(np.ones(2), 1.0), Layer(np.ones(2), 1.0)
        my_options, their_options = {"steps": 3}, {"steps": 3}
        found, wanted = g(mine, my_options, x), f(theirs, their_options, x)
        assert repr(found[0]) == repr(wanted[0]).replace("bias=2.0", "bias=np.float64(2.0)")
        assert mine.name == "used"
        assert my_options["steps"] == 4
        assert my_options["last"][0] == x
        assert my_options["last"][1] is mine.weight
    assert counted.count == 1


# --- threads -------------------------------------------------------------------------------------


def test_many_threads_may_call_one_function_at_once():
    f, counted = compiled(lambda x, w: np.cumsum(x) * w)
    start, wrong = threading.Barrier(8), []

    def work(number):
        start.wait()
        for n in range(20):
            x = np.full(n % 3 + 1, float(number))
            if not np.array_equal(f(x, number), np.cumsum(x) * number):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert counted.count == 3


# --- native entries ------------------------------------------------------------------------------


def test_plain_arguments_and_results_pass_no_python(backend):
    @cr.compile
    def f(params, x, scale):
        params["w"] -= scale * x
        return {"sum": np.sum(params["w"]), "both": (params["w"], x * 2.0)}

    params, x = {"w": np.ones(3)}, np.arange(3.0)
    f(params, x, 0.5)
    if backend == "native":
        f._call = None  # the way of calls that no entry takes
        assert "built-in method f" in repr(f._entry)
    found = f(params, x, 0.25)
    assert np.array_equal(params["w"], 1.0 - 0.75 * x)
    assert found["both"][0] is params["w"]
    assert found["sum"] == 3.0 - 0.75 * 3.0
    assert np.array_equal(found["both"][1], 2.0 * x)


def test_calls_of_many_signatures_in_turn():
    f, counted = compiled(lambda x, n: x * n if n > 2 else x + n)
    for _ in range(300):
        for size in (1, 2, 3):
            for n in (1, 3, 4, 5):
                expected = np.full(size, 2.0) * n if n > 2 else np.full(size, 2.0) + n
                assert np.array_equal(f(np.full(size, 2.0), n), expected)
    assert counted.count == 12


def test_a_call_that_fails_in_native_code_raises_what_numpy_raises():
    f = cr.compile(lambda x, i: x[i] * 2.0)
    assert f(np.ones(3), np.array([2])) == 2.0
    with pytest.raises(IndexError, match="index 5 is out of bounds for axis 0 with size 3"):
        f(np.ones(3), np.array([5]))


def test_llvm_is_loaded_when_something_is_compiled():
    code = "import sys, chainrule; assert not any(m.startswith('llvmlite') for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
