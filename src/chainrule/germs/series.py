"""Germs: arrays whose elements are truncated Laurent series in one infinitesimal parameter s > 0.

An element is  s**order * (terms[0] + terms[1] s + ... ) + O(s ** (order + known)).  It is kept in
normal form: terms[0] is not 0. An exact 0 has an infinite order, and a 0 that is known only up to
some order is told apart from it: `known` is then 0. `known` is EXACT where the series ends inside
the window. Puiseux series need no more than this: with eps = s**q they are Laurent series in s.

An element that is infinite or nan at its leading term is a constant: nothing is known beyond it.

Rounding  see `snap`: a coefficient below 2**-42 of the sizes of the terms that it is the sum of
          counts as 0; at s**0, where a plain run has its values, below 4 roundings, and only if
          both sides move.
Source    truncated power series as in Knuth, TAOCP 2, section 4.7; leading exponents as in the
          Levi-Civita field (Berz, 1992); the bookkeeping of what is known is ours.
"""

from __future__ import annotations

import numpy as np

from chainrule.program.types import Type, array_type

EXACT = 1 << 40  # known terms of a series that ends, and the order of an exact zero
UNKNOWN = -(1 << 30)  # the order of an element of which nothing is known
TINY = 2.0**-42  # of the terms of a sum: what rounding leaves of it
STILL = 2.0**-46  # of the terms of a sum that is 0: coefficients that do not move it


class Germ:
    """An array of series: `terms` (K, size), `order` and `known` (size,), and the array's `type`.

    `type` is that of the program's value; terms are float64 or complex128 whatever its dtype.
    """

    __slots__ = ("known", "order", "terms", "type")

    def __init__(self, type: Type, terms: np.ndarray, order: np.ndarray, known: np.ndarray):
        self.type, self.terms, self.order, self.known = type, terms, order, known

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> np.dtype:
        return self.type.dtype

    @property
    def window(self) -> int:
        """How many terms are kept."""
        return self.terms.shape[0]

    @property
    def precision(self) -> np.ndarray:
        """The first order whose coefficient is not known; at least EXACT where all are."""
        return self.order + self.known

    @property
    def zero(self) -> np.ndarray:
        """Where the element is exactly 0."""
        return self.order >= EXACT

    @property
    def vague(self) -> np.ndarray:
        """Where no term is known: the element is 0 up to its precision."""
        return self.known <= 0

    @property
    def wild(self) -> np.ndarray:
        """Where the element is infinite or nan for every s."""
        return ~np.isfinite(self.terms[0])

    @property
    def negated(self) -> Germ:
        return Germ(self.type, -self.terms, self.order, self.known)

    def coefficient(self, power: int) -> np.ndarray:
        """The coefficients of s**power, flat; 0 where it is not known."""
        place = power - self.order
        inside = (place >= 0) & (place < self.window)
        row = np.where(inside, place, 0)
        found = np.take_along_axis(self.terms, row[None], axis=0)[0]
        return np.where(inside, found, 0.0)

    @property
    def undetermined(self) -> np.ndarray:
        """Where the limit is not known."""
        return self.vague & (self.precision <= 0)

    def limit(self) -> np.ndarray:
        """The limits for s -> 0+, in the program's dtype: infinite where the order is negative,
        nan where nothing is known."""
        return self.wide_limit().astype(self.dtype)

    def wide_limit(self) -> np.ndarray:
        """The limits in the dtype that germs are computed in."""
        out = limits_of(self)
        if self.dtype.kind != "c" and out.dtype.kind == "c":
            out = out.real
        return out.astype(wide(self.dtype), copy=False).reshape(self.shape)

    def __repr__(self) -> str:
        return f"Germ({self.type}, limit={self.limit()!r})"


