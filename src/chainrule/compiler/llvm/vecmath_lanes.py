"""Formulas over lanes: values that write their arithmetic as LLVM IR, and pairs of them.

`Lanes` is a value with the operators of Python; numbers beside it become constants of its type.
`Pair` is an unevaluated sum high + low of two floats, of about twice the precision. Where `low` is
None it is 0 and costs nothing: the same formula, given plain values by `Lanes.alone`, is computed
in one float throughout (so float32 functions that compute in float64 carry no pairs).

Source    T. J. Dekker, Numer. Math. 18 (1971) 224, and D. E. Knuth, TAOCP 2, 4.2.2, for sums;
          products by fma.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chainrule.compiler.llvm.code import Code, Value, bits_of, element_of


class Format(NamedTuple):
    """The layout of a floating-point element."""

    bits: int
    mantissa: int  # stored bits
    bias: int
    round_magic: float  # adding it rounds to an integer, in the low bits


FORMATS = {
    "float": Format(32, 23, 127, 1.5 * 2.0**23),
    "double": Format(64, 52, 1023, 1.5 * 2.0**52),
}


class Lanes:
    """A value (floats, integers of their width, or conditions) with operators."""

    __slots__ = ("code", "value")

    def __init__(self, code: Code, value: Value):
        self.code, self.value = code, value

    # --- what it is -------------------------------------------------------------------------------

    @property
    def format(self) -> Format:
        """The layout of the floats."""
        return FORMATS[element_of(self.value.type)]

    @property
    def narrow(self) -> bool:
        """Whether the elements are float32."""
        return element_of(self.value.type) == "float"

    def like(self, number) -> Lanes:
        """A number as a constant of this type."""
        return Lanes(self.code, self.code.like(self.value, number))

    def _other(self, y) -> Lanes:
        return y if isinstance(y, Lanes) else self.like(y)

    def _binary(self, of_floats: str, of_integers: str, y) -> Lanes:
        floats = element_of(self.value.type) in FORMATS
        operation = of_floats if floats else of_integers
        return Lanes(self.code, self.code.binary(operation, self.value, self._other(y).value))

    # --- arithmetic -------------------------------------------------------------------------------

    def __add__(self, y) -> Lanes:
        return self._binary("fadd", "add", y)

    def __sub__(self, y) -> Lanes:
        return self._binary("fsub", "sub", y)

    def __mul__(self, y) -> Lanes:
        return self._binary("fmul", "mul", y)

    def __truediv__(self, y) -> Lanes:
        return self._binary("fdiv", "sdiv", y)

    def __radd__(self, y) -> Lanes:
        return self._other(y) + self

    def __rsub__(self, y) -> Lanes:
        return self._other(y) - self

    def __rmul__(self, y) -> Lanes:
        return self._other(y) * self

    def __rtruediv__(self, y) -> Lanes:
        return self._other(y) / self

    def __neg__(self) -> Lanes:
        return Lanes(self.code, self.code.fneg(self.value))

    def __abs__(self) -> Lanes:
        return Lanes(self.code, self.code.intrinsic("fabs", self.value))

    def root(self) -> Lanes:
        """The square root, correctly rounded."""
        return Lanes(self.code, self.code.intrinsic("sqrt", self.value))

    def rounded(self, name: str) -> Lanes:
        """`rint`, `floor`, `trunc`, `ceil`."""
        return Lanes(self.code, self.code.intrinsic(name, self.value))

    def with_sign_of(self, y: Lanes) -> Lanes:
        """The magnitude of this with the sign of y."""
        return Lanes(self.code, self.code.intrinsic("copysign", self.value, y.value))

    # --- bits and comparisons ---------------------------------------------------------------------

    def __and__(self, y) -> Lanes:
        return self._binary("and", "and", y)

    def __or__(self, y) -> Lanes:
        return self._binary("or", "or", y)

    def __xor__(self, y) -> Lanes:
        return self._binary("xor", "xor", y)

    def __lshift__(self, y) -> Lanes:
        return self._binary("shl", "shl", y)

    def __rshift__(self, y) -> Lanes:
        """The arithmetic shift; `unsigned_shift` brings in zeros."""
        return self._binary("ashr", "ashr", y)

    def unsigned_shift(self, y) -> Lanes:
        """The shift to the right that brings in zeros."""
        return self._binary("lshr", "lshr", y)

    def bits(self) -> Lanes:
        """The bits of floats as integers."""
        return Lanes(self.code, self.code.bits(self.value))

    def floats(self) -> Lanes:
        """The floats whose bits these integers are."""
        element = "float" if bits_of(self.value.type) == 32 else "double"
        return self.convert("bitcast", element)

    def convert(self, operation: str, element: str) -> Lanes:
        """Another element type, by an LLVM conversion."""
        return Lanes(self.code, self.code.convert(operation, self.value, element))

    def compare(self, predicate: str, y) -> Lanes:
        """A condition per lane, by an LLVM predicate."""
        return Lanes(self.code, self.code.compare(predicate, self.value, self._other(y).value))

    def __lt__(self, y) -> Lanes:
        return self.compare("olt", y)

    def __le__(self, y) -> Lanes:
        return self.compare("ole", y)

    def __gt__(self, y) -> Lanes:
        return self.compare("ogt", y)

    def __ge__(self, y) -> Lanes:
        return self.compare("oge", y)

    def equals(self, y) -> Lanes:
        """Where both are equal numbers."""
        return self.compare("oeq", y)

    def is_nan(self) -> Lanes:
        """Where there is no number."""
        return self.compare("uno", self)

    def negated(self) -> Lanes:
        """The opposite condition."""
        return self ^ Lanes(self.code, self.code.like(self.value, 1))

    def choose(self, yes, no) -> Lanes:
        """`yes` where this condition holds, else `no`; one of them may be a number."""
        if not isinstance(yes, Lanes):
            yes = no.like(yes)
        if not isinstance(no, Lanes):
            no = yes.like(no)
        return Lanes(self.code, self.code.select(self.value, yes.value, no.value))

    def at_most(self, bound: float) -> Lanes:
        """The smaller one; nan stays nan."""
        return (self > bound).choose(bound, self)

    def at_least(self, bound: float) -> Lanes:
        """The larger one; nan stays nan."""
        return (self < bound).choose(bound, self)

    # --- two floats -------------------------------------------------------------------------------

    def alone(self) -> Pair:
        """This value as a pair without a low part."""
        return Pair(self, None)

    def widened(self) -> Lanes:
        """float32 as float64."""
        return self.convert("fpext", "double")

    def narrowed(self) -> Lanes:
        """float64 rounded to float32."""
        return self.convert("fptrunc", "float")


def fma(x: Lanes, y, z) -> Lanes:
    """x * y + z, rounded once; y and z may be numbers."""
    code = x.code
    return Lanes(code, code.fma(x.value, x._other(y).value, x._other(z).value))


def polynomial(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    """c[0] + c[1] x + ..., by Horner's rule with fma."""
    out = x.like(coefficients[-1])
    for c in coefficients[-2::-1]:
        out = fma(out, x, c)
    return out


