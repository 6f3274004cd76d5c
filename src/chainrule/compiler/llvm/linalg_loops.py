"""Complex matrices through the loops behind numpy.linalg: one call for a stack.

Value     that of numpy.linalg in complex128. One task: its LAPACK may have threads of its own.
Failure   an entry that is not finite, and what NumPy marks with nan (a singular or indefinite
          matrix, no convergence), set the status: the evaluator then raises, or knows what to give.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.compiler.externals import address
from chainrule.compiler.kernel import HEAD, Kernel, Phase, Place, Site
from chainrule.compiler.llvm.code import Code, Index, Value, constant
from chainrule.compiler.llvm.ufunc_loops import LoopCall
from chainrule.compiler.llvm.walk import (
    bytes_of,
    operand_pointers,
    set_status,
    walk_over,
)


def _by_triangle(name: str, types: str, params: dict) -> str:
    return f"{name}_{'lo' if params['lower'] else 'up'}({types})"


_LOOPS: dict[str, Callable[[dict], str]] = {
    "det": lambda params: "det(D->D)",
    "slogdet": lambda params: "slogdet(D->Dd)",
    "inv": lambda params: "inv(D->D)",
    "solve": lambda params: "solve(DD->D)",
    "cholesky": lambda params: _by_triangle("cholesky", "D->D", {"lower": not params["upper"]}),
    "eigh": lambda params: _by_triangle("eigh", "D->dD", params),
    "eigvalsh": lambda params: _by_triangle("eigvalsh", "D->d", params),
    "eig": lambda params: "eig(D->DD)",
    "eigvals": lambda params: "eigvals(D->D)",
    "svd": lambda params: f"svd_{'f' if params['full_matrices'] else 's'}(D->DdD)",
    "singular_values": lambda params: "svd(D->d)",
}
_NEVER_FAIL = {"det", "slogdet"}
NAMES = frozenset(_LOOPS)


def emit_linalg(site: Site) -> Kernel | None:
    """The kernel of an operation on stacks of matrices of complex128s."""
    places = (*site.inputs, *site.outputs)
    if any(p.type.dtype.char != "D" for p in site.inputs) or site.params.get("adjoint"):
        return None
    if any(p.literal is not None or not p.type.size or not p.contiguous for p in places):
        return None
    external = f"linalg.{_LOOPS[site.op](site.params)}"
    if address(external) is None:
        return None
    code, can_fail = Code(), site.op not in _NEVER_FAIL
    found = operand_pointers(code, site.inputs, len(site.outputs) + can_fail + 1)
    pointers, pair = found[: len(places)], found[-1]
    if can_fail:
        for place, pointer in zip(site.inputs, pointers, strict=False):
            _end_unless_finite(code, pointer, place.type.nbytes // 8, found[-2])
    _write_calls(code, site, pointers, pair)
    if can_fail:
        count = site.inputs[0].type.size // _size_of_matrix(site.inputs[0])
        _fail_where_marked(code, pointers[len(site.inputs)], site.outputs[0], count, found[-2])
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD)),), can_fail=can_fail, externals=(external,))


def _size_of_matrix(place: Place) -> int:
    return place.type.shape[-2] * place.type.shape[-1]


def _write_calls(code: Code, site: Site, pointers: list[Value], pair: Value) -> None:
    """The calls; the loop does all matrices along the last axis of the stack."""
    places = (*site.inputs, *site.outputs)
    lead = site.inputs[0].type.ndim - 2
    walk = walk_over(site.inputs[0].type.shape[:lead], *[bytes_of(p)[:lead] for p in places])
    cores = [step for p in places for step in bytes_of(p)[lead:]]
    m, n = site.inputs[0].type.shape[-2:]
    sizes: list[Index] = [m]
    if site.op == "solve":
        sizes.append(site.inputs[1].type.shape[-1])
    elif site.op in ("svd", "singular_values"):
        sizes += [n, min(m, n)]
    call = LoopCall(code, pair, len(places), len(cores))
    assert len(walk.domain) == 1  # all are contiguous
    call.write(pointers, [walk.domain[0], *sizes], [*[s[0] for s in walk.strides], *cores])


def _end_unless_finite(code: Code, pointer: Value, count: int, status: Value) -> None:
    """Set the status and return where some float is nan or infinite: its product with 0 is nan."""
    zero = constant("double", 0.0)
    with code.loop(0, count, carried=[zero]) as loop:
        x = code.load(code.offset(pointer, loop.index, 8), "double")
        loop.next(code.fadd(loop.carried[0], code.fmul(x, zero)))
    total = loop.results[0]
    _end_if(code, code.compare("uno", total, total), status)


def _end_if(code: Code, condition: Value, status: Value) -> None:
    number = code.fresh("end")
    code.branch_if(condition, f"{number}.yes", f"{number}.no")
    code.start_block(f"{number}.yes")
    set_status(code, status)
    code.line("ret void")
    code.start_block(f"{number}.no")


def _fail_where_marked(code: Code, out: Value, place: Place, count: int, status: Value) -> None:
    """Set the status where the first number of some matrix's result is nan."""
    size = place.type.nbytes // count
    with code.loop(0, count, carried=[constant("i1", False)]) as loop:
        x = code.load(code.offset(out, loop.index, size), "double")
        loop.next(code.binary("or", loop.carried[0], code.compare("uno", x, x)))
    _end_if(code, loop.results[0], status)
