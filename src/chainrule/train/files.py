"""Writing files so that a kill, a full disk or a failing one never leaves half of anything.

A file is written under a temporary name in the same folder, synced, renamed over the old one, and
the folder is synced: at every moment the name holds the old content or the new one. A folder of
several files is filled under a temporary name as well and becomes visible by one rename. What is
appended to (a log) is cut back to where it was when a write fails half-way.

Temporary names begin with `.new-` (being written), `.gone-` (being removed) and `.replaced-` (the
old folder while the new one takes its place, the only moment when a name does not exist).
`remove_leftovers` clears what a killed process left of them.

Source    Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014, for what must be
          synced, and in which order.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from chainrule import errors

_REASONS = {
    errno.ENOSPC: "the disk is full. Free some space, or choose a folder on another disk",
    errno.EDQUOT: "your quota of the disk is used up. Free some space, or choose another folder",
    errno.EACCES: "you may not write there. Choose another folder, or change its permissions",
    errno.EPERM: "you may not write there. Choose another folder, or change its permissions",
    errno.EROFS: "the disk is read-only. Choose a folder on another disk",
    errno.ENOTDIR: "a part of the path is a file, and a folder was needed. Choose another path",
    errno.EIO: "the disk reports an error (input/output error). Check it, or choose another one",
}


def write(path: str | os.PathLike, content: bytes | bytearray | memoryview | str) -> None:
    """Make the file hold exactly this content (text as UTF-8), whole or not at all, and durably.

    **Errors** `FileNotWritten`, which is an `OSError`; the file is then what it was before.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    with explained(path):
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "not a plain file"
            raise OSError(errno.EEXIST, f"it is {kind}. Give the path of a file")
        temporary = _name(path, ".new-")
        try:
            _write_new(temporary, data)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_folder(path.parent)


def append(path: str | os.PathLike, content: bytes) -> None:
    """Add content at the end of a file, all of it or none; handed to the system, not synced.

    It survives a kill of the process, and may be lost when the power fails.
    """
    path = Path(path)
    with explained(path):
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY, 0o666)
        try:
            before = os.fstat(number).st_size
            try:
                _write_all(number, content)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.ftruncate(number, before)
                raise
        finally:
            os.close(number)


def make_folder(path: str | os.PathLike) -> None:
    """Make a folder and those above it, where they do not exist."""
    path = Path(path)
    with explained(path):
        if not path.is_dir():
            os.makedirs(path, exist_ok=True)
            _sync_folder(path.parent)


@contextlib.contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary folder to fill with `write`, which becomes `path` at the end, or not at all.

    A folder that stands at `path` is replaced. After an error, or a kill at any moment, `standing`
    gives the old one.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with new_folder(f"{place}/a") as folder:
    ...         write(folder / "note.txt", "hello")
    ...     read(f"{place}/a/note.txt")
    b'hello'
    """
    path = Path(path)
    temporary = _name(path, ".new-")
    try:
        with explained(path):
            os.mkdir(temporary)
        yield temporary
        with explained(path):
            _sync_folder(temporary)
            _put_in_place(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            _remove_tree(temporary)
        raise


def _put_in_place(new: Path, path: Path) -> None:
    old = path.with_name(f".replaced-{path.name}")
    moved = False
    if path.exists():
        _remove_tree(old)
        os.rename(path, old)
        moved = True
    try:
        os.rename(new, path)
    except BaseException:
        if moved:
            os.rename(old, path)
        raise
    _sync_folder(path.parent)
    with contextlib.suppress(OSError):  # a leftover does no harm
        _remove_tree(old)


def standing(path: str | os.PathLike) -> Path:
    """Where a folder stands: at its path, or beside it if a kill came while it was replaced."""
    path = Path(path)
    if path.exists() or not path.name:  # "." has no name, and stands
        return path
    old = path.with_name(f".replaced-{path.name}")
    return old if old.is_dir() else path


def remove_folder(path: str | os.PathLike) -> None:
    """Remove a folder and what is in it: its name first, so that nobody ever sees half of it."""
    path = Path(path)
    with explained(path, "removed"):
        away = _name(path, ".gone-")
        os.rename(path, away)
        _sync_folder(path.parent)
        _remove_tree(away)


def remove_file(path: str | os.PathLike) -> None:
    """Remove a file, if it is there."""
    with explained(Path(path), "removed"), contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Clear what a killed process left in a folder that nobody else writes to."""
    for entry in sorted(Path(folder).iterdir()):
        if entry.name.startswith(".replaced-") and entry.is_dir():
            name = entry.with_name(entry.name.removeprefix(".replaced-"))
            if not name.exists():
                with explained(name):
                    os.rename(entry, name)
                continue
        elif not _TEMPORARY.fullmatch(entry.name):
            continue
        with contextlib.suppress(OSError):
            _remove_tree(entry)


def read(path: str | os.PathLike, limit: int | None = None) -> bytes:
    """All of a file.

    **Errors** `FileDamaged` for a file that is not there, is not a plain file, or is larger than
    `limit` bytes; `OSError` where it cannot be read.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # before it is opened: a pipe would wait for ever
            raise errors.FileDamaged(f"{path} is not a plain file.")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if limit is not None and size > limit:
                raise errors.FileDamaged(
                    f"{path} has {size:,} bytes; at most {limit:,} were expected."
                )
            return file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise errors.FileDamaged(f"{path} is missing: {_there(path)}.") from error
    except OSError as error:
        error.filename = str(path)  # what fails after opening does not know it
        raise


def _there(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    names = sorted(entry.name for entry in folder.iterdir())[:8]
    return f"{folder} holds {', '.join(names)}" if names else f"{folder} is empty"


def sha256(content: bytes) -> str:
    """The SHA-256 digest in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


# --- the system's calls --------------------------------------------------------------------------

_BINARY = getattr(os, "O_BINARY", 0)  # Windows
_TEMPORARY = re.compile(r"\.(new|gone)-.+-[0-9a-f]{8}")  # as `_name` makes them


def _name(path: Path, prefix: str) -> Path:
    return path.with_name(f"{prefix}{path.name[:100]}-{secrets.token_hex(4)}")


def _write_new(path: Path, content) -> None:
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
    try:
        _write_all(number, content)
        os.fsync(number)
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(number)
        raise
    os.close(number)


def _write_all(number: int, content) -> None:
    """Write on where the system took less than it was given: a full disk, a signal, over 2 GiB."""
    left = memoryview(content).cast("B")
    while left:
        took = os.write(number, left[: 1 << 30])
        if took == 0:
            raise OSError(errno.ENOSPC, "nothing more was written")
        left = left[took:]


def _sync_folder(path: Path) -> None:
    if os.name == "nt":
        return  # a folder cannot be opened there
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _remove_tree(path: Path) -> None:
    if not path.is_dir() or path.is_symlink():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return
    for entry in path.iterdir():
        _remove_tree(entry)
    os.rmdir(path)


@contextlib.contextmanager
def explained(path: Path, done: str = "written") -> Iterator[None]:
    try:
        yield
    except errors.FileNotWritten:
        raise
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        failure = errors.FileNotWritten(
            f"{path} could not be {done}: {reason}. No file is left half-written."
        )
        failure.errno = error.errno
        raise failure from error
