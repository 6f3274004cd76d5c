"""A lock on a file that the system releases when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from chainrule.train import files


class Lock:
    """A lock that is held until `release`, or until the process ends."""

    def __init__(self, number: int):
        self._number: int | None = number

    def release(self) -> None:
        """Let another process have it."""
        number, self._number = self._number, None
        if number is not None:
            with contextlib.suppress(OSError):  # the number is free, whatever close says
                os.close(number)

    def __del__(self) -> None:
        self.release()


def taken(path: Path) -> Lock | None:
    """The lock, or None where somebody else holds it. The file stays; a held file is not the lock.

    **Errors** `FileNotWritten` where the file cannot be made.
    """
    with files.explained(path):
        number = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _hold(number)
    except OSError:
        os.close(number)
        return None
    with contextlib.suppress(OSError):  # who holds it: for messages only
        os.ftruncate(number, 0)
        os.write(number, f"\n{os.getpid()}\n".encode())
    return Lock(number)


def holder(path: Path) -> str:
    """` (process 123)` from what the holder wrote into the file, or nothing."""
    with contextlib.suppress(OSError, ValueError):
        return f" (process {int(path.read_text())})"
    return ""


if sys.platform == "win32":
    import msvcrt

    def _hold(number: int) -> None:
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)  # the first byte

else:
    import fcntl

    def _hold(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
