"""The babysitter's rules, each on recorded stretches in which the fault is known."""

import json

import numpy as np
import pytest

from chainrule import nn
from chainrule.data import Arrays
from chainrule.train import fit
from chainrule.train.babysitter import Babysitter, Stretch, chance_loss, health, initialise
from chainrule.train.babysitter.epoch_rules import curve

NAMES = ["layers[0].weight", "layers[0].bias", "layers[2].weight", "layers[2].bias"]


def stretch(losses, first=0, norms=None, scale=1.0):
    losses = np.asarray(losses, np.float32)
    norms = np.ones((len(losses), len(NAMES))) if norms is None else np.asarray(norms)
    return Stretch(first, losses, norms, 1e-3 * np.ones(norms.shape), 0.1, scale)


def falling(steps, start=2.0, seed=0):
    rng = np.random.default_rng(seed)
    return start * np.exp(-np.arange(steps) / 100) * rng.uniform(0.7, 1.3, steps)


def epoch_of(watched, loss):
    """The decision after an epoch of 50 steps with this loss."""
    watched.stretch(stretch(np.full(50, loss)))
    return watched.epoch({"loss": loss}, [])


def sitter(mode="act"):
    return Babysitter(mode, names=NAMES)


def test_a_falling_noisy_loss_is_left_alone():
    watched = sitter()
    losses = falling(500)
    for first in range(0, 500, 50):
        decision = watched.stretch(stretch(losses[first : first + 50], first))
        assert not decision.acts and not decision.reason


def test_a_loss_that_is_nan_out_of_nowhere_has_its_batch_left_out():
    watched = sitter()
    losses = falling(50)
    losses[30:] = np.nan
    decision = watched.stretch(stretch(losses, first=100))
    assert decision.action == "skip" and decision.skip == (130,)
    assert "step 130" in decision.reason and "left out" in decision.reason
    assert not watched.stretch(stretch(falling(49), first=100)).acts


def test_nan_after_growing_losses_starts_over_with_a_tenth_of_the_step_size():
    losses = [2.0, 5.0, 40.0, 1e4, np.inf, np.nan]
    decision = sitter().stretch(stretch(losses))
    assert (decision.action, decision.factor) == ("restart", 0.1)


def test_weights_that_are_damaged_bring_back_the_copy_before():
    watched = sitter()
    watched.stretch(stretch(falling(50)))
    actions = [watched.stretch(stretch([np.nan] * 5, first=50)) for _ in range(3)]
    assert [d.action for d in actions] == ["skip", "skip", "rollback"]
    assert actions[-1].back == 2


def test_a_spike_of_the_loss_is_skipped_and_one_of_the_gradient_as_well():
    watched = sitter()
    watched.stretch(stretch(falling(50)))
    losses = falling(50, start=1.2)
    losses[7] = 500
    assert watched.stretch(stretch(losses, first=50)).skip == (57,)
    norms = np.ones((50, len(NAMES)))
    norms[9] = 1e4
    decision = watched.stretch(stretch(falling(50, start=1.2), first=50, norms=norms))
    assert decision.skip == (59,) and "gradient" in decision.reason


def test_a_gradient_that_spikes_again_is_clipped_to_what_is_usual():
    watched = sitter()
    watched.stretch(stretch(falling(50)))
    norms = np.ones((50, len(NAMES)))
    norms[9] = 1e4
    report = stretch(falling(50, start=1.2), first=50, norms=norms)
    found = [watched.stretch(report) for _ in range(13)]
    assert [d.action for d in found] == ["skip"] * 12 + ["clip"]
    assert found[-1].factor == pytest.approx(1.5 * 2.0)  # four gradients of norm 1
    assert not watched.stretch(report).acts  # clipped: it does no harm


def test_a_gradient_that_grows_with_its_loss_as_usual_but_slowly_is_left_alone():
    norms = np.exp(np.arange(100) / 15)[:, None] * np.ones(len(NAMES))
    assert not sitter().stretch(stretch(falling(100), norms=norms)).acts


