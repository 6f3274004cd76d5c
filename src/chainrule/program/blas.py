"""NumPy's BLAS held to one thread while a plan runs.

OpenBLAS changes the bits of a product with the number of its threads. The evaluator judges other
backends, so it must give the same bits always. Where NumPy's BLAS is not OpenBLAS (Accelerate,
MKL) there is nothing to set, and the bits are that library's.
"""

from __future__ import annotations

import ctypes
import glob
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np

_lock = threading.Lock()
_inside = 0
_before = 1


@lru_cache(maxsize=1)
def _thread_functions() -> tuple[Callable, Callable] | None:
    """(get, set) for the number of threads of NumPy's own OpenBLAS, where it has one."""
    site = os.path.dirname(os.path.dirname(os.path.abspath(np.__file__)))
    folders = ("numpy.libs", os.path.join("numpy", ".dylibs"))
    for folder in folders:
        for path in glob.glob(os.path.join(site, folder, "*openblas*")):
            library = ctypes.CDLL(path)
            for form in ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_",
                         "scipy_openblas_{}_num_threads", "openblas_{}_num_threads"):  # fmt: skip
                try:
                    get, set_ = (getattr(library, form.format(verb)) for verb in ("get", "set"))
                    return get, set_
                except AttributeError:
                    continue
    return None


@contextmanager
def one_thread() -> Iterator[None]:
    """One BLAS thread inside; the number from before when the last user has left."""
    global _inside, _before
    functions = _thread_functions()
    if functions is None:
        yield
        return
    get, set_ = functions
    with _lock:
        if _inside == 0:
            _before = get()
            if _before != 1:
                set_(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _before != 1:
                set_(_before)
