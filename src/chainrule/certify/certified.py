"""certified: a function whose results are proved to be correctly rounded."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from chainrule import errors
from chainrule.certify.arrays import plain
from chainrule.certify.at_hand import CertainValues
from chainrule.certify.evaluate import evaluate
from chainrule.certify.flint import load
from chainrule.certify.proving import MOST_BITS, prove
from chainrule.program.program import Program
from chainrule.program.trace import Traced
from chainrule.tracing import trace_call


def certified(f: Callable, *, most_bits: int = MOST_BITS) -> Callable:
    """The same function, with results that are proved to the last bit.

    The function is traced, and its program evaluated over the real numbers, in ball arithmetic, at
    increasing precision, until every output is known well enough to be rounded: each number that
    comes out is the one of its dtype nearest to the true result. Numbers that go in, and literals,
    are taken as the floating-point numbers that they are; nothing is rounded in between, but where
    the program casts to a narrower dtype. Comparisons, branches, `if` and `while` on values
    included, are decided by the true values. Derivatives are certified as functions are:
    `certified(grad(f))`; where pieces meet they follow `kinks="convention"`.

    **Errors** `Undecided` where `most_bits` do not suffice, naming the line; `NotSupported` for an
    operation without a rule (docs/certainty.md); `ImportError` without python-flint.
    **Cost** some microseconds for an operation on one number at 128 bits; grows with the bits.
    **Source** Johansson, "Arb", IEEE Transactions on Computers 66 (2017).
    **Differs** from floating point: no overflow or underflow on the way; -0.0 is 0.0.

    >>> import numpy as np
    >>> f = lambda x: (1 - np.cos(x)) / x**2
    >>> f(np.float64(1e-8)), certified(f)(1e-8)
    (np.float64(0.0), np.float64(0.5))
    """
    load()
    if not callable(f):
        raise TypeError(f"certified takes a function, got {f!r}.")

    @wraps(f)
    def proved(*args, **kwargs):
        call = trace_call(f, args, kwargs, knows=CertainValues)
        if any(type(v) is Traced for v in call.operands):
            raise errors.NotSupported(
                f"certified({call.name}) was called inside another trace (grad, compile, vmap).\n"
                "  Certify the outermost function: certified(grad(f)), not grad(certified(f))."
            )
        return call.finish(certain(call.program, call.operands, call.name, most_bits))

    return proved


def certain(program: Program, operands: list, name: str, most_bits: int = MOST_BITS) -> list:
    """The outputs of a closed program for host values, each correctly rounded."""

    def attempt(bits: int) -> list:
        found = evaluate(program, operands)
        return [
            plain(value, o.type) if o.type.inexact else value
            for value, o in zip(found, program.outputs, strict=True)
        ]

    outputs = prove(attempt, f"a result of {name}", most_bits)
    return [x if x.ndim else x[()] for x in outputs]
