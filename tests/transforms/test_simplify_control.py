"""Rewrites of control flow and hoisting: each alone, where it applies and where it must not."""

import numpy as np
import pytest

from chainrule.program.op import REGISTRY, Discrete, Op
from chainrule.program.parse import parse
from chainrule.program.program import Equation, Program, Var
from chainrule.program.types import array_type
from chainrule.transforms.simplify import REWRITES, named, simplify
from tests.transforms.rewriting import assert_keeps_bits, whole


def simplified(name: str, text: str, also=("dead code",)) -> Program:
    before = parse(text)
    before.validate()
    after = simplify(before, named([name, *also]))
    assert_keeps_bits(before, after)
    assert_keeps_bits(before, after, whole)
    return after


def loop(program: Program) -> Equation:
    """The one loop or branch of a program."""
    (found,) = [e for e in program.equations if e.op.name in ("scan", "while", "cond")]
    return found


def ops(program: Program) -> list[str]:
    return [e.op.name for e in program.equations]


def unchanged(name: str, text: str) -> None:
    before = parse(text)
    before.validate()
    assert simplify(before, named([name])) is before


def scan(head: str, body: str, inputs: str = "c: f64[3], s: f64[3], xs: f64[4,3]",
         outs: str = "f64[3], f64[4,3]", returned: str = "out, ys", given: str = "c s xs",
         constants: int = 1, carries: int = 1, before: str = "") -> str:
    """A program with one scan of four steps; the body's equations are divided by `;`."""
    equations = "\n".join(body.split("; "))
    types = outs if returned == "out, ys" else "f64[3], f64[4,3]"
    params = f"constants={constants} carries={carries} length=4 reverse=False"
    return f"""program f({inputs}) -> {outs}
      {before}
      out, ys = scan {given} body={{1}} {params} : {types}
        program body({head}
        {equations}
      return {returned}"""


CXS = "c: f64[3], s: f64[3], x: f64[3]) -> f64[3], f64[3]"


def test_a_constant_that_is_not_read_is_not_given():
    made = simplified("constants of a loop", scan(CXS, "a = add s x : f64[3]; return a, x"))
    assert loop(made).params["constants"] == 0
    assert len(loop(made).inputs) == 2


def test_a_number_is_written_into_the_body():
    text = scan("c: f64[], s: f64[3], x: f64[3]) -> f64[3], f64[3]",
                "b = broadcast c shape=(3,) axes=() : f64[3]; a = add s b : f64[3]; return a, x",
                given="2.5 s xs")
    made = simplified("constants of a loop", text)
    assert loop(made).params["constants"] == 0
    assert "broadcast 2.5" in made.text()
    text = scan(CXS, "a = add s c : f64[3]; return a, x", given="k s xs",
                before="k = broadcast 2.5 shape=(3,) axes=() : f64[3]")
    made = simplified("constants of a loop", text)
    assert loop(made).params["constants"] == 0


def test_a_constant_given_twice_is_given_once():
    head = "c: f64[3], d: f64[3], s: f64[3], x: f64[3]) -> f64[3], f64[3]"
    text = scan(head, "b = multiply c d : f64[3]; a = add s b : f64[3]; return a, x",
                given="c c s xs", constants=2)
    made = simplified("constants of a loop", text)
    assert loop(made).params["constants"] == 1
    unchanged("constants of a loop",
              scan(CXS, "b = multiply c x : f64[3]; a = add s b : f64[3]; return a, x"))


def test_equal_rows_become_a_constant():
    body = "b = multiply c x : f64[3]; a = add s b : f64[3]; return a, b"
    text = scan(CXS, body, given="c s r", before="r = broadcast c shape=(4,3) axes=(1,) : f64[4,3]")
    made = simplified("arrays scanned", text)
    assert loop(made).params["constants"] == 2
    assert len(loop(made).inputs) == 3
    unchanged("arrays scanned", scan(CXS, body))
    made = simplified("arrays scanned", scan(CXS, "a = add s c : f64[3]; return a, s"))
    assert len(loop(made).inputs) == 2


def test_a_carry_that_does_not_change_is_a_constant():
    made = simplified("carries that do not change",
                      scan(CXS, "a = multiply s x : f64[3]; return s, a"))
    assert (loop(made).params["constants"], loop(made).params["carries"]) == (2, 0)
    assert made.outputs[0] is made.inputs[1]
    unchanged("carries that do not change", scan(CXS, "a = multiply s x : f64[3]; return a, s"))


