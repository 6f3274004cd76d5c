"""Rows for the operations that rewriting for stability puts in place."""

import numpy as np
from mpmath import mp

from tests.ops.table import normal, samples, uniform

samples("log1mexp", uniform(-9, -0.1), truth=lambda x: mp.log(-mp.expm1(x)), dtypes="fd",
        extra=[-1e-300, -1e-9, -0.693, -40.0], value_ulps=8)  # fmt: skip
samples("exp_sum", uniform(-9, 9), uniform(-9, 9), truth=lambda x, y: mp.exp(x + y), dtypes="fd",
        extra=[(700.0, -699.9), (-300.3, -400.4), (1e-20, 1.0)])  # fmt: skip
samples("exp_difference", uniform(-9, 9), uniform(-9, 9), dtypes="fd", value_ulps=8,
        truth=lambda x, y: mp.exp(x) - mp.exp(y),
        extra=[(1.0, 1.0 + 1e-12), (-3.0, 5.0), (700.0, 699.999)])  # fmt: skip
samples("log_cosh", uniform(-5, 5), truth=lambda x: mp.log1p(2 * mp.sinh(x / 2) ** 2), dtypes="fd",
        extra=[1e-9, -1e-150, 1.0, 800.0, -800.0], value_ulps=8)  # fmt: skip
samples("pow1p", uniform(-0.9, 3), uniform(-9, 9), truth=lambda x, y: (1 + x) ** y, dtypes="fd",
        extra=[(1e-9, 1e9), (1e-20, 3.0), (-0.5, 2.5)], value_ulps=8)  # fmt: skip
samples("log_expm1", uniform(0.1, 50), truth=lambda x: mp.log(mp.expm1(x)), dtypes="fd",
        extra=[1e-12, 800.0], value_ulps=8)  # fmt: skip
samples("log_sinh", uniform(0.1, 50), truth=lambda x: mp.log(mp.sinh(x)), dtypes="fd",
        extra=[1e-12, 800.0], value_ulps=8)  # fmt: skip
samples("log_times_exp", uniform(-9, 9), uniform(0.1, 9), dtypes="fd", value_ulps=64,
        truth=lambda x, y: x + mp.log(y), extra=[(800.0, 3.0), (-800.0, 3.0)])  # fmt: skip
samples("log_exp_difference", uniform(0, 9), uniform(-9, -1), dtypes="fd", value_ulps=64,
        truth=lambda x, y: mp.log(mp.exp(x) - mp.exp(y)),
        extra=[(900.0, 800.0), (-900.0, -901.0), (1.0, 1.0 - 1e-12)])  # fmt: skip
for _start in (0, 1, 3):
    samples("series", uniform(-0.9, 0.9), start=_start, coefficients=(1.0, 0.5, -0.25),
            truth=lambda x, start, coefficients: x**start * (1 + x / 2 - x * x / 4),
            dtypes="fd", value_ulps=8)  # fmt: skip
samples("log_prod", uniform(0.5, 2, 3, 4), axes=(1,), dtypes="fd",
        reference=lambda x: np.log(x.prod(1)))  # fmt: skip
samples("safe_norm", normal(3, 4), axes=(1,), dtypes="fd",
        reference=lambda x: np.linalg.norm(x, axis=1))  # fmt: skip
samples("sum_of_others", normal(3, 4), axes=(1,), dtypes="fd",
        reference=lambda x: x.sum(1, keepdims=True) - x)  # fmt: skip
for _name, _reference in (
    ("log_shares", lambda p: np.log(p)), ("other_shares", lambda p: 1 - p),
):  # fmt: skip
    samples(_name, normal(3, 4), axes=(1,), dtypes="fd",
            reference=lambda x, f=_reference: f(np.exp(x) / np.exp(x).sum(1)[:, None]))  # fmt: skip
samples("series_near_zero", uniform(0.1, 0.9), uniform(-5, 5), radius=0.5, start=1,
        coefficients=(1.0, 0.5), truth=lambda x, y, **params: x + x * x / 2 if x < 0.5 else y,
        dtypes="fd")  # fmt: skip
samples("far_difference", uniform(-5, 5), uniform(-5, 5), truth=lambda x, y: x - y, dtypes="fd")
for _n in (2, 3, 4):
    samples("difference_of_powers", uniform(-5, 5), uniform(-5, 5), n=_n, dtypes="fd",
            truth=lambda x, y, n: x**n - y**n, extra=[(3.0, 3.0 + 1e-12)],
            value_ulps=8)  # fmt: skip
samples("root_of_difference", uniform(3, 9), uniform(-2.9, 2.9), dtypes="fd", value_ulps=8,
        truth=lambda x, y: mp.sqrt(x * x - y * y),
        extra=[(1.0, 1.0 - 1e-12), (9.0, 1e-20)])  # fmt: skip
_WHOLE = {"numerators": (6, -12, 0, 10, -3, 0, 0, 1), "denominator": 6}
samples("polynomial", uniform(-3, 3), **_WHOLE, dtypes="fd", value_ulps=2,
        truth=lambda x, numerators, denominator: sum(
            n * x**k for k, n in enumerate(numerators)) / denominator,
        extra=[0.0, -0.0, 1e-300, 30.0])  # fmt: skip
