"""Long sums of monomials, found in a program and made one operation each.

    total = total + term, term = term * (-x) / n, ...      powers written one by one
    total = c - x * total / n, ...                         by Horner's rule
    sum of a stack of such terms; y times a sum of powers of x

Terms of both signs cancel: e^-x by the first 90 terms of its series has no digit left at x = 20.
The coefficients are worked out as rational numbers, and the sum becomes the operation `polynomial`
(chainrule.ops.special.polynomials), which is accurate wherever they cancel, and so is its slope.

A sum is taken for one where no monomial stands in two of its parts: then its value is not better
conditioned than its coefficients, as that of a recurrence may be (2 x T_n - T_(n-1)), or that of a
product of sums. Such a value counts as a variable itself, and so does a sum that is read three
times: 1 - y + y^2 / 2 - ... is a polynomial of y = x - 1, not of x.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import lcm

import numpy as np

from chainrule.ops.elementwise import multiply
from chainrule.ops.special.polynomials import in_range, polynomial
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Operand, Program, Var
from chainrule.transforms.error_free import error_free

TERMS = 8  # shorter sums are left to those who look for lost digits while a program runs
DEGREE = 400
BITS = 6000  # of numerators and denominator
VARIABLES = 3  # in one monomial, and in one sum
_MANY = 3  # readers, of what is a variable of its own

_JOINING = {"add", "subtract", "multiply", "divide", "negative", "square", "power", "broadcast",
            "scale", "sum"}  # fmt: skip

Powers = frozenset[tuple[Operand, int]]  # of one monomial: x^2 y is {(x, 2), (y, 1)}
Sum = dict[Powers, Fraction]  # coefficients by monomials
_ONE: Powers = frozenset()


def polynomials(program: Program) -> tuple[Program, int]:
    """The program with each long sum of monomials as one operation, and how many there were."""
    sums = sum(e.op.name in ("add", "subtract", "concatenate") for e in program.equations)
    if sums < TERMS - 1 and not any(e.op.name == "concatenate" for e in program.equations):
        return program, 0
    known = _Known(program)
    for equation in program.equations:
        known.enter(equation)
    made = _Replaced(program, known).found
    coefficients = sum(len(found[0].params["numerators"]) for found in made.values())
    if not made or coefficients > 2 * len(program.equations):
        return program, 0
    equations = [
        new
        for e in program.equations
        for new in (made.get(e.outputs[0], (e,)) if e.outputs else (e,))
    ]
    changed = Program(
        program.inputs, equations, program.outputs, program.captured, program.captured_values,
        program.name,
    )  # fmt: skip
    return remove_dead(changed), len(made)


class _Known:
    """What is known of the variables that have been passed: `sums` of monomials."""

    def __init__(self, program: Program):
        self.barred = error_free(program)
        self.sums: dict[Operand, Sum] = {}
        self._makers: dict[Operand, Equation] = {}
        self._readers = Counter(x for e in program.equations for x in e.inputs if not x.is_literal)

    def of(self, operand: Operand) -> Sum:
        """An operand as a sum of monomials: of itself, where it is made in another way."""
        if operand.is_literal:
            value = float(operand.value)
            return {_ONE: Fraction(value)} if value else {}
        found = self.sums.get(operand)
        if found is None or (len(found) > 1 and self._readers[operand] >= _MANY):
            return {frozenset([(operand, 1)]): Fraction(1)}
        return found

    def enter(self, equation: Equation) -> None:
        """Note what an equation makes, where it joins monomials."""
        for v in equation.outputs:
            self._makers[v] = equation
        if equation.op.name not in _JOINING or equation.outputs[0] in self.barred:
            return
        out = equation.outputs[0]
        parts = self._stacked(equation) if equation.op.name == "sum" else equation.inputs
        if out.type.dtype != np.float64 or not all(map(_is_number, parts)):
            return
        found = _joined(equation, [self.of(x) for x in parts])
        if found is None or not all(_bits(c) <= BITS for c in found.values()):
            return
        if all(v.type is out.type for powers in found for v, _ in powers):
            self.sums[out] = found

    def _stacked(self, equation: Equation) -> tuple[Operand, ...]:
        """The numbers of which a sum's operand has been stacked; itself for anything else."""
        stack = self._makers.get(equation.inputs[0])
        if stack is None or stack.op.name != "concatenate" or equation.outputs[0].type.ndim:
            return equation.inputs
        found = []
        for part in stack.inputs:
            maker = self._makers.get(part)
            if maker is None or maker.op.name not in ("reshape", "broadcast"):
                return equation.inputs
            if part.type.size != 1 or maker.inputs[0].type.ndim:
                return equation.inputs
            found.append(maker.inputs[0])
        return tuple(found)


def _is_number(x: Operand) -> bool:
    if not x.is_literal:
        return x.type.dtype == np.float64
    return x.type.dtype == np.float64 and not x.type.ndim and bool(np.isfinite(x.value))


def _bits(c: Fraction) -> int:
    return max(c.numerator.bit_length(), c.denominator.bit_length())


