"""The truths of the laboratory's cases, held against answers by hand, both sides and mpmath."""

import mpmath
import numpy as np
import pytest
from mpmath import mpf, workdps

from chainrule.lab.right_derivatives.case import Case
from chainrule.lab.right_derivatives.cases import cases
from chainrule.lab.right_derivatives.exact import array
from chainrule.lab.right_derivatives.judge import close
from chainrule.lab.right_derivatives.number import Number, number, of
from chainrule.lab.right_derivatives.truth import (
    NAMESPACES,
    Undetermined,
    call,
    differentiable,
    truth,
)

# No derivative from the other side: the function is not defined there.
_ONE_SIDED = {"zero_to_a_positive_power"}


def with_answers():
    return [c for c in cases() if c.expect is not None and not c.by_hand]


@pytest.mark.parametrize("case", with_answers(), ids=lambda c: f"{c.group}-{c.name}")
def test_computed_truth_is_the_answer_by_hand(case):
    for found, expected in zip(truth(case), case.expect, strict=True):
        parts = expected if isinstance(expected, tuple) else (expected,)
        for part, by_hand in zip(found, parts, strict=True):
            by_hand = np.asarray(by_hand, dtype=float)
            assert part.shape == by_hand.shape
            assert np.all(close(case, part, by_hand)), (part, by_hand)


def first_order():
    asked = ("grad", "value_and_grad", "jacobian")
    return [
        c
        for c in cases(["kinks", "singular"])
        if c.ask in asked and not c.by_hand and c.name not in _ONE_SIDED
    ]


@pytest.mark.parametrize("case", first_order(), ids=lambda c: f"{c.group}-{c.name}")
def test_differentiable_from_every_side(case):
    """Along random directions the quotients on both sides are the truth's slope."""
    rng = np.random.default_rng(11)
    for point, answer in zip(case.points, truth(case), strict=True):
        parts = answer[1:] if case.ask == "value_and_grad" else answer
        chosen = (0,) if case.ask == "jacobian" else differentiable(point)
        directions = [_direction(rng, np.shape(point[i])) for i in chosen]
        slope = sum(np.tensordot(p, d, np.ndim(d)) for p, d in zip(parts, directions, strict=True))
        for sign in (1, -1):
            quotient = _quotient(case, point, chosen, directions, sign)
            np.testing.assert_allclose(quotient, slope, rtol=1e-9, atol=1e-9)


def _direction(rng, shape):
    return rng.integers(1, 9, size=shape) * rng.choice([-1.0, 1.0], size=shape)


def _quotient(case, point, chosen, directions, sign):
    with workdps(300), np.errstate(all="ignore"):
        step = mpf(10) ** -40 * sign
        arguments = [array(v) if i in differentiable(point) else v for i, v in enumerate(point)]
        moved = list(arguments)
        for i, direction in zip(chosen, directions, strict=True):
            moved[i] = moved[i] + array(direction) * Number(step)
        values = [np.asarray(call(case, NAMESPACES, a), dtype=object) for a in (moved, arguments)]
        return np.asarray((values[0] - values[1]) / Number(step), dtype=object).astype(float)


@pytest.mark.parametrize(
    "name, x, expected",
    [
        ("exp", 1.5, lambda x: mpmath.exp(x)),
        ("expm1", 1e-20, lambda x: mpmath.expm1(x)),
        ("log1p", 1e-20, lambda x: mpmath.log(1 + x)),
        ("log2", 8.0, lambda x: mpf(3)),
        ("arctanh", 0.5, lambda x: mpmath.atanh(x)),
        ("cbrt", -27.0, lambda x: mpf(-3)),
        ("sqrt", 2.0, lambda x: mpmath.sqrt(2)),
        ("arccosh", 1.25, lambda x: mpmath.acosh(x)),
    ],
)
def test_ufuncs_of_numbers_keep_every_digit(name, x, expected):
    with workdps(60):
        found = getattr(np, name)(number(x))
        true = expected(mpf(x))
        assert abs(of(found) - true) <= abs(true) * mpf(10) ** -58


def test_numbers_follow_ieee_at_the_edges():
    zero, minus = number(0.0), number(-1.0)
    assert mpmath.isnan(of(zero / zero))
    assert of(number(1.0) / zero) == mpmath.inf
    assert of(minus / zero) == -mpmath.inf
    assert mpmath.isnan(of(np.log(minus))) and mpmath.isnan(of(np.sqrt(minus)))
    assert of(np.log(zero)) == -mpmath.inf
    assert zero**0 == 1 and mpmath.isnan(of(minus**0.5))
    assert number(float("nan")) != number(float("nan"))