def test_scaled_gradients_that_overflow_are_left_to_the_loss_scale():
    norms = np.ones((50, len(NAMES)))
    norms[:6] = np.inf
    norms[30] = np.nan
    watched = sitter()
    assert not watched.stretch(stretch(falling(50), norms=norms, scale=2.0**15)).acts
    assert not watched.stretch(stretch(falling(50, 1.2), 50, norms=norms, scale=2.0**15)).acts


def test_steps_of_a_tenth_of_the_weights_are_too_long():
    watched = sitter()
    ratios = np.full((80, len(NAMES)), 0.1)
    report = Stretch(0, falling(80), np.ones(ratios.shape), ratios, 1.0)
    decision = watched.stretch(report)
    assert (decision.action, decision.factor) == ("restart", 0.1)
    ratios = 1 / np.arange(1, 81)[:, None] * np.ones(len(NAMES))  # weights that grow from 0
    assert not sitter().stretch(Stretch(0, falling(80), np.ones(ratios.shape), ratios, 1.0)).acts


def test_a_loss_that_is_high_blames_the_absurd_rows_of_its_batch():
    losses = falling(50)
    losses[20] = 9.0
    looked = []

    def look(places):
        looked.append(places)
        return {17: "inputs reach 1e+05, where 1 is usual"}

    watched = sitter()
    decision = watched.stretch(stretch(losses), look)
    assert looked == [[20]] and decision.action == "skip" and not decision.skip
    assert "row 17 (inputs reach 1e+05" in decision.reason and watched.faulty == [17]
    assert not sitter().stretch(stretch(losses), lambda places: {}).acts


def test_a_row_that_is_in_one_failing_batch_after_the_other_is_to_blame():
    watched, report = sitter(), stretch([2.0, 1.9, np.nan])
    found = []
    for epoch in range(4):
        batch = [5, *range(10 * epoch + 10, 10 * epoch + 20)]
        found.append(watched.stretch(report, lambda places: {}, lambda place, batch=batch: batch))
        watched.stretch(stretch([2.0, 1.9]))
    assert [bool(d.skip) for d in found] == [True, True, True, False]
    assert "row 5 (in 4 batches that failed)" in found[-1].reason and watched.faulty == [5]


def test_new_weights_keep_the_pattern_of_the_old_ones():
    model, same = nn.MLP(4, (8,), 2, rng=0), nn.MLP(4, (8,), 2, rng=0)
    model.layers[0].weight *= np.float32(100)
    model.layers[0].bias[...] = 7
    initialise(model, seed=3)
    ratio = model.layers[0].weight / same.layers[0].weight
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
    assert 0.7 < ratio[0, 0] < 1.4 and not model.layers[0].bias.any()


def test_zero_weights_are_seen_by_gradients_that_are_zero_from_the_start():
    norms = np.ones((50, len(NAMES)))
    norms[:, :3] = 0  # all but the last bias
    watched = sitter()
    decisions = [watched.stretch(stretch(falling(50, 2.3), 50 * i, norms)) for i in range(2)]
    assert decisions[-1].action == "restart" and decisions[-1].initialise


def test_a_loss_scale_below_one_is_not_accepted():
    decision = sitter().stretch(stretch(falling(10), scale=0.5))
    assert decision.action == "rollback" and "float16" in decision.reason


def test_advice_says_the_same_and_does_nothing():
    losses = falling(50)
    losses[30:] = np.nan
    decision = sitter("advise").stretch(stretch(losses))
    assert not decision.acts and decision.reason.startswith("advice (skip)")
    assert not sitter("off").stretch(stretch(losses)).reason


def test_a_training_loss_that_goes_up_and_down_and_falls_no_more_halves_the_step_size_once():
    watched = sitter()
    losses = [2.0, 1.0, 0.5, 0.55, 0.75, 0.52, 0.6, 0.55, 0.52]
    found = [epoch_of(watched, loss) for loss in losses]
    assert [d.action for d in found].count("lower") == 1 and found[-1].factor == 0.5


def test_a_training_loss_that_is_flat_is_left_alone():
    watched = sitter()
    assert not any(epoch_of(watched, v).acts for v in [2.0, 1.0] + [0.5, 0.51] * 10)


