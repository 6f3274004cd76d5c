"""chainrule tune: a table searched, its best network a run that the other commands take."""

import json

import pytest

from chainrule.cli import main

FAST = [
    "--epochs", "3", "--batch-size", "32", "--activation", "relu", "--no-batch-norm", "--no-report",
]  # fmt: skip


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune") / "tuned"
    line = ["tune", "iris", "--output", str(folder), "--trials", "2", *FAST]
    assert main([*line, "--json"]) == 0
    return folder, line


def test_the_best_network_is_a_run_whose_test_was_scored_once(tuned, capsys):
    folder, line = tuned
    assert main([*line, "--json"]) == 0  # the search is over: the same figures
    facts = json.loads(capsys.readouterr().out)
    assert facts["trials"] == facts["complete"] + facts["pruned"] == 2 and facts["steps"] > 0
    assert main(["evaluate", str(folder / "best"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == facts["test"]["accuracy"]
    assert main(["predict", str(folder / "best"), "iris"]) == 0
    assert capsys.readouterr().out.count("\n") == 151


def test_the_best_network_is_exported_with_the_preparation(tuned, tmp_path, capsys):
    path = tmp_path / "iris.onnx"
    line = ["export", str(tuned[0] / "best"), "--output", str(path), "--table", "iris", "--json"]
    assert main(line) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["difference"] < 1e-5 and len(facts["input"]) == 4


def test_what_is_said_is_not_searched(tuned):
    folder, _ = tuned
    lines = (folder / "trials.jsonl").read_text().splitlines()
    assert [json.loads(line)["activation"] for line in lines
            if json.loads(line)["depth"]] != []  # fmt: skip
    assert {json.loads(line).get("activation", "relu") for line in lines} == {"relu"}


def test_mistakes_are_told(tuned, capsys):
    _, line = tuned
    assert main(["tune", "iris", "--hidden", "3"]) == 2
    assert "tune takes no --hidden" in capsys.readouterr().err
    assert main([*line, "--seed", "5"]) == 1
    assert "a search with another data, seed" in capsys.readouterr().err


def test_a_network_of_another_kind_is_searched_with_its_layers_given(tmp_path, capsys):
    folder = tmp_path / "tuned"
    line = ["tune", "digits", "--model", "cnn", "--filters", "2", "--hidden", "4", "--trials", "2",
            "--output", str(folder), "--epochs", "1", "--no-report"]  # fmt: skip
    assert main([*line, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["best"]["filters"] == "2" and facts["best"]["model"] == "cnn"
    assert {"l2", "dropout", "step_size"} < set(facts["best"]) and "depth" not in facts["best"]
    stored = json.loads((folder / "best" / "config.json").read_text())["cli"]["plan"]["model"]
    assert stored["kind"] == "cnn" and stored["filters"] == [2] and stored["hidden"] == [4]
    assert main(["predict", str(folder / "best"), "digits"]) == 0
    assert capsys.readouterr().out.count("\n") == 1798
    assert main(["tune", "digits", "--model", "cnn", "--only", "architecture"]) == 2
    assert main(["tune", "digits", "--model", "linear", "--hidden", "3"]) == 2
    assert "tune takes no --hidden" in capsys.readouterr().err
