"""Arrays that a function makes to fill them with traced values: y = np.zeros(3), y[0] = x.

NumPy would ask x for a number there, so the trace refuses. Where the function has made an array of
floats itself, it is then traced once more, and the makers below give it traced arrays, as those of
`chainrule.numpy` do, in the code of the user, and in SciPy's integrators and spectra, which are
written in Python throughout; other libraries may hand theirs to compiled code.
"""

from __future__ import annotations

import functools
import re
import sys
import sysconfig
from collections.abc import Callable

import numpy as np

from chainrule.program.trace import current, is_internal

MAKERS: dict[str, Callable] = {}  # names in numpy, and the functions that give traced arrays
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


_FOLLOWED = re.compile(r"[\\/]scipy[\\/](integrate[\\/]_ivp[\\/]|signal[\\/]_short_time_fft\.py)")


def is_of_the_user(filename: str) -> bool:
    """Whether a file belongs neither to Python, nor to an installed library or chainrule."""
    return not (is_internal(filename) or filename.startswith(_LIBRARIES))


def _fills(filename: str) -> bool:
    """Whether arrays that the code of a file makes are filled by code that can be followed."""
    return is_of_the_user(filename) or _FOLLOWED.search(filename) is not None


def makes(function: Callable) -> Callable:
    """Register the function as the one that gives traced arrays in place of NumPy's."""
    MAKERS[function.__name__] = function
    return function


@functools.lru_cache(maxsize=64)
def making(original: Callable, traced: Callable) -> Callable:
    """NumPy's function, which notes that it has made an array, or gives a traced one."""

    @functools.wraps(original)
    def maker(*args, **kwargs):
        made = original(*args, **kwargs)
        builder = current()
        if builder is None or type(made) is not np.ndarray or made.dtype.char not in "fdFD":
            return made
        frame = sys._getframe(1)
        while frame.f_code.co_name == "dispatching" and frame.f_back is not None:
            frame = frame.f_back  # what stands in the place of NumPy's function besides
        if not _fills(frame.f_code.co_filename):
            return made
        if builder.fills:
            return traced(*args, **kwargs)
        builder.made = True
        return made

    return maker
