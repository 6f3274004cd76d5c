"""Every property on every operation, on the rows of the table (`samples.py` and its relatives).

    value        against mpmath, or NumPy's own words; dtype and shape as the type rule says
    slope        forward mode against mpmath (ulps), or against extrapolated differences
    second       forward over forward against the same; reverse over forward against it
    reverse      <u, J v> = <J* u, v>
    batching     of the operation and of its derivative, against a loop
    text         printed programs parse back to themselves
    evaluator    plans give the bits of running equation by equation
    edges        values and slopes at the edges that the operation states as data

An operation without a row fails.
"""

import warnings

import numpy as np
import pytest
from mpmath import mp, mpc, mpf

import chainrule  # noqa: F401  (registers every operation)
from chainrule.errors import DerivativeMissing
from chainrule.program.evaluate import Plan
from chainrule.program.op import REGISTRY, TAKES, Constant, Discrete, Linear, Structural
from chainrule.program.parse import parse
from chainrule.program.program import Program
from chainrule.program.trace import Builder, operand, run_equation
from chainrule.program.types import type_of
from chainrule.transforms.batch import batch
from chainrule.transforms.forward import forward
from chainrule.transforms.reverse import reverse
from tests.ops import samples, samples_linalg, samples_sequences, samples_special  # noqa: F401
from tests.ops.table import ROWS, Row, all_rows

# Operations whose meaning needs more than arrays in and arrays out, and where they are tested.
ELSEWHERE = {
    **dict.fromkeys(("checkpoint", "cond", "scan", "while", "repeat"), "tests/transforms"),
    **dict.fromkeys(("custom", "custom_linear"), "tests/test_custom.py"),
    **dict.fromkeys(
        (
            "random_bits", "fold_in", "standard_uniform", "standard_normal", "standard_exponential",
            "standard_gumbel", "standard_logistic", "standard_laplace", "standard_cauchy",
            "standard_gamma", "log_standard_gamma", "random_poisson", "random_binomial",
            "random_geometric", "random_bernoulli", "random_categorical", "random_below",
            "random_order", "random_subset",
        ),
        "tests/random",
    ),
}  # fmt: skip
DIGITS = 40
LANES = 3

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def rows(condition):
    """Parametrize a test by the rows that fulfil a condition."""
    chosen = [row for row in all_rows() if condition(row)]
    return pytest.mark.parametrize("row", chosen, ids=lambda row: row.id)


def is_smooth(row: Row) -> bool:
    return not isinstance(row.op.derivative, Constant | Discrete) and row.active != ()


def has_truth(row: Row) -> bool:
    return row.truth is not None


# --- running programs ---------------------------------------------------------------------------


def as_tuple(value) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def program_of(row: Row, arrays) -> Program:
    """The program that applies the operation once; its inputs are the inputs but the literals."""
    with Builder(row.name) as builder:
        builder.lines_from_user = False
        values = [
            x if domain.is_literal else builder.input(type_of(x))
            for domain, x in zip(row.domains, arrays, strict=True)
        ]
        outputs = as_tuple(row.op(*values, **row.params))
        return builder.finish([operand(builder, out) for out in outputs])


def without_literals(row: Row, items) -> list:
    return [x for domain, x in zip(row.domains, items, strict=True) if not domain.is_literal]


def evaluated(row: Row, arrays) -> tuple:
    with np.errstate(all="ignore"):
        return as_tuple(row.op.evaluate(*arrays, **row.params))


def naively(program: Program, values) -> list:
    """Equation by equation, without a plan."""
    known = dict(zip(program.inputs, values, strict=True))
    with np.errstate(all="ignore"):
        for equation in program.equations:
            run_equation(equation, known)
    return [o.value if o.is_literal else known[o] for o in program.outputs]


