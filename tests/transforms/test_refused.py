"""What gives a program up is false in the rest of it."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.building import prepare
from chainrule.ops.refuse import Refused
from chainrule.program.evaluate import evaluate
from chainrule.program.parse import parse
from chainrule.tracing import trace_call
from chainrule.transforms.refused import without_refused


def program(*lines: str, inputs: str = "x: f64[3]", out: str = "f64[3]"):
    body = "\n  ".join(lines)
    return parse(f"program f({inputs}) -> {out}\n  {body}\n  return out\n")


TIED = (
    "t = equal x 0.0 : bool[3]",
    "a = any t axes=(0,) : bool[]",
    "u = greater x 9.0 : bool[3]",
    "b = any u axes=(0,) : bool[]",
    "c = logical_or a b : bool[]",
    "r = refuse c : bool[]",
    "h = select t 0.5 2.0 : f64[3]",
    "out = multiply h x : f64[3]",
)


def test_a_refused_comparison_is_false_but_where_it_decides():
    made = without_refused(program(*TIED))
    by_name = {v.name: e for e in made.equations for v in e.outputs}
    assert by_name["a"].inputs[0] is by_name["t"].outputs[0]
    assert by_name["c"].inputs == (*by_name["a"].outputs, *by_name["b"].outputs)
    assert by_name["r"].inputs == by_name["c"].outputs
    (false,) = [e for e in made.equations if e.op.name == "broadcast"]
    assert by_name["h"].inputs[0] is false.outputs[0] and not false.inputs[0].value


@pytest.mark.parametrize("x", [[1.0, -2.0, 3.0], [0.0, 1.0, 2.0], [1.0, 2.0, 10.0]])
def test_results_are_the_same_and_what_was_refused_is_refused(x):
    before, after = program(*TIED), without_refused(program(*TIED))
    x = np.array(x)
    if np.any(x == 0) or np.any(x > 9):
        with pytest.raises(Refused):
            evaluate(after, [x])
        return
    np.testing.assert_array_equal(evaluate(after, [x])[0], evaluate(before, [x])[0])


@pytest.mark.parametrize("decided", [
    ("a = all t axes=(0,) : bool[]",),  # one of them may hold
    ("n = logical_not t : bool[3]", "a = any n axes=(0,) : bool[]"),  # t is true everywhere
    ("y = cast t dtype=f64 : f64[3]", "a = any y axes=(0,) : bool[]"),  # not looked through
], ids=["all", "not", "cast"])  # fmt: skip
def test_what_is_not_known_to_be_false_stays(decided):
    made = program(
        "t = equal x 0.0 : bool[3]", *decided, "r = refuse a : bool[]",
        "h = select t 0.5 2.0 : f64[3]", "out = multiply h x : f64[3]",
    )  # fmt: skip
    assert without_refused(made) is made


def test_a_number_that_decides_is_no_condition():
    made = program(
        "y = negative x : f64[3]", "a = any y axes=(0,) : bool[]", "r = refuse a : bool[]",
        "out = multiply y y : f64[3]",
    )  # fmt: skip
    assert without_refused(made) is made


def test_programs_inside_are_looked_at_as_well():
    made = parse("""program f(x: f64[4]) -> f64[]
      a = scan 0.0 x body={1} constants=0 carries=1 length=4 reverse=False : f64[]
        program body(s: f64[], x: f64[]) -> f64[]
          t = equal x 0.0 : bool[]
          r = refuse t : bool[]
          h = select t 0.5 x : f64[]
          u = add s h : f64[]
          return u
      return a
    """)
    after = without_refused(made)
    (scan,) = after.equations
    chosen = next(e for e in scan.params["body"].equations if e.op.name == "select")
    assert chosen.inputs[0].is_literal
    x = np.array([1.0, 2.0, 3.0, -1.0])
    assert evaluate(after, [x])[0] == evaluate(made, [x])[0] == 5.0


def test_gradient_of_relu_keeps_no_comparison_for_its_slope():
    def loss(x):
        return np.sum(np.maximum(x, 0.0) ** 3)

    call = trace_call(lambda x: cr.grad(loss)(x), (np.arange(1.0, 5.0),), {})
    made = prepare(call.program)
    ties = [e.outputs[0] for e in made.equations if e.op.name == "equal"]
    readers = {e.op.name for e in made.equations for x in e.inputs if x in ties}
    assert readers == {"any"}


def test_a_tie_still_has_its_own_slope():
    slope = cr.compile(cr.grad(lambda x: np.sum(np.maximum(x, 0.0))))
    np.testing.assert_array_equal(slope(np.array([1.0, -1.0])), [1.0, 0.0])
    np.testing.assert_array_equal(slope(np.array([0.0, -1.0])), [0.5, 0.0])
    np.testing.assert_array_equal(slope(np.array([2.0, -1.0])), [1.0, 0.0])
