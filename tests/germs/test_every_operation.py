"""Every operation along a germ: its value at the point, its slope, and its values beside it.

The rows are those of the suite of operations. The slope is that of forward mode, which the suite
holds against mpmath; the higher coefficients must make the series meet the operation's own values
at x + h v, with an error that falls as a high power of h.
"""

from dataclasses import replace

import numpy as np
import pytest

from chainrule import germs
from chainrule.germs.evaluation import BY_KIND, RULES, Run
from chainrule.germs.germ import along
from chainrule.germs.steps import STEPS
from chainrule.program.evaluate import Plan
from chainrule.program.op import REGISTRY, Discrete
from tests.ops.running import Point, is_smooth, rows

WINDOW = 4

# Rows whose own values, at a displaced point, are not good enough to compare with.
_ROUGH = {
    "fmod": "a jump lies between",
    "discrete_riccati": "next to a singular system",
    "continuous_riccati": "next to a singular system",
    "kl_div-1": "a value that cancels", "betaln-1": "of huge arguments",
    "ndtri": "of arguments next to 0",
}  # fmt: skip


def _moving(row) -> bool:
    return "d" in row.dtypes and is_smooth(row) and any(Point(row).mask)


def _relative(point):
    """A direction whose entries are not larger than what they move."""
    moved = [x for x, m in zip(point.inputs, point.mask, strict=True) if m]
    return [
        d * np.minimum(1.0, np.abs(x)) for d, x in zip(point.direction(), moved, strict=True)
    ]


def _along(point, direction, window):
    steps = iter(direction)
    return [
        along(x, np.asarray(next(steps))[None], 1, Run(window)) if m else x
        for x, m in zip(point.inputs, point.mask, strict=True)
    ]


def _largest_error(found, truth):
    """Relative to the entry, with room for entries far below the largest."""
    truth = np.asarray(truth)
    size = np.abs(truth) + 1e-3 * np.max(np.abs(truth), initial=0.0) + 1e-300
    wrong = np.abs(found - truth) / size
    return np.max(wrong[np.isfinite(truth)], initial=0.0)


@rows(_moving)
def test_value_slope_and_series(row):
    point = Point(replace(row, extra=()))  # the extra points are next to singular ones
    direction = _relative(point)
    with np.errstate(all="ignore"):
        made = germs.evaluate(point.program, _along(point, direction, WINDOW))
        values = Plan(point.program).run(point.inputs)
        slopes = point.tangents(direction)
    for number, (germ, value, slope) in enumerate(zip(made, values, slopes, strict=True)):
        if not isinstance(germ, germs.Germ):
            assert np.array_equal(germ, value)
            continue
        double = np.asarray(value).dtype.char in "dD"
        assert _largest_error(germ.limit(), value) < (1e-14 if double else 1e-6)
        found = germ.coefficient(1).reshape(germ.shape)
        assert _largest_error(found, slope) < (1e-11 if double else 1e-6)
        if double and row.id not in _ROUGH:
            _check_series(point, direction, germ, number)


def _check_series(point, direction, germ, number):
    errors = []
    for h in (2.0**-8, 2.0**-10):
        with np.errstate(all="ignore"):
            value = np.asarray(Plan(point.program).run(point.moved(direction, h))[number])
            series = sum(germ.coefficient(k) * h**k for k in range(WINDOW))
        value = np.where(np.isfinite(value), value, np.nan)
        errors.append(_largest_error(series.reshape(germ.shape), value))
    # h^4 falls by 2^8 from the first to the second; rounding stays
    assert errors[1] < 1e-11 or errors[1] < errors[0] / 50


@pytest.mark.parametrize("name", sorted(n for n, op in REGISTRY.items() if op.elementwise))
def test_elementwise_operations_have_a_rule_or_take_no_floats(name):
    """Those without one are on whole numbers and bits only."""
    op = REGISTRY[name]
    smooth = not isinstance(op.derivative, Discrete) and type(op.derivative) in BY_KIND
    if name in RULES or smooth:
        return
    assert name in STEPS or name in {
        "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_count", "invert",
        "left_shift", "right_shift", "gcd", "lcm",
    }  # fmt: skip
