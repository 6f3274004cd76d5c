"""Functions of scipy.special that are written in Python, under SciPy's names while a trace is open.

`scipy.special.softmax(x)` and its like do not dispatch: they are replaced in the module (see
undispatched.py), and stand in `chainrule.special` for code that imported them by name.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.numpy import scipy_special as own
from chainrule.numpy.promotion import cast_to, contains_traced, result_dtype, uniform
from chainrule.numpy.scipy_ufuncs import whole
from chainrule.numpy.shaping import array
from chainrule.numpy.undispatched import replaces
from chainrule.ops.special import bessel_relatives as bessel
from chainrule.ops.special.scipy_functions import scipy_special

for _function in (
    own.log_softmax, own.logsumexp, own.multigammaln, own.polygamma, own.softmax, own.zeta,
):  # fmt: skip
    replaces("scipy.special")(_function)


def _floats(x):
    x = array(x)
    return x if x.dtype.kind in "fc" else cast_to(x, np.dtype(np.float64))


# --- spherical Bessel functions -----------------------------------------------------------------


def _spherical(name: str):
    op = getattr(bessel, name)

    def function(n, z, derivative=False):
        if not contains_traced([n, z]):
            return getattr(scipy_special(), name)(n, z, derivative)
        order = whole(n, f"scipy.special.{name}")
        x = _floats(z)
        return bessel.spherical_slope(name, x, order) if derivative else op(x, n=order)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"scipy.special.{name}: of one whole order n, by its argument differentiable.\n\n"
        "    **Errors** `NotSupported` where z is traced and n is not one integer.\n    "
    )
    return function


spherical_jn = replaces("scipy.special")(_spherical("spherical_jn"))
spherical_yn = replaces("scipy.special")(_spherical("spherical_yn"))
spherical_in = replaces("scipy.special")(_spherical("spherical_in"))
spherical_kn = replaces("scipy.special")(_spherical("spherical_kn"))

# --- others -------------------------------------------------------------------------------------


@replaces("scipy.special")
def comb(N, k, *, exact=False, repetition=False):
    """The number of combinations of N things taken k at a time, N and k real.

    **Maths** gamma(N + 1) / (gamma(k + 1) gamma(N - k + 1)), and 0 unless 0 <= k <= N
    **Source** scipy.special.comb; `exact=True` is for integers, without traced arguments.
    """
    if not contains_traced([N, k]):
        return scipy_special().comb(N, k, exact=exact, repetition=repetition)
    if exact:
        raise TypeError("comb(exact=True) takes integers, not traced values.")
    N, k = array(N), array(k)
    N, k = uniform((N, k), result_dtype(N, k, np.float32))
    if repetition:
        return np.where((k == 0) & (N >= 0), N.dtype.type(1), scipy_special().binom(N + k - 1, k))
    inside = (k <= N) & (N >= 0) & (k >= 0)
    return np.where(inside, scipy_special().binom(N, k), N.dtype.type(0))


@replaces("scipy.special")
def diric(x, n):
    """The Dirichlet kernel sin(n x / 2) / (n sin(x / 2)) for a whole number n.

    **Source** scipy.special.diric
    """
    if not contains_traced([x, n]):
        return scipy_special().diric(x, n)
    n, x = whole(n, "scipy.special.diric"), _floats(x)
    if n <= 0:
        return x * math.nan
    half = np.sin(0.5 * x)
    at_zero = np.abs(half) < (1e-7 if x.dtype.itemsize > 4 else 1e-3)
    inside = np.where(at_zero, 1.0, half)
    limit = np.power(-1.0, np.round(x / (2 * math.pi)) * (n - 1))
    return np.where(at_zero, limit, np.sin(0.5 * n * x) / (n * inside))