def _joined(equation: Equation, parts: list[Sum]) -> Sum | None:
    name = equation.op.name
    if name == "sum":
        return _total(parts) if len(parts) > 1 else None
    if name == "negative":
        return {powers: -c for powers, c in parts[0].items()}
    if name == "broadcast":
        return parts[0] if set(parts[0]) <= {_ONE} else None
    if name == "square":
        return _times(parts[0], parts[0])
    if name == "power":
        return _power(*parts)
    first, second = parts
    if name in ("multiply", "scale"):
        return _times(first, second)
    if name == "divide":
        if set(second) != {_ONE}:
            return None
        return {powers: c / second[_ONE] for powers, c in first.items()}
    return _total([first, second if name == "add" else {p: -c for p, c in second.items()}])


def _times(first: Sum, second: Sum) -> Sum | None:
    """The product of two of which one is a single monomial."""
    one, other = (first, second) if len(first) <= len(second) else (second, first)
    if len(one) != 1:
        return None if one else {}
    ((powers, c),) = one.items()
    made = {_product(powers, q): c * d for q, d in other.items()}
    fits = all(len(q) <= VARIABLES and all(n <= DEGREE for _, n in q) for q in made)
    return made if fits else None


def _product(first: Powers, second: Powers) -> Powers:
    if not first or not second:
        return first or second
    total = Counter(dict(first))
    total.update(dict(second))
    return frozenset(total.items())


def _power(base: Sum, exponent: Sum) -> Sum | None:
    if set(exponent) - {_ONE} or len(base) != 1:
        return None
    n = exponent.get(_ONE, Fraction(0))
    ((powers, c),) = base.items()
    if n.denominator != 1 or not 0 <= n <= DEGREE or any(k * n > DEGREE for _, k in powers):
        return None
    return {frozenset([(v, k * int(n)) for v, k in powers] if n else []): c ** int(n)}


def _total(parts: list[Sum]) -> Sum | None:
    """The sum of some that have no monomial in common, and few variables together: a sum of many
    different things is none of the powers of one, and would be written out for each partial sum."""
    made: Sum = {}
    for part in parts:
        if not made.keys().isdisjoint(part):
            return None
        made.update(part)
    return made if len({v for powers in made for v, _ in powers}) <= VARIABLES else None


# --- which of them are replaced -------------------------------------------------------------------


class _Replaced:
    """The long sums that something else reads than a sum that is replaced: `found`, with the
    equations that stand for each."""

    def __init__(self, program: Program, known: _Known):
        self.found: dict[Operand, tuple[Equation, ...]] = {}
        self._sums = known.sums
        self._made: dict[Operand, tuple[Equation, ...] | None] = {}
        for o in program.outputs:
            self._read(o, None)
        for equation in reversed(program.equations):
            for x in equation.inputs:
                self._read(x, equation.outputs[0] if equation.outputs else None)

    def _read(self, x: Operand, reader: Var | None) -> None:
        if x.is_literal or len(self._sums.get(x, ())) < TERMS:
            return
        longer = reader is not None and len(self._sums.get(reader, ())) >= len(self._sums[x])
        made = None if longer and self._operation(reader) else self._operation(x)
        if made is not None:
            self.found[x] = made

    def _operation(self, x) -> tuple[Equation, ...] | None:
        if x not in self._made:
            self._made[x] = _operation(x, self._sums[x])
        return self._made[x]


def _operation(out: Var, sum_: Sum) -> tuple[Equation, ...] | None:
    """The equations that stand for a sum: of the powers of one variable, times what is common to
    all its monomials. None where it is not of that kind, or has terms of one sign only."""
    variables = {v for powers in sum_ for v, _ in powers}
    common = {v: min(dict(powers).get(v, 0) for powers in sum_) for v in variables}
    (*moving,) = [v for v in variables if any(dict(q).get(v, 0) != common[v] for q in sum_)]
    if len(moving) != 1:
        return None
    (x,) = moving
    terms = {dict(powers).get(x, 0): c for powers, c in sum_.items()}
    if not _may_cancel(terms):
        return None
    denominator = lcm(*[c.denominator for c in terms.values()])
    numerators = tuple([int(terms.get(k, 0) * denominator) for k in range(max(terms) + 1)])
    if max(denominator, *map(abs, numerators)).bit_length() > BITS:
        return None
    if not in_range(numerators, denominator):
        return None
    params = {"numerators": numerators, "denominator": denominator}
    factors = [v for v in variables if v is not x for _ in range(common[v])]
    made, value = [], out if not factors else Var(out.type)
    made.append(Equation(polynomial, (x,), params, (value,), None))
    for k, factor in enumerate(factors):
        following = out if k == len(factors) - 1 else Var(out.type)
        made.append(Equation(multiply, (value, factor), {}, (following,), None))
        value = following
    return tuple(made)


def _may_cancel(terms: dict[int, Fraction]) -> bool:
    """Whether the terms are of both signs for some x."""
    odd = any(k % 2 for k in terms)
    even = any(k % 2 == 0 for k in terms)
    return (odd and even) or len({c > 0 for c in terms.values()}) > 1
