"""Searches: seeded, pruned, shared by processes, gone on with after a kill, tested once."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import optuna
import pytest

from chainrule import errors, nn, search, train
from chainrule.search import journal
from chainrule.search.plans import fit_options, model_options, network
from chainrule.search.result import best_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3)).astype("f")
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
SETS = (X[:60], Y[:60]), (X[60:90], Y[60:90]), (X[90:], Y[90:])
SMALL = search.restricted(
    depth=1, width=[3], skips="none", activation="relu", init="he",
    batch_norm=False, optimizer="AdamW", schedule="constant", batch_size=20, dropout=0.0,
)  # fmt: skip
OPTIONS = {"task": "classification", "outputs": 2, "space": SMALL, "epochs": 3}
SCRIPT = """
import sys
sys.path.insert(0, {here!r})
from test_search import OPTIONS, SETS
from chainrule import search
search.search({folder!r}, *SETS[:2], trials={trials}, storage={journal!r}, final=False, **OPTIONS)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return folder, search.search(folder, *SETS, trials=4, seed=3, **OPTIONS)


def test_a_search_leaves_its_trials_the_best_model_and_one_test(found):
    folder, result = found
    assert len(result.trials) == 4 and result.count("FAIL") == 0
    assert result.best == best_of(result.trials)
    assert result.steps == sum(t["steps"] for t in result.trials) > 0 and result.seconds > 0
    model, _ = train.load_model(folder / "best" / "model")
    accuracy = np.mean(model(SETS[2][0]).argmax(axis=1) == SETS[2][1])
    assert result.test["accuracy"] == pytest.approx(accuracy)
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    assert [line["trial"] for line in lines] == [0, 1, 2, 3]
    assert (folder / "trials.csv").read_text().count("\n") == 5


def test_the_best_trial_trained_again_has_the_error_of_the_trial(found):
    folder, result = found
    model, _ = train.load_model(folder / "best" / "model")
    error = np.mean(model(SETS[1][0]).argmax(axis=1) != SETS[1][1])
    assert error == pytest.approx(result.best["error"], abs=1e-15)


def test_the_same_seed_gives_the_same_trials(found, tmp_path):
    again = search.search(tmp_path, *SETS[:2], trials=3, seed=3, final=False, **OPTIONS)
    names = set(again.trials[0]) - {"seconds"}
    for one, other in zip(found[1].trials, again.trials, strict=False):
        assert {n: one.get(n) for n in names} == {n: other.get(n) for n in names}


def test_a_search_that_was_tested_is_over(found):
    folder, result = found
    before = (folder / "trials.jsonl").read_text()
    said: list[str] = []
    again = search.search(folder, *SETS, trials=9, seed=3, say=said.append, **OPTIONS)
    assert len(said) == 1 and "has ended" in said[0] and "another folder" in said[0]
    assert again.test == result.test and len(again.trials) == 4
    assert (folder / "trials.jsonl").read_text() == before


def test_another_space_or_data_is_refused(found):
    folder, _ = found
    with pytest.raises(errors.DataError, match="a search with another seed"):
        search.search(folder, *SETS, trials=9, seed=4, **OPTIONS)
    with pytest.raises(errors.DataError, match="another data"):
        search.search(folder, SETS[0], SETS[2], trials=9, seed=3, **OPTIONS)


def _process(tmp_path, name, trials):
    code = SCRIPT.format(
        here=os.path.dirname(__file__), folder=str(tmp_path / name), trials=trials,
        journal=str(tmp_path / "shared.journal"),
    )  # fmt: skip
    return subprocess.Popen([sys.executable, "-c", code])


def test_two_processes_share_a_search_that_goes_on_after_a_kill(tmp_path):
    killed = _process(tmp_path, "killed", 6)
    log = tmp_path / "killed" / "trials.jsonl"
    end = time.monotonic() + 60
    while not (log.exists() and log.read_text().count("\n") >= 1):
        assert killed.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    other = _process(tmp_path, "one", 6)
    options = {**OPTIONS, "trials": 6, "storage": tmp_path / "shared.journal"}
    search.search(tmp_path / "two", *SETS, final=False, **options)
    assert other.wait(timeout=100) == 0
    result = search.search(tmp_path / "end", *SETS, **options)
    assert result.count("COMPLETE") + result.count("PRUNED") == 6
    assert {t["why"] for t in result.trials if t["state"] == "FAIL"} <= {"its process ended"}
    numbers = []
    for name in ("killed", "one", "two"):
        log = tmp_path / name / "trials.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []  # the other was quicker
        numbers += [json.loads(line)["trial"] for line in lines]
    assert len(numbers) == len(set(numbers)) and result.test


