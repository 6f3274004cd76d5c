"""Checkpoints: every byte is guarded, nothing is seen half, the last and the best are kept."""

import errno
import os
import shutil

import numpy as np
import pytest

from benchmarks.training.failing import failures
from chainrule import errors
from chainrule.train import checkpoints, files, json_text, tensors

ARRAYS = {"model/layers[0].weight": np.arange(6, dtype=np.float32).reshape(2, 3),
          "optimizer/count": np.array(7), "empty": np.zeros((0, 2), np.float16)}  # fmt: skip
FACTS = {"epoch": 3, "history": [{"loss": 0.1}, {"loss": float("inf")}], "rng": 2**70}


def save(folder, step, **options):
    return checkpoints.save(folder, step, ARRAYS, {**FACTS, "step": step}, **options)


def steps(folder):
    return [int(name.removeprefix("step-")) for name in sorted(os.listdir(folder))]


def test_arrays_and_facts_come_back_bit_for_bit(tmp_path):
    path = save(tmp_path, 1234)
    assert path.name == "step-00001234"
    assert sorted(os.listdir(path)) == ["facts.json", "manifest.json", "state.safetensors"]
    found = checkpoints.latest(tmp_path)
    assert found.step == 1234 and found.facts == {**FACTS, "step": 1234}
    assert list(found.arrays) == list(tensors.from_bytes(tensors.to_bytes(ARRAYS), "a"))
    assert all(tensors.same_bits(found.arrays[name], ARRAYS[name]) for name in ARRAYS)


def test_no_folder_and_an_empty_one_have_no_checkpoint(tmp_path):
    assert checkpoints.latest(tmp_path / "none") is None
    assert checkpoints.latest(tmp_path) is None and checkpoints.best(tmp_path) is None


def test_the_last_ones_and_the_best_are_kept(tmp_path):
    for step, score in [(1, 0.5), (2, 0.1), (3, 0.1), (4, float("nan")), (5, None), (6, 0.3)]:
        save(tmp_path, step, score=score, keep=2)
    assert steps(tmp_path) == [2, 5, 6]
    assert checkpoints.best(tmp_path).step == 2
    assert checkpoints.latest(tmp_path).step == 6


def test_a_run_that_starts_again_goes_on_from_what_it_saved_last(tmp_path):
    save(tmp_path, 300)
    save(tmp_path, 10, keep=1)
    assert checkpoints.latest(tmp_path).step == 10 and steps(tmp_path) == [10]
    checkpoints.save(tmp_path, 10, ARRAYS, {"again": True}, keep=1)
    assert checkpoints.latest(tmp_path).facts == {"again": True} and steps(tmp_path) == [10]


@pytest.mark.parametrize("name", ["facts.json", "manifest.json", "state.safetensors"])
def test_every_flipped_byte_is_seen_and_the_one_before_used(tmp_path, name):
    save(tmp_path, 1)
    path = save(tmp_path, 2) / name
    content = path.read_bytes()
    for at in range(0, len(content), 7):  # all of them: benchmarks/training/flips.py
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        seen = []
        found = checkpoints.latest(tmp_path, lambda where, reason: seen.append((where, reason)))
        assert found.step == 1
        assert [where.name for where, _ in seen] == ["step-00000002"]
        assert name in seen[0][1]
    path.write_bytes(content)
    assert checkpoints.latest(tmp_path).step == 2


@pytest.mark.parametrize("damage", ["cut", "longer", "missing", "foreign", "moved"])
def test_files_that_are_cut_missing_or_added_are_seen(tmp_path, damage):
    save(tmp_path, 1)
    path = save(tmp_path, 2)
    state = path / "state.safetensors"
    if damage == "cut":
        state.write_bytes(state.read_bytes()[:-1])
    elif damage == "longer":
        state.write_bytes(state.read_bytes() + b"\0")
    elif damage == "missing":
        state.unlink()
    elif damage == "foreign":
        (path / "code.pkl").write_bytes(b"")
    else:
        path.rename(tmp_path / "step-00000003")
    seen = []
    assert checkpoints.latest(tmp_path, lambda *facts: seen.append(facts)).step == 1
    assert len(seen) == 1


def test_another_version_is_named(tmp_path):
    path = save(tmp_path, 1) / "manifest.json"
    manifest = json_text.unsealed(path.read_bytes(), path)
    path.write_bytes(json_text.sealed({**manifest, "version": 99}))
    with pytest.raises(errors.FileDamaged, match="version 99; this chainrule reads .* version 1"):
        checkpoints.load(path.parent)


@pytest.mark.parametrize("how", [errno.ENOSPC, errno.EIO, "short"])
@pytest.mark.parametrize("step", [2, 1])  # a new one, and one in the place of another
def test_whichever_call_fails_a_whole_checkpoint_loads(tmp_path, how, step):
    def action():
        checkpoints.save(tmp_path, step, ARRAYS, {"new": True}, keep=1)

    original = save(tmp_path.with_name("original"), 1)
    shutil.copytree(original, tmp_path / original.name)
    seen = 0
    for name, error in failures(action, how):
        files.remove_leftovers(tmp_path)
        found = checkpoints.latest(tmp_path)
        assert found.facts == {**FACTS, "step": 1} or found.facts == {"new": True}, name
        assert how == "short" or error is not None or found.facts == {"new": True}, name
        for old in list(tmp_path.iterdir()):
            shutil.rmtree(old)
        shutil.copytree(original, tmp_path / original.name)
        seen += 1
    assert seen > 15


def test_what_cannot_be_stored_is_refused_before_anything_is_written(tmp_path):
    save(tmp_path, 1)
    with pytest.raises(TypeError, match=r"got ndarray at w"):
        checkpoints.save(tmp_path, 2, ARRAYS, {"w": np.ones(2)})
    with pytest.raises(errors.DtypeError, match="'z' is complex128"):
        checkpoints.save(tmp_path, 2, {"z": np.ones(1, complex)}, {})
    with pytest.raises(ValueError, match="a step from 0 and keep from 1"):
        checkpoints.save(tmp_path, 2, ARRAYS, {}, keep=0)
    assert steps(tmp_path) == [1]
