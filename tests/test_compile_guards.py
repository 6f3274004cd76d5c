"""What a compiled function reads besides its arguments is seen as it is at each call."""

import copy
import cProfile
import functools
import itertools
import os
import profile
import sys
import threading
from importlib import import_module

import numpy as np
import pytest

import chainrule as cr
from chainrule import backends
from chainrule.program.trace import traces_open
from tests.forking import forks

SCALE = 2.0
OFFSET = np.array([1.0, 2.0])
TABLE = {"weight": np.array([1.0, 2.0]), "powers": [1, 2]}


@pytest.fixture(autouse=True, params=["evaluator", "native"])
def backend(request, monkeypatch):
    monkeypatch.setattr(backends, "chosen", request.param)


class Traces:
    """Counts the traces of the functions that call `note` on it."""

    def __init__(self):
        self.ticks = itertools.count()

    def note(self):
        next(self.ticks)

    @property
    def count(self) -> int:
        return next(copy.copy(self.ticks))


def test_a_captured_array_is_read_at_each_call():
    w, traces = np.array([1.0, 2.0]), Traces()

    @cr.compile
    def f(x):
        traces.note()
        return np.sum(w * x)

    assert f(np.ones(2)) == 3.0
    w *= 3.0
    assert f(np.ones(2)) == 9.0
    w[0] = 0.0
    assert f(np.ones(2)) == 6.0
    assert traces.count == 1


def test_a_name_of_an_enclosing_function_that_is_bound_anew_is_seen():
    w, traces = np.array([1.0, 2.0]), Traces()

    @cr.compile
    def f(x):
        traces.note()
        return w * x

    assert np.array_equal(f(2.0), [2.0, 4.0])
    w = np.array([5.0, 6.0, 7.0])
    assert np.array_equal(f(2.0), [10.0, 12.0, 14.0])
    w = 3.0
    assert f(2.0) == 6.0
    w = 4.0
    assert f(2.0) == 8.0
    assert traces.count == 4


def helper(x):
    return x * SCALE + OFFSET


