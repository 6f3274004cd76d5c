"""Special functions of our own written out: the values, special values, and SciPy's in float16.

The evaluator is the judge where both do the same operations in the same order; mpmath, to as many
units as the operation itself is held to, where an integral or a derivative is worked out otherwise.
"""

import itertools

import numpy as np
import pytest
from mpmath import mp

from chainrule.compiler.building import prepare
from chainrule.compiler.lower import lower
from chainrule.compiler.lower_special import FORMULAS, SPECIAL
from chainrule.compiler.native import build
from chainrule.program.evaluate import evaluate
from chainrule.program.op import REGISTRY
from chainrule.program.trace import Builder, operand
from chainrule.program.types import type_of
from tests.compiler.test_lower import names, one_op
from tests.ops.running import program_of, rows, without_literals
from tests.ops.truth import DIGITS, assert_within, points, shown

INF, NAN = np.inf, np.nan
SAME = {"beta_density", "dawson", "erfcx_integral", "exp_moment", "gamma_density", "i0e_moment",
        "polygamma_difference"}  # fmt: skip
EDGES = (0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, 40.0, 1e5, -1e5, INF, -INF, NAN)
ORDERS = [
    ("beta_density", 3, {}), ("betainc_by", 3, {"i": 1, "j": 0}),
    ("betainc_by", 3, {"i": 0, "j": 1}), ("dawson", 1, {"n": 1}), ("dawson", 1, {"n": 2}),
    ("erfcx_integral", 1, {"n": 1}),
    ("exp_moment", 1, {"n": 0}), ("exp_moment", 1, {"n": 2}), ("gamma_density", 2, {}),
    ("gamma_path_moment", 2, {"order": 0, "shift": 0}), ("gammainc_by_a", 2, {"n": 1}),
    ("i0e_moment", 1, {"n": 1}), ("polygamma_difference", 2, {"n": 0}),
    ("polygamma_difference", 2, {"n": 1}), ("spherical_kn", 1, {"n": 0}),
    ("spherical_kn", 1, {"n": 2}),
]  # fmt: skip


@rows(lambda row: row.name in FORMULAS)
def test_compiled_values(row):
    for dtype in row.dtypes:
        arrays = row.draw(dtype)
        program, inputs = program_of(row, arrays), without_literals(row, arrays)
        native = build(program, {})
        assert not native.sites
        (found,) = native.run(list(map(np.asarray, inputs)))
        (wanted,) = evaluate(program, inputs)
        assert found.dtype == wanted.dtype and found.shape == np.shape(wanted)
        if row.truth is None or row.name in SAME:
            np.testing.assert_allclose(found, wanted, rtol=16 * np.finfo(dtype).eps)
        if row.truth is not None:
            for i, point in enumerate(points(arrays)):
                with mp.workdps(DIGITS):
                    truth = row.truth(*point, **row.params)
                assert_within(found[i], truth, row.value_ulps, f"{dtype} {shown(point)}")


@pytest.mark.parametrize("name, count, params", ORDERS, ids=str)
def test_special_values_are_the_evaluators(name, count, params):
    grid = np.array(list(itertools.product(EDGES, repeat=count))).T
    program = one_op(name, *grid, **params)
    with np.errstate(all="ignore"):
        found, wanted = evaluate(lower(program), grid)[0], evaluate(program, grid)[0]
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    near = np.abs(found - wanted) <= 1e-11 * np.abs(wanted)
    wrong = ~(same | (np.isfinite(wanted) & near))
    assert not wrong.any(), np.c_[grid.T, found, wanted][wrong][:12]


def test_every_formula_is_tried_at_its_edges():
    assert {name for name, _, _ in ORDERS} == set(FORMULAS)


def test_a_slow_tail_is_followed_as_far_as_it_goes():
    """Where b is tiny the integrand falls off over many panels."""
    a, b, x = np.array([3.0, 0.2, 3.0]), np.array([1e-3, 1e-9, 2.0]), np.array([0.99, 0.9, 0.5])
    program = one_op("betainc_by", a, b, x, i=0, j=1)
    np.testing.assert_allclose(evaluate(lower(program), [a, b, x]),
                               evaluate(program, [a, b, x]), rtol=1e-12)  # fmt: skip


@rows(lambda row: row.name == "faddeeva")
def test_faddeevas_derivatives_are_native(row):
    (z,) = row.draw("D")
    native = build(program_of(row, [z]), {})
    assert not native.sites
    wanted = REGISTRY["faddeeva"].evaluate(z, **row.params)
    assert np.abs(native.run([z])[0] - wanted).max() <= 1e-12 * np.abs(wanted).max()


def test_literals_and_scalars():
    program = one_op("gammainc_by_a", np.float64(2.5), np.float64(1.5), n=1)
    assert np.shape(evaluate(lower(program), [np.float64(2.5), np.float64(1.5)])[0]) == ()


@rows(lambda row: row.name in set(SPECIAL) - set(FORMULAS) and "e" in row.dtypes)
def test_float16_functions_are_native_and_have_the_evaluators_bits(row):
    arrays = row.draw("e")
    program, inputs = program_of(row, arrays), without_literals(row, arrays)
    native = build(program, {})
    assert not native.sites
    (found,) = native.run(list(map(np.asarray, inputs)))
    np.testing.assert_array_equal(found, evaluate(program, inputs)[0])


def test_derivatives_of_dawsons_integral_vanish_at_infinity():
    x = np.array([INF, -INF])
    assert (REGISTRY["dawson"].evaluate(x, n=1) == 0).all()


def test_functions_of_doubles_are_left_to_scipy():
    x = np.array([0.5, 1.5])
    assert names(lower(one_op("gammaln", x))) == ["gammaln"]
    assert REGISTRY["gammaln"].name in SPECIAL


@pytest.mark.parametrize("name", ["portable_exp", "portable_expm1", "portable_log"])
def test_portable_functions_of_every_float16(name):
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    program = one_op(name, x)
    native = build(program, {})
    assert not native.sites
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(native.run([x])[0], evaluate(program, [x])[0])


def test_integrands_and_recurrences_are_written_once():
    """Not for each panel and each step: the derivatives of some functions took LLVM seconds."""
    a, b, x = np.array([0.5, 30.0]), np.array([2.0, 0.1]), np.array([0.3, 0.9])
    with Builder("betainc_by") as builder:
        inputs = [builder.input(type_of(v)) for v in (a, b, x)]
        out = REGISTRY["betainc_by"](*inputs, i=1, j=1)
        program = builder.finish([operand(builder, out)])
    operations = prepare(program).text().split()
    assert operations.count("expm1") < 150
