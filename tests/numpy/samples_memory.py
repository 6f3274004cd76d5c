"""Rows for windows, histograms over several axes, scimath, and questions about memory."""

import numpy as np
from numpy.lib import scimath, stride_tricks

from tests.numpy.samples import cplx, numpy_samples, positive, real

row = numpy_samples

row("np.shares_memory", lambda x: x * np.shares_memory(x[1:], x[:2]), real(3))
row("np.may_share_memory", lambda x: x * np.may_share_memory(x[::2], x[1::2]), real(4))
row("np.lib.stride_tricks.sliding_window_view",
    lambda x: stride_tricks.sliding_window_view(x, 3, axis=0), real(5, 2))  # fmt: skip
row("np.histogram2d", lambda x, y, w: np.histogram2d(x, y, 3, [[-2, 2], [-2, 2]], weights=w),
    real(9), real(9), positive(9))  # fmt: skip
row("np.histogramdd", lambda x: np.histogramdd(x, 2)[1], real(6, 3))
for _name in ("sqrt", "log", "log2", "log10", "arcsin", "arccos", "arctanh"):
    for _x in (positive(3) / 3, -positive(3) / 3, -positive(3) - 1, cplx(3)):
        row(f"np.lib.scimath.{_name}", getattr(scimath, _name), _x)
row("np.lib.scimath.logn", lambda x: scimath.logn(2.5, x), -positive(3))
row("np.lib.scimath.power", scimath.power, -positive(3), positive(3))
