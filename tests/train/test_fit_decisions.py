"""What the babysitter decides is done: states are put back bit for bit, batches left out."""

import numpy as np
import pytest

from chainrule import data, nn, optim, random, train
from chainrule.train import decisions, loop
from chainrule.train.babysitter import Babysitter, Decision, Stretch
from chainrule.train.metrics import named
from chainrule.train.settings import Settings
from chainrule.train.starting import keep_in, session_for
from chainrule.train.state import capture
from chainrule.train.steps import Steps

LOSS = "softmax_cross_entropy"


def rows():
    rng = random.Generator(3)
    x = rng.normal(size=(50, 4)).astype("f")
    return x, (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0.5)


class Scripted(Babysitter):
    """Decides by a list: (where, number of the call) -> decision."""

    def __init__(self, script):
        super().__init__("act", names=["w"])
        self.script, self.calls = script, {"stretch": 0, "epoch": 0}

    def _next(self, where):
        self.calls[where] += 1
        return self.script.get((where, self.calls[where]), Decision())

    def start(self, layers, *others):
        return Decision()

    def stretch(self, report, look=None, rows=None):
        self.report = report
        return self._next("stretch")

    def epoch(self, record, layers, *others):
        return self._next("epoch")


def begun(script=None, callbacks=(), model=None, recorded=False, **options):
    settings = Settings(**{
        "loss": LOSS, "epochs": 3, "steps": None, "batch_size": 8, "optimizer": "adam",
        "step_size": 0.01, "schedule": None, "metrics": named(()), "early_stopping": None,
        "accumulate": 1, "precision": "float32", "kinks": "convention", "memory": None, "seed": 0,
        "babysitter": "off", "checkpoint_every": None, "keep": 3, **options,
    })  # fmt: skip
    model = nn.MLP(4, (8,), 3, rng=1) if model is None else model
    session = session_for(model, rows(), settings, recorded=recorded)
    session.callbacks = callbacks
    if script is not None:
        session.babysitter = Scripted(script)
    return session


def ended(*args, **options):
    session = begun(*args, **options)
    loop.go_on(session)
    return session


def same(session, other):
    return all(
        np.array_equal(a, b)
        for a, b in zip(session.model.parameters(), other.model.parameters(), strict=True)
    )


def at(kind, epoch, change):
    """A callback that changes something once, after a stretch or an epoch."""

    def callback(event):
        if event.kind == kind and event.epoch == epoch:
            change(event)

    return (callback,)


@pytest.mark.parametrize("options", [{}, {"accumulate": 2}, {"precision": "float16"}])
def test_norms_are_measured_for_those_who_read_them_and_change_no_bit(options, tmp_path):
    def trained(babysitter="off", run=None):
        model = nn.MLP(4, (8,), 3, batch_norm=True, dropout=0.2, rng=1)
        train.fit(model, rows(), loss=LOSS, epochs=3, batch_size=8, run=run, progress="none",
                  babysitter=babysitter, **options)  # fmt: skip
        return [a.copy() for _, a in [*model.named_parameters(), *model.named_state()]]

    plain = trained()
    for watched in (trained("advise"), trained(run=tmp_path / "run")):
        assert all(np.array_equal(a, b) for a, b in zip(plain, watched, strict=True))
    lines = train.Run.open(tmp_path / "run").metrics()
    written = [line["gradient_norm"] for line in lines if "gradient_norm" in line]
    assert written and min(written) > 0

    for recorded in (False, True):
        session = begun(epochs=1, recorded=recorded)
        loop.go_on(session)
        measured = session.steps.measured
        assert np.all(measured.gradient_norms[:6] > 0) == recorded
        assert np.all(measured.update_ratios[:6] > 0) == recorded


def test_skipped_batches_are_left_out_of_their_epoch():
    session = ended({("stretch", 1): Decision("skip", "spike", skip=(2, 4))}, epochs=1)
    model = nn.MLP(4, (8,), 3, rng=1)
    steps = Steps(nn.losses.LOSSES[LOSS], model, optim.Adam(model, 0.01), random.Generator(0),
                  length=128, rows=8)  # fmt: skip
    batches = np.delete(data.order(0, 0, 50, 8), [2, 4], axis=0)[:, None]
    steps.load(data.Arrays(*rows()), batches)
    steps.run(0, 4)
    assert all(np.array_equal(a, b) for a, b in zip(
        model.parameters(), session.model.parameters(), strict=True))  # fmt: skip
    assert session.history.records[0]["step"] == 4
    assert session.history.records[0]["loss"] == pytest.approx(steps.measured.losses[:4].mean())
    assert session.history.decisions[0]["skip"] == [2, 4]


def test_batches_skipped_after_others_are_counted_without_them():
    script = {("stretch", 1): Decision("skip", "a", skip=(2,)),
              ("stretch", 2): Decision("skip", "b", skip=(3,))}  # fmt: skip
    both = {("stretch", 1): Decision("skip", "both", skip=(2, 4))}
    session = ended(script)
    assert same(session, ended(both))
    assert [r["step"] for r in session.history.records] == [4, 10, 16]


