"""Printed source: it reads as the user's code does, and gives the reference evaluator's bits."""

import ast
import copy
import linecache
import re
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings

import chainrule as cr
from chainrule.program.evaluate import Plan
from chainrule.program.tree import flatten
from chainrule.running import run
from chainrule.tracing import trace_call
from tests.program.random_programs import arrays_for, programs
from tests.random_statements import cases
from tests.show import functions
from tests.show.executing import assert_same_bits, assert_source_equals_program, function_of
from tests.show.functions import CASES, X

SCALE = '''\
def scale(p, t):
    """p * t, and exactly 0 where a factor is 0, even if the other one is infinite or nan."""
    product = p * t
    lost = (product != product) & ((p == 0) | (t == 0))
    return np.where(lost, product.dtype.type(0), product)[()]
'''


def printed(f, *args, **kwargs) -> str:
    """The last function of a source: without imports and definitions."""
    text = cr.source(f, *args, **kwargs)
    return text[("\n" + text).rindex("\ndef ") :]


def name_in(text: str) -> str:
    return ("\n" + text).rpartition("\ndef ")[2].partition("(")[0]


def reference(f, args):
    """What the reference evaluator gives for the program of a call, effects included."""
    call = trace_call(f, args, {})
    return call.finish(run(Plan(call.program), call.operands))


def assert_source_runs_like(f, *args):
    ours, theirs = copy.deepcopy(args), copy.deepcopy(args)
    wanted = reference(f, theirs)
    text = cr.source(f, *copy.deepcopy(args))
    with np.errstate(all="ignore"):
        found = function_of(text, name_in(text))(*ours)
    assert_same_bits(flatten((found, ours))[0], flatten((wanted, theirs))[0], text)


# --- the course's function ------------------------------------------------------------------------


def test_the_derivative_of_the_courses_function_reads_like_the_chain_rule():
    assert cr.source(cr.grad(functions.course), 0.5) == (
        "import numpy as np\n\n\n"
        + SCALE
        + '''

def grad_course(x):
    """The gradient of course, for x: float64."""
    # forward
    a = -2.0 * x
    b = np.exp(a)
    c = 1.0 + b

    # backward: d_v is the derivative of the result with respect to v
    d_b = 1.0 / c * 10.0  # also d_c
    d_a = scale(b, d_b)
    d_x = -2.0 * d_a
    return d_x'''
    )


@pytest.mark.parametrize("x", [-3.0, 0.0, 0.5, 7.25])
def test_it_is_minus_20_exp_over_1_plus_exp(x):
    derivative = function_of(cr.source(cr.grad(functions.course), x), "grad_course")
    truth = -20 * np.exp(-2 * x) / (1 + np.exp(-2 * x))
    assert derivative(x) == pytest.approx(truth, rel=1e-15)


def test_a_function_is_printed_as_it_was_written():
    assert printed(functions.course, 0.5).splitlines()[-1] == (
        "    return 10.0 * np.log(1.0 + np.exp(-2.0 * x))"
    )


# --- bits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_source_gives_the_bits_of_the_reference_evaluator(name):
    assert_source_runs_like(*CASES[name])


@settings(max_examples=75)
@given(programs())
def test_source_of_random_programs_gives_their_bits(program):
    assert_source_equals_program(program, arrays_for(program))


@settings(max_examples=20)
@given(cases())
def test_source_of_random_statements_and_their_gradients_gives_their_bits(case):
    filename = f"<statements {hash(case.source)}>"
    lines = case.source.splitlines(keepends=True)
    linecache.cache[filename] = (len(case.source), None, lines, filename)
    scope = {"np": np}
    exec(compile(case.source, filename, "exec"), scope)
    f = scope["f"]
    for g in (f, cr.value_and_grad(f, (0, 1), stabilize=False, kinks="convention")):
        assert_source_runs_like(g, *case.arguments())


def test_python_numbers_follow_numpys_rules_where_pythons_differ():
    division = function_of(cr.source(lambda x: 1.0 / x, 2.0), "f")
    with np.errstate(divide="ignore"):
        assert division(0.0) == np.inf


