"""The rules of the language, each broken once; the report names the equation and its line."""

import numpy as np
import pytest
from hypothesis import given, settings

import chainrule as cr
from chainrule import errors
from chainrule.ops.checkpoint import checkpoint_op
from chainrule.ops.elementwise import add, exp, sin
from chainrule.ops.select import barrier, cast
from chainrule.program.program import Equation, Literal, Program, Var, literal
from chainrule.program.trace import Builder
from chainrule.program.types import array_type
from chainrule.tracing import trace_call
from chainrule.transforms.reverse import reverse
from tests.program.random_programs import programs

F64 = np.dtype(np.float64)
SCALAR, ROW = array_type((), F64), array_type((3,), F64)


def program_of(*steps, inputs=None, outputs=None, **kwargs) -> Program:
    """x (and more inputs), then one equation per step: a function of the variables so far."""
    variables = list(inputs or [Var(SCALAR, "x")])
    count, equations = len(variables), []
    for step in steps:
        equations.append(step(*variables))
        variables += equations[-1].outputs
    return Program(variables[:count], equations, outputs or variables[-1:], **kwargs)


def equation(op, *operands, type=SCALAR, line="model.py:7", **params) -> Equation:
    return Equation(op, operands, params, (Var(type),), line)


def refusal(program) -> str:
    with pytest.raises(errors.InvalidProgram) as caught:
        program.validate()
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


@settings(max_examples=60)
@given(programs())
def test_traced_and_derived_programs_are_valid(program):
    program.validate()
    closed = program.closed()
    reverse(closed, tuple(t.inexact for t in closed.in_types))[0].validate()


def test_the_report_names_the_equation_its_line_and_its_neighbours():
    program = program_of(
        lambda x: equation(sin, x, line="model.py:6"),
        lambda x, a: equation(exp, Var(SCALAR)),
        lambda x, a, b: equation(sin, b, line="model.py:8"),
    )
    assert refusal(program) == (
        "equation 1 (exp) of program f, at model.py:7: "
        "operand 0 is a variable that is not assigned above.\n"
        "    a = sin x                                : f64[]   # model.py:6\n"
        "  > b = exp ?                                : f64[]   # model.py:7\n"
        "    c = sin b                                : f64[]   # model.py:8"
    )


def test_a_variable_is_assigned_once():
    program = program_of(
        lambda x: equation(sin, x), lambda x, a: Equation(exp, (x,), {}, (a,), None)
    )
    assert "equation 1 (exp) of program f: a variable is assigned twice" in refusal(program)


def test_an_input_is_not_assigned_again():
    assert "assigned twice" in refusal(program_of(lambda x: Equation(sin, (x,), {}, (x,), None)))


def test_two_inputs_are_two_variables():
    x = Var(SCALAR)
    assert "inputs or outputs of program f: a variable is assigned twice" in refusal(
        Program([x, x], [], [x])
    )


def test_a_variable_is_used_after_its_assignment():
    later = Var(SCALAR)
    program = program_of(
        lambda x: equation(exp, later), lambda x, a: Equation(sin, (x,), {}, (later,), None)
    )
    assert "equation 0 (exp)" in refusal(program)


def test_outputs_are_defined():
    program = program_of(lambda x: equation(sin, x), outputs=[Var(SCALAR)])
    assert "an output is a variable that is not assigned above" in refusal(program)


def test_a_sub_program_sees_no_variables_from_outside():
    x = Var(SCALAR, "x")
    inner = Program([Var(SCALAR)], [], [x], name="inner")
    program = Program([x], [equation(checkpoint_op, x, program=inner)], [x])
    assert "outputs of program inner: an output is a variable" in refusal(program)


def test_a_sub_program_is_closed():
    inner = Program([Var(SCALAR)], [], [literal(1.0)], [Var(ROW)], [np.zeros(3)])
    program = program_of(lambda x: equation(checkpoint_op, x, program=inner))
    assert "the sub-program program is not closed" in refusal(program)


def test_output_types_are_those_of_the_type_rule():
    program = program_of(lambda x: equation(sin, x, type=ROW))
    assert "its outputs have types (f64[3],), the type rule gives (f64[],)" in refusal(program)


