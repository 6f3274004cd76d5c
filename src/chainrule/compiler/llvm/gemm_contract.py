"""The kernel of `contract`: its axes gathered into those of a product of matrices.

Axes that step through memory together are one axis. Of several free axes of an operand that are not
one, the longest becomes the rows (or columns) of the product and the others join its batch, with
stride 0 in the other operand. Summed axes that are not one axis in both operands are made so by
copying; so is an operand whose free axes are all too short.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Site, c_strides
from chainrule.compiler.llvm.code import POINTER, Code, Value, element_type, vector
from chainrule.compiler.llvm.gemm import emit_product
from chainrule.compiler.llvm.gemm_plan import ProductSpec, lanes_for
from chainrule.ops.shape import kept_axes

FEW = 8  # free axes shorter than this, where there are several, are copied into one


class Axis(NamedTuple):
    """An axis of a product: its length, and its strides in both operands and the result."""

    size: int
    x: int
    y: int
    c: int


def emit_contract(site: Site) -> Kernel | None:
    """The native form of `contract` for float32 and float64."""
    x, y = site.inputs
    if x.type.dtype.char not in "fd" or x.literal is not None or y.literal is not None:
        return None
    site = _in_order(site)
    batch, rows, columns, summed = _groups(site)
    output = site.outputs[0]
    if output.type.size == 0 or math.prod(a.size for a in summed) == 0:
        return emit_product(_plain_spec(site, batch, rows, columns))
    grouped = [_joined(axes) for axes in (batch, rows, columns, summed)]
    copies = _copied(grouped)
    if any(copies):
        return _after_copies(site, copies)
    return emit_product(_spec(site, *grouped))


def plain_product(site: Site) -> ProductSpec | None:
    """The product of a site that is one of two whole matrices as they lie; None where it is not."""
    site = _in_order(site)
    grouped = [_joined(axes) for axes in _groups(site)]
    batch, rows, columns, summed = grouped
    if batch or len(rows) != 1 or len(columns) != 1 or not site.outputs[0].type.size:
        return None
    if math.prod(a.size for a in summed) == 0 or any(_copied(grouped)):
        return None
    return _spec(site, *grouped)


def _in_order(site: Site) -> Site:
    """The site with its summed axes in the order of x's memory, in which they are joined.

    Operands that are copied take their axes in this order too: then they are one axis in both.
    """
    x, y = (place.strides for place in site.inputs)
    pairs = list(zip(*site.params["axes"], strict=True))
    pairs.sort(key=lambda pair: (-abs(x[pair[0]]), -abs(y[pair[1]])))
    axes = tuple(i for i, _ in pairs), tuple(j for _, j in pairs)
    return site._replace(params={**site.params, "axes": axes})


def _groups(site: Site) -> tuple[tuple[Axis, ...], ...]:
    """The batch axes, the free axes of x and of y, and the summed axes."""
    x, y, c = (place.strides for place in (*site.inputs, site.outputs[0]))
    shape_x, shape_y = (place.type.shape for place in site.inputs)
    axes, batch = site.params["axes"], site.params["batch"]
    free_x = kept_axes(len(shape_x), axes[0] + batch[0])
    free_y = kept_axes(len(shape_y), axes[1] + batch[1])
    first, second = len(batch[0]), len(batch[0]) + len(free_x)
    return (
        tuple(
            Axis(shape_x[i], x[i], y[j], c[at])
            for at, (i, j) in enumerate(zip(*batch, strict=True))
        ),
        tuple(Axis(shape_x[i], x[i], 0, c[first + at]) for at, i in enumerate(free_x)),
        tuple(Axis(shape_y[j], 0, y[j], c[second + at]) for at, j in enumerate(free_y)),
        tuple(Axis(shape_x[i], x[i], y[j], 0) for i, j in zip(*axes, strict=True)),
    )


def _joined(axes) -> list[Axis]:
    """Neighbouring axes that step through memory together as one; those of length one left out."""
    out: list[Axis] = []
    for axis in axes:
        if axis.size == 1:
            continue
        before = out[-1] if out else None
        if before and all(
            b == a * axis.size for b, a in zip(before[1:], axis[1:], strict=True)
        ):
            out[-1] = axis._replace(size=before.size * axis.size)
        else:
            out.append(axis)
    return out


def _copied(grouped) -> tuple[bool, bool]:
    """Which operands are copied first."""
    _, rows, columns, summed = grouped
    together_x = len(_joined([a._replace(y=0) for a in summed])) <= 1
    together_y = len(_joined([a._replace(x=0) for a in summed])) <= 1
    if len(summed) > 1 and together_x and together_y:
        together_x = False  # both are one axis, in different orders
    short_x = len(rows) > 1 and max(a.size for a in rows) < FEW
    short_y = len(columns) > 1 and max(a.size for a in columns) < FEW
    return not together_x or short_x, not together_y or short_y


def _spec(site: Site, batch, rows, columns, summed) -> ProductSpec:
    """The product of axes that are joined; the summed ones are one axis."""
    assert len(summed) <= 1, summed
    row, others_x = _longest(rows)
    column, others_y = _longest(columns)
    inner = summed[0] if summed else Axis(1, 1, 1, 0)
    outer = [*batch, *others_x, *others_y]
    return ProductSpec(
        row.size, column.size, inner.size, site.inputs[0].type.dtype,
        (row.x, inner.x), (inner.y, column.y), (row.c, column.c), tuple(a.size for a in outer),
        tuple(a.x for a in outer), tuple(a.y for a in outer), tuple(a.c for a in outer),
    )  # fmt: skip


def _longest(axes: list[Axis]) -> tuple[Axis, list[Axis]]:
    """The longest axis, and the others."""
    if not axes:
        return Axis(1, 1, 1, 1), []
    at = max(range(len(axes)), key=lambda i: (axes[i].size, i))
    return axes[at], axes[:at] + axes[at + 1 :]


def _plain_spec(site: Site, batch, rows, columns) -> ProductSpec:
    """The spec of a product in which some length is 0: strides do not matter, but C's."""
    if site.outputs[0].type.size == 0:
        return ProductSpec(0, 0, 0, site.inputs[0].type.dtype, (0, 1), (0, 1), (0, 1))
    outer = _joined([a._replace(x=0, y=0) for a in (*batch, *rows, *columns)])
    column, others = _longest(outer)
    zeros = (0,) * len(others)
    return ProductSpec(
        1, column.size, 0, site.inputs[0].type.dtype, (0, 1), (0, 1), (0, column.c),
        tuple(a.size for a in others), zeros, zeros, tuple(a.c for a in others),
    )  # fmt: skip


