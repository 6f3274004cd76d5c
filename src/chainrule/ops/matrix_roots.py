"""Square roots and logarithms of matrices, with their derivatives of every order.

Both are gradients of traces (of 2/3 A^(3/2), and A log A - A), so they form families as the
exponential does (see matrix_functions.py), and a derivative is a block of the same function of a
matrix that holds A and the directions.

Value     scipy.linalg's principal sqrtm and logm; of real matrices the real ones, so that a real
          matrix with an eigenvalue on the negative axis must come as a complex one.
Source    Mathias 1996, theorem 4.1; Higham, Functions of Matrices, 2008, section 3.2.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np

from chainrule.ops.matrix_functions import block_of_derivative, family


def _of_stack(function, a):
    """The function of each matrix of a stack, real where the matrix is."""
    if a.ndim > 2:
        return np.stack([_of_stack(function, x) for x in a]) if len(a) else np.array(a)
    out = function(a)
    return out if a.dtype.kind == "c" else out.real


def _sqrtm(a):
    return _of_stack(import_module("scipy.linalg").sqrtm, a)


def _principal_logm(a):
    """SciPy's logm, which estimates norms from draws of NumPy's global generator: here from a fixed
    state, so that equal matrices have equal logarithms; the caller's state is put back. Infinite
    entries raise ValueError: SciPy 1.17 would never return."""
    a = np.asarray_chkfinite(a)
    held = np.random.get_state()
    np.random.seed(0)
    try:
        return import_module("scipy.linalg").logm(a)
    finally:
        np.random.set_state(held)


def _logm(a):
    return _of_stack(_principal_logm, a)


def _sqrtm_along(a, directions):
    return block_of_derivative(_sqrtm, a, directions)


def _logm_along(a, directions):
    return block_of_derivative(_logm, a, directions)


sqrtm, sqrtm_derivative = family("sqrtm", _sqrtm_along, "the principal square roots of matrices")
logm, logm_derivative = family("logm", _logm_along, "the principal logarithms of matrices")
