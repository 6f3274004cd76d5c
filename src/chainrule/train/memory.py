"""The memory that this process has taken at most."""

from __future__ import annotations

import sys


def peak_memory() -> int | None:
    """Bytes that the process has held in memory at most; None where the system does not say.

    >>> peak_memory() is None or peak_memory() > 1_000_000
    True
    """
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(largest) * (1 if sys.platform == "darwin" else 1024)  # KiB but on macOS