def limits_of(g: Germ) -> np.ndarray:
    """The flat limits in float64 or complex128; a vanishing element gives 0 of its sign."""
    lead = g.terms[0]
    signed_zero = 0.0 * np.sign(lead) if lead.dtype.kind != "c" else np.zeros_like(lead)
    out = np.where(g.order == 0, lead, signed_zero)
    out = np.where(g.zero, lead, out)  # an exact zero keeps its sign
    if (g.order < 0).any():
        with np.errstate(all="ignore"):
            out = np.where(g.order < 0, np.sign(lead) * np.inf, out)
        out = np.where(g.undetermined, np.nan, out)
    out = np.where(g.vague & ~g.undetermined, 0.0, out)
    return np.where(g.wild, lead, out)


# --- making germs -------------------------------------------------------------------------------


def wide(dtype: np.dtype) -> np.dtype:
    """The dtype that germs of a dtype are computed in."""
    return np.dtype(complex) if dtype.kind == "c" else np.dtype(float)


def constant(value, window: int, type: Type | None = None) -> Germ:
    """The germ of values that do not move."""
    value = np.asarray(value)
    type = array_type(value.shape, value.dtype) if type is None else type
    flat = value.reshape(-1).astype(wide(value.dtype))
    terms = np.zeros((window, flat.size), flat.dtype)
    terms[0] = flat
    order = np.where(flat == 0, EXACT, 0)
    return Germ(type, terms, order, np.full(flat.size, EXACT))


def normal(type: Type, terms: np.ndarray, order: np.ndarray, known: np.ndarray) -> Germ:
    """The germ in normal form. `terms` may be changed; terms beyond `known` are dropped."""
    window = terms.shape[0]
    if known.size and known.min() < window:
        terms = np.where(np.arange(window)[:, None] < known, terms, 0.0)
    if (terms[0] != 0).all() and np.isfinite(terms).all():
        return Germ(type, terms, order, known)
    nonzero = terms != 0
    lead = nonzero.argmax(axis=0)
    some = nonzero.any(axis=0)
    terms, order, known = _without_wild(terms, order, known, lead, some)
    moved = some & (lead > 0) & (order < EXACT)
    if moved.any():
        terms = _raised(terms, np.where(moved, lead, 0))
        order = np.where(moved, order + lead, order)
        known = np.where(moved & (known < EXACT), known - lead, known)
    exact = known >= EXACT
    order = np.where(some, order, np.where(exact, EXACT, np.maximum(order + known, UNKNOWN)))
    return Germ(type, terms, order, np.where(exact, EXACT, np.where(some, known, 0)))


def _without_wild(terms, order, known, lead, some):
    """A series stops before a term that overflowed; an element that begins with one is constant."""
    finite = np.isfinite(terms)
    if finite.all():
        return terms, order, known
    window = terms.shape[0]
    first = np.where(finite.all(axis=0), window, finite.argmin(axis=0))
    wild = some & (first <= lead)
    value = np.take_along_axis(terms, lead[None], axis=0)[0]
    terms = np.where(np.arange(window)[:, None] < first, terms, 0.0)
    terms[:, wild] = 0.0
    terms[0] = np.where(wild, value, terms[0])
    lead[wild] = 0
    order = np.where(wild, 0, order)
    return terms, order, np.where(wild, EXACT, np.where(first < window, first, known))


def _raised(terms, by):
    """Each element's terms moved `by` places towards the front."""
    row = np.arange(terms.shape[0])[:, None] + by
    inside = row < terms.shape[0]
    found = np.take_along_axis(terms, np.where(inside, row, 0), axis=0)
    return np.where(inside, found, 0.0)


def lowered(terms, by):
    """Each element's terms moved `by` places to the back, and where nonzero ones were lost."""
    window = terms.shape[0]
    if not by.any():
        return np.broadcast_to(terms, (window, max(terms.shape[1], by.size))), False
    terms = np.broadcast_to(terms, (window, max(terms.shape[1], by.size)))
    row = np.arange(window)[:, None] - by
    inside = row >= 0
    found = np.take_along_axis(terms, np.where(inside, row, 0), axis=0)
    kept = np.where(inside, found, 0.0)
    lost = np.count_nonzero(terms, axis=0) > np.count_nonzero(kept, axis=0)
    return kept, lost


