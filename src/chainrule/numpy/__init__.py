"""NumPy's names on traced values, and for what plain numpy cannot dispatch (`zeros`, `array`).

`chainrule.numpy.<name>` is an Array API namespace. Outside a trace its functions give plain NumPy
results; inside, `zeros(3)` gives an array that can be filled with traced values.
"""

import sys as _sys

from chainrule.numpy import (
    applying,
    calculus,
    comparing,
    creation,
    diagonals,
    einsum,
    entrywise,
    fourier,
    histograms,
    indexing,
    inserting,
    interception,
    joining,
    layout,
    linalg_products,
    linear_algebra,
    lists,
    memory,
    methods,
    namespace,
    nan_reductions,
    norms,
    operators,
    padding,
    polynomial_package,
    polynomials,
    products,
    promotion,
    protocols,
    quantiles,
    reductions,
    reordering,
    scimath,
    scipy_distances,
    scipy_filters,
    scipy_internals,
    scipy_linalg_functions,
    scipy_linalg_matrices,
    scipy_ranks,
    scipy_sampling,
    scipy_signals,
    scipy_special,
    scipy_special_functions,
    scipy_ufuncs,
    selecting,
    selection_functions,
    sets,
    shaping,
    sorting,
    statistics,
    tapers,
    ufunc_methods,
    ufuncs,
    undispatched,
    windows,
)

operators.install()
protocols.install()
methods.install(_sys.modules[__name__])
globals()["einsum"] = namespace.lookup("einsum")  # the function, not the file of that name


def __getattr__(name: str):
    found = namespace.lookup(name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return namespace.names()
