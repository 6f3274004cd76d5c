"""Speed of generated products of matrices on one thread, beside NumPy's, in one run.

    OPENBLAS_NUM_THREADS=1 python benchmarks/matrix_products.py [NAME ...]

prints a table (only the rows whose names hold one of the NAMEs): the shape, the dtype, GFLOP/s of
the generated kernel (repeated in a native loop), its share of the ceiling, and GFLOP/s of NumPy
(called from Python into an array made before, so small shapes include the call). The ceiling is
measured by a loop of independent fma. Ours and NumPy's are timed in turn; the best of the rounds
counts. A last column gives the milliseconds in which the kernel was emitted and compiled.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is loaded

import ctypes
import sys
import time

import numpy as np

from chainrule.compiler.kernel import Place, Site, contiguous_place
from chainrule.compiler.llvm.code import Code, Value, constant, vector
from chainrule.compiler.llvm.gemm_contract import emit_contract
from chainrule.compiler.machine_code import Loaded, object_code, vector_bytes
from chainrule.program.op import REGISTRY
from chainrule.program.types import array_type

ROUNDS, SECONDS = 60, 0.003  # rounds of so long each: short ones find quiet moments
MOST_SECONDS = 3.0  # for a row, where one call takes long
ACCUMULATORS = 10  # of the loop that measures the ceiling: independent, and within 16 registers


def layer(m: int, k: int, n: int) -> list[tuple[str, str, tuple, tuple]]:
    """The three products of a dense layer: X W, X^T G and G W^T."""
    return [
        (f"{m}x{k}x{n}", "nn", (m, k), (k, n)),
        (f"{k}x{m}x{n} X^T G", "tn", (m, k), (m, n)),
        (f"{m}x{n}x{k} G W^T", "nt", (m, n), (k, n)),
    ]


def square(n: int) -> tuple[str, str, tuple, tuple]:
    return f"{n}x{n}x{n}", "nn", (n, n), (n, n)


ROWS = [
    *map(square, (8, 16, 32, 64, 100, 128, 256, 512, 1000, 1024, 2048)),
    *layer(64, 784, 256), *layer(64, 256, 128), *layer(64, 128, 10),
    *layer(256, 784, 256), *layer(256, 256, 128), *layer(256, 128, 10),
    *layer(256, 1024, 1024),
    *layer(32, 20, 64), *layer(32, 64, 64), *layer(32, 64, 1),
    ("1024x1024 vector", "nn", (1024, 1024), (1024, 1)),
    ("vector 1024x1024", "nn", (1, 1024), (1024, 1024)),
    ("1024x1024^T vector", "tn", (1024, 1024), (1024, 1)),
    ("vector 1024x1024^T", "nt", (1, 1024), (1024, 1024)),
    ("100x100 vector", "nn", (100, 100), (100, 1)),
    ("outer 256x256", "nn", (256, 1), (1, 256)),
    ("outer 1000x1000", "nn", (1000, 1), (1, 1000)),
    ("1000 of 8x8x8", "bnn", (1000, 8, 8), (1000, 8, 8)),
    ("1000 of 4x4x4", "bnn", (1000, 4, 4), (1000, 4, 4)),
    ("64 of 64x32x64 Q K^T", "bnt", (64, 64, 32), (64, 64, 32)),
    ("64 of 64x64x32", "bnn", (64, 64, 64), (64, 64, 32)),
]  # fmt: skip


def native_loop(kernel, name: str = "repeated") -> str:
    """The text of the kernel's phases and of a function that runs all of them `%times` times."""
    texts = [
        p.text.replace("define internal", "define").replace("@@", f"@phase{i}")
        for i, p in enumerate(kernel.phases)
    ]
    code = Code()
    with code.loop(0, Value("%times", "i64")):
        for i, phase in enumerate(kernel.phases):
            code.line(f"call void @phase{i}(ptr %args, i64 0, i64 {phase.tasks})")
    code.line("ret void")
    return "\n".join([*texts, code.function(f"define void @{name}(ptr %args, i64 %times)")])