def test_a_loss_that_climbs_far_above_its_lowest_starts_over():
    watched = sitter()
    found = [epoch_of(watched, loss) for loss in [2.0, 0.5, 0.1, 0.4]]
    assert [d.action for d in found] == ["continue"] * 3 + ["restart"]
    assert found[-1].factor == 0.1 and "0.1 to 0.4" in found[-1].reason


def test_a_loss_that_varies_near_its_end_is_left_alone():
    """Few rows, all learned: of a loss of 1.39 at first, a hundredth comes and goes by chance."""
    watched = sitter()
    watched.stretch(stretch([1.39]))
    noise = [0.33] + [0.01, 0.005, 0.021, 0.004, 0.022, 0.003, 0.018] * 3
    assert not any(epoch_of(watched, loss).acts for loss in noise)


def test_steps_that_hardly_change_the_weights_are_not_blamed_for_a_loss_that_climbs():
    def run(ratio):
        watched, ones = sitter(), np.ones((50, len(NAMES)))
        for loss in [2.0, 0.5, 0.1, 0.4]:
            watched.stretch(Stretch(0, np.full(50, loss), ones, ratio * ones, 0.1))
            decision = watched.epoch({"loss": loss}, [])
        return decision

    assert run(1e-2).action == "restart"
    assert not run(1e-5).acts


@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_restored_babysitter_decides_alike(at):
    losses = falling(200)
    losses[130] = np.nan
    whole, halves = sitter(), sitter()
    for i in range(4):
        if i == at:
            halves = Babysitter.restored(json.loads(json.dumps(halves.state())))
        report = stretch(losses[50 * i : 50 * i + 50], 50 * i)
        assert whole.stretch(report) == halves.stretch(report)
        record = {"loss": float(np.nanmean(report.losses)), "validation_loss": 1.0}
        assert whole.epoch(record, []) == halves.epoch(record, [])
    assert whole.state() == halves.state()


def test_hopeless_initial_weights_are_drawn_anew():
    x = np.random.default_rng(0).normal(size=(100, 4)).astype("f")
    model = nn.MLP(4, (8, 8), 2, rng=0)
    assert not sitter().start(health(model, x)).acts
    for factor in (100.0, 1e-4):
        bad = nn.MLP(4, (8, 8), 2, rng=0)
        for w in bad.parameters():
            w *= np.float32(factor)
        decision = sitter().start(health(bad, x))
        assert decision.action == "restart" and decision.initialise
        initialise(bad, seed=1)
        assert not sitter().start(health(bad, x)).acts


def test_health_names_dead_and_saturated_layers():
    x = np.random.default_rng(0).normal(size=(100, 4)).astype("f")
    model = nn.Sequential(nn.MLP(4, (6,), 5, rng=0), nn.Activation("sigmoid"), nn.Linear(5, 2))
    model.layers[0].layers[0].bias[:4] = -100.0
    model.layers[0].layers[0].bias[4:] = 10.0  # these are on for every row
    model.layers[0].layers[2].weight *= np.float32(1e4)
    found = {h.path: h for h in health(model, x)}
    assert list(found) == ["", "layers[0].layers[0]", "layers[0].layers[1]", "layers[0].layers[2]",
                           "layers[1]", "layers[2]"]  # fmt: skip
    assert found["layers[0].layers[1]"].dead == pytest.approx(4 / 6)
    assert found["layers[1]"].saturated > 0.5
    assert type(model.layers[2]) is nn.Linear


def test_units_that_die_in_the_first_epochs_start_the_training_over():
    x = np.random.default_rng(0).normal(size=(100, 4)).astype("f")
    model = nn.MLP(4, (16, 16), 2, rng=0)
    watched = sitter()
    watched.start(health(model, x))
    assert not watched.epoch({"loss": 1.0}, health(model, x)).acts
    model.layers[2].bias[:8] = -100.0
    decision = watched.epoch({"loss": 0.9}, health(model, x))
    assert decision.action == "restart" and "50% of the 16 units of layers[3]" in decision.reason


def test_a_loss_that_hardly_falls_under_large_steps_is_restless():
    def run(ratio):
        watched = sitter()
        for loss in [2.0, 1.0, 0.9, 0.88]:
            ones = np.ones((50, len(NAMES)))
            watched.stretch(Stretch(0, np.full(50, loss), ones, ratio * ones, 0.1))
            decision = watched.epoch({"loss": loss}, [])
        return decision

    assert run(0.02).action == "restart" and "hardly falls" in run(0.02).reason
    assert not run(0.002).acts


