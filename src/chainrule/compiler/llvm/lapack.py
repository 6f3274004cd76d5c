"""Linear systems, inverses, determinants and Cholesky factors through LAPACK.

Value     that of numpy.linalg and scipy.linalg, which call the same functions: LU with partial
          pivoting of the matrix itself (not of its transpose, so that the same matrices count as
          singular), triangles solved in place.
Failure   a singular or indefinite matrix sets the status where the operation raises; where it does
          not, the solution is inf, and 0 for a right side that is 0.
"""

from __future__ import annotations

from chainrule.compiler.kernel import Kernel, Place, Site
from chainrule.compiler.llvm.code import Value, constant, element_type
from chainrule.compiler.llvm.lapack_frame import Frame, Matrix, columns, has_native_form
from chainrule.compiler.llvm.lapack_lanes import has_lanes
from chainrule.compiler.llvm.lapack_small import (
    small_cholesky,
    small_det,
    small_inv,
    small_slogdet,
    small_solve,
    small_triangular_solve,
)
from chainrule.compiler.llvm.vecmath import MATH

# --- cholesky -------------------------------------------------------------------------------------


def emit_cholesky(site: Site) -> Kernel | None:
    """The factors; the output's rows are LAPACK's columns, so its triangle is the other one."""
    if not has_native_form(site):
        return None
    if has_lanes(site):
        return small_cholesky(site)
    n, upper = site.inputs[0].type.shape[-1], site.params["upper"]
    in_place = site.outputs[0].type.dtype.char == "d"
    frame = Frame(site, ["lapack.dpotrf"], [] if in_place else [n * n], n**3 // 3)
    if frame.missing:
        return None
    with frame.each() as (a, out):
        factor = out if in_place else Matrix(frame.rooms[0], n, 1)
        frame.copy(a, factor, n, n)
        frame.call("lapack.dpotrf", "L" if upper else "U", n, factor.pointer, n, frame.info)
        frame.fail_if(frame.failed())
        if not in_place:
            frame.copy(factor, out, n, n)
        frame.clear_triangle(out, n, n, lower=upper)
    return frame.kernel()


# --- systems --------------------------------------------------------------------------------------


def emit_solve(site: Site) -> Kernel | None:
    """Solutions of linear systems."""
    if not has_native_form(site):
        return None
    if has_lanes(site):
        return small_solve(site)
    adjoint, raises = site.params["adjoint"], site.params["raises"]
    n, k = site.outputs[0].type.shape[-2:]
    frame = Frame(site, ["lapack.dgesv"], [n * n, n, n * k], 2 * n**3 // 3 + 2 * n * n * k, raises)
    if frame.missing:
        return None
    with frame.each() as (a, b, out):
        matrix, pivots, right = frame.rooms
        frame.copy(a.transposed if adjoint else a, columns(matrix, n), n, n)
        frame.copy(b, columns(right, n), n, k)
        frame.call("lapack.dgesv", n, k, matrix, n, pivots, right, n, frame.info)
        frame.copy(columns(right, n), out, n, k)
        if raises:
            frame.fail_if(frame.failed())
        else:
            with frame.code.if_(frame.failed()):
                _infinite_where_nonzero(frame, b, out, n, k)
    return frame.kernel()


def _infinite_where_nonzero(frame: Frame, b: Matrix, out: Matrix, n: int, k: int) -> None:
    """Fill the columns of a singular system: with inf, or 0 where the right side is 0."""
    code, zero = frame.code, frame.number(0.0)
    with code.loop(0, k) as j:
        with code.loop(0, n, carried=[constant("i1", False)]) as i:
            nonzero = code.compare("une", frame.load(b, i.index, j.index), zero)
            i.next(code.binary("or", i.carried[0], nonzero))
        filling = code.select(i.results[0], frame.number(float("inf")), zero)
        with code.loop(0, n) as i:
            frame.store(filling, out, i.index, j.index)


def emit_inv(site: Site) -> Kernel | None:
    """Inverse matrices, as solutions of systems with the identity."""
    if not has_native_form(site):
        return None
    if has_lanes(site):
        return small_inv(site)
    n, raises = site.inputs[0].type.shape[-1], site.params["raises"]
    frame = Frame(site, ["lapack.dgesv"], [n * n, n, n * n], 8 * n**3 // 3, raises)
    if frame.missing:
        return None
    with frame.each() as (a, out):
        matrix, pivots, right = frame.rooms
        frame.copy(a, columns(matrix, n), n, n)
        frame.identity(columns(right, n), n)
        frame.call("lapack.dgesv", n, n, matrix, n, pivots, right, n, frame.info)
        frame.copy(columns(right, n), out, n, n)
        if raises:
            frame.fail_if(frame.failed())
        else:
            with frame.code.if_(frame.failed()):
                frame.fill(out, n, n, float("inf"))
    return frame.kernel()


# --- triangular systems ---------------------------------------------------------------------------


def emit_triangular_solve(site: Site) -> Kernel | None:
    """Solutions of triangular systems, worked out where the output lies, in its type as in SciPy.

    Its rows are columns for BLAS: with X and B transposed, A X = B is X^T A^T = B^T.
    """
    if not has_native_form(site):
        return None
    if has_lanes(site):
        return small_triangular_solve(site)
    params = site.params
    raises, lower = params["raises"], params["lower"]
    n, k = site.outputs[0].type.shape[-2:]
    in_place = _blas_layout(site.inputs[0], n)
    element = element_type(site.outputs[0].type.dtype)
    solver = "blas.dtrsm" if element == "double" else "blas.strsm"
    can_fail = raises and not params["unit_diagonal"]
    frame = Frame(site, [solver], [] if in_place else [n * n], n * n * k, can_fail)
    if frame.missing:
        return None
    with frame.each() as (a, b, out):
        diagonal = a
        if not in_place:
            a_copy = Matrix(frame.rooms[0], n, 1, element)
            frame.copy(a, a_copy, n, n)
            a = a_copy
        by_rows = a.column == 1
        stored_upper = lower if by_rows else not lower  # as BLAS sees it
        turned = params["adjoint"] if by_rows else not params["adjoint"]
        frame.copy(b, out, n, k)
        leading = max(a.row if by_rows else a.column, n)
        frame.call(
            solver, "R", "U" if stored_upper else "L", "T" if turned else "N",
            "U" if params["unit_diagonal"] else "N", k, n, frame.real(1.0, element), a.pointer,
            leading, out.pointer, k,
        )  # fmt: skip
        if not params["unit_diagonal"]:
            _if_zero_on_diagonal(frame, diagonal, b, out, raises)
    return frame.kernel()


def _blas_layout(a: Place, n: int) -> bool:
    """Whether a matrix lies as BLAS can read it: one stride is 1, the other at least n."""
    row, column = a.strides[-2:]
    return (column == 1 and (row >= n or n == 1)) or (row == 1 and column >= n)


def _if_zero_on_diagonal(frame: Frame, a: Matrix, b: Matrix, out: Matrix, raises: bool) -> None:
    code = frame.code
    n, k = frame.site.outputs[0].type.shape[-2:]
    with code.loop(0, n, carried=[constant("i1", False)]) as i:
        zero = code.compare("oeq", frame.load(a, i.index, i.index), frame.number(0.0))
        i.next(code.binary("or", i.carried[0], zero))
    with code.if_(i.results[0]):
        if raises:
            frame.fail()
        else:
            _infinite_where_nonzero(frame, b, out, n, k)


# --- determinants ---------------------------------------------------------------------------------


def _factored(site: Site) -> Frame | None:
    """A frame for determinants: a room for the matrix, one for the exchanges of rows."""
    if not has_native_form(site):
        return None
    n = site.inputs[0].type.shape[-1]
    frame = Frame(site, ["lapack.dgetrf"], [n * n, n], 2 * n**3 // 3, can_fail=False)
    return None if frame.missing else frame


def _factor(frame: Frame, a: Matrix, n: int) -> None:
    matrix, pivots = frame.rooms
    frame.copy(a, columns(matrix, n), n, n)
    frame.call("lapack.dgetrf", n, n, matrix, n, pivots, frame.info)


def _sign_of_exchange(frame: Frame, i: Value, x: Value) -> Value:
    """x, or -x where row i was exchanged with another."""
    code = frame.code
    pivot = code.load(code.offset(frame.rooms[1], i, 4), "i32")
    own = code.binary("add", code.convert("trunc", i, "i32"), constant("i32", 1))
    return code.select(code.compare("ne", pivot, own), code.fneg(x), x)


def _logarithm(frame: Frame, n: int) -> tuple[Value, Value]:
    """(sign, log of the magnitude) of the product of the factored diagonal."""
    code = frame.code
    diagonal = columns(frame.rooms[0], n)
    start = [frame.number(1.0), frame.number(0.0)]
    with code.loop(0, n, carried=start) as i:
        sign, total = i.carried
        d = frame.load(diagonal, i.index, i.index)
        sign = _sign_of_exchange(frame, i.index, sign)
        negative = code.compare("olt", d, frame.number(0.0))
        sign = code.select(negative, code.fneg(sign), sign)
        i.next(sign, code.fadd(total, MATH["log"](code, code.intrinsic("fabs", d))))
    singular = frame.failed()
    sign = code.select(singular, frame.number(0.0), i.results[0])
    return sign, code.select(singular, frame.number(float("-inf")), i.results[1])


def emit_slogdet(site: Site) -> Kernel | None:
    """Signs and logarithms of the magnitudes of determinants."""
    if has_native_form(site) and has_lanes(site):
        return small_slogdet(site)
    frame = _factored(site)
    if frame is None:
        return None
    n = site.inputs[0].type.shape[-1]
    with frame.each() as (a, sign_out, log_out):
        _factor(frame, a, n)
        sign, logarithm = _logarithm(frame, n)
        frame.store(sign, sign_out, 0)
        frame.store(logarithm, log_out, 0)
    return frame.kernel()


_LEAST, _LARGEST = 1e-280, 1e280  # between them a product cannot have lost anything on its way


def emit_det(site: Site) -> Kernel | None:
    """Determinants: the product of the factored diagonal in float64; where it would leave the range
    on its way, as NumPy's, through the logarithm."""
    if has_native_form(site) and has_lanes(site):
        return small_det(site, _LEAST, _LARGEST)
    frame = _factored(site)
    if frame is None:
        return None
    code, n = frame.code, site.inputs[0].type.shape[-1]
    with frame.each() as (a, out):
        _factor(frame, a, n)
        start = [constant("double", 1.0), constant("i1", True)]
        diagonal = columns(frame.rooms[0], n)
        with code.loop(0, n, carried=start) as i:
            product, inside = i.carried
            d = frame.load(diagonal, i.index, i.index)
            product = _sign_of_exchange(frame, i.index, code.fmul(product, d))
            size = code.intrinsic("fabs", product)
            for predicate, bound in (("ogt", _LEAST), ("olt", _LARGEST)):
                inside = code.binary(
                    "and", inside, code.compare(predicate, size, code.like(size, bound))
                )
            i.next(product, inside)
        product, inside = i.results
        frame.store(product, out, 0)
        with code.if_(code.binary("xor", inside, constant("i1", True))):
            sign, logarithm = _logarithm(frame, n)
            frame.store(code.fmul(sign, MATH["exp"](code, logarithm)), out, 0)
    return frame.kernel()


LINEAR = {
    "cholesky": emit_cholesky,
    "solve": emit_solve,
    "inv": emit_inv,
    "triangular_solve": emit_triangular_solve,
    "slogdet": emit_slogdet,
    "det": emit_det,
}
