"""The native entry: what it gives, its threads, and that it leaks nothing."""

import gc
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref

import numpy as np
import pytest

from chainrule.compiler import entry as entry_module
from chainrule.compiler.entry import make_entry
from chainrule.compiler.entry_api import NAMES, PLACE, api_table
from chainrule.compiler.entry_spec import (
    ArraySpec,
    CheckGuard,
    DictGuard,
    DictSpec,
    EntrySpec,
    NumberSpec,
    OutputSpec,
    ResultArgument,
    ResultCall,
    ResultContainer,
    ResultLeaf,
    ResultSame,
    SameSpec,
    SequenceSpec,
)
from chainrule.compiler.machine_code import Loaded, object_code
from tests.compiler.entry_programs import (
    IR,
    SCALAR,
    VECTOR,
    Point,
    Slow,
    load,
    make,
    nested_arguments,
    vector,
)

pytestmark = pytest.mark.skipif(api_table() is None, reason="there are no entries here")


@pytest.fixture(scope="module")
def code():
    return load()


@pytest.fixture
def fused(code):
    arguments = (ArraySpec(VECTOR), ArraySpec(VECTOR), NumberSpec(float))
    return make(code, "fused", arguments, ResultLeaf(0), (OutputSpec(VECTOR),), arena_bytes=100)


# --- results --------------------------------------------------------------------------------------


def test_trees_of_results(code):
    value, spec, wanted = nested_arguments()
    marker = object()
    result = SequenceSpec(
        tuple,
        (
            DictSpec(("out", "twice"), (ResultLeaf(0), SequenceSpec(list, (ResultLeaf(0),)))),
            SequenceSpec(tuple, ()),
            SequenceSpec(list, ()),
            DictSpec((), ()),
            ResultArgument(1),
            ResultSame(marker),
            ResultContainer(0),
            ResultContainer(1),
            ResultContainer(4),
            ResultCall(complex, (ResultSame(1.0), ResultSame(2.0))),
            ResultCall(list, ()),
        ),
    )
    f = make(code, "fused", [spec], result, [OutputSpec(VECTOR)], arena_bytes=40)
    found = f(value)
    assert (found[0]["out"] == wanted).all() and found[0]["twice"][0] is found[0]["out"]
    assert list(found[0]) == ["out", "twice"]
    assert found[1:4] == ((), [], {})
    assert found[4] is value["rest"][0].x and found[5] is marker and found[6] is value
    assert found[7] is value["a"] and found[8] is value["rest"][0]
    assert found[9:] == (1 + 2j, [])
    assert f(value)[0] is not found[0]


def test_an_exception_while_results_are_made_is_the_entrys(code):
    def finish(x):
        raise ValueError(f"not {x}")

    for wrap in (
        lambda r: r,
        lambda r: SequenceSpec(tuple, (ResultSame(1), r)),
        lambda r: SequenceSpec(list, (ResultSame(1), r)),
        lambda r: DictSpec(("a",), (r,)),
        lambda r: ResultCall(len, (r,)),
    ):
        slow = Slow()
        result = wrap(ResultCall(finish, (ResultLeaf(0),)))
        f = make(code, "square", [NumberSpec(float)], result, [OutputSpec(SCALAR)], slow=slow)
        with pytest.raises(ValueError, match=r"not 9\.0"):
            f(3.0)
        assert not slow.calls


def test_the_runtime_table_and_an_aligned_arena_are_handed_on(code):
    table = np.array([2.5])
    f = make(
        code, "runtime", (), ResultLeaf(0), [OutputSpec(SCALAR)], runtime=table.ctypes.data,
        arena_bytes=1,
    )  # fmt: skip
    assert f() == 2.5
    aligned = Loaded(
        object_code(
            """
define i32 @main(ptr %in, ptr %out, ptr %arena, ptr %runtime) {
  %a = ptrtoint ptr %arena to i64
  %low = and i64 %a, 63
  %wrong = icmp ne i64 %low, 0
  %r = zext i1 %wrong to i32
  ret i32 %r
}""",
            1,
        )
    )
    for size in (1, 64, 1000, 100_001):
        g = make_entry(
            EntrySpec((), (), ResultSame("fast")), aligned.address("main"), Slow(), arena_bytes=size
        )
        assert g() == "fast"