def test_operands_satisfy_the_type_rule():
    x, i = Var(SCALAR), Var(array_type((), np.dtype(np.int64)))
    program = program_of(lambda x, i: equation(add, x, i), inputs=[x, i])
    assert "the type rule refuses it: add needs equal dtypes, got float64, int64" in refusal(
        program
    )


def test_unknown_params_are_refused():
    assert "the type rule refuses it" in refusal(program_of(lambda x: equation(cast, x, dtyp=F64)))


def test_operands_of_elementwise_operations_have_one_shape():
    inputs = [Var(SCALAR), Var(ROW)]
    program = program_of(lambda x, y: equation(add, x, y, type=ROW), inputs=inputs)
    assert "the operands of add have shapes () and (3,)" in refusal(program)


def test_a_literal_stands_for_a_filled_array():
    program_of(lambda y: equation(add, literal(1.0), y, type=ROW), inputs=[Var(ROW)]).validate()


def test_a_literal_has_the_type_of_its_value():
    program = program_of(lambda x: equation(sin, Literal(np.float64(1.0), ROW), type=ROW))
    assert "a literal of dtype float64 has type f64[3]" in refusal(program)
    program = program_of(lambda x: equation(sin, Literal(2.0, SCALAR)))
    assert "a literal holds a float, no NumPy scalar" in refusal(program)


def test_params_can_be_hashed():
    program = program_of(lambda x: equation(barrier, x, token=[1]))
    assert "the param token holds a list, which cannot be hashed" in refusal(program)


def test_no_traced_value_is_left_in_a_program():
    with Builder() as builder:
        traced = builder.input(SCALAR)
    assert "operand 0 is a traced value" in refusal(program_of(lambda x: equation(sin, traced)))
    program = program_of(lambda x: equation(barrier, x, token=traced))
    assert "the param token holds a traced value" in refusal(program)
    assert "an output is a traced value" in refusal(program_of(outputs=[traced]))


def test_an_array_is_no_operand():
    assert "operand 0 is a ndarray" in refusal(program_of(lambda x: equation(sin, np.zeros(3))))


def test_every_captured_variable_has_a_value():
    program = Program([], [], [literal(1.0)], [Var(ROW)], [])
    assert "captured variables and captured values differ in number" in refusal(program)


def test_carries_of_loops_keep_their_types():
    def f(x):
        return cr.scan(lambda c, v: (c + v, c), 0.0, x)[0]

    program = trace_call(f, (np.ones(3),), {}).program
    (scan,) = program.equations
    body = scan.params["body"]
    broken = Program(body.inputs, body.equations, [literal(1), *body.outputs[1:]], name="body")
    changed = Equation(scan.op, scan.inputs, {**scan.params, "body": broken}, scan.outputs)
    assert "the body of scan carries" in refusal(
        Program(program.inputs, [changed], program.outputs)
    )


def test_branches_of_cond_have_equal_types():
    program = trace_call(lambda x: cr.cond(x > 0.0, np.sin, np.cos, x), (1.0,), {}).program
    choose = program.equations[-1]
    yes, no = choose.params["branches"]
    broken = Program(no.inputs, no.equations, [literal(1)])
    changed = Equation(choose.op, choose.inputs, {"branches": (yes, broken)}, choose.outputs)
    equations = [*program.equations[:-1], changed]
    assert "a branch of cond gives" in refusal(Program(program.inputs, equations, program.outputs))


def test_a_shared_sub_program_is_checked_once():
    # 2 ** 40 visits otherwise, which would not end
    inner = program_of(lambda x: equation(sin, x))
    for _ in range(40):
        step = lambda x, p=inner: equation(checkpoint_op, x, program=p)
        inner = program_of(step, lambda x, a, p=inner: equation(checkpoint_op, a, program=p))
    inner.validate()


def test_validation_of_a_long_program_does_not_recurse():
    program = program_of(*[lambda *v: equation(sin, v[-1])] * 3)
    x = Var(SCALAR)
    equations = [equation(sin, x)]
    for _ in range(10_000):
        equations.append(equation(sin, equations[-1].outputs[0]))
    Program([x], equations, equations[-1].outputs).validate()
    program.validate()