def truncated(g: Germ, window: int) -> Germ:
    """The germ with a smaller window."""
    if window >= g.window:
        return g
    cut = (g.terms[window:] != 0).any(axis=0) | (g.known < EXACT)
    known = np.where(cut, np.minimum(g.known, window), g.known)
    return Germ(g.type, g.terms[:window], g.order, known)


def typed(g: Germ, type: Type) -> Germ:
    """The same series as the value of another type; a scalar fills the shape."""
    if g.order.size == type.size:
        return Germ(type, g.terms, g.order, g.known)
    n = type.size
    terms = np.broadcast_to(g.terms, (g.window, n))
    return Germ(type, terms, np.broadcast_to(g.order, n), np.broadcast_to(g.known, n))


# --- arithmetic ---------------------------------------------------------------------------------


def shifted(g: Germ, by) -> Germ:
    """The germ times s**by, elementwise."""
    order = np.where(g.zero | g.wild, g.order, g.order + by)
    return Germ(g.type, g.terms, order, g.known)


def scaled(g: Germ, factor) -> Germ:
    """The germ times plain factors (flat), which are finite and not 0."""
    return Germ(g.type, g.terms * factor, g.order, g.known)


def add(x: Germ, y: Germ, type: Type, noise: float = 0.0) -> Germ:
    """x + y. At s**0 a sum counts as 0 below `noise` times the size of its terms."""
    order = np.minimum(x.order, y.order)
    window = x.window
    one, lost_one = lowered(x.terms, np.minimum(x.order - order, window))
    two, lost_two = lowered(y.terms, np.minimum(y.order - order, window))
    total = one + two
    snap(total, np.abs(one) + np.abs(two), order, noise)
    precision = np.minimum(x.precision, y.precision)
    known = np.where(precision >= EXACT, EXACT, np.minimum(precision - order, window))
    known = np.where(lost_one | lost_two, np.minimum(known, window), known)
    return normal(type, total, order, known)


def snap(total, size, order, noise: float) -> None:
    """Put 0 where rounding left a sum of terms of these sizes.

    A sum that is 0 at s**0 and hardly moves stays 0: 1 - p is 0 where p is 1 to the last digit, but
    p need not be 1 at the point, and the sum is no zero that s passes through.
    """
    power = np.arange(total.shape[0])[:, None] + order
    at_point = power == 0
    small = (np.abs(total) <= np.where(at_point, noise, TINY) * size) & (total != 0)
    if small.any():
        total[small] = 0.0
    met = at_point & (total == 0) & (size > 0)
    if met.any():
        reach = np.where(met, size, 0.0).max(axis=0)
        still = (power > 0) & (np.abs(total) <= STILL * reach) & (total != 0)
        total[still] = 0.0


def multiply(x: Germ, y: Germ, type: Type) -> Germ:
    """x * y; an exact 0 annihilates."""
    order = np.minimum(x.order + y.order, EXACT)
    if not y.terms[1:].any():
        return _multiplied_by_monomial(x, y, order, type)
    if not x.terms[1:].any():
        return _multiplied_by_monomial(y, x, order, type)
    window = x.window
    shape = (window, max(x.terms.shape[1], y.terms.shape[1]))
    total = np.zeros(shape, np.result_type(x.terms, y.terms))
    size = np.zeros(shape)
    for i in range(window):
        if x.terms[i].any():
            total[i:] += x.terms[i] * y.terms[: window - i]
            size[i:] += np.abs(x.terms[i]) * np.abs(y.terms[: window - i])
    snap(total, size, order, 0.0)
    return normal(type, total, order, _product_known(x, y))


