"""Products, norms and angles: composed of simpler operations on germs, at every point.

At a regular point the first term is NumPy's own value.
"""

from __future__ import annotations

import numpy as np

from chainrule.germs.elementwise import elementwise, with_limits
from chainrule.germs.evaluation import Run, rule
from chainrule.germs.linear import linear
from chainrule.germs.powers import power
from chainrule.germs.series import (
    Germ,
    add,
    chosen,
    constant,
    multiply,
    normal,
    scaled,
    shifted,
    typed,
)
from chainrule.germs.smooth import smooth
from chainrule.program.op import REGISTRY
from chainrule.program.program import Equation, Var


def _gathered(g: Germ, places: np.ndarray) -> Germ:
    """The elements at these flat places, as an array of their shape."""
    flat = places.reshape(-1)
    type_ = g.type.with_shape(places.shape)
    return Germ(type_, g.terms[:, flat], g.order[flat], g.known[flat])


def _flattened(g: Germ, axes) -> Germ:
    """The germ as rows (outputs, entries), `axes` being joined to the second."""
    places = np.arange(g.order.size).reshape(g.shape)
    kept = tuple(a for a in range(places.ndim) if a not in axes)
    moved = places.transpose(*kept, *axes)
    outputs = int(np.prod([g.shape[a] for a in kept], dtype=np.int64))
    return _gathered(g, moved.reshape(outputs, places.size // outputs if outputs else 0))


@rule("prod")
def _prod(run: Run, equation: Equation, inputs: list) -> Germ:
    (x,) = inputs
    out = equation.outputs[0].type
    rows = _flattened(x, equation.params["axes"])
    while rows.shape[1] > 1:
        count = rows.shape[1]
        places = np.arange(rows.order.size).reshape(rows.shape)
        one, two = places[:, : count // 2], places[:, count // 2 : count // 2 * 2]
        half = out.with_shape(one.shape)
        product = multiply(_gathered(rows, one), _gathered(rows, two), half)
        rest = _gathered(rows, places[:, count // 2 * 2 :])
        rows = _beside(product, rest)
    if rows.shape[1] == 0:
        return constant(np.ones(out.shape), run.window, out)
    plain = equation.op.evaluate(x.wide_limit(), **equation.params)
    return with_limits(typed(rows, out), np.asarray(plain).reshape(-1))


def _beside(x: Germ, y: Germ) -> Germ:
    """Two arrays of rows joined along the second axis."""
    rows, n, m = x.shape[0], x.shape[1], y.shape[1]

    def joined(a, b):
        k = a.shape[0]
        parts = [a.reshape(k, rows, n), b.reshape(k, rows, m)]
        return np.concatenate(parts, axis=2).reshape(k, rows * (n + m))

    return Germ(
        x.type.with_shape((rows, n + m)),
        joined(x.terms, y.terms),
        joined(x.order[None], y.order[None])[0],
        joined(x.known[None], y.known[None])[0],
    )


@rule("cumprod")
def _cumprod(run: Run, equation: Equation, inputs: list) -> Germ:
    """Running products in log2(n) rounds (Hillis and Steele, 1986)."""
    (x,) = inputs
    axis = equation.params["axis"]
    places = np.moveaxis(np.arange(x.order.size).reshape(x.shape), axis, -1)
    out, reach, n = x, 1, x.shape[axis]
    while reach < n:
        before = np.empty_like(places)
        before[..., reach:] = places[..., : n - reach]
        before[..., :reach] = places[..., :reach]
        back = np.empty(x.order.size, np.int64)
        back[places.reshape(-1)] = before.reshape(-1)
        alone = np.zeros(x.order.size, bool)
        alone[places[..., :reach].reshape(-1)] = True
        product = multiply(out, _gathered(out, back), x.type)
        out = chosen(alone, typed(out, x.type), product, x.type)
        reach *= 2
    plain = equation.op.evaluate(x.wide_limit(), axis=axis)
    return with_limits(typed(out, equation.outputs[0].type), np.asarray(plain).reshape(-1))


_SUM = REGISTRY["sum"]


def _root(run: Run, square: Germ) -> Germ:
    return power(run, square, np.float64(0.5), np.sqrt)


@rule("norm", "safe_norm")
def _norm(run: Run, equation: Equation, inputs: list):
    (x,) = inputs
    out = equation.outputs[0].type
    largest = _power_of_two(np.abs(x.terms).max(initial=0.0))
    small = Germ(x.type, x.terms / largest, x.order, x.known)
    squares = multiply(small, _conjugated(small), x.type)
    squares = normal(out.with_shape(x.shape), squares.terms.real, squares.order, squares.known)
    summed = Equation(_SUM, equation.inputs, equation.params, (Var(out),), equation.line)
    total = linear(run, summed, [squares])
    plain = np.asarray(equation.op.evaluate(x.wide_limit(), **equation.params)).reshape(-1)
    return with_limits(scaled(_root(run, total), largest), plain)


def _conjugated(x: Germ) -> Germ:
    return Germ(x.type, np.conj(x.terms), x.order, x.known)


def _power_of_two(size):
    """The power of two next to a size: dividing by it is exact."""
    return np.ldexp(1.0, np.frexp(np.where(np.isfinite(size), size, 0.0))[1])


@elementwise("hypot")
def _hypot(run: Run, equation: Equation, x: Germ, y: Germ) -> Germ:
    type_ = equation.outputs[0].type
    largest = _power_of_two(np.maximum(np.abs(x.terms[0]), np.abs(y.terms[0])))
    one, two = scaled(typed(x, type_), 1 / largest), scaled(typed(y, type_), 1 / largest)
    total = add(multiply(one, one, type_), multiply(two, two, type_), type_)
    out = scaled(_root(run, total), largest)
    return with_limits(out, np.hypot(x.wide_limit().ravel(), y.wide_limit().ravel()))


@elementwise("arctan2")
def _arctan2(run: Run, equation: Equation, y: Germ, x: Germ) -> Germ:
    """The angle does not change when both sides are divided by the same power of s, which makes
    one of them regular."""
    type_ = equation.outputs[0].type
    y, x = typed(y, type_), typed(x, type_)
    common = np.minimum(y.order, x.order)
    common = np.where((common >= (1 << 39)) | y.wild | x.wild, 0, common)
    return smooth(run, equation, [shifted(y, -common), shifted(x, -common)])[0]
