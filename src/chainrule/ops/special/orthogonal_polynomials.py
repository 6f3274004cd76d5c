"""Orthogonal polynomials of whole degree: eval_legendre, eval_chebyt, eval_jacobi and their kin.

Value     SciPy's `eval_<kind>(n, *parameters, x)`; degree and parameters are params.
Slope     by x, which lowers the degree and raises the parameters: P_n' = C_{n-1}^(3/2), T_n' =
          n U_{n-1}, U_n' = 2 C_{n-1}^(2), C_n^(a)' = 2 a C_{n-1}^(a+1), H_n' = 2 n H_{n-1}, and so
          on; the shifted ones are those of 2 x - 1.
Source    DLMF 18.9.
"""

from __future__ import annotations

from chainrule.ops.select import constant_like
from chainrule.ops.special.scipy_functions import elementwise_family, scipy_special
from chainrule.program.op import Op

KINDS = {  # how many parameters each has
    "legendre": 0, "sh_legendre": 0, "chebyt": 0, "chebyu": 0, "chebyc": 0, "chebys": 0,
    "sh_chebyt": 0, "sh_chebyu": 0, "hermite": 0, "hermitenorm": 0, "laguerre": 0,
    "genlaguerre": 1, "gegenbauer": 1, "jacobi": 2,
}  # fmt: skip


def _evaluate(x, *, kind, n, parameters):
    return getattr(scipy_special(), f"eval_{kind}")(n, *parameters, x).astype(x.dtype)


def _slope(x, out, *, kind, n, parameters):
    if n == 0:
        return constant_like(x, 0.0)
    factor, inner, lower, new = _lowered(kind, n, parameters)
    at = x if inner is None else inner(x)
    return factor * orthogonal_polynomial(at, kind=lower, n=n - 1, parameters=new)


def _shifted(x):
    return 2.0 * x - 1.0


def _halved(x):
    return 0.5 * x


def _lowered(kind: str, n: int, parameters) -> tuple:
    """The slope as factor * Q(inner(x)), Q of degree n - 1: (factor, inner, kind, parameters)"""
    if kind == "jacobi":
        a, b = parameters
        return 0.5 * (n + a + b + 1.0), None, "jacobi", (a + 1.0, b + 1.0)
    if kind == "gegenbauer":
        return 2.0 * parameters[0], None, "gegenbauer", (parameters[0] + 1.0,)
    if kind == "genlaguerre":
        return -1.0, None, "genlaguerre", (parameters[0] + 1.0,)
    return {
        "legendre": (1.0, None, "gegenbauer", (1.5,)),
        "sh_legendre": (2.0, _shifted, "gegenbauer", (1.5,)),
        "chebyt": (float(n), None, "chebyu", ()),
        "sh_chebyt": (2.0 * n, None, "sh_chebyu", ()),
        "chebyu": (2.0, None, "gegenbauer", (2.0,)),
        "sh_chebyu": (4.0, _shifted, "gegenbauer", (2.0,)),
        "chebyc": (float(n), None, "chebys", ()),
        "chebys": (1.0, _halved, "gegenbauer", (2.0,)),
        "hermite": (2.0 * n, None, "hermite", ()),
        "hermitenorm": (float(n), None, "hermitenorm", ()),
        "laguerre": (-1.0, None, "genlaguerre", (1.0,)),
    }[kind]


orthogonal_polynomial: Op = elementwise_family(
    "orthogonal_polynomial",
    _evaluate,
    (_slope,),
    ulps=1024,
    flops=40,
    doc="the orthogonal polynomial of a kind (legendre, chebyt, ...) of degree n",
)
