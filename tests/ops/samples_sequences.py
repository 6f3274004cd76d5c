"""Rows for what orders, searches or convolves sequences, and for sinc."""

import numpy as np
from mpmath import mp

from tests.ops.table import given, integers, normal, samples, uniform

RISING = given([-1.5, -0.25, 0.5, 0.5, 2.0])

samples("sort", normal(3, 5), axis=1, dtypes="fdD", reference=lambda x: np.sort(x, 1))
samples("sort", given([2.0, 1.0, 2.0, np.nan]), axis=0, reference=np.sort, active=())
samples("argsort", normal(3, 5), axis=0, stable=False, reference=lambda x: np.argsort(x, 0))
samples("argsort", integers(0, 2, 3, 6), axis=1, stable=True, dtypes="ld",
        reference=lambda x: np.argsort(x, 1, kind="stable"))  # fmt: skip
samples("argpartition", normal(3, 6), axis=1, kth=(1, 4),
        reference=lambda x: np.argpartition(x, (1, 4), 1))  # fmt: skip
for _side in ("left", "right"):
    samples("searchsorted", RISING, given([[-2.0, 0.5], [0.6, 9.0]]), side=_side, lead=0,
            reference=lambda a, v, side=_side: np.searchsorted(a, v, side))  # fmt: skip
    samples("searchsorted", given([[0.0, 1.0], [2.0, 3.0]]), normal(2, 4), side=_side, lead=1,
            reference=lambda a, v, side=_side: np.stack(
                [np.searchsorted(a[i], v[i], side) for i in range(2)]))  # fmt: skip
samples("segment_sum", normal(3, 6), given([1, 3, 4]), axis=1, dtypes="ldD",
        reference=lambda x, i: np.add.reduceat(x, i, 1))  # fmt: skip
samples("segment_sum", normal(4, 2), given([0, 2]), axis=0,
        reference=lambda x, i: np.stack([x[:2].sum(0), x[2:].sum(0)]))  # fmt: skip

for _mode in ("full", "valid"):
    samples("convolve", normal(6), normal(3), mode=_mode, dtypes="fdD",
            reference=lambda x, y, mode=_mode: np.convolve(x, y, mode))  # fmt: skip
    samples("convolve", normal(2, 4), normal(2, 4), mode=_mode, dtypes="dD",
            reference=lambda x, y, mode=_mode: np.stack(
                [np.convolve(x[i], y[i], mode) for i in range(2)]))  # fmt: skip
samples("convolve", normal(2), normal(5), mode="full", reference=np.convolve)

# from 1.2 on the slope nears its zero at 1.43, where no number of digits is enough
samples("sinc", uniform(-1.2, 1.2), truth=mp.sincpi, dtypes="fd", extra=[1e-5, 0.5, -0.5],
        value_ulps=8)  # fmt: skip