# --- copying ------------------------------------------------------------------------------------


def _after_copies(site: Site, copies: tuple[bool, bool]) -> Kernel:
    """The product of operands of which some are first copied to scratch memory, axes in order."""
    axes, batch = site.params["axes"], site.params["batch"]
    places, phases, scratch = list(site.inputs), [], 0
    new_axes, new_batch, arguments, offsets = list(axes), list(batch), [0, 1, 2], [0, 0, 0]
    for i in range(2):
        if not copies[i]:
            continue
        place = site.inputs[i]
        free = kept_axes(place.type.ndim, axes[i] + batch[i])
        order = batch[i] + free + axes[i] if i == 0 else batch[i] + axes[i] + free
        type_ = place.type.with_shape(tuple(place.type.shape[a] for a in order))
        strides = tuple(place.strides[a] for a in order)
        phases.append(_copy_phase(type_, strides, i, scratch))
        places[i] = place._replace(type=type_, strides=c_strides(type_.shape))
        new_axes[i] = tuple(order.index(a) for a in axes[i])
        new_batch[i] = tuple(order.index(a) for a in batch[i])
        arguments[i], offsets[i] = 3, scratch
        scratch += -(-type_.nbytes // 64) * 64
    params = {"axes": tuple(new_axes), "batch": tuple(new_batch)}
    copied = site._replace(inputs=tuple(places), params=params)
    spec = _spec(copied, *map(_joined, _groups(copied)))
    first, second, third = arguments
    kernel = emit_product(
        spec._replace(
            arguments=(first, second, third), offsets=(offsets[0], offsets[1], 0),
            scratch=scratch,
        )
    )
    phases += kernel.phases
    return kernel._replace(phases=tuple(phases), scratch=max(scratch, kernel.scratch))


def _copy_phase(type_, strides, argument: int, offset: int) -> Phase:
    """An array of these strides copied to C order, `offset` bytes into the scratch memory."""
    size, element = type_.dtype.itemsize, element_type(type_.dtype)
    axes = _joined([
        Axis(n, s, 0, c)
        for n, s, c in zip(type_.shape, strides, c_strides(type_.shape), strict=True)
    ]) or [Axis(1, 1, 0, 1)]  # fmt: skip
    tasks = axes[0].size if len(axes) > 1 and type_.size >= 32768 else 1
    code = Code()
    args = Value("%args", POINTER)
    source = code.load(code.offset(args, argument, 8), POINTER)
    target = code.offset(code.load(code.offset(args, 3, 8), POINTER), offset)
    if tasks == 1:
        _copy_axes(code, axes, source, target, size, element, lanes_for(type_.dtype))
    else:
        with code.loop(Value("%lo", "i64"), Value("%hi", "i64")) as loop:
            from_ = code.offset(source, code.index_mul(loop.index, axes[0].x), size)
            to = code.offset(target, code.index_mul(loop.index, axes[0].c), size)
            _copy_axes(code, axes[1:], from_, to, size, element, lanes_for(type_.dtype))
    code.line("ret void")
    return Phase(code.function(HEAD), tasks)


def _copy_axes(code: Code, axes, source: Value, target: Value, size, element, lanes) -> None:
    axis = axes[0]
    if len(axes) > 1:
        with code.loop(0, axis.size, carried=[source, target]) as loop:
            from_, to = loop.carried
            _copy_axes(code, axes[1:], from_, to, size, element, lanes)
            loop.next(
                code.offset(from_, axis.x, size),
                code.offset(to, axis.c, size),
            )
        return
    whole = axis.size - axis.size % lanes if axis.x == 1 else 0
    with code.loop(0, whole, lanes) as loop:
        value = code.load(code.offset(source, loop.index, size), vector(element, lanes))
        code.store(value, code.offset(target, loop.index, size))
    with code.loop(whole, axis.size) as loop:
        value = code.load(code.offset(source, code.index_mul(loop.index, axis.x), size), element)
        code.store(value, code.offset(target, loop.index, size))