def test_rollback_puts_the_state_back_and_lowers_the_step_size():
    session = ended({("stretch", 1): Decision("rollback", "too long", factor=0.5)})
    assert same(session, ended(step_size=0.005))
    assert session.history["step_size"] == [0.005] * 3 and len(session.history.records) == 3


def test_rollback_to_the_copy_before_takes_the_record_back_as_well():
    def halve(event):
        event.optimizer.step_size *= 0.5

    session = ended({("stretch", 3): Decision("rollback", "damaged", factor=0.5, back=2)})
    assert same(session, ended(callbacks=at("epoch", 1, halve)))
    assert [r["epoch"] for r in session.history.records] == [1, 2, 3]
    assert session.history["step_size"] == [0.01, 0.005, 0.005]


def test_lower_holds_from_the_next_stretch_on():
    def change(event):
        event.optimizer.step_size *= 0.25

    session = ended({("epoch", 1): Decision("lower", "flat", factor=0.25)})
    assert same(session, ended(callbacks=at("epoch", 1, change)))


def test_clip_repeats_the_stretch_with_clipped_gradients():
    session = ended({("stretch", 1): Decision("clip", "spikes", factor=0.1)})
    assert same(session, ended(optimizer={"name": "adam", "clip_norm": 0.1}))
    assert session.optimizer.clip_norm == 0.1 and not same(session, ended())


def test_restart_begins_anew_from_the_first_weights():
    session = ended({("stretch", 3): Decision("restart", "diverged", factor=0.1)}, validation=0.2)
    other = ended(step_size=0.001, validation=0.2)
    assert same(session, other)
    losses = session.history["validation_loss"]
    assert losses == other.history["validation_loss"]
    assert session.history.best == session.history.records[int(np.argmin(losses))]


def test_a_second_restart_lowers_the_step_size_once_more():
    script = {("stretch", 1): Decision("restart", "a", factor=0.1),
              ("epoch", 1): Decision("restart", "b", factor=0.1)}  # fmt: skip
    assert ended(script).history["step_size"] == pytest.approx([0.0001] * 3)


def test_restart_with_new_weights_draws_them_by_the_seed():
    script = {("stretch", 1): Decision("restart", "zeros", initialise=True)}
    zeros = ended(script, model=nn.MLP(4, (8,), 3, init="zeros"))
    again = ended(script, model=nn.MLP(4, (8,), 3, init="zeros"))
    other = ended(script, model=nn.MLP(4, (8,), 3, init="zeros"), seed=1)
    assert same(zeros, again) and not same(zeros, other)
    assert zeros.history["loss"][-1] < zeros.history["loss"][0]


def test_stop_ends_with_the_best_weights():
    kept = []

    def spoil(event):
        kept.extend(a.copy() for a in event.model.parameters())
        event.optimizer.step_size = 100.0

    session = ended({("stretch", 2): Decision("stop", "hopeless")}, validation=0.2,
                    callbacks=at("epoch", 1, spoil))  # fmt: skip
    assert session.history.stopped == "the babysitter: hopeless"
    assert all(np.array_equal(a, b) for a, b in zip(kept, session.model.parameters(), strict=True))


def test_a_stop_is_resumed_with_the_best_weights(tmp_path):
    kept = []

    def watch(event):
        if event.kind == "epoch":
            kept.extend(a.copy() for a in event.model.parameters())
            event.optimizer.step_size = 100.0
        if event.kind == "end":
            raise RuntimeError("killed before the end was written")

    session = begun({("stretch", 2): Decision("stop", "hopeless")}, validation=0.2,
                    callbacks=(watch,), checkpoint_every=1)  # fmt: skip
    keep_in(session, tmp_path / "run")
    with pytest.raises(RuntimeError):
        loop.go_on(session)
    session.run.close()
    history = train.resume(tmp_path / "run", rows(), progress="none")
    model = train.load_model(tmp_path / "run/model")[0]
    assert history.stopped == "the babysitter: hopeless"
    assert all(np.array_equal(a, b) for a, b in zip(kept, model.parameters(), strict=True))


def test_a_babysitter_that_only_repeats_is_stopped(monkeypatch):
    monkeypatch.setattr(decisions, "REPEATS", 5)
    script = {("stretch", i): Decision("rollback", "again") for i in range(1, 50)}
    session = ended(script)
    assert session.history.stopped == "5 repeats did not get past step 6"
    assert len(session.history.decisions) == 6


