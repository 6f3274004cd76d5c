"""Speed of generated products of matrices beside NumPy, PyTorch and JAX, in one run.

    python -m benchmarks.matrix_products [--threads N] [--dtype float32] [--page FILE] [NAME ...]

prints a table (only the rows whose names hold one of the NAMEs; peers that are not installed are
left out), and writes it into a page: the shape, GFLOP/s of the generated kernel, its share of the
ceiling of independent fma, GFLOP/s of each peer, and the ratio to the best of them. On one thread
the kernel is repeated in a native loop; on several it is called through `cr.compile`, and rows that
are too small to be divided are left out. Peers are called from Python, NumPy into an array made
before. All are timed in turn; the best of the rounds counts. A first column after the shape gives
the milliseconds in which the kernel was emitted and compiled.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import chainrule as cr
from benchmarks.speed import machine, peers
from chainrule.compiler.kernel import Place, Site, contiguous_place
from chainrule.compiler.llvm.code import Code, Value
from chainrule.compiler.llvm.gemm_contract import emit_contract
from chainrule.compiler.machine_code import Loaded, object_code
from chainrule.program.op import REGISTRY
from chainrule.program.types import array_type

ROUNDS, SECONDS = 60, 0.003  # rounds of so long each: short ones find quiet moments
MOST_SECONDS = 4.0  # for a row, where one call takes long
DIVIDED = 256**3  # multiply-adds from which a product is divided among threads


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


def function(loaded: Loaded):
    form = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
    return form(loaded.address("repeated"))


def timed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def ours_repeated(kind: str, x: np.ndarray, y: np.ndarray, check: np.ndarray):
    """(a call, how many products it makes, seconds to compile): a native loop around the kernel."""
    stacked = kind.startswith("b")
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
    out = np.empty(out_type.shape, x.dtype)
    scratch = np.empty(kernel.scratch + 64, np.uint8)
    pointers = [x.ctypes.data, y.ctypes.data, out.ctypes.data, -(-scratch.ctypes.data // 64) * 64]
    table = (ctypes.c_void_p * 4)(*pointers)
    run, alive = function(loaded), (loaded, out, scratch, table)
    address = ctypes.addressof(table)
    run(address, 1)
    assert np.allclose(out, check, rtol=1e-3, atol=1e-3)
    times = _times(lambda: run(address, 1))
    return lambda alive=alive: run(address, times), times, compiled


def ours_called(kind: str, x: np.ndarray, y: np.ndarray, check: np.ndarray):
    """The same of the compiled function, on all threads of this process."""
    multiply = cr.compile(np.matmul)
    start = time.perf_counter()
    assert np.allclose(multiply(x, y), check, rtol=1e-3, atol=1e-3)
    compiled = time.perf_counter() - start
    return *_repeated(partial(multiply, x, y)), compiled


def _numpy(kind: str, x: np.ndarray, y: np.ndarray) -> Callable:
    out = np.matmul(x, y)
    return partial(np.matmul if kind.startswith("b") else np.dot, x, y, out=out)


def _torch(kind: str, x: np.ndarray, y: np.ndarray) -> Callable:
    import torch

    return partial(torch.matmul, torch.from_numpy(x), torch.from_numpy(y))


def _jax(kind: str, x: np.ndarray, y: np.ndarray) -> Callable:
    """Arrays as they lie in memory, and their transpositions inside the compiled function."""
    import jax

    jax.config.update("jax_enable_x64", True)

    def lying(a, way: str):
        return a.swapaxes(-1, -2) if way == "t" else a

    product = jax.jit(lambda a, b: lying(a, kind[-2]) @ lying(b, kind[-1]))
    arrays = [jax.numpy.asarray(lying(a, way)) for a, way in zip((x, y), kind[-2:], strict=True)]
    return lambda: product(*arrays).block_until_ready()


PEERS = {"numpy": _numpy, "torch": _torch, "jax": _jax}


def _times(call: Callable) -> int:
    """How many calls a round has."""
    call()
    return max(1, int(SECONDS / max(timed(call), 1e-7)))


def _repeated(call: Callable) -> tuple[Callable, int]:
    times = _times(call)

    def run() -> None:
        for _ in range(times):
            call()

    return run, times


def measure(kind: str, shape_x, shape_y, dtype: str, threads: int, others: list[str]):
    """(flops, seconds to compile, seconds of ours and of each of the others)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape_x).astype(dtype)
    y = rng.standard_normal(shape_y).astype(dtype)
    x = x.swapaxes(-1, -2) if kind[-2] == "t" else x
    y = y.swapaxes(-1, -2) if kind[-1] == "t" else y
    check = np.matmul(x, y)
    make = ours_repeated if threads == 1 else ours_called
    run, times, compiled = make(kind, x, y, check)
    runs = [(run, times), *(_repeated(PEERS[name](kind, x, y)) for name in others)]
    best = [float("inf")] * len(runs)
    start = time.perf_counter()
    for _ in range(ROUNDS):
        if time.perf_counter() - start > MOST_SECONDS:
            break
        best = [min(b, timed(run) / times) for b, (run, times) in zip(best, runs, strict=True)]
    return 2 * check.size * x.shape[-1], compiled, best


