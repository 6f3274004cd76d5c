"""The report at the end of `chainrule fit`: what names it, and what happens where it fails."""

import errno
import json
import warnings

import pytest

from chainrule.cli import main, training

BAD = "<img src=x onerror=alert(1)>"


def test_a_report_that_cannot_be_written_is_said_and_made_up_for(tmp_path, monkeypatch, capsys):
    rows = "\n".join(f"{i % 7},{'blue' if i % 3 else BAD},{i % 7 + i % 2}.5" for i in range(90))
    (tmp_path / "rows.csv").write_text(f"a,{BAD},y\n{rows}\n")
    run = tmp_path / "run"
    arguments = ["--target", "y", "--hidden", "4", "--epochs", "2", "--progress", "none"]

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "report.html")

    with monkeypatch.context() as change:
        change.setattr(training, "written", full)
        assert main(["fit", str(tmp_path / "rows.csv"), *arguments, "--output", str(run)]) == 0
    said = capsys.readouterr()
    assert "No space left on device" in said.err and f"chainrule report {run}" in said.err
    assert "root mean squared error" in said.out and "report.html" not in said.out
    model = (run / "model" / "model.json").read_bytes()

    assert main(["resume", str(run)]) == 0
    assert f"report    {run / 'report.html'}" in capsys.readouterr().out
    assert (run / "model" / "model.json").read_bytes() == model
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Residuals" in page and "ridge regression" in page and "rows.csv" in page
    assert BAD not in page and "&lt;img src=x" in page  # the column's name, and a category


@pytest.mark.parametrize("unit", [1e200, 1e299])
def test_targets_of_any_size_are_learned_and_reported_without_a_warning(tmp_path, capsys, unit):
    rows = "\n".join(f"{i % 7},{(i % 7 + i % 2 + i / 97) * unit!r}" for i in range(90))
    (tmp_path / "rows.csv").write_text(f"a,y\n{rows}\n")
    arguments = ["--target", "y", "--hidden", "4", "--epochs", "2", "--progress", "none", "--json"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        line = ["fit", str(tmp_path / "rows.csv"), *arguments, "--output", str(tmp_path / "run")]
        assert main(line) == 0
    figures = json.loads(capsys.readouterr().out)["test"]
    assert 0.1 * unit < figures["rmse"] < 10 * unit
    assert (tmp_path / "run" / "report.html").exists()


def test_targets_whose_sums_are_no_numbers_are_refused(tmp_path, capsys):
    rows = "\n".join(f"{i},{i / 7 if i != 5 else -2e307}" for i in range(40))
    (tmp_path / "rows.csv").write_text(f"a,y\n{rows}\n")
    assert main(["fit", str(tmp_path / "rows.csv"), "--target", "y"]) == 1
    said = capsys.readouterr().err
    assert "line 7, column 'y': -2e+307 is beyond 1e+300" in said and "another unit" in said