def test_results_that_nobody_reads_are_not_computed():
    body = "a = add s x : f64[3]; b = multiply s c : f64[3]; return a, b"
    made = simplified("dead carries and rows", scan(CXS, body, outs="f64[3]", returned="out"))
    assert len(loop(made).outputs) == 1
    assert ops(loop(made).params["body"]) == ["add"]
    made = simplified("dead carries and rows", scan(CXS, body, outs="f64[4,3]", returned="ys"))
    assert len(loop(made).outputs) == 2  # the rows read the carry
    body = "a = add s x : f64[3]; b = multiply x c : f64[3]; return a, b"
    made = simplified("dead carries and rows", scan(CXS, body, outs="f64[4,3]", returned="ys"))
    assert loop(made).params["carries"] == 0
    unchanged("dead carries and rows", scan(CXS, body))


@pytest.mark.parametrize(("row", "op"), [("c", "broadcast"), ("2.0", None), ("x", None)])
def test_rows_that_are_known_are_not_stacked(row, op):
    body = f"a = add s x : f64[3]; return a, {row}"
    head, outs = CXS, "f64[3], f64[4,3]"
    if row == "2.0":
        params = "constants=1 carries=1 length=4 reverse=True"
        text = f"""program f(c: f64[3], s: f64[3], xs: f64[4,3]) -> f64[3], f64[4]
          out, ys = scan c s xs body={{1}} {params} : f64[3], f64[4]
            program body(c: f64[3], s: f64[3], x: f64[3]) -> f64[3], f64[]
            a = add s x : f64[3]
            return a, {row}
          return out, ys"""
    else:
        text = scan(head, body, outs=outs)
    made = simplified("rows that are known", text)
    assert len(loop(made).outputs) == 1
    assert op is None or op in ops(made)
    unchanged("rows that are known", scan(CXS, "a = add s x : f64[3]; return a, a"))


def test_rows_that_repeat_entries_are_repeated_outside():
    head = "c: f64[3], s: f64[3], x: f64[]) -> f64[3], f64[3]"
    body = "r = broadcast x shape=(3,) axes=() : f64[3]; a = add s r : f64[3]; return a, r"
    made = simplified("rows that are known", scan(head, body, "c: f64[3], s: f64[3], xs: f64[4]"))
    assert len(loop(made).outputs) == 1
    assert made.equations[0].params == {"shape": (4, 3), "axes": (0,)}
    head = "c: f64[], s: f64[3], x: f64[3]) -> f64[3], f64[3]"
    body = "r = broadcast c shape=(3,) axes=() : f64[3]; a = add s r : f64[3]; return a, r"
    made = simplified("rows that are known",
                      scan(head, body, "c: f64[], s: f64[3], xs: f64[4,3]"))
    assert len(loop(made).outputs) == 1


def test_scanned_rows_that_repeat_entries_are_repeated_inside():
    body = "a = add s x : f64[3]; return a, a"
    text = scan(CXS, body, "c: f64[4], s: f64[3]", given="s s r",
                before="r = broadcast c shape=(4,3) axes=(0,) : f64[4,3]")
    made = simplified("rows scanned that repeat entries", text)
    assert ops(made) == ["scan"]
    assert ops(loop(made).params["body"]) == ["broadcast", "add"]
    unchanged("rows scanned that repeat entries", scan(CXS, body))


def test_rows_stacked_twice_are_stacked_once():
    types, params = "f64[3], f64[4,3], f64[4,3]", "constants=0 carries=1 length=4 reverse=False"
    text = f"""program f(s: f64[3], xs: f64[4,3]) -> {types}
      out, y, z = scan s xs body={{1}} {params} : {types}
        program body(s: f64[3], x: f64[3]) -> f64[3], f64[3], f64[3]
          a = add s x : f64[3]
          return a, a, a
      return out, y, z"""
    made = simplified("rows that are known", text)
    assert len(loop(made).outputs) == 2
    assert made.outputs[1] is made.outputs[2]


# --- while ----------------------------------------------------------------------------------------


