"""Printed programs: their form, and reading them back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import chainrule as cr
from chainrule import errors
from chainrule.ops.elementwise import add
from chainrule.ops.select import barrier
from chainrule.program.evaluate import evaluate
from chainrule.program.parse import parse
from chainrule.program.program import Equation, Program, Var, literal
from chainrule.program.text import format_literal, parse_literal
from chainrule.program.types import SUPPORTED_DTYPES, array_type
from chainrule.tracing import trace_call
from chainrule.transforms.batch import batch
from chainrule.transforms.forward import forward
from chainrule.transforms.reverse import reverse
from tests.program.random_programs import programs

SCALAR = array_type((), np.dtype(np.float64))


def traced(f, *args) -> Program:
    """The closed program of a function at these arguments."""
    return trace_call(f, args, {}).program


def assert_round_trip(program: Program) -> None:
    text = program.text()
    again = parse(text)
    assert again == program
    assert hash(again) == hash(program)
    assert again.text() == text


# --- the form ------------------------------------------------------------------------------------


def test_a_printed_program_shows_types_and_the_users_lines():
    def f(x):
        a = -2.0 * x
        return 10.0 * np.log(1.0 + np.exp(a))

    first = f.__code__.co_firstlineno + 1
    assert traced(f, 0.5).text() == (
        "program f(x: f64[]) -> f64[]\n"
        f"  a = multiply -2.0 x                    : f64[]   # test_parse.py:{first}\n"
        f"  b = exp a                              : f64[]   # test_parse.py:{first + 1}\n"
        f"  c = add 1.0 b                          : f64[]   # test_parse.py:{first + 1}\n"
        f"  d = log c                              : f64[]   # test_parse.py:{first + 1}\n"
        f"  e = multiply 10.0 d                    : f64[]   # test_parse.py:{first + 1}\n"
        "  return e"
    )


def test_sub_programs_are_printed_under_their_equation():
    text = traced(lambda x: cr.cond(x > 0.0, np.sin, np.cos, x), 1.0).text()
    lines = [line.split("#")[0].rstrip() for line in text.splitlines()]
    assert lines == [
        "program f(x: f64[]) -> f64[]",
        "  a = greater x 0.0                      : bool[]",
        "  b = cond a x branches=({1},{2})        : f64[]",
        "    program sin(a: f64[]) -> f64[]",
        "      b = sin a                          : f64[]",
        "      return b",
        "    program cos(a: f64[]) -> f64[]",
        "      b = cos a                          : f64[]",
        "      return b",
        "  return b",
    ]


def test_literals_show_their_dtype_unless_it_is_a_default_one():
    shown = [np.float64(2), np.float32(0.1), np.int64(3), np.uint8(3), np.bool_(True), -1.5j]
    assert [format_literal(literal(v).value) for v in shown] == [
        "2.0", "0.1:f32", "3", "3:u8", "True", "-0-1.5j",
    ]  # fmt: skip


def test_a_name_that_reads_as_a_number_is_printed_otherwise():
    x, y = Var(SCALAR, "nan"), Var(SCALAR, "return")
    out = Var(SCALAR)
    program = Program([x, y], [Equation(add, (x, y), {}, (out,))], [out])
    assert_round_trip(program)
    assert "nan_2" in program.text()


# --- round trips ---------------------------------------------------------------------------------


@settings(max_examples=75)
@given(programs())
def test_a_program_is_parsed_back(program):
    assert_round_trip(program)


@settings(max_examples=20)
@given(programs(steps=8))
def test_derived_programs_are_parsed_back(program):
    closed = program.closed()
    active = tuple(t.inexact for t in closed.in_types)
    assert_round_trip(forward(closed, active)[0])
    assert_round_trip(reverse(closed, active)[0])
    assert_round_trip(batch(closed, 2, (True,) * len(closed.inputs))[0])


@pytest.mark.parametrize("dtype", SUPPORTED_DTYPES, ids=str)
def test_every_literal_is_parsed_back_to_its_bits(dtype):
    @settings(max_examples=100)
    @given(hnp.from_dtype(dtype))
    def check(value):
        value = dtype.type(value)
        again = parse_literal(format_literal(value))
        assert (again.dtype, again.tobytes()) == (value.dtype, value.tobytes())

    check()


def test_signed_zeros_and_nans_keep_their_bits():
    negative_nan = np.copysign(np.float64(np.nan), -1.0)
    values = [np.float64(-0.0), negative_nan, np.complex128(complex(-0.0, -0.0)), -np.float32(0)]
    values += [np.complex64(complex(np.nan, -np.inf)), np.float16(np.inf)]
    for value in values:
        assert parse_literal(format_literal(value)).tobytes() == value.tobytes()


@settings(max_examples=75)
@given(
    st.recursive(
        st.one_of(
            st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False),
            st.text(), st.sampled_from(SUPPORTED_DTYPES),
        ),
        lambda inner: st.lists(inner, max_size=3).map(tuple),
        max_leaves=6,
    )
)  # fmt: skip
def test_params_of_every_kind_are_parsed_back(value):
    x, y = Var(SCALAR), Var(SCALAR)
    program = Program([x], [Equation(barrier, (x,), {"token": value}, (y,))], [y])
    assert_round_trip(program)
    (equation,) = parse(program.text()).equations
    assert equation.params == {"token": value}


def test_lines_are_kept_as_text():
    program = traced(lambda x: np.sin(x), 1.0)
    (equation,) = parse(program.text()).equations
    assert equation.where == program.equations[0].where
    assert equation.where.startswith("test_parse.py:")


def test_a_parsed_program_runs():
    program = traced(lambda x: cr.scan(lambda c, v: (c * v, c), 1.0, x), np.array([2.0, 3.0]))
    last, rows = evaluate(parse(program.text()), [np.array([2.0, 3.0])])
    assert last == 6.0
    assert np.array_equal(rows, [1.0, 2.0])


def test_empty_lines_and_indentation_do_not_matter():
    text = "\n\n   program f(x: f64[]) -> f64[]\n\n# a comment\n a = sin x : f64[]\nreturn a\n\n"
    assert parse(text) == traced(lambda x: np.sin(x), 1.0)


# --- errors --------------------------------------------------------------------------------------

HEAD = "program f(x: f64[]) -> f64[]\n"
BAD = {
    "not a program": (1, "a program starts with"),
    HEAD + "  a = sin x : f64[]": (2, "a `return` line is missing"),
    HEAD + "  a = sine x : f64[]\n  return a": (2, "no operation 'sine'"),
    HEAD + "  a = sin y : f64[]\n  return a": (2, "'y' is not defined above"),
    HEAD + "  x = sin x : f64[]\n  return x": (2, "'x' is assigned twice"),
    HEAD + "  a = sin x f64[]\n  return a": (2, ": is needed here, got 'f64[]'"),
    HEAD + "  a = sin x : f63[]\n  return a": (2, "'f63[]' is no type"),
    HEAD + "  a = sin x :\n  return a": (2, "a type is needed here, the line ends"),
    HEAD + "  a, b = sin x : f64[]\n  return a": (2, "2 names on the left, 1 types on the right"),
    HEAD + "  a = sin x : f64[] b\n  return a": (2, "cannot read 'b'"),
    HEAD + "  a = sin 1.0.0 : f64[]\n  return a": (2, "'1.0.0' is no number"),
    HEAD + "  a = cast x dtype=f65 : f64[]\n  return a": (2, "'f65' is no value of a param"),
    HEAD + "  a = cast dtype=f64 x : f64[]\n  return a": (2, "operands stand before params"),
    HEAD + "  a = cond x branches=({1},{3}) : f64[]\n  return a": (2, "numbered 1, 2, ..."),
    HEAD + "  a = sin x : f64[]\n  return b": (3, "'b' is not defined above"),
    HEAD + "  return x\n  return x": (3, "the program has ended here"),
    "program f(x: f64[]) -> i64[]\n  return x": (1, "the outputs are f64[]"),
    "": (1, "the program has no end"),
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_program_is_refused_with_its_line(text):
    line, what = BAD[text]
    with pytest.raises(errors.ParseError) as caught:
        parse(text)
    assert f"line {line}: " in str(caught.value)
    assert what in str(caught.value)
    assert isinstance(caught.value, ValueError)
