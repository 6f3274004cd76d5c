"""Pooling as native code: window_sum and window_max, and what the derivative of the latter needs.

The largest entry and whether any is nan are found side by side, since the processor's maximum
drops a nan.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Site, contiguous_place
from chainrule.compiler.llvm.code import Code, Value, constant, vector, with_element
from chainrule.compiler.llvm.conv_geometry import Array, array_of
from chainrule.compiler.llvm.conv_layout import fill
from chainrule.compiler.llvm.loops import HI, LO, argument_pointers
from chainrule.compiler.llvm.pool_windows import (
    Operand,
    Pool,
    Window,
    load_lanes,
    store_lanes,
    window_phases,
)
from chainrule.ops.windows import transposed_padding


def is_native(site: Site) -> bool:
    """Whether the types have a native form: floats, one or two spatial axes, a usual output."""
    places = (*site.inputs, *site.outputs)
    return (
        all(p.type.dtype in (np.float32, np.float64) for p in places)
        and site.inputs[0].type.ndim in (3, 4)
        and all(p.literal is None for p in site.inputs)
        and all(p.contiguous for p in site.outputs)
        and all(p.type.size for p in places)
    )


def _zeros(window: Window, lanes) -> list[Value]:
    return [constant(vector(window.type[0], n), 0) for n in lanes]


# --- sums and maxima ------------------------------------------------------------------------------


def emit_window_sum(site: Site) -> Kernel | None:
    """The kernel of `window_sum`."""
    if not is_native(site):
        return None
    pool = Pool(site, site.inputs[0], site.outputs[0])
    return Kernel(tuple(window_phases(pool, [pool.x, pool.out], [0], _sum)))


def _sum(window: Window, arrays: list[Operand], lanes) -> None:
    code = window.code

    def add(at, sums):
        values = load_lanes(code, at[0], lanes, window.type)
        return [code.fadd(s, x) for s, x in zip(sums, values, strict=True)]

    sums = window.taps(arrays, _zeros(window, lanes), add)
    store_lanes(code, sums, arrays[1], lanes, window.type[1])


def emit_window_max(site: Site) -> Kernel | None:
    """The kernel of `window_max`."""
    if not is_native(site):
        return None
    pool = Pool(site, site.inputs[0], site.outputs[0])
    return Kernel(tuple(window_phases(pool, [pool.x, pool.out], [0], _max)))


def _max(window: Window, arrays: list[Operand], lanes) -> None:
    code, count = window.code, len(lanes)
    types = [vector(window.type[0], n) for n in lanes]
    integer = f"i{8 * window.type[1]}"
    bits = [with_element(t, integer) for t in types]

    def larger(at, state):
        out = list(state)
        for v, x in enumerate(load_lanes(code, at[0], lanes, window.type)):
            out[v] = code.select(code.compare("ogt", x, state[v]), x, state[v])
            is_nan = code.convert("sext", code.compare("uno", x, x), integer)
            out[count + v] = code.binary("or", state[count + v], is_nan)
        return out

    start = [constant(t, -math.inf) for t in types] + [constant(t, 0) for t in bits]
    state = window.taps(arrays, start, larger)
    out = []
    for v, type_ in enumerate(types):
        lost = code.compare("ne", state[count + v], constant(bits[v], 0))
        out.append(code.select(lost, constant(type_, math.nan), state[v]))
    store_lanes(code, out, arrays[1], lanes, window.type[1])


# --- ties -----------------------------------------------------------------------------------------


def _count(window: Window, x: Value, out: Value, total: Value) -> Value:
    """One more where x equals out."""
    code = window.code
    one, zero = constant(x.type, 1), constant(x.type, 0)
    return code.fadd(total, code.select(code.compare("oeq", x, out), one, zero))


def _shares(window: Window, totals, counts, outs) -> list[Value]:
    """totals / counts, a count of 0 being 1; nan where the largest entry is nan."""
    code, shares = window.code, []
    for total, count, out in zip(totals, counts, outs, strict=True):
        one = constant(out.type, 1)
        several = code.select(code.compare("ogt", count, one), count, one)
        lost = code.compare("uno", out, out)
        nan = constant(out.type, math.nan)
        shares.append(code.select(lost, nan, code.fdiv(total, several)))
    return shares


def emit_window_pick(site: Site) -> Kernel | None:
    """The kernel of `window_pick`."""
    if not is_native(site):
        return None
    x, out, moving = map(array_of, site.inputs)
    pool = Pool(site, site.inputs[0], site.outputs[0])
    return Kernel(tuple(window_phases(pool, [x, out, moving, pool.out], [0, 2], _pick)))


def _pick(window: Window, arrays: list[Operand], lanes) -> None:
    code, number = window.code, len(lanes)
    outs = load_lanes(code, arrays[1], lanes, window.type)

    def pick(at, state):
        xs, moving = (load_lanes(code, o, lanes, window.type) for o in at)
        counts = [_count(window, *both) for both in zip(xs, outs, state[:number], strict=True)]
        totals = []
        for x, out, dx, total in zip(xs, outs, moving, state[number:], strict=True):
            tied = code.compare("oeq", x, out)
            totals.append(code.fadd(total, code.select(tied, dx, constant(dx.type, 0))))
        return counts + totals

    state = window.taps(arrays, _zeros(window, lanes) * 2, pick)
    means = _shares(window, state[number:], state[:number], outs)
    store_lanes(code, means, arrays[3], lanes, window.type[1])


def emit_window_share(site: Site) -> Kernel | None:
    """The kernel of `window_share`.

    Windows that overlap: first the share of each window, then for each entry of x the sum of those
    of its windows where it ties, so that nothing is written twice.
    """
    if not is_native(site):
        return None
    x, out, given = map(array_of, site.inputs)
    total, pool = array_of(site.outputs[0]), Pool(site, site.inputs[0], site.inputs[1])
    if _apart(pool):
        phases = window_phases(pool, [x, out, given, total], [0, 3], _share)
        if not _covers(pool):
            phases.insert(0, Phase(_cleared(total, pool), x.shape[0]))
        return Kernel(tuple(phases))
    shares = array_of(contiguous_place(site.inputs[1].type))
    back = Pool(_transposed(site), site.inputs[1], site.inputs[0])
    phases = window_phases(pool, [x, out, given, total, shares], [0], _share_of_window)
    phases += window_phases(back, [x, out, given, total, shares], [1, 4], _sum_of_shares)
    return Kernel(tuple(phases), scratch=site.inputs[1].type.nbytes)


def _apart(pool: Pool) -> bool:
    """Whether no two windows see one entry."""
    return all(a.stride > (a.taps - 1) * a.dilation for a in pool.axes)


def _covers(pool: Pool) -> bool:
    """Whether every entry is seen by just one window."""
    return all(
        a.inside and a.low == 0 and a.stride == a.taps and a.dilation == 1
        and a.n == a.results * a.stride
        for a in pool.axes
    )  # fmt: skip


def _transposed(site: Site) -> Site:
    """The site whose windows are, at each entry of x, the windows that see it."""
    params, spatial = site.params, site.inputs[0].type.shape[1:-1]
    ones = (1,) * len(spatial)
    back = transposed_padding(
        spatial, params["window"], params["strides"], params["padding"], ones, params["w_dilation"]
    )
    changed = dict(strides=ones, padding=back, x_dilation=params["strides"])
    return site._replace(params=params | changed)


def _cleared(total: Array, pool: Pool) -> str:
    """Writes zeros; a task does an image."""
    code = Code()
    target = argument_pointers(code, 4)[3]
    with code.loop(LO, HI) as image:
        place = code.offset(target, image.index, total.strides[0] * pool.size)
        fill(code, place, total.strides[0], constant(pool.element, 0), pool.size)
    code.line("ret void")
    return code.function(HEAD)


def _window_shares(window: Window, arrays: list[Operand], lanes) -> tuple[list, list]:
    """The largest entries of a window, and what each of those that tie receives."""
    code = window.code
    outs = load_lanes(code, arrays[1], lanes, window.type)

    def count(at, counts):
        xs = load_lanes(code, at[0], lanes, window.type)
        return [_count(window, *both) for both in zip(xs, outs, counts, strict=True)]

    counts = window.taps(arrays, _zeros(window, lanes), count)
    given = load_lanes(code, arrays[2], lanes, window.type)
    return outs, _shares(window, given, counts, outs)


def _where_tied(code: Code, xs, outs, shares) -> list[Value]:
    """The shares where x equals out, or out is nan; else zeros."""
    return [
        code.select(code.compare("ueq", x, out), share, constant(x.type, 0))
        for x, out, share in zip(xs, outs, shares, strict=True)
    ]


def _share(window: Window, arrays: list[Operand], lanes) -> None:
    code = window.code
    outs, shares = _window_shares(window, arrays, lanes)

    def give(at, nothing):
        xs = load_lanes(code, at[0], lanes, window.type)
        store_lanes(code, _where_tied(code, xs, outs, shares), at[1], lanes, window.type[1])
        return nothing

    window.taps(arrays, [], give)


def _share_of_window(window: Window, arrays: list[Operand], lanes) -> None:
    _, shares = _window_shares(window, arrays, lanes)
    store_lanes(window.code, shares, arrays[4], lanes, window.type[1])


def _sum_of_shares(window: Window, arrays: list[Operand], lanes) -> None:
    code = window.code
    xs = load_lanes(code, arrays[0], lanes, window.type)

    def add(at, sums):
        outs, shares = (load_lanes(code, o, lanes, window.type) for o in at)
        parts = _where_tied(code, xs, outs, shares)
        return [code.fadd(s, p) for s, p in zip(sums, parts, strict=True)]

    sums = window.taps(arrays, _zeros(window, lanes), add)
    store_lanes(code, sums, arrays[3], lanes, window.type[1])
