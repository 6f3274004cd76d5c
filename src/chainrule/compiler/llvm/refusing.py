"""refuse: the status is set where a condition holds."""

from __future__ import annotations

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Site
from chainrule.compiler.llvm.code import Code, constant
from chainrule.compiler.llvm.walk import load_element, operand_pointers, set_status


def emit_refuse(site: Site) -> Kernel:
    """The kernel of `refuse`."""
    code = Code()
    condition, out, status = operand_pointers(code, site.inputs, 2)
    held = load_element(code, condition, site.inputs[0])
    code.store(held, out, 1)
    code.branch_if(code.compare("ne", held, constant("i8", 0)), "refused", "done")
    code.start_block("refused")
    set_status(code, status)
    code.line("br label %done")
    code.start_block("done")
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD)),), can_fail=True)
