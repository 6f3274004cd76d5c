"""Where elements lie: offset and strides of static views, in elements of the memory they view."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from chainrule.compiler.kernel import c_strides
from chainrule.program.program import Equation
from chainrule.program.types import Shape


class Lie(NamedTuple):
    """How an array lies in memory: its first element's offset, and strides, both in elements."""

    offset: int
    strides: tuple[int, ...]


def contiguous(shape: Shape) -> Lie:
    """A C-contiguous array from the start of its memory."""
    return Lie(0, c_strides(shape))


def is_contiguous(shape: Shape, strides: tuple[int, ...]) -> bool:
    """Whether elements lie one behind the other in C order; axes of length 1 do not matter."""
    want = c_strides(shape)
    if 0 in shape:
        return True
    return all(n == 1 or a == b for n, a, b in zip(shape, strides, want, strict=True))


def viewed(equation: Equation, lie: Lie) -> Lie | None:
    """How the value of a view lies where its operand lies so; None where it is no static view."""
    rule = _VIEWS.get(equation.op.name)
    if rule is None or len(equation.inputs) != 1:
        return None
    return rule(equation.inputs[0].type.shape, lie, **equation.params)


def _broadcast(have: Shape, lie: Lie, *, shape, axes) -> Lie:
    strides = [0] * len(shape)
    for i, a in enumerate(axes):
        strides[a] = lie.strides[i]
    return Lie(lie.offset, tuple(strides))


def _transpose(have: Shape, lie: Lie, *, axes) -> Lie:
    return Lie(lie.offset, tuple([lie.strides[a] for a in axes]))


def _flip(have: Shape, lie: Lie, *, axes) -> Lie:
    offset = lie.offset + sum((have[a] - 1) * lie.strides[a] for a in axes if have[a])
    return Lie(offset, tuple([-s if a in axes else s for a, s in enumerate(lie.strides)]))


def sliced(lie: Lie, at, skipped: int = 0) -> Lie:
    """The part that the static entries `at` read, behind `skipped` axes that are indexed apart."""
    offset, strides = lie.offset, []
    for entry, stride in zip(at, lie.strides[skipped:], strict=True):
        if isinstance(entry, int):
            offset += entry * stride
            continue
        start, stop, step = entry
        if len(range(start, stop, step)):
            offset += start * stride
        strides.append(step * stride)
    return Lie(offset, tuple(strides))


def _index(have: Shape, lie: Lie, *, at) -> Lie:
    return sliced(lie, at)


def _reshape(have: Shape, lie: Lie, *, shape) -> Lie | None:
    """The same memory in another shape, where blocks of axes that lie together are regrouped."""
    if 0 in have:
        return Lie(lie.offset, c_strides(shape))
    source = [(n, s) for n, s in zip(have, lie.strides, strict=True) if n != 1]
    strides: list[int] = []
    rest = list(shape)
    while source:
        n, stride = source.pop(0)
        group = [(n, stride)]
        size, want = n, 1
        taken: list[int] = []
        while size != want or not taken:
            if want < size or not taken:
                if not rest:
                    return None
                taken.append(rest.pop(0))
                want *= taken[-1]
            else:
                if not source:
                    return None
                group.append(source.pop(0))
                size *= group[-1][0]
            if want == size and rest and rest[0] == 1 and not source:
                taken.append(rest.pop(0))
        if any(a[1] != b[0] * b[1] for a, b in pairwise(group)):
            return None
        step = group[-1][1]
        inner = []
        for length in reversed(taken):
            inner.append(step)
            step *= length
        strides += reversed(inner)
    strides += [0] * len(rest)  # axes of length 1
    return Lie(lie.offset, tuple(strides))


def _same(have: Shape, lie: Lie, **_) -> Lie:
    return lie


_VIEWS: dict[str, Callable[..., Lie | None]] = {
    "broadcast": _broadcast, "transpose": _transpose, "flip": _flip, "index": _index,
    "reshape": _reshape, "stop_gradient": _same, "barrier": _same,
}  # fmt: skip

STATIC_VIEWS = frozenset(_VIEWS)