# --- names ----------------------------------------------------------------------------------------


def test_names_of_arguments_and_assigned_variables_are_the_users():
    assert printed(functions.scaled_twice, X, 3.0) == (
        "def scaled_twice(values, factor):\n"
        '    """scaled_twice, for values: float64 (3,), factor: float64."""\n'
        "    scaled = values * factor\n"
        "    scaled = scaled * 2.0\n"
        "    scaled[0] = scaled[0] + 1.0\n"
        "    first = scaled[0]\n"
        "    total = np.sum(scaled) + first\n"
        "    return total"
    )


def test_derivatives_are_named_after_what_they_are_the_derivative_of():
    text = printed(cr.value_and_grad(functions.network), *functions.network_arguments())
    for name in ("hidden", "logits", "shifted", "log_share"):
        assert f" {name} = " in text
    for name in ("d_hidden", "d_logits", "d_shifted", "d_params_w1", "d_params_w2"):
        assert f"{name} = " in text or f"also {name}" in text
    assert re.search(r"return \(\s*-", text) and '{"w1": d_params_w1, "b1": d_params_b1' in text


def test_functions_of_one_structure_keep_their_own_names():
    def area(width):
        half = width * 0.5
        return np.sin(half) * half

    def energy(speed):
        momentum = speed * 0.5
        return np.sin(momentum) * momentum

    first, second = printed(cr.grad(area), 1.0), printed(cr.grad(energy), 1.0)
    assert "d_half" in first and "momentum" not in first
    assert "d_momentum" in second and "half" not in second


def test_a_users_variable_may_have_the_name_of_a_definition():
    def weigh(scale):
        product = scale * 2.0
        return np.sum(np.exp(product) * product)

    text = cr.source(cr.grad(weigh), X)
    assert "def scale_(p, t)" in text and "def grad_weigh(scale)" in text
    assert_source_runs_like(cr.grad(weigh), X)


def test_values_have_letters_where_there_is_no_file():
    scope = {"np": np}
    exec("def f(x):\n    half = x * 0.5\n    return np.sin(half) * half", scope)
    assert "    a = x * 0.5\n    return np.sin(a) * a" in printed(scope["f"], 1.0)


# --- arguments, captured arrays, effects ----------------------------------------------------------


def test_small_captured_arrays_are_written_out_and_large_ones_are_keyword_parameters():
    text = cr.source(functions.with_captured, X)
    assert "WEIGHTS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])\n" in text
    assert "def with_captured(x, *, TABLE):" in text
    assert "TABLE: float64 (200,), an array it closes over" in text
    found = function_of(text, "with_captured")(X, TABLE=functions.TABLE)
    assert found == functions.with_captured(X)


def test_what_the_function_writes_the_source_writes_too():
    text = printed(functions.train, {"w": X.copy(), "steps": 0}, X, 0.1)
    assert '    params["w"][...] = w\n' in text
    assert '    params["steps"] = steps.item()\n' in text


def test_an_argument_is_updated_in_place_where_the_function_does_it():
    text = printed(functions.exchange, X.copy(), 2 * X)
    assert "    x[0] = y[1]\n" in text and "np.copy" not in text


def test_a_captured_generator_goes_on_from_call_to_call():
    def noise(x):
        return x + rng.normal(size=2)

    rng = cr.random.Generator(3)
    ours = function_of(cr.source(noise, np.ones(2)), "noise")
    rng = cr.random.Generator(3)
    for _ in range(3):
        assert np.array_equal(ours(np.ones(2)), noise(np.ones(2)))


def test_options_that_are_no_data_are_defaults():
    def norm(x, kind="sum", *, root=False):
        total = np.sum(x * x) if kind == "sum" else np.max(x * x)
        return np.sqrt(total) if root else total

    text = printed(norm, X, "max", root=True)
    assert text.startswith('def norm(x, kind="max", root=True):\n')
    assert text.endswith("return np.sqrt(total)")


def test_results_keep_their_structure():
    text = printed(lambda x: {"a": [x * 2.0, None], "b": (x, "text")}, X)
    assert 'return {"a": [x * 2.0, None], "b": (x, "text")}' in text


