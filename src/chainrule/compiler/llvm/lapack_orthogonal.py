"""QR factors, least squares and pseudo-inverses through LAPACK.

Value     of the functions that numpy.linalg calls, in the same order: geqrf and orgqr; gelsd;
          gesdd and two products.
Failure   no convergence sets the status.
"""

from __future__ import annotations

import numpy as np

from chainrule.compiler.kernel import Kernel, Site
from chainrule.compiler.llvm.lapack_frame import Frame, columns, has_native_form, workspace
from chainrule.compiler.llvm.lapack_spectral import call_svd, svd_rooms

# --- qr -------------------------------------------------------------------------------------------


def emit_qr(site: Site) -> Kernel | None:
    """q and r; the diagonal of r has LAPACK's signs."""
    if not has_native_form(site):
        return None
    m, n = site.inputs[0].type.shape[-2:]
    k, wide = min(m, n), site.outputs[0].type.shape[-1]
    work = max(
        workspace("lapack.dgeqrf", m, n, None, m, None, "work", -1)[0],
        workspace("lapack.dorgqr", m, wide, k, None, m, None, "work", -1)[0],
    )
    rooms = [m * max(n, wide), k, work]
    frame = Frame(site, ["lapack.dgeqrf", "lapack.dorgqr"], rooms, 4 * m * n * k, can_fail=False)
    if frame.missing:
        return None
    with frame.each() as (a, q, r):
        matrix, tau, work_room = frame.rooms
        factors = columns(matrix, m)
        frame.copy(a, factors, m, n)
        frame.call("lapack.dgeqrf", m, n, matrix, m, tau, work_room, work, frame.info)
        rows = site.outputs[1].type.shape[-2]
        frame.copy(factors, r, rows, n)
        frame.clear_triangle(r, rows, n, lower=True)
        frame.call("lapack.dorgqr", m, wide, k, matrix, m, tau, work_room, work, frame.info)
        frame.copy(factors, q, m, wide)
    return frame.kernel()


# --- least squares --------------------------------------------------------------------------------


def emit_lstsq(site: Site) -> Kernel | None:
    """The x of least norm, the rank and the singular values."""
    if not has_native_form(site):
        return None
    a_type, b_type = (p.type for p in site.inputs)
    (m, n), k = a_type.shape[-2:], b_type.shape[-1]
    tall, least = max(m, n), min(m, n)
    rcond = site.params["rcond"]
    limit = float(np.finfo(np.float64).eps) * tall if rcond is None else float(rcond)
    numbers, integers = workspace(
        "lapack.dgelsd", m, n, k, None, m, None, tall, None, None, None, "work", -1, "iwork"
    )
    rooms = [m * n, tall * k, least, numbers, integers]
    frame = Frame(site, ["lapack.dgelsd"], rooms, 12 * m * n * least + 2 * m * n * k)
    if frame.missing:
        return None
    with frame.each() as (a, b, x, rank, s):
        matrix, right, found, work, iwork = frame.rooms
        frame.copy(a, columns(matrix, m), m, n)
        frame.copy(b, columns(right, tall), m, k)
        frame.call(
            "lapack.dgelsd", m, n, k, matrix, m, right, tall, found, frame.real(limit),
            rank.pointer, work, numbers, iwork, frame.info,
        )  # fmt: skip
        frame.fail_if(frame.failed())
        frame.copy(columns(right, tall), x, n, k)
        frame.copy(columns(found, least), s, least, 1)
    return frame.kernel()


# --- pseudo-inverses ------------------------------------------------------------------------------

_DEFAULT_RCOND = 1e-15  # numpy.linalg.pinv's


def emit_pinv(site: Site) -> Kernel | None:
    """v diag(1/s) u^T over the singular values that count."""
    if not has_native_form(site):
        return None
    m, n = site.inputs[0].type.shape[-2:]
    k = min(m, n)
    rcond = site.params["rcond"]
    limit = _DEFAULT_RCOND if rcond is None else float(rcond)
    rooms = [m * k, k * n, k, m * n, *svd_rooms(site, "S")]
    frame = Frame(site, ["lapack.dgesdd", "blas.dgemm"], rooms, 22 * m * n * k)
    if frame.missing:
        return None
    with frame.each() as (a, out):
        u, vh, s, inverse, *rest = frame.rooms
        call_svd(frame, "S", a, s, u, vh, rest)
        _divide_rows(frame, k, n, limit)
        one, zero = frame.real(1.0), frame.real(0.0)
        frame.call("blas.dgemm", "N", "N", m, n, k, one, u, m, vh, k, zero, inverse, m)
        frame.copy(columns(inverse, m).transposed, out, n, m)
    return frame.kernel()


def _divide_rows(frame: Frame, k: int, n: int, limit: float) -> None:
    """Row i of vh over s[i]; 0 where s[i] is at most `limit` times the largest."""
    code, zero = frame.code, frame.number(0.0)
    vh, s = columns(frame.rooms[1], k), columns(frame.rooms[2], k)
    cutoff = code.fmul(frame.load(s, 0), frame.number(limit))
    with code.loop(0, k) as i:
        value = frame.load(s, i.index)
        counts = code.compare("ogt", value, cutoff)
        inverse = code.fdiv(frame.number(1.0), code.select(counts, value, frame.number(1.0)))
        inverse = code.select(counts, inverse, zero)
        with code.loop(0, n) as j:
            x = frame.load(vh, i.index, j.index)
            frame.store(code.fmul(x, inverse), vh, i.index, j.index)


ORTHOGONAL = {"qr": emit_qr, "lstsq": emit_lstsq, "pinv": emit_pinv}
