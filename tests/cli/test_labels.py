"""Several labels of each row on the command line: fit, predict, evaluate, report, export, tune."""

import csv
import html
import io
import json
import re

import numpy as np
import pytest
import sklearn.metrics as judge

from chainrule import data, train
from chainrule.cli import main
from chainrule.cli.saved import saved_model
from chainrule.cli.training import job_of_run, network_of, stored_job
from tests.cli.tables import write

TARGETS = ("warm", "wet", "late")
FIT = [part for name in TARGETS for part in ("--target", name)]
SMALL = ["--ignore", "grade", "--progress", "none", "--hidden", "32"]


def rows() -> list[dict]:
    """Three labels that follow from three numbers: as numbers, as words and as booleans."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(300):
        x, y, z = rng.uniform(-2, 2, 3)
        found.append({
            "x": f"{x:.5f}", "y": f"{y:.5f}", "z": f"{z:.5f}", "warm": int(x + y > 0),
            "wet": ["no", "yes"][int(z > 0.5)], "late": ["false", "true"][int(x * z > 0)],
            "grade": i % 3, "one": 1,
        })  # fmt: skip
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("labels")


@pytest.fixture(scope="module")
def table(place):
    return write(place / "rows.csv", rows())


@pytest.fixture(scope="module")
def run(place, table):
    options = [*SMALL, "--ignore", "one", "--epochs", "60", "--validation", "0.1"]
    assert main(["fit", table, *FIT, *options, "--output", str(place / "run")]) == 0
    return place / "run"


def predicted(capsys, *arguments) -> list[dict]:
    capsys.readouterr()
    assert main(["predict", *map(str, arguments)]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def evaluated(capsys, *arguments) -> dict:
    capsys.readouterr()
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_labels_are_learned_as_independent_logistic_outputs(run):
    config = train.Run.open(run).config
    assert config["fit"]["loss"] == "logistic" and config["about"]["task"] == "multilabel"
    assert config["about"]["target"] == list(TARGETS)
    _, about = train.load_model(run / "model")
    assert about["test"]["exact_match"] > 0.7 > about["test"]["majority_exact_match"]
    record = train.Run.open(run).result["history"]["records"][-1]
    assert {"validation_exact_match", "validation_hamming_loss"} <= set(record)


def test_predict_writes_a_column_for_each_label_and_its_probability(run, table, capsys):
    found = predicted(capsys, run, table)
    assert list(found[0]) == ["row", *TARGETS, "p(warm=1)", "p(wet=yes)", "p(late=True)"]
    for name, second in zip(TARGETS, ("1", "yes", "True"), strict=True):
        for line in found:
            assert (line[name] == second) == (float(line[f"p({name}={second})"]) > 0.5)
    values = {name: {line[name] for line in found} for name in TARGETS}
    assert values == {"warm": {"0", "1"}, "wet": {"no", "yes"}, "late": {"False", "True"}}
    saved = saved_model(run)
    scores = saved.outputs(saved.table(table, with_target=False)).astype(np.float64)
    wanted = 1 / (1 + np.exp(-scores[:, 1]))
    np.testing.assert_allclose([float(line["p(wet=yes)"]) for line in found], wanted, rtol=1e-12)


def test_predict_needs_no_target_columns_and_names_rows(run, place, capsys):
    short = [{"x": r["x"], "z": r["z"], "y": r["y"], "grade": i} for i, r in enumerate(rows()[:5])]
    found = predicted(capsys, run, write(place / "new.csv", short), "--id", "grade")
    assert [line["grade"] for line in found] == list("01234") and len(found[0]) == 7


def test_evaluate_gives_scikit_learns_figures_of_all_labels_and_of_each(run, table, capsys):
    guesses, found = predicted(capsys, run, table), evaluated(capsys, run, table)
    second = {"warm": "1", "wet": "yes", "late": "True"}
    truth = np.array([[str(r[n]).lower() == second[n].lower() for n in TARGETS] for r in rows()])
    guess = np.array([[line[n] == second[n] for n in TARGETS] for line in guesses])
    shares = np.array([[float(line[f"p({n}={second[n]})"]) for n in TARGETS] for line in guesses])
    assert found["rows"] == 300
    assert found["exact_match"] == pytest.approx(judge.accuracy_score(truth, guess))
    assert found["hamming_loss"] == pytest.approx(judge.hamming_loss(truth, guess))
    assert found["label_f1"] == pytest.approx(judge.f1_score(truth, guess, average="macro"))
    assert found["label_auc"] == pytest.approx(judge.roc_auc_score(truth, shares))
    wrong = np.minimum(truth.mean(axis=0), 1 - truth.mean(axis=0)).mean()
    assert found["majority_hamming_loss"] == pytest.approx(wrong)
    for k, line in enumerate(found["labels"]):
        assert line["label"] == TARGETS[k] and line["rows"] == truth[:, k].sum()
        assert line["accuracy"] == pytest.approx((truth == guess)[:, k].mean())
        precision, recall, _, _ = judge.precision_recall_fscore_support(
            truth[:, k], guess[:, k], average="binary"
        )
        assert (line["precision"], line["recall"]) == pytest.approx((precision, recall))


def test_evaluate_repeats_the_test_and_prints_a_line_for_each_label(run, capsys):
    _, about = train.load_model(run / "model")
    figures = evaluated(capsys, run)
    assert {k: v for k, v in figures.items() if k != "labels"} == about["test"]
    assert main(["evaluate", str(run)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"label +rows +accuracy +precision +recall\nwarm +\d+", said)


def test_what_fit_and_info_say_names_the_labels(run, place, table, capsys):
    options = ["--hidden", "4", "--epochs", "1", "--no-report", "--ignore", "grade"]
    assert main(["fit", table, *FIT, *options, "--progress", "plain",
                 "--output", str(place / "said")]) == 0  # fmt: skip
    said = capsys.readouterr()
    assert "to predict: warm, wet, late, 3 labels" in said.err
    assert re.search(r"test +all labels right in [\d.]+ % of 60 rows, [\d.]+ % of the labels wrong "
                     r"\(always the most frequent: [\d.]+ %, [\d.]+ %\)", said.out)  # fmt: skip
    assert main(["info", str(run / "model")]) == 0
    said = capsys.readouterr().out
    assert re.search("task +multilabel", said)
    assert re.search(r"labels +warm \(0 or 1\), wet \(no or yes\), late \(False or True\)", said)


def test_the_report_judges_each_label(run):
    text = (run / "report.html").read_text()
    text = re.sub(r"<(svg|style).*?</\1>", "", text, flags=re.S)
    text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))
    assert "label rows with it accuracy precision recall F1 warm" in text
    assert "label rows with it, training share rows with it, test share warm" in text
    assert "the more frequent value of each label" in text and "boosted trees" in text
    assert "Expected calibration error" in text and "probability of the guessed value" in text
    assert "Growth where it is shuffled (the log loss, in nats)" in text
    assert "the targets are labels" in text  # why residuals are left out
    assert re.search(r"Largest errors row label true guessed probability of true line \d+", text)


def test_a_run_of_labels_that_was_killed_ends_at_the_same_bits(place, table, run):
    def stop(event):
        if event.kind == "epoch" and event.epoch == 2:
            raise OSError("no power")

    options = [*SMALL, "--ignore", "one", "--epochs", "4", "--no-report", "--checkpoint-every", "1"]
    assert main(["fit", table, *FIT, *options, "--output", str(place / "whole")]) == 0
    config = train.Run.open(place / "whole").config
    job = job_of_run(train.Run.open(place / "whole"))
    plan = stored_job(train.Run.open(place / "whole"))["plan"]
    with pytest.raises(OSError, match="no power"):
        train.fit(
            network_of(job, plan), job.arrays("training"), progress="none", callbacks=stop,
            run=lambda facts: train.Run.create(
                place / "cut", {**facts, "cli": config["cli"], "about": config["about"]}
            ), **plan["fit"],
        )  # fmt: skip
    assert main(["resume", str(place / "cut"), "--progress", "none"]) == 0
    one, other = (place / name / "model" / "model.safetensors" for name in ("whole", "cut"))
    assert one.read_bytes() == other.read_bytes()


def test_an_exported_file_gives_the_labels_and_their_probabilities(run, place, table, capsys):
    runtime = pytest.importorskip("onnxruntime")
    path = place / "labels.onnx"
    assert main(["export", str(run), "--table", table, "--output", str(path)]) == 0
    session = runtime.InferenceSession(str(path))
    given = {n: np.array([float(r[n]) for r in rows()]) for n in "xyz"}
    labels, shares = session.run(["labels", "probabilities"], given)
    found = predicted(capsys, run, table)
    assert [str(v) for v in labels[:, 0]] == [line["warm"] for line in found]
    wanted = [float(line["p(late=True)"]) for line in found]
    np.testing.assert_allclose(shares[:, 2], wanted, rtol=1e-4, atol=1e-6)


def test_tune_searches_for_the_fewest_wrong_labels(place, table, capsys):
    folder = place / "tuned"
    arguments = ["--ignore", "grade", "--ignore", "one", "--trials", "2", "--epochs", "3"]
    assert main(["tune", table, *FIT, *arguments, "--output", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0 <= found["best"]["error"] < 1 and "exact_match" in found["test"]
    history = train.Run.open(folder / "best").result["history"]
    assert found["best"]["error"] == pytest.approx(history["best"]["validation_hamming_loss"])


def test_each_label_has_its_share_of_the_test_rows(run):
    job = job_of_run(train.Run.open(run))
    every = np.concatenate([*job.rows.values()])
    assert len(every) == 300 and job.rows["test"].size == 60
    for name in TARGETS:
        _, codes = np.unique(np.array(job.table.column(name).texts(), str), return_inverse=True)
        assert abs(codes[job.rows["test"]].sum() - codes.sum() / 5) <= 1


def recalls_of_rare(place, name: str, *options: str) -> list[float]:
    """The recall of labels that 5 and 50 % of the rows have and noise hides, after a `fit`."""
    rng, lines = np.random.default_rng(2), []
    for _ in range(600):
        rare, even = int(rng.random() < 0.05), int(rng.random() < 0.5)
        x, y = rng.normal(size=2) + (1.2 * rare, 1.2 * even)
        lines.append({"x": f"{x:.5f}", "y": f"{y:.5f}", "rare": rare, "even": even})
    path, folder = write(place / f"{name}.csv", lines), place / name
    common = ["--epochs", "40", "--hidden", "8", "--no-report", "--progress", "none"]
    both = ["--target", "rare", "--target", "even"]
    assert main(["fit", path, *both, *common, *options, "--output", str(folder)]) == 0
    job = job_of_run(train.Run.open(folder))
    known = job.arrays("training")
    model, _ = train.load_model(folder / "model")
    found, held = model(known.inputs) > 0, known.targets > 0
    return [float(found[held[:, k], k].mean()) for k in (0, 1)]


def test_balanced_labels_make_a_rare_one_heard(tmp_path):
    plain = recalls_of_rare(tmp_path, "plain")
    for way in ("weights", "batches"):
        balanced = recalls_of_rare(tmp_path, way, "--balance", way)
        assert balanced[0] > plain[0] + 0.15 and abs(plain[1] - balanced[1]) < 0.15


def test_tune_takes_what_is_said_about_the_data(table, tmp_path):
    options = ["--trials", "1", "--epochs", "2", "--balance", "weights", "--scale", "center"]
    without = ["--ignore", "grade", "--ignore", "one", "--no-report"]
    assert main(["tune", table, *FIT, *options, *without, "--output", str(tmp_path / "t")]) == 0
    best = train.Run.open(tmp_path / "t" / "best")
    weights = np.array(best.config["fit"]["loss"]["class_weights"])
    targets = job_of_run(best).arrays("training").targets
    np.testing.assert_allclose(weights, data.label_weights(targets))
    assert job_of_run(best).preparation.scale["method"] == "center"


REFUSED = {
    "a third word or number": (
        ["--target", "wet", "--target", "grade"],
        r"rows.csv, line \d, column 'grade': \d.0 is one of 3 values, and a label has two",
    ),
    "asked for by name": (
        ["--target", "warm", "--target", "grade", "--task", "multilabel"], "a label has two",
    ),
    "the same in every row": (
        ["--target", "warm", "--target", "one"],
        "column 'one': the label is 1 in every row; needed are both",
    ),
    "one column": (["--target", "warm", "--task", "multilabel"], "is the task classification"),
    "classes in several columns": (
        ["--target", "warm", "--target", "wet", "--task", "classification"], "the task multilabel",
    ),
    "balanced by another loss": (
        [*FIT, "--balance", "weights", "--loss", "hinge"],
        "--balance weights of labels are for --loss logistic, got hinge",
    ),
    "a loss of classes": (
        [*FIT, "--loss", "softmax_cross_entropy"], "is not for labels. Known: logistic",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_label_is_refused_by_name(name, table, tmp_path, capsys):
    options, wanted = REFUSED[name]
    assert main(["fit", table, *options, "--output", str(tmp_path / "run")]) in (1, 2)
    said = capsys.readouterr().err
    assert re.search(wanted, said) and "Traceback" not in said
    assert not (tmp_path / "run").exists()


def test_a_label_without_a_row_to_learn_from_is_refused(tmp_path, capsys):
    lines = rows()
    for i, line in enumerate(lines):
        line["wet"] = "yes" if i == 299 else "no"
        line["day"] = f"2024-01-{1 + i // 12:02}"
    path = write(tmp_path / "rare.csv", lines)
    assert main(["fit", path, *FIT, "--time", "day", "--output", str(tmp_path / "run")]) == 1
    assert "no row where 'wet' is 'yes' is left to learn from" in capsys.readouterr().err


def test_numbers_of_0_and_1_are_still_a_regression_where_asked_for(table, tmp_path, capsys):
    options = ["--epochs", "1", "--no-report", "--progress", "none", "--output"]
    three = ["--target", "warm", "--target", "grade"]  # grade has three values
    asked = ["--target", "warm", "--target", "one", "--task", "regression"]
    for name, target in (("three", three), ("asked", asked)):
        assert main(["fit", table, *target, *options, str(tmp_path / name)]) == 0
        assert "root mean squared error" in capsys.readouterr().out


def test_an_unknown_value_of_a_label_is_named_by_evaluate(run, place, capsys):
    lines = rows()[:6]
    lines[3]["wet"] = "maybe"
    assert main(["evaluate", str(run), write(place / "strange.csv", lines)]) == 1
    said = capsys.readouterr().err
    assert "strange.csv, line 5, column 'wet': 'maybe' is no class" in said
    assert "It knows: 'no', 'yes'" in said