def test_a_program_prints_as_a_function_of_its_inputs():
    program = cr.trace(functions.two_paths, 0.5, 2.0)
    assert printed(program).splitlines()[-1] == "    return (np.sin(x1) + x1 * x2,)"


# --- control flow ---------------------------------------------------------------------------------


def test_scan_prints_as_a_for_loop():
    assert printed(functions.recurrence, 0.7, X).endswith(
        "    h = np.float64(0.0)\n"
        "    ys = np.empty(3)\n"
        "    for i in range(3):\n"
        "        x = xs[i]\n"
        "        h = np.tanh(w * h + x)\n"
        "        ys[i] = h * h\n"
        "    return h + np.sum(ys)"
    )


def test_while_loop_prints_as_a_while_loop():
    assert printed(functions.growth, 1.5).endswith(
        "    while state_0 < 50.0:\n"
        "        state_0, state_1 = state_0 * x, state_1 + np.sin(state_0)\n"
        "    return state_1"
    )


def test_cond_prints_as_if_and_else():
    assert printed(functions.piecewise, X).endswith(
        "    if np.sum(x) > 0.0:\n"
        "        result = np.sum(np.sin(x))\n"
        "    else:\n"
        "        result = np.sum(x**3)\n"
        "    return result"
    )


# --- what a reader expects ------------------------------------------------------------------------


def test_a_loop_that_reads_and_writes_an_array_updates_it_in_place():
    def per_step(n):
        text = printed(cr.grad(functions.running_product), np.linspace(0.1, 1.0, n))
        assert "np.copy" not in text
        return (text.count("\n") - 8) / n

    assert per_step(100) == pytest.approx(per_step(10), rel=0.25)


def unread_names(text: str) -> set[str]:
    """Names that the printed functions assign and never read."""
    tree = ast.parse(text)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    read = {n.id for n in names if isinstance(n.ctx, ast.Load)}
    return {n.id for n in names if isinstance(n.ctx, ast.Store)} - read - {"_"}


@pytest.mark.parametrize("name", CASES)
def test_source_has_no_dead_code(name):
    f, *args = CASES[name]
    assert not unread_names(cr.source(f, *copy.deepcopy(args)))


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed")
def test_source_passes_a_linter(tmp_path):
    too_deep = {"while, second derivative"}  # its loops are indented to the margin
    for number, name in enumerate(CASES.keys() - too_deep):
        f, *args = CASES[name]
        text = cr.source(f, *copy.deepcopy(args))
        (tmp_path / f"case_{number}.py").write_text(text + "\n")
    rules = "E,F,W,I,B,UP"
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length=100"]
    done = subprocess.run(
        [*command, f"--select={rules}", "--no-cache", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_source_needs_numpy_alone_or_scipy_where_special_functions_do():
    for f, *args in CASES.values():
        tree = ast.parse(cr.source(f, *copy.deepcopy(args)))
        modules = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        modules |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert modules <= {"numpy", "math", "functools", "scipy.special", "scipy.linalg"}
    assert "scipy" not in cr.source(cr.grad(functions.course), 0.5)


def test_a_function_cannot_be_printed_while_another_is_traced():
    def f(x):
        cr.source(np.sin, x)
        return x

    with pytest.raises(cr.errors.NotSupported, match=r"at test_source.py:\d+, another function is"):
        cr.grad(f)(1.0)


# --- trace ----------------------------------------------------------------------------------------


def test_trace_lists_captured_arrays_as_captured():
    program = cr.trace(functions.with_captured, X)
    assert [v.type.shape for v in program.captured] == [(3, 2), (200,)]
    assert program.captured_values[0] is functions.WEIGHTS
    program.validate()


def test_trace_of_a_derivative_is_the_program_of_the_derivative():
    program = cr.trace(cr.grad(functions.course), 0.5)
    assert Plan(program)([np.float64(0.5)])[0] == cr.grad(functions.course)(0.5)
    assert all(e.where.startswith("functions.py:") for e in program.equations)