class Point:
    """A row at one draw: its program, inputs, tangents and cotangents."""

    def __init__(self, row: Row, dtype="d", seed: int = 0):
        self.row = row
        self.arrays = row.draw(dtype, seed)
        self.program = program_of(row, self.arrays)
        self.inputs = without_literals(row, self.arrays)
        self.mask = tuple(without_literals(row, row.chosen(self.arrays)))
        self.rng = np.random.default_rng([7, seed])

    def direction(self) -> list:
        """A random tangent for each active input."""
        return [
            random_like(self.rng, x)
            for x, wanted in zip(self.inputs, self.mask, strict=True)
            if wanted
        ]

    def forward(self):
        """The program with tangents, and which outputs move."""
        return forward(self.program, self.mask)

    def tangents(self, direction) -> list:
        """The tangents of all outputs; zeros where nothing moves."""
        flat, moves = self.forward()
        outputs = Plan(flat).run([*self.inputs, *direction])
        moving = iter(outputs[len(moves) :])
        return [
            next(moving) if m else np.zeros_like(y)
            for y, m in zip(outputs[: len(moves)], moves, strict=True)
        ]


def random_like(rng, x):
    values = rng.normal(size=np.shape(x))
    if x.dtype.kind == "c":
        values = values + 1j * rng.normal(size=np.shape(x))
    return np.asarray(values).astype(x.dtype)[()]


# --- the table ----------------------------------------------------------------------------------


def test_every_operation_has_a_row():
    missing = sorted(set(REGISTRY) - set(ROWS) - set(ELSEWHERE))
    assert not missing, f"add samples(...) to tests/ops for {missing}"


def test_every_row_belongs_to_an_operation():
    assert not set(ROWS) - set(REGISTRY)
    assert not set(ELSEWHERE) - set(REGISTRY)


# --- values -------------------------------------------------------------------------------------


@rows(lambda row: True)
def test_type_of_value_is_what_the_type_rule_says(row):
    for dtype in row.dtypes:
        arrays = row.draw(dtype)
        types = row.op.type_rule(*map(type_of, arrays), **row.params)
        found = evaluated(row, arrays)
        assert [type_of(np.asarray(y)) for y in found] == list(types), dtype


@rows(lambda row: row.op.elementwise)
def test_elementwise_on_no_entries_and_on_a_scalar(row):
    if any(domain.shape == () and not domain.is_literal for domain in row.domains):
        pytest.skip("an input of this row is a single number")
    for cut in (slice(0, 0), 0):
        arrays = [x if np.ndim(x) == 0 else x[cut] for x in row.draw(row.dtypes[0])]
        types = row.op.type_rule(*map(type_of, arrays), **row.params)
        assert [type_of(np.asarray(y)) for y in evaluated(row, arrays)] == list(types)


def reference_of(row: Row):
    if row.reference is not None:
        return row.reference
    function = getattr(np, row.name, None)
    return function if row.op.elementwise and isinstance(function, np.ufunc) else None


@rows(lambda row: reference_of(row) is not None)
def test_value_is_what_numpy_says(row):
    for dtype in row.dtypes:
        arrays = row.draw(dtype)
        with np.errstate(all="ignore"):
            expected = as_tuple(reference_of(row)(*arrays))
        for found, wanted in zip(evaluated(row, arrays), expected, strict=True):
            tolerance = 4 * np.finfo(found.dtype).eps if found.dtype.kind in "fc" else 0
            scale = np.max(np.abs(wanted), initial=0.0, where=np.isfinite(wanted))
            np.testing.assert_allclose(
                found, wanted, rtol=tolerance, atol=tolerance * scale, err_msg=dtype
            )


@rows(has_truth)
def test_value_against_mpmath(row):
    for dtype in set(row.dtypes) & set("fd"):
        arrays = row.draw(dtype)
        (found,) = evaluated(row, arrays)
        for i, point in enumerate(points(arrays)):
            with mp.workdps(DIGITS):
                truth = row.truth(*point, **row.params)
            assert_within(found[i], truth, row.value_ulps, f"{dtype} {shown(point)}")


def points(arrays):
    """The inputs as tuples of mpmath numbers, one per entry; a scalar counts for every entry."""
    for entry in zip(*np.broadcast_arrays(*arrays), strict=True):
        yield tuple(mpc(complex(x)) if np.iscomplexobj(x) else mpf(float(x)) for x in entry)


