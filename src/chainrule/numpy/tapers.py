"""Window functions with a shape parameter: np.kaiser, which dispatches on nothing.

Replaced in NumPy's module while a trace is open (see undispatched.py).
"""

from __future__ import annotations

import operator

import numpy as np

from chainrule.numpy.creation import filled
from chainrule.numpy.promotion import cast_to
from chainrule.numpy.shaping import array
from chainrule.numpy.undispatched import replaces


@replaces("numpy")
def kaiser(M, beta):
    """np.kaiser: i0(beta sqrt(1 - t^2)) / i0(beta) for M points t from -1 to 1."""
    count = operator.index(M)
    beta = cast_to(array(beta), np.dtype(np.float64))
    if count <= 1:
        return filled((max(count, 0),), 1, beta.dtype)
    half = (count - 1) / 2.0
    heights = np.sqrt(1 - ((np.arange(count) - half) / half) ** 2.0)
    return np.i0(beta * heights) / np.i0(beta)
