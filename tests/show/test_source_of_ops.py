"""Every operation prints, and its source gives the bits of the reference evaluator."""

import pytest

from chainrule.program.op import REGISTRY, Structural
from chainrule.show.forms import FORMS, form_of
from tests.ops.running import derived_programs, program_of, rows, without_literals
from tests.show.executing import assert_source_equals_program


@pytest.mark.parametrize("op", REGISTRY.values(), ids=lambda op: op.name)
def test_every_operation_has_a_form(op):
    written_by_statements = op.in_place is not None or isinstance(op.derivative, Structural)
    assert written_by_statements or form_of(op) is not None


def test_every_row_of_the_table_belongs_to_an_operation():
    assert set(FORMS) <= set(REGISTRY)


@rows(lambda row: True)
def test_source_of_an_operation_gives_its_bits(row):
    for dtype in row.dtypes:
        arrays = row.draw(dtype)
        inputs = without_literals(row, arrays)
        assert_source_equals_program(program_of(row, arrays), inputs)


@rows(lambda row: True)
def test_source_of_its_derivatives_gives_their_bits(row):
    for program, inputs in derived_programs(row):
        assert_source_equals_program(program, inputs)
