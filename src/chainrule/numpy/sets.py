"""Arrays as sets: isin, union1d, intersect1d, setdiff1d, setxor1d.

Which elements belong to the result is decided by their values, which must be at hand; the result
reads those elements, so derivatives pass.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.numpy.promotion import broadcast_to, cast_to, result_dtype
from chainrule.numpy.protocols import implements
from chainrule.numpy.selecting import at_hand
from chainrule.numpy.shaping import array, ravel, reshape
from chainrule.ops.reduce import any_
from chainrule.program.trace import Traced

_WHY = "which elements belong to the result"


@implements(np.isin)
def isin(element, test_elements, assume_unique=False, invert=False, *, kind=None):
    """np.isin: True where an element equals one of the test elements."""
    x, tests = array(element), ravel(array(test_elements))
    dtype = result_dtype(x, tests)
    x, tests = cast_to(x, dtype), cast_to(tests, dtype)
    pairs = (math.prod(x.shape), tests.size)
    equal = broadcast_to(reshape(x, (-1, 1)), pairs) == broadcast_to(tests, pairs)
    found = reshape(any_(equal, axes=(1,)), x.shape)
    return ~found if invert else found


@implements(np.union1d)
def union1d(ar1, ar2):
    """np.union1d: the sorted values that are in either array."""
    return np.unique(np.concatenate((array(ar1), array(ar2)), axis=None))


@implements(np.intersect1d)
def intersect1d(ar1, ar2, assume_unique=False, return_indices=False):
    """np.intersect1d: the sorted values that are in both arrays."""
    x = ravel(array(ar1))
    values = at_hand(ar1, _WHY), at_hand(ar2, _WHY)
    _, first, second = np.intersect1d(*values, assume_unique, return_indices=True)
    common = cast_to(x[first], result_dtype(x, array(ar2)))
    return (common, first, second) if return_indices else common


@implements(np.setdiff1d)
def setdiff1d(ar1, ar2, assume_unique=False):
    """np.setdiff1d: the values of the first array that are not in the second."""
    return ravel(array(ar1))[_outside(ar1, ar2, assume_unique)]


@implements(np.setxor1d)
def setxor1d(ar1, ar2, assume_unique=False):
    """np.setxor1d: the sorted values that are in exactly one of the arrays."""
    return np.sort(np.concatenate((setdiff1d(ar1, ar2), setdiff1d(ar2, ar1))))


def _outside(ar1: Traced, ar2: Traced, in_order: bool) -> np.ndarray:
    """Places in the first array of the values that the second has not."""
    values, others = at_hand(ar1, _WHY).ravel(), at_hand(ar2, _WHY).ravel()
    places = np.arange(values.size) if in_order else np.unique(values, return_index=True)[1]
    return places[~np.isin(values[places], others)]
