"""Derivatives of every operation, on the rows of the table.

    slope        forward mode against mpmath (in ulps), complex step or extrapolated differences
    second       forward over forward against the same
    reverse      <u, J v> = <J* u, v>, of the operation and of its derivative

The rows are those of `table.py`; accuracies are the operations' own `ulps`.
"""

import numpy as np
import pytest
from mpmath import mp, mpf

from chainrule.errors import DerivativeMissing
from chainrule.program.evaluate import Plan
from chainrule.program.op import REGISTRY, Constant, Discrete
from chainrule.program.program import Program
from chainrule.program.trace import Builder, operand
from chainrule.program.types import type_of
from chainrule.transforms.forward import forward
from chainrule.transforms.reverse import reverse
from tests.ops.running import (
    Point,
    best_dtype,
    evaluated,
    has_truth,
    is_smooth,
    program_of,
    random_like,
    rows,
)
from tests.ops.table import all_rows
from tests.ops.truth import (
    DIGITS,
    assert_near,
    assert_within,
    differences,
    points,
    shown,
    true_second,
    true_slope,
)

# --- first derivatives --------------------------------------------------------------------------

SLOPES = [
    pytest.param(row, dtype, id=f"{row.id}-{dtype}")
    for row in all_rows()
    if has_truth(row) and is_smooth(row)
    for dtype in "dfD"
    if dtype in row.dtypes
]


@pytest.mark.parametrize(("row", "dtype"), SLOPES)
def test_slope_against_mpmath(row, dtype):
    point = Point(row, dtype)
    ulps = row.op.ulps if row.ulps is None else row.ulps
    ulps = ulps if dtype == "d" else max(8.0, 2.0 * ulps)
    mask = row.chosen(point.arrays)
    for i in [i for i, wanted in enumerate(mask) if wanted]:
        pairs = zip(range(len(mask)), point.arrays, mask, strict=True)
        unit = [np.full_like(x, k == i) for k, x, wanted in pairs if wanted]
        (found,) = point.tangents(unit)
        for n, x in enumerate(points(point.arrays)):
            with mp.workdps(DIGITS):
                truth, noise = true_slope(row, x, i)
            assert_within(found[n], truth, ulps, f"by input {i} at {shown(x)}", noise)


@rows(lambda row: not has_truth(row) and is_smooth(row) and not row.analytic)
def test_slope_against_differences(row):
    for dtype in set(row.dtypes) & set("dD"):
        point = Point(row, dtype)
        direction = point.direction()
        found = point.tangents(direction)

        def value(h, point=point, direction=direction):
            return Plan(point.program).run(point.moved(direction, h))

        assert_near(found, differences(value), row.tolerance)


@rows(lambda row: not has_truth(row) and is_smooth(row) and row.analytic)
def test_slope_against_complex_step(row):
    point = Point(row)
    direction = point.direction()
    step = 1e-40
    displaced = [x.astype(complex) for x in point.moved(direction, 1j * step)]
    expected = [np.imag(y) / step for y in Plan(program_of(row, displaced)).run(displaced)]
    assert_near(point.tangents(direction), expected, 1e-13)


@rows(lambda row: isinstance(row.op.derivative, Constant | Discrete))
def test_no_tangent_passes_a_constant_or_discrete_operation(row):
    _, moves = Point(row, best_dtype(row)).forward()
    assert not any(moves)


@rows(lambda row: row.op.elementwise and is_smooth(row) and "e" in row.dtypes)
def test_slope_in_float16_is_float16(row):
    point = Point(row, "e")
    (found,) = point.tangents(point.direction())
    assert found.dtype == evaluated(row, point.arrays)[0].dtype


def test_missing_derivative_says_why():
    x = np.array([1.0, 2.0])
    with Builder("f") as builder:
        v = builder.input(type_of(x))
        program = builder.finish([operand(builder, REGISTRY["jv"](v, v))])
    with pytest.raises(DerivativeMissing, match="jv has no derivative with respect to its order"):
        forward(program, (True,))


# --- reverse mode -------------------------------------------------------------------------------


def inner(xs, ys) -> tuple[float, float]:
    """The real inner product of two lists of arrays, and the sum of its terms' sizes."""
    products = [np.real(np.conj(x) * y) for x, y in zip(xs, ys, strict=True)]
    finite = [np.where(np.isfinite(p), p, 0.0).astype(float) for p in products]
    return sum(float(np.sum(p)) for p in finite), sum(float(np.sum(np.abs(p))) for p in finite)