def test_the_report_holds_what_each_step_did():
    session = begun({}, epochs=1, optimizer="sgd", step_size=0.1, recorded=True)
    before = [a.copy() for a in session.model.parameters()]
    batch = data.order(0, 0, 50, 8)[0]
    x, y = rows()[0][batch], rows()[1][batch]
    loop.go_on(session)
    report = session.babysitter.report
    scores = np.maximum(x @ before[0] + before[1], 0) @ before[2] + before[3]
    shares = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    slope = (shares - np.eye(3)[y]) / 8
    hidden = np.maximum(x @ before[0] + before[1], 0)
    assert report.losses[0] == pytest.approx(-np.log(shares[np.arange(8), y]).mean(), rel=1e-5)
    norm = np.linalg.norm(hidden.T @ slope)
    assert report.gradient_norms[0, 2] == pytest.approx(norm, rel=1e-5)
    after = before[2] - 0.1 * hidden.T @ slope
    size = max(np.linalg.norm(before[2]), np.linalg.norm(after))
    assert report.update_ratios[0, 2] == pytest.approx(0.1 * norm / size, rel=1e-4)
    assert report.update_ratios[0, 3] == pytest.approx(1.0, rel=1e-5)  # a bias that was 0
    assert report.losses.shape == (6,) and report.gradient_norms.shape == (6, 4)


def spoilt_on_the_way(event):
    """After the data were checked, a row of them becomes nan."""
    if event.kind == "epoch" and event.epoch == 1:
        spoilt_on_the_way.x[5] = np.nan


def test_nans_that_come_later_are_survived_and_named():
    given = data.Arrays(*rows())
    spoilt_on_the_way.x = given.inputs
    model = nn.MLP(4, (8,), 3, rng=1)
    history = train.fit(model, given, loss=LOSS, epochs=6, batch_size=8, step_size=0.01,
                        callbacks=spoilt_on_the_way, progress="none")  # fmt: skip
    assert np.isfinite(history["loss"]).all() and len(history.decisions) >= 1
    assert all(np.isfinite(a).all() for a in model.parameters())
    assert "row 5" in history.decisions[0]["reason"]


@pytest.mark.parametrize("labels", [False, True])
def test_rows_of_a_rare_class_are_not_left_out_for_their_weights(labels):
    x = np.random.default_rng(0).normal(size=(1600, 3))
    rare = np.arange(1600) % 200 == 0
    if labels:
        given = data.Arrays(x, np.where(rare, 1.0, -1.0)[:, None])
        loss: dict | str = {"name": "logistic", "class_weights": [[0.5, 100.0]]}
    else:
        given, loss = data.Arrays(x, rare, np.where(rare, 100.0, 0.5)), LOSS
    model = nn.MLP(3, (16,), 1 if labels else 2, rng=0)
    history = train.fit(model, given, loss=loss, epochs=12, step_size=0.01, progress="none")
    assert not history.decisions


@pytest.mark.parametrize("tail", ["lognormal", "pareto"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_largest_rows_of_a_target_with_a_long_tail_are_trained_on(tail, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1000, 5))
    logs = x[:, 0] + 0.5 * x[:, 1]
    y = np.exp(2 * logs) if tail == "lognormal" else rng.pareto(1.5, 1000) * np.exp(0.5 * logs)
    y = ((y - y.mean()) / y.std())[:, None]
    model = nn.MLP(5, (32,), 1, rng=seed)
    history = train.fit(model, (x, y), loss="squared", epochs=12, seed=seed, progress="none")
    assert not [d for d in history.decisions if d["action"] == "skip"]


def test_a_target_with_a_comma_too_few_is_at_fault_in_a_long_tail():
    x = np.random.default_rng(0).normal(size=(1000, 5))
    y = np.exp(x[:, :1])
    y[7] = 1e9
    model = nn.MLP(5, (32,), 1, rng=0)
    history = train.fit(model, (x, y), loss="squared", epochs=3, progress="none")
    assert "row 7 (targets reach 1e+09" in history.decisions[0]["reason"]


def test_advice_changes_nothing():
    given = data.Arrays(*rows())
    spoilt_on_the_way.x = given.inputs
    model = nn.MLP(4, (8,), 3, rng=1)
    history = train.fit(model, given, loss=LOSS, epochs=3, batch_size=8, babysitter="advise",
                        callbacks=spoilt_on_the_way, progress="none")  # fmt: skip
    assert "advice (skip)" in history.decisions[0]["reason"]
    assert np.isnan(history["loss"][-1])


def test_a_layer_that_a_callback_replaced_is_what_is_kept():
    def replace(event):
        event.model.layers[0] = nn.Linear(4, 8, rng=5)

    session = ended(callbacks=at("epoch", 1, replace))
    kept, best = capture(session)[0]["model/layers[0].weight"], session.best["layers[0].weight"]
    assert np.array_equal(kept, session.model.layers[0].weight)
    assert np.array_equal(best, kept)  # the last epoch is the best


def test_epochs_know_their_steps_after_a_start_over_and_a_resume():
    def epochs(watched, count):
        for _ in range(count):
            ones = np.ones((5, 1))
            watched.stretch(Stretch(0, np.full(5, 1.0), ones, 1e-3 * ones, 0.1))
            watched.epoch({"loss": 1.0}, [])
        return [e["steps"] for e in watched.epochs]

    watched = Babysitter("act", names=["w"])
    assert epochs(watched, 3) == [5, 5, 5]
    assert epochs(Babysitter.restored(watched.state()), 2) == [5] * 5
    watched._undo(Decision("restart", "", factor=0.1))
    assert epochs(watched, 2) == [5, 5]
