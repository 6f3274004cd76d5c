"""Rules for sums, products and determinants: log(sum(exp(x))), softmax, variance, norms, ...

A reduction has axes, so these rules are functions. `apply(equation, reader)` looks at the
reductions above an equation, through reshapes and broadcasts of their results (`keepdims`), and
records what takes the equation's place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from chainrule.program.exact import log_of
from chainrule.program.program import Equation, Literal, Operand
from chainrule.transforms.stabilize_patterns import Reader, Terms, is_value
from chainrule.transforms.stabilize_products import log_of_product

_MOVES = ("broadcast", "reshape", "transpose", "flip", "index")
_COMPARED = 1 << 22  # entries of an array whose layout is looked at


@dataclass(frozen=True)
class ReductionRule:
    """One rule: pattern and replacement as the documentation shows them, and what applies it.

    `needs` names operations that stand above whatever it applies to.
    """

    name: str
    pattern: str
    becomes: str
    ops: tuple[str, ...]
    apply: Callable[[Equation, Reader], Operand | None]
    source: str = "ours"
    domain: str = "every number"
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Moved:
    """A value that reshapes, broadcasts and the like have made of another equation's output."""

    source: Equation
    moves: tuple[Equation, ...]  # the first one first


def source_of(operand: Operand, reader: Reader) -> Moved | None:
    """What made an operand, behind the moves of its entries; None for inputs and numbers."""
    moves: list[Equation] = []
    while not operand.is_literal and operand not in reader.barred:
        maker = reader.graph.maker(operand)
        if maker is None:
            return None
        if maker.op.name not in _MOVES:
            return Moved(maker, tuple(moves[::-1]))
        moves.append(maker)
        operand = maker.inputs[0]
    return None


def _from(operand: Operand, name: str, reader: Reader) -> Moved | None:
    found = source_of(operand, reader)
    return found if found is not None and found.source.op.name == name else None


def _as_moved(value: Operand, moves: tuple[Equation, ...], reader: Reader) -> Operand:
    for move in moves:
        value = reader.graph.emit(move.op.name, value, *move.inputs[1:], **move.params)
    return value


def _spread_over(moved: Moved, like: Operand) -> bool:
    """Whether the moves repeat a reduction's result over the axes that it reduced."""
    reduced, axes = moved.source.outputs[0].type, moved.source.params["axes"]
    shape = like.type.shape
    if like.type.size > _COMPARED or any(len(m.inputs) > 1 for m in moved.moves):
        return False
    places = np.arange(reduced.size).reshape(reduced.shape)
    found = places
    for move in moved.moves:
        found = move.op.evaluate(found, **move.params)
    return found.shape == shape and np.array_equal(
        found, np.broadcast_to(np.expand_dims(places, axes), shape)
    )


def _exponent(operand: Operand, reader: Reader) -> Operand | None:
    """x of an operand e^x."""
    node = reader.node(operand)
    return node.inputs[0] if node is not None and node.name == "exp" else None


def _sum_of_exponentials(operand: Operand, reader: Reader) -> tuple[Operand, Moved] | None:
    """x of a moved sum(exp(x)), and the sum."""
    moved = _from(operand, "sum", reader)
    if moved is None:
        return None
    x = _exponent(moved.source.inputs[0], reader)
    return None if x is None or x.is_literal else (x, moved)


# --- log of sums, products and determinants -------------------------------------------------------


def _log_sum_exp(equation: Equation, reader: Reader) -> Operand | None:
    found = _sum_of_exponentials(equation.inputs[0], reader)
    if found is None:
        return None
    x, moved = found
    out = reader.graph.emit("logsumexp", x, axes=moved.source.params["axes"])
    return _as_moved(out, moved.moves, reader)


def _log_one_plus_sum_exp(equation: Equation, reader: Reader) -> Operand | None:
    inner = _log_sum_exp(equation, reader)
    if inner is None:
        return None
    return reader.graph.emit("logaddexp", Literal(inner.type.dtype.type(0)), inner)


def _log_mean_exp(equation: Equation, reader: Reader) -> Operand | None:
    """log(sum(exp(x)) * c) = logsumexp(x) + log(c) for a number c > 0."""
    terms = reader.terms(equation.inputs[0], "product")
    numbers = [(s, y) for s, y in terms if y.is_literal]
    others = [(s, y) for s, y in terms if not y.is_literal]
    if len(others) != 1 or not numbers or others[0][0] < 0:
        return None
    found = _sum_of_exponentials(others[0][1], reader)
    factor = _exact_product(terms)
    if found is None or factor is None or factor <= 0:
        return None
    x, moved = found
    emit = reader.graph.emit
    out = emit("logsumexp", x, axes=moved.source.params["axes"])
    shift = log_of(factor)
    out = emit("add", out, Literal(out.type.dtype.type(shift), exact=shift))
    return _as_moved(out, moved.moves, reader)


