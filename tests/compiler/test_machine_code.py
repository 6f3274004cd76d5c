"""Object code in memory: several objects, constants at offsets, functions of the process."""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import llvmlite.binding as llvm
import numpy as np
import pytest

from chainrule.compiler.layout import contiguous
from chainrule.compiler.llvm.elementwise import Operation
from chainrule.compiler.llvm.loops import LoopSpec, Node, Stream
from chainrule.compiler.llvm.reductions import emit_loop
from chainrule.compiler.machine_code import Loaded, host, object_code

TABLE = """
@table = internal constant [4 x i64] [i64 10, i64 20, i64 30, i64 40]
define i64 @read(ptr %at, i64 %i) {
  %place = getelementptr i64, ptr %at, i64 %i
  %x = load i64, ptr %place
  ret i64 %x
}
define i64 @main() {
  %x = call i64 @read(ptr getelementptr (i64, ptr @table, i64 1), i64 1)
  ret i64 %x
}
"""
FILL = """
define void @fill(ptr %target, ptr %source) {
  call void @llvm.memcpy.p0.p0.i64(ptr %target, ptr %source, i64 800, i1 false)
  %x = load <4 x double>, ptr %target, align 8
  %y = fadd <4 x double> %x, <double 1.0, double 2.0, double 3.0, double 4.0>
  store <4 x double> %y, ptr %target, align 8
  ret void
}
"""


def test_constants_are_read_at_their_offsets_whatever_else_is_loaded():
    first, second = object_code(FILL), object_code(TABLE)
    for codes in ((second,), (first, second), (second, first)):
        loaded = Loaded(*codes)
        assert ctypes.CFUNCTYPE(ctypes.c_int64)(loaded.address("main"))() == 30


def test_functions_of_the_process_are_called():
    loaded = Loaded(object_code(FILL), object_code(TABLE))
    fill = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(loaded.address("fill"))
    source, target = np.arange(100.0), np.zeros(100)
    fill(target.ctypes.data, source.ctypes.data)
    np.testing.assert_array_equal(target[:5], [1, 3, 5, 7, 4])
    np.testing.assert_array_equal(target[4:], source[4:])


def test_an_engine_holds_no_module_that_it_would_compile():
    loaded = Loaded(object_code(TABLE))
    assert not loaded._engine._modules
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(loaded.address("main"))() == 30


def test_engines_are_freed_one_after_the_other():
    code = object_code(TABLE)
    for _ in range(50):
        assert Loaded(code).address("main")


def test_modules_compiled_side_by_side_are_those_compiled_alone():
    texts = [FILL.replace("1.0", f"{i}.5").replace("@fill", f"@fill{i}") for i in range(16)]
    texts += [TABLE.replace("i64 10", f"i64 {i}") for i in range(16)]
    alone = [object_code(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            assert list(pool.map(object_code, texts)) == alone


@pytest.mark.parametrize("shape", [(), (9,), (3, 5)], ids=str)
def test_rounding_to_float16_calls_no_function(shape):
    """LLVM made one rounding of two, by a function of its own that is not linked."""
    half = np.dtype(np.float16)
    stream = Stream(half, contiguous(shape).strides)
    arctan = Node(Operation("arctan", (), (half,), half), (0,))
    kernel = emit_loop(LoopSpec(shape, (stream,), (arctan,), ((1, stream),)))
    text = kernel.phases[0].text.replace("@@", "@kernel").replace("internal ", "")
    module = llvm.parse_assembly(text, llvm.create_context())
    triple = module.triple = host()[0]
    processors = ["x86-64-v3", "x86-64-v4"] if triple.startswith("x86_64") else [host()[1]]
    for processor in processors:
        machine = llvm.Target.from_triple(triple).create_target_machine(processor, opt=2)
        assert "__trunc" not in machine.emit_assembly(module)


def test_one_module_after_the_other_is_compiled_as_in_a_thread_of_its_own():
    texts = [TABLE, FILL, TABLE, FILL]
    with ThreadPoolExecutor(1) as pool:
        alone = [*pool.map(object_code, texts[:2])]
    assert [object_code(t) for t in texts] == 2 * alone
    assert object_code(FILL, 0) != alone[1] == object_code(FILL)
