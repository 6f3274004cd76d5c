"""Steps that read and write parts of arrays, and that put arrays together.

A part at numbers is a place in memory; one at index arrays, a kernel. What is joined is written to
its place, by the kernel that makes it where that can be.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from chainrule.compiler.emitters import UPDATES
from chainrule.compiler.layout import Lie, sliced
from chainrule.compiler.sites import flops_of, kernel_of, site_of
from chainrule.compiler.steps import (
    Group,
    Keep,
    Native,
    Operandlike,
    Point,
    Pointer,
    Ref,
    Write,
    new_root,
)
from chainrule.program.program import Equation, Operand, Var
from chainrule.program.types import Type

if TYPE_CHECKING:
    from chainrule.compiler.schedule import Schedule


def add_index(schedule: Schedule, equation: Equation) -> None:
    source, *indices = equation.inputs
    out = equation.outputs[0]
    if any(i.type.ndim for i in indices) or schedule.constant(source) is not None:
        schedule.add_operation(equation)
        return
    ref = _pointed(schedule, equation, schedule.array(source), indices, out.type)
    if schedule.read_before_write(source, out):
        ref = schedule.copied(ref)
    schedule.refs[out] = ref


def _pointed(schedule: Schedule, equation: Equation, ref: Ref, indices, type_: Type) -> Ref:
    """The part of an array at index scalars and static entries."""
    at = equation.params["at"]
    if not indices:
        return ref.at(sliced(ref.lie, at), type_)
    found = [schedule.operandlike(i) for i in indices]
    pointer = Pointer(ref.root, schedule.next)
    schedule.append(
        Point(schedule.next, equation.line, ref, found, [i.type for i in indices], pointer)
    )
    return Ref(pointer, type_, sliced(ref.lie, at, len(indices)))


def add_write(schedule: Schedule, equation: Equation) -> None:
    source, value, *indices = equation.inputs
    out = equation.outputs[0]
    adds = equation.op.name == "index_add"
    if any(i.type.ndim for i in indices) or (adds and not _adds_natively(out.type.dtype)):
        add_scatter(schedule, equation)
        return
    given = schedule.operandlike(value)
    target = _kept(schedule, equation, schedule.operandlike(source), out)
    shape = _part_shape(out.type, len(indices), equation.params["at"])
    part = _pointed(schedule, equation, target, indices, out.type.with_shape(shape))
    schedule.append(Write(schedule.next, equation.line, adds, given, part))
    target.root.made = schedule.steps[-1].number
    schedule.refs[out] = target


def add_scatter(schedule: Schedule, equation: Equation) -> None:
    """A write at index arrays: a kernel that goes on with the array where it is."""
    source, out = equation.inputs[0], equation.outputs[0]
    given = [schedule.operandlike(x) for x in equation.inputs[1:]]
    whole = site_of(equation, [schedule.operandlike(source), *given])
    kernel = kernel_of(whole._replace(inputs=whole.inputs[1:]), UPDATES)
    if kernel is None:
        schedule.add_host(equation)
        return
    target = _kept(schedule, equation, schedule.operandlike(source), out)
    arrays = [x for x in given if isinstance(x, Ref)]
    step = Native(schedule.next, equation.line, whole, kernel, arrays, [target])
    step.flops = flops_of(equation)
    schedule.append(step)
    target.root.made = step.number
    schedule.refs[out] = target


def _kept(schedule: Schedule, equation: Equation, source: Operandlike, out: Var) -> Ref:
    """An array with the source's content, to be written to."""
    if not isinstance(source, Ref) or not source.whole:
        return schedule.copied(source, out.type)
    target = new_root(out.type, schedule.next)
    schedule.append(Keep(schedule.next, equation.line, source, target))
    return target


def add_concatenate(schedule: Schedule, equation: Equation) -> None:
    axis, out = equation.params["axis"], equation.outputs[0]
    _assemble(schedule, equation, out, _along(equation.inputs, axis))


