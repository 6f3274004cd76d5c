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


def test_truth_of_a_function_in_closed_form():
    case = Case("naive", "known", lambda np, x: np.log(1.0 + np.exp(x)), ((-700.0,),), "second")
    with workdps(700):
        s = 1 / (1 + mpmath.exp(700))
        expected = float(s * (1 - s))
    assert truth(case)[0][0] == expected
