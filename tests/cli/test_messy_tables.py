"""Tables as they come: what is not looked at spoils nothing, and what does is said in the words of
the command line."""

import csv
import io
import re

import numpy as np
import pytest
from PIL import Image

from chainrule import train
from chainrule.cli import main

SMALL = ["--epochs", "2", "--hidden", "4", "--no-report", "--progress", "none"]


def write(path, head: str, make) -> str:
    """A table of 60 rows; `make` gives the fields of row i from two numbers."""
    rng = np.random.default_rng(0)
    rows = [",".join(map(str, make(i, *rng.normal(size=2).round(3)))) for i in range(60)]
    path.write_text("\n".join([head, *rows]) + "\n")
    return str(path)


def fitted(path: str, folder, *options: str) -> int:
    return main(["fit", path, "--target", "t", *SMALL, *options, "--output", str(folder)])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("messy")
    path = write(place / "plain.csv", "a,b,t", lambda i, a, b: (a, b, "ny"[int(a > 0)]))
    assert fitted(path, place / "run") == 0
    return place / "run"


def test_values_of_an_ignored_column_are_not_judged(tmp_path):
    path = write(
        tmp_path / "x.csv", "a,c,t", lambda i, a, b: (a, "about 9" if i == 4 else i, "ny"[i % 2])
    )
    assert fitted(path, tmp_path / "no") == 1
    assert fitted(path, tmp_path / "run", "--ignore", "c") == 0
    by_group = write(tmp_path / "y.csv", "a,c,t", lambda i, a, b: (a, i // 5, "ny"[i % 2]))
    options = ["--ignore", "c", "--groups", "c"]
    assert fitted(by_group, tmp_path / "groups", *options) == 0  # still a column of numbers


@pytest.mark.parametrize("head", ["a,b,c", "a,b,t"], ids=["unknown", "target"])
def test_values_that_a_model_does_not_need_are_not_judged(head, run, tmp_path, capsys):
    path = tmp_path / "new.csv"
    path.write_text(head + "\n1,2,3\n1,2,4\n1,2,about 9\n1,2,5\n")
    assert main(["predict", str(run), str(path)]) == 0
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(found) == 4 and found[0]["class"] == found[3]["class"]


def test_rows_without_a_target_are_left_out_of_an_evaluation(run, tmp_path, capsys):
    path = tmp_path / "new.csv"
    path.write_text("a,b,t\n1,2,y\n-1,0,\n-1,0,n\n")
    assert main(["evaluate", str(run), str(path)]) == 0
    said = capsys.readouterr()
    assert re.search(r"rows +2\n", said.out) and "1 of 3 rows have no target" in said.err
    path.write_text("a,b,t\n1,2,\n-1,0,\n")
    assert main(["evaluate", str(run), str(path)]) == 1
    assert "no row has a target" in capsys.readouterr().err
    path.write_text("a,b\n1,2\n-1,0\n")
    assert main(["evaluate", str(run), str(path)]) == 1
    assert "lacks 't', which the model predicts" in capsys.readouterr().err


def test_a_text_for_a_missing_value_is_one_more_of_them(tmp_path, capsys):
    texts = {3: "NA", 7: "gone"}
    path = write(tmp_path / "x.csv", "a,b,t", lambda i, a, b: (texts.get(i, a), b, "ny"[i % 2]))
    assert fitted(path, tmp_path / "no") == 1
    assert "leave the field empty, or read with --missing 'gone';" in capsys.readouterr().err
    assert fitted(path, tmp_path / "run", "--missing", "gone") == 0
    _, about = train.load_model(tmp_path / "run" / "model")
    assert about["preparation"]["columns"][0]["kind"] == "number"
    named = write(
        tmp_path / "y.csv", "a,land,t", lambda i, a, b: (a, ["NA", "DE"][i % 2], "ny"[i % 2])
    )
    assert fitted(named, tmp_path / "empty", "--missing", "") == 0  # nothing but empty fields
    _, about = train.load_model(tmp_path / "empty" / "model")
    assert "NA" in about["preparation"]["columns"][1]["levels"]


REFUSED = {
    "a loss of numbers for classes": (
        lambda i, a, b: (a, b, "ny"[i % 2]), ["--loss", "squared"],
        "--loss squared is not for classes. Known: softmax_cross_entropy",
    ),
    "counts": (lambda i, a, b: (a, b, i), ["--loss", "poisson"], r"DeepRegressor\(loss='poisson'"),
    "a target of dates": (
        lambda i, a, b: (a, b, f"2024-01-{1 + i % 28:02}"), [],
        "column 't' holds dates; a target is a class or a number",
    ),
    "dates with slashes": (
        lambda i, a, b: (a, f"{1 + i % 28:02}/01/2024", i % 2), [], "--date 'b=%d/%m/%Y'",
    ),
    "one row a minibatch": (
        lambda i, a, b: (a, b, i % 2), ["--accumulate", "40", "--batch-norm"],
        "Make minibatches larger",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_with_what_to_write_instead(name, tmp_path, capsys):
    make, options, wanted = REFUSED[name]
    assert fitted(write(tmp_path / "x.csv", "a,b,t", make), tmp_path / "run", *options) in (1, 2)
    said = capsys.readouterr().err
    assert re.search(wanted, said) and "Traceback" not in said
    assert not (tmp_path / "run").exists()


def test_predictions_of_images_are_named_by_their_files(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "all" / name).mkdir(parents=True)
        for i in range(6):
            image = rng.integers(0, 255, (4, 4, 3)).astype(np.uint8)
            Image.fromarray(image).save(tmp_path / "all" / name / f"{i} ü.png")
    options = [*SMALL, "--output", str(tmp_path / "run")]
    assert main(["fit", str(tmp_path / "all"), *options]) == 0
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "all" / "dog")]) == 0
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["file"][-7:] for row in found] == [f"{i} ü.png" for i in range(6)]
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "all" / "dog" / "3 ü.png")]) == 0
    (one,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert one == found[3]
    gray = tmp_path / "gray.png"
    Image.fromarray(rng.integers(0, 255, (4, 4)).astype(np.uint8)).save(gray)
    assert main(["predict", str(tmp_path / "run"), str(gray)]) == 0  # three equal channels


def test_rows_named_by_a_column_that_is_called_as_the_predictions_are(tmp_path, capsys):
    path = write(tmp_path / "x.csv", "a,class,t", lambda i, a, b: (a, f"k{i % 7}", "ny"[i % 2]))
    assert fitted(path, tmp_path / "run") == 0
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), path, "--id", "class"]) == 0
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["class (data)"] for row in found[:8]] == [f"k{i % 7}" for i in range(8)]
    assert {row["class"] for row in found} <= {"n", "y"}


