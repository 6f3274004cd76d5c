"""Every rule of stability against mpmath, on points made from its own pattern and domain.

At each point the pattern's true value is computed at 2,000 bits; the rule may cost one bit more
than the formula as it was written, and where the true value is a number the rule must give it.
"""

import math
import random
import re

import numpy as np
import pytest
from mpmath import mp

from chainrule.transforms.stabilize import RULES
from chainrule.transforms.stabilize_rules import formula

SEED = 20250113
_MP = {
    "expit": lambda x: 1 / (1 + mp.exp(-x)),
    "log_expit": lambda x: -mp.log1p(mp.exp(-x)),
    "square": lambda x: x * x, "absolute": abs, "power": lambda x, y: x**y,
    "hypot": lambda x, y: mp.sqrt(x * x + y * y), "arctanh": mp.atanh, "arctan": mp.atan,
    "arcsin": mp.asin, "arccos": mp.acos, "arcsinh": mp.asinh, "arccosh": mp.acosh,
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)), "pow1p": lambda x, y: (1 + x) ** y,
    "root_of_difference": lambda x, y: mp.sqrt(x * x - y * y),
    "log_ratio": lambda x, y: mp.log(x / y), "log1mexp": lambda x: mp.log(1 - mp.exp(x)),
    "exp_sum": lambda x, y: mp.exp(x + y), "exp_difference": lambda x, y: mp.exp(x) - mp.exp(y),
    "psi": mp.digamma, "gamma": mp.gamma,
    "ndtr": mp.ncdf, "erfcx": lambda x: mp.exp(x * x) * mp.erfc(x),
    "i0": lambda x: mp.besseli(0, x), "i1": lambda x: mp.besseli(1, x),
    "k0": lambda x: mp.besselk(0, x), "k1": lambda x: mp.besselk(1, x),
    **{n: getattr(mp, n) for n in (
        "exp", "log", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh",
        "erf", "erfc")},
}  # fmt: skip
_SPECIAL = [0.0, -0.0, 5e-324, 1e-300, 1e-20, 1e-9, 1.0, -1.0, 0.5, 2.0, -3.0, 700.0, -745.0, 1e5,
            -1e10, 1e160, -1e300, math.inf, -math.inf, math.nan]  # fmt: skip


def _points(rule) -> list[dict[str, float]]:
    """Points of the grid, points of every size, and points near each other and near 1."""
    names = sorted(_names(rule.pattern))
    generator = random.Random(SEED)
    rows = []
    for _ in range(50):
        sizes = [generator.choice((-300, -30, -9, -3, 0, 0, 0, 1, 2, 9, 160)) for _ in names]
        row = [generator.choice((-1, 1)) * generator.uniform(1, 10) * 10.0**k for k in sizes]
        if generator.random() < 0.4:
            row = [row[0] * (1 + generator.choice((0, 1e-15, -1e-9, 1e-3)) * k)
                   for k in range(len(row))]  # fmt: skip
        if generator.random() < 0.2:
            row[0] = 1.0 + generator.choice((1e-15, -1e-12, 1e-6))
        rows.append(row)
    rows += [[generator.choice(_SPECIAL) for _ in names] for _ in range(16)]
    rows += [[x] * len(names) for x in _SPECIAL]
    points = [dict(zip(names, row, strict=True)) for row in rows]
    for point in points:
        for name in names:
            if name[0] == "c":
                point[name] = generator.choice((0.5, 3.0, -1.0, 2.5))
        if rule.cancels:
            point["d"] = generator.choice((-1, 1)) * generator.choice((1.0, 1.0, 2.5, 1e-3, 1e-20))
    if rule.domain != "every number" or rule.cancels:
        points = [p for p in points if all(map(math.isfinite, p.values()))]
    return points


def _exact(rule, point: dict[str, float]) -> dict:
    """The point in mpmath; where the rule is for points d apart, y is exactly that."""
    values = {n: mp.mpf(x) for n, x in point.items()}
    if rule.cancels:
        values["y"] = _evaluated(rule.difference, {**values, "y": mp.mpf(0)}) - values["d"]
    return values


