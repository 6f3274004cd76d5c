"""Eigenvalues, singular values and their vectors through LAPACK.

Value     of the functions that numpy.linalg calls, on the same layout and triangle, so that orders
          and signs are the same too: syevd, gesdd and geev.
Failure   no convergence, and for eig and eigvals an entry that is not finite, set the status.
"""

from __future__ import annotations

from chainrule.compiler.kernel import Kernel, Site
from chainrule.compiler.llvm.code import Value, constant
from chainrule.compiler.llvm.lapack_frame import Frame, Matrix, columns, has_native_form, workspace

# --- symmetric matrices ---------------------------------------------------------------------------


def emit_eigh(site: Site) -> Kernel | None:
    """Eigenvalues, ascending, and orthonormal eigenvectors."""
    return _symmetric(site, "V")


def emit_eigvalsh(site: Site) -> Kernel | None:
    """Eigenvalues, ascending."""
    return _symmetric(site, "N")


def _symmetric(site: Site, job: str) -> Kernel | None:
    if not has_native_form(site):
        return None
    n, triangle = site.inputs[0].type.shape[-1], "L" if site.params["lower"] else "U"
    numbers, integers = workspace(
        "lapack.dsyevd", job, triangle, n, None, n, None, "work", -1, "iwork", -1
    )
    rooms = [n * n, n, numbers, integers]
    frame = Frame(site, ["lapack.dsyevd"], rooms, (9 if job == "V" else 3) * n**3)
    if frame.missing:
        return None
    with frame.each() as (a, values, *vectors):
        matrix, found, work, iwork = frame.rooms
        frame.copy(a, columns(matrix, n), n, n)
        frame.call(
            "lapack.dsyevd", job, triangle, n, matrix, n, found, work, numbers, iwork,
            integers, frame.info,
        )  # fmt: skip
        frame.fail_if(frame.failed())
        frame.copy(columns(found, n), values, n, 1)
        for out in vectors:
            frame.copy(columns(matrix, n), out, n, n)
    return frame.kernel()


# --- singular values ------------------------------------------------------------------------------


def emit_svd(site: Site) -> Kernel | None:
    """u, s, vh."""
    if not has_native_form(site):
        return None
    job = "A" if site.params["full_matrices"] else "S"
    m, n = site.inputs[0].type.shape[-2:]
    u_columns, vh_rows = site.outputs[0].type.shape[-1], site.outputs[2].type.shape[-2]
    rooms = [m * u_columns, vh_rows * n, min(m, n), *svd_rooms(site, job)]
    frame = Frame(site, ["lapack.dgesdd"], rooms, 20 * min(m, n) * m * n)
    if frame.missing:
        return None
    with frame.each() as (a, u_out, s_out, vh_out):
        u, vh, s, *rest = frame.rooms
        call_svd(frame, job, a, s, u, vh, rest)
        frame.copy(columns(s, min(m, n)), s_out, min(m, n), 1)
        frame.copy(columns(u, m), u_out, m, u_columns)
        frame.copy(columns(vh, vh_rows), vh_out, vh_rows, n)
    return frame.kernel()


def emit_singular_values(site: Site) -> Kernel | None:
    """Singular values, descending."""
    if not has_native_form(site):
        return None
    m, n = site.inputs[0].type.shape[-2:]
    k = min(m, n)
    frame = Frame(site, ["lapack.dgesdd"], [k, *svd_rooms(site, "N")], 4 * k * m * n)
    if frame.missing:
        return None
    with frame.each() as (a, s_out):
        s, *rest = frame.rooms
        call_svd(frame, "N", a, s, s, s, rest)  # of u and vh nothing is written
        frame.copy(columns(s, k), s_out, k, 1)
    return frame.kernel()


def svd_rooms(site: Site, job: str) -> list[int]:
    """The rooms that `call_svd` needs: the matrix, and two workspaces."""
    m, n = site.inputs[0].type.shape[-2:]
    return [m * n, _svd_workspace(site, job), 4 * min(m, n)]


def _svd_workspace(site: Site, job: str) -> int:
    m, n = site.inputs[0].type.shape[-2:]
    rows = min(m, n) if job == "S" else n
    found, _ = workspace(
        "lapack.dgesdd", job, m, n, None, m, None, None, m, None, rows, "work", -1, None
    )
    return found


