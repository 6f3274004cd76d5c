"""How much memory a program takes on the evaluator, predicted from its plan, equation by equation.

Counted is what a run allocates: every array that the program makes, results included, from when it
is made until its last reader has run, and what operations need for themselves meanwhile. Arguments
are not counted. Views cost nothing and keep alive what they view; updates in place cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from chainrule.program.evaluate import Memory, copied_outputs, is_view, light_broadcasts
from chainrule.program.liveness import last_uses
from chainrule.program.program import Equation, Program


def footprint(program: Program, donated: tuple[int, ...] = ()) -> int:
    """The most bytes that a run of a closed program has allocated at any moment."""
    return max(alive(program, donated), default=0)


def alive(program: Program, donated: tuple[int, ...] = ()) -> list[int]:
    """The bytes allocated while each equation runs, and at the end while results are handed over.

    The number of the entry is the number of the equation.
    """
    uses = last_uses(program)
    memory = Memory(program, uses, donated)
    light = light_broadcasts(program, memory)
    readers: dict[object, int] = {}  # how many living variables keep a root
    size: dict[object, int] = {}
    now, peaks = 0, []
    dies: list[list] = [[] for _ in range(len(program.equations) + 1)]
    for number, equation in enumerate(program.equations):
        for var in equation.outputs:
            dies[max(uses.get(var, number), number)].append(var)
    for number, equation in enumerate(program.equations):
        made = 0
        owns = not is_view(equation) or number in memory.copied  # a view of a literal owns nothing
        for var in equation.outputs:
            root, nbytes = memory.root[var], var.type.nbytes
            readers[root] = readers.get(root, 0) + 1
            if root is var and root not in size:
                size[root] = nbytes if owns else 0
                made += size[root]
        peaks.append(now + made + (0 if equation in light else scratch(equation)))
        now += made
        for var in dies[number]:
            root = memory.root[var]
            readers[root] -= 1
            if not readers[root]:
                now -= size.pop(root, 0)
    copies = zip(program.outputs, copied_outputs(program, memory), strict=True)
    return [*peaks, now + sum(v.type.nbytes for v, copied in copies if copied and not v.is_literal)]


# --- what operations need for themselves ----------------------------------------------------------


def scratch(equation: Equation) -> int:
    """The bytes that an operation has allocated while it runs, beside its result."""
    control = _CONTROL.get(equation.op.name)
    if control is not None:
        return control(**equation.params)
    arrays = _ARRAYS_ON_THE_WAY.get(equation.op.name)
    if arrays is None:
        return 0
    return int(arrays * max(x.type.nbytes for x in (*equation.inputs, *equation.outputs)))


@lru_cache(maxsize=512)
def _body(program: Program, donated: tuple[int, ...] = ()) -> int:
    return footprint(program, donated)


def _results(program: Program) -> int:
    return sum(t.nbytes for t in program.out_types)


def _scan(body, constants, carries, length, reverse) -> int:
    rows = sum(t.nbytes for t in body.out_types[carries:])
    return _body(body, tuple(range(constants, constants + carries))) + (rows if length > 1 else 0)


def _repeat(known, moving, **_) -> int:
    return _body(known) + _results(moving) + max(_body(moving) - _results(moving), 0)


_CONTROL: dict[str, Callable[..., int]] = {
    "scan": _scan,
    "while": lambda test, body, constants: _body(body),
    "cond": lambda branches: max(_body(b) - _results(b) for b in branches),
    "repeat": _repeat,
    "checkpoint": lambda program: _body(program) - _results(program),
    "custom": lambda program, **_: _body(program) - _results(program),
}


# Operations whose NumPy form makes arrays on the way, as many as their largest operand or result:
# measured with tracemalloc, NumPy 2.4.
_ARRAYS_ON_THE_WAY = {
    "clip": 1.0, "binary_exponent": 1.0, "polygamma": 1.0, "sinc": 2.0, "log_ratio": 2.2,
    "logsumexp": 2.2, "softmax_shares": 1.2, "exp_square": 5.0, "i0e_moment": 5.0,
    "polygamma_difference": 7.2, "exp_moment": 7.3, "erfcx_integral": 8.2, "gamma_density": 9.2,
    "gammainc_by_a": 12.2, "beta_density": 14.2, "betainc_by": 18.8,
}  # fmt: skip