def _evaluated(text: str, values: dict):
    return eval(text, {"__builtins__": {}, **_MP, **values})


def _formulas(rule) -> tuple[str, str]:
    """The pattern and what takes its place, the difference written out."""
    if rule.difference is None or rule.cancels:
        return rule.pattern, rule.becomes
    return rule.pattern, re.sub(r"\bd\b", f"({rule.difference})", rule.becomes)


def _names(text: str) -> set[str]:
    code = compile(text, "", "eval")
    return {n for n in code.co_names if len(n) <= 2 and n not in _MP}


def _truth(rule, point: dict[str, float]):
    """The true value of a formula, None where it is undefined, too large to be computed, or where
    no number of digits settles it."""
    found = []
    if any(abs(x) > 1e4 and math.isfinite(x) for x in point.values()) and _grows(rule.pattern):
        return None
    if _is_slow(rule.pattern) and not all(1e-30 < abs(x) < 1e3 for x in point.values()):
        return None
    for bits in (150, 300) if _is_slow(rule.pattern) else (1300, 2400):
        mp.prec = bits
        try:
            out = _evaluated(rule.pattern, _exact(rule, point))
        except (ZeroDivisionError, ValueError, OverflowError):
            return None
        finally:
            mp.prec = 53
        if not isinstance(out, mp.mpf) or mp.isnan(out):
            return None
        found.append(out)
    mp.prec = 200
    settled = found[0] == found[1] or abs(found[0] - found[1]) < abs(found[1]) * mp.mpf(2) ** -80
    mp.prec = 53
    return float(found[1]) if settled else None


def _is_slow(text: str) -> bool:
    """Whether mpmath takes seconds, or fails, for numbers of any size at thousands of bits."""
    return any(f"{name}(" in text for name in ("i0", "k0", "i1", "k1", "gamma"))


def _grows(text: str) -> bool:
    return any(word in text for word in ("exp", "cosh", "sinh", "power", "i0", "k0", "gamma"))


def _bits(found: float, truth: float) -> float:
    if math.isnan(found):
        return 64.0
    if found == truth:
        return 0.0
    if math.isinf(found) or math.isinf(truth):
        return 0.0 if found == truth else 64.0
    spacing = max(np.spacing(abs(truth)), 5e-324)
    return math.log2(abs(found / 2 - truth / 2) / spacing * 2 + 1)


def _float(text: str, point) -> float:
    with np.errstate(all="ignore"):
        return float(formula(text, {n: np.float64(x) for n, x in point.items()}))


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_a_rule_costs_at_most_a_bit_and_keeps_what_is_undefined(rule):
    judged = 0
    for point in _points(rule):
        truth = _truth(rule, point)
        if truth is None:
            continue
        judged += 1
        mp.prec = 2400
        rounded = {n: float(x) for n, x in _exact(rule, point).items()}
        mp.prec = 53
        before, after = (_bits(_float(t, rounded), truth) for t in _formulas(rule))
        lost = before > 40  # next to nothing was right, as in sin(1e300 + 1) of rounded arguments
        assert lost or after <= max(before + 1.1, 5.0), (point, truth, before, after)
    assert judged >= 8


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_a_rule_gives_no_number_where_the_formula_is_undefined(rule):
    undefined = [p for p in _points(rule) if _undefined(rule, p)]
    for point in undefined:
        before, found = (_float(t, point) for t in _formulas(rule))
        same = found == before or (math.isnan(found) and math.isnan(before))
        assert same or not math.isfinite(found), (point, before, found)


def _undefined(rule, point) -> bool:
    """Whether exact arithmetic on finite numbers gives nothing, or not a real number."""
    if not all(map(math.isfinite, point.values())) or rule.cancels:
        return False
    if any(abs(x) > 1e4 for x in point.values()) and _grows(rule.pattern):
        return False
    mp.prec = 150 if _is_slow(rule.pattern) else 2400
    try:
        out = _evaluated(rule.pattern, _exact(rule, point))
        return not isinstance(out, mp.mpf) or bool(mp.isnan(out))
    except (ZeroDivisionError, ValueError):
        return True
    except OverflowError:
        return False
    finally:
        mp.prec = 53
