"""Loop kernels of every kind: elementwise, reducing, and both at once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase
from chainrule.compiler.llvm.code import Code
from chainrule.compiler.llvm.elementwise import Operation
from chainrule.compiler.llvm.loops import (
    LoopSpec,
    Node,
    Reduction,
    Stream,
    elementwise_function,
    normalised,
)
from chainrule.compiler.llvm.segments import Segmented


@lru_cache(maxsize=1024)
def emit_loop(spec: LoopSpec) -> Kernel:
    """The kernel of a loop spec."""
    spec = normalised(spec)
    code = Code()
    if not spec.reductions:
        tasks = 1 if 0 in spec.domain else elementwise_function(code, spec)
        code.line("ret void")
        return Kernel((Phase(code.function(HEAD), tasks),))
    return Segmented(spec).kernel()


def emit_finite_check(dtype: np.dtype, shape: tuple[int, ...], strides: tuple[int, ...]) -> Kernel:
    """The kernel that fails where an array holds a nan or an infinity."""
    bools = np.dtype(bool)
    nodes = (
        Node(Operation("isfinite", (), (dtype,), bools), (0,)),
        Node(Operation("logical_not", (), (bools,), bools), (1,)),
    )
    axes = tuple(range(len(shape)))
    out = Reduction("any", 2, bools, Stream(bools, (0,) * len(shape)))  # written over the status
    spec = LoopSpec(shape, (Stream(dtype, strides),), nodes, (), axes, (out,))
    return Segmented(normalised(spec)).whole()._replace(can_fail=True)