def _exact_product(terms: Terms) -> Fraction | None:
    """The product of the numbers among factors; None where one is 0 or not finite."""
    product = Fraction(1)
    for sign, x in terms:
        if not x.is_literal:
            continue
        if not np.isfinite(x.value) or not x.value:
            return None
        exact = Fraction(float(x.value))
        if x.exact is not None and not x.exact.powers:
            exact = x.exact.ratio
        product *= exact**sign
    return product


def _log_softmax(equation: Equation, reader: Reader) -> Operand | None:
    moved = _from(equation.inputs[0], "softmax", reader)
    if moved is None:
        return None
    out = reader.graph.emit("log_shares", *moved.source.inputs, **moved.source.params)
    return _as_moved(out, moved.moves, reader)


def _log_share(equation: Equation, reader: Reader) -> Operand | None:
    """log(exp(x) / sum(exp(y))) = x - logsumexp(y), where x is one entry of y or anything else."""
    terms = reader.terms(equation.inputs[0], "product")
    if sorted(s for s, _ in terms) != [-1, 1]:
        return None
    (above,) = [y for s, y in terms if s > 0]
    (below,) = [y for s, y in terms if s < 0]
    x, found = _exponent(above, reader), _sum_of_exponentials(below, reader)
    if x is None or found is None:
        return None
    y, moved = found
    axes, emit = moved.source.params["axes"], reader.graph.emit
    entry = source_entry(x, y, axes, reader)
    if entry is not None:
        return _as_moved(emit("log_shares", y, axes=axes), entry, reader)
    return emit("subtract", x, _as_moved(emit("logsumexp", y, axes=axes), moved.moves, reader))


def source_entry(
    x: Operand, y: Operand, axes: tuple[int, ...], reader: Reader
) -> tuple[Equation, ...] | None:
    """How x has been taken out of y, where y is summed over all its axes; None otherwise."""
    if y.is_literal or len(axes) != y.type.ndim:
        return None
    moves: list[Equation] = []
    while x is not y:
        maker = reader.graph.maker(x)
        if maker is None or maker.op.name not in ("index", "reshape"):
            return None
        moves.append(maker)
        x = maker.inputs[0]
    return tuple(moves[::-1])


def _log_of_product(equation: Equation, reader: Reader) -> Operand | None:
    moved = _from(equation.inputs[0], "prod", reader)
    if moved is None or moved.source.inputs[0].type.dtype.kind != "f":
        return None
    out = reader.graph.emit("log_prod", *moved.source.inputs, axes=moved.source.params["axes"])
    return _as_moved(out, moved.moves, reader)


def _log_of_determinant(equation: Equation, reader: Reader) -> Operand | None:
    """log(det(a)), which is nan where the determinant is negative, and log(|det(a)|)."""
    emit, (x,) = reader.graph.emit, equation.inputs
    node = reader.node(x)
    whole = node is not None and node.name == "absolute"
    moved = _from(node.inputs[0] if whole and node is not None else x, "det", reader)
    if moved is None or moved.source.inputs[0].type.dtype.kind != "f":
        return None
    sign, size = emit("slogdet", *moved.source.inputs)
    if not whole:
        positive = emit("greater_equal", sign, Literal(sign.type.dtype.type(0)))
        zero = Literal(size.type.dtype.type(0))
        counted = emit("cast", positive, dtype=size.type.dtype)
        size = emit("subtract", size, emit("divide", zero, counted))
    return _as_moved(size, moved.moves, reader)


# --- softmax and means weighted by exponentials ---------------------------------------------------


def _factors(equation: Equation, reader: Reader) -> Terms:
    node = reader.seen(equation)
    if node is None or node.name not in ("divide", "multiply"):
        return []
    return reader.terms_of(node, "product")


def _softmax(equation: Equation, reader: Reader) -> Operand | None:
    """exp(x) / sum(exp(x)), with other factors left as they are."""
    terms = _factors(equation, reader)
    for place, (s, below) in enumerate(terms):
        found = _sum_of_exponentials(below, reader) if s < 0 else None
        if found is None:
            continue
        x, moved = found
        power = moved.source.inputs[0]
        for other, (t, above) in enumerate(terms):
            if t < 0 or above is not power or not _spread_over(moved, power):
                continue
            out = reader.graph.emit("softmax", x, axes=moved.source.params["axes"])
            left = [term for i, term in enumerate(terms) if i not in (place, other)]
            return _total(out, left, equation, reader)
    return None


