"""np.einsum on traced values: diagonals, sums and contractions in Einstein's notation.

Two operands at a time, those first whose product is smallest; `optimize` changes no value and is
accepted. With one operand and nothing to sum the result is a view, as in NumPy.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import cast_to, result_dtype
from chainrule.numpy.protocols import implements
from chainrule.numpy.reductions import stored
from chainrule.numpy.shaping import array
from chainrule.ops.contract import labelled
from chainrule.ops.index import index, index_set
from chainrule.ops.shape import inverse_permutation, iota, reshape, sum_, transpose
from chainrule.program.mutation import make_view
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

Labels = tuple  # one label per axis: a letter, or a number for an axis of the ellipsis


# --- notation -----------------------------------------------------------------------------------


def _fail(why: str):
    raise errors.ShapeError(f"{why}, at {line_text(user_line())}")


def _spelled_out(operands) -> tuple[str, list]:
    """(subscripts, arrays), from either way to call einsum."""
    if isinstance(operands[0], str):
        return operands[0].replace(" ", ""), list(operands[1:])
    arrays, lists = list(operands[: len(operands) // 2 * 2 : 2]), list(operands[1::2])
    terms = [_term(sublist) for sublist in lists]
    inputs = ",".join(terms)
    return (inputs + "->" + _term(operands[-1]) if len(operands) % 2 else inputs), arrays


def _term(sublist) -> str:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return "".join("..." if n is Ellipsis else letters[n] for n in sublist)


def _split(term: str) -> tuple[Labels, bool, Labels]:
    """The letters before an ellipsis, whether there is one, and the letters after it."""
    before, dots, after = term.partition("...")
    if not all(c.isalpha() for c in before + after):
        _fail(f"invalid subscript {term!r} in einstein sum subscripts string")
    return tuple(before), bool(dots), tuple(after)


def _labels(term: str, ndim: int, place: int) -> Labels:
    """The labels of an operand; the ellipsis gives negative numbers, counted from the right."""
    before, dots, after = _split(term)
    extra = ndim - len(before) - len(after)
    if extra < 0:
        _fail(f"einstein sum subscripts string contains too many subscripts for operand {place}")
    if extra and not dots:
        _fail(
            "operand has more dimensions than subscripts given in einstein sum, but no '...' "
            "ellipsis provided to broadcast the extra dimensions."
        )
    return (*before, *range(-extra, 0), *after)


def _output(right: str | None, inputs: list[Labels], left: str) -> Labels:
    """The labels of the result: as written, or those that occur once, in order."""
    dots = sorted({label for labels in inputs for label in labels if isinstance(label, int)})
    if right is None:
        letters = [c for c in left if c.isalpha()]
        return (*dots, *sorted(c for c in set(letters) if letters.count(c) == 1))
    before, ellipsis, after = _split(right)
    if dots and not ellipsis:
        _fail("output has fewer dimensions than the ellipsis of the operands")
    out = (*before, *(dots if ellipsis else ()), *after)
    if len(set(out)) != len(out):
        _fail("einstein sum subscripts string includes output subscript multiple times")
    known = {label for labels in inputs for label in labels}
    for label in out:
        if label not in known:
            _fail(
                f"einstein sum subscripts string included output subscript '{label}' which "
                "never appeared in an input"
            )
    return out


def _parsed(operands) -> tuple[list[Traced], list[Labels], Labels]:
    subscripts, arrays = _spelled_out(operands)
    left, arrow, right = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays):
        more = "more" if len(arrays) > len(terms) else "fewer"
        _fail(
            f"{more} operands provided to einstein sum function than specified in the "
            "subscripts string"
        )
    arrays = [array(a) for a in arrays]
    labels = [_labels(t, a.ndim, i) for i, (t, a) in enumerate(zip(terms, arrays, strict=True))]
    return arrays, labels, _output(right if arrow else None, labels, left)


# --- one operand --------------------------------------------------------------------------------


def _diagonal(x, labels: Labels):
    """x with one axis for each label: axes of one label become their diagonal, which leads."""
    repeated = [label for label in dict.fromkeys(labels) if labels.count(label) > 1]
    for label in repeated:
        places = [a for a, name in enumerate(labels) if name == label]
        x, labels = _along_diagonal(x, places), (label, *(n for n in labels if n != label))
    return x, labels


def _lead(ndim: int, places) -> tuple[int, ...]:
    return (*places, *(a for a in range(ndim) if a not in places))


def _along_diagonal(x, places):
    moved = transpose(x, axes=_lead(x.ndim, places))
    counting = iota(size=moved.shape[0], dtype=np.dtype(np.int64))
    whole = tuple((0, n, 1) for n in moved.shape[len(places) :])
    return index(moved, *[counting] * len(places), at=whole)


def _with_diagonal(x, places, value):
    """x with its diagonal over `places` replaced; the inverse of `_along_diagonal`."""
    order = _lead(x.ndim, places)
    counting = iota(size=x.shape[places[0]], dtype=np.dtype(np.int64))
    moved = transpose(x, axes=order)
    whole = tuple((0, n, 1) for n in moved.shape[len(places) :])
    out = index_set(moved, value, *[counting] * len(places), at=whole)
    return transpose(out, axes=inverse_permutation(order))


def _with_axes(term, out: Labels):
    """A term (an array and its labels) as an array with the axes `out`."""
    x, labels = term
    order = tuple(labels.index(label) for label in out)
    return x if order == tuple(range(len(order))) else transpose(x, axes=order)


def _view(x: Traced, labels: Labels, out: Labels) -> Traced:
    """A view of x: its axes in another order, or its diagonal."""
    repeated = [label for label in out if labels.count(label) > 1]
    if len(repeated) > 1:
        return _with_axes(_diagonal(x, labels), out)
    kept = _diagonal_labels(labels, repeated)
    back = tuple(out.index(label) for label in kept)
    places = [a for a, name in enumerate(labels) if name in repeated]

    def read(parent):
        return _with_axes(_diagonal(parent, labels), out)

    def write(parent, value):
        value = value if back == tuple(range(len(back))) else transpose(value, axes=back)
        return _with_diagonal(parent, places, value) if places else value

    return make_view(x, ("einsum", labels, out), read, write)


def _diagonal_labels(labels: Labels, repeated) -> Labels:
    return (*repeated, *(label for label in labels if label not in repeated))


# --- several operands ---------------------------------------------------------------------------


def _sizes(arrays, labels) -> dict:
    sizes: dict = {}
    for x, names in zip(arrays, labels, strict=True):
        for n, name in zip(x.shape, names, strict=True):
            have = sizes.get(name, 1)
            if have != 1 and n not in (1, have):
                shapes = " ".join(str(a.shape) for a in arrays)
                _fail(
                    "operands could not be broadcast together with remapped shapes: "
                    f"subscript '{name}' is {have} and {n} in {shapes}"
                )
            sizes[name] = n if have == 1 else have
    return sizes


def _without_ones(x, labels: Labels, sizes: dict):
    """x without the axes of length one that stand for a longer one."""
    kept = [a for a, name in enumerate(labels) if x.shape[a] == sizes[name]]
    if len(kept) == len(labels):
        return x, labels
    shape = tuple(x.shape[a] for a in kept)
    return reshape(x, shape=shape), tuple(labels[a] for a in kept)


def _summed(x, labels: Labels, needed):
    """x summed over the labels that nothing else needs."""
    axes = tuple(a for a, name in enumerate(labels) if name not in needed)
    return (sum_(x, axes=axes), tuple(n for n in labels if n in needed)) if axes else (x, labels)


def _needed(terms, out: Labels, besides=()) -> set:
    used = {name for i, (_, names) in enumerate(terms) if i not in besides for name in names}
    return used | set(out)


def _cheapest(terms, out: Labels, sizes: dict) -> tuple[int, int]:
    """The pair whose product has the fewest entries; the first such pair."""

    def entries(pair):
        i, j = pair
        needed = _needed(terms, out, pair)
        return math.prod(sizes[n] for n in {*terms[i][1], *terms[j][1]} if n in needed)

    count = len(terms)
    return min(((i, j) for i in range(count) for j in range(i + 1, count)), key=entries)


def _contracted(terms, out: Labels, sizes: dict):
    """The product of all operands, two at a time."""
    while len(terms) > 1:
        i, j = _cheapest(terms, out, sizes)
        needed = _needed(terms, out, (i, j))
        (x, in_x), (y, in_y) = terms[i], terms[j]
        x, in_x = _summed(x, in_x, needed | set(in_y))
        y, in_y = _summed(y, in_y, needed | set(in_x))
        result = out
        if len(terms) > 2:
            result = tuple(n for n in dict.fromkeys((*in_x, *in_y)) if n in needed)
        terms = [t for k, t in enumerate(terms) if k not in (i, j)]
        terms.append((labelled(x, in_x, y, in_y, result), result))
    ((x, labels),) = terms
    return _with_axes(_summed(x, labels, set(out)), out)


@implements(np.einsum)
def einsum(*operands, out=None, dtype=None, order="K", casting="safe", optimize=False):
    """np.einsum"""
    arrays, labels, result = _parsed(operands)
    common = result_dtype(*arrays) if dtype is None else np.dtype(dtype)
    sizes = _sizes(arrays, labels)
    arrays = [cast_to(a, common) for a in arrays]
    if len(arrays) == 1 and out is None and set(labels[0]) == set(result):
        return _view(arrays[0], labels[0], result)
    terms = []
    for x, names in zip(arrays, labels, strict=True):
        x, names = _without_ones(x, names, sizes)
        terms.append(_diagonal(x, names))
    return stored(_contracted(terms, result, sizes), out, np.einsum)


@implements(np.einsum_path)
def einsum_path(*operands, optimize="greedy", einsum_call=False):
    """np.einsum_path: of arrays of these shapes"""
    if einsum_call:
        raise errors.NotSupported("np.einsum_path(einsum_call=True) is NumPy's own affair.")
    plain = [np.broadcast_to(0.0, o.type.shape) if type(o) is Traced else o for o in operands]
    return np.einsum_path(*plain, optimize=optimize)
