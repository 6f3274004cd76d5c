"""Closed forms of the expectations, held against NumPy's own draws."""

import numpy as np
import pytest

from chainrule.lab.right_derivatives.cases import cases
from chainrule.lab.right_derivatives.truth import call

SAMPLES = 4000


@pytest.mark.parametrize("case", cases(["expectation"]), ids=lambda c: c.name)
def test_mean_agrees_with_draws_of_numpy(case):
    """At the point and beside it, the mean of NumPy draws is the closed form's within 5 errors."""
    rng = np.random.default_rng(20)
    for point in case.points:
        for factor in (1.0, 1.15):
            moved = tuple(factor * np.asarray(value)[()] for value in point)
            with np.errstate(all="ignore"):
                found = [float(call(case, {"np": np}, (*moved, rng))) for _ in range(SAMPLES)]
            expected = float(case.mean(*[float(v) for value in moved for v in np.ravel(value)]))
            error = np.std(found) / np.sqrt(SAMPLES)
            assert abs(np.mean(found) - expected) < 5 * error + 1e-12, (np.mean(found), expected)
            assert error < 0.2 * abs(expected) + 0.05  # a test that can fail
