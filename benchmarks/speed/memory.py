"""How much memory this process holds, and has held at most since `reset`.

On Linux the kernel's own high-water mark of resident memory (VmHWM), which can be reset, so what
compilation took and gave back does not count. Elsewhere the process's mark since its start, which
cannot: there the figures include compilation.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def reset() -> None:
    """Start the high-water mark again at what is resident now, where the system can."""
    if _STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5")


def resident() -> int:
    """Bytes resident now."""
    return _field("VmRSS")


def peak() -> int:
    """The most bytes that were resident since the last `reset`."""
    return _field("VmHWM")


def _field(name: str) -> int:
    if not _STATUS.exists():
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return largest if sys.platform == "darwin" else largest * 1024
    for line in _STATUS.read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} has no {name}")