# --- threads and memory ---------------------------------------------------------------------------


def test_calls_at_once_have_arenas_of_their_own(code):
    slow = Slow()
    f = make(code, "alone", (), ResultSame("fast"), slow=slow, arena_bytes=64, releases_gil=True)
    callers = [threading.Thread(target=lambda: [f() for _ in range(50)]) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not slow.calls


def test_other_threads_run_meanwhile_where_the_gil_is_released(code):
    for releases in (True, False):
        f = make(code, "sleep", (), ResultSame(None), releases_gil=releases)
        ran, started = [], threading.Event()

        def count():
            started.set()
            while not ran or ran[-1]:
                ran.append(1)
                time.sleep(0.001)

        counter = threading.Thread(target=count)
        counter.start()
        started.wait()
        time.sleep(0.01)
        before = len(ran)
        f()
        after = len(ran)
        ran.append(0)
        counter.join()
        assert (after - before > 3) is releases


def test_arrays_that_leave_their_container_meanwhile_stay_alive(code):
    value = [vector()]
    array = weakref.ref(value[0])
    f = make(
        code, "sleep", [SequenceSpec(list, (ArraySpec(VECTOR),))], ResultSame(None),
        releases_gil=True,
    )  # fmt: skip
    caller = threading.Thread(target=f, args=(value,))
    caller.start()
    time.sleep(0.03)
    value.clear()
    assert array() is not None
    caller.join()
    assert array() is None


def test_a_container_that_leaves_its_container_meanwhile_is_returned(code):
    spec = SequenceSpec(list, (SequenceSpec(list, ()),))
    f = make(code, "sleep", [spec], ResultContainer(1), releases_gil=True)
    value, found = [[]], []
    caller = threading.Thread(target=lambda: found.append(f(value)))
    caller.start()
    time.sleep(0.03)
    value.clear()
    others = [[1] for _ in range(1000)]  # would take the memory of a list that was freed
    caller.join()
    assert found == [[]] and len(others) == 1000


def test_arenas_of_calls_at_once_are_freed_but_for_one(code):
    size = 1_000_000
    f = make(code, "alone", (), ResultSame(1), arena_bytes=size, releases_gil=True)
    tracemalloc.start()
    try:
        for _ in range(5):
            callers = [threading.Thread(target=f) for _ in range(8)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak > 2 * size > now > size


def counted(things):
    return [sys.getrefcount(x) for x in things]


def test_no_reference_is_lost_or_kept(code):
    value, spec, _ = nested_arguments()
    key, marker, other = "key" + str(len(IR)), object(), object()
    slow = Slow()
    result = DictSpec(
        (key,),
        (
            SequenceSpec(
                tuple,
                (ResultLeaf(0), ResultArgument(0), ResultContainer(1), ResultSame(marker),
                 ResultCall(tuple, (ResultLeaf(0),))),
            ),
        ),
    )  # fmt: skip
    dtype = VECTOR.dtype
    names = {"a": marker}
    f = make(
        code, "fused", [spec, SameSpec("text")], result, [OutputSpec(VECTOR)], slow, 40,
        captured=(), guards=(DictGuard(names, "a", marker), CheckGuard(lambda: True)),
    )  # fmt: skip
    fails = make(
        code, "fail", [spec], ResultSame(None), [OutputSpec(VECTOR)], slow=lambda *args: None
    )
    scalar = make(code, "square", [NumberSpec(float)], ResultLeaf(0), [OutputSpec(SCALAR)])
    same = ResultSame(marker)
    parts = DictSpec(("a", "b"), (same, ResultCall(int, (ResultSame("x"),))))
    begins = make(
        code,
        "nothing",
        [SameSpec(None)],
        SequenceSpec(tuple, (same, SequenceSpec(list, (same, parts)))),
    )
    number = 1234.5
    point = value["rest"][0]
    things = [
        value, *value.values(), value["a"][0], point, point.x, point.__dict__, value["rest"][1],
        key, marker, other, slow, dtype, f, fails, number, None, True, Point, np.ndarray,
        VECTOR.dtype, SCALAR.dtype, names, "text", np.float64,
    ]  # fmt: skip

    def calls(times):
        for _ in range(times):
            f(value, "text")
            f(value, other)
            f(other)
            f(value, "text", other)
            f({**value, "rest": (point, other)}, "text")
            fails(value)
            fails(other)
            scalar(number)
            with pytest.raises(ValueError):
                begins(None)
            slow.calls.clear()

    calls(10)
    before = counted(things)
    calls(10_000)
    assert max(abs(a - b) for a, b in zip(counted(things), before, strict=True)) < 20


def test_memory_stays_flat(code):
    arguments = (ArraySpec(VECTOR), ArraySpec(VECTOR), NumberSpec(float))
    f = make(
        code, "fused", arguments, SequenceSpec(list, (ResultLeaf(0),)), [OutputSpec(VECTOR)],
        lambda *args: None, 10_000,
    )  # fmt: skip
    a, b = vector(1), vector(2)

    def calls():
        for _ in range(3000):
            f(a, b, 1.5)
            f(a, b)

    tracemalloc.start()
    try:
        calls()
        before = tracemalloc.get_traced_memory()[0]
        calls()
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
    finally:
        tracemalloc.stop()


def test_an_entry_and_its_arena_are_freed(code):
    class Owner:
        def slow(self, *args):
            return None

    def cycle():
        owner = Owner()
        spec = EntrySpec((), (), ResultSame(None))
        owner.f = make_entry(spec, code.address("nothing"), owner.slow, arena_bytes=1_000_000)
        owner.f()
        return weakref.ref(owner)

    tracemalloc.start()
    try:
        cycle()
        gc.collect()
        start = tracemalloc.get_traced_memory()[0]
        owners = [cycle() for _ in range(20)]
        gc.collect()
        assert not any(owner() for owner in owners)
        assert tracemalloc.get_traced_memory()[0] - start < 500_000
    finally:
        tracemalloc.stop()


# --- the API and its limits -----------------------------------------------------------------------


def test_the_entry_is_a_builtin_function_with_a_name(fused):
    assert type(fused) is type(len) and fused.__name__ == "f"


def test_too_many_leaves_have_no_entry(code):
    many = tuple(NumberSpec(float) for _ in range(entry_module.LIMIT + 1))
    spec = EntrySpec(many, (), ResultSame(1))
    assert make_entry(spec, code.address("nothing"), Slow()) is None
    boxes = SequenceSpec(list, many[1:])
    assert make_entry(EntrySpec((boxes,), (), ResultSame(1)), 0, Slow()) is None
    outputs = EntrySpec((), (OutputSpec(SCALAR),) * len(many), ResultSame(1))
    assert make_entry(outputs, 0, Slow()) is None
    just = EntrySpec(many[:-1], (), ResultArgument(entry_module.LIMIT - 1))
    f = make_entry(just, code.address("nothing"), Slow(), keep=code)
    assert f(*map(float, range(entry_module.LIMIT))) == entry_module.LIMIT - 1


def test_no_entry_where_objects_lie_otherwise(code, monkeypatch):
    spec = EntrySpec((), (), ResultSame(1))
    monkeypatch.setattr(entry_module, "api_table", lambda: None)
    assert make_entry(spec, code.address("nothing"), Slow()) is None


def test_every_name_of_the_api_has_an_address():
    assert len(api_table()) == len(NAMES) == len(PLACE)
    assert all(api_table())


def test_a_process_ends_while_a_daemon_thread_is_in_a_call():
    text = f"""
import threading, time
from chainrule.compiler.entry import make_entry
from chainrule.compiler.entry_spec import EntrySpec, ResultSame
from chainrule.compiler.machine_code import Loaded, object_code
code = Loaded(object_code({IR!r}, 0))
f = make_entry(EntrySpec((), (), ResultSame(1), releases_gil=True), code.address("sleep"), print)
threading.Thread(target=lambda: [f() for _ in range(50)], daemon=True).start()
time.sleep(0.02)
"""
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
