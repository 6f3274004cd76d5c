"""This machine: what it is, how fast its multiply-adds are, how fast each level of memory copies.

The ceiling is what twelve independent chains of vector multiply-adds reach, on each thread at once,
as code emitted for the host's widest vectors. A bandwidth is that of a copy inside one level, the
bytes read and the bytes written both counted, each thread in memory of its own: vectors in a loop,
and the C library's copy where that is faster (it writes past the caches).
"""

from __future__ import annotations

import ctypes
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np

CHAINS = 12  # two ports times a latency of four to five cycles, and some
_SECONDS = 0.05
_TRIES = 7
_FALLBACK = {"L1": 32 << 10, "L2": 512 << 10, "L3": 8 << 20}


def describe() -> dict:
    """The machine in words and sizes."""
    return {
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "vector_bytes": vector_bytes(),
        "caches": caches(),
        "python": platform.python_version(),
    }  # fmt: skip


def measured(threads: int) -> dict:
    """Ceilings in flops a second and bandwidths in bytes a second, with so many threads."""
    code = _Code()
    found: dict = {f"fma_{name}": _fma(code, name, threads) for name in ("float32", "float64")}
    found["copy"] = {
        level: _copy(code, size, threads) for level, size in working_sets(threads).items()
    }
    return found


def larger(known: dict, new: dict) -> dict:
    """The larger of each two measurements: what slows a machine down is no limit of it."""
    return {
        key: larger(known.get(key, {}), value) if isinstance(value, dict)
        else max(value, known.get(key, 0.0))
        for key, value in new.items()
    }  # fmt: skip


