"""A resumed training ends at the bits of one that was never stopped."""

import signal

import numpy as np
import pytest

from chainrule import errors, nn, optim, train
from tests.train.stopping import Stopped, rows, same, story

OPTIONS = dict(
    loss="softmax_cross_entropy", validation=0.25, epochs=5, batch_size=8, metrics=["accuracy"],
    early_stopping=4, progress="none", checkpoint_every=1, step_size=0.01, schedule="cosine",
)  # fmt: skip


def network():
    return nn.MLP(6, (8,), 3, batch_norm=True, dropout=0.25, rng=1)


def arrays(model):
    return [a.copy() for _, a in [*model.named_parameters(), *model.named_state()]]


def stop_after(count):
    seen = []

    def callback(event):
        seen.append(event.kind)
        if len(seen) == count:
            raise Stopped

    return callback


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    model = network()
    history = train.fit(model, rows(), run=folder, **OPTIONS)
    return folder, arrays(model), history


@pytest.mark.parametrize("events", [2, 3, 8])
def test_a_training_stopped_at_any_event_ends_at_the_same_bits(whole, tmp_path, events):
    with pytest.raises(Stopped):
        train.fit(network(), rows(), run=tmp_path / "run", callbacks=stop_after(events), **OPTIONS)
    history = train.resume(tmp_path / "run", rows(), progress="none")
    found = arrays(train.load_model(tmp_path / "run/model")[0])
    assert same(found, whole[1])
    assert story(history) == story(whole[2])


def test_a_run_on_disk_and_one_without_end_at_the_same_bits(whole):
    model = network()
    train.fit(model, rows(), **OPTIONS)
    assert same(arrays(model), whole[1])


def test_a_run_without_any_checkpoint_starts_over(whole, tmp_path):
    folder = tmp_path / "run"
    model = nn.builders.build(nn.builders.described(network()), rng=0)  # as resume builds it
    want = arrays(model)
    with pytest.raises(Stopped):
        train.fit(model, rows(), run=folder, callbacks=stop_after(1), **OPTIONS)
    for path in (folder / "checkpoints").iterdir():
        (path / "manifest.json").write_text("{}")
    found = []
    train.resume(
        folder,
        rows(),
        progress="none",
        callbacks=lambda e: found.append(arrays(e.model)) if e.kind == "start" else None,
    )
    assert same(found[0], want)


def test_a_run_whose_first_weights_are_lost_says_so(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(Stopped):
        train.fit(network(), rows(), run=folder, callbacks=stop_after(1), **OPTIONS)
    for path in (folder / "checkpoints").iterdir():
        (path / "manifest.json").write_text("{}")
    with pytest.raises(errors.FileDamaged, match="before its first checkpoint"):
        train.resume(folder, rows(), progress="none")


def test_a_finished_run_changes_nothing_and_says_so(whole, capsys):
    before = {p: p.read_bytes() for p in whole[0].rglob("*") if p.is_file()}
    history = train.resume(whole[0], rows(), progress="plain")
    assert story(history) == story(whole[2])
    assert "has finished" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in whole[0].rglob("*") if p.is_file()} == before


def test_other_data_are_refused(tmp_path):
    with pytest.raises(Stopped):
        train.fit(network(), rows(), run=tmp_path / "run", callbacks=stop_after(3), **OPTIONS)
    x, y = rows()
    x[5, 2] += 1
    with pytest.raises(errors.DataError, match="not what the run was started with"):
        train.resume(tmp_path / "run", (x, y), progress="none")
    with pytest.raises(errors.DataError, match="needs the data"):
        train.resume(tmp_path / "run", progress="none")


def test_a_second_run_in_the_folder_is_refused(whole):
    with pytest.raises(FileExistsError, match="holds a run"):
        train.fit(network(), rows(), run=whole[0], **OPTIONS)


def test_a_function_may_make_the_run_once_all_is_checked(tmp_path):
    made = []

    def make(config):
        made.append(train.Run.create(tmp_path / "run", {**config, "mine": 1}))
        return made[-1]

    with pytest.raises(ValueError, match="batch_size"):
        train.fit(network(), rows(), run=make, **{**OPTIONS, "batch_size": 0})
    assert not made
    train.fit(network(), rows(), run=make, **{**OPTIONS, "epochs": 1})
    assert len(made) == 1 and set(made[0].config) == {"fit", "mine"} and made[0].finished


def test_a_model_trained_in_float64_is_loaded_again(tmp_path):
    model = network()
    options = {**OPTIONS, "epochs": 1, "precision": "float64"}
    train.fit(model, rows(), run=tmp_path / "run", **options)
    loaded, _ = train.load_model(tmp_path / "run" / "model")
    for one, other in zip(arrays(loaded), arrays(model), strict=True):
        assert one.dtype == np.float64
        np.testing.assert_array_equal(one, other)


class Twice(nn.Module):
    """A model that no file describes."""

    def __init__(self, rng):
        self.inside = nn.MLP(6, (8,), 3, rng=rng)

    def __call__(self, x, training=False, rng=None):
        return 2 * self.inside(x)


def test_a_model_of_yours_is_passed_to_resume(tmp_path):
    options = {**OPTIONS, "optimizer": "heavyball", "checkpoint_every": 3}
    want = Twice(0)
    train.fit(want, rows(), **options)
    with pytest.raises(Stopped):
        train.fit(Twice(0), rows(), run=tmp_path / "run", callbacks=stop_after(6), **options)
    with pytest.raises(errors.NotSupported, match="Twice"):
        train.resume(tmp_path / "run", rows(), progress="none")
    model = Twice(5)
    train.resume(tmp_path / "run", rows(), model=model, progress="none")
    assert same(arrays(model), arrays(want))


