"""Which operations still run on the evaluator inside a compiled program: by name, and no others."""

from chainrule.compiler.budget import fitted
from chainrule.compiler.building import prepare
from chainrule.compiler.region import Module, Writer
from tests.ops.running import program_of
from tests.ops.table import all_rows

KNOWN = {
    "adjugate_derivative",  # sums over permutations of singular values
    "argpartition", "argsort",  # NumPy's own order of ties
    "continuous_riccati", "discrete_riccati", "sylvester",
    "qr", "recurrence",  # of complex numbers
    "reciprocal_where_apart",  # says that it met equal eigenvalues
}  # fmt: skip


def on_the_evaluator(program) -> set[str]:
    """The operations of a program that have no native form."""
    module = Module()
    Writer(module, False).main(fitted(prepare(program), {}, False, None, program))
    return {step.equation.op.name for step in module.sites}


def test_few_operations_are_left_to_the_evaluator():
    """Every row of the table of operations, in every dtype."""
    found = {
        name
        for row in all_rows()
        for dtype in row.dtypes
        for name in on_the_evaluator(program_of(row, row.draw(dtype)))
    }
    assert found == KNOWN
    assert len(KNOWN) <= 10
