"""Linear algebra: the names of `np.linalg`, and of SciPy's what NumPy lacks.

NumPy's functions dispatch on traced values by themselves, so they are here as they are. SciPy's
cannot: `expm`, `solve_triangular`, `cho_factor` and `cho_solve` are chainrule's own, and SciPy's
where no argument is traced.

>>> import numpy as np
>>> from chainrule import linalg
>>> linalg.expm(np.zeros((2, 2)))
array([[1., 0.],
       [0., 1.]])
"""

from numpy.linalg import (
    LinAlgError,
    cholesky,
    cond,
    cross,
    det,
    diagonal,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    inv,
    lstsq,
    matmul,
    matrix_norm,
    matrix_power,
    matrix_rank,
    matrix_transpose,
    multi_dot,
    norm,
    outer,
    pinv,
    qr,
    slogdet,
    solve,
    svd,
    svdvals,
    tensordot,
    tensorinv,
    tensorsolve,
    trace,
    vecdot,
    vector_norm,
)

from chainrule.numpy.scipy_linalg import cho_factor, cho_solve, expm, solve_triangular

__all__ = [
    "LinAlgError", "cho_factor", "cho_solve", "cholesky", "cond", "cross", "det", "diagonal", "eig",
    "eigh", "eigvals", "eigvalsh", "expm", "inv", "lstsq", "matmul", "matrix_norm", "matrix_power",
    "matrix_rank", "matrix_transpose", "multi_dot", "norm", "outer", "pinv", "qr", "slogdet",
    "solve", "solve_triangular", "svd", "svdvals", "tensordot", "tensorinv", "tensorsolve", "trace",
    "vecdot", "vector_norm",
]  # fmt: skip