@pytest.fixture
def control_c():
    """Python's own way with SIGINT: a shell starts what runs in the background to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_control_c_leaves_a_checkpoint_and_resumes_to_the_same_bits(whole, tmp_path, control_c):
    def interrupt(event):
        if event.kind == "epoch" and event.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train.fit(
            network(),
            rows(),
            run=tmp_path / "run",
            callbacks=interrupt,
            **{**OPTIONS, "checkpoint_every": 1000},
        )
    run = train.Run.open(tmp_path / "run")
    assert run.latest_checkpoint().step > 0 and run.events()[-1]["event"] == "interrupted"
    train.resume(tmp_path / "run", rows(), progress="none")
    found = arrays(train.load_model(tmp_path / "run/model")[0])
    assert same(found, whole[1])


def test_a_step_size_changed_in_mid_run_is_resumed(tmp_path):
    def smaller(event):
        if event.kind == "epoch" and event.epoch == 2:
            event.optimizer.step_size *= 0.5

    def made(model):
        return optim.Nesterov(model, 0.02, l2=1e-3, clip_norm=5.0)

    options = {**OPTIONS, "schedule": None, "step_size": None}
    want = network()
    train.fit(want, rows(), **{**options, "callbacks": smaller, "optimizer": made(want)})
    model, stop = network(), stop_after(7)
    with pytest.raises(Stopped):
        train.fit(
            model,
            rows(),
            run=tmp_path / "run",
            optimizer=made(model),
            callbacks=[smaller, stop],
            **options,
        )
    train.resume(tmp_path / "run", rows(), progress="none", callbacks=smaller)
    found = arrays(train.load_model(tmp_path / "run/model")[0])
    assert same(found, arrays(want))


def test_what_the_babysitter_has_decided_is_resumed(tmp_path):
    x, y = rows()
    x[40:44] *= 1e5  # finite, so that it is not refused
    options = {**OPTIONS, "early_stopping": None, "validation": None, "metrics": (), "epochs": 4}
    want, options["callbacks"] = nn.MLP(6, (8,), 3, rng=1), ()
    history = train.fit(want, (x, y), **options)
    assert history.decisions
    for events in (2, 5):
        folder = tmp_path / str(events)
        options["callbacks"] = stop_after(events)
        with pytest.raises(Stopped):
            train.fit(nn.MLP(6, (8,), 3, rng=1), (x, y), run=folder, **options)
        resumed = train.resume(folder, (x, y), progress="none")
        assert resumed.decisions == history.decisions and story(resumed) == story(history)
        found = arrays(train.load_model(folder / "model")[0])
        assert same(found, arrays(want))


def test_half_precision_with_accumulation_is_resumed(tmp_path):
    options = {**OPTIONS, "precision": train.Float16(2.0**26, grow_every=3), "accumulate": 2}
    want = network()
    history = train.fit(want, rows(), **options)
    with pytest.raises(Stopped):
        train.fit(network(), rows(), run=tmp_path / "run", callbacks=stop_after(6), **options)
    resumed = train.resume(tmp_path / "run", rows(), progress="none")
    assert resumed.loss_scales == history.loss_scales and story(resumed) == story(history)
    found = arrays(train.load_model(tmp_path / "run/model")[0])
    assert same(found, arrays(want))
    logged = [e for e in train.Run.open(tmp_path / "run").events() if e["event"] == "loss_scale"]
    assert logged and logged[-1]["scale"] == history.loss_scales[-1]["scale"]


def test_the_best_checkpoint_is_that_of_the_best_epoch(whole):
    best = train.Run.open(whole[0]).best_checkpoint()
    assert best.facts["history"]["best"]["epoch"] == whole[2].best["epoch"]
    model = train.load_model(whole[0] / "model")[0]
    for path, array in model.named_parameters():
        assert np.array_equal(best.arrays[f"model/{path}"], array)


def test_numbers_of_numpy_fit_into_the_config(tmp_path):
    loss = {"name": "softmax_cross_entropy", "class_weights": np.array([1.0, 2.0, 3.0], "f")}
    numbers = dict(epochs=np.int64(1), batch_size=np.int32(8), step_size=np.float32(0.01),
                   seed=np.uint8(3))  # fmt: skip
    train.fit(network(), rows(), run=tmp_path / "run", progress="none", loss=loss, **numbers)
    stored = train.Run.open(tmp_path / "run").config["fit"]
    assert stored["loss"]["class_weights"] == [1.0, 2.0, 3.0] and stored["seed"] == 3


def test_a_rate_of_dropout_that_a_callback_changed_is_in_the_checkpoint(tmp_path):
    def change(event):
        if event.kind == "epoch" and event.epoch == 1:
            dropout(event.model).rate = 0.75

    def dropout(model):
        (layer,) = (m for _, m in nn.named_modules(model) if isinstance(m, nn.Dropout))
        return layer

    model = network()
    train.fit(model, rows(), callbacks=change, **OPTIONS)
    for events in (3, 6):  # after the change, and some stretches later
        folder = tmp_path / f"run{events}"
        with pytest.raises(Stopped):
            stop = stop_after(events)
            train.fit(network(), rows(), run=folder, callbacks=(change, stop), **OPTIONS)
        resumed = network()
        train.resume(folder, rows(), model=resumed, callbacks=change, progress="none")
        assert dropout(resumed).rate == 0.75
        assert all(np.array_equal(a, b) for a, b in zip(arrays(resumed), arrays(model),
                                                        strict=True))  # fmt: skip
