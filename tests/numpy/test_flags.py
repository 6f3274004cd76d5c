"""What traced arrays say of their memory layout, against NumPy."""

import numpy as np

from tests.numpy.against_numpy import check_same

LETTERS = ("C", "F", "O", "W", "A", "B", "CA", "FA", "C_CONTIGUOUS", "OWNDATA", "FORC", "FORTRAN")
NAMES = ("c_contiguous", "f_contiguous", "fortran", "fnc", "forc", "contiguous", "owndata",
         "writeable", "aligned", "behaved", "carray", "farray", "writebackifcopy")  # fmt: skip


def test_flags_are_numpys():
    def function(x):
        arrays = (x, x.T, x[0], x[:, 0], x[0, 0], x * 2, np.asarray(x[0, 0]), x.reshape(3, 2))
        return [
            np.array([y.flags[k] for k in LETTERS] + [getattr(y.flags, k) for k in NAMES], float)
            for y in arrays
        ]

    check_same(function, np.ones((2, 3)))