def test_a_trial_of_a_process_that_was_killed_while_it_asked_is_given_up(tmp_path):
    options = {**OPTIONS, "trials": 1, "final": False}
    search.search(tmp_path, *SETS[:2], **options)
    optuna.load_study(
        study_name="chainrule", storage=journal.storage(tmp_path / "search.journal")
    ).ask()
    again = search.search(tmp_path, *SETS[:2], **{**options, "trials": 2})
    assert [t["state"] for t in again.trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert again.left == 0


def test_a_line_that_a_kill_left_unfinished_is_cut_off(tmp_path):
    options = {**OPTIONS, "trials": 1, "final": False}
    search.search(tmp_path, *SETS[:2], **options)
    with (tmp_path / "search.journal").open("a") as file:
        file.write('{"op_code":4,"wor')
    again = search.search(tmp_path, *SETS[:2], **{**options, "trials": 2})
    assert again.count("COMPLETE") == 2


def test_trials_that_lag_behind_are_given_up(tmp_path):
    space = search.restricted(SMALL, step_size=[1e-9, 1e-2], l2=1e-8)
    options = {**OPTIONS, "space": space, "epochs": 10}
    result = search.search(tmp_path, *SETS[:2], trials=14, final=False, **options)
    pruned = [t for t in result.trials if t["state"] == "PRUNED"]
    assert pruned and all(t["epochs"] < 10 and "median" in t["why"] for t in pruned)


def test_a_trial_that_cannot_be_trained_does_not_end_the_search(tmp_path):
    space = search.restricted(SMALL, init=["he", "none of them"])
    options = {**OPTIONS, "space": space, "final": False}
    result = search.search(tmp_path, *SETS[:2], trials=2, **options)
    failed = [t for t in result.trials if t["state"] == "FAIL"]
    assert all("init is a function or one of" in t["why"] for t in failed)
    assert result.count("COMPLETE") == 2


def test_a_regression_is_searched_by_its_loss_and_time_ends_it(tmp_path):
    y = (X[:, 0] * 2).astype("f")
    options = {**OPTIONS, "task": "regression", "outputs": 1}
    result = search.search(
        tmp_path, (X[:60], y[:60]), (X[60:90], y[60:90]), minutes=0.02, **options
    )
    assert len(result.trials) >= 1
    if result.best is not None:
        assert result.best["error"] == result.best["loss"]


def test_lambdas_are_given_layer_by_layer_and_skips_by_name():
    values = {"depth": 2, "width": [4, 3], "skips": "input", "activation": "tanh", "init": "he",
              "batch_norm": True, "dropout": 0.1, "l2": [1e-3, 1e-4, 1e-5], "optimizer": "Nesterov",
              "step_size": 0.01, "schedule": "cosine", "batch_size": 32}  # fmt: skip
    model = network(model_options(values, {"input_clip": 3.0}), (5,), 2, 0)
    reference = nn.SkipMLP(5, (4, 3), 2, skips=[(0, 1), (0, 2)], batch_norm=True, dropout=0.1,
                           activation="tanh", rng=0)  # fmt: skip
    inner = model.layers[1]
    for one, other in zip(inner.parameters(), reference.parameters(), strict=True):
        np.testing.assert_array_equal(one, other)
    fit = fit_options(values, model, "classification", 100, 0, 5)
    assert list(fit["optimizer"]["l2"].values()) == [1e-3, 1e-4, 1e-5]
    weights = dict(model.named_parameters())
    assert [weights[p].shape for p in fit["optimizer"]["l2"]] == [(5, 4), (9, 3), (8, 2)]
    assert fit["step_size"] == pytest.approx(0.1)


def test_restrictions_are_checked():
    with pytest.raises(ValueError, match="momentum is not searched"):
        search.restricted(momentum=0.9)
    with pytest.raises(ValueError, match="empty range"):
        search.restricted(dropout=(0.5, 0.1))
    with pytest.raises(ValueError, match="how long to search"):
        search.search("x", *SETS[:2], task="classification", outputs=2)