def test_a_global_of_a_function_that_is_called_is_seen(monkeypatch):
    f = cr.compile(lambda x: helper(x) * 1.0)
    assert np.array_equal(f(1.0), [3.0, 4.0])
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert np.array_equal(f(1.0), [4.0, 5.0])
    monkeypatch.setitem(globals(), "OFFSET", np.zeros(2))
    assert np.array_equal(f(1.0), [3.0, 3.0])
    monkeypatch.setitem(globals(), "helper", np.exp)
    assert f(1.0) == np.exp(1.0)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that is not loaded yet; its module reads a global when it is loaded."""
    place = tmp_path / "guarded_package"
    place.mkdir()
    (place / "__init__.py").write_text("")
    (place / "numbers.py").write_text("from guarded_package import source\nscale = source.base\n")
    (place / "source.py").write_text("base = 2.0\n")
    (place / "user.py").write_text(
        "def absolute(x):\n    import guarded_package.numbers\n"
        "    return x * guarded_package.numbers.scale\n"
        "def chosen(x):\n    from guarded_package.numbers import scale\n    return x * scale\n"
        "def relative(x):\n    from .numbers import scale\n    return x * scale\n"
        "def beside(x):\n    from . import numbers\n    return x * numbers.scale\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield import_module("guarded_package.user")
    for name in [n for n in sys.modules if n.startswith("guarded_package")]:
        del sys.modules[name]


@pytest.mark.parametrize("way", ["absolute", "chosen", "relative", "beside"])
@pytest.mark.parametrize("loaded", [True, False])
def test_what_a_module_imported_inside_holds_is_seen(package, way, loaded):
    if loaded:
        import_module("guarded_package.numbers")
    f = cr.compile(getattr(package, way))
    assert f(np.ones(1)) == 2.0
    sys.modules["guarded_package.numbers"].scale = 3.0
    assert f(np.ones(1)) == 3.0


def test_what_a_module_reads_when_it_is_imported_is_not_read_at_a_call(package):
    traces = Traces()

    @cr.compile
    def f(x):
        traces.note()
        return package.relative(x)

    assert f(np.ones(1)) == 2.0
    sys.modules["guarded_package.source"].base = 3.0
    assert f(np.ones(1)) == 2.0
    assert traces.count == 1


def test_entries_of_dicts_and_lists_are_seen():
    def f(x):
        return sum((x**n for n in TABLE["powers"]), TABLE["weight"] * x)

    g = cr.compile(f)
    before = dict(TABLE)
    try:
        assert np.array_equal(g(3.0), f(3.0))
        TABLE["powers"].append(3)
        assert np.array_equal(g(3.0), f(3.0))
        TABLE["powers"][0] = 0
        assert np.array_equal(g(3.0), f(3.0))
        TABLE["weight"] = np.array([7.0, 8.0])
        assert np.array_equal(g(3.0), f(3.0))
        TABLE["weight"] += 1.0
        assert np.array_equal(g(3.0), f(3.0))
    finally:
        TABLE.update(before, powers=[1, 2])


class Model:
    """Of a class that is not registered: an object that names lead to."""

    rate = 0.5

    def __init__(self):
        self.weight, self.depth = np.ones(2), 1

    def __call__(self, x):
        for _ in range(self.depth):
            x = x * self.weight * self.rate
        return x


class Slotted:
    __slots__ = ("weight",)

    def __init__(self, weight):
        self.weight = weight


@pytest.mark.parametrize("way", ["closure", "argument", "method", "default", "partial"])
def test_attributes_of_objects_are_seen(way, monkeypatch):
    model = Model()
    f = {
        "closure": cr.compile(lambda x: model(x)),
        "argument": functools.partial(cr.compile(lambda m, x: m(x)), model),
        "method": cr.compile(model.__call__),
        "default": cr.compile(lambda x, call=model: call(x)),
        "partial": cr.compile(functools.partial(lambda m, x: m(x), model)),
    }[way]
    assert np.array_equal(f(2.0), [1.0, 1.0])
    model.weight = np.array([2.0, 3.0])
    assert np.array_equal(f(2.0), [2.0, 3.0])
    model.weight *= 2.0
    assert np.array_equal(f(2.0), [4.0, 6.0])
    model.depth = 2
    assert np.array_equal(f(2.0), [8.0, 18.0])
    monkeypatch.setattr(Model, "rate", 1.0)
    assert np.array_equal(f(2.0), [32.0, 72.0])
    other = Model()
    assert np.array_equal(cr.compile(lambda m, x: m(x))(other, 2.0), [2.0, 2.0])


def test_attributes_in_slots_are_seen():
    held = Slotted(2.0)
    f = cr.compile(lambda x: x * held.weight)
    assert f(3.0) == 6.0
    held.weight = 4.0
    assert f(3.0) == 12.0


def test_content_that_goes_in_by_way_of_numpy_is_seen():
    w, traces = np.array([1.0, 2.0]), Traces()

    @cr.compile
    def f(x):
        traces.note()
        return (2 * w) @ x

    for scale in (1.0, 4.0, 1.0, 0.25):
        w *= scale
        assert f(np.ones(2)) == 2 * np.sum(w)
    assert traces.count == 2  # the first trace holds again at last


def test_the_content_of_large_arrays_is_seen():
    w = np.ones(20_000)
    f = cr.compile(lambda x: x * float(np.sum(w)))
    assert f(2.0) == 40_000.0
    w[-1] = 0.0
    assert f(2.0) == 39_998.0


def test_content_used_in_both_ways_is_seen_until_it_proves_not_to_matter():
    w, traces = np.array([1.0, 2.0]), Traces()

    @cr.compile
    def both(x):
        traces.note()
        return (2 * w) @ x + w @ x

    @cr.compile
    def beside_a_constant(x):
        traces.note()
        return np.eye(2) @ x + w

    for scale in (1.0, 3.0, 0.5):
        w *= scale
        assert both(np.ones(2)) == 3 * np.sum(w)
    assert traces.count == 3
    for scale in (1.0, 3.0, 0.5, 2.0):
        w *= scale
        assert np.array_equal(beside_a_constant(np.ones(2)), 1.0 + w)
    assert traces.count == 3 + 2  # the second trace proved the same as the first


def test_a_view_of_a_captured_array_is_read_by_reference():
    w, traces = np.arange(6.0).reshape(2, 3), Traces()

    @cr.compile
    def f(x):
        traces.note()
        return w[1:] @ x + w.T[:, 0] @ x

    for scale in (1.0, 2.0):
        w *= scale
        assert f(np.ones(3)) == np.sum(w)
    assert traces.count == 1


def test_a_captured_array_that_gets_another_shape_is_seen():
    w = np.arange(6.0)
    f = cr.compile(lambda x: x * w)
    assert f(1.0).shape == (6,)
    w.resize((2, 3), refcheck=False)
    assert np.array_equal(f(2.0), 2.0 * w)
    w.resize((1,), refcheck=False)
    assert np.array_equal(f(2.0), 2.0 * w)


def test_a_default_argument_is_read_by_reference():
    w = np.ones(2)
    g = cr.compile(lambda x, w=w: x * w)
    assert np.array_equal(g(2.0), [2.0, 2.0])
    w[:] = 3.0
    assert np.array_equal(g(2.0), [6.0, 6.0])


def test_a_derivative_of_a_function_sees_what_that_function_reads():
    w, scale = np.array([1.0, 2.0]), 2.0
    f = cr.compile(cr.grad(lambda x: np.sum(w * x) * scale))
    assert np.array_equal(f(np.ones(2)), [2.0, 4.0])
    w *= 2.0
    assert np.array_equal(f(np.ones(2)), [4.0, 8.0])
    scale = 3.0
    assert np.array_equal(f(np.ones(2)), [6.0, 12.0])
    w = np.array([1.0, 1.0])
    assert np.array_equal(f(np.ones(2)), [3.0, 3.0])


def test_what_the_rule_of_a_custom_derivative_reads_is_seen(monkeypatch):
    @cr.custom_derivative
    def doubled(x):
        return x * 2.0

    doubled.reverse(_scaled_cotangent)
    f = cr.compile(cr.grad(doubled))
    assert f(1.0) == 2.0
    monkeypatch.setitem(globals(), "SCALE", 5.0)
    assert f(1.0) == 5.0


def _scaled_cotangent(primals, output, cotangent):
    return (cotangent * SCALE,)


def test_a_profile_function_is_told_of_deriving_too():
    told: list[str] = []
    factor = 2.5 + len(backends.chosen)  # another program on each backend: derivatives are kept
    sys.setprofile(lambda frame, event, argument: told.append(frame.f_code.co_name))
    try:
        cr.compile(cr.grad(lambda x: np.sin(x) * factor))(3.0)
    finally:
        sys.setprofile(None)
    assert {"<lambda>", "reverse"} <= set(told)


def test_the_inner_function_of_a_compiled_one_is_followed():
    w = 2.0
    inner = cr.compile(lambda x: x * w)
    outer = cr.compile(lambda x: inner(x) + 1.0)
    assert outer(3.0) == 7.0
    w = 3.0
    assert outer(3.0) == 10.0


def test_the_inner_function_is_followed_where_it_gets_no_traced_value():
    w = 2.0
    inner = cr.compile(lambda x: x * w)
    assert inner(3.0) == 6.0  # it has a native entry now
    outer = cr.compile(lambda x: inner(3.0) + x)
    assert outer(1.0) == 7.0
    w = 3.0
    assert outer(1.0) == 10.0


def test_a_trace_that_is_open_in_another_thread_does_not_matter():
    traces, inside, done = Traces(), threading.Event(), threading.Event()

    def f(x):
        traces.note()
        return x * 2.0

    def waiting(x):
        inside.set()
        done.wait(60)
        return x

    doubled = cr.compile(f)
    assert doubled(3.0) == 6.0
    thread = threading.Thread(target=cr.grad(waiting), args=(1.0,))
    thread.start()
    inside.wait(60)
    assert doubled(4.0) == 8.0
    done.set()
    thread.join()
    assert (doubled(5.0), traces.count) == (10.0, 1)


@forks
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_a_process_that_is_forked_counts_its_own_traces():
    inside, done = threading.Event(), threading.Event()

    def waiting(x):
        inside.set()
        done.wait(60)
        return x

    thread = threading.Thread(target=cr.grad(waiting), args=(1.0,))
    thread.start()
    inside.wait(60)
    child = os.fork()
    if not child:
        os._exit(int(traces_open))
    status = os.waitpid(child, 0)[1]
    assert (int(traces_open), os.waitstatus_to_exitcode(status)) == (1, 0)
    done.set()
    thread.join()
    assert traces_open == 0


def test_zeros_of_both_signs_and_nans_are_told_apart():
    w, traces = 0.0, Traces()

    @cr.compile
    def f(x):
        traces.note()
        return x * w

    assert not np.signbit(f(2.0))
    w = -0.0
    assert np.signbit(f(2.0))
    w = float("nan")
    assert np.isnan(f(2.0))
    w = float("nan")
    assert np.isnan(f(2.0))
    assert traces.count == 3


class _Scaled:
    factor = 2.0


class _MoreScaled(_Scaled):
    pass


def test_an_attribute_that_comes_to_stand_before_that_of_the_class_is_seen(monkeypatch):
    scaled, more = _Scaled(), _MoreScaled()
    f = cr.compile(lambda x: (x * scaled.factor, x * more.factor, x * _MoreScaled.factor))
    assert f(1.0) == (2.0, 2.0, 2.0)
    monkeypatch.setattr(scaled, "factor", 3.0)
    assert f(1.0) == (3.0, 2.0, 2.0)
    monkeypatch.setattr(_MoreScaled, "factor", 5.0)
    assert f(1.0) == (3.0, 5.0, 5.0)
    monkeypatch.setattr(_Scaled, "factor", 7.0)
    assert f(1.0) == (3.0, 5.0, 5.0)


@pytest.mark.parametrize("profiler", [cProfile.Profile, profile.Profile])
def test_a_program_that_is_profiled_compiles_and_is_profiled_on(profiler):
    recorder = profiler()

    def run():
        value = cr.compile(lambda x: x * 2.0)(3.0)
        return value, _counted()

    assert recorder.runcall(run) == (6.0, None)
    recorder.create_stats()
    assert any(name == "_counted" for _, _, name in recorder.stats)


def _counted() -> None:
    pass