def shown(point) -> str:
    return ", ".join(mp.nstr(x, 17) for x in point)


def assert_within(found, truth, ulps: float, where: str, noise: float = 0.0) -> None:
    """Assert |found - truth| <= ulps units in the last place of the truth, plus its own noise."""
    info = np.finfo(found.dtype)
    if abs(truth) > mpf(float(info.max)):
        assert np.isinf(found), f"{where}: found {found!r}, truth {mp.nstr(truth, 20)}"
        return
    size = max(abs(complex(truth)), float(info.smallest_normal))
    unit = float(np.spacing(np.asarray(size, np.zeros(1, found.dtype).real.dtype)))
    found_exactly = mpc(complex(found)) if np.iscomplexobj(found) else mpf(float(found))
    error = float(abs(found_exactly - truth)) / unit
    assert error <= ulps + noise / unit, (
        f"{where}: found {found!r}, truth {mp.nstr(truth, 20)}: {error:.4g} ulp, {ulps} allowed"
    )


# --- first derivatives --------------------------------------------------------------------------


def derivative(f, point, order):
    """The partial derivative of an mpmath function, with steps in proportion to the point.

    The second result bounds its rounding, which matters where the derivative is next to 0.
    """
    sizes = [abs(x) or mpf(1) for x in point]

    def scaled(*t):
        return f(*[x + size * step for x, size, step in zip(point, sizes, t, strict=True)])

    found, noise = mp.diff(scaled, (mpf(0),) * len(point), order), abs(f(*point)) * mpf(10) ** -35
    for size, n in zip(sizes, order, strict=True):
        found, noise = found / size**n, noise / size**n
    return found, float(noise)


def true_slope(row: Row, point, i: int):
    if row.slopes is not None and row.slopes[i] is not None:
        return row.slopes[i](*point, **row.params), 0.0
    order = tuple(int(k == i) for k in range(len(point)))
    return derivative(lambda *x: row.truth(*x, **row.params), point, order)


@pytest.mark.parametrize("dtype", ["d", "f", "D"])
@rows(lambda row: has_truth(row) and is_smooth(row))
def test_slope_against_mpmath(row, dtype):
    if dtype not in row.dtypes:
        pytest.skip("not a dtype of this row")
    point = Point(row, dtype)
    ulps = row.op.ulps if row.ulps is None else row.ulps
    ulps = ulps if dtype == "d" else max(8.0, 2.0 * ulps)
    mask = row.chosen(point.arrays)
    for i in [i for i, wanted in enumerate(mask) if wanted]:
        direction = [
            np.full_like(x, k == i)
            for k, (x, wanted) in enumerate(zip(point.arrays, mask, strict=True))
            if wanted
        ]
        (found,) = point.tangents(direction)
        for n, x in enumerate(points(point.arrays)):
            with mp.workdps(DIGITS):
                truth, noise = true_slope(row, x, i)
            assert_within(found[n], truth, ulps, f"by input {i} at {shown(x)}", noise)


def differences(f, step: float = 2.0**-9):
    """df(h)/dh at 0 for each output of f, by three central differences, extrapolated."""
    table = []
    for k in range(3):
        h = step / 2**k
        pairs = zip(f(h), f(-h), strict=True)
        table.append([(above - below) / (2 * h) for above, below in pairs])
    first = [[(4 * b - a) / 3 for a, b in zip(table[k], table[k + 1], strict=True)] for k in (0, 1)]
    return [(16 * b - a) / 15 for a, b in zip(*first, strict=True)]


def moved(point: Point, direction, h):
    """The inputs displaced by h along a direction of the active ones."""
    steps = iter(direction)
    return [
        x + h * next(steps) if wanted else x
        for x, wanted in zip(point.inputs, point.mask, strict=True)
    ]


def assert_near(found, expected, tolerance: float) -> None:
    for a, b in zip(found, expected, strict=True):
        if np.asarray(a).dtype.kind not in "fc":
            continue
        scale = np.max(np.abs(b), initial=1.0)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)


