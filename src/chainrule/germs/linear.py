"""Linear and bilinear operations: applied to the coefficients, one order after the other.

Operations that only move elements move their orders with them. Others mix elements: these are
first aligned, so that row k of every operand holds the coefficients of one power of s.
"""

from __future__ import annotations

import numpy as np

from chainrule.germs.elementwise import NOISE
from chainrule.germs.evaluation import BY_KIND, Run, Unsupported, germ_of, rule
from chainrule.germs.series import (
    EXACT,
    TINY,
    UNKNOWN,
    Germ,
    add,
    lowered,
    normal,
    snap,
    truncated,
    wide,
)
from chainrule.germs.smooth import smooth
from chainrule.germs.steps import beside
from chainrule.program.op import Bilinear, Linear
from chainrule.program.program import Equation

# Operations whose results are sums of entries, or products, with weights that are not negative:
# the same operation on absolute values bounds what rounding leaves of them.
_SUMS = {"sum", "cumsum", "index_add", "segment_sum", "window_sum", "contract", "convolution",
         "convolution_weights", "convolve"}  # fmt: skip


# --- moving -------------------------------------------------------------------------------------


@rule("reshape", "transpose", "broadcast", "flip", "index", "concatenate", "pad", "index_set")
def _move(run: Run, equation: Equation, inputs: list) -> Germ:
    positions = _positions(equation)
    if any(isinstance(x, Germ) for i, x in enumerate(inputs) if i not in positions):
        raise Unsupported(equation.op.name, "its indices move")
    germs = {i: germ_of(run, inputs[i]) for i in positions}

    def moved(rows: dict) -> np.ndarray:
        given = [
            rows[i].reshape(germs[i].shape)[()] if i in rows else x for i, x in enumerate(inputs)
        ]
        return np.asarray(equation.op.evaluate(*given, **equation.params)).reshape(-1)

    terms = np.stack([moved({i: g.terms[k] for i, g in germs.items()}) for k in range(run.window)])
    order = EXACT - moved({i: EXACT - g.order for i, g in germs.items()})  # padding is 0: exact
    known = EXACT - moved({i: EXACT - g.known for i, g in germs.items()})
    return Germ(equation.outputs[0].type, terms, order, known)


def _positions(equation: Equation) -> tuple[int, ...]:
    derivative = equation.op.derivative
    if isinstance(derivative, Linear) and derivative.positions is not None:
        return derivative.positions
    return tuple(range(len(equation.inputs)))


@rule("cast")
def _cast(run: Run, equation: Equation, inputs: list):
    (x,) = inputs
    type_ = equation.outputs[0].type
    if not type_.inexact:
        from_type = x.type
        made = np.trunc(beside(x)) if from_type.dtype.kind == "f" else beside(x)
        return made.astype(type_.dtype).reshape(type_.shape)[()]
    terms = x.terms if type_.dtype.kind == "c" else x.terms.real
    return normal(type_, np.array(terms), x.order, x.known)


# --- mixing -------------------------------------------------------------------------------------


