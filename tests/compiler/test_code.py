"""What is written of loops: no more than they do, and nothing that LLVM spends time on in vain."""

import ctypes

import pytest

from chainrule.compiler.llvm.code import I64, Code, Value, constant
from chainrule.compiler.machine_code import Loaded, object_code


def _summing(start: int, stop: int, step: int, reduces_strength: bool = False) -> str:
    """A function that adds the indices of a loop to its argument, inside an outer loop of two."""
    code = Code(reduces_strength)
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
@pytest.mark.parametrize("reduces_strength", [False, True])
def test_loops_of_known_length_give_what_python_gives(bounds, reduces_strength):
    loaded = Loaded(object_code(_summing(*bounds, reduces_strength)))
    f = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(loaded.address("f"))
    assert f(2, 100) == 100 + 2 * sum(range(*bounds))


@pytest.mark.parametrize("bounds, loops, stores", [((0, 0, 1), 1, 0), ((3, 4, 1), 1, 1)])
def test_a_loop_of_no_round_is_not_written_and_one_of_a_single_round_is_no_loop(
    bounds, loops, stores
):
    text = _summing(*bounds)
    assert text.count("phi i64 [ 0,") == loops
    assert text.count("store") == text.count("alloca") == stores


def test_llvm_does_not_see_in_which_steps_a_loop_goes():
    """Else its strength reduction works on every loop, a quarter of the time of compiling."""
    code = Code()
    place = Value("%p", "ptr")
    with code.loop(0, Value("%n", I64), carried=[place, constant(I64, 0)]) as loop:
        at, total = loop.carried
        loop.next(code.offset(at, 8), code.binary("add", total, code.load(at, I64)))
    phis = [line for line in code.lines if " = phi " in line and ".head ]" in line]
    nexts = {line.split("], [ ")[1].split(",")[0] for line in phis if "phi" in line}
    frozen = {line.split(" = ")[0].strip() for line in code.lines if " = freeze " in line}
    assert len(nexts) == 3 and nexts <= frozen