def while_loop(body: str, returned: str = "x, d", test: str = "t = less k 3 : bool[]; return t",
               given: str = "c 0 s e", result: str = "f64[3], f64[3]") -> str:
    """Three steps of a loop with one constant, a count, and two carries."""
    inside = "c: f64[3], k: i64[], x: f64[3], d: f64[3]"
    equations, tests = "\n".join(body.split("; ")), "\n".join(test.split("; "))
    return f"""program f(c: f64[3], s: f64[3], e: f64[3]) -> {result}
      n, x, d = while {given} test={{1}} body={{2}} constants=1 : i64[], f64[3], f64[3]
        program test({inside}) -> bool[]
        {tests}
        program body({inside}) -> i64[], f64[3], f64[3]
        {equations}
      return {returned}"""


STEP = "k2 = add k 1 : i64[]; "


def test_constants_of_a_while_loop():
    name = "constants of a while loop"
    body = STEP + "a = add x d : f64[3]; b = multiply d 2.0 : f64[3]; return k2, a, b"
    assert loop(simplified(name, while_loop(body))).params["constants"] == 0
    unchanged(name, while_loop(body.replace("add x d", "add x c")))


def test_carries_of_a_while_loop_that_do_not_change():
    name = "carries of a while loop that do not change"
    body = STEP + "a = add x d : f64[3]; b = multiply a c : f64[3]; return k2, b, d"
    made = simplified(name, while_loop(body))
    assert loop(made).params["constants"] == 2
    assert len(loop(made).outputs) == 2
    assert made.outputs[1] is made.inputs[2]
    unchanged(name, while_loop(body.replace("return k2, b, d", "return k2, d, b")))


def test_dead_carries_of_a_while_loop():
    name = "dead carries of a while loop"
    body = STEP + "a = add x c : f64[3]; b = multiply d a : f64[3]; return k2, a, b"
    made = simplified(name, while_loop(body, "x", result="f64[3]"))
    assert len(loop(made).outputs) == 2
    made = simplified(name, while_loop(body, "d", result="f64[3]"))
    assert len(loop(made).outputs) == 3  # d reads x
    unchanged(name, while_loop(body))


def test_everything_at_once_keeps_what_is_read():
    body = STEP + "a = add x 1.0 : f64[3]; b = multiply d a : f64[3]; return k2, a, b"
    before = parse(while_loop(body, "x", result="f64[3]"))
    after = simplify(before)
    assert_keeps_bits(before, after)
    assert len(loop(after).outputs) == 2
    assert loop(after).params["constants"] == 0


# --- cond -----------------------------------------------------------------------------------------


def cond(yes: str, no: str, given: str = "p x y", returned: str = "a, b", outs="f64[3], f64[3]"):
    first, second = "\n".join(yes.split("; ")), "\n".join(no.split("; "))
    return f"""program f(p: bool[], x: f64[3], y: f64[3]) -> {outs}
      a, b = cond {given} branches=({{1}},{{2}}) : f64[3], f64[3]
        program yes(x: f64[3], y: f64[3]) -> f64[3], f64[3]
        {first}
        program no(x: f64[3], y: f64[3]) -> f64[3], f64[3]
        {second}
      return {returned}"""


SUM, PRODUCT = "s = add x y : f64[3]; return s, x", "s = multiply x 2.0 : f64[3]; return s, s"


def test_a_branch_that_is_known_is_taken():
    made = simplified("branch that is known", cond(SUM, PRODUCT, "False x y"))
    assert ops(made) == ["multiply"]
    unchanged("branch that is known", cond(SUM, PRODUCT))


def test_branches_that_agree():
    made = simplified("branches that agree", cond(SUM, PRODUCT.replace("s, s", "s, x")))
    assert made.outputs[1] is made.inputs[1]
    assert len(loop(made).outputs) == 1
    unchanged("branches that agree", cond(SUM, PRODUCT.replace("s, s", "s, y")))


def test_operands_of_branches():
    made = simplified("operands of branches", cond(PRODUCT, PRODUCT))
    assert len(loop(made).inputs) == 2
    made = simplified("operands of branches", cond(SUM, PRODUCT, "p x x"))
    assert len(loop(made).inputs) == 2
    unchanged("operands of branches", cond(SUM, PRODUCT))


