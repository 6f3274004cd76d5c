"""Special functions: the names of `scipy.special`, differentiable.

Most are SciPy's own ufuncs, which dispatch on traced values, so `chainrule.special.erf` and
`scipy.special.erf` are the same object. `polygamma`, `zeta`, `multigammaln`, `logsumexp`,
`softmax` and `log_softmax`, which SciPy cannot dispatch, are chainrule's own, and SciPy's where no
argument is traced. SciPy is imported when the first name is used.

>>> import chainrule as cr
>>> cr.grad(cr.special.expit)(0.0)
np.float64(0.25)
"""

from typing import Any

from chainrule.numpy.scipy_special import (
    UFUNCS,
    log_softmax,
    logsumexp,
    multigammaln,
    polygamma,
    softmax,
    zeta,
)
from chainrule.numpy.scipy_special_functions import (
    comb,
    diric,
    spherical_in,
    spherical_jn,
    spherical_kn,
    spherical_yn,
)
from chainrule.numpy.scipy_ufuncs import HANDLERS
from chainrule.ops.special.scipy_functions import scipy_special

_OWN = (
    comb, diric, log_softmax, logsumexp, multigammaln, polygamma, softmax, spherical_in,
    spherical_jn, spherical_kn, spherical_yn, zeta,
)  # fmt: skip
_FROM_SCIPY = {name for name in (*UFUNCS, *HANDLERS) if name != "zeta" and name[0] != "_"} | {
    "digamma", "lambertw", "sinc",  # other names of psi, of _lambertw, and NumPy's
}  # fmt: skip

__all__ = sorted(_FROM_SCIPY | {function.__name__ for function in _OWN})


def __getattr__(name: str) -> Any:
    if name not in _FROM_SCIPY:
        raise AttributeError(
            f"chainrule.special has no {name!r}: scipy.special.{name}, if it exists, is not "
            "supported on traced values"
        )
    found = getattr(scipy_special(), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return list(__all__)