def test_floats_in_mixed_results_do_not_round():
    with workdps(50):
        third = NAMESPACES["np"].maximum(array(np.array([0.0, 5.0])), 1.0) / 3
        assert abs(of(third[0]) * 3 - 1) < mpf(10) ** -49


def test_a_jump_has_no_truth():
    case = Case("kinks", "jump", lambda np, x: np.where(x > 0.0, 1.0 + x, x), ((0.0,),))
    with pytest.raises(Undetermined, match="kinks/jump"):
        truth(case)


# Derivatives of naive formulas in closed form: the case, which part of its answer, the formula.
_CLOSED = [
    ("softplus", 1, lambda x: 1 / (1 + mpmath.exp(-x))),
    ("log_of_one_minus_sigmoid", 1, lambda x: -1 / (1 + mpmath.exp(-x))),
    ("one_minus_tanh_squared", 1, lambda x: -2 * mpmath.tanh(x) * mpmath.sech(x) ** 2),
    ("arcsinh_by_log", 1, lambda x: 1 / mpmath.sqrt(x * x + 1)),
    ("log_of_cosh", 1, lambda x: mpmath.tanh(x)),
    ("exp_less_its_tangent", 1, lambda x: mpmath.expm1(x)),
    ("log_of_one_minus_exp", 1, lambda x: 1 / mpmath.expm1(x)),
    ("difference_of_roots", 1, lambda x: (1 / mpmath.sqrt(x + 1) - 1 / mpmath.sqrt(x)) / 2),
    ("next_square", 1, lambda x: mpf(2)),
    ("expanded_cube", 1, lambda x: 3 * (x - 1) ** 2),
    ("versine", 1, lambda x: mpmath.sin(x)),
    ("sine_over_x", 1, lambda x: (x * mpmath.cos(x) - mpmath.sin(x)) / x**2),
    ("langevin", 1, lambda x: 1 / x**2 - mpmath.csch(x) ** 2),
    ("arccos_of_one_less_x", 1, lambda x: 1 / mpmath.sqrt(2 * x - x * x)),
    ("one_minus_erf", 1, lambda x: -2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x)),
    ("euler_limit_of_a_small_number", 1,
     lambda x: (1 + x) ** (1 / x) * (1 / (x * (1 + x)) - mpmath.log(1 + x) / x**2)),
    ("softplus/second", 0, lambda x: mpmath.sech(x / 2) ** 2 / 4),
    ("versine/second", 0, lambda x: mpmath.cos(x)),
]  # fmt: skip


@pytest.mark.parametrize("name, part, derivative", _CLOSED, ids=[c[0] for c in _CLOSED])
def test_truth_of_a_naive_formula_is_its_closed_form(name, part, derivative):
    case = next(c for c in cases(["naive"]) if c.name == name)
    for (x,), answer in zip(case.points, truth(case), strict=True):
        with workdps(900):
            expected = float(derivative(mpf(x)))
        assert abs(float(answer[part]) - expected) <= 1e-12 * abs(expected), x


@pytest.mark.parametrize(
    "name, expected",
    [
        ("logsumexp", lambda x: mpmath.log(sum(mpmath.exp(v) for v in x))),
        ("variance_of_moments", lambda x: sum((v - sum(x) / len(x)) ** 2 for v in x) / len(x)),
        ("norm_by_squares", lambda x: mpmath.sqrt(sum(v * v for v in x))),
        ("log_of_a_product", lambda x: sum(mpmath.log(v) for v in x)),
        ("sum_of_softpluses", lambda x: sum(mpmath.log(1 + mpmath.exp(v)) for v in x)),
    ],
)
def test_value_of_a_naive_reduction_is_its_closed_form(name, expected):
    case = next(c for c in cases(["naive"]) if c.name == name)
    for (x,), answer in zip(case.points, truth(case), strict=True):
        with workdps(900):
            value = float(expected([mpf(float(v)) for v in x]))
        assert abs(float(answer[0]) - value) <= 1e-14 * abs(value), x


def test_truth_of_a_function_in_closed_form():
    case = Case("naive", "known", lambda np, x: np.log(1.0 + np.exp(x)), ((-700.0,),), "second")
    with workdps(700):
        s = 1 / (1 + mpmath.exp(700))
        expected = float(s * (1 - s))
    assert truth(case)[0][0] == expected
