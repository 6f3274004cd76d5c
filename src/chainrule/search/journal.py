"""The lock on a journal: one that the system releases when its holder is killed.

Optuna's own locks are files, which a killed process leaves behind: for 30 seconds nobody goes on.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from chainrule import extras
from chainrule.train import locks

WAIT = 0.005  # seconds between two tries


def storage(journal: Path) -> Any:
    """Optuna's storage in this file."""
    storages = extras.load("optuna.storages", "search", "Searches")
    files = extras.load("optuna.storages.journal", "search", "Searches")
    lock = JournalLock(journal)
    return storages.JournalStorage(files.JournalFileBackend(str(journal), lock_obj=lock))


class JournalLock:
    """What Optuna calls before and after it writes into the journal."""

    def __init__(self, journal: Path):
        self._journal = journal
        self._held: locks.Lock | None = None

    def acquire(self) -> bool:
        """Wait until nobody writes; a line that a killed process left unfinished is cut off."""
        path = self._journal.with_name(self._journal.name + ".lock")
        while (lock := locks.taken(path)) is None:
            time.sleep(WAIT)
        self._held = lock
        _cut_unfinished(self._journal)
        return True

    def release(self) -> None:
        """Let others write."""
        if self._held is not None:
            self._held.release()
            self._held = None


def _cut_unfinished(journal: Path) -> None:
    size = journal.stat().st_size if journal.exists() else 0
    if not size:
        return
    with journal.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