@rows(lambda row: not has_truth(row) and is_smooth(row))
def test_slope_against_differences(row):
    for dtype in set(row.dtypes) & set("dD"):
        point = Point(row, dtype)
        direction = point.direction()

        def value(h, point=point, direction=direction):
            return Plan(point.program).run(moved(point, direction, h))

        if row.analytic and dtype == "d":
            h = 1e-40
            inputs = [x.astype(complex) for x in point.inputs]
            point.program = program_of(row, inputs)
            expected = [np.imag(y) / h for y in value(1j * h)]
            found = Point(row, dtype).tangents(direction)
            assert_near(found, expected, 1e-13)
            continue
        expected = [
            d if np.asarray(d).dtype.kind in "fc" else 0.0 for d in differences(value)
        ]
        assert_near(point.tangents(direction), expected, row.tolerance)


@rows(lambda row: isinstance(row.op.derivative, Constant | Discrete))
def test_no_tangent_passes_a_constant_or_discrete_operation(row):
    point = Point(row, "d" if "d" in row.dtypes else row.dtypes[0])
    _, moves = point.forward()
    assert not any(moves)


@rows(lambda row: row.op.elementwise and is_smooth(row) and "e" in row.dtypes)
def test_slope_in_float16_is_float16(row):
    point = Point(row, "e")
    (found,) = point.tangents(point.direction())
    assert found.dtype == evaluated(row, point.arrays)[0].dtype


# --- reverse mode and second derivatives --------------------------------------------------------


def inner(xs, ys) -> tuple[float, float]:
    """The real inner product of two lists of arrays, and the sum of its terms' sizes."""
    products = [np.real(np.conj(x) * y) for x, y in zip(xs, ys, strict=True)]
    finite = [np.where(np.isfinite(p), p, 0.0).astype(float) for p in products]
    return sum(float(np.sum(p)) for p in finite), sum(float(np.sum(np.abs(p))) for p in finite)


def check_adjoint(program: Program, inputs, mask, rng) -> None:
    """<u, J v> = <J* u, v> for random u and v; both programs are valid."""
    flat, moves = forward(program, mask)
    back, same = reverse(program, mask)
    assert moves == same
    flat.validate()
    back.validate()
    v = [random_like(rng, x) for x, wanted in zip(inputs, mask, strict=True) if wanted]
    outputs = Plan(flat).run([*inputs, *v])
    pushed = outputs[len(moves) :]
    u = [random_like(rng, np.asarray(y)) for y in pushed]
    pulled = Plan(back).run([*inputs, *u])[len(moves) :]
    left, size = inner(u, pushed)
    right, other = inner(pulled, v)
    eps = max((np.finfo(np.asarray(x).dtype).eps for x in [*u, *v]), default=0.0)
    assert abs(left - right) <= 2e3 * eps * max(size, other, 1e-300), (left, right)


@rows(is_smooth)
def test_reverse_against_forward(row):
    for dtype in set(row.dtypes) & set("fdD"):
        point = Point(row, dtype)
        check_adjoint(point.program, point.inputs, point.mask, point.rng)


@rows(lambda row: is_smooth(row) and row.smooth)
def test_reverse_over_forward_against_forward_over_forward(row):
    point = Point(row, "d" if "d" in row.dtypes else "D")
    flat, moves = point.forward()
    direction = point.direction()
    mask = point.mask + (False,) * len(direction)
    with_values = [*point.inputs, *direction]
    tangents_only = Program(flat.inputs, flat.equations, flat.outputs[len(moves) :])
    check_adjoint(tangents_only, with_values, mask, point.rng)


def second_directional(point: Point, v, w) -> list:
    """D^2 f (v, w) by forward mode over forward mode."""
    flat, moves = point.forward()
    again, moves_again = forward(flat, point.mask + (False,) * len(v))
    outputs = Plan(again).run([*point.inputs, *v, *w])
    moving = iter(outputs[len(moves_again) :])
    found = [
        next(moving) if m else np.zeros_like(y)
        for y, m in zip(outputs[: len(moves_again)], moves_again, strict=True)
    ]
    return found[len(moves) :]


