"""Kernels for stacks of small matrices: systems, inverses, determinants, Cholesky factors.

The same operations as in lapack.py, without LAPACK: see lapack_lanes.py for what is computed.
"""

from __future__ import annotations

from chainrule.compiler.kernel import Kernel, Site
from chainrule.compiler.llvm.code import Value, constant
from chainrule.compiler.llvm.lapack_frame import Matrix
from chainrule.compiler.llvm.lapack_lanes import (
    Elimination,
    Lanes,
    LanesFrame,
    factor_cholesky,
    over,
    solve_triangle,
    zero_on_diagonal,
)
from chainrule.compiler.llvm.vecmath import MATH


def small_cholesky(site: Site) -> Kernel:
    """The factors."""
    n, upper = site.inputs[0].type.shape[-1], site.params["upper"]
    frame = LanesFrame(site, [n * n], n**3 // 3, can_fail=True)
    code = frame.code
    with frame.each() as (a, out):
        factor = Lanes(frame, frame.rooms[0], n)
        factor.read(a, n)
        if upper:  # the lower triangle of the transposed matrix
            _mirror(factor, n)
        factor_cholesky(factor, n)
        if upper:
            _mirror(factor, n)
        for i in over(code, 0, n, n):
            first, last = (0, i) if upper else (code.index_add(i, 1), n)
            for j in over(code, first, last, n):
                factor[i, j] = factor.number(0.0)
        factor.write(out, n)
    return frame.kernel()


def _mirror(a: Lanes, n: int) -> None:
    """Exchange the triangles."""
    for i in over(a.code, 0, n, n):
        for j in over(a.code, 0, i, n):
            a[i, j], a[j, i] = a[j, i], a[i, j]


def small_solve(site: Site) -> Kernel:
    """Solutions of linear systems."""
    n, k = site.outputs[0].type.shape[-2:]
    raises = site.params["raises"]
    rooms = [n * n, n * k, Elimination.STATE]
    frame = LanesFrame(site, rooms, 2 * n**3 // 3 + 2 * n * n * k, raises)
    with frame.each() as (a, b, out):
        matrix, right, state = _lanes(frame, n, k, Elimination.STATE)
        matrix.read(a, n)
        if site.params["adjoint"]:
            _mirror(matrix, n)
        right.read(b, n)
        elimination = Elimination(matrix, state, n, right)
        elimination.run()
        solve_triangle(matrix, right, n, lower=False, adjoint=False, unit=False)
        _if_singular(frame, elimination.singular, right, b, raises)
        right.write(out, n)
    return frame.kernel()


def small_triangular_solve(site: Site) -> Kernel:
    """Solutions of triangular systems."""
    params = site.params
    n, k = site.outputs[0].type.shape[-2:]
    unit, raises = params["unit_diagonal"], params["raises"]
    frame = LanesFrame(site, [n * n, n * k, 1], n * n * k, raises and not unit)
    with frame.each() as (a, b, out):
        matrix, right, flag = _lanes(frame, n, k, 1)
        matrix.read(a, n)
        right.read(b, n)
        solve_triangle(matrix, right, n, params["lower"], params["adjoint"], unit)
        if not unit:
            _if_singular(frame, zero_on_diagonal(matrix, flag, n), right, b, raises)
        right.write(out, n)
    return frame.kernel()


def small_inv(site: Site) -> Kernel:
    """Inverse matrices."""
    n, raises = site.inputs[0].type.shape[-1], site.params["raises"]
    rooms = [n * n, n * n, Elimination.STATE]
    frame = LanesFrame(site, rooms, 8 * n**3 // 3, raises)
    code = frame.code
    with frame.each() as (a, out):
        matrix, right, state = _lanes(frame, n, n, Elimination.STATE)
        matrix.read(a, n)
        for i in over(code, 0, n, n):
            for j in over(code, 0, n, n):
                right[i, j] = right.number(0.0)
            right[i, i] = right.number(1.0)
        elimination = Elimination(matrix, state, n, right)
        elimination.run()
        solve_triangle(matrix, right, n, lower=False, adjoint=False, unit=False)
        _if_singular(frame, elimination.singular, right, None, raises)
        right.write(out, n)
    return frame.kernel()


def _lanes(frame: LanesFrame, *columns: int) -> list[Lanes]:
    return [Lanes(frame, room, c) for room, c in zip(frame.rooms, columns, strict=True)]


def _if_singular(
    frame: LanesFrame, singular: Value, x: Lanes, b: Matrix | None, raises: bool
) -> None:
    """Set the status; or fill the lanes concerned with inf, and 0 where a column of b is 0."""
    code, n = frame.code, frame.site.outputs[0].type.shape[-2]
    with code.if_(x.any(singular)):
        if raises:
            frame.fail()
            return
        for j in over(code, 0, x.columns, n):
            filling = x.number(float("inf"))
            if b is not None:
                filling = code.select(_moved(frame, b, n, x, j), filling, x.number(0.0))
            for i in over(code, 0, n, n):
                x[i, j] = code.select(singular, filling, x[i, j])


def _moved(frame: LanesFrame, b: Matrix, n: int, x: Lanes, j) -> Value:
    """Per lane whether column j of the right side has an entry that is not 0."""
    code = frame.code
    lanes = [Matrix(frame.at(b, lane), x.columns, 1, b.element) for lane in range(frame.width)]
    found = Value("zeroinitializer", f"<{frame.width} x i1>")
    for lane, matrix in enumerate(lanes):
        with code.loop(0, n, carried=[constant("i1", False)]) as i:
            nonzero = code.compare("une", frame.load(matrix, i.index, j), frame.number(0.0))
            i.next(code.binary("or", i.carried[0], nonzero))
        found = code.insert(found, i.results[0], lane)
    return found


# --- determinants ---------------------------------------------------------------------------------


def _factored(site: Site) -> tuple[LanesFrame, int]:
    n = site.inputs[0].type.shape[-1]
    rooms = [n * n, Elimination.STATE, 1, 1]
    return LanesFrame(site, rooms, 2 * n**3 // 3, can_fail=False), n


def _eliminated(frame: LanesFrame, a: Matrix, n: int) -> tuple[Elimination, Lanes, Lanes]:
    """The elimination done, and two rooms for a number each."""
    matrix, state, first, second = _lanes(frame, n, Elimination.STATE, 1, 1)
    matrix.read(a, n)
    elimination = Elimination(matrix, state, n)
    elimination.run()
    return elimination, first, second


def _logarithm(done: Elimination, sign: Lanes, total: Lanes) -> None:
    """The sign and the logarithm of the magnitude of the product of the diagonal."""
    a, code, n = done.a, done.code, done.n
    sign[0, 0], total[0, 0] = done.state[0, 0], a.number(0.0)
    for k in over(code, 0, n, n):
        d = a[k, k]
        negative = code.compare("olt", d, a.number(0.0))
        sign[0, 0] = code.select(negative, code.fneg(sign[0, 0]), sign[0, 0])
        total[0, 0] = code.fadd(total[0, 0], MATH["log"](code, code.intrinsic("fabs", d)))
    sign[0, 0] = code.select(done.singular, a.number(0.0), sign[0, 0])
    total[0, 0] = code.select(done.singular, a.number(float("-inf")), total[0, 0])


def small_slogdet(site: Site) -> Kernel:
    """Signs and logarithms of the magnitudes of determinants."""
    frame, n = _factored(site)
    with frame.each() as (a, sign_out, log_out):
        done, sign, total = _eliminated(frame, a, n)
        _logarithm(done, sign, total)
        sign.write(sign_out, 1)
        total.write(log_out, 1)
    return frame.kernel()


def small_det(site: Site, least: float, largest: float) -> Kernel:
    """Determinants: products where no factor leads out of the range, else through logarithms."""
    frame, n = _factored(site)
    code = frame.code
    with frame.each() as (a, out):
        done, product, other = _eliminated(frame, a, n)
        matrix = done.a
        product[0, 0], other[0, 0] = done.state[0, 0], matrix.number(1.0)
        for k in over(code, 0, n, n):
            product[0, 0] = code.fmul(product[0, 0], matrix[k, k])
            size = code.intrinsic("fabs", product[0, 0])
            above = code.compare("ogt", size, matrix.number(least))
            below = code.compare("olt", size, matrix.number(largest))
            inside = code.binary("and", above, below)
            other[0, 0] = code.select(inside, other[0, 0], matrix.number(0.0))
        outside = code.compare("oeq", other[0, 0], matrix.number(0.0))
        with code.if_(matrix.any(outside)):
            found = product[0, 0]
            _logarithm(done, product, other)
            size = MATH["exp"](code, other[0, 0])
            product[0, 0] = code.select(outside, code.fmul(product[0, 0], size), found)
        product.write(out, 1)
    return frame.kernel()
