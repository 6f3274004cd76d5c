"""Writing whole or not at all: by reading back, and with every call of the system failed once."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.training.failing import failures
from chainrule import errors
from chainrule.train import files, json_text, tensors


def test_a_file_is_written_whole(tmp_path):
    path = tmp_path / "a.txt"
    files.write(path, "first, ü")
    files.write(path, b"second")
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("how", [errno.ENOSPC, errno.EIO, "short"])
def test_whichever_call_fails_the_file_is_the_old_or_the_new_one(tmp_path, how):
    path = tmp_path / "a.txt"
    seen = set()
    path.write_bytes(b"old" * 100)
    for name, error in failures(lambda: files.write(path, b"new" * 100), how):
        assert path.read_bytes() in (b"old" * 100, b"new" * 100)
        assert os.listdir(tmp_path) == ["a.txt"], name
        if how != "short":
            assert error is not None and error.errno == how, name
            assert str(path) in str(error) and "could not be written" in str(error)
            seen.add(name)
        path.write_bytes(b"old" * 100)
    assert how == "short" or seen == {"open", "write", "fsync", "close", "replace"}


@pytest.mark.parametrize("how", [errno.ENOSPC, errno.EIO, "short"])
def test_whichever_call_fails_the_folder_is_the_old_or_the_new_one(tmp_path, how):
    path = tmp_path / "a"

    def action():
        with files.new_folder(path) as new:
            files.write(new / "x", b"new")
            files.write(new / "y", b"new")

    def old():
        path.mkdir()
        (path / "x").write_bytes(b"old")

    def content():
        return {entry.name: entry.read_bytes() for entry in files.standing(path).iterdir()}

    old()
    seen = 0
    for name, error in failures(action, how):
        assert content() in ({"x": b"old"}, {"x": b"new", "y": b"new"}), name
        assert error is not None or len(content()) == 2, name
        files.remove_leftovers(tmp_path)
        assert os.listdir(tmp_path) == ["a"]
        files.remove_folder(path)
        old()
        seen += 1
    assert seen > 10


def test_a_kill_while_a_folder_is_replaced_loses_nothing(tmp_path):
    with files.new_folder(tmp_path / "a") as new:
        files.write(new / "x", b"old")
    os.rename(tmp_path / "a", tmp_path / ".replaced-a")  # killed here
    (tmp_path / ".new-a-0123abcd").mkdir()
    (tmp_path / ".new-plan").write_text("not ours")
    assert (files.standing(tmp_path / "a") / "x").read_bytes() == b"old"
    files.remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".new-plan", "a"]


def test_the_folder_that_one_is_in_stands_where_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert files.standing(".") == Path(".")


def test_what_is_appended_is_all_there_or_nothing(tmp_path):
    path = tmp_path / "log"
    files.append(path, b"first\n")
    for _, error in failures(lambda: files.append(path, b"second\n"), "short"):
        expected = b"first\n" if error else b"first\nsecond\n"
        assert path.read_bytes() == expected
        path.write_bytes(b"first\n")


def test_the_error_says_what_to_do(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(errors.FileNotWritten, match="it is a folder. Give the path of a file"):
        files.write(tmp_path, b"")
    with pytest.raises(errors.FileNotWritten, match="a part of the path is a file"):
        files.write(tmp_path / "file" / "x", b"")
    with pytest.raises(errors.FileNotWritten, match=r"nowhere/x could not be written: No such"):
        files.write(tmp_path / "nowhere" / "x", b"")


def test_reading_says_what_is_there_instead(tmp_path):
    files.write(tmp_path / "other", b"123")
    with pytest.raises(errors.FileDamaged, match=r"a\.json is missing: .* holds other"):
        files.read(tmp_path / "a.json")
    with pytest.raises(errors.FileDamaged, match="has 3 bytes; at most 2"):
        files.read(tmp_path / "other", 2)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(errors.FileDamaged, match="is not a plain file"):
            files.read(path)
    with pytest.raises(errors.FileDamaged, match="missing: there is no folder"):
        files.read(tmp_path / "other" / "a.json")


# --- JSON ----------------------------------------------------------------------------------------


def test_numbers_come_back_bit_for_bit():
    values = [0.1, 1e-320, float("inf"), 2**80, -0.0, 1 / 3]
    back = json_text.parsed(json_text.json_bytes(values), "a")
    assert [repr(v) for v in back] == [repr(v) for v in values]
    assert np.isnan(json_text.parsed(json_text.json_bytes(float("nan")), "a"))


def test_what_json_does_not_hold_is_refused_with_its_place():
    with pytest.raises(TypeError, match=r"got float32 at a\.b\[1\]\. Write float\(x\)"):
        json_text.json_bytes({"a": {"b": [1, np.float32(1)]}})
    with pytest.raises(TypeError, match=r"a key in JSON is text, got 3 at a"):
        json_text.json_bytes({"a": {3: 1}})


def test_a_key_that_stands_twice_is_refused():
    with pytest.raises(errors.FileDamaged, match=r"a\.json .* the key 'k' stands twice"):
        json_text.parsed(b'{"k": 1, "k": 2}', "a.json")
    with pytest.raises(errors.FileDamaged, match="nested too deeply"):
        json_text.parsed(b"[" * 100_000, "a.json")


def test_every_changed_bit_of_a_sealed_file_is_seen():
    content = json_text.sealed({"name": "ä", "sizes": [1, 2.5], "deep": {"x": None}})
    assert json_text.unsealed(content, "a")["name"] == "ä"
    for at in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[at] ^= 1 << bit
            with pytest.raises(errors.FileDamaged):
                json_text.unsealed(bytes(changed), "a")


# --- arrays --------------------------------------------------------------------------------------

SHAPES = [(), (0,), (3, 0, 2), (1,), (2, 3, 4)]


@pytest.mark.parametrize("code", list(tensors.DTYPES.values()))
def test_arrays_come_back_bit_for_bit(code):
    rng = np.random.default_rng(3)
    given = {f"a[{i}].w ü": rng.normal(size=s).astype(code) for i, s in enumerate(SHAPES)}
    back = tensors.from_bytes(tensors.to_bytes(given), "a")
    assert back.keys() == given.keys()
    for name, array in given.items():
        assert tensors.same_bits(array, back[name])
        assert back[name].flags.writeable


def test_any_order_in_memory_is_stored_as_it_reads():
    base = np.arange(24.0).reshape(2, 3, 4)
    views = {"t": base.T, "s": base[:, ::-2], "f": np.asfortranarray(base), "b": base.astype(">f4"),
             "0": np.broadcast_to(np.float32(3), (2, 2))}  # fmt: skip
    back = tensors.from_bytes(tensors.to_bytes(views), "a")
    for name, array in views.items():
        assert back[name].dtype == array.dtype.newbyteorder("=")
        assert np.array_equal(back[name], array)


def test_nan_payloads_and_signed_zeros_are_kept():
    array = np.array([0x7FC00001, 0x80000000, 0xFF800000], np.uint32).view(np.float32)
    back = tensors.from_bytes(tensors.to_bytes({"a": array}), "a")["a"]
    assert back.tobytes() == array.tobytes()


def test_other_dtypes_are_refused_by_name():
    with pytest.raises(errors.DtypeError, match="'layers.w' is complex128"):
        tensors.to_bytes({"layers.w": np.ones(2, complex)})
    with pytest.raises(errors.DtypeError, match="'o' is object"):
        tensors.to_bytes({"o": np.array([None])})


def test_a_library_that_stores_wrongly_is_found_out(monkeypatch):
    real = tensors._library()

    class Wrong:
        load = staticmethod(real.load)

        @staticmethod
        def save(arrays):
            return real.save({name: array[::-1].copy() for name, array in arrays.items()})

    monkeypatch.setattr(tensors, "_library", Wrong)
    with pytest.raises(errors.FileDamaged, match="stored the array 'a' wrongly"):
        tensors.to_bytes({"a": np.arange(3.0)})
