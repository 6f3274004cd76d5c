"""Equations as sites of kernels, and what they cost; kernels of operations, emitted once."""

from __future__ import annotations

import threading

from chainrule.compiler.emitters import EMITTERS
from chainrule.compiler.kernel import Emitter, Kernel, Place, Site, c_strides, contiguous_place
from chainrule.compiler.steps import Operandlike, Ref
from chainrule.program.program import Equation, Program, Var

_kernels: dict[tuple, Kernel | None] = {}
_KERNELS_KEPT = 512
_lock = threading.Lock()


def site_of(equation: Equation, inputs: list[Operandlike], strides=None) -> Site:
    """The site of an equation on these arrays and numbers; `strides` of its one result."""
    places = tuple(
        [
            x.place() if isinstance(x, Ref) else Place(o.type, (0,) * o.type.ndim, x)
            for x, o in zip(inputs, equation.inputs, strict=True)
        ]
    )
    outputs = tuple([contiguous_place(v.type) for v in equation.outputs])
    if strides is not None:
        outputs = (outputs[0]._replace(strides=strides),)
    return Site(equation.op.name, equation.params, places, outputs)


def kernel_of(site: Site, emitters: dict[str, Emitter] = EMITTERS) -> Kernel | None:
    """The kernel of an operation; the latest ones are kept."""
    if site.op not in emitters:
        return None
    literals = tuple([None if p.literal is None else p.literal.tobytes() for p in site.inputs])
    places = tuple([p._replace(literal=None) for p in site.inputs])
    key = (site.op, tuple(site.params.items()), places, literals, site.outputs)
    with _lock:
        if key in _kernels:
            return _kernels[key]
    made = emitters[site.op](site)
    with _lock:
        _kernels[key] = made
        if len(_kernels) > _KERNELS_KEPT:
            del _kernels[next(iter(_kernels))]
    return made


def flops_of(equation: Equation) -> int:
    """The flops of an operation, predicted from shapes."""
    ins, outs = [x.type for x in equation.inputs], [v.type for v in equation.outputs]
    if equation.op.flops is None:
        return sum(t.size for t in outs)
    return equation.op.flops(ins, outs, equation.params)


def turned_products(program: Program) -> dict[Var, tuple[int, ...]]:
    """The results of products that only one transposition reads, and that one's axes."""
    products = {e.outputs[0] for e in program.equations if e.op.name == "contract"}
    found: dict[Var, tuple[int, ...]] = {}
    for equation in program.equations:
        for x in equation.inputs:
            if x.is_literal:
                continue
            if x in products:
                products.discard(x)
                if equation.op.name == "transpose":
                    found[x] = equation.params["axes"]
            else:
                found.pop(x, None)
    for x in program.outputs:
        if not x.is_literal:
            found.pop(x, None)
    return found


def turned_strides(var: Var, axes: tuple[int, ...]) -> tuple[int, ...]:
    """How an array lies of which the transposition by `axes` is in C order."""
    shape = var.type.shape
    steps = c_strides(tuple([shape[a] for a in axes]))
    return tuple([steps[axes.index(a)] for a in range(len(shape))])


