"""Wide numbers: m * 2**e with as many bits as the precision in force asks for, and an error bound.

A `Wide` stands for some real number within (m - r, m + r) * 2**e, ends included. m, e and r are
Python integers: no overflow, no underflow. Sums and products of numbers that fit the precision are
exact (r = 0). What cannot be told apart yet (the sign of a number whose bound holds 0) raises
`Undecided`, and the computation is made again with more bits; at the last precision it counts as 0.

Infinities and nan are Python floats beside the wide numbers, and follow NumPy's rules.

Source    midpoint-radius arithmetic as in Johansson, "Arb", IEEE Trans. Comput. 66 (2017).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import frexp, inf, isqrt, ldexp, nan

_RADIUS_BITS = 30  # a bound needs few digits; what a larger one makes uncertain is cut off


class Undecided(Exception):
    """The precision in force does not tell which of several cases a number belongs to."""


class _State(threading.local):
    bits = 128
    last = False  # whether no higher precision will be tried
    tied = False  # whether a comparison met equal numbers, or a division a divisor 0


_state = _State()


@contextmanager
def precision(bits: int, last: bool = False) -> Iterator[None]:
    """Numbers are rounded to `bits` bits inside; with `last`, undecided signs count as 0."""
    before = _state.bits, _state.last
    _state.bits, _state.last = bits, last
    try:
        yield
    finally:
        _state.bits, _state.last = before


@contextmanager
def more_bits(extra: int) -> Iterator[None]:
    """The precision in force and `extra` bits inside."""
    before = _state.bits
    _state.bits = before + max(extra, 0)
    try:
        yield
    finally:
        _state.bits = before


@contextmanager
def ties_noted() -> Iterator[Callable[[], bool]]:
    """Gives a function that tells whether something inside has met what a germ settles: a
    comparison equal numbers, or a division a divisor 0."""
    before, _state.tied = _state.tied, False
    try:
        yield lambda: _state.tied
    finally:
        _state.tied = before


def compare_noted(x, y) -> int:
    """As `compare`, for a comparison of the program's own.

    A number with itself, such as an array's largest entry with the array, is no tie.
    """
    found = compare(x, y)
    if not found and (x is not y or x in (ZERO, ONE, TWO, HALF)):
        _state.tied = True
    return found


def note_tie() -> None:
    """Told that an operation met equal numbers, between which it chose."""
    _state.tied = True


def bits_in_force() -> int:
    """The number of bits that numbers are rounded to."""
    return _state.bits


class Wide:
    """A real number within r * 2**e of m * 2**e."""

    __slots__ = ("e", "m", "r")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, m: int, e: int = 0, r: int = 0):
        self.m, self.e, self.r = m, e, r

    @property
    def top(self) -> int:
        """The least t with |x| < 2**t, for every x within the bound."""
        return self.e + (abs(self.m) + self.r).bit_length()

    @property
    def is_zero(self) -> bool:
        """Whether the number is exactly 0."""
        return not self.m and not self.r

    def sign(self) -> int:
        """-1, 0 or 1; raises `Undecided` where the bound holds 0."""
        if abs(self.m) > self.r:
            return 1 if self.m > 0 else -1
        if self.r and not _state.last:
            raise Undecided
        return 0

    def relative_bits(self) -> int:
        """How many leading bits of the number are certain: 0 where its bound holds 0."""
        if not self.r:
            return 1 << 30
        return max(0, (abs(self.m) // self.r).bit_length() - 1)

    def __repr__(self) -> str:
        return f"Wide({self.m}, {self.e}, {self.r})"

    # --- ring operations --------------------------------------------------------------------------

    def __neg__(self) -> Wide:
        return Wide(-self.m, self.e, self.r)

    def __pos__(self) -> Wide:
        return self

    def __abs__(self) -> Wide:
        if self.r > abs(self.m):  # holds 0: |x| lies in [0, |m| + r]
            size = abs(self.m) + self.r
            return Wide(size, self.e - 1, size)
        return Wide(abs(self.m), self.e, self.r)

    def __add__(self, other):
        if not isinstance(other, Wide):
            return _special_sum(self, other)
        return _sum(self, other)

    def __radd__(self, other):
        return _special_sum(self, other)

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    def __mul__(self, other):
        if not isinstance(other, Wide):
            return _special_product(self, other)
        m = self.m * other.m
        if not self.r and not other.r:
            return rounded(m, self.e + other.e, 0)
        r = abs(self.m) * other.r + abs(other.m) * self.r + self.r * other.r
        return rounded(m, self.e + other.e, r)

    def __rmul__(self, other):
        return _special_product(self, other)

    def __truediv__(self, other):
        if not isinstance(other, Wide):
            return nan if other != other else Wide(0)
        return _quotient(self, other)

    def __rtruediv__(self, other):
        sign = self.sign()
        return other * sign if sign else other

    # --- comparisons --------------------------------------------------------------------------

    def __lt__(self, other):
        return compare(self, other) < 0

    def __le__(self, other):
        return compare(self, other) <= 0

    def __gt__(self, other):
        return compare(self, other) > 0

    def __ge__(self, other):
        return compare(self, other) >= 0

    def __eq__(self, other):
        return compare(self, other) == 0

    def __ne__(self, other):
        return compare(self, other) != 0

    def __bool__(self) -> bool:
        return self.sign() != 0

    def __float__(self) -> float:
        return nearest(self)


ZERO, ONE, TWO, HALF = Wide(0), Wide(1), Wide(2), Wide(1, -1)

Number = Wide | float  # a float is an infinity or nan


def wide(value) -> Number:
    """The number that a real number of Python or NumPy is, exactly."""
    if isinstance(value, int):
        return Wide(int(value))
    value = float(value)
    if value - value:  # inf - inf and nan - nan are nan
        return value
    if value != value or value in (inf, -inf):
        return value
    fraction, e = frexp(value)
    m = int(fraction * 9007199254740992.0)
    if not m:
        return ZERO
    zeros = (m & -m).bit_length() - 1
    return Wide(m >> zeros, e - 53 + zeros)


def rounded(m: int, e: int, r: int) -> Wide:
    """The number m * 2**e, in error by up to r * 2**e, rounded to the precision in force."""
    excess = max((abs(m) + r).bit_length() - _state.bits, r.bit_length() - _RADIUS_BITS)
    if excess <= 0:
        return Wide(m, e, r)
    kept = m >> excess
    if r or kept << excess != m:
        return Wide(kept, e + excess, (r >> excess) + 2)
    return Wide(kept, e + excess, 0)


def _sum(x: Wide, y: Wide) -> Wide:
    if x.is_zero or y.is_zero:
        return x if y.is_zero else y
    if x.e < y.e:
        x, y = y, x
    by = x.e - y.e
    if x.e - y.top > 2 * _state.bits + 64:  # y is lost in the rounding of x
        lift = max(_state.bits + 8 - abs(x.m).bit_length(), 0)
        return rounded(x.m << lift, x.e - lift, (x.r << lift) + 1)
    return rounded((x.m << by) + y.m, y.e, (x.r << by) + y.r)


def _quotient(x: Wide, y: Wide) -> Number:
    sign = y.sign()
    if not sign:
        _state.tied = True  # a singular point, which a product with an exact 0 may hide
        return x.sign() * inf if not x.is_zero and x.sign() else nan
    if x.is_zero:
        return ZERO
    size = abs(y.m)
    lift = max(_state.bits + 4 + size.bit_length() - abs(x.m).bit_length(), 0)
    q, rest = divmod(x.m << lift, size)
    if not x.r and not y.r:
        return rounded(sign * q, x.e - y.e - lift, 1 if rest else 0)
    spread = ((abs(x.m) * y.r + size * x.r) << lift) // (size * (size - y.r)) + 2
    return rounded(sign * q, x.e - y.e - lift, spread)


def _special_sum(x: Wide, other: float) -> float:
    return other


def _special_product(x: Wide, other: float) -> float:
    sign = x.sign()
    return other * sign if sign else nan


def compare(x, y) -> int:
    """The sign of x - y; 2 where one of them is nan (which no comparison holds for)."""
    if isinstance(x, Wide) and isinstance(y, Wide):
        return (x - y).sign()
    if x != x or y != y:
        return 2
    if isinstance(x, Wide):
        return -1 if y > 0 else 1
    if isinstance(y, Wide):
        return 1 if x > 0 else -1
    return (x > y) - (x < y)


def sqrt(x: Wide) -> Number:
    """The square root; nan of a negative number."""
    if x.is_zero:
        return ZERO
    if x.r >= abs(x.m):
        if not x.sign():  # raises, but at the last precision
            return ZERO
    if x.m < 0:
        return nan
    lift = max(2 * _state.bits + 8 - x.m.bit_length(), 0)
    lift += (x.e - lift) & 1
    scaled = x.m << lift
    root = isqrt(scaled)
    if not x.r:
        return rounded(root, (x.e - lift) // 2, 0 if root * root == scaled else 1)
    low = isqrt(scaled - (x.r << lift))
    return rounded(root, (x.e - lift) // 2, root - low + 2)


def nearest(x: Number) -> float:
    """The nearest float64 (ties to even); an infinity beyond the largest."""
    if isinstance(x, float):
        return x
    m, e = abs(x.m), x.e
    if not m:
        return 0.0
    top = e + m.bit_length()
    if top > 1024:
        return inf if x.m > 0 else -inf
    if top < -1080:
        return 0.0
    drop = m.bit_length() - min(53, top + 1074)
    if drop > 0:
        m, rest = (m >> drop, m & ((1 << drop) - 1)) if drop <= m.bit_length() else (0, 0)
        half = 1 << (drop - 1)
        m += rest > half or (rest == half and m & 1)
        e += drop
    return (1 if x.m > 0 else -1) * _ldexp(m, e)


def _ldexp(m: int, e: int) -> float:
    try:
        return ldexp(float(m), e)
    except OverflowError:
        return inf
