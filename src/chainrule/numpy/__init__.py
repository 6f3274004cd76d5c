"""NumPy's names on traced values, and for what plain numpy cannot dispatch (`zeros`, `array`).

`chainrule.numpy.<name>` is an Array API namespace. Outside a trace its functions give plain NumPy
results; inside, `zeros(3)` gives an array that can be filled with traced values.
"""

import sys as _sys

from chainrule.numpy import methods, operators, products, protocols, ufuncs
from chainrule.numpy import calculus, einsum, nan_reductions, quantiles, reductions, sorting
from chainrule.numpy import entrywise, polynomials, statistics, ufunc_methods
from chainrule.numpy import applying, comparing, creation, diagonals, indexing, interception
from chainrule.numpy import joining, layout, namespace, padding, promotion, selecting, shaping
from chainrule.numpy import fourier, linalg_products, linear_algebra, norms, scipy_special

operators.install()
protocols.install()
methods.install(_sys.modules[__name__])


def __getattr__(name: str):
    found = namespace.lookup(name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return namespace.names()
