"""The native entry: what it takes, and what it leaves to the slow way."""

import pickle
from types import CellType

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiled import PATIENCE
from chainrule.compiler.entry_api import api_table
from chainrule.compiler.entry_spec import (
    MISSING,
    AliasSpec,
    ArraySpec,
    Captured,
    CellGuard,
    CheckGuard,
    DictGuard,
    DictSpec,
    NumberSpec,
    ObjectSpec,
    OutputSpec,
    ResultArgument,
    ResultLeaf,
    ResultSame,
    SameSpec,
    SequenceSpec,
)
from chainrule.program.tree import flatten
from chainrule.program.types import array_type
from tests.compiler.entry_programs import (
    IR,
    MATRIX,
    SCALAR,
    VECTOR,
    N,
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


@pytest.mark.parametrize("n, waits", [(8, False), (128, True)])
def test_a_long_program_waits_for_the_code_of_entries(n, waits, monkeypatch):
    """It takes longer to compile than the first calls of such a program save by it."""
    monkeypatch.setattr("chainrule.compiler.entry.is_compiled", lambda: False)
    f = cr.compile(lambda x: x @ x)
    x = np.eye(n) * 2.0
    for _ in range(3):
        np.testing.assert_array_equal(f(x), 2 * x)
    assert bool(f._entered) is not waits
    for _ in range(PATIENCE):
        f(x)
    assert f._entered
    np.testing.assert_array_equal(f(x), 2 * x)