def main() -> None:
    """Print the table, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.matrix_products", description=__doc__
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows with one of these texts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", choices=("float32", "float64"), help="default: both")
    parser.add_argument("--page", type=Path, metavar="FILE", help="a page to write")
    given = parser.parse_args()
    if os.environ.get("CHAINRULE_THREADS") != str(given.threads):
        peers.prepare("numpy", given.threads)  # before libraries are loaded: in a new process
        os.execv(
            sys.executable, [sys.executable, "-m", "benchmarks.matrix_products", *sys.argv[1:]]
        )
    others = [name for name in PEERS if importlib.util.find_spec(name)]
    if "torch" in others:
        peers.prepare("torch", given.threads)
    limits = machine.measured(given.threads)
    page = []
    for dtype in [given.dtype] if given.dtype else ["float32", "float64"]:
        top = limits[f"fma_{dtype}"] / 1e9
        page += _section(dtype, top, given, others)
    if given.page:
        given.page.write_text(_head(given.threads) + "\n".join(page) + "\n")


def _section(dtype: str, top: float, given, others: list[str]) -> list[str]:
    heads = ["m x k x n", "ms to compile", "chainrule", "of the ceiling", *others, "ratio"]
    lines = [
        f"## {dtype}, ceiling {top:.0f} GFLOP/s", "",
        "| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1),
    ]  # fmt: skip
    print(*lines, sep="\n", flush=True)
    missed = rows = 0
    for name, kind, shape_x, shape_y in ROWS:
        if given.names and not any(part in name for part in given.names):
            continue
        size = int(np.prod(shape_x)) * shape_y[-1]
        if given.threads > 1 and size < DIVIDED:
            continue
        flops, compiled, seconds = measure(kind, shape_x, shape_y, dtype, given.threads, others)
        speeds = [flops / s / 1e9 for s in seconds]
        share, ratio = speeds[0] / top, speeds[0] / max(speeds[1:])
        rows, missed = rows + 1, missed + (ratio < 1.0)
        cells = [name, f"{1e3 * compiled:.0f}", f"{speeds[0]:.1f}", f"{share:.0%}"]
        cells += [*(f"{s:.1f}" for s in speeds[1:]), f"{ratio:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    lines += ["", f"{missed} of {rows} rows below the best peer.", ""]
    print(*lines[-3:], sep="\n", flush=True)
    return lines


def _head(threads: int) -> str:
    about, found = machine.describe(), [(name, peers.installed(name)) for name in PEERS]
    return (
        f"# Products of matrices on {threads} thread{'s' * (threads > 1)}\n\n"
        f"Written by `python -m benchmarks.matrix_products --threads {threads} --page FILE`; "
        "GFLOP/s, the best of many rounds in turn.\n\n"
        f"{about['processor']}, {about['cores']} cores, vectors of {about['vector_bytes']} bytes; "
        f"{', '.join(f'{name} {v}' for name, v in found)}.\n\n"
    )


if __name__ == "__main__":
    main()