def ceiling(dtype: str) -> float:
    """GFLOP/s of independent fma in registers."""
    size = np.dtype(dtype).itemsize
    type_ = vector("float" if dtype == "f" else "double", vector_bytes() // size)
    code = Code()
    args = Value("%args", "ptr")
    factor = code.load(args, type_)
    start = [constant(type_, 0)] * ACCUMULATORS
    with code.loop(0, Value("%times", "i64"), carried=start) as loop:
        loop.next(*[code.fma(factor, factor, x) for x in loop.carried])
    total = loop.results[0]
    for x in loop.results[1:]:
        total = code.fadd(total, x)
    code.store(total, args)
    code.line("ret void")
    loaded = Loaded(object_code(code.function("define void @repeated(ptr %args, i64 %times)")))
    run = function(loaded)
    memory = np.zeros(64, np.uint8)
    times = 200_000
    best = min(timed(lambda: run(memory.ctypes.data, times)) for _ in range(ROUNDS))
    return 2 * ACCUMULATORS * (vector_bytes() // size) * times / best / 1e9


def function(loaded: Loaded):
    form = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
    return form(loaded.address("repeated"))


def timed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(kind: str, shape_x, shape_y, dtype: str):
    """(flops, seconds of ours, seconds of NumPy's, seconds to compile)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape_x).astype(dtype)
    y = rng.standard_normal(shape_y).astype(dtype)
    stacked = kind.startswith("b")
    x = x.swapaxes(-1, -2) if kind[-2] == "t" else x
    y = y.swapaxes(-1, -2) if kind[-1] == "t" else y
    first = 1 if stacked else 0
    params = {"axes": ((first + 1,), (first,)), "batch": ((0,), (0,)) if stacked else ((), ())}
    types = [array_type(a.shape, a.dtype) for a in (x, y)]
    places = tuple(
        Place(t, tuple(s // a.itemsize for s in a.strides))
        for t, a in zip(types, (x, y), strict=True)
    )
    out_type = REGISTRY["contract"].type_rule(*types, **params)[0]
    site = Site("contract", params, places, (contiguous_place(out_type),))
    start = time.perf_counter()
    kernel = emit_contract(site)
    loaded = Loaded(object_code(native_loop(kernel)))
    compiled = time.perf_counter() - start
    ours, theirs = np.empty(out_type.shape, dtype), np.empty(out_type.shape, dtype)
    scratch = np.empty(kernel.scratch + 64, np.uint8)
    pointers = [x.ctypes.data, y.ctypes.data, ours.ctypes.data, -(-scratch.ctypes.data // 64) * 64]
    table = (ctypes.c_void_p * 4)(*pointers)
    run = function(loaded)
    address = ctypes.addressof(table)
    run(address, 1)
    np.matmul(x, y, out=theirs)
    assert np.allclose(ours, theirs, rtol=1e-3, atol=1e-3)
    times_ours = max(1, int(SECONDS / max(timed(lambda: run(address, 1)), 1e-7)))
    times_theirs = max(1, int(SECONDS / timed(lambda: np.matmul(x, y, out=theirs))))
    best_ours = best_theirs = float("inf")
    multiply = np.matmul if stacked else np.dot

    def numpy_loop() -> None:
        for _ in range(times_theirs):
            multiply(x, y, out=theirs)

    start = time.perf_counter()
    for _ in range(ROUNDS):
        if time.perf_counter() - start > MOST_SECONDS:
            break
        best_ours = min(best_ours, timed(lambda: run(address, times_ours)) / times_ours)
        best_theirs = min(best_theirs, timed(numpy_loop) / times_theirs)
    flops = 2 * out_type.size * x.shape[-1]
    return flops, best_ours, best_theirs, compiled


def main() -> None:
    wanted = [a for a in sys.argv[1:] if a not in ("f", "d")]
    dtypes = [a for a in sys.argv[1:] if a in ("f", "d")] or ["f", "d"]
    for dtype in dtypes:
        top = ceiling(dtype)
        print(f"\n{np.dtype(dtype).name}: ceiling {top:.1f} GFLOP/s\n")
        heads = zip(("ours", "share", "NumPy", "ratio", "ms"), (7, 6, 7, 6, 5), strict=True)
        print(f"{'m x k x n':28s}", *(f"{head:>{width}s}" for head, width in heads))
        for name, *case in ROWS:
            if wanted and not any(part in name for part in wanted):
                continue
            flops, ours, theirs, compiled = measure(*case, dtype)
            ours, theirs = flops / ours / 1e9, flops / theirs / 1e9
            mark = "" if ours >= theirs else "  <"
            print(
                f"{name:28s} {ours:7.1f} {100 * ours / top:5.0f}% {theirs:7.1f} "
                f"{ours / theirs:6.2f} {1e3 * compiled:5.0f}{mark}", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
