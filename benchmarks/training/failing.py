"""The module `os`, as the writing of files sees it, with one of its calls failing."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chainrule import errors
from chainrule.train import files, locks

CALLS = ("open", "write", "fsync", "close", "replace", "rename", "mkdir", "makedirs", "unlink",
         "rmdir", "ftruncate", "fstat")  # fmt: skip

How = int | str


class Failing:
    """`os` with call number `at` of those in `CALLS` failing (from 1; 0: none).

    `how` is an errno; or "short": that write takes half of what it is given, and the next one finds
    the disk full; or "kill": SIGKILL there, a write half-done. Nothing is synced in truth:
    that takes long and changes nothing that could be seen here (see `power`).
    """

    def __init__(self, at: int, how: How):
        self.at, self.how, self.count, self.name = at, how, 0, ""

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CALLS:
            return real

        def call(*args: Any, **options: Any) -> Any:
            self.count += 1
            if self.count != self.at:
                return None if name == "fsync" else real(*args, **options)
            self.name = name
            return self._fail(name, real, args, options)

        return call

    def _fail(self, name: str, real: Callable, args: tuple, options: dict) -> Any:
        if self.how == "kill":
            if name == "write":
                real(args[0], args[1][: len(args[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "short":
            if name != "write":
                return real(*args, **options)
            self.at, self.how = self.count + 1, errno.ENOSPC
            return real(args[0], args[1][: len(args[1]) // 2])
        assert isinstance(self.how, int)
        if name == "close":  # the number is free after a close that fails, as on Linux
            real(*args, **options)
        raise OSError(self.how, os.strerror(self.how))


@contextmanager
def instead(module: Any) -> Iterator[None]:
    """The writing of files with another `os`."""
    files.os = locks.os = module
    try:
        yield
    finally:
        files.os = locks.os = os


def failures(
    action: Callable[[], object], how: How
) -> Iterator[tuple[str, OSError | None]]:
    """(the call that failed, the error or None) with each call failed in turn, until all were.

    The caller puts everything back to where it was after each. Errors must be `FileNotWritten`,
    or where a file could not be read (which asks for its size by fstat), any `OSError`.
    """
    at = 0
    while True:
        at += 1
        failing = Failing(at, how)
        error: OSError | None = None
        with instead(failing):
            try:
                action()
            except OSError as caught:
                assert isinstance(caught, errors.FileNotWritten) or failing.name == "fstat", caught
                error = caught
        if not failing.name:
            return
        yield failing.name, error


def kills(action: Callable[[], object]) -> Iterator[int]:
    """The number of the call at which a process that does the action has just been killed."""
    at = 0
    while True:
        at += 1
        child = os.fork()
        if child == 0:
            files.os = locks.os = Failing(at, "kill")
            try:
                action()
            finally:
                os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == 0:
            return
        assert status == -signal.SIGKILL, status
        yield at