def test_vanishing_gradients_and_fading_signals_are_said_once():
    norms = np.array([1e-9, 0.5, 1e-3, 1.0])
    watched = Babysitter(names=["a.weight", "a.bias", "b.weight", "c.weight"])
    watched.stretch(stretch(falling(50), norms=np.tile(norms, (50, 1))))
    said = [watched.epoch({"loss": 1.0}, []).reason for _ in range(2)]
    assert "gradients vanish: that of a.weight" in said[0] and not said[1]
    deep = nn.MLP(4, (8,) * 40, 2, init="slide", rng=0)
    x = np.random.default_rng(0).normal(size=(100, 4)).astype("f")
    watched = sitter("advise")
    watched.start(health(deep, x))
    assert "the signal fades" in watched.epoch({"loss": 1.0}, health(deep, x)).reason


def test_a_validation_loss_that_rises_is_called_learning_by_heart():
    watched = sitter()
    records = [(1.0, 1.0), (0.8, 0.9), (0.6, 0.95), (0.5, 1.0), (0.4, 1.1)]
    found = [watched.epoch({"loss": t, "validation_loss": v}, []) for t, v in records]
    assert "by heart" in found[-1].reason and not any(d.acts for d in found)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="act, advise, off"):
        Babysitter("watch", names=[])


def test_faulty_rows_are_named_and_never_used_again():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3)).astype("f")
    y = (x @ np.array([1.0, -2.0, 0.5], "f"))[:, None]
    model = nn.MLP(3, (8,), 1, rng=0)

    def spoil(event):
        if event.kind == "epoch" and event.epoch == 2:
            x[[7, 70], 1] = np.nan
            x[30] = 1e5

    history = fit(model, (x, y), loss="squared", epochs=6, batch_size=12, step_size=0.01,
                  callbacks=spoil, progress="none")  # fmt: skip
    reasons = [d["reason"] for d in history.decisions]
    assert "row 7 (inputs hold nan), row 70 (inputs hold nan)" in " ".join(reasons)
    assert "row 30 (inputs reach 1e+05" in " ".join(reasons)
    assert len(reasons) <= 2 and np.isfinite(history.records[-1]["loss"])
    assert history.records[-1]["loss"] < history.records[0]["loss"]


def test_weights_that_turn_nan_in_mid_run_are_put_back():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3)).astype("f")
    y = (x @ np.array([1.0, -2.0, 0.5], "f"))[:, None]

    def spoil(event):
        if event.kind == "epoch" and event.epoch == 3 and not event.history.decisions:
            event.model.layers[0].weight[0, 0] = np.nan

    model = nn.MLP(3, (8,), 1, rng=0)
    history = fit(model, (x, y), loss="squared", epochs=5, batch_size=12, step_size=0.01,
                  callbacks=spoil, progress="none")  # fmt: skip
    assert [d["action"] for d in history.decisions] == ["skip", "skip", "rollback"]
    assert all(np.isfinite(a).all() for a in model.parameters())
    assert len(history.records) == 5


def test_units_that_are_all_equal_start_over_with_weights_that_differ():
    x = np.random.default_rng(0).normal(size=(100, 4)).astype("f")
    for value in (0.5, -0.1):
        model = nn.MLP(4, (6, 5), 2, activation="tanh", rng=0)
        model.layers[2].weight[...] = np.float32(value)
        found = health(model, x)
        assert [layer.path for layer in found if layer.alike] == ["layers[2]", "layers[3]"]
        decision = sitter().start(found)
        assert decision.action == "restart" and decision.initialise
        assert "all 5 units of layers[2] give the same as each other" in decision.reason
        initialise(model, seed=1)
        assert not sitter().start(health(model, x)).acts
    equal = np.repeat(x[:, :1], 4, axis=1)  # columns of the input: no weight is to blame
    assert not sitter().start(health(nn.Sequential(nn.SoftClip(3.0), model), equal)).acts