def working_sets(threads: int) -> dict[str, int]:
    """Bytes of one thread's copy, source and target together, that sit well inside each level."""
    sizes = caches()
    shared = max(sizes["L3"] // threads, 2 * sizes["L2"])
    return {
        "L1": sizes["L1"] // 2, "L2": sizes["L2"] // 2, "L3": shared // 4, "memory": 8 * shared,
    }  # fmt: skip


def level_of(size: float) -> str:
    """The smallest level of memory that holds so many bytes."""
    return next((name for name, room in caches().items() if size <= room), "memory")


def caches() -> dict[str, int]:
    """Bytes of each level of cache that one core sees."""
    found = dict(_FALLBACK)
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        level, kind, size = (
            (index / name).read_text().strip() for name in ("level", "type", "size")
        )
        if kind != "Instruction" and f"L{level}" in found:
            unit = {"K": 1 << 10, "M": 1 << 20}[size[-1]]
            found[f"L{level}"] = int(size[:-1]) * unit
    return found


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def vector_bytes() -> int:
    """The host's widest vectors."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx2") else 16


# --- emitted code ---------------------------------------------------------------------------------

_COPY = """
define void @copy(ptr %to, ptr %from, i64 %bytes, i64 %rounds) {
entry:
  br label %round
round:
  %r = phi i64 [ 0, %entry ], [ %r1, %done ]
  br label %body
body:
  %i = phi i64 [ 0, %round ], [ %i1, %body ]
LINES
  %i1 = add i64 %i, STEP
  %more = icmp ult i64 %i1, %bytes
  br i1 %more, label %body, label %done
done:
  %r1 = add i64 %r, 1
  %again = icmp ult i64 %r1, %rounds
  br i1 %again, label %round, label %exit
exit:
  ret void
}
"""
_UNROLLED = 4


def _copy_text() -> str:
    """A loop that copies four vectors at a time."""
    width, lines = vector_bytes(), []
    for k in range(_UNROLLED):
        lines += [
            f"  %o{k} = add i64 %i, {k * width}",
            f"  %a{k} = getelementptr i8, ptr %from, i64 %o{k}",
            f"  %b{k} = getelementptr i8, ptr %to, i64 %o{k}",
            f"  %v{k} = load <{width} x i8>, ptr %a{k}, align {width}",
            f"  store <{width} x i8> %v{k}, ptr %b{k}, align {width}",
        ]
    return _COPY.replace("LINES", "\n".join(lines)).replace("STEP", str(_UNROLLED * width))


def _fma_text(name: str, scalar: str, lanes: int) -> str:
    """Chains of x = x * a + b; their sum is stored, so that none is left out."""
    vector = f"<{lanes} x {scalar}>"
    call = f"call {vector} @llvm.fma.v{lanes}f{8 * vector_bytes() // lanes}"
    chains = range(CHAINS)
    phis = [f"  %x{k} = phi {vector} [ %v, %entry ], [ %y{k}, %body ]" for k in chains]
    steps = [f"  %y{k} = {call}({vector} %x{k}, {vector} %v, {vector} %v)" for k in chains]
    sums = [f"  %s{k + 1} = fadd {vector} %s{k}, %y{k}" for k in chains]
    return "\n".join([
        f"declare {vector} @llvm.fma.v{lanes}f{8 * vector_bytes() // lanes}"
        f"({vector}, {vector}, {vector})",
        f"define void @{name}(ptr %p, i64 %n) {{", "entry:",
        f"  %v = load {vector}, ptr %p, align 64", "  br label %body", "body:",
        "  %i = phi i64 [ 0, %entry ], [ %i1, %body ]", *phis, *steps,
        "  %i1 = add i64 %i, 1", "  %more = icmp ult i64 %i1, %n",
        "  br i1 %more, label %body, label %exit", "exit:",
        f"  %s0 = fadd {vector} %v, %v", *sums,
        f"  store {vector} %s{CHAINS}, ptr %p, align 64", "  ret void", "}",
    ])  # fmt: skip


class _Code:
    """The emitted functions, called without the GIL."""

    def __init__(self):
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        width = vector_bytes()
        text = "\n".join([
            _copy_text(),
            _fma_text("fma_float32", "float", width // 4),
            _fma_text("fma_float64", "double", width // 8),
        ])  # fmt: skip
        features = llvm.get_host_cpu_features().flatten()
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=features, opt=3
        )
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(text), machine)
        self.engine.finalize_object()
        number, pointer = ctypes.c_int64, ctypes.c_void_p
        self.copy = self._function("copy", pointer, pointer, number, number)
        self.fma = {
            name: self._function(f"fma_{name}", pointer, number) for name in ("float32", "float64")
        }

    def _function(self, name: str, *types):
        return ctypes.CFUNCTYPE(None, *types)(self.engine.get_function_address(name))


def aligned(size: int) -> np.ndarray:
    """Zeroed bytes that start at a multiple of 4096."""
    room = np.zeros(size + 4096, np.uint8)
    start = -room.ctypes.data % 4096
    return room[start : start + size]


def _fma(code: _Code, name: str, threads: int) -> float:
    lanes = vector_bytes() // np.dtype(name).itemsize
    places = [aligned(64) for _ in range(threads)]
    run = code.fma[name]
    work = [lambda n, p=p: run(p.ctypes.data, n) for p in places]
    return 2.0 * CHAINS * lanes * _rate(work)


def _copy(code: _Code, size: int, threads: int) -> float:
    """Bytes a second, read and written, of copies between halves of `size` bytes."""
    half = size // 2 // 4096 * 4096 or 4096
    pairs = [(aligned(half), aligned(half)) for _ in range(threads)]
    for to, source in pairs:
        to[:], source[:] = 1, 2
    loops = [lambda n, a=a, b=b: code.copy(a.ctypes.data, b.ctypes.data, half, n) for a, b in pairs]
    best = _rate(loops)
    if half >= 1 << 20:
        best = max(best, _rate([lambda n, a=a, b=b: _repeat(a, b, n) for a, b in pairs]))
    return 2.0 * half * best


def _repeat(to, source, count: int) -> None:
    for _ in range(count):
        np.copyto(to, source)


def _rate(work: list) -> float:
    """Repetitions a second, over all threads, of the best try."""
    count = 1
    while (seconds := _together(work, count)) < _SECONDS:
        count = count * 2 if seconds < _SECONDS / 4 else int(count * _SECONDS / seconds * 1.2) + 1
    best = min(_together(work, count) for _ in range(_TRIES))
    return len(work) * count / best


def _together(work: list, count: int) -> float:
    """Seconds of all threads' work, started at once."""
    barrier = Barrier(len(work))

    def one(function) -> tuple[float, float]:
        barrier.wait()
        start = time.perf_counter()
        function(count)
        return start, time.perf_counter()

    with ThreadPoolExecutor(len(work)) as pool:
        spans = list(pool.map(one, work))
    return max(end for _, end in spans) - min(start for start, _ in spans)
