"""Runs that are stopped: by Ctrl-C, by a kill, before their first checkpoint."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chainrule import train
from chainrule.cli import main

FIT = ["fit", "iris", "--hidden", "4", "--checkpoint-every", "60", "--progress", "none"]
LONG, SHORT = ["--epochs", "300", "--output"], ["--epochs", "3", "--output"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("interrupted")


@pytest.fixture(scope="module")
def weights(place):
    """The weights of a long run that nothing interrupted."""
    assert main([*FIT, *LONG, str(place / "long")]) == 0
    return (place / "long" / "model" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def short(place):
    """A short run that nothing interrupted."""
    assert main([*FIT, *SHORT, str(place / "short")]) == 0
    return place / "short"


def started(*arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "chainrule", *map(str, arguments)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "src"},
        cwd=Path(__file__).parents[2],
    )  # fmt: skip


def stopped(process: subprocess.Popen, run: Path, step: int, how: int) -> str:
    """Send a signal once a later checkpoint than `step` stands; what the process said."""
    deadline = time.monotonic() + 60
    while not any(int(p.name[5:]) > step for p in run.glob("checkpoints/step-*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(how)
    return process.communicate(timeout=60)[1]


def test_a_run_that_is_interrupted_and_killed_ends_at_the_same_bits(place, weights, capsys):
    run = place / "stopped"
    process = started(*FIT, *LONG, run)
    said = stopped(process, run, 0, signal.SIGINT)
    assert process.returncode == 130 and "Traceback" not in said
    assert f"Go on with: chainrule resume {run}" in said
    assert not (run / "finished.json").exists()
    latest = max(int(path.name[5:]) for path in run.glob("checkpoints/step-*"))

    process = started("resume", run, "--progress", "none")
    stopped(process, run, latest, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert main(["predict", str(run), "iris"]) == 1
    assert f"Let it go on: chainrule resume {run}" in capsys.readouterr().err

    assert main(["resume", str(run), "--progress", "none"]) == 0
    assert "accuracy" in capsys.readouterr().out
    assert (run / "model" / "model.safetensors").read_bytes() == weights


def test_a_run_that_is_killed_before_its_first_checkpoint_starts_over(place, short):
    run = place / "early"
    run.mkdir()
    shutil.copy(short / "config.json", run)
    assert main(["resume", str(run), "--progress", "none"]) == 0
    one, other = (folder / "model" / "model.safetensors" for folder in (run, short))
    assert one.read_bytes() == other.read_bytes()


def test_a_kill_between_the_training_and_its_test_costs_neither(place, short, capsys):
    run = place / "untested"
    shutil.copytree(short, run)
    model, about = train.load_model(short / "model")
    figures = about.pop("test")
    train.save_model(model, run / "model", about)  # as the training leaves it
    assert main(["resume", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["test"] == figures
    assert train.load_model(run / "model")[1]["test"] == figures


def test_resume_finds_data_that_were_moved_and_refuses_other_data(place, capsys):
    table, run = place / "rows.csv", place / "moved"
    table.write_text("x,y\n" + "".join(f"{i % 7},{(i % 7) ** 2}.5\n" for i in range(40)))
    assert main(["fit", str(table), "--target", "y", "--epochs", "2", "--output", str(run)]) == 0
    shutil.rmtree(run / "model")
    (run / "finished.json").unlink()
    capsys.readouterr()
    other = table.rename(place / "elsewhere.csv")
    assert main(["resume", str(run)]) == 1
    assert "neither a file or folder" in capsys.readouterr().err
    changed = place / "changed.csv"
    changed.write_text(other.read_text().replace("3,9.5", "3,9.25", 1))
    assert main(["resume", str(run), "--data", str(changed)]) == 1
    assert "not what the run was started with" in capsys.readouterr().err
    assert main(["resume", str(run), "--data", str(other)]) == 0
