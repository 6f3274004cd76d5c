"""Small runs of the long proofs on disturbed saving: benchmarks/training says what they prove."""

import os
import subprocess
import sys

import pytest

from benchmarks.training import io_failures, power
from chainrule.train import files


@pytest.mark.parametrize(
    "kills",
    ["at_calls([20, 61, 130, 222, 301], 'heavy ball, accumulated')",
     "at_calls([90, 341, 602], 'L-BFGS, early stopping')",
     "proof(0, 3, ['L-BFGS, early stopping'])"],
)  # fmt: skip
def test_runs_that_are_killed_end_at_the_bits_of_one_that_was_not(tmp_path, kills):
    """In a process of its own: forking one with threads is not safe."""
    code = f"from benchmarks.training import kills; print(kills.{kills})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300,
        env={**os.environ, "CHAINRULE_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_power_failure_leaves_the_old_or_the_new(tmp_path):
    original, place, base = (tmp_path / name for name in ("original", "place", "base"))
    original.mkdir()
    io_failures.prepare(original)
    action = io_failures.ACTIONS["a model in the place of another"]
    assert io_failures.power_failures(action, original, base, place) > 100


def test_what_is_not_synced_is_lost_in_the_model_of_a_power_failure(tmp_path):
    base, place = tmp_path / "base", tmp_path / "place"
    base.mkdir()

    def careless():
        number = files.os.open(base / "a", os.O_WRONLY | os.O_CREAT)
        files.os.write(number, b"123456")
        files.os.close(number)
        files.os.rename(base / "a", base / "b")

    seen = set()
    for _ in power.states(base, careless, place):
        seen |= {(path.name, path.read_bytes()) for path in place.iterdir()}
    whole = {(name, content) for name in "ab" for content in (b"", b"123", b"123456")}
    assert seen == whole
