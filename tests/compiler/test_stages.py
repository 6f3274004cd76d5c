"""Debug mode: a mistake is found by the name of the pass or rewrite that made it."""

import numpy as np
import pytest

from chainrule.compiler import lower as lowering
from chainrule.compiler.stages import compare_stages, run_in_c_order, same_result
from chainrule.ops.elementwise import exp
from chainrule.ops.shape import sum_
from chainrule.program.evaluate import evaluate
from chainrule.program.parse import parse
from chainrule.transforms.rewriting import Rewrite
from chainrule.transforms.simplify import DEFAULT
from tests.transforms.rewriting import one

X = np.array([0.0, -0.0, 1.0, 2.5])


def program(equations: str):
    return parse(one(equations, "x: f64[4]", "f64[4]"))


def _plus_zero(equation, graph):
    x, y = equation.inputs
    return x if y.is_literal and y.value == 0 else None


def test_no_stage_is_to_blame_where_all_agree():
    made = program("a = softmax x axes=(0,) : f64[4]; b = multiply a 1.0 : f64[4]")
    assert compare_stages(made, [X]) is None


def test_a_rewrite_that_loses_the_sign_of_a_zero_is_named():
    wrong = Rewrite("add zero", "x + 0 -> x", ("add",), _plus_zero)
    made = program("a = add x 0.0 : f64[4]")
    assert compare_stages(made, [X], [*DEFAULT, wrong]) == "simplify: add zero"
    rounding = Rewrite("add zero", "x + 0 -> x", ("add",), _plus_zero, changes="rounding")
    assert compare_stages(made, [X], [*DEFAULT, rounding]) is None


def test_a_wrong_lowering_is_named(monkeypatch):
    def naive(x, *, axes):
        return exp(x) / sum_(x, axes=())

    monkeypatch.setitem(lowering.LOWERINGS, "softmax", naive)
    made = program("a = logit x : f64[4]; b = softmax x axes=(0,) : f64[4]; c = add a b : f64[4]")
    assert compare_stages(made, [X]) == "lower: softmax"


def test_control_flow_runs_in_c_order_as_on_the_evaluator():
    made = parse("""program f(p: bool[], x: f64[4]) -> f64[], f64[4], f64[4], i64[]
      a, b = scan 0.0 x body={1} constants=0 carries=1 length=4 reverse=True : f64[], f64[4]
        program body(s: f64[], x: f64[]) -> f64[], f64[]
          t = add s x : f64[]
          return t, s
      c = cond p x branches=({1},{2}) : f64[4]
        program yes(x: f64[4]) -> f64[4]
          y = exp x : f64[4]
          return y
        program no(x: f64[4]) -> f64[4]
          return x
      n = while 0 test={1} body={2} constants=0 : i64[]
        program test(k: i64[]) -> bool[]
          t = less k 5 : bool[]
          return t
        program body(k: i64[]) -> i64[]
          j = add k 2 : i64[]
          return j
      return a, b, c, n""")
    for p in (np.bool_(True), np.bool_(False)):
        wanted, found = evaluate(made, [p, X]), run_in_c_order(made, [p, X])
        assert all(same_result(a, b) for a, b in zip(found, wanted, strict=True))


def test_errors_keep_the_users_line():
    made = parse("""program f(x: f64[4], i: i64[]) -> f64[]
      a = index x i at=() : f64[]   # model.py:3
      return a""")
    with pytest.raises(IndexError) as caught:
        run_in_c_order(made, [X, np.int64(9)])
    assert "model.py:3" in "".join(caught.value.__notes__)


def test_which_results_count_as_the_same():
    assert same_result(np.array([np.nan]), np.array([np.nan]))
    assert not same_result(np.array([0.0]), np.array([-0.0]))
    assert same_result(np.array([0.0]), np.array([-0.0]), exact=False)
    assert not same_result(np.array([1.0]), np.array([1.0 + 2e-16]))
    assert same_result(np.array([1.0]), np.array([1.0 + 3e-16]), exact=False)
    assert not same_result(np.array([1.0]), np.array([1.0 + 1e-11]), exact=False)
    assert not same_result(np.array([np.inf]), np.array([1.0]), exact=False)
    assert not same_result(np.float32(1), np.float64(1))
    assert not same_result(np.complex128(1 + 0j), np.complex128(complex(1, -0.0)))