def check_adjoint(program: Program, inputs, mask, rng) -> None:
    """<u, J v> = <J* u, v> for random u and v; both programs are valid."""
    flat, moves = forward(program, mask)
    back, same = reverse(program, mask)
    assert moves == same
    flat.validate()
    back.validate()
    v = [random_like(rng, x) for x, wanted in zip(inputs, mask, strict=True) if wanted]
    pushed = Plan(flat).run([*inputs, *v])[len(moves) :]
    u = [random_like(rng, np.asarray(y)) for y in pushed]
    pulled = Plan(back).run([*inputs, *u])[len(moves) :]
    left, size = inner(u, pushed)
    right, other = inner(pulled, v)
    eps = max((np.finfo(np.asarray(x).dtype).eps for x in [*u, *v]), default=0.0)
    assert abs(left - right) <= 2e3 * eps * max(size, other, 1e-300), (left, right)


@rows(is_smooth)
def test_reverse_against_forward(row):
    for dtype in set(row.dtypes) & set("fdD"):
        point = Point(row, dtype)
        check_adjoint(point.program, point.inputs, point.mask, point.rng)


@rows(lambda row: is_smooth(row) and row.smooth)
def test_reverse_over_forward_against_forward_over_forward(row):
    point = Point(row, best_dtype(row))
    flat, moves = point.forward()
    direction = point.direction()
    mask = point.mask + (False,) * len(direction)
    tangents_only = Program(flat.inputs, flat.equations, flat.outputs[len(moves) :])
    check_adjoint(tangents_only, [*point.inputs, *direction], mask, point.rng)


# --- second derivatives -------------------------------------------------------------------------


def second_directional(point: Point, v, w) -> list:
    """D^2 f (v, w) by forward mode over forward mode."""
    flat, moves = point.forward()
    again, moves_again = forward(flat, point.mask + (False,) * len(v))
    outputs = Plan(again).run([*point.inputs, *v, *w])
    moving = iter(outputs[len(moves_again) :])
    found = [
        next(moving) if m else np.zeros_like(y)
        for y, m in zip(outputs[: len(moves_again)], moves_again, strict=True)
    ]
    return found[len(moves) :]


@rows(lambda row: has_truth(row) and is_smooth(row) and row.smooth and "d" in row.dtypes)
def test_second_derivative_against_mpmath(row):
    point = Point(row)
    v, w = point.direction(), point.direction()
    found = second_directional(point, v, w)
    found = found[0] if found else np.zeros_like(v[0])
    active = [i for i, wanted in enumerate(row.chosen(point.arrays)) if wanted]
    directions = dict(zip(active, zip(v, w, strict=True), strict=True))
    for n, x in enumerate(points(point.arrays)):
        with mp.workdps(DIGITS):
            truth, size, noise = true_directional(row, x, n, directions)
        if not np.isfinite(size):
            continue
        error = abs(float(mpf(float(found[n])) - truth))
        assert error <= row.second * size + noise, (
            f"at {shown(x)}: found {found[n]!r}, truth {mp.nstr(truth, 20)}, "
            f"relative error {error / (size + noise):.3g}"
        )


def true_directional(row, x, n: int, directions: dict):
    """D^2 f (v, w) at entry n, the sum of its terms' sizes, and a bound of what may be noise.

    Next to a zero of the second derivative the noise is 1e-15 of the first.
    """
    terms, noise = [], 1e-290
    for i, (v, _) in directions.items():
        noise += 1e-15 * abs(float(true_slope(row, x, i)[0]))
        for j, (_, w) in directions.items():
            second, unsure = true_second(row, x, i, j)
            weight = entry(v, n) * entry(w, n)
            terms.append(weight * second)
            noise += abs(weight) * unsure
    return sum(terms), float(sum(abs(t) for t in terms)), noise


def entry(x, n: int) -> float:
    return float(x[n] if np.ndim(x) else x)


@rows(lambda row: not has_truth(row) and is_smooth(row) and row.smooth and "d" in row.dtypes)
def test_second_derivative_against_differences(row):
    point = Point(row)
    v, w = point.direction(), point.direction()
    flat, moves = point.forward()
    found = second_directional(point, v, w)

    def slope(h):
        return Plan(flat).run([*point.moved(w, h), *v])[len(moves) :]

    assert_near(found, differences(slope), row.tolerance)