def _weighted_mean(equation: Equation, reader: Reader) -> Operand | None:
    """sum(y * exp(x)) / sum(exp(x)) is sum(y * softmax(x))."""
    terms = _factors(equation, reader)
    for place, (s, below) in enumerate(terms):
        found = _sum_of_exponentials(below, reader) if s < 0 else None
        if found is None:
            continue
        x, moved = found
        power = moved.source.inputs[0]
        for other, (t, above) in enumerate(terms):
            numerator = _from(above, "sum", reader) if t > 0 else None
            if numerator is None or numerator.source.params != moved.source.params:
                continue
            factors = reader.terms(numerator.source.inputs[0], "product")
            rest = [f for f in factors if f[1] is not power]
            if len(rest) != len(factors) - 1 or not _same_moves(numerator, moved):
                continue
            axes = moved.source.params["axes"]
            share = reader.graph.emit("softmax", x, axes=axes)
            total = reader.total("product", [(1, share), *rest])
            assert total is not None
            out = _as_moved(reader.graph.emit("sum", total, axes=axes), moved.moves, reader)
            left = [term for i, term in enumerate(terms) if i not in (place, other)]
            return _total(out, left, equation, reader)
    return None


def _same_moves(first: Moved, second: Moved) -> bool:
    """Whether two values have been moved alike."""
    return _how(first) == _how(second)


def _how(moved: Moved) -> list:
    return [(m.op, m.inputs[1:], m.params) for m in moved.moves]


def _total(out: Operand, left: Terms, equation: Equation, reader: Reader) -> Operand:
    total = reader.total("product", [(1, out), *left])
    assert total is not None
    return reader.graph.of_type(total, equation.outputs[0].type)


# --- variances ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sums:
    """A number times a product of sums over the same axes."""

    number: float
    sums: tuple[Moved, ...]


def _sums(operand: Operand, reader: Reader) -> _Sums | None:
    """An operand as a number times one or two sums; None where it is something else."""
    if operand.is_literal:
        return _Sums(float(operand.value), ())
    node = reader.node(operand)
    if node is not None and node.name in ("multiply", "divide", "square"):
        parts = node.inputs * 2 if node.name == "square" else node.inputs
        left, right = (_sums(x, reader) for x in parts)
        if left is None or right is None or len(left.sums) + len(right.sums) > 2:
            return None
        if node.name == "divide":
            return None if right.sums else _Sums(left.number / right.number, left.sums)
        return _Sums(left.number * right.number, left.sums + right.sums)
    moved = source_of(operand, reader)
    if moved is None:
        return None
    source = moved.source
    if source.op.name == "sum":
        return _Sums(1.0, (moved,))
    if moved.moves and len(source.outputs) == 1 and source.op.name in ("multiply", "divide"):
        return None
    if source.op.name == "contract" and not source.outputs[0].type.ndim:
        return _Sums(1.0, (moved,))
    return None


def _variance(equation: Equation, reader: Reader) -> Operand | None:
    """k sum(x y) - (k / n) sum(x) sum(y) = k sum((x - mean(x)) (y - mean(y)))."""
    node = reader.seen(equation)
    if node is None or node.name not in ("add", "subtract"):
        return None
    terms = reader.terms_of(node, "sum")
    for i, (s, first) in enumerate(terms):
        for j, (t, second) in enumerate(terms):
            if i == j or s == t:
                continue
            out = _centred(first, second, reader)
            if out is not None:
                left = [term for k, term in enumerate(terms) if k not in (i, j)]
                total = reader.total("sum", [(s, out), *left])
                assert total is not None
                return reader.graph.of_type(total, equation.outputs[0].type)
    return None


def _centred(first: Operand, second: Operand, reader: Reader) -> Operand | None:
    if first.is_literal or second.is_literal or first.type is not second.type:
        return None
    product, sums = _sums(first, reader), _sums(second, reader)
    if product is None or sums is None or (len(product.sums), len(sums.sums)) != (1, 2):
        return None
    of_product, (of_x, of_y) = product.sums[0], sums.sums
    if of_x.source.op.name != "sum" or of_y.source.op.name != "sum":
        return None
    x, y = of_x.source.inputs[0], of_y.source.inputs[0]
    axes = of_x.source.params["axes"]
    if of_y.source.params["axes"] != axes or x.type is not y.type:
        return None
    if not _is_sum_of_product(of_product.source, x, y, axes, reader):
        return None
    count = x.type.size // max(of_x.source.outputs[0].type.size, 1)
    if not abs(sums.number * count - product.number) <= 1e-14 * abs(product.number):
        return None
    if not _same_moves(of_product, of_x):
        return None
    emit, dtype = reader.graph.emit, x.type.dtype
    kept = tuple(a for a in range(x.type.ndim) if a not in axes)

    def centred(value: Operand) -> Operand:
        mean = emit("divide", emit("sum", value, axes=axes), Literal(dtype.type(count)))
        return emit("subtract", value, emit("broadcast", mean, shape=x.type.shape, axes=kept))

    dx = centred(x)
    square = emit("square", dx) if x is y else emit("multiply", dx, centred(y))
    out = emit("multiply", emit("sum", square, axes=axes), Literal(dtype.type(product.number)))
    return _as_moved(out, of_product.moves, reader)


