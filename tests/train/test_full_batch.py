"""Training by L-BFGS that is stopped and goes on: to the same bits, without starting over."""

import signal

import pytest

from chainrule import nn, train
from chainrule.train import full_batch, saving
from tests.train.stopping import Stopped, rows, same, story

OPTIONS = dict(
    loss="softmax_cross_entropy", optimizer="lbfgs", validation=0.25, epochs=12,
    metrics=["accuracy"], early_stopping=30, progress="none", checkpoint_every=1,
)  # fmt: skip


def network(dtype="f"):
    return nn.MLP(6, (8,), 3, activation="tanh", dtype=dtype, rng=1)


def at_epoch(number, act):
    def callback(event):
        if event.kind == "epoch" and event.epoch == number:
            act(event)

    return callback


def stop(event):
    raise Stopped


def resumed(folder, **options):
    """The weights and the story of a run that goes on, and the step from which it did."""
    history = train.resume(folder, rows(), progress="none", **options)
    run = train.Run.open(folder)
    (step,) = (event["step"] for event in run.events() if event["event"] == "resumed")
    return train.load_model(folder / "model")[0].parameters(), story(history), step


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("epoch", [1, 2, 7, 12])
def test_a_stopped_training_goes_on_from_its_checkpoint_to_the_same_bits(tmp_path, epoch, dtype):
    whole = network(dtype)
    history = train.fit(whole, rows(), **OPTIONS)
    with pytest.raises(Stopped):
        train.fit(network(dtype), rows(), run=tmp_path / "run", callbacks=at_epoch(epoch, stop),
                  **OPTIONS)  # fmt: skip
    weights, found, step = resumed(tmp_path / "run")
    assert same(weights, whole.parameters()) and found == story(history)
    assert step == epoch - 1  # the callbacks come before the checkpoint


def test_control_c_leaves_a_checkpoint_of_the_iteration_just_made(tmp_path):
    whole = network()
    history = train.fit(whole, rows(), **OPTIONS)
    interrupt = at_epoch(5, lambda event: signal.raise_signal(signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train.fit(network(), rows(), run=tmp_path / "run", callbacks=interrupt,
                      **{**OPTIONS, "checkpoint_every": 1000})  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    assert train.Run.open(tmp_path / "run").events()[-1]["event"] == "interrupted"
    weights, found, step = resumed(tmp_path / "run")
    assert same(weights, whole.parameters()) and found == story(history) and step == 5


def test_a_training_that_converged_is_not_moved_on_after_its_end(tmp_path, monkeypatch):
    options = {**OPTIONS, "optimizer": {"name": "lbfgs", "tolerance": 1e-3}, "epochs": 500}
    whole = network()
    history = train.fit(whole, rows(), **options)
    assert history.stopped.startswith("L-BFGS: converged") and history.best["step"] < len(
        history.records
    )

    def cut(*_):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(saving, "save_model", cut)  # after the last checkpoint
        with pytest.raises(Stopped):
            train.fit(network(), rows(), run=tmp_path / "run", **options)
    monkeypatch.setattr(full_batch, "Search", cut)  # nothing is left to search for
    weights, found, step = resumed(tmp_path / "run")
    assert same(weights, whole.parameters()) and found == story(history)
    assert step == len(history.records)


def test_options_that_a_callback_changed_hold_at_once_and_after_a_resume(tmp_path):
    def change(event):
        event.optimizer.memory, event.optimizer.tolerance = 2, 3e-3

    options = {**OPTIONS, "epochs": 500}
    whole = network()
    history = train.fit(whole, rows(), callbacks=at_epoch(3, change), **options)
    plain = train.fit(network(), rows(), **{**options, "epochs": len(history.records)})
    assert "no more than the tolerance" in history.stopped
    assert plain["loss"][:4] == history["loss"][:4] and plain["loss"][-1] != history["loss"][-1]
    with pytest.raises(Stopped):
        train.fit(network(), rows(), run=tmp_path / "run",
                  callbacks=[at_epoch(3, change), at_epoch(5, stop)], **options)  # fmt: skip
    weights, found, _ = resumed(tmp_path / "run")
    assert same(weights, whole.parameters()) and found == story(history)


def test_a_step_size_is_refused_rather_than_ignored():
    def halve(event):
        event.optimizer.step_size *= 0.5

    with pytest.raises(ValueError, match="'lbfgs' takes no step_size, got 0.5"):
        train.fit(network(), rows(), callbacks=at_epoch(2, halve), **OPTIONS)
