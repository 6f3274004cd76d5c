"""Which operations have a kernel of their own, and who emits it."""

from __future__ import annotations

from chainrule.compiler.kernel import Emitter
from chainrule.compiler.llvm.gemm_contract import emit_contract

EMITTERS: dict[str, Emitter] = {
    "contract": emit_contract,
}
