"""scipy.special on traced values: its ufuncs under their own names, and what are not ufuncs.

SciPy's ufuncs dispatch: `scipy.special.erf(x)` arrives in `__array_ufunc__`, and `enter_ufunc`
finds the operation by the ufunc's name when it first comes, so that SciPy is never imported here.
`polygamma`, `logsumexp`, `softmax` and their like do not dispatch: they have a spelling of their
own, `chainrule.special.softmax`, and without a traced argument they are SciPy's.
"""

from __future__ import annotations

import math
import operator
import sys
from functools import partial

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import (
    cast_to,
    contains_traced,
    result_dtype,
    uniform,
)
from chainrule.numpy.protocols import implements
from chainrule.numpy.reductions import reduced_axes, with_axes_kept
from chainrule.numpy.scipy_ufuncs import HANDLERS
from chainrule.numpy.shaping import array
from chainrule.numpy.ufuncs import ENTERING, OPS, SPECIAL
from chainrule.ops import elementwise
from chainrule.ops.reduce import max_
from chainrule.ops.select import stop_gradient
from chainrule.ops.shape import sum_
from chainrule.ops.special import bessel_functions, gamma_functions, logistic
from chainrule.ops.special.scipy_functions import BY_SCIPY_NAME, scipy_special
from chainrule.program.op import Op
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, bind, user_line

_FLOAT64 = np.dtype(np.float64)

# --- ufuncs -------------------------------------------------------------------------------------

_SAME_AS_NUMPY = ("expm1", "log1p", "exp2", "cbrt")  # SciPy has ufuncs of its own by these names
UFUNCS: dict[str, Op] = {
    **BY_SCIPY_NAME,
    **{name: getattr(elementwise, name) for name in _SAME_AS_NUMPY},
}


def enter_ufunc(ufunc: np.ufunc) -> bool:
    """Enter a ufunc of scipy.special in the table; False where it is not SciPy's."""
    module = sys.modules.get("scipy.special._ufuncs")
    name = ufunc.__name__
    if module is None or getattr(module, name, None) is not ufunc:
        return False
    if name in HANDLERS:
        SPECIAL[ufunc] = partial(HANDLERS[name], ufunc)
        return True
    op = UFUNCS.get(name.removeprefix("_"))  # zeta of two arguments is the ufunc _zeta
    if op is None:
        raise errors.NotSupported(
            f"scipy.special.{name} is not supported on traced values, at {line_text(user_line())}: "
            "write it with those that are, dir(cr.special)."
        )
    OPS[ufunc] = op
    return True


ENTERING.append(enter_ufunc)


@implements(np.i0)
def i0(x):
    """np.i0: the modified Bessel function of order 0 (SciPy's value: the last bits differ)."""
    x = array(x)
    return bessel_functions.i0(cast_to(x, x.dtype if x.dtype.kind == "f" else _FLOAT64))


# --- functions that are not ufuncs --------------------------------------------------------------


def _floats(x) -> Traced:
    """A traced array, integers as float64."""
    x = array(x)
    if x.dtype.kind == "c":
        raise errors.DtypeError(f"complex values are not supported, at {line_text(user_line())}.")
    return x if x.dtype.kind == "f" else cast_to(x, _FLOAT64)


def polygamma(n, x):
    """The n-th derivative of the digamma function at x; n = 0 is digamma itself.

    **Maths** (-1)^(n+1) n! sum over k >= 0 of 1 / (x + k)^(n+1)
    **Errors** `NotSupported` where x is traced and n is not one integer.
    **Source** scipy.special.polygamma; below x = -30 by reflection (see ops.special).
    """
    if not contains_traced([n, x]):
        return scipy_special().polygamma(n, x)
    try:
        order = operator.index(n)
    except TypeError:
        raise errors.NotSupported(
            f"polygamma(n, x) of a traced x takes one integer n, got {n!r}, "
            f"at {line_text(user_line())}."
        ) from None
    if order < 0:
        raise ValueError(f"polygamma needs n >= 0, got {n}")
    if order == 0:
        return gamma_functions.psi(_floats(x))
    return gamma_functions.polygamma(_floats(x), n=order)


