"""The kernel of `stop_where`: it fails where the condition holds."""

from __future__ import annotations

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Site
from chainrule.compiler.llvm.code import Code, constant
from chainrule.compiler.llvm.walk import load_element, operand_pointers, set_status


def emit_stop(site: Site) -> Kernel:
    """The kernel of `stop_where`."""
    code = Code()
    condition, out, status = operand_pointers(code, site.inputs, 2)
    holds = load_element(code, condition, site.inputs[0])
    code.store(holds, out, 1)
    with code.if_(code.compare("ne", holds, constant("i8", 0))):
        set_status(code, status)
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD)),), can_fail=True)
