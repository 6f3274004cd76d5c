"""Values that share memory: what is read after an update is the value from before it."""

import numpy as np

from chainrule.ops.elementwise import add, multiply, real, scale
from chainrule.ops.index import index, index_set
from chainrule.ops.shape import broadcast
from chainrule.program.evaluate import Plan
from chainrule.program.trace import Builder, operand
from chainrule.program.types import array_type

VECTOR = array_type((3,), np.dtype(np.float64))
MATRIX = array_type((2, 3), np.dtype(np.float64))


def outputs(types, build, *values) -> list:
    """What the evaluator gives for the program that `build` records on inputs of these types."""
    with Builder("f") as builder:
        builder.lines_from_user = False
        made = build(*[builder.input(t) for t in types])
        program = builder.finish([operand(builder, v) for v in made])
    return Plan(program)(values)


def test_a_row_read_by_a_traced_number_keeps_its_value():
    def build(x, k):
        copied = multiply(x, np.float64(1.0))
        row = index(copied, k, at=((0, 3, 1),))
        return index_set(copied, np.float64(0.0), k, at=((0, 3, 1),)), add(row, row)

    number = array_type((), np.dtype(np.int64))
    zeroed, doubled = outputs([MATRIX, number], build, np.ones((2, 3)), np.int64(1))
    assert np.array_equal(zeroed, [[1, 1, 1], [0, 0, 0]])
    assert np.array_equal(doubled, [2, 2, 2])


def test_a_broadcast_that_numpy_performs_keeps_its_value():
    def build(x, wide):
        doubled = multiply(x, np.float64(2.0))
        spread = broadcast(doubled, shape=(2, 3), axes=(1,))
        return index_set(doubled, np.float64(0.0), at=((0, 3, 1),)), add(wide, spread)

    zeroed, total = outputs([VECTOR, MATRIX], build, np.ones(3), np.zeros((2, 3)))
    assert not zeroed.any() and np.array_equal(total, np.full((2, 3), 2.0))


def test_a_real_part_keeps_its_value_and_is_no_view_of_an_argument():
    z = np.ones(3) + 1j

    def build(x):
        doubled = multiply(x, np.complex128(2.0))
        part = real(doubled)
        return real(x), index_set(doubled, np.complex128(0.0), at=((0, 3, 1),)), part

    own, zeroed, part = outputs([array_type((3,), np.dtype(np.complex128))], build, z)
    assert not np.shares_memory(own, z)
    assert not zeroed.any() and np.array_equal(part, [2, 2, 2])


def test_the_product_of_derivatives_of_an_entry_does_not_depend_on_its_neighbours():
    p, t = np.array([-1.0, np.inf]), np.array([0.0, 0.0])
    with np.errstate(invalid="ignore"):
        together = scale(p, t)
        alone = [scale(p[i], t[i]) for i in range(2)]
    assert np.array_equal(np.signbit(together), np.signbit(alone))
