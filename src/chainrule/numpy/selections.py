"""x[mask] where the mask's value is not known: compile, vmap, the body of a loop.

How many elements there are is then unknown, but what is done with them often needs no count:

    x[m].mean()            sum(where(m, x, 0)) / count(m)
    np.log(x[m]) * w[m]    log(x) * w at all places, of which those in m count
    y[m] = 2.0 * x[m]      where(m, 2 x, y)

So x[mask] is a Selected: the values at all places, and the mask. Functions of single elements are
taken at all places; reductions, and writing to the same places of another array, leave out those
that are not selected. These contribute exact zeros to derivatives, whatever the function gives for
them (nan, infinite slopes), as branches of np.where do that are not taken. Two selections meet
where their masks are the same computation. np.nonzero(mask) and its kin give the selected places in
the same way. np.sort moves the selected elements to the first places. Whatever needs the count as a
Python number, or the elements one by one, is refused. Where NumPy raises because too little is
selected, the result is nan (x[mask][i], np.median), -inf (np.max) or inf (np.min). What NumPy's
functions do with a selection is in selection_functions.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from chainrule import errors
from chainrule.program.program import Operand
from chainrule.program.text import line_text
from chainrule.program.trace import Builder, Traced, concrete_value, current, operand, user_line

# What selection_functions.py enters: NumPy's functions, and ufuncs by which arrays are reduced.
FUNCTIONS: dict[Callable, Callable] = {}
REDUCED: dict[np.ufunc, Callable] = {}


class Selected(NDArrayOperatorsMixin):
    """values[mask]: `values` has the axes of the mask, then `rest`, those of one element."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values, mask: Traced):
        self.values, self.mask = values, mask
        self._line = user_line()

    @property
    def rest(self) -> tuple[int, ...]:
        """The shape of one selected element."""
        return self.values.shape[self.mask.ndim :]

    @property
    def ndim(self) -> int:
        """One axis of unknown length, and those of an element."""
        return 1 + len(self.rest)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the elements."""
        return self.values.dtype

    @property
    def shape(self) -> tuple:
        """The shape, whose first entry is a traced number."""
        return (self._count(), *self.rest)

    @property
    def size(self):
        """How many numbers there are: a traced number."""
        return self._count() * int(np.prod(self.rest))

    @property
    def T(self):
        """The selection itself, which has one axis."""
        return self if not self.rest else self._refuse("x[mask].T")

    def _count(self):
        return np.count_nonzero(self.mask).item()

    def everywhere(self) -> Any:
        """The mask with the axes of the values."""
        return np.broadcast_to(
            self.mask.reshape(self.mask.shape + (1,) * len(self.rest)), self.values.shape
        )

    def only(self, other) -> Any:
        """The values, and another value where nothing is selected."""
        return np.where(self.everywhere(), self.values, self.values.dtype.type(other))

    def _like(self, values) -> Selected:
        return Selected(values, self.mask)

    # --- elements and parts ---------------------------------------------------------------------

    def __getitem__(self, key):
        if isinstance(key, Selected) and key.dtype.kind == "b" and not key.rest:
            self._meet(key)
            return Selected(self.values, self.mask & key.values)
        if isinstance(key, int | np.integer) and not isinstance(key, bool):
            return ordered(self)[key]
        return self._like(self.values[self._rest_key(key)])

    def __setitem__(self, key, value):
        if isinstance(key, Selected) and key.dtype.kind == "b" and not key.rest:
            self._meet(key)
            self.values = written(self.values, self.mask & key.values, value, key.mask)
            return
        at = self._rest_key(key)
        values = self.values.copy()
        values[at] = aligned(self, value, len(values[at].shape) - self.mask.ndim)
        self.values = values

    def _rest_key(self, key) -> tuple:
        """The key into `values` of v[:, ...], which takes the same part of each element."""
        entries = key if isinstance(key, tuple) else (key,)
        whole = len(entries) > 0 and isinstance(entries[0], slice) and entries[0] == slice(None)
        if not whole and not (entries and entries[0] is Ellipsis):
            self._refuse("x[mask][...], of some of the elements,")
        lead = (slice(None),) * self.mask.ndim
        return (*lead, *entries[1:]) if whole else (*lead, *entries)

    # --- NumPy's protocols ----------------------------------------------------------------------

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, where=True, **options):
        if method == "reduce" and ufunc in REDUCED and where is True and out is None:
            return REDUCED[ufunc](*inputs, axis=options.pop("axis", 0), **options)
        if method != "__call__" or where is not True:
            return self._refuse(f"np.{ufunc.__name__}.{method} of x[mask]")
        if ufunc is np.matmul:
            made = dot(*inputs)
        elif ufunc.signature is not None:
            return self._refuse(f"np.{ufunc.__name__} of x[mask]")
        else:
            made = elementwise(lambda *a: ufunc(*a, **options), inputs)
        if out is None:
            return made
        target = out[0] if isinstance(out, tuple) else out
        if not isinstance(target, Selected):
            return self._refuse("out= for x[mask]")
        target._meet(made)
        target.values = made.values.astype(target.dtype)
        return target

    def __array_function__(self, func, types, args, kwargs):
        implementation = FUNCTIONS.get(func)
        if implementation is None:
            return self._refuse(f"np.{func.__name__} of x[mask]")
        try:
            return implementation(*args, **kwargs)
        except UnknownOption as error:
            return self._refuse(f"np.{func.__name__}({error}) of x[mask]")

    # --- methods --------------------------------------------------------------------------------

    def sum(self, axis=None, dtype=None):
        """The sum of the selected elements."""
        return np.sum(self, axis=axis, dtype=dtype)

    def prod(self, axis=None, dtype=None):
        """Their product."""
        return np.prod(self, axis=axis, dtype=dtype)

    def mean(self, axis=None):
        """Their mean; nan where nothing is selected, as in NumPy."""
        return np.mean(self, axis=axis)

    def var(self, axis=None, ddof=0):
        """Their variance."""
        return np.var(self, axis=axis, ddof=ddof)

    def std(self, axis=None, ddof=0):
        """Their standard deviation."""
        return np.std(self, axis=axis, ddof=ddof)

    def max(self, axis=None):
        """The largest; -inf (for whole numbers the smallest one) where nothing is selected."""
        return np.max(self, axis=axis)

    def min(self, axis=None):
        """The smallest; inf (for whole numbers the largest one) where nothing is selected."""
        return np.min(self, axis=axis)

    def any(self, axis=None):
        """Whether one of them is true."""
        return np.any(self, axis=axis)

    def all(self, axis=None):
        """Whether all of them are true."""
        return np.all(self, axis=axis)

    def cumsum(self, axis=None):
        """Their running sum."""
        return np.cumsum(self, axis=axis)

    def dot(self, other):
        """The product with an array, or with another selection by the same mask."""
        return dot(self, other)

    def astype(self, dtype, **_):
        """The elements in another dtype."""
        return self._like(self.values.astype(dtype))

    def copy(self, order="C"):
        """A selection of its own."""
        return self._like(self.values.copy())

    def clip(self, min=None, max=None):
        """The elements, clipped."""
        return np.clip(self, min, max)

    def round(self, decimals=0):
        """The elements, rounded."""
        return np.round(self, decimals)

    def conj(self):
        """The complex conjugates."""
        return np.conjugate(self)

    @property
    def real(self):
        """The real parts."""
        return np.real(self)

    @property
    def imag(self):
        """The imaginary parts."""
        return np.imag(self)

    def ravel(self, order="C"):
        """The selection itself, which has one axis."""
        return self if not self.rest else self._refuse("x[mask].ravel() of several axes")

    def flatten(self, order="C"):
        """A copy of the selection, which has one axis."""
        return self.copy() if not self.rest else self._refuse("x[mask].flatten() of several axes")

    # --- what cannot be known -------------------------------------------------------------------

    def _meet(self, other: Selected) -> None:
        if not same(self.mask, other.mask):
            self._refuse(
                "an operation on the selections of two masks", "Their masks must be the same one."
            )

    def _refuse(self, what: str, more: str = ""):
        raise errors.ConcreteValueNeeded(
            f"the shape of x[mask] depends on the mask's value, at {line_text(self._line)}, and "
            f"this trace has none at hand (compile, vmap, or the body of a loop); {what} needs "
            f"it, at {line_text(user_line())}. {more}\n"
            "  Elementwise functions and reductions of x[mask], y[mask] = ... and "
            "np.count_nonzero(mask) need no shape; otherwise use np.where(mask, x, 0)."
        )

    def refuse_as_result(self):
        """Called where a selection would leave the trace, or enter another one."""
        self._refuse("what is returned, or handed to another traced function,")

    def __len__(self):
        return self._refuse("len(x[mask])")

    def __iter__(self):
        return self._refuse("a loop over x[mask]")

    def __bool__(self):
        return self._refuse("the truth value of x[mask]")

    def __float__(self):
        return self._refuse("float(x[mask])")

    def __array__(self, dtype=None, copy=None):
        return self._refuse("an array of x[mask]")

    def __repr__(self):
        return f"Selected({self.values!r}, {self.mask!r})"


class UnknownOption(Exception):
    """An option of a reduction that has no meaning here."""


# --- in the order of the selection ----------------------------------------------------------------


class ordered:
    """The selected elements one after another, in the first places of a longer array."""

    def __init__(self, sel: Selected):
        self._elements = sel.values.reshape(-1, *sel.rest)
        chosen = sel.mask.reshape(-1)
        self._places = np.argsort(~chosen, kind="stable")
        self._count = np.count_nonzero(chosen)

    def __getitem__(self, number):
        """The element of this number; nan (of whole numbers any) where there are not as many."""
        place = number if number >= 0 else number + self._count
        found = self._elements[self._places[np.clip(place, 0, len(self._elements) - 1)]]
        if found.dtype.kind not in "fc":
            return found
        return np.where((place >= 0) & (place < self._count), found, np.nan)


# --- which masks are the same -------------------------------------------------------------------


def same(a, b) -> bool:
    """Whether two masks are one value, or two of one computation (x > 0, written twice)."""
    builder = current()
    assert builder is not None
    return a is b or _same(builder, operand(builder, a), operand(builder, b), 100)


def _same(builder: Builder, a: Operand, b: Operand, left: int) -> bool:
    if a is b or left == 0:
        return a is b
    if a.is_literal or b.is_literal:
        return a.is_literal and b.is_literal and a.type is b.type and a.key == b.key
    one, other = builder.maker(a), builder.maker(b)
    if one is None or other is None or one.op is not other.op or one.op.name in ("random_bits",):
        return False
    if len(one.inputs) != len(other.inputs) or not _equal(one.params, other.params):
        return False
    places = [[v is x for v in made.outputs] for made, x in ((one, a), (other, b))]
    if places[0] != places[1]:
        return False
    pairs = zip(one.inputs, other.inputs, strict=True)
    return all(_same(builder, x, y, left - 1) for x, y in pairs)


def _equal(params: dict, others: dict) -> bool:
    try:
        return bool(params == others)
    except ValueError:  # of arrays: not worth a look
        return False


# --- making and writing ---------------------------------------------------------------------------


def is_unknown_mask(entry) -> bool:
    """Whether an entry of a key is a mask with axes whose value is not at hand."""
    if type(entry) is not Traced or entry.type.dtype.kind != "b" or not entry.type.ndim:
        return False
    return concrete_value(entry) is None


def selects(key) -> bool:
    """Whether x[key] is of unknown length: by a mask, or by selected places."""
    first = key[0] if type(key) is tuple and key else key
    return isinstance(first, Selected) or is_unknown_mask(first)


def select_from(x: Traced, key) -> Selected:
    """x[key] for such a key."""
    entries = key if type(key) is tuple else (key,)
    if isinstance(entries[0], Selected):
        return _at_places(x, entries)
    mask, *others = entries
    _check_shape(mask, x)
    if any(type(e) is Traced or isinstance(e, np.ndarray | list | Selected) for e in others):
        Selected(x, mask)._refuse("x[mask, i], with another array among the indices,")
    values = x[(*_lead(mask), *others)] if others else x.copy()
    return Selected(values, mask.copy())


def set_selected(x: Traced, key, value) -> None:
    """x[key] = value for such a key."""
    entries = key if type(key) is tuple else (key,)
    first = entries[0]
    if isinstance(first, Selected):
        mask = _mask_of_places(x, entries)
        others = ()
    else:
        mask, others = first, tuple(entries[1:])
        _check_shape(mask, x)
    lead = (*_lead(mask), *others)
    x[lead] = written(x[lead] if others else x, mask, value, mask)


def _lead(mask) -> tuple:
    return (slice(None),) * mask.ndim


def _check_shape(mask, x) -> None:
    for axis, (n, m) in enumerate(zip(x.shape, mask.shape, strict=False)):
        if n != m:
            raise errors.IndexOutOfRange(
                f"boolean index did not match indexed array along axis {axis}; size of axis is "
                f"{n} but size of corresponding boolean axis is {m}, at {line_text(user_line())}"
            )
    if mask.ndim > x.ndim:
        raise errors.IndexOutOfRange(
            f"too many indices for array: array is {x.ndim}-dimensional, but {mask.ndim} were "
            f"indexed, at {line_text(user_line())}"
        )


def written(part, mask, value, whose):
    """`part`, with a value at the places in `mask`: a selection by the mask `whose`, or one value
    for each of them."""
    sel = Selected(part, whose)
    value = aligned(sel, value, part.ndim - whose.ndim)
    if np.result_type(value).kind == "c" and part.dtype.kind != "c":
        raise errors.DtypeError(
            f"cannot store complex values in an array of {part.dtype}, "
            f"at {line_text(user_line())}. Take .real or make the array complex."
        )
    everywhere = Selected(part, mask).everywhere()
    return np.where(everywhere, np.asarray(value).astype(part.dtype), part)


def _at_places(x: Traced, places: tuple) -> Selected:
    first = places[0]
    taken = []
    for entry in places:
        if not isinstance(entry, Selected) or entry.dtype.kind not in "iu" or entry.rest:
            first._refuse("x[...] by selected and other indices")
        first._meet(entry)
        taken.append(entry.values)
    return first._like(x[tuple(taken)])


class Places(Selected):
    """The places along one axis of what a mask selects (np.nonzero)."""

    def __init__(self, values, mask: Traced, axis: int):
        super().__init__(values, mask)
        self.axis = axis


def places_of(mask: Traced) -> tuple[Places, ...]:
    """np.nonzero of a mask whose value is not known."""
    axes = np.indices(mask.shape)
    return tuple(Places(np.asarray(axes[k]), mask, k) for k in range(mask.ndim))


def _mask_of_places(x: Traced, places: tuple) -> Traced:
    """The mask that selected places come from; for others, two may be the same place."""
    first = places[0]
    for k, entry in enumerate(places):
        if type(entry) is not Places or entry.axis != k:
            first._refuse("x[i] = ... by selected indices that are not those of np.nonzero")
        first._meet(entry)
    if len(places) != first.mask.ndim:
        first._refuse("x[i] = ... by some of the indices of np.nonzero")
    _check_shape(first.mask, x)
    return first.mask


# --- functions ------------------------------------------------------------------------------------


def aligned(sel: Selected, value, rest: int):
    """A value for all places of a selection whose elements have `rest` axes."""
    if isinstance(value, Selected):
        sel._meet(value)
        return value.values
    value = np.asarray(value)
    if value.ndim <= rest:
        return value
    if value.ndim == rest + 1 and value.shape[0] == 1:
        return value[0]
    return sel._refuse(f"an operation of x[mask] with an array of shape {value.shape}")


def elementwise(function: Callable, args, places=None) -> Selected:
    """A function of single elements, at all places; `places` are the arguments that it takes
    element by element (all)."""
    taken = range(len(args)) if places is None else [p for p in places if p < len(args)]
    first = next(args[p] for p in taken if isinstance(args[p], Selected))
    rest = max([len(args[p].rest) for p in taken if isinstance(args[p], Selected)])
    new = list(args)
    for p in taken:
        a = args[p]
        if isinstance(a, Selected):
            first._meet(a)
            new[p] = _with_rest(a, rest)
        elif a is not None:
            new[p] = aligned(first, a, rest)
    return first._like(function(*new))


def _with_rest(sel: Selected, rest: int):
    """The values, with as many axes for an element as others have: NumPy aligns the last ones."""
    if len(sel.rest) == rest:
        return sel.values
    return sel._refuse("an operation of selections whose elements have different axes")


def dot(a, b):
    """a @ b, where one is a selection."""
    if isinstance(a, Selected) and isinstance(b, Selected) and not a.rest and not b.rest:
        return np.sum(a * b)
    if isinstance(a, Selected) and a.rest and not isinstance(b, Selected):
        return a._like(np.matmul(a.values, b))
    first = a if isinstance(a, Selected) else b
    return first._refuse("a matrix product along the selected elements")