class Pair(NamedTuple):
    """high + low; the low part is below one ulp of the high one, or None for none."""

    high: Lanes
    low: Lanes | None = None

    @property
    def value(self) -> Lanes:
        """The sum, rounded."""
        return self.high if self.low is None else self.high + self.low

    def times_power(self, factor: Lanes | float) -> Pair:
        """The product with a power of two: exact."""
        low = None if self.low is None else self.low * factor
        return Pair(self.high * factor, low)

    def __neg__(self):
        return Pair(-self.high, None if self.low is None else -self.low)


def low_of(x: Pair) -> Lanes:
    """The low part, 0 where there is none."""
    return x.high.like(0.0) if x.low is None else x.low


def choose_pair(condition: Lanes, x: Pair, y: Pair) -> Pair:
    """x where the condition holds, else y."""
    high = condition.choose(x.high, y.high)
    if x.low is None and y.low is None:
        return Pair(high)
    return Pair(high, condition.choose(low_of(x), low_of(y)))


def two_sum(x: Lanes, y: Lanes) -> Pair:
    """x + y, exactly, whichever is larger."""
    total = x + y
    back = total - x
    return Pair(total, (x - (total - back)) + (y - back))


def fast_two_sum(x: Lanes, y: Lanes) -> Pair:
    """x + y, exactly, where x is 0 or no smaller than y in magnitude."""
    total = x + y
    return Pair(total, y - (total - x))


