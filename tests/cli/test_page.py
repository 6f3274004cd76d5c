"""The examples of docs/command-line.md, run one after the other in one folder."""

import doctest
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from chainrule.cli import main
from chainrule.cli.commands import COMMANDS

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()
BLOCKS = re.findall(r"```console\n\$ chainrule (.*)\n((?:.*\n)*?)```", PAGE)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "job.toml").write_text(re.search(r"```toml\n((?:.*\n)*?)```", PAGE)[1])
    (folder / "model.py").write_text(re.search(r"```python\n((?:.*\n)*?)```", PAGE)[1])
    (folder / "weather.csv").write_text(weather())
    return folder


def weather() -> str:
    """200 rows of two measurements and the two labels that follow from them."""
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{'yes' if a > b else 'no'},{int(a + b < 0)}"
            for a, b in rng.normal(size=(200, 2))]  # fmt: skip
    return "\n".join(["pressure,warmth,wet,cold", *rows, ""])


@pytest.mark.parametrize(("line", "wanted"), BLOCKS, ids=[line[:30] for line, _ in BLOCKS])
def test_an_example_of_the_page_prints_what_it_shows(place, line, wanted, capsys, monkeypatch):
    monkeypatch.chdir(place)
    assert main(shlex.split(line)) == 0
    out, err = capsys.readouterr()
    shown = err + out
    wanted = re.sub(r"\n\.\.\.\n$", "...", wanted.replace("<BLANKLINE>", ""))  # or nothing more
    assert doctest.OutputChecker().check_output(wanted, shown, FLAGS), shown


def test_the_page_names_every_command():
    assert len(BLOCKS) == PAGE.count("\n$ chainrule ")
    for name in COMMANDS:
        assert f"| `{name} " in PAGE, f"docs/command-line.md says nothing of {name}"