def call_svd(
    frame: Frame, job: str, a: Matrix, s: Value, u: Value, vh: Value, rooms: list[Value]
) -> None:
    """Write the singular values to s, the vectors in columns to u and vh, unless `job` is N."""
    m, n = frame.site.inputs[0].type.shape[-2:]
    matrix, work, iwork = rooms
    frame.copy(a, columns(matrix, m), m, n)
    frame.call(
        "lapack.dgesdd", job, m, n, matrix, m, s, u, m, vh, min(m, n) if job == "S" else n, work,
        _svd_workspace(frame.site, job), iwork, frame.info,
    )  # fmt: skip
    frame.fail_if(frame.failed())


# --- general matrices -----------------------------------------------------------------------------


def emit_eig(site: Site) -> Kernel | None:
    """Eigenvalues and eigenvectors, complex."""
    return _general(site, "V")


def emit_eigvals(site: Site) -> Kernel | None:
    """Eigenvalues, complex."""
    return _general(site, "N")


def _general(site: Site, job: str) -> Kernel | None:
    if not has_native_form(site):
        return None
    n = site.inputs[0].type.shape[-1]
    numbers, _ = workspace(
        "lapack.dgeev", "N", job, n, None, n, None, None, None, n, None, n, "work", -1
    )
    rooms = [n * n, n, n, n * n, numbers]
    frame = Frame(site, ["lapack.dgeev"], rooms, (25 if job == "V" else 10) * n**3)
    if frame.missing:
        return None
    with frame.each() as (a, values, *vectors):
        matrix, real, imag, right, work = frame.rooms
        _fail_unless_finite(frame, a, n)
        frame.copy(a, columns(matrix, n), n, n)
        frame.call(
            "lapack.dgeev", "N", job, n, matrix, n, real, imag, right, n, right, n, work, numbers,
            frame.info,
        )  # fmt: skip
        frame.fail_if(frame.failed())
        _store_values(frame, values, n)
        for out in vectors:
            _store_vectors(frame, out, n)
    return frame.kernel()


def _fail_unless_finite(frame: Frame, a: Matrix, n: int) -> None:
    """NumPy raises for an inf or a nan: 0 times it is nan, and so is the sum."""
    code, zero = frame.code, frame.number(0.0)
    with code.loop(0, n, carried=[zero]) as i:
        with code.loop(0, n, carried=[i.carried[0]]) as j:
            term = code.fmul(frame.load(a, i.index, j.index), zero)
            j.next(code.fadd(j.carried[0], term))
        i.next(j.results[0])
    frame.fail_if(code.compare("uno", i.results[0], zero))


def _store_complex(frame: Frame, real: Value, imag: Value, out: Matrix, i, j=0) -> None:
    place = frame.at(out, i, j, size=2 * out.size)
    frame.store(real, out._replace(pointer=place), 0)
    frame.store(imag, out._replace(pointer=frame.code.offset(place, out.size)), 0)


def _store_values(frame: Frame, out: Matrix, n: int) -> None:
    real, imag = columns(frame.rooms[1], n), columns(frame.rooms[2], n)
    with frame.code.loop(0, n) as i:
        _store_complex(frame, frame.load(real, i.index), frame.load(imag, i.index), out, i.index)


def _store_vectors(frame: Frame, out: Matrix, n: int) -> None:
    """A pair of conjugate vectors lies as their real and imaginary part in two columns."""
    code = frame.code
    imag, right = columns(frame.rooms[2], n), columns(frame.rooms[3], n)
    zero, one = frame.number(0.0), constant("i64", 1)
    with code.loop(0, n) as j:
        part = frame.load(imag, j.index)
        first, second = code.compare("ogt", part, zero), code.compare("olt", part, zero)
        before = code.binary("sub", j.index, one)
        real_column = code.select(second, before, j.index)
        after = code.binary("add", j.index, one)
        imag_column = code.select(first, after, j.index)
        with code.loop(0, n) as i:
            x = frame.load(right, i.index, real_column)
            y = frame.load(right, i.index, imag_column)
            y = code.select(second, code.fneg(y), code.select(first, y, zero))
            _store_complex(frame, x, y, out, i.index, j.index)


SPECTRAL = {
    "eigh": emit_eigh,
    "eigvalsh": emit_eigvalsh,
    "svd": emit_svd,
    "singular_values": emit_singular_values,
    "eig": emit_eig,
    "eigvals": emit_eigvals,
}