def _is_sum_of_product(source: Equation, x: Operand, y: Operand, axes, reader: Reader) -> bool:
    if source.op.name == "contract":
        every = tuple(range(x.type.ndim))
        both = {x, y} == set(source.inputs)
        return both and axes == every and source.params["axes"] == (every, every)
    if source.params["axes"] != axes:
        return False
    node = reader.node(source.inputs[0])
    if node is None:
        return False
    if node.name == "square":
        return x is y and node.inputs[0] is x
    return node.name == "multiply" and set(node.inputs) == {x, y}


# --- norms ----------------------------------------------------------------------------------------


def _norm(equation: Equation, reader: Reader) -> Operand | None:
    """sqrt(sum(x * x)), whose squares may overflow or vanish."""
    if equation.op.name == "power" and not is_value(equation.inputs[1], 0.5):
        return None
    if equation.op.name == "norm":
        (x,), axes = equation.inputs, equation.params["axes"]
        if x.is_literal or x.type.dtype.kind != "f":
            return None
        return reader.graph.emit("safe_norm", x, axes=axes)
    moved = source_of(equation.inputs[0], reader)
    if moved is None:
        return None
    source = moved.source
    if source.op.name == "contract":
        x, y = source.inputs
        every = tuple(range(x.type.ndim))
        if x is not y or source.params["axes"] != (every, every):
            return None
        out = reader.graph.emit("safe_norm", x, axes=every)
    elif source.op.name == "sum":
        node = reader.node(source.inputs[0])
        if node is None or node.name != "square" or node.inputs[0].is_literal:
            return None
        out = reader.graph.emit("safe_norm", node.inputs[0], axes=source.params["axes"])
    else:
        return None
    return _as_moved(out, moved.moves, reader)


_LOGARITHM = "Blanchard, Higham, Higham, IMA J. Numer. Anal. 41 (2021) 2311"
_SHARES = frozenset({"exp", "sum"})

REDUCTIONS = (
    ReductionRule("log-sum-exp", "log(sum(exp(x)))", "logsumexp(x)", ("log",), _log_sum_exp,
                  _LOGARITHM),
    ReductionRule("log-sum-exp beside 1", "log(1 + sum(exp(x)))", "logaddexp(0, logsumexp(x))",
                  ("log1p",), _log_one_plus_sum_exp),
    ReductionRule("log-mean-exp", "log(c * sum(exp(x)))", "logsumexp(x) + log(c)", ("log",),
                  _log_mean_exp),
    ReductionRule("log of a share", "log(exp(x) / sum(exp(y)))", "x - logsumexp(y)", ("log",),
                  _log_share),
    ReductionRule("log of softmax", "log(softmax(x))", "log_shares(x)", ("log",), _log_softmax,
                  _LOGARITHM),
    ReductionRule("softmax", "exp(x) / sum(exp(x))", "softmax(x)", ("divide", "multiply"), _softmax,
                  _LOGARITHM, needs=_SHARES),
    ReductionRule("mean weighted by exponentials", "sum(y * exp(x)) / sum(exp(x))",
                  "sum(y * softmax(x))", ("divide", "multiply"), _weighted_mean,
                  needs=_SHARES),
    ReductionRule("log of a product of probabilities", "log(prod(expit(x)))", "sum(log_expit(x))",
                  ("log",), log_of_product),
    ReductionRule("log of a product", "log(prod(x))", "log_prod(x)", ("log",), _log_of_product),
    ReductionRule("log of a determinant", "log(det(a)), log(|det(a)|)", "slogdet(a)", ("log",),
                  _log_of_determinant),
    ReductionRule("variance and covariance", "mean(x * y) - mean(x) * mean(y)",
                  "mean((x - mean(x)) * (y - mean(y)))", ("add", "subtract"), _variance,
                  "Chan, Golub, LeVeque, Am. Stat. 37 (1983) 242", needs=frozenset({"sum"})),
    ReductionRule("norm", "sqrt(sum(x * x)), norm(x)", "safe_norm(x)", ("sqrt", "norm", "power"),
                  _norm, "Blue, ACM TOMS 4 (1978) 15"),
)  # fmt: skip
