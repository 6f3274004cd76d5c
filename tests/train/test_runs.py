"""Run folders: what is written comes back, after a kill too; one process writes at a time."""

import json
import math
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from chainrule import errors
from chainrule.train import Run, files

WEIGHTS = {"w": np.arange(3.0)}


@pytest.fixture
def run(tmp_path):
    with Run.create(tmp_path / "run", {"seed": 3, "cli": {"data": "a.csv"}}) as made:
        yield made


def reopened(run):
    run.close()
    return Run.open(run.folder)


def test_config_comes_back_and_a_folder_takes_one_run(run):
    assert reopened(run).config == {"seed": 3, "cli": {"data": "a.csv"}}
    with pytest.raises(FileExistsError, match="holds a run already. Resume it, or give another"):
        Run.create(run.folder, {})
    assert Run.open(run.folder).config["seed"] == 3


def test_a_folder_without_a_run_is_no_run(tmp_path):
    with pytest.raises(errors.FileDamaged, match=r"config\.json is missing"):
        Run.open(tmp_path)
    files.write(tmp_path / "config.json", '{"run_version": 9}')
    with pytest.raises(errors.FileDamaged, match="is of version 9; this chainrule reads 1"):
        Run.open(tmp_path)
    files.write(tmp_path / "config.json", "[]")
    with pytest.raises(errors.FileDamaged, match="no config of a run"):
        Run.open(tmp_path)


def test_a_config_that_json_does_not_hold_leaves_no_folder(tmp_path):
    with pytest.raises(TypeError, match="got function at loss"):
        Run.create(tmp_path / "run", {"loss": reopened})
    assert os.listdir(tmp_path) == []


def test_the_log_is_strict_json_a_line(run):
    run.log("babysitter", action="skip", reason="the loss is nan", loss=math.nan, sizes=[1, 2])
    run.log("note", text="über\nzwei Zeilen")
    text = (run.folder / "log.jsonl").read_text()
    first, second = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert first["loss"] == "nan" and first["sizes"] == [1, 2] and first["time"] > 1e9
    assert second["text"] == "über\nzwei Zeilen"
    assert [event["event"] for event in run.events()] == ["babysitter", "note"]


def test_metrics_come_back_as_numbers(run):
    run.scalars(1, loss=0.1, other=math.inf)
    run.scalars(2, loss=np.float32(0.1), other=math.nan, count=7)
    first, second = run.metrics()
    assert (first["step"], first["loss"], first["other"]) == (1, 0.1, math.inf)
    assert second["loss"] == float(np.float32(0.1)) and second["count"] == 7
    assert math.isnan(second["other"])
    with pytest.raises(TypeError, match="loss is a number, got None"):
        run.scalars(3, loss=None)


@pytest.mark.parametrize("name", ["log.jsonl", "metrics.jsonl"])
def test_a_line_cut_short_is_passed_over_and_removed_by_the_next_write(run, name):
    def write(target, number):
        target.log("event", number=number)
        target.scalars(number, loss=number)

    write(run, 1)
    write(run, 2)
    path = run.folder / name
    whole = path.read_bytes()
    for cut in range(1, len(whole.splitlines()[1])):
        path.write_bytes(whole[:-cut])
        other = reopened(run)
        left = 2 if cut == 1 else 1  # without its newline a line is still whole
        assert len(other.events() if name == "log.jsonl" else other.metrics()) == left
    assert path.read_bytes() == whole[:-cut]  # reading changes nothing
    with reopened(run) as other:
        write(other, 3)
        found = [json.loads(line) for line in path.read_text().splitlines()]
        assert [line.get("number", line.get("step")) for line in found] == [1, 3]


def test_values_of_steps_that_come_again_give_way(run):
    for step in range(1, 6):
        run.scalars(step, loss=float(step))
        run.scalars(step, validation_loss=-float(step))  # joins the same step
    run.scalars(3, loss=30.0)  # after a rollback
    run.scalars(4, loss=40.0)
    found = [(m["step"], m.get("loss", m.get("validation_loss"))) for m in run.metrics()]
    assert found == [(1, 1), (1, -1), (2, 2), (2, -2), (3, -3), (3, 30), (4, 40)]
    run.rewind(2)
    assert [line["step"] for line in run.metrics()] == [1, 1, 2, 2]


def test_a_step_whose_end_was_not_saved_comes_again_without_its_beginning(run):
    """The checkpoint lies between a stretch's values and the epoch's, at the same step."""
    run.scalars(1, loss=1.0)
    run.scalars(1, validation_loss=2.0)  # killed behind this
    with reopened(run) as other:
        other.scalars(1, validation_loss=2.5)
        assert [line.get("loss") for line in other.metrics()] == [1.0, None]
        assert other.metrics()[1]["validation_loss"] == 2.5


def test_a_damaged_checkpoint_is_logged_and_the_one_before_used(run):
    run.save_checkpoint(1, WEIGHTS, {"epoch": 1}, score=0.5)
    path = run.save_checkpoint(2, WEIGHTS, {"epoch": 2}, score=0.4)
    state = path / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1] + b"\1")
    for other in (run, reopened(run)):
        assert other.latest_checkpoint().facts == {"epoch": 1}
        assert other.best_checkpoint().step == 1
    damaged = [event for event in run.events() if event["event"] == "damaged checkpoint"]
    assert len(damaged) == 4 and damaged[0]["checkpoint"] == "step-00000002"
    assert "state.safetensors is not what was written" in damaged[0]["reason"]
    assert "The intact one before it is used" in damaged[0]["reason"]


def test_who_only_reads_warns_of_a_damaged_checkpoint(run):
    run.save_checkpoint(1, WEIGHTS, {})
    (run.save_checkpoint(2, WEIGHTS, {}) / "facts.json").write_bytes(b"{}")
    with pytest.warns(RuntimeWarning, match="damaged checkpoint: .*facts.json"):
        assert Run.open(run.folder).latest_checkpoint().step == 1


def test_one_process_writes_at_a_time(run):
    run.log("first")
    other = Run.open(run.folder)
    with pytest.raises(errors.RunInUse, match=rf"another process \(process {os.getpid()}\)"):
        other.log("second")
    run.close()
    other.log("second")
    assert [event["event"] for event in run.events()] == ["first", "second"]
    other.close()


def test_a_killed_process_holds_no_lock(tmp_path):
    code = (
        "import os, signal, sys; from chainrule.train import Run\n"
        "run = Run.create(sys.argv[1], {}); run.log('started')\n"
        "os.mkdir(run.folder / '.new-x-0123abcd'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], timeout=120)
    assert done.returncode == -signal.SIGKILL
    with Run.open(tmp_path / "run") as run:
        run.log("resumed")
        assert [event["event"] for event in run.events()] == ["started", "resumed"]
    assert sorted(os.listdir(run.folder)) == ["config.json", "lock", "log.jsonl"]


def test_a_run_ends_once_with_its_facts(run):
    assert not run.finished and run.result is None
    run.finish({"stopped": "epochs", "loss": 0.1})
    other = reopened(run)
    assert other.finished and other.result == {"stopped": "epochs", "loss": 0.1}


def test_a_file_is_no_run_and_the_run_around_it_is_named(run, tmp_path):
    files.write(tmp_path / "rows.csv", "a,b")
    with pytest.raises(errors.FileDamaged, match=r"rows\.csv is a file. A run is a folder") as told:
        Run.open(tmp_path / "rows.csv")
    assert "lies in the run" not in str(told.value)
    with pytest.raises(errors.FileDamaged, match=f"It lies in the run {run.folder}: name that"):
        Run.open(run.folder / "config.json")
