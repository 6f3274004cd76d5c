"""What the compiler keeps on disk, by what it was made from and for which processor.

An entry is a file named by a SHA-256: of all that its content depends on. It holds that name again,
the digest of the content, and the content: object code, or the description of a compiled program
(kept.py). An entry that is damaged, cut short or of another name is ignored and written anew;
nothing of it is used. The folder must belong to the user and be closed to everybody else, or
nothing is read from it or written to it.

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
from collections.abc import Callable
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm

from chainrule.compiler.machine_code import MODEL, host, object_code
from chainrule.compiler.source import IMPORTED, source_digest

_MAGIC = b"chainrule object code 1\n"
_KEY_BYTES = 32
_DEFAULT_LIMIT = 1 << 30
_PART = 64  # an entry of so small a part of the limit makes room only now and then


def folder() -> Path | None:
    """The folder of the cache; None where the user wants none."""
    named = os.environ.get("CHAINRULE_CACHE")
    if named is not None:
        return Path(named) if named else None
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "chainrule"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "chainrule"


def key_of(*parts: str) -> bytes:
    """The key of what is made from these texts by this LLVM, for this processor."""
    made = hashlib.sha256()
    versions = f"{llvm.llvm_version_info} {llvmlite.__version__}"
    for part in (versions, f"{MODEL} {' '.join(host())}", *parts):
        made.update(f"{len(part)}\n{part}\n".encode())
    return made.digest()


def object_key(ir: str, level: int = 2) -> bytes:
    """The key of the object code of a module's text."""
    return key_of("module", str(level), ir)


def cached_object_code(ir: str, level: int = 2) -> bytes:
    """The object code of a module's text: from the cache, or compiled and put there."""
    return _cached(lambda: object_key(ir, level), lambda: object_code(ir, level))


def own_object_code(name: str, text: Callable[[], str], level: int) -> bytes:
    """The object code of a module of chainrule's own, which is written only where it is not in the
    cache: by its name, of which there is one, and chainrule's source."""
    source = None if private_folder() is None else source_digest(IMPORTED)
    if source is None:  # there is no cache, or it is of other source
        return object_code(text(), level)
    return _cached(
        lambda: key_of("own module", name, str(level), source),
        lambda: object_code(text(), level),
    )


def _cached(key: Callable[[], bytes], make: Callable[[], bytes]) -> bytes:
    if private_folder() is None:
        return make()
    name = key()
    found = read(name)
    if found is None:
        found = make()
        keep(name, found)
    return found


def private_folder() -> Path | None:
    """The folder, made if need be; None where it is not the user's own, or cannot be used."""
    place = folder()
    if place is None:
        return None
    try:
        status = _status(place)
    except (OSError, RuntimeError):  # no home, no space, read-only: compile without a cache
        return None
    if not hasattr(os, "getuid"):
        return place
    others = stat.S_IRWXG | stat.S_IRWXO
    own = status.st_uid == os.getuid() and stat.S_ISDIR(status.st_mode)
    return place if own and not status.st_mode & others else None


def _status(place: Path) -> os.stat_result:
    try:
        return os.stat(place)
    except FileNotFoundError:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.stat(place)


def read(key: bytes) -> bytes | None:
    """The content of an entry, whole; None where there is none."""
    place = private_folder()
    if place is None:
        return None
    path = place / key.hex()
    try:
        entry = path.read_bytes()
    except OSError:
        return None
    head = len(_MAGIC) + 2 * _KEY_BYTES
    content = entry[head:]
    if entry[:head] != _MAGIC + key + hashlib.sha256(content).digest():
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # used now: the oldest go first
    return content


def keep(key: bytes, content: bytes) -> None:
    """Write an entry whole or not at all; nothing where that fails.

    What a crash of the machine leaves of it is found by its digest, so nobody waits for the disk.
    """
    place = private_folder()
    if place is None:
        return
    try:
        number, name = tempfile.mkstemp(dir=place, prefix=".new-")
        try:
            with os.fdopen(number, "wb") as file:
                file.write(_MAGIC + key + hashlib.sha256(content).digest() + content)
            os.replace(name, place / key.hex())
        except BaseException:
            os.unlink(name)
            raise
        if len(content) * _PART > _limit() or key[0] < 256 // _PART:
            _trim(place)
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
