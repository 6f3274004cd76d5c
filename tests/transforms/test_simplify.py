"""Simplify as a pass: merging, dead code, barriers, sweeps that end, the table, what is known."""


import numpy as np
import pytest

from chainrule import errors
from chainrule.program.op import REGISTRY
from chainrule.program.parse import parse
from chainrule.program.program import Equation, Program, Var
from chainrule.program.types import array_type
from chainrule.transforms.facts import Facts
from chainrule.transforms.rewrites_arithmetic import zero_tests
from chainrule.transforms.rewriting import Graph, Rewrite, Rules
from chainrule.transforms.simplify import DEFAULT, REWRITES, named, remove_barriers, simplify
from tests.transforms.rewriting import assert_keeps_bits, becomes, lines, one, stays

MERGE = "common subexpressions"


# --- merging --------------------------------------------------------------------------------------


def test_equal_equations_are_merged():
    becomes(MERGE, one("a = exp x : f64[40]; b = exp x : f64[40]; c = add a b : f64[40]"),
            "a = exp x; c = add a a; return c")
    becomes(MERGE, one("a = multiply x y : f64[40]; b = multiply y x : f64[40]; "
                       "c = add a b : f64[40]", "x: f64[40], y: f64[40]"),
            "a = multiply x y; c = add a a; return c")


@pytest.mark.parametrize(
    "equations",
    [
        "a = add x 0.0 : f64[40]; b = add x -0.0 : f64[40]; c = multiply a b : f64[40]",
        "a = subtract x y : f64[40]; b = subtract y x : f64[40]; c = add a b : f64[40]",
        "a = sum m axes=(0,) : f64[40]; b = sum m axes=(1,) : f64[40]; c = add a b : f64[40]",
        "a = barrier x token=0 : f64[40]; b = barrier x token=1 : f64[40]; c = add a b : f64[40]",
    ],
)
def test_equations_that_differ_in_a_bit_are_not_merged(equations):
    stays(MERGE, one(equations, "x: f64[40], y: f64[40], m: f64[40,40]"))


def test_casts_to_other_dtypes_are_not_merged():
    stays(MERGE, one("a = cast x dtype=f32 : f32[40]; b = cast x dtype=f64 : f64[40]; "
                     "c = cast a dtype=f64 : f64[40]; d = add b c : f64[40]", "x: i64[40]"))


def test_impure_operations_are_not_merged():
    text = """program f(x: f64[3]) -> f64[3], f64[3]
      a = checkpoint x program={1} : f64[3]
        program inner(x: f64[3]) -> f64[3]
          s = exp x : f64[3]
          return s
      b = checkpoint x program={1} : f64[3]
        program inner(x: f64[3]) -> f64[3]
          s = exp x : f64[3]
          return s
      return a, b"""
    stays(MERGE, text)


def test_dead_equations_go():
    becomes("dead code", one("a = exp x : f64[40]; b = sin x : f64[40]"), "b = sin x; return b")


def test_barriers_keep_apart_until_they_are_removed():
    text = one("a = exp x : f64[40]; g = barrier x token=0 : f64[40]; b = exp g : f64[40]; "
               "c = add a b : f64[40]")
    kept = simplify(parse(text))
    assert [e.op.name for e in kept.equations] == ["exp", "barrier", "exp", "add"]
    made = remove_barriers(kept)
    assert [e.op.name for e in made.equations] == ["exp", "exp", "add"]
    assert_keeps_bits(parse(text), made)


# --- structure ------------------------------------------------------------------------------------


def test_inputs_and_outputs_stay_where_they_are():
    head = "program f(x: f64[3], y: f64[3]) -> f64[3], f64[3], f64[3], f64[]"
    text = f"""{head}
      a = multiply x 1.0 : f64[3]
      return a, a, y, 2.0"""
    made = simplify(parse(text))
    made.validate()
    assert lines(made.text()) == f"{head}\nreturn x, x, y, 2.0"


def test_captured_arrays_stay_captured():
    made = simplify(parse("""program f(x: f64[3]) -> f64[3]
      captured w: f64[3]
      a = multiply w 1.0 : f64[3]
      b = add x a : f64[3]
      return b"""))
    assert len(made.captured) == 1
    assert made.equations[0].inputs == (made.inputs[0], made.captured[0])


def test_new_equations_keep_line_and_name():
    made = simplify(parse("""program f(x: f64[3]) -> f64[3]
      half = divide x 2.0 : f64[3]   # model.py:7
      return half"""))
    assert made.equations[0].where == "model.py:7"
    assert made.outputs[0].name == "half"


def test_a_program_that_cannot_be_simplified_is_returned_itself():
    program = parse(one("a = exp x : f64[40]"))
    assert simplify(program) is program


def test_rewrites_can_be_left_out_by_name():
    program = parse(one("a = multiply x 1.0 : f64[40]"))
    assert simplify(program, without=["multiply by one"]) is program
    with pytest.raises(KeyError, match="no rewrite is named 'twice'"):
        simplify(program, without=["twice"])


