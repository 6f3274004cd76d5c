"""`chainrule fit`, `predict`, `evaluate`, `resume` and `info` on small tables."""

import csv
import hashlib
import io
import json

import numpy as np
import pytest

from chainrule.cli import main
from tests.cli.tables import write

COLOURS = ("red", "green", "blue")
LABELS = ("large", "small")


def rows_of(count: int, seed: int) -> list[dict]:
    """Rows whose kind and price follow from size and colour; some values are missing."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        size, colour = rng.uniform(-2, 2), COLOURS[rng.integers(3)]
        total = size + COLOURS.index(colour) - 1
        rows.append({
            "name": f"n{i}", "size": f"{size:.6f}" if i % 9 else "", "colour": colour,
            "kind": LABELS[int(total < 0)], "price": f"{100 + 20 * total:.6f}",
        })  # fmt: skip
    return rows


SMALL = ("--hidden", "8", "--progress", "none", "--no-report")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("commands")


@pytest.fixture(scope="module")
def table(place):
    return write(place / "rows.csv", rows_of(240, 0))


@pytest.fixture(scope="module")
def run(place, table):
    folder = place / "run"
    arguments = ["--target", "kind", "--ignore", "price", "--output", str(folder), *SMALL]
    assert main(["fit", table, *arguments, "--epochs", "20"]) == 0
    return folder


@pytest.fixture(scope="module")
def prices(place, table):
    folder = place / "prices"
    arguments = ["--target", "price", "--ignore", "kind", "--output", str(folder), *SMALL]
    assert main(["fit", table, *arguments, "--epochs", "30"]) == 0
    return folder


def printed(capsys, *arguments) -> str:
    capsys.readouterr()
    assert main(list(map(str, arguments))) == 0
    return capsys.readouterr().out


def contents(folder) -> dict:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}  # fmt: skip


def test_fit_leaves_a_run_folder_that_says_everything(run, table):
    made = {path.name for path in run.iterdir()}
    assert made >= {"config.json", "log.jsonl", "metrics.jsonl", "checkpoints", "model",
                    "finished.json", "tensorboard"}  # fmt: skip
    stored = json.loads((run / "config.json").read_text())["cli"]
    assert stored["data"] == table and stored["options"]["hidden"] == "8"
    assert stored["plan"]["model"]["hidden"] == [8]
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [e["rows"] for e in events if e["event"] == "data"] == [
        {"training": 192, "test": 48, "validation": 0}
    ]
    assert sum(e["event"] == "test" for e in events) == 1


def test_evaluate_of_a_run_gives_the_figures_of_its_one_test(run, capsys):
    about = json.loads((run / "model" / "model.json").read_text())["about"]
    found = json.loads(printed(capsys, "evaluate", run, "--json"))
    assert found["accuracy"] == about["test"]["accuracy"] > 0.8 and found["rows"] == 48
    classes = found.pop("classes")
    guessed = np.array([list(one["guessed"].values()) for one in classes])
    assert np.trace(guessed) / guessed.sum() == pytest.approx(found["accuracy"])
    assert guessed.sum(axis=1).tolist() == [one["rows"] for one in classes]
    assert "accuracy" in printed(capsys, "evaluate", run)


def test_predictions_agree_with_evaluate(run, place, capsys):
    rows = rows_of(50, 1)
    other = write(place / "other.csv", rows)
    found = json.loads(printed(capsys, "evaluate", run, other, "--json"))
    lines = list(csv.DictReader(io.StringIO(printed(capsys, "predict", run, other))))
    right = [line["class"] == row["kind"] for line, row in zip(lines, rows, strict=True)]
    assert np.mean(right) == pytest.approx(found["accuracy"])
    assert [line["row"] for line in lines] == [str(i) for i in range(50)]
    shares = np.array([[float(line[f"p({label})"]) for label in LABELS] for line in lines])
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert [LABELS[k] for k in shares.argmax(axis=1)] == [line["class"] for line in lines]
    np.testing.assert_array_equal(shares.max(axis=1), [float(x["probability"]) for x in lines])


def test_prediction_needs_no_target_and_takes_columns_in_any_order(run, place, capsys):
    rows = rows_of(12, 2)
    whole = printed(capsys, "predict", run, write(place / "whole.csv", rows))
    bare = [{"colour": row["colour"], "new": "x", "size": row["size"]} for row in rows]
    assert main(["predict", str(run), write(place / "bare.csv", bare)]) == 0
    out, err = capsys.readouterr()
    assert out == whole
    assert "not looked at, since the model does not know them: new" in err


def test_an_unseen_category_and_a_missing_value_are_predicted(run, place, capsys):
    odd = [{"size": "", "colour": "violet"}, {"size": "0.5", "colour": ""}]
    found = json.loads(printed(capsys, "predict", run, write(place / "odd.csv", odd), "--json"))
    assert [row["class"] in LABELS for row in found] == [True, True]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"size": "0.5"}], "lacks 'colour', which the model was trained with"),
        ([{"size": "big", "colour": "red"}], "line 2, column 'size'"),
    ],
)
def test_rows_that_cannot_be_predicted_are_named(run, place, capsys, rows, message):
    assert main(["predict", str(run), write(place / "bad.csv", rows)]) == 1
    out, err = capsys.readouterr()
    assert message in err and out == "" and "Traceback" not in err


def test_predictions_are_written_in_three_forms_with_the_ids_of_a_column(run, place, table, capsys):
    shown = printed(capsys, "predict", run, table, "--id", "name")
    assert shown.splitlines()[1].startswith("n0,")
    for ending in (".csv", ".json", ".parquet"):
        path = place / f"predicted{ending}"
        assert printed(capsys, "predict", run, table, "--id", "name", "--output", path) == ""
    assert (place / "predicted.csv").read_text() == shown
    lines = list(csv.DictReader(io.StringIO(shown)))
    parquet = pytest.importorskip("pyarrow.parquet").read_table(place / "predicted.parquet")
    for found in (json.loads((place / "predicted.json").read_text()), parquet.to_pylist()):
        assert [row["name"] for row in found] == [line["name"] for line in lines]
        assert [row["probability"] for row in found] == [float(x["probability"]) for x in lines]


def test_a_regression_predicts_in_the_units_of_the_table(prices, place, capsys):
    rows = rows_of(60, 3)
    other = write(place / "regression.csv", rows)
    lines = list(csv.DictReader(io.StringIO(printed(capsys, "predict", prices, other))))
    guesses = np.array([float(line["value"]) for line in lines])
    truth = np.array([float(row["price"]) for row in rows])
    found = json.loads(printed(capsys, "evaluate", prices, other, "--json"))
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((guesses - truth) ** 2)))
    assert found["mean_rmse"] == pytest.approx(truth.std())
    assert found["rmse"] < 0.7 * truth.std()


def test_info_of_a_run_and_of_its_model(run, capsys):
    facts = json.loads(printed(capsys, "info", run, "--json"))
    assert facts["state"] == "ended" and facts["epochs"] == 20
    assert set(facts["checkpoints"].values()) == {"intact"}
    assert facts["classes"] == list(LABELS) and facts["columns"] == ["size", "colour"]
    assert facts["test"]["rows"] == 48
    told = printed(capsys, "info", run / "model")
    assert "Linear" in told and "accuracy" in told and "right" in told


def test_commands_work_from_within_the_run_folder(run, table, capsys, monkeypatch):
    whole = printed(capsys, "predict", run, table)
    monkeypatch.chdir(run)
    assert printed(capsys, "predict", ".", table) == whole
    assert "accuracy" in printed(capsys, "evaluate", ".")
    assert "accuracy" in printed(capsys, "resume", ".")
    monkeypatch.chdir(run / "model")
    assert printed(capsys, "predict", ".", table) == whole


def test_a_model_that_was_changed_is_not_used(run, place, table, capsys):
    copy = place / "changed"
    copy.mkdir()
    for path in (run / "model").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    content = bytearray((copy / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "model.safetensors").write_bytes(content)
    for command in (["info", copy], ["predict", copy, table]):
        assert main(list(map(str, command))) == 1
        assert "SHA-256 differs" in capsys.readouterr().err


def test_resume_of_a_run_that_has_ended_changes_nothing(run, capsys):
    before = contents(run)
    assert main(["resume", str(run)]) == 0
    out, err = capsys.readouterr()
    assert "has ended already; nothing is changed" in err and "accuracy" in out
    assert contents(run) == before


def test_a_report_is_written_unless_it_is_not_wanted(run, place, capsys):
    assert not (run / "report.html").exists()
    found = json.loads(printed(capsys, "report", run, "--json", "--output", place / "r.html"))
    assert found["report"] == str(place / "r.html")
    assert "accuracy" in (place / "r.html").read_text()


def test_the_same_seed_gives_the_same_bits_and_a_config_file_the_same_run(run, place, table):
    config = place / "job.toml"
    config.write_text(
        f'data = "{table}"\ntarget = "kind"\nignore = "price"\nhidden = 8\nepochs = 99\n'
    )
    again = place / "again"
    arguments = ["--config", str(config), "--epochs", "20", "--output", str(again)]
    assert main(["fit", *arguments, *SMALL[2:]]) == 0
    one, other = (f / "model" / "model.safetensors" for f in (run, again))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["fit"], 2, "say what to train on"),
        (["fit", "TABLE"], 2, "say what to predict: --target COLUMN"),
        (["fit", "TABLE", "--target", "knd"], 1, "Did you mean 'kind'?"),
        (["fit", "TABLE", "--target", "kind", "--epochs", "x"], 2, "--epochs"),
        (["fit", "TABLE", "--target", "kind", "--epochs", "0"], 2, "epochs is a whole number"),
        (["fit", "TABLE", "--target", "kind", "--optimizer", "x"], 2, "optimizer is an Optimizer"),
        (["fit", "TABLE", "--target", "kind", "--loss", "x"], 2, "loss is"),
        (["fit", "TABLE", "--target", "kind", "--step-size", "x"], 2, "step_size is"),
        (["fit", "TABLE", "--target", "kind", "--hidden", "x"], 2, "--hidden x: expected sizes"),
        (["fit", "TABLE", "--target", "kind", "--model", "x"], 2, "Known: mlp"),
        (["fit", "TABLE", "--target", "kind", "--output", "RUN"], 1, "holds a run already"),
        (["fit", "TABLE", "--target", "kind", "--seed", "-1"], 2, "--seed -1: expected"),
        (["fit", "TABLE", "--target", "kind", "--clip-norm", "0"], 2, "clip_norm is a positive"),
        (["fit", "TABLE", "--target", "kind", "--memory", "1", "--epochs", "1"], 1, "memory=1"),
        (["fit", "TABLE", "--target", "kind", "--batch-size", "1"], 1, "at least 2 values"),
        (["fit", "COMMA", "--target", "y"], 1, "Read with --decimal ','"),
        (["fit", "no.csv"], 1, "neither a file or folder, nor a bundled data set"),
        (["fit", "--config", "no.toml"], 1, "no.toml: No such file"),
        (["fit", "TABLE", "--target", "kind", "--groups", "kind"], 2, "--groups kind is what"),
        (["fit", "no.csv", "--optimizer", "x"], 2, "optimizer is an Optimizer"),
        (["tune", "no.csv", "--optimizer", "x"], 2, "optimizer is an Optimizer"),
        (["resume", "nowhere"], 1, "nowhere"),
        (["resume", "TABLE"], 1, "is a file. A run is a folder"),
        (["predict", "nowhere", "TABLE"], 1, "nowhere does not exist"),
        (["evaluate", "RUN/model"], 2, "say on which DATA to evaluate it"),
        (["datasets", "irish"], 1, "no data set is called irish"),
    ],
)
def test_mistakes_end_with_a_message_and_leave_no_run(
    run, table, place, arguments, exit_code, message, capsys, monkeypatch
):
    monkeypatch.chdir(place)
    (place / "comma.csv").write_text("x;y\n" + "".join(f"{i},5;{i}.5\n" for i in range(20)))
    names = {"COMMA": "comma.csv", "TABLE": table, "RUN": str(run), "RUN/model": str(run / "model")}
    assert main([names.get(one, one) for one in arguments]) == exit_code
    out, err = capsys.readouterr()
    assert message in err and out == "" and "Traceback" not in err
    assert not list(place.glob("runs/*"))


def test_runs_are_numbered_where_no_folder_is_given(table, place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    for folder in ("rows", "rows-2"):
        arguments = ["fit", table, "--target", "kind", "--epochs", "1", *SMALL, "--json"]
        facts = json.loads(printed(capsys, *arguments))
        assert facts["run"] == f"runs/{folder}" and facts["test"]["rows"] == 48


def test_datasets_are_listed_told_about_and_written(place, capsys):
    assert "iris" in printed(capsys, "datasets")
    assert json.loads(printed(capsys, "datasets", "iris", "--json"))[0]["target"] == "species"
    path = place / "iris.csv"
    printed(capsys, "datasets", "iris", "--output", path)
    lines = list(csv.DictReader(io.StringIO(path.read_text())))
    assert len(lines) == 150 and lines[0]["species"] == "setosa"