def test_a_network_of_equal_weights_learns_after_all():
    x = np.random.default_rng(0).normal(size=(240, 4)).astype("f")
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    model = nn.MLP(4, (16,), 2, rng=0)
    for layer in (model.layers[0], model.layers[2]):
        layer.weight[...] = 0.1
    history = fit(model, (x, y), loss="softmax_cross_entropy", epochs=60, step_size=0.01,
                  progress="none")  # fmt: skip
    assert [d["rule"] for d in history.decisions if d["action"] == "restart"] == ["hopeless_start"]
    assert history.records[-1]["loss"] < 0.3


def test_the_chance_of_weighted_labels_is_the_least_loss_of_equal_outputs():
    rng = np.random.default_rng(0)
    signs = np.where(rng.random((40, 2)) < (0.1, 0.6), 1.0, -1.0)
    weights = np.array([[0.5, 5.0], [1.2, 0.9]])
    grid = np.linspace(-5, 5, 20001)[:, None]
    least = [np.min((np.logaddexp(-grid * y, 0) * np.where(y > 0, w[1], w[0])).mean(axis=1))
             for y, w in zip(signs.T, weights, strict=True)]  # fmt: skip
    loss = {"name": "logistic", "class_weights": weights.tolist()}
    found = chance_loss(loss, Arrays(np.zeros((40, 1)), signs))
    assert found == pytest.approx(sum(least), rel=1e-6)


def test_a_perplexity_of_chance_is_said_once():
    ten = float(np.log(10.0))

    def run(loss, chance=ten, epochs=12, **more):
        watched = Babysitter("act", names=NAMES, chance=chance)
        found = []
        for _ in range(epochs):
            watched.stretch(stretch(np.full(50, loss)))
            found.append(watched.epoch({"loss": loss, **more}, []))
        assert not any(d.acts for d in found)
        return [d.reason for d in found if d.rule == "guesses"]

    (said,) = run(np.log(10.1))
    assert "perplexity after 500 steps is 10.1 at best" in said and "gives 10:" in said
    assert not run(np.log(5.0)) and not run(np.log(10.1), chance=None)
    assert not run(np.log(10.1), epochs=9)  # too early to say
    assert not run(np.log(10.1), validation_loss=np.log(8.0))  # as with much dropout
    restored = Babysitter.restored(Babysitter("act", names=NAMES, chance=0.5).state())
    assert restored.past.chance == 0.5


def test_chance_is_the_entropy_of_the_targets():
    x, y = np.zeros((8, 1)), np.array([0, 0, 0, 0, 1, 1, 2, 3])
    assert chance_loss("softmax_cross_entropy", Arrays(x, y)) == pytest.approx(1.75 * np.log(2))
    weighted = Arrays(x, y, [1, 1, 1, 1, 2, 2, 4, 4])
    assert chance_loss({"name": "softmax_cross_entropy"}, weighted) == pytest.approx(np.log(4))
    rows = np.array([0, 1, 4, 5])
    assert chance_loss("softmax_cross_entropy", weighted, rows) == pytest.approx(
        np.log(3) - 2 / 3 * np.log(2)
    )
    signs = Arrays(x, np.where(y > 0, 1.0, -1.0))
    assert chance_loss("logistic", signs) == pytest.approx(np.log(2))
    soft = Arrays(x, np.stack([np.full(8, 0.25), y > 0], axis=1))
    assert chance_loss("binary_cross_entropy", soft) == pytest.approx(
        3 * np.log(2) - 0.75 * np.log(3)
    )
    for loss in ("squared", {"name": "softmax_cross_entropy", "label_smoothing": 0.1}, max):
        assert chance_loss(loss, Arrays(x, y)) is None


@pytest.mark.parametrize("steps", [1, 7, 25, 60])
def test_the_last_means_of_a_curve_are_those_of_the_whole(steps):
    losses = np.random.default_rng(0).uniform(1, 2, 333)
    epochs = [{"loss": float(v), "steps": steps} for v in losses]
    for since in (0, 1, 200, 330, 333):
        whole = curve(epochs[since:]) if since < 333 else []
        assert curve(epochs, since) == whole
        for most in (1, 3, 6):
            assert curve(epochs, since, most) == whole[-most:]
