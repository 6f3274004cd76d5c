"""Composite operations written out: the operation's value, special values, lines and barriers."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.lower import LOWERINGS, lower
from chainrule.compiler.lower_matrices import MATRICES
from chainrule.compiler.lower_special import SPECIAL
from chainrule.ops.checkpoint import checkpoint_op
from chainrule.program.evaluate import evaluate
from chainrule.program.op import REGISTRY
from chainrule.program.parse import parse
from chainrule.program.trace import Builder, operand
from chainrule.program.types import type_of
from chainrule.tracing import trace_call
from chainrule.transforms.forward import forward
from chainrule.transforms.reverse import reverse, split_program
from chainrule.transforms.simplify import remove_barriers, simplify
from tests.ops.running import program_of, rows, without_literals
from tests.transforms.rewriting import lines

INF, NAN = np.inf, np.nan
EDGES = np.array(
    [0.0, -0.0, INF, -INF, NAN, 0.3, -0.3, 0.5, 0.7, 1.0, -1.0, 2.0, 1e-310, 1e300, 40.0]
)
PAIRS = ["xlogy", "xlog1py", "kl_div", "log_ratio", "huber", "pseudo_huber"]


def one_op(name: str, *arrays, **params):
    with Builder("f") as builder:
        builder.lines_from_user = False
        inputs = [builder.input(type_of(x)) for x in arrays]
        out = REGISTRY[name](*inputs, **params)
        return builder.finish([operand(builder, out)])


def names(program) -> list[str]:
    return [e.op.name for e in program.equations]


def assert_close(found, wanted, ulps: float) -> None:
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    if wanted.dtype.kind == "c":
        return np.testing.assert_allclose(found, wanted, rtol=ulps * np.finfo(wanted.dtype).eps)
    assert np.array_equal(np.isnan(found), np.isnan(wanted))
    same = (found == wanted) | np.isnan(wanted)
    with np.errstate(all="ignore"):
        error = np.abs(found - wanted) / np.spacing(np.abs(wanted))
    assert np.all(same | (error <= ulps)), (found[~same], wanted[~same])


# --- values ---------------------------------------------------------------------------------------


@rows(lambda row: row.name in set(LOWERINGS) - set(SPECIAL) - set(MATRICES))
def test_a_written_out_operation_has_its_value(row):
    for dtype in row.dtypes:
        arrays = row.draw(dtype)
        program, inputs = program_of(row, arrays), without_literals(row, arrays)
        lowered = lower(program)
        lowered.validate()
        if np.dtype(dtype).kind == "f":
            assert row.name not in names(lowered)
        for found, wanted in zip(evaluate(lowered, inputs), evaluate(program, inputs), strict=True):
            assert_close(found, wanted, 3)


@pytest.mark.parametrize("name", ["logit", "log_expit", "entr", "sinc"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_special_values_of_one_argument(name, dtype):
    with np.errstate(over="ignore"):
        x = EDGES.astype(dtype)
    program = one_op(name, x)
    assert_close(evaluate(lower(program), [x])[0], evaluate(program, [x])[0], 3)


@pytest.mark.parametrize("name", PAIRS)
def test_special_values_of_two_arguments(name):
    x, y = (v.ravel().copy() for v in np.meshgrid(EDGES, EDGES))
    program = one_op(name, x, y)
    assert_close(evaluate(lower(program), [x, y])[0], evaluate(program, [x, y])[0], 4)


LANES = np.array([
    [1.0, 2.0, 2.0], [INF, 1.0, INF], [-INF, -INF, -INF], [-INF, 0.0, 1.0], [NAN, 1.0, 2.0],
    [1e300, -1e300, 0.0], [INF, -INF, 0.0], [-0.0, 0.0, -0.0],
])  # fmt: skip


@pytest.mark.parametrize("name", ["softmax", "softmax_shares", "log_softmax", "logsumexp", "norm"])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1), ()])
def test_ties_and_infinities_over_axes(name, axes):
    program = one_op(name, LANES, axes=axes)
    assert_close(evaluate(lower(program), [LANES])[0], evaluate(program, [LANES])[0], 3)


@pytest.mark.parametrize("name", ["softmax", "softmax_shares", "log_softmax", "logsumexp", "norm"])
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_axes_without_entries(name, shape):
    for axes in [(0,), (1,), (0, 1)]:
        program = one_op(name, np.zeros(shape), axes=axes)
        lowered = lower(program)
        lowered.validate()
        found, wanted = (evaluate(p, [np.zeros(shape)])[0] for p in (lowered, program))
        assert np.shape(found) == np.shape(wanted)
        assert np.array_equal(found, wanted)


def test_complex_arguments_are_left_to_the_operation():
    z = np.array([1 + 2j])
    assert names(lower(one_op("xlogy", z, z))) == ["xlogy"]
    assert "norm" not in names(lower(one_op("norm", z, axes=(0,))))


def test_products_of_float16_are_made_in_float32():
    x = np.array([[2048.0, 1.0, -2048.0]], np.float16)  # 2048 + 1 rounds to 2048 in float16
    y = np.ones((3, 2), np.float16)
    lowered = lower(one_op("contract", x, y, axes=((1,), (0,)), batch=((), ())))
    assert names(lowered) == ["cast", "cast", "contract", "cast"]
    assert np.array_equal(evaluate(lowered, [x, y])[0], np.ones((1, 2), np.float16))
    assert names(lower(one_op("contract", x.astype("f"), y.astype("f"), axes=((1,), (0,)),
                              batch=((), ())))) == ["contract"]  # fmt: skip


@pytest.mark.parametrize("dtype", "bfd")
@pytest.mark.parametrize(("shapes", "axes", "batch"), [
    (((4, 1), (1, 5)), ((1,), (0,)), ((), ())),
    (((2, 3), (4, 5, 3)), ((), ()), ((1,), (2,))),
    (((1, 2, 3, 4), (2, 1, 3)), ((0,), (1,)), ((2, 1), (2, 0))),
    (((1,), (1,)), ((0,), (0,)), ((), ())),
    (((0, 1), (1, 2)), ((1,), (0,)), ((), ())),
])  # fmt: skip
def test_products_without_a_sum_are_entry_by_entry(shapes, axes, batch, dtype):
    rng = np.random.default_rng(5)
    x, y = (np.asarray(rng.integers(-3, 4, shape), dtype) for shape in shapes)
    program = one_op("contract", x, y, axes=axes, batch=batch)
    lowered = lower(program)
    assert "contract" not in names(lowered)
    found, wanted = (evaluate(p, [x, y])[0] for p in (lowered, program))
    assert found.dtype == wanted.dtype
    assert found.tobytes() == (wanted + wanted.dtype.type(0)).tobytes()


def test_products_with_a_sum_stay_one_operation():
    program = one_op("contract", np.ones((3, 2)), np.ones((2, 5)), axes=((1,), (0,)),
                     batch=((), ()))  # fmt: skip
    assert names(lower(program)) == ["contract"]


def test_compiled_convolutions_of_float16_are_float32_ones_rounded():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2, 6, 5, 3)).astype(np.float16)
    w = rng.normal(size=(3, 3, 3, 4)).astype(np.float16)

    def loss(w, x):
        return np.sum(np.square(cr.nn.convolution(x, w).astype("f")))

    found = cr.compile(cr.value_and_grad(loss, kinks="convention"))(w, x)
    wanted = cr.value_and_grad(loss)(w.astype("f"), x.astype("f"))
    assert found[1].dtype == np.float16
    assert abs(found[0] - wanted[0]) < 1e-3 * wanted[0]
    np.testing.assert_allclose(found[1], wanted[1], rtol=5e-3, atol=5e-3 * abs(wanted[1]).max())


def test_what_is_to_be_kept_is_kept():
    program = one_op("softmax", LANES, axes=(1,))
    assert lower(program, keep={"softmax"}) is program


# --- structure ------------------------------------------------------------------------------------


def test_softmax_is_written_out():
    program = parse("""program f(x: f64[2,3]) -> f64[2,3]
      a = softmax x axes=(1,) : f64[2,3]
      return a""")
    assert lines(lower(program).text()) == lines("""program f(x: f64[2,3]) -> f64[2,3]
      b = max x axes=(1,) : f64[2]
      c = broadcast b shape=(2,3) axes=(0,) : f64[2,3]
      d = subtract x c : f64[2,3]
      e = exp d : f64[2,3]
      f = sum e axes=(1,) : f64[2]
      g = broadcast f shape=(2,3) axes=(0,) : f64[2,3]
      a = divide e g : f64[2,3]
      return a""")


def test_derived_equations_keep_the_users_line():
    program = parse("""program f(x: f64[3]) -> f64[3]
      a = softmax x axes=(0,) : f64[3]   # model.py:12
      return a""")
    assert {e.where for e in lower(program).equations} == {"model.py:12"}


def test_sub_programs_are_lowered_too():
    program = parse("""program f(p: bool[], x: f64[3]) -> f64[3]
      a = cond p x branches=({1},{2}) : f64[3]
        program yes(x: f64[3]) -> f64[3]
          a = softmax x axes=(0,) : f64[3]
          return a
        program no(x: f64[3]) -> f64[3]
          return x
      return a""")
    yes, no = lower(program).equations[0].params["branches"]
    assert "softmax" not in names(yes)
    assert no is program.equations[0].params["branches"][1]
    lower(program).validate()


def derived(f, *args):
    """The program of a function and its gradient by all arguments."""
    program = trace_call(f, args, {}).program
    return reverse(program, (True,) * len(program.inputs), [0])[0]


@cr.custom_derivative
def doubled(x):
    return np.sum(2.0 * x)


@doubled.forward
def _rule(primals, output, tangents):
    return np.sum(3.0 * tangents[0])  # on purpose not the true derivative


def test_custom_functions_become_their_programs_and_keep_their_rule():
    x = np.array([1.0, 2.0])
    program = derived(doubled, x)
    made = lower(program)
    made.validate()
    assert not {"custom", "custom_linear"} & set(names(made))
    value, slope = evaluate(made, [x])
    assert value == 6.0
    assert slope.tolist() == [3.0, 3.0]


def test_the_linear_half_of_a_loop_becomes_a_loop():
    def powers(x):
        return cr.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] * x), (0, x))[1]

    program = trace_call(powers, (np.float64(1.1),), {}).program
    flat = split_program(forward(program, (True,))[0], (False, True))[1]
    assert names(flat) == ["repeat"]
    made = lower(flat)
    made.validate()
    assert names(made) == ["while"]
    steps = [np.int64(3)] if flat.in_types[0].dtype.kind == "i" else []
    values = [v for v in (*steps, np.float64(1.1), np.float64(1.0))][: len(flat.inputs)]
    values += [np.float64(0.7)] * (len(flat.inputs) - len(values))
    assert evaluate(made, values) == evaluate(flat, values)


def gradient_program():
    with Builder("f") as builder:
        x = builder.input(type_of(np.zeros(3)))
        inner = Builder("inner")
        with inner:
            y = inner.input(type_of(np.zeros(3)))
            made = operand(inner, REGISTRY["sin"](REGISTRY["exp"](y)))
        out = checkpoint_op(x, program=inner.finish([made]))
        program = builder.finish([operand(builder, out)])
    return reverse(program, (True,))[0]


def test_recomputation_behind_a_barrier_is_not_merged():
    program = gradient_program()
    values = [np.array([0.1, 0.2, 0.3]), np.ones(3)]
    wanted = evaluate(program, values)
    made = remove_barriers(simplify(lower(program)))
    made.validate()
    assert names(made).count("exp") == 2
    assert "barrier" not in names(made)
    assert "checkpoint" not in names(made)
    for a, b in zip(evaluate(made, values), wanted, strict=True):
        assert np.array_equal(a, b)
    merged = simplify(remove_barriers(lower(program)))
    assert names(merged).count("exp") == 1