@rows(lambda row: has_truth(row) and is_smooth(row) and row.smooth and "d" in row.dtypes)
def test_second_derivative_against_mpmath(row):
    point = Point(row)
    v, w = point.direction(), point.direction()
    found = second_directional(point, v, w)
    found = found[0] if found else np.zeros_like(v[0])
    mask = row.chosen(point.arrays)
    active = [i for i, wanted in enumerate(mask) if wanted]
    for n, x in enumerate(points(point.arrays)):
        terms, noise = [], 1e-290
        for i, a in zip(active, v, strict=True):
            noise += 1e-15 * abs(float(true_slope(row, x, i)[0]))  # a zero of the second derivative
            for j, b in zip(active, w, strict=True):
                second, unsure = true_second(row, x, i, j)
                weight = float(a[n] if np.ndim(a) else a) * float(b[n] if np.ndim(b) else b)
                terms.append(weight * second)
                noise += abs(weight) * unsure
        size = float(sum(abs(t) for t in terms))
        if not np.isfinite(size):
            continue
        error = abs(float(mpf(float(found[n])) - sum(terms)))
        assert error <= row.second * size + noise, (
            f"at {shown(x)}: found {found[n]!r}, truth {mp.nstr(sum(terms), 20)}, "
            f"relative error {error / (size + noise):.3g}"
        )


def true_second(row: Row, point, i: int, j: int):
    with mp.workdps(DIGITS):
        if row.slopes is not None and row.slopes[i] is not None:
            order = tuple(int(k == j) for k in range(len(point)))
            return derivative(lambda *x: row.slopes[i](*x, **row.params), point, order)
        order = tuple(int(k == i) + int(k == j) for k in range(len(point)))
        return derivative(lambda *x: row.truth(*x, **row.params), point, order)


@rows(lambda row: not has_truth(row) and is_smooth(row) and row.smooth and "d" in row.dtypes)
def test_second_derivative_against_differences(row):
    point = Point(row)
    v, w = point.direction(), point.direction()
    flat, moves = point.forward()
    found = second_directional(point, v, w)

    def slope(h):
        return Plan(flat).run([*moved(point, w, h), *v])[len(moves) :]

    assert_near(found, differences(slope), row.tolerance)


# --- batching -----------------------------------------------------------------------------------


def lane_inputs(row: Row, dtype) -> list[list]:
    """The inputs of `LANES` draws; given values are the same in every lane."""
    return [without_literals(row, row.draw(dtype, seed)) for seed in range(LANES)]


def batch_masks(count: int) -> list[tuple[bool, ...]]:
    """All inputs batched; with several inputs also each alone."""
    singles = [tuple(k == i for k in range(count)) for i in range(count)] if count > 1 else []
    return [(True,) * count, *singles]


def check_batch(program: Program, lanes, tolerance: float) -> None:
    for mask in batch_masks(len(program.inputs)):
        mixed = [
            [lane[i] if mask[i] else lanes[0][i] for i in range(len(mask))] for lane in lanes
        ]
        whole = [
            np.stack([lane[i] for lane in mixed]) if mask[i] else mixed[0][i]
            for i in range(len(mask))
        ]
        made, marks = batch(program, LANES, mask, (True,) * len(program.outputs))
        made.validate()
        assert all(marks)
        found = Plan(made).run(whole)
        expected = [Plan(program).run(lane) for lane in mixed]
        for k, y in enumerate(found):
            wanted = np.stack([lane[k] for lane in expected])
            assert y.dtype == wanted.dtype
            scale = np.max(np.abs(wanted), initial=0.0, where=np.isfinite(wanted))
            np.testing.assert_allclose(
                y, wanted, rtol=tolerance, atol=tolerance * scale, err_msg=str(mask)
            )


def batchable(row: Row) -> bool:
    return bool(row.domains) and (row.op.elementwise or row.op.batch is not None)


@rows(batchable)
def test_batching_against_a_loop(row):
    dtype = "d" if "d" in row.dtypes else row.dtypes[0]
    lanes = lane_inputs(row, dtype)
    check_batch(program_of(row, row.draw(dtype)), lanes, 1e-13)


