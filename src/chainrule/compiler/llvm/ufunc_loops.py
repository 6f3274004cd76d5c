"""Operations as calls of the loops of NumPy's and SciPy's ufuncs, over whole rows.

Value     the evaluator's bits: complex functions with all their special values and branch cuts,
          and what is done in no loop kernel here (quotients rounded down, the spacing of floats).
Threads   the loops hold no lock and no state; tasks are rows, or parts of a single one.
"""

from __future__ import annotations

from typing import NamedTuple

from chainrule.compiler.externals import address
from chainrule.compiler.kernel import HEAD, Kernel, Phase, Place, Site
from chainrule.compiler.llvm.code import I64, POINTER, Code, Index, Value, as_index, constant
from chainrule.compiler.llvm.loops import task_count
from chainrule.compiler.llvm.walk import (
    Walk,
    bytes_of,
    moved,
    operand_pointers,
    task_bounds,
    walk_over,
    write_walk,
)

_COMPLEX = (
    "exp exp2 expm1 log log2 log10 log1p sqrt sin cos tan arcsin arccos arctan sinh cosh tanh "
    "arcsinh arccosh arctanh power maximum minimum fmax fmin"
)
_REAL = {"floor_divide": "efd", "remainder": "efd", "fmod": "efd", "spacing": "efd"}
_SPECIAL = "airy erf erfc erfi wofz wrightomega xlog1py xlogy"
_OF_SCIPY = {**dict.fromkeys(_SPECIAL.split(), "FD"), "lambertw": "D"}

TAKES: dict[str, str] = {**dict.fromkeys(_COMPLEX.split(), "FD"), **_REAL, **_OF_SCIPY}
"""Operations of the same name as a ufunc, and the dtypes for which its loop is called."""

_TOLERANCE = 1e-8  # of scipy.special.lambertw
_WORK = 64  # instructions an element


class _Ufunc(NamedTuple):
    """A ufunc's loop, the numbers that it takes besides, and which of how many results is meant."""

    external: str
    numbers: tuple[tuple[str, float], ...] = ()  # LLVM element, number
    output: int = 0
    outputs: int = 1


def _ufunc_of(site: Site, letters: list[str]) -> _Ufunc:
    given, made = "".join(letters[:-1]), letters[-1]
    if site.op == "lambertw":
        numbers = (("i64", site.params["branch"]), ("double", _TOLERANCE))
        return _Ufunc("ufunc._lambertw(Dld->D)", numbers)
    if site.op == "airy":
        return _Ufunc(f"ufunc.airy({given}->{4 * made})", (), site.params["part"], 4)
    family = "ufunc" if site.op in _OF_SCIPY else "numpy"
    return _Ufunc(f"{family}.{site.op}({given}->{made})")


def emit_ufunc(site: Site) -> Kernel | None:
    """The kernel of an elementwise operation that is a ufunc of NumPy or SciPy."""
    places = (*site.inputs, *site.outputs)
    letters: list[str] = [p.type.dtype.char for p in places]
    if not set(letters) <= set(TAKES.get(site.op, "")):
        return None
    ufunc = _ufunc_of(site, letters)
    if address(ufunc.external) is None:
        return None
    code, out = Code(), site.outputs[0]
    *pointers, target, pair = operand_pointers(code, site.inputs, 2)
    pointers += [code.constant_in_memory(constant(*number)) for number in ufunc.numbers]
    results = [target if i == ufunc.output else code.alloca(16) for i in range(ufunc.outputs)]
    ndim = out.type.ndim
    still = (0,) * ndim
    steps = [
        *[_steps(p, ndim) for p in site.inputs], *[still] * len(ufunc.numbers),
        *[bytes_of(out) if i == ufunc.output else still for i in range(ufunc.outputs)],
    ]  # fmt: skip
    loop = LoopCall(code, pair, len(steps))
    walk = walk_over(out.type.shape, *steps)
    tasks = 1
    if out.type.size:
        along = tuple([s[-1] for s in walk.strides])
        tasks = write_rows(
            code, walk, [*pointers, *results], task_count(_WORK * out.type.size),
            lambda at, count: loop.write(at, [count], along),
        )  # fmt: skip
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD), tasks),), externals=(ufunc.external,))


def _steps(place: Place, ndim: int) -> tuple[int, ...]:
    """Strides in bytes over the result's axes; a number stands everywhere."""
    return bytes_of(place) if place.literal is None and place.strides else (0,) * ndim


def write_rows(code: Code, walk: Walk, pointers, tasks: int, row) -> int:
    """`row(pointers, count)` for the walk's last axis at every place of the others, or for parts of
    a single row; the number of tasks."""
    steps = tuple([s[-1] for s in walk.strides])
    if len(walk.domain) == 1:
        tasks, (start, stop) = task_bounds(code, walk.domain[0], tasks)
        count = code.binary("sub", as_index(stop), as_index(start)) if tasks > 1 else stop
        row(moved(code, pointers, steps, start), count)
        return tasks
    outer = Walk(walk.domain[:-1], tuple([s[:-1] for s in walk.strides])).longest_first(tasks)
    tasks, bounds = task_bounds(code, outer.domain[0], tasks)
    write_walk(
        code, outer, pointers, lambda at: row(at, walk.domain[-1]), bounds if tasks > 1 else None
    )
    return tasks


class LoopCall:
    """Calls of one ufunc's loop, `void (char **arrays, intp *sizes, intp *steps, void *data)`.

    `pair` points to the loop and its data. The loop may move the pointers that it is given, so they
    are written anew each time.
    """

    def __init__(self, code: Code, pair: Value, arrays: int, more: int = 0):
        self.code = code
        self.arrays = code.alloca(8 * arrays, 8)
        self.sizes = code.alloca(8 * (1 + more), 8)
        self.steps = code.alloca(8 * (arrays + more), 8)
        self.function = code.load(pair, POINTER)
        self.data = code.load(code.offset(pair, 8), POINTER)

    def write(self, pointers: list[Value], sizes: list[Index], steps) -> None:
        """One call at these places; `sizes` and `steps` in bytes as NumPy orders them."""
        code = self.code
        for i, pointer in enumerate(pointers):
            code.store(pointer, code.offset(self.arrays, 8 * i))
        for i, size in enumerate(sizes):
            code.store(as_index(size), code.offset(self.sizes, 8 * i))
        for i, step in enumerate(steps):
            code.store(constant(I64, step), code.offset(self.steps, 8 * i))
        code.line(
            f"call void {self.function.text}({self.arrays}, {self.sizes}, {self.steps}, "
            f"{self.data})"
        )
