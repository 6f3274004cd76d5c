"""NumPy's ways to go through an array element by element: vectorize, frompyfunc, fromiter, nditer.

They hand the elements to Python as objects, which loses none of them: on traced values each is the
loop that it stands for, and the results are stacked. While a trace is open they stand in the place
of NumPy's (interception.py).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import broadcast_shape, broadcast_to, contains_traced, stacked
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, current, user_line


def _elements(arrays: list, shape: tuple[int, ...]) -> Iterator[list]:
    """The elements of arrays of one shape at each place, in C order, as Python numbers."""
    wide = [broadcast_to(a, shape) for a in arrays]
    for place in np.ndindex(shape):
        yield [_as_object(a[place]) for a in wide]


def _as_object(element):
    return element.item() if isinstance(element, Traced | np.generic) else element


def _together(values: list, shape: tuple[int, ...], dtype=None):
    """One array of the values at all places; traced where one of them is."""
    if any(type(v) is Traced for v in values):
        found = stacked(values).reshape(shape)
        return found if dtype is None else found.astype(dtype)
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return (made if dtype is None else made.astype(dtype)).reshape(shape)


# --- np.vectorize -------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4)
def vectorized(original: Callable) -> Callable:
    """np.vectorize._vectorize_call, which runs the function in a loop while a trace is open.

    As NumPy, it calls the function once more on the first elements where the dtypes of its results
    are not given, and all results have those of the first.
    """

    @functools.wraps(original)
    def call(self, func, args):
        if current() is None or self.signature is not None or not args:
            return original(self, func, args)
        arrays = [np.asarray(a) for a in args]
        shape = broadcast_shape(*[a.shape for a in arrays])
        first = None
        if self.otypes is None:
            if any(a.size == 0 for a in arrays):
                raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
            first = func(*[a.reshape(-1)[0] for a in arrays])
        count = len(self.otypes) if first is None else len(first) if _is_many(first) else 1
        rows = []
        for i, element in enumerate(_elements(arrays, shape)):
            out = first if self.cache and i == 0 and first is not None else func(*element)
            rows.append(out if _is_many(out) and count > 1 else (out,))
        types = self.otypes if first is None else _types(first if count > 1 else (first,))
        made = [
            _result([row[k] for row in rows], shape, np.dtype(types[k])) for k in range(count)
        ]
        return made[0] if count == 1 else tuple(made)

    return call


def _is_many(value) -> bool:
    return isinstance(value, tuple)


def _types(values) -> list:
    return [np.asarray(v).dtype for v in values]


def _result(values: list, shape: tuple[int, ...], dtype: np.dtype):
    out = _together(values, shape, dtype)
    if type(out) is Traced and not shape:
        out.boxed = True  # np.vectorize gives arrays, also of no axes
    return out


# --- np.frompyfunc ------------------------------------------------------------------------------


def is_of_objects(ufunc: np.ufunc) -> bool:
    """Whether a ufunc calls a Python function on each element (np.frompyfunc)."""
    return all(set(t) <= set("O->") for t in ufunc.types)


def call_on_objects(ufunc: np.ufunc, *inputs):
    """A ufunc of np.frompyfunc on traced values: its function, element by element."""
    arrays = [np.asarray(a) for a in inputs]
    shape = broadcast_shape(*[a.shape for a in arrays])
    columns: list[np.ndarray] = [np.empty(len(list(np.ndindex(shape))), object) for _ in arrays]
    for i, elements in enumerate(_elements(arrays, shape)):
        for column, element in zip(columns, elements, strict=True):
            column[i] = element
    found = ufunc(*columns)
    if ufunc.nout == 1:
        return _together(list(found), shape)
    return tuple(_together(list(part), shape) for part in found)


# --- np.fromiter, np.ndenumerate, np.nditer ----------------------------------------------------


@functools.lru_cache(maxsize=4)
def from_iterable(original: Callable) -> Callable:
    """np.fromiter, which stacks what it is given where some is traced."""

    @functools.wraps(original)
    def fromiter(iter, dtype, count=-1, **options):
        values = list(iter if count < 0 else itertools.islice(iter, count))
        if not contains_traced(values):
            return original(values, dtype, count, **options)
        if count > len(values):
            raise ValueError(
                f"iterator too short: Expected {count} but iterator had only {len(values)} items."
            )
        return stacked(values).astype(dtype)

    return fromiter


@functools.lru_cache(maxsize=4)
def enumerated(original: Callable) -> Callable:
    """np.ndenumerate, also of a traced array: pairs of places and elements."""

    def ndenumerate(arr):
        found = np.asarray(arr)
        if type(found) is not Traced:
            return original(arr)
        return ((place, found[place]) for place in np.ndindex(found.shape))

    return ndenumerate


@functools.lru_cache(maxsize=4)
def iterated(original: Callable) -> Callable:
    """np.nditer, also of one traced array that is only read."""

    def nditer(op, flags=None, op_flags=None, *args, **options):
        if not contains_traced(op):
            return original(op, *[flags, op_flags][: 1 + (op_flags is not None)], *args, **options)
        return TracedIterator(op, flags or (), op_flags or (), bool(args or options))

    return nditer


class TracedIterator:
    """What np.nditer gives for a traced array: its elements in C order, with their places."""

    def __init__(self, op, flags, op_flags, more: bool):
        known = {"multi_index", "c_index", "refs_ok", "zerosize_ok"}
        several = isinstance(op, list | tuple)
        written = any("write" in str(flag) for flag in op_flags)
        if several or written or more or not known.issuperset(flags):
            raise errors.NotSupported(
                "np.nditer goes through one traced array that it only reads, with the flags "
                f"{sorted(known)}, at {line_text(user_line())}.\n"
                "  Use for place in np.ndindex(x.shape), with x[place] for reading and writing."
            )
        self._x, self._flags = op, flags
        self._places = list(np.ndindex(op.shape))
        self.index = 0
        self._begun = False

    def __iter__(self):
        return self

    def __next__(self):
        if self._begun and not self.finished:
            self.index += 1
        self._begun = True
        if self.finished:
            raise StopIteration
        return self.value

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    @property
    def finished(self) -> bool:
        """Whether all elements have been seen."""
        return self.index >= len(self._places)

    def iternext(self) -> bool:
        """Go on to the next element; whether there is one."""
        self.index += 1
        return not self.finished

    @property
    def multi_index(self) -> tuple[int, ...]:
        """The place of the element."""
        if "multi_index" not in self._flags:
            raise ValueError("Iterator is not tracking a multi-index")
        return self._places[self.index]

    @property
    def value(self):
        """The element, an array of no axes."""
        return np.asarray(self._x[self._places[self.index]])

    def __getitem__(self, number: int):
        return (self.value,)[number]
