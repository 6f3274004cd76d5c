"""The logarithm of a product over axes as a sum of logarithms, where these have a better form.

    log(prod(expit(x)))             sum(log_expit(x))
    log(prod(1 + exp(x)))           sum(-log_expit(-x))
    log(cumprod(softmax(x)))        cumsum(log_shares(x))

The product rounds and underflows, and so do its factors: expit(40) is 1. The logarithm of each
factor is recorded as if it had been written, so that the rules for logarithms apply to it. The
rule holds where all of them have such a form, and one sign: then nothing cancels in their sum, and
no factor is negative. Otherwise the product may be exact where the logarithms cancel.
"""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.program.program import Equation, Literal, Operand
from chainrule.transforms.stabilize_patterns import Reader

FACTORS = 24  # that are looked for
_SUMS = {"prod": "sum", "cumprod": "cumsum"}
_MOVES = ("broadcast", "reshape", "transpose", "flip", "index")
# logarithms of what is at most 1, and of what is at least 1; the argument is never negative
_SIGNS = {"log_expit": -1, "log_shares": -1, "log_ndtr": -1, "log_cosh": 1}


@dataclass(frozen=True)
class _Factor:
    """What a product over axes, moved about, holds to some power (None for 1)."""

    base: Operand
    power: Literal | None
    steps: tuple[Equation, ...]  # the products over axes and moves that follow, the first one first


def log_of_product(equation: Equation, reader: Reader) -> Operand | None:
    """What takes the place of the logarithm of a product over axes; None where nothing does."""
    factors = _factors(equation.inputs[0], reader)
    if not factors or not any(e.op.name in _SUMS for f in factors for e in f.steps):
        return None
    emit, signs, total = reader.graph.emit, set(), None
    for factor in factors:
        log = emit("log", factor.base)
        signs.add(_sign(log, reader))
        if len(signs) > 1 or 0 in signs:
            return None
        if factor.power is not None:
            log = emit("multiply", log, factor.power)
        for step in factor.steps:
            name = _SUMS.get(step.op.name, step.op.name)
            log = emit(name, log, *step.inputs[1:], **step.params)
        total = log if total is None else emit("add", total, log)
    return total


def _factors(operand: Operand, reader: Reader) -> list[_Factor] | None:
    """The factors of an operand; None where there are too many, or numbers among them."""
    found: list[_Factor] = []
    waiting: list[_Factor] = [_Factor(operand, None, ())]
    while waiting:
        factor = waiting.pop(0)
        x, power, steps = factor.base, factor.power, factor.steps
        if x.is_literal or len(found) + len(waiting) > FACTORS:
            return None
        maker = None if x in reader.barred else reader.graph.maker(x)
        name = "" if maker is None else maker.op.name
        if maker is None or (power is not None and name != "multiply"):
            found.append(factor)
        elif name in _SUMS or (name in _MOVES and _holds_product(maker, reader)):
            waiting.insert(0, _Factor(maker.inputs[0], None, (maker, *steps)))
        elif name == "multiply":
            waiting[:0] = [_Factor(y, power, steps) for y in maker.inputs]
        elif name == "square":
            two = Literal(x.type.dtype.type(2))
            waiting.insert(0, _Factor(maker.inputs[0], two, steps))
        elif name == "power" and _is_positive(maker.inputs[1]):
            exponent = maker.inputs[1]
            assert exponent.is_literal
            waiting.insert(0, _Factor(maker.inputs[0], exponent, steps))
        else:
            found.append(factor)
    return found


def _holds_product(equation: Equation, reader: Reader) -> bool:
    """Whether what is moved about has been made by a product over axes."""
    while equation.op.name in _MOVES:
        above = reader.graph.maker(equation.inputs[0])
        if above is None:
            return False
        equation = above
    return equation.op.name in _SUMS


def _is_positive(power: Operand) -> bool:
    return power.is_literal and not power.type.ndim and float(power.value) > 0


def _sign(log: Operand, reader: Reader) -> int:
    """1 or -1 where the rules have found a form of a logarithm that has this sign, else 0."""
    maker = None if log.is_literal else reader.graph.maker(log)
    if maker is None:
        return 0
    if maker.op.name == "negative":
        return -_sign(maker.inputs[0], reader)
    if maker.op.name in _MOVES:
        return _sign(maker.inputs[0], reader)
    return _SIGNS.get(maker.op.name, 0)
