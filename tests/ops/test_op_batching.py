"""Batching of every operation and of its derivatives, against a loop, on the rows of the table."""

import numpy as np

from chainrule.program.evaluate import Plan
from chainrule.program.program import Program
from chainrule.transforms.batch import batch
from tests.ops.running import Point, best_dtype, is_smooth, program_of, rows, without_literals
from tests.ops.table import Row

LANES = 3


def lane_inputs(row: Row, dtype) -> list[list]:
    """The inputs of `LANES` draws; given values are the same in every lane."""
    return [without_literals(row, row.draw(dtype, seed)) for seed in range(LANES)]


def masks(count: int) -> list[tuple[bool, ...]]:
    """All inputs batched; with several inputs also each alone."""
    singles = [tuple(k == i for k in range(count)) for i in range(count)] if count > 1 else []
    return [(True,) * count, *singles]


def check_batch(program: Program, lanes, tolerance: float) -> None:
    """The batched program on stacked lanes gives the stacked results of the lanes."""
    plan = Plan(program)
    first = plan.run(lanes[0])  # which every mixture begins with
    for mask in masks(len(program.inputs)):
        mixed = [[lane[i] if m else lanes[0][i] for i, m in enumerate(mask)] for lane in lanes]
        whole = [
            np.stack([lane[i] for lane in mixed]) if m else mixed[0][i] for i, m in enumerate(mask)
        ]
        made, marks = batch(program, LANES, mask, (True,) * len(program.outputs))
        made.validate()
        assert all(marks)
        expected = [first, *[plan.run(lane) for lane in mixed[1:]]]
        for k, found in enumerate(Plan(made).run(whole)):
            wanted = np.stack([lane[k] for lane in expected])
            assert found.dtype == wanted.dtype
            scale = np.max(np.abs(wanted), initial=0.0, where=np.isfinite(wanted))
            np.testing.assert_allclose(
                found, wanted, rtol=tolerance, atol=tolerance * scale, err_msg=str(mask)
            )


def batchable(row: Row) -> bool:
    return bool(row.domains) and (row.op.elementwise or row.op.batch is not None)


@rows(batchable)
def test_batching_against_a_loop(row):
    dtype = best_dtype(row)
    check_batch(program_of(row, row.draw(dtype)), lane_inputs(row, dtype), 1e-13)


@rows(lambda row: batchable(row) and is_smooth(row))
def test_batching_of_derivatives_against_a_loop(row):
    dtype = best_dtype(row)
    point = Point(row, dtype)
    lanes = lane_inputs(row, dtype)
    flat, _ = point.forward()
    check_batch(flat, [inputs + point.direction() for inputs in lanes], 1e-12)
    check_batch(point.reverse(), [inputs + point.cotangents() for inputs in lanes], 1e-12)