def zeta(x, q=None):
    """The Hurwitz zeta function, the sum over k >= 0 of 1 / (k + q)^x; differentiable by q.

    **Errors** `NotSupported` where q is None (Riemann's zeta) and x is traced.
    """
    if not contains_traced([x, q]):
        return scipy_special().zeta(x, q)
    if q is None:
        raise errors.NotSupported(
            f"zeta(x) is not supported on traced values, at {line_text(user_line())}: "
            "its derivative has no closed form."
        )
    x, q = array(x), array(q)
    x, q = uniform((x, q), result_dtype(x, q, np.float32))
    return bind(gamma_functions.zeta, (x, q), {})


def multigammaln(a, d):
    """The logarithm of the multivariate gamma function of dimension d.

    **Maths** d (d - 1) / 4 log(pi) + sum over j = 1..d of gammaln(a + (1 - j) / 2)
    """
    if not contains_traced([a]):
        return scipy_special().multigammaln(a, d)
    a = _floats(a)
    total = d * (d - 1) * 0.25 * math.log(math.pi)
    for j in range(1, d + 1):
        total = total + gamma_functions.gammaln(a + 0.5 * (1 - j))
    return total


def softmax(x, axis=None):
    """exp(x) / sum(exp(x)) over an axis, or over all entries; large entries do not overflow.

    **Maths** the derivative along dx is s (dx - <s, dx>) with s = softmax(x).
    **Source** scipy.special.softmax, bit for bit.

    >>> softmax([0.0, 0.0])
    array([0.5, 0.5])
    """
    if not contains_traced(x):
        return scipy_special().softmax(x, axis=axis)
    x = _floats(x)
    return logistic.softmax(x, axes=reduced_axes(x, axis))


def log_softmax(x, axis=None):
    """log(softmax(x)) over an axis, or over all entries, without the loss of digits.

    **Source** scipy.special.log_softmax, bit for bit.

    >>> log_softmax([1000.0, 1.0])
    array([   0., -999.])
    """
    if not contains_traced(x):
        return scipy_special().log_softmax(x, axis=axis)
    x = _floats(x)
    return logistic.log_softmax(x, axes=reduced_axes(x, axis))


def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False):
    """log(sum(b exp(a))) over axes, without overflow.

    With `return_sign` the result is (log|sum|, sign of the sum); without it a negative sum, which
    only a negative weight `b` can give, is nan.
    **Maths** the derivative by a is b exp(a) / sum(b exp(a)): softmax(a) where b is None. Where
    entries are inf, or all are -inf, the largest entries share it equally.
    **Source** scipy.special.logsumexp.

    >>> float(logsumexp([1000.0, 1000.0])) == 1000 + math.log(2)
    True
    """
    if not contains_traced([a, b]):
        return scipy_special().logsumexp(a, axis, b, keepdims, return_sign)
    if b is not None:
        a, b = array(a), array(b)
        a, b = uniform((a, b), result_dtype(a, b, np.float32))
    a = _floats(a)
    axes = reduced_axes(a, axis)
    if b is None:
        out, sign = logistic.logsumexp(a, axes=axes), None
    else:
        out, sign = _weighted(a, _floats(b), axes)
    if not return_sign:
        out = out if sign is None else np.where(sign < 0, out.dtype.type(np.nan), out)
        return with_axes_kept(out, a, axes, keepdims)
    if sign is None:
        sign = np.where(out == -np.inf, out.dtype.type(0), out.dtype.type(1))
    return tuple(with_axes_kept(part, a, axes, keepdims) for part in (out, sign))


def _weighted(a, b, axes):
    """log|sum(b exp(a))| and the sign of the sum; b = 0 annihilates any entry, inf and nan too."""
    zero = a.dtype.type(0)
    counted = np.where(b == 0, a.dtype.type(-np.inf), a)
    largest = stop_gradient(max_(counted, axes=axes))
    shift = np.where(np.isfinite(largest), largest, zero)
    kept = tuple(1 if i in axes else n for i, n in enumerate(a.shape))
    total = sum_(elementwise.scale(b, np.exp(a - shift.reshape(kept))), axes=axes)
    return np.log(np.abs(total)) + shift, np.sign(total)