@rows(lambda row: batchable(row) and is_smooth(row))
def test_batching_of_derivatives_against_a_loop(row):
    dtype = "d" if "d" in row.dtypes else "D"
    point = Point(row, dtype)
    flat, _ = point.forward()
    lanes = [inputs + point.direction() for inputs in lane_inputs(row, dtype)]
    check_batch(flat, lanes, 1e-12)
    back, moves = reverse(point.program, point.mask)
    outputs = Plan(flat).run([*point.inputs, *point.direction()])[len(moves) :]
    lanes = [
        [*inputs, *(random_like(point.rng, np.asarray(y)) for y in outputs)]
        for inputs in lane_inputs(row, dtype)
    ]
    check_batch(back, lanes, 1e-12)


# --- programs -----------------------------------------------------------------------------------


def derived_programs(row: Row):
    """The row's program and its derivatives, each with inputs to run it on."""
    dtype = "d" if "d" in row.dtypes else row.dtypes[0]
    point = Point(row, dtype)
    yield point.program, point.inputs
    if is_smooth(row):
        flat, moves = point.forward()
        direction = point.direction()
        yield flat, [*point.inputs, *direction]
        outputs = Plan(flat).run([*point.inputs, *direction])[len(moves) :]
        back, _ = reverse(point.program, point.mask)
        yield back, [*point.inputs, *(random_like(point.rng, np.asarray(y)) for y in outputs)]


@rows(lambda row: True)
def test_printed_program_parses_back(row):
    for program, _ in derived_programs(row):
        program.validate()
        assert parse(program.text()) == program


@rows(lambda row: True)
def test_plan_gives_the_bits_of_running_equation_by_equation(row):
    for program, inputs in derived_programs(row):
        before = [np.copy(x) for x in inputs]
        found = Plan(program).run(inputs)
        for a, b in zip(found, naively(program, inputs), strict=True):
            assert np.asarray(a).dtype == np.asarray(b).dtype
            np.testing.assert_array_equal(a, b)
        for a, b in zip(inputs, before, strict=True):
            np.testing.assert_array_equal(a, b)


# --- edges --------------------------------------------------------------------------------------

EDGES = [(op, edge) for op in REGISTRY.values() for edge in op.edges]


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(("op", "edge"), EDGES, ids=lambda x: getattr(x, "name", getattr(x, "at", 0)))
def test_edge_has_the_value_and_slope_it_states(op, edge, dtype):
    at = np.asarray([edge.at], dtype)
    with Builder(op.name) as builder:
        x = builder.input(type_of(at))
        program = builder.finish([operand(builder, op(x))])
    flat, moves = forward(program, (True,))
    value, *slope = Plan(flat).run([at, np.ones_like(at)])
    eps = 4 * np.finfo(dtype).eps
    if edge.value is not None:
        np.testing.assert_allclose(value, [edge.value], rtol=eps)
    if edge.slope is not None:
        np.testing.assert_allclose(slope[0] if moves[0] else [0.0], [edge.slope], rtol=eps)


# --- what an operation may be -------------------------------------------------------------------


@pytest.mark.parametrize("op", REGISTRY.values(), ids=lambda op: op.name)
def test_record_is_complete(op):
    assert op.elementwise or op.batch is not None or op.name == "iota", "no batching rule"
    if isinstance(op.derivative, Linear):
        rule = op.derivative
        assert (rule.transpose is None) != (rule.accumulate is None)
    if isinstance(op.derivative, Structural):
        assert op.name in ELSEWHERE


def test_missing_derivative_says_why():
    with warnings.catch_warnings():
        x = np.array([1.0, 2.0])
        with Builder("f") as builder:
            v = builder.input(type_of(x))
            program = builder.finish([operand(builder, REGISTRY["jv"](v, v))])
        with pytest.raises(DerivativeMissing, match="jv has no derivative with respect to its order"):
            forward(program, (True,))


def test_dtypes_of_the_table_are_those_that_operations_take():
    letters = set("".join(TAKES.values()))
    for row in all_rows():
        assert set(row.dtypes) <= letters
