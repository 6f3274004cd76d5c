"""Every operation of the registry, on the rows of the table: values, edges, types and programs.

    value        against mpmath, or NumPy's own words; dtype and shape as the type rule says
    edges        values and slopes at the edges that the operation states as data
    text         printed programs parse back to themselves
    evaluator    plans give the bits of running equation by equation

`test_op_derivatives.py` and `test_op_batching.py` have the other properties. An operation without a
row fails.
"""

import numpy as np
import pytest
from mpmath import mp

from chainrule.program.evaluate import Plan
from chainrule.program.op import REGISTRY, TAKES, Linear, Structural
from chainrule.program.parse import parse
from chainrule.program.trace import Builder, operand
from chainrule.program.types import type_of
from chainrule.transforms.forward import forward
from tests.ops.running import as_tuple, derived_programs, evaluated, has_truth, naively, rows
from tests.ops.table import ROWS, Row, all_rows
from tests.ops.truth import DIGITS, assert_within, points, shown

# Operations that hold programs, or belong to such, and where they are tested.
ELSEWHERE = {
    **dict.fromkeys(("checkpoint", "cond", "scan", "while", "repeat"), "tests/transforms"),
    **dict.fromkeys(
        ("expectation", "expectation_slope", "first_order", "held", "known_slope", "placed_gamma",
         "placed_log_gamma", "unit"), "tests/test_expectation.py",
    ),
    **dict.fromkeys(("custom", "custom_linear"), "tests/test_custom.py"),
    **dict.fromkeys(("implicit", "jacobian_solve", "krylov_solve", "host_solution"),
                    "tests/test_implicit.py"),
    "sparse_solve": "tests/numpy/test_scipy_sparse.py",
    **dict.fromkeys(("germ", "refuse"), "tests/test_kinks.py"),
    **dict.fromkeys(("side_limits", "mean_of_sides"), "tests/test_ties_in_python.py"),
}


# --- the table ----------------------------------------------------------------------------------


def test_every_operation_has_a_row():
    missing = sorted(set(REGISTRY) - set(ROWS) - set(ELSEWHERE))
    assert not missing, f"add samples(...) to tests/ops for {missing}"


def test_every_row_belongs_to_an_operation():
    assert not set(ROWS) - set(REGISTRY)
    assert not set(ELSEWHERE) - set(REGISTRY)


def test_dtypes_of_the_table_are_those_that_operations_take():
    letters = set("".join(TAKES.values()))
    for row in all_rows():
        assert set(row.dtypes) <= letters, row.id


@pytest.mark.parametrize("op", REGISTRY.values(), ids=lambda op: op.name)
def test_record_is_complete(op):
    assert op.elementwise or op.batch is not None or op.name == "iota", "no batching rule"
    if isinstance(op.derivative, Linear):
        assert (op.derivative.transpose is None) != (op.derivative.accumulate is None)
    if isinstance(op.derivative, Structural):
        assert op.name in ELSEWHERE


# --- values -------------------------------------------------------------------------------------


@rows(lambda row: True)
def test_type_of_value_is_what_the_type_rule_says(row):
    for dtype in row.dtypes:
        arrays = row.draw(dtype)
        types = row.op.type_rule(*map(type_of, arrays), **row.params)
        found = evaluated(row, arrays)
        assert [type_of(np.asarray(y)) for y in found] == list(types), dtype


def takes_any_length(row: Row) -> bool:
    return row.op.elementwise and not any(
        domain.shape == () and not domain.is_literal for domain in row.domains
    )


@rows(takes_any_length)
def test_elementwise_on_no_entries_and_on_a_scalar(row):
    for cut in (slice(0, 0), 0):
        arrays = [x if np.ndim(x) == 0 else x[cut] for x in row.draw(row.dtypes[0])]
        types = row.op.type_rule(*map(type_of, arrays), **row.params)
        assert [type_of(np.asarray(y)) for y in evaluated(row, arrays)] == list(types)


def reference_of(row: Row):
    """NumPy's own words for the value: the row's, or the ufunc of the same name."""
    if row.reference is not None:
        return row.reference
    function = getattr(np, row.name, None)
    return function if row.op.elementwise and isinstance(function, np.ufunc) else None


@rows(lambda row: reference_of(row) is not None)
def test_value_is_what_numpy_says(row):
    for dtype in row.dtypes:
        arrays = row.draw(dtype)
        with np.errstate(all="ignore"):
            expected = as_tuple(reference_of(row)(*arrays))
        for found, wanted in zip(evaluated(row, arrays), expected, strict=True):
            tolerance = 4 * np.finfo(found.dtype).eps if found.dtype.kind in "fc" else 0
            scale = np.max(np.abs(wanted), initial=0.0, where=np.isfinite(wanted))
            np.testing.assert_allclose(
                found, wanted, rtol=tolerance, atol=tolerance * scale, err_msg=dtype
            )


@rows(has_truth)
def test_value_against_mpmath(row):
    for dtype in set(row.dtypes) & set("fd"):
        arrays = row.draw(dtype)
        (found,) = evaluated(row, arrays)
        for i, point in enumerate(points(arrays)):
            with mp.workdps(DIGITS):
                truth = row.truth(*point, **row.params)
            assert_within(found[i], truth, row.value_ulps, f"{dtype} {shown(point)}")


# --- edges --------------------------------------------------------------------------------------

EDGES = [
    pytest.param(op, edge, id=f"{op.name} at {edge.at}")
    for op in REGISTRY.values()
    for edge in op.edges
]


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(("op", "edge"), EDGES)
def test_edge_has_the_value_and_slope_it_states(op, edge, dtype):
    at = np.asarray([edge.at], dtype)
    with Builder(op.name) as builder:
        program = builder.finish([operand(builder, op(builder.input(type_of(at))))])
    flat, moves = forward(program, (True,))
    value, *slope = Plan(flat).run([at, np.ones_like(at)])
    eps = 4 * np.finfo(dtype).eps
    if edge.value is not None:
        np.testing.assert_allclose(value, [edge.value], rtol=eps)
    if edge.slope is not None:
        np.testing.assert_allclose(slope[0] if moves[0] else [0.0], [edge.slope], rtol=eps)


# --- programs -----------------------------------------------------------------------------------


@rows(lambda row: True)
def test_printed_program_parses_back(row):
    for program, _ in derived_programs(row):
        program.validate()
        assert parse(program.text()) == program


@rows(lambda row: True)
def test_plan_gives_the_bits_of_running_equation_by_equation(row):
    for program, inputs in derived_programs(row):
        before = [np.copy(x) for x in inputs]
        found = Plan(program).run(inputs)
        for a, b in zip(found, naively(program, inputs), strict=True):
            assert np.asarray(a).dtype == np.asarray(b).dtype
            np.testing.assert_array_equal(a, b)
        for a, b in zip(inputs, before, strict=True):
            np.testing.assert_array_equal(a, b, "an input was overwritten")
