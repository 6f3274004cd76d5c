"""Special functions that are NumPy code of our own, written out; and SciPy's of float16.

Value     the operation's own formulas, run on traced values: the same operations in the same order,
          in float64. A formula that chooses among its elements takes all ways, and selects.
          Functions of float16 are those of float32, rounded once more, as SciPy has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from chainrule.compiler.llvm.special import NAMES
from chainrule.ops.samplers_gamma import UNIT_PANELS, moment_by_quadrature, moment_by_series
from chainrule.ops.select import cast
from chainrule.ops.shape import broadcast, iota
from chainrule.ops.special.error_functions import erfcx_integral_of
from chainrule.ops.special.faddeeva import dawson_value, faddeeva_value
from chainrule.ops.special.gamma_functions import polygamma_difference_of
from chainrule.ops.special.half_line import PANELS
from chainrule.ops.special.incomplete_beta import (
    Point,
    beta_density_value,
    betainc_by_domain,
    betainc_by_from_left,
)
from chainrule.ops.special.incomplete_gamma import (
    gamma_density_value,
    gammainc_by_a_domain,
    gammainc_by_a_from_left,
    gammainc_by_a_from_right,
    gammainc_by_a_is_left,
)
from chainrule.ops.while_loop import loop
from chainrule.program.op import REGISTRY

_WIDE, _SINGLE = np.dtype(np.float64), np.dtype(np.float32)


def _as(x, dtype: np.dtype):
    return x.astype(dtype) if isinstance(x, np.generic) else cast(x, dtype=dtype)


def _traced(formula: Callable) -> Callable:
    """A formula on traced values as the lowering of an operation on real arrays."""

    def written_out(*inputs, **params):
        dtype = inputs[-1].dtype
        if dtype.kind != "f":
            return NotImplemented
        shape = max([x.shape for x in inputs], key=len)
        wide = [_as(x, _WIDE) for x in inputs]
        arrays = [x if x.shape == shape else broadcast(x, shape=shape, axes=()) for x in wide]
        return _as(formula(*arrays, **params), dtype)

    return written_out


# --- formulas that run on traced values as they are -----------------------------------------------


def _polygamma(x, n: int):
    return REGISTRY["polygamma"](x, n=n) if n else REGISTRY["psi"](x)


def _polygamma_difference(a, b, *, n):
    return polygamma_difference_of(a, b, n, _polygamma, _downward)


def _downward(step, steps, value):
    last = np.max(steps, initial=0.0) - 1.0
    types = [last.type, value.type]
    return loop(lambda k, _: k >= 0.0, lambda k, x: [k - 1.0, step(k, x)], [last, value], types)[1]


def _erfcx_integral(x, *, n):
    return erfcx_integral_of(x, n, lambda chosen: True)


def _spherical_kn(x, *, n):
    """pi/2 exp(-x)/x times the sum over k of (n + k)! / (k! (n - k)!) (2 x)^-k (DLMF 10.49.12)."""
    half, total = 0.5 / x, 0.0
    for k in range(n, -1, -1):
        total = total * half + math.comb(n, k) * math.perm(n + k, k)
    value = (0.5 * math.pi) * np.exp(-x) / x * total
    value = np.where(x == 0, math.inf, value)
    value = np.where(np.isinf(value) & (x < 0), math.nan, value)  # as SciPy's complex arithmetic
    return np.where(x == -math.inf, -math.inf, value)


# --- integrals ------------------------------------------------------------------------------------


NODES = 16


def _chosen(number, values):
    """The values at these places, in an array that is computed: what is compiled holds none."""
    found = np.where(number == 0, values[0], values[-1])
    for k in range(1, len(values) - 1):
        found = np.where(number == k, values[k], found)
    return found


def _gauss(*ends: float):
    """Nodes and weights of Gauss and Legendre's rule in each of the panels between these ends."""
    number = iota(size=NODES * (len(ends) - 1), dtype=np.dtype(np.int64))
    node, weight = (
        _chosen(number % NODES, table) for table in np.polynomial.legendre.leggauss(NODES)
    )
    low, high = np.array(ends[:-1]), np.array(ends[1:])
    half = _chosen(number // NODES, 0.5 * (high - low))
    return half * node + _chosen(number // NODES, 0.5 * (high + low)), half * weight


class _Integrals:
    """Integrals of rows (..., 1) over panels of 16 nodes; the same rules for all.

    The integrand is written once for all panels: it is most of the code of some functions.
    """

    def __init__(self):
        self._rule = cache(_gauss)
        self._node, self._weight = _gauss(-1.0, 1.0)

    def over(self, integrand, ends):
        node, weight = self._rule(*ends)
        return np.sum(weight * integrand(node), axis=-1, keepdims=True)

    def panel(self, integrand, low, high):
        half = 0.5 * (high - low)
        found = integrand(half * self._node + 0.5 * (high + low))
        return half * np.sum(self._weight * found, axis=-1, keepdims=True)

    def unit(self, integrand):
        """Over [0, 1]."""
        return self.over(integrand, UNIT_PANELS)

    def half_line(self, integrand, reach=None):
        """Over [0, inf), or so far as the integrand is worth it; with `reach` that many times as
        far, in panels that are three times as wide each."""
        total = self.over(integrand, PANELS)
        if reach is None:
            return total
        end = PANELS[-1] * np.max(np.where(np.isfinite(reach), reach, 1.0), initial=1.0)
        low = PANELS[-1] + 0.0 * end

        def further(low, total):
            return [3.0 * low, total + self.panel(integrand, low, 3.0 * low)]

        return loop(lambda low, total: low < end, further, [low, total], [low.type, total.type])[1]


def _rows(*arrays):
    """The arrays with one more axis, of length 1, behind the others."""
    return [x[..., None] for x in arrays]


def _gammainc_by_a(a, x, *, n):
    inside, otherwise = gammainc_by_a_domain(a, x)
    a, x = _rows(a, x)
    integral = _Integrals().half_line
    left = gammainc_by_a_from_left(a, x, n, integral)
    right = gammainc_by_a_from_right(a, x, n, integral)
    value = np.where(gammainc_by_a_is_left(a, x), left, right)
    return np.where(inside, value[..., 0], otherwise)


def _betainc_by(a, b, x, *, i, j):
    inside, otherwise = betainc_by_domain(a, b, x)
    rule, point = _Integrals(), Point(*_rows(a, b, x))

    def integral(integrand, reach):
        return rule.half_line(integrand, np.where(inside[..., None], reach, 1.0))

    left = betainc_by_from_left(point, i, j, integral, _polygamma_difference)
    right = betainc_by_from_left(point.mirrored(), j, i, integral, _polygamma_difference)
    value = np.where(point.excess < 0, left, -right)
    return np.where(inside, value[..., 0], otherwise)


def _gamma_path_moment(a, x, *, order, shift):
    right = x > a + 0.5
    sign = np.where(right, -1.0, 1.0)
    integral = _Integrals().unit
    rows = _rows(a + shift, x, sign)
    value = moment_by_quadrature(rows[0], rows[1], rows[2], order, integral)[..., 0]
    series = moment_by_series(a + shift, x, order)
    value = np.where((x <= a + 0.5) & (x <= 1.0), series, value)
    return np.where((a > 0) & (x >= 0), value, math.nan)


def _faddeeva(z, *, n):
    wide = np.dtype(np.complex128)
    return _as(faddeeva_value(_as(z, wide), n), z.dtype)


# --- the table ------------------------------------------------------------------------------------

FORMULAS: dict[str, Callable] = {  # of float64 arrays of one shape
    "beta_density": beta_density_value,
    "betainc_by": _betainc_by,
    "dawson": dawson_value,
    "erfcx_integral": _erfcx_integral,
    "exp_moment": REGISTRY["exp_moment"].evaluate,
    "gamma_density": gamma_density_value,
    "gamma_path_moment": _gamma_path_moment,
    "gammainc_by_a": _gammainc_by_a,
    "i0e_moment": REGISTRY["i0e_moment"].evaluate,
    "polygamma_difference": _polygamma_difference,
    "spherical_kn": _spherical_kn,
}


def _through(name: str, wide: np.dtype) -> Callable:
    """A function of float16 through that of a wider type."""

    def written_out(*inputs, **params):
        dtype = inputs[-1].dtype
        if dtype.char != "e":
            return NotImplemented
        return _as(REGISTRY[name](*[_as(x, wide) for x in inputs], **params), dtype)

    return written_out


_PORTABLE = ("portable_exp", "portable_expm1", "portable_log")

SPECIAL: dict[str, Callable] = {
    **{name: _through(name, _SINGLE) for name in NAMES},
    **{name: _through(name, _WIDE) for name in _PORTABLE},
    **{name: _traced(formula) for name, formula in FORMULAS.items()},
    "faddeeva": _faddeeva,
}
