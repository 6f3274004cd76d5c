"""Limits of a program's outputs along germs: x + eps v and x - eps v, eps -> 0+."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.germs.evaluation import FinerRoot, Run, Unsupported, evaluate_in
from chainrule.germs.generic import direction
from chainrule.germs.series import EXACT, Germ, normal, wide
from chainrule.program.program import Program
from chainrule.program.types import Type, type_of

WINDOWS = (3, 6, 12, 24)  # how many powers of eps are kept, in one attempt after the other
LARGE = 1 << 21  # values in a program that is attempted with the first two only
_LARGEST_ROOT = 24
_STEADY = 1e-8  # relative change of a limit by rounding, when log s is another number


def directions(types: Sequence[Type], seed: int = 0) -> list[np.ndarray]:
    """A generic direction: for each type an array (levels, *shape) of non-zero whole numbers.

    The first level is v in x + eps v + eps^2 w + eps^3 u. Where there is more than one number, the
    further levels tell apart what coincides in the first. Sums of entries are exact.
    Both parts of complex entries are whole numbers.

    >>> from chainrule.program.types import array_type
    >>> [d.shape for d in directions([array_type((3,), np.dtype(float))])]
    [(3, 3)]
    """
    levels = 1 if sum(t.size for t in types) <= 1 else 3
    return [_levels(t, number, levels, seed) for number, t in enumerate(types)]


def _levels(type_: Type, number: int, levels: int, seed: int) -> np.ndarray:
    """The levels of one direction; of complex inputs both parts move."""
    made = np.stack([direction(type_, number, level, seed) for level in range(levels)])
    if type_.dtype.kind != "c":
        return made
    others = [direction(type_, number, level + levels, seed) for level in range(levels)]
    return made + 1j * np.stack(others)


def along(value, directions: np.ndarray, sign: int = 1, run: Run | None = None) -> Germ:
    """The germ of `value + sign * (eps v + eps^2 w + ...)`, for the levels of the directions.

    Infinities and nan do not move.

    **Shapes** `directions` is (levels, *shape). Levels beyond the terms that the run keeps are left
    out: the germ ends before them, it is not cut off.

    >>> along(2.0, np.array([5.0])).limit()
    array(2.)
    """
    run = Run(WINDOWS[0]) if run is None else run
    value = np.asarray(value)
    type_ = type_of(value)
    flat = value.reshape(-1).astype(wide(value.dtype))
    window = run.window
    terms = np.zeros((window, flat.size), flat.dtype)
    terms[0] = flat
    known = np.full(flat.size, EXACT)
    for level, v in enumerate(np.asarray(directions), 1):
        if level * run.root < window:  # the germ of the first attempt has no third level
            terms[level * run.root] = np.where(np.isfinite(flat), sign * v.reshape(-1), 0.0)
    return normal(type_, terms, np.zeros(flat.size, np.int64), known)


def evaluate(program: Program, inputs: Sequence) -> list:
    """The outputs of a closed program: inputs are germs (moving) or arrays (fixed), and so are
    the outputs.

    **Errors** `Unsupported` where an operation has no rule, `FinerRoot` where a root of an odd
    power of eps is met (`limits` begins again with a root of eps).

    >>> import chainrule as cr
    >>> program = cr.trace(lambda x: np.sin(x) / x, 0.0)
    >>> evaluate(program, [along(0.0, np.array([1.0]))])
    [Germ(f64[], limit=array(1.))]
    """
    windows = [x.window for x in inputs if isinstance(x, Germ)]
    return evaluate_in(Run(windows[0] if windows else 1), program, inputs)


def limits(
    program: Program, values: Sequence, moving: Sequence[bool], sign: int = 1, seed: int = 0
) -> list[np.ndarray]:
    """The limits of all outputs of a closed program, eps -> 0+, as its moving inputs go along
    x + sign * (eps v + eps^2 w + ...) to their values.

    **Maths** every variable is a Puiseux series in eps; the coefficient of eps^0 is the limit.
    **dtypes** the program's; computed in float64 or complex128.
    **Errors** `Unsupported(op)` where an operation has no rule in germs. An output that is infinite
    on the germ is inf; one outside the domain, or not determined by the terms kept, is nan.
    **Cost** with K terms kept (3, and 6, 12, 24 where they do not decide), a product is K^2/2
    products and a smooth operation K evaluations of its derivative rule.

    >>> import chainrule as cr
    >>> slope = cr.trace(cr.grad(lambda x: np.sqrt(x * x), kinks="convention"), 0.0)
    >>> [float(limits(slope, [0.0], [True], sign)[0]) for sign in (1, -1)]
    [1.0, -1.0]
    """
    types = [v.type for v, m in zip(program.inputs, moving, strict=True) if m]
    ways = iter(directions(types, seed))
    chosen = [next(ways) if m else None for m in moving]
    with np.errstate(all="ignore"):
        outputs, root, run = _determined(program, values, chosen, sign)
        found = [o.limit() if isinstance(o, Germ) else np.asarray(o) for o in outputs]
        if run.met_logarithm:
            again = Run(run.window, root, 2 * run.log)
            outputs = evaluate_in(again, program, _inputs(values, chosen, sign, again))
            found = [_diverging(a, b) for a, b in zip(found, outputs, strict=True)]
    return found


def _determined(program: Program, values, chosen, sign: int):
    """The outputs, with as many terms as they need (or as there may be), and in which root."""
    root = 1
    values_made = sum(v.type.size for e in program.equations for v in e.outputs)
    for window in WINDOWS[:2] if values_made > LARGE else WINDOWS:
        outputs, root, run = _attempt(program, values, chosen, sign, window, root)
        vague = any(isinstance(o, Germ) and o.undetermined.any() for o in outputs)
        if not (run.undecided or vague):
            break
    return outputs, root, run


def _attempt(program: Program, values, chosen, sign: int, window: int, root: int):
    while True:
        run = Run(window * root, root)
        try:
            return evaluate_in(run, program, _inputs(values, chosen, sign, run)), root, run
        except FinerRoot as error:
            root *= error.factor
            if root > _LARGEST_ROOT:
                raise Unsupported("power", f"roots of order {root}") from None


def _inputs(values, chosen, sign: int, run: Run) -> list:
    return [
        value if way is None else along(value, way, sign, run)
        for value, way in zip(values, chosen, strict=True)
    ]


def _diverging(limit: np.ndarray, other) -> np.ndarray:
    """The limit; infinite where it changes with the number that stands for log s."""
    if not isinstance(other, Germ) or limit.dtype.kind not in "fc":
        return limit
    change = other.limit() - limit
    changes = np.abs(change) > _STEADY * (1 + np.abs(limit))
    return np.where(changes & np.isfinite(limit), np.sign(change) * np.inf, limit)
