"""Debug mode: the result of every pass and rewrite compared with the reference evaluator.

`compare_stages(program, values)` lowers one operation after the other and adds one rewrite after
the other, runs the program after each, and names the first whose result is not the one before it.

The programs are run equation by equation, each value laid out in C order, so that the order of
NumPy's sums (which follows the layout of memory) does not depend on how a value was made.

Source    the idea: PyTensor's DebugMode.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.compiler.lower import LOWERINGS, lower
from chainrule.program.cost import subprograms
from chainrule.program.program import Program
from chainrule.program.walk import walk
from chainrule.transforms.refused import without_refused
from chainrule.transforms.rewriting import Rewrite
from chainrule.transforms.simplify import DEFAULT, remove_barriers, simplify

ROUNDING = 4096.0  # units in the last place (of the largest entry) by which rounding may differ


# --- the reference in C order ---------------------------------------------------------------------


def run_in_c_order(program: Program, values: Sequence) -> list:
    """The outputs of a closed program, equation by equation on NumPy, each value in C order."""
    return walk(
        program, list(map(_in_c_order, values)),
        lambda equation, inputs, made: list(map(_in_c_order, made)),
    )  # fmt: skip


def _in_c_order(value):
    return np.array(value, order="C")[()]


# --- the comparison -------------------------------------------------------------------------------


def compare_stages(
    program: Program, values: Sequence, rewrites: Sequence[Rewrite] = DEFAULT
) -> str | None:
    """The first stage whose result differs from the one before it; None where none does.

    Stages are "lower: softmax" for an operation that is written out, "simplify: name" for a
    rewrite, "what is refused is false" and "remove barriers". Rewrites that change nothing are held
    to every bit (but those of a nan); the others, and operations written out, to rounding.
    """
    wanted = run_in_c_order(program, values)
    for name, made, exact in _stages(program, rewrites):
        found = run_in_c_order(made, values)
        if not all(same_result(a, b, exact) for a, b in zip(found, wanted, strict=True)):
            return name
        wanted = found
    return None


def _stages(program: Program, rewrites: Sequence[Rewrite]):
    present = sorted(_names(program) & set(LOWERINGS))
    for i, name in enumerate(present):
        yield f"lower: {name}", lower(program, keep=set(LOWERINGS) - set(present[: i + 1])), False
    program = lower(program)
    yield "lower: control flow", program, False
    rewrites = sorted(rewrites, key=lambda r: r.changes != "nothing")  # those held to bits first
    for i, rewrite in enumerate(rewrites):
        program = simplify(program, rewrites[: i + 1])
        yield f"simplify: {rewrite.name}", program, rewrite.changes == "nothing"
    program = without_refused(program)
    yield "what is refused is false", program, True
    yield "remove barriers", remove_barriers(program), True


def _names(program: Program) -> set[str]:
    found = {e.op.name for e in program.equations}
    for equation in program.equations:
        for _, inner in subprograms(equation):
            found |= _names(inner)
    return found


def same_result(found, wanted, exact: bool = True) -> bool:
    """Whether two values have the same type and bits; with `exact` False, up to rounding.

    Every nan counts as the same; the sign of a zero counts where `exact`.
    """
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.dtype != wanted.dtype or found.shape != wanted.shape:
        return False
    if wanted.dtype.kind == "c":
        return same_result(found.real, wanted.real, exact) and same_result(
            found.imag, wanted.imag, exact
        )
    if wanted.dtype.kind != "f":
        return bool(np.array_equal(found, wanted))
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    if exact:
        signs = (np.signbit(found) == np.signbit(wanted)) | np.isnan(wanted)
        return bool(np.all(same & signs))
    return bool(np.all(same | _near(found, wanted)))


def _near(found, wanted):
    both = np.isfinite(found) & np.isfinite(wanted)
    a, b = np.where(both, found, 0), np.where(both, wanted, 0)
    largest = np.max(np.abs(b), initial=0)
    with np.errstate(over="ignore"):
        return both & (np.abs(a - b) <= ROUNDING * np.finfo(wanted.dtype).eps * largest)
