"""Which operations have a kernel of their own, and who emits it."""

from __future__ import annotations

from chainrule.compiler.kernel import Emitter

EMITTERS: dict[str, Emitter] = {}
