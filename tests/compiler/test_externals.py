"""LAPACK's and BLAS's addresses come without scipy.linalg, and leave it as it would be."""

import subprocess
import sys

import pytest

_FIRST = """
import sys
from chainrule.compiler.externals import address
made = [address(name) for name in ("lapack.dpotrf", "blas.dtrsm", "threads.get")]
assert all(made[:2])
assert not [m for m in sys.modules if m.startswith("scipy.linalg")], "the package is not imported"
"""

_LATER = """
import ctypes
import numpy as np
import scipy.linalg.cython_lapack
import scipy.linalg.cython_blas
python = ctypes.pythonapi
name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", python))
pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", python)
)
def pointer(module, name):
    capsule = module.__pyx_capi__[name]
    return pointer_of(capsule, name_of(capsule))
"""

_SAME = """
assert made[0] == pointer(scipy.linalg.cython_lapack, "dpotrf")
assert made[1] == pointer(scipy.linalg.cython_blas, "dtrsm")
assert np.allclose(scipy.linalg.cholesky(np.diag([4.0, 9.0])), np.diag([2.0, 3.0]))
from scipy.linalg import cython_blas
assert cython_blas is scipy.linalg.cython_blas is sys.modules["scipy.linalg.cython_blas"]
"""

_AFTER = """
from chainrule.compiler.externals import address
import sys
made = [address(name) for name in ("lapack.dpotrf", "blas.dtrsm")]
"""


@pytest.mark.parametrize("code", [_FIRST + _LATER + _SAME, _LATER + _AFTER + _SAME])
def test_addresses_are_scipys_own_before_and_after_it_is_imported(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