def add_pad(schedule: Schedule, equation: Equation) -> None:
    (x,), out = equation.inputs, equation.outputs[0]
    widths = equation.params["widths"]
    at = tuple((a, a + n, 1) for n, (a, _) in zip(x.type.shape, widths, strict=True))
    _assemble(schedule, equation, out, [(x, at)], fill=out.type.dtype.type(0))


def _assemble(
    schedule: Schedule, equation, out: Var, parts, fill: np.generic | None = None
) -> None:
    """An array made of parts written to their places; a join, by the kernels that make them."""
    if out.type.dtype.kind == "c":
        for x, _ in parts:
            schedule.operandlike(x)
        schedule.add_host(equation)
        return
    target = new_root(out.type, schedule.next)
    places = [(x, target.at(sliced(target.lie, at), x.type)) for x, at in parts]
    if fill is not None:
        schedule.append(
            Group(schedule.next, equation.line, out.type.shape, copies=[(fill, target)])
        )
    else:
        places = _not_made_in_place(schedule, places, target)
    given = [(schedule.operandlike(x), part) for x, part in places]
    target.root.made = max(target.root.made, schedule.next if given else 0)
    if fill is None and len({part.type.shape for _, part in given}) == 1:
        shape = places[0][1].type.shape  # in one pass, since the rows of each lie apart
        schedule.append(Group(schedule.next, equation.line, shape, copies=given))
    else:
        for value, part in given:
            schedule.append(Write(schedule.next, equation.line, False, value, part))
    if given:
        target.root.made = schedule.next - 1
    schedule.refs[out] = target


def _not_made_in_place(schedule: Schedule, places: list[tuple[Operand, Ref]], target: Ref) -> list:
    """The parts of an array that are still to be written. The others are values in registers of
    the kernel that makes most of them, which stores them where they belong. (Several kernels
    would each go through all of the array's memory.)"""
    sources: list[Operand] = []
    for x, _ in places:
        later = None if x.is_literal else schedule.unread.get(x)
        sources.append(x if later is None else later.inputs[0])
    groups = [schedule.in_registers(x) for x in sources]
    found = Counter([g for g in groups if g is not None]).most_common(1)
    if not found or 2 * found[0][1] < len(places):
        return places
    group, rest = found[0][0], []
    for (x, part), source, own in zip(places, sources, groups, strict=True):
        ref = _in_shape(part, source.type)
        if source.is_literal or own is not group or source in group.stores or ref is None:
            rest.append((x, part))
            continue
        del schedule.group_of[source]
        group.stores[source] = schedule.refs[source] = ref
    target.root.made = group.number
    return rest


def _part_shape(type_: Type, skipped: int, at) -> tuple[int, ...]:
    return tuple(len(range(*e)) for e in at if not isinstance(e, int))


def _along(operands, axis: int):
    """The operands of a concatenation with the entries where each belongs."""
    start, out = 0, []
    for x in operands:
        n = x.type.shape[axis]
        at = tuple(
            (start, start + n, 1) if a == axis else (0, m, 1) for a, m in enumerate(x.type.shape)
        )
        out.append((x, at))
        start += n
    return out


def _in_shape(part: Ref, type_: Type) -> Ref | None:
    """A part of an array in the shape of a value that differs in axes of length 1 alone."""
    wide = [(n, s) for n, s in zip(part.type.shape, part.lie.strides, strict=True) if n != 1]
    if [n for n, _ in wide] != [n for n in type_.shape if n != 1]:
        return None
    steps = iter([s for _, s in wide])
    strides = tuple([0 if n == 1 else next(steps) for n in type_.shape])
    return Ref(part.base, type_, Lie(part.lie.offset, strides))


def _adds_natively(dtype: np.dtype) -> bool:
    return dtype.kind != "c"





PARTS = {
    "index": add_index, "index_set": add_write, "index_add": add_write,
    "concatenate": add_concatenate, "pad": add_pad,
}  # fmt: skip
