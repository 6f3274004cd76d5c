"""What the bar in a terminal says while a training runs."""

import io
from types import SimpleNamespace

from rich.console import Console

from chainrule.train.history import History
from chainrule.train.progress import Rich


def test_the_bar_counts_no_epoch_beyond_the_last_and_says_when_it_compiles():
    text = io.StringIO()
    bar = Rich(Console(file=text, force_terminal=True, width=120))
    session = SimpleNamespace(
        total_steps=4, settings=SimpleNamespace(epochs=2), history=History(),
        place=SimpleNamespace(epoch=0, step=0),
    )  # fmt: skip
    bar.begin(session)
    session.history.stopped = "2 epochs made"
    session.place.epoch = 2
    bar.made(session, 4, 0.1, 0.5)
    bar.end(session)
    assert "compiling" in text.getvalue() and "loss nan" not in text.getvalue()
    assert "epoch 2/2" in text.getvalue() and "epoch 3/2" not in text.getvalue()