class Aligned:
    """Rows of the coefficients of s**base, s**(base + 1), ... of an array."""

    def __init__(self, run: Run, g: Germ, base: int | None = None, rows: int | None = None):
        settled = ~(g.zero | g.wild | (g.order <= UNKNOWN // 2))
        orders = g.order[settled]
        lowest = int(orders.min()) if orders.size else 0
        lowest = min(lowest, 0) if g.wild.any() else lowest
        self.base = lowest if base is None else base
        reach = int(orders.max()) - self.base if orders.size else 0
        self.rows = min(reach + run.window, 4 * run.window) if rows is None else rows
        place = np.where(settled, g.order - self.base, 0)
        padded = np.zeros((self.rows, g.order.size), g.terms.dtype)
        kept = min(self.rows, g.window)
        padded[:kept] = np.where(settled, g.terms[:kept], 0.0)
        terms, lost = lowered(padded, np.minimum(place, self.rows))
        lost = lost | (settled & (g.terms[kept:] != 0).any(axis=0))
        self.terms = np.array(terms)
        self.precision = np.where(settled, g.precision, EXACT)
        self.precision = np.where(
            lost, np.minimum(self.precision, self.base + self.rows), self.precision
        )
        if g.wild.any():
            self.terms[-self.base, g.wild] = g.terms[0, g.wild]
        unknown = g.order <= UNKNOWN // 2
        if unknown.any():
            run.undecided = True
            self.terms[0, unknown] = np.nan
        self.shape = g.shape
        self.largest = np.abs(self.terms).max(axis=1, initial=0.0)

    def row(self, k: int) -> np.ndarray:
        return self.terms[k].reshape(self.shape)[()]


def linear(run: Run, equation: Equation, inputs: list):
    """A linear operation on aligned germs; where a matrix moves too, its derivative rule."""
    positions = _positions(equation)
    if any(isinstance(x, Germ) for i, x in enumerate(inputs) if i not in positions):
        return smooth(run, equation, inputs)
    germs = {i: germ_of(run, inputs[i]) for i in positions}
    parts = {i: Aligned(run, g) for i, g in germs.items()}
    base = min(a.base for a in parts.values())
    rows = min(max(a.base + a.rows for a in parts.values()) - base, 4 * run.window)
    if any(a.base != base or a.rows != rows for a in parts.values()):
        parts = {i: Aligned(run, g, base, rows) for i, g in germs.items()}

    def applied(values: dict):
        given = [values[i] if i in values else _fixed(x) for i, x in enumerate(inputs)]
        made = equation.op.evaluate(*given, **equation.params)
        return np.asarray(made).reshape(-1)

    terms = np.stack([applied({i: a.row(k) for i, a in parts.items()}) for k in range(rows)])
    if equation.op.name in _SUMS:
        longest = max(g.order.size for g in germs.values())
        bounds = [longest * max(a.largest[k] for a in parts.values()) for k in range(rows)]

        def size(k: int) -> np.ndarray:
            return applied({i: np.abs(a.row(k)) for i, a in parts.items()})

        _snap(equation, terms, base, bounds, size)
    precision = _reach(equation, parts, applied)
    return _collected(run, equation, terms, base, precision)


def _fixed(x):
    x = np.asarray(x)
    return x.astype(wide(x.dtype))[()] if x.dtype.kind in "fc" else x[()]


def _snap(equation: Equation, terms, base: int, bounds, size) -> None:
    """Put 0 where rounding left a sum of larger terms; `size(k)`, the sizes of those in row k, is
    only worked out where the bound of the row says that there may be such sums."""
    noise = NOISE * float(np.finfo(equation.outputs[0].type.dtype).eps)
    sizes = np.zeros(terms.shape)
    some = False
    for k, row in enumerate(terms):
        bound = max(noise, TINY) * bounds[k]
        cancelled = base + k == 0 and bounds[k] > 0 and (row == 0).any()
        if cancelled or ((np.abs(row) <= bound) & (row != 0)).any():
            sizes[k] = size(k)
            some = True
    if some:
        snap(terms, sizes, np.full(terms.shape[1], base), noise)


def _reach(equation: Equation, parts: dict[int, Aligned], applied) -> np.ndarray:
    """The precision of each output: the least of those of the elements that it depends on."""
    least = min(int(a.precision.min()) if a.precision.size else EXACT for a in parts.values())
    most = max(int(a.precision.max()) if a.precision.size else EXACT for a in parts.values())
    size = equation.outputs[0].type.size
    if least == most or equation.op.name not in _SUMS:
        return np.full(size, least)
    out = np.full(size, EXACT)
    levels = {int(p) for a in parts.values() for p in np.unique(a.precision)}
    for level in sorted(levels, reverse=True):
        touched = applied(
            {i: (a.precision == level).reshape(a.shape).astype(float) for i, a in parts.items()}
        )
        out[touched > 0] = level
    return out


def _collected(run: Run, equation: Equation, terms, base: int, precision) -> Germ:
    n = terms.shape[1]
    known = np.where(precision >= EXACT // 2, EXACT, np.clip(precision - base, 0, terms.shape[0]))
    out = normal(equation.outputs[0].type, terms, np.full(n, base), known)
    if out.window < run.window:
        rest = np.zeros((run.window - out.window, n), terms.dtype)
        return Germ(out.type, np.concatenate([out.terms, rest]), out.order, out.known)
    return truncated(out, run.window)


def bilinear(run: Run, equation: Equation, inputs: list) -> Germ:
    """A product: every pair of rows, by the sum of their powers."""
    x, y = (Aligned(run, germ_of(run, value)) for value in inputs)
    base, rows = x.base + y.base, max(x.rows, y.rows)
    out = equation.outputs[0].type
    length = np.sqrt(x.terms.shape[1] * y.terms.shape[1] / max(out.size, 1))

    def applied(one, two):
        return np.asarray(equation.op.evaluate(one, two, **equation.params)).reshape(-1)

    dtype = np.result_type(x.terms, y.terms)
    terms, bounds = np.zeros((rows, out.size), dtype), np.zeros(rows)
    pairs = [(i, j) for i in range(x.rows) for j in range(y.rows) if x.largest[i] * y.largest[j]]
    for i, j in pairs:
        if i + j < rows:
            terms[i + j] += applied(x.row(i), y.row(j))
            bounds[i + j] += length * x.largest[i] * y.largest[j]

    def size(k: int) -> np.ndarray:
        found = [applied(np.abs(x.row(i)), np.abs(y.row(j))) for i, j in pairs if i + j == k]
        return np.sum(found, axis=0) if found else np.zeros(out.size)

    _snap(equation, terms, base, bounds, size)
    precision = _product_reach(x, y, applied, out.size)
    if any(i + j >= rows for i, j in pairs):
        precision = np.minimum(precision, base + rows)
    return _collected(run, equation, terms, base, precision)


def _product_reach(x: Aligned, y: Aligned, applied, size: int) -> np.ndarray:
    out = np.full(size, EXACT)
    if (x.precision >= EXACT).all() and (y.precision >= EXACT).all():
        return out
    there_x = (x.terms != 0).any(axis=0) | (x.precision < EXACT)
    there_y = (y.terms != 0).any(axis=0) | (y.precision < EXACT)
    for level in sorted(map(int, np.unique(x.precision)), reverse=True):
        if level < EXACT:
            at = (x.precision == level).reshape(x.shape).astype(float)
            touched = applied(at, there_y.reshape(y.shape).astype(float)) > 0
            out[touched] = np.minimum(out[touched], level + y.base)
    for level in sorted(map(int, np.unique(y.precision)), reverse=True):
        if level < EXACT:
            at = (y.precision == level).reshape(y.shape).astype(float)
            touched = applied(there_x.reshape(x.shape).astype(float), at) > 0
            out[touched] = np.minimum(out[touched], level + x.base)
    return out


@rule("real", "imag", "conjugate", "join")
def _complex_parts(run: Run, equation: Equation, inputs: list) -> Germ:
    type_ = equation.outputs[0].type
    germs = [germ_of(run, x) for x in inputs]
    if equation.op.name == "join":
        re, im = germs
        turned = Germ(im.type, im.terms * 1j, im.order, im.known)
        return add(re, turned, type_)
    terms = np.stack([equation.op.evaluate(row) for row in germs[0].terms])
    return normal(type_, terms, germs[0].order, germs[0].known)


BY_KIND[Linear] = linear
BY_KIND[Bilinear] = bilinear
