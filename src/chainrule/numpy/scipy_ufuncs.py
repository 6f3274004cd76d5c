"""The ufuncs of scipy.special that are not one operation on arguments of one dtype.

Pairs (fresnel, sici, shichi, airy) give one operation each; orders and degrees that SciPy's loops
take as integers beside floats are cast, or become params of the operation where its value depends
on them being whole. A handler gets the ufunc, then the user's arguments.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import cast_to, promoted_kind, resolve, uniform
from chainrule.numpy.shaping import array
from chainrule.ops.special import bessel_relatives as bessel
from chainrule.ops.special import integral_functions as integrals
from chainrule.ops.special.orthogonal_polynomials import KINDS, orthogonal_polynomial
from chainrule.ops.special.scipy_functions import BY_SCIPY_NAME
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

HANDLERS: dict[str, Callable] = {}  # by the ufunc's name


def _out_dtype(ufunc: np.ufunc, *arguments) -> np.dtype:
    return resolve(ufunc, tuple(promoted_kind(a) for a in arguments))[-1]


def _in_one_dtype(ufunc, *arguments):
    """An operation whose loop takes integers beside floats, on floats."""
    dtype = _out_dtype(ufunc, *arguments)
    return BY_SCIPY_NAME[ufunc.__name__](*uniform([array(a) for a in arguments], dtype))


for _name in ("expn", "kn", "yn", "bdtr", "bdtrc", "bdtri", "nbdtr", "nbdtrc"):
    HANDLERS[_name] = _in_one_dtype


def _several(*ops):
    def handler(ufunc, x):
        x = cast_to(array(x), _out_dtype(ufunc, x))
        return tuple(op(x) for op in ops)

    return handler


HANDLERS["fresnel"] = _several(integrals.fresnel_sine, integrals.fresnel_cosine)
HANDLERS["sici"] = _several(integrals.sine_integral, integrals.cosine_integral)
HANDLERS["shichi"] = _several(
    integrals.hyperbolic_sine_integral, integrals.hyperbolic_cosine_integral
)


def _airy(ufunc, z):
    z = cast_to(array(z), _out_dtype(ufunc, z))
    return tuple(bessel.airy(z, part=part) for part in range(4))


HANDLERS["airy"] = _airy


def whole(value, what: str) -> int:
    """An order or degree: one plain whole number."""
    plain = None if type(value) is Traced else np.asarray(value)
    if plain is not None and not plain.ndim and plain.dtype.kind in "iuf" and plain % 1 == 0:
        return int(plain)
    raise errors.NotSupported(
        f"{what} of a traced argument takes one integer, got {value!r}, "
        f"at {line_text(user_line())}: call it once for each."
    )


def _polynomial(ufunc, n, *rest):
    """eval_legendre(n, x) and its kin: degree and parameters are plain, x moves."""
    *parameters, x = rest
    kind = ufunc.__name__.removeprefix("eval_")
    if any(type(p) is Traced or np.ndim(p) for p in parameters):
        raise errors.NotSupported(
            f"scipy.special.{ufunc.__name__} takes plain numbers as parameters, "
            f"at {line_text(user_line())}: only its last argument can be traced."
        )
    n = whole(n, f"scipy.special.{ufunc.__name__}")
    x = cast_to(array(x), _out_dtype(ufunc, n, *parameters, x))
    plain = tuple(float(p) for p in parameters)
    return orthogonal_polynomial(x, kind=kind, n=n, parameters=plain)


for _kind in KINDS:
    HANDLERS[f"eval_{_kind}"] = _polynomial


def _lambertw(ufunc, z, branch, tolerance=1e-8):
    """lambertw(z, k): complex, as in SciPy; the branch is one plain integer."""
    branch = whole(branch, "scipy.special.lambertw(z, k): the branch k")
    z = array(z)
    return integrals.lambertw(cast_to(z, np.result_type(z.dtype, np.complex64)), branch=branch)


HANDLERS["_lambertw"] = _lambertw
