"""Debug mode names what is at fault: a rewrite, a kernel."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import testing
from chainrule.compiler.llvm import elementwise
from chainrule.compiler.llvm.reductions import emit_loop


def network(w, x):
    return cr.grad(lambda w: np.sum(np.tanh(x @ w) ** 2))(w)


ARGS = (np.arange(6.0).reshape(2, 3) / 7, np.arange(8.0).reshape(4, 2) / 9)


def test_right_compilation_passes():
    testing.check_compiled(network, ARGS)


def test_wrong_kernel_is_named_with_its_line(monkeypatch):
    takes, _ = elementwise.RULES["square"]
    wrong = (takes, lambda code, operation, x: code.fmul(x, code.like(x, 3.0)))
    emit_loop.cache_clear()
    monkeypatch.setitem(elementwise.RULES, "square", wrong)
    try:
        with pytest.raises(testing.WrongCompilation, match=r"kernel of square at test_debug\.py"):
            testing.check_compiled(lambda x: np.sum(np.square(x) + 1.0), (np.arange(5.0),))
    finally:
        emit_loop.cache_clear()
