"""Fragments of Python: a text, and how tightly its outermost operator binds.

A fragment is put into another with the parentheses that it needs there, and no others. Floating
point is not associative, so `a + (b + c)` keeps its parentheses.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# How tightly operators bind, weakest first.
CHOICE, COMPARE, BIT_OR, BIT_XOR, BIT_AND, SHIFT, SUM, PRODUCT, SIGN, POWER, ATOM = range(11)

DEFAULT_DTYPES = ("float64", "int64", "bool", "complex128")  # those of Python's own numbers
WIDTH = 100


class Fragment(NamedTuple):
    """A Python expression, and the level of its outermost operator."""

    text: str
    level: int = ATOM

    def within(self, level: int) -> str:
        """The text as an operand of something that binds at `level`."""
        return self.text if self.level >= level else f"({self.text})"

    def get(self, attribute: str) -> Fragment:
        """An attribute, a method call or an index of this expression (itself for none)."""
        if not attribute:
            return self
        return Fragment(self.within(ATOM) + attribute)


def infix(symbol: str, level: int, left: Fragment, right: Fragment) -> Fragment:
    """`left symbol right`; operators group from the left, comparisons not at all."""
    first = left.within(level + 1 if level == COMPARE else level)
    return Fragment(f"{first} {symbol} {right.within(level + 1)}", level)


def call(function: str, *arguments: Fragment | str, **options: str) -> Fragment:
    """`function(*arguments, **options)`."""
    words = [a if isinstance(a, str) else a.text for a in arguments]
    words += [f"{name}={value}" for name, value in options.items()]
    return Fragment(f"{function}({', '.join(words)})")


def tuple_text(items) -> str:
    """A tuple of texts: `(a, b)`, `(a,)`, `()`."""
    items = list(items)
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def shape_text(shape) -> str:
    """A shape as NumPy's functions take it: `3` for one axis, else a tuple."""
    return str(shape[0]) if len(shape) == 1 else tuple_text(map(str, shape))


def axis_option(axes, ndim: int) -> dict[str, str]:
    """The `axis` option of a reduction over `axes`; none where it is over all of them."""
    if len(axes) == ndim and ndim:
        return {}
    return {"axis": shape_text(axes)}


def dtype_text(dtype) -> str:
    """`np.float32`, `np.bool_`."""
    name = np.dtype(dtype).name
    return "np.bool_" if name == "bool" else f"np.{name}"


def number(value) -> Fragment:
    """A plain number that becomes this NumPy scalar in its dtype."""
    kind = value.dtype.kind
    if kind in "bui":
        text = repr(value.item())
    elif kind == "f":
        text = _real(value)
    else:
        text = _complex(value)
    return Fragment(text, SIGN if text.startswith("-") else ATOM)


def _real(value) -> str:
    if np.isnan(value):
        return "np.nan"
    if np.isinf(value):
        return "np.inf" if value > 0 else "-np.inf"
    short = repr(float(str(value)))
    same = value.dtype.type(float(short)) == value
    return short if same else repr(float(value))


def _complex(value) -> str:
    real, imag = value.real, value.imag
    plain = np.isfinite(real) and np.isfinite(imag) and not np.signbit(real)
    if plain and (real != 0 or not np.signbit(imag)):
        sign = "-" if np.signbit(imag) else "+"
        return f"({_real(real)} {sign} {_real(abs(imag))}j)"
    return f"complex({_real(real)}, {_real(imag)})"


def typed_number(value) -> Fragment:
    """A number that is this NumPy scalar also where nothing beside it tells the dtype."""
    if value.dtype.name in DEFAULT_DTYPES:
        return number(value)
    return scalar(value)


def scalar(value) -> Fragment:
    """The NumPy scalar itself: `np.float64(2.0)`."""
    return call(dtype_text(value.dtype), number(value))


def array(value: np.ndarray) -> Fragment:
    """An array written out; counting numbers are `np.arange`."""
    default = value.dtype.name in DEFAULT_DTYPES
    options = {} if default and value.size else {"dtype": dtype_text(value.dtype)}
    if value.dtype == np.int64 and value.ndim == 1 and value.size > 2:
        start = int(value[0])
        if np.array_equal(value, np.arange(start, start + value.size)):
            return call("np.arange", *_range(start, start + value.size))
    if not value.size:
        return call("np.empty", shape_text(value.shape), **options)
    return call("np.array", _nested(value), **options)


def _range(start: int, stop: int) -> list[str]:
    return [str(stop)] if start == 0 else [str(start), str(stop)]


def _nested(value) -> str:
    if value.ndim == 0:
        return number(value[()]).text
    return f"[{', '.join(_nested(item) for item in value)}]"


def index_text(arrays: list[str], at, shape) -> str:
    """`[i, 1:3, 0]`: index arrays for the first axes of `shape`, then static entries."""
    rest = shape[len(arrays) :]
    entries = [_entry(e, n) for e, n in zip(at, rest, strict=True)]
    while entries and entries[-1] == ":" and (len(entries) > 1 or arrays):
        entries.pop()
    return f"[{', '.join([*arrays, *entries])}]" if arrays or entries else "[...]"


def _entry(entry, length: int) -> str:
    if isinstance(entry, int):
        return str(entry)
    start, stop, step = entry
    if step < 0:
        first = "" if start == length - 1 else str(start)
        last = "" if stop < 0 else str(stop)
        return f"{first}:{last}:{step}"
    first = "" if start == 0 else str(start)
    last = "" if stop >= length else str(stop)
    return f"{first}:{last}" if step == 1 else f"{first}:{last}:{step}"


def wrapped(line: str, indent: str) -> list[str]:
    """A statement in lines of at most WIDTH columns, broken at the commas of its brackets."""
    if len(indent) + len(line) <= WIDTH:
        return [indent + line]
    parts = _bracketed(line)
    if parts is None:
        return [indent + line]
    before, items, after = parts
    out = [indent + before]
    inside = indent + "    "
    current = ""
    for item in items:
        if current and len(inside) + len(current) + len(item) + 3 > WIDTH:
            out += wrapped(current, inside)
            current = ""
        current = f"{current} {item}," if current else f"{item},"
    out += wrapped(current, inside) if current else []
    return [*out, indent + after]


def _bracketed(line: str):
    """A line divided at its longest bracket: what is before, the items inside, what is after."""
    best, depth, starts = None, 0, []
    for place, letter in enumerate(line):
        if letter in "([{":
            starts.append(place)
            depth += 1
        elif letter in ")]}" and starts:
            start = starts.pop()
            depth -= 1
            if best is None or place - start > best[1] - best[0]:
                best = start, place
    if best is None or best[1] - best[0] < 20 or not _breakable(line, best[0]):
        return None
    start, stop = best
    items = _split_commas(line[start + 1 : stop])
    return (line[: start + 1], items, line[stop:]) if len(items) > 1 else None


def _breakable(line: str, start: int) -> bool:
    """Whether a comma may follow the last item: in calls, lists, tuples and dicts, not in `x[]`."""
    before = line[start - 1] if start else " "
    return line[start] != "[" or not (before.isalnum() or before in "_)]")


def _split_commas(text: str) -> list[str]:
    items, depth, current = [], 0, ""
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            items.append(current.strip())
            current = ""
        else:
            current += letter
    return [*items, current.strip()] if current.strip() else items
