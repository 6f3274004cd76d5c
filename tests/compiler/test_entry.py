"""The native entry: what it takes, what it gives, what it leaves to the slow way, what it leaks."""

import gc
import pickle
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref
from types import CellType

import numpy as np
import pytest

from chainrule.compiler import entry as entry_module
from chainrule.compiler.entry import make_entry
from chainrule.compiler.entry_api import NAMES, PLACE, api_table
from chainrule.compiler.entry_spec import (
    MISSING,
    AliasSpec,
    ArraySpec,
    Captured,
    CellGuard,
    CheckGuard,
    DictGuard,
    DictSpec,
    EntrySpec,
    NumberSpec,
    ObjectSpec,
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
from chainrule.program.tree import flatten
from chainrule.program.types import array_type

pytestmark = pytest.mark.skipif(api_table() is None, reason="there are no entries here")

N = 5
VECTOR = array_type((N,), np.dtype("f8"))
MATRIX = array_type((2, 3), np.dtype("f4"))
SCALAR = array_type((), np.dtype("f8"))

# fused: outputs[0] = inputs[0] * inputs[1] + inputs[2] (two vectors and a scalar), by way of the
# arena. square: of a scalar. bytes{n}: copies n bytes. add_one: to inputs[0], in place. fail:
# always. sleep: for 0.1 s. alone: fails where another call has the same arena now.
IR = f"""
declare i32 @usleep(i32)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define i32 @fused(ptr %in, ptr %out, ptr %arena, ptr %runtime) {{
  %a = load ptr, ptr %in
  %in1 = getelementptr ptr, ptr %in, i64 1
  %b = load ptr, ptr %in1
  %in2 = getelementptr ptr, ptr %in, i64 2
  %s = load ptr, ptr %in2
  %o = load ptr, ptr %out
  %x = load <{N} x double>, ptr %a, align 8
  %y = load <{N} x double>, ptr %b, align 8
  %z = load double, ptr %s
  %xy = fmul <{N} x double> %x, %y
  store <{N} x double> %xy, ptr %arena, align 64
  %xy2 = load volatile <{N} x double>, ptr %arena, align 64
  %one = insertelement <{N} x double> poison, double %z, i64 0
  %zs = shufflevector <{N} x double> %one, <{N} x double> poison, <{N} x i32> zeroinitializer
  %r = fadd <{N} x double> %xy2, %zs
  store <{N} x double> %r, ptr %o, align 8
  ret i32 0
}}

define i32 @square(ptr %in, ptr %out, ptr %arena, ptr %runtime) {{
  %a = load ptr, ptr %in
  %o = load ptr, ptr %out
  %x = load double, ptr %a
  %y = fmul double %x, %x
  store double %y, ptr %o
  ret i32 0
}}

define i32 @add_one(ptr %in, ptr %out, ptr %arena, ptr %runtime) {{
  %o = load ptr, ptr %out
  %x = load double, ptr %o
  %y = fadd double %x, 1.0
  store double %y, ptr %o
  ret i32 0
}}

define i32 @fail(ptr %in, ptr %out, ptr %arena, ptr %runtime) {{
  ret i32 1
}}

define i32 @nothing(ptr %in, ptr %out, ptr %arena, ptr %runtime) {{
  ret i32 0
}}

define i32 @sleep(ptr %in, ptr %out, ptr %arena, ptr %runtime) {{
  %r = call i32 @usleep(i32 100000)
  ret i32 0
}}

define i32 @alone(ptr %in, ptr %out, ptr %arena, ptr %runtime) {{
  %old = atomicrmw add ptr %arena, i64 1 seq_cst
  %r = call i32 @usleep(i32 200)
  %now = atomicrmw sub ptr %arena, i64 1 seq_cst
  %next = add i64 %old, 1
  %other = icmp ne i64 %now, %next
  %wrong = zext i1 %other to i32
  ret i32 %wrong
}}

define i32 @runtime(ptr %in, ptr %out, ptr %arena, ptr %runtime) {{
  %o = load ptr, ptr %out
  %x = load double, ptr %runtime
  store double %x, ptr %o
  ret i32 0
}}
""" + "".join(
    f"""
define i32 @bytes{n}(ptr %in, ptr %out, ptr %arena, ptr %runtime) {{
  %a = load ptr, ptr %in
  %o = load ptr, ptr %out
  call void @llvm.memcpy.p0.p0.i64(ptr %o, ptr %a, i64 {n}, i1 false)
  ret i32 0
}}
"""
    for n in (0, 1, 2, 4, 8, 16, 24)
)


@pytest.fixture(scope="module")
def code():
    return Loaded(object_code(IR, 1))


class Slow:
    """The slow way: notes its calls, and gives a word."""

    def __init__(self):
        self.calls = []

    def __call__(self, *args, **kwargs):
        self.calls.append((args, kwargs))
        return "slow"


def make(code, main, arguments, result, outputs=(), slow=None, arena_bytes=0, runtime=0, **more):
    spec = EntrySpec(tuple(arguments), tuple(outputs), result, **more)
    made = make_entry(
        spec, code.address(main), slow or Slow(), arena_bytes=arena_bytes, runtime=runtime,
        keep=code, name="f",
    )  # fmt: skip
    assert made is not None
    return made


@pytest.fixture
def fused(code):
    arguments = (ArraySpec(VECTOR), ArraySpec(VECTOR), NumberSpec(float))
    return make(code, "fused", arguments, ResultLeaf(0), (OutputSpec(VECTOR),), arena_bytes=100)


def vector(seed=0):
    return np.random.default_rng(seed).standard_normal(N)


# --- what it computes -----------------------------------------------------------------------------


def test_arrays_and_a_float(fused):
    a, b = vector(1), vector(2)
    found = fused(a, b, 0.5)
    assert type(found) is np.ndarray and found.dtype == np.float64 and found.flags.owndata
    assert (found == a * b + 0.5).all()
    assert fused(a, b, 0.5) is not found


def test_a_scalar_output_is_a_numpy_scalar(code):
    square = make(code, "square", [NumberSpec(float)], ResultLeaf(0), [OutputSpec(SCALAR)])
    assert type(square(3.0)) is np.float64 and square(3.0) == 9.0


@pytest.mark.parametrize("char", "?bBhHiIlLefdFD")
def test_numpy_scalars_by_their_exact_class(code, char):
    dtype = np.dtype(char)
    main = f"bytes{dtype.itemsize}"
    outputs = [OutputSpec(array_type((), dtype))]
    copy = make(code, main, [NumberSpec(dtype.type)], ResultLeaf(0), outputs)
    for value in (1, 0, 100):
        found = copy(dtype.type(value))
        assert type(found) is dtype.type and found == dtype.type(value)
    assert copy(1) == copy(1.0) == copy(np.zeros((), dtype)) == copy(None) == "slow"
    if char == "?":
        assert copy(np.True_) is np.True_
    if char == "d":  # np.float64 is a float, but not exactly
        assert (
            make(code, main, [NumberSpec(float)], ResultLeaf(0), outputs)(np.float64(1)) == "slow"
        )


def test_python_numbers(code):
    def copy(kind, dtype):
        outputs = [OutputSpec(array_type((), np.dtype(dtype)))]
        return make(
            code, f"bytes{np.dtype(dtype).itemsize}", [NumberSpec(kind)], ResultLeaf(0), outputs
        )

    assert copy(complex, "D")(1.5 - 2j) == 1.5 - 2j
    integer = copy(int, "q")
    for value in (0, 1, -1, 5 << 30, -(7 << 40), 2**63 - 1, -(2**63)):
        assert integer(value) == value
    assert integer(2**63) == integer(-(2**63) - 1) == integer(1 << 200) == "slow"
    assert integer(True) == integer(1.0) == "slow"


def test_a_number_with_a_value_is_compared_by_its_bits(code):
    def takes(kind, value):
        return make(code, "nothing", [NumberSpec(kind, value)], ResultSame("fast"))

    for kind, value, others in (
        (float, 0.0, (-0.0, 1.0)),
        (float, 1.5, (1.25, -1.5)),
        (int, 7, (8, 0, -7)),
        (int, 0, (1, -1)),
        (complex, 1 + 2j, (1 + 1j, 2 + 2j)),
        (np.float32, np.float32(1.5), (np.float32(2), np.float32(-1.5))),
        (np.int8, np.int8(3), (np.int8(2),)),
    ):
        assert takes(kind, value)(kind(value)) == "fast"
        assert [takes(kind, value)(x) for x in others] == ["slow"] * len(others)


def test_shapes_of_arguments_and_outputs(code):
    for shape in ((), (0,), (3,), (1, 3), (3, 1, 1), (2, 0, 4)):
        type_ = array_type(shape, np.dtype("f8"))
        copy = make(
            code, f"bytes{type_.nbytes}", [ArraySpec(type_)], ResultLeaf(0), [OutputSpec(type_)]
        )
        found = copy(np.full(shape, 2.5))
        assert found.shape == shape and (found == 2.5).all()


# --- what it does not take ------------------------------------------------------------------------


def test_every_mismatch_of_an_array_goes_the_slow_way(code):
    slow = Slow()
    copy = make(
        code, "bytes24", [ArraySpec(MATRIX)], ResultLeaf(0), [OutputSpec(MATRIX)], slow=slow
    )
    good = np.arange(6, dtype="f4").reshape(2, 3)
    assert (copy(good) == good).all() and not slow.calls

    class Subclass(np.ndarray):
        pass

    unaligned = np.zeros(25, np.uint8)[1:].view("f4").reshape(2, 3)
    assert not unaligned.flags.aligned
    wrong = [
        good.T.copy().T, good[:, ::-1], np.zeros((4, 3), "f4")[::2], good.T, good[0], good[None],
        good[..., None], good[:, 0], np.zeros((2, 3, 2), "f4"),
        good.astype("f8"), good.astype("i4"), good.astype(">f4"), unaligned, good.view(Subclass),
        good.tolist(), None, 1.0, np.float32(1),
    ]  # fmt: skip
    for value in wrong:
        assert copy(value) == "slow"
        args, kwargs = slow.calls.pop()
        assert args[0] is value and len(args) == 1 and not kwargs
    assert copy() == copy(good, good) == copy(good, x=1) == copy(x=good) == "slow"
    assert [kwargs for _, kwargs in slow.calls[-2:]] == [{"x": 1}, {"x": good}]


def test_equal_dtypes_that_are_other_objects(code):
    copy = make(code, "bytes24", [ArraySpec(MATRIX)], ResultLeaf(0), [OutputSpec(MATRIX)])
    for dtype in (pickle.loads(pickle.dumps(np.dtype("f4"))), np.dtype("f4", metadata={"a": 1})):
        good = np.ones((2, 3), dtype)
        assert good.dtype is not np.dtype("f4")
        assert (copy(good) == 1).all()


def test_a_read_only_array_is_read_but_not_written(code):
    locked = vector()
    locked.flags.writeable = False
    read = make(code, "bytes8", [ArraySpec(VECTOR)], ResultLeaf(0), [OutputSpec(VECTOR)])
    assert read(locked)[0] == locked[0]
    write = make(code, "add_one", [ArraySpec(VECTOR, True)], ResultSame(1), [OutputSpec(VECTOR, 0)])
    before = locked.copy()
    assert write(locked) == "slow" and (locked == before).all()


def test_what_a_failing_program_does_again(code):
    slow = Slow()
    fails = make(code, "fail", [ArraySpec(VECTOR)], ResultLeaf(0), [OutputSpec(VECTOR)], slow=slow)
    x = vector()
    assert fails(x) == "slow" and slow.calls[0][0][0] is x


def test_exceptions_of_the_slow_way_are_the_entrys(fused, code):
    def slow(*args):
        raise KeyError(args)

    raises = make(code, "nothing", [SameSpec(None)], ResultSame(None), slow=slow)
    assert raises(None) is None
    with pytest.raises(KeyError, match="1, 2"):
        raises(1, 2)


# --- structure ------------------------------------------------------------------------------------


def test_same_objects_and_texts(code):
    def f():
        pass

    for value, equal, others in (
        (None, None, (0, False)),
        (True, True, (1, False, np.True_)),
        (f, f, (lambda: None,)),
        ("mean", "".join(["me", "an"]), ("sum", b"mean", "Mean", "")),
    ):
        takes = make(code, "nothing", [SameSpec(value)], ResultSame("fast"))
        assert takes(equal) == "fast"
        assert [takes(x) for x in others] == ["slow"] * len(others)

    class Text(str):
        pass

    assert make(code, "nothing", [SameSpec("a")], ResultSame("fast"))(Text("a")) == "slow"


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y


def nested_arguments():
    a, b, s = vector(1), vector(2), 0.75
    value = {"a": [a, (None, "word")], "rest": (Point(b, True), {"s": s})}
    point = ObjectSpec(Point, DictSpec(("x", "y"), (ArraySpec(VECTOR), SameSpec(True))))
    spec = DictSpec(
        ("a", "rest"),
        (
            SequenceSpec(
                list, (ArraySpec(VECTOR), SequenceSpec(tuple, (SameSpec(None), SameSpec("word"))))
            ),
            SequenceSpec(tuple, (point, DictSpec(("s",), (NumberSpec(float),)))),
        ),
    )
    return value, spec, a * b + s


def test_trees_of_arguments(code):
    value, spec, wanted = nested_arguments()
    f = make(code, "fused", [spec], ResultLeaf(0), [OutputSpec(VECTOR)], arena_bytes=40)
    assert (f(value) == wanted).all()
    assert f({**value, "more": 1}) == f({"a": value["a"]}) == f({}) == f([]) == "slow"
    assert f(dict(reversed(value.items()))) == "slow"  # leaves would come in another order
    assert f({"a": value["a"], "test": value["rest"]}) == "slow"
    assert f({**value, "a": tuple(value["a"])}) == f({**value, "a": value["a"][:1]}) == "slow"
    value["rest"][0].z = 1
    assert f(value) == "slow"
    del value["rest"][0].z
    assert (f(value) == wanted).all()
    value["rest"][0].y = False
    assert f(value) == "slow"

    class Subclass(Point):
        pass

    assert f({**value, "rest": (Subclass(vector(2), True), value["rest"][1])}) == "slow"
    assert f({**value, "rest": (None, value["rest"][1])}) == "slow"


def test_keys_that_are_equal_but_other_strings(code):
    name = "key" + str(len(IR))
    spec = DictSpec((name,), (NumberSpec(float),))
    square = make(code, "square", [spec], ResultLeaf(0), [OutputSpec(SCALAR)])
    assert square({"key" + str(len(IR)): 2.0}) == 4.0
    assert square({"other": 2.0}) == square({1: 2.0}) == "slow"


def test_an_object_without_attributes_goes_the_slow_way(code):
    f = make(code, "nothing", [ObjectSpec(object, DictSpec((), ()))], ResultSame("fast"))
    assert f(object()) == "slow"


def test_inputs_are_in_the_order_of_flatten(code):
    first, second, third = (np.full(1, float(i)) for i in range(3))
    one = array_type((1,), np.dtype("f8"))
    leaf = ArraySpec(one)
    value = {"z": [first, {"b": second}], "a": third}
    spec = DictSpec(("z", "a"), (SequenceSpec(list, (leaf, DictSpec(("b",), (leaf,)))), leaf))
    results = SequenceSpec(tuple, tuple(map(ResultArgument, range(3))))
    found = make(code, "nothing", [spec], results)(value)
    assert all(x is y for x, y in zip(found, flatten(value)[0], strict=True))


def test_keywords(code):
    arguments = (ArraySpec(VECTOR), ArraySpec(VECTOR), NumberSpec(float))
    slow = Slow()
    f = make(
        code, "fused", arguments, ResultLeaf(0), [OutputSpec(VECTOR)], slow, 40, keywords=("b", "s")
    )
    a, b = vector(1), vector(2)
    assert (f(a, b=b, s=2.0) == a * b + 2.0).all()
    assert (f(a, **{"".join("b"): b, "s": 2.0}) == a * b + 2.0).all()
    assert f(a, s=2.0, b=b) == f(a, b, 2.0) == f(a, b=b) == f(a, b=b, t=2.0) == f(a) == "slow"
    assert f(a, b, s=2.0) == "slow" and list(slow.calls[-1][1]) == ["s"]


def test_the_identical_object_twice(code):
    f = make(
        code, "fused", (ArraySpec(VECTOR), AliasSpec(0), NumberSpec(float)), ResultLeaf(0),
        [OutputSpec(VECTOR)], arena_bytes=40,
    )  # fmt: skip
    a = vector()
    assert (f(a, a, 1.0) == a * a + 1).all()
    assert f(a, a.copy(), 1.0) == f(a, a[:], 1.0) == "slow"


# --- captured values and guards -------------------------------------------------------------------


def test_captured_arrays_are_read_anew_and_come_first(code):
    captured = vector(3)
    f = make(
        code, "fused", (ArraySpec(VECTOR), NumberSpec(float)), ResultLeaf(0), [OutputSpec(VECTOR)],
        arena_bytes=40, captured=(Captured(captured, ArraySpec(VECTOR)),),
    )  # fmt: skip
    x = vector()
    assert (f(x, 1.0) == captured * x + 1).all()
    captured[:] = 2
    assert (f(x, 1.0) == 2 * x + 1).all()
    captured.resize((1, N), refcheck=False)
    assert f(x, 1.0) == "slow"


def test_a_captured_list(code):
    captured = [2.0]
    f = make(
        code, "square", (), ResultLeaf(0), [OutputSpec(SCALAR)],
        captured=(Captured(captured, SequenceSpec(list, (NumberSpec(float),))),),
    )  # fmt: skip
    assert f() == 4.0
    captured[0] = 3.0
    assert f() == 9.0
    captured.append(1.0)
    assert f() == "slow"


def test_guards(code):
    held = object()

    def guarded(*guards):
        return make(code, "nothing", (), ResultSame("fast"), guards=guards)

    cell = CellType(held)
    names = {"a": held, "b": 1}
    answers = [True]
    f = guarded(
        CellGuard(cell, held), DictGuard(names, "a", held), DictGuard(names, "c", MISSING),
        CheckGuard(lambda: answers[-1]),
    )  # fmt: skip
    assert f() == "fast"
    for answer in (False, 1, None):
        answers.append(answer)
        assert f() == "slow"
    answers.clear()  # the function raises now
    assert f() == "slow"
    answers.append(True)
    names["a"] = 1
    assert f() == "slow"
    del names["a"]
    assert f() == "slow"
    names.update(a=held, c=None)
    assert f() == "slow"
    del names["c"]
    assert f() == "fast"
    cell.cell_contents = None
    assert f() == "slow"
    del cell.cell_contents
    assert f() == "slow"


# --- writing --------------------------------------------------------------------------------------


def test_an_update_in_place(code):
    f = make(code, "add_one", [ArraySpec(VECTOR, True)], ResultArgument(0), [OutputSpec(VECTOR, 0)])
    x = np.zeros(N)
    assert f(x) is x and x[0] == 1 and f(x)[0] == 2


def test_memory_that_is_written_and_shared_goes_the_slow_way(code):
    arguments = (ArraySpec(VECTOR, True), ArraySpec(VECTOR), ArraySpec(VECTOR))
    f = make(code, "add_one", arguments, ResultSame("fast"), [OutputSpec(VECTOR, 0)])
    x, y, memory = np.zeros(N), np.zeros(N), np.zeros(3 * N)
    near, far = memory[N - 1 : 2 * N - 1], memory[N : 2 * N]
    first = memory[:N]
    for _ in range(2):
        assert f(x, y, y) == "fast"  # both are only read
        assert f(x, x, y) == f(x, y, x) == f(x, x[:], y) == "slow"
        assert f(first, near, y) == f(near, y, first) == f(near, first, far) == "slow"
        assert f(first, far, y) == f(far, first, y) == f(near, y, y) == "fast"


def test_shared_memory_is_seen_when_each_array_was_there_before(code):
    f = make(code, "nothing", (ArraySpec(VECTOR, True), ArraySpec(VECTOR)), ResultSame("fast"))
    x, y, z = vector(1), vector(2), vector(3)
    assert [f(x, y), f(z, x), f(x, x), f(z, x), f(x, y), f(y, y), f(y, x)] == [
        "fast", "fast", "slow", "fast", "fast", "slow", "fast",
    ]  # fmt: skip


def test_any_order_of_shared_and_separate_arrays(code):
    rng = np.random.default_rng(5)
    written = (True, False, False, True)
    f = make(code, "nothing", [ArraySpec(VECTOR, w) for w in written], ResultSame("fast"))
    memory = np.zeros(4 * N)
    for _ in range(3000):
        starts = rng.integers(0, 3 * N + 1, 4)
        apart = all(
            abs(starts[i] - starts[j]) >= N or not (written[i] or written[j])
            for i in range(4)
            for j in range(i)
        )
        arrays = [memory[s : s + N] for s in starts]
        assert f(*arrays) == ("fast" if apart else "slow"), starts


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
