"""Soft clipping: the formula in exact arithmetic, its slope, and its edges."""

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule import nn


def test_values_and_slopes_equal_the_formula():
    clip = nn.SoftClip(2.5)
    x = np.concatenate([np.geomspace(1e-8, 1e8, 33), -np.geomspace(1e-8, 1e8, 33), [0.0]])
    with mpmath.workdps(50):
        roots = [mpmath.sqrt(1 + (mpmath.mpf(v) / mpmath.mpf(2.5)) ** 2) for v in x]
        values = [float(v / r) for v, r in zip(x, roots, strict=True)]
        slopes = [float(r**-3) for r in roots]
    np.testing.assert_allclose(clip(x), values, rtol=1e-15)
    slope = cr.compile(cr.grad(lambda x: clip(x).sum()))(x)
    # 1 / h - x^2 / (bound^2 h^3), h the root: both terms have at most the size 1 / h
    rounding = 8 * np.finfo("d").eps / np.array([float(r) for r in roots])
    assert np.all(np.abs(slope - slopes) <= rounding)


def test_large_numbers_of_float32_reach_the_bound_and_stay_float32():
    out = nn.SoftClip(3.0)(np.array([3e38, -3e38, 1.0], np.float32))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out[:2], [3.0, -3.0])


def test_a_description_builds_it_again():
    assert nn.builders.build(nn.builders.described(nn.SoftClip(1.5))).bound == 1.5


@pytest.mark.parametrize("bound", [0.0, -1.0, np.inf, np.nan])
def test_a_bound_that_is_not_positive_is_refused(bound):
    with pytest.raises(ValueError, match="bound is a positive number"):
        nn.SoftClip(bound)
