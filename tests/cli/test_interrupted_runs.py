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

OPTIONS = ["--target", "y", "--hidden", "4", "--checkpoint-every", "60", "--progress", "none",
           "--no-report"]  # fmt: skip
LONG, SHORT = ["--epochs", "300", "--output"], ["--epochs", "3", "--output"]


def table(place: Path, change: str = "") -> str:
    """A table of 150 rows; with a change, one value of it is another one."""
    path = place / f"rows{change}.csv"
    values = [f"{i % 7},{i % 5},{(i % 7) ** 2 + i % 5}.5" for i in range(150)]
    values[40] += change
    path.write_text("\n".join(["a,b,y", *values]) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("interrupted")


@pytest.fixture(scope="module")
def weights(place):
    """The weights of a long run that nothing interrupted."""
    assert main(["fit", table(place), *OPTIONS, *LONG, str(place / "long")]) == 0
    return (place / "long" / "model" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def short(place):
    """A short run that nothing interrupted."""
    assert main(["fit", table(place), *OPTIONS, *SHORT, str(place / "short")]) == 0
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
    process = started("fit", table(place), *OPTIONS, *LONG, run)
    said = stopped(process, run, 0, signal.SIGINT)
    assert process.returncode == 130 and "Traceback" not in said
    assert f"Go on with: chainrule resume {run}" in said
    assert not (run / "finished.json").exists()
    latest = max(int(path.name[5:]) for path in run.glob("checkpoints/step-*"))

    process = started("resume", run, "--progress", "none")
    stopped(process, run, latest, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert main(["predict", str(run), table(place)]) == 1
    assert f"Let it go on: chainrule resume {run}" in capsys.readouterr().err

    assert main(["resume", str(run), "--progress", "none"]) == 0
    assert "root mean squared error" in capsys.readouterr().out
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


def test_resume_finds_data_that_were_moved_and_refuses_other_data(place, short, capsys):
    run = place / "moved"
    shutil.copytree(short, run)
    shutil.rmtree(run / "model")
    (run / "finished.json").unlink()
    Path(table(place)).unlink()
    assert main(["resume", str(run)]) == 1
    assert "neither a file or folder" in capsys.readouterr().err
    assert main(["resume", str(run), "--data", table(place, "1")]) == 1
    assert "not what the run was started with" in capsys.readouterr().err
    assert main(["resume", str(run), "--data", table(place, "0")]) == 0
    one, other = (folder / "model" / "model.safetensors" for folder in (run, short))
    assert one.read_bytes() == other.read_bytes()
