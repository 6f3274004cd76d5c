"""Displays show epoch, loss, rate and time left, and change nothing."""

import io
import sys
from types import ModuleType, SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from chainrule import errors, nn, random, train
from chainrule.train import progress as displays
from chainrule.train.curves import sparkline, svg


def fitted(progress, **options):
    rng = random.Generator(3)
    x = rng.normal(size=(48, 4)).astype("f")
    model = nn.MLP(4, (8,), 3, rng=1)
    given = (x, (x[:, 0] > 0).astype(np.int64))
    history = train.fit(model, given, progress=progress, **{
        "loss": "softmax_cross_entropy", "epochs": 4, "batch_size": 8, "validation": 0.25,
        "metrics": ["accuracy"], **options,
    })  # fmt: skip
    return model, history


def test_plain_lines_hold_the_record_the_rate_and_the_time_left(capsys, monkeypatch):
    monkeypatch.setattr(displays.Plain, "PAUSE", 0.0)
    fitted("plain")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines[:4]] == [f"epoch {i}" for i in range(1, 5)]
    for part in ("loss ", "validation_loss ", "validation_accuracy ", "steps/s", " left"):
        assert part in lines[1]
    assert lines[-1] == "stopped: 4 epochs made"


def test_no_rate_is_shown_after_the_first_call_which_compiled(capsys, monkeypatch):
    monkeypatch.setattr(displays.Plain, "PAUSE", 0.0)
    fitted("plain", batch_size=36)  # one step an epoch: the first epoch is the first call
    lines = capsys.readouterr().err.splitlines()
    assert "loss " in lines[0] and "steps/s" not in lines[0] and "left" not in lines[0]
    assert all("steps/s" in line and line.endswith(" left") for line in lines[1:4])


def test_plain_lines_are_rare_and_the_last_one_comes(capsys):
    fitted("plain", epochs=30)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) < 20 and lines[-2].startswith("epoch 30 ")


def test_nothing_is_shown_unless_asked_for(capsys):
    fitted("none")
    found = capsys.readouterr()
    assert found.out == "" and found.err == ""


def test_a_bar_in_a_terminal():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    fitted(displays.Rich(console))
    text = screen.getvalue()
    for part in ("epoch 4/4", "loss ", "validation ", "steps/s", " left", "stopped: 4 epochs made"):
        assert part in text
    assert any(block in text for block in "▁▂▃▄▅▆▇█")


def test_messages_of_the_babysitter_are_printed_as_they_are():
    screen = io.StringIO()
    bar = displays.Rich(Console(file=screen, force_terminal=True, width=120, color_system=None))
    bar.said("babysitter: [bold]half[/bold] the step size")
    assert "[bold]half[/bold]" in screen.getvalue()


class Cell(ModuleType):
    """IPython.display, as far as it is used."""

    def __init__(self):
        super().__init__("IPython.display")
        self.shown = []
        self.HTML = SimpleNamespace

    def display(self, html, display_id):
        self.shown.append(html)
        return SimpleNamespace(update=self.shown.append)


@pytest.fixture
def notebook(monkeypatch):
    cell, shell = Cell(), ModuleType("IPython")
    cell.HTML = lambda text: text
    shell.display, shell.get_ipython = cell, lambda: SimpleNamespace(kernel=1)
    shell.__spec__ = SimpleNamespace(name="IPython")
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", cell)
    return cell


def test_a_notebook_shows_a_line_and_the_curves(notebook):
    fitted("auto")
    last = notebook.shown[-1]
    assert "epoch 4" in last and "stopped: 4 epochs made" in last and "steps/s" in last
    picture = ElementTree.fromstring(last[last.index("<svg") : last.index("</svg>") + 6])
    lines = [e for e in picture if e.tag.endswith("polyline")]
    assert len(lines) == 2 and all(len(e.get("points").split()) == 4 for e in lines)


def test_without_ipython_the_notebook_display_says_what_to_install(monkeypatch):
    monkeypatch.setattr(displays, "find_spec", lambda name: None)
    with pytest.raises(errors.MissingExtra, match="pip install ipython"):
        displays.progress("notebook")


def test_auto_is_plain_where_there_is_no_terminal(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert type(displays.progress("auto")) is displays.Plain
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: True))
    assert type(displays.progress("auto")) is displays.Rich


def test_displays_change_no_bit(notebook):
    models = [fitted(name)[0] for name in ("none", "plain", "notebook")]
    models.append(fitted(displays.Rich(Console(file=io.StringIO())))[0])
    for model in models[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(
            model.parameters(), models[0].parameters(), strict=True))  # fmt: skip


def test_curves_of_many_numbers_of_none_and_of_nans():
    assert sparkline([]) == "" and sparkline([1.0, 1.0]) == "▁▁"
    assert sparkline([np.nan, 1.0, 2.0]) == " ▁█" and sparkline([np.inf]) == " "
    assert len(sparkline(range(1000))) == 24
    assert svg({}).startswith("<svg") and "<polyline" not in svg({"loss": []})
    up = svg({"loss": [1.0, 2.0]}, width=10, height=10)
    assert 'points="0.0,10.0 10.0,0.0"' in up  # y of a picture counts downwards
