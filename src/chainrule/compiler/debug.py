"""Debug mode: which pass, rewrite or kernel changes the result of a program.

The passes are compared by stages.py. Then the program is compiled with every value of it as an
output, and each is compared with the reference evaluator's, in order: the first that differs was
made by the guilty kernel, since what it was made from agrees. Where all agree, but the program
compiled as it is does not, the fusion of kernels or the plan of buffers is at fault.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.compiler.building import prepare
from chainrule.compiler.native import Evaluated, build
from chainrule.compiler.stages import compare_stages, run_in_c_order, same_result
from chainrule.ops.control import with_outputs
from chainrule.program.program import Program


def guilty_part(program: Program, values: Sequence) -> str | None:
    """What makes the compiled program differ from the reference evaluator; None where nothing does.

    Differences within rounding are allowed, as in `compare_stages`.
    """
    stage = compare_stages(program, values)
    if stage is not None:
        return f"the pass {stage!r}"
    return _guilty_kernel(prepare(program), values) or _whole(program, values)


def _guilty_kernel(program: Program, values: Sequence) -> str | None:
    made = [(e, v) for e in program.equations for v in e.outputs]
    everything = with_outputs(program, [v for _, v in made])
    wanted = run_in_c_order(everything, values)
    found = _run(everything, values)
    for (equation, _), a, b in zip(made, found, wanted, strict=True):
        if not same_result(a, b, exact=False):
            where = f" at {equation.where}" if equation.where else ""
            return f"the kernel of {equation.op.name}{where}"
    return None


def _whole(program: Program, values: Sequence) -> str | None:
    wanted, found = run_in_c_order(program, values), _run(program, values)
    for k, (a, b) in enumerate(zip(found, wanted, strict=True)):
        if not same_result(a, b, exact=False):
            return f"the fusion or the memory of output {k}"
    return None


def _run(program: Program, values: Sequence) -> list:
    native = build(program, {})
    arrays = [np.array(v, t.dtype) for v, t in zip(values, program.in_types, strict=True)]
    if isinstance(native, Evaluated):
        return native.run(arrays)
    outputs, failed = native.attempt(arrays)
    return native.run_again(arrays) if failed else outputs
