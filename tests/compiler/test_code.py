"""What is written of a loop whose rounds are known: no more than it does."""

import ctypes

import pytest

from chainrule.compiler.llvm.code import I64, Code, Value, constant
from chainrule.compiler.machine_code import Loaded, object_code


def _summing(start: int, stop: int, step: int) -> str:
    """A function that adds the indices of a loop to its argument, inside an outer loop of two."""
    code = Code()
    with code.loop(0, Value("%two", I64), carried=[Value("%x", I64)]) as outer:
        with code.loop(start, stop, step, carried=outer.carried) as loop:
            stack = code.alloca(8)
            code.store(loop.index, stack)
            loop.next(code.binary("add", loop.carried[0], code.load(stack, I64)))
        outer.next(code.binary("add", loop.results[0], constant(I64, 0)))
    code.line(f"ret {outer.results[0]}")
    return code.function("define i64 @f(i64 %two, i64 %x)")


@pytest.mark.parametrize(
    "bounds", [(0, 0, 1), (5, 2, 1), (3, 4, 1), (2, 9, 8), (9, 2, -8), (0, 4, 1), (3, -1, -1)]
)
def test_loops_of_known_length_give_what_python_gives(bounds):
    loaded = Loaded(object_code(_summing(*bounds)))
    f = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(loaded.address("f"))
    assert f(2, 100) == 100 + 2 * sum(range(*bounds))


@pytest.mark.parametrize("bounds, loops, stores", [((0, 0, 1), 1, 0), ((3, 4, 1), 1, 1)])
def test_a_loop_of_no_round_is_not_written_and_one_of_a_single_round_is_no_loop(
    bounds, loops, stores
):
    text = _summing(*bounds)
    assert text.count("phi i64 [ 0,") == loops
    assert text.count("store") == text.count("alloca") == stores
