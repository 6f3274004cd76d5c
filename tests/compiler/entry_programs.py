"""Small programs with entries, for the tests of the entry."""

import numpy as np

from chainrule.compiler.entry import make_entry
from chainrule.compiler.entry_spec import (
    ArraySpec,
    DictSpec,
    EntrySpec,
    NumberSpec,
    ObjectSpec,
    SameSpec,
    SequenceSpec,
)
from chainrule.compiler.machine_code import Loaded, object_code
from chainrule.program.types import array_type

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


def load() -> Loaded:
    """The programs' code."""
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


def vector(seed=0):
    return np.random.default_rng(seed).standard_normal(N)


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