def test_results_of_branches_that_nobody_reads():
    made = simplified("dead results", cond(SUM, PRODUCT, returned="b", outs="f64[3]"))
    yes, no = loop(made).params["branches"]
    assert (ops(yes), ops(no)) == ([], ["multiply"])
    unchanged("dead results", cond(SUM, PRODUCT))


def test_operands_of_a_checkpoint():
    text = """program f(x: f64[3], y: f64[3]) -> f64[3]
      a = checkpoint x y x program={1} : f64[3]
        program inner(x: f64[3], y: f64[3], z: f64[3]) -> f64[3]
          s = add x z : f64[3]
          return s
      return a"""
    made = simplified("operands of a checkpoint", text)
    assert len(made.equations[0].inputs) == 1
    unchanged("operands of a checkpoint", made.text())


# --- hoisting -------------------------------------------------------------------------------------

HOIST = "invariants of a loop"


def test_what_does_not_change_is_computed_before_the_loop():
    body = "e = exp c : f64[3]; r = reshape e shape=(3,) : f64[3]; a = multiply s r : f64[3]; "
    body += "return a, x"
    made = simplified(HOIST, scan(CXS, body))
    assert ops(made) == ["exp", "scan"]
    assert "exp" not in ops(loop(made).params["body"])
    assert loop(made).params["constants"] == 2
    body = STEP + "e = exp c : f64[3]; a = multiply x e : f64[3]; return k2, a, d"
    made = simplified(HOIST, while_loop(body))
    assert ops(made) == ["exp", "while"]


def test_moves_of_data_alone_stay_in_the_loop():
    unchanged(HOIST, scan(CXS, "e = flip c axes=(0,) : f64[3]; a = add s e : f64[3]; return a, x"))
    body = "e = flip c axes=(0,) : f64[3]; g = exp e : f64[3]; a = add s g : f64[3]; return a, e"
    made = simplified(HOIST, scan(CXS, body))
    assert ops(made) == ["flip", "exp", "scan"]
    assert ops(loop(made).params["body"]) == ["flip", "add"]


@pytest.mark.parametrize(
    "equation",
    [
        "e = index c i at=() : f64[3]",  # an index may lie outside
        "e = exp x : f64[3]",
        "e = exp s : f64[3]",
        "e = barrier c token=1 : f64[3]",
    ],
)
def test_what_may_raise_or_changes_stays_in_the_loop(equation):
    head = "c: f64[3], i: i64[3], s: f64[3], x: f64[3]) -> f64[3], f64[3]"
    inputs = "c: f64[3], i: i64[3], s: f64[3], xs: f64[4,3]"
    body = f"{equation}; a = add s e : f64[3]; return a, x"
    unchanged(HOIST, scan(head, body, inputs, given="c i s xs", constants=2))


def test_a_loop_of_no_steps_raises_nothing():
    text = """program f(c: f64[0], s: f64[], n: i64[]) -> i64[], f64[]
      k, out = while c 0 s test={1} body={2} constants=1 : i64[], f64[]
        program test(c: f64[0], k: i64[], s: f64[]) -> bool[]
          t = less k 0 : bool[]
          return t
        program body(c: f64[0], k: i64[], s: f64[]) -> i64[], f64[]
          m = max c axes=(0,) : f64[]
          a = add s m : f64[]
          j = add k 1 : i64[]
          return j, a
      return k, out"""
    before = parse(text)
    assert_keeps_bits(before, simplify(before))


# --- every pass enters sub-programs ---------------------------------------------------------------


def test_sub_programs_of_any_operation_are_simplified():
    """Also of an operation that no pass knows."""
    inner = parse("""program inner(x: f64[3]) -> f64[3]
      a = multiply x 1.0 : f64[3]
      b = exp a : f64[3]
      c = exp a : f64[3]
      d = add b c : f64[3]
      return d""")
    dummy = Op("dummy", lambda x, *, program: (x,), lambda x, *, program: x, Discrete())
    try:
        x, y = Var(array_type((3,), np.dtype(float))), Var(array_type((3,), np.dtype(float)))
        outer = Program([x], [Equation(dummy, (x,), {"program": inner}, (y,))], [y])
        made = simplify(outer).equations[0].params["program"]
        assert ops(made) == ["exp", "add"]
    finally:
        del REGISTRY["dummy"]


def test_names_of_rewrites_differ():
    names = [r.name for r in REWRITES]
    assert len(set(names)) == len(names)