def _multiplied_by_monomial(x: Germ, y: Germ, order, type: Type) -> Germ:
    terms = x.terms * y.terms[0]
    known = np.minimum(x.known, y.known)
    return normal(type, terms, order, np.where(order >= EXACT, EXACT, known))


def _product_known(x: Germ, y: Germ):
    known = np.minimum(x.known, y.known)
    overflow = degree(x) + degree(y) >= x.window
    known = np.where(overflow, np.minimum(known, x.window), known)
    return np.where(x.zero | y.zero, EXACT, known)


def degree(x: Germ):
    """The number of the last nonzero term."""
    backwards = (x.terms[::-1] != 0).argmax(axis=0)
    return np.where(x.terms.any(axis=0), x.window - 1 - backwards, 0)


def divide(x: Germ, y: Germ, type: Type) -> Germ:
    """x / y. Division by an exact 0 gives inf or nan; by an element not known, one not known."""
    window = x.window
    order = np.where(x.zero, EXACT, x.order - np.where(y.zero, 0, y.order))
    lead = y.terms[0]
    exact = (x.known >= EXACT) & (y.known >= EXACT)
    if not y.terms[1:].any():
        terms = x.terms / lead
        known = np.minimum(x.known, y.known)
    else:
        shape = (window, max(x.terms.shape[1], y.terms.shape[1]))
        terms = np.zeros(shape, np.result_type(x.terms, y.terms))
        size = np.zeros(shape)
        for k in range(window):
            rest = x.terms[k] + np.zeros(shape[1])
            reach = np.abs(rest)
            for j in range(1, k + 1):
                rest = rest - y.terms[j] * terms[k - j]
                reach = reach + np.abs(y.terms[j] * terms[k - j])
            size[k] = reach / np.abs(lead)
            terms[k] = rest / lead
            small = np.abs(terms[k]) <= TINY * size[k]
            terms[k][small & (k + order != 0)] = 0.0
        monomial = exact & ~y.terms[1:].any(axis=0)
        known = np.where(monomial, EXACT, np.minimum(np.minimum(x.known, y.known), window))
    by_zero = y.zero & ~x.vague
    if by_zero.any():
        terms = np.where(by_zero & (np.arange(window)[:, None] > 0), 0.0, terms)
    vague = y.vague & ~x.zero
    terms = np.where(vague, 0.0, terms)
    terms = np.where(x.zero & ~y.zero, 0.0, terms)
    order = np.where(vague, UNKNOWN, order)
    known = np.where(vague, 0, np.where(order >= EXACT, EXACT, known))
    return normal(type, terms, order, known)


def derivative(g: Germ) -> Germ:
    """d/ds, term by term."""
    power = np.arange(g.window)[:, None] + np.where(g.zero | g.wild, 0, g.order)
    order = np.where(g.zero, EXACT, np.where(g.wild, 0, g.order - 1))
    terms = np.where(g.wild & (power == 0), 0.0, g.terms * power)
    return normal(g.type, terms, order, g.known)


def integral(g: Germ) -> tuple[Germ, np.ndarray]:
    """The integral without a constant, and where it has a logarithm (a term 1 / s)."""
    power = np.arange(g.window)[:, None] + np.where(g.zero | g.wild, 0, g.order) + 1
    logarithm = ((power == 0) & (g.terms != 0)).any(axis=0)
    terms = g.terms / np.where(power == 0, 1, power)
    order = np.where(g.zero, EXACT, np.where(g.wild, 0, g.order + 1))
    return normal(g.type, terms, order, g.known), logarithm


def chosen(condition: np.ndarray, x: Germ, y: Germ, type: Type) -> Germ:
    """x where the (flat) condition holds, else y."""
    terms = np.where(condition, x.terms, y.terms)
    order = np.where(condition, x.order, y.order)
    return Germ(type, terms, order, np.where(condition, x.known, y.known))