def normalised(x: Pair) -> Pair:
    """The same sum, its low part below an ulp of the high one, given |low| <= |high|."""
    return x if x.low is None else fast_two_sum(x.high, x.low)


def two_product(x: Lanes, y: Lanes) -> Pair:
    """x * y, exactly."""
    product = x * y
    return Pair(product, fma(x, y, -product))


class Arithmetic:
    """Arithmetic of pairs, or where not `precise` of plain values in the shape of pairs."""

    def __init__(self, precise: bool):
        self.precise = precise

    def sum(self, x: Pair, y: Pair) -> Pair:
        """x + y."""
        if not self.precise:
            return Pair(x.high + y.high)
        total = two_sum(x.high, y.high)
        rest = low_of(total)
        for low in (x.low, y.low):
            rest = rest if low is None else rest + low
        return fast_two_sum(total.high, rest)

    def plus_smaller(self, x: Pair, y: Pair) -> Pair:
        """x + y, where x is 0 or no smaller than y in magnitude."""
        if not self.precise:
            return Pair(x.high + y.high)
        total = fast_two_sum(x.high, y.high)
        rest = low_of(total)
        for low in (x.low, y.low):
            rest = rest if low is None else rest + low
        return fast_two_sum(total.high, rest)

    def product(self, x: Pair, y: Pair) -> Pair:
        """x * y."""
        if not self.precise:
            return Pair(x.high * y.high)
        high, low = two_product(x.high, y.high)
        rest = low_of(Pair(high, low))
        if y.low is not None:
            rest = fma(x.high, y.low, rest)
        if x.low is not None:
            rest = fma(x.low, y.high, rest)
        return fast_two_sum(high, rest)

    def times(self, x: Pair, y: Lanes) -> Pair:
        """x * y for one float y; the low part is lost where the product overflows."""
        if not self.precise:
            return Pair(x.high * y)
        high, low = two_product(x.high, y)
        return Pair(high, low if x.low is None else fma(x.low, y, low))

    def quotient(self, x: Pair, y: Pair) -> Pair:
        """x / y."""
        if not self.precise:
            return Pair(x.high / y.high)
        reciprocal = 1.0 / y.high
        high = x.high * reciprocal
        rest = fma(-high, y.high, x.high)
        if x.low is not None:
            rest = rest + x.low
        if y.low is not None:
            rest = fma(-high, y.low, rest)
        return fast_two_sum(high, rest * reciprocal)

    def root(self, x: Pair) -> Pair:
        """The square root of a positive pair; 0 of 0."""
        high = x.high.root()
        if not self.precise:
            return Pair(high)
        rest = fma(-high, high, x.high)
        if x.low is not None:
            rest = rest + x.low
        correction = rest / (high + high)
        return fast_two_sum(high, high.equals(0.0).choose(0.0, correction))

    def constant(self, like: Lanes, high: float, low: float) -> Pair:
        """A constant given in two parts."""
        return Pair(like.like(high), like.like(low) if self.precise else None)


PRECISE, PLAIN = Arithmetic(True), Arithmetic(False)