def chain(length: int) -> Program:
    """exp of negative of exp ... of an input, each twice."""
    t = array_type((2,), np.dtype(float))
    x = Var(t)
    last, equations = x, []
    for i in range(length):
        first, second, both = Var(t), Var(t), Var(t)
        name = REGISTRY["exp" if i % 2 else "negative"]
        equations += [Equation(name, (last,), {}, (first,)), Equation(name, (last,), {}, (second,))]
        equations.append(Equation(REGISTRY["maximum"], (first, second), {}, (both,)))
        last = both
    return Program([x], equations, [last])


def test_a_chain_is_rewritten_in_one_sweep_whatever_its_length():
    for length in (10, 2000):
        program = chain(length)
        graph = Graph(program, Rules(DEFAULT), lambda p: p)
        graph.run()
        again = Graph(simplify(program), Rules(DEFAULT), lambda p: p)
        again.run()
        assert graph.fired["both the same"] == length
        assert not again.fired
        assert len(simplify(program).equations) == length


# --- rewrites that do not end ---------------------------------------------------------------------


def _swap(equation, graph):
    x, y = equation.inputs
    return graph.emit("add", y, x)


def test_a_rewrite_that_undoes_itself_is_named():
    swap = Rewrite("swap forever", "x + y -> y + x", ("add",), _swap)
    with pytest.raises(errors.RewriteLoop, match="'swap forever' keeps applying"):
        simplify(parse(one("a = add x 1.0 : f64[40]")), [swap])



def test_two_rewrites_that_undo_each_other_are_named():
    there = Rewrite("there", "exp x -> log log x", ("exp",), lambda e, g: g.emit("log", *e.inputs))
    back = Rewrite("back", "log x -> exp x", ("log",), lambda e, g: g.emit("exp", *e.inputs))
    with pytest.raises(errors.RewriteLoop, match="'there' and 'back'|'back' and 'there'"):
        simplify(parse(one("a = exp x : f64[40]")), [there, back])


# --- what is known of values ----------------------------------------------------------------------


def facts_of(equations: str, inputs: str = "c: bool[40], x: f64[40], i: i8[40]", out="f64[40]"):
    program = parse(one(equations, inputs, out))
    makers = {v: e for e in program.equations for v in e.outputs}
    return Facts(makers.get), program.outputs[0]


@pytest.mark.parametrize(
    ("equations", "bound"),
    [
        ("a = cast c dtype=f64 : f64[40]", 1.0),
        ("a = cast i dtype=f64 : f64[40]", 128.0),
        ("a = select c 2.0 -3.0 : f64[40]", 3.0),
        ("p = cast i dtype=f64 : f64[40]; a = sin p : f64[40]", 1.01),
        ("p = cast i dtype=f64 : f64[40]; a = floor p : f64[40]", 129.0),
        ("p = cast c dtype=f64 : f64[40]; a = minimum p 7.0 : f64[40]", 7.0),
        ("a = tanh x : f64[40]", None),
        ("a = maximum x 0.0 : f64[40]", None),
        ("a = select c x 0.0 : f64[40]", None),
        ("a = select c nan 0.0 : f64[40]", None),
        ("p = cast i dtype=f64 : f64[40]; a = exp p : f64[40]", None),
        ("p = cast i dtype=f64 : f64[40]; q = multiply p 1e200 : f64[40]; "
         "a = multiply q q : f64[40]", None),
    ],
)  # fmt: skip
def test_bounds(equations, bound):
    facts, out = facts_of(equations)
    assert facts.bound(out) == bound


def test_bounds_hold_where_whole_numbers_wrap():
    equations = "n = negative u : u8[40]; a = cast n dtype=f64 : f64[40]"
    facts, out = facts_of(equations, "u: u8[40]")
    assert facts.bound(out) == 256.0
    facts, out = facts_of("w = cast b dtype=i8 : i8[40]; v = multiply w w : i8[40]; "
                          "a = cast v dtype=f64 : f64[40]", "b: i64[40]")
    assert facts.bound(out) == 128.0
    facts, out = facts_of("a = cast k dtype=f16 : f16[40]", "k: u16[40]", "f16[40]")
    assert facts.bound(out) is None  # 65535 is inf in float16


def test_which_zeros_of_scale_need_a_test():
    text = one("p = cast c dtype=f64 : f64[40]; a = scale p x : f64[40]", "c: bool[40], x: f64[40]")
    program = parse(text)
    graph = Graph(program, Rules(()), lambda p: p)
    graph.run()
    assert zero_tests(program.equations[1], graph) == (True, False)


# --- the records ----------------------------------------------------------------------------------


def test_records_are_complete():
    for rewrite in REWRITES:
        assert rewrite.valid_for in ("all", "finite", "real domain")
        assert rewrite.changes in ("nothing", "order of sums", "rounding")
        assert set(rewrite.ops) <= {*REGISTRY, "elementwise", "*"}
        assert set(rewrite.reads) <= {*REGISTRY, "number"}
    assert all(r.valid_for == "all" for r in DEFAULT)
    assert named([MERGE])[0].name == MERGE
