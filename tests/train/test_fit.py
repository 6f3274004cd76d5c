"""fit: steps as NumPy makes them by hand, the same bits however they are cut, and its options."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import data, errors, nn, optim, random, train
from chainrule.train import loop, session
from chainrule.train.evaluation import predict


def rows(count=50, classes=3, seed=3):
    rng = random.Generator(seed)
    x = rng.normal(size=(count, 4)).astype("f")
    return x, (x[:, 0] > 0).astype(np.int64) + (classes > 2) * (x[:, 1] > 0.5)


def network(rng=1):
    return nn.MLP(4, (8,), 3, rng=rng)


OPTIONS = dict(
    loss="softmax_cross_entropy", batch_size=8, epochs=3, progress="none", step_size=0.01
)  # fmt: skip


def arrays(model):
    return [a.copy() for _, a in [*model.named_parameters(), *model.named_state()]]


def trained(model=None, rows_=None, **options):
    model = network() if model is None else model
    history = train.fit(model, rows() if rows_ is None else rows_, **{**OPTIONS, **options})
    return arrays(model), history


def equal(a, b):
    return all(np.array_equal(u, v) for u, v in zip(a, b, strict=True))


def untimed(history):
    return [{k: v for k, v in r.items() if k != "seconds"} for r in history.records]


# --- what a step is -------------------------------------------------------------------------------


def test_steps_are_those_of_numpy_by_hand():
    x = random.Generator(0).normal(size=(20, 3))
    y = x @ np.array([1.0, -2.0, 0.5]) + 0.3
    model = nn.Linear(3, 1, dtype="d", rng=0)
    w, b = model.weight[:, 0].copy(), model.bias.copy()
    history = train.fit(model, (x, y), loss="squared", optimizer="sgd", step_size=0.1, epochs=2,
                        batch_size=6, seed=5, progress="none")  # fmt: skip
    for epoch in range(2):
        losses = []
        for batch in data.order(5, epoch, 20, 6):
            z = x[batch] @ w + b - y[batch]
            losses.append(np.mean(z**2) / 2)
            w, b = w - 0.1 * x[batch].T @ z / 6, b - 0.1 * z.mean()
        assert history.records[epoch]["loss"] == pytest.approx(np.mean(losses), rel=1e-12)
    np.testing.assert_allclose(model.weight[:, 0], w, rtol=1e-12)
    np.testing.assert_allclose(model.bias, b, rtol=1e-12)
    assert [r["step"] for r in history.records] == [3, 6]


def test_one_seed_gives_the_same_bits_and_another_one_others():
    first, history = trained(validation=0.2, seed=4)
    again, other_history = trained(validation=0.2, seed=4)
    assert equal(first, again) and untimed(history) == untimed(other_history)
    assert not equal(first, trained(validation=0.2, seed=5)[0])


def test_bits_do_not_depend_on_how_stretches_are_cut(monkeypatch):
    want, history = trained(rows_=rows(200))
    monkeypatch.setattr(session, "stretch_length", lambda model, count: 7)
    short, short_history = trained(rows_=rows(200))
    monkeypatch.setattr(loop, "PIECE", 0.0)  # each step a native call of its own
    single, single_history = trained(rows_=rows(200))
    assert equal(want, short) and equal(want, single)
    losses = [h["loss"] for h in (history, short_history, single_history)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-15)  # sums of floats in two orders
    assert losses[2] == losses[1]


@pytest.mark.parametrize("weighted", [False, True])
def test_accumulated_gradients_are_those_of_the_big_batch(weighted):
    x, y = rows(64)
    given = (x, y, random.Generator(1).uniform(0.5, 2, size=64)) if weighted else (x, y)
    one, history = trained(rows_=given, batch_size=32, optimizer="sgd", step_size=0.5, epochs=4)
    two, other = trained(rows_=given, batch_size=8, accumulate=4, optimizer="sgd", step_size=0.5,
                         epochs=4)  # fmt: skip
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(history["loss"], other["loss"], rtol=1e-5)
    assert history.records[-1]["step"] == other.records[-1]["step"] == 8


def test_a_weight_of_two_is_a_row_twice_and_one_of_zero_none():
    x, y = rows(24)
    weights = np.ones(24)
    weights[:8], weights[8:12] = 2, 0
    chosen = np.concatenate([np.arange(8), np.arange(8), np.arange(12, 24)])
    full = dict(batch_size=64, optimizer="sgd", epochs=5, step_size=0.3)
    one, history = trained(rows_=(x, y, weights), **full)
    two, other = trained(rows_=(x[chosen], y[chosen]), **full)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(history["loss"], other["loss"], rtol=1e-5)


def test_fewer_rows_than_a_batch_are_one_batch():
    history = trained(rows_=rows(5), batch_size=32)[1]
    assert history.records[-1]["step"] == 3


def test_steps_end_in_mid_epoch_with_a_record():
    history = trained(epochs=None, steps=8)[1]  # 6 an epoch
    assert [r["step"] for r in history.records] == [6, 8] and history.stopped == "8 steps made"


def test_memory_is_passed_on_to_the_derivative():
    with pytest.raises(errors.BudgetTooSmall):
        trained(memory="100B")
    assert equal(trained(memory="64MB")[0], trained()[0])


def test_data_without_targets_train_the_model_to_give_them_back():
    x = rows(64)[0] @ np.array([[1.0, 0.5, -1.0, 0.2]] * 4, "f")  # one direction
    model = nn.MLP(4, (1,), 4, activation="identity", rng=0)
    history = train.fit(model, x / x.std(), loss="squared", epochs=150, step_size=0.03,
                        batch_size=16, progress="none")  # fmt: skip
    assert history.records[-1]["loss"] < 1e-3 * history.records[0]["loss"]


def test_losses_take_options_and_may_be_yours():
    smooth = {"name": "softmax_cross_entropy", "label_smoothing": 0.1}

    def mine(outputs, targets):
        return nn.losses.softmax_cross_entropy(outputs, targets, label_smoothing=0.1)

    found, history = trained(loss=smooth, validation=0.2)
    wanted, other = trained(loss=mine, validation=0.2)
    assert equal(found, wanted) and untimed(history) == untimed(other)
    assert not equal(found, trained(validation=0.2)[0])
    with pytest.raises(ValueError, match="label_smothing"):
        trained(loss={**smooth, "label_smothing": 0.1})


# --- validation and early stopping ----------------------------------------------------------------


def test_a_share_of_the_rows_validates_and_is_not_trained_on():
    x, y = rows()
    own, other = data.split(y, share=0.2, seed=7)
    found, history = trained(validation=0.2, seed=7, metrics=["accuracy", "auc"])
    model = network()
    wanted = train.fit(model, (x[own], y[own]), validation=(x[other], y[other]), seed=7,
                       metrics=["accuracy", "auc"], **OPTIONS)  # fmt: skip
    assert equal(found, arrays(model)) and untimed(history) == untimed(wanted)
    scores = predict(model, x[other])
    assert history.records[-1]["validation_accuracy"] == np.mean(scores.argmax(1) == y[other])
    loss = nn.losses.softmax_cross_entropy(scores.astype("d"), y[other])
    assert history.records[-1]["validation_loss"] == pytest.approx(float(loss), rel=1e-12)


def test_metrics_without_validation_are_those_of_the_training_rows():
    x, y = rows()
    model = network()
    history = train.fit(model, (x, y), metrics="accuracy", **OPTIONS)
    assert history.records[-1]["accuracy"] == np.mean(predict(model, x).argmax(1) == y)


def test_early_stopping_puts_the_best_weights_back():
    seen = []

    def note(event):
        if event.kind == "epoch":
            seen.append((event.record["validation_loss"], arrays(event.model)))

    found, history = trained(
        validation=0.3, epochs=400, step_size=0.1, callbacks=note, babysitter="off",
        early_stopping={"patience": 5, "smoothing": 0.0},
    )  # fmt: skip
    best = min(range(len(seen)), key=lambda i: seen[i][0])
    assert len(seen) == best + 1 + 5 and "early stopping" in history.stopped
    assert history.best["epoch"] == best + 1 and equal(found, seen[best][1])


def test_what_is_monitored_must_be_in_the_records():
    with pytest.raises(ValueError, match="monitors 'validation_loss', and the records have"):
        trained(early_stopping=3)
    history = trained(early_stopping={"monitor": "loss", "patience": 300})[1]
    assert history.best["loss"] == min(history["loss"])


# --- predict --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 7, 8, 9, 30])
def test_predict_gives_each_row_its_scores_in_batches_that_are_not_full(count):
    model, x = nn.MLP(4, (8,), 3, batch_norm=True, dropout=0.5, rng=0), rows(count)[0]
    found = predict(model, x, batch_size=8)
    np.testing.assert_allclose(found, model(x), rtol=1e-5, atol=1e-6)
    assert found.dtype == np.float32


def test_evaluate_gives_what_fit_records():
    x, y = rows()
    model = network()
    history = train.fit(model, (x, y), validation=(x[:20], y[:20]), metrics=["f1"], **OPTIONS)
    found = train.evaluate(model, (x[:20], y[:20]), loss=OPTIONS["loss"], metrics=["f1"])
    record = history.records[-1]
    assert found == {"loss": record["validation_loss"], "f1": record["validation_f1"]}
    assert train.evaluate(model, (x, y), metrics="accuracy").keys() == {"accuracy"}
    with pytest.raises(errors.DataError, match="row 3, column 2 is nan"):
        train.evaluate(model, spoilt(3, 2, np.nan), metrics="accuracy")


# --- optimizers, step sizes, schedules ------------------------------------------------------------


def test_optimizers_by_name_with_options_and_as_objects_are_the_same():
    by_name = trained(optimizer={"name": "HeavyBall", "momentum": 0.5, "l2": 1e-3})[0]
    model = network()
    made = optim.HeavyBall(model, 0.01, momentum=0.5, l2=1e-3)
    assert equal(by_name, trained(model, optimizer=made, step_size=None)[0])


def test_a_schedule_by_name_is_made_for_the_steps_asked_for():
    model = network()
    wanted = trained(model, optimizer=optim.Adam(model, 0.01, schedule=optim.Cosine(18)))[0]
    found, history = trained(schedule="cosine")
    assert equal(found, wanted) and history.records[-1]["step_size"] == 0.0


@pytest.mark.parametrize("search", ["bottou", {"name": "range", "low": 1e-4, "steps": 60}])
def test_a_search_for_the_step_size_changes_nothing_else(search):
    found, history = trained(step_size=search, babysitter="off")
    sizes = [size for size, _ in history.trials]
    chosen = history.records[0]["step_size"]
    assert chosen in sizes and len(sizes) >= 5
    assert equal(found, trained(step_size=chosen, babysitter="off")[0])


def test_the_bottou_trick_takes_the_size_of_least_loss_on_a_sample():
    history = trained(step_size={"name": "bottou", "share": 0.5, "steps": 16})[1]
    best = min(history.trials, key=lambda trial: trial[1])
    assert history.records[0]["step_size"] == best[0]


def test_lbfgs_finds_the_least_squares_solution():
    x = random.Generator(2).normal(size=(60, 3))
    y = np.stack([x @ [1.0, 2.0, -1.0] + 0.5, np.sin(x[:, 0])], axis=1)
    model = nn.Linear(3, 2, dtype="d", rng=0)
    history = train.fit(model, (x, y), loss="squared", progress="none",
                        optimizer={"name": "lbfgs", "tolerance": 1e-14})  # fmt: skip
    design = np.column_stack([x, np.ones(60)])
    wanted = np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(np.vstack([model.weight, model.bias]), wanted, atol=1e-5)
    assert "L-BFGS" in history.stopped and history["loss"] == sorted(history["loss"])[::-1]


def test_lbfgs_validates_and_stops_as_others_do(tmp_path):
    history = train.fit(network(), rows(), loss="softmax_cross_entropy", optimizer="lbfgs",
                        validation=0.2, metrics=["accuracy"], epochs=4, progress="none",
                        run=tmp_path / "run")  # fmt: skip
    assert history.stopped == "4 epochs made" and len(history["validation_accuracy"]) == 4
    assert train.resume(tmp_path / "run", progress="none").stopped == "4 epochs made"
    model = nn.MLP(4, (8,), 3, dropout=0.5, rng=0)
    with pytest.raises(errors.NotSupported, match="same function at each call"):
        train.fit(model, rows(), loss="softmax_cross_entropy", optimizer="lbfgs")
    with pytest.raises(ValueError, match="takes no schedule"):
        train.fit(network(), rows(), loss="softmax_cross_entropy", optimizer="lbfgs",
                  schedule="cosine")  # fmt: skip


# --- callbacks ------------------------------------------------------------------------------------


def test_callbacks_see_each_event_and_may_change_the_step_size_and_stop():
    seen = []

    def watch(event):
        seen.append((event.kind, event.epoch, event.step))
        if event.kind == "epoch" and event.epoch == 1:
            event.optimizer.step_size = 0.25
        if event.kind == "epoch" and event.epoch == 2:
            event.stop("enough")

    history = trained(callbacks=watch, epochs=5)[1]
    assert seen == [("start", 0, 0), ("stretch", 0, 6), ("epoch", 1, 6), ("stretch", 1, 12),
                    ("epoch", 2, 12), ("end", 2, 12)]  # fmt: skip
    assert history.stopped == "enough" and history["step_size"] == [0.01, 0.25]


# --- data that is not in memory -------------------------------------------------------------------


def test_a_memory_map_trains_to_the_same_bits_without_being_loaded(tmp_path, monkeypatch):
    x, y = rows(200)
    np.save(tmp_path / "x.npy", x)
    mapped = data.Arrays(np.load(tmp_path / "x.npy", mmap_mode="r"), y)
    want = trained(rows_=(x, y), validation=0.2, metrics=["accuracy"])
    monkeypatch.setattr(session, "stretch_length", lambda model, count: 4)
    found = trained(rows_=mapped, validation=0.2, metrics=["accuracy"])
    assert equal(want[0], found[0])
    assert [r["validation_loss"] for r in want[1].records] == found[1]["validation_loss"]


# --- precision ------------------------------------------------------------------------------------


def test_float64_converts_the_model():
    model = network()
    history = train.fit(model, rows(), precision="float64", validation=0.2, **OPTIONS)
    assert {a.dtype for a in model.parameters()} == {np.dtype(np.float64)}
    close, other = trained(validation=0.2)
    for a, b in zip(close, arrays(model), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(history["validation_loss"], other["validation_loss"], rtol=1e-4)


def test_float64_converts_the_optimizer_that_was_made_for_the_model():
    model = network()
    optimizer = optim.Adam(model, 0.01)
    train.fit(model, rows(), precision="float64", optimizer=optimizer, **OPTIONS)
    found = {a.dtype for a in [*optimizer.means, *optimizer.squares, *model.parameters()]}
    assert found == {np.dtype(np.float64)}
    other = network()
    train.fit(other, rows(), precision="float64", **OPTIONS)
    assert equal(model.parameters(), other.parameters())


def test_bfloat16_is_refused_with_the_reason():
    with pytest.raises(errors.NotSupported, match="NumPy has no such dtype"):
        trained(precision="bfloat16")
    with pytest.raises(ValueError, match="float32, float64, float16"):
        trained(precision="float8")


@pytest.fixture(scope="module")
def halved():
    """A training in float16 whose scale is far too large at first and grows after 4 good steps."""
    states = []

    def note(event):
        if event.kind == "start":
            states.append((arrays(event.model), 0))
        if event.kind == "stretch":
            states.append((arrays(event.model), int(event.optimizer.count)))

    model = nn.MLP(4, (8,), 3, batch_norm=True, rng=1)
    precision = train.Float16(scale=2.0**30, grow_every=4)
    history = train.fit(model, rows(200), callbacks=note, validation=0.2, babysitter="off",
                        precision=precision, **OPTIONS)  # fmt: skip
    return model, history, states


def test_float16_keeps_float32_weights_and_learns(halved):
    model, history, _ = halved
    assert {a.dtype for a in model.parameters()} == {np.dtype(np.float32)}
    assert history["loss"][-1] < history["loss"][0]
    wanted = nn.MLP(4, (8,), 3, batch_norm=True, rng=1)
    other = train.fit(wanted, rows(200), validation=0.2, **OPTIONS)
    assert abs(other["validation_loss"][-1] - history["validation_loss"][-1]) < 0.1


def test_the_loss_scale_halves_at_overflows_and_grows_after_good_steps(halved):
    _, history, states = halved
    scales = history.loss_scales
    made, all_steps = states[-1][1], history.records[-1]["step"]
    assert scales[-1]["overflows"] == all_steps - made > 5  # those steps were not made
    assert history.records[-1]["loss_scale"] == scales[-1]["scale"]
    halvings, doublings = scales[-1]["overflows"], np.log2(scales[-1]["scale"]) - 30
    assert made >= 4 * (doublings + halvings) > 0


def test_a_step_that_overflows_changes_neither_weights_nor_running_statistics():
    model = nn.MLP(4, (8,), 3, batch_norm=True, rng=1)
    before, rng = arrays(model), cr.random.Generator(0)
    scaling = train.precision.LossScale(2.0**40, 4)
    optimizer = optim.Adam(model)
    steps = train.steps.Steps(nn.losses.softmax_cross_entropy, model, optimizer, rng,
                              length=1, rows=8, scaling=scaling)  # fmt: skip
    steps.load(data.Arrays(*rows(8)), np.arange(8).reshape(1, 1, 8))
    steps.run(0, 1)
    assert equal(before, arrays(model)) and optimizer.count == 0
    assert scaling.scale == 2.0**39 and scaling.overflows == 1


# --- what is refused ------------------------------------------------------------------------------


def spoilt(row, column, value):
    x, y = rows()
    x[row, column] = value
    return x, y


def with_target(row, value):
    x, y = rows()
    y[row] = value
    return x, y


@pytest.mark.parametrize(
    "given, options, error, message",
    [
        (spoilt(3, 2, np.nan), {}, errors.DataError, "inputs row 3, column 2 is nan"),
        (spoilt(7, 0, np.inf), {}, errors.DataError, "row 7, column 0 is inf"),
        (with_target(9, 3), {}, errors.DataError, "3 scores.*row 9 is 3"),
        (with_target(9, -1), {}, errors.DataError, "row 9 is -1"),
        ((rows()[0], rows()[1] * 0.5), {}, errors.DataError, "whole numbers"),
        ((rows()[0][:, :3], rows()[1]), {}, errors.ShapeError, "4 inputs"),
        ((rows()[0], rows()[0][:, :2]), {"loss": "squared"}, errors.ShapeError, "one by one"),
        ((rows()[0], np.zeros((50, 3))), {"loss": "hinge"}, errors.DataError,
         r"-1 and 1.*is 0\.0\. Write: 2 \* y - 1$"),
        ((rows()[0], np.full((50, 3), 2.0)), {"loss": "binary_cross_entropy"}, errors.DataError,
         "from 0 to 1.*row 0, column 0 is 2"),
        ((rows()[0], np.full((50, 3), -1)), {"loss": "poisson"}, errors.DataError, "counts from 0"),
        ((rows()[0], None), {}, errors.ShapeError, "Pass targets"),
        (rows(), {"loss": "softmax"}, ValueError, "squared.*got 'softmax'"),
        (rows(), {"loss": lambda f, y: abs(f[:, 0] - y)}, errors.ShapeError,
         r"shape \(2,\) for 2 rows.*mean\(\)"),
        (rows(), {"metrics": [lambda f, y: 0.0]}, TypeError, "weights=None"),
        (rows(), {"optimizer": "adams"}, ValueError, "adam.*lbfgs; got 'adams'"),
        (rows(), {"optimizer": {"name": "sgd", "momentun": 1}}, ValueError, "momentun"),
        (rows(), {"schedule": "cosin"}, ValueError, "cosine.*got 'cosin'"),
        (rows(), {"step_size": "botou"}, ValueError, "'bottou' or 'range', got 'botou'"),
        (rows(), {"step_size": -1.0}, ValueError, "positive number"),
        (rows(), {"metrics": ["acc"]}, ValueError, "accuracy.*got 'acc'"),
        (rows(), {"batch_size": 0}, ValueError, "batch_size is a whole number from 1, got 0"),
        (rows(), {"epochs": 1.5}, ValueError, "epochs is a whole number"),
        (rows(), {"seed": -1}, ValueError, "seed is a whole number from 0"),
        (rows(), {"accumulate": 51}, ValueError, "needs as many rows, got 50"),
        (rows(), {"validation": 1.5}, ValueError, "share between 0 and 1"),
        (rows(), {"babysitter": "on"}, ValueError, "act, advise, off"),
        (rows(), {"progress": "bar"}, ValueError, "auto, rich"),
        (rows(), {"callbacks": [3]}, ValueError, "function of an event"),
        (rows(), {"kinks": "no"}, ValueError, "kinks"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_with_is_refused_at_once(given, options, error, message):
    with pytest.raises(error, match=message):
        trained(rows_=given, **options)


def test_an_optimizer_of_another_model_is_refused():
    other = optim.Adam(nn.MLP(4, (8, 8), 3, rng=0))
    with pytest.raises(errors.StructureMismatch, match="made for 6 parameters.*has 4"):
        trained(optimizer=other)


def test_early_stopping_by_what_no_record_has_is_refused_before_the_first_step(tmp_path):
    x, y = np.ones((8, 2), np.float32), np.arange(8) % 2
    options = {"loss": "softmax_cross_entropy", "progress": "none", "run": tmp_path / "run"}
    with pytest.raises(ValueError, match=r"have loss\. Set rows aside: validation=0\.2"):
        train.fit(nn.MLP(2, (), 2, rng=0), (x, y), early_stopping=3, **options)
    stopping = {"patience": 3, "monitor": "val_loss"}
    with pytest.raises(ValueError, match="'val_loss', and the records have loss, validation_loss"):
        train.fit(
            nn.MLP(2, (), 2, rng=0), (x, y), early_stopping=stopping, validation=0.25, **options
        )
    assert not (tmp_path / "run").exists()


def test_a_model_without_parameters_is_told_how_it_gets_them():
    class Fixed(nn.Module):
        def __init__(self):
            self.weight = np.ones((2, 2), np.float32)

        def __call__(self, x, training=False, rng=None):
            return x @ self.weight

    with pytest.raises(errors.NotDifferentiable, match=r"Fixed has no parameters.*nn\.Parameter"):
        train.fit(Fixed(), (np.ones((8, 2)), np.arange(8) % 2), loss="softmax_cross_entropy")


def test_a_column_of_classes_is_refused_with_what_to_write():
    x, y = np.ones((8, 2), np.float32), (np.arange(8) % 2)[:, None]
    for targets, wanted in (
        (y, r"Write: y\[:, 0\]$"),
        (y * 1.0, r"y\[:, 0\]\.astype\(np\.int64\)"),
        (np.eye(2)[y[:, 0]], r"Write: y\.argmax\(axis=1\)$"),
    ):
        with pytest.raises(errors.DataError, match=wanted):
            train.fit(nn.MLP(2, (), 2, rng=0), (x, targets), loss="softmax_cross_entropy")


def test_rows_that_come_more_often_are_refused_where_all_come_at_once():
    frequent = data.Arrays(np.ones((8, 2), "f"), np.arange(8) % 2, frequencies=np.arange(8.0))
    with pytest.raises(ValueError, match="takes all rows in each step"):
        train.fit(
            nn.MLP(2, (), 2, rng=0), frequent, loss="softmax_cross_entropy", optimizer="lbfgs"
        )


def test_a_class_for_each_pixel_is_learned():
    x = random.Generator(0).normal(size=(60, 6, 5, 1)).astype("f")
    y = (x[..., 0] > 0.3).astype(np.int64) + (x[..., 0] > 1)
    convolutions = nn.Conv2d(1, 8, 1, rng=0), nn.Conv2d(8, 3, 1, rng=1)
    model = nn.Sequential(convolutions[0], nn.Activation("relu"), convolutions[1])
    history = train.fit(
        model, (x, y, np.linspace(0.5, 1.5, 60)), loss="softmax_cross_entropy", validation=0.2,
        metrics=("accuracy", "f1", "auc", "log_loss"), epochs=40, batch_size=8, step_size=0.02,
        progress="none",
    )  # fmt: skip
    record = history.records[-1]
    assert record["validation_accuracy"] > 0.9 and not history.decisions
    assert record["validation_loss"] == pytest.approx(record["validation_log_loss"], rel=1e-6)
    found = train.evaluate(model, (x, y), metrics=("accuracy",))
    assert found["accuracy"] == pytest.approx(np.mean(predict(model, x).argmax(axis=-1) == y))


def test_a_class_of_a_token_that_the_model_has_not_is_named_by_row_and_place():
    x = random.Generator(0).normal(size=(60, 4, 2)).astype("f")
    y = x.argmax(axis=2)
    y[5, 1] = 3
    with pytest.raises(errors.DataError, match="the target of row 5, column 1 is 3"):
        train.fit(nn.Linear(2, 3, rng=0), (x, y), **OPTIONS)
