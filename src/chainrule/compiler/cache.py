"""Object code kept on disk, by what it was made from and for which processor.

An entry is a file named by the SHA-256 of the LLVM IR, the processor and its features, the versions
of LLVM and llvmlite, and the level of optimisation. It holds that name again, the digest of the
object code, and the object code. An entry that is damaged, cut short or of another name is ignored
and written anew; code from it is never loaded. The folder must belong to the user and be closed to
everybody else, or nothing is read from it or written to it.

    CHAINRULE_CACHE         the folder (default: chainrule in the user's cache folder); empty: none
    CHAINRULE_CACHE_BYTES   how large it may grow (default 1 GiB); what was used least recently goes
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm

from chainrule.compiler.machine_code import MODEL, host, object_code

_MAGIC = b"chainrule object code 1\n"
_KEY_BYTES = 32
_DEFAULT_LIMIT = 1 << 30


def folder() -> Path | None:
    """The folder of the cache; None where the user wants none."""
    named = os.environ.get("CHAINRULE_CACHE")
    if named is not None:
        return Path(named) if named else None
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "chainrule"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "chainrule"


def cached_object_code(ir: str, level: int = 2) -> bytes:
    """The object code of a module's text: from the cache, or compiled and put there."""
    place = _private_folder()
    if place is None:
        return object_code(ir, level)
    key = _key(ir, level)
    path = place / key.hex()
    found = _read(path, key)
    if found is None:
        found = object_code(ir, level)
        _write(path, key, found)
    return found


def _key(ir: str, level: int) -> bytes:
    made = hashlib.sha256()
    versions = f"{llvm.llvm_version_info} {llvmlite.__version__}"
    made.update(f"{versions} {level} {MODEL} {' '.join(host())}\n".encode())
    made.update(ir.encode())
    return made.digest()


def _private_folder() -> Path | None:
    """The folder, made if need be; None where it is not the user's own, or cannot be used."""
    place = folder()
    if place is None:
        return None
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = place.stat()
    except (OSError, RuntimeError):  # no home, no space, read-only: compile without a cache
        return None
    if not hasattr(os, "getuid"):
        return place
    others = stat.S_IRWXG | stat.S_IRWXO
    own = status.st_uid == os.getuid() and stat.S_ISDIR(status.st_mode)
    return place if own and not status.st_mode & others else None


def _read(path: Path, key: bytes) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    head = len(_MAGIC) + 2 * _KEY_BYTES
    code = content[head:]
    if content[:head] != _MAGIC + key + hashlib.sha256(code).digest():
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # used now: the oldest go first
    return code


def _write(path: Path, key: bytes, code: bytes) -> None:
    """Write an entry whole or not at all; without a cache where that fails."""
    try:
        number, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(number, "wb") as file:
                file.write(_MAGIC + key + hashlib.sha256(code).digest() + code)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
        _trim(path.parent)
    except OSError:
        return


def _limit() -> int:
    try:
        return int(os.environ.get("CHAINRULE_CACHE_BYTES", _DEFAULT_LIMIT))
    except ValueError:
        return _DEFAULT_LIMIT


def _trim(place: Path) -> None:
    """Remove the entries used least recently until the folder is within its limit."""
    entries = []
    for entry in os.scandir(place):
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue  # another process removed it
        entries.append((status.st_mtime, status.st_size, entry.path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= _limit():
            return
        try:
            os.unlink(path)
        except OSError:
            continue
        total -= size
