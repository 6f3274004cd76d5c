"""The cache of object code on disk."""

import os
import stat

import pytest

from chainrule.compiler import cache
from chainrule.compiler.machine_code import Loaded

IR = "define i32 @f() {\n  ret i32 7\n}\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "objects"))
    return tmp_path / "objects"


@pytest.fixture
def compilations(monkeypatch):
    """Counts the modules that are compiled."""
    count = []
    real = cache.object_code
    monkeypatch.setattr(cache, "object_code", lambda *a: count.append(a) or real(*a))
    return count


def test_second_request_reads_what_the_first_one_wrote(place, compilations):
    first = cache.cached_object_code(IR)
    assert cache.cached_object_code(IR) == first
    assert len(compilations) == 1
    assert Loaded(first).address("f")


def test_folder_is_private_to_the_user(place):
    cache.cached_object_code(IR)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in place.iterdir())


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: b"",
        lambda content: b"x" + content[1:],
        lambda content: content + b"more",
    ],
)
def test_damaged_entry_is_compiled_again_and_rewritten(place, compilations, damage):
    first = cache.cached_object_code(IR)
    (entry,) = place.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    assert cache.cached_object_code(IR) == first
    assert entry.read_bytes() == whole
    assert len(compilations) == 2


def test_entry_under_the_name_of_another_is_not_used(place, compilations):
    cache.cached_object_code(IR)
    (entry,) = place.iterdir()
    other = IR.replace("7", "8")
    foreign = place / cache.object_key(other, 2).hex()
    foreign.write_bytes(entry.read_bytes())
    cache.cached_object_code(other)
    assert len(compilations) == 2
    assert foreign.read_bytes() != entry.read_bytes()


def test_entry_is_for_one_processor(place, compilations, monkeypatch):
    cache.cached_object_code(IR)
    triple, cpu, features = cache.host()
    monkeypatch.setattr(cache, "host", lambda: (triple, "x" + cpu, features))
    cache.cached_object_code(IR)
    assert len(compilations) == 2


def test_folder_open_to_others_is_not_used(place, compilations):
    place.mkdir()
    os.chmod(place, 0o755)
    cache.cached_object_code(IR)
    assert not list(place.iterdir())
    cache.cached_object_code(IR)
    assert len(compilations) == 2


def test_no_folder_no_cache(monkeypatch, compilations):
    monkeypatch.setenv("CHAINRULE_CACHE", "")
    assert cache.folder() is None
    cache.cached_object_code(IR)
    assert len(compilations) == 1


def test_cache_stays_within_its_limit(place, monkeypatch):
    size = len(cache.cached_object_code(IR)) + 200
    monkeypatch.setenv("CHAINRULE_CACHE_BYTES", str(3 * size))
    for i in range(10, 20):
        cache.cached_object_code(IR.replace("7", str(i)))
    assert 1 <= len(list(place.iterdir())) <= 3
    newest = place / cache.object_key(IR.replace("7", "19"), 2).hex()
    assert newest.exists()