def test_names_that_differ_in_capitals_are_pointed_at(tmp_path, capsys):
    path = write(tmp_path / "x.csv", "Age,b,t", lambda i, a, b: (a, b, ["Yes", "no", "YES"][i % 3]))
    assert fitted(path, tmp_path / "run") == 0
    assert "warning: the classes 'YES' and 'Yes' differ in capitals" in capsys.readouterr().err
    assert fitted(path, tmp_path / "no", "--ignore", "AGE") == 1
    assert "Did you mean 'Age'?" in capsys.readouterr().err


def test_a_file_may_be_written_otherwise_than_that_of_the_training(tmp_path, capsys):
    path = tmp_path / "x.csv"
    rows = "\n".join(f"{i % 9},{i / 7:.2f};{'ny'[i % 2]}" for i in range(60)).replace(",", ";")
    path.write_bytes(f"größe;b;t\n{rows.replace('.', ',')}\n".encode("latin-1"))
    options = ["--encoding", "latin-1", "--delimiter", ";", "--decimal", ","]
    assert fitted(str(path), tmp_path / "run", *options) == 0
    new = tmp_path / "new.csv"
    new.write_text("größe,b,t\n1,2.5,n\n2,0.5,y\n")
    run = str(tmp_path / "run")
    assert main(["predict", run, str(new)]) == 1
    written = ["--encoding", "utf-8", "--delimiter", ",", "--decimal", "."]
    assert main(["predict", run, str(new), *written]) == 0
    assert main(["evaluate", run, str(new), *written]) == 0
    assert main(["evaluate", run, str(path)]) == 0


def images(*folders) -> None:
    rng = np.random.default_rng(0)
    for folder in folders:
        folder.mkdir(parents=True)
        for i in range(4):
            image = rng.integers(0, 255, (4, 4, 3)).astype(np.uint8)
            Image.fromarray(image).save(folder / f"{i}.png")


def test_folders_that_are_no_classes_are_refused(tmp_path, capsys):
    images(*(tmp_path / "set" / part / name for part in ("test", "train") for name in "ab"))
    images(tmp_path / "flat")
    output = ["--output", str(tmp_path / "run")]
    assert main(["fit", str(tmp_path / "set"), *SMALL, *output]) == 1
    said = capsys.readouterr().err
    assert "(test, train) are parts of a data set" in said and "Train on one, " in said
    assert main(["fit", str(tmp_path / "flat"), *SMALL, *output]) == 1
    assert "lie in no folder" in capsys.readouterr().err
    train_part = str(tmp_path / "set" / "train")
    assert main(["fit", train_part, *SMALL, "--crop", "4", *output]) == 2
    assert "expected pixels from 0 to 3" in capsys.readouterr().err
    assert main(["fit", train_part, *SMALL, "--crop", "3", *output]) == 0


def test_a_dash_as_a_value_is_told_how_to_be_written(capsys):
    assert main(["fit", "x.csv", "--missing", "-"]) == 2
    assert "--missing=-\n" in capsys.readouterr().err


def test_an_empty_output_is_refused(tmp_path, capsys, monkeypatch):
    path = write(tmp_path / "x.csv", "a,b,t", lambda i, a, b: (a, b, "ny"[i % 2]))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for command in ("fit", "tune"):
        assert main([command, path, "--target", "t", "--output", ""]) == 2
        assert "--output is empty" in capsys.readouterr().err
    assert not list((tmp_path / "here").iterdir())


def test_what_is_no_column_of_an_array_file_may_be_ignored(tmp_path, capsys):
    x, t = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    np.savez(tmp_path / "x.npz", x=x, t=t, version=3, names=np.arange(3))
    path = str(tmp_path / "x.npz")
    assert fitted(path, tmp_path / "no") == 1
    assert "Leave it out: --ignore 'version'" in capsys.readouterr().err
    assert fitted(path, tmp_path / "run", "--ignore", "version", "--ignore", "names") == 0
    assert main(["predict", str(tmp_path / "run"), path]) == 0
    assert fitted(path, tmp_path / "no", "--resize", "4x4") == 1
    assert "--resize is for folders of images" in capsys.readouterr().err


def test_gray_images_of_an_array_file_go_into_a_network_of_images(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (40, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "gray.npz", x=images, t=np.arange(40) % 2)
    options = ["--model", "cnn", "--filters", "4", "--flip"]
    assert fitted(str(tmp_path / "gray.npz"), tmp_path / "run", *options) == 0
